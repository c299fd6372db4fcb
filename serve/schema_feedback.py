"""`/v1/feedback`: what a caller says of an answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from serve.feedback import KINDS, TEXTS, Given
from serve.schema_base import Described, Strict, Text


class FeedbackIn(Strict):
    """At least one of vote, correction, comment and ideal."""

    id: Text = Field(
        min_length=1,
        max_length=200,
        description="The answer's own `id`, which only those know who were given the answer.",
        examples=["chatcmpl-4f1c0d5be21a9c07d2e86f13"],
    )
    vote: bool | None = Field(
        None, description="Whether the answer is good. Voting again changes it.", examples=[False]
    )
    correction: Text | None = Field(
        None,
        description="The answer as it should have been, by whoever asked.",
        examples=["Set `vgpu.hotmigrate.enabled` to `true` on the host."],
    )
    comment: Text | None = Field(
        None, description="What is wrong or right about it.", examples=["The page is out of date."]
    )
    ideal: Text | None = Field(
        None,
        description="A curator's model answer, written to be learnt from.",
        examples=["Set `vgpu.hotmigrate.enabled` to `true` on the host, then migrate. [1]"],
    )

    @model_validator(mode="after")
    def _says_something(self) -> FeedbackIn:
        if all(getattr(self, kind) is None for kind in KINDS):
            raise ValueError("says nothing: give at least one of vote, correction, comment, ideal")
        return self

    def given(self) -> Given:
        texts = {kind: getattr(self, kind) for kind in TEXTS}
        return Given(self.vote, {kind: text for kind, text in texts.items() if text is not None})


class FeedbackOut(Described):
    """What is stored by now."""

    id: str = Field(description="The answer.", examples=["chatcmpl-4f1c0d5be21a9c07d2e86f13"])
    object: Literal["feedback"] = "feedback"
    recorded: list[str] = Field(
        description="What of it was stored; a former one of the same kind is replaced.",
        examples=[["vote", "correction"]],
    )
