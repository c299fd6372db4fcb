"""The nouns of guardrails, and the shapes of what is plugged in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

GROUNDED = "check grounded"
"""The output rail of unsupported sentences; a caller may send those with a mark. So it comes last:
what is refused by another rail has been refused by then."""

COMBINED = "check_output"
"""The action of several rails in one: its verdict names the rail that blocked."""

Direction = Literal["input", "retrieval", "output"]

Vectors = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]
"""Texts to unit-length rows, float32 (n, d). Called from worker threads."""
Generate = Callable[..., Awaitable[str]]
"""`await generate(messages, **sampling)`: OpenAI-style `{"role", "content"}` dicts to text."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a rail may know besides the text it judges."""

    question: str = ""
    passages: tuple[str, ...] = ()
    """The retrieved passages that an answer must rest on (output)."""
    history: tuple[str, ...] = ()
    """Earlier turns of the user, oldest first (input): each is judged like the newest one."""
    earlier: tuple[str, ...] = ()
    """Texts of the conversation before this one, oldest first. Read, not judged: a value that is
    masked keeps the name that it had there. Left empty, `history` takes its place."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rails of one direction say about one text."""

    allowed: bool
    rail: str
    """The rail that blocked; of an allowed text the one that rewrote it, else the last one that
    gave a score, else empty."""
    reason: str
    """For operators and logs. Quotes nothing of the text except names of patterns."""
    text: str
    """The text to go on with: unchanged, or rewritten by a masking rail, blocked afterwards or
    not."""
    category: str = ""
    """`error` where a rail failed instead of deciding; of a rewritten text what was masked."""
    score: float = 0.0
    """In [0, 1], on the rail's own scale: suspicion for injection, support for grounded."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What stands in the application's own prompt and in no answer. Empty: nothing to look for."""

    canary: str = ""
    """16 to 128 hexadecimal digits in lower case, random."""
    instructions: str = ""


Surprise = Callable[[str], NDArray[np.float32]]
"""A text to the negative log-likelihood (nats) of each token that is read of it, the longest of
texts not to its end. Called from worker threads; may raise TimeoutError."""
Detector = Callable[[str, Context], Verdict]
"""A pure function that knows nothing of NeMo. It may take a while, so it runs in a thread."""
Observe = Callable[[Direction, Verdict, float], None]
"""Told of every verdict and the seconds that it took."""
