"""Topics that a site forbids or allows, each known by a few examples.

A text belongs to the topic whose examples it resembles in its general sense; what merely mentions
a word of it does not. As good as the examples: five to ten that differ are a beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from guardrails.detectors.canonical import canonical, flat
from guardrails.detectors.injection import windows
from guardrails.detectors.neighbours import nearest_mean
from guardrails.schema import Embed, Vectors, Verdict

RAIL = "check topics"


@dataclass(frozen=True, slots=True)
class Topics:
    """Embedded examples by topic, one row each."""

    forbidden: Mapping[str, Vectors]
    allowed: Mapping[str, Vectors]
    benign: Vectors
    """Honest questions of no topic in particular."""


@dataclass(frozen=True, slots=True)
class TopicLimits:
    """Thresholds, see `TopicsConfig`."""

    margin: float
    least: float
    neighbours: int
    only_allowed: bool
    max_windows: int


def check_topics(text: str, *, topics: Topics, embed: Embed, limits: TopicLimits) -> Verdict:
    """Block a text of a forbidden topic, or, if so configured, one of no allowed topic."""
    plain = flat(canonical(text))
    asked = bool(topics.forbidden) or (bool(topics.allowed) and limits.only_allowed)
    if not asked or not any(char.isalpha() for char in plain):
        return Verdict(True, RAIL, "", text)
    vectors = embed(windows(plain, limits.max_windows))
    allowed = _nearness(vectors, topics.allowed, limits)
    honest = nearest_mean(vectors @ topics.benign.T, limits.neighbours)
    others = np.vstack([honest, *allowed.values()]).max(axis=0)
    for name, near in _nearness(vectors, topics.forbidden, limits).items():
        over = (near >= limits.least) & (near - others > limits.margin)
        if over.any():
            score = float(min(1.0, near[over].max()))
            return Verdict(False, RAIL, f"about '{name}'", text, "forbidden_topic", score)
    if limits.only_allowed and topics.allowed:
        nearest = float(np.vstack(list(allowed.values())).max())
        if nearest < limits.least:
            score = min(1.0, 1 - max(0.0, nearest))
            return Verdict(False, RAIL, "about no allowed topic", text, "off_topic", score)
    return Verdict(True, RAIL, "", text)


def _nearness(
    vectors: Vectors, topics: Mapping[str, Vectors], limits: TopicLimits
) -> dict[str, Vectors]:
    """By topic and window: mean cosine to the nearest examples."""
    return {
        name: nearest_mean(vectors @ examples.T, limits.neighbours)
        for name, examples in topics.items()
    }
