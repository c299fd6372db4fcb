"""Tables of HTML as rows that name their columns, or as the blocks that they only lay out.

The markup says what is a header (`th`, `thead`); where it says nothing, as in e-mails and Word
documents, rules of thumb do. Where they are wrong, a value stands beside the wrong name or beside
none, and no text is lost. A table in a cell becomes part of that cell's line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from bs4.element import Tag

from rag.parsers.html_code import has_words, numbered_code
from rag.parsers.markdown_lines import fenced
from rag.parsers.table_grid import looks_like_data
from rag.parsers.table_rows import carried, document_table, limited, pair_lines, parted, plain_label

if TYPE_CHECKING:
    from bs4.element import PageElement

Convert = Callable[["PageElement", Literal["block", "cell"]], str]
"""Part of a page -> Markdown: as blocks of its own, or without what needs lines of its own."""

_CELLS = ("td", "th")
_PARTS = {"thead": 0, "tbody": 1, "tfoot": 2}
_BLOCKS = ["h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "pre", "blockquote", "hr"]
_LAYS_OUT = ["table", "h1", "h2", "h3", "article", "section"]
_MAX_SPAN = 1_000
_MAX_REACHING = 100
_MOST_HEADS = 4
_LONGEST_CELL = 200
"""Characters in a cell of a table with one row or one column; a longer one is a column of text."""
_LONGEST_NAME = 60

_BOLD = re.compile(r"\*\*[^*]+\*\*")
_MEASURE = re.compile(r"[-+~<>≤≥$€£]? ?\d[\d.,'_]* ?[^\s\d]{0,6}")
_PART_ENDS = re.compile(r"\n\s*-[ \t]+|\n\s*\n|\n[ \t]*(?=\d{1,3}\)[ \t])")
_NUMBERED = re.compile(r"^([ \t]*\d{1,3})\.(?=[ \t])", re.MULTILINE)
_MEANING = re.compile(r"\n[ \t]*:[ \t]+")
_LINE_BREAK = re.compile(r"(?<![ \t])[ \t]{2,}\n")


@dataclass(slots=True)
class _Row:
    part: str
    cells: list[Tag] = field(default_factory=list)


@dataclass(slots=True)
class _Table:
    rows: list[_Row] = field(default_factory=list)
    captions: list[PageElement] = field(default_factory=list)
    loose: list[PageElement] = field(default_factory=list)
    """What stands in the table and in no cell."""


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    width: int
    height: int
    names: bool
    """Whether it is a `th`."""


def table_markdown(table: Tag, convert: Convert, room: int, *, in_code: bool) -> str:
    """The Markdown of a table. Rows that take more than `room` characters, all together, come
    without the names of their columns. `in_code`: the table stands in a `pre`."""
    found = _Table()
    _collect(table, "tbody", found)
    found.rows = [row for row in found.rows if row.cells]
    found.rows.sort(key=lambda row: _PARTS[row.part])
    before = [convert(part, "block") for part in found.loose]
    before += [_strong(_line(convert(part, "cell"))) for part in found.captions]
    code = numbered_code([row.cells for row in found.rows])
    if code is not None:
        body = [code if in_code else fenced(code)]
    elif _is_layout(table, found.rows):
        body = [convert(cell, "block") for row in found.rows for cell in row.cells]
    else:
        body = list(_data(found.rows, convert, room))
    return "\n\n".join(text.strip("\n") for text in (*before, *body) if text.strip())


def _collect(parent: Tag, part: str, found: _Table) -> None:
    """The rows below `parent`, wherever the markup has them, but none of a table in a cell."""
    for child in parent.children:
        if isinstance(child, Tag):
            if child.name == "tr":
                found.rows.append(_Row(part))
                _collect(child, part, found)
            elif child.name in _CELLS:
                if not found.rows:
                    found.rows.append(_Row(part))
                found.rows[-1].cells.append(child)
            elif child.name in _PARTS:
                _collect(child, child.name, found)
            elif child.name == "caption":
                found.captions.append(child)
            elif child.name != "table" and child.find(["tr", *_CELLS]):
                _collect(child, part, found)
            else:
                found.loose.append(child)
        elif has_words(child):
            found.loose.append(child)


def _is_layout(table: Tag, rows: Sequence[_Row]) -> bool:
    """Whether the cells are no values but parts of a page that stand side by side."""
    cells = [cell for row in rows for cell in row.cells]
    if len(cells) < 2 or table.get("role") in ("presentation", "none"):
        return True
    if len(rows) == 1 or all(len(row.cells) == 1 for row in rows):
        return any(_has_blocks(cell) for cell in cells)
    if any(cell.name == "th" for cell in cells) or rows[0].part == "thead":
        return False
    return any(cell.find(_LAYS_OUT) is not None for cell in cells)


def _has_blocks(cell: Tag) -> bool:
    if cell.find([*_BLOCKS, *_LAYS_OUT]) is not None or len(cell.find_all("p", limit=2)) > 1:
        return True
    return len(cell.get_text()) > _LONGEST_CELL


def _data(rows: Sequence[_Row], convert: Convert, room: int) -> Iterator[str]:
    cells = [[_cell(tag, convert) for tag in row.cells] for row in rows]
    width = max(sum(cell.width for cell in row) for row in cells)
    while len(cells) > 1 and width > 1 and len(cells[0]) == 1 and cells[0][0].width >= width:
        yield _strong(cells[0][0].text)
        cells, rows = cells[1:], rows[1:]
    heads = _head_count(cells, sum(1 for row in rows if row.part == "thead"))
    text, whole = limited(_lines(cells, heads, width), room)
    if not whole:
        text = "\n".join(document_table([], ([cell.text for cell in row] for row in cells)))
    yield text


def _cell(tag: Tag, convert: Convert) -> _Cell:
    width, height, names = _span(tag, "colspan"), _span(tag, "rowspan"), tag.name == "th"
    return _Cell(_line(convert(tag, "cell")), width, height, names)


def _line(text: str) -> str:
    """A cell's paragraphs and items on one line, without the marks of what needs lines."""
    text = text.strip()
    if "\n" not in text:
        return " ".join(text.split())
    text = re.sub(r"^[ \t]*`{3,}\S*$", "", text, flags=re.MULTILINE)
    text = _NUMBERED.sub(r"\1)", _MEANING.sub(": ", text))
    parts = _PART_ENDS.split(f"\n{text}")
    return parted(parted(_LINE_BREAK.split(part), flowing=True) for part in parts)


