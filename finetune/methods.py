"""Methods: which parameters are trained, as PEFT's configuration; and which pairings make sense.

Sources: LoRA (Hu et al. 2021), QLoRA (Dettmers et al. 2023), DoRA (Liu et al. 2024), rsLoRA
(Kalajdzievski 2023), IA3 (Liu et al. 2022), p-tuning (Liu et al. 2021), prompt tuning (Lester et
al. 2021), prefix tuning (Li and Liang 2021), LLaMA-Adapter (Zhang et al. 2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from finetune.config import Method, Objective, RunConfig
from finetune.errors import ConfigError

if TYPE_CHECKING:
    from peft import PeftConfig

LORA_FAMILY: frozenset[Method] = frozenset({"lora", "dora", "rslora"})
PROMPT_LEARNING: frozenset[Method] = frozenset({"p_tuning", "prompt_tuning", "prefix_tuning"})
PACKABLE: frozenset[Objective] = frozenset({"sft", "pretrain"})
ONLINE: frozenset[Objective] = frozenset({"rloo", "grpo"})
"""Objectives that learn from answers which the model itself samples."""
_ADAPTION_PROMPT_BASES = frozenset({"llama", "mistral", "gpt2"})

_RATES: dict[Method, float] = {
    "lora": 2e-4,
    "dora": 2e-4,
    "rslora": 1e-4,
    "ia3": 5e-3,
    "p_tuning": 1e-3,
    "prompt_tuning": 3e-2,
    "prefix_tuning": 1e-2,
    "adapter_layers": 9e-3,
    "full": 2e-5,
}
"""Of supervised fine-tuning. Fewer parameters take larger steps: IA3's factors start at 1."""
_RATE_FACTOR: dict[Objective, float] = {
    "sft": 1.0,
    "pretrain": 0.5,
    "dpo": 0.05,
    "kto": 0.05,
    "reward": 0.5,
    "rloo": 0.05,
    "grpo": 0.05,
}
"""Preferences move an answered model gently: with 1e-6 for full DPO, 1e-5 for LoRA."""


def learning_rate(run: RunConfig) -> float:
    """The configured one, else one that suits method and objective."""
    if run.train.learning_rate is not None:
        return run.train.learning_rate
    return _RATES[run.method.name] * _RATE_FACTOR[run.objective.name]


def check_pairing(run: RunConfig, base: dict[str, Any]) -> None:
    """Refuse settings that contradict each other; `base` is the base's config.json.

    Raises ConfigError naming every contradiction with its reason.
    """
    problems = [*_method_problems(run, base), *_objective_problems(run), *_train_problems(run)]
    if problems:
        raise ConfigError("; ".join(problems))


def _method_problems(run: RunConfig, base: dict[str, Any]) -> Iterator[str]:
    name, kind = run.method.name, str(base.get("model_type", "unknown"))
    if name == "full" and run.model.quantization != "none":
        yield (
            f"method full cannot train {run.model.quantization} weights, which are rounded: choose "
            "method.name=lora, or model.quantization=none"
        )
    if name == "adapter_layers":
        if kind not in _ADAPTION_PROMPT_BASES:
            known = ", ".join(sorted(_ADAPTION_PROMPT_BASES))
            yield f"method adapter_layers takes bases of {known}, not {kind}: choose lora"
        if run.method.layers > int(base.get("num_hidden_layers") or 0):
            yield (
                f"method.layers={run.method.layers}, but the base has "
                f"{base.get('num_hidden_layers')} layers"
            )
        if run.objective.name == "reward":
            yield "method adapter_layers has no place for a reward head: choose method.name=lora"
    targets = run.method.targets
    if name in LORA_FAMILY and not isinstance(targets, str):
        if any(target.split(".")[-1] == "lm_head" for target in targets):
            yield (
                "method.targets names lm_head, whose adapter would never be trained because the "
                "loss reads the head's own weights: leave it out"
            )
        if not targets:
            yield "method.targets is empty: name linear layers, or all-linear"
    if name not in LORA_FAMILY | {"ia3"} and targets != "all-linear":
        yield f"method.targets is of lora, dora, rslora and ia3, not of {name}: leave it out"


