"""In which passages a word stands, and how much it weighs there: read from FTS5 once, then kept.

FTS5's own bm25() reads the length of every passage that holds any word of the question, and counts
each word's passages anew for every query. Kept in memory for the words that have been asked for,
the same scores are a few array operations. Passages never change and their ids are never used
twice, so that after a write only what came and went since has to be read.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from rag.catalog_state import read_token

_K1, _B = 1.2, 0.75  # FTS5's, which cannot be set
_LEAST_RARITY = 1e-6  # FTS5's, for a word that half of the passages hold
_MOST_KEPT = 6_000_000
"""Postings kept in memory, 28 bytes each; the words asked for longest ago give way."""
_KEPT_A_PASSAGE = 16
"""The same for large catalogs, where few questions would fill the former."""
_MOST_READ = 200_000
"""Postings that one question reads; its commonest words are then counted in the passages that the
rarer ones have brought in. Most catalogs are too small for that ever to happen."""
_ENOUGH = 2_000
"""Postings of rarer words, before a common one is held back."""
_MOST_GONE = 1_000_000
_MOST_COUNTS = 100_000
_GROWTH = 0.05

_GENERATION = "SELECT value FROM facts WHERE name = 'generation'"
_ROWS = (
    "SELECT chunk_words.rowid, bm25(chunk_words, ?, 1.0), sizes.sz FROM chunk_words "
    "JOIN chunk_words_docsize AS sizes ON sizes.id = chunk_words.rowid "
    "WHERE chunk_words MATCH ? AND chunk_words.rowid > ? ORDER BY chunk_words.rowid"
)
_COUNT = "SELECT count(*) FROM chunk_words WHERE chunk_words MATCH ?"
_TOTALS = "SELECT block FROM chunk_words_data WHERE id = 1"
_GONE = "SELECT chunk_id FROM removed_chunks WHERE generation > ? ORDER BY chunk_id"


@dataclass(frozen=True, slots=True)
class Word:
    """A word's passages in one generation. All arrays are (n,), `ids` rises."""

    generation: int
    last: int
    """The highest chunk id that ever held it."""
    ids: NDArray[np.int64]
    frequency: NDArray[np.float64]
    length: NDArray[np.int32]
    """Of the passage with its heading, in words."""
    gains: NDArray[np.float64]
    """BM25 but for the word's rarity."""
    rarity: float


@dataclass(frozen=True, slots=True)
class Found:
    """The words of a question in one snapshot of the catalog."""

    words: list[Word]
    common: dict[str, float]
    """Words too common for their passages to be read, and how rare they are all the same."""
    average: float
    """Mean length of a passage in words."""


@dataclass(frozen=True, slots=True)
class _State:
    """The catalog in one generation; `average` is the mean length of a passage in words."""

    generation: int
    token: str | None
    total: int
    average: float


@dataclass(slots=True)
class _Kept:
    """What has been read, as long as the catalog's history goes on; thrown away where it breaks."""

    state: _State
    words: OrderedDict[tuple[str, float], Word] = field(default_factory=OrderedDict)
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Word -> passages, and of how many."""
    gone: list[tuple[int, NDArray[np.int64]]] = field(default_factory=list)
    """Generations, and the chunk ids removed since the one before."""


class Postings:
    """The words of one catalog. May be used from several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: _Kept | None = None

    def look_up(
        self, connection: sa.Connection, words: Sequence[str], heading_weight: float
    ) -> Found:
        """What `connection` sees of these words; at least the rarest one's passages."""
        with self._lock:
            kept = self._kept = _see(connection, self._kept)
        chosen, common = _part(connection, words, kept)
        found = [_read(connection, word, heading_weight, kept) for word in chosen]
        with self._lock:
            grown = False
            for word, entry in zip(chosen, found, strict=True):
                grown |= kept.words.get((word, heading_weight)) is not entry
                kept.words[word, heading_weight] = entry
                kept.words.move_to_end((word, heading_weight))
            if grown:
                _make_room(kept, len(chosen))
        return Found(found, common, kept.state.average)


def _make_room(kept: _Kept, least: int) -> None:
    most = max(_MOST_KEPT, _KEPT_A_PASSAGE * kept.state.total)
    size = sum(len(word.ids) for word in kept.words.values())
    while size > most and len(kept.words) > least:
        size -= len(kept.words.popitem(last=False)[1].ids)


def _see(connection: sa.Connection, kept: _Kept | None) -> _Kept:
    """`kept` brought up to this connection's snapshot.

    Begun anew where the snapshot does not follow on it: the catalog was restored from a backup, or
    another thread has already seen a later one.
    """
    generation = int(connection.exec_driver_sql(_GENERATION).scalar() or 0)
    if kept is not None and kept.state.generation == generation:
        return kept
    state = _State(generation, read_token(connection, generation), *_totals(connection))
    if kept is None or read_token(connection, kept.state.generation) != kept.state.token:
        return _Kept(state)
    rows = connection.exec_driver_sql(_GONE, (kept.state.generation,)).scalars().all()
    gone = [*kept.gone, (generation, np.asarray(rows, dtype=np.int64))] if rows else kept.gone
    if sum(len(ids) for _, ids in gone) > _MOST_GONE:
        return _Kept(state)
    # Not changed in place: other threads go on with the generation that they see.
    return _Kept(state, kept.words.copy(), kept.counts, gone)


