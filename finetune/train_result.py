"""What training and probing give back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a run did. Of a dry run: what it would do."""

    output_dir: str
    method: str
    objective: str
    artefact: str | None
    """Folder of the adapter or model; None of a dry or broken-off run."""
    steps: int
    total_steps: int
    learning_rate: float
    train_rows: int
    validation_rows: int
    dropped_rows: int
    trainable_parameters: int = 0
    changed_tensors: int = 0
    trainable_tensors: int = 0
    train_loss: float | None = None
    eval_loss: float | None = None
    seconds: float = 0.0
    tokens: float = 0.0
    """Without padding."""
    tokens_per_second: float = 0.0
    peak_bytes: int = 0
    resumed_from: int | None = None
    interrupted: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Probe:
    """What some real steps on the longest rows took."""

    peak_bytes: int
    """As `device.peak_bytes` says it: on a CPU of the whole process."""
    tokens_per_second: float
    seconds: float
