"""Words of a PDF page to the fields of a table. Pure but for cutting words that cross a rule.

Three ways, by what the page shows: a grid of rules; rules that only run across, or backgrounds of
whole rows; and no rules at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from rag.parsers.pdf.columns import (
    NARROW_GAP,
    OVERHANG,
    WIDE_GAP,
    column_edges,
    keeps,
    pieces,
    visual_rows,
)
from rag.parsers.pdf.grid import Grid
from rag.parsers.pdf.layout import Word

Cut = Callable[[Word, float], tuple[Word, Word] | None]

_STRUCK = 0.1
"""Share of words that a rule may strike through, as where a cell is too narrow."""
_LEAST_CELLS = 0.5
"""Share of the fields that are cells of their own, in a table however much of it is merged."""
_PROSE_WORDS = 4
_MANY_BANDS = 4
"""As many rows between rules are taken for all there are."""


@dataclass(slots=True)
class Field:
    """What stands in a row below a column, and in how many columns."""

    words: list[Word]
    columns: int = 1
    repeated: bool = False
    """It spans rows and began in one above."""


Row = list[Field | None]
"""One entry for each column; None where a field to the left reaches over."""


@dataclass(slots=True)
class Table:
    """Fields by row and column; `xs` are the columns' edges, `tops` the rows' upper edges."""

    xs: tuple[float, ...]
    rows: list[Row]
    tops: list[float]
    bottom: float

    @property
    def columns(self) -> int:
        return len(self.xs) - 1


def gridded(grid: Grid, words: Sequence[Word], cut: Cut) -> Table | None:
    """The table in a grid of at least two columns. None for a drawing: there rules
    cut through words, or boxes stand anywhere and most fields belong to others."""
    held: dict[tuple[int, int], list[Word]] = {}
    struck = 0
    for word in words:
        parts, through = _parts(grid, word, cut)
        struck += through
        for part in parts:
            at_row, at_column = _field(grid, part)
            held.setdefault(grid.owner[at_row][at_column], []).append(part)
    cells = len({owner for owners in grid.owner for owner in owners})
    if struck > max(1, _STRUCK * len(words)) or cells < _LEAST_CELLS * grid.rows * grid.columns:
        return None
    table = Table(grid.xs, [], [], grid.ys[-1])
    for number, owners in enumerate(grid.owner):
        if not any(held.get(owner) and owner[0] == number for owner in owners):
            continue
        row: Row = [
            Field(held.get(owner, []), owners.count(owner), owner[0] != number)
            if owner[1] == column
            else None
            for column, owner in enumerate(owners)
        ]
        row = _unmerged(row, grid.xs)
        # Few rules across: the rows between them are told from the words.
        rows = _split_row(row, grid.xs) if grid.rows < _MANY_BANDS else [row]
        table.rows += rows
        table.tops += [grid.ys[number], *map(_top, rows[1:])]
    return table


def banded(grid: Grid, words: Sequence[Word]) -> Table | None:
    """The table between rules that only run across: its columns are where no row has words."""
    bands = [
        visual_rows([word for word in words if low <= word.middle < high])
        for high, low in pairwise(grid.ys)
    ]
    width = grid.xs[-1] - grid.xs[0]
    tables = _table_like(bands, grid.xs[0], width)
    if tables is None:
        return None
    first, last = tables
    bands, tops = bands[first:last], grid.ys[first:last]
    edges = column_edges([row for band in bands for row in band], NARROW_GAP)
    if len(edges) < 3:
        return None
    table = Table((grid.xs[0], *edges[1:-1], grid.xs[-1]), [], [], grid.ys[last])
    if not all(keeps(line, table.xs, NARROW_GAP) for band in bands[1:] for line in band):
        return None
    many = len(bands) >= _MANY_BANDS
    for number, (band, top) in enumerate(zip(bands, tops, strict=True)):
        if not band:
            continue
        row = placed([word for line in band for word in line], table.xs)
        rows = [row] if many or number == 0 else _split_row(row, table.xs)
        table.rows += rows
        table.tops += [top, *map(_top, rows[1:])]
    return table


def loose(rows: Sequence[Sequence[Word]]) -> Table | None:
    """The table of rows whose words stand in columns, the first of which is a header."""
    edges = column_edges(rows, WIDE_GAP)
    header = pieces(rows[0], WIDE_GAP)
    if len(edges) < 4 or len(header) != len(edges) - 1:
        return None
    table = Table(tuple(edges), [], [], min(word.base for words in rows for word in words))
    for words, starts in zip(rows, _row_starts(rows, table.xs), strict=True):
        row = placed(words, table.xs)
        if starts:
            table.rows.append(row)
            table.tops.append(_top(row))
        else:
            _append(table.rows[-1], row)
    return table


def _unmerged(row: Row, xs: Sequence[float]) -> Row:
    """The row with a field over several columns as several, where its words keep to them.

    Where every second row has a background there may be no rules in the others.
    """
    out = list(row)
    for column, field in enumerate(row):
        if field is None or field.columns == 1:
            continue
        inner = xs[column : column + field.columns + 1]
        parts = placed(field.words, inner)
        held = sum(1 for part in parts if part and part.words)
        if held > 1 and all(keeps(line, inner, NARROW_GAP) for line in visual_rows(field.words)):
            for part in parts:
                assert part is not None
                part.repeated = field.repeated
            out[column : column + field.columns] = parts
    return out


def _parts(grid: Grid, word: Word, cut: Cut) -> tuple[list[Word], bool]:
    """The word, cut where it crosses rules of its row, and whether one strikes through a letter."""
    row, _ = _field(grid, word)
    owners = grid.owner[row]
    for column, x in enumerate(grid.xs[1:-1], start=1):
        walled = owners[column] != owners[column - 1]
        if walled and word.left + OVERHANG < x < word.right - OVERHANG:
            parts = cut(word, x)
            if parts is None:
                return [word], True
            rest, struck = _parts(grid, parts[1], cut)
            return [parts[0], *rest], struck
    return [word], False


def _field(grid: Grid, word: Word) -> tuple[int, int]:
    x = min(max((word.left + word.right) / 2, grid.xs[0]), grid.xs[-1])
    y = min(max(word.middle, grid.ys[-1]), grid.ys[0])
    found = grid.field(x, y)
    assert found is not None
    return found


def _table_like(
    bands: Sequence[Sequence[Sequence[Word]]], left: float, width: float
) -> tuple[int, int] | None:
    """The longest run of bands (first, behind the last) without a line of prose in it."""
    best = (0, 0)
    first = 0
    for number, band in enumerate([*bands, None]):
        if band and not any(_is_prose(row, left, width) for row in band):
            continue
        if number - first > best[1] - best[0]:
            best = (first, number)
        first = number + 1
    return best if best[1] - best[0] >= 2 else None


def _is_prose(row: Sequence[Word], left: float, width: float) -> bool:
    """Whether an unbroken line begins at the left edge and takes most of the width."""
    start, end = pieces(row, NARROW_GAP)[0]
    return start < left + 0.1 * width and end - start > 0.6 * width


def placed(words: Sequence[Word], xs: Sequence[float]) -> Row:
    """Words by the column that their middle is in."""
    row: Row = [Field([]) for _ in xs[1:]]
    for line in visual_rows(words):
        for word in line:
            middle = (word.left + word.right) / 2
            column = sum(1 for x in xs[1:-1] if x <= middle)
            field = row[column]
            assert field is not None
            field.words.append(word)
    return row


def _split_row(row: Row, xs: Sequence[float]) -> list[Row]:
    """The rows that stand between two rules, told from the words."""
    fields = [field for field in row if field is not None and not field.repeated]
    lines = visual_rows([word for field in fields for word in field.words])
    if len(fields) < len(row) or not _are_rows(lines, xs):
        return [row]
    parts: list[Row] = []
    for line, starts in zip(lines, _row_starts(lines, xs), strict=True):
        if starts:
            parts.append(placed(line, xs))
        else:
            _append(parts[-1], placed(line, xs))
    return parts


def _are_rows(lines: Sequence[Sequence[Word]], xs: Sequence[float]) -> bool:
    """Whether lines are rows, and not the lines of one row's cells."""
    filled = [_filled(line, xs) for line in lines]
    firsts = [number for number, columns in enumerate(filled) if 0 in columns]
    if len(firsts) < 2:
        return False
    if len(lines) < 4:  # a cell of two lines is more common than a row without a rule
        return all(len(columns) == len(xs) - 1 for columns in filled)
    if len(firsts) < len(lines):
        # Else just the first cell has several lines, and others some more.
        return firsts != list(range(len(firsts))) or len(filled[-1]) > (len(xs) - 1) / 2
    if sum(1 for columns in filled if len(columns) > 1) < 0.6 * len(lines):
        return False
    return not any(_is_prose_column(lines, xs, column) for column in range(len(xs) - 1))


