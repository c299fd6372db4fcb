"""Requests that aim at hurting people: nearer to harmful examples than to harmless look-alikes.

The harmless examples matter as much as the others: "How do I kill a process?" and "What is the
punishment for murder?" stand beside "How do I kill my wife?". Judges what a text asks for by its
general sense, in English. Misses harm that is told in other words or in another language, and
takes some questions about crime, weapons or illness for requests. Not a judge of law or morals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from guardrails.detectors.canonical import canonical, flat
from guardrails.detectors.despair import DESPAIR
from guardrails.detectors.injection import windows
from guardrails.detectors.neighbours import nearest_mean
from guardrails.schema import Embed, Vectors, Verdict

RAIL = "check harm"
SELF_HARM = "self_harm"


@dataclass(frozen=True, slots=True)
class HarmSeeds:
    """Embedded examples, one row each."""

    harmful: Mapping[str, Vectors]
    """By category."""
    benign: Vectors


@dataclass(frozen=True, slots=True)
class HarmLimits:
    """Thresholds, see `HarmConfig`."""

    margin: float
    neighbours: int
    max_windows: int


def check_harm(text: str, *, seeds: HarmSeeds, embed: Embed, limits: HarmLimits) -> Verdict:
    """Block a harmful request, with its category; `self_harm` is for a humane reply."""
    plain = flat(canonical(text))
    if DESPAIR.search(plain):
        return Verdict(False, RAIL, "words of despair", text, SELF_HARM, 1.0)
    if not any(char.isalpha() for char in plain):
        return Verdict(True, RAIL, "nothing to read", text)
    similar = embed(windows(plain, limits.max_windows))
    harmful = np.vstack(list(seeds.harmful.values()))
    near = nearest_mean(similar @ harmful.T, limits.neighbours)
    margins = near - nearest_mean(similar @ seeds.benign.T, limits.neighbours)
    worst = int(margins.argmax())
    margin = float(margins[worst])
    score = min(1.0, max(0.0, margin))
    if margin <= limits.margin:
        return Verdict(True, RAIL, "", text, score=score)
    category = _nearest_category(similar[worst : worst + 1], seeds)
    reason = f"nearer to harmful requests ({category}) than to harmless ones by {margin:.2f}"
    return Verdict(False, RAIL, reason, text, category, score)


def _nearest_category(vector: Vectors, seeds: HarmSeeds) -> str:
    """The category whose two nearest examples are nearest."""
    near = {name: nearest_mean(vector @ rows.T, 2)[0] for name, rows in seeds.harmful.items()}
    return max(near, key=lambda name: near[name])
