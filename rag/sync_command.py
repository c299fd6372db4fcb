"""What `python -m rag sync` shows: each source in turn, what became of it, and why."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
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
from rag.plan import catalog_to_look_at
from rag.schema import Failure
from rag.sources.site import SourcesConfig, open_source, state_dir
from rag.sync import Named, plan_sync, sync

log = logging.getLogger(__name__)
out = Console(highlight=False, emoji=False)


def read_sources(path: Path) -> SourcesConfig:
    """Raises SettingsError, which names every mistake."""
    if not path.exists():
        raise RagError(f"{path}: no such file: name the one that lists the sources with --sources")
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
    went_well = True
    with ExitStack() as stack:
        knowledge = None if dry_run else open_knowledge(config)
        if knowledge is None:
            catalog = stack.enter_context(catalog_to_look_at(config))
        else:
            catalog = knowledge.catalog
            stack.callback(knowledge.close)
        for name in dict.fromkeys(names or sources.sources):
            report = _sync_one(config, sources, name, knowledge, catalog, prune_all, not as_json)
            went_well = went_well and not report.failures
            if as_json:
                values = {"source": name, "dry_run": dry_run, **dataclasses.asdict(report)}
                print(json.dumps(values, ensure_ascii=False), flush=True)
            else:
                out.print(f"[bold]{escape(name)}[/] ", end="")
                print_report(report, dry_run=dry_run, as_json=False)
        if not names and not as_json:
            _mention_forgotten(catalog, sources)
    return went_well


def forget(config: RagConfig, name: str, as_json: bool) -> None:
    """Delete every document that came from the source `name`, and the copies that it kept."""
    catalog = Catalog(config)
    held = catalog.uris(name) if name else {}
    if not held:
        there = ", ".join(filter(None, catalog.count_by_source())) or "none"
        raise RagError(f"no document comes from a source '{name}'; sources of documents: {there}")
    deleted = catalog.delete(held.values())
    shutil.rmtree(state_dir(name, config), ignore_errors=True)
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
        with open_source(name, described, config) as source, ingest_bar(show) as bar:
            groups = described.readers or frozenset(config.ingest.groups)
            named = Named(name, source, groups)
            task = bar.add_task(f"listing {name}", total=None, name="")
            if knowledge is None:
                return plan_sync(
                    catalog,
                    named,
                    config,
                    lambda listed: bar.update(task, completed=listed),
                    prune_all=prune_all,
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
    except Exception as error:  # whatever is wrong with one source, the others are not to blame
        log.debug("the source %s ended early", name, exc_info=error)
        reason = " ".join(f"ended early by {type(error).__name__}: {error}".split())
        return IngestReport(failures=[Failure("", name, f"{reason}; what was committed stays")])


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
