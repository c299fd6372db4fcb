"""Floors that a run must not fall below, as `--fail-below "hit@1=0.80,token_f1=0.3"` names them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.errors import EvaluationError
from rag.evaluation.evaluate import MEASURES, MODES
from rag.evaluation.means import ANSWER_MEASURES, ANSWERS, LOWER_IS_BETTER, SCOPES

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Gate:
    """`scope` is a mode of search, `answers` or `quotations`."""

    scope: str
    measure: str
    floor: float

    def __str__(self) -> str:
        return f"{self.scope}.{self.measure}"


def parse_gates(text: str) -> list[Gate]:
    """`measure=floor` pairs parted by commas; `dense.hit@1` names another mode than `default`.

    Raises EvaluationError that names every mistake.
    """
    gates: list[Gate] = []
    problems: list[str] = []
    for item in filter(None, map(str.strip, text.split(","))):
        name, equals, floor = (part.strip() for part in item.partition("="))
        scope, dot, measure = name.rpartition(".")
        if not dot:
            scope = ANSWERS if measure in ANSWER_MEASURES else "default"
        if problem := _problem(scope, measure, floor if equals else ""):
            problems.append(f"'{item}': {problem}")
        else:
            gates.append(Gate(scope, measure, float(floor)))
    if not gates and not problems:
        problems.append("names no measure: write for instance hit@1=0.80,mrr@10=0.85")
    if problems:
        raise EvaluationError("\n".join(f"--fail-below {problem}" for problem in problems))
    return gates


def _problem(scope: str, measure: str, floor: str) -> str:
    """What is wrong with a gate; empty if nothing is."""
    if scope not in SCOPES:
        return f"there is no '{scope}': known are {', '.join(SCOPES)}"
    known = list(MEASURES if scope in MODES else ANSWER_MEASURES)
    if measure not in known:
        close = difflib.get_close_matches(measure, known, n=1)
        meant = f"; did you mean '{close[0]}'?" if close else f": known are {', '.join(known)}"
        return f"there is no measure '{measure}' of {scope}{meant}"
    if measure in LOWER_IS_BETTER:
        return "less of it is better, so it cannot have a floor"
    try:
        value = float(floor)
    except ValueError:
        return "needs a number, such as hit@1=0.80"
    return "" if 0 <= value <= 1 else "a floor lies between 0 and 1"


def check_measured(gates: Sequence[Gate], scopes: Sequence[str]) -> None:
    """Raise EvaluationError, before anything is measured, for a gate on what will not be."""
    for gate in gates:
        if gate.scope in scopes:
            continue
        if gate.scope in MODES:
            raise EvaluationError(f"--fail-below {gate}: add {gate.scope} to --modes")
        more = "" if gate.scope == ANSWERS else ", with a generator other than extractive"
        raise EvaluationError(f"--fail-below {gate}: is measured with --answers{more}")


def missed(gates: Sequence[Gate], means: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A line for each gate that is not met; what could not be measured is not met."""
    lines = []
    for gate in gates:
        value = means.get(gate.scope, {}).get(gate.measure)
        if value is None:
            lines.append(f"{gate} could not be measured on these questions")
        elif value < gate.floor - _ROUNDING:
            lines.append(f"{gate} is {value:.4f}, below {gate.floor:g}")
    return lines
