"""GGUF models in this process, on llama.cpp's own server engine (xllamacpp).

The engine batches the requests of all slots continuously and keeps the prompt prefix of each slot,
so that a second question over the same passages starts sooner.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

from rag.adapters import Offer, Registry
from rag.config import GeneratorConfig
from rag.engine_follow import AdapterEngines
from rag.engine_llama_cpp import Engine
from rag.engine_switch import EngineSwitch
from rag.errors import ContextOverflow, GenerationError
from rag.generate import Usage
from rag.schema import Message, Sampling


class LlamaCppGenerator:
    """See `rag.generate.Generator`."""

    def __init__(self, config: GeneratorConfig, *, adapters: bool = False) -> None:
        """`adapters`: follow the registry `config.adapters`; without, the bare model alone."""
        path = Path(config.model)
        if not path.is_file():
            raise GenerationError(
                f"no model file {path}: run `make models`, or set generator.model to a GGUF file"
            )
        self.name = path.stem
        self.context_tokens = config.context_tokens
        self._following: AdapterEngines | None = None
        if adapters:
            registry = Registry(config.adapters, path, config.base_sha256)
            self._following = AdapterEngines(config, registry)
            self._engines = self._following.engines
        else:
            self._engines = EngineSwitch(Engine(config))

    @property
    def engine(self) -> Engine:
        """The one that new requests go to."""
        return self._engines.current

    def adapters(self) -> Offer:
        return self._following.offer if self._following else Offer()

    def count_tokens(self, text: str) -> int:
        with self._engines.use() as engine:
            return engine.count_tokens(text)

    async def stream(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        adapter: str | None = None,
        usage: Usage | None = None,
    ) -> AsyncGenerator[str]:
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

        with self._engines.use(adapter) as engine:
            request = _request(messages, sampling) | engine.scales(adapter)

            def generate() -> None:
                try:
                    engine.chat(request, adapter, on_event, cancelled.is_set)
                    hand_over(None)
                except Exception as error:  # whatever the engine raises goes to the caller
                    hand_over(error)

            try:
                engine.threads.submit(generate)
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
                engine.turns.wake()

    async def check(self) -> None:
        return None

    async def close(self) -> None:
        if self._following is not None:
            await asyncio.to_thread(self._following.close)
        self._engines.close()


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
