"""Each artefact of an export: made, compared with what was trained, described."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.base_model import open_tokenizer
from finetune.config import RunConfig
from finetune.datasets import read_sides
from finetune.errors import ExportError
from finetune.export_check import LARGEST_MEAN, NEW_TOKENS, Served, check_gguf, probe_prompts
from finetune.export_formats import Format
from finetune.export_gguf import write_lora, write_model
from finetune.export_merge import (
    check_adapter,
    copy_tokenizer,
    merge,
    open_as_trained,
    open_dequantised,
)
from finetune.export_ollama import write_modelfile
from finetune.manifest import ArtefactEntry
from finetune.parity import Difference, TorchScorer, compare, trace
from finetune.run_folder import artefact

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

    from finetune.parity import Trace
    from finetune.rows_schema import Row


class Work:
    """What several formats need, computed once; a method for each format."""

    def __init__(
        self,
        run: RunConfig,
        name: str,
        folder: Path,
        tell: Callable[[str], None],
        tokenizer: Tokenizer,
    ) -> None:
        self.run, self.name, self.folder, self.tell = run, name, folder, tell
        self.tokenizer = tokenizer
        self.rows: Sequence[Row] = ()
        self.traces: Sequence[Trace] = ()
        self._scratch = folder / ".scratch"
        self._scratch.mkdir()
        self._notes: list[str] = []
        self._merged_entry: ArtefactEntry | None = None

    def make(self, wanted: Format) -> ArtefactEntry:
        """Raises ExportError, and leaves no artefact, where it differs from what was trained."""
        makers = {
            "adapter": self._adapter,
            "merged": self._merged,
            "gguf_lora": self._gguf_lora,
            "gguf": self._gguf,
            "ollama": self._ollama,
        }
        return makers[wanted]()

    def close(self) -> None:
        shutil.rmtree(self._scratch)

    def ask_the_trained(self) -> None:
        """Prompts of held-back rows, and what the model as it was trained answers to them."""
        _, self.rows, _ = read_sides(self.run)
        prompts = probe_prompts(self.rows, self.run, self.tokenizer)
        if not prompts:
            raise ExportError("no validation row has a prompt to compare answers on")
        self.tell(f"asking the trained model {len(prompts)} questions")
        self.traces = trace(open_as_trained(self.run), prompts, NEW_TOKENS)
        if self.run.model.quantization == "int8":
            self._without_rounded_activations()
        gc.collect()  # a model each time: without, two would stand in memory

    def _without_rounded_activations(self) -> None:
        """int8 rounds activations too, which no artefact does: the same weights without that."""
        model = open_dequantised(self.run)
        moved = compare(self.traces, TorchScorer(model))
        self._notes.append(
            f"trained with activations in 8 bits and served without: log-probabilities move by "
            f"{moved.mean:.3g} in the mean, {moved.same_choice:.0%} of the tokens stay"
        )
        if moved.mean > LARGEST_MEAN["q8_0"]:
            raise ExportError(
                f"without int8's rounding of activations it is another model ({self._notes[-1]}): "
                "train with model.quantization=nf4 or none, or export the adapter alone"
            )
        self.traces = trace(model, [one.prompt for one in self.traces], NEW_TOKENS)

    def _adapter(self) -> ArtefactEntry:
        self.tell("copying the adapter")
        source, target = artefact(self.run.output_dir), self.folder / "adapter"
        check_adapter(source)
        shutil.copytree(source, target)
        copy_tokenizer(self.run.model.path, target)
        return ArtefactEntry(format="adapter", path=target.name)

    def _merged(self) -> ArtefactEntry:
        if self._merged_entry is None:
            self.tell("merging, saving, reloading and comparing")
            made = merge(self.run, self.traces, self.folder / "merged")
            gc.collect()
            self._merged_entry = ArtefactEntry(
                format="merged",
                path=made.folder.name,
                difference=made.difference.to_json(),
                notes=[f"in {made.dtype}", *self._notes],
            )
        return self._merged_entry

    def _gguf_lora(self) -> ArtefactEntry:
        """Checked over the base in float16, so that little but the adapter can differ."""
        run, traces, notes = self.run, self.traces, list(self._notes)
        if run.model.quantization != "none":
            traces, note = self._over_original()
            notes.append(note)
        self.tell("writing the adapter as GGUF and comparing it on llama.cpp")
        target, base = self.folder / f"{self.name}.lora.gguf", self._scratch / "base.f16.gguf"
        write_lora(artefact(run.output_dir), run.model.path, target, self.name)
        write_model(run.model.path, base, "f16", run.model.path.name)
        difference, served = check_gguf(
            run, self.tokenizer, self.rows, traces, base, "f16", adapter=target
        )
        base.unlink()
        return _entry("gguf_lora", target, difference, served, notes)

    def _over_original(self) -> tuple[Sequence[Trace], str]:
        """Traces of the adapter over the base as servers load it, and what that changes."""
        model = open_as_trained(self.run, original=True)
        moved = compare(self.traces, TorchScorer(model))
        note = (
            f"trained over {self.run.model.quantization} and served over the original base: "
            f"log-probabilities move by {moved.mean:.3g} in the mean, {moved.same_choice:.0%} of "
            "the tokens stay; merged and gguf do not move"
        )
        return trace(model, [one.prompt for one in self.traces], NEW_TOKENS), note

    def _gguf(self) -> ArtefactEntry:
        run, kind = self.run, self.run.export.gguf_type
        wanted = self._merged_entry is not None  # merged stands before gguf in the order
        merged = self.folder / self._merged().path
        self.tell(f"writing the merged model as GGUF ({kind}) and comparing it on llama.cpp")
        target = self._gguf_path()
        write_model(merged, target, kind, self.name)
        difference, served = check_gguf(run, self.tokenizer, self.rows, self.traces, target, kind)
        if not wanted:
            shutil.rmtree(merged)
        return _entry("gguf", target, difference, served, [kind, *self._notes])

    def _ollama(self) -> ArtefactEntry:
        target = self.folder / "Modelfile"
        write_modelfile(target, self._gguf_path().name, self.tokenizer, self.run.data)
        return ArtefactEntry(format="ollama", path=target.name)

    def _gguf_path(self) -> Path:
        return self.folder / f"{self.name}.{self.run.export.gguf_type}.gguf"


def open_work(
    run: RunConfig, name: str, folder: Path, tell: Callable[[str], None], *, asks: bool
) -> Work:
    """`asks`: whether anything is to be made that must be compared with the trained model."""
    work = Work(run, name, folder, tell, open_tokenizer(run.model.path))
    if asks:
        work.ask_the_trained()
    return work


def _entry(
    wanted: Format, path: Path, difference: Difference, served: Served | None, notes: list[str]
) -> ArtefactEntry:
    return ArtefactEntry(
        format=wanted,
        path=path.name,
        difference=difference.to_json(),
        served=served.to_json() if served else None,
        notes=notes,
    )
