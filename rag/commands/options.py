"""What the commands share: options, the console, the configuration, one way to print JSON."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import settings
from rag.config import FOREIGN_SECTIONS, RagConfig
from rag.schema import EVERYONE, Document, Failure, Hit

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)

FAILED, MISUSED = 1, 2

ConfigOption = Annotated[Path, typer.Option("--config", help="The configuration file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Configuration overrides.")
]
DEFAULT_CONFIG = Path("configs/chat.yaml")


def load(path: Path, overrides: list[str] | None) -> RagConfig:
    return settings.load(RagConfig, path, overrides or (), FOREIGN_SECTIONS)


def caller(groups: str, everything: frozenset[str]) -> frozenset[str]:
    named = frozenset(filter(None, groups.replace(" ", "").split(",")))
    return named | {EVERYONE} if named else everything


def print_json(item: Document | Hit | Failure, **more: Any) -> None:
    values = {**dataclasses.asdict(item), **{k: v for k, v in more.items() if v is not None}}
    print(json.dumps(values, default=jsonable, ensure_ascii=False))


def jsonable(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else sorted(value)
