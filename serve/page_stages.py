"""How far a question has come, told from the rails it passes: they stand at every stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from guardrails import Context, Rails, Verdict
from guardrails.schema import Direction
from serve.wiring import Parts

STAGES: dict[Direction, str] = {
    "input": "Searching the documents…",
    "retrieval": "Reading the passages found…",
    "output": "Writing the answer…",
}


def watched(parts: Parts, tell: Callable[[str], None]) -> Parts:
    """The same parts, whose rails tell the stage that they stand for."""
    return replace(parts, rails=_WatchedRails(parts.rails, tell))


class _WatchedRails(Rails):
    """Rails that speak before they judge. Judging is left to the rails behind them."""

    def __init__(self, rails: Rails, tell: Callable[[str], None]) -> None:
        self._rails = rails
        self._tell = tell

    async def check(
        self, direction: Direction, text: str, context: Context | None = None
    ) -> Verdict:
        self._tell(STAGES[direction])
        return await self._rails.check(direction, text, context)
