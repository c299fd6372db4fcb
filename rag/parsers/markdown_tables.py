"""Tables in Markdown as rows that name their columns; every other character stays what it is.

markdown-it says where tables are: the pipes in a code block are none. Its own rule for them makes
three objects of every cell, which takes minutes for a sheet pasted into a page, so its place is
taken by one that only marks the lines. Of HTML tables those are taken that begin a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from rag.errors import ParseError
from rag.parsers.table_rows import document_table, limited, parted, plain_label

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

_MAX_ROWS_TEXT = 50_000_000
"""Characters of all rows together. Tables beyond it stay as they are written."""

_DELIMITER = re.compile(r"^[ \t>]*[-:|][-:| \t]*$", re.MULTILINE)
_TABLE_TAG = re.compile(r"<(/?)table\b[^<>]*>", re.IGNORECASE)
_UNSEEN = re.compile(r"\s*<(?:!|\?|(?:pre|script|style|textarea)\b)", re.IGNORECASE)
_MARKDOWN_INSIDE = re.compile(r"^[ \t]*(?:`{3}|~{3}|#{1,6}[ \t]|\|)", re.MULTILINE)
_BAR = re.compile(r"(?<!\\)\|")
_BLOCK_TAG = re.compile(r"</?(?:p|ul|ol|li|div)\b[^<>]*>", re.IGNORECASE)
_LINE_BREAK = re.compile(r"<br\b[^<>]*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Found:
    """A table at `text[start:end]`, whole lines of it."""

    start: int
    end: int
    shown: Iterator[str]


def tables_as_rows(text: str) -> str:
    """The text with its tables as rows. One that stays as it is has no text or too much."""
    if not (_may_hold_pipes(text) or _TABLE_TAG.search(text)):
        return text
    pieces: list[str] = []
    at, room = 0, _MAX_ROWS_TEXT
    for found in _tables(text):
        if found.start < at:
            continue
        shown, whole = limited(found.shown, room)
        if whole and shown:
            pieces += (text[at : found.start], shown)
            at, room = found.end, room - len(shown)
    return "".join((*pieces, text[at:]))


def _may_hold_pipes(text: str) -> bool:
    """Whether a line of dashes follows one with a bar: far cheaper than to parse."""
    for match in _DELIMITER.finditer(text):
        before = text.rfind("\n", 0, max(0, match.start() - 1)) + 1
        if "|" in text[before : match.start()]:
            return True
    return False


def _tables(text: str) -> Iterator[_Found]:
    starts = [0, *(match.end() for match in re.finditer("\n", text)), len(text) + 1]
    tables = _html_tables(text)
    for token in _parser().parse(text):
        if token.map is None:
            continue
        start, end = starts[token.map[0]], starts[token.map[1]] - 1
        if token.type == "table":
            yield _Found(start, end, _pipe_table(text[start:end].split("\n"), token))
        elif token.type == "html_block" and tables:
            yield from _html_block(text, start, end, tables)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Only where blocks are matters, not what stands in them.
    parser = MarkdownIt("commonmark").disable(["inline", "text_join", "reference"])
    parser.block.ruler.before("code", "rows", _mark_table, {"alt": ["paragraph"]})
    return parser


def _mark_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Like markdown-it's rule, of which it asks whether a table begins; the table as one token."""
    from markdown_it.rules_block import table

    if not table(state, start, end, True):
        return False
    if silent:
        return True
    ending = state.md.block.ruler.getRules("blockquote")
    line = start + 2
    while line < end and state.sCount[line] >= state.blkIndent:
        if state.isEmpty(line) or state.is_code_block(line):
            break
        if any(rule(state, line, end, True) for rule in ending):
            break
        line += 1
    token = state.push("table", "table", 0)
    token.map = [start, line]
    contents = [state.bMarks[i] + state.tShift[i] for i in range(start, line)]
    token.meta = {"indents": [at - state.src.rfind("\n", 0, at) - 1 for at in contents]}
    state.line = line
    return True


def _pipe_table(lines: Sequence[str], token: Token) -> Iterator[str]:
    indents: list[int] = token.meta["indents"]
    rows = (_cells(line[indent:]) for line, indent in zip(lines, indents, strict=True))
    head = [[plain_label(cell) for cell in next(rows)]]
    next(rows)
    # What stands before the table on its lines (the marks of a quotation, the indent of an item).
    first, other = lines[0][: indents[0]], lines[1][: indents[1]]
    for number, row in enumerate(document_table(head, rows)):
        yield (other if number else first) + row


def _cells(line: str) -> list[str]:
    line = line.strip().removeprefix("|")
    cells = [_cell(cell.strip().replace("\\|", "|")) for cell in _BAR.split(line)]
    return cells[:-1] if cells and not cells[-1] else cells


def _cell(text: str) -> str:
    if "<" not in text:
        return text
    return parted(parted(_LINE_BREAK.split(p), flowing=True) for p in _BLOCK_TAG.split(text))


def _html_tables(text: str) -> dict[int, int]:
    """Start -> end of the HTML tables that begin a line and lie in no other; all in one pass, as a
    file may open a hundred thousand of them and close none."""
    opened: list[int] = []
    closed: list[tuple[int, int]] = []
    for tag in _TABLE_TAG.finditer(text):
        if not tag[1]:
            opened.append(tag.start())
        elif opened:
            start = opened.pop()
            while closed and closed[-1][0] > start:
                closed.pop()
            closed.append((start, tag.end()))
    return {start: end for start, end in closed if not _before(text, start).strip()}


def _html_block(text: str, start: int, end: int, tables: dict[int, int]) -> Iterator[_Found]:
    """The tables in a block of HTML. One that holds Markdown, which HTML's rules would spoil, stays
    as it is."""
    if _UNSEEN.match(text, start, end):
        return
    for tag in _TABLE_TAG.finditer(text, start, end):
        behind = tables.get(tag.start())
        if behind and not _MARKDOWN_INSIDE.search(text, tag.end(), behind):
            yield _Found(tag.start(), behind, _html_rows(text, tag.start(), behind))


def _html_rows(text: str, start: int, end: int) -> Iterator[str]:
    from rag.parsers.html import html_to_markdown

    try:
        lines = html_to_markdown(text[start:end])[1].split("\n")
    except ParseError:
        return
    indent = _before(text, start)
    for number, line in enumerate(lines):
        yield indent + line if number and line else line
    if text[end : end + 1].strip():
        yield indent


def _before(text: str, at: int) -> str:
    return text[text.rfind("\n", 0, at) + 1 : at]
