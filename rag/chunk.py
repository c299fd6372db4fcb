"""ParsedDocument -> Chunks: structure first, then sentences, within a token budget. Pure.

A chunk never crosses a heading. Inside a section, whole sentences (or list items, table rows, lines
of code) are packed until the budget is full; the last `overlap_sentences` of one chunk open the
next. A list, table or block of code is not parted if it can help it: to hold it whole, with what
leads in to it, a chunk may grow beyond the budget up to `block_tokens`. A single sentence over the
budget is cut before a word. The heading path costs tokens too, because it is prepended for
embedding.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.schema import Chunk, ParsedDocument
from rag.sentences import sentence_spans

TokenStarts = Callable[[str], NDArray[np.int64]]
"""Text -> character offset at which each token begins, rising; shape (n,)."""

_HEADING = re.compile(r"(#{1,6})[ \t]+(?=[^ \t])")
_LONGEST_HEADING = 300
"""A longer line is a paragraph, whatever it begins with: a path of such would fill the window."""
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})([^\n]*)")
_ITEM = re.compile(r"[ \t]*(?:[-*+•▪◦]|\d{1,3}[.)]|\|)[ \t]*\S")
_SPECIAL_TOKENS = 2
_BLOCK_CHARACTERS = 50_000


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of text below one heading path; `start` is behind the heading line."""

    start: int
    end: int
    heading_path: tuple[str, ...]


def chunk_document(
    document: ParsedDocument,
    token_starts: TokenStarts,
    max_tokens: int,
    overlap_sentences: int,
    block_tokens: int = 0,
) -> list[Chunk]:
    """Cut `document` into passages of at most `max_tokens` tokens, heading path included.

    Those that end in a list, table or block of code may have `block_tokens`, if that is more.
    """
    chunks: list[Chunk] = []
    for section in sections(document):
        heading = place(document.title, section.heading_path)
        taken = _SPECIAL_TOKENS + len(token_starts(heading))
        budget = max(16, max_tokens - taken)
        largest = max(budget, block_tokens - taken)
        units = list(_units(document.text, section, token_starts, budget))
        costs = [cost for _, _, cost in units]
        wholes = _wholes(document.text, section, units, largest)
        for first, last in _pack(costs, wholes, budget, largest, overlap_sentences):
            start, end = units[first][0], units[last][1]
            chunks.append(
                Chunk(
                    ordinal=len(chunks),
                    start=start,
                    end=end,
                    text=document.text[start:end],
                    heading_path=section.heading_path,
                    page=page_at(document.page_starts, start),
                )
            )
    return chunks


def place(title: str, heading_path: tuple[str, ...]) -> str:
    """Where a passage stands: its document's title and the headings above it."""
    above = [title, *heading_path] if title and heading_path[:1] != (title,) else heading_path
    return " > ".join(above)


def embedding_text(heading: str, text: str) -> str:
    """What is embedded for a passage: where it stands, then what it says."""
    return f"{heading}\n{text}" if heading else text


def page_at(page_starts: Sequence[int], offset: int) -> int | None:
    """Page number, counted from 1, that holds `offset`; None where there are no pages."""
    return bisect.bisect_right(page_starts, offset) or None if page_starts else None


def sections(document: ParsedDocument) -> Iterator[Section]:
    """Sections in reading order; text before the first heading has the empty path."""
    if document.headings is not None:
        marks = [(offset, offset, path) for offset, path in document.headings]
    else:
        marks = list(_markdown_headings(document.text))
    at = 0
    path: tuple[str, ...] = ()
    found = False
    for start, behind, next_path in [*marks, (len(document.text), 0, ())]:
        if document.text[at:start].strip():
            yield Section(at, start, path)
            found = True
        at, path = behind, next_path
    if not found and document.text.strip():  # headings alone: they are the text
        yield Section(0, len(document.text), ())


