"""Rows of a sheet or a CSV file -> lines: which row is the header, what is a caption, what is data.

Rules of thumb for sheets that people fill in by hand; where they are wrong, values stand beside
the wrong name or beside `Column 3`, and none is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rag.parsers.markdown_lines import escaped, heading
from rag.parsers.table_rows import column_names, one_line, row_lines

_DATE = re.compile(
    r"\d{4}-\d\d(?:-\d\d.*)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{1,2}:\d\d(?::\d\d.*)?"
)
_NUMBER = re.compile(r"[-+(]?[$€£¥]? ?\d[\d.,'_ ]*(?:[eE][-+]?\d+)?[ %€$)]*")
_YEAR = re.compile(r"(?:19|20)\d\d")
_DIGIT = re.compile(r"\d")
_LONGEST_NUMBER = 40
_LONGEST_CAPTION = 80
_MOST_CAPTIONS = 8
"""Lines with a single cell before a table begins; with more of them it is a list."""


def table_lines(rows: Iterable[Sequence[str]], level: int) -> Iterator[str]:
    """Markdown lines of the tables in `rows`, captions as headings of `level`.

    The first row with two cells or more is the header, unless it looks like data. Lines with one
    cell before it, or after an empty row, are captions or notes. After an empty row a new table
    may begin: one whose first row, without a digit, does not lie in the same columns as the header.
    """
    grid = _Grid(level)
    for row in rows:
        yield from grid.lines(row)
    yield from grid.end()


def looks_like_data(cells: Sequence[str]) -> bool:
    """Whether a first row holds values instead of names: numbers or dates that are no series."""
    values = [cell for cell in cells if cell]
    plain = [value for value in values if _is_value(value)]
    if not plain:
        return False
    return len(plain) == len(values) or not _is_series(plain)


class _Grid:
    """What is known of the table above the row that comes next."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._names: list[str] | None = None
        self._header: list[str] = []
        self._captions: list[list[str]] = []
        self._gap = False
        self._bare = False
        """Whether the header has no row below it yet."""
        self._prose = False
        """Whether the lines of one cell before the table turned out to be a text."""

    def lines(self, row: Sequence[str]) -> Iterator[str]:
        cells = [cell.strip() for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            self._gap = True
            return
        if _width(cells) == 1 and (self._names is None or (self._gap and _width(self._header) > 1)):
            yield from self._caption(cells)
            return
        if self._names is None or (self._gap and self._is_other_header(cells)):
            yield from self._begin(cells)
        elif cells != self._header:
            yield from self._flush(as_heading=True)
            yield from row_lines(self._names, cells)
            self._bare = False
        self._gap = False

    def end(self) -> Iterator[str]:
        yield from self._bare_header()
        yield from self._list() if self._names is None else self._flush(as_heading=False)

    def _begin(self, cells: list[str]) -> Iterator[str]:
        yield from self._bare_header()
        yield from self._flush(as_heading=True)
        if looks_like_data(cells):
            self._names, self._header = [], ["?"] * len(cells)
            yield from row_lines([], cells)
        else:
            self._names, self._header, self._bare = column_names(cells), cells, True

    def _caption(self, cells: list[str]) -> Iterator[str]:
        self._captions.append(cells)
        if self._prose:
            yield from self._flush(as_heading=False)
        elif self._names is None and len(self._captions) > _MOST_CAPTIONS:
            yield from self._list()

    def _is_other_header(self, cells: list[str]) -> bool:
        # Digits stand in rows ("esx05", "48 GB") and hardly ever in names.
        other = _extent(cells) != _extent(self._header)
        return other and not any(_DIGIT.search(cell) for cell in cells)

    def _bare_header(self) -> Iterator[str]:
        """A header that no row followed is still text."""
        if self._bare:
            yield "- Columns: " + ", ".join(one_line(cell) for cell in self._header if cell)
        self._bare = False

    def _flush(self, *, as_heading: bool) -> Iterator[str]:
        captions, self._captions = [cells[-1] for cells in self._captions], []
        if as_heading and captions and _is_caption(captions[0]):
            yield from ("", heading(self._level, captions.pop(0)), "")
        for text in captions:
            yield from ("", escaped(one_line(text)), "")

    def _list(self) -> Iterator[str]:
        """A sheet of one column: a list below its name, or prose."""
        self._prose = len(self._captions) < 2 or not _is_caption(self._captions[0][-1])
        if self._prose:
            yield from self._flush(as_heading=False)
            return
        self._header, *rows = self._captions
        self._captions, self._names = [], column_names(self._header)
        for cells in rows:
            yield from row_lines(self._names, cells)


def _width(cells: list[str]) -> int:
    return sum(1 for cell in cells if cell)


def _extent(cells: list[str]) -> tuple[int, int]:
    filled = [i for i, cell in enumerate(cells) if cell]
    return filled[0], filled[-1]


def _is_caption(text: str) -> bool:
    return len(text) <= _LONGEST_CAPTION and "\n" not in text and text[-1] not in ".!?;,。！？"


def _is_value(cell: str) -> bool:
    if len(cell) > _LONGEST_NUMBER:
        return False
    return bool(_NUMBER.fullmatch(cell) or _DATE.fullmatch(cell)) or cell in ("TRUE", "FALSE")


def _is_series(values: Sequence[str]) -> bool:
    """2023, 2024 or 1, 2, 3 or three dates that rise: columns are named so, rows hardly are."""
    if all(_YEAR.fullmatch(value) for value in values):
        return True
    if len(values) > 2 and all(_DATE.fullmatch(value) for value in values):
        return list(values) == sorted(set(values))
    if not all(re.fullmatch(r"\d{1,6}", value) for value in values):
        return False
    numbers = [int(value) for value in values]
    return len(numbers) > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
