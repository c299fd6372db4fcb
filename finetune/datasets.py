"""Rows -> the tokenised datasets that TRL's trainers take, and what stood in them.

Everything is tokenised here and by `render.py`, so that nothing is cut or dropped further down
without a word: the trainers are told no length at all. Lengths are in tokens.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.config import DataConfig, RunConfig
from finetune.errors import DataError
from finetune.length_batches import length_order
from finetune.render import Rendered, pieces, render, render_prompt
from finetune.rows import (
    ChatRow,
    Message,
    PairRow,
    PromptRow,
    Row,
    Rows,
    TextRow,
    VoteRow,
    read_rows,
    split_rows,
)

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

Columns = dict[str, Any]
_IGNORED = -100
"""The label of a token on which no loss is taken, in torch as in TRL."""


@dataclass(frozen=True, slots=True)
class Split:
    """One side of the data, tokenised."""

    dataset: Dataset
    lengths: list[int]
    """Tokens of each of the dataset's rows; of a pair, of its longer answer with the prompt."""
    scored: list[int]
    """Of each row, tokens on which a loss or log-probability is taken."""
    rows: int
    dropped: int
    """Rows left out for their length, where data.too_long is drop."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Both sides, and where they come from."""

    train: Split
    validation: Split
    facts: dict[str, Any]
    """For data.json: paths, SHA-256, numbers of rows; of kto also of votes."""


def read_sides(run: RunConfig) -> tuple[list[Row], list[Row], dict[str, Any]]:
    """Rows to train on, rows to validate on, and their files' facts. Raises DataError."""
    if run.data.train is None:
        raise DataError("data.train is not set: name the rows to learn from, data.train=FILE")
    read = _good(read_rows(run.data.train, run.objective.name, run.data))
    files = [(run.data.train, read)]
    if run.data.validation is None:
        train, validation = split_rows(read.rows, run.data.validation_share, run.data.seed)
    else:
        held = _good(read_rows(run.data.validation, run.objective.name, run.data))
        files.append((run.data.validation, held))
        train, validation = list(read.rows), list(held.rows)
    for side, name in ((train, "train on"), (validation, "validate on")):
        if not side:
            raise DataError(f"{run.data.train}: no row is left to {name}")
    facts: dict[str, Any] = {
        "files": [{"path": str(path), "sha256": rows.sha256} for path, rows in files],
        "train_rows": len(train),
        "validation_rows": len(validation),
    }
    return train, validation, facts


def load_training_data(run: RunConfig, tokenizer: PreTrainedTokenizerBase) -> TrainingData:
    """Read, split, shuffle and tokenise. The order is that of data.seed. Raises DataError."""
    train, validation, facts = read_sides(run)
    random.Random(run.data.seed).shuffle(train)
    validation = sampled(validation, run)
    if run.objective.name == "kto":
        facts["liked"], facts["disliked"] = _votes(train, run.data.train)
    sides = [tokenise(rows, run, tokenizer) for rows in (train, validation)]
    facts["train_tokens"], facts["dropped"] = sum(sides[0].lengths), sides[0].dropped
    held = sides[1] if run.objective.name == "kto" else _by_length(sides[1])
    return TrainingData(sides[0], held, facts)


def tokenise(rows: Sequence[Row], run: RunConfig, tokenizer: PreTrainedTokenizerBase) -> Split:
    """Columns as the objective's trainer takes them, in the order of `rows`. Raises DataError."""
    from datasets import Dataset

    found: list[tuple[Columns, int]] = []
    dropped = 0
    for row in rows:
        made = _columns(row, run, tokenizer)
        dropped += not made
        found += made
    if not found:
        raise DataError(
            f"all {len(rows)} rows are longer than data.max_length={run.data.max_length}: raise "
            "it, or set data.too_long=cut_prompt"
        )
    if run.objective.name == "kto":
        found = [found[i] for i in _vote_order([length for _, length in found], run)]
    columns = [values for values, _ in found]
    lengths = [length for _, length in found]
    scored = [_scored(values, length) for values, length in found]
    return Split(Dataset.from_list(columns), lengths, scored, len(rows), dropped)


def _scored(values: Columns, length: int) -> int:
    if "labels" in values:
        return sum(label != _IGNORED for label in values["labels"])
    if "prompt_ids" in values:
        return length - len(values["prompt_ids"])
    return length


def _vote_order(lengths: Sequence[int], run: RunConfig) -> list[int]:
    """Order of votes, fixed for all epochs: each is compared with its neighbour in the batch.

    A last batch of one has no neighbour and is left out.
    """
    size, count = run.train.batch_size, len(lengths)
    kept = count - 1 if count > 1 and count % size == 1 else count
    if not run.train.group_by_length:
        return list(range(kept))
    return length_order(lengths[:kept], size, str(run.data.seed))


def sampled(rows: list[Row], run: RunConfig) -> list[Row]:
    """At most evaluate.max_rows of held-back rows, drawn with data.seed, in their order."""
    if len(rows) <= run.evaluate.max_rows:
        return rows
    chosen = random.Random(run.data.seed).sample(range(len(rows)), run.evaluate.max_rows)
    return [rows[i] for i in sorted(chosen)]


