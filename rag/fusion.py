"""Scores of several searches -> one score a passage.

Within one query: a convex combination of the normalised scores of full text and vectors (Bruch et
al., "An Analysis of Fusion Functions for Hybrid Retrieval", ACM TOIS 2023). Across the wordings of
one question: the mean, so that a passage that both wordings find goes before one that a poor
rewrite alone brings in.
"""

from __future__ import annotations

from collections.abc import Sequence


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


def combine(fused: Sequence[dict[int, float]], weights: Sequence[float]) -> dict[int, float]:
    """Weighted mean over the wordings of one question; a wording that misses a passage gives 0."""
    if len(fused) == 1:
        return fused[0]
    total = sum(weights)
    mean: dict[int, float] = {}
    for scores, weight in zip(fused, weights, strict=True):
        for i, score in scores.items():
            mean[i] = mean.get(i, 0.0) + weight / total * score
    return mean
