"""Other spellings of a passage, beside the canonical one: without emphasis, decoded.

Not undone: rot13, hexadecimal, letters written as digits, encodings within encodings.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterator

_EMPHASIS = re.compile(r"(?<!\w)[*_`~]{1,3}(?=\w)|(?<=[^\W_])[*_`~]{1,3}(?!\w)")
_INLINE_TAG = re.compile(
    r"</?(?:a|b|i|u|s|em|strong|span|font|small|sup|sub|code|mark|wbr|p|div|br)\b[^<>]{0,200}>",
    re.IGNORECASE,
)
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,4000}={0,2}")
_MOST_BLOBS = 50


def plain_words(lines: str) -> str:
    """Without the marks that Markdown puts around words: `**ignore** _all_`."""
    return _EMPHASIS.sub("", lines)


def decoded(text: str) -> Iterator[str]:
    """The text as a browser would show it, and what its base64 spells, if that is words."""
    shown = html.unescape(text) if "&" in text else text
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
