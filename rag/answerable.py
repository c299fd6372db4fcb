"""Whether the passages found can hold the answer at all, decided before a word is generated."""

from __future__ import annotations

from collections.abc import Sequence

from rag.catalog import Catalog
from rag.fulltext import rarity
from rag.schema import Hit
from rag.words import GENERIC, content_words, stem, stems

_BEST = 4
_NEAR, _OFFERED = 0.4, 3


def relevance(catalog: Catalog, question: str, hits: Sequence[Hit]) -> float:
    """How likely the passages hold an answer, 0 to 1; compared with `retriever.min_relevance`.

    Half the best cosine, half the share of the question's words, each weighted by its rarity in
    this knowledge base, that the best single passage holds under its headings. A near miss of the
    same domain can still pass: the words of a question may all be there and its answer not.
    """
    if not hits:
        return 0.0
    words = content_words(question)
    words = [word for word in words if word not in GENERIC] or words
    weights = rarity(catalog, words)
    total = sum(weights.values()) or 1.0
    covered = 0.0
    for hit in hits[:_BEST]:
        there = set(stems(" ".join((hit.title, *hit.heading_path, hit.text))))
        held = sum(weight for word, weight in weights.items() if stem(word) in there)
        covered = max(covered, held / total)
    cosine = max((hit.dense for hit in hits if hit.dense is not None), default=covered)
    return min(1.0, max(0.0, 0.5 * cosine + 0.5 * covered))


def closest_documents(hits: Sequence[Hit], held: float) -> list[Hit]:
    """One hit of each of the nearest documents, to offer where none holds the answer.

    None where even the nearest is far off: a question about the weather has no neighbours here.
    """
    if held < _NEAR:
        return []
    by_document = {hit.document_id: hit for hit in reversed(hits)}
    return sorted(by_document.values(), key=lambda hit: -hit.score)[:_OFFERED]
