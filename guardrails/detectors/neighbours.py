"""Nearest labelled examples: is a text nearer to known attacks or to honest questions?

Catches rewordings of its seeds. Does not catch fluent attacks that read like ordinary tasks, nor
languages that the embedder was not trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from guardrails.schema import Embed, Vectors


@dataclass(frozen=True, slots=True)
class Seeds:
    """Embedded examples of both kinds, one row each."""

    attack: Vectors
    benign: Vectors


def embed_seeds(attack: Sequence[str], benign: Sequence[str], embed: Embed) -> Seeds:
    """Embed the examples once, at start."""
    return Seeds(attack=embed(attack), benign=embed(benign))


def margins(vectors: Vectors, seeds: Seeds, neighbours: int) -> Vectors:
    """Per row: mean cosine to the nearest attacks minus mean cosine to the nearest honest ones."""
    return nearest_mean(vectors @ seeds.attack.T, neighbours) - nearest_mean(
        vectors @ seeds.benign.T, neighbours
    )


def nearest_mean(similarity: Vectors, neighbours: int) -> Vectors:
    """Mean of the largest values of each row."""
    count = min(neighbours, similarity.shape[1])
    top = np.partition(similarity, -count, axis=1)[:, -count:]
    mean: Vectors = top.mean(axis=1)
    return mean
