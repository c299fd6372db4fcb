"""What openpyxl's reading row by row does not tell of a sheet: merged cells, formulas unanswered.

Taken from the sheet's XML as bytes, in blocks, since the list of merged cells stands behind all
rows and reading a sheet as a tree takes twenty times its size in memory.
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass

_BLOCK = 1024 * 1024
_OVERLAP = 10_000
_MAX_MERGED = 100_000
_MERGED = re.compile(
    rb"""<(?:\w{1,20}:)?mergeCell\s+ref=["']\$?([A-Z]{1,3})\$?(\d{1,7}):\$?([A-Z]{1,3})\$?(\d{1,7})["']"""
)
_NAME = rb"(?:\w{1,20}:)?"
_UNCOMPUTED = re.compile(
    rb"""<%(n)sc(?![^<>]{0,200}\st=["']str)(?:\s[^<>]{0,200})?>\s{0,9}"""
    rb"<%(n)sf(?:/>|\s[^<>]{0,200}/>|(?:\s[^<>]{0,200})?>[^<]{0,9000}</%(n)sf>)\s{0,9}"
    rb"(?:<%(n)sv\s?/>|<%(n)sv></%(n)sv>)?\s{0,9}</%(n)sc>" % {b"n": _NAME}
)
"""A formula and no value behind it; text (t="str") may well be an empty one."""


@dataclass(frozen=True, slots=True)
class Range:
    """Merged cells; all counted from 1, both ends included."""

    left: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class SheetMarkup:
    """`merged`: by the number of the row in which each range begins."""

    merged: dict[int, list[Range]]
    uncomputed: int


def sheet_markup(data: bytes, part: str) -> SheetMarkup:
    """Read from the sheet stored as `part` in the workbook `data`."""
    merged: dict[int, list[Range]] = {}
    uncomputed = count = 0
    with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(part) as sheet:
        tail = b""
        while block := sheet.read(_BLOCK):
            text = tail + block
            # A match that ends within the tail was counted with the block before.
            for match in _MERGED.finditer(text):
                if match.end() > len(tail) and count < _MAX_MERGED:
                    count += 1
                    top, area = _range(match)
                    merged.setdefault(top, []).append(area)
            uncomputed += sum(match.end() > len(tail) for match in _UNCOMPUTED.finditer(text))
            tail = text[-_OVERLAP:]
    return SheetMarkup(merged, uncomputed)


def _range(match: re.Match[bytes]) -> tuple[int, Range]:
    left, top, right, bottom = match.groups()
    return int(top), Range(_column(left), _column(right), int(bottom))


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number
