"""Look at the documents that are there, and delete some."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

import settings
from rag.commands.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    Overrides,
    load,
    out,
    print_json,
)
from rag.errors import RagError
from rag.schema import Document


def list_documents(
    overrides: Overrides = None, as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """List the documents in the knowledge base."""
    from rag.catalog import Catalog

    documents = Catalog(load(config, overrides)).list_documents()
    if as_json:
        for document in documents:
            print_json(document)
        return
    table = Table("id", "title", "name", "passages", "readers", "ingested")
    for document in documents:
        table.add_row(
            str(document.id),
            escape(document.title),
            escape(document.name),
            str(document.chunks),
            escape(", ".join(sorted(document.groups))),
            f"{document.ingested:%Y-%m-%d %H:%M}",
        )
    out.print(table if documents else "No documents yet: `python -m rag ingest PATH...` adds some.")


def show(
    document: Annotated[str, typer.Argument(help="Its id, name or URI.")],
    overrides: Overrides = None,
    text: Annotated[bool, typer.Option("--text", help="Also print the parsed text.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show one document: where it came from, who may read it, and its text."""
    from rag.catalog import Catalog

    catalog = Catalog(load(config, overrides))
    found = _find(catalog, document)
    body = catalog.text(found.id) if text else None
    if as_json:
        print_json(found, text=body)
        return
    for field in dataclasses.fields(found):
        out.print(f"[bold]{field.name:>10}[/]  {_plain(getattr(found, field.name))}")
    if body is not None:
        print(f"\n{body}")


def delete(
    documents: Annotated[list[str], typer.Argument(help="Ids, names or URIs; [KEY=VALUE]...")],
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Delete documents with all their passages, at once and for every reader."""
    from rag.catalog import Catalog

    keys, overrides = settings.split_overrides(documents)
    catalog = Catalog(load(config, overrides))
    found = [_find(catalog, key) for key in keys]
    deleted = catalog.delete({document.id for document in found})
    if as_json:
        print(json.dumps({"deleted": deleted}))
    else:
        out.print(f"Deleted {deleted}: " + ", ".join(escape(document.title) for document in found))


def _find(catalog: Any, key: str) -> Document:
    found: Document | None = catalog.find_document(key)
    if found is None:
        raise RagError(f"there is no document '{key}': `python -m rag list` shows those there are")
    return found


def _plain(value: Any) -> str:
    if isinstance(value, frozenset | tuple):
        return escape(", ".join(sorted(map(str, value)))) or "-"
    return "-" if value is None else escape(str(value))
