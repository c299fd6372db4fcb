"""The sources under an answer, and the drawer that shows a cited passage in its document."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from nicegui import ui

from rag.errors import RagError
from serve.answer import Citation
from serve.page_elements import element, icon_button, press, text
from serve.page_passage import AROUND, MOST_AROUND, Excerpt, cited_text, excerpt, to_html
from serve.wiring import Parts

_GONE = (
    "This passage can't be shown: its document was changed or removed, or you may no longer read "
    "it. Ask again to search the documents as they are now."
)
_SCROLL = """() => {
  const passage = document.querySelector("#cited-passage");
  (passage?.querySelector(".support") ?? passage)?.scrollIntoView({block: "center"});
}"""


def where(citation: Citation) -> str:
    """Heading path and page of a passage, for people."""
    hit = citation.hit
    path = [part for part in hit.heading_path if part != hit.title]
    page = [f"page {hit.page}"] if hit.page is not None else []
    return " · ".join([*([" › ".join(path)] if path else []), *page])


def show_sources(citations: Sequence[Citation], open_source: Callable[[int], None]) -> None:
    """Cards in the current container, one for each cited passage."""
    text("Sources", "sources-title", tag="h2")
    with element("ul", "sources"):
        for citation in citations:
            with element("li"):
                card = element("button", "source")
                card.props["type"] = "button"
                card.props["data-number"] = citation.number
                press(card, partial(open_source, citation.number))
                with card:
                    text(str(citation.number), "mark", tag="span")
                    with element("span", "source-name"):
                        text(citation.hit.title, "source-title", tag="span")
                        if place := where(citation):
                            text(place, "source-where", tag="span")


class SourceDrawer:
    """One dialog a page, at its right edge; filled anew for every passage that is opened."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        # The transition is short because the passage can be scrolled to only once it has ended.
        self._dialog = ui.dialog().props("position=right full-height transition-duration=160")
        self._dialog.props["aria-labelledby"] = "source-title"
        self._dialog.on("show", js_handler=_SCROLL)
        with self._dialog:
            self._card = element("div", "drawer")

    async def show(self, citation: Citation, around: int = AROUND) -> None:
        """Open the drawer on a passage; the caller's rights are looked up again."""
        catalog, groups = self._parts.knowledge.catalog, self._parts.groups
        try:
            document = await asyncio.to_thread(cited_text, catalog, citation, groups)
            problem = _GONE
        except RagError as error:
            document, problem = None, str(error)
        self._card.clear()
        with self._card:
            self._head(citation)
            if document is None:
                text(problem, "drawer-note", tag="p")
            else:
                self._document(citation, excerpt(document, citation, around), around)
        if self._dialog.value:
            ui.run_javascript(f"setTimeout({_SCROLL}, 50)")
        self._dialog.open()

    def _head(self, citation: Citation) -> None:
        with element("header", "drawer-head"):
            text(str(citation.number), "mark", tag="span")
            with element("div", "drawer-titles"):
                text(citation.hit.title, "drawer-title", tag="h2").props("id=source-title")
                if place := where(citation):
                    text(place, "source-where", tag="p")
            icon_button("close", "Close the source", self._dialog.close)

    def _document(self, citation: Citation, shown: Excerpt, around: int) -> None:
        with element("div", "drawer-body").props('tabindex=0 role=document aria-label="Document"'):
            if shown.start > 0:
                text(f"… {shown.start:,} characters before", "cut", tag="p")
            ui.html(to_html(shown.stretches), sanitize=True).classes("document")
            if shown.end < shown.length:
                text(f"… {shown.length - shown.end:,} characters after", "cut", tag="p")
        if not shown.whole and around < MOST_AROUND:
            with element("footer", "drawer-foot"):
                more = element("button", "quiet").props("type=button")
                press(more, lambda: self.show(citation, MOST_AROUND))
                with more:
                    text("Show the whole document", tag="span")
