"""A run's folder: settings, environment, hashes of data and base, metrics, artefact, evaluation.

run.yaml  environment.json  data.json  base.json  metrics.jsonl  loss.png
checkpoints/  adapter/ or model/  evaluation.json  predictions.jsonl  MODEL_CARD.md  export/
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from finetune.base_model import BaseModel
from finetune.config import RunConfig
from finetune.errors import ConfigError, ModelError
from finetune.methods import learning_rate

RUN, ENVIRONMENT, DATA, BASE = "run.yaml", "environment.json", "data.json", "base.json"
METRICS, PLOT, RESULT = "metrics.jsonl", "loss.png", "training.json"
EVALUATION, PREDICTIONS, CARD = "evaluation.json", "predictions.jsonl", "MODEL_CARD.md"
CHECKPOINTS, ADAPTER, MODEL, EXPORT = "checkpoints", "adapter", "model", "export"
_OURS = (
    *(RUN, ENVIRONMENT, DATA, BASE, METRICS, PLOT, RESULT, EVALUATION, PREDICTIONS, CARD),
    *(CHECKPOINTS, ADAPTER, MODEL, EXPORT),
)
_PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes", "datasets")


def refuse_used(folder: Path) -> None:
    """Raise ConfigError if the folder holds a run, finished or not."""
    if (folder / RUN).exists():
        state = "a finished run" if artefact_or_none(folder) else "a run that was broken off"
        raise ConfigError(
            f"{folder} holds {state}: go on with --resume, begin again with --yes (it is removed), "
            "or choose another output_dir"
        )


def clear(folder: Path) -> None:
    """Remove what an earlier run left; nothing that we do not write ourselves."""
    for name in _OURS:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def begin(run: RunConfig, base: BaseModel, facts: dict[str, Any], device: str) -> None:
    """Write what the run starts from."""
    folder = run.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / DATA, facts)
    write_json(folder / BASE, base.to_json())
    write_json(folder / ENVIRONMENT, _environment(device, learning_rate(run)))
    settings = yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_text(folder / RUN, settings)


def read_run(folder: Path) -> RunConfig:
    """The settings that a run was made with. Raises ConfigError."""
    path = folder / RUN
    try:
        return RunConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"{folder} holds no run: `train` makes one there") from None
    except (OSError, yaml.YAMLError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(f"{path} cannot be used: {first}") from None


def artefact_or_none(folder: Path) -> Path | None:
    """The finished adapter, or the whole model of a full fine-tuning."""
    for name, file in ((ADAPTER, "adapter_config.json"), (MODEL, "config.json")):
        if (folder / name / file).is_file():
            return folder / name
    return None


def artefact(folder: Path) -> Path:
    """As `artefact_or_none`. Raises ModelError where training has not finished."""
    found = artefact_or_none(folder)
    if found is None:
        raise ModelError(f"{folder} holds no trained adapter: run `train` first")
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Raises ConfigError for a file that is missing or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{path} is damaged: it holds no object")
    return value


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """All or nothing: a process killed here leaves the former file."""
    partial = path.with_name(path.name + ".partial")
    with open(partial, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSONL file; a last line cut off by a kill is left out."""
    if not path.is_file():
        return []
    found: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def write_lines(path: Path, values: Sequence[dict[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values))


def move_in(made: Path, place: Path) -> None:
    """Put a finished folder in its place; until then nothing half written stands there."""
    if place.exists():
        shutil.rmtree(place)
    made.replace(place)


def _environment(device: str, rate: float) -> dict[str, Any]:
    import torch

    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "learning_rate": rate,
    }
