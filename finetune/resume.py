"""Checkpoints: which are whole, and whether a run may go on from one.

A checkpoint counts once its mark is written, which happens after all its files are on the disk;
what a kill or a full disk left unmarked is ignored and removed.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from finetune.base_model import BaseModel
from finetune.config import RunConfig
from finetune.errors import ConfigError, DataError, ModelError, TrainingError
from finetune.run_folder import (
    BASE,
    CHECKPOINTS,
    DATA,
    artefact_or_none,
    read_json,
    read_run,
    write_json,
)

MARK = "complete.json"
_FREE = frozenset({"output_dir", "evaluate", "export", "plan"})
"""Sections that do not touch what is learned, and may change before a run goes on."""
_FREE_OF_TRAIN = frozenset({"keep_checkpoints", "tensorboard"})


def mark_complete(checkpoint: Path) -> None:
    """Force the checkpoint's files to the disk, then mark it with their sizes."""
    sizes = {}
    for file in sorted(checkpoint.iterdir()):
        if file.is_file():
            with open(file, "rb") as opened:
                os.fsync(opened.fileno())
            sizes[file.name] = file.stat().st_size
    write_json(checkpoint / MARK, sizes)


def is_complete(checkpoint: Path) -> bool:
    """Whether the mark is there and every file has the size that it names."""
    try:
        sizes = json.loads((checkpoint / MARK).read_text(encoding="utf-8"))
        return all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints of a run, the earliest first."""
    found = [path for path in (folder / CHECKPOINTS).glob("checkpoint-*") if is_complete(path)]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step after which it was saved."""
    return int(checkpoint.name.rpartition("-")[2])


def remove_incomplete(folder: Path) -> list[str]:
    """Remove what a broken save left; its names."""
    broken = [p for p in (folder / CHECKPOINTS).glob("checkpoint-*") if not is_complete(p)]
    for path in broken:
        shutil.rmtree(path, ignore_errors=True)
    return sorted(path.name for path in broken)


def rotate(folder: Path, keep: int, best: str | None) -> None:
    """Remove the earliest complete checkpoints but for the last `keep` and the best."""
    whole = checkpoints(folder)
    for path in whole[: max(0, len(whole) - keep)]:
        if best is None or path.resolve() != Path(best).resolve():
            shutil.rmtree(path, ignore_errors=True)


def resume_point(run: RunConfig, base: BaseModel, facts: dict[str, Any]) -> Path:
    """The checkpoint to go on from, having checked that nothing has changed since.

    Raises ConfigError, DataError or ModelError naming what has changed, TrainingError if there is
    no complete checkpoint.
    """
    folder = run.output_dir
    before = read_run(folder)
    if artefact_or_none(folder):
        raise ConfigError(f"{folder}: this run is finished; there is nothing to resume")
    if changed := changed_settings(before, run):
        raise ConfigError(
            f"{folder} was begun with other settings: {'; '.join(changed)}; set them back, or "
            "begin again with --yes"
        )
    _check_data(read_json(folder / DATA), facts)
    known = read_json(folder / BASE)
    if known.get("sha256") != base.sha256:
        raise ModelError(
            f"{run.model.path} is not the base that the run was begun with (SHA-256 "
            f"{base.sha256[:12]}, was {str(known.get('sha256'))[:12]}): put the former one back, "
            "or begin again with --yes"
        )
    if known.get("chat_template_sha256") != base.chat_template_sha256:
        raise ModelError(
            f"{run.model.path}: its chat template has changed since the run was begun: put the "
            "former one back, or begin again with --yes"
        )
    whole = checkpoints(folder)
    if not whole:
        raise TrainingError(f"{folder} holds no complete checkpoint: begin again with --yes")
    return whole[-1]


def changed_settings(before: RunConfig, now: RunConfig) -> list[str]:
    """`key was X, is Y` for each setting that decides what is learned."""
    changed: list[str] = []
    old, new = _flat(before.model_dump(mode="json")), _flat(now.model_dump(mode="json"))
    for key in sorted(old.keys() | new.keys()):
        section, _, name = key.partition(".")
        if section in _FREE or (section == "train" and name in _FREE_OF_TRAIN):
            continue
        if key in {"data.train", "data.validation", "model.path"}:
            continue  # files may move: their bytes are compared
        if old.get(key) != new.get(key):
            changed.append(f"{key} was {old.get(key)}, is {new.get(key)}")
    return changed


def _check_data(before: dict[str, Any], now: dict[str, Any]) -> None:
    old = [file["sha256"] for file in before.get("files", [])]
    for position, file in enumerate(now["files"]):
        if position >= len(old) or old[position] != file["sha256"]:
            raise DataError(
                f"{file['path']} has changed since the run was begun: put the former file back, "
                "or begin again with --yes"
            )
    if len(old) != len(now["files"]):
        raise DataError("data.validation was given when the run was begun: give it again")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and key != "columns":
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
