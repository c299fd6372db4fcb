"""Base and adapter as one model: dequantise, merge, save, reload, compare with what was trained.

Arithmetic is float32 throughout, so that a difference is one of the weights and not of rounding on
the way; that takes four bytes a parameter. Where the base was trained in 4 or 8 bits, the adapter
is added to the dequantised weights: the original ones are others than those it learned to
correct, and adding it to the quantised ones rounds most of it away.
"""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.base_model import one_line, open_base, read_config
from finetune.config import RunConfig
from finetune.device import Placement, place
from finetune.errors import ExportError
from finetune.parity import Difference, TorchScorer, Trace, compare
from finetune.run_folder import artefact
from finetune.trained import attach, open_trained

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKENIZER_FILES = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "vocab.json",
    "merges.txt",
    "generation_config.json",
)


@dataclass(frozen=True, slots=True)
class Merged:
    """A merged folder, and how far it is from the model that was trained."""

    folder: Path
    dtype: str
    difference: Difference


def open_as_trained(run: RunConfig, *, original: bool = False) -> Any:
    """The trained model with the base in its own number format, adapter beside it.

    `original`: over the base as its folder holds it, not quantised, which is what a server loads
    below an adapter. Raises ModelError.
    """
    if original:
        plain = run.model.model_copy(update={"quantization": "none"})
        run = run.model_copy(update={"model": plain})
    return open_trained(run, _placement(run))


def open_dequantised(run: RunConfig) -> Any:
    """The adapter beside the dequantised base: what int8 training computes, but for activations."""
    import torch

    model: Any = open_base(run, _placement(run))
    return attach(model.dequantize(torch.float32), artefact(run.output_dir))


def merge(run: RunConfig, traces: Sequence[Trace], target: Path) -> Merged:
    """Write the merged model to `target`, in the base's number format if that keeps the answers.

    Rounding W + BA to 16 bits may cost more than export.max_difference; then it is float32.
    Raises ExportError, and leaves nothing, where even that differs.
    """
    if run.method.name == "full":
        shutil.copytree(artefact(run.output_dir), target)
        copy_tokenizer(run.model.path, target)
        return Merged(target, _dtype(target), _reloaded(run, target, traces))
    worst: Difference | None = None
    for dtype in dict.fromkeys((_dtype(run.model.path), "float32")):
        _save(_merged(run), target, dtype)
        copy_tokenizer(run.model.path, target)
        difference = _reloaded(run, target, traces)
        if difference.largest <= run.export.max_difference:
            return Merged(target, dtype, difference)
        worst = difference
        shutil.rmtree(target)
    assert worst is not None
    raise ExportError(
        f"the merged model differs from what was trained: log-probabilities by up to "
        f"{worst.largest:.3g} (export.max_difference is {run.export.max_difference:g}), "
        f"{worst.same_choice:.0%} of the tokens alike; nothing was kept. "
        "Serve the adapter itself (export.formats=[adapter]), or allow more"
    )


def copy_tokenizer(source: Path, target: Path) -> None:
    """Tokenizer, template and generation settings, byte by byte, where `target` has none."""
    for pattern in TOKENIZER_FILES:
        for file in source.glob(pattern):
            if file.is_file() and not (target / file.name).exists():
                shutil.copyfile(file, target / file.name)


def check_adapter(folder: Path) -> None:
    """Raises ExportError for a folder without a whole adapter, or with weights that are no number.

    A trainer's save that was killed leaves a file which safetensors cannot open.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    weights = folder / "adapter_model.safetensors"
    if not (folder / "adapter_config.json").is_file() or not weights.is_file():
        raise ExportError(f"{folder} holds no adapter: run `python -m finetune train` first")
    try:
        with safe_open(weights, "pt") as opened:
            bad = [n for n in opened.keys() if not torch.isfinite(opened.get_tensor(n)).all()]  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ExportError(f"{weights} is damaged: {one_line(error)}") from None
    if bad:
        raise ExportError(f"{weights} holds NaN or infinity in {bad[0]}: train again")


def _placement(run: RunConfig) -> Placement:
    return Placement(place(run).device, "float32", "float32")


def _merged(run: RunConfig) -> Any:
    if run.model.quantization == "none":
        adapted: Any = open_as_trained(run)
    else:
        adapted = open_dequantised(run)
    try:
        # safe: refuses to merge what is no number
        return adapted.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise ExportError(f"the adapter cannot be merged: {one_line(error)}") from error


def _save(model: Any, target: Path, dtype: str) -> None:
    import torch

    try:
        model.to(getattr(torch, dtype)).save_pretrained(target)
    except Exception as error:  # safetensors has an error of its own and keeps only the text
        shutil.rmtree(target, ignore_errors=True)
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        if full or f"os error {errno.ENOSPC}" in str(error):
            raise ExportError(f"the disk of {target.parent.parent} is full") from error
        raise


def _reloaded(run: RunConfig, folder: Path, traces: Sequence[Trace]) -> Difference:
    saved = run.model.model_copy(update={"path": folder, "quantization": "none"})
    model: Any = open_base(run.model_copy(update={"model": saved}), _placement(run))
    return compare(traces, TorchScorer(model.eval()))


def _dtype(folder: Path) -> str:
    """The number format of a model folder; older ones call the key torch_dtype."""
    config = read_config(folder)
    name = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    return name if name in ("bfloat16", "float16") else "float32"
