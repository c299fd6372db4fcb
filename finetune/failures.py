"""Foreign failures of a run, given their reason in one line: memory, disk, names of layers."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from finetune.base_model import one_line
from finetune.config import RunConfig
from finetune.errors import ConfigError, FinetuneError, TrainingError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_WORDS = (
    "no space left",
    "file too large",
    "quota exceeded",
    "pytorchstreamwriter failed",
    "inline_container.cc",
)
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory")
_LAYER_WORDS = ("target modules", "target_modules")


@contextmanager
def named_failures(run: RunConfig) -> Iterator[None]:
    """Turn failures that a user can mend into errors of `errors.py`; others pass through."""
    try:
        yield
    except FinetuneError:
        raise
    except Exception as error:
        known = _known(error, run)
        if known is None:
            raise
        raise known from error


def _known(error: Exception, run: RunConfig) -> FinetuneError | None:
    text = str(error).lower()
    if _any(text, _MEMORY_WORDS) or isinstance(error, MemoryError):
        return TrainingError(
            f"out of memory at train.batch_size={run.train.batch_size}: go on with "
            f"{proposals(run)}; checkpoints saved until now are whole"
        )
    if (isinstance(error, OSError) and error.errno in _FULL) or _any(text, _FULL_WORDS):
        return TrainingError(
            f"no space left for {run.output_dir}: free some, or lower train.keep_checkpoints, then "
            "go on with --resume; the last complete checkpoint is untouched"
        )
    if isinstance(error, ValueError) and _any(text, _LAYER_WORDS):
        return ConfigError(f"method.targets does not fit the base: {one_line(error)}")
    return None


def proposals(run: RunConfig) -> str:
    """Settings that need less memory, the ones that change nothing of what is learned first."""
    train = run.train
    found = []
    smallest = 2 if run.objective.name == "kto" else 1
    if train.batch_size > smallest:
        half = max(smallest, train.batch_size // 2)
        accumulate = train.accumulate * train.batch_size // half
        found.append(f"train.batch_size={half} train.accumulate={accumulate}")
    if not train.gradient_checkpointing:
        found.append("train.gradient_checkpointing=true")
    if run.model.quantization == "none" and run.method.name != "full":
        found.append("model.quantization=nf4")
    if run.method.name == "full":
        found.append("method.name=lora")
    found.append(f"data.max_length={max(64, run.data.max_length // 2)}")
    return ", or ".join(found)


def _any(text: str, words: tuple[str, ...]) -> bool:
    return any(word in text for word in words)
