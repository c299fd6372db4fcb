"""Tables of a PDF page as lines that each stand alone (see `rag/parsers/table_rows.py`).

Found are tables with rules or cell backgrounds, merged cells included, and rows of at least three
aligned columns below a header. What is drawn like a table but holds prose, or nothing, stays text.
No word is lost or doubled, but for headers and cells that span rows: those come with every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.parsers.pdf.cells import Table, banded, gridded, loose, placed
from rag.parsers.pdf.columns import WIDE_GAP, fits, pieces
from rag.parsers.pdf.drawing import Drawing
from rag.parsers.pdf.grid import find_grids
from rag.parsers.pdf.layout import MARGIN, Line, Word
from rag.parsers.pdf.pool import Pool, Text, is_stretched
from rag.parsers.pdf.rows import Header, continued, find_header, is_table, reads_well, table_lines

_ROW_GAP = 3.0
"""Between rows without rules, in type sizes."""
_NEAR = 1.8
"""Type sizes within which a row without rules is near to those with."""
_MOST_ADDED = 200
"""Rows without rules, on either side of those with; on a page there are no more."""
_UNDER = 3.0
"""Points that a rule may be within the height of the row below it."""
_SAME_COLUMN = 5.0
"""Points by which the columns of a table's next page may be off."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The table that a page ends with: the next page may go on with it."""

    header: Header
    xs: tuple[float, ...]


def with_tables(
    text: Text, lines: Sequence[Line], drawing: Drawing, before: Ending | None
) -> tuple[list[Line], Ending | None]:
    """The lines of a page with its tables' lines in the place of what they were made of.

    `before` is what the page before gave as its ending.
    """
    pool = Pool(text, lines)
    found: list[tuple[int, Table]] = []
    for grid in find_grids(drawing):
        inside = pool.inside(grid)
        words = [word for _, word in inside]
        if not words:
            continue
        table = gridded(grid, words, text.cut) if grid.columns > 1 else banded(grid, words)
        if table is not None and _is_sound(table, drawing):
            held = [item for item in inside if table.bottom <= item[1].middle <= table.tops[0]]
            found.append((pool.take(held), table))
            _extend(pool, table)
    found += _loose_tables(pool, drawing)
    if before is not None:
        found += _carried_on(pool, before, text.height)
    return _merged(pool, found, drawing, before, text.height)


def _extend(pool: Pool, table: Table) -> None:
    """Add rows that stand in the columns just above and below what is ruled.

    Where every second row has a background, the first and the last may have neither rule nor that.
    """
    for way in (1, -1):
        for _ in range(_MOST_ADDED):
            row = _next_row(pool, table.tops[0] if way == 1 else table.bottom, way, table.xs)
            if row is None:
                break
            if way == 1:
                table.rows.insert(0, placed(row, table.xs))
                table.tops.insert(0, row[0].base + row[0].size)
            else:
                table.rows.append(placed(row, table.xs))
                table.tops.append(table.bottom)
                table.bottom = row[0].base - 0.3 * row[0].size


def _carried_on(pool: Pool, before: Ending, height: float) -> list[tuple[int, Table]]:
    """The rows at the top of a page that go on with a table without rules."""
    for number in sorted(range(len(pool.lines)), key=lambda n: -pool.lines[n].base):
        line = pool.lines[number]
        edge = line.base + 0.25 * line.size
        if not pool.whole(number):
            return []
        row = _next_row(pool, edge, -1, before.xs)
        if row is not None:
            bottom = row[0].base - 0.3 * row[0].size
            table = Table(before.xs, [placed(row, before.xs)], [edge], bottom)
            _extend(pool, table)
            return [(number, table)]
        if line.base < (1 - MARGIN) * height:
            return []
    return []


def _next_row(pool: Pool, edge: float, way: int, xs: Sequence[float]) -> list[Word] | None:
    """The words of the row next to `edge`, taken; `way` is 1 above and -1 below."""
    near = [
        number
        for number, line in enumerate(pool.lines)
        if pool.whole(number)
        and not line.mono
        and 0 <= way * (line.base + 0.25 * line.size - edge) <= _NEAR * line.size
        and line.left < xs[-1]
        and line.right > xs[0]
    ]
    if not near:
        return None
    base = pool.lines[min(near, key=lambda n: abs(pool.lines[n].base - edge))].base
    row = [n for n in near if abs(pool.lines[n].base - base) < 0.3 * pool.lines[n].size]
    words = [(number, word) for number in row for word in pool.words(number)]
    if not fits([word for _, word in words], xs):
        return None
    pool.take(words)
    return [word for _, word in words]


