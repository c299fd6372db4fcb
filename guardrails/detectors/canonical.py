"""One plain spelling of a text, so that a disguised phrase meets the pattern written for it.

Undoes full-width and styled letters, accents, zero-width and tag characters, look-alike letters
and s p a c e d words. Does not undo encodings (base64, hex, rot13), digits used as letters, or
words split across sentences.
"""

from __future__ import annotations

import re
import unicodedata

TAG_BASE = 0xE0000
# Letters that look like Latin ones. Only those a reader would not notice; no attempt at the full
# Unicode list of confusables.
LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһӏгпкмтвнАЕОРСУХІЈЅНВМТК" + "αεορτυνικωΑΒΕΖΗΙΚΜΝΟΡΤΥΧ" + "ıɡℓ",
    "aeopcyxijsdhlrnkmtbhAEOPCYXIJSHBMTK" + "aeoptuvikwABEZHIKMNOPTYX" + "igl",
)
WORD = re.compile(r"\w+")
NON_ASCII = re.compile(r"[^\x00-\x7f]")
SPACED = re.compile(r"(?<!\w)(?:\w[ .*_-]){3,200}\w(?!\w)")
SPACED_GAP = re.compile(r"[ .*_-]")
BLANKS = re.compile(r"\s+")


def visible_tags(text: str) -> str:
    """The text with tag characters (invisible copies of ASCII) turned into what they spell."""
    return "".join(
        chr(ord(char) - TAG_BASE) if 0x20 <= ord(char) - TAG_BASE <= 0x7E else char for char in text
    )


def is_invisible(char: str) -> bool:
    """Format characters, variation selectors and Hangul fillers: they print nothing."""
    code = ord(char)
    return (
        unicodedata.category(char) == "Cf"
        or 0xFE00 <= code <= 0xFE0F
        or 0xE0000 <= code <= 0xE01EF
        or code in {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0}
    )


def canonical(text: str) -> str:
    """Lower case, plain letters, line breaks kept. Linear in the length of the text."""
    if NON_ASCII.search(text):
        text = _fold(text)
    return SPACED.sub(lambda match: SPACED_GAP.sub("", match[0]), text).lower()


def flat(text: str) -> str:
    """All runs of white space as one space, so that a phrase may be broken over lines."""
    return BLANKS.sub(" ", text).strip()


def _fold(text: str) -> str:
    shown = "".join(char for char in visible_tags(text) if not is_invisible(char))
    decomposed = unicodedata.normalize("NFKD", shown)
    plain = "".join(char for char in decomposed if unicodedata.category(char) != "Mn")
    return WORD.sub(_latin, plain)


def _latin(match: re.Match[str]) -> str:
    """Swap look-alikes only where a wholly Latin word comes out: real Greek stays Greek."""
    word = match[0]
    if word.isascii():
        return word
    swapped = word.translate(LOOKALIKES)
    return swapped if swapped.isascii() else word
