"""Question -> passages by their words: BM25 over the catalog's own full-text index (SQLite FTS5).

FTS5 uses k1 = 1.2 and b = 0.75 and stems with Porter's algorithm, so it is meant for English; other
languages are matched by their unstemmed words.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

import snowballstemmer
import sqlalchemy as sa

from rag.catalog import Catalog
from rag.words import content_words

_MOST_WORDS = 64
_PART = re.compile(r"[^\W_]+")  # where FTS5 parts a word: `gpu_memory`, `don't`
_PORTER = snowballstemmer.stemmer("porter")  # as FTS5 stems; `words.stem` uses its successor

_QUERY = sa.text(
    "SELECT chunk_words.rowid AS id, -bm25(chunk_words, :heading_weight, 1.0) AS score "
    "FROM chunk_words JOIN chunks ON chunks.id = chunk_words.rowid "
    "WHERE chunk_words MATCH :words AND chunks.acl_id IN :acl_ids "
    "ORDER BY score DESC, id LIMIT :k"
).bindparams(sa.bindparam("acl_ids", expanding=True))

_QUERY_AMONG = sa.text(
    "SELECT chunk_words.rowid AS id, -bm25(chunk_words, :heading_weight, 1.0) AS score "
    "FROM chunk_words WHERE chunk_words MATCH :words AND chunk_words.rowid IN :ids"
).bindparams(sa.bindparam("ids", expanding=True))


def search_words(
    catalog: Catalog, question: str, k: int, acl_ids: frozenset[int], heading_weight: float
) -> dict[int, float]:
    """Chunk id -> BM25 of the best `k` passages that share a word with the question."""
    if not acl_ids:
        return {}
    return _run(
        catalog, _QUERY, question, heading_weight=heading_weight, acl_ids=sorted(acl_ids), k=k
    )


def score_words(
    catalog: Catalog, question: str, ids: Sequence[int], heading_weight: float
) -> dict[int, float]:
    """BM25 of given passages; those that share no word with the question are left out."""
    if not ids:
        return {}
    return _run(catalog, _QUERY_AMONG, question, heading_weight=heading_weight, ids=list(ids))


def rarity(catalog: Catalog, words: Sequence[str]) -> dict[str, float]:
    """BM25's inverse document frequency of each word over all passages; highest where absent."""
    query = sa.text("SELECT doc FROM chunk_terms WHERE term = :term")
    with catalog.reading() as connection:
        total = connection.execute(sa.text("SELECT count(*) FROM chunks")).scalar_one()
        weights = {}
        for word in words:
            parts = _PART.findall(_folded(word)) or [word]
            seen = min(
                int(connection.execute(query, {"term": _PORTER.stemWord(part)}).scalar() or 0)
                for part in parts
            )
            weights[word] = math.log(1 + (total - seen + 0.5) / (seen + 0.5))
    return weights


def _folded(word: str) -> str:
    """Without diacritics, as FTS5 indexes it."""
    decomposed = unicodedata.normalize("NFKD", word)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _run(
    catalog: Catalog, query: sa.TextClause, question: str, **parameters: object
) -> dict[int, float]:
    words = content_words(question)[:_MOST_WORDS]
    if not words:
        return {}
    # Quoted, so that nothing a user types is read as an FTS5 operator.
    parameters["words"] = " OR ".join(f'"{word}"' for word in words)
    with catalog.reading() as connection:
        rows = connection.execute(query, parameters)
        return {int(row.id): float(row.score) for row in rows}
