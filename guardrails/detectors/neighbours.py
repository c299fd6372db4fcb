"""How near a text is to labelled examples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from guardrails.schema import Vectors


def nearest_mean(similarity: Vectors, neighbours: int) -> Vectors:
    """Mean of the largest values of each row."""
    count = min(neighbours, similarity.shape[1])
    top = np.partition(similarity, -count, axis=1)[:, -count:]
    mean: Vectors = top.mean(axis=1)
    return mean


def nearest_category(vector: Vectors, categories: Mapping[str, Vectors]) -> str:
    """The category whose two nearest examples are nearest to the one row of `vector`."""
    near = {name: nearest_mean(vector @ rows.T, 2)[0] for name, rows in categories.items()}
    return max(near, key=lambda name: near[name])
