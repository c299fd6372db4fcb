"""Several runs side by side: what differs in their settings, and in their results.

Where two runs were evaluated on the same rows, the difference to the first comes with a 95%
interval of the paired bootstrap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune import run_folder
from finetune.config import RunConfig
from finetune.errors import ConfigError
from finetune.scores import paired_bootstrap

_MEASURES = (
    *("exact_match", "token_f1", "rouge_l", "loss"),
    *("pair_accuracy", "implied_accuracy", "reward"),
)
_COSTS = ("trainable_parameters", "steps", "seconds", "tokens_per_second", "peak_bytes")


@dataclass(frozen=True, slots=True)
class Compared:
    """One run."""

    folder: str
    settings: dict[str, Any]
    """Only what is not the same in all of them."""
    metrics: dict[str, float]
    costs: dict[str, float]
    against_first: dict[str, dict[str, Any]]
    """By measure: this run less the first, with interval; of equal rows alone."""

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.folder,
            "settings": self.settings,
            **self.metrics,
            **self.costs,
            "against_first": self.against_first,
        }


def compare(folders: Sequence[Path]) -> list[Compared]:
    """Read finished, evaluated runs. Raises ConfigError naming one that is not."""
    if len(folders) < 2:
        raise ConfigError("compare takes two or more run folders")
    runs = [run_folder.read_run(folder) for folder in folders]
    results = [_evaluation(folder) for folder in folders]
    rows = [run_folder.read_lines(folder / run_folder.PREDICTIONS) for folder in folders]
    settings = _different([_flat(run.model_dump(mode="json")) for run in runs])
    found: list[Compared] = []
    for index, folder in enumerate(folders):
        same = index > 0 and _same_rows(results[0], results[index], rows[0], rows[index])
        trained = run_folder.read_json(folder / run_folder.RESULT)
        found.append(
            Compared(
                folder=str(folder),
                settings=settings[index],
                metrics={
                    name: results[index][name]
                    for name in _MEASURES
                    if results[index].get(name) is not None
                },
                costs={name: trained[name] for name in _COSTS},
                against_first=_against(rows[0], rows[index], runs[0]) if same else {},
            )
        )
    return found


def table(found: Sequence[Compared]) -> Any:
    """A rich table: one column a run."""
    from rich.table import Table

    shown = Table("", *(Path(one.folder).name for one in found))
    for key in found[0].settings:
        shown.add_row(key, *(str(one.settings[key]) for one in found))
    shown.add_section()
    for name in _MEASURES:
        if any(name in one.metrics for one in found):
            shown.add_row(name, *(_cell(one, name) for one in found))
    shown.add_section()
    for name in _COSTS:
        shown.add_row(name, *(f"{one.costs[name]:,.6g}" for one in found))
    return shown


def _cell(one: Compared, name: str) -> str:
    if name not in one.metrics:
        return "-"
    text = f"{one.metrics[name]:.4f}"
    if between := one.against_first.get(name):
        text += f" ({between['low']:+.4f} to {between['high']:+.4f})"
    return text


def _evaluation(folder: Path) -> dict[str, Any]:
    path = folder / run_folder.EVALUATION
    if not path.is_file():
        raise ConfigError(f"{folder} has not been evaluated: run `evaluate` for it first")
    return run_folder.read_json(path)


def _same_rows(
    first: dict[str, Any],
    other: dict[str, Any],
    first_rows: Sequence[dict[str, Any]],
    other_rows: Sequence[dict[str, Any]],
) -> bool:
    """Rows of the same file (the last of the data) with the same numbers, in the same order."""
    files = [result["data"][-1]["sha256"] for result in (first, other)]
    numbers = [[line["row"] for line in rows] for rows in (first_rows, other_rows)]
    return files[0] == files[1] and numbers[0] == numbers[1] and bool(numbers[0])


def _against(
    first: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]], run: RunConfig
) -> dict[str, dict[str, Any]]:
    return {
        name: paired_bootstrap(
            [line[name] for line in other],
            [line[name] for line in first],
            run.evaluate.bootstrap,
            run.data.seed,
        ).to_json()
        for name in _MEASURES
        if name in first[0] and name in other[0]
    }


def _different(settings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = sorted({key for values in settings for key in values} - {"output_dir"})
    differing = [key for key in keys if len({str(v.get(key)) for v in settings}) > 1]
    return [{key: values.get(key) for key in differing} for values in settings]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
