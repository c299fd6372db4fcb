"""The text of one PDF page as pdfium sees it: its lines, and on demand the words of a line.

Places are measured upright, whichever way the page is turned. Lines are cheap, a handful of calls
into pdfium each; words cost that much each, so only suspected tables ask for them.

Text from right to left comes as pdfium orders it: figures and Latin names among Hebrew words may
change places, and some producers' Arabic words come out letter by letter from the wrong end.
"""

from __future__ import annotations

import bisect
import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pypdfium2 import raw

from rag.parsers.pdf.drawing import upright
from rag.parsers.pdf.layout import HYPHEN, Line, Word
from rag.parsers.text import clean

_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\uf0b7": "•"}
)
_MONO = re.compile(rb"mono|courier|consol|menlo|typewriter|cmtt", re.IGNORECASE)
_BOLD = re.compile(rb"bold|black|heavy|semibold|demi|cmbx", re.IGNORECASE)
_LEADER = re.compile(r"\s?(?:\s?[.·_]){5,}\s?")
"""The dots that lead to a page number."""
_FAR = 1e6
"""Points; the largest page that viewers show has 14,400."""
_SAMPLES = 60
"""Characters that tell which way a page's text is written."""
_WORD = re.compile(r"\S+")
_LINE = re.compile(f"[^\r\n{HYPHEN}]+{HYPHEN}?|{HYPHEN}")


