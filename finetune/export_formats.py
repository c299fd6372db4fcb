"""Which run can become which artefact, and what to do where it cannot."""

from __future__ import annotations

from collections.abc import Sequence

from finetune.config import ExportFormat as Format
from finetune.config import RunConfig
from finetune.errors import ExportError
from finetune.methods import PROMPT_LEARNING

__all__ = ["ORDER", "Format", "check_formats"]
ORDER: tuple[Format, ...] = ("adapter", "merged", "gguf_lora", "gguf", "ollama")


def check_formats(run: RunConfig, formats: Sequence[Format]) -> list[Format]:
    """The formats in the order in which they are made, with those that others need.

    Raises ExportError naming every one that the run cannot become, and what to do instead.
    """
    asked = {*formats} | ({"gguf"} if "ollama" in formats else set())
    wanted = [one for one in ORDER if one in asked]
    problems = [f"{one}: {reason}" for one in wanted if (reason := _refusal(run, one))]
    if problems:
        raise ExportError("; ".join(problems))
    return wanted


def _refusal(run: RunConfig, wanted: Format) -> str:
    """Why the run cannot become this, and what to do instead. "": it can."""
    method = run.method.name
    if run.objective.name == "reward" and wanted != "adapter":
        return (
            "a reward model gives scores, no text: name its run folder in objective.reward_model, "
            "or choose export.formats=[adapter]"
        )
    if wanted == "adapter":
        if method == "full":
            return "full fine-tuning leaves no adapter: choose export.formats=[merged] or [gguf]"
        return ""
    if method in PROMPT_LEARNING or method == "adapter_layers":
        what = "adapted attention" if method == "adapter_layers" else "virtual tokens"
        return (
            f"{method} adds {what} and changes no weight that could be merged or written as LoRA: "
            "choose export.formats=[adapter] and serve it with transformers, or train with "
            "method.name=lora"
        )
    if wanted == "gguf_lora" and method not in ("lora", "rslora"):
        return (
            f"llama.cpp takes adapters only as plain LoRA, and {method} is none: choose "
            "export.formats=[gguf], the merged model"
        )
    return ""
