"""PDF to text, page by page, with the outline as headings and each table row as a line.

pdfium gives the text in the order the file draws it, which is the reading order in nearly every
document that a word processor or LaTeX wrote, columns included.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from rag.errors import ParseError
from rag.parse_pdf_drawing import read_drawing
from rag.parse_pdf_layout import (
    HYPHEN,
    Line,
    Page,
    page_texts,
    vocabulary,
    without_running_lines,
)
from rag.parse_pdf_outline import Bookmark, large_type, outline_headings, read_bookmarks
from rag.parse_pdf_page import PageText
from rag.parse_pdf_tables import Ending, with_tables
from rag.parse_text import clean
from rag.schema import ParsedDocument

_LOCK = threading.Lock()
"""pdfium is not thread-safe, not even for two different documents."""

_POOR_TITLE = re.compile(
    r"(?i)(untitled|\(?anonymous\)?|unspecified|title|document\d*|microsoft word\b.*|"
    r".*\.(?:docx?|pdf|indd|tex|pptx?|xlsx?|odt|rtf)|\W*|slide \d+|powerpoint.*)"
)


def parse_pdf(data: bytes, *, ocr: bool = False) -> ParsedDocument:
    """Paragraphs with page starts; headings from the outline, empty where there is none.

    Headings are never left to be read from the text: a '#' in a PDF is no Markdown.
    """
    _refuse_cut(data)
    with _LOCK:
        pages, damaged, bookmarks, meta_title = _read(data)
    bare = sum(1 for page in pages if not page.lines)
    if bare == len(pages):
        raise ParseError(
            f"holds no text: looks scanned ({_count(bare, 'page')}); OCR is not built in, "
            "run it through an OCR tool first"
        )
    first_lines = next(page.lines for page in pages if page.lines)
    pages = without_running_lines(pages)
    words = vocabulary(pages)
    starts, texts, between = [0], [], []
    for text, gap in page_texts(pages, words):
        texts.append(text)
        between.append(gap)
        starts.append(starts[-1] + len(text) + len(gap))
    bookmarks = bookmarks or large_type(pages)
    title = meta_title or _first_title(first_lines)
    warnings = []
    if damaged:
        warnings.append(f"{damaged} of {_count(len(pages), 'page')} could not be read (damaged)")
    if bare > damaged:
        warnings.append(f"{bare - damaged} of {_count(len(pages), 'page')} hold no text (scanned?)")
    return ParsedDocument(
        title,
        "".join(part for pair in zip(texts, [*between[:-1], ""], strict=True) for part in pair),
        "application/pdf",
        page_starts=tuple(starts[:-1]),
        headings=outline_headings(bookmarks, texts, starts),
        warnings=tuple(warnings),
    )


def _refuse_cut(data: bytes) -> None:
    """pdfium repairs a file that was cut short and gives what is left, as if it were all."""
    if b"%PDF-" not in data[:1024]:
        raise ParseError("is not a PDF file: check its suffix, or copy it again")
    ends = re.findall(rb"startxref\s+(\d+)\s+%%EOF", data)
    if not any(int(offset) for offset in ends[-3:]):
        raise ParseError("is cut short (its end is missing): copy or download it again")


def _read(data: bytes) -> tuple[list[Page], int, list[Bookmark], str]:
    """Everything that needs pdfium: pages, count of damaged pages, bookmarks, metadata title."""
    import pypdfium2
    from pypdfium2 import raw

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise ParseError("is encrypted: remove the password and ingest it again") from error
        if error.err_code == raw.FPDF_ERR_SECURITY:
            raise ParseError("is encrypted: save it again without protection") from error
        raise ParseError("is damaged: open it in a viewer and print it to a new PDF") from error
    try:
        pages, damaged = [], 0
        ending: Ending | None = None
        for number in range(len(document)):
            try:
                page, ending = _read_page(document, number, ending)
            except pypdfium2.PdfiumError:
                damaged += 1
                page, ending = Page((), 0.0), None
            pages.append(page)
        if damaged == len(pages):
            raise ParseError("is damaged: no page can be read; print it to a new PDF")
        title = clean(document.get_metadata_value("Title")).strip()
        return (
            pages,
            damaged,
            read_bookmarks(document),
            "" if _POOR_TITLE.fullmatch(title) else title,
        )
    finally:
        document.close()


def _read_page(document: Any, number: int, before: Ending | None) -> tuple[Page, Ending | None]:
    page = document[number]
    try:
        with PageText(page) as text:
            lines = list(text.lines())
            if not lines:
                return Page((), text.height), None
            drawing = read_drawing(page, text.box, text.turn)
            found, ending = with_tables(text, lines, drawing, before)
            return Page(tuple(found), text.height), ending
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
        near = 0 < above.base - line.base < 1.6 * line.size
        if not near or largest <= 1.15 * usual or line.size <= 0.97 * largest:
            break
        title += line.text if title.endswith(HYPHEN) else f" {line.text}"
    title = title.replace(HYPHEN, "")
    return title if 3 <= len(title) <= 150 else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