def answer_row(number: int, prompt: Sequence[Message], answer: str) -> ChatRow:
    """Prompt and answer as a conversation, to be rendered like any other."""
    return ChatRow(number, (*prompt, {"role": "assistant", "content": answer}))


def labels(rendered: Rendered) -> list[int]:
    """The token where the loss is taken, elsewhere -100. One a token."""
    pairs = zip(rendered.input_ids, rendered.trained, strict=True)
    return [token if trained else _IGNORED for token, trained in pairs]


def _good(rows: Rows) -> Rows:
    if rows.problems:
        first = rows.problems[0]
        where = f"line {first.number}: " if first.number else ""
        more = len(rows.problems) - 1
        others = f" (and {more} more; `check` lists them)" if more else ""
        raise DataError(f"{rows.path}: {where}{first.reason}{others}")
    return rows


def _columns(
    row: Row, run: RunConfig, tokenizer: PreTrainedTokenizerBase
) -> list[tuple[Columns, int]]:
    """What a row becomes, with lengths; nothing if it is left out for its length."""
    data = run.data
    if isinstance(row, TextRow):
        return _pieces(row, data, tokenizer)
    if isinstance(row, ChatRow):
        rendered = render(row, tokenizer, data, run.objective.loss_on)
        found = {"input_ids": rendered.input_ids, "labels": labels(rendered)}
        if not any(rendered.trained):
            raise DataError(
                f"row {row.number}: no token of it bears a loss: its answer is empty, or the chat "
                "template leaves it out"
            )
        return _fitting(found, len(rendered.input_ids), data)
    if isinstance(row, PairRow):
        return _pair(row, run, tokenizer)
    if isinstance(row, VoteRow):
        rendered = render(
            answer_row(row.number, row.prompt, row.completion), tokenizer, data, "completion"
        )
        prompt, answer = _parted(rendered)
        vote = {"prompt_ids": prompt, "completion_ids": answer, "label": row.label}
        return _fitting(vote, len(rendered.input_ids), data)
    return _prompt(row, run, tokenizer)


def _pieces(
    row: TextRow, data: DataConfig, tokenizer: PreTrainedTokenizerBase
) -> list[tuple[Columns, int]]:
    """A text of any length in pieces of at most max_length tokens; nothing of it is lost."""
    whole = render(row, tokenizer, data, "all")
    # A piece of one token predicts nothing.
    kept = [piece for piece in pieces(whole, data.max_length) if len(piece.input_ids) > 1]
    return [
        ({"input_ids": piece.input_ids, "labels": labels(piece)}, len(piece.input_ids))
        for piece in kept
    ]


def _pair(
    row: PairRow, run: RunConfig, tokenizer: PreTrainedTokenizerBase
) -> list[tuple[Columns, int]]:
    both = [
        render(answer_row(row.number, row.prompt, answer), tokenizer, run.data, "completion")
        for answer in (row.chosen, row.rejected)
    ]
    length = max(len(rendered.input_ids) for rendered in both)
    (chosen_prompt, chosen), (rejected_prompt, rejected) = map(_parted, both)
    # Where the prompt was cut, the longer answer left less of it: both get that.
    prompt = min(chosen_prompt, rejected_prompt, key=len)
    if run.objective.name == "reward":
        values: Columns = {"chosen_ids": prompt + chosen, "rejected_ids": prompt + rejected}
    else:
        values = {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}
    return _fitting(values, length, run.data)


def _prompt(
    row: PromptRow, run: RunConfig, tokenizer: PreTrainedTokenizerBase
) -> list[tuple[Columns, int]]:
    """A prompt to sample answers from; TRL renders it, with the same template."""
    text = render_prompt(row.prompt, tokenizer, run.data)
    length = len(tokenizer(text, add_special_tokens=False)["input_ids"])
    prompt: Any = list(row.prompt) if run.data.chat else text
    if length > run.data.max_length and run.data.too_long != "drop":
        raise DataError(
            f"row {row.number}: its prompt has {length} tokens, more than "
            f"data.max_length={run.data.max_length}: raise it, or set data.too_long=drop"
        )
    return _fitting({"prompt": prompt}, length, run.data)


def _parted(rendered: Rendered) -> tuple[list[int], list[int]]:
    at = rendered.prompt_tokens
    return rendered.input_ids[:at], rendered.input_ids[at:]


def _fitting(values: Columns, length: int, data: DataConfig) -> list[tuple[Columns, int]]:
    return [(values, length)] if length <= data.max_length else []


def _votes(rows: Sequence[Row], path: Path | None) -> tuple[int, int]:
    liked = sum(row.label for row in rows if isinstance(row, VoteRow))
    if liked in (0, len(rows)):
        kind = "good" if liked else "bad"
        raise DataError(
            f"{path}: all {len(rows)} votes to train on are {kind}: kto learns from the difference "
            "and needs both kinds"
        )
    return liked, len(rows) - liked


def _by_length(split: Split) -> Split:
    """Sorted, longest first: validation batches hold no padding worth the name."""
    order = sorted(range(len(split.lengths)), key=lambda i: -split.lengths[i])
    ordered = split.dataset.select(order)
    lengths = [split.lengths[i] for i in order]
    scored = [split.scored[i] for i in order]
    return Split(ordered, lengths, scored, split.rows, split.dropped)
