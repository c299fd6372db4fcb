"""Headers and footers of a PDF: lines that run through its pages. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from statistics import median

from rag.parsers.pdf.layout import MARGIN, Line, Page, pitch

_PAGE_NUMBER = re.compile(r"\b(?:\d{1,6}|[ivxlc]{1,8})\b")
_AHEAD = re.compile(r"#(-?\d+)#")
"""In a running line's key: how much its page number is ahead of the page's place in the file."""
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
_RUNNING = 0.4
"""Share of the pages, from the first with a line to the last, that have it; left and right pages
may alternate."""


def without_running_lines(pages: Sequence[Page]) -> list[Page]:
    """The pages without headers and footers that stand on most of them, or on most of a chapter.

    Only lines in the outer margins, apart from the text and in no larger type, that come at the
    same height with the same words. A number may differ if it counts as the pages do: 'Error 7'
    above a page is a running line only where the next page says 'Error 8'.
    """
    usual = median_size([line for page in pages for line in page.lines])
    edges = [_edge_lines(page, usual) for page in pages]
    stands_on: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number, edge in enumerate(edges):
        for key in {key for line in edge for key in _running_keys(line, number)}:
            stands_on[key].append(number)
    filled = [0, *accumulate(1 if page.lines else 0 for page in pages)]
    running = {
        key
        for key, on in stands_on.items()
        if len(on) >= max(3, _RUNNING * (filled[on[-1] + 1] - filled[on[0]]))
    }
    if not running:
        return list(pages)
    ahead = {match[1] for key, _ in running if (match := _AHEAD.search(key))}
    kept = []
    for number, (page, edge) in enumerate(zip(pages, edges, strict=True)):
        drop = {
            id(line)
            for line in edge
            for key in _running_keys(line, number)
            # Alone at the foot of a chapter's first page the number may be where no other has it.
            if key in running or ((alone := _AHEAD.fullmatch(key[0])) and alone[1] in ahead)
        }
        kept.append(replace(page, lines=tuple(line for line in page.lines if id(line) not in drop)))
    return kept


def _edge_lines(page: Page, usual: float) -> list[Line]:
    """Lines in the outer margins that stand apart from the text.

    A page with nothing else has no running lines: a title page.
    """
    lines = sorted(page.lines, key=lambda line: -line.base)
    if not lines:
        return []
    apart = 1.3 * pitch(lines)
    top = next((i for i, line in enumerate(lines) if line.base <= (1 - MARGIN) * page.height), 0)
    low = next((i for i, line in enumerate(lines) if line.base < MARGIN * page.height), len(lines))
    if top >= low:
        return []
    gaps = [above.base - line.base for above, line in pairwise(lines)]
    while top and gaps[top - 1] < apart:
        top -= 1
    while low < len(lines) and gaps[low - 1] < apart:
        low += 1
    largest = 1.1 * max(usual, median_size(page.lines))
    return [line for line in [*lines[:top], *lines[low:]] if line.size <= largest]


def _running_keys(line: Line, number: int) -> list[tuple[str, int]]:
    """What a line has in common with its like on other pages: its words and height, with each of
    its numbers as it is or as its distance to the page's."""
    words = " ".join(line.text.lower().split())
    height = round(line.base / 3)
    found = list(_PAGE_NUMBER.finditer(words))
    keys = [(words, height)]
    for match in [*found[:1], *found[1:][-1:]]:
        ahead = (_number(match[0]) or 0) - number
        keys.append((f"{words[: match.start()]}#{ahead}#{words[match.end() :]}", height))
        if match.start() == 0 or match.end() == len(words):  # beside it what the page is about
            keys.append((f"{match.start() == 0}#{ahead}#", height))
    return keys


def _number(figures: str) -> int | None:
    """The value of a number in arabic or roman figures."""
    if figures.isdecimal():
        return int(figures)
    values = [_ROMAN[figure] for figure in figures]
    return sum(-value if value < max(values[at:]) else value for at, value in enumerate(values))


def median_size(lines: Sequence[Line]) -> float:
    """The usual type size."""
    return median(line.size for line in lines) if lines else 0.0