def _markdown_headings(text: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """(start of the heading line, offset behind it, path), outside fenced code."""
    levels: list[tuple[int, str]] = []
    fence, at = "", 0
    for line in text.splitlines(keepends=True):
        if fence or _FENCE.match(line):
            fence = _fence_behind(line, fence)
        elif heading := _heading(line):
            depth, title = heading
            levels = [entry for entry in levels if entry[0] < depth]
            levels.append((depth, title))
            yield at, at + len(line), tuple(title for _, title in levels)
        at += len(line)


def _fence_behind(line: str, fence: str) -> str:
    """The fence that is open behind `line`, given the one open before it; '' is none.

    As in CommonMark: closed by as many of the same marks and nothing else on the line.
    """
    match = _FENCE.match(line)
    if match is None:
        return fence
    marks, rest = match.groups()
    if not fence:
        return "" if marks[0] == "`" and "`" in rest else marks  # else it is ```inline``` code
    return "" if marks.startswith(fence) and not rest.strip() else fence


def _heading(line: str) -> tuple[int, str] | None:
    """(level, title) of a heading line. Without a regular expression that could go back."""
    match = _HEADING.match(line) if len(line) <= _LONGEST_HEADING else None
    if match is None:
        return None
    title = line[match.end() :].strip()
    bare = title.rstrip("#")
    if not bare or bare[-1].isspace():  # closing marks; "# C#" has none
        title = bare.rstrip()
    return (len(match.group(1)), title) if title else None


def _units(
    text: str, section: Section, token_starts: TokenStarts, budget: int
) -> Iterator[tuple[int, int, int]]:
    """(start, end, tokens) of each sentence, none of them over the budget."""
    for block_start, block_end in _blocks(text, section):
        starts = token_starts(text[block_start:block_end]) + block_start
        for start, end in sentence_spans(text, block_start, block_end):
            low, high = (int(i) for i in np.searchsorted(starts, (start, end)))
            while high - low > budget:
                stop = _cut(text, starts, low, low + budget)
                behind = int(starts[stop])
                yield start, start + len(text[start:behind].rstrip()), stop - low
                start, low = behind + text[behind].isspace(), stop
            yield start, end, high - low


def _blocks(text: str, section: Section) -> Iterator[tuple[int, int]]:
    """Stretches short enough for the tokenizer, cut behind a line where there is one."""
    start = section.start
    while start < section.end:
        end = min(section.end, start + _BLOCK_CHARACTERS)
        if end < section.end and (line := text.rfind("\n", start, end)) > start:
            end = line + 1
        yield start, end
        start = end


def _cut(text: str, starts: NDArray[np.int64], low: int, stop: int) -> int:
    """The last token up to `stop` that begins a word; `stop` where a single word fills it all."""
    for i in range(stop, low, -1):
        # Some tokenizers count the space before a word as its first character.
        if text[starts[i]].isspace() or text[starts[i] - 1].isspace():
            return i
    return stop


def _wholes(
    text: str, section: Section, units: Sequence[tuple[int, int, int]], largest: int
) -> dict[int, int]:
    """First unit -> the one behind the last of each list, table and block of code.

    Those of more than `largest` tokens have to be parted anyway, so they are left out.
    """
    starts = [start for start, _, _ in units]
    found = {}
    for start, end in _groups(text, section):
        first, behind = bisect.bisect_left(starts, start), bisect.bisect_left(starts, end)
        if behind > first and sum(cost for _, _, cost in units[first:behind]) <= largest:
            found[first] = behind
    return found


def _groups(text: str, section: Section) -> Iterator[tuple[int, int]]:
    """Spans of lists, tables and fenced code, as far as lines tell."""
    kind, fence, begun, at = "", "", section.start, section.start
    for line in text[section.start : section.end].splitlines(keepends=True):
        if fence or _FENCE.match(line):
            now, fence = "code", _fence_behind(line, fence)
        elif _ITEM.match(line):
            now = "items"
        elif kind == "items" and (line[0].isspace() or not line.strip()):
            now = "items"  # the rest of an item, or what is between two
        else:
            now = ""
        if now != kind:
            if kind:
                yield begun, at
            kind, begun = now, at
        at += len(line)
        if kind == "code" and not fence:  # two blocks in a row are two
            yield begun, at
            kind = ""
    if kind:
        yield begun, at


def _pack(
    costs: Sequence[int], wholes: dict[int, int], budget: int, largest: int, overlap: int
) -> Iterator[tuple[int, int]]:
    """Inclusive ranges of units whose costs fit into the budget, overlapping by `overlap` units."""
    first, total, inside = 0, 0, 0
    for i, cost in enumerate(costs):
        if i >= inside:
            inside = wholes.get(i, i + 1)
            room = largest if i in wholes else budget
            needed = sum(costs[i:inside])
            if total + needed > room and i > first:
                yield first, i - 1
                first, total = _step_back(costs, i, room - needed, budget, overlap)
        total += cost
    if costs:
        yield first, len(costs) - 1


def _step_back(
    costs: Sequence[int], i: int, room: int, budget: int, overlap: int
) -> tuple[int, int]:
    """First unit of the chunk that must hold unit `i`, and what the units before `i` cost.

    The overlap gives way where it would fill more than a quarter of the budget, or leave too little
    `room` for what it is put before.
    """
    first, total = i, 0
    while first > 0 and i - first < overlap:
        carried = total + costs[first - 1]
        if carried > min(budget // 4, room):
            break
        first, total = first - 1, carried
    return first, total
