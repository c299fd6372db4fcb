"""The words of a PDF page that no table has taken yet. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Protocol

from rag.parsers.pdf.grid import Grid
from rag.parsers.pdf.layout import Line, Word

_PARTED = 1.5
"""A gap in a line, in type sizes, that no space between words is."""
_STRETCHED = 0.58
"""Width of a character, in type sizes, above which a line may have such gaps."""


class Text(Protocol):
    """The text of a page that can be asked for the words of its lines."""

    @property
    def height(self) -> float: ...

    def words(self, line: Line) -> list[Word]: ...

    def cut(self, word: Word, x: float) -> tuple[Word, Word] | None: ...


class Pool:
    """The lines of a page, and the words that no table has taken so far."""

    def __init__(self, text: Text, lines: Sequence[Line]) -> None:
        self.lines = lines
        self._text = text
        self._words: dict[int, list[Word]] = {}
        self._robbed: set[int] = set()

    def words(self, number: int) -> list[Word]:
        if number not in self._words:
            self._words[number] = self._text.words(self.lines[number])
        return self._words[number]

    def inside(self, grid: Grid) -> list[tuple[int, Word]]:
        """(number of the line, word) of what stands in a grid."""
        left, right, top, bottom = grid.xs[0], grid.xs[-1], grid.ys[0], grid.ys[-1]
        return [
            (number, word)
            for number, line in enumerate(self.lines)
            if bottom - line.size < line.base < top and line.left < right and line.right > left
            for word in self.words(number)
            if grid.field((word.left + word.right) / 2, word.middle)
        ]

    def take(self, found: Sequence[tuple[int, Word]]) -> int:
        """Remove words; the number of the first line they stood on."""
        gone = {id(word) for _, word in found}
        numbers = {number for number, _ in found}
        for number in numbers:
            self._words[number] = [word for word in self.words(number) if id(word) not in gone]
        self._robbed |= numbers
        return min(numbers)

    def whole(self, number: int) -> bool:
        return number not in self._robbed

    def rest(self, number: int) -> Line | None:
        """What is left of a line."""
        line = self.lines[number]
        if self.whole(number):
            return replace(line, parted=True) if self._is_parted(number) else line
        words = self.words(number)
        if not words:
            return None
        shown = " ".join(word.text for word in words)
        left, right = min(word.left for word in words), max(word.right for word in words)
        return replace(line, text=shown, left=left, right=right)

    def _is_parted(self, number: int) -> bool:
        """Whether a gap in the line ends where one in a line beside it does: they are rows."""
        own = self._gap_ends(number)
        beside = [n for n in (number - 1, number + 1) if 0 <= n < len(self.lines)]
        return any(abs(a - b) < 2 for a in own for n in beside for b in self._gap_ends(n))

    def _gap_ends(self, number: int) -> list[float]:
        """Where words begin behind a gap that no space between words is, nor behind a bullet."""
        line = self.lines[number]
        if not is_stretched(line):
            return []
        return [
            word.left
            for before, word in pairwise(self.words(number))
            if word.left - before.right > _PARTED * word.size
            and (before.left > line.left + 1 or len(before.text) > 3)
        ]


def is_stretched(line: Line) -> bool:
    width = (line.right - line.left) / line.size
    return " " in line.text and not line.mono and width > _STRETCHED * len(line.text)
