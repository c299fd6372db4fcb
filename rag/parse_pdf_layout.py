"""Lines of a PDF page to paragraphs. Pure: knows positions and words, nothing of PDF.

A PDF holds lines, not paragraphs. Two lines are joined only where the break between them looks
forced: the same type size, the usual distance, and a next word that would not have fitted. Rows
of a wide table may be taken for such lines and end up in one paragraph, in the right order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

HYPHEN = "\ufffe"
"""What pdfium puts where a word was divided at the end of a line, in place of hyphen and break."""

_MARGIN = 0.12
"""Share of the page's height, at top and bottom, in which running lines stand."""
_ITEM = re.compile(r"(?:[•◦▪‣●○■–—*-]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text as it stands on the page, in points from the page's bottom left."""

    text: str
    left: float
    right: float
    base: float
    size: float
    mono: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """The lines of one page in reading order, as the file has it."""

    lines: tuple[Line, ...]
    height: float


def without_running_lines(pages: Sequence[Page]) -> list[Page]:
    """The pages without headers and footers that stand on most of them.

    Only lines in the outer margins that come at the same height with the same words, figures
    aside, on at least three pages and on two fifths of all (left and right pages may alternate).
    """
    edges = [_edge_lines(page) for page in pages]
    counts = Counter(key for edge in edges for key in {_running_key(line) for line in edge})
    needed = max(3, 0.4 * sum(1 for page in pages if page.lines))
    running = {key for key, count in counts.items() if count >= needed}
    if not running:
        return list(pages)
    kept = []
    for page, edge in zip(pages, edges, strict=True):
        drop = {id(line) for line in edge if _running_key(line) in running}
        lines = tuple(line for line in page.lines if id(line) not in drop)
        kept.append(Page(lines, page.height))
    return kept


def vocabulary(pages: Iterable[Page]) -> Counter[str]:
    """The words that stand undivided, to tell a divided word from a hyphenated one."""
    words: Counter[str] = Counter()
    for page in pages:
        text = "\n".join(line.text for line in page.lines)
        whole = re.sub(rf"[\w-]*{HYPHEN}\n?\w*", " ", text)
        words.update(word.lower() for word in _WORD.findall(whole))
    return words


def page_text(page: Page, words: Counter[str]) -> str:
    """The page as paragraphs, parted by blank lines; lines of a listing stay lines."""
    lines = page.lines
    if not lines:
        return ""
    tight = 1.25 * _pitch(lines)
    gaps = [above.base - line.base for above, line in pairwise(lines)]
    out = [lines[0].text]
    block_right = lines[0].right
    for at, (above, line) in enumerate(pairwise(lines)):
        near = -0.1 * line.size < gaps[at] <= tight and _same_size(above, line)
        block_right = max(block_right, line.right) if near else line.right
        if above.text.endswith(HYPHEN):
            out.append(line.text)
        elif near and _is_forced(above, line, _column_right(lines, line, block_right)):
            out.append(" " + line.text)
        elif near or _is_even(gaps, at, line):
            out.append("\n" + line.text)
        else:
            out.append("\n\n" + line.text)
    return mend_hyphens("".join(out), words)


def _is_even(gaps: Sequence[float], at: int, line: Line) -> bool:
    """Whether a wide gap is one of three alike in a row, as between the rows of a table."""
    alike = [abs(gap - gaps[at]) < 0.3 for gap in gaps[max(0, at - 2) : at + 3]]
    here = min(at, 2)
    runs = (alike[start : start + 3] for start in range(here - 2 if here > 1 else 0, here + 1))
    return 0 < gaps[at] < 3 * line.size and any(len(run) == 3 and all(run) for run in runs)


def mend_hyphens(text: str, words: Counter[str]) -> str:
    """Divided words made whole. The hyphen stays where the document itself writes it, or writes
    both halves as words of their own but never the whole ('vSphere-based')."""

    def mended(match: re.Match[str]) -> str:
        left, right = match[1], match[2]
        head, tail = left.lower().rpartition("-")[2], right.lower()
        if words[head + tail]:
            return left
        hyphenated = words[f"{head}-{tail}"] or (words[head] and words[tail])
        divided = head[-1:].isalpha() and right[:1].islower()
        return left if divided and not hyphenated else left + "-"

    return re.sub(rf"([\w-]*){HYPHEN}(?=(\w*))", mended, text)


def _edge_lines(page: Page) -> list[Line]:
    """Lines in the outer margins. A page with nothing else has no running lines: a title page."""
    top = (1 - _MARGIN) * page.height
    low = _MARGIN * page.height
    edge = [line for line in page.lines if line.base > top or line.base < low]
    return edge if len(edge) < len(page.lines) else []


def _running_key(line: Line) -> tuple[str, int]:
    words = re.sub(r"\b[ivxlc]+\b|\d+", "#", line.text.lower())
    return re.sub(r"[#\s]+", "#", words), round(line.base / 3)


def _pitch(lines: Sequence[Line]) -> float:
    """The usual distance between lines of the page, for the commonest type size."""
    size = Counter(round(line.size, 1) for line in lines).most_common(1)[0][0]
    gaps = [
        above.base - line.base
        for above, line in pairwise(lines)
        if abs(line.size - size) < 0.5 and 0.5 * size < above.base - line.base < 2.2 * size
    ]
    return max(median(gaps), size) if gaps else 1.2 * size


def _same_size(above: Line, line: Line) -> bool:
    return abs(above.size - line.size) <= 0.08 * max(above.size, line.size)


def _column_right(lines: Sequence[Line], line: Line, block_right: float) -> float:
    """Where the column that `line` stands in ends, as far as lines with its left edge show."""
    rights = [other.right for other in lines if abs(other.left - line.left) < line.size]
    return max(block_right, max(rights, default=block_right)) if len(rights) > 2 else block_right


def _is_forced(above: Line, line: Line, column_right: float) -> bool:
    """Whether the break after `above` was forced: the next word would not have fitted."""
    if (above.mono and line.mono) or _ITEM.match(line.text):
        return False
    if line.left > above.left + 2.5 * line.size or len(above.text) < 25:
        return False
    first = re.split(r"[\s-]", line.text, maxsplit=1)[0]
    per_char = (line.right - line.left) / max(1, len(line.text))
    return above.right + (len(first) + 1) * per_char > column_right - 0.2 * line.size
