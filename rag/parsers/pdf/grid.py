"""Rules of a PDF page to grids: where a table stands, and which of its cells are merged. Pure.

A grid is made of rules that cross. Where rules only run across (no vertical one between two outer
ones) the grid has one column, and its columns are left to be told from the words.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from rag.parsers.pdf.drawing import Drawing, Rule

_SNAP = 2.5
"""Points by which rules that belong together may miss each other."""
_SAME_EDGE = 4.0
"""Rules nearer than this are the two sides of one border."""
_MAX_RULES = 400
_MAX_COLUMNS = 60
_MAX_ROWS = 300


@dataclass(frozen=True, slots=True)
class Grid:
    """`xs` rise from left to right, `ys` fall from top to bottom. `owner[row][column]` is the top
    left field of the cell that the field belongs to."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    owner: tuple[tuple[tuple[int, int], ...], ...]

    @property
    def rows(self) -> int:
        return len(self.ys) - 1

    @property
    def columns(self) -> int:
        return len(self.xs) - 1

    def field(self, x: float, y: float) -> tuple[int, int] | None:
        """(row, column) of the field at a place, None outside of the grid."""
        if not (self.xs[0] <= x <= self.xs[-1] and self.ys[-1] <= y <= self.ys[0]):
            return None
        column = bisect.bisect_right(self.xs, x) - 1
        row = bisect.bisect_right(self.ys, -y, key=lambda at: -at) - 1
        return min(row, self.rows - 1), min(column, self.columns - 1)


def find_grids(drawing: Drawing) -> list[Grid]:
    """Grids of at least two rows, the largest first."""
    horizontal, vertical = _joined(drawing.horizontal), _joined(drawing.vertical)
    if len(horizontal) < 2 or len(horizontal) + len(vertical) > _MAX_RULES:
        return []
    grids = []
    for across, down in _connected(horizontal, vertical):
        grid = _grid(across, down)
        if grid is not None:
            grids.append(grid)
    return sorted(grids, key=lambda g: (g.xs[-1] - g.xs[0]) * (g.ys[0] - g.ys[-1]), reverse=True)


def _joined(rules: Sequence[Rule]) -> list[Rule]:
    """Rules that continue or cover each other made one."""
    lanes: list[list[Rule]] = []
    for rule in sorted(rules, key=lambda rule: rule.at):
        if lanes and rule.at - lanes[-1][0].at <= _SNAP:
            lanes[-1].append(rule)
        else:
            lanes.append([rule])
    out = []
    for lane in lanes:
        lane.sort(key=lambda rule: rule.start)
        run = [lane[0]]
        end = lane[0].end
        for rule in lane[1:]:
            if rule.start > end + _SNAP:
                out.append(_one(run, end))
                run, end = [], rule.end
            run.append(rule)
            end = max(end, rule.end)
        out.append(_one(run, end))
    return out


def _one(run: Sequence[Rule], end: float) -> Rule:
    return Rule(fmean(rule.at for rule in run), run[0].start, end)


def _connected(
    horizontal: Sequence[Rule], vertical: Sequence[Rule]
) -> list[tuple[list[Rule], list[Rule]]]:
    """Rules by the drawing they belong to: those that cross, and stacks of equal horizontal ones
    without any that crosses them."""
    group = list(range(len(horizontal) + len(vertical)))

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    crossed = set()
    for j, down in enumerate(vertical, start=len(horizontal)):
        for i, across in enumerate(horizontal):
            if _crosses(across, down):
                group[root(i)] = root(j)
                crossed |= {i}
    lone = [i for i in range(len(horizontal)) if i not in crossed]
    for i in lone:
        for k in lone:
            if k < i and _same_extent(horizontal[i], horizontal[k]):
                group[root(i)] = root(k)
    found: dict[int, tuple[list[Rule], list[Rule]]] = {}
    for i in range(len(group)):
        across_down = found.setdefault(root(i), ([], []))
        if i < len(horizontal):
            across_down[0].append(horizontal[i])
        else:
            across_down[1].append(vertical[i - len(horizontal)])
    return list(found.values())


def _crosses(across: Rule, down: Rule) -> bool:
    return (
        down.start - _SNAP <= across.at <= down.end + _SNAP
        and across.start - _SNAP <= down.at <= across.end + _SNAP
    )


def _same_extent(one: Rule, other: Rule) -> bool:
    return abs(one.start - other.start) <= _SNAP and abs(one.end - other.end) <= _SNAP


def _grid(across: Sequence[Rule], down: Sequence[Rule]) -> Grid | None:
    if len(across) < 2:
        return None
    # Tables often have no outer sides, or none at top and bottom.
    sides = [min(rule.start for rule in across), max(rule.end for rule in across)]
    ends = [min(rule.start for rule in down), max(rule.end for rule in down)] if down else []
    xs = _places([*(rule.at for rule in down), *sides])
    ys = _places([*(rule.at for rule in across), *ends])[::-1]
    columns, rows = len(xs) - 1, len(ys) - 1
    if rows < 2 or not 1 <= columns <= _MAX_COLUMNS or rows > _MAX_ROWS:
        return None
    return Grid(tuple(xs), tuple(ys), _owners(xs, ys, across, down))


def _places(values: Sequence[float]) -> list[float]:
    """Values with those of one border made one, rising."""
    groups: list[list[float]] = []
    for value in sorted(values):
        if groups and value - groups[-1][0] <= _SAME_EDGE:
            groups[-1].append(value)
        else:
            groups.append([value])
    return [fmean(group) for group in groups]


def _owners(
    xs: Sequence[float], ys: Sequence[float], across: Sequence[Rule], down: Sequence[Rule]
) -> tuple[tuple[tuple[int, int], ...], ...]:
    """For each field the top left one of its cell: fields with no rule between them are merged."""
    rows, columns = len(ys) - 1, len(xs) - 1
    walls = [[rule for rule in down if abs(rule.at - x) <= _SAME_EDGE] for x in xs]
    floors = [[rule for rule in across if abs(rule.at - y) <= _SAME_EDGE] for y in ys]
    owner = [[(row, column) for column in range(columns)] for row in range(rows)]
    for row in range(rows):
        for column in range(columns):
            middle_y, middle_x = (ys[row] + ys[row + 1]) / 2, (xs[column] + xs[column + 1]) / 2
            if row and not _covers(floors[row], middle_x):
                owner[row][column] = owner[row - 1][column]
            elif column and not _covers(walls[column], middle_y):
                owner[row][column] = owner[row][column - 1]
    return tuple(tuple(line) for line in owner)


def _covers(rules: Sequence[Rule], at: float) -> bool:
    return any(rule.start - _SNAP <= at <= rule.end + _SNAP for rule in rules)
