"""A text in plain ASCII digits, dashes and blanks, with the way back to the original characters.

Unlike `canonical` it keeps case and letters, so that what is found can be cut out of the original.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from guardrails.detectors.canonical import is_invisible

PLAIN_CATEGORIES = {"Pd": "-", "Zs": " "}


def plain(text: str) -> tuple[str, Sequence[int]]:
    """The text with full-width and foreign digits, dashes and blanks made plain.

    Invisible characters are left out. The second value holds, for each character of the first, its
    place in `text`. Linear; takes any string, unpaired surrogates included.
    """
    if text.isascii():
        return text, range(len(text))
    chars: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        if char.isascii():
            chars.append(char)
        elif is_invisible(char):
            continue
        else:
            chars.append(_plain_char(char))
        places.append(place)
    return "".join(chars), places


def _plain_char(char: str) -> str:
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    dash_or_blank = PLAIN_CATEGORIES.get(unicodedata.category(char))
    if dash_or_blank:
        return dash_or_blank
    folded = unicodedata.normalize("NFKC", char)
    return folded if len(folded) == 1 else char
