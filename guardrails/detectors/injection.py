"""Direct attacks on the instructions: patterns over a canonical spelling, then examples.

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
from guardrails.detectors.injection_patterns import CERTAIN, DIRECT, EXTRACTION, PERSONA
from guardrails.detectors.likeness import Likeness
from guardrails.detectors.patterns import Pattern, first_match
from guardrails.schema import Embed, Verdict

RAIL = "check injection"
RESEMBLES = "resembles_attack"
PLAINLY_HONEST = -0.35
"""Words of an attack do not count in a message, and in what stands around them, that the examples
find as honest as this: "forget what I said about the cluster"."""
AROUND = 100
HONEST = -0.12
"""A request for a text, such as "translate the text above", counts only if the examples leave room
for doubt: people ask for their own texts, too."""
# About 200 tokens: what MiniLM reads at once. Half a window of overlap, so that an attack of one
# or two sentences lies whole in some window.
WINDOW = 800
STEP = 400
BLOB = re.compile(r"[a-z0-9+/=_-]{60,10000}")
CUES = re.compile(
    r"\b(?:ignore|disregard|forget|instruct\w*|prompts?|rules?|pretend|act as|you are|reveal|"
    r"system|restrict\w*|never|must|unfiltered|role|character|obey|policy|policies|your)\b"
)


@dataclass(frozen=True, slots=True)
class InjectionLimits:
    """Thresholds and bounds, see `InjectionConfig`."""

    margin: float
    max_chars: int
    max_windows: int


def check_injection(
    text: str,
    *,
    likeness: Likeness,
    embed: Embed,
    limits: InjectionLimits,
    extra: Sequence[Pattern] = (),
) -> Verdict:
    """Block a message that tries to override or to extract the instructions."""
    if len(text) > limits.max_chars:
        reason = f"message is longer than {limits.max_chars} characters"
        return Verdict(False, RAIL, reason, text, "too_long", 1.0)
    lines = canonical(text)
    one_line = flat(lines)
    texts = (one_line,) if one_line == lines else (one_line, lines)
    hit = first_match((*CERTAIN, *LANGUAGES, *extra), texts)
    if hit is not None:
        return Verdict(False, RAIL, f"matches pattern '{hit.name}'", text, hit.category, 1.0)
    hidden = [one for one in (*DIRECT, *extra) if not one.regex.search(one_line)]
    decoded = first_match(hidden, spellings(text, one_line))
    if decoded is not None:
        reason = f"spells '{decoded.name}' when decoded"
        return Verdict(False, RAIL, reason, text, "encoded", 1.0)
    if not any(char.isalpha() for char in one_line):
        return Verdict(True, RAIL, "nothing to read", text)
    pieces = windows(one_line, limits.max_windows)
    margin = float(likeness(pieces, embed(pieces)).max())
    score = min(1.0, max(0.0, (1 + margin) / 2))
    told = first_match(PERSONA, texts)
    if told is not None and margin <= PLAINLY_HONEST:
        near = list(dict.fromkeys(_around(told, one) for one in texts))
        if float(likeness(near, embed(near)).max()) <= PLAINLY_HONEST:
            told = None
    if told is None and margin > HONEST:
        told = first_match(EXTRACTION, texts)
    if told is not None:
        return Verdict(False, RAIL, f"matches pattern '{told.name}'", text, told.category, 1.0)
    if margin > limits.margin:
        reason = f"more like known attacks than like honest messages ({margin:.2f})"
        return Verdict(False, RAIL, reason, text, RESEMBLES, score)
    return Verdict(True, RAIL, "", text, score=score)


def _around(found: Pattern, text: str) -> str:
    """The first place where a pattern occurs, with what stands around it; else all."""
    match = found.regex.search(text)
    if match is None:
        return text[:WINDOW]
    return text[max(0, match.start() - AROUND) : match.end() + AROUND][:WINDOW]


def windows(text: str, most: int) -> list[str]:
    """Overlapping pieces; of too many, those with most words that attacks need.

    Certificates, hashes and the like are left out: the embedder takes them for anything.
    """
    text = BLOB.sub(" ", text)
    if len(text) <= WINDOW:
        return [text]
    pieces = [text[start : start + WINDOW] for start in range(0, len(text) - STEP, STEP)]
    if len(pieces) <= most:
        return pieces
    ranked = sorted(range(len(pieces)), key=lambda i: (-len(CUES.findall(pieces[i])), i))
    return [pieces[i] for i in sorted(ranked[:most])]
