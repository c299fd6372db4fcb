"""Two kept runs over the same questions -> what changed, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.errors import EvaluationError
from rag.evaluation.means import (
    ANSWERS,
    LOWER_IS_BETTER,
    Column,
    columns,
    difference_intervals,
    ratio,
)
from rag.evaluation.run import QuestionResult, Run

_SAME = 1e-9
_HEADLINES = (("default", "ndcg@10"), (ANSWERS, "token_f1"))
_OF_SETS = frozenset({"abstention_precision", "abstention_f1"})
"""Measures that no question has by itself."""
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Difference:
    """`change` is b - a, with its 95% interval. `better`, `worse` and `equal` count questions."""

    scope: str
    measure: str
    a: float
    b: float
    low: float
    high: float
    better: int
    worse: int
    equal: int

    @property
    def change(self) -> float:
        return self.b - self.a

    @property
    def moved(self) -> bool:
        """Whether any question changed."""
        return bool(self.better or self.worse) or self.a != self.b

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    @property
    def loss(self) -> float:
        """How much was lost, whichever way this measure points; below 0 for a gain."""
        return self.change if self.measure in LOWER_IS_BETTER else -self.change


@dataclass(frozen=True, slots=True)
class Change:
    """What one question gained or lost in one measure."""

    id: str
    question: str
    scope: str
    measure: str
    a: float
    b: float


@dataclass(frozen=True, slots=True)
class Comparison:
    questions: int
    left_out: int
    differences: list[Difference]
    changes: list[Change]

    def as_json(self) -> dict[str, object]:
        """Scope -> measure -> means, change and interval, beside the counts of questions."""
        scopes: dict[str, dict[str, dict[str, float]]] = {}
        for d in self.differences:
            scopes.setdefault(d.scope, {})[d.measure] = {
                **{
                    name: round(getattr(d, name), 4) for name in ("a", "b", "change", "low", "high")
                },
                **{name: getattr(d, name) for name in ("better", "worse", "equal")},
            }
        return {**scopes, "questions": self.questions, "left_out": self.left_out}


def compare(a: Run, b: Run, intersection: bool = False, most: int = 10) -> Comparison:
    """Differences of every measure that both runs have, and the `most` changed questions of each
    headline measure.

    Raises EvaluationError where the questions or their labels differ, unless `intersection` asks
    for those they share.
    """
    shared = _shared(a, b)
    total = len({result.id for run in (a, b) for result in run.questions})
    if not shared:
        raise EvaluationError("the two runs have no question in common: nothing to compare")
    if len(shared) < total and not intersection:
        raise EvaluationError(_differing(a, b, shared))
    ours, theirs = columns([pair[0] for pair in shared]), columns([pair[1] for pair in shared])
    keys = [
        (scope, name) for scope in ours for name in ours[scope] if name in theirs.get(scope, {})
    ]
    if not keys:
        raise EvaluationError("the two runs have measured nothing alike: nothing to compare")
    before = [ours[scope][name] for scope, name in keys]
    after = [theirs[scope][name] for scope, name in keys]
    intervals = difference_intervals(before, after)
    found = [
        _difference(key, one, other, interval)
        for key, one, other, interval in zip(keys, before, after, intervals, strict=True)
    ]
    changes = [
        change
        for key, one, other in zip(keys, before, after, strict=True)
        if key in _HEADLINES
        for change in _changed(key, one, other, [result for result, _ in shared], most)
    ]
    return Comparison(len(shared), total - len(shared), found, changes)


def lost(comparison: Comparison, most: float) -> list[str]:
    """A line for each measure that has dropped by more than `most`, and not by chance.

    Looked at are the configured search and the answers; where neither is there, all there are. Of
    twenty measures one will leave its interval by chance alone, so let `most` be a drop that
    matters.
    """
    own = [d for d in comparison.differences if d.scope in ("default", ANSWERS)]
    return [
        f"{d.scope}.{d.measure} went from {d.a:.4f} to {d.b:.4f}, more than {most:g} "
        f"(95% of resamples: {d.low:+.4f} to {d.high:+.4f})"
        for d in own or comparison.differences
        if d.loss > most and d.clear
    ]


def _shared(a: Run, b: Run) -> list[tuple[QuestionResult, QuestionResult]]:
    """Pairs of results of the same question with the same labels, in the order of `a`."""
    others = {result.id: result for result in b.questions}
    pairs = [(one, others[one.id]) for one in a.questions if one.id in others]
    return [(one, other) for one, other in pairs if _label(one) == _label(other)]


def _label(result: QuestionResult) -> tuple[object, ...]:
    return result.question, result.history, result.gold, result.references


def _differing(a: Run, b: Run, shared: Sequence[tuple[QuestionResult, QuestionResult]]) -> str:
    ours, theirs = ({result.id for result in run.questions} for run in (a, b))
    relabelled = (ours & theirs) - {one.id for one, _ in shared}
    parts = [
        f"{len(ids)} {what} ({', '.join(sorted(ids)[:_NAMED])}{', ...' * (len(ids) > _NAMED)})"
        for ids, what in (
            (ours - theirs, "only in the first"),
            (theirs - ours, "only in the second"),
            (relabelled, "with another text or other labels"),
        )
        if ids
    ]
    return (
        f"the runs are over different questions: {'; '.join(parts)}. Add --intersection to compare "
        f"the {len(shared)} that they share"
    )


def _difference(
    key: tuple[str, str], a: Column, b: Column, interval: tuple[float, float]
) -> Difference:
    name = key[1]
    both = _valued(name, a, b)
    gains = (b[0] - a[0])[both]
    if name in LOWER_IS_BETTER:
        gains = -gains
    better, worse = int((gains > _SAME).sum()), int((gains < -_SAME).sum())
    equal = int(both.sum()) - better - worse
    return Difference(*key, ratio(a), ratio(b), *interval, better, worse, equal)


def _valued(name: str, a: Column, b: Column) -> NDArray[np.bool_]:
    """Which questions have a value of their own on both sides, shape (questions,)."""
    if name in _OF_SETS:
        return np.zeros(a.shape[1], dtype=np.bool_)
    valued: NDArray[np.bool_] = (a[1] == 1) & (b[1] == 1)
    return valued


def _changed(
    key: tuple[str, str], a: Column, b: Column, questions: Sequence[QuestionResult], most: int
) -> list[Change]:
    """The questions whose value changed most, largest change first."""
    both = _valued(key[1], a, b)
    sizes = np.where(both, np.abs(b[0] - a[0]), 0.0)
    order = [int(i) for i in np.argsort(-sizes, kind="stable") if sizes[i] > _SAME]
    return [
        Change(questions[i].id, questions[i].question, *key, float(a[0][i]), float(b[0][i]))
        for i in order[:most]
    ]
