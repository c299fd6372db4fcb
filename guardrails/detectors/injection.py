"""Direct attacks on the instructions: patterns over a canonical spelling, then nearest examples.

Not caught: attacks that read like an ordinary task, encodings within encodings, other languages
beyond their commonest forms, gibberish suffixes found by optimisation, anything that spreads over
several turns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from guardrails.detectors.canonical import canonical, flat
from guardrails.detectors.direct_encodings import spellings
from guardrails.detectors.direct_languages import LANGUAGES
from guardrails.detectors.injection_patterns import DIRECT
from guardrails.detectors.neighbours import Seeds, margins
from guardrails.detectors.patterns import Pattern, first_match
from guardrails.schema import Embed, Verdict

RAIL = "check injection"
# About 200 tokens: what MiniLM reads at once. Half a window of overlap, so that an attack of one
# or two sentences lies whole in some window.
WINDOW = 800
STEP = 400
CUES = re.compile(
    r"\b(?:ignore|disregard|forget|instruct\w*|prompts?|rules?|pretend|act as|you are|reveal|"
    r"system|restrict\w*|never|must|unfiltered|role|character|obey|policy|policies|your)\b"
)


@dataclass(frozen=True, slots=True)
class InjectionLimits:
    """Thresholds and bounds, see `InjectionConfig`."""

    margin: float
    neighbours: int
    max_chars: int
    max_windows: int


def check_injection(
    text: str, *, seeds: Seeds, embed: Embed, limits: InjectionLimits, extra: Sequence[Pattern] = ()
) -> Verdict:
    """Block a message that tries to override or to extract the instructions."""
    if len(text) > limits.max_chars:
        reason = f"message is longer than {limits.max_chars} characters"
        return Verdict(False, RAIL, reason, text, "too_long", 1.0)
    lines = canonical(text)
    one_line = flat(lines)
    hit = first_match((*DIRECT, *LANGUAGES, *extra), (one_line, lines))
    if hit is not None:
        return Verdict(False, RAIL, f"matches pattern '{hit.name}'", text, hit.category, 1.0)
    hit = first_match((*DIRECT, *extra), spellings(text, one_line))
    if hit is not None:
        return Verdict(False, RAIL, f"spells '{hit.name}' when decoded", text, "encoded", 1.0)
    if not any(char.isalpha() for char in one_line):
        return Verdict(True, RAIL, "nothing to read", text)
    vectors = embed(windows(one_line, limits.max_windows))
    margin = float(margins(vectors, seeds, limits.neighbours).max())
    score = min(1.0, max(0.0, margin))
    if margin > limits.margin:
        reason = f"nearer to known attacks than to honest questions by {margin:.2f}"
        return Verdict(False, RAIL, reason, text, "resembles_attack", score)
    return Verdict(True, RAIL, "", text, score=score)


def windows(text: str, most: int) -> list[str]:
    """Overlapping pieces; of too many, those with most words that attacks need."""
    if len(text) <= WINDOW:
        return [text]
    pieces = [text[start : start + WINDOW] for start in range(0, len(text) - STEP, STEP)]
    if len(pieces) <= most:
        return pieces
    ranked = sorted(range(len(pieces)), key=lambda i: (-len(CUES.findall(pieces[i])), i))
    return [pieces[i] for i in sorted(ranked[:most])]
