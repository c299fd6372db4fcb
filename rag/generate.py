"""Messages -> text, token by token, behind one Protocol."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.adapters import Offer
from rag.config import GeneratorConfig
from rag.errors import GenerationError
from rag.schema import Message, Sampling


@dataclass(slots=True)
class Usage:
    """Filled in by a generator while it streams; whole once the stream has ended."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: str = "stop"
    """OpenAI's: "stop", or "length" where the answer ran into `max_tokens`."""


class Generator(Protocol):
    """May serve several requests at once. Leaving the iterator early stops the generation."""

    name: str
    context_tokens: int

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` in this model; an over-estimate where the tokenizer is out of reach."""
        ...

    def stream(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        adapter: str | None = None,
        usage: Usage | None = None,
    ) -> AsyncGenerator[str]:
        """Pieces of the answer as they are drawn, by the bare model unless `adapter` is named.

        Raises GenerationError, of which ContextOverflow where the prompt is too long and
        AdapterError where the adapter is not in service.
        """
        ...

    async def check(self) -> None:
        """Raise GenerationError if a request could not be served now."""
        ...

    async def close(self) -> None: ...

    def adapters(self) -> Offer:
        """What `stream` takes as `adapter` now. Cheap: it is known, not looked up."""
        ...


def open_generator(config: GeneratorConfig, *, adapters: bool = False) -> Generator | None:
    """Load or connect to the configured generator; None for `extractive`, which needs none.

    `adapters`: offer those in service, and follow what is promoted and rolled back.
    """
    if config.provider == "llama_cpp":
        from rag.generate_llama_cpp import LlamaCppGenerator

        return LlamaCppGenerator(config, adapters=adapters)
    if config.provider == "openai":
        from rag.generate_openai import OpenAIGenerator

        return OpenAIGenerator(config, adapters=adapters)
    if config.provider == "extractive":
        return None
    raise GenerationError(f"generator.provider '{config.provider}' is unknown")
