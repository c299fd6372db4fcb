"""Small plots as inline SVG: no library, no script; colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 52
_BINS = 20


def curves(values: Mapping[str, Sequence[float]], about: str) -> str:
    """A line a name; `values[name][k - 1]` is the share, 0 to 1, at k. `about` describes the plot.

    The vertical axis begins below the lowest value, so that near neighbours can be told apart.
    """
    lowest = min(min(line) for line in values.values())
    floor = max(0.0, math.floor((lowest - 0.02) * 10) / 10)
    steps = max(len(line) for line in values.values())
    across = (_WIDTH - _LEFT - _RIGHT) / max(1, steps - 1)
    marked = (k for k in range(1, steps + 1) if k == 1 or k % 5 == 0)
    parts = [_grid(floor)]
    parts += [_label(_LEFT + (k - 1) * across, _HEIGHT - 30, str(k)) for k in marked]
    for i, line in enumerate(values.values()):
        points = " ".join(
            f"{_LEFT + k * across:.1f},{_up(value, floor):.1f}" for k, value in enumerate(line)
        )
        parts.append(f'<polyline class="line s{i}" points="{points}"/>')
    return _svg(parts, about) + _legend(values)


def histogram(values: Mapping[str, Sequence[float]], threshold: float, about: str) -> str:
    """Bars side by side, a group a name: the share of its values, 0 to 1, in each twentieth."""
    shares = {name: _binned(numbers) for name, numbers in values.items()}
    top = max(max(bins) for bins in shares.values()) or 1.0
    across = (_WIDTH - _LEFT - _RIGHT) / _BINS
    width = (across - 3) / len(shares)
    base = _HEIGHT - _BOTTOM
    parts = []
    for i, bins in enumerate(shares.values()):
        for place, share in enumerate(bins):
            height = share / top * (base - _TOP)
            x = _LEFT + place * across + i * width
            parts.append(
                f'<rect class="bar s{i}" x="{x:.1f}" y="{base - height:.1f}" '
                f'width="{width:.1f}" height="{height:.1f}"/>'
            )
    parts += [
        _label(_LEFT + fifth * _BINS / 5 * across, _HEIGHT - 30, f"{fifth / 5:.1f}")
        for fifth in range(6)
    ]
    parts.append(_label(_LEFT - 6, _TOP + 12, f"{top:.0%}", "end"))
    parts.append(f'<line class="axis" x1="{_LEFT}" y1="{base}" x2="{_WIDTH}" y2="{base}"/>')
    x = _LEFT + threshold * _BINS * across
    parts.append(f'<line class="threshold" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{base}"/>')
    parts.append(_label(x, _HEIGHT - 8, f"threshold {threshold:g}"))
    return _svg(parts, about) + _legend(values)


def _binned(values: Sequence[float]) -> list[float]:
    counts = [0] * _BINS
    for value in values:
        counts[min(_BINS - 1, max(0, int(value * _BINS)))] += 1
    return [count / max(1, len(values)) for count in counts]


def _grid(floor: float) -> str:
    lines = []
    for tenth in range(round(floor * 10), 11):
        y = _up(tenth / 10, floor)
        lines.append(f'<line class="axis" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH}" y2="{y:.1f}"/>')
        lines.append(_label(_LEFT - 6, y + 5, f"{tenth / 10:.1f}", "end"))
    return "".join(lines)


def _up(value: float, floor: float) -> float:
    return _TOP + (1 - value) / (1 - floor) * (_HEIGHT - _BOTTOM - _TOP)


def _label(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Sequence[str], about: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(about)}">'
        f"{''.join(parts)}</svg>"
    )


def _legend(values: Mapping[str, Sequence[float]]) -> str:
    entries = (f'<span class="s{i}">{escape(name)}</span>' for i, name in enumerate(values))
    return f'<p class="legend">{" ".join(entries)}</p>'
