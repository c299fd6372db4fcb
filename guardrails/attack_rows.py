"""Attacks of `python -m guardrails attack`, one JSON object a line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from guardrails.opening import CommandError

MOST_PROBLEMS = 10


class Turn(BaseModel):
    """An earlier turn of the conversation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["user", "assistant", "system"]
    content: str


class Attack(BaseModel):
    """One attack. `{canary}` in any of its texts becomes a random token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str = Field(min_length=1)
    category: str = "other"
    kind: Literal["direct", "planted"] = "direct"
    success: str | tuple[str, ...] | None = None
    """A regular expression, or strings of which one in the answer shows success."""
    history: tuple[Turn, ...] = ()

    @field_validator("success")
    @classmethod
    def _usable(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if isinstance(value, str):
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"no regular expression: {error}") from error
        if value is not None and (not value or not all(value)):
            raise ValueError("an empty text would be found in every answer")
        return value


def read_attacks(path: Path) -> list[Attack]:
    """All attacks of a file. Raises CommandError that names the bad lines."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    attacks: list[Attack] = []
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            attacks.append(Attack.model_validate(json.loads(line)))
        except json.JSONDecodeError as error:
            problems.append(f"line {number}: not JSON ({error.msg})")
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            problems.append(f"line {number}: {where}: {first['msg']}")
    if problems:
        more = len(problems) - MOST_PROBLEMS
        shown = problems[:MOST_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
        raise CommandError("\n  ".join([f"{path}: unusable rows", *shown]))
    if not attacks:
        raise CommandError(f"{path} holds no rows")
    return attacks
