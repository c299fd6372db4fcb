"""One open page: its conversation, the question that is being answered, and what is pressed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial

from nicegui import background_tasks, ui
from nicegui.client import Client

from rag.schema import Message, Sampling
from serve.answer import Citation
from serve.chat import Finished, Question, chat
from serve.http_errors import describe
from serve.models import default_adapter
from serve.page_citation import SourceDrawer
from serve.page_elements import element, icon_button, press, text
from serve.page_feedback import AnswerFeedback
from serve.page_stages import STAGES, watched
from serve.page_turn import Turn
from serve.remembering import new_answer_id
from serve.wiring import Parts

_MOST_HISTORY = 20
"""Messages kept: more than prompts hold, fewer than the rails judge."""
_RECONNECT_GRACE_S = 3.0
_TO_THE_END = "document.querySelector('.scroller').scrollTop = 0"
_FOCUS = (  # not where that would bring up a keyboard over the answer
    "if (matchMedia('(pointer: fine)').matches)"
    " document.querySelector('.composer textarea')?.focus()"
)
_ENTER = """(event) => {
  if (event.shiftKey || event.isComposing) return;
  event.preventDefault();
  emit(event.target.value);
}"""


class ChatPage:
    """Built once for every load of the page; nothing of it is shared between visitors."""

    def __init__(self, parts: Parts, examples: Sequence[str], searched: int) -> None:
        self._parts = parts
        self._examples = examples
        self._searched = searched
        self._history: list[Message] = []
        self._running: asyncio.Task[None] | None = None
        with element("div", "app"):
            _head(self.restart)
            # The outer element is a reversed column, which keeps a browser at its end while the
            # answer grows, unless the reader has scrolled away.
            with element("main", "scroller"):
                self._transcript = element("div", "transcript").props(
                    'role=log aria-label="Conversation"'
                )
            self._compose()
        self._drawer = SourceDrawer(parts)
        self._welcome()
        client = ui.context.client
        self._address = client.ip
        client.on_disconnect(lambda: self._left(client))
        client.on_delete(self.stop)

    # --- what is pressed -------------------------------------------------------------------------

    def ask(self, question: str) -> None:
        """Start to answer, unless another answer is on its way or the question is no question."""
        question = question.strip()
        limit = self._parts.config.server.max_question_chars
        if self._running is not None or not question:
            return
        if len(question) > limit:
            self._problem.text = f"{len(question):,} characters; a question may have {limit:,}."
            return
        self._problem.text = self._input.value = ""
        if not self._history:
            self._hello.set_visibility(False)
        citations: dict[int, Citation] = {}
        with self._transcript:
            turn = Turn(question, lambda number: self._open(citations.get(number)))
        self._running = background_tasks.create(self._answer(turn, citations), name="answer")
        self._show_running(True)
        ui.run_javascript(f"{_TO_THE_END}; {_FOCUS}")

    def stop(self) -> None:
        """Cancel the answer on its way, and with it the generation behind it."""
        if self._running is not None:
            self._running.cancel()

    def restart(self) -> None:
        self.stop()
        self._history.clear()
        self._transcript.clear()
        self._problem.text = ""
        self._welcome()
        ui.run_javascript(_FOCUS)

    # --- how ---------------------------------------------------------------------------------

    async def _answer(self, turn: Turn, citations: dict[int, Citation]) -> None:
        turn.stage(STAGES["input"])
        parts = watched(self._parts, turn.stage)
        try:
            async with aclosing(chat(parts, self._question(turn.question))) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        citations.update({c.number: c for c in event.citations})
                        turn.finish(event)
                        self._offer_feedback(turn, event)
                        self._remember(turn, event)
                    else:
                        turn.add(event.text)
        except asyncio.CancelledError:
            if not turn.element.is_deleted:
                turn.stop()
        except Exception as error:  # a page has no status to answer with: it says what happened
            turn.fail(describe(error)[1])
        finally:
            self._running = None
            if not self._send.is_deleted:
                self._show_running(False)

    def _question(self, question: str) -> Question:
        generator = self._parts.config.generator
        sampling = Sampling(max_tokens=generator.max_tokens, temperature=generator.temperature)
        adapter = default_adapter(self._parts)
        return Question(question, sampling, self._parts.groups, tuple(self._history), adapter)

    def _remember(self, turn: Turn, end: Finished) -> None:
        """Only answers: the rails judge earlier questions too, so one that was blocked would block
        all that follow, and one that found nothing would mislead the search for the next."""
        if end.citations:
            self._history += [Message("user", turn.question), Message("assistant", end.text)]
            del self._history[:-_MOST_HISTORY]

    def _offer_feedback(self, turn: Turn, end: Finished) -> None:
        if self._parts.config.server.feedback.enabled:
            answer_id = new_answer_id()
            self._parts.answers.remember(self._parts, answer_id, end)
            turn.below(partial(AnswerFeedback, self._parts, answer_id, end.text, self._address))

    def _open(self, citation: Citation | None) -> None:
        if citation is not None:
            background_tasks.create(self._drawer.show(citation), name="show source")

    async def _left(self, client: Client) -> None:
        """Nobody waits for an answer whose page is closed; one that reconnects at once does."""
        await asyncio.sleep(_RECONNECT_GRACE_S)
        if not client.has_socket_connection:
            self.stop()

    def _show_running(self, running: bool) -> None:
        self._send.set_visibility(not running)
        self._stop.set_visibility(running)

    # --- what is there at first ------------------------------------------------------------------

    def _welcome(self) -> None:
        with self._transcript, element("section", "hello") as self._hello:
            text("Ask your documents", "hello-title", tag="h1")
            text(
                "Answers are made from your organisation's own documents and show the passages "
                "they rest on. Where the documents hold no answer, vSage says so.",
                "hello-text",
                tag="p",
            )
            if self._examples:
                with element("div", "examples").props('role=group aria-label="Examples"'):
                    for example in self._examples:
                        chip = element("button", "example").props("type=button")
                        press(chip, partial(self.ask, example))
                        with chip:
                            text(example, tag="span")

    def _compose(self) -> None:
        with element("div", "composer"):
            self._problem = text("", "problem", tag="p").props("role=alert")
            with element("div", "field"):
                self._input = ui.textarea(placeholder="Ask a question").props(
                    'autogrow borderless dense autofocus aria-label="Your question"'
                )
                self._input.on("keydown.enter", lambda e: self.ask(str(e.args)), js_handler=_ENTER)
                self._send = icon_button("send", "Send", lambda: self.ask(self._input.value), "go")
                self._stop = icon_button("stop", "Stop", self.stop, "go")
                self._stop.set_visibility(False)
            with element("footer", "foot"):
                text(_searches(self._searched), tag="span")
                text("API docs", tag="a").props("href=docs target=_blank rel=noopener")


def _head(restart: Callable[[], None]) -> None:
    with element("header", "head"):
        text("vSage", "brand", tag="span")
        icon_button("add", "New conversation", restart, "quiet", wide=True)


def _searches(count: int) -> str:
    if count == 0:
        return "No documents to search yet"
    return f"Searches {count:,} document{'s' if count > 1 else ''}"
