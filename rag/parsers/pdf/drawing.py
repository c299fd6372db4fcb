"""What a PDF page draws beside text: its rules and filled boxes, from which tables are told.

Any straight, upright edge is a rule, whoever draws it: a stroked line, a bar one point thick, the
side of a frame or of a cell's background. Curves, slanted lines and pictures are left out.
"""

from __future__ import annotations

import ctypes
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from pypdfium2 import raw

_MAX_PATHS = 5_000
_MAX_POINTS = 30_000
_MAX_OBJECTS = 200_000
"""Beyond any of them the page is taken for a map or a plot, and its rules are not looked at."""
_MAX_DEPTH = 4
"""Of groups (form objects) in groups."""
_OUTLINES = 50
"""So many paths may be a text drawn as outlines."""
_STRAIGHT = 0.7
"""Points by which the ends of an upright edge may differ."""
_THIN = 3.0
"""A filled box not thicker than this is a line."""
_WHITE = 250

Matrix = tuple[float, float, float, float, float, float]
Color = tuple[int, int, int]
_IDENTITY: Matrix = (1, 0, 0, 1, 0, 0)


@dataclass(frozen=True, slots=True)
class Rule:
    """Horizontal at height `at`, from left to right; or vertical at distance `at`, upwards."""

    at: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Fill:
    """A box with a background; later ones lie on top."""

    left: float
    bottom: float
    right: float
    top: float
    color: Color


@dataclass(slots=True)
class Drawing:
    """In points from the bottom left of the upright page."""

    horizontal: list[Rule] = field(default_factory=list)
    vertical: list[Rule] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)


class _TooMuch(Exception):
    """The page draws more than any table does."""


def read_drawing(page: Any, box: Sequence[float], turn: int) -> Drawing:
    """The drawing of a pdfium page; empty where there is too much of it."""
    drawing = Drawing()
    budget = [_MAX_PATHS, _MAX_POINTS, _MAX_OBJECTS]
    try:
        for path, matrix in _paths(page, budget):
            _add_path(drawing, path, matrix, box, turn, budget)
    except _TooMuch:
        return Drawing()
    return drawing


def is_blank(page: Any) -> bool:
    return bool(raw.FPDFPage_CountObjects(page) == 0)


def shows_something(page: Any) -> bool:
    """Whether a page without text may show some: as a picture, as outlines, in a font that does not
    say which characters it draws."""
    kinds = Counter(
        raw.FPDFPageObj_GetType(raw.FPDFPage_GetObject(page, index))
        for index in range(raw.FPDFPage_CountObjects(page))
    )
    return kinds.total() > kinds[raw.FPDF_PAGEOBJ_PATH] or kinds.total() >= _OUTLINES


def upright(x: float, y: float, box: Sequence[float], turn: int) -> tuple[float, float]:
    """A place as the reader sees it, from the bottom left of a page shown turned by `turn`."""
    left, bottom, right, top = box
    if turn == 90:
        return y - bottom, right - x
    if turn == 180:
        return right - x, top - y
    if turn == 270:
        return top - y, x - left
    return x - left, y - bottom


def _paths(page: Any, budget: list[int]) -> Iterator[tuple[Any, Matrix]]:
    """Path objects in drawing order, each with the matrix from its own space to the page's."""

    def walk(count: int, get: Any, holder: Any, outer: Matrix, depth: int) -> Iterator[Any]:
        for index in range(count):
            item = get(holder, index)
            budget[2] -= 1
            if budget[2] < 0:
                raise _TooMuch
            kind = raw.FPDFPageObj_GetType(item)
            if kind == raw.FPDF_PAGEOBJ_PATH:
                budget[0] -= 1
                if budget[0] < 0:
                    raise _TooMuch
                yield item, _times(_matrix(item), outer)
            elif kind == raw.FPDF_PAGEOBJ_FORM and depth < _MAX_DEPTH:
                inner = raw.FPDFFormObj_CountObjects(item)
                matrix = _times(_matrix(item), outer)
                yield from walk(inner, raw.FPDFFormObj_GetObject, item, matrix, depth + 1)

    yield from walk(raw.FPDFPage_CountObjects(page), raw.FPDFPage_GetObject, page, _IDENTITY, 0)


def _matrix(item: Any) -> Matrix:
    found = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(item, found):
        return _IDENTITY
    return (found.a, found.b, found.c, found.d, found.e, found.f)


