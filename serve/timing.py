"""Milliseconds by stage of one request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timings:
    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str, without: str = "") -> Iterator[None]:
        """Add the time of the block to `stage`, less what `without` took inside it."""
        started, nested = time.perf_counter(), self._seconds.get(without, 0.0)
        try:
            yield
        finally:
            inside = self._seconds.get(without, 0.0) - nested
            spent = time.perf_counter() - started - inside
            self._seconds[stage] = self._seconds.get(stage, 0.0) + spent

    def first_token(self) -> None:
        """Note when the first piece of the answer was ready to be sent."""
        self._seconds.setdefault("first_token", time.perf_counter() - self._started)

    def milliseconds(self) -> dict[str, float]:
        """Stages in the order in which they first ended, then the total."""
        whole = {**self._seconds, "total": time.perf_counter() - self._started}
        return {stage: round(1000 * seconds, 1) for stage, seconds in whole.items()}
