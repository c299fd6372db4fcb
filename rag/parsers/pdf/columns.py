"""Words of a PDF page to lines and columns, by where they stand. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from rag.parsers.pdf.layout import Word

OVERHANG = 2.0
"""Points by which a word may reach over a column's edge."""
WIDE_GAP = 1.2
"""Between columns without rules, in type sizes."""
NARROW_GAP = 0.5
"""Between columns below common rules; wider than any space between words."""

Span = tuple[float, float]
"""From the left to the right edge."""


def visual_rows(words: Sequence[Word]) -> list[list[Word]]:
    """Words by the line they are written on, from the top; within a line in the page's order."""
    rows: list[list[Word]] = []
    order = {id(word): number for number, word in enumerate(words)}
    for word in sorted(words, key=lambda word: -word.base):
        if rows and rows[-1][0].base - word.base <= 0.5 * max(rows[-1][0].size, word.size):
            rows[-1].append(word)
        else:
            rows.append([word])
    for row in rows:
        row.sort(key=lambda word: order[id(word)])
    return rows


def pieces(row: Sequence[Word], gap: float) -> list[Span]:
    """(left, right) of the stretches of a line that are no further apart than `gap` type sizes."""
    found: list[Span] = []
    for word in sorted(row, key=lambda word: word.left):
        if found and word.left - found[-1][1] <= gap * word.size:
            found[-1] = (found[-1][0], max(found[-1][1], word.right))
        else:
            found.append((word.left, word.right))
    return found


def column_edges(rows: Sequence[Sequence[Word]], gap: float) -> list[float]:
    """Where columns begin and end: in the middle of what is free in every row.

    A row of one stretch says how far a column reaches, or nothing, where it runs over several.
    """
    spans = [pieces(row, gap) for row in rows]
    size = fmean(word.size for row in rows for word in row) if rows else 0.0
    covered: list[Span] = []
    for left, right in sorted(piece for row in spans if len(row) > 1 for piece in row):
        if covered and left - covered[-1][1] <= gap * size:
            covered[-1] = (covered[-1][0], max(covered[-1][1], right))
        else:
            covered.append((left, right))
    for left, right in (row[0] for row in spans if len(row) == 1):
        touched = [i for i, (start, end) in enumerate(covered) if left < end and start < right]
        if len(touched) == 1:
            start, end = covered[touched[0]]
            covered[touched[0]] = (min(start, left), max(end, right))
    covered = _supported(covered, spans, WIDE_GAP * size)
    if not covered:
        return []
    inner = [(before[1] + after[0]) / 2 for before, after in pairwise(covered)]
    return [covered[0][0], *inner, covered[-1][1]]


def _supported(covered: Sequence[Span], spans: Sequence[Sequence[Span]], near: float) -> list[Span]:
    """The columns; what has words in a single row and is near to another is a part of that, where
    two words just stand a little further apart."""
    kept = list(covered)
    at = 0
    while at < len(kept):
        start, end = kept[at]
        rows = sum(1 for row in spans if any(start <= left <= end for left, _ in row))
        before = start - kept[at - 1][1] if at else near
        after = kept[at + 1][0] - end if at + 1 < len(kept) else near
        if rows > 1 or len(spans) < 3 or min(before, after) >= near:
            at += 1
            continue
        at = at - 1 if before <= after else at
        kept[at : at + 2] = [(kept[at][0], kept[at + 1][1])]
    return kept


def fits(words: Sequence[Word], xs: Sequence[float]) -> bool:
    """Whether a line is a row of these columns: it stands in several, the first among them."""
    parts = pieces(words, NARROW_GAP)
    inside = xs[0] - OVERHANG <= parts[0][0] < xs[1] and parts[-1][1] <= xs[-1] + OVERHANG
    return inside and parts[-1][0] > xs[1] - OVERHANG and keeps(words, xs, NARROW_GAP)


def keeps(words: Sequence[Word], xs: Sequence[float], gap: float) -> bool:
    """Whether none of a line's stretches reaches from one column into the next."""
    return not any(
        left + OVERHANG < x < right - OVERHANG
        for left, right in pieces(words, gap)
        for x in xs[1:-1]
    )
