"""Any OpenAI-compatible endpoint: vLLM, NIM, VMware's Model Runtime, llama.cpp's server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import openai

from rag.adapters import Offer
from rag.config import GeneratorConfig
from rag.embed import without_secret
from rag.endpoint_adapters import EndpointAdapters
from rag.errors import ContextOverflow, GenerationError
from rag.generate import Usage
from rag.schema import Message, Sampling

_CHARACTERS_PER_TOKEN = 3
"""Fewer than English has (about 4), so that a prompt measured with it fits."""
_LONGEST_CHECK_S = 5.0


class OpenAIGenerator:
    """See `rag.generate.Generator`. An adapter is a model name there, as in vLLM."""

    def __init__(self, config: GeneratorConfig, *, adapters: bool = False) -> None:
        """`adapters`: offer those that the endpoint has and the registry promotes."""
        self.name = config.model
        self.context_tokens = config.context_tokens
        self._base_url = without_secret(config.base_url)  # it is shown in errors
        self._timeout_s = config.timeout_s
        self._client = openai.AsyncOpenAI(
            base_url=config.base_url,
            api_key=config.api_key or "none",
            timeout=config.timeout_s,
            max_retries=2,
        )
        self._endpoint = EndpointAdapters(config) if adapters else None

    def adapters(self) -> Offer:
        return self._endpoint.offer if self._endpoint else Offer()

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
        model = adapter or self.name
        turns: Any = [{"role": m.role, "content": m.content} for m in messages]
        finished = False
        try:
            stream = await self._client.chat.completions.create(
                model=model,
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
                        if choice.finish_reason:
                            finished = True
                            usage.finish_reason = _known(choice.finish_reason)
                        if choice.delta.content:
                            yield choice.delta.content
        except openai.OpenAIError as error:
            raise self._explain(error, model) from error
        except (ValueError, TypeError, AttributeError) as error:  # JSON that is not OpenAI's
            raise GenerationError(
                f"{self._base_url} failed: it does not speak OpenAI's protocol ({error}); is "
                "generator.base_url right?"
            ) from error
        if not finished:
            raise GenerationError(
                f"{self._base_url} failed: its stream ended before the answer did; look into the "
                "endpoint's log"
            )

    async def check(self) -> None:
        try:
            # Who asks wants to know about this moment: no retries, no long wait.
            client = self._client.with_options(
                max_retries=0, timeout=min(self._timeout_s, _LONGEST_CHECK_S)
            )
            await client.models.list()
        except openai.OpenAIError as error:
            raise self._explain(error, self.name) from error

    async def close(self) -> None:
        if self._endpoint is not None:
            await asyncio.to_thread(self._endpoint.close)
        await self._client.close()

    def _explain(self, error: openai.OpenAIError, model: str) -> GenerationError:
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
                f"{self._base_url} has no model '{model}': set generator.model to one of "
                "those that its /models lists"
            )
        if isinstance(error, openai.BadRequestError) and "context" in str(error).lower():
            return ContextOverflow(f"the prompt does not fit into {model}: {error.message}")
        return GenerationError(f"{self._base_url} failed: {error}")


def _known(finish_reason: str) -> str:
    """Of all that endpoints say ("tool_calls", "abort", ...) only "length" means something here."""
    return "length" if finish_reason == "length" else "stop"
