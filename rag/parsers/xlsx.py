"""XLSX to Markdown with openpyxl: one section per sheet, one line per row that names its columns.

A Markdown table reads well as a whole and badly in bits: cut into passages of 200 tokens, only the
first bit has the header. So every row is a line of `Header: value` (`rag/parsers/table_rows.py`),
which a search finds by either word and an answer can quote. Values are those that the spreadsheet
program computed when it saved; no formula and no macro is run here.

Not read: charts, pictures, comments, hidden sheets. Hidden rows and columns come in. Numbers are
shown as stored, not as rounded for display; percentages and dates as a reader sees them.
"""

from __future__ import annotations

import datetime
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from rag.errors import ParseError
from rag.parsers.markdown_lines import heading, joined
from rag.parsers.table_grid import table_lines
from rag.parsers.table_rows import carried, limited
from rag.parsers.text import clean
from rag.parsers.xlsx_markup import Range, SheetMarkup, sheet_markup
from rag.parsers.zip_guard import Package, checked_title
from rag.schema import ParsedDocument

if TYPE_CHECKING:
    from openpyxl import Workbook

_EXCEL = Package("Excel workbook", ".xlsx", "xl/", "the spreadsheet program", 200)
_MEDIA = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_MAX_ROWS = 1_048_576
_MAX_CELLS = 2_000_000
"""Looked at in one workbook, empty ones between others included: a minute of reading."""
_MAX_TEXT = 50_000_000
_LAST_HEADER_ROW = 20
_MAX_REACHING = 100
_ERRORS = frozenset("#NULL! #DIV/0! #VALUE! #REF! #NAME? #NUM! #N/A #GETTING_DATA #SPILL!".split())
_PERCENT = re.compile(r"0(?:\.(0+))?%")


@dataclass(slots=True)
class _Losses:
    """What did not come in, counted over all sheets."""

    cells: int = 0
    errors: int = 0
    uncomputed: int = 0
    cut: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)


def parse_xlsx(data: bytes) -> ParsedDocument:
    """`## sheet` for each visible sheet, its rows as lines. Title: the workbook's property.

    Raises ParseError for what is protected, damaged or no workbook. Formulas without a computed
    value, error cells, hidden sheets and rows past the limits leave a warning.
    """
    title = checked_title(data, _EXCEL)
    losses = _Losses()
    try:
        # openpyxl warns of extensions that it does not know; none of them holds a cell's value.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = _text(data, losses)
    except ParseError:
        raise
    except Exception as error:  # openpyxl lets through whatever odd markup makes it raise
        reason = " ".join(str(error).split())[:200]
        raise ParseError(f"is damaged ({reason}): open it and save it again as .xlsx") from error
    return ParsedDocument(title, text, _MEDIA, warnings=tuple(_warnings(losses)))


def _text(data: bytes, losses: _Losses) -> str:
    import openpyxl

    workbook = openpyxl.load_workbook(
        io.BytesIO(data), read_only=True, data_only=True, keep_links=False
    )
    try:
        if not workbook.sheetnames:
            raise ParseError("holds no sheet that can be read: save it again as ordinary .xlsx")
        return re.sub(r"\n{3,}", "\n\n", joined(_sections(workbook, data, losses)))
    finally:
        workbook.close()


def _sections(workbook: Workbook, data: bytes, losses: _Losses) -> Iterator[str]:
    room = _MAX_TEXT
    sheets: Iterable[Any] = workbook.worksheets
    for sheet in sheets:
        name = clean(sheet.title)
        if sheet.sheet_state != "visible":
            losses.hidden.append(name)
            continue
        sheet.reset_dimensions()  # a million rows may be declared where ten are filled
        markup = sheet_markup(data, sheet._worksheet_path)
        losses.uncomputed += markup.uncomputed
        rows = _merged(_rows(sheet, name, losses), markup)
        text, whole = limited(table_lines(rows, 3), room)
        room -= len(text)
        if not whole:
            losses.cut.append(name)
        if text.strip():
            yield f"{heading(2, name)}\n\n{text.strip()}"


