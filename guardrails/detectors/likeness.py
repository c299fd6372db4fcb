"""Attack or honest? Kernel ridge regression over labelled examples (Saunders et al., ICML 1998).

Like nearest neighbours every example speaks for its own neighbourhood, but its voice is fitted, so
that what is better told by the many does not hang on the few that happen to be nearest. Two texts
are alike where they mean the same (a Gaussian kernel over embeddings) and where they share words
and pairs of words (the cosine of their TF-IDF vectors): the embedding of a sentence hardly tells
whom it is about, "ignore your rules" from "ignore my rules". Catches rewordings of its examples.
Does not catch fluent attacks that read like ordinary tasks, nor languages that the embedder was
not trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy.linalg import solve
from sklearn.feature_extraction.text import TfidfVectorizer

from guardrails.detectors.evidence import Recent, digest
from guardrails.schema import Embed, Vectors

WIDTH = 1.0
"""Of the Gaussian kernel over unit vectors: exp(-WIDTH * squared distance)."""
WORDS = 0.5
"""How much shared words count beside it. Results change little from 0.3 to 2."""
RIDGE = 0.3
"""How much the fit may disagree with a single example. Results change little from 0.1 to 1."""
TOKEN = r"(?u)\b\w+\b|[?!:<>\[\]{}\"]"
ROWS = 500
"""Rows of the kernel matrix that are made at a time."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Texts in canonical spelling and their embeddings, a row each."""

    texts: tuple[str, ...]
    vectors: Vectors


def embedded(texts: Sequence[str], embed: Embed) -> Examples:
    """Texts in canonical spelling with their embeddings."""
    return Examples(tuple(texts), embed(texts))


def joined(parts: Sequence[Examples]) -> Examples:
    """All of them, in order."""
    texts = tuple(chain.from_iterable(part.texts for part in parts))
    return Examples(texts, np.vstack([part.vectors for part in parts]))


@dataclass(frozen=True, slots=True)
class Likeness:
    """Fitted examples. Scores lie about between -1, honest, and 1, attack."""

    vectors: Vectors
    weights: Vectors
    words: TfidfVectorizer
    word_weights: Vectors

    def __call__(self, texts: Sequence[str], vectors: Vectors) -> Vectors:
        """One score for each text, whose embedding is a row of `vectors`."""
        meant = _near(vectors, self.vectors) @ self.weights
        scores: Vectors = meant + self.words.transform(texts) @ self.word_weights
        return scores


def fit(attack: Examples, honest: Examples) -> Likeness:
    """Solve for the weights; both sides count the same, however many examples each has.

    Takes about two seconds for 5,000 examples, and 250 MB meanwhile; the same examples again
    nothing.
    """
    vectors = hashlib.blake2b(attack.vectors.tobytes() + honest.vectors.tobytes()).hexdigest()
    key = digest(str(len(attack.texts)), *attack.texts, *honest.texts, vectors)
    found = _FITTED.get(key)
    if found is None:
        found = _solved(joined([attack, honest]), len(attack.texts))
        _FITTED.put(key, found)
    return found


def _solved(examples: Examples, attacks: int) -> Likeness:
    """The first `attacks` of the examples are attacks."""
    count = len(examples.texts)
    labels = np.where(np.arange(count) < attacks, 1, -1).astype(np.float32)
    sizes = np.where(labels > 0, attacks, count - attacks)
    words = TfidfVectorizer(
        token_pattern=TOKEN, ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32
    )
    counted = words.fit_transform(examples.texts)
    system = np.empty((count, count), dtype=np.float32)
    for start in range(0, count, ROWS):
        rows = slice(start, start + ROWS)
        shared = (counted[rows] @ counted.T).toarray()
        system[rows] = _near(examples.vectors[rows], examples.vectors) + WORDS * shared
    system[np.diag_indices_from(system)] += RIDGE * 2 * sizes / count
    weights = solve(system, labels, assume_a="pos", overwrite_a=True)
    return Likeness(examples.vectors, weights, words, WORDS * (counted.T @ weights))


_FITTED: Recent[bytes, Likeness] = Recent(8)
"""Rails are opened again to try a change, or by another command's part of the same process."""


def _near(left: Vectors, right: Vectors) -> Vectors:
    distances = np.maximum(2 - 2 * (left @ right.T), 0)
    found: Vectors = np.exp(-WIDTH * distances)
    return found
