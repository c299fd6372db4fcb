"""What `python -m rag sync` shows: each source in turn, what became of it, and why."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

import settings
from rag.catalog import Catalog
from rag.config import RagConfig
from rag.errors import RagError
from rag.ingest import IngestReport
from rag.ingest_command import ingest_bar, print_report
from rag.knowledge import Knowledge, open_knowledge
from rag.schema import Failure
from rag.sources_file import SourcesConfig, open_source
from rag.sync import Named, plan_sync, sync

out = Console(highlight=False, emoji=False)


def read_sources(path: Path) -> SourcesConfig:
    """Raises SettingsError, which names every mistake."""
    return settings.load(SourcesConfig, path, ())


def run(
    config: RagConfig,
    sources: SourcesConfig,
    names: Sequence[str],
    *,
    dry_run: bool,
    prune_all: bool,
    as_json: bool,
) -> bool:
    """Sync the named sources, or all; whether nothing failed. A source that fails costs itself."""
    unknown = [name for name in names if name not in sources.sources]
    if unknown or not sources.sources:
        raise RagError(_no_such_source(unknown, sources))
    knowledge = None if dry_run else open_knowledge(config)
    catalog = Catalog(config) if knowledge is None else knowledge.catalog
    went_well = True
    for name in names or sources.sources:
        report = _sync_one(config, sources, name, knowledge, catalog, prune_all, not as_json)
        went_well = went_well and not report.failures
        if as_json:
            values = {"source": name, "dry_run": dry_run, **dataclasses.asdict(report)}
            print(json.dumps(values, ensure_ascii=False))
        else:
            out.print(f"[bold]{escape(name)}[/] ", end="")
            print_report(report, dry_run=dry_run, as_json=False)
    if not names and not as_json:
        _mention_forgotten(catalog, sources)
    return went_well


def forget(config: RagConfig, name: str, as_json: bool) -> None:
    """Delete every document that came from the source `name`."""
    catalog = Catalog(config)
    deleted = catalog.delete(catalog.uris(name).values()) if name else 0
    if not deleted:
        raise RagError(f"no document comes from a source '{name}': `python -m rag list` shows them")
    print(json.dumps({"deleted": deleted})) if as_json else out.print(f"Deleted {deleted}.")


def _sync_one(
    config: RagConfig,
    sources: SourcesConfig,
    name: str,
    knowledge: Knowledge | None,
    catalog: Catalog,
    prune_all: bool,
    show: bool,
) -> IngestReport:
    described = sources.sources[name]
    try:
        source = open_source(name, described, config)
        groups = described.readers or frozenset(config.ingest.groups)
        named = Named(name, source, groups)
        with ingest_bar(show) as bar:
            task = bar.add_task(f"listing {name}", total=None, name="")
            if knowledge is None:
                return plan_sync(
                    catalog, named, config, lambda listed: bar.update(task, completed=listed)
                )
            return sync(
                knowledge,
                named,
                lambda document, done, total: bar.update(
                    task,
                    description=f"syncing {name}",
                    completed=done,
                    total=total,
                    name=escape(document[-40:]),
                ),
                lambda listed: bar.update(task, completed=listed),
                prune_all=prune_all,
            )
    except RagError as error:
        return IngestReport(failures=[Failure("", name, str(error))])


def _mention_forgotten(catalog: Catalog, sources: SourcesConfig) -> None:
    for name, count in catalog.count_by_source().items():
        if name and name not in sources.sources:
            out.print(
                f"[yellow]note:[/] {count} documents come from '{escape(name)}', which is not "
                f"listed any more: `python -m rag sync --forget {escape(name)}` deletes them",
                soft_wrap=True,
            )


def _no_such_source(unknown: Sequence[str], sources: SourcesConfig) -> str:
    known = ", ".join(sources.sources)
    if not known:
        return "no source is listed: describe some in configs/sources.yaml (docs/ingesting.md)"
    return f"there is no source '{unknown[0]}'; there are: {known}"