def _part(
    connection: sa.Connection, words: Sequence[str], kept: _Kept
) -> tuple[list[str], dict[str, float]]:
    """The words whose passages are read, and the rarities of the others."""
    total = kept.state.total
    if len(words) * total <= _MOST_READ:
        return list(words), {}
    counts = {word: _count(connection, word, kept) for word in words}
    chosen: list[str] = []
    looked_at = 0
    for word in sorted(counts, key=lambda word: (counts[word], word)):
        if looked_at > _ENOUGH and looked_at + counts[word] > _MOST_READ:
            break
        chosen.append(word)
        looked_at += counts[word]
    common = {word: _rarity(counts[word], total) for word in words if word not in chosen}
    return [word for word in words if word in chosen], common


def _count(connection: sa.Connection, word: str, kept: _Kept) -> int:
    """In how many passages it stands; an earlier count does while the catalog is about as large."""
    total = kept.state.total
    known = kept.counts.get(word)
    if known is None or abs(total - known[1]) > _GROWTH * known[1]:
        counted = connection.exec_driver_sql(_COUNT, (quoted(word),)).scalar_one()
        if len(kept.counts) >= _MOST_COUNTS:
            kept.counts.clear()
        known = kept.counts[word] = (int(counted), total)
    return known[0]


def _read(connection: sa.Connection, word: str, heading_weight: float, kept: _Kept) -> Word:
    """The word in the snapshot: what is known of it, less what has gone, and what is new."""
    state, known = kept.state, kept.words.get((word, heading_weight), _NOTHING)
    if known.generation == state.generation:
        return known
    parameters = (heading_weight, quoted(word), known.last)
    rows = connection.exec_driver_sql(_ROWS, parameters).all()
    there = _still_there(known, kept.gone)
    added = np.asarray([row[0] for row in rows], dtype=np.int64)
    ids = np.concatenate([known.ids[there], added])
    rarity = _rarity(len(ids), state.total)
    lengths = np.asarray([sum_of_varints(row[2]) for row in rows], dtype=np.int32)
    scores = np.asarray([-row[1] for row in rows], dtype=np.float64) / rarity
    # score = f (k1 + 1) / (f + norm), solved for the weighted frequency f
    new = scores * _norm(lengths, state.average) / (_K1 + 1 - scores)
    length = np.concatenate([known.length[there], lengths])
    frequency = np.concatenate([known.frequency[there], new])
    gains = gain(frequency, length, state.average)
    last = int(added[-1]) if len(added) else known.last
    return Word(state.generation, last, ids, frequency, length, gains, rarity)


def _still_there(word: Word, gone: Sequence[tuple[int, NDArray[np.int64]]]) -> NDArray[np.bool_]:
    there = np.ones(len(word.ids), dtype=np.bool_)
    for generation, ids in gone:
        if generation > word.generation and len(ids) and len(there):
            at = np.minimum(np.searchsorted(word.ids, ids), len(there) - 1)
            there[at[word.ids[at] == ids]] = False
    return there


def _rarity(passages: int, total: int) -> float:
    """BM25's inverse document frequency as FTS5 has it."""
    return max(math.log((total - passages + 0.5) / (passages + 0.5)), 0.0) or _LEAST_RARITY


def gain(frequency: Any, length: Any, average: float) -> Any:
    """BM25 but for the word's rarity; of numbers, or of arrays of one shape."""
    return frequency * (_K1 + 1) / (frequency + _norm(length, average))


def _norm(length: Any, average: float) -> Any:
    return _K1 * (1 - _B + _B * length / average)


def _totals(connection: sa.Connection) -> tuple[int, float]:
    """Passages, and the mean length of one in words, from FTS5's own record of both."""
    block = connection.exec_driver_sql(_TOTALS).scalar()
    total, *words = _varints(block or b"") or [0]
    return total, sum(words) / total if total and words else 1.0


def sum_of_varints(data: bytes) -> int:
    return data[0] + data[1] if len(data) == 2 else sum(_varints(data))


def _varints(data: bytes) -> list[int]:
    """SQLite's variable-length integers of up to 56 bits, which these always are."""
    found, value = [], 0
    for byte in data:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            found.append(value)
            value = 0
    return found


def quoted(word: str) -> str:
    """For MATCH; nothing that a user types is then read as an FTS5 operator."""
    escaped = word.replace('"', '""')
    return f'"{escaped}"'


_NOTHING = Word(
    generation=-1,
    last=0,
    ids=np.zeros(0, np.int64),
    frequency=np.zeros(0),
    length=np.zeros(0, np.int32),
    gains=np.zeros(0),
    rarity=0.0,
)
