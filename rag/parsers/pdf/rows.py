"""A table of a PDF page to lines: which rows are its header, and what each row says. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from rag.parsers.pdf.cells import Field, Row, Table
from rag.parsers.pdf.columns import visual_rows
from rag.parsers.pdf.drawing import Color, Drawing
from rag.parsers.pdf.layout import HYPHEN, Line, Word, is_dense
from rag.parsers.table_rows import LONGEST_LABEL, column_names, pair_lines, row_lines

_LONG_CELL = 150
"""Words; a longer cell is a text in a frame."""
_LONG_CAPTION = 25
"""Words of a field over all columns."""
_LONG_LABEL = 12
_LEAST_FILLED = 0.25
"""Share of the cells of a wide table; a drawing's grid is emptier."""
_MOST_HEADER_ROWS = 3
_NUMBER = re.compile(r"[^\w\s]*\d[\d.,:/%\s-]*[a-zA-Z%°]{0,4}")
_PADDING = 6.0
"""Points that a cell keeps free on either side, at most."""


@dataclass(frozen=True, slots=True)
class Header:
    """`labels` name the columns, none where the table does not. The header's rows are those from
    `start` up to `end`; rows before are captions."""

    labels: tuple[str, ...]
    start: int
    end: int
    styled: bool = False
    """It stands out in bold or on a background."""
    typed: bool = False
    """A column below it holds numbers, and it does not."""


def is_table(table: Table) -> bool:
    """Whether it holds rows of a table and not prose, a drawing's labels or a page's frame."""
    if len(table.rows) < 2 or table.columns < 2:
        return False
    filled = [sum(1 for f in row if f and f.words and not f.repeated) for row in table.rows]
    if sum(1 for count in filled if count >= 2) < max(2, 0.3 * len(table.rows)):
        return False
    cells = [field for row in table.rows for field in row if field]
    if table.columns > 4 and sum(1 for f in cells if f.words) < _LEAST_FILLED * len(cells):
        return False
    for row in table.rows:
        for field in row:
            limit = _LONG_CAPTION if field and field.columns == table.columns else _LONG_CELL
            if field and len(field.words) > limit:
                return False
    return sum(1 for column in range(table.columns) if _is_used(table, column)) >= 2


def reads_well(table: Table, header: Header) -> bool:
    """Whether its rows say something: with labels always, else only if their first cells are short
    enough to be names."""
    if header.labels:
        return True
    names = [field.words for row in table.rows if (field := row[0])]
    return all(len(words) <= _LONG_CAPTION for words in names)


def find_header(table: Table, drawing: Drawing) -> Header:
    """The header by its looks or what stands below it; without either the first row of a table of
    three columns and more, if it holds no numbers."""
    start = 0
    while start < len(table.rows) - 2 and _is_caption(table, table.rows[start]):
        start += 1
    end = _header_end(table, start)
    labels = tuple(column_names(_labels(table, start, end)))
    named = sum(1 for label in labels if label)
    fits = named >= 2 and all(
        len(label) <= LONGEST_LABEL and len(label.split()) <= _LONG_LABEL for label in labels
    )
    if fits and end < len(table.rows):
        styled, typed = _is_styled(table, start, end, drawing), _is_typed(table, labels, end)
        usual = table.columns > 2 and named >= table.columns - 1
        plain = usual and not _is_data(table, labels, end)
        if styled or typed or plain:
            return Header(labels, start, end, styled, typed)
    return Header((), start, start)


def continued(header: Header, before: Header) -> Header:
    """The header of a table that began on the page before."""
    if header.labels and (header.labels == before.labels or header.styled):
        return header
    return Header(before.labels, 0, 0)


def table_lines(table: Table, header: Header) -> list[Line]:
    """Each row as a line, or several where it is long; captions and titles over all columns too."""
    lines: list[Line] = []
    for number, row in enumerate(table.rows):
        if header.start <= number < header.end:
            continue
        cells = [_cell_text(field, _width(table, i, field)) for i, field in enumerate(row)]
        if _is_caption(table, row):
            texts = pair_lines([("", cells[0])]) if number >= header.start else [cells[0]]
        elif header.labels:
            texts = row_lines(header.labels, cells)
        else:
            texts = pair_lines(_pairs([cell for cell in cells if cell]))
        words = [word for field in row if field for word in field.words]
        size, base = median(word.size for word in words), max(word.base for word in words)
        lines += [Line(text, table.xs[0], table.xs[-1], base, size, row=True) for text in texts]
    return lines


def _pairs(cells: Sequence[str]) -> list[tuple[str, str]]:
    """Of a row without header: the first cell names the others."""
    if len(cells) < 2 or len(cells[0]) > LONGEST_LABEL:
        return [("", cell) for cell in cells]
    return [(cells[0], cells[1]), *(("", cell) for cell in cells[2:])]


