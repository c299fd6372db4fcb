"""One source brought up to date: list it, take in what has changed, remove what is gone.

A source lists everything it has now, each document with a stamp; only documents whose stamp or
bytes have changed are loaded. So a run that is killed at any moment is simply run again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rag.catalog import Catalog
from rag.config import RagConfig
from rag.ingest import IngestReport, OnDocument, ingest
from rag.knowledge import Knowledge
from rag.plan import plan
from rag.prune import not_listed, prune_source, too_many
from rag.schema import Failure, RawDocument
from rag.source import Source


@dataclass(frozen=True, slots=True)
class Named:
    """A source as `configs/sources.yaml` names it, and who may read what it does not restrict."""

    name: str
    source: Source
    groups: frozenset[str]


def sync(
    knowledge: Knowledge,
    named: Named,
    on_document: OnDocument = lambda name, done, total: None,
    on_listed: Callable[[int], None] = lambda listed: None,
    *,
    prune_all: bool = False,
) -> IngestReport:
    """Bring the catalog up to one source. Raises CatalogError."""
    items = list_source(named.source, on_listed)
    report = ingest(knowledge, items, named.groups, on_document, source=named.name)
    prune_source(knowledge, items, named.name, report, even_most=prune_all)
    return report


def plan_sync(
    catalog: Catalog,
    named: Named,
    config: RagConfig,
    on_listed: Callable[[int], None] = lambda listed: None,
    *,
    prune_all: bool = False,
) -> IngestReport:
    """What `sync` would do."""
    items = list_source(named.source, on_listed)
    stale = not_listed(catalog.uris(named.name), items)
    refused = None if prune_all else too_many(stale, items, named.name)
    report = plan(catalog, items, {} if refused else stale, config, named.groups, named.name)
    report.failures += [refused] if refused else []
    return report


def list_source(source: Source, on_listed: Callable[[int], None]) -> list[RawDocument | Failure]:
    items: list[RawDocument | Failure] = []
    for item in source.documents():
        items.append(item)
        on_listed(len(items))
    return items
