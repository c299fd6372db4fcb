"""The product's main flow, readable from top to bottom.

request -> input rails -> small talk -> rewrite -> retrieve -> retrieval rails -> quotations
-> expand -> prompt -> generate -> output rails -> answer with citations

Knows nothing of HTTP. Every sentence that leaves here has passed the output rails.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace

from guardrails import GROUNDED, Context, Verdict
from rag.answerable import closest_documents, relevance
from rag.draft import Sentence, draft, quote_all
from rag.evidence import Quote, passage_sentences, select_quotes
from rag.expand import expand
from rag.generate import Usage
from rag.prompt import build_prompt
from rag.retrieve import search
from rag.rewrite import standalone
from rag.schema import Filters, Hit, Message, Sampling
from rag.scope import count_documents
from serve import replies
from serve.answer import Answer, Citation
from serve.page_examples import example_questions
from serve.screening import grown_may_pass, judge
from serve.small_talk import WITH_EXAMPLE
from serve.timing import Timings
from serve.wiring import Parts

ENDING = frozenset({"prompt_leak", "broken"})
"""Categories of output after which the model is not listened to any longer."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a caller asks. `history` holds the turns before `text`, oldest first."""

    text: str
    sampling: Sampling
    groups: frozenset[str]
    history: tuple[Message, ...] = ()
    adapter: str | None = None
    filters: Filters | None = None
    """The documents to answer from; None: all that the caller may read."""
    remember: bool = True
    """False where the caller wants the answer forgotten at once; it takes no feedback then."""


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
    closest: list[Hit] = field(default_factory=list)
    """One passage of each document that is nearest, where none holds the answer."""
    verdicts: list[tuple[str, Verdict]] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    stopped: str = ""
    """The category of output that ended the answer early."""
    question: Question | None = None
    """As the input rails let it pass: masked, and with what they left of its history."""
    passages: list[Hit] = field(default_factory=list)
    """What the answer could be made from, as the generator saw it."""


async def chat(parts: Parts, question: Question) -> AsyncGenerator[Delta | Finished, None]:
    """Answer one question: Deltas, then one Finished. Raises RagError."""
    config, knowledge, groups = parts.config, parts.knowledge, question.groups
    timings, end = Timings(), Finished(query=question.text)

    with timings("input_rails"):
        earlier = tuple(turn.content for turn in question.history if turn.role != "system")
        verdict = await parts.rails.check("input", question.text, Context(earlier=earlier))
        end.verdicts.append(("input", verdict))
        history = await _clean_history(parts, question.history, end)
    # As masked: nothing below sees more.
    question = end.question = replace(question, text=verdict.text, history=tuple(history))
    if not verdict.allowed:
        end.finish_reason = "content_filter"
        async for event in _reply(
            replies.blocked(verdict, config.guardrails.input.harm.help), end, timings
        ):
            yield event
        return

    if said := await asyncio.to_thread(_small_talk, parts, question, bool(history)):
        async for event in _reply(said, end, timings):
            yield event
        return

    with timings("rewrite"):
        rewriter = parts.generator if config.rewrite.mode == "generator" else None
        asked = await standalone(question.text, history, rewriter)
        end.query = asked.query

    with timings("retrieve"):
        found = await asyncio.to_thread(
            search,
            knowledge,
            end.query,
            groups,
            config.retriever.top_k,
            filters=question.filters,
            wordings=asked.wordings,
        )

    with timings("retrieval_rails"):
        hits = await _clean_hits(parts, found.hits[: config.prompt.max_passages], end)

    with timings("relevance"):
        held = await asyncio.to_thread(relevance, knowledge, end.query, hits, found.contrast)
    if not hits or held < config.retriever.min_relevance:
        searched = await asyncio.to_thread(
            count_documents, knowledge.catalog, groups, question.filters
        )
        end.closest = closest_documents(hits, held)
        reply = replies.not_found(end.query, searched, end.closest, bool(question.filters))
        async for event in _reply(reply, end, timings):
            yield event
        return

    with timings("quotations"):
        embedder, count = knowledge.embedder, config.answer.quotations
        quotes = await asyncio.to_thread(select_quotes, end.query, hits, embedder, count)

    if parts.generator is not None and config.prompt.expand:
        with timings("expand"):
            hits = await _expanded(parts, hits)

    end.passages = list(hits)
    answer = Answer(hits, question.sampling, parts.count_tokens)
    async with aclosing(
        _sentences(parts, question, history, hits, quotes, end, timings)
    ) as sentences:
        with timings("generate"):
            async for sentence in sentences:
                # In a thread: to count tokens may be a request to the generator's own server.
                if text := await asyncio.to_thread(answer.add, sentence):
                    timings.first_token()
                    yield Delta(text)
                if answer.full:
                    break

    if end.stopped and not answer.full:
        end.finish_reason, end.citations = "content_filter", answer.citations
        async for event in _reply(replies.stopped(end.stopped), end, timings, answer.text):
            yield event
        return
    if not answer.text and not answer.full:
        async for event in _reply(replies.nothing_supported(end.query), end, timings):
            yield event
        return
    end.text, end.citations = answer.text, answer.citations
    end.finish_reason = answer.full or end.usage.finish_reason
    end.timings = timings.milliseconds()
    yield end


