"""Objectives: TRL's trainer for each, with settings that do what the configuration says.

No loss and no loop is written here. What is set against TRL's defaults, and why:

- bf16 is off on a CPU, where it is ten times slower (TRL's default is on).
- What is trained is cast to float32 after construction: TRL casts it to bfloat16 on quantised
  bases, where IA3's updates around 1.0 round away entirely and a resumed run differs.
- The trainers get tokens, masks and no length, so that they cut nothing (`datasets.py`).
- A NaN is logged as what it is, not as the average before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Dataset
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from finetune.config import RunConfig
from finetune.datasets import TrainingData
from finetune.device import Placement
from finetune.length_batches import length_batches
from finetune.methods import ONLINE, PACKABLE, learning_rate, peft_config

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer


class TokenisedDPOTrainer(DPOTrainer):
    """DPOTrainer on rows that are tokens already; the original knows strings alone."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


class TokenisedKTOTrainer(KTOTrainer):
    """KTOTrainer on rows that are tokens already; the original knows strings alone."""

    def _prepare_dataset(
        self, dataset: Dataset, processing_class: Any, args: KTOConfig, dataset_name: str
    ) -> Dataset:
        """Add to each row the answer of its neighbour in the batch, for the reference point."""

        def rotated(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
            answers = rows["completion_ids"]
            return {**rows, "KL_completion_ids": [answers[-1], *answers[:-1]]}

        return dataset.map(rotated, batched=True, batch_size=args.per_device_train_batch_size)


def build_trainer(
    run: RunConfig,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: TrainingData,
    placement: Placement,
    base: dict[str, Any],
    folder: Path,
) -> Trainer:
    """The objective's trainer around `model`, ready for `train()`. Checkpoints go to `folder`."""
    name = run.objective.name
    options: dict[str, Any] = {
        "model": model,
        "train_dataset": data.train.dataset,
        "processing_class": tokenizer,
        "peft_config": peft_config(run, base),
    }
    if name not in ONLINE:
        options["eval_dataset"] = data.validation.dataset
    shared = _shared_arguments(run, placement, folder)
    trainer: Trainer
    if name in PACKABLE:
        trainer = SFTTrainer(args=_sft_arguments(run, shared), **options)
    elif name == "dpo":
        args = DPOConfig(beta=run.objective.beta, max_length=None, **shared)
        trainer = TokenisedDPOTrainer(args=args, **options)
    elif name == "kto":
        trainer = TokenisedKTOTrainer(args=_kto_arguments(run, data, shared), **options)
    elif name == "reward":
        trainer = RewardTrainer(args=RewardConfig(max_length=None, **shared), **options)
    else:
        trainer = _online(run, placement, tokenizer, shared, options)
    _adjust(trainer, run, data)
    return trainer


def _shared_arguments(run: RunConfig, placement: Placement, folder: Path) -> dict[str, Any]:
    """Of transformers' TrainingArguments, the same for all trainers."""
    train = run.train
    on_gpu = placement.device == "cuda"
    return {
        "output_dir": str(folder),
        "use_cpu": not on_gpu,
        "bf16": on_gpu and placement.compute == "bfloat16",
        "fp16": on_gpu and placement.compute == "float16",
        "num_train_epochs": train.epochs,
        "max_steps": train.max_steps or -1,
        "per_device_train_batch_size": train.batch_size,
        "per_device_eval_batch_size": train.batch_size,
        "gradient_accumulation_steps": train.accumulate,
        "learning_rate": learning_rate(run),
        "lr_scheduler_type": train.scheduler,
        "warmup_steps": train.warmup,
        "weight_decay": train.weight_decay,
        "max_grad_norm": train.max_grad_norm,
        "gradient_checkpointing": train.gradient_checkpointing,
        # Read back every step, so that a NaN stops the run; on a GPU that would cost speed.
        "logging_steps": 10 if on_gpu else 1,
        "logging_nan_inf_filter": False,
        "report_to": ["tensorboard"] if train.tensorboard else "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": on_gpu,
        "seed": train.seed,
        "data_seed": train.seed,
        "prediction_loss_only": True,
        **_schedule(run),
    }


def _schedule(run: RunConfig) -> dict[str, Any]:
    """When to evaluate, to save and to stop. Old checkpoints are removed in `progress.py`."""
    train = run.train
    save_every = train.save_every or train.eval_every
    online = run.objective.name in ONLINE
    schedule: dict[str, Any] = {
        "save_strategy": "steps" if save_every else "epoch",
        "save_steps": save_every or 500,
        "eval_strategy": "no" if online else "steps" if train.eval_every else "epoch",
    }
    if train.eval_every and not online:
        schedule["eval_steps"] = train.eval_every
    if train.early_stopping:
        schedule |= {
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
            "greater_is_better": False,
            "restore_callback_states_from_checkpoint": True,
        }
    return schedule


def _sft_arguments(run: RunConfig, shared: dict[str, Any]) -> SFTConfig:
    packing = run.train.packing
    return SFTConfig(
        packing=packing,
        eval_packing=packing,
        max_length=run.data.max_length if packing else None,
        completion_only_loss=False,  # the labels say it
        **shared,
    )


def _kto_arguments(run: RunConfig, data: TrainingData, shared: dict[str, Any]) -> KTOConfig:
    """Weights from the counts: both kinds of votes weigh the same in all (Ethayarajh et al. 2024,
    Eq. 8)."""
    liked, disliked = data.facts["liked"], data.facts["disliked"]
    more = max(liked, disliked)
    return KTOConfig(
        beta=run.objective.beta,
        desirable_weight=run.objective.desirable_weight or more / liked,
        undesirable_weight=run.objective.undesirable_weight or more / disliked,
        max_length=None,
        **shared,
    )


def _online(
    run: RunConfig,
    placement: Placement,
    tokenizer: PreTrainedTokenizerBase,
    shared: dict[str, Any],
    options: dict[str, Any],
) -> Trainer:
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer
    from trl.trainer.rloo_config import RLOOConfig
    from trl.trainer.rloo_trainer import RLOOTrainer

    from finetune.reward import open_reward

    reward: Any = open_reward(run, placement)
    sampling: dict[str, Any] = {
        "num_generations": run.objective.generations,
        "max_completion_length": run.objective.max_new_tokens,
        "beta": run.objective.beta,
    }
    tokenizer.padding_side = "left"
    if run.objective.name == "rloo":
        return RLOOTrainer(reward_funcs=reward, args=RLOOConfig(**sampling, **shared), **options)
    return GRPOTrainer(reward_funcs=reward, args=GRPOConfig(**sampling, **shared), **options)


def _adjust(trainer: Trainer, run: RunConfig, data: TrainingData) -> None:
    """What cannot be said by arguments."""
    from transformers import EarlyStoppingCallback, PrinterCallback

    model: Any = trainer.model
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    if run.method.name == "adapter_layers":
        # PEFT bound the base's forward before TRL replaced it.
        model.base_model.forward = model.base_model.model.forward
    if run.objective.name not in ONLINE:
        trainer.processing_class = None  # megabytes of the same tokenizer in each checkpoint
    trainer.remove_callback(PrinterCallback)
    if run.train.early_stopping:
        trainer.add_callback(EarlyStoppingCallback(run.train.early_stopping))
    hooks: Any = trainer
    hooks.create_model_card = lambda **_: None  # one of our own is written, with results
    if run.train.group_by_length and _may_sort(run):
        sampler = length_batches(
            data.train.lengths,
            run.train.batch_size,
            lambda: int(trainer.state.epoch or 0),
            run.train.seed,
        )
        hooks._get_train_sampler = lambda dataset=None: sampler


def _may_sort(run: RunConfig) -> bool:
    """KTO's batches are fixed with their neighbours, packed rows are full, TRL samples its own."""
    return run.objective.name in {"sft", "pretrain", "dpo", "reward"} and not run.train.packing


@contextmanager
def scored_positions_only(placement: Placement) -> Iterator[None]:
    """Let TRL's fused head project labelled positions alone on a CPU, as it does on a GPU.

    It projects every position where Triton is missing, to spare compilers new shapes; nothing is
    compiled here, and prompts outnumber answers. The log-probabilities are the same. Of TRL 1.16,
    without effect where the name is gone.
    """
    from trl.trainer import utils

    name = "_use_triton"
    if placement.device != "cpu" or not hasattr(utils, name):
        yield
        return
    original = getattr(utils, name)
    setattr(utils, name, lambda device: True)
    try:
        yield
    finally:
        setattr(utils, name, original)
