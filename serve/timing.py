"""Milliseconds by stage of one request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timings:
    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._seconds: dict[str, float] = {}
        self._first_token: float | None = None

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time of the block to `stage`, less what stages inside it took."""
        started, nested = time.perf_counter(), sum(self._seconds.values())
        try:
            yield
        finally:
            inside = sum(self._seconds.values()) - nested
            spent = time.perf_counter() - started - inside
            self._seconds[stage] = self._seconds.get(stage, 0.0) + spent

    def first_token(self) -> None:
        """Note when the first piece of the answer was ready to be sent."""
        if self._first_token is None:
            self._first_token = time.perf_counter() - self._started

    def milliseconds(self) -> dict[str, float]:
        """Stages in the order in which they first ended, then what a caller waited for."""
        whole = dict(self._seconds)
        if self._first_token is not None:
            whole["first_token"] = self._first_token
        whole["total"] = time.perf_counter() - self._started
        return {stage: round(1000 * seconds, 1) for stage, seconds in whole.items()}
