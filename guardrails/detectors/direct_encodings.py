"""What an encoded message spells: the patterns are tried on that, too.

Undone: base64, hexadecimal, percent and backslash escapes, entities, rot13, reversed letters,
digits for letters. Each alone, not one within another; rot13, reversal and digits in messages of up
to MOST_LETTERS characters. For patterns only: the nearest examples take gibberish for an attack.
"""

from __future__ import annotations

import codecs
import re
import string
from collections.abc import Iterator
from functools import partial
from urllib.parse import unquote

from guardrails.detectors.canonical import canonical, flat
from guardrails.detectors.hidden_encodings import decoded

MOST_LETTERS = 10_000
_MOST_BLOBS = 50
# Possessive: whatever follows, the search goes on behind the run and not within it.
_HEX = re.compile(r"(?<![0-9A-Fa-f])(?:(?:0x|\\x)?[0-9A-Fa-f]{2}[ :,]?){16,}+")
_HEX_GAP = re.compile(r"[ :,\\]")
_HEX_MARKS = re.compile(r"0x|\\x|[ :,]")
_HEX_DIGITS = frozenset(string.hexdigits)
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})")
_MIXED = re.compile(r"[\w@$!|]{2,40}")
_LEET = str.maketrans("013457@$!|", "oieastasii")
_LEET_L = str.maketrans("013457@$!|", "oleastasil")


def spellings(text: str, plain: str) -> Iterator[str]:
    """Canonical texts, each on one line. `plain` is the canonical spelling of `text` itself."""
    for other in _raw(text):
        yield flat(canonical(other))
    if len(plain) > MOST_LETTERS:
        return
    yield codecs.encode(plain, "rot13")
    yield plain[::-1]
    if any(char.isdigit() for char in plain):
        yield _MIXED.sub(partial(_letters, _LEET), plain)
        yield _MIXED.sub(partial(_letters, _LEET_L), plain)


def _raw(text: str) -> Iterator[str]:
    yield from decoded(text)
    if len(_PERCENT.findall(text)) > 2:
        yield unquote(text, errors="replace")
    if "\\" in text:
        shown = _ESCAPE.sub(lambda match: chr(int(match[1] or match[2], 16)), text)
        if shown != text:
            yield shown
    for number, match in enumerate(_HEX.finditer(text)):
        if number == _MOST_BLOBS:
            return
        run = match[0]
        if text[match.end() : match.end() + 1] in _HEX_DIGITS:  # half a pair: the last word is none
            gaps = [gap.start() for gap in _HEX_GAP.finditer(run)]
            run = run[: gaps[-1]] if gaps else run
        digits = _HEX_MARKS.sub("", run)
        words = bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8", "replace")
        if words.isprintable() and words.count(" ") >= 2:
            yield words


def _letters(table: dict[int, int], word: re.Match[str]) -> str:
    """Digits as letters where a word has both; a number stays a number."""
    return word[0].translate(table) if any(char.isalpha() for char in word[0]) else word[0]
