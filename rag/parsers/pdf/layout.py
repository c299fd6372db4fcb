"""Lines of a PDF page to paragraphs. Pure: knows positions and words, nothing of PDF.

A PDF holds lines, not paragraphs. Two lines are joined only where the break between them looks
forced: the same type size, the usual distance, and a next word that would not have fitted. Rows
of a wide table may be taken for such lines and end up in one paragraph, in the right order.
"""

from __future__ import annotations

import bisect
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

HYPHEN = "\ufffe"
"""What pdfium puts where a word was divided at the end of a line, in place of hyphen and break."""

MARGIN = 0.12
"""Share of the page's height, at top and bottom, in which running lines stand."""
_ITEM = re.compile(r"(?:[•◦▪‣●○■–—*-]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s")
_DENSE = re.compile(
    "[\u2e80-\u2fdf\u3000-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]"
)
_BROKEN_WORD = re.compile(r"\w-$")
_SUSPENDED = re.compile(r"(?:and|or|to|und|oder|bis)\b")
"""What follows the hyphen in '32- and 64-bit'."""
_BROKEN_URL = re.compile(r"\w://\S*[/._?&=%-]$")
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
    bold: bool = False
    span: tuple[int, int] = (0, 0)
    """Where its characters begin and end in the page's text."""
    row: bool = False
    """It is a table's row, and never part of a paragraph."""
    parted: bool = False
    """It has gaps that no space between words is, and is not joined with the next."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word, or the part of one that stands in one cell; `base` is the line it is written on."""

    text: str
    left: float
    right: float
    base: float
    size: float
    bold: bool
    start: int
    """Where it begins in the page's text."""
    length: int

    @property
    def middle(self) -> float:
        """Half the height of a small letter."""
        return self.base + 0.25 * self.size


@dataclass(frozen=True, slots=True)
class Page:
    """The lines of one page in reading order, as the file has it."""

    lines: tuple[Line, ...]
    height: float
    origin: Literal["text", "ocr", "blank", "unread"] = "text"
    """`blank` shows nothing, `unread` is damaged."""


def vocabulary(pages: Iterable[Page]) -> Counter[str]:
    """The words that stand undivided, to tell a divided word from a hyphenated one."""
    words: Counter[str] = Counter()
    for page in pages:
        text = "\n".join(line.text for line in page.lines)
        whole = re.sub(rf"[\w-]*{HYPHEN}\n?\w*", " ", text)
        words.update(word.lower() for word in _WORD.findall(whole))
    return words


def page_text(page: Page, words: Counter[str]) -> str:
    """The page as paragraphs, parted by blank lines; lines of a listing and table rows stay
    lines."""
    lines = page.lines
    if not lines:
        return ""
    tight = 1.25 * pitch(lines)
    columns = _Columns(lines)
    gaps = [above.base - line.base for above, line in pairwise(lines)]
    out = [lines[0].text]
    block_right = lines[0].right
    for at, (above, line) in enumerate(pairwise(lines)):
        near = -0.1 * line.size < gaps[at] <= tight and _same_size(above, line)
        near = near and not (above.row or line.row)
        block_right = max(block_right, line.right) if near else line.right
        if above.row and line.row:
            out.append("\n" + line.text)
        elif above.text.endswith(HYPHEN):
            out.append(line.text)
        elif (near and _is_forced(above, line, columns.right(line, block_right))) or (
            gaps[at] < 0 and _goes_on(above, line, columns)  # in the next column
        ):
            out.append(_joint(above.text, line.text) + line.text)
        elif near or (_is_even(gaps, at, line) and not (above.row or line.row)):
            out.append("\n" + line.text)
        else:
            out.append("\n\n" + line.text)
    return mend_hyphens("".join(out), words)


def page_texts(pages: Sequence[Page], words: Counter[str]) -> Iterator[tuple[str, str]]:
    """Each page's text, and what stands between it and the next: nothing or a space where a
    sentence goes on."""
    texts = [page_text(page, words) for page in pages]
    for number, (text, page) in enumerate(zip(texts, pages, strict=True)):
        behind = pages[number + 1].lines[:1] if number + 1 < len(pages) else ()
        if (
            not page.lines
            or not behind
            or not _goes_on(page.lines[-1], behind[0], _Columns(page.lines))
        ):
            yield text, "\n\n"
        elif text.endswith("-") and text[-2:-1].isalpha():
            head, tail = re.findall(r"[\w-]*$", text[:-1])[0], re.findall(r"\w*", behind[0].text)[0]
            whole = mend_hyphens(head + HYPHEN + tail, words)
            yield text[:-1] if whole == head + tail else text, ""
        else:
            yield text, _joint(text, behind[0].text)


def _goes_on(above: Line, line: Line, columns: _Columns) -> bool:
    """Whether a sentence goes on from the end of a column or page to the start of the next: its
    line is as long as others of its column."""
    prose = not (above.row or line.row or above.mono or line.mono) and _same_size(above, line)
    if not prose or above.text[-1:] in ".!?:;" or not line.text[:1].islower():
        return False
    count, right = columns.reach(above)
    return count > 2 and above.right > right - 6 * above.size


def _joint(above: str, below: str) -> str:
    """What stands between two lines of a paragraph: nothing in a name or address broken in two."""
    if is_dense(above[-1:]) and is_dense(below[:1]):
        return ""
    if _BROKEN_WORD.search(above):
        return " " if _SUSPENDED.match(below) else ""
    broken = _BROKEN_URL.search(above) and not below[:1].isupper()
    return "" if broken and "://" not in below.split(" ", 1)[0] else " "


def is_dense(character: str) -> bool:
    """Whether it belongs to a script that has no spaces between words (Chinese, Japanese)."""
    return _DENSE.match(character) is not None


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


def pitch(lines: Sequence[Line]) -> float:
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


class _Columns:
    """How far lines with about the same left edge reach: one pass over the lines, as a page may
    have very many."""

    def __init__(self, lines: Iterable[Line]) -> None:
        rights: dict[int, tuple[int, float]] = {}
        for line in lines:
            count, right = rights.get(round(line.left), (0, line.right))
            rights[round(line.left)] = count + 1, max(right, line.right)
        self._rights = rights
        self._lefts = sorted(rights)

    def reach(self, line: Line) -> tuple[int, float]:
        """How many lines begin where `line` does, and where the longest of them ends."""
        low = bisect.bisect_left(self._lefts, line.left - line.size)
        high = bisect.bisect_right(self._lefts, line.left + line.size)
        found = [self._rights[left] for left in self._lefts[low:high]]
        return sum(count for count, _ in found), max((right for _, right in found), default=0.0)

    def right(self, line: Line, block_right: float) -> float:
        """Where the column that `line` stands in ends, as far as lines with its left edge show."""
        count, right = self.reach(line)
        return max(block_right, right) if count > 2 else block_right


def _is_forced(above: Line, line: Line, column_right: float) -> bool:
    """Whether the break after `above` was forced: the next word would not have fitted."""
    if (above.mono and line.mono) or above.parted or line.parted or _ITEM.match(line.text):
        return False
    dense = is_dense(line.text[:1])
    # In a narrow column a line may be short; elsewhere short lines are entries of a list.
    least = 12 if dense or line.text[:1].islower() else 25
    if line.left > above.left + 2.5 * line.size or len(above.text) < least:
        return False
    first = line.text[:2] if dense else re.split(r"[\s-]", line.text, maxsplit=1)[0]
    per_char = (line.right - line.left) / max(1, len(line.text))
    return above.right + (len(first) + 1) * per_char > column_right - 0.2 * line.size
