"""Question -> passages: full text and vectors, fused; access decided before either is asked.

scope -> both legs for each wording -> fusion -> identifiers -> versions -> near-duplicates ->
reranker -> spread over documents. Both legs propose candidates; every candidate then gets both
scores, so that fusion never has to guess a missing one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from rag.catalog import Catalog
from rag.collapse import collapse, spread
from rag.config import RetrieverConfig
from rag.embed import Embedder
from rag.fulltext import score_words, search_phrases, search_words
from rag.fusion import combine, fuse
from rag.index import VectorIndex
from rag.knowledge import Knowledge
from rag.rerank import open_reranker, rerank
from rag.schema import Filters, Hit, Wordings
from rag.scope import Scope, open_scope
from rag.tables import documents
from rag.versions import asked_versions, matches
from rag.words import identifiers

_POOL = 40
"""Passages that are looked at whole, before near-duplicates are collapsed."""


@dataclass(slots=True)
class Legs:
    """Scores by chunk id: BM25 and cosine."""

    lexical: dict[int, float] = field(default_factory=dict)
    dense: dict[int, float] = field(default_factory=dict)


def retrieve(
    knowledge: Knowledge,
    question: str,
    groups: frozenset[str],
    k: int,
    *,
    settings: RetrieverConfig | None = None,
    filters: Filters | None = None,
    wordings: Wordings = (),
) -> list[Hit]:
    """The best `k` passages that a caller of these groups may read, best first.

    `wordings` are searched instead of `question`, each with its weight, and their scores are added
    up: a follow-up as it was typed beside what it means (`rag/rewrite.py`). Raises RagError.
    """
    settings = settings or knowledge.config.retriever
    embedder, index = knowledge.refresh()
    catalog, scope = knowledge.catalog, open_scope(knowledge.catalog, groups, filters)
    wordings = wordings or ((question, 1.0),)
    legs = [_search(catalog, embedder, index, text, scope, settings) for text, _ in wordings]
    weight = {"lexical": 1.0, "dense": 0.0}.get(settings.mode, settings.lexical_weight)
    scores = combine(
        [fuse(leg.lexical, leg.dense, weight) for leg in legs], [w for _, w in wordings]
    )
    if settings.mode != "dense":
        scores = _with_identifiers(catalog, question, scores, scope, settings)
    hits = _pool(catalog, scores, legs, max(_POOL, 3 * k, knowledge.config.reranker.candidates))
    asked = _asked_versions(catalog, question, wordings, scope)
    if asked:
        hits = _prefer_versions(hits, asked, settings.version_weight)
    if settings.collapse:
        hits = collapse(hits, catalog.vectors, asked)
    reranker = open_reranker(knowledge.config.reranker)
    if reranker is not None:
        hits = rerank(reranker, question, hits[: knowledge.config.reranker.candidates])
    return spread(hits, settings.per_document, k)


def _search(
    catalog: Catalog,
    embedder: Embedder,
    index: VectorIndex,
    question: str,
    scope: Scope,
    settings: RetrieverConfig,
) -> Legs:
    """Both legs of one wording; in hybrid mode each candidate has both scores."""
    legs, heading_weight = Legs(), settings.heading_weight
    if settings.mode != "dense":
        legs.lexical = search_words(catalog, question, settings.candidates, scope, heading_weight)
    if settings.mode == "lexical":
        return legs
    vector = embedder.encode([question])
    ids, cosines = index.search(vector, settings.candidates, scope.acl_ids, scope.document_ids)
    legs.dense = {int(i): float(s) for i, s in zip(ids[0], cosines[0], strict=True) if i >= 0}
    if settings.mode == "hybrid":
        only_dense = sorted(legs.dense.keys() - legs.lexical)
        only_lexical = sorted(legs.lexical.keys() - legs.dense)
        legs.lexical |= score_words(catalog, question, only_dense, heading_weight)
        legs.dense |= _cosines(catalog, vector, only_lexical)
    return legs


def _cosines(catalog: Catalog, vector: NDArray[np.float32], ids: Sequence[int]) -> dict[int, float]:
    """Cosine of given passages, from their stored vectors."""
    stored = catalog.vectors(ids)
    # Vectors of another length: the embedder is being changed at this very moment.
    vectors = {i: stored[i] for i in stored if len(stored[i]) == vector.shape[1]}
    if not vectors:
        return {}
    scores = np.stack(list(vectors.values())).astype(np.float32) @ vector[0]
    return dict(zip(vectors, scores.tolist(), strict=True))


def _with_identifiers(
    catalog: Catalog,
    question: str,
    scores: dict[int, float],
    scope: Scope,
    settings: RetrieverConfig,
) -> dict[int, float]:
    """Raise what holds an error code or option name of the question, and let it in if missing."""
    exact = identifiers(question)
    if not exact or not settings.identifier_weight:
        return scores
    holding = search_phrases(catalog, exact, settings.candidates, scope, settings.heading_weight)
    raised = {i: scores.get(i, 0.0) + settings.identifier_weight for i in holding}
    return {**scores, **raised}


def _pool(catalog: Catalog, scores: dict[int, float], legs: Sequence[Legs], size: int) -> list[Hit]:
    best = sorted(scores, key=lambda i: (-scores[i], i))[:size]
    passages = catalog.passages(best)
    return [
        replace(
            passages[i],
            score=scores[i],
            lexical=max((leg.lexical[i] for leg in legs if i in leg.lexical), default=None),
            dense=max((leg.dense[i] for leg in legs if i in leg.dense), default=None),
        )
        for i in best
        if i in passages
    ]


def _asked_versions(
    catalog: Catalog, question: str, wordings: Wordings, scope: Scope
) -> tuple[str, ...]:
    """Versions named in the question that some document of this scope is of.

    What was typed last goes first: "and in 4.15?" after a question about 4.16 means 4.15.
    """
    texts = sorted((question, *(text for text, _ in wordings)), key=len)
    texts = [text for text in texts if any(character.isdigit() for character in text)]
    if not texts:
        return ()
    query = (
        sa.select(documents.c.version)
        .where(documents.c.version != "", documents.c.acl_id.in_(scope.acl_ids))
        .distinct()
    )
    with catalog.reading() as connection:
        known = [row.version for row in connection.execute(query)]
    return next((found for text in texts if (found := asked_versions(text, known))), ())


def _prefer_versions(hits: Sequence[Hit], asked: Sequence[str], weight: float) -> list[Hit]:
    """Documents of a version asked for go up, those of another one down, the rest stay."""
    moved = [
        replace(hit, score=hit.score + (weight if matches(asked, hit.version) else -weight))
        if hit.version
        else hit
        for hit in hits
    ]
    return sorted(moved, key=lambda hit: (-hit.score, hit.chunk_id))
