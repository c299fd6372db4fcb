"""Whether the passages found can hold the answer at all, decided before a word is generated.

A logistic model over five signs, fitted with equal weight on four labelled sets (OpenShift's
development questions and `benchmarks/questions/`, 461 questions in all). Alone, none of them has
one scale for all knowledge bases: where questions copy the documents' wording the cosines of
unanswerable ones are as high as those of answerable ones elsewhere. How far the best passage stands
out from the rest makes up for part of that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rag.evidence import nearest_sentence
from rag.fulltext import rarity
from rag.knowledge import Knowledge
from rag.retrieve import Contrast
from rag.schema import Hit
from rag.words import GENERIC, content_words, stem, stems

_BEST = 4
_NEAR, _OFFERED = 0.05, 3
_COSINE, _SENTENCE, _WORDS, _GAP, _FALL, _BIAS = 3.03, 8.26, 4.61, 8.99, 6.27, -14.47
_USUAL = Contrast(cosine=0.187, words=0.651)
"""The mean over the four sets, where a knowledge base is too small to have its own."""


def relevance(
    knowledge: Knowledge, question: str, hits: Sequence[Hit], contrast: Contrast | None = None
) -> float:
    """How likely the passages hold an answer, 0 to 1; compared with `retriever.min_relevance`.

    The signs: the best cosine of a passage; that of a sentence; the share of the question's words,
    weighted by their rarity in this knowledge base, that one passage holds under its headings; how
    much nearer the best passage is than the 50th; how steeply full text's scores fall. A near miss
    of the same domain can still pass.
    """
    if not hits:
        return 0.0
    covered = _coverage(knowledge, question, hits[:_BEST])
    cosine = max((hit.dense for hit in hits if hit.dense is not None), default=covered)
    sentence = nearest_sentence(question, hits[:_BEST], knowledge.embedder)
    far = contrast or _USUAL
    signs = _COSINE * cosine + _SENTENCE * sentence + _WORDS * covered
    signs += _GAP * far.cosine + _FALL * far.words + _BIAS
    return 1 / (1 + math.exp(-signs))


def _coverage(knowledge: Knowledge, question: str, hits: Sequence[Hit]) -> float:
    words = content_words(question)
    weights = rarity(knowledge.catalog, [word for word in words if word not in GENERIC] or words)
    total = sum(weights.values()) or 1.0
    best = 0.0
    for hit in hits:
        there = set(stems(" ".join((hit.title, *hit.heading_path, hit.text))))
        best = max(best, sum(w for word, w in weights.items() if stem(word) in there) / total)
    return best


def closest_documents(hits: Sequence[Hit], held: float) -> list[Hit]:
    """One hit of each of the nearest documents, to offer where none holds the answer.

    None where even the nearest is far off: a question about the weather has no neighbours here.
    """
    if held < _NEAR:
        return []
    by_document = {hit.document_id: hit for hit in reversed(hits)}
    return sorted(by_document.values(), key=lambda hit: -hit.score)[:_OFFERED]
