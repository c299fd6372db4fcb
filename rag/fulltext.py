"""Question -> passages by their words: BM25 over the catalog's own full-text index (SQLite FTS5).

The scores are FTS5's to the last digits, but come from `rag/postings.py`, in which it is quicker.

FTS5 uses k1 = 1.2 and b = 0.75 and stems with Porter's algorithm, so it is meant for English; other
languages are matched by their unstemmed words.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import islice

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from rag.catalog import Catalog
from rag.postings import Found, Word
from rag.rescore import fts_terms, scores_of
from rag.scope import Scope
from rag.words import content_words

_MOST_WORDS = 64

_SPARE = 32
"""Passages beyond those wanted whose access is looked up at first; more where too few remain."""
_RESCORED = 500
"""Passages by the rarer words of the question in which the commoner ones are counted."""

_ALLOWED = "SELECT id, acl_id, document_id FROM chunks WHERE id IN (SELECT value FROM json_each(?))"


def search_words(
    catalog: Catalog, question: str, k: int, scope: Scope, heading_weight: float
) -> dict[int, float]:
    """Chunk id -> BM25 of the best `k` passages that share a word with the question."""
    return _best(catalog, content_words(question), k, scope, heading_weight)


def search_phrases(
    catalog: Catalog, phrases: Sequence[str], k: int, scope: Scope, heading_weight: float
) -> dict[int, float]:
    """The same for passages that hold one of these, such as `vgpu.hotmigrate.enabled`, whole."""
    return _best(catalog, phrases, k, scope, heading_weight)


def score_words(
    catalog: Catalog, question: str, ids: Sequence[int], heading_weight: float
) -> dict[int, float]:
    """BM25 of given passages; those that share no word with the question are left out."""
    if not ids:
        return {}
    with catalog.reading() as connection:
        words = content_words(question)[:_MOST_WORDS]
        found = catalog.postings.look_up(connection, words, heading_weight)
        common = _common(connection, ids, found, heading_weight)
    wanted = np.unique(np.asarray(ids, dtype=np.int64))
    scores = np.zeros(len(wanted))
    holding = np.zeros(len(wanted), dtype=np.bool_)
    for word in found.words:
        if len(word.ids):
            at = np.minimum(np.searchsorted(word.ids, wanted), len(word.ids) - 1)
            there = word.ids[at] == wanted
            scores[there] += word.rarity * word.gains[at[there]]
            holding |= there
    by_rarer = dict(zip(wanted[holding].tolist(), scores[holding].tolist(), strict=True))
    return {i: by_rarer.get(i, 0.0) + common.get(i, 0.0) for i in by_rarer.keys() | common}


def _best(
    catalog: Catalog, words: Sequence[str], k: int, scope: Scope, heading_weight: float
) -> dict[int, float]:
    if not scope.acl_ids or not words:
        return {}
    with catalog.reading() as connection:
        found = catalog.postings.look_up(connection, words[:_MOST_WORDS], heading_weight)
        ids, scores = _added_up(found.words)
        best: dict[int, float] = {}
        wanted = max(k, _RESCORED) if found.common else k
        done, look = 0, wanted + _SPARE
        while len(best) < wanted and done < len(ids):
            top = _top(ids, scores, done + look)[done:]
            allowed = _allowed(connection, ids[top].tolist(), scope)
            best |= {int(ids[i]): float(scores[i]) for i in top if int(ids[i]) in allowed}
            done += look
            # As many more as may be needed, going by the share that this caller may read.
            share = max(len(best) / done, 0.02)
            look = int((wanted - len(best)) / share) + _SPARE
        common = _common(connection, list(best), found, heading_weight)
    if common:
        best = {i: score + common.get(i, 0.0) for i, score in best.items()}
        best = dict(sorted(best.items(), key=lambda item: (-item[1], item[0])))
    return dict(islice(best.items(), k))


def _common(
    connection: sa.Connection, ids: Sequence[int], found: Found, heading_weight: float
) -> dict[int, float]:
    """What the words add whose postings were not read."""
    if not found.common or not ids:
        return {}
    return scores_of(connection, ids, found.common, heading_weight, found.average)


def _added_up(words: Sequence[Word]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Ids of all passages that hold one of the words, rising, and their scores; both (n,)."""
    if not sum(len(word.ids) for word in words):
        return np.zeros(0, np.int64), np.zeros(0)
    ids = np.concatenate([word.ids for word in words])
    gains = np.concatenate([word.rarity * word.gains for word in words])
    order = np.argsort(ids, kind="stable")  # merges the words' rising runs
    ids = ids[order]
    starts = np.flatnonzero(np.diff(ids, prepend=-1))
    return ids[starts], np.add.reduceat(gains[order], starts, dtype=np.float64)


def _top(ids: NDArray[np.int64], scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Places of the `count` best, best first, of equal scores the lower id first."""
    places = np.arange(len(ids))
    if count < len(ids):
        least = np.partition(scores, len(ids) - count)[len(ids) - count]
        places = np.flatnonzero(scores >= least)
    return places[np.lexsort((ids[places], -scores[places]))][:count]


def _allowed(connection: sa.Connection, ids: Sequence[int], scope: Scope) -> set[int]:
    """Those of the passages that are of this scope, and still there."""
    rows = connection.exec_driver_sql(_ALLOWED, (json.dumps(ids),)).all()
    readable = [(row[0], row[2]) for row in rows if row[1] in scope.acl_ids]
    if scope.document_ids is None:
        return {i for i, _ in readable}
    passing = np.isin([document for _, document in readable], scope.document_ids)
    return {i for (i, _), passes in zip(readable, passing.tolist(), strict=True) if passes}


def rarity(catalog: Catalog, words: Sequence[str]) -> dict[str, float]:
    """BM25's inverse document frequency of each word over all passages; highest where absent."""
    query = sa.text("SELECT doc FROM chunk_terms WHERE term = :term")
    with catalog.reading() as connection:
        total = connection.execute(sa.text("SELECT count(*) FROM chunks")).scalar_one()
        weights = {}
        for word in words:
            seen = min(
                int(connection.execute(query, {"term": term}).scalar() or 0)
                for term in fts_terms(word) or [word]
            )
            weights[word] = math.log(1 + (total - seen + 0.5) / (seen + 0.5))
    return weights
