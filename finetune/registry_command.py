"""`python -m finetune registry list|add|promote|rollback|remove`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from finetune.manifest import Manifest
from finetune.promotion import main_measure
from finetune.registry import (
    Change,
    Listed,
    add,
    list_adapters,
    promote,
    promoted_names,
    remove,
    rollback,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Adapters that may be served, and which of them are. A running server follows by itself.",
)
out = Console(highlight=False, emoji=False)

RegistryOption = Annotated[
    Path, typer.Option("--registry", metavar="FOLDER", help="The registry's folder.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Check, and change nothing.")]
Name = Annotated[str, typer.Argument(metavar="NAME")]
REGISTRY = Path("adapters")


@app.command("list")
def list_command(registry: RegistryOption = REGISTRY, as_json: JsonOption = False) -> None:
    """Every adapter, how good it is, and whether it is served."""
    found = list_adapters(registry)
    if as_json:
        adapters = [_listed_object(one) for one in found]
        _print_json({"adapters": adapters, "promoted": promoted_names(registry)})
        return
    if not found:
        out.print(f"{escape(str(registry))} holds no adapter: `registry add RUN_FOLDER`")
        return
    table = Table("", "name", "method", "objective", "measure", "base", "forms")
    for one in found:
        table.add_row("*" if one.promoted else "", escape(one.name), *map(escape, _cells(one)))
    out.print(table)
    for one in found:
        if one.problem:
            out.print(escape(f"{one.name}: {one.problem}"), soft_wrap=True)


@app.command("add")
def add_command(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="A run's output_dir.")],
    name: Annotated[
        str | None, typer.Option("--name", help="Of the adapter; otherwise the run folder's.")
    ] = None,
    registry: RegistryOption = REGISTRY,
    as_json: JsonOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Copy what a run exported into the registry."""
    manifest = add(registry, run_folder, name, dry_run)
    if as_json:
        shown = manifest.model_dump(exclude={"files"})
        _print_json({"added": not dry_run, "dry_run": dry_run, **shown})
        return
    forms = ", ".join(one.format for one in manifest.artefacts)
    out.print(
        escape(f"{'would add' if dry_run else 'added'} {manifest.name} ({forms}) to {registry}"),
        soft_wrap=True,
    )


@app.command("promote")
def promote_command(
    name: Name,
    margin: Annotated[
        float,
        typer.Option(
            "--margin", min=0, help="How much worse than what it replaces it may be; a share."
        ),
    ] = 0.01,
    replace: Annotated[
        str | None,
        typer.Option("--replace", help="The promoted adapter whose place it takes."),
    ] = None,
    beside: Annotated[bool, typer.Option("--beside", help="Replace none.")] = False,
    without_safety: Annotated[
        bool,
        typer.Option("--without-safety", help="Although it was measured on no safety rows."),
    ] = False,
    registry: RegistryOption = REGISTRY,
    as_json: JsonOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Have an adapter served, if its evaluation allows it.

    It takes the place of the promoted adapter that was measured on the same validation rows, and
    is compared with it; if there is none it joins the others, and is compared with the base.
    """
    if beside and replace is not None:
        raise typer.BadParameter("give --replace or --beside, not both")
    change = promote(
        registry,
        name,
        margin=margin,
        replace=replace,
        beside=beside,
        without_safety=without_safety,
        dry_run=dry_run,
    )
    _tell(change, "promoted", as_json, dry_run)


@app.command("rollback")
def rollback_command(
    registry: RegistryOption = REGISTRY, as_json: JsonOption = False, dry_run: DryRunOption = False
) -> None:
    """Take the last promotion back, and serve what was served before it."""
    _tell(rollback(registry, dry_run=dry_run), "rolled back", as_json, dry_run)


@app.command("remove")
def remove_command(
    name: Name,
    registry: RegistryOption = REGISTRY,
    as_json: JsonOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Delete an adapter that is not promoted."""
    _tell(remove(registry, name, dry_run=dry_run), "removed", as_json, dry_run)


def _tell(change: Change, done: str, as_json: bool, dry_run: bool) -> None:
    if as_json:
        shown: dict[str, Any] = {
            "action": done,
            "name": change.name,
            "promoted": list(change.promoted),
            "replaced": change.replaced or None,
            "judgement": change.judgement.to_json() if change.judgement else None,
            "dry_run": dry_run,
        }
        _print_json(shown)
        return
    line = f"{'dry run: ' if dry_run else ''}{done} {change.name}"
    if change.replaced:
        line += f" in place of {change.replaced}"
    if change.judgement:
        line += f" ({change.judgement.reason})"
    out.print(escape(line), soft_wrap=True)
    served = ", ".join(change.promoted) or "none, the base alone"
    out.print(escape(f"served: {served}"), soft_wrap=True)


def _cells(one: Listed) -> tuple[str, ...]:
    if one.manifest is None:
        return ("damaged", "", "", "", "")
    manifest = one.manifest
    forms = ", ".join(artefact.format for artefact in manifest.artefacts)
    return (manifest.method, manifest.objective, _measure(manifest), manifest.base.path, forms)


def _measure(manifest: Manifest) -> str:
    found = main_measure(manifest)
    return f"{found.name} {found.value:.3f} (base {found.base_shown})" if found else "not evaluated"


def _listed_object(one: Listed) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": one.name, "promoted": one.promoted, "problem": one.problem}
    if one.manifest is not None:
        found = main_measure(one.manifest)
        kept = {"method", "objective", "created", "quantization", "base", "artefacts", "metrics"}
        shown |= one.manifest.model_dump(include=kept)
        shown["measure"] = found.to_json() if found else None
    return shown


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False))
