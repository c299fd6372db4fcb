"""`/v1/chat/completions` and `/v1/models`: the chat flow in OpenAI's clothes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from rag.schema import Message, Sampling
from serve.answer import Citation
from serve.chat import Delta, Finished, Question, chat
from serve.config import ServeConfig
from serve.errors import RequestError
from serve.http_errors import describe, error_body
from serve.models import adapters_out, chosen_adapter, model_names
from serve.passages import passage
from serve.remembering import new_answer_id
from serve.schema import (
    AnswerMessage,
    ChatCompletion,
    ChatRequest,
    Choice,
    CitationOut,
    ClosestOut,
    ErrorOut,
    SupportOut,
    UsageOut,
    VerdictOut,
    VsageOut,
)
from serve.schema_models import ModelList, ModelOut
from serve.wiring import Parts

_STARTED = int(time.time())
_CLIENT_GONE = 499
_ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorOut}, 503: {"model": ErrorOut}}


def chat_routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["chat"], responses=_ERRORS)

    @router.get("/models", summary="What can be named as `model`")
    def list_models() -> ModelList:
        data = [ModelOut(id=name, created=_STARTED) for name in model_names(parts)]
        return ModelList(data=data, vsage=adapters_out(parts))

    @router.get("/models/{name}", summary="One of them")
    def get_model(name: str) -> ModelOut:
        if name != parts.config.server.embedding_model_name:
            chosen_adapter(parts, name)
        return ModelOut(id=name, created=_STARTED)

    @router.post(
        "/chat/completions",
        response_model=ChatCompletion,
        summary="Answer a question from the knowledge base, with citations",
    )
    async def complete(body: ChatRequest, request: Request) -> Response:
        question = to_question(body, parts)
        if body.stream:
            include_usage = bool(body.stream_options and body.stream_options.include_usage)
            events = _server_sent(parts, question, body.model, include_usage)
            return StreamingResponse(
                events, media_type="text/event-stream", headers={"cache-control": "no-cache"}
            )
        end = await _until_disconnect(_finish(parts, question), request)
        if end is None:
            return Response(status_code=_CLIENT_GONE)
        answer_id = new_answer_id()
        parts.answers.remember(parts, answer_id, end)
        return JSONResponse(_completion(answer_id, end, body.model).model_dump(mode="json"))

    return router


def to_question(body: ChatRequest, parts: Parts) -> Question:
    """What the flow needs of a request. Raises RequestError."""
    config = parts.config
    adapter = chosen_adapter(parts, body.model)
    last = body.messages[-1]
    if last.role != "user":
        raise RequestError(
            400, "the last message must be the user's question", "invalid_value", "messages"
        )
    if not last.text().strip():
        raise RequestError(400, "the question is empty", "invalid_value", "messages")
    if len(last.text()) > config.server.max_question_chars:
        raise RequestError(
            400,
            f"the question has {len(last.text())} characters; at most "
            f"{config.server.max_question_chars} are taken",
            "context_length_exceeded",
            "messages",
        )
    if len(body.messages) > config.server.max_messages:
        raise RequestError(
            400, f"more than {config.server.max_messages} messages", "invalid_value", "messages"
        )
    history = tuple(_turn(message.role, message.text()) for message in body.messages[:-1])
    filters = body.vsage.filters.filters() if body.vsage and body.vsage.filters else None
    sampling = _sampling(body, config)
    return Question(
        last.text(), sampling, parts.groups, history, adapter, filters, remember=body.remember
    )


def _turn(role: str, text: str) -> Message:
    return Message("system" if role == "developer" else role, text)


def _sampling(body: ChatRequest, config: ServeConfig) -> Sampling:
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    most = config.generator.context_tokens // 2
    wanted = body.max_completion_tokens or body.max_tokens or config.generator.max_tokens
    return Sampling(
        max_tokens=min(wanted, most),
        temperature=(
            config.generator.temperature if body.temperature is None else body.temperature
        ),
        top_p=1.0 if body.top_p is None else body.top_p,
        seed=body.seed,
        stop=tuple(text for text in stop if text),
    )


async def _finish(parts: Parts, question: Question) -> Finished:
    async for event in chat(parts, question):
        if isinstance(event, Finished):
            return event
    raise AssertionError("the chat flow ends with Finished")


async def _until_disconnect(
    work: Coroutine[Any, Any, Finished], request: Request
) -> Finished | None:
    """The result of `work`; None, and `work` cancelled, where the client has gone away."""
    task = asyncio.create_task(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=0.5)
            if not task.done() and await request.is_disconnected():
                return None
        return task.result()
    finally:
        task.cancel()


async def _server_sent(
    parts: Parts, question: Question, model: str, include_usage: bool
) -> AsyncGenerator[str, None]:
    """OpenAI's chunks; the last one before `[DONE]` carries `vsage`."""
    answer_id, created = new_answer_id(), int(time.time())
    head = {"id": answer_id, "object": "chat.completion.chunk", "created": created, "model": model}
    usage = {"usage": None} if include_usage else {}
    yield _event({**head, **usage, "choices": [_choice({"role": "assistant", "content": ""})]})
    try:
        async with aclosing(chat(parts, question)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    yield _event({**head, **usage, "choices": [_choice({"content": event.text})]})
                else:
                    parts.answers.remember(parts, answer_id, event)
                    last = _choice({}, event.finish_reason)
                    vsage = to_vsage(event).model_dump(mode="json")
                    yield _event({**head, **usage, "choices": [last], "vsage": vsage})
                    if include_usage:
                        counts = _usage(event).model_dump(mode="json")
                        yield _event({**head, "choices": [], "usage": counts})
    except Exception as error:  # the status line is out already: the stream has to say it
        status, message, code = describe(error)
        yield _event(error_body(status, message, code))
    yield "data: [DONE]\n\n"


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _completion(answer_id: str, end: Finished, model: str) -> ChatCompletion:
    choice = Choice(message=AnswerMessage(content=end.text), finish_reason=end.finish_reason)
    return ChatCompletion(
        id=answer_id,
        created=int(time.time()),
        model=model,
        choices=[choice],
        usage=_usage(end),
        vsage=to_vsage(end),
    )


def _usage(end: Finished) -> UsageOut:
    prompt, completion = end.usage.prompt_tokens, end.usage.completion_tokens
    return UsageOut(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
    )


def to_vsage(end: Finished) -> VsageOut:
    return VsageOut(
        query=end.query,
        citations=[_citation(citation) for citation in end.citations],
        closest=[
            ClosestOut(document_id=hit.document_id, title=hit.title, uri=hit.uri, url=hit.url)
            for hit in end.closest
        ],
        verdicts=[
            VerdictOut(
                direction=direction,
                allowed=verdict.allowed,
                rail=verdict.rail,
                category=verdict.category,
                score=round(verdict.score, 3),
                reason=verdict.reason,
            )
            for direction, verdict in end.verdicts
        ],
        timings=end.timings,
    )


def _citation(citation: Citation) -> CitationOut:
    return CitationOut(
        number=citation.number,
        **passage(citation.hit),
        support=[
            SupportOut(
                sentence=item.sentence,
                start=item.start,
                end=item.end,
                score=item.score,
                quoted=item.quoted,
            )
            for item in citation.support
        ],
    )
