"""Messages that cost more than they ask: too long, repetitive, padded, full of control characters.

NeMo's own rail against bloated contexts is not used: it calls a text bloated when it has few
different characters, one long run of a character or every other word triple twice, and so refuses
one in seventeen of the listings and tables in manuals, besides logs and hexdumps.

A repetition here is exact: the same characters again and again, with nothing between them but
blanks. Not caught: one with a counter or a time stamp in it, since that is what a log looks like
(compressed, the two look alike); the same few words in changing order; padding with words.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from guardrails.detectors.canonical import is_invisible
from guardrails.schema import Verdict

RAIL = "check size"
# C0 and C1 without tab, line ends and NEL; half a surrogate pair is no character either.
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
FEWEST_CONTROLS = 4
BLANKS = re.compile(r"\s+")
BRAILLE_BLANK = "\u2800"
# Written languages put up to three marks on one letter; beyond that they are heaped.
MARKS = 3
# Of more blanks than this there is hardly a message. Terminals fill lines up with blanks, tables
# have wide columns, and still one character in ten is printed.
BLANK_SHARE = 0.95
PROBE = 16
LONGEST_UNIT = 1_000
WITHOUT_LETTERS = 8
ANYWHERE = 8


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """Thresholds and bounds, see `SizeConfig`."""

    max_chars: int
    repeats: int
    repeated_chars: int
    padding_chars: int
    control_share: float


def check_size(text: str, *, limits: SizeLimits) -> Verdict:
    """Block what is too_long, control_characters, padding or repetition. Linear in its length."""
    if not text.strip():
        return Verdict(True, RAIL, "nothing to read", text)
    if len(text) > limits.max_chars:
        reason = f"message is longer than {limits.max_chars} characters"
        return Verdict(False, RAIL, reason, text, "too_long", 1.0)
    controls = sum(1 for _ in CONTROL.finditer(text))
    share = controls / len(text)
    if share > limits.control_share and controls >= FEWEST_CONTROLS:
        reason = f"{share:.0%} control characters"
        return Verdict(False, RAIL, reason, text, "control_characters", share)
    share = filler(text, limits.padding_chars) / len(text)
    if share > 0.5 and share * len(text) >= limits.padding_chars:
        return Verdict(False, RAIL, f"{share:.0%} filler", text, "padding", share)
    flowing = BLANKS.sub(" ", text).strip().lower()
    lettered, signs = repetition(flowing, limits.repeats)
    share = (lettered + signs) / len(flowing)
    most = limits.repeated_chars * (1 if share > 0.5 else ANYWHERE)
    if lettered + signs // WITHOUT_LETTERS >= most:
        return Verdict(False, RAIL, f"{share:.0%} repetition", text, "repetition", min(1.0, share))
    return Verdict(True, RAIL, "", text)


def filler(text: str, longest_blank: int) -> int:
    """How many characters of a text print nothing, or too much at one place."""
    blanks = [len(run) for run in BLANKS.findall(text)]
    if len(text) > longest_blank and sum(blanks) > BLANK_SHARE * len(text):
        found = sum(blanks)
    else:
        found = sum(length for length in blanks if length > longest_blank)
    return found + (0 if text.isascii() else _unseen(text))


def _unseen(text: str) -> int:
    """Invisible characters, and the marks on a letter after the third."""
    found = heaped = 0
    for char in text:
        if char.isascii():
            heaped = 0
        elif char == BRAILLE_BLANK or is_invisible(char):
            found += 1
        elif unicodedata.category(char) in {"Mn", "Me"}:
            heaped += 1
            found += heaped > MARKS
        else:
            heaped = 0
    return found


def repetition(text: str, repeats: int) -> tuple[int, int]:
    """How many characters are in exact repetitions: of what has a letter in it, and of signs.

    From each place it is looked where the next few characters come again, at most LONGEST_UNIT
    further on, and how long the text goes on like that.
    """
    lettered = signs = at = 0
    while at + PROBE < len(text):
        again = text.find(text[at : at + PROBE], at + 1, at + LONGEST_UNIT + PROBE)
        if again < 0:
            at += PROBE
            continue
        period = again - at
        length = period + _same(text, at, again)
        if length < period * repeats:
            at += PROBE
            continue
        if any(char.isalpha() for char in text[at:again]):
            lettered += length
        else:
            signs += length
        at += length
    return lettered, signs


def _same(text: str, one: int, other: int) -> int:
    """For how many characters the text reads the same from both places; `other` is the later."""
    low, step = 0, PROBE
    while other + low < len(text):
        if text[one + low : one + low + step] == text[other + low : other + low + step]:
            low += step
            step *= 2
        elif step == 1:
            break
        else:
            step //= 2
    return min(low, len(text) - other)
