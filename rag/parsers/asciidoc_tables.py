"""Tables of AsciiDoc as rows that name their columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from rag.parsers.table_rows import carried, document_table, parted

_MAX_COLUMNS = 200
_MAX_COPIES = 20
_SPEC = (
    r"(?:(?<![^\s|!])(?:(?P<copies>\d{1,3})\*|(?P<width>\d{1,3})?(?:\.(?P<height>\d{1,3}))?\+)?"
    r"[<^>]?(?:\.[<^>])?[adehlmsv]?)?(?<!\\)"
)
_CELLS = {bar: re.compile(_SPEC + re.escape(bar)) for bar in "|!:"}
_COLS = re.compile(r"\bcols\s*=\s*(?:\"([^\"]{0,2000})\"|'([^']{0,2000})'|([^,\]\s]{1,200}))")
_HEADER = re.compile(r"%(?:\w+%)*header|\bopt(?:ion)?s\s*=\s*(?:\"[^\"]*\bheader|header)")
_FORMAT = re.compile(r"\bformat\s*=\s*\"?(csv|tsv|dsv)")
_MARKER = re.compile(r"\s*(?:[*.]{1,5}|-)\s+")
_MARKUP = re.compile(r"\s*(?:\[[^\]]*\]|[-.=_+*/]{4,}|--|\+)\s*")


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    width: int
    height: int


def table_lines(
    lines: Sequence[str], style: str, delimiter: str, inline: Callable[[str], str]
) -> Iterator[str]:
    """The lines between two `|===` as rows. `style` is what stood in brackets above them."""
    # A first line with an empty one behind it is a header, though nothing says so.
    implied = len(lines) > 1 and bool(lines[0].strip()) and not lines[1].strip()
    has_header = bool(_HEADER.search(style)) or (implied and "noheader" not in style)
    chosen = _FORMAT.search(style)
    kind = chosen[1] if chosen else {",": "csv", ":": "dsv"}.get(delimiter[0], "psv")
    if kind in ("csv", "tsv"):
        rows = _separated(lines, "," if kind == "csv" else "\t")
    else:
        bar = ":" if kind == "dsv" else delimiter[0]
        rows = _rows(_cells(lines, bar), _columns(lines, style, bar), has_header)
    shown = ([_text(cell, inline) for cell in row] for row in rows)
    yield from document_table(list(islice(shown, 1)) if has_header else [], shown)


def _separated(lines: Sequence[str], delimiter: str) -> Iterator[list[str]]:
    text = [f"{line}\n" for line in lines]
    try:
        yield from (row for row in csv.reader(text, delimiter=delimiter) if row)
    except csv.Error:
        yield from (line.split(delimiter) for line in lines if line.strip())


def _columns(lines: Sequence[str], style: str, bar: str) -> int:
    """As many as `cols` says, else as the first line has cells."""
    found = _COLS.search(style)
    if found:
        count = 0
        for column in re.split(r"[,;]", found[1] or found[2] or found[3]):
            copies = re.match(r"\s*(\d{1,3})\*", column)
            count += int(copies[1]) if copies else 1
        return max(1, min(count, _MAX_COLUMNS))
    first = next((line for line in lines if line.strip()), "")
    return max(1, min(sum(cell.width for cell in _cells([first], bar)), _MAX_COLUMNS))


def _cells(lines: Sequence[str], bar: str) -> Iterator[_Cell]:
    text = "\n".join(lines)
    marks = list(_CELLS[bar].finditer(text))
    if bar == ":":  # there, the mark stands between cells, and a line is a row
        marks = []
        yield from (_Cell(part, 1, 1) for line in lines if line for part in line.split(":"))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    for mark, end in zip(marks, ends, strict=False):  # without a mark there is no cell
        copies = min(int(mark["copies"] or 1), _MAX_COPIES)
        width = max(1, min(int(mark["width"] or 1), _MAX_COLUMNS))
        cell = _Cell(
            text[mark.end() : end].replace(f"\\{bar}", bar), width, int(mark["height"] or 1)
        )
        yield from [cell] * copies


def _rows(cells: Iterator[_Cell], columns: int, has_header: bool) -> Iterator[list[str]]:
    """Cells set into rows. One that spans rows stands in each of them; one that spans columns
    names all of them in a header, and stands in the first elsewhere."""
    reaching: dict[int, tuple[int, str]] = {}
    row: list[str] = []
    for cell in cells:
        for offset in range(min(cell.width, columns - len(row))):
            shown = "" if offset and not has_header else cell.text
            reaching[len(row)] = (cell.height - 1, carried(shown))
            row.append(shown)
        row = _filled(row, reaching, columns)
        if len(row) >= columns:
            yield row
            has_header = False
            row = _filled([], reaching, columns)
            if len(row) >= columns:  # no place for a cell: the spans are wrong
                reaching, row = {}, []
    if any(row):
        yield row


def _filled(row: list[str], reaching: dict[int, tuple[int, str]], columns: int) -> list[str]:
    """The row with what reaches down into it from above, up to the next free place."""
    while len(row) < columns and reaching.get(len(row), (0, ""))[0]:
        left, text = reaching[len(row)]
        reaching[len(row)] = (left - 1, text)
        row.append(text)
    return row


def _text(cell: str, inline: Callable[[str], str]) -> str:
    """A cell's paragraphs and items on one line, without the marks of blocks."""
    parts: list[list[str]] = [[]]
    for line in cell.split("\n"):
        marker = _MARKER.match(line)
        if marker or not line.strip():
            parts.append([])
        if not _MARKUP.fullmatch(line):
            parts[-1].append(line[marker.end() :] if marker else line)
    return parted(inline(" ".join(part)) for part in parts if part)
