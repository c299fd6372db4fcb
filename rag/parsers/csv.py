"""CSV and TSV as lines that each name their columns, the same as a sheet of a workbook.

The delimiter is found by reading the first rows with each candidate: the one that cuts them into
the same number of cells. The standard library's Sniffer guesses by characters, fails on texts with
commas, and needs quadratic time on some.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from rag.parsers.table_grid import table_lines
from rag.parsers.table_rows import limited
from rag.parsers.text import clean, decode
from rag.schema import ParsedDocument

_DELIMITERS = ",;\t|"
_SAMPLE = 64 * 1024
_SAMPLE_ROWS = 100
_MAX_TEXT = 50_000_000
_DECLARED = re.compile(r'"?sep=([,;|:\t^~])"?[ \t]*\n')


def parse_csv(data: bytes, suffix: str) -> ParsedDocument:
    """Rows as `- Header: value; Header: value`. Without a title: the file's name is as good.

    Rows of uneven length keep all their values, those past the header as `Column 7`. A quotation
    mark that is never closed costs the quoting of the rows it spans, not their text.
    """
    text, warnings = decode(data)
    text = clean(text)
    declared = _DECLARED.match(text)  # the line that Excel writes for itself
    if declared:
        text = text[declared.end() :]
    delimiter = declared[1] if declared else "\t" if suffix == ".tsv" else _delimiter(text)
    torn = _Torn()
    found, whole = limited(table_lines(_rows(text, delimiter, torn), 2), _MAX_TEXT)
    if torn.lines:
        warnings += (f"quotation marks do not pair up: {torn.lines} lines were read without them",)
    if not whole:
        warnings += ("too large to be read to the end: split it",)
    found = re.sub(r"\n{3,}", "\n\n", found).strip()
    media = "text/tab-separated-values" if suffix == ".tsv" else "text/csv"
    return ParsedDocument("", found, media, warnings=warnings)


class _Torn:
    """Counts lines whose quotation marks had to be taken as text."""

    lines = 0


def _delimiter(text: str) -> str:
    """The candidate under which most rows have the same number of cells, and more than one."""
    sample = text[:_SAMPLE]
    if len(text) > _SAMPLE:
        sample = sample.rpartition("\n")[0] or sample
    return max(_DELIMITERS, key=lambda delimiter: _fit(sample, delimiter))


def _fit(sample: str, delimiter: str) -> tuple[float, int]:
    """(share of rows with the commonest number of cells, that number); (0, 0) for no cut at all."""
    lines = sample.splitlines(keepends=True)
    try:
        rows = [row for row in islice(csv.reader(lines, delimiter=delimiter), _SAMPLE_ROWS) if row]
    except csv.Error:
        rows = [line.split(delimiter) for line in lines[:_SAMPLE_ROWS]]
    cut = Counter(len(row) for row in rows if len(row) > 1)
    if not cut:
        return 0.0, 0
    width, count = max(cut.items(), key=lambda item: (item[1], item[0]))
    return count / len(rows), width


def _rows(text: str, delimiter: str, torn: _Torn) -> Iterator[list[str]]:
    """Rows of cells. Where a quotation mark swallows what follows, that is read again without.

    The csv module bounds a cell at 131,072 characters; no line is read more than twice.
    """
    lines = text.splitlines(keepends=True)
    feed = iter(lines)
    at = 0
    while at < len(lines):
        reader = csv.reader(feed, delimiter=delimiter)
        first = at
        try:
            for row in reader:
                behind = first + reader.line_num
                if behind == len(lines) and _is_open(lines[at:], delimiter):
                    break
                at = behind
                yield row
        except csv.Error:
            behind = first + reader.line_num
        for line in lines[at:behind]:
            torn.lines += 1
            yield line.rstrip("\n").split(delimiter)
        at = behind


def _is_open(lines: list[str], delimiter: str) -> bool:
    """Whether the last row ends inside a quotation."""
    try:
        for _ in csv.reader(lines, delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False