class PageText:
    """The text of an open pdfium page. Use it as a context manager, with pdfium's lock held."""

    def __init__(self, page: Any) -> None:
        self.box: Sequence[float] = page.get_bbox()
        self._page = page.get_textpage()
        count = self._page.count_chars()
        self.turn = self._turn(count, page.get_rotation())
        self._sideways = self.turn != page.get_rotation()
        buffer = (ctypes.c_ushort * (count + 1))()
        written = raw.FPDFText_GetText(self._page, 0, count, buffer) if count else 0
        units = bytes(buffer)[: 2 * max(0, written - 1)]
        self._text = units.decode("utf-16-le", "surrogatepass")
        self._astral = [at for at, character in enumerate(self._text) if character > "\uffff"]
        self._sparse = written - 1 != count
        """Whether some of pdfium's characters are not in its text: then places differ."""

    def __enter__(self) -> PageText:
        return self

    def __exit__(self, *_: object) -> None:
        self._page.close()

    @property
    def height(self) -> float:
        left, bottom, right, top = self.box
        return float(right - left if self.turn in (90, 270) else top - bottom)

    def lines(self) -> list[Line]:
        """Lines in pdfium's order, each with the place of its first and last character.

        Where text is written sideways that order is another one: there it is from top to bottom.
        pdfium swallows the break after a divided word; its halves are set apart again here, as they
        stand on two lines.
        """
        found = list(self._lines())
        return sorted(found, key=lambda line: -line.base) if self._sideways else found

    def _lines(self) -> Iterator[Line]:
        for match in _LINE.finditer(self._text):
            body = match[0].removesuffix(HYPHEN)
            shown = _shown(body) + HYPHEN * (len(match[0]) > len(body))
            if shown:
                yield self._line(shown, match.start(), body)

    def words(self, line: Line) -> list[Word]:
        """The words of a line that `lines` gave, in its order."""
        start, end = line.span
        found = [self._word(match, line.size) for match in _WORD.finditer(self._text, start, end)]
        if found and line.text.endswith(HYPHEN):
            found[-1] = replace(found[-1], text=found[-1].text + HYPHEN)
        return [word for word in found if word.text]

    def cut(self, word: Word, x: float) -> tuple[Word, Word] | None:
        """The word in two parts, left and right of `x`; None where that is within a letter."""
        end = word.start + word.length
        edges = [self._edges(place) for place in range(word.start, end)]
        behind = next((i for i, (left, right) in enumerate(edges) if left + right > 2 * x), 0)
        struck = any(left + 0.2 * (right - left) < x < right - 1 for left, right in edges)
        if behind == 0 or struck or any(left + right <= 2 * x for left, right in edges[behind:]):
            return None
        at = word.start + behind
        tail = HYPHEN * word.text.endswith(HYPHEN)
        first, rest = _shown(self._text[word.start : at]), _shown(self._text[at:end]) + tail
        return (
            replace(word, text=first, right=x, length=behind),
            replace(word, text=rest, left=x, start=at, length=word.length - behind),
        )

    def _turn(self, count: int, rotation: int) -> int:
        """By how much the page has to be turned for most of its text to stand upright: text may be
        written sideways, with or without the page being marked as turned."""
        places = range(0, count, max(1, count // _SAMPLES))
        angles = [raw.FPDFText_GetCharAngle(self._page, at) for at in places]
        turns = Counter(
            round(-math.degrees(angle) / 90) * 90 % 360 for angle in angles if math.isfinite(angle)
        )
        return turns.most_common(1)[0][0] if turns else rotation

    def _line(self, shown: str, start: int, body: str) -> Line:
        """First and last character give its ends, words between them its size and base line: the
        median of the three longest, as bullets, footnote marks and words in code type have their
        own."""
        longest = sorted(_WORD.finditer(body), key=lambda word: -len(word[0]))[:3]
        inner = [self._index(start + word.start()) for word in longest] or [self._index(start)]
        first = self._index(start + len(body) - len(body.lstrip()))
        last = self._index(start + max(0, len(body.rstrip()) - 1))
        sizes = sorted((self._size(at), at) for at in inner)
        size, middle = sizes[len(sizes) // 2]
        left, base = self._origin(first)[0], self._origin(middle)[1]
        right = self._char_edges(last)[1]
        if right < left:  # written from right to left
            left, right = self._char_edges(last)[0], self._char_edges(first)[1]
        name, flags = self._font(middle)
        mono, bold = bool(flags & 1) or _MONO.search(name) is not None, _is_bold(name)
        span = (start, start + len(body))
        plain = shown if mono else _LEADER.sub(" … ", shown)
        return Line(plain, left, right, base, size, mono, bold, span, parted=plain != shown)

    def _word(self, match: re.Match[str], size: float) -> Word:
        first = self._index(match.start())
        edges = (*self._char_edges(first), *self._edges(match.end() - 1))
        base = self._origin(first)[1]
        bold = _is_bold(self._font(first)[0])
        where = (match.start(), len(match[0]))
        return Word(_shown(match[0]), min(edges), max(edges), base, size, bold, *where)

    def _index(self, place: int) -> int:
        """pdfium's number of the character at a place of the text. pdfium counts UTF-16 units."""
        place += bisect.bisect_left(self._astral, place)
        if not self._sparse:
            return place
        return max(0, int(raw.FPDFText_GetCharIndexFromTextIndex(self._page, place)))

    def _edges(self, place: int) -> tuple[float, float]:
        return self._char_edges(self._index(place))

    def _char_edges(self, index: int) -> tuple[float, float]:
        """How far left and right a character reaches."""
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        raw.FPDFText_GetCharBox(self._page, index, left, right, bottom, top)
        one, _ = self._upright(left.value, bottom.value)
        other, _ = self._upright(right.value, top.value)
        return min(one, other), max(one, other)

    def _origin(self, index: int) -> tuple[float, float]:
        x, y = ctypes.c_double(), ctypes.c_double()
        raw.FPDFText_GetCharOrigin(self._page, index, x, y)
        return self._upright(x.value, y.value)

    def _upright(self, x: float, y: float) -> tuple[float, float]:
        """A place on the upright page; one that is nowhere near a page is its corner."""
        x, y = upright(x, y, self.box, self.turn)
        return (x, y) if abs(x) < _FAR and abs(y) < _FAR else (0.0, 0.0)

    def _size(self, index: int) -> float:
        """Type size as it appears: the font's size times the scale it is drawn at."""
        matrix = raw.FS_MATRIX()
        raw.FPDFText_GetMatrix(self._page, index, matrix)
        scale = math.hypot(matrix.c, matrix.d) or 1.0
        size = float(raw.FPDFText_GetFontSize(self._page, index) * scale)
        return size if 0 < size < _FAR else 1.0

    def _font(self, index: int) -> tuple[bytes, int]:
        name, flags = ctypes.create_string_buffer(100), ctypes.c_int()
        raw.FPDFText_GetFontInfo(self._page, index, name, 100, flags)
        return name.value, flags.value


def _is_bold(font: bytes) -> bool:
    return _BOLD.search(font) is not None


def _shown(text: str) -> str:
    return " ".join(clean(text).translate(_LIGATURES).split())
