"""Scores of a trained reward model: for reinforcement learning, and for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from finetune.answers import padded
from finetune.base_model import open_tokenizer
from finetune.config import RunConfig
from finetune.datasets import answer_row
from finetune.device import Placement
from finetune.errors import ConfigError
from finetune.render import render
from finetune.rows import Message
from finetune.run_folder import read_run
from finetune.trained import open_trained

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_BATCH = 8

RewardFunction = Callable[..., list[float]]


def open_reward(run: RunConfig, placement: Placement) -> RewardFunction:
    """A function of prompts and completions, as TRL calls it. Raises ConfigError, ModelError.

    Prompt and answer are rendered as the reward model saw them in training; of a prompt too long
    for it the beginning is cut.
    """
    folder = run.objective.reward_model
    if folder is None:
        raise ConfigError("objective.reward_model is not set: name the folder of a reward run")
    trained = read_run(folder)
    if trained.objective.name != "reward":
        raise ConfigError(
            f"{folder} was trained for {trained.objective.name}: objective.reward_model must name "
            "a run with objective.name=reward"
        )
    trained = trained.model_copy(update={"output_dir": folder})
    model = open_trained(trained, placement).requires_grad_(False)
    tokenizer = open_tokenizer(trained.model.path)
    data = trained.data.model_copy(update={"too_long": "cut_prompt"})

    def reward(prompts: Sequence[Any], completions: Sequence[Any], **_: Any) -> list[float]:
        rows = [
            answer_row(number, _messages(prompt), _text(answer))
            for number, (prompt, answer) in enumerate(zip(prompts, completions, strict=True))
        ]
        ids = [render(row, tokenizer, data, "completion").input_ids for row in rows]
        return score(model, ids, tokenizer.pad_token_id)

    reward.__name__ = "reward_model"
    return reward


def score(model: PreTrainedModel, rows: Sequence[Sequence[int]], pad: int) -> list[float]:
    """The reward model's number for each row of tokens, in their order."""
    import torch

    model.config.pad_token_id = pad
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    found = [0.0] * len(rows)
    with torch.inference_mode():
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            ids, mask = padded([rows[i] for i in batch], pad)
            logits = model(
                input_ids=ids.to(model.device), attention_mask=mask.to(model.device)
            ).logits
            for index, value in zip(batch, logits.squeeze(-1).tolist(), strict=True):
                found[index] = float(value)
    return found


def _messages(prompt: Any) -> list[Message]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)


def _text(completion: Any) -> str:
    return completion if isinstance(completion, str) else str(completion[-1]["content"])