async def _sentences(
    parts: Parts,
    question: Question,
    history: Sequence[Message],
    hits: Sequence[Hit],
    quotes: Sequence[Quote],
    end: Finished,
    timings: Timings,
) -> AsyncGenerator[Sentence, None]:
    """prompt -> generate -> output rails: sentences that may be sent."""
    config, passages = parts.config, tuple(hit.text for hit in hits)
    earlier = (*(turn.content for turn in history), question.text)
    masked: dict[str, str] = {}
    quoted = {quote.text for quote in quotes}

    async def accept(sentence: str, supported: bool) -> bool:
        with timings("output_rails"):
            context = Context(question=end.query, passages=passages, earlier=earlier)
            verdict = await parts.rails.check("output", sentence, context)
            end.verdicts.append(("output", verdict))
            masked[sentence] = verdict.text
        if verdict.category in ENDING and sentence not in quoted:
            end.stopped = verdict.category
            raise _Stopped
        return verdict.allowed or (verdict.rail == GROUNDED and not supported)

    if parts.generator is None:
        drafted = quote_all(quotes, accept)
    else:
        with timings("prompt"):
            messages = await asyncio.to_thread(
                build_prompt,
                question.text,
                hits,
                quotes,
                history,
                parts.generator,
                config.prompt,
                question.sampling.max_tokens,
                parts.canary,
            )
        pieces = parts.generator.stream(messages, question.sampling, question.adapter, end.usage)
        sources = passage_sentences(hits)
        drafted = draft(pieces, quotes, sources, accept, config.answer)
    sent = False
    with suppress(_Stopped):
        async with aclosing(drafted):
            async for sentence in drafted:
                sent = True
                yield replace(sentence, text=masked.get(sentence.text, sentence.text))
    if end.stopped == "broken" and not sent:  # nothing to break off: the quotations answer
        end.stopped = ""
        async for sentence in quote_all(quotes, accept):
            yield replace(sentence, text=masked.get(sentence.text, sentence.text))


class _Stopped(Exception):
    """The model is to be left at once."""


async def _clean_history(parts: Parts, history: Sequence[Message], end: Finished) -> list[Message]:
    """Earlier turns as the input rails let them pass, without the replies to those they refuse.

    Replies are judged too: it is the client that sends them, and it may have made them up. System
    messages are dropped: vSage's instructions are its own.
    """
    kept: list[Message] = []
    earlier: list[str] = []
    refused = False
    for turn in history:
        if turn.role == "system":
            continue
        verdict = await parts.rails.check("input", turn.content, Context(earlier=tuple(earlier)))
        earlier.append(turn.content)
        if not verdict.allowed:
            end.verdicts.append(("input", verdict))
        if turn.role == "user":
            refused = not verdict.allowed
        if verdict.allowed and not refused:
            kept.append(replace(turn, content=verdict.text))
    return kept


def _small_talk(parts: Parts, question: Question, follow_up: bool) -> str:
    """What to say to a greeting, to thanks and the like; empty for all that may be a question."""
    talk, catalog, groups = parts.small_talk, parts.knowledge.catalog, question.groups
    found = talk.kind(question.text, follow_up=follow_up) if talk else None
    if talk is None or found is None:
        return ""
    examples = example_questions(catalog, groups, 1) if found[0] in WITH_EXAMPLE else []
    return talk.reply(*found, count_documents(catalog, groups, None), "".join(examples))


async def _clean_hits(parts: Parts, hits: Sequence[Hit], end: Finished) -> list[Hit]:
    """The passages that the retrieval rails let into the prompt."""
    verdicts = (
        await asyncio.to_thread(judge, parts, hits)
        if parts.screen
        else [await parts.rails.check("retrieval", hit.text) for hit in hits]
    )
    end.verdicts += [("retrieval", verdict) for verdict in verdicts if not verdict.allowed]
    return [hit for hit, verdict in zip(hits, verdicts, strict=True) if verdict.allowed]


async def _expanded(parts: Parts, hits: Sequence[Hit]) -> list[Hit]:
    """Passages with what stands around them, where the retrieval rails let that in, too."""
    assert parts.generator is not None
    grown = await asyncio.to_thread(
        expand,
        parts.knowledge.catalog,
        hits,
        parts.generator.count_tokens,
        parts.config.prompt.max_passage_tokens,
    )
    return [
        larger if larger is hit or await _may_grow(parts, larger) else hit
        for hit, larger in zip(hits, grown, strict=True)
    ]


async def _may_grow(parts: Parts, hit: Hit) -> bool:
    if parts.screen is not None:
        return await asyncio.to_thread(grown_may_pass, parts, hit)
    return (await parts.rails.check("retrieval", hit.text)).allowed


async def _reply(
    text: str, end: Finished, timings: Timings, said: str = ""
) -> AsyncGenerator[Delta | Finished]:
    """A fixed reply instead of an answer, or after what of it was `said`; it cites nothing."""
    timings.first_token()
    text = f"\n\n{text}" if said else text
    yield Delta(text)
    end.text, end.timings = said + text, timings.milliseconds()
    yield end
