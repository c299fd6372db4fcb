"""Under a finished answer: two votes, and a field to correct it in."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from serve.feedback import Given
from serve.http_errors import describe
from serve.page_elements import element, icon_button, press, text
from serve.wiring import Parts

_THANKS = "Thank you."
_CORRECTED = "Thank you: the correction is stored."
_UNCHANGED = "Change the text first, or close the field."


class AnswerFeedback:
    """Built in the current container. `address` is the visitor's, as for the API."""

    def __init__(self, parts: Parts, answer_id: str, answer: str, address: str) -> None:
        self._parts = parts
        self._answer_id = answer_id
        self._answer = answer
        self._address = address
        with element("div", "feedback") as self._row:
            self._row.props('role=group aria-label="Feedback on this answer"')
            votes = {True: ("up", "Good answer"), False: ("down", "Bad answer")}
            self._votes = {
                good: icon_button(icon, label, partial(self._vote, good), "small")
                for good, (icon, label) in votes.items()
            }
            for button in self._votes.values():
                button.props["aria-pressed"] = "false"
            icon_button("edit", "Correct this answer", self._open, "small")
            self._note = text("", "feedback-note", tag="span").props("role=status")
        self._correction = element("div", "correction")
        self._correction.set_visibility(False)
        self._field: ui.textarea | None = None

    async def _vote(self, good: bool) -> None:
        if await self._give(Given(vote=good), _THANKS):
            for vote, button in self._votes.items():
                button.props["aria-pressed"] = "true" if vote == good else "false"

    def _open(self) -> None:
        """Show the field, or put it away with what was typed."""
        self._correction.set_visibility(not self._correction.visible)
        self._note.text = ""
        if self._field is None:  # not before: a hidden field does not grow with its text
            self._field = self._form()

    async def _correct(self) -> None:
        corrected = str(self._field.value or "").strip() if self._field else ""
        if corrected == self._answer.strip():
            self._note.text = _UNCHANGED
        elif await self._give(Given(texts={"correction": corrected}), _CORRECTED):
            self._correction.set_visibility(False)

    async def _give(self, given: Given, thanks: str) -> bool:
        """Whether it is stored; the note says so, or why not."""
        try:
            await self._parts.answers.give(self._parts, self._answer_id, self._address, given)
            said = thanks
        except Exception as error:  # a page has no status to answer with: it says what happened
            said = f"Not stored: {describe(error)[1]}"
        if self._row.is_deleted:
            return False
        self._note.text = said
        return said == thanks

    def _form(self) -> ui.textarea:
        with self._correction:
            field = ui.textarea(value=self._answer).props(
                'autogrow borderless dense aria-label="The answer as it should be"'
            )
            with element("div", "correction-foot"):
                for label, handler in (("Send correction", self._correct), ("Close", self._open)):
                    button = element("button", "quiet").props("type=button")
                    press(button, handler)
                    with button:
                        text(label, tag="span")
        return field