def _is_used(table: Table, column: int) -> bool:
    return sum(1 for row in table.rows if (field := row[column]) and field.words) >= 2


def _is_caption(table: Table, row: Row) -> bool:
    """Whether it is one field over all columns."""
    return row[0] is not None and row[0].columns == table.columns


def _header_end(table: Table, start: int) -> int:
    """Behind the row in which the header's cells end; below one over several columns there is
    another row of it."""
    end = start + 1
    while end < len(table.rows) and any(field and field.repeated for field in table.rows[end]):
        end += 1
    wide = any(field and 1 < field.columns < table.columns for field in table.rows[start])
    if wide and end == start + 1:
        end += 1
    return end if end - start <= _MOST_HEADER_ROWS else start + 1


def _labels(table: Table, start: int, end: int) -> list[str]:
    """For each column what stands above it, from the top."""
    labels = []
    for column in range(table.columns):
        parts: list[str] = []
        for row in table.rows[start:end]:
            at = next(i for i in range(column, -1, -1) if row[i] is not None)
            field = row[at]
            if field and not field.repeated and column < at + field.columns:
                parts.append(_joined(field.words).replace(HYPHEN, "-"))
        labels.append(" ".join(part for part in parts if part))
    return labels


def _is_data(table: Table, labels: Sequence[str], end: int) -> bool:
    """Whether a first row is like the others: it has a number, or what a cell below it has, but
    for figures ('Host 1', 'Host 2')."""
    if any(_NUMBER.fullmatch(label) for label in labels):
        return True
    return any(
        label and re.sub(r"\d+", "#", label) == re.sub(r"\d+", "#", _joined(field.words))
        for row in table.rows[end:]
        for label, field in zip(labels, row, strict=True)
        if field
    )


def _is_typed(table: Table, labels: Sequence[str], end: int) -> bool:
    """Whether some column holds numbers only, and no label is one."""
    if any(_NUMBER.fullmatch(label) for label in labels):
        return False
    columns = (
        [_joined(field.words) for row in table.rows[end:] if (field := row[i]) and field.words]
        for i in range(1, table.columns)
    )
    return any(len(texts) > 1 and all(map(_NUMBER.fullmatch, texts)) for texts in columns)


def _is_styled(table: Table, start: int, end: int, drawing: Drawing) -> bool:
    body = table.rows[end : end + 3]
    heads = [_bold_share(row[1:]) for row in table.rows[start:end]]
    if not body:
        return False
    if min(heads) > 0.7 and fmean(_bold_share(row[1:]) for row in body) < 0.5:
        return True
    own = _background(table.rows[start], drawing)
    return own is not None and own not in [_background(row, drawing) for row in body]


def _bold_share(row: Sequence[Field | None]) -> float:
    words = [word for field in row if field for word in field.words]
    return sum(word.bold for word in words) / len(words) if words else 0.0


def _background(row: Row, drawing: Drawing) -> Color | None:
    """The colour behind a row, at its last word."""
    words = [word for field in row if field for word in field.words]
    if not words:
        return None
    x, y = (words[-1].left + words[-1].right) / 2, words[-1].middle
    colors = [
        fill.color
        for fill in drawing.fills
        if fill.left <= x <= fill.right and fill.bottom <= y <= fill.top
    ]
    return colors[-1] if colors else None


def _width(table: Table, column: int, field: Field | None) -> float:
    return table.xs[column + field.columns] - table.xs[column] if field else 0.0


def _cell_text(field: Field | None, width: float) -> str:
    """The lines of a cell. A break stays only where the next word would have fitted."""
    if field is None or not field.words:
        return ""
    rows = visual_rows(field.words)
    reach = [max(w.right for w in row) - min(w.left for w in row) for row in rows]
    room = max(*reach, width - 2 * _PADDING) if len(rows) > 1 else width
    text = _spaced(rows[0])
    for row, extent in zip(rows[1:], reach, strict=False):  # the extent of the line above
        first = row[0]
        forced = extent + (first.right - first.left) + 0.3 * first.size > 0.95 * room
        text = _continued_text(text, _spaced(row), " " if forced else "\n")
    return text


def _joined(words: Sequence[Word]) -> str:
    text = ""
    for row in visual_rows(words):
        text = _continued_text(text, _spaced(row), " ") if text else _spaced(row)
    return text


def _spaced(row: Sequence[Word]) -> str:
    return " ".join(word.text for word in row)


def _continued_text(text: str, more: str, between: str) -> str:
    """A word that was divided at its hyphen is mended with the page's other words later."""
    if text.endswith(HYPHEN):
        return text + more
    if text.endswith("-"):
        return (text[:-1] + HYPHEN if text[-2:-1].isalnum() else text) + more
    if is_dense(text[-1:]) and is_dense(more[:1]):
        return text + more
    return text + between + more