def _loose_tables(pool: Pool, drawing: Drawing) -> list[tuple[int, Table]]:
    """Tables without rules among the lines that are left."""
    found = []
    start = 0
    while start < len(pool.lines):
        rows, behind = _loose_run(pool, start)
        if len(rows) >= 3:
            table = loose([[word for _, word in row] for row in rows])
            if table is not None and _is_sound(table, drawing, loose=True):
                found.append((pool.take([item for row in rows for item in row]), table))
        start = behind
    return found


def _is_sound(table: Table, drawing: Drawing, loose: bool = False) -> bool:
    """Whether it is a table that reads well; without rules only if its header is beyond doubt."""
    if not is_table(table):
        return False
    header = find_header(table, drawing)
    if loose and not (header.styled or header.typed):
        return bool(header.labels) and _is_underlined(table, header, drawing)
    return reads_well(table, header)


def _is_underlined(table: Table, header: Header, drawing: Drawing) -> bool:
    """Whether a rule parts the header from the rows, in one or in a piece for each column."""
    high, low = table.tops[header.start], table.tops[header.end]
    left, right = table.xs[0], table.xs[-1]
    drawn = sum(
        max(0.0, min(rule.end, right) - max(rule.start, left))
        for rule in drawing.horizontal
        if low - _UNDER <= rule.at < high - _UNDER
    )
    return drawn > 0.7 * (right - left)


def _loose_run(pool: Pool, start: int) -> tuple[list[list[tuple[int, Word]]], int]:
    """Rows that may be a table's, from line `start` on, and the first line behind them."""
    rows: list[list[tuple[int, Word]]] = []
    at = start
    while at < len(pool.lines):
        row, behind = _line_row(pool, at, first=not rows)
        words = [word for _, word in row]
        if not words or not (_goes_on(rows[-1][0][1], words, rows[0]) if rows else _is_head(words)):
            break
        rows.append(row)
        at = behind
    return rows, max(at, start + 1)


def _line_row(pool: Pool, at: int, first: bool) -> tuple[list[tuple[int, Word]], int]:
    """The words beside each other at a line's height, and the number of the line behind them."""
    line = pool.lines[at]
    behind = at + 1
    while behind < len(pool.lines) and abs(pool.lines[behind].base - line.base) < 0.3 * line.size:
        behind += 1
    numbers = range(at, behind)
    if line.mono or not all(map(pool.whole, numbers)):
        return [], behind
    if first and len(numbers) == 1 and not is_stretched(line):
        return [], behind
    return [(number, word) for number in numbers for word in pool.words(number)], behind


def _is_head(words: Sequence[Word]) -> bool:
    """At least three headings, each with a letter."""
    parts = pieces(words, WIDE_GAP)
    named = {
        number
        for number, (left, right) in enumerate(parts)
        for word in words
        if left <= word.left <= right and any(map(str.isalpha, word.text))
    }
    return len(parts) >= 3 and len(named) == len(parts)


def _goes_on(above: Word, words: Sequence[Word], head: Sequence[tuple[int, Word]]) -> bool:
    """Whether the words may be the next row, or go on with a cell that is not a row's first."""
    gap = above.base - words[0].base
    if not 0 < gap <= _ROW_GAP * words[0].size:
        return False
    parts = pieces(words, WIDE_GAP)
    second = pieces([word for _, word in head], WIDE_GAP)[1][0]
    return len(parts) > 1 or parts[0][0] > second - words[0].size


def _merged(
    pool: Pool,
    found: Sequence[tuple[int, Table]],
    drawing: Drawing,
    before: Ending | None,
    height: float,
) -> tuple[list[Line], Ending | None]:
    rest = [pool.rest(number) for number in range(len(pool.lines))]
    low, high = MARGIN * height, (1 - MARGIN) * height
    inner = [line for line in rest if line and low < line.base < high]
    tables: dict[int, list[Table]] = {}
    for number, table in found:
        tables.setdefault(number, []).append(table)
    out: list[Line] = []
    ending: Ending | None = None
    lowest = 0.0
    for number, line in enumerate(rest):
        for table in sorted(tables.get(number, ()), key=lambda table: -table.tops[0]):
            header = find_header(table, drawing)
            at_top = ending is None and not any(line.base > table.tops[0] for line in inner)
            if before is not None and at_top and _same_columns(before.xs, table.xs):
                header = continued(header, before.header)
            out += table_lines(table, header)
            ending, lowest = Ending(header, table.xs), table.bottom
        if line is not None:
            out.append(line)
    return out, None if any(line.base < lowest for line in inner) else ending


def _same_columns(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and all(
        abs(a - b) <= _SAME_COLUMN for a, b in zip(one, other, strict=True)
    )