def _objective_problems(run: RunConfig) -> Iterator[str]:
    name, train = run.objective.name, run.train
    if train.packing and name not in PACKABLE:
        yield (
            f"train.packing is of sft and pretrain: {name} compares whole answers, row by row; set "
            "train.packing=false"
        )
    if train.packing and run.method.name in PROMPT_LEARNING:
        yield (
            f"train.packing cannot be joined with {run.method.name}: the virtual tokens stand "
            "before the first packed row alone; set train.packing=false"
        )
    if name == "kto" and train.batch_size < 2:
        yield "kto estimates its reference point within a batch: set train.batch_size to 2 or more"
    if name in ONLINE:
        if run.objective.reward_model is None:
            yield (
                f"{name} needs objective.reward_model: the folder of a run with "
                "objective.name=reward"
            )
        if train.batch_size * train.accumulate % run.objective.generations:
            yield (
                f"{name} samples objective.generations={run.objective.generations} answers a "
                "prompt, so train.batch_size * train.accumulate must be a multiple of it"
            )
        if run.method.name in PROMPT_LEARNING | {"adapter_layers"}:
            yield f"{name} samples with the key-value cache, which {run.method.name} cannot share"
    elif run.objective.reward_model is not None:
        yield f"objective.reward_model is of rloo and grpo, not of {name}"
    if name == "reward" and run.method.name in PROMPT_LEARNING:
        yield (
            f"a reward model reads the last token's state, which {run.method.name} shifts: choose "
            "method.name=lora"
        )


def _train_problems(run: RunConfig) -> Iterator[str]:
    train, name = run.train, run.method.name
    if train.gradient_checkpointing and name in {"prefix_tuning", "adapter_layers"}:
        yield (
            f"{name} cannot be joined with train.gradient_checkpointing, which drops the keys and "
            "values that it adds: set it to false"
        )
    if train.early_stopping and run.objective.name in ONLINE:
        yield f"train.early_stopping watches the validation loss, which {run.objective.name} lacks"
    if train.early_stopping and train.save_every and train.save_every % max(train.eval_every, 1):
        yield "with train.early_stopping, train.save_every must be a multiple of train.eval_every"
    if train.early_stopping and train.save_every and not train.eval_every:
        yield "with train.early_stopping, give train.eval_every and train.save_every together"


def peft_config(run: RunConfig, base: dict[str, Any]) -> PeftConfig | None:
    """PEFT's configuration of the method; None for full fine-tuning."""
    from peft import TaskType

    scores = run.objective.name == "reward"
    task = TaskType.SEQ_CLS if scores else TaskType.CAUSAL_LM
    name = run.method.name
    if name in LORA_FAMILY:
        return _lora(run, task, scores)
    if name == "ia3":
        return _ia3(run, task, scores, str(base.get("model_type", "")))
    if name == "full":
        return None
    return _prompt_config(run, task, base)


def _lora(run: RunConfig, task: Any, scores: bool) -> PeftConfig:
    from peft import LoraConfig

    return LoraConfig(
        task_type=task,
        r=run.method.rank,
        lora_alpha=run.method.alpha,  # type: ignore[arg-type]
        lora_dropout=run.method.dropout,
        target_modules=run.method.targets,
        use_dora=run.method.name == "dora",
        use_rslora=run.method.name == "rslora",
        modules_to_save=["score"] if scores else None,
    )


def _ia3(run: RunConfig, task: Any, scores: bool, kind: str) -> PeftConfig:
    """PEFT knows which layers of each model type are scaled, and which are feed-forward."""
    from peft import IA3Config
    from peft.utils.constants import (
        TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING as FEEDFORWARD,
    )
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as TARGETS

    if run.method.targets == "all-linear":
        if kind not in TARGETS:
            raise ConfigError(f"ia3 has no default layers for {kind}: name them in method.targets")
        targets = list(TARGETS[kind])
    else:
        targets = list(run.method.targets)
    known = set(FEEDFORWARD.get(kind, ())) | {"down_proj", "fc2", "c_proj"}
    return IA3Config(
        task_type=task,
        target_modules=targets,
        feedforward_modules=[target for target in targets if target in known],
        modules_to_save=["score"] if scores else None,
    )


def _prompt_config(run: RunConfig, task: Any, base: dict[str, Any]) -> PeftConfig:
    from peft import (
        AdaptionPromptConfig,
        PrefixTuningConfig,
        PromptEncoderConfig,
        PromptTuningConfig,
        PromptTuningInit,
    )

    tokens = run.method.virtual_tokens
    if run.method.name == "p_tuning":
        width = int(base["hidden_size"])
        return PromptEncoderConfig(
            task_type=task, num_virtual_tokens=tokens, encoder_hidden_size=width
        )
    if run.method.name == "prompt_tuning":
        return PromptTuningConfig(
            task_type=task,
            num_virtual_tokens=tokens,
            prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB,
        )
    if run.method.name == "prefix_tuning":
        return PrefixTuningConfig(task_type=task, num_virtual_tokens=tokens)
    layers = run.method.layers or max(1, int(base["num_hidden_layers"]) - 2)
    return AdaptionPromptConfig(task_type=task, adapter_len=tokens, adapter_layers=layers)
