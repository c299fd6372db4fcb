"""What the catalog knows of guardrails: something that judges texts, and by which rules.

The composer hands such a thing in (`Knowledge.screen`); nothing here knows what is inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

FAILED = "error"
"""Category of a verdict that is none: the rail broke down. It is not kept, but asked for again."""


class Judged(Protocol):
    """A verdict, as far as it is kept."""

    @property
    def allowed(self) -> bool: ...
    @property
    def rail(self) -> str: ...
    @property
    def category(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def score(self) -> float: ...


class Screen(Protocol):
    """Judges passages, each as `embedding_text` writes it: with its title and headings."""

    @property
    def rules(self) -> str:
        """Fingerprint of all that decides. A verdict holds for as long as it stays the same."""
        ...

    def __call__(self, texts: Sequence[str]) -> Sequence[Judged]: ...


@dataclass(frozen=True, slots=True)
class Screened:
    """The verdicts on the passages of one document, in their order."""

    rules: str
    verdicts: Sequence[Judged]

    def flagged(self) -> frozenset[int]:
        return frozenset(i for i, verdict in enumerate(self.verdicts) if not verdict.allowed)
