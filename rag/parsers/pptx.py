"""PPTX to Markdown with python-pptx: one section and one page per slide.

Shapes are read row by row from the top left, the title first, since their order in the file is the
order in which they were drawn. Not read: pictures and their descriptions, charts, comments, hidden
slides, headers and footers. Which paragraphs have a bullet is taken from the paragraph or, where it
says nothing, from the kind of its placeholder; the slide master is not asked.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from rag.errors import ParseError
from rag.parsers.markdown_lines import escaped, heading, joined
from rag.parsers.pptx_shapes import newer_blocks, reading_order, shape_blocks
from rag.parsers.table_rows import one_line
from rag.parsers.text import clean
from rag.parsers.zip_guard import Package, checked_title
from rag.schema import ParsedDocument

if TYPE_CHECKING:
    from pptx.slide import Slide

_POWERPOINT = Package("PowerPoint presentation", ".pptx", "ppt/", "the presentation program", 60)
_MEDIA = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_LONGEST_TITLE = 150
_MAX_SLIDES = 5000


def parse_pptx(data: bytes) -> ParsedDocument:
    """`## title` of each slide, then its text, tables and speaker notes. A page is a slide.

    Raises ParseError for what is protected, damaged or no presentation. Hidden slides and slides
    without text leave a warning; they count as pages.
    """
    title = checked_title(data, _POWERPOINT)
    try:
        titles, texts = _slides(data)
    except RecursionError as error:
        raise ParseError(
            "nests its parts too deeply: save it again from the presentation program"
        ) from error
    except Exception as error:  # python-pptx lets through whatever odd markup makes it raise
        reason = " ".join(str(error).split())[:200]
        raise ParseError(f"is damaged ({reason}): open it and save it again as .pptx") from error
    starts, at = [], 0
    for text in texts:
        starts.append(at)
        at += len(text) + 2 if text else 0
    return ParsedDocument(
        title or next(filter(None, titles), ""),
        joined(text or "" for text in texts),
        _MEDIA,
        page_starts=tuple(starts),
        warnings=tuple(_warnings(texts)),
    )


def _slides(data: bytes) -> tuple[list[str], list[str | None]]:
    """Titles, and texts: '' for a slide without any, None for a hidden one."""
    from pptx import Presentation

    titles: list[str] = []
    texts: list[str | None] = []
    for number, slide in enumerate(islice(Presentation(io.BytesIO(data)).slides, _MAX_SLIDES), 1):
        if slide.element.get("show") in ("0", "false"):
            texts.append(None)
            continue
        title = _title(slide)
        titles.append(title)
        texts.append(_text(slide, title, number))
    return titles, texts


def _title(slide: Slide) -> str:
    shape = slide.shapes.title
    return one_line(clean(shape.text_frame.text).replace("\n", " ")) if shape is not None else ""


def _text(slide: Slide, title: str, number: int) -> str:
    """The slide as a section; never without a heading, since the one before must not cover it."""
    own = slide.shapes.title
    blocks = [
        block
        for shape in reading_order(slide.shapes)
        if own is None or shape.shape_id != own.shape_id
        for block in shape_blocks(shape)
    ]
    blocks += [*newer_blocks(slide.element), *_notes(slide)]
    short = len(title) <= _LONGEST_TITLE
    if title and not (short and any(blocks)):  # a heading without a text is found by no search
        blocks.insert(0, escaped(title))
    if not any(blocks):
        return ""
    return joined([heading(2, title if title and short else f"Slide {number}"), *blocks])


def _notes(slide: Slide) -> Iterator[str]:
    frame = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    if frame is not None:
        texts = [clean(paragraph.text).strip() for paragraph in frame.paragraphs]
        texts = [one_line(text) for text in texts if text]
        if texts:
            yield f"Notes: {texts[0]}"
            yield from map(escaped, texts[1:])


def _warnings(texts: Sequence[Any]) -> Iterator[str]:
    bare, hidden = texts.count(""), texts.count(None)
    count = f"{len(texts)} slide{'s' if len(texts) != 1 else ''}"
    if hidden:
        yield f"{hidden} of {count} are hidden and were left out"
    if bare:
        yield f"{bare} of {count} hold no text (pictures?)"
    if len(texts) == _MAX_SLIDES:
        yield f"only the first {_MAX_SLIDES} slides were read: split it"
