"""MODEL_CARD.md: what was trained from what, how, and how good it came out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finetune import run_folder
from finetune.config import RunConfig
from finetune.methods import learning_rate

_NAMES = {
    "exact_match": "Exact match",
    "token_f1": "Token F1",
    "rouge_l": "ROUGE-L",
    "loss": "Loss per token",
    "pair_accuracy": "Chosen answer likelier",
    "implied_accuracy": "Chosen answer moved up",
    "margin": "Margin in log-probability",
    "reward": "Reward",
    "accuracy": "Handled rightly",
    "refused_rightly": "Refused what must be refused",
    "refused_wrongly": "Refused what must be answered",
}
_SHARES = frozenset(_NAMES) - {"loss", "margin", "reward"}


def write_card(run: RunConfig, evaluation: dict[str, Any]) -> None:
    """Write the card of a finished and evaluated run."""
    text = "\n".join(_lines(run, evaluation)) + "\n"
    run_folder.write_text(run.output_dir / run_folder.CARD, text)


def _lines(run: RunConfig, evaluation: dict[str, Any]) -> Iterator[str]:
    folder = run.output_dir
    base = run_folder.read_json(folder / run_folder.BASE)
    data = run_folder.read_json(folder / run_folder.DATA)
    result = run_folder.read_json(folder / run_folder.RESULT)
    environment = run_folder.read_json(folder / run_folder.ENVIRONMENT)
    yield f"# {folder.name}"
    yield ""
    yield f"{run.method.name} on `{base['path']}` for {run.objective.name}, trained with vSage."
    yield from ("", "## Base and data", "")
    yield f"- Base: `{base['path']}`, {base['model_type']}, SHA-256 `{base['sha256']}`"
    yield f"- Quantisation of the base: {run.model.quantization}"
    for file in data["files"]:
        yield f"- Data: `{file['path']}`, SHA-256 `{file['sha256']}`"
    yield (
        f"- Rows: {data['train_rows']} to train on, {data['validation_rows']} held back, "
        f"{result['dropped_rows']} left out for their length"
    )
    yield from ("", "## Training", "")
    yield from _training(run, result, environment)
    yield from ("", f"## Results on {evaluation['rows']} held-back rows", "")
    yield from _table(evaluation)
    for part, title in (
        ("forgetting", "Other tasks (forgetting)"),
        ("safety", "Refusals, told by wording"),
    ):
        if found := evaluation.get(part):
            yield from ("", f"## {title}: {found['rows']} rows", "")
            yield from _table(found)
    yield from ("", "## Limits", "")
    yield (
        "Measured on the rows named above and nothing else. Differences whose interval includes 0 "
        "may be chance. The base's licence applies to the adapter as well."
    )


def _training(run: RunConfig, result: dict[str, Any], environment: dict[str, Any]) -> Iterator[str]:
    yield f"- Trained parameters: {result['trainable_parameters']:,}"
    yield (
        f"- Steps: {result['steps']} of {run.train.batch_size} x {run.train.accumulate} rows, "
        f"learning rate {learning_rate(run):g}, {run.train.scheduler}, seed {run.train.seed}"
    )
    if result["train_loss"] is not None:
        held = result["eval_loss"]
        yield f"- Loss: {result['train_loss']:.4f} in training" + (
            f", {held:.4f} in validation" if held is not None else ""
        )
    yield (
        f"- Time: {result['seconds']:.0f} s on {environment['device']}, "
        f"{result['tokens_per_second']:.0f} tokens/s, {result['peak_bytes'] / 1e9:.1f} GB at most"
    )
    packages = ", ".join(f"{name} {number}" for name, number in environment["packages"].items())
    yield f"- With {packages}"


def _table(found: dict[str, Any]) -> Iterator[str]:
    """Measures of trained model and base; the difference with its 95% interval."""
    base = found.get("base") or {}
    intervals = found.get("intervals") or {}
    yield "| | Base | Trained | Difference (95%) |"
    yield "|---|---|---|---|"
    for name, title in _NAMES.items():
        if found.get(name) is None:
            continue
        between = intervals.get(name)
        difference = ""
        if between:
            difference = (
                f"{_shown(name, between['difference'], sign=True)} "
                f"({_shown(name, between['low'], sign=True)} to "
                f"{_shown(name, between['high'], sign=True)})"
            )
        before = base.get(name)
        shown = "" if before is None else _shown(name, before)
        yield f"| {title} | {shown} | {_shown(name, found[name])} | {difference} |"


def _shown(name: str, value: float, *, sign: bool = False) -> str:
    mark = "+" if sign else ""
    return f"{100 * value:{mark}.1f}%" if name in _SHARES else f"{value:{mark}.3f}"
