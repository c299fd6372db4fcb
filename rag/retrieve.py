"""Question -> passages: full text and vectors, fused; access decided before either is asked.

Both legs propose candidates; every candidate then gets both scores, so that fusion never has to
guess a missing one. The fused score is a convex combination of the normalised scores (Bruch et al.,
"An Analysis of Fusion Functions for Hybrid Retrieval", ACM TOIS 2023), with the weight from
`retriever.lexical_weight`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rag.config import RetrieverConfig
from rag.fulltext import score_words, search_words
from rag.knowledge import Knowledge
from rag.schema import Hit


def retrieve(
    knowledge: Knowledge,
    question: str,
    groups: frozenset[str],
    k: int,
    *,
    settings: RetrieverConfig | None = None,
) -> list[Hit]:
    """The best `k` passages that a caller of these groups may read, best first."""
    settings = settings or knowledge.config.retriever
    knowledge.refresh()
    acl_ids = knowledge.catalog.allowed_acls(groups)
    lexical: dict[int, float] = {}
    dense: dict[int, float] = {}
    if settings.mode != "dense":
        lexical = search_words(
            knowledge.catalog, question, settings.candidates, acl_ids, settings.heading_weight
        )
    if settings.mode != "lexical":
        vector = knowledge.embedder.encode([question])
        dense = _nearest(knowledge, vector, settings.candidates, acl_ids)
    if settings.mode == "hybrid":
        only_dense, only_lexical = sorted(dense.keys() - lexical), sorted(lexical.keys() - dense)
        lexical |= score_words(knowledge.catalog, question, only_dense, settings.heading_weight)
        dense |= _cosines(knowledge, vector, only_lexical)
    fused = fuse(lexical, dense, _weight(settings))
    best = sorted(fused, key=lambda i: (-fused[i], i))[:k]
    passages = knowledge.catalog.passages(best)
    return [
        replace(passages[i], score=fused[i], lexical=lexical.get(i), dense=dense.get(i))
        for i in best
        if i in passages
    ]


def fuse(
    lexical: dict[int, float], dense: dict[int, float], lexical_weight: float
) -> dict[int, float]:
    """Convex combination of scores, each divided by the best of its leg; a missing score is 0."""
    top_lexical = max(lexical.values(), default=0.0)
    top_dense = max(dense.values(), default=0.0)
    fused: dict[int, float] = {}
    for i in lexical.keys() | dense.keys():
        by_words = lexical.get(i, 0.0) / top_lexical if top_lexical > 0 else 0.0
        by_meaning = dense.get(i, 0.0) / top_dense if top_dense > 0 else 0.0
        fused[i] = lexical_weight * by_words + (1 - lexical_weight) * by_meaning
    return fused


def _weight(settings: RetrieverConfig) -> float:
    return {"lexical": 1.0, "dense": 0.0}.get(settings.mode, settings.lexical_weight)


def _nearest(
    knowledge: Knowledge, vector: NDArray[np.float32], k: int, acl_ids: frozenset[int]
) -> dict[int, float]:
    ids, scores = knowledge.index.search(vector, k, acl_ids)
    return {int(i): float(s) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0}


def _cosines(
    knowledge: Knowledge, vector: NDArray[np.float32], ids: Sequence[int]
) -> dict[int, float]:
    """Cosine of given passages, from their stored vectors."""
    vectors = knowledge.catalog.vectors(ids)
    if not vectors:
        return {}
    scores = np.stack(list(vectors.values())).astype(np.float32) @ vector[0]
    return dict(zip(vectors, scores.tolist(), strict=True))
