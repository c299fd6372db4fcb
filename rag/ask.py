"""A question answered on the command line: the chat flow without guardrails and conversation."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from rag.answerable import relevance
from rag.draft import UNSUPPORTED, draft, quote_all
from rag.evidence import passage_sentences, select_quotes
from rag.expand import expand
from rag.generate import Generator
from rag.knowledge import Knowledge
from rag.prompt import build_prompt
from rag.retrieve import search
from rag.schema import Filters, Hit, Sampling, Wordings


@dataclass(slots=True)
class Asked:
    """The answer as it grew. `cited` maps a mark's number to its passage."""

    text: str = ""
    found: bool = True
    cited: dict[int, Hit] = field(default_factory=dict)


async def ask(
    knowledge: Knowledge,
    generator: Generator | None,
    question: str,
    groups: frozenset[str],
    asked: Asked,
    *,
    wordings: Wordings = (),
    filters: Filters | None = None,
) -> AsyncGenerator[str, None]:
    """Pieces of the answer, with `[n]` marks; what they rest on is noted in `asked`."""
    config = knowledge.config
    found = search(
        knowledge, question, groups, config.prompt.max_passages, filters=filters, wordings=wordings
    )
    hits = found.hits
    if relevance(knowledge, question, hits, found.contrast) < config.retriever.min_relevance:
        asked.found = False
        return
    quotes = select_quotes(question, hits, knowledge.embedder, config.answer.quotations)
    if generator is None:
        sentences = quote_all(quotes, _anything)
    else:
        if config.prompt.expand:
            budget = config.prompt.max_passage_tokens
            hits = expand(knowledge.catalog, hits, generator.count_tokens, budget)
        messages = build_prompt(question, hits, quotes, [], generator, config.prompt)
        sampling = Sampling(config.generator.max_tokens, config.generator.temperature)
        sentences = draft(
            generator.stream(messages, sampling),
            quotes,
            passage_sentences(hits),
            _anything,
            config.answer,
        )
    numbers: dict[int, int] = {}
    async with aclosing(sentences):
        async for sentence in sentences:
            piece = (sentence.before if asked.text else "") + sentence.text
            if sentence.unsupported:
                piece += f" {UNSUPPORTED}"
            elif sentence.support is not None:
                passage = sentence.support.quote.passage
                number = numbers.setdefault(passage, len(numbers) + 1)
                asked.cited[number] = hits[passage]
                piece += f" [{number}]"
            asked.text += piece
            yield piece


async def _anything(_sentence: str, _supported: bool) -> bool:
    return True
