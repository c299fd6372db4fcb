"""Write a ROC curve: points as .tsv, a drawing as .svg or .png."""

from __future__ import annotations

from pathlib import Path

from guardrails.figures import Points
from guardrails.opening import CommandError

SIZE, EDGE = 400, 50
KINDS = (".tsv", ".svg", ".png")


def check_curve_path(path: Path) -> None:
    """Before a long run, not after it."""
    if path.suffix.lower() not in KINDS:
        raise CommandError(f"--curve {path}: the name must end in {', '.join(KINDS)}")
    if not path.parent.is_dir():
        raise CommandError(f"--curve {path}: {path.parent} is no folder; create it first")


def write_curve(path: Path, points: Points, title: str) -> None:
    """In the format that the name asks for. Raises CommandError."""
    try:
        if path.suffix.lower() == ".png":
            _draw_png(path, points, title)
        else:
            draw = _tsv(points) if path.suffix.lower() == ".tsv" else _svg(points, title)
            path.write_text(draw, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--curve {path} cannot be written: {error}") from error


def _tsv(points: Points) -> str:
    lines = ["threshold\tfpr\ttpr", *(f"{t:.6g}\t{x:.6g}\t{y:.6g}" for t, x, y in points)]
    return "\n".join(lines) + "\n"


def _place(x: float, y: float) -> tuple[float, float]:
    """Rates to pixels; the drawing has its origin at the top."""
    return EDGE + x * SIZE, EDGE + (1 - y) * SIZE


def _svg(points: Points, title: str) -> str:
    line = " ".join("{:.1f},{:.1f}".format(*_place(x, y)) for _, x, y in points)
    whole = SIZE + 2 * EDGE
    middle = whole / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {whole}" '
        'font-family="sans-serif" font-size="14" text-anchor="middle">\n'
        f'<rect width="{whole}" height="{whole}" fill="white"/>\n'
        f'<rect x="{EDGE}" y="{EDGE}" width="{SIZE}" height="{SIZE}" fill="none" stroke="black"/>\n'
        f'<path d="M{EDGE} {EDGE + SIZE}L{EDGE + SIZE} {EDGE}" stroke="silver"/>\n'
        f'<polyline points="{line}" fill="none" stroke="navy" stroke-width="2"/>\n'
        f'<text x="{middle}" y="30">{title}</text>\n'
        f'<text x="{middle}" y="{whole - 15}">false-positive rate, 0 to 1</text>\n'
        f'<text transform="translate(30 {middle}) rotate(-90)">true-positive rate, 0 to 1</text>\n'
        "</svg>\n"
    )


def _draw_png(path: Path, points: Points, title: str) -> None:
    try:
        from PIL import Image, ImageDraw
    except ImportError as error:
        raise CommandError("a .png needs Pillow; write a .svg instead") from error
    whole = SIZE + 2 * EDGE
    image = Image.new("RGB", (whole, whole), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((EDGE, EDGE, EDGE + SIZE, EDGE + SIZE), outline="black")
    draw.line((_place(0, 0), _place(1, 1)), fill="silver")
    draw.line([_place(x, y) for _, x, y in points], fill="navy", width=2)
    draw.text((EDGE, 20), title, fill="black")
    draw.text((EDGE, whole - 30), "x: false-positive rate, y: true-positive rate", fill="black")
    image.save(path)
