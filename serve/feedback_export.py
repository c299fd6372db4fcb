"""Stored feedback as JSONL for fine-tuning, with personal data masked."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serve.errors import ServeError
from serve.feedback import Feedback
from serve.masking import masked


def export(rows: Iterable[Feedback], path: Path, regions: Sequence[str]) -> dict[str, Any]:
    """Write one object a line; what was written, in numbers.

    The file appears whole or not at all, readable by its owner alone. Raises ServeError.
    """
    counts: Counter[str] = Counter()
    answers, callers = set(), set()
    part = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        part = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            for row in rows:
                line, count = to_line(row, regions)
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                kind = row.kind if row.kind != "vote" else "up" if row.value else "down"
                counts.update({"rows": 1, kind: 1, "masked": count})
                answers.add(row.answer_id)
                callers.add(row.caller)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        part = None
    except OSError as error:
        raise ServeError(
            f"cannot write {path}: {error.strerror or error}; name another file with --output, in "
            "a folder that is there"
        ) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
    kinds = ("rows", "up", "down", "correction", "comment", "ideal", "masked")
    numbers = {kind: counts[kind] for kind in kinds}
    return {"output": str(path), **numbers, "answers": len(answers), "callers": len(callers)}


def to_line(row: Feedback, regions: Sequence[str]) -> tuple[dict[str, Any], int]:
    """One row as it leaves, and how many values were masked in it."""
    said = [turn["content"] for turn in row.history]
    read = [passage[key] for passage in row.passages for key in ("title", "text")]
    texts, count = masked([*said, row.question, *read, row.answer, row.text], regions)
    left = iter(texts)
    history = [{"role": turn["role"], "content": next(left)} for turn in row.history]
    question = next(left)
    passages = [{"title": next(left), "text": next(left)} for _ in row.passages]
    answer, text = left
    value = {"value": row.value} if row.kind == "vote" else {"text": text}
    line = {
        "id": row.answer_id,
        "time": iso(row.given),
        "kind": row.kind,
        **value,
        "question": question,
        "history": history,
        "answer": answer,
        "passages": passages,
        "adapter": row.adapter,
        "caller": row.caller,
    }
    return line, count


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC, to the microsecond: what `--since` takes."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
