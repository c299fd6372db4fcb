"""Tables that only set line numbers beside code, as highlighters and code browsers write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bs4.element import NavigableString, PreformattedString, Tag

if TYPE_CHECKING:
    from bs4.element import PageElement

_CODE_LINE = re.compile(r"\b(?:code|blob-code|hljs-ln-code|line-content|js-file-line)\b")


def has_words(node: PageElement) -> bool:
    """Whether it is text (no comment, no element) that a reader sees."""
    is_text = isinstance(node, NavigableString) and not isinstance(node, PreformattedString)
    return is_text and bool(str(node).strip())


def numbered_code(rows: Sequence[Sequence[Tag]]) -> str | None:
    """The lines of code in a table of `rows` of cells, None for a table of anything else."""
    if not rows or any(len(row) != 2 for row in rows):
        return None
    numbers, lines = [row[0] for row in rows], [row[1] for row in rows]
    if len(rows) == 1 and lines[0].find("pre") is None:
        return None
    if len(rows) > 1 and not all(map(_is_code_line, lines)):
        return None
    counted = [_number(cell) for cell in numbers]
    values = " ".join(counted).split()
    if not values or not all(re.fullmatch(r"\d{1,7}", value) for value in values):
        return None
    first = int(values[0])
    if [int(value) for value in values] != list(range(first, first + len(values))):
        return None
    for line_break in (found for line in lines for found in line.find_all("br")):
        line_break.replace_with("\n")
    return "\n".join(line.get_text().strip("\n") for line in lines)


def _number(cell: Tag) -> str:
    """The line numbers in a cell: its text, or what a style sheet shows."""
    text = cell.get_text(" ").strip()
    holder = cell if cell.has_attr("data-line-number") else cell.select_one("[data-line-number]")
    return text or (str(holder.get("data-line-number")) if holder else "")


def _is_code_line(cell: Tag) -> bool:
    held = [child for child in cell.children if isinstance(child, Tag) or has_words(child)]
    alone = len(held) == 1 and isinstance(held[0], Tag) and held[0].name in ("pre", "code")
    return alone or _CODE_LINE.search(" ".join(cell.get_attribute_list("class"))) is not None