def _strong(text: str) -> str:
    return f"**{plain_label(text)}**" if text else ""


def _span(tag: Tag, name: str) -> int:
    value = str(tag.get(name) or "").strip()
    if not re.fullmatch(r"\d{1,6}", value):
        return 1
    reaches_end = name == "rowspan" and int(value) == 0
    return _MAX_SPAN if reaches_end else max(1, min(int(value), _MAX_SPAN))


def _head_count(cells: Sequence[Sequence[_Cell]], marked: int) -> int:
    """How many rows are the header: `marked` are in a `thead`."""
    if marked:
        return marked if marked < len(cells) and marked <= _MOST_HEADS else 1
    named = 0
    while named < len(cells) and all(cell.names or not cell.text for cell in cells[named]):
        named += 1
    if named and any(cell.names for cell in cells[0]):
        return named if named < len(cells) and named <= _MOST_HEADS else 1
    if any(cell.height > 1 for cell in cells[0]):
        return 0
    return int(_first_row_names([[cell.text for cell in row] for row in cells[:50]]))


def _first_row_names(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a first row that nothing marks is a header.

    Of two columns it is one only if it is set in bold or stands above nothing but numbers: such
    tables mostly are names with their values.
    """
    if len(rows) < 2 or len(rows[0]) < 2:
        return False
    first, others = rows[0], rows[1:]
    if all(_BOLD.fullmatch(cell) for cell in first if cell) and any(first):
        return not all(_BOLD.fullmatch(cell) for cell in others[0])
    if all(_BOLD.fullmatch(row[0]) for row in rows if row and row[0]):
        return False
    if not all(first[1:]) or any(len(cell) > _LONGEST_NAME for cell in first):
        return False
    if looks_like_data(first):
        return False
    if len(first) == 2 and len(others) > 1:
        return all(_MEASURE.fullmatch(row[1]) for row in others if len(row) > 1)
    return len(first) > 2


def _lines(cells: Sequence[Sequence[_Cell]], heads: int, width: int) -> Iterator[str]:
    """The rows as lines. Names below the header are the header of what follows them, and a cell
    as wide as the table stands for itself."""
    head = [[plain_label(text) for text in row] for row in _spread(cells[:heads], in_head=True)]
    # Names in the first column alone: the table is turned by a quarter.
    turned = not heads and all(row[0].names for row in cells)
    bare = bool(head)
    below = cells[heads:]
    only_names = all(cell.names for row in below for cell in row)
    for kind, run in groupby(below, key=lambda row: _kind(row, width)):
        if kind == "note":
            yield from (line for row in run for line in pair_lines([("", row[0].text)]))
            continue
        texts = _spread(run, in_head=kind == "names" and not only_names)
        if kind == "names" and not (turned or only_names):
            yield from document_table(head, []) if bare else ()
            head, bare = [[plain_label(text) for text in row] for row in texts], True
        else:
            yield from document_table(head, map(_turned, texts) if turned else texts)
            bare = False
    yield from document_table(head, []) if bare else ()


def _kind(row: Sequence[_Cell], width: int) -> Literal["note", "names", "values"]:
    if len(row) == 1 and row[0].width >= width > 1:
        return "note"
    named = [cell.names for cell in row if cell.text]
    return "names" if len(named) > 1 and all(named) else "values"


def _turned(row: Sequence[str]) -> list[str]:
    return [row[0], "; ".join(filter(None, row[1:]))]


def _spread(rows: Iterable[Sequence[_Cell]], *, in_head: bool) -> Iterator[list[str]]:
    """Texts by column. A cell that spans rows stands in each of them; one that spans columns names
    all of them in a header, and stands in the first elsewhere."""
    reaching: dict[int, tuple[int, str]] = {}
    for row in rows:
        texts: list[str] = []
        for cell in row:
            _fill(texts, reaching)
            shown = [cell.text, *[cell.text if in_head else ""] * (cell.width - 1)]
            for text in shown:
                if cell.height > 1 and text and len(reaching) < _MAX_REACHING:
                    reaching[len(texts)] = (cell.height - 1, carried(text))
                texts.append(text)
        _fill(texts, reaching)
        yield texts


def _fill(texts: list[str], reaching: dict[int, tuple[int, str]]) -> None:
    """Add what reaches down from the rows above, up to the next free column."""
    while len(texts) in reaching:
        left, text = reaching.pop(len(texts))
        if left > 1:
            reaching[len(texts)] = (left - 1, text)
        texts.append(text)
