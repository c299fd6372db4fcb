"""A model's answers and losses on rendered rows, in batches of like length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finetune.config import DataConfig
from finetune.render import Rendered, end_of_turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

OnBatch = Callable[[int], None]
_TOKENS_A_BATCH = 2048
"""Bounds the logits: this many times the vocabulary, in float32."""


@dataclass(frozen=True, slots=True)
class RowLoss:
    """Negative log-likelihood of a row's trained tokens."""

    total: float
    tokens: int


def generate(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    data: DataConfig,
    *,
    max_new_tokens: int,
    batch_size: int,
    on_batch: OnBatch = lambda done: None,
) -> list[str]:
    """The greedy answer to each prompt of tokens, in their order, without control tokens."""
    import torch

    ends = stop_tokens(tokenizer, data)
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    answers = [""] * len(prompts)
    pad = tokenizer.pad_token_id
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        ids, mask = padded([prompts[i] for i in batch], pad, left=True)
        with torch.inference_mode():
            made = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                do_sample=False,
                max_new_tokens=max_new_tokens,
                eos_token_id=ends,
                pad_token_id=pad,
            )
        # A prompt-learning adapter gives back the new tokens behind the same prompt.
        for index, row in zip(batch, made[:, ids.shape[1] :].tolist(), strict=True):
            answers[index] = _until_end(row, ends, tokenizer)
        on_batch(len(batch))
    return answers


def stop_tokens(tokenizer: PreTrainedTokenizerBase, data: DataConfig) -> list[int]:
    """Tokens that end an answer: the template's end of turn, the end of text."""
    found = {end_of_turn(tokenizer)} if data.chat else set()
    if tokenizer.eos_token_id is not None:
        found.add(int(tokenizer.eos_token_id))
    return sorted(found)


def losses(
    model: Any, rows: Sequence[Rendered], pad: int, on_batch: OnBatch = lambda done: None
) -> list[RowLoss]:
    """The loss of each row where `trained` says so, in their order."""
    import torch

    found: list[RowLoss | None] = [None] * len(rows)
    for batch in _batches([len(row.input_ids) for row in rows]):
        ids, mask = padded([rows[i].input_ids for i in batch], pad)
        trained, _ = padded([[int(t) for t in rows[i].trained] for i in batch], 0)
        with torch.inference_mode():
            logits = model(
                input_ids=ids.to(model.device), attention_mask=mask.to(model.device)
            ).logits
        # Virtual tokens of prompt learning stand before the row's own.
        logits = logits[:, -ids.shape[1] :]
        wanted = trained[:, 1:].bool()
        targets = ids[:, 1:].to(logits.device)
        where = wanted.to(logits.device)
        nll = torch.nn.functional.cross_entropy(
            logits[:, :-1][where].float(), targets[where], reduction="none"
        )
        parts = torch.split(nll, wanted.sum(dim=1).tolist())
        for index, part in zip(batch, parts, strict=True):
            found[index] = RowLoss(float(part.double().sum()), part.numel())
        on_batch(len(batch))
    return [loss for loss in found if loss is not None]


def padded(rows: Sequence[Sequence[int]], pad: int, *, left: bool = False) -> tuple[Any, Any]:
    """(input_ids, attention_mask), both [rows, longest], padded on the right or the left."""
    import torch

    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for number, row in enumerate(rows):
        place = slice(longest - len(row), None) if left else slice(0, len(row))
        ids[number, place] = torch.tensor(row, dtype=torch.long)
        mask[number, place] = 1
    return ids, mask


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices, longest first, in batches of a bounded number of tokens, padding included."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[batch[0]] > _TOKENS_A_BATCH:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _until_end(
    tokens: Sequence[int], ends: Sequence[int], tokenizer: PreTrainedTokenizerBase
) -> str:
    cut = next((i for i, token in enumerate(tokens) if token in ends), len(tokens))
    return str(tokenizer.decode(list(tokens[:cut]), skip_special_tokens=True)).strip()
