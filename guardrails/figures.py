"""Figures of judged rows: rates, AUROC, latencies. Pure arithmetic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrails.schema import GROUNDED, Verdict

Points = list[tuple[float, float, float]]
"""(threshold, false-positive rate, true-positive rate), the strictest threshold first."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One labelled row and what the rails said about it."""

    label: int
    """1: must be blocked."""
    category: str
    verdict: Verdict
    took_ms: float


def suspicion(verdict: Verdict) -> float:
    """How strongly the rails are against a text, in [0, 1]; above 0.5 it was blocked.

    A verdict's score is on its rail's own scale, support for `check grounded`, suspicion for the
    others; a rail that failed or was cut off is as sure as one can be. Rails are not calibrated
    against each other: with several rails in one direction this ranks roughly.
    """
    if not verdict.allowed and verdict.category in {"error", "timeout"}:
        return 1.0
    grounded = verdict.rail == GROUNDED and verdict.category != "too_long"
    score = 1 - verdict.score if grounded else verdict.score
    return (score if verdict.allowed else 1 + score) / 2


def figures(rows: Sequence[Judged]) -> dict[str, Any]:
    """Everything about these rows but the categories. What cannot be computed is None."""
    blocked = np.array([not row.verdict.allowed for row in rows], dtype=bool)
    bad = np.array([row.label == 1 for row in rows], dtype=bool)
    caught, wrongly = int((blocked & bad).sum()), int((blocked & ~bad).sum())
    missed = int((~blocked & bad).sum())
    scores = np.array([suspicion(row.verdict) for row in rows])
    took = np.array([row.took_ms for row in rows])
    return {
        "n": len(rows),
        "positives": int(bad.sum()),
        "tpr": _ratio(caught, int(bad.sum())),
        "fpr": _ratio(wrongly, int((~bad).sum())),
        "precision": _ratio(caught, caught + wrongly),
        "f1": _ratio(2 * caught, 2 * caught + wrongly + missed),
        "auroc": auroc(scores, bad),
        "latency_ms": {f"p{q}": round(float(np.percentile(took, q)), 2) for q in (50, 95)},
        "by_rail": dict(
            Counter(row.verdict.rail for row in rows if not row.verdict.allowed).most_common()
        ),
        "errors": sum(row.verdict.category == "error" for row in rows),
    }


def auroc(scores: NDArray[np.float64], bad: NDArray[np.bool_]) -> float | None:
    """Chance that a row that must be blocked scores above one that must not; ties count half."""
    positives, negatives = int(bad.sum()), int((~bad).sum())
    if not positives or not negatives:
        return None
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    above = ranks[bad].sum() - positives * (positives + 1) / 2
    return round(float(above / (positives * negatives)), 4)


def curve(rows: Sequence[Judged]) -> Points:
    """The ROC: both rates at every threshold on suspicion that tells rows apart."""
    scores = np.array([suspicion(row.verdict) for row in rows])
    bad = np.array([row.label == 1 for row in rows], dtype=bool)
    thresholds = [float("inf"), *sorted(set(scores.tolist()), reverse=True)]
    return [
        (
            threshold,
            float((scores[~bad] >= threshold).mean()),
            float((scores[bad] >= threshold).mean()),
        )
        for threshold in thresholds
    ]


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
