"""Requests that aim at hurting people: more like harmful examples than like harmless look-alikes.

The harmless examples matter as much as the others: "How do I kill a process?" and "What is the
punishment for murder?" stand beside "How do I kill my wife?". Judges what a text asks for by its
general sense, in English. Misses harm that is told in other words or in another language, and
takes some questions about crime, weapons or illness for requests. Not a judge of law or morals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from guardrails.detectors.canonical import canonical, flat
from guardrails.detectors.despair import DESPAIR
from guardrails.detectors.injection import windows
from guardrails.detectors.likeness import Likeness
from guardrails.detectors.neighbours import nearest_category
from guardrails.schema import Embed, Vectors, Verdict

RAIL = "check harm"
SELF_HARM = "self_harm"


@dataclass(frozen=True, slots=True)
class HarmLimits:
    """Thresholds, see `HarmConfig`."""

    margin: float
    max_windows: int


def check_harm(
    text: str,
    *,
    likeness: Likeness,
    categories: Mapping[str, Vectors],
    embed: Embed,
    limits: HarmLimits,
) -> Verdict:
    """Block a harmful request, with its category; `self_harm` is for a humane reply.

    `categories` holds the embedded examples of each, one row each.
    """
    plain = flat(canonical(text))
    if DESPAIR.search(plain):
        return Verdict(False, RAIL, "words of despair", text, SELF_HARM, 1.0)
    if not any(char.isalpha() for char in plain):
        return Verdict(True, RAIL, "nothing to read", text)
    pieces = windows(plain, limits.max_windows)
    vectors = embed(pieces)
    margins = likeness(pieces, vectors)
    worst = int(margins.argmax())
    margin = float(margins[worst])
    score = min(1.0, max(0.0, (1 + margin) / 2))
    if margin <= limits.margin:
        return Verdict(True, RAIL, "", text, score=score)
    category = nearest_category(vectors[worst : worst + 1], categories)
    reason = f"more like harmful requests ({category}) than like harmless ones ({margin:.2f})"
    return Verdict(False, RAIL, reason, text, category, score)
