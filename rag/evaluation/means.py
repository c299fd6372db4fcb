"""Per-question results -> means, percentiles of times, and intervals of differences.

Every measure is a ratio of two sums over the questions: a mean is the sum of values over the
number of questions that have one; the precision of refusals is the right ones over all of them. So
one bootstrap over questions serves all measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.evaluation.evaluate import MEASURES, MODES
from rag.evaluation.run import KeptAnswer, QuestionResult

Column = NDArray[np.float64]
"""Shape (2, questions): what each question adds to the numerator and to the denominator."""

ANSWERS, QUOTATIONS = "answers", "quotations"
"""Scopes beside the modes of search: the configured generator, and quotations alone."""
SCOPES = (*MODES, ANSWERS, QUOTATIONS)
ANSWER_MEASURES = (
    "token_f1",
    "rouge_l",
    "citation_precision",
    "citation_recall",
    "cited_sentences",
    "unsupported",
    "answered",
    "abstention_precision",
    "abstention_recall",
    "abstention_f1",
)
LOWER_IS_BETTER = frozenset({"unsupported"})
STAGES = (
    "embed_question",
    "search",
    "rerank",
    "relevance",
    "first_sentence",
    "whole_answer",
    "refusal",
    "quotations",
)
RESAMPLES = 10_000
_SEED = 20_240_229
_CELLS = 2_000_000


def columns(questions: Sequence[QuestionResult]) -> dict[str, dict[str, Column]]:
    """Scope -> measure -> column; scopes and measures that no question has are left out."""
    found: dict[str, dict[str, Column]] = {}
    for scope in SCOPES if questions else ():
        names = MEASURES if scope in MODES else ANSWER_MEASURES
        rows = [_parts(question, scope) for question in questions]
        made = {name: np.array([row.get(name, (0.0, 0.0)) for row in rows]).T for name in names}
        known = {name: column for name, column in made.items() if column[1].any()}
        if "abstention_recall" not in known:  # no question should have been refused
            known = {n: column for n, column in known.items() if not n.startswith("abstention")}
        if known:
            found[scope] = known
    return found


def means(made: Mapping[str, Mapping[str, Column]]) -> dict[str, dict[str, float]]:
    """Scope -> measure -> ratio of the sums, to four places."""
    return {
        scope: {name: round(ratio(column), 4) for name, column in measures.items()}
        for scope, measures in made.items()
    }


def ratio(column: Column) -> float:
    numerator, denominator = column.sum(axis=1)
    return float(numerator / denominator)


def _parts(question: QuestionResult, scope: str) -> dict[str, tuple[float, float]]:
    """Measure -> (numerator, denominator) of one question."""
    if ranking := question.rankings.get(scope):
        return {name: (value, 1.0) for name, value in ranking.measures.items()}
    if answer := question.answers.get(scope):
        values = {name: (value, 1.0) for name, value in answer.measures.items()}
        return values | _decision(answer, question.answerable)
    return {}


def _decision(answer: KeptAnswer, answerable: bool) -> dict[str, tuple[float, float]]:
    """Whether it was right to answer: over a set, precision and recall of the refusals."""
    refused, should = float(answer.abstained), float(not answerable)
    both = refused * should
    parts = {
        "abstention_precision": (both, refused),
        "abstention_recall": (both, should),
        "abstention_f1": (2 * both, refused + should),
    }
    return parts | ({"answered": (1.0 - refused, 1.0)} if answerable else {})


def latencies(questions: Sequence[QuestionResult]) -> dict[str, dict[str, float]]:
    """Stage -> p50 and p95 in milliseconds, and over how many questions."""
    found = {}
    for stage in STAGES:
        times = [question.times[stage] for question in questions if stage in question.times]
        if times:
            p50, p95 = np.percentile(times, (50, 95)).round(2).tolist()
            found[stage] = {"p50": p50, "p95": p95, "questions": len(times)}
    return found


def difference_intervals(a: Sequence[Column], b: Sequence[Column]) -> list[tuple[float, float]]:
    """95% intervals of `ratio(b) - ratio(a)`, measure by measure; both over the same questions.

    A paired percentile bootstrap: the questions are drawn anew 10,000 times, the same ones for both
    sides and for every measure. With few questions (under about 20) it is too narrow.
    """
    first, second = np.stack(a), np.stack(b)  # (measures, 2, questions)
    count = first.shape[2]
    random = np.random.default_rng(_SEED)
    step = max(1, _CELLS // count)
    samples = []
    for start in range(0, RESAMPLES, step):
        drawn = _draws(random, min(step, RESAMPLES - start), count)
        samples.append(_ratios(second, drawn) - _ratios(first, drawn))
    low, high = np.nanpercentile(np.concatenate(samples), (2.5, 97.5), axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _draws(random: np.random.Generator, resamples: int, count: int) -> NDArray[np.float64]:
    """How often each question is drawn, shape (resamples, questions)."""
    picked = random.integers(0, count, (resamples, count))
    picked += np.arange(resamples)[:, None] * count
    counts = np.bincount(picked.ravel(), minlength=resamples * count)
    return counts.reshape(resamples, count).astype(np.float64)


def _ratios(columns: NDArray[np.float64], drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shape (resamples, measures); nan where a draw holds no question that counts."""
    numerators = drawn @ columns[:, 0].T
    denominators = drawn @ columns[:, 1].T
    known = denominators > 0
    return np.where(known, numerators / np.where(known, denominators, 1.0), np.nan)
