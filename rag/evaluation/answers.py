"""An answer, as users get it -> how well it matches references, cites and knows when to refuse.

Token F1 is SQuAD's (lower case, no punctuation, no articles), with Unicode's punctuation besides
ASCII's; ROUGE-L is the F-measure of the longest common subsequence of words, without stemming.
Both compare words: a right answer in other words scores low, a wrong number hardly lowers them.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from rag.ask import Asked, ask
from rag.attribute import attribute
from rag.config import AnswerConfig
from rag.draft import claims_something
from rag.evidence import passage_sentences
from rag.generate import Generator
from rag.knowledge import Knowledge
from rag.schema import Hit, Wordings
from rag.words import words

_ARTICLES = frozenset({"a", "an", "the"})
_MARKS = re.compile(r"(?:\s*\[(?:\d+|unsupported)\])+\s*$")
_CITED = tuple(f"{digit}]" for digit in range(10))
_SUPPORTED = AnswerConfig().min_support
"""A fixed yardstick, so that configurations with another `answer.min_support` can be compared."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply. `sentences` are as they were sent, with their marks; `first_s` and `whole_s` are
    seconds from the question to the first sentence and to the end."""

    text: str
    sentences: tuple[str, ...]
    cited: tuple[Hit, ...]
    abstained: bool
    first_s: float | None
    whole_s: float


async def answer_question(
    knowledge: Knowledge,
    generator: Generator | None,
    query: str,
    groups: frozenset[str],
    wordings: Wordings = (),
) -> Answer:
    """Ask as `python -m rag ask` does; `generator` None answers with quotations alone.

    An empty reply counts as a refusal. Raises GenerationError.
    """
    asked = Asked()
    sentences: list[str] = []
    first: float | None = None
    start = time.perf_counter()
    async with aclosing(
        ask(knowledge, generator, query, groups, asked, wordings=wordings)
    ) as pieces:
        async for piece in pieces:
            first = first or time.perf_counter() - start
            sentences.append(piece)
    whole = time.perf_counter() - start
    abstained = not asked.found or not asked.text.strip()
    cited = () if abstained else tuple(asked.cited.values())
    return Answer(asked.text, tuple(sentences), cited, abstained, first, whole)


def measure_answer(
    answer: Answer, references: Sequence[str], relevant: Mapping[str, int], names: Sequence[str]
) -> dict[str, float]:
    """Measure -> value from 0 to 1; what cannot be said of this question is left out.

    `names` are the documents of `answer.cited`. Against references a refusal scores 0, as it does
    in SQuAD 2.0; citations and support are measured over answers that were given.
    """
    measures: dict[str, float] = {}
    if relevant and references:
        text = " ".join(_MARKS.sub("", sentence) for sentence in answer.sentences)
        measures["token_f1"] = _best(token_f1, text, references)
        measures["rouge_l"] = _best(rouge_l, text, references)
    if answer.abstained:
        return measures
    if relevant:
        if names:
            measures["citation_precision"] = sum(n in relevant for n in names) / len(names)
        measures["citation_recall"] = len(relevant.keys() & set(names)) / len(relevant)
    marked = sum(sentence.rstrip().endswith(_CITED) for sentence in answer.sentences)
    measures["cited_sentences"] = marked / len(answer.sentences)
    measures["unsupported"] = unsupported(answer.sentences, answer.cited)
    return measures


def unsupported(sentences: Sequence[str], cited: Sequence[Hit]) -> float:
    """Share of the sentences that claim something which no cited passage bears out.

    Worked out anew from what was sent, not from what the draft believed. By words: see
    `rag.attribute` for what that cannot see.
    """
    sources = passage_sentences(cited)
    texts = [_folded(hit.text) for hit in cited]
    missing = 0
    for sentence in sentences:
        claim = _MARKS.sub("", sentence).strip().strip("“”")
        if not claims_something(claim) or any(_folded(claim) in text for text in texts):
            continue
        support = attribute(claim, sources)
        missing += support is None or support.score < _SUPPORTED
    return missing / len(sentences)


def token_f1(answer: str, reference: str) -> float:
    """SQuAD's F1 over tokens, 0 to 1; two texts without any are alike."""
    own, wanted = _tokens(answer), _tokens(reference)
    if not own or not wanted:
        return float(own == wanted)
    shared = sum((Counter(own) & Counter(wanted)).values())
    return 2 * shared / (len(own) + len(wanted))


def rouge_l(answer: str, reference: str) -> float:
    """F-measure of the longest common subsequence of words, 0 to 1."""
    own, wanted = words(answer), words(reference)
    if not own or not wanted:
        return float(own == wanted)
    return 2 * _common_subsequence(own, wanted) / (len(own) + len(wanted))


def _common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest one, bit-parallel (Hyyrö 2004): a row of the table is one integer."""
    places: dict[str, int] = {}
    for i, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << i
    every = (1 << len(a)) - 1
    row = every
    for word in b:
        matched = row & places.get(word, 0)
        row = ((row + matched) | (row - matched)) & every
    return len(a) - row.bit_count()


def _tokens(text: str) -> list[str]:
    kept = (c for c in text.lower() if unicodedata.category(c)[0] not in "PS")
    return [token for token in "".join(kept).split() if token not in _ARTICLES]


def _folded(text: str) -> str:
    return " ".join(text.split())


def _best(measure: Callable[[str, str], float], answer: str, references: Sequence[str]) -> float:
    return max(measure(answer, reference) for reference in references)
