"""Scores of answers against expected ones, and how sure a difference is. No model is known here."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WORD = re.compile(r"\w+")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_REFUSALS = re.compile(
    r"\b(i('m| am) (sorry|unable|not able|afraid)|i (can ?not|can't|won't|will not|must decline)|"
    r"(can ?not|can't|unable to|not able to) "
    r"(help|assist|provide|answer|share|do that|comply|find)|"
    r"i (don't|do not) (know|have (that|this|the|any|enough) information)|"
    r"(not|isn't|is not) (in|part of|covered by) the (passages|documents|context)|"
    r"no (passage|document|information) (answers|about|on))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean difference and its 95% interval."""

    difference: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    def to_json(self) -> dict[str, Any]:
        return {
            "difference": round(self.difference, 5),
            "low": round(self.low, 5),
            "high": round(self.high, 5),
            "excludes_zero": self.excludes_zero,
        }


def normalise(text: str) -> str:
    """As SQuAD's scorer does: lower case, without punctuation, articles and extra white space."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, expected: str) -> float:
    """1 if both are equal once normalised (or, where nothing is left of them, as they stand)."""
    ours, theirs = normalise(answer), normalise(expected)
    return float(ours == theirs if ours or theirs else answer.strip() == expected.strip())


def token_f1(answer: str, expected: str) -> float:
    """Harmonic mean of precision and recall over words, as in SQuAD."""
    ours, theirs = normalise(answer).split(), normalise(expected).split()
    if not ours or not theirs:
        return float(ours == theirs)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(ours), shared / len(theirs)
    return 2 * precision * recall / (precision + recall)


def rouge_l(answer: str, expected: str) -> float:
    """F-measure of the longest common subsequence of words (Lin 2004), unstemmed."""
    return float(_rouge().score(expected, answer)["rougeL"].fmeasure)


def is_refusal(answer: str) -> bool:
    """Whether the answer's beginning declines: told by English phrases, and no more than that."""
    return bool(_REFUSALS.search(answer[:300].replace("’", "'")))


def paired_bootstrap(
    ours: Sequence[float], theirs: Sequence[float], resamples: int, seed: int
) -> Interval:
    """The mean of `ours` - `theirs`, pair by pair, with the percentile bootstrap's 95% interval.

    Both in the same order of rows, and not empty.
    """
    import numpy as np
    from scipy.stats import bootstrap

    differences = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    mean = float(differences.mean())
    if len(differences) < 2 or np.ptp(differences) == 0:
        return Interval(mean, mean, mean)
    found = bootstrap(
        (differences,),
        np.mean,
        n_resamples=resamples,
        confidence_level=0.95,
        method="percentile",
        batch=max(1, 4_000_000 // len(differences)),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))


def mean(values: Sequence[float]) -> float | None:
    """None of nothing."""
    return sum(values) / len(values) if values else None


@lru_cache(maxsize=1)
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    class Words:
        """The package's own tokeniser drops all letters but a to z."""

        def tokenize(self, text: str) -> list[str]:
            return _WORD.findall(text.lower())

    return RougeScorer(["rougeL"], tokenizer=Words())
