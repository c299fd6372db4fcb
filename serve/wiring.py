"""Configuration -> the opened parts that requests are served with."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from guardrails import Rails, Secrets, open_rails
from guardrails.seed_vectors import SEED_VECTORS
from guardrails.surprise import open_surprise
from rag.adapters import Offer
from rag.catalog_headings import read_headings
from rag.generate import Generator, open_generator
from rag.knowledge import Knowledge, open_knowledge
from rag.prompt import read_prompt
from rag.screen import Screen
from serve.config import ServeConfig
from serve.metrics import Metrics
from serve.remembering import AnswerLog
from serve.screen import ask_in_full
from serve.small_talk import SmallTalk, open_small_talk


@dataclass(frozen=True, slots=True)
class Parts:
    config: ServeConfig
    knowledge: Knowledge
    generator: Generator | None
    """None where `generator.provider` is `extractive`."""
    rails: Rails
    screen: Screen | None = None
    """Judges passages for good; None where each question asks `rails` about them anew."""
    metrics: Metrics = field(default_factory=Metrics)
    canary: str = ""
    """A random token in the instructions, new at each start; the output rails look for it."""
    small_talk: SmallTalk | None = None
    """None where greetings are looked up like questions."""
    answers: AnswerLog = field(default_factory=AnswerLog)
    """Remembers answers, and what callers say of them."""
    adapters: Callable[[], Offer] = Offer
    """The adapters in service at this moment."""

    @property
    def groups(self) -> frozenset[str]:
        """The caller's groups. Until there are accounts, every caller has the server's."""
        return frozenset(self.config.server.groups)

    def count_tokens(self, text: str) -> int:
        """Tokens as the generator counts them; about four characters each without one."""
        return self.generator.count_tokens(text) if self.generator else -(-len(text) // 4)

    async def close(self) -> None:
        await asyncio.to_thread(self.answers.close)
        if self.generator is not None:
            await self.generator.close()
        self.knowledge.close()


def open_parts(config: ServeConfig) -> Parts:
    """Load models, open the catalog and the rails.

    Raises RagError, GuardrailsError or, for the file of small talk, SettingsError.
    """
    file = config.server.small_talk
    small_talk = None if file.name == "none" else open_small_talk(file)
    knowledge = open_knowledge(config)
    try:
        generator = open_generator(config.generator, adapters=True)
        metrics = Metrics()
        canary = secrets.token_hex(8) if config.guardrails.output.leaks.canary else ""
        rails = open_rails(
            config.guardrails,
            embed=knowledge.embedder.encode,
            generate=ask_in_full(generator),
            secrets=Secrets(canary, read_prompt("answer")),
            observe=metrics.rails_checked,
            honest=_headings(config, knowledge),
            kept=config.models_dir / SEED_VECTORS,
            surprise=open_surprise(config.guardrails.input.injection),
        )
    except BaseException:
        knowledge.close()
        raise
    knowledge.screen = rails.screen  # what is ingested from now on is judged as it comes in
    return Parts(
        config,
        knowledge,
        generator,
        rails,
        rails.screen,
        metrics,
        canary,
        small_talk,
        adapters=generator.adapters if generator else Offer,
    )


def _headings(config: ServeConfig, knowledge: Knowledge) -> list[str]:
    """How the documents speak of their subjects, for the rails that know honest questions."""
    most = config.guardrails.input.injection.corpus_headings if config.guardrails.enabled else 0
    return read_headings(knowledge.catalog, frozenset(config.server.groups), most)
