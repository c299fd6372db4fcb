"""PDF to text, page by page, with its headings, and each table row as a line.

pdfium gives the text in the order the file draws it, which is the reading order in nearly every
document that a word processor or LaTeX wrote, columns included. A table's row that is broken by
the end of a page comes as two.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

import pypdfium2
from pypdfium2 import raw

from rag.errors import ParseError
from rag.parsers.pdf.drawing import Drawing, is_blank, read_drawing, shows_something
from rag.parsers.pdf.layout import (
    HYPHEN,
    Line,
    Page,
    page_texts,
    vocabulary,
)
from rag.parsers.pdf.outline import Bookmark, large_type, outline_headings, read_bookmarks
from rag.parsers.pdf.page import PageText
from rag.parsers.pdf.running import without_running_lines
from rag.parsers.pdf.tables import Ending, with_tables
from rag.parsers.text import clean
from rag.schema import ParsedDocument

_LOCK = threading.Lock()
"""pdfium is not thread-safe, not even for two different documents."""

_MAX_SCANS = 1_000
"""Pages of one document that are read by OCR."""
_POOR_TITLE = re.compile(
    r"(?i)(untitled|\(?anonymous\)?|unspecified|title|document\d*|microsoft word\b.*|"
    r".*\.(?:docx?|pdf|indd|tex|pptx?|xlsx?|odt|rtf)|\W*|slide \d+|powerpoint.*)"
)


def parse_pdf(data: bytes, *, ocr: bool = False) -> ParsedDocument:
    """Paragraphs with page starts; headings from the outline, else from the type sizes.

    Headings are never left to be read from the text: a '#' in a PDF is no Markdown. `ocr` reads
    pages that hold no text but show some.
    """
    _refuse_cut(data)
    with _LOCK:
        read, bookmarks, meta_title = _read(data, ocr)
    if not any(page.lines for page in read):
        raise ParseError(_without_text(read, ocr))
    pages = without_running_lines(read)
    words = vocabulary(pages)
    starts, texts, between = [0], [], []
    for text, gap in page_texts(pages, words):
        texts.append(text)
        between.append(gap)
        starts.append(starts[-1] + len(text) + len(gap))
    return ParsedDocument(
        meta_title or _first_title(next(page.lines for page in read if page.lines)),
        "".join(part for pair in zip(texts, [*between[:-1], ""], strict=True) for part in pair),
        "application/pdf",
        page_starts=tuple(starts[:-1]),
        headings=outline_headings(bookmarks or large_type(pages), texts, starts),
        warnings=tuple(_warnings(read)),
    )


def _without_text(pages: Sequence[Page], ocr: bool) -> str:
    count = _count(len(pages), "page")
    if all(page.origin == "unread" for page in pages):
        return "is damaged: no page can be read; print it to a new PDF"
    if all(page.origin == "blank" for page in pages):
        return f"holds no text: nothing is on its {count}"
    if ocr:
        return f"holds no text: nothing was recognised on its {count}"
    return (
        f"holds no text: looks scanned ({count}); OCR is not built in but an extra: run "
        "`make setup EXTRAS=ocr` and set ingest.ocr to true"
    )


def _warnings(pages: Sequence[Page]) -> Iterator[str]:
    total = _count(len(pages), "page")
    damaged = sum(1 for page in pages if page.origin == "unread")
    scanned = sum(1 for page in pages if page.origin == "ocr" and page.lines)
    bare = sum(1 for page in pages if not page.lines and page.origin in ("text", "ocr"))
    if damaged:
        yield f"{damaged} of {total} could not be read (damaged)"
    if bare:
        yield f"{bare} of {total} hold no text (scanned?)"
    if scanned:
        yield f"{scanned} of {total} read by OCR: words may be wrong"


def _refuse_cut(data: bytes) -> None:
    """pdfium repairs a file that was cut short and gives what is left, as if it were all."""
    if b"%PDF-" not in data[:1024]:
        raise ParseError("is not a PDF file: check its suffix, or copy it again")
    ends = re.findall(rb"startxref\s+(\d+)\s+%%EOF", data)
    if not any(int(offset) for offset in ends[-3:]):
        raise ParseError("is cut short (its end is missing): copy or download it again")


def _read(data: bytes, ocr: bool) -> tuple[list[Page], list[Bookmark], str]:
    """Everything that needs pdfium: pages, bookmarks, metadata title."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise ParseError("is encrypted: remove the password and ingest it again") from error
        if error.err_code == raw.FPDF_ERR_SECURITY:
            raise ParseError("is encrypted: save it again without protection") from error
        raise ParseError("is damaged: open it in a viewer and print it to a new PDF") from error
    try:
        pages: list[Page] = []
        ending: Ending | None = None
        scans = _MAX_SCANS if ocr else 0
        for number in range(len(document)):
            try:
                page, ending = _read_page(document, number, ending, scans > 0)
            except pypdfium2.PdfiumError:
                page, ending = Page((), 0.0, "unread"), None
            scans -= page.origin == "ocr"
            pages.append(page)
        title = clean(document.get_metadata_value("Title")).strip()
        return pages, read_bookmarks(document), "" if _POOR_TITLE.fullmatch(title) else title
    finally:
        document.close()


def _read_page(
    document: Any, number: int, before: Ending | None, ocr: bool
) -> tuple[Page, Ending | None]:
    page = document[number]
    try:
        with PageText(page) as text:
            lines = text.lines()
            if lines:
                drawing = read_drawing(page, text.box, text.turn)
                found, ending = with_tables(text, lines, drawing, before)
                return Page(tuple(found), text.height), ending
            if is_blank(page):
                return Page((), text.height, "blank"), None
            if not ocr or not shows_something(page):
                return Page((), text.height), None
        from rag.parsers.pdf.ocr import read_scan

        scan = read_scan(page)
        found, ending = with_tables(scan, scan.lines(), Drawing(), before)
        return Page(tuple(found), scan.height, "ocr"), ending
    finally:
        page.close()


def _first_title(lines: Sequence[Line]) -> str:
    """The largest type on the first page with text, else its first line, if that is short."""
    largest = max(line.size for line in lines)
    usual = median(line.size for line in lines)
    start = 0
    if largest > 1.15 * usual:
        start = next(at for at, line in enumerate(lines) if line.size > 0.97 * largest)
    title = lines[start].text
    for above, line in pairwise(lines[start : start + 3]):
        near = 0 < above.base - line.base < 1.35 * line.size
        if not near or largest <= 1.15 * usual or line.size <= 0.97 * largest:
            break
        title += line.text if title.endswith(HYPHEN) else f" {line.text}"
    title = title.replace(HYPHEN, "")
    return title if 3 <= len(title) <= 150 else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
