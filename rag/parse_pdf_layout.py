"""Lines of a PDF page to paragraphs. Pure: knows positions and words, nothing of PDF.

A PDF holds lines, not paragraphs. Two lines are joined only where the break between them looks
forced: the same type size, the usual distance, and a next word that would not have fitted. Rows
of a wide table may be taken for such lines and end up in one paragraph, in the right order.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from statistics import median

HYPHEN = "\ufffe"
"""What pdfium puts where a word was divided at the end of a line, in place of hyphen and break."""

MARGIN = 0.12
"""Share of the page's height, at top and bottom, in which running lines stand."""
_ITEM = re.compile(r"(?:[•◦▪‣●○■–—*-]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s")
_PAGE_NUMBER = re.compile(r"\b(?:\d{1,6}|[ivxlc]{1,8})\b")
_AHEAD = re.compile(r"#(-?\d+)#")
"""In a running line's key: how much its page number is ahead of the page's place in the file."""
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
_RUNNING = 0.4
"""Share of the pages, from the first with a line to the last, that have it; left and right pages
may alternate."""
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


def without_running_lines(pages: Sequence[Page]) -> list[Page]:
    """The pages without headers and footers that stand on most of them, or on most of a chapter.

    Only lines in the outer margins, in no larger type than the page's own, that come at the same
    height with the same words. A number may differ if it counts as the pages do: 'Error 7' above
    a page is a running line only where the next page says 'Error 8'.
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
    tight = 1.25 * _pitch(lines)
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
        elif (near and _is_forced(above, line, _column_right(lines, line, block_right))) or (
            gaps[at] < 0 and _goes_on(above, line, lines)  # in the next column
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
        if not page.lines or not behind or not _goes_on(page.lines[-1], behind[0], page.lines):
            yield text, "\n\n"
        elif text.endswith("-") and text[-2:-1].isalpha():
            head, tail = re.findall(r"[\w-]*$", text[:-1])[0], re.findall(r"\w*", behind[0].text)[0]
            whole = mend_hyphens(head + HYPHEN + tail, words)
            yield text[:-1] if whole == head + tail else text, ""
        else:
            yield text, _joint(text, behind[0].text)


def _goes_on(above: Line, line: Line, lines: Sequence[Line]) -> bool:
    """Whether a sentence goes on from the end of a column or page to the start of the next: its
    line is as long as others of its column, among `lines`, and not its last."""
    prose = not (above.row or line.row or above.mono or line.mono) and _same_size(above, line)
    if not prose or above.text[-1:] in ".!?:;" or not line.text[:1].islower():
        return False
    size = above.size
    peers = [other.right for other in lines if abs(other.left - above.left) < size]
    return len(peers) > 2 and above.right > max(peers) - 6 * size


def _joint(above: str, below: str) -> str:
    """What stands between two lines of a paragraph: nothing in a name or address broken in two."""
    if _BROKEN_WORD.search(above):
        return " " if _SUSPENDED.match(below) else ""
    broken = _BROKEN_URL.search(above) and not below[:1].isupper()
    return "" if broken and "://" not in below.split(" ", 1)[0] else " "


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


def _edge_lines(page: Page, usual: float) -> list[Line]:
    """Lines in the outer margins. A page with nothing else has no running lines: a title page."""
    top = (1 - MARGIN) * page.height
    low = MARGIN * page.height
    largest = 1.1 * max(usual, median_size(page.lines))
    edge = [line for line in page.lines if line.base > top or line.base < low]
    if len(edge) == len(page.lines):
        return []
    return [line for line in edge if line.size <= largest]


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
    if (above.mono and line.mono) or above.parted or line.parted or _ITEM.match(line.text):
        return False
    if line.left > above.left + 2.5 * line.size or len(above.text) < 25:
        return False
    first = re.split(r"[\s-]", line.text, maxsplit=1)[0]
    per_char = (line.right - line.left) / max(1, len(line.text))
    return above.right + (len(first) + 1) * per_char > column_right - 0.2 * line.size
