"""Optimised suffixes: a request, then a soup of word pieces and signs that switches a model over.

Two steps. Cheap signs, counts of words and characters, pick the stretches of a message that are
neither prose nor code; of those alone a small language model says how much their tokens surprise
it. Soup surprises from token to token; what only looks like it (a stack trace, search words in a
row, Finnish) mostly does not.

Not caught: suffixes made to read fluently or repeating one sign; those that are short, spread over
many lines, full of small words or in another script than the Latin one; one hidden behind more
suspicious stretches than are asked about. Search words in a row that hardly belong together may be
taken for soup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guardrails.detectors.languages import LANGUAGES
from guardrails.schema import Surprise, Verdict

RAIL = "check injection"
UNIT = re.compile(r"\S{1,32}")
WORD = re.compile(r"[^\W\d_]+")
CLUSTER = re.compile(r"[^\w\s]{2,}")
SMALL = frozenset(LANGUAGES) | frozenset(
    "a i in on at an as it or so do we my me he if no up us but not all any out off who why".split()
)
# Where words and signs meet as people hardly write them: an odd sign between two letters, a bracket
# beside another sign or turned away from its word. Capitals within words do not count: options are
# named like that.
JOINT = re.compile(
    r"[^\W\d_][^\w\s'’./:@&+=#,;-][^\W\d_]|[][(){}<>\\|*][^\w\s.,]|[^\w\s.,][][(){}<>\\|*]|"
    r"[])}][^\W\d_]|(?<!\S)[])};,?!\\]|[({[<\\](?!\S)"
)
UNITS, STEP, AROUND = 9, 3, 6
"""Units between blanks that are judged together, from one stretch to the next, and how many on each
side are shown to the model beside them."""
SHORTEST = 40
LONG_WORD = 8
FREE_BREAKS = 0.6
"""A suffix may stand on a line of its own, so the first break counts for less than half."""
# Of a logistic regression of soup against manuals, code, logs, questions and several languages,
# rounded. Prose has small words; code and logs repeat themselves, keep to lines and are full of
# digits and signs; soup is one line of ever new and rather long words.
WEIGHTS = {
    "small words": -15.0,
    "different words": 10.0,
    "letters": 9.0,
    "length of words": 1.0,
    "digits": -7.5,
    "kinds of clusters": 4.5,
    "line breaks": -3.4,
    "beyond ASCII": -16.0,
}
BIAS = -21.8
PER_JOINT, MOST_JOINTS = 0.9, 2
"""What a joint adds, and how many of a stretch count: code is full of them."""
WINDOW, STRIDE = 16, 4
"""Tokens over which surprise is averaged, and from one average to the next."""
PLAIN = (3.0, 1.5)
"""How much more it takes, in nats, with no joint or one: search words in a row have none."""


@dataclass(frozen=True, slots=True)
class GibberishLimits:
    """Thresholds and bounds, see `InjectionConfig`."""

    surprise: float
    max_chars: int
    suspicion: float = 0.0
    """Least sum of the signs at which the model is asked."""
    alone: float = 3.5
    """The same where there is no model to ask; `joints` are needed as well."""
    joints: int = 2
    stretches: int = 3
    """Most of one message that are asked about, those with most suspicion."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a text that looks like soup, with what stands around it."""

    start: int
    end: int
    suspicion: float
    joints: int


def check_gibberish(text: str, *, surprise: Surprise | None, limits: GibberishLimits) -> Verdict:
    """Block a message with a stretch of token soup in it (`gibberish`)."""
    if len(text) > limits.max_chars:
        reason = f"message is longer than {limits.max_chars} characters"
        return Verdict(False, RAIL, reason, text, "too_long", 1.0)
    found = suspicious(text, limits)
    if surprise is None:
        if any(s.suspicion >= limits.alone and s.joints >= limits.joints for s in found):
            reason = "looks like token soup; no language model was there to ask"
            return Verdict(False, RAIL, reason, text, "gibberish", 0.5)
        return Verdict(True, RAIL, "", text)
    score = 0.0
    for stretch in found:
        most = highest(surprise(text[stretch.start : stretch.end]))
        least = limits.surprise + (PLAIN[stretch.joints] if stretch.joints < len(PLAIN) else 0.0)
        score = max(score, min(1.0, most / (2 * least)))
        if most >= least:
            reason = f"surprises a language model by {most:.1f} nats a token"
            return Verdict(False, RAIL, reason, text, "gibberish", score)
    return Verdict(True, RAIL, "", text, score=score)


