"""One llama.cpp engine: a model and a fixed set of adapters, which a request chooses from.

What has to be minded, by llama.cpp's source and by the tests:

- A request that names no adapters runs with the scales given at the start and takes over what the
  slot holds, whoever computed it. So each request states the scale of every adapter.
- The cache of prompts in RAM does not know which adapter computed them: it is off beside adapters.
- Requests for different adapters are never in one batch, and those in higher slots would wait for
  as long as the lower ones are busy. So they take turns (`rag.turns`).
- Loading holds Python's lock (GIL): meanwhile nothing else of this process runs.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from rag.adapters import Adapter
from rag.config import GeneratorConfig
from rag.errors import GenerationError
from rag.turns import Turns

_PROMPT_BATCH = 256
"""Tokens of a prompt between two chances to cancel; smaller ones would slow the prefill down."""
_COUNT_TIMEOUT_S = 60.0
"""Long, because generating threads may leave little of the CPU to whoever counts."""
_QUIET = -1


class Engine:
    """Loads the model. Raises GenerationError where it, or one of the adapters, cannot be loaded.

    It also listens on a loopback port, which cannot be switched off; a random key, never written
    anywhere, closes it to others.
    """

    def __init__(
        self, config: GeneratorConfig, adapters: Sequence[Adapter] = (), *, warm_up: bool = True
    ) -> None:
        """`warm_up`: read all weights once, which another engine on the file has done already."""
        self.adapters = tuple(adapters)
        self.key = secrets.token_urlsafe(32)
        self.server = start_server(config, self.key, self.adapters, warm_up)
        self.address: str = self.server.listening_address
        self.turns = Turns()
        # One thread a request in flight: each blocks in C++ without holding the GIL.
        self.threads = ThreadPoolExecutor(4 * config.slots, thread_name_prefix="llama")
        self._names = [adapter.name for adapter in self.adapters]
        self._http = httpx.Client(
            base_url=self.address,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=_COUNT_TIMEOUT_S,
            trust_env=False,
        )

    def has(self, adapter: str) -> bool:
        return adapter in self._names

    def scales(self, adapter: str | None) -> dict[str, Any]:
        """The part of a request that chooses the adapter; None is the bare model."""
        if not self._names:
            return {}
        return {
            "lora": [
                {"id": number, "scale": 1.0 if name == adapter else 0.0}
                for number, name in enumerate(self._names)
            ]
        }

    def chat(
        self,
        request: dict[str, Any],
        adapter: str | None,
        on_event: Callable[[dict[str, Any]], bool],
        gone: Callable[[], bool],
    ) -> None:
        """Run one request to its end, in its turn; blocks. Nothing comes once `gone` is true.

        `on_event` is given what the engine says, and stops it by returning True. Raises
        GenerationError, and whatever the engine does.
        """
        server = self.server
        if server is None:
            raise GenerationError("the generator is closed: the server is stopping")
        if gone() or not self.turns.enter(adapter, gone):
            return
        try:
            server.handle_chat_completions(request, on_event)
        finally:
            self.turns.leave()

    def count_tokens(self, text: str) -> int:
        """Raises GenerationError."""
        try:
            answer = self._http.post("/tokenize", json={"content": text}).raise_for_status()
        except (httpx.HTTPError, RuntimeError) as error:  # the second once it is closed
            raise GenerationError(f"the generator cannot count tokens: {error}") from error
        return len(answer.json()["tokens"])

    def close(self) -> None:
        """Requests that still run end by themselves; the last one frees the memory."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        self._http.close()
        self.server = None


def start_server(
    config: GeneratorConfig, key: str, adapters: Sequence[Adapter] = (), warm_up: bool = True
) -> Any:
    """xllamacpp's Server, listening on a free loopback port. Raises GenerationError."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = config.model
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
    params.warmup = warm_up
    if adapters:
        params.lora_adapters = [
            xllamacpp.CommonAdapterLoraInfo(str(adapter.file), 0.0) for adapter in adapters
        ]
        params.cache_ram_mib = 0
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        if adapters:
            names = ", ".join(adapter.name for adapter in adapters)
            raise GenerationError(f"the engine refused the adapters {names}: {error}") from error
        raise GenerationError(
            f"{config.model} cannot be loaded: {error}; is it a whole GGUF file? `make models` "
            "checks and repairs the embedded one"
        ) from error


def _usable_cores() -> int:
    """Cores this process may run on; hyper-threads count, containers' CPU quotas do not."""
    return max(1, len(os.sched_getaffinity(0)))
