"""How near a text is to labelled examples."""

from __future__ import annotations

import numpy as np

from guardrails.schema import Vectors


def nearest_mean(similarity: Vectors, neighbours: int) -> Vectors:
    """Mean of the largest values of each row."""
    count = min(neighbours, similarity.shape[1])
    top = np.partition(similarity, -count, axis=1)[:, -count:]
    mean: Vectors = top.mean(axis=1)
    return mean
