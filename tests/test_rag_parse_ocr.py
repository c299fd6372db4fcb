"""Scanned pages: what is read, in which order, and when nothing is tried."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Iterator

import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

from rag.errors import ParseError
from rag.parse import parse
from rag.parsers.pdf import ocr as parse_ocr
from rag.parsers.pdf.layout import Word
from rag.parsers.pdf.ocr import ScannedText
from rag.parsers.worker import ParserPool

needs_ocr = pytest.mark.skipif(
    importlib.util.find_spec("rapidocr") is None,
    reason="the extra `ocr` is not installed: make setup EXTRAS=ocr",
)
DPI = 150
Text = tuple[float, float, float, str]
"""Left and top in points, type size, words."""


def scan(*texts: Text) -> Image.Image:
    """A page as a scanner gives it: black type on paper that is not quite white."""
    width, height = (round(side * DPI / 72) for side in A4)
    image = Image.new("L", (width, height), 246)
    draw = ImageDraw.Draw(image)
    for left, top, size, words in texts:
        font = ImageFont.load_default(size * DPI / 72)
        draw.text((left * DPI / 72, top * DPI / 72), words, fill=30, font=font)
    return image


def pdf(*pages: Image.Image | str, size: tuple[float, float] = A4) -> bytes:
    """Pages that are pictures, or have text."""
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, pagesize=size, invariant=1)
    for content in pages:
        if isinstance(content, str):
            page.drawString(72, 700, content)
        else:
            page.drawImage(ImageReader(content), 0, 0, *size)
        page.showPage()
    page.save()
    return buffer.getvalue()


PAGE = scan(
    (72, 72, 20, "Maintenance guide"),
    (72, 120, 11, "Before a host enters maintenance mode, the scheduler moves its"),
    (72, 134, 11, "virtual machines to other hosts of the cluster."),
    (72, 170, 11, "Set pciPassthru.use64bitMMIO to TRUE."),
)
TABLE = scan(
    *((72, 100, 11, "Profile"), (200, 100, 11, "Frame buffer"), (340, 100, 11, "Machines")),
    *((72, 122, 11, "A100-40C"), (200, 122, 11, "40 GB"), (340, 122, 11, "12")),
    *((72, 144, 11, "A100-20C"), (200, 144, 11, "20 GB"), (340, 144, 11, "24")),
    *((72, 166, 11, "A100-10C"), (200, 166, 11, "10 GB"), (340, 166, 11, "48")),
)


@pytest.fixture
def calls() -> Iterator[list[int]]:
    """Grows by one with each page that is recognised."""
    found: list[int] = []
    parse_ocr.watch(lambda: found.append(1))
    yield found
    parse_ocr._on_page.clear()


@needs_ocr
def test_a_scanned_page_reads_like_any_other(calls: list[int]) -> None:
    document = parse(pdf("First page.", PAGE, "Third page."), "a.pdf", ocr=True)
    assert document.text == (
        "First page.\n\nMaintenance guide\n\n"
        "Before a host enters maintenance mode, the scheduler moves its virtual machines to other "
        "hosts of the cluster.\n\nSet pciPassthru.use64bitMMIO to TRUE.\n\nThird page."
    )
    assert document.text[document.page_starts[1] :].startswith("Maintenance")
    assert document.text[document.page_starts[2] :] == "Third page."
    assert document.warnings == ("1 of 3 pages read by OCR: words may be wrong",)
    assert len(calls) == 1, "pages with text are never recognised"


@needs_ocr
def test_a_scanned_table_reads_in_rows() -> None:
    assert parse(pdf(TABLE), "a.pdf", ocr=True).text == (
        "- Profile: A100-40C; Frame buffer: 40 GB; Machines: 12\n"
        "- Profile: A100-20C; Frame buffer: 20 GB; Machines: 24\n"
        "- Profile: A100-10C; Frame buffer: 10 GB; Machines: 48"
    )


@needs_ocr
def test_in_a_parser_process_with_its_limits() -> None:
    with ParserPool(1, timeout_s=120, memory_mb=2048, ocr=True) as pool:
        assert "Before a host enters" in pool.submit(pdf(PAGE), "a.pdf").result().text


@needs_ocr
def test_a_picture_without_words() -> None:
    picture = scan()
    with pytest.raises(ParseError, match="nothing was recognised on its 1 page"):
        parse(pdf(picture), "a.pdf", ocr=True)
    mixed = parse(pdf("Text.", picture), "a.pdf", ocr=True)
    assert (mixed.text, mixed.warnings) == ("Text.\n\n", ("1 of 2 pages hold no text (scanned?)",))


@needs_ocr
def test_an_absurdly_large_page_is_drawn_smaller() -> None:
    page = scan((60, 300, 40, "A POSTER"))
    document = parse(pdf(page, size=(14_400, 14_400)), "a.pdf", ocr=True)
    assert document.text == "A POSTER"


@pytest.mark.parametrize("size", [(595, 842), (14_400, 14_400), (1e9, 1), (3, 1e7), (0.01, 0.01)])
def test_pixels_are_bounded(size: tuple[float, float]) -> None:
    width, height = (side * parse_ocr._scale(*size) for side in size)
    assert width * height <= 12_000_001
    assert max(width, height) <= 8_001


@needs_ocr
def test_blank_and_drawn_pages_are_not_recognised(calls: list[int]) -> None:
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, pagesize=A4)
    page.drawString(72, 700, "Text.")
    page.showPage()
    page.showPage()
    page.rect(100, 100, 200, 200)
    page.showPage()
    page.save()
    assert parse(buffer.getvalue(), "a.pdf", ocr=True).text.strip() == "Text."
    assert calls == []


def test_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rag.parsers.pdf.ocr", None)
    with pytest.raises(ParseError, match="run `make setup EXTRAS=ocr` and set ingest"):
        parse(pdf(PAGE), "a.pdf")
    assert parse(pdf("Text.", PAGE), "a.pdf").warnings == ("1 of 2 pages hold no text (scanned?)",)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    parse_ocr._engine.cache_clear()
    try:
        with pytest.raises(ParseError, match="run `make setup EXTRAS=ocr`, or set ingest"):
            parse(pdf("Text.", PAGE), "a.pdf", ocr=True)
        assert parse(pdf("Text."), "a.pdf", ocr=True).text == "Text."
    finally:
        parse_ocr._engine.cache_clear()


# The order of what was recognised, without recognising anything


def box(left: float, top: float, text: str, width: float = 200) -> Word:
    return Word(text, left, left + width, 800 - top, 10, False, 0, len(text))


def read(*words: Word) -> list[str]:
    return [line.text for line in ScannedText(words, 842).lines()]


def test_columns_are_read_one_after_the_other() -> None:
    left = [box(50, 100 + 14 * n, f"left column, line number {n}") for n in range(6)]
    right = [box(300, 100 + 14 * n, f"right column, line number {n}") for n in range(6)]
    mixed = [word for pair in zip(left, right, strict=True) for word in pair]
    title, end = box(50, 50, "A title over both columns", 450), box(50, 400, "The end of it", 450)
    said = [word.text for word in (title, *left, *right, end)]
    assert read(title, *mixed, end) == said


def test_cells_are_read_row_by_row() -> None:
    rows = [
        (box(50, 100 + 20 * n, f"host {n}", 50), box(300, 101 + 20 * n, f"{n} GB", 50))
        for n in range(6)
    ]
    assert read(*(word for row in rows for word in row)) == [f"host {n} {n} GB" for n in range(6)]


def test_nothing_recognised_gives_no_lines() -> None:
    assert read() == []
