"""One file of rows -> two, each record as it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finetune.config import RunConfig
from finetune.errors import DataError
from finetune.rows import group_split, prompt_key, read_rows, records_of


def split_file(run: RunConfig, folder: Path, by: str, *, dry_run: bool) -> dict[str, Any]:
    """Part data.train by data.validation_share and data.seed into train and validation.jsonl.

    Rows with the same prompt, or with `by` the same value in that column, stay on one side.
    Returns counts. Raises DataError for a bad row, a column that is missing, or files that are
    there already.
    """
    if run.data.train is None:
        raise DataError("data.train is not set: name the rows to split, data.train=FILE")
    path = run.data.train
    if path.is_dir():
        raise DataError(f"{path} is a folder: only a file of rows is split")
    paths = [folder / "train.jsonl", folder / "validation.jsonl"]
    if there := [str(one) for one in paths if one.exists()]:
        raise DataError(f"{', '.join(there)}: there already; name another --output or delete it")
    keys = _column_keys(path, by) if by else _prompt_keys(run, path)
    held = group_split(list(keys.values()), run.data.validation_share, run.data.seed)
    numbers = {number for number, is_held in zip(keys, held, strict=True) if is_held}
    sides: tuple[list[str], list[str]] = ([], [])
    for number, record in records_of(path):
        line = json.dumps(record, ensure_ascii=False, default=str)
        sides[number in numbers].append(line)
    if not dry_run:
        _write(folder, paths, sides)
    return {
        "train_rows": len(sides[0]),
        "validation_rows": len(sides[1]),
        "groups": len(set(keys.values())),
        "files": [str(one) for one in paths],
    }


def _prompt_keys(run: RunConfig, path: Path) -> dict[int, str]:
    read = read_rows(path, run.objective.name, run.data)
    if read.problems:
        first = read.problems[0]
        raise DataError(
            f"{path}, line {first.number}: {first.reason}; `python -m finetune data check` lists "
            f"all {len(read.problems)} problems"
        )
    return {row.number: prompt_key(row) for row in read.rows}


def _column_keys(path: Path, by: str) -> dict[int, str]:
    keys: dict[int, str] = {}
    for number, record in records_of(path):
        if by not in record:
            known = ", ".join(sorted(record))
            raise DataError(f"{path}, line {number} has no column {by} for --by; it has {known}")
        keys[number] = json.dumps(record[by], ensure_ascii=False, default=str)
    if not keys:
        raise DataError(f"{path} holds no rows")
    return keys


def _write(folder: Path, paths: Sequence[Path], sides: Sequence[Sequence[str]]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, lines in zip(paths, sides, strict=True):
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder} cannot be written to: {error.strerror}") from None
