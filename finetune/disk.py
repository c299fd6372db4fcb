"""Disk that a run and its exports need, against what is free where output_dir lies."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from finetune.config import RunConfig
from finetune.memory import Device, element_bytes
from finetune.shapes import Shape
from finetune.trainable import base_parameters, trainable_parameters

_Q8_0 = 34 / 32  # 32 weights in 8 bits and a 16-bit scale
_SMALL = 20_000_000  # tokenizer, metrics, plot, cards


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes by part, and what is free."""

    parts: dict[str, int]
    free: int
    where: Path

    @property
    def needed(self) -> int:
        return sum(self.parts.values())

    @property
    def fits(self) -> bool:
        return self.needed <= self.free


def disk_needed(shape: Shape, run: RunConfig, device: Device) -> Disk:
    """Of checkpoints (one more than is kept: the new one is written before the oldest goes, and
    with early stopping the best stays), the result, and the exports of `export.formats`.

    A GGUF is made from the merged model, so its format implies that one.
    """
    trained = trainable_parameters(shape, run)
    whole = base_parameters(shape, run)
    kept = run.train.keep_checkpoints + 1 + (1 if run.train.early_stopping else 0)
    formats = set(run.export.formats)
    element = max(shape.stored_bytes, element_bytes(run, device))
    parts = {
        "checkpoints": kept * 12 * trained,  # float32 weights and two moments
        "result": 4 * trained,
        "small files": _SMALL,
    }
    if "adapter" in formats and run.method.name != "full":
        parts["adapter export"] = 4 * trained
    if formats & {"merged", "gguf", "ollama"}:
        parts["merged export"] = element * whole
    if formats & {"gguf", "ollama"}:
        a_weight = _Q8_0 if run.export.gguf_type == "q8_0" else 2
        parts["GGUF export"] = int(a_weight * whole)
    if "gguf_lora" in formats:
        parts["GGUF adapter"] = 4 * trained
    where = _existing(run.output_dir)
    return Disk(parts, shutil.disk_usage(where).free, where)


def _existing(folder: Path) -> Path:
    """The nearest folder upwards that exists: the disk on which `folder` would be made."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder
