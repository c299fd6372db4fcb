"""PDF to text, page by page, with the outline as headings. Text only: no OCR, no tables.

pdfium gives the text in the order the file draws it, which is the reading order in nearly every
document that a word processor or LaTeX wrote, columns included.
"""

from __future__ import annotations

import ctypes
import math
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Any

from rag.errors import ParseError
from rag.parse_pdf_layout import (
    HYPHEN,
    Line,
    Page,
    page_text,
    vocabulary,
    without_running_lines,
)
from rag.parse_text import clean
from rag.schema import ParsedDocument

_LOCK = threading.Lock()
"""pdfium is not thread-safe, not even for two different documents."""

_MAX_BOOKMARKS = 10_000
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\uf0b7": "•"}
)
_MONO = re.compile(rb"mono|courier|consol|menlo|typewriter|cmtt", re.IGNORECASE)
_POOR_TITLE = re.compile(
    r"(?i)(untitled|\(?anonymous\)?|unspecified|title|document\d*|microsoft word\b.*|"
    r".*\.(?:docx?|pdf|indd|tex|pptx?|xlsx?|odt|rtf)|\W*|slide \d+|powerpoint.*)"
)


@dataclass(frozen=True, slots=True)
class _Bookmark:
    level: int
    title: str
    page: int


def parse_pdf(data: bytes) -> ParsedDocument:
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
    texts = [page_text(page, words) for page in pages]
    starts = [0]
    for text in texts[:-1]:
        starts.append(starts[-1] + len(text) + 2)
    title = meta_title or _first_title(first_lines)
    warnings = []
    if damaged:
        warnings.append(f"{damaged} of {_count(len(pages), 'page')} could not be read (damaged)")
    if bare > damaged:
        warnings.append(f"{bare - damaged} of {_count(len(pages), 'page')} hold no text (scanned?)")
    return ParsedDocument(
        title,
        "\n\n".join(texts),
        "application/pdf",
        page_starts=tuple(starts),
        headings=_headings(bookmarks, texts, starts),
        warnings=tuple(warnings),
    )


def _refuse_cut(data: bytes) -> None:
    """pdfium repairs a file that was cut short and gives what is left, as if it were all."""
    if b"%PDF-" not in data[:1024]:
        raise ParseError("is not a PDF file: check its suffix, or copy it again")
    ends = re.findall(rb"startxref\s+(\d+)\s+%%EOF", data)
    if not any(int(offset) for offset in ends[-3:]):
        raise ParseError("is cut short (its end is missing): copy or download it again")


def _read(data: bytes) -> tuple[list[Page], int, list[_Bookmark], str]:
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
        for number in range(len(document)):
            try:
                pages.append(_read_page(document, number))
            except pypdfium2.PdfiumError:
                damaged += 1
                pages.append(Page((), 0.0))
        if damaged == len(pages):
            raise ParseError("is damaged: no page can be read; print it to a new PDF")
        title = clean(document.get_metadata_value("Title")).strip()
        return pages, damaged, _bookmarks(document), "" if _POOR_TITLE.fullmatch(title) else title
    finally:
        document.close()


def _read_page(document: Any, number: int) -> Page:
    page = document[number]
    try:
        text_page = page.get_textpage()
        try:
            box = page.get_bbox()
            turn = page.get_rotation()
            height = box[2] - box[0] if turn in (90, 270) else box[3] - box[1]
            return Page(tuple(_lines(text_page, box, turn)), height)
        finally:
            text_page.close()
    finally:
        page.close()


