"""The shapes of a slide as blocks of Markdown: text frames, tables, groups and SmartArt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from rag.parsers.markdown_lines import escaped
from rag.parsers.table_grid import table_lines
from rag.parsers.table_rows import carried, one_line
from rag.parsers.text import clean

if TYPE_CHECKING:
    from pptx.shapes.base import BaseShape
    from pptx.table import Table
    from pptx.text.text import _Paragraph

_MAX_SHAPES = 10_000
_DEEPEST = 20
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_EITHER = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_FURNITURE = frozenset({"DATE", "FOOTER", "HEADER", "SLIDE_NUMBER", "SLIDE_IMAGE"})
_LISTS = frozenset({"BODY", "OBJECT", "VERTICAL_BODY", "VERTICAL_OBJECT"})


def reading_order(shapes: Iterable[Any], depth: int = 0) -> Iterator[Any]:
    """The shapes from the top left, those of a group together; shapes side by side form a row."""
    placed: list[tuple[int, int, int, Any]] = []
    top = left = 0
    for shape in islice(shapes, _MAX_SHAPES):
        # One without a place of its own stays behind the one before it.
        top = shape.top if shape.top is not None else top
        left = shape.left if shape.left is not None else left
        placed.append((top, left, shape.height or 0, shape))
    placed.sort(key=lambda place: place[0])
    while placed:
        limit, count = placed[0][0] + placed[0][2] // 2, 0
        for top, _, height, _ in placed:
            if top > limit:
                break
            limit = min(limit, top + height // 2)
            count += 1
        row, placed = placed[:count], placed[count:]
        for *_, shape in sorted(row, key=lambda place: place[1]):
            if hasattr(shape, "shapes") and depth < _DEEPEST:
                yield from reading_order(shape.shapes, depth + 1)
            else:
                yield shape


def shape_blocks(shape: BaseShape) -> Iterator[str]:
    """Paragraphs, lists and rows that the shape shows; nothing for pictures and furniture."""
    kind = _placeholder(shape)
    if kind in _FURNITURE:
        return
    if shape.has_text_frame:
        frame: Any = shape
        yield from _paragraphs(list(frame.text_frame.paragraphs), in_list=kind in _LISTS)
    elif getattr(shape, "has_table", False):
        graphic: Any = shape
        yield "\n".join(table_lines(_rows(graphic.table), 3))
    else:
        yield "\n".join(f"- {text}" for text in _diagram(shape))


def newer_blocks(slide: Any) -> Iterator[str]:
    """Text in shapes of newer versions (with equations, say), which python-pptx passes over."""
    for alternatives in slide.iter(f"{_EITHER}AlternateContent"):
        choice = alternatives.find(f"{_EITHER}Choice")
        if choice is not None:
            yield from map(escaped, _texts(choice))


def _placeholder(shape: BaseShape) -> str:
    """The kind of placeholder, '' for any other shape."""
    if not shape.is_placeholder:
        return ""
    try:
        return str(shape.placeholder_format.type.name)
    except (KeyError, ValueError, AttributeError):  # a kind that python-pptx does not know
        return ""


def _paragraphs(paragraphs: list[_Paragraph], *, in_list: bool) -> Iterator[str]:
    """Prose as blocks, items of a list as one block."""
    texts = [one_line(clean(paragraph.text).replace("\n", " ")) for paragraph in paragraphs]
    if sum(map(bool, texts)) == 1:
        in_list = False  # a single paragraph in the slide's body is no list
    items: list[str] = []
    numbers: dict[int, int] = {}
    for paragraph, text in zip(paragraphs, texts, strict=True):
        if not text:
            continue
        level = paragraph.level
        marker = _marker(paragraph, in_list or level > 0, numbers)
        if marker:
            items.append(f"{'  ' * level}{marker} {text}")
            continue
        if items:
            yield "\n".join(items)
        items = []
        yield escaped(text)
    if items:
        yield "\n".join(items)


def _marker(paragraph: _Paragraph, in_list: bool, numbers: dict[int, int]) -> str:
    """'-', '3.' or '' for a paragraph that is no item; `numbers` counts on, level by level."""
    level = paragraph.level
    properties = paragraph._p.pPr
    tags = {child.tag: child for child in properties} if properties is not None else {}
    numbered = tags.get(f"{_DRAWING}buAutoNum")
    for deeper in [known for known in numbers if known > level or numbered is None]:
        if deeper >= level:
            del numbers[deeper]
    if numbered is not None:
        start = numbered.get("startAt", "1")
        first = int(start) if start.isdecimal() and len(start) < 6 else 1
        numbers[level] = numbers.get(level, first - 1) + 1
        return f"{numbers[level]}."
    if f"{_DRAWING}buNone" in tags:
        return ""
    bullets = tags.keys() & {f"{_DRAWING}buChar", f"{_DRAWING}buBlip"}
    return "-" if bullets or in_list else ""


def _rows(table: Table) -> Iterator[list[str]]:
    """Cells as text; a cell merged downwards stands in each row that it reaches."""
    above: list[str] = []
    for row in table.rows:
        cells = []
        for i, cell in enumerate(row.cells):
            reached = cell.is_spanned and cell._tc.vMerge
            text = carried(above[i]) if reached and i < len(above) else clean(cell.text)
            cells.append(text)
        above = cells
        yield cells


def _diagram(shape: BaseShape) -> Iterator[str]:
    """The texts of a SmartArt drawing, which lie in a part of their own."""
    for links in shape.element.iter(f"{_DIAGRAM}relIds"):
        target = links.get(f"{_LINK}dm", "")
        if target in shape.part.rels:
            points = ElementTree.fromstring(shape.part.related_part(target).blob)
            for point in points.iter(f"{_DIAGRAM}pt"):
                yield from _texts(point)


def _texts(element: Any) -> Iterator[str]:
    """The paragraphs in any piece of markup."""
    for paragraph in element.iter(f"{_DRAWING}p"):
        text = one_line(clean("".join(run.text or "" for run in paragraph.iter(f"{_DRAWING}t"))))
        if text:
            yield text
