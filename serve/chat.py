"""The product's main flow, readable from top to bottom.

request -> input rails -> rewrite -> retrieve -> retrieval rails -> quotations -> prompt -> generate
-> output rails -> answer with citations

Knows nothing of HTTP. Every sentence that leaves here has passed the output rails.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from guardrails import Context, Verdict
from rag.draft import draft, quote_all
from rag.evidence import passage_sentences, relevance, select_quotes
from rag.generate import Usage
from rag.prompt import build_prompt
from rag.retrieve import retrieve
from rag.rewrite import standalone_question
from rag.schema import Hit, Message, Sampling
from serve import replies
from serve.answer import Answer, Citation
from serve.timing import Timings
from serve.wiring import Parts


@dataclass(frozen=True, slots=True)
class Question:
    """What a caller asks. `history` holds the turns before `text`, oldest first."""

    text: str
    sampling: Sampling
    groups: frozenset[str]
    history: tuple[Message, ...] = ()
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer that may be shown at once."""

    text: str


@dataclass(slots=True)
class Finished:
    """The last event: everything about the answer but its text, which `text` repeats whole."""

    text: str = ""
    finish_reason: str = "stop"
    query: str = ""
    citations: list[Citation] = field(default_factory=list)
    verdicts: list[tuple[str, Verdict]] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)


async def chat(parts: Parts, question: Question) -> AsyncGenerator[Delta | Finished]:
    """Answer one question: Deltas, then one Finished. Raises RagError."""
    config, knowledge = parts.config, parts.knowledge
    timings, end = Timings(), Finished(query=question.text)

    with timings("input_rails"):
        earlier = tuple(turn.content for turn in question.history if turn.role != "assistant")
        verdict = await parts.rails.check("input", question.text, Context(history=earlier))
        end.verdicts.append(("input", verdict))
    if not verdict.allowed:
        end.finish_reason = "content_filter"
        async for event in _reply(replies.blocked(verdict), end, timings):
            yield event
        return

    with timings("rewrite"):
        turns = [turn for turn in question.history if turn.role != "system"]
        end.query = await standalone_question(question.text, turns, parts.generator)

    with timings("retrieve"):
        top_k = config.retriever.top_k
        hits = await asyncio.to_thread(retrieve, knowledge, end.query, question.groups, top_k)

    with timings("retrieval_rails"):
        hits = await _clean(parts, hits[: config.prompt.max_passages], end)

    if relevance(end.query, hits) < config.retriever.min_relevance:
        searched = await asyncio.to_thread(knowledge.catalog.count, question.groups)
        async for event in _reply(replies.not_found(end.query, searched), end, timings):
            yield event
        return

    with timings("quotations"):
        count = config.answer.quotations
        quotes = await asyncio.to_thread(select_quotes, end.query, hits, knowledge.embedder, count)
        sources = passage_sentences(hits)

    passages = tuple(hit.text for hit in hits)

    async def accept(sentence: str) -> bool:
        with timings("output_rails"):
            context = Context(question=end.query, passages=passages)
            verdict = await parts.rails.check("output", sentence, context)
            end.verdicts.append(("output", verdict))
        return verdict.allowed

    if parts.generator is None:
        sentences = quote_all(quotes, accept)
    else:
        with timings("prompt"):
            messages = await asyncio.to_thread(
                build_prompt, question.text, hits, quotes, turns, parts.generator, config.prompt
            )
        pieces = parts.generator.stream(messages, question.sampling, question.adapter, end.usage)
        sentences = draft(pieces, quotes, sources, accept, config.answer.min_support)

    answer = Answer(hits, question.sampling, parts.count_tokens)
    with timings("generate", without="output_rails"):
        async with aclosing(sentences):
            async for sentence in sentences:
                if text := answer.add(sentence):
                    timings.first_token()
                    yield Delta(text)
                if answer.full:
                    break

    if not answer.text:
        async for event in _reply(replies.nothing_supported(end.query), end, timings):
            yield event
        return
    end.text, end.citations = answer.text, answer.citations
    end.finish_reason = answer.full or end.usage.finish_reason
    end.timings = timings.milliseconds()
    yield end


async def _clean(parts: Parts, hits: Sequence[Hit], end: Finished) -> list[Hit]:
    """The passages that the retrieval rails let into the prompt."""
    verdicts = [await parts.rails.check("retrieval", hit.text) for hit in hits]
    end.verdicts += [("retrieval", verdict) for verdict in verdicts if not verdict.allowed]
    return [hit for hit, verdict in zip(hits, verdicts, strict=True) if verdict.allowed]


async def _reply(text: str, end: Finished, timings: Timings) -> AsyncGenerator[Delta | Finished]:
    """A fixed reply instead of an answer; it cites nothing."""
    timings.first_token()
    yield Delta(text)
    end.text, end.timings = text, timings.milliseconds()
    yield end