def _lines(text_page: Any, box: Sequence[float], turn: int) -> Iterator[Line]:
    """Lines, each with the place of its first and last character.

    pdfium counts in UTF-16 units, and swallows the break after a divided word; its halves are set
    apart again here, as they stand on two lines.
    """
    from pypdfium2 import raw

    count = text_page.count_chars()
    buffer = (ctypes.c_ushort * (count + 1))()
    written = raw.FPDFText_GetText(text_page, 0, count, buffer) if count else 0
    units = bytes(buffer)[: 2 * max(0, written - 1)]
    text = units.decode("utf-16-le", "surrogatepass")
    astral = len(text) * 2 != len(units)
    for match in re.finditer(f"[^\r\n{HYPHEN}]+{HYPHEN}?|{HYPHEN}", text):
        body = match[0].removesuffix(HYPHEN)
        shown = clean(body).translate(_LIGATURES)
        shown = " ".join(shown.split()) + HYPHEN * (len(match[0]) > len(body))
        if not shown:
            continue
        longest = sorted(re.finditer(r"\S+", body), key=lambda word: -len(word[0]))[:3]
        inner = [word.start() for word in longest] or [0]
        spots = [len(body) - len(body.lstrip()), len(body.rstrip()) - 1, *inner]
        places = [match.start() + max(0, spot) for spot in spots]
        if astral:
            places = [len(text[:at].encode("utf-16-le", "surrogatepass")) // 2 for at in places]
        yield _placed(text_page, shown, places, box, turn)


def _placed(
    text_page: Any, shown: str, places: Sequence[int], box: Sequence[float], turn: int
) -> Line:
    """A line with its place on the upright page; `places` are UTF-16 units.

    First and last character give its ends, words between them its size and base line: the median
    of the three longest, as bullets, footnote marks and words in code type have their own.
    """
    from pypdfium2 import raw

    first, last, *inner = (
        max(0, raw.FPDFText_GetCharIndexFromTextIndex(text_page, place)) for place in places
    )
    sizes = sorted((_size(text_page, at), at) for at in inner)
    size, middle = sizes[len(sizes) // 2]
    start, base = (_upright(*_origin(text_page, at), box, turn) for at in (first, middle))
    edges = [ctypes.c_double() for _ in range(4)]
    raw.FPDFText_GetCharBox(text_page, last, *edges)
    end = _upright(edges[1].value, edges[3 if turn == 90 else 2].value, box, turn)
    return Line(shown, start[0], end[0], base[1], size, _is_mono(text_page, middle))


def _size(text_page: Any, index: int) -> float:
    """Type size as it appears: the font's size times the scale it is drawn at."""
    from pypdfium2 import raw

    matrix = raw.FS_MATRIX()
    raw.FPDFText_GetMatrix(text_page, index, matrix)
    scale = math.hypot(matrix.c, matrix.d) or 1.0
    return float(raw.FPDFText_GetFontSize(text_page, index) * scale) or 1.0


def _origin(text_page: Any, index: int) -> tuple[float, float]:
    from pypdfium2 import raw

    x, y = ctypes.c_double(), ctypes.c_double()
    raw.FPDFText_GetCharOrigin(text_page, index, x, y)
    return x.value, y.value


def _upright(x: float, y: float, box: Sequence[float], turn: int) -> tuple[float, float]:
    """A place as the reader sees it, from the bottom left of a page shown turned by `turn`."""
    left, bottom, right, top = box
    if turn == 90:
        return y - bottom, right - x
    if turn == 180:
        return right - x, top - y
    if turn == 270:
        return top - y, x - left
    return x - left, y - bottom


def _is_mono(text_page: Any, index: int) -> bool:
    from pypdfium2 import raw

    name, flags = ctypes.create_string_buffer(100), ctypes.c_int()
    raw.FPDFText_GetFontInfo(text_page, index, name, 100, flags)
    return bool(flags.value & 1) or _MONO.search(name.value) is not None


def _bookmarks(document: Any) -> list[_Bookmark]:
    """The outline. An entry that leads nowhere (page -1) still names those below it."""
    found = []
    for entry in islice(document.get_toc(), _MAX_BOOKMARKS):
        target = entry.get_dest()
        page = target.get_index() if target is not None else None
        title = " ".join(clean(entry.get_title()).split())
        if title:
            found.append(_Bookmark(entry.level, title, -1 if page is None else page))
    return found


def _headings(
    bookmarks: Sequence[_Bookmark], texts: Sequence[str], starts: Sequence[int]
) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Where each bookmark's words open a line on its page, else the start of the page.

    Of several at one place the deepest of one branch stays; of two branches what they share.
    """
    placed: list[tuple[int, tuple[str, ...]]] = []
    path: tuple[str, ...] = ()
    searched: dict[int, int] = {}
    for mark in bookmarks:
        path = (*path[: mark.level], mark.title)
        if not 0 <= mark.page < len(texts):
            continue
        text = texts[mark.page]
        match = _heading_pattern(mark.title).search(text, searched.get(mark.page, 0))
        match = match or _heading_pattern(mark.title).search(text)
        if match:
            searched[mark.page] = match.end()
        placed.append((starts[mark.page] + (match.start() if match else 0), path))
    found: dict[int, tuple[str, ...]] = {}
    for offset, path in sorted(placed, key=lambda item: item[0]):
        other = found.get(offset, path)
        found[offset] = path if path[: len(other)] == other else _shared(other, path)
    return tuple(found.items())


def _heading_pattern(title: str) -> re.Pattern[str]:
    """The title at the start of a line, with or without a number that only one of them has."""
    number = r"(?:(?:chapter|section|part|appendix)\s+)?(?:\d+(?:\.\d+)*|[A-Z](?:\.\d+)*)[.:)]?\s+"
    words = re.sub(f"(?i)^{number}(?=\\S)", "", title).split()
    body = r"\s+".join(map(re.escape, words))
    return re.compile(rf"^(?:{number})?{body}(?!\w)", re.IGNORECASE | re.MULTILINE)


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    same = [a for a, b in zip(one, other, strict=False) if a == b]
    return one[: len(same)] if same and one[: len(same)] == tuple(same) else one


def _first_title(lines: Sequence[Line]) -> str:
    """The largest type on the first page with text, else its first line, if that is short."""
    largest = max(line.size for line in lines)
    usual = median(line.size for line in lines)
    start = 0
    if largest > 1.15 * usual:
        start = next(at for at, line in enumerate(lines) if line.size > 0.97 * largest)
    title = lines[start].text
    for line in lines[start + 1 : start + 3]:
        if largest > 1.15 * usual and line.size > 0.97 * largest:
            title += line.text if title.endswith(HYPHEN) else f" {line.text}"
    title = title.replace(HYPHEN, "")
    return title if 3 <= len(title) <= 150 else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
