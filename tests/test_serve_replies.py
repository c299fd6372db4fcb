"""What is said where nothing is found, and that counting tokens stops nobody else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from guardrails import GuardrailsConfig, open_rails
from rag.knowledge import Knowledge
from rag.schema import Filters, Sampling
from serve import replies
from serve.chat import Delta, Question, chat
from serve.config import ServeConfig
from serve.wiring import Parts
from tests.fakes import PUBLIC, FakeEmbedder, FakeGenerator, fake_knowledge, take_in

BOARD = frozenset({"board"})
TEXT = "# Ferry\n\nThe ferry to Meersburg leaves at 08:15 from pier 4."
ASKED = "When does the ferry to Meersburg leave?"


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[Knowledge]:
    opened = fake_knowledge(tmp_path)
    yield opened
    opened.close()


def parts_over(knowledge: Knowledge, generator: Any = None, **retriever: Any) -> Parts:
    config = ServeConfig.model_validate(
        {"data_dir": knowledge.config.data_dir, "retriever": retriever}
    )
    rails = open_rails(GuardrailsConfig(enabled=False), embed=FakeEmbedder().encode)
    return Parts(config, knowledge.configured(config), generator, rails)


async def said(parts: Parts, text: str = ASKED, filters: Filters | None = None) -> str:
    question = Question(text, Sampling(), PUBLIC, filters=filters)
    async with aclosing(chat(parts, question)) as events:
        return "".join([event.text async for event in events if isinstance(event, Delta)])


NONE_PASSES = (
    "No document passes these filters, so I have nothing to answer from. "
    "Widen them, or leave some out, and ask again."
)


@pytest.mark.parametrize("least", [0, 0.45, 1])
@pytest.mark.parametrize("filters", [Filters(products=("x",)), Filters(sources=("wiki",))])
async def test_filters_that_nothing_passes(
    knowledge: Knowledge, least: float, filters: Filters
) -> None:
    take_in(knowledge, {"ferry.md": TEXT})
    assert await said(parts_over(knowledge, min_relevance=least), filters=filters) == NONE_PASSES


async def test_filters_tell_nothing_of_others_documents(knowledge: Knowledge) -> None:
    """The same words, whether a document that the caller may not read passes or none does."""
    take_in(knowledge, {"secret.md": TEXT}, BOARD)
    parts = parts_over(knowledge)
    assert await said(parts, filters=Filters(sources=("",))) == NONE_PASSES
    assert await said(parts, filters=Filters(sources=("wiki",))) == NONE_PASSES


async def test_filters_that_some_pass(knowledge: Knowledge) -> None:
    take_in(knowledge, {"ferry.md": TEXT})
    take_in(knowledge, {"secret.md": TEXT}, BOARD)
    parts, filters = parts_over(knowledge, min_relevance=1), Filters(sources=("",))
    assert "The one document that passes these filters does not" in await said(
        parts, "What do lemons cost?", filters
    )
    take_in(knowledge, {"bus.md": "# Bus\n\nThe bus leaves at 09:00."})
    reply = await said(parts, "What do lemons cost?", filters)
    assert "The 2 documents that pass these filters do not" in reply
    assert "widen the filters" in reply


def test_without_filters_as_ever() -> None:
    assert "is empty" in replies.not_found("x", 0)
    assert "I searched its one document for" in replies.not_found("x", 1)
    assert "filters" not in replies.not_found("x", 3)


@pytest.mark.parametrize("generator", [None, FakeGenerator("The ferry leaves at noon.")])
async def test_nothing_found_is_not_something_found(
    knowledge: Knowledge, generator: FakeGenerator | None
) -> None:
    parts = parts_over(knowledge, generator, min_relevance=0)
    assert "The knowledge base is empty" in await said(parts)
    take_in(knowledge, {"secret.md": TEXT}, BOARD)
    assert "The knowledge base is empty" in await said(parts)
    lexical = parts_over(knowledge, generator, min_relevance=0, mode="lexical")
    take_in(knowledge, {"ferry.md": TEXT})
    reply = await said(lexical, "xyzzy plugh")
    assert "does not hold an answer" in reply
    assert "I found passages" not in reply
    assert generator is None or generator.asked == []


class Counting(FakeGenerator):
    """Counts only while the event loop goes on: as a server on this machine might."""

    def __init__(self, *pieces: str) -> None:
        super().__init__(*pieces)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.stood_still = 0

    def count_tokens(self, text: str) -> int:
        if self.loop is not None:
            turned = threading.Event()
            self.loop.call_soon_threadsafe(turned.set)
            self.stood_still += not turned.wait(5)
        return super().count_tokens(text)


async def test_counting_tokens_does_not_stop_the_server(knowledge: Knowledge) -> None:
    take_in(knowledge, {"ferry.md": TEXT})
    generator = Counting("The ferry to Meersburg leaves at 08:15 from pier 4.")
    generator.loop = asyncio.get_running_loop()
    assert "08:15" in await said(parts_over(knowledge, generator, min_relevance=0))
    assert generator.stood_still == 0
