"""Bring documents in, keep them up to date, embed them anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import settings
from rag.commands.options import DEFAULT_CONFIG, FAILED, ConfigOption, JsonOption, Overrides, load


def ingest(
    arguments: Annotated[
        list[str], typer.Argument(metavar="PATH... [KEY=VALUE]...", help="Files and folders.")
    ],
    groups: Annotated[
        str, typer.Option(help="Comma-separated groups that may read these documents.")
    ] = "",
    prune: Annotated[
        bool, typer.Option("--prune", help="Also delete what is gone from these folders.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: ingest whatever changes, until Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Add and update documents: PDF, Office, HTML, Markdown and other text, tables, e-mail.

    Unchanged files are skipped; changed ones are replaced. A `.vsage.yaml` beside files says who
    may read them and goes before `--groups`. Exit code 1 says that at least one document failed;
    the others are in.

    Example: `python -m rag ingest docs/kb --prune`
    """
    from rag import ingest_command

    paths, overrides = settings.split_overrides(arguments)
    if not paths:
        raise typer.BadParameter("name at least one file or folder", param_hint="PATH")
    loaded = load(config, overrides)
    if watch and dry_run:
        raise typer.BadParameter("--watch goes on ingesting: leave --dry-run out")
    named = frozenset(filter(None, groups.replace(" ", "").split(",")))
    folders, readers = [Path(path) for path in paths], named or frozenset(loaded.ingest.groups)
    if watch:
        ingest_command.watch(loaded, folders, readers, remove_gone=prune, as_json=as_json)
        return
    ok = ingest_command.run(
        loaded, folders, readers, remove_gone=prune, dry_run=dry_run, as_json=as_json
    )
    raise typer.Exit(0 if ok else FAILED)


def sync(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]... [KEY=VALUE]...", help="Sources; default: all."),
    ] = None,
    sources: Annotated[Path, typer.Option(help="The file that lists the sources.")] = Path(
        "configs/sources.yaml"
    ),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    prune_all: Annotated[
        bool, typer.Option("--prune-all", help="Remove even most of a source's documents.")
    ] = False,
    forget: Annotated[
        str, typer.Option(metavar="NAME", help="Delete the documents of a source instead.")
    ] = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Bring the sources of `configs/sources.yaml` up to date: folders, web, Confluence, ...

    Only what has changed since the last sync is fetched; what is gone there is deleted here; who
    may read it there may read it here. A sync that was interrupted goes on where it stopped. Exit
    code 1 says that something failed; everything else is in.

    Example: `python -m rag sync wiki --dry-run`
    """
    from rag import sync_command

    names, overrides = settings.split_overrides(arguments or [])
    loaded = load(config, overrides)
    if forget:
        if names or dry_run or prune_all:
            raise typer.BadParameter(
                "--forget deletes all documents of one source: give nothing else with it"
            )
        sync_command.forget(loaded, forget, as_json)
        return
    ok = sync_command.run(
        loaded,
        sync_command.read_sources(sources),
        names,
        dry_run=dry_run,
        prune_all=prune_all,
        as_json=as_json,
    )
    raise typer.Exit(0 if ok else FAILED)


def reindex(overrides: Overrides = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Embed every stored passage again, after `embedder.model` has changed."""
    from rag import ingest_command

    ingest_command.reindex(load(config, overrides))
