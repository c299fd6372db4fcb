"""`python -m guardrails quarantine`: the passages that the guardrails withhold, for their curator.

Here, because it needs the catalog and the rails, which know nothing of each other.
"""

from __future__ import annotations

import dataclasses
import getpass
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

import settings
from guardrails import GuardrailsError
from rag import quarantine
from rag.catalog import Catalog
from rag.commands.options import (
    DEFAULT_CONFIG,
    MISUSED,
    ConfigOption,
    JsonOption,
    Overrides,
    err,
    jsonable,
    out,
)
from rag.errors import RagError
from rag.quarantine import Decision, Withheld
from serve.config import ServeConfig

ABORTED = 1
_CUT = 70

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Passages that speak to the model instead of the reader: withheld from every search until "
    "a curator releases or deletes them.",
)

ByOption = Annotated[str, typer.Option(help="Who decides; default: the user at work.")]
Passages = Annotated[
    list[str], typer.Argument(metavar="ID... [KEY=VALUE]...", help="As `list` shows them.")
]


@app.command("list")
def list_passages(
    overrides: Overrides = None,
    decisions: Annotated[
        bool, typer.Option("--decisions", help="What has been released or deleted, and by whom.")
    ] = False,
    stored: Annotated[
        bool, typer.Option("--stored", help="Do not judge first what nobody has judged yet.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """What is in quarantine, by document. Judges new passages first, where there are any."""
    loaded = _load(config, overrides)
    catalog = Catalog(loaded)
    if decisions:
        _print_decisions(quarantine.list_decisions(catalog), as_json)
        return
    if not stored and quarantine.count_pending(catalog):
        _recheck(loaded)
    found = quarantine.list_withheld(catalog)
    if as_json:
        for passage in found:
            _print_json(passage)
        return
    table = Table("id", "document", "where", "category", "reason", "begins")
    for passage in found:
        where = f"page {passage.page}" if passage.page else f"character {passage.start}"
        begins = " ".join(passage.text.split())[:_CUT]
        cells = (passage.title, where, passage.category, passage.reason, begins)
        table.add_row(str(passage.id), *map(escape, cells))
    out.print(table if found else "Nothing is in quarantine.")


@app.command()
def show(
    passages: Passages, as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Passages with their whole text, and why they are withheld."""
    ids, catalog = _open(passages, config)
    for chunk_id in ids:
        found = quarantine.find_withheld(catalog, chunk_id)
        if as_json:
            _print_json(found)
            continue
        for name in ("id", "title", "name", "uri", "heading_path", "page", "category", "reason"):
            value = getattr(found, name)
            shown = " > ".join(value) if isinstance(value, tuple) else value
            out.print(f"[bold]{name:>12}[/]  {escape(str(shown or '-'))}", soft_wrap=True)
        print(f"\n{found.text}\n")


@app.command()
def release(
    passages: Passages,
    by: ByOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let passages be found again. Holds for these words, whatever rules or syncs come."""
    ids, catalog = _open(passages, config)
    _decide(ids, catalog, quarantine.release, "released", by, as_json)


@app.command()
def delete(
    passages: Passages,
    by: ByOption = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Remove passages from the index for good; their documents are left as they are."""
    ids, catalog = _open(passages, config)
    for chunk_id in ids:
        quarantine.find_withheld(catalog, chunk_id)
    if not yes:
        if not sys.stdin.isatty():
            raise RagError("delete asks before it deletes: add --yes where nobody can answer")
        if not typer.confirm(f"Delete {len(ids)} of the index's passages for good?", err=True):
            raise typer.Exit(ABORTED)
    _decide(ids, catalog, quarantine.delete, "deleted", by, as_json)


@app.command()
def recheck(
    overrides: Overrides = None, as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Judge every passage that the present rules have not judged. May be stopped and run again.

    A running server does the same by itself, beside its work.
    """
    loaded = _load(config, overrides)
    done = _recheck(loaded)
    catalog = Catalog(loaded)
    withheld = len(quarantine.list_withheld(catalog))
    if as_json:
        print(json.dumps({"judged": done, "quarantined": withheld}))
    else:
        out.print(f"{done} passages judged; {withheld} are in quarantine.")


def _recheck(config: ServeConfig) -> int:
    from serve.screen import open_screen

    catalog = Catalog(config)
    screen = open_screen(config)
    if screen is None:
        raise RagError("guardrails.enabled is false: there are no rules to judge by")
    bar = Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=not err.is_terminal,
    )
    with bar:
        task = bar.add_task("judging", total=quarantine.count_pending(catalog, screen.rules))
        return quarantine.recheck(catalog, screen, lambda n: bar.update(task, completed=n))


def _decide(
    ids: list[int],
    catalog: Catalog,
    act: Callable[[Catalog, int, str], Withheld],
    done: str,
    by: str,
    as_json: bool,
) -> None:
    who = by or getpass.getuser()
    for chunk_id in ids:
        quarantine.find_withheld(catalog, chunk_id)  # all or none, where an id is wrong
    for chunk_id in ids:
        passage = act(catalog, chunk_id, who)
        if as_json:
            print(json.dumps({"id": chunk_id, "decision": done, "by": who}))
        else:
            out.print(f"{done} {chunk_id} of {escape(passage.title)}", soft_wrap=True)


def _open(passages: list[str], config: Path) -> tuple[list[int], Catalog]:
    """Ids and the catalog. Raises RagError for what is no id."""
    keys, overrides = settings.split_overrides(passages)
    wrong = [key for key in keys if not (key.isascii() and key.isdigit() and len(key) < 19)]
    if wrong or not keys:
        raise RagError(
            f"'{wrong[0] if wrong else ''}' is no id of a passage: name numbers that "
            "`python -m guardrails quarantine list` shows"
        )
    return [int(key) for key in dict.fromkeys(keys)], Catalog(_load(config, overrides))


def _load(config: Path, overrides: list[str] | None) -> ServeConfig:
    return settings.load(ServeConfig, config, overrides or ())


def _print_decisions(found: list[Decision], as_json: bool) -> None:
    if as_json:
        for decision in found:
            _print_json(decision)
        return
    table = Table("decision", "by", "at", "document", "begins")
    for decision in found:
        begins = " ".join(decision.excerpt.split())[:_CUT]
        cells = (decision.decision, decision.by, f"{decision.at:%Y-%m-%d %H:%M}")
        table.add_row(*map(escape, (*cells, decision.uri, begins)))
    out.print(table if found else "Nothing has been decided yet.")


def _print_json(item: Any) -> None:
    values = dataclasses.asdict(item)
    print(json.dumps(values, default=jsonable, ensure_ascii=False))


def main() -> None:
    """Run the command line; a user's mistake ends in one message, never in a stack trace."""
    try:
        app(prog_name="python -m guardrails quarantine")
    except (RagError, GuardrailsError, settings.SettingsError) as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(MISUSED)
    except KeyboardInterrupt:
        err.print("stopped; what was judged is kept, the same command goes on from there")
        sys.exit(130)


if __name__ == "__main__":
    main()
