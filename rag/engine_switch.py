"""The engine in force and those that it replaced, each until its last request has ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rag.engine_llama_cpp import Engine
from rag.errors import AdapterError, GenerationError


class EngineSwitch:
    """Safe among threads and event loops."""

    def __init__(self, engine: Engine) -> None:
        self._lock = threading.Lock()
        self._engines = [engine]
        """The one in force is the last."""
        self._users = {id(engine): 0}
        self._closed = False

    @property
    def current(self) -> Engine:
        return self._engines[-1]

    @contextmanager
    def use(self, adapter: str | None = None) -> Iterator[Engine]:
        """The newest engine that has `adapter`; it is kept for as long as the block lasts.

        Raises AdapterError where none has it, GenerationError once all are closed.
        """
        with self._lock:
            if self._closed:
                raise GenerationError("the generator is closed: the server is stopping")
            engine = self._find(adapter)
            self._users[id(engine)] += 1
        try:
            yield engine
        finally:
            with self._lock:
                self._users[id(engine)] -= 1

    def replace(self, engine: Engine) -> None:
        """New requests go to `engine` from now on."""
        with self._lock:
            if not self._closed:
                self._engines.append(engine)
                self._users[id(engine)] = 0
                return
        engine.close()

    def sweep(self) -> int:
        """Close replaced engines that nobody uses any longer; how many are still open."""
        with self._lock:
            idle = [engine for engine in self._engines[:-1] if not self._users[id(engine)]]
            for engine in idle:
                self._engines.remove(engine)
                del self._users[id(engine)]
            still_open = len(self._engines)
        for engine in idle:
            engine.close()
        return still_open

    def close(self) -> None:
        """Also what is in use: its requests end by themselves."""
        with self._lock:
            self._closed = True
            engines = list(self._engines)
        for engine in engines:
            engine.close()

    def _find(self, adapter: str | None) -> Engine:
        if adapter is None:
            return self.current
        for engine in reversed(self._engines):
            if engine.has(adapter):
                return engine
        raise AdapterError(f"the adapter '{adapter}' is not in service")
