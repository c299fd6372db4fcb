"""`python -m guardrails check|evaluate|attack|seed`: the rails of a configuration, by hand.

Exit status of `check`: 0 allowed, 1 blocked, 2 the rails could not be asked (or one of them
failed). `evaluate`: 0 done, 2 not. `quarantine` is handed on to the application, which knows the
catalog.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Annotated, cast

import typer
from pydantic import ValidationError

from guardrails.attack import attack
from guardrails.config import Section
from guardrails.errors import GuardrailsError
from guardrails.evaluate import evaluate
from guardrails.opening import ERROR, CheckConfig, CommandError, fail, open_embedder
from guardrails.schema import Context, Direction, Verdict
from guardrails.seed_command import app as seed
from guardrails.surprise import open_surprise
from settings import SettingsError, load

ALLOWED, BLOCKED = 0, 1

app = typer.Typer(add_completion=False, no_args_is_help=True)
app.command()(evaluate)
app.command()(attack)
app.add_typer(seed, name="seed")


class ContextFile(Section):
    """JSON with what a rail may know besides the text."""

    question: str = ""
    passages: tuple[str, ...] = ()
    history: tuple[str, ...] = ()


@app.callback()
def commands() -> None:
    """Guardrails of vSage."""


@app.command()
def check(
    direction: Annotated[str, typer.Option(help="input, retrieval or output")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="e.g. guardrails.input.injection.margin=0.2"),
    ] = None,
    config: Annotated[Path, typer.Option(help="Configuration file")] = Path("configs/chat.yaml"),
    context_file: Annotated[
        Path | None, typer.Option(help="JSON: question, passages, history")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON")] = False,
) -> None:
    """Judge the text on standard input and print the verdict."""
    if direction not in {"input", "retrieval", "output"}:
        fail(f"--direction must be input, retrieval or output, not '{direction}'")
    try:
        settings = load(CheckConfig, config, overrides or [])
        context = _context(context_file)
        text = sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
        verdict = _judge(settings, cast(Direction, direction), text, context)
    except (SettingsError, GuardrailsError, CommandError) as error:
        fail(str(error))
    except UnicodeDecodeError:
        fail("standard input is not UTF-8 text")
    print(
        json.dumps(dataclasses.asdict(verdict), ensure_ascii=False) if as_json else _line(verdict)
    )
    if verdict.category == "error":
        raise typer.Exit(ERROR)
    raise typer.Exit(ALLOWED if verdict.allowed else BLOCKED)


@app.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
def quarantine(context: typer.Context) -> None:
    """Passages that are withheld: list, show, release, delete, recheck."""
    # A program of its own, not an import: nothing here knows of the catalog.
    command = [sys.executable, "-m", "serve.quarantine", *context.args]
    os.execv(sys.executable, command)


def _judge(settings: CheckConfig, direction: Direction, text: str, context: Context) -> Verdict:
    from guardrails.rails import open_rails

    embed = open_embedder(settings.embedder)
    surprise = open_surprise(settings.guardrails.input.injection)
    kept = settings.seed_vectors
    rails = open_rails(settings.guardrails, embed=embed, surprise=surprise, kept=kept)
    return asyncio.run(rails.check(direction, text, context))


def _context(path: Path | None) -> Context:
    if path is None:
        return Context()
    try:
        known = ContextFile.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise CommandError(
            f"{path} is no usable context file ({error}); it holds JSON with any of question "
            "(text), passages and history (lists of texts)"
        ) from error
    return Context(known.question, known.passages, known.history)


def _line(verdict: Verdict) -> str:
    words = [
        "allowed" if verdict.allowed else "blocked",
        f"rail={verdict.rail or '-'}",
        f"category={verdict.category or '-'}",
        f"score={verdict.score:.2f}",
    ]
    return "  ".join([*words, verdict.reason]).rstrip()


if __name__ == "__main__":
    app()
