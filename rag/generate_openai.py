"""Any OpenAI-compatible endpoint: vLLM, NIM, VMware's Model Runtime, llama.cpp's server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import openai

from rag.config import GeneratorConfig
from rag.errors import ContextOverflow, GenerationError
from rag.generate import Usage
from rag.schema import Message, Sampling

_CHARACTERS_PER_TOKEN = 3
"""Fewer than English has (about 4), so that a prompt measured with it fits."""


class OpenAIGenerator:
    """See `rag.generate.Generator`. An adapter is a model name there, as in vLLM."""

    def __init__(self, config: GeneratorConfig) -> None:
        self.name = config.model
        self.context_tokens = config.context_tokens
        self._base_url = config.base_url
        self._client = openai.AsyncOpenAI(
            base_url=config.base_url,
            api_key=config.api_key or "none",
            timeout=config.timeout_s,
            max_retries=2,
        )

    def count_tokens(self, text: str) -> int:
        return -(-len(text) // _CHARACTERS_PER_TOKEN)

    async def stream(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        adapter: str | None = None,
        usage: Usage | None = None,
    ) -> AsyncGenerator[str]:
        usage = usage if usage is not None else Usage()
        turns: Any = [{"role": m.role, "content": m.content} for m in messages]
        try:
            stream = await self._client.chat.completions.create(
                model=adapter or self.name,
                messages=turns,
                max_tokens=sampling.max_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                seed=sampling.seed,
                stop=list(sampling.stop) or openai.omit,
                stream=True,
                stream_options={"include_usage": True},
            )
            async with stream:  # leaving it closes the connection, which stops the generation
                async for chunk in stream:
                    if chunk.usage:
                        usage.prompt_tokens = chunk.usage.prompt_tokens
                        usage.completion_tokens = chunk.usage.completion_tokens
                    for choice in chunk.choices[:1]:
                        usage.finish_reason = choice.finish_reason or usage.finish_reason
                        if choice.delta.content:
                            yield choice.delta.content
        except openai.OpenAIError as error:
            raise self._explain(error) from error

    async def check(self) -> None:
        try:
            await self._client.models.list()
        except openai.OpenAIError as error:
            raise self._explain(error) from error

    async def close(self) -> None:
        await self._client.close()

    def _explain(self, error: openai.OpenAIError) -> GenerationError:
        """A plain reason and what to change; the one place where foreign errors are mapped."""
        if isinstance(error, openai.APITimeoutError):
            return GenerationError(
                f"{self._base_url} did not answer in time: raise generator.timeout_s"
            )
        if isinstance(error, openai.APIConnectionError):
            return GenerationError(
                f"{self._base_url} cannot be reached: is the server up, generator.base_url right?"
            )
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return GenerationError(f"{self._base_url} refused the key: set generator.api_key")
        if isinstance(error, openai.NotFoundError):
            return GenerationError(
                f"{self._base_url} has no model '{self.name}': set generator.model to one of "
                "those that its /models lists"
            )
        if isinstance(error, openai.BadRequestError) and "context" in str(error).lower():
            return ContextOverflow(f"the prompt does not fit into {self.name}: {error.message}")
        return GenerationError(f"{self._base_url} failed: {error}")