def _is_prose_column(lines: Sequence[Sequence[Word]], xs: Sequence[float], column: int) -> bool:
    """Whether most of a column's lines are as long as the longest: a text, broken to its width."""
    fields = [field for line in lines if (field := placed(line, xs)[column]) and field.words]
    if not fields or fmean(len(field.words) for field in fields) < _PROSE_WORDS:
        return False
    widths = [max(w.right for w in f.words) - min(w.left for w in f.words) for f in fields]
    return sum(1 for width in widths if width > 0.8 * max(widths)) > 0.7 * len(widths)


def _row_starts(lines: Sequence[Sequence[Word]], xs: Sequence[float]) -> list[bool]:
    """Whether each line begins a row or goes on with cells of the one above.

    Where some lines are closer together than others, those of a row are, wherever in the row its
    shorter cells stand; unless nearly all lines are rows, and just stand in groups. Where all are
    as close, a row has a first cell, or else most others.
    """
    gaps = [above[0].base - line[0].base for above, line in pairwise(lines)]
    uneven = bool(gaps) and max(gaps) > 1.3 * min(gaps)
    apart = (min(gaps) + max(gaps)) / 2 if gaps else 0.0
    columns, filled = len(xs) - 1, [_filled(line, xs) for line in lines]
    short = sum(1 for found in filled if len(found) <= columns / 2)
    starts = [True]
    for gap, found in zip(gaps, filled[1:], strict=True):
        whole = len(found) > columns / 2 if 0 in found else len(found) >= max(2, columns - 1)
        if uneven and short > 0.3 * len(lines):
            starts.append(gap >= apart)
        elif uneven:
            starts.append(gap >= apart or whole)
        else:
            starts.append(0 in found or whole)
    return starts


def _filled(line: Sequence[Word], xs: Sequence[float]) -> set[int]:
    """The columns that a line has words in."""
    return {number for number, field in enumerate(placed(line, xs)) if field and field.words}


def _append(above: Row, row: Row) -> None:
    for field, more in zip(above, row, strict=True):
        if field is not None and more is not None:
            field.words += more.words


def _top(row: Row) -> float:
    return max(
        (word.base + word.size for field in row if field for word in field.words), default=0.0
    )
