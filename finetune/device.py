"""Where a run computes and in which number format, and what this machine's memory holds.

On a CPU everything is float32: bfloat16 matrix products are about ten times slower there. On a GPU
base and arithmetic are bfloat16. What is trained is float32 everywhere (see `objectives.py`): small
updates round away in bfloat16.
"""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from finetune.config import RunConfig
from finetune.errors import ConfigError

if TYPE_CHECKING:
    import torch

DtypeName = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Device and number format of one run."""

    device: Literal["cpu", "cuda"]
    compute: DtypeName
    """Of the matrix products."""
    weights: DtypeName
    """Of the base as it is loaded; float32 where the base itself is trained."""

    @property
    def torch_weights(self) -> torch.dtype:
        return torch_dtype(self.weights)

    @property
    def torch_compute(self) -> torch.dtype:
        return torch_dtype(self.compute)


def keep_offline() -> None:
    """Ask nothing of the model hub and tell it nothing; to be called before torch libraries load.

    Whoever sets these variables otherwise keeps the last word.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("BITSANDBYTES_NOWELCOME", "1")


def place(run: RunConfig) -> Placement:
    """Choose device and format. Raises ConfigError where a GPU is asked for and there is none."""
    import torch

    has_gpu = torch.cuda.is_available()
    wanted = run.train.device
    if wanted == "cuda" and not has_gpu:
        raise ConfigError(
            "train.device is cuda, but torch finds no GPU here: set train.device=cpu (or auto), "
            "or install a CUDA build of torch and its driver"
        )
    device: Literal["cpu", "cuda"] = "cuda" if has_gpu and wanted != "cpu" else "cpu"
    compute: DtypeName
    if run.model.dtype == "auto":
        compute = "bfloat16" if device == "cuda" else "float32"
    else:
        compute = run.model.dtype
    if device == "cpu" and compute == "float16":
        raise ConfigError(
            "model.dtype=float16 cannot be trained on a CPU: set model.dtype=float32 (or auto)"
        )
    return Placement(device, compute, "float32" if run.method.name == "full" else compute)


def torch_dtype(name: DtypeName) -> torch.dtype:
    import torch

    return {
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
    }[name]


def use_threads(run: RunConfig) -> None:
    """Set torch's threads. Another number may change the last bits of a result."""
    if run.train.threads:
        import torch

        torch.set_num_threads(run.train.threads)


def peak_bytes(device: str) -> int:
    """The most memory held so far: of the GPU by tensors, else of this process, libraries included.

    The second never falls, so it is meaningful for one run in a process of its own.
    """
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def local_rank() -> int:
    """Which of this machine's GPUs is this process's, under `accelerate launch`; else the first."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def is_main_process() -> bool:
    """Whether this process writes the run folder; of those that `accelerate launch` starts, one."""
    return int(os.environ.get("RANK", "0")) == 0
