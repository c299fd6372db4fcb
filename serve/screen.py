"""The retrieval rails alone, and a generator as a site's own rails may call it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import guardrails
from rag.embed import open_embedder
from rag.errors import GenerationError
from rag.generate import Generator, open_generator
from rag.schema import Message, Sampling
from rag.screen import Screen
from serve.config import ServeConfig

_SAMPLING = {"max_tokens", "temperature", "top_p", "seed"}


def open_screen(config: ServeConfig) -> Screen | None:
    """The retrieval rails alone, without the knowledge base. None where rails are off.

    The models open when a site's own rail asks for them.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    embedder = cache(partial(open_embedder, config.embedder))
    generator = cache(partial(open_generator, config.generator))

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return embedder().encode(texts)

    async def generate(messages: Sequence[Mapping[str, str]], **sampling: Any) -> str:
        ask = ask_in_full(generator())
        if ask is None:
            raise GenerationError("generator.provider extractive writes no text for a rail to read")
        return await ask(messages, **sampling)

    return guardrails.open_screen(config.guardrails, embed=embed, generate=generate)


def ask_in_full(generator: Generator | None) -> Callable[..., Awaitable[str]] | None:
    """The generator as a site's own rails may call it: OpenAI-style messages in, text out."""
    if generator is None:
        return None

    async def generate(messages: Sequence[Mapping[str, str]], **sampling: Any) -> str:
        turns = [Message(turn["role"], turn["content"]) for turn in messages]
        known = {key: value for key, value in sampling.items() if key in _SAMPLING}
        stream = generator.stream(turns, Sampling(**known))
        return "".join([piece async for piece in stream])

    return generate
