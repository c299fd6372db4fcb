"""Headings of a PDF: from its outline (the bookmarks), else from what is set in larger type. Pure
but for reading the bookmarks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rag.parsers.pdf.layout import HYPHEN, Line, Page
from rag.parsers.text import clean

_MAX_BOOKMARKS = 10_000
_LARGER = 1.12
"""Type size of a heading against that of the text."""
_MAX_LEVELS = 5
_LONGEST = 150
_MOST = 0.4
"""Share of the lines; where more are large, size says nothing: slides, forms, posters."""
_NUMBERED = re.compile(r"(?:\d{1,2}(?:\.\d{1,2}){0,4}\.?|[A-Z](?:\.\d{1,2}){1,4})\s+[^\W\d]")


@dataclass(frozen=True, slots=True)
class Bookmark:
    level: int
    title: str
    page: int
    """Counted from 0; -1 where it leads nowhere."""


def read_bookmarks(document: Any) -> list[Bookmark]:
    """The outline. An entry that leads nowhere (page -1) still names those below it."""
    found = []
    for entry in islice(document.get_toc(), _MAX_BOOKMARKS):
        target = entry.get_dest()
        page = target.get_index() if target is not None else None
        title = " ".join(clean(entry.get_title()).split())
        if title:
            found.append(Bookmark(entry.level, title, -1 if page is None else page))
    return found


def large_type(pages: Sequence[Page]) -> list[Bookmark]:
    """Lines that look like headings, as bookmarks: in larger type, or numbered and in bold.

    The larger the type the higher the level; numbers have no say. Pages that OCR read have no type
    sizes worth the name.
    """
    lines = [line for page in pages for line in page.lines if not line.row and not line.mono]
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[round(line.size, 1)] += len(line.text)
    if not sizes:
        return []
    usual = sizes.most_common(1)[0][0]
    found = [
        (number, title, size if size > _LARGER * usual else 0.0)
        for number, page in enumerate(pages)
        if page.origin == "text"
        for title, size in _titles(page.lines, usual)
    ]
    if len(found) > max(3, _MOST * len(lines)):
        return []
    sizes_found = sorted({round(size) for _, _, size in found}, reverse=True)
    ranks = {size: min(rank, _MAX_LEVELS - 1) for rank, size in enumerate(sizes_found)}
    return [Bookmark(ranks[round(size)], title, number) for number, title, size in found]


def _titles(lines: Sequence[Line], usual: float) -> Iterator[tuple[str, float]]:
    """(title, type size); a title on several lines is one."""
    text, above = "", None
    for line in [*lines, None]:
        is_heading = line is not None and _is_heading(line, usual)
        if above and line and is_heading and _same_title(above, line):
            text = f"{text}{'' if text.endswith(HYPHEN) else ' '}{line.text}"
        else:
            if above and len(text) <= _LONGEST:
                yield text.replace(HYPHEN, "-"), above.size
            text = line.text if line and is_heading else ""
        above = line if is_heading else None


def _is_heading(line: Line, usual: float) -> bool:
    if line.row or line.mono or sum(map(str.isalpha, line.text)) < 3:
        return False
    if line.size > _LARGER * usual:
        return line.text[-1] not in ".,;"
    numbered = line.bold and _NUMBERED.match(line.text) is not None
    return numbered and line.size > 0.95 * usual and line.text[-1] not in ".,;:"


def _same_title(above: Line, line: Line) -> bool:
    same = abs(above.size - line.size) < 0.5 and above.bold == line.bold
    return same and 0 < above.base - line.base < 1.35 * line.size and not _NUMBERED.match(line.text)


def outline_headings(
    bookmarks: Sequence[Bookmark], texts: Sequence[str], starts: Sequence[int]
) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Where each bookmark's words open a line on its page, else the start of the page.

    Of several at one place the deepest of one branch stays; of two branches what they share.
    """
    placed: list[tuple[int, tuple[str, ...]]] = []
    path: tuple[str, ...] = ()
    searched: dict[int, int] = {}
    for mark in bookmarks:
        path = (*path[: mark.level], mark.title)
        if not 0 <= mark.page < len(texts):
            continue
        text = texts[mark.page]
        match = _heading_pattern(mark.title).search(text, searched.get(mark.page, 0))
        match = match or _heading_pattern(mark.title).search(text)
        if match:
            searched[mark.page] = match.end()
        placed.append((starts[mark.page] + (match.start() if match else 0), path))
    found: dict[int, tuple[str, ...]] = {}
    for offset, path in sorted(placed, key=lambda item: item[0]):
        other = found.get(offset, path)
        found[offset] = path if path[: len(other)] == other else _shared(other, path)
    return tuple(found.items())


def _heading_pattern(title: str) -> re.Pattern[str]:
    """The title at the start of a line, with or without a number that only one of them has."""
    number = r"(?:(?:chapter|section|part|appendix)\s+)?(?:\d+(?:\.\d+)*|[A-Z](?:\.\d+)*)[.:)]?\s+"
    words = re.sub(f"(?i)^{number}(?=\\S)", "", title).split()
    body = r"\s+".join(map(re.escape, words))
    return re.compile(rf"^(?:{number})?{body}(?!\w)", re.IGNORECASE | re.MULTILINE)


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    same = [a for a, b in zip(one, other, strict=False) if a == b]
    return one[: len(same)] if same and one[: len(same)] == tuple(same) else one
