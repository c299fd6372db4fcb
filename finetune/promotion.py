"""Whether an adapter may be served, judged by its evaluation against what it would replace."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from finetune.manifest import Manifest

MAIN_MEASURES = {
    "sft": ("token_f1", "exact_match", "rouge_l", "loss"),
    "pretrain": ("loss",),
    "dpo": ("implied_accuracy", "pair_accuracy", "loss"),
    "kto": ("implied_accuracy", "pair_accuracy", "loss"),
    "reward": ("pair_accuracy", "loss"),
    "rloo": ("reward",),
    "grpo": ("reward",),
}
"""The measure that decides, by objective: the first that was taken. Exact match is not the first of
sft, since it is 0 for every free answer, good or bad."""
SMALLER_IS_BETTER = frozenset({"loss"})
_ROUNDING = 1e-9
"""0.91 - 0.90 is a little more than 0.01."""


@dataclass(frozen=True, slots=True)
class MainMeasure:
    """The figure that an adapter is judged by, and the base's on the same rows."""

    name: str
    value: float
    base: float | None

    @property
    def base_shown(self) -> str:
        return "unknown" if self.base is None else f"{self.base:.3f}"

    def behind(self, other: float) -> float:
        """How much worse this is than `other`; negative where it is better."""
        lag = other - self.value
        return -lag if self.name in SMALLER_IS_BETTER else lag

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Why an adapter must not be served, and, where nothing stands against it, why it may."""

    objections: tuple[str, ...]
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def main_measure(manifest: Manifest) -> MainMeasure | None:
    """None: the run was not evaluated, or its evaluation holds no usable figure."""
    metrics = manifest.metrics or {}
    for name in MAIN_MEASURES.get(manifest.objective, ()):
        value = _number(metrics.get(name))
        if value is not None:
            return MainMeasure(name, value, _number(_section(metrics, "base").get(name)))
    return None


def judge(
    candidate: Manifest, replaced: Manifest | None, margin: float, *, without_safety: bool = False
) -> Judgement:
    """Compare with `replaced`, or with the base where nothing is replaced.

    Two adapters measured on other rows are compared by what each gained over the base: weaker, but
    all that there is.
    """
    measure = main_measure(candidate)
    if measure is None:
        return Judgement(
            (
                "it has not been evaluated: run `python -m finetune evaluate`, then "
                "`registry remove` and `registry add` it",
            ),
            "",
        )
    objections, reason = _measure_objections(candidate, measure, replaced, margin)
    objections += _safety_objections(candidate, replaced, margin, without_safety)
    return Judgement(tuple(objections), reason)


def _measure_objections(
    candidate: Manifest, measure: MainMeasure, replaced: Manifest | None, margin: float
) -> tuple[list[str], str]:
    theirs = main_measure(replaced) if replaced else None
    name, value = measure.name, measure.value
    if replaced is None:
        if measure.base is None:
            return [], f"{name} {value:.3f}; the base was not measured"
        lag, against = measure.behind(measure.base), f"{measure.base:.3f} of the base"
    elif theirs is None or theirs.name != name:
        other = "was not evaluated" if theirs is None else f"is measured by {theirs.name}"
        return [f"{replaced.name} {other}, so that {name} cannot be compared: use --beside"], ""
    elif candidate.validation() and candidate.validation() == replaced.validation():
        lag, against = measure.behind(theirs.value), f"{theirs.value:.3f} of {replaced.name}"
    elif measure.base is None or theirs.base is None:
        return [f"it was measured on other rows than {replaced.name}: use --beside"], ""
    else:
        lag = theirs.behind(theirs.base) * -1 + measure.behind(measure.base)
        against = (
            f"{theirs.value:.3f} of {replaced.name} on other rows, from {theirs.base:.3f} and "
            f"{measure.base:.3f} of the base"
        )
    shown = f"{name} {value:.3f} against {against}"
    if lag > margin + _ROUNDING:
        return [f"{shown}: worse by {lag:.3f}, and the margin is {margin:g}"], shown
    return [], shown


def _safety_objections(
    candidate: Manifest, replaced: Manifest | None, margin: float, without_safety: bool
) -> list[str]:
    """Rows that must and must not be refused: no worse than base and predecessor."""
    if candidate.objective == "reward":
        return []  # gives scores, no answers
    ours = _section(candidate.metrics or {}, "safety")
    accuracy = _number(ours.get("accuracy"))
    if accuracy is None:
        if without_safety:
            return []
        return [
            "it was not measured on refusal and safety rows: set evaluate.safety=FILE and evaluate "
            "again, or promote it with --without-safety"
        ]
    references = {"the base": _number(_section(ours, "base").get("accuracy"))}
    if replaced is not None:
        theirs = _section(replaced.metrics or {}, "safety")
        if theirs.get("rows") == ours.get("rows"):
            references[replaced.name] = _number(theirs.get("accuracy"))
    return [
        f"it fails refusal and safety rows: {accuracy:.3f} handled rightly, {value:.3f} by {name}"
        for name, value in references.items()
        if value is not None and value - accuracy > margin + _ROUNDING
    ]


def _section(metrics: dict[str, Any], key: str) -> dict[str, Any]:
    found = metrics.get(key)
    return found if isinstance(found, dict) else {}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
