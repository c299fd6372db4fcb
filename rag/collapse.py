"""Of passages that say the same, one; of one document, not all of the list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from rag.schema import Hit
from rag.versions import matches, newness
from rag.words import words

_SAME_COSINE = 0.95
_SAME_WORDS = 0.8
_APART = timedelta(days=1)


def collapse(
    hits: Sequence[Hit],
    vectors_of: Callable[[Sequence[int]], dict[int, NDArray[np.float16]]],
    asked: Sequence[str],
) -> list[Hit]:
    """One hit for near-identical passages of different documents, in the place of the best.

    It is the one of a version that was asked for, else the newest by version, else the newest by
    date if they are at least a day apart, else the best. Near-identical: cosine of 0.95 and more,
    and four of five distinct words shared.
    """
    near = _near(hits, vectors_of)
    kept: dict[int, list[Hit]] = {}  # by the place of the first of its kind
    for at, hit in enumerate(hits):
        first = next((i for i in near[at] if i in kept and _belongs(hit, kept[i])), at)
        kept.setdefault(first, []).append(hit)
    return [_representative(group, asked) for group in kept.values()]


def spread(hits: Sequence[Hit], per_document: int, k: int) -> list[Hit]:
    """The first `k`, at most `per_document` of one document unless there are too few others."""
    taken: list[Hit] = []
    spare: list[Hit] = []
    counts: dict[int, int] = {}
    for hit in hits:
        counts[hit.document_id] = counts.get(hit.document_id, 0) + 1
        (taken if counts[hit.document_id] <= per_document else spare).append(hit)
    chosen = {hit.chunk_id for hit in [*taken, *spare][:k]}
    return [hit for hit in hits if hit.chunk_id in chosen]


def _near(
    hits: Sequence[Hit], vectors_of: Callable[[Sequence[int]], dict[int, NDArray[np.float16]]]
) -> list[list[int]]:
    """For each hit, the earlier ones whose vectors are nearly its own."""
    vectors = vectors_of([hit.chunk_id for hit in hits])
    length = max((len(vector) for vector in vectors.values()), default=0)
    nothing = np.zeros(length, dtype=np.float16)  # a passage that has just been deleted
    rows = [vectors.get(hit.chunk_id, nothing) for hit in hits]
    if not rows or any(len(row) != length for row in rows):
        return [[] for _ in hits]
    matrix = np.stack(rows).astype(np.float32)
    similar = np.tril(matrix @ matrix.T >= _SAME_COSINE, k=-1)
    return [np.flatnonzero(row).tolist() for row in similar]


def _belongs(hit: Hit, group: Sequence[Hit]) -> bool:
    """Whether it says what the first of these says, and none of them is of its own document."""
    if any(hit.document_id == other.document_id for other in group):
        return False
    left, right = set(words(group[0].text)), set(words(hit.text))
    return len(left & right) >= _SAME_WORDS * len(left | right)


def _representative(group: Sequence[Hit], asked: Sequence[str]) -> Hit:
    best = group[0]
    for hit in group[1:]:
        if _goes_before(hit, best, asked):
            best = hit
    return best if best is group[0] else replace(best, score=group[0].score)


def _goes_before(hit: Hit, best: Hit, asked: Sequence[str]) -> bool:
    wanted, has = matches(asked, hit.version), matches(asked, best.version)
    if wanted != has:
        return wanted
    if newness(hit.version) != newness(best.version):
        return newness(hit.version) > newness(best.version)
    if hit.modified is None or best.modified is None:
        return False
    return hit.modified - best.modified >= _APART
