"""How elements of a page become Markdown. Imported late, as markdownify and BeautifulSoup are slow
to import.

markdownify's type stubs leave out most of its methods.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from bs4 import Tag
from markdownify import ATX, MarkdownConverter

from rag.parsers.html_tables import table_markdown

if TYPE_CHECKING:
    from bs4.element import PageElement

_LINK_LIMIT = 100
"""A link target longer than this is dropped: it would crowd the words out of the passage."""
_MAX_ROWS_TEXT = 50_000_000
"""Characters. Beyond it, the rows of tables don't repeat the names of their columns."""
_IN_CELL = "_cell"
"""Among the parent tags: the text becomes part of one line, where nothing begins a block."""


_BLOCKS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "blockquote"})


class Converter(MarkdownConverter):
    """markdownify with short links, images as their description and tables as rows. For one page:
    it counts what the rows took."""

    def __init__(self) -> None:
        super().__init__(
            heading_style=ATX,
            bullets="-",
            escape_asterisks=False,
            escape_underscores=False,
            default_title=False,
            strip_pre=None,  # its own way takes hours for a megabyte of spaces
        )
        self._room = _MAX_ROWS_TEXT

    def process_tag(self, node: Tag, parent_tags: set[str] | None = None) -> str:
        above = parent_tags or set()
        if _IN_CELL in above and node.name in _BLOCKS:
            node.name = "div"
        if node.name != "table":
            return str(super().process_tag(node, parent_tags))  # type: ignore[misc]

        def convert(part: PageElement, form: Literal["block", "cell"]) -> str:
            if isinstance(part, Tag) and part.name in ("td", "th", "caption"):
                part.name = "div"  # markdownify puts all of a cell on one line
            inside = above | {_IN_CELL} if form == "cell" else above
            return str(self.process_element(part, parent_tags=inside))  # type: ignore[attr-defined]

        text = table_markdown(node, convert, self._room, in_code="pre" in above)
        self._room = max(0, self._room - len(text))
        return f"\n\n{text}\n\n" if text else ""

    def convert_td(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f" {text.strip()} "  # outside a table

    convert_th = convert_td

    def convert_tr(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f"\n\n{text.strip()}\n\n"

    convert_summary = convert_tr

    def convert_a(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        target, label = str(el.get("href") or "").strip(), text.strip()
        useful = re.match(r"(?:https?://|mailto:)[^\s()<>]+$", target, re.IGNORECASE)
        if not useful or len(target) > _LINK_LIMIT or not label or "_noformat" in parent_tags:
            return text
        link = f"<{target}>" if label == target else f"[{label}]({target})"
        return text.replace(label, link, 1)

    def convert_pre(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        text = re.sub(r"\A[ \n]*\n", "", text).rstrip(" \n")
        if _IN_CELL in parent_tags:
            return "\n\n" + text.replace("\n", "\n\n") + "\n\n"
        return str(super().convert_pre(el, text, parent_tags))  # type: ignore[misc]

    def convert_hr(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return "\n\n" if _IN_CELL in parent_tags else "\n\n---\n\n"

    def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return " ".join(str(el.get("alt") or "").split())

    def escape(self, text: str, parent_tags: set[str]) -> str:
        if _IN_CELL in parent_tags:
            return text
        return re.sub(r"^(\s*)(?=#{1,6}\s)", r"\1\\", text)  # "# of hosts" is no heading
