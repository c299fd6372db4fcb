"""Question -> passages: full text and vectors, fused; access decided before either is asked.

scope -> both legs for each wording -> fusion -> identifiers -> versions -> near-duplicates ->
reranker -> spread over documents. Both legs propose candidates; every candidate then gets both
scores, so that fusion never has to guess a missing one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
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
from rag.versions import asked_versions, matches
from rag.words import identifiers

_FAR = 50
_POOL = 40
"""Passages that are looked at whole, before near-duplicates are collapsed."""


@dataclass(slots=True)
class Legs:
    """Scores by chunk id: BM25 and cosine, and the vector of the wording, shape (d,)."""

    vector: NDArray[np.float32] | None = None
    lexical: dict[int, float] = field(default_factory=dict)
    dense: dict[int, float] = field(default_factory=dict)
    proposed: list[float] = field(default_factory=list)
    """BM25 of the passages that full text itself proposed."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """How far the best passages of a search stand out from those that came after them."""

    cosine: float
    """Best cosine less that of the 50th nearest passage."""
    words: float
    """Share of the best BM25 that the last candidate of full text falls short of, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Found:
    """`contrast` is None where too few passages were searched to tell."""

    hits: list[Hit]
    contrast: Contrast | None


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
    found = search(
        knowledge, question, groups, k, settings=settings, filters=filters, wordings=wordings
    )
    return found.hits


def search(
    knowledge: Knowledge,
    question: str,
    groups: frozenset[str],
    k: int,
    *,
    settings: RetrieverConfig | None = None,
    filters: Filters | None = None,
    wordings: Wordings = (),
) -> Found:
    """`retrieve`, and what tells how sure its hits are (`rag/answerable.py`)."""
    settings = settings or knowledge.config.retriever
    catalog, wordings = knowledge.catalog, wordings or ((question, 1.0),)
    with catalog.snapshot():
        embedder, index = knowledge.refresh()
        scope = open_scope(catalog, groups, filters)
    # No connection is held meanwhile: an embedding endpoint may take its time.
    legs = _nearest(embedder, index, [text for text, _ in wordings], scope, settings)
    nearest = [list(leg.dense.values()) for leg in legs]
    with catalog.snapshot():
        for leg, (text, _) in zip(legs, wordings, strict=True):
            _add_words(catalog, leg, text, scope, settings)
        weight = {"lexical": 1.0, "dense": 0.0}.get(settings.mode, settings.lexical_weight)
        scores = combine(
            [fuse(leg.lexical, leg.dense, weight) for leg in legs], [w for _, w in wordings]
        )
        if settings.mode != "dense":
            scores = _with_identifiers(catalog, question, scores, scope, settings)
        size = max(_POOL, 3 * k, knowledge.config.reranker.candidates)
        hits, vectors = _pool(catalog, scores, legs, size)
        asked = _asked_versions(catalog, question, wordings, scope)
    if asked:
        hits = _prefer_versions(hits, asked, settings.version_weight)
    if settings.collapse:
        hits = collapse(hits, lambda _: vectors, asked)
    reranker = open_reranker(knowledge.config.reranker)
    if reranker is not None:
        hits = rerank(reranker, question, hits[: max(k, knowledge.config.reranker.candidates)])
    heaviest = max(range(len(legs)), key=lambda i: wordings[i][1])
    contrast = _contrast(nearest[heaviest], legs[heaviest].proposed, settings.candidates)
    return Found(spread(hits, settings.per_document, k), contrast)


def _contrast(cosines: Sequence[float], proposed: Sequence[float], most: int) -> Contrast | None:
    if len(cosines) < _FAR or not proposed:
        return None
    best = max(proposed)
    # Fewer than asked for: whatever comes after them holds none of the question's words.
    last = min(proposed) if len(proposed) >= most else 0.0
    return Contrast(cosines[0] - cosines[_FAR - 1], (best - last) / max(best, 1e-6))


def _nearest(
    embedder: Embedder,
    index: VectorIndex,
    texts: Sequence[str],
    scope: Scope,
    settings: RetrieverConfig,
) -> list[Legs]:
    """The dense leg of each wording; nothing where only words count."""
    if settings.mode == "lexical":
        return [Legs() for _ in texts]
    vectors = embedder.encode(texts)
    found = index.search(vectors, settings.candidates, scope.acl_ids, scope.document_ids)
    return [
        Legs(vector, dense={i: s for i, s in zip(ids, cosines, strict=True) if i >= 0})
        for vector, ids, cosines in zip(vectors, found[0].tolist(), found[1].tolist(), strict=True)
    ]


def _add_words(
    catalog: Catalog, legs: Legs, question: str, scope: Scope, settings: RetrieverConfig
) -> None:
    """The lexical leg of one wording; in hybrid mode each candidate then gets both scores."""
    if settings.mode == "dense":
        return
    heading_weight = settings.heading_weight
    legs.lexical = search_words(catalog, question, settings.candidates, scope, heading_weight)
    legs.proposed = list(legs.lexical.values())
    if legs.vector is not None:
        only_dense = sorted(legs.dense.keys() - legs.lexical)
        only_lexical = sorted(legs.lexical.keys() - legs.dense)
        legs.lexical |= score_words(catalog, question, only_dense, heading_weight)
        legs.dense |= _cosines(catalog, legs.vector, only_lexical)


def _cosines(catalog: Catalog, vector: NDArray[np.float32], ids: Sequence[int]) -> dict[int, float]:
    """Cosine of given passages, from their stored vectors."""
    stored = catalog.vectors(ids)
    # Vectors of another length: the embedder is being changed at this very moment.
    vectors = {i: stored[i] for i in stored if len(stored[i]) == len(vector)}
    if not vectors:
        return {}
    matrix = np.concatenate(list(vectors.values())).astype(np.float32)
    scores = matrix.reshape(len(vectors), -1) @ vector
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
    near = search_phrases(catalog, exact, settings.candidates, scope, settings.heading_weight)
    raised = {
        i: scores.get(i, 0.0) + settings.identifier_weight
        for i, hit in catalog.passages(list(near)).items()
        if _holds(hit, exact)
    }
    return {**scores, **raised}


def _holds(hit: Hit, exact: Sequence[str]) -> bool:
    """Whether it is there letter for letter: full text stems, and takes a dot for a space."""
    text = "\n".join((hit.title, *hit.heading_path, hit.text)).lower()
    return any(token.lower() in text for token in exact)


def _pool(
    catalog: Catalog, scores: dict[int, float], legs: Sequence[Legs], size: int
) -> tuple[list[Hit], dict[int, NDArray[np.float16]]]:
    """The best passages, and their vectors by chunk id."""
    best = sorted(scores, key=lambda i: (-scores[i], i))[:size]
    passages = catalog.passages_and_vectors(best)
    hits = [
        replace(
            passages[i][0],
            score=scores[i],
            lexical=max((leg.lexical[i] for leg in legs if i in leg.lexical), default=None),
            dense=max((leg.dense[i] for leg in legs if i in leg.dense), default=None),
        )
        for i in best
        if i in passages
    ]
    return hits, {i: vector for i, (_, vector) in passages.items()}


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
    known = catalog.versions(scope.acl_ids)
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
