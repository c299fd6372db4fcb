"""What the commonest words of a question add to the scores of a few passages, from their text.

In a large catalog the postings of such a word are too many to be read for one question; counting
it in the few hundred passages that the rarer words have brought in comes to the same scores.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

import snowballstemmer
import sqlalchemy as sa

from rag.postings import gain, sum_of_varints

_PART = re.compile(r"[^\W_]+")  # where FTS5 parts a word: `gpu_memory`, `don't`
_PORTER = snowballstemmer.stemmer("porter")  # as FTS5 stems; `words.stem` uses its successor
_TEXTS = (
    "SELECT chunks.id, heading, text, sizes.sz FROM chunks "
    "JOIN chunk_words_docsize AS sizes ON sizes.id = chunks.id "
    "WHERE chunks.id IN (SELECT value FROM json_each(?))"
)


def scores_of(
    connection: sa.Connection,
    ids: Sequence[int],
    rarities: Mapping[str, float],
    heading_weight: float,
    average: float,
) -> dict[int, float]:
    """Chunk id -> BM25 of these words alone, of those that hold one of them.

    `average` is the mean length of a passage in words.
    """
    wanted = {word: tuple(fts_terms(word)) for word in rarities}
    found: dict[int, float] = {}
    rows = connection.exec_driver_sql(_TEXTS, (json.dumps(list(ids)),))
    for chunk_id, heading, text, sizes in rows:
        above, below, length = fts_terms(heading), fts_terms(text), sum_of_varints(sizes)
        for word, terms in wanted.items():
            frequency = heading_weight * _times(terms, above) + _times(terms, below)
            if frequency:
                added = rarities[word] * gain(frequency, length, average)
                found[chunk_id] = found.get(chunk_id, 0.0) + added
    return found


def fts_terms(text: str) -> list[str]:
    """The terms that FTS5 makes of a text, in order."""
    return [_stem(part) for part in _PART.findall(_folded(text).lower())]


def _times(terms: tuple[str, ...], text: list[str]) -> int:
    """How often a word is there: one term, or several in a row."""
    if len(terms) == 1:
        return text.count(terms[0])
    ends = range(len(terms), len(text) + 1)
    return sum(tuple(text[end - len(terms) : end]) == terms for end in ends) if terms else 0


@lru_cache(maxsize=200_000)
def _stem(part: str) -> str:
    return str(_PORTER.stemWord(part))


def _folded(text: str) -> str:
    """Without diacritics, as FTS5 indexes it."""
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character))
