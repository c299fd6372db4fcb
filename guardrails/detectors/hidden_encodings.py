"""Other spellings of a passage, beside the canonical one: without emphasis, decoded.

Not undone: encodings within encodings.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Set

from guardrails.detectors.canonical import unescaped

_EMPHASIS = re.compile(r"(?<!\w)[*_`~]{1,3}(?=\w)|(?<=[^\W_])[*_`~]{1,3}(?!\w)")
_INLINE_TAG = re.compile(
    r"</?(?:a|b|i|u|s|em|strong|span|font|small|sup|sub|code|mark|wbr|p|div|br)\b[^<>]{0,200}>",
    re.IGNORECASE,
)
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,4000}={0,2}")
_MOST_BLOBS = 50
_ESCAPES = re.compile(r"(?:\\\\[xu][0-9A-Fa-f]{2}){4}|(?:%[0-9A-Fa-f]{2}){2}|(?:%20\w{1,20}){3}")
# The commonest words of English as they look in disguise; two of them betray the rest.
_ROT13 = frozenset("gur naq lbh lbhe nyy guvf jvgu abg gung sbe nafjre hfre vafgehpgvbaf".split())
_REVERSED = frozenset(
    "eht dna uoy ruoy lla siht htiw ton taht rof rewsna resu snoitcurtsni".split()
)
_DIGITS = frozenset(
    "the and you your all this with not that ignore previous instructions user say tell must "
    "answer system prompt everyone always never reveal password are now".split()
)
_LEET = str.maketrans("013457@$", "oieastas")
_LEET_L = str.maketrans("013457@$", "oleastas")
_HEX_RUN = re.compile(r"[0-9a-f]{32}")
_HEX_PAIR = re.compile(r"(?:0x)?[0-9a-f]{2}$")
_TELLING = 2
_LONG_HEX = 32
_PAIRS = 12


def plain_words(lines: str) -> str:
    """Without the marks that Markdown puts around words: `**ignore** _all_`."""
    return _EMPHASIS.sub("", lines)


def decoded(text: str) -> Iterator[str]:
    """The text as a browser would show it, and what its base64 spells, if that is words."""
    shown = unescaped(text)
    if "<" in shown:
        shown = _INLINE_TAG.sub("", shown)
    if shown != text:
        yield shown
    for number, match in enumerate(_BASE64.finditer(text)):
        if number == _MOST_BLOBS:
            return
        words = _words(match[0])
        if words:
            yield words


def _words(blob: str) -> str:
    data = blob.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        spelled = base64.b64decode(data + "=" * (-len(data) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return spelled if spelled.isprintable() and spelled.count(" ") >= 2 else ""


def disguised(text: str, words: Set[str]) -> bool:
    """Whether parts of it look like rot13, reversed or hexadecimal letters, digits for letters.

    Tells by single words of the canonical text, so that an honest passage need not be decoded.
    """
    if len(words & _ROT13) >= _TELLING or len(words & _REVERSED) >= _TELLING:
        return True
    mixed = [word for word in words if not word.isalpha() and not word.isdigit()]
    spelled = {word.translate(table) for word in mixed for table in (_LEET, _LEET_L)}
    if len(spelled & _DIGITS) >= _TELLING:
        return True
    if any(len(word) >= _LONG_HEX and _HEX_RUN.search(word) for word in mixed):
        return True
    pairs = sum(len(word) in {2, 4} and _HEX_PAIR.match(word) is not None for word in words)
    return pairs >= _PAIRS or _ESCAPES.search(text) is not None
