"""Rows to learn from: JSONL, CSV, Parquet or texts -> checked rows, and their split."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from finetune.config import DataConfig, Objective
from finetune.errors import DataError
from finetune.rows_parse import find_form
from finetune.rows_read import Record, read_records
from finetune.rows_schema import (
    ChatRow,
    Message,
    PairRow,
    Problem,
    PromptRow,
    Row,
    Rows,
    TextRow,
    VoteRow,
    prompt_key,
)
from finetune.turns import RowError

__all__ = [
    "ChatRow",
    "Message",
    "PairRow",
    "Problem",
    "PromptRow",
    "Row",
    "Rows",
    "TextRow",
    "VoteRow",
    "group_split",
    "prompt_key",
    "read_rows",
    "records_of",
    "split_rows",
]

_LOOKED_AT = 100  # records whose columns decide the form of a file


def read_rows(path: Path, objective: Objective, data: DataConfig) -> Rows:
    """Every row of `path` in the form that the objective needs, and why the others are not.

    The form is found by the columns: messages, or prompt and completion; chosen and rejected;
    prompt, completion and label; text; prompt. Pairs serve kto, too: two votes each. A file without
    a row, and votes of one class alone, are problems of number 0. Raises DataError where the file
    cannot be read or has no form of the objective, ConfigError for a mapping of no use.
    """
    records, sha256 = read_records(path)
    first = list(itertools.islice(records, _LOOKED_AT))
    columns = {name for item in first if not isinstance(item, Problem) for name in item[1]}
    rows: list[Row] = []
    problems: list[Problem] = []
    parse = find_form(str(path), columns, objective, data) if columns else _nothing
    for item in itertools.chain(first, records):
        if isinstance(item, Problem):
            problems.append(item)
            continue
        number, record = item
        try:
            rows += parse(number, record)
        except RowError as error:
            problems.append(Problem(number, str(error)))
    if not rows:
        without = "every row of it is bad" if problems else "is empty"
        problems.insert(0, Problem(0, f"holds no rows to learn from: {without}"))
    problems += _one_class(rows)
    return Rows(rows, problems, path, sha256)


def split_rows(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on, and about `share` of them to validate on, each in their order.

    Rows with one prompt stay on one side. Raises DataError where all rows ask the same.
    """
    kept = group_split([prompt_key(row) for row in rows], share, seed)
    pairs = list(zip(rows, kept, strict=True))
    return [row for row, held in pairs if not held], [row for row, held in pairs if held]


def group_split(keys: Sequence[str], share: float, seed: int) -> list[bool]:
    """Which of the rows with these keys are held back: whole groups, about `share` of all rows."""
    sizes: dict[str, int] = defaultdict(int)
    for key in keys:
        sizes[key] += 1
    if len(sizes) < 2:
        raise DataError(
            "all rows have one prompt, so none can be set aside: give other rows with "
            "data.validation=FILE"
        )
    order = sorted(sizes)
    random.Random(seed).shuffle(order)
    wanted, taken = max(1, round(share * len(keys))), 0
    held: set[str] = set()
    for key in order:
        if taken + sizes[key] <= wanted:
            held.add(key)
            taken += sizes[key]
    if not held:
        held.add(min(order, key=lambda key: sizes[key]))
    return [key in held for key in keys]


def records_of(path: Path) -> Iterator[tuple[int, Record]]:
    """The records of a file that can be read, with their numbers. Raises DataError."""
    records, _ = read_records(path)
    return (item for item in records if not isinstance(item, Problem))


def _nothing(number: int, record: Record) -> list[Row]:
    raise RowError("has no columns")


def _one_class(rows: Sequence[Row]) -> list[Problem]:
    labels = {row.label for row in rows if isinstance(row, VoteRow)}
    if len(labels) != 1:
        return []
    (only,) = labels
    missing = "disliked" if only else "liked"
    return [Problem(0, f"every vote is {str(only).lower()}: kto needs {missing} answers as well")]
