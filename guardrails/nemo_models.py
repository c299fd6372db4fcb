"""The application's generator and embedder, in the shapes that NeMo's extension points ask for.

A flow of a site that calls a language model or searches by embedding then runs in this process:
NeMo's own defaults would go to the network. NeMo's registries are process-wide, so of several
opened Rails the last one answers `engine: vsage` for models other than `main`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from nemoguardrails import register_provider
from nemoguardrails.embeddings.providers import EmbeddingProviderRegistry
from nemoguardrails.embeddings.providers.base import EmbeddingModel
from nemoguardrails.types import ChatMessage, LLMResponse, LLMResponseChunk

from guardrails.schema import Embed, Generate

ENGINE = "vsage"
_TOKENS = itertools.count()
_EMBEDDERS: dict[str, Embed] = {}


class GenerateModel:
    """NeMo's `LLMModel` over one async function."""

    def __init__(self, generate: Generate, model: str = ENGINE, **sampling: Any) -> None:
        self._generate = generate
        self._sampling = sampling
        self.model_name = model
        self.provider_name = ENGINE
        self.provider_url = None

    async def generate_async(
        self, prompt: str | list[ChatMessage], *, stop: list[str] | None = None, **kwargs: Any
    ) -> LLMResponse:
        """Answer a prompt; a plain string becomes one user message."""
        if isinstance(prompt, str):
            messages = [{"role": "user", "content": prompt}]
        else:
            messages = [message.to_dict() for message in prompt]
        sampling = self._sampling | kwargs | ({"stop": stop} if stop else {})
        content = await self._generate(messages, **sampling)
        return LLMResponse(content=content, model=self.model_name)

    async def stream_async(
        self, prompt: str | list[ChatMessage], *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[LLMResponseChunk]:
        """The whole answer as one piece: a rail has no use for half a verdict."""
        response = await self.generate_async(prompt, stop=stop, **kwargs)
        yield LLMResponseChunk(delta_content=response.content)


class EmbedModel(EmbeddingModel):  # type: ignore[misc]
    """NeMo's `EmbeddingModel` over one function. `embedding_model` is a token, not a name."""

    engine_name = ENGINE

    def __init__(self, embedding_model: str, **_: Any) -> None:
        self._embed = _EMBEDDERS[embedding_model]

    def encode(self, documents: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._embed(documents).tolist()
        return vectors

    async def encode_async(self, documents: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self.encode, documents)


def plug_generate(generate: Generate | None) -> Callable[..., GenerateModel] | None:
    """Offer the generator to NeMo as `engine: vsage`."""
    if generate is None:
        return None
    model = partial(GenerateModel, generate)
    register_provider(ENGINE, model)
    return model


def plug_embed(embed: Embed) -> str:
    """Offer the embedder to NeMo; returns the model name that stands for it."""
    token = f"{ENGINE}-{next(_TOKENS)}"
    _EMBEDDERS[token] = embed
    registry = EmbeddingProviderRegistry()
    if ENGINE not in registry.items:
        registry.add(ENGINE, EmbedModel)
    return token
