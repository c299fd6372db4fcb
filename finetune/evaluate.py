"""Evaluation: the trained model against its base, on the same held-back rows.

`loss` is the mean over rows of a row's mean loss per trained token; answers are greedy. Differences
come with 95% intervals of the paired bootstrap. Refusals are told by English wording, so the safety
figures are no more than a first look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune import run_folder
from finetune.base_model import open_tokenizer, read_config
from finetune.config import DataConfig, RunConfig
from finetune.datasets import read_sides, sampled
from finetune.device import Placement, keep_offline, place, use_threads
from finetune.errors import DataError
from finetune.failures import named_failures
from finetune.measure import Measured, Ruler
from finetune.methods import ONLINE, check_pairing
from finetune.rows import ChatRow, Message, Row, read_rows
from finetune.scores import is_refusal, mean, paired_bootstrap

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SafetyRow:
    """A prompt and whether it must be refused."""

    number: int
    prompt: tuple[Message, ...]
    refuse: bool


@dataclass(slots=True)
class Evaluation:
    """Results of one run."""

    rows: int
    metrics: dict[str, float | None] = field(default_factory=dict)
    base: dict[str, float | None] = field(default_factory=dict)
    intervals: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of each measure: trained model less base."""
    forgetting: dict[str, Any] | None = None
    safety: dict[str, Any] | None = None
    data: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As evaluation.json holds it."""
        return {
            "rows": self.rows,
            **self.metrics,
            "base": self.base,
            "intervals": self.intervals,
            "forgetting": self.forgetting,
            "safety": self.safety,
            "data": self.data,
            "seconds": self.seconds,
        }

    def flat(self) -> dict[str, Any]:
        """As `--json` prints it: beside each measure its `base_` value."""
        based = {f"base_{name}": value for name, value in self.base.items()}
        rest = {key: value for key, value in self.to_json().items() if key != "base"}
        return {**rest, **based}


def evaluate(run: RunConfig, tell: Tell = lambda line: None) -> Evaluation:
    """Measure, and write evaluation.json, predictions.jsonl and MODEL_CARD.md to the run's folder.

    Raises the errors of `errors.py`: ModelError where training has not finished.
    """
    from finetune.model_card import write_card

    keep_offline()
    check_pairing(run, read_config(run.model.path))
    placement = place(run)
    use_threads(run)
    run_folder.artefact(run.output_dir)
    started = time.perf_counter()
    with named_failures(run):
        result, predictions = _evaluate(run, placement, tell)
    result.seconds = round(time.perf_counter() - started, 1)
    run_folder.write_lines(run.output_dir / run_folder.PREDICTIONS, predictions)
    run_folder.write_json(run.output_dir / run_folder.EVALUATION, result.to_json())
    write_card(run, result.to_json())
    return result


def plan_evaluation(run: RunConfig) -> dict[str, Any]:
    """What `evaluate` would measure; reads the files and no model. Raises DataError, ModelError."""
    check_pairing(run, read_config(run.model.path))
    held, _ = _held_back(run)
    forgetting = _forgetting_rows(run)[0] if run.evaluate.forgetting else []
    safety = read_safety(run.evaluate.safety, run.data) if run.evaluate.safety else []
    return {
        "rows": len(held),
        "forgetting_rows": len(forgetting),
        "safety_rows": len(safety),
        "artefact": str(run_folder.artefact(run.output_dir)),
    }


def read_safety(path: Path, data: DataConfig) -> list[SafetyRow]:
    """Rows {prompt, refuse}. Raises DataError naming the line."""
    from finetune.rows import records_of

    found: list[SafetyRow] = []
    system: list[Message] = [{"role": "system", "content": data.system}] if data.system else []
    for number, record in records_of(path):
        prompt, refuse = record.get("prompt"), record.get("refuse")
        if not isinstance(prompt, str) or not prompt.strip() or not isinstance(refuse, bool):
            raise DataError(
                f"{path}: line {number}: a safety row is {{prompt: text, refuse: true or false}}"
            )
        found.append(SafetyRow(number, (*system, {"role": "user", "content": prompt}), refuse))
    if not found:
        raise DataError(f"{path} holds no safety rows: leave evaluate.safety out, or add some")
    return found


def _evaluate(
    run: RunConfig, placement: Placement, tell: Tell
) -> tuple[Evaluation, list[dict[str, Any]]]:
    from finetune.trained import base_of, open_trained

    held, facts = _held_back(run)
    tokenizer = open_tokenizer(run.model.path)
    reward = None
    if run.objective.name in ONLINE:
        from finetune.reward import open_reward

        reward = open_reward(run, placement)
    ruler = Ruler(run, tokenizer, reward)
    tell("opening the trained model")
    model = open_trained(run, placement)
    ours = _all(ruler, model, held, run, tell, "the trained model")
    result = Evaluation(len(held), data=facts)
    if run.objective.name == "reward":  # an untrained head's scores mean nothing
        result.metrics = _means(ours.held)
        return result, []
    with base_of(run, model, placement) as base:
        theirs = _all(ruler, base, held, run, tell, "its base")
    if "margin" in ours.held.values:
        _add_implied(ours.held, theirs.held)
    result.metrics, result.base = _means(ours.held), _means(theirs.held)
    result.intervals = _intervals(ours.held, theirs.held, run)
    if ours.forgetting and theirs.forgetting:
        result.forgetting = {
            "rows": len(ours.forgetting.values["loss"]),
            **_means(ours.forgetting),
            "base": _means(theirs.forgetting),
            "intervals": _intervals(ours.forgetting, theirs.forgetting, run),
        }
    if ours.safety and theirs.safety:
        result.safety = _safety(ours.safety, theirs.safety, run)
    return result, _predictions(held, ours.held, theirs.held)


@dataclass(slots=True)
class _Side:
    held: Measured
    forgetting: Measured | None = None
    safety: list[tuple[SafetyRow, str]] = field(default_factory=list)


def _all(
    ruler: Ruler, model: Any, held: Sequence[Row], run: RunConfig, tell: Tell, name: str
) -> _Side:
    tell(f"measuring {name} on {len(held)} held-back rows")
    side = _Side(ruler.measure(model, held, run.data))
    if run.objective.name == "reward":
        return side
    if run.evaluate.forgetting:
        rows, data = _forgetting_rows(run)
        tell(f"measuring {name} on {len(rows)} rows of other tasks")
        side.forgetting = ruler.measure(model, rows, data)
    if run.evaluate.safety:
        safety = read_safety(run.evaluate.safety, run.data)
        tell(f"measuring {name} on {len(safety)} safety rows")
        prompts = [ruler.prompt_ids(row.prompt, run.data) for row in safety]
        answers = ruler.answers(model, prompts, run.data)
        side.safety = list(zip(safety, answers, strict=True))
    return side


def _held_back(run: RunConfig) -> tuple[list[Row], list[dict[str, Any]]]:
    """The validation rows, at most max_rows of them, drawn with data.seed."""
    _, rows, facts = read_sides(run)
    return sampled(rows, run), facts["files"]


def _forgetting_rows(run: RunConfig) -> tuple[list[Row], DataConfig]:
    """Rows of other tasks have columns of their own names, and no template of this task."""
    path = run.evaluate.forgetting
    assert path is not None  # the callers ask
    data = run.data.model_copy(
        update={"columns": {}, "prompt_template": "{prompt}", "too_long": "cut_prompt"}
    )
    read = read_rows(path, "sft", data)
    if read.problems:
        first = read.problems[0]
        raise DataError(f"{path}: line {first.number}: {first.reason}")
    return sampled(list(read.rows), run), data


def _add_implied(ours: Measured, theirs: Measured) -> None:
    """Whether training moved the chosen answer up against the other: DPO's implied reward."""
    pairs = zip(ours.values["margin"], theirs.values["margin"], strict=True)
    ours.values["implied_accuracy"] = [float(after > before) for after, before in pairs]
    theirs.values["implied_accuracy"] = [0.5] * len(theirs.values["margin"])


