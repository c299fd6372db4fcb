"""One question on the page and what becomes of it: answer, refusal, error, or a stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from nicegui import ui

from serve.chat import Finished
from serve.page_citation import show_sources
from serve.page_elements import element, text
from serve.page_markdown import render

Look = Literal["answer", "refusal", "blocked", "error"]

_PRESSED_MARK = """(event) => {
  const mark = event.target.closest("[data-number]");
  if (mark) emit(Number(mark.dataset.number));
}"""


class Turn:
    """Grows in the container that it is made in. `open_source` is called with a mark's number."""

    def __init__(self, question: str, open_source: Callable[[int], None]) -> None:
        self.question = question
        self.answer = ""
        self._open_source = open_source
        with element("article", "turn") as turn:
            text(question, "question")
            with element("div", "reply") as self._reply:
                self._reply.props["aria-busy"] = "true"
                # DOMPurify in the browser goes over the HTML once more, on the way in.
                self._body = ui.html("", sanitize=True).classes("body")
                self._body.on("click", lambda e: open_source(int(e.args)), js_handler=_PRESSED_MARK)
                with element("div", "stage").props("role=status") as self._stage:
                    element("span", "spinner").props("aria-hidden=true")
                    self._stage_text = text("", tag="span")
                self._extra = element("div", "extra")
        self.element = turn

    def stage(self, name: str) -> None:
        if not self.answer:
            self._stage_text.text = name

    def add(self, piece: str) -> None:
        """Show more of the answer. The stage is over with the first sentence."""
        self.answer += piece
        self._body.content = render(self.answer, numbers=None)
        self._stage_text.text = "Writing…"

    def finish(self, end: Finished) -> None:
        self.answer = end.text
        numbers = {citation.number for citation in end.citations}
        self._body.content = render(end.text, numbers)
        self._end(_look(end))
        with self._extra:
            if end.finish_reason == "length":
                text("The answer was cut at its length limit.", "note", tag="p")
            if end.citations:
                show_sources(end.citations, self._open_source)
                text(_took(end.timings), "timing", tag="p")

    def below(self, show: Callable[[], object]) -> None:
        """Let `show` build more under a reply that is finished."""
        with self._extra:
            show()

    def stop(self) -> None:
        """Leave what is there. Sources are named by a whole answer only, so its marks go dead."""
        self._body.content = render(self.answer, numbers=())
        self._end("answer")
        with self._extra:
            note = "Stopped. A stopped answer lists no sources." if self.answer else "Stopped."
            text(note, "note", tag="p")

    def fail(self, message: str) -> None:
        self._body.content = render(self.answer, numbers=())
        self._end("error")
        with self._extra:
            shown = f"The question could not be answered: {message}"
            text(shown, "failure", tag="p").props("role=alert")

    def _end(self, look: Look) -> None:
        self._stage.delete()
        self._reply.classes(look)
        self._reply.props["aria-busy"] = "false"


def _look(end: Finished) -> Look:
    """Fixed replies cite nothing; every answer does."""
    if end.citations:
        return "answer"
    return "blocked" if end.finish_reason == "content_filter" else "refusal"


def _took(timings: dict[str, float]) -> str:
    total, first = timings.get("total", 0.0) / 1000, timings.get("first_token", 0.0) / 1000
    if total - first < 0.1:
        return f"{total:.1f} s"
    return f"{total:.1f} s, the first sentence after {first:.1f} s"
