"""Labelled questions -> the threshold below which vSage says that it does not know.

Questions that the documents cannot answer may be given; beside them, each answerable question is
asked once more with its own documents left out of the hits: what remains is the nearest thing to a
question whose answer is missing, and any labelled set has them. (Another document may happen to
answer it too, so the share of these refused is a lower bound.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.answerable import relevance
from rag.collapse import spread
from rag.evaluation.labels import LabelledQuestion
from rag.knowledge import Knowledge
from rag.retrieve import Contrast, search
from rag.rewrite import standalone_by_words
from rag.schema import Hit

_DEPTH = 60


@dataclass(frozen=True, slots=True)
class Estimates:
    """Relevance of each question, (n,) each, 0 to 1."""

    answerable: NDArray[np.float64]
    unanswerable: NDArray[np.float64]
    left_out: NDArray[np.float64]
    """Of the answerable questions without their own documents."""


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """What one threshold does. Shares between 0 and 1; nan where there was nothing to ask."""

    threshold: float
    answered: float
    """Of the answerable."""
    refused: float
    """Of the unanswerable."""
    refused_left_out: float


def estimate(
    knowledge: Knowledge,
    questions: Sequence[LabelledQuestion],
    names: dict[int, str],
    groups: frozenset[str],
    on_question: Callable[[], None] = lambda: None,
) -> Estimates:
    """Ask every question; `names` maps document ids to what the labels call them."""
    answerable: list[float] = []
    unanswerable: list[float] = []
    left_out: list[float] = []
    for question in questions:
        asked = standalone_by_words(question.text, question.history)
        found = search(knowledge, asked.query, groups, _DEPTH, wordings=asked.wordings)
        held = _relevance(knowledge, asked.query, found.hits, found.contrast)
        if question.answerable:
            others = [h for h in found.hits if names[h.document_id] not in question.relevant]
            answerable.append(held)
            left_out.append(_relevance(knowledge, asked.query, others, found.contrast))
        else:
            unanswerable.append(held)
        on_question()
    return Estimates(np.array(answerable), np.array(unanswerable), np.array(left_out))


def _relevance(
    knowledge: Knowledge, query: str, hits: Sequence[Hit], contrast: Contrast | None
) -> float:
    """As the server judges: by the passages that it would have taken of these."""
    config = knowledge.config
    taken = spread(hits, config.retriever.per_document, config.retriever.top_k)
    return relevance(knowledge, query, taken[: config.prompt.max_passages], contrast)


def tradeoff(estimates: Estimates, threshold: float) -> Tradeoff:
    return Tradeoff(
        threshold,
        _share(estimates.answerable >= threshold),
        _share(estimates.unanswerable < threshold),
        _share(estimates.left_out < threshold),
    )


def recommend(estimates: Estimates, keep: float) -> Tradeoff:
    """The threshold with the best mean of answered and refused that answers at least `keep`.

    Refused are those of the unanswerable questions; where none were given, of the left-out ones.
    It lies half-way between two estimates, as far from both as can be; of equals it is the lowest.
    """
    refusable = estimates.unanswerable if len(estimates.unanswerable) else estimates.left_out
    seen = np.unique(np.concatenate([estimates.answerable, refusable]))
    tried = [0.0, *np.round((seen[1:] + seen[:-1]) / 2, 3)]
    allowed = [t for t in tried if _share(estimates.answerable >= t) >= keep]
    best = max(
        allowed, key=lambda t: (_share(estimates.answerable >= t) + _share(refusable < t), -t)
    )
    return tradeoff(estimates, float(best))


def _share(holds: NDArray[np.bool_]) -> float:
    return float(np.mean(holds)) if len(holds) else float("nan")