def _times(first: Matrix, then: Matrix) -> Matrix:
    a, b, c, d, e, f = first
    k, m, n, o, p, q = then
    return (
        *(a * k + b * n, a * m + b * o, c * k + d * n, c * m + d * o),
        *(e * k + f * n + p, e * m + f * o + q),
    )


def _add_path(
    drawing: Drawing, path: Any, matrix: Matrix, box: Sequence[float], turn: int, budget: list[int]
) -> None:
    mode, stroke = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(path, mode, stroke)
    color = _fill_color(path) if mode.value else None
    if not stroke.value and color is None:
        return
    for points in _outlines(path, matrix, box, turn, budget):
        if stroke.value:
            for (x0, y0), (x1, y1) in pairwise(points):
                _add_edge(drawing, x0, y0, x1, y1)
        if color is not None and len(points) >= 4 and _is_box(points):
            xs, ys = [x for x, _ in points], [y for _, y in points]
            fill = Fill(min(xs), min(ys), max(xs), max(ys), color)
            _add_fill(drawing, fill, (box[2] - box[0]) * (box[3] - box[1]))


def _fill_color(path: Any) -> Color | None:
    """None for white and transparent, which leave no mark on paper."""
    parts = [ctypes.c_uint() for _ in range(4)]
    raw.FPDFPageObj_GetFillColor(path, *parts)
    red, green, blue, alpha = (part.value for part in parts)
    unseen = alpha == 0 or min(red, green, blue) >= _WHITE
    return None if unseen else (red, green, blue)


def _outlines(
    path: Any, matrix: Matrix, box: Sequence[float], turn: int, budget: list[int]
) -> Iterator[list[tuple[float, float]]]:
    """Runs of straight edges as lists of corners. A curve parts two runs."""
    a, b, c, d, e, f = matrix
    x, y = ctypes.c_float(), ctypes.c_float()
    points: list[tuple[float, float]] = []
    count = raw.FPDFPath_CountSegments(path)
    budget[1] -= count
    if budget[1] < 0:
        raise _TooMuch
    for index in range(count):
        segment = raw.FPDFPath_GetPathSegment(path, index)
        kind = raw.FPDFPathSegment_GetType(segment)
        raw.FPDFPathSegment_GetPoint(segment, x, y)
        px, py = x.value, y.value
        place = upright(px * a + py * c + e, px * b + py * d + f, box, turn)
        if not all(map(math.isfinite, place)):
            continue
        if kind == raw.FPDF_SEGMENT_LINETO:
            points.append(place)
        else:
            if len(points) > 1:
                yield points
            points = [place]
        if raw.FPDFPathSegment_GetClose(segment) and len(points) > 1:
            points.append(points[0])
    if len(points) > 1:
        yield points


def _is_box(points: Sequence[tuple[float, float]]) -> bool:
    """Whether every point is a corner of what surrounds them all."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    sides, ends = (min(xs), max(xs)), (min(ys), max(ys))
    return all(
        min(abs(x - side) for side in sides) <= _STRAIGHT
        and min(abs(y - end) for end in ends) <= _STRAIGHT
        for x, y in points
    )


def _add_edge(drawing: Drawing, x0: float, y0: float, x1: float, y1: float) -> None:
    if abs(y0 - y1) <= _STRAIGHT < abs(x0 - x1):
        drawing.horizontal.append(Rule((y0 + y1) / 2, min(x0, x1), max(x0, x1)))
    elif abs(x0 - x1) <= _STRAIGHT < abs(y0 - y1):
        drawing.vertical.append(Rule((x0 + x1) / 2, min(y0, y1), max(y0, y1)))


def _add_fill(drawing: Drawing, fill: Fill, page_area: float) -> None:
    width, height = fill.right - fill.left, fill.top - fill.bottom
    if height <= _THIN or width <= _THIN:
        middle = ((fill.left + fill.right) / 2, (fill.bottom + fill.top) / 2)
        if width >= height:
            drawing.horizontal.append(Rule(middle[1], fill.left, fill.right))
        else:
            drawing.vertical.append(Rule(middle[0], fill.bottom, fill.top))
    elif width * height < 0.6 * page_area:
        drawing.fills.append(fill)
        for y in (fill.bottom, fill.top):
            _add_edge(drawing, fill.left, y, fill.right, y)
        for x in (fill.left, fill.right):
            _add_edge(drawing, x, fill.bottom, x, fill.top)
