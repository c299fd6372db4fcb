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
from rag.scope import Scope
from rag.tables import chunks
from rag.words import content_words

_MOST_WORDS = 64
_PART = re.compile(r"[^\W_]+")  # where FTS5 parts a word: `gpu_memory`, `don't`
_PORTER = snowballstemmer.stemmer("porter")  # as FTS5 stems; `words.stem` uses its successor

_INDEX = sa.table("chunk_words", sa.column("rowid", sa.Integer))
_MATCHES = sa.text("chunk_words MATCH :words")


def search_words(
    catalog: Catalog, question: str, k: int, scope: Scope, heading_weight: float
) -> dict[int, float]:
    """Chunk id -> BM25 of the best `k` passages that share a word with the question."""
    return _best(catalog, _any_of(content_words(question)), k, scope, heading_weight)


def search_phrases(
    catalog: Catalog, phrases: Sequence[str], k: int, scope: Scope, heading_weight: float
) -> dict[int, float]:
    """The same for passages that hold one of these, such as `vgpu.hotmigrate.enabled`, whole."""
    return _best(catalog, _any_of(phrases), k, scope, heading_weight)


def score_words(
    catalog: Catalog, question: str, ids: Sequence[int], heading_weight: float
) -> dict[int, float]:
    """BM25 of given passages; those that share no word with the question are left out."""
    words = _any_of(content_words(question))
    if not ids or not words:
        return {}
    query = _scored(heading_weight).where(_INDEX.c.rowid.in_(list(ids)))
    return _run(catalog, query, words)


def _best(
    catalog: Catalog, words: str, k: int, scope: Scope, heading_weight: float
) -> dict[int, float]:
    if not scope.acl_ids or not words:
        return {}
    query = _scored(heading_weight).join(chunks, chunks.c.id == _INDEX.c.rowid)
    query = scope.restrict(query).order_by(sa.desc("score"), _INDEX.c.rowid).limit(k)
    return _run(catalog, query, words)


def _scored(heading_weight: float) -> sa.Select[tuple[int, float]]:
    score = -sa.func.bm25(sa.literal_column("chunk_words"), heading_weight, 1.0, type_=sa.Float)
    query = sa.select(_INDEX.c.rowid.label("id"), score.label("score"))
    return query.select_from(_INDEX).where(_MATCHES)


def _any_of(words: Sequence[str]) -> str:
    """Quoted, so that nothing a user types is read as an FTS5 operator."""
    quoted = [word.replace('"', '""') for word in words[:_MOST_WORDS]]
    return " OR ".join(f'"{word}"' for word in quoted)


def _run(catalog: Catalog, query: sa.Select[tuple[int, float]], words: str) -> dict[int, float]:
    with catalog.reading() as connection:
        rows = connection.execute(query, {"words": words})
        return {int(row.id): float(row.score) for row in rows}


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
