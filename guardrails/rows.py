"""Labelled rows of `python -m guardrails evaluate`, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardrails.opening import CommandError
from guardrails.schema import Context, Direction

MOST_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One text with its label; 1: must be blocked."""

    text: str
    label: int
    category: str
    context: Context


class BadRowError(ValueError):
    """What is wrong with one line."""


def read_rows(path: Path, direction: Direction) -> list[Row]:
    """All rows of a file. Raises CommandError that names the bad lines."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    rows: list[Row] = []
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(_row(json.loads(line), direction))
        except json.JSONDecodeError as error:
            problems.append(f"line {number}: not JSON ({error.msg})")
        except BadRowError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        more = len(problems) - MOST_PROBLEMS
        shown = problems[:MOST_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
        raise CommandError("\n  ".join([f"{path}: unusable rows", *shown]))
    if not rows:
        raise CommandError(f"{path} holds no rows")
    return rows


def _row(value: Any, direction: Direction) -> Row:
    if not isinstance(value, dict):
        raise BadRowError("must be a JSON object")
    text = value.get("prompt", value.get("text"))
    if not isinstance(text, str):
        raise BadRowError("needs 'prompt' or 'text', a string")
    label = value.get("label")
    if label not in (0, 1):
        raise BadRowError("needs 'label', 0 (let through) or 1 (block)")
    category = value.get("category") or value.get("kind") or ""
    return Row(text, int(label), str(category), _context(value, direction))


def _context(value: dict[str, Any], direction: Direction) -> Context:
    """`context`, or for answers the `source` that they must rest on."""
    given = value.get("context")
    if given is None and direction == "output":
        given = value.get("source")
    if given is None:
        return Context()
    if isinstance(given, str | list):
        given = {"passages": given}
    if not isinstance(given, dict):
        raise BadRowError("'context' must be an object: question, passages, history")
    unknown = sorted(set(given) - {"question", "passages", "history"})
    if unknown:
        raise BadRowError(f"'context' knows question, passages and history, not {unknown[0]!r}")
    question = given.get("question", "")
    if not isinstance(question, str):
        raise BadRowError("'question' must be a string")
    return Context(question, _texts(given, "passages"), _texts(given, "history"))


def _texts(given: dict[str, Any], key: str) -> tuple[str, ...]:
    value = given.get(key, ())
    texts: Sequence[Any] = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise BadRowError(f"{key!r} must be a list of strings")
    return tuple(texts)
