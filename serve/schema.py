"""Requests and responses of the HTTP API: OpenAI's shapes, vSage's own fields under `vsage`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

from serve.schema_base import Described, Strict, Text
from serve.schema_filters import FiltersIn, VsageIn

_UNSUPPORTED_UNLESS: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "store": (False,),
    "service_tier": ("auto", "default"),
}
"""OpenAI's parameters that vSage cannot honour, and the values that ask for nothing of them."""


class TextPart(Strict):
    type: Literal["text"]
    text: Text


class ChatMessage(Strict):
    role: Literal["system", "developer", "user", "assistant"] = Field(examples=["user"])
    content: Text | list[TextPart] | None = Field(
        examples=["Which setting enables vMotion for vGPU?"]
    )
    name: Text | None = Field(None, description="Accepted and ignored.")
    refusal: Text | None = Field(None, description="Accepted and ignored.")

    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(Strict):
    include_usage: bool = False
    include_obfuscation: bool = Field(False, description="Accepted and ignored.")


class ChatRequest(Strict):
    """OpenAI's chat completion request, as far as vSage can honour it."""

    model: Text = Field(description="The name that `/v1/models` lists.", examples=["vsage"])
    messages: list[ChatMessage] = Field(
        min_length=1,
        description="The conversation, oldest first; the last one is the user's question. System "
        "messages are checked by the input rails but do not steer vSage.",
    )
    stream: bool | None = Field(False, description="Answer as server-sent events.")
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Longest answer in tokens, quotations included.", examples=[200]
    )
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = Field(
        None, description="OpenAI's newer name for `max_tokens`."
    )
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(
        None, description="0 always takes the likeliest token.", examples=[0]
    )
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Draw only among the likeliest tokens that make up this share."
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=2**32 - 2,
        description="The same seed draws the same answer again, as far as the generator can.",
    )
    stop: Text | Annotated[list[Text], Field(max_length=4)] | None = Field(
        None, description="Up to four strings that end the answer; not part of it."
    )
    user: Text | None = Field(None, description="Accepted and ignored.")
    metadata: dict[Text, Text] | None = Field(None, description="Accepted and ignored.")
    vsage: VsageIn | None = Field(None, description="vSage's own parameters.")
    _remember: bool = PrivateAttr(True)

    @property
    def remember(self) -> bool:
        """False where OpenAI's `store` says so: the answer is not kept to take feedback on it."""
        return self._remember

    @model_validator(mode="wrap")
    @classmethod
    def _note_store(
        cls, values: Any, handler: ModelWrapValidatorHandler[ChatRequest]
    ) -> ChatRequest:
        request = handler(values)
        request._remember = not (isinstance(values, dict) and values.get("store") is False)
        return request

    @model_validator(mode="before")
    @classmethod
    def _drop_neutral(cls, values: Any) -> Any:
        """Let through parameters that are unsupported but ask for nothing (`n: 1`)."""
        if not isinstance(values, dict):
            return values
        return {
            key: value
            for key, value in values.items()
            if key not in _UNSUPPORTED_UNLESS
            or (value is not None and not _asks_for_nothing(value, _UNSUPPORTED_UNLESS[key]))
        }


def _asks_for_nothing(value: Any, neutral: tuple[Any, ...]) -> bool:
    """Python takes `True` for 1; JSON does not."""
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in neutral)


class SupportOut(Described):
    """A sentence of the answer and the span of the document that supports it."""

    sentence: str
    start: int = Field(description="Character offset in the parsed document.")
    end: int
    score: float = Field(description="0 to 1; 1 for a quotation.")
    quoted: bool


class CitationOut(Described):
    """A passage that the answer rests on."""

    number: int = Field(description="The mark `[n]` in the answer.", examples=[1])
    document_id: int
    chunk_id: int
    title: str = Field(examples=["vMotion, vSphere HA and DRS with GPUs"])
    uri: str
    heading_path: list[str] = Field(examples=[["vMotion, vSphere HA and DRS", "vMotion with vGPU"]])
    page: int | None = Field(description="Counted from 1; null where the format has no pages.")
    start: int = Field(description="Character span of the passage in the parsed document.")
    end: int
    text: str
    product: str
    version: str
    modified: datetime | None
    url: str
    support: list[SupportOut]


class ClosestOut(Described):
    """A document near the question, offered where none holds the answer."""

    document_id: int
    title: str
    uri: str
    url: str


class VerdictOut(Described):
    """What a guardrail decided."""

    direction: Literal["input", "retrieval", "output"]
    allowed: bool
    rail: str = Field(examples=["check injection"])
    category: str
    score: float
    reason: str


class VsageOut(Described):
    """What vSage adds to OpenAI's shape."""

    query: str = Field(description="What was searched for, after rewriting a follow-up.")
    citations: list[CitationOut]
    closest: list[ClosestOut]
    verdicts: list[VerdictOut]
    timings: dict[str, float] = Field(
        description="Milliseconds a stage, `first_token` and `total` from the request's start.",
        examples=[{"input_rails": 12.1, "retrieve": 21.4, "generate": 2100.5, "total": 2230.0}],
    )


class AnswerMessage(Described):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(Described):
    index: int = 0
    message: AnswerMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length", "content_filter"]


class UsageOut(Described):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(Described):
    id: str = Field(examples=["chatcmpl-4f1c0d"])
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: UsageOut
    vsage: VsageOut


class SearchRequest(Strict):
    query: Text = Field(min_length=1, max_length=8000, examples=["licence token folder"])
    top_k: int = Field(8, ge=1, le=100)
    filters: FiltersIn | None = Field(None, description="Search documents that pass these alone.")


class HitOut(Described):
    """A passage, best first. Scores compare within one search only."""

    document_id: int
    chunk_id: int
    title: str
    uri: str
    heading_path: list[str]
    page: int | None
    start: int
    end: int
    text: str
    score: float
    lexical: float | None = Field(description="BM25; null where no word is shared.")
    dense: float | None = Field(description="Cosine similarity to the query.")
    product: str
    version: str
    modified: datetime | None
    url: str


class SearchResult(Described):
    object: Literal["list"] = "list"
    query: str
    data: list[HitOut]
    timings: dict[str, float]


class DocumentOut(Described):
    id: int
    object: Literal["document"] = "document"
    title: str = Field(examples=["Dynamic DirectPath I/O"])
    name: str = Field(examples=["dynamic-directpath-io.md"])
    uri: str
    media_type: str = Field(examples=["text/markdown"])
    sha256: str
    bytes: int
    modified: datetime | None
    ingested: datetime
    groups: list[str] = Field(description="Who may read it.", examples=[["everyone"]])
    chunks: int
    warnings: list[str]
    source: str
    product: str
    version: str
    labels: list[str]
    url: str
    text: str | None = Field(None, description="The parsed text, where it was asked for.")


class DocumentList(Described):
    object: Literal["list"] = "list"
    data: list[DocumentOut]
    total: int
    has_more: bool


class DocumentDeleted(Described):
    id: int
    object: Literal["document"] = "document"
    deleted: bool = True


class ErrorBody(Described):
    message: str
    type: str = Field(examples=["invalid_request_error"])
    code: str | None = None
    param: str | None = None


class ErrorOut(Described):
    error: ErrorBody
