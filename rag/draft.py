"""Generated text -> sentences fit to be sent: supported ones as they are, others as quotations.

The model phrases; it does not get the last word. A sentence that no passage supports gives way to
the quotation it should have been (or is sent with a mark, where `answer.unsupported` says so), and
a model that goes on failing is cut off: the quotations that are left then make up the answer.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from rag.attribute import Support, attribute
from rag.config import AnswerConfig
from rag.evidence import Quote
from rag.sentences import sentence_spans
from rag.words import content_words, exact_tokens, negations, stems

Accept = Callable[[str, bool], Awaitable[bool]]
"""Whether a sentence may be sent, and whether the passages have to bear it out; the output rails
stand behind it."""

UNSUPPORTED = "[unsupported]"
"""What a sentence is marked with that no passage supports."""

_MARK = re.compile(r"\s*\[(?:\d{1,3}|unsupported)\](?!\()")
_FENCE = re.compile(r"^[ \t]*```(?![^\n]*```)", re.MULTILINE)
_CODE = re.compile(r"\s*```.*?\n[ \t]*```", re.DOTALL)
_LONGEST = 1200
_FEWEST_WORDS = 3
_SAME = 0.85
_CLOSE = 0.5
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Sentence:
    """One piece of the answer, with the white space that goes before it.

    `support` is None where the sentence claims nothing ("Here are the steps:") or `unsupported`.
    """

    text: str
    before: str
    support: Support | None
    quoted: bool = False
    unsupported: bool = False
    """It claims something that no passage bears out, and is to be marked so."""


async def draft(
    pieces: AsyncGenerator[str],
    quotes: Sequence[Quote],
    sources: Sequence[Quote],
    accept: Accept,
    config: AnswerConfig,
) -> AsyncGenerator[Sentence]:
    """The answer, sentence by sentence.

    After `patience` unsupported sentences the model is left. Where it failed as often as not, the
    remaining quotations follow; in any case the best one does, unless the answer conveys it.
    """
    unused = list(quotes)
    said: list[set[str]] = []
    lead_in: Sentence | None = None
    misses = supported = 0
    async with aclosing(_segments(pieces)) as segments:
        async for before, text in segments:
            sentence = await _judge(before, text, sources, accept, config)
            if sentence is not None and sentence.unsupported:
                misses += 1
            elif sentence is not None and sentence.support is None:
                lead_in = sentence  # "Here are the steps:" is sent only with what it leads to
                continue
            if sentence is None or _repeats(sentence.text, said):
                misses += 1
                lead_in = None
                sentence = await _next_quote(unused, text, accept)
            if sentence is not None and not _repeats(sentence.text, said):
                if lead_in is not None:
                    yield lead_in
                said.append(set(stems(sentence.text)))
                supported += not sentence.quoted and not sentence.unsupported
                unused = [quote for quote in unused if not _repeats(quote.text, said)]
                yield sentence
            lead_in = None
            if misses >= config.patience:
                break
    if misses < max(1, supported) and said:  # the model did well: only what it must not omit
        unused = [quote for quote in quotes[:1] if not _conveyed(quote.text, said)]
    async for sentence in quote_all(unused, accept):
        yield sentence


async def quote_all(quotes: Sequence[Quote], accept: Accept) -> AsyncGenerator[Sentence]:
    """Quotations alone: the extractive answer."""
    for quote in quotes:
        if await accept(quote.text, True):
            yield _quotation(quote)


async def _judge(
    before: str, text: str, sources: Sequence[Quote], accept: Accept, config: AnswerConfig
) -> Sentence | None:
    """The sentence, if it may stand as the model wrote it."""
    if not text.startswith("```"):  # there, [0] is an index
        text = _tidy(text)
    if text.endswith("?"):  # an answer asks nothing; small models echo the question
        return None
    support = attribute(text, sources)
    supported = support is not None and support.score >= config.min_support
    claims = claims_something(text)
    if not text:
        return None
    if (supported or not claims) and await accept(text, True):
        return Sentence(text, before, support if claims else None)
    if claims and config.unsupported == "mark" and await accept(text, False):
        return Sentence(text, before, None, unsupported=True)
    return None


def _tidy(text: str) -> str:
    """Without the model's own marks, which are set anew, and without copied line breaks."""
    text = _MARK.sub("", text).strip()
    return text if text.startswith("```") else " ".join(text.split())


def claims_something(text: str) -> bool:
    """Whether a sentence states anything that a passage could bear out."""
    if exact_tokens(text) or negations(text):
        return True  # "No.", "Set it to 64.": short, and all the more a claim
    return len(content_words(text)) >= _FEWEST_WORDS and not text.rstrip().endswith(":")


def _repeats(text: str, said: Sequence[set[str]]) -> bool:
    """Whether nearly every word of `text` stands in one sentence already sent."""
    own = set(stems(text))
    return bool(own) and any(len(own & former) >= _SAME * len(own) for former in said)


def _conveyed(text: str, said: Sequence[set[str]]) -> bool:
    """Whether half of the words of `text` stand in the answer."""
    own = set(stems(text))
    return len(own & set().union(*said)) >= _HALF * len(own)


async def _next_quote(unused: list[Quote], text: str, accept: Accept) -> Sentence | None:
    """The quotation that a failed sentence garbled, else the best unused; taken off the list."""
    own = set(stems(text))

    def shared(quote: Quote) -> int:
        # Not `attribute`: a changed number or a turned negation is what garbled means.
        return len(own & set(stems(quote.text)))

    while unused:
        nearest = max(unused, key=shared)
        quote = nearest if shared(nearest) >= _CLOSE * len(own) else unused[0]
        unused.remove(quote)
        if await accept(quote.text, True):
            return _quotation(quote)
    return None


def _quotation(quote: Quote) -> Sentence:
    return Sentence(f"“{' '.join(quote.text.split())}”", "\n\n", Support(quote, 1.0), quoted=True)


async def _segments(pieces: AsyncGenerator[str]) -> AsyncGenerator[tuple[str, str]]:
    """(white space before, sentence) as soon as each is whole; fenced code counts as one."""
    buffer = ""
    async with aclosing(pieces):
        async for piece in pieces:
            buffer += piece
            whole, buffer = _split(buffer)
            for segment in whole:
                yield segment
    if _FENCE.match(buffer.lstrip()):  # never closed: cut off by the limit of tokens
        yield _parted(buffer)
    else:
        for segment in _cut(buffer):
            yield segment


def _split(buffer: str) -> tuple[list[tuple[str, str]], str]:
    """Whole segments at the front of `buffer`, and the rest that may still grow."""
    whole: list[tuple[str, str]] = []
    while fence := _FENCE.search(buffer):
        prose = len(buffer[: fence.start()].rstrip())
        whole += _cut(buffer[:prose])
        code = _CODE.match(buffer, prose)
        if code is None:
            return whole, buffer[prose:]
        whole.append(_parted(code.group()))
        buffer = buffer[code.end() :]
    spans = list(sentence_spans(buffer))
    if len(spans) < 2:
        if len(buffer) > _LONGEST:
            return [*whole, *_cut(buffer)], buffer[len(buffer.rstrip()) :]
        return whole, buffer
    last = spans[-1][0]
    rest = len(buffer[:last].rstrip())
    return [*whole, *_cut(buffer[:rest])], buffer[rest:]


def _parted(text: str) -> tuple[str, str]:
    stripped = text.lstrip()
    return text[: len(text) - len(stripped)], stripped


def _cut(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    for start, end in sentence_spans(text):
        yield text[at:start], text[start:end]
        at = end
