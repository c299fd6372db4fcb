"""Opening what a run has trained: base and adapter, or the whole model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.base_model import base_hash, one_line, open_base
from finetune.config import RunConfig
from finetune.device import Placement
from finetune.errors import ModelError
from finetune.run_folder import BASE, MODEL, artefact, read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def open_trained(run: RunConfig, placement: Placement) -> PreTrainedModel:
    """The trained model in evaluation mode; of an adapter, a PeftModel around its base.

    Raises ModelError where training has not finished, or the base is another one than then.
    """
    folder = artefact(run.output_dir)
    scores = run.objective.name == "reward"
    if folder.name == MODEL:
        whole = run.model_copy(update={"model": run.model.model_copy(update={"path": folder})})
        model: Any = open_base(whole, placement, scores=scores)
        return model.eval()  # type: ignore[no-any-return]
    known = read_json(run.output_dir / BASE)["sha256"]
    if base_hash(run.model.path) != known:
        raise ModelError(
            f"{run.model.path} is not the base that {folder} was trained on: put that one back"
        )
    return attach(open_base(run, placement, scores=scores), folder)


def attach(base: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    """The base with an adapter around it, in evaluation mode. Raises ModelError."""
    from peft import PeftModel

    try:
        model: Any = PeftModel.from_pretrained(base, str(adapter), local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(f"{adapter} does not fit its base: {one_line(error)}") from None
    return model.eval()  # type: ignore[no-any-return]


@contextmanager
def base_of(run: RunConfig, model: Any, placement: Placement) -> Iterator[Any]:
    """The model before training: the adapter switched off, or the base opened beside."""
    if hasattr(model, "disable_adapter"):
        with model.disable_adapter():
            yield model
        return
    base: Any = open_base(run, placement)
    yield base.eval()