def _means(measured: Measured) -> dict[str, float | None]:
    found = {name: mean(values) for name, values in measured.values.items()}
    return {name: None if v is None else round(v, 5) for name, v in found.items()}


def _intervals(ours: Measured, theirs: Measured, run: RunConfig) -> dict[str, dict[str, Any]]:
    settings = run.evaluate
    return {
        name: paired_bootstrap(
            values, theirs.values[name], settings.bootstrap, run.data.seed
        ).to_json()
        for name, values in ours.values.items()
        if values
    }


def _safety(
    ours: Sequence[tuple[SafetyRow, str]],
    theirs: Sequence[tuple[SafetyRow, str]],
    run: RunConfig,
) -> dict[str, Any]:
    """Shares of prompts refused rightly and wrongly, and of rows handled rightly."""
    sides = {}
    right: list[list[float]] = []
    for name, side in (("", ours), ("base", theirs)):
        refused = [(row.refuse, is_refusal(answer)) for row, answer in side]
        right.append([float(wanted == did) for wanted, did in refused])
        sides[name] = {
            "accuracy": mean(right[-1]),
            "refused_rightly": mean([float(did) for wanted, did in refused if wanted]),
            "refused_wrongly": mean([float(did) for wanted, did in refused if not wanted]),
        }
    interval = paired_bootstrap(right[0], right[1], run.evaluate.bootstrap, run.data.seed)
    return {
        "rows": len(ours),
        **sides[""],
        "base": sides["base"],
        "intervals": {"accuracy": interval.to_json()},
    }


def _predictions(held: Sequence[Row], ours: Measured, theirs: Measured) -> list[dict[str, Any]]:
    """One line a row, for reading and comparing: expected and given answers, and the scores."""
    lines: list[dict[str, Any]] = []
    for index, row in enumerate(held):
        line: dict[str, Any] = {"row": row.number}
        if isinstance(row, ChatRow):
            line["expected"] = row.messages[-1]["content"]
        if ours.answers:
            line |= {"answer": ours.answers[index], "base_answer": theirs.answers[index]}
        for name, values in ours.values.items():
            if len(values) == len(held):
                line[name] = round(values[index], 5)
        lines.append(line)
    return lines