def highest(nats: NDArray[np.float32]) -> float:
    """The highest mean over WINDOW tokens; 0 for a text that is too short to tell."""
    if len(nats) < WINDOW:
        return 0.0
    ends = [*range(WINDOW, len(nats), STRIDE), len(nats)]
    return max(float(nats[end - WINDOW : end].mean()) for end in ends)


def suspicious(text: str, limits: GibberishLimits) -> list[Stretch]:
    """The stretches to ask about, most suspicious first; none covers half of another."""
    spans = [match.span() for match in UNIT.finditer(text)]
    ranges, sums = judge(text, spans)
    found: list[tuple[float, int, int, int]] = []
    for (first, last), suspicion in zip(ranges, sums.tolist(), strict=True):
        if suspicion < limits.suspicion - PER_JOINT * MOST_JOINTS:
            continue
        joints = len(JOINT.findall(text, spans[first][0], spans[last - 1][1]))
        suspicion += PER_JOINT * min(joints, MOST_JOINTS)
        if suspicion >= limits.suspicion:
            found.append((suspicion, joints, first, last))
    chosen: list[Stretch] = []
    taken: list[tuple[int, int]] = []
    for suspicion, joints, first, last in sorted(found, key=lambda one: -one[0]):
        if any(min(last, b) - max(first, a) > UNITS / 2 for a, b in taken):
            continue
        taken.append((first, last))
        start, end = max(0, first - AROUND), min(len(spans), last + AROUND)
        chosen.append(Stretch(spans[start][0], spans[end - 1][1], suspicion, joints))
        if len(chosen) == limits.stretches:
            break
    return chosen


def judge(
    text: str, spans: Sequence[tuple[int, int]]
) -> tuple[list[tuple[int, int]], NDArray[np.float64]]:
    """Ranges of UNITS units, overlapping, and their suspicion. Linear in the length."""
    if not spans:
        return [], np.zeros(0)
    ends = [min(end, len(spans)) for end in range(UNITS, max(UNITS, len(spans)) + STEP, STEP)]
    ranges = [(max(0, end - UNITS), end) for end in dict.fromkeys(ends)]
    ranges = [(a, b) for a, b in ranges if spans[b - 1][1] - spans[a][0] >= SHORTEST]
    if not ranges:
        return [], np.zeros(0)
    signs = measure(text, spans, ranges)
    return ranges, signs @ np.array(list(WEIGHTS.values())) + BIAS


def measure(
    text: str, spans: Sequence[tuple[int, int]], ranges: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """The signs of each range of units, in the order of WEIGHTS."""
    units = [text[start:end] for start, end in spans]
    words = [[word.lower() for word in WORD.findall(unit)] for unit in units]
    clusters = [CLUSTER.findall(unit) for unit in units]
    counts = np.array([count(unit, own) for unit, own in zip(units, words, strict=True)])
    sums = np.vstack((np.zeros((1, counts.shape[1])), counts.cumsum(axis=0)))
    rows = []
    for first, last in ranges:
        number, small, letters, long, digits, foreign = sums[last] - sums[first]
        start, end = spans[first][0], spans[last - 1][1]
        number, length = max(1.0, number), end - start
        rows.append(
            (
                small / number,
                len({word for own in words[first:last] for word in own}) / number,
                letters / length,
                long / number,
                digits / length,
                len({cluster for own in clusters[first:last] for cluster in own}) / number,
                min(2.0, max(0.0, text.count("\n", start, end) - FREE_BREAKS)),
                foreign / length,
            )
        )
    return np.array(rows)


def count(unit: str, words: Sequence[str]) -> tuple[int, ...]:
    """What adds up: words, small ones, letters, lengths of words, digits, beyond ASCII."""
    plain = unit.isascii()
    return (
        len(words),
        sum(word in SMALL for word in words),
        sum(map(len, words)),
        sum(min(len(word), LONG_WORD) for word in words),
        0 if plain and unit.isalpha() else sum(map(str.isdigit, unit)),
        0 if plain else sum(char > "\x7f" for char in unit),
    )
