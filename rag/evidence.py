"""Question + passages -> the sentences that answer it best, as quotations.

A small model turns facts round when it phrases them, so the sentences that hold the answer are
picked before it writes a word: half by the question's words (each weighted by how rare it is among
the candidates), half by meaning.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rag.embed import Embedder
from rag.schema import Hit
from rag.sentences import sentence_spans
from rag.words import content_words, stem, stems

_MARKER = re.compile(r"^(?:[-*+•▪◦>|]+|#{1,6}|\d{1,3}[.)])[ \t]+")
_FEWEST_WORDS = 4
_MOST_EMBEDDED = 12
_WORD_SHARE = 0.5
_CELLS = re.compile(r"\S[ \t]*\|[ \t]*\S")
_LEAST_SHARE = 0.55
"""Quotations far below the best one are left out."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence of a passage. `passage` is its place in the list of hits, counted from 0."""

    passage: int
    start: int
    end: int
    text: str
    score: float = 0.0


def passage_sentences(hits: Sequence[Hit]) -> list[Quote]:
    """Every sentence of the passages, without list markers; spans point into the document."""
    quotes: dict[tuple[int, int], Quote] = {}
    for number, hit in enumerate(hits):
        for start, end in sentence_spans(hit.text):
            text = hit.text[start:end]
            shift = len(text) - len(_MARKER.sub("", text, count=1))
            at = hit.start + start + shift
            # Neighbouring passages overlap: the better-ranked one keeps the shared sentence.
            key = (hit.document_id, hit.start + end)
            quotes.setdefault(key, Quote(number, at, hit.start + end, text[shift:]))
    return list(quotes.values())


def select_quotes(
    question: str, hits: Sequence[Hit], embedder: Embedder, count: int
) -> list[Quote]:
    """The best `count` sentences, best first."""
    candidates = [q for q in passage_sentences(hits) if len(q.text.split()) >= _FEWEST_WORDS]
    if not candidates:
        return []
    by_words = _word_scores(question, candidates)
    order = sorted(range(len(candidates)), key=lambda i: -by_words[i])[:_MOST_EMBEDDED]
    vectors = embedder.encode([question, *(candidates[i].text for i in order)])
    by_meaning = vectors[1:] @ vectors[0]
    best = max(hits[0].score, 1e-9)
    scored = []
    for i, meaning in zip(order, by_meaning, strict=True):
        quote = candidates[i]
        relevance = _WORD_SHARE * by_words[i] + (1 - _WORD_SHARE) * float(meaning)
        relevance *= _completeness(quote.text)
        prior = max(hits[quote.passage].score, 0.0) / best
        scored.append(
            Quote(
                quote.passage, quote.start, quote.end, quote.text, relevance * (0.5 + 0.5 * prior)
            )
        )
    return _distinct(sorted(scored, key=lambda q: -q.score), count)


def nearest_sentence(question: str, hits: Sequence[Hit], embedder: Embedder) -> float:
    """Best cosine of the question to one of the sentences that share most words with it.

    Those are the sentences that `select_quotes` embeds too: a caching embedder does it once.
    """
    candidates = [q for q in passage_sentences(hits) if len(q.text.split()) >= _FEWEST_WORDS]
    if not candidates:
        return 0.0
    by_words = _word_scores(question, candidates)
    order = sorted(range(len(candidates)), key=lambda i: -by_words[i])[:_MOST_EMBEDDED]
    vectors = embedder.encode([question, *(candidates[i].text for i in order)])
    return float((vectors[1:] @ vectors[0]).max())


def _completeness(text: str) -> float:
    """Less than 1 for what says little by itself: a table's row, a fragment without a full stop."""
    if _CELLS.search(text):
        return 0.6
    return 1.0 if text.rstrip('"”’)*_`').endswith((".", "!", "?", "。")) else 0.8


def _word_scores(question: str, candidates: Sequence[Quote]) -> list[float]:
    """Share of the question's words in each sentence, weighted by their rarity; 0 to 1."""
    wanted = {stem(word) for word in content_words(question)}
    sentences = [set(stems(quote.text)) for quote in candidates]
    frequency = Counter(word for sentence in sentences for word in sentence & wanted)
    weight = {w: math.log(1 + len(candidates) / (1 + frequency[w])) for w in wanted}
    total = sum(weight.values()) or 1.0
    return [sum(weight[w] for w in wanted & sentence) / total for sentence in sentences]


def _distinct(ranked: Sequence[Quote], count: int) -> list[Quote]:
    """The first `count` that do not merely repeat a better one."""
    chosen: list[Quote] = []
    for quote in ranked:
        if quote.score < _LEAST_SHARE * ranked[0].score:
            break
        own = set(stems(quote.text))
        repeats = any(
            len(own & set(stems(other.text)))
            >= 0.8 * max(1, min(len(own), len(set(stems(other.text)))))
            for other in chosen
        )
        if not repeats:
            chosen.append(quote)
        if len(chosen) == count:
            break
    return chosen
