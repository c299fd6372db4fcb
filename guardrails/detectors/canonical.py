"""One plain spelling of a text, so that a disguised phrase meets the pattern written for it.

Undoes full-width and styled letters, accents, zero-width and tag characters, look-alike letters
and s p a c e d words. Does not undo encodings (base64, hex, rot13), digits used as letters, or
words split across sentences.
"""

from __future__ import annotations

import html
import re
import unicodedata

TAG_BASE = 0xE0000
TATWEEL = "\u0640"  # stretches an Arabic word and means nothing
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
# More digits than any character has; Python refuses to read a number of thousands of them.
LONG_ENTITY = re.compile(r"&#0*(\d{1,8})\d*")
# Some characters stand for whole words, in Arabic and Japanese; spelled out, a text of them would
# grow eighteenfold.
LONGEST_LETTER = 4


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


def unescaped(text: str) -> str:
    """The text with its HTML entities decoded."""
    if "&" not in text:
        return text
    return html.unescape(LONG_ENTITY.sub(r"&#\1", text))


def _fold(text: str) -> str:
    # One character at a time: `normalize` sorts the marks on a letter, in quadratic time.
    plain = {char: _plain(char) for char in set(text) if not char.isascii()}
    return WORD.sub(_latin, "".join([plain.get(char, char) for char in text]))


def _plain(char: str) -> str:
    """What the character spells: letters without marks, nothing for an invisible one."""
    tag = ord(char) - TAG_BASE
    if 0x20 <= tag <= 0x7E:  # an invisible copy of ASCII
        return chr(tag)
    if is_invisible(char) or char == TATWEEL:
        return ""
    letters = unicodedata.normalize("NFKD", char)
    if len(letters) > LONGEST_LETTER:
        return char
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Mn")


def _latin(match: re.Match[str]) -> str:
    """Swap look-alikes only where a wholly Latin word comes out: real Greek stays Greek."""
    word = match[0]
    if word.isascii():
        return word
    swapped = word.translate(LOOKALIKES)
    return swapped if swapped.isascii() else word
