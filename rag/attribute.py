"""A sentence of an answer -> the passage that supports it, or none.

By words, not by a model: the share of the sentence's stems, and of its neighbouring pairs of
stems, that stand close together in one passage. Numbers, versions, option names and acronyms have
to stand there letter for letter, and a negation has to be one in the nearest sentence too. What it
cannot see: two facts of one passage joined wrongly in words that all occur there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.evidence import Quote
from rag.words import exact_tokens, negations, stems

_WINDOW = 3
_PAIR_SHARE = 0.4
_DOUBT = 0.6


@dataclass(frozen=True, slots=True)
class Support:
    """`quote` is the sentence of the passage that lies closest; `score` is 0 to 1."""

    quote: Quote
    score: float


def attribute(sentence: str, sources: Sequence[Quote]) -> Support | None:
    """The best support for `sentence` among the sentences of all passages; None if none at all.

    `sources` stand in reading order, as `evidence.passage_sentences` returns them.
    """
    own = stems(sentence)
    if not own or not sources:
        return None
    exact = exact_tokens(sentence)
    best: Support | None = None
    for i in range(len(sources)):
        window = _window(sources, i)
        closest = max(window, key=lambda quote: _overlap(own, quote.text))
        score = _score(own, exact, sentence, window, closest)
        if best is None or score > best.score:
            best = Support(closest, score)
    return best


def _window(sources: Sequence[Quote], first: int) -> list[Quote]:
    """Up to three consecutive sentences of one passage."""
    return [q for q in sources[first : first + _WINDOW] if q.passage == sources[first].passage]


def _score(
    own: Sequence[str], exact: set[str], sentence: str, window: Sequence[Quote], closest: Quote
) -> float:
    text = " ".join(quote.text for quote in window)
    if not exact <= exact_tokens(text) | set(text.lower().split()):
        return 0.0
    there = stems(text)
    present = set(there)
    single = sum(word in present for word in own) / len(own)
    pairs = list(pairwise(own))
    known = set(pairwise(there))
    paired = sum(pair in known for pair in pairs) / len(pairs) if pairs else single
    score = (1 - _PAIR_SHARE) * single + _PAIR_SHARE * paired
    agree = bool(negations(sentence)) == bool(negations(closest.text))
    return score if agree else _DOUBT * score


def _overlap(own: Sequence[str], text: str) -> int:
    return len(set(own) & set(stems(text)))
