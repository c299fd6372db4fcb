"""GGUF models in this process, on llama.cpp's own server engine (xllamacpp).

The engine batches the requests of all slots continuously and keeps the prompt prefix of each slot,
so that a second question over the same passages starts sooner. It also listens on a loopback port,
which cannot be switched off; a random key, never written anywhere, closes it to others.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from rag.config import GeneratorConfig
from rag.errors import ContextOverflow, GenerationError
from rag.generate import Usage
from rag.schema import Message, Sampling

_PROMPT_BATCH = 256
"""Tokens of a prompt between two chances to cancel; smaller ones would slow the prefill down."""
_COUNT_TIMEOUT_S = 60.0
"""Long, because generating threads may leave little of the CPU to whoever counts."""
_QUIET = -1


class LlamaCppGenerator:
    """See `rag.generate.Generator`."""

    def __init__(self, config: GeneratorConfig) -> None:
        path = Path(config.model)
        if not path.is_file():
            raise GenerationError(
                f"no model file {path}: run `make models`, or set generator.model to a GGUF file"
            )
        self.name = path.stem
        self.context_tokens = config.context_tokens
        self._key = secrets.token_urlsafe(32)
        self._server = _start(config, path, self._key)
        self._http = httpx.Client(
            base_url=self._server.listening_address,
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=_COUNT_TIMEOUT_S,
            trust_env=False,
        )
        # One thread a request in flight: each blocks in C++ without holding the GIL.
        self._threads = ThreadPoolExecutor(4 * config.slots, thread_name_prefix="llama")

    def count_tokens(self, text: str) -> int:
        try:
            answer = self._http.post("/tokenize", json={"content": text}).raise_for_status()
        except (httpx.HTTPError, RuntimeError) as error:  # the second once it is closed
            raise GenerationError(f"the generator cannot count tokens: {error}") from error
        return len(answer.json()["tokens"])

    async def stream(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        adapter: str | None = None,
        usage: Usage | None = None,
    ) -> AsyncGenerator[str]:
        if adapter is not None:
            raise GenerationError("generator.provider llama_cpp serves no adapters yet")
        request = _request(messages, sampling)
        usage = usage if usage is not None else Usage()
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[dict[str, Any] | BaseException | None] = asyncio.Queue()
        cancelled = threading.Event()

        def hand_over(event: dict[str, Any] | BaseException | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(events.put_nowait, event)

        def on_event(event: dict[str, Any]) -> bool:
            hand_over(event)
            return cancelled.is_set()

        def generate() -> None:
            try:
                if not cancelled.is_set():
                    self._server.handle_chat_completions(request, on_event)
                hand_over(None)
            except Exception as error:  # whatever the engine raises goes to the caller
                hand_over(error)

        try:
            self._threads.submit(generate)
        except RuntimeError as error:
            raise GenerationError("the generator is closed: the server is stopping") from error
        try:
            while (event := await events.get()) is not None:
                if isinstance(event, BaseException):
                    raise GenerationError(f"the generator failed: {event}") from event
                if text := _text(event, usage):
                    yield text
        finally:
            cancelled.set()

    async def check(self) -> None:
        return None

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._http.close()


def _start(config: GeneratorConfig, path: Path, key: str) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_parallel = config.slots
    params.n_ctx = config.context_tokens * config.slots
    params.n_batch = _PROMPT_BATCH
    params.n_ubatch = _PROMPT_BATCH
    params.cpuparams.n_threads = config.threads or _usable_cores()
    params.port = 0
    params.api_keys = [key]
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = _QUIET
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise GenerationError(
            f"{path} cannot be loaded: {error}; is it a whole GGUF file? `make models` checks and "
            "repairs the embedded one"
        ) from error


def _usable_cores() -> int:
    """Cores this process may run on; hyper-threads count, containers' CPU quotas do not."""
    return max(1, len(os.sched_getaffinity(0)))


def _request(messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
    request: dict[str, Any] = {
        "messages": [{"role": m.role, "content": m.content} for m in messages],
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,  # events during the prefill, so that it can be cancelled too
    }
    if sampling.seed is not None:
        request["seed"] = sampling.seed
        # A prefix that is read anew or taken over gives slightly different numbers.
        request["cache_prompt"] = False
    if sampling.stop:
        request["stop"] = list(sampling.stop)
    return request


def _text(event: dict[str, Any], usage: Usage) -> str:
    """The text of one event; what else it says goes into `usage`. Raises GenerationError."""
    if error := event.get("error"):
        if error.get("type") == "exceed_context_size_error":
            raise ContextOverflow(
                f"the prompt has {error.get('n_prompt_tokens')} tokens, the model's context "
                f"{error.get('n_ctx')}: lower prompt.max_passage_tokens or raise "
                "generator.context_tokens"
            )
        raise GenerationError(f"the generator failed: {error.get('message', error)}")
    if counts := event.get("usage"):
        usage.prompt_tokens = counts["prompt_tokens"]
        usage.completion_tokens = counts["completion_tokens"]
    elif progress := event.get("prompt_progress"):
        usage.prompt_tokens = progress["total"]
    for choice in event.get("choices", ()):
        usage.finish_reason = choice.get("finish_reason") or usage.finish_reason
        text = choice.get("delta", {}).get("content") or ""
        usage.completion_tokens += bool(text)  # about right where the stream is left early
        return text
    return ""