def _rows(sheet: Any, name: str, losses: _Losses) -> Iterator[tuple[int, list[str]]]:
    """Row numbers and cells; of empty rows that follow each other the first alone."""
    gap = False
    for number, cells in enumerate(islice(sheet.iter_rows(), _MAX_ROWS), start=1):
        losses.cells += len(cells)
        if losses.cells > _MAX_CELLS:
            losses.cut.append(name)
            return
        shown = [_shown(cell, losses) if cell.value is not None else "" for cell in cells]
        if any(shown) or not gap:
            yield number, shown
        gap = not any(shown)


def _shown(cell: Any, losses: _Losses) -> str:
    """A value as a reader sees it, numbers with all their digits."""
    value = cell.value
    if isinstance(value, str):
        if value in _ERRORS:
            losses.errors += 1
            return ""
        return clean(value).strip()
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return _number(value, cell.number_format or "")
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return str(value.date()) if midnight else value.isoformat(" ", "seconds")
    return clean(str(value))


def _number(value: float, style: str) -> str:
    percent = _PERCENT.search(style)
    if percent:
        return f"{value * 100:.{len(percent[1] or '')}f}%"
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    return format(value, ".15g")  # 0.1 + 0.2 is 0.3 in a spreadsheet


def _merged(rows: Iterator[tuple[int, list[str]]], markup: SheetMarkup) -> Iterator[list[str]]:
    """Rows with the value of merged cells wherever they reach down, and one row as header.

    A cell merged across the columns is a name of all of them in a header of two rows, a caption
    where it is all its row holds, and written once elsewhere.
    """
    reaching: list[tuple[Range, str]] = []
    has_header = False
    for number, cells in rows:
        reaching = [(area, text) for area, text in reaching if area.bottom >= number]
        for area, text in reaching:
            _put(cells, area.left, text)
        ranges = markup.merged.get(number, ())
        reaching += [
            (area, carried(_at(cells, area.left))) for area in ranges if area.bottom > number
        ]
        del reaching[_MAX_REACHING:]
        across = [area for area in ranges if area.right > area.left and _at(cells, area.left)]
        filled = sum(map(bool, cells))
        if across and filled == 1:
            yield []  # an empty row before it makes it a caption
        elif across and not has_header and number <= _LAST_HEADER_ROW:
            _, below = next(rows, (0, []))
            yield from _header(cells, below, across)
            has_header = True
            continue
        has_header = has_header or filled > 1
        yield cells


def _header(upper: list[str], lower: list[str], across: Sequence[Range]) -> Iterator[list[str]]:
    """Two rows as one header, if the lower one divides what the upper one spans."""
    divided = [
        (column, _at(upper, area.left))
        for area in across
        for column in range(area.left, min(area.right, len(lower)) + 1)
    ]
    names = [_at(lower, column) for column, _ in divided]
    if not any(names) or any(re.search(r"\d", name) for name in names):
        yield upper
        yield lower
        return
    header = [_at(lower, i + 1) or _at(upper, i + 1) for i in range(max(len(upper), len(lower)))]
    for column, above in divided:
        header[column - 1] = f"{above} {_at(lower, column)}".strip()
    yield header


def _at(cells: Sequence[str], column: int) -> str:
    return cells[column - 1] if column <= len(cells) else ""


def _put(cells: list[str], column: int, text: str) -> None:
    """Only into rows that hold something: an empty row below stays one."""
    if text and any(cells):
        cells.extend([""] * (column - len(cells)))
        cells[column - 1] = cells[column - 1] or text


def _warnings(losses: _Losses) -> Iterator[str]:
    if losses.hidden:
        yield f"hidden sheets were left out: {', '.join(losses.hidden[:20])}"
    if losses.cut:
        yield f"too large to be read to the end: {', '.join(dict.fromkeys(losses.cut))}; split it"
    if losses.errors:
        yield f"cells that show an error instead of a value were left out: {losses.errors}"
    if losses.uncomputed:
        yield (
            f"formulas without a computed value: {losses.uncomputed}; open and save the file in a "
            "spreadsheet program"
        )
