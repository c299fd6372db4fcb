"""Scanned pages of a PDF to lines: pdfium draws the page, RapidOCR recognises what is written.

RapidOCR (Apache-2.0) brings its models inside the wheel, so nothing is fetched; it belongs to the
extra `ocr`. It reads Latin, Chinese and Japanese script, not Cyrillic, Greek, Arabic or Hebrew, and
takes some seconds of a core for a page. A page that was scanned sideways is not turned.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from statistics import median
from typing import Any

from rag.errors import ParseError
from rag.parsers.pdf.columns import WIDE_GAP, visual_rows
from rag.parsers.pdf.layout import Line, Word
from rag.parsers.text import clean

_DPI = 200
_MAX_PIXELS = 12_000_000
"""A3 at 200 dpi has 7.7 million; a larger page is drawn smaller."""
_MAX_SIDE = 8_000
_DETECTOR_SIDE = 1_280
"""Pixels to which a page is shrunk to find its lines; they are read at full size."""
_LEAST_SCORE = 0.5
_MAX_THREADS = 4
_EM = 0.8
"""Type size as a share of the height of the box around a line."""
_COLUMN_LINES = 4
_COLUMN_CHARACTERS = 15
_FULL = 0.6
"""Share of the written width from which a line belongs to no column but to all."""

_on_page: list[Callable[[], None]] = []


def watch(on_page: Callable[[], None]) -> None:
    """Have `on_page` called after each page: these take long, and whoever waits sees progress."""
    _on_page.append(on_page)


class ScannedText:
    """The text of a page as recognised; for tables it can be asked like a `PageText`."""

    def __init__(self, words: Sequence[Word], height: float) -> None:
        self.height = height
        self._rows = [row for group in _reading_order(words) for row in visual_rows(group)]

    def lines(self) -> list[Line]:
        return list(self._lines())

    def _lines(self) -> Iterator[Line]:
        for number, row in enumerate(self._rows):
            row.sort(key=lambda word: word.left)
            text = " ".join(word.text for word in row)
            left, right = row[0].left, max(word.right for word in row)
            size, base = max(word.size for word in row), median(word.base for word in row)
            yield Line(text, left, right, base, size, span=(number, number))

    def words(self, line: Line) -> list[Word]:
        """The stretches of a line that were recognised in one piece each."""
        return list(self._rows[line.span[0]])

    def cut(self, word: Word, x: float) -> tuple[Word, Word] | None:
        """Never: where the characters stand is not known."""
        return None


def read_scan(page: Any) -> ScannedText:
    """Recognise a pdfium page. Raises ParseError where the extra is missing."""
    engine = _engine()
    width, height = page.get_size()
    if not (0 < width < math.inf and 0 < height < math.inf):
        return ScannedText([], 0.0)
    scale = _scale(width, height)
    bitmap = page.render(scale=scale)
    try:
        found = engine(bitmap.to_numpy())
    finally:
        bitmap.close()
    for call in _on_page:
        call()
    boxes = zip(found.boxes, found.txts, strict=True) if found.boxes is not None else ()
    return ScannedText(_words(boxes, scale, height), height)


def _scale(width: float, height: float) -> float:
    """Pixels for a point: 200 dpi, unless that is too many."""
    within_area = math.sqrt(_MAX_PIXELS / (width * height))
    return min(_DPI / 72, within_area, _MAX_SIDE / max(width, height))


@cache
def _engine() -> Any:
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise ParseError(
            "has scanned pages, and OCR is not installed: run `make setup EXTRAS=ocr`, or set "
            "ingest.ocr to false"
        ) from error
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,  # lines that stand on their head
            "Global.max_side_len": _MAX_SIDE,
            "Global.text_score": _LEAST_SCORE,
            "Det.limit_type": "max",
            "Det.limit_side_len": _DETECTOR_SIDE,
            # One line at a time: a batch is padded to its longest, which costs time and memory.
            "Rec.rec_batch_num": 1,
            "EngineConfig.onnxruntime.intra_op_num_threads": min(cores or 1, _MAX_THREADS),
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _words(boxes: Any, scale: float, height: float) -> list[Word]:
    """Recognised boxes in points. Their heights differ by the letters in them, so those about as
    high as most are taken to be as high."""
    found = []
    for corners, text in boxes:
        xs, ys = [float(x) for x, _ in corners], [float(y) for _, y in corners]
        shown = " ".join(clean(text).split())
        if shown:
            found.append((shown, min(xs) / scale, max(xs) / scale, min(ys), max(ys)))
    usual = median(bottom - top for *_, top, bottom in found) if found else 0.0
    words = []
    for shown, left, right, top, bottom in found:
        tall = bottom - top
        size = _EM * (usual if 0.7 * usual < tall < 1.35 * usual else tall) / scale
        base = height - (top + bottom) / 2 / scale - 0.3 * size
        words.append(Word(shown, left, right, base, size or 1.0, False, 0, len(shown)))
    return words


def _reading_order(words: Sequence[Word]) -> list[list[Word]]:
    """Groups in the order in which they are read: columns of prose one after another, between
    lines that run over all of them."""
    if not words:
        return []
    left, right = min(word.left for word in words), max(word.right for word in words)
    groups: list[list[Word]] = [[]]
    for row in visual_rows(words):
        full = any(word.right - word.left > _FULL * (right - left) for word in row)
        if full:
            groups += [row, []]
        else:
            groups[-1] += row
    return [part for group in groups if group for part in _columns(group)]


def _columns(words: Sequence[Word]) -> list[list[Word]]:
    """The words by column, where all columns hold prose; else, as in a table, all together."""
    columns: list[list[Word]] = []
    reach = 0.0
    for word in sorted(words, key=lambda word: word.left):
        if not columns or word.left - reach > WIDE_GAP * word.size:
            columns.append([])
        columns[-1].append(word)
        reach = max(reach, word.right)
    prose = all(
        len(column) >= _COLUMN_LINES
        and median(len(word.text) for word in column) >= _COLUMN_CHARACTERS
        for column in columns
    )
    return columns if prose else [list(words)]
