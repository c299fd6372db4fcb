"""What `python -m rag ingest` and `reindex` show while they work."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from rag.catalog import Catalog
from rag.config import RagConfig
from rag.embed import open_embedder
from rag.ingest import IngestReport, ingest, plan, prune
from rag.ingest import reindex as embed_again
from rag.knowledge import Knowledge, open_knowledge
from rag.schema import Failure, RawDocument
from rag.source import FileSource

out = Console(highlight=False, emoji=False)


def run(
    config: RagConfig,
    paths: Sequence[Path],
    groups: frozenset[str],
    *,
    remove_gone: bool,
    dry_run: bool,
    as_json: bool,
) -> bool:
    """Ingest `paths` and print a summary; whether every document went in."""
    source = FileSource(paths, max_bytes=config.ingest.max_file_mb * 1024 * 1024)
    items = list(source.documents())
    if dry_run:
        report = plan(Catalog(config), items, source.roots() if remove_gone else (), config, groups)
    else:
        knowledge = open_knowledge(config)
        report = ingest_with_bar(knowledge, items, groups, show=not as_json)
        if remove_gone:
            prune(knowledge, items, source.roots(), report)
    if not items:
        nothing = Failure("", ", ".join(map(str, paths)), "holds no documents of a supported kind")
        report.failures.append(nothing)
    if as_json:
        print(json.dumps({"dry_run": dry_run, **dataclasses.asdict(report)}, ensure_ascii=False))
    else:
        _print_summary(report, dry_run)
    return not report.failures


def reindex(config: RagConfig) -> None:
    """Embed everything stored with the configured embedder, with a progress bar."""
    catalog, embedder = Catalog(config), open_embedder(config.embedder)
    with _bar("passages") as bar:
        task = bar.add_task("embedding", total=catalog.count_chunks(), name="")
        done = embed_again(catalog, embedder, lambda n: bar.update(task, completed=n))
    open_knowledge(config, embedder).index.save()
    out.print(f"{done} passages embedded with {embedder.fingerprint}.")


def ingest_with_bar(
    knowledge: Knowledge,
    items: Sequence[RawDocument | Failure],
    groups: frozenset[str],
    show: bool,
) -> IngestReport:
    """`rag.ingest.ingest` behind a progress bar."""
    with _bar("documents", disable=not show) as bar:
        task = bar.add_task("ingesting", total=len(items), name="")
        return ingest(
            knowledge,
            items,
            groups,
            lambda name, done, total: bar.update(task, completed=done, name=escape(name[-40:])),
        )


class _Rate(ProgressColumn):
    """Documents, or passages, a second since the start."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        rate = task.completed / task.elapsed if task.elapsed else 0.0
        return Text(f"{rate:.1f} {self._unit}/s")


def _bar(unit: str, disable: bool = False) -> Progress:
    """A progress bar with its rate, on the terminal's error stream."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(unit),
        TimeRemainingColumn(),
        TextColumn("{task.fields[name]}"),
        console=Console(stderr=True),
        disable=disable,
    )


def _print_summary(report: IngestReport, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    rows = {
        f"{would}added": len(report.added),
        f"{would}changed": len(report.changed),
        f"{would}given to other readers": len(report.regrouped),
        f"{would}removed": len(report.removed),
        "unchanged": report.unchanged,
        "failed": len(report.failures),
    }
    counts = ", ".join(f"{n} {what}" for what, n in rows.items() if n) or "nothing to do"
    rate = len(report.added) + len(report.changed)
    speed = f" ({rate / report.seconds:.1f} documents/s)" if rate and report.seconds else ""
    out.print(f"{counts}; {report.chunks} passages embedded in {report.seconds:.1f} s{speed}.")
    notes = [(name, f"note: {warning}") for name, warning in report.warnings]
    failed = [(failure.name, failure.reason) for failure in report.failures]
    if notes or failed:
        table = Table("document", "what happened", title="Look at these" if failed else None)
        for name, reason in failed:
            table.add_row(escape(name), f"[red]failed:[/] {escape(reason)}")
        for name, note in notes:
            table.add_row(escape(name), escape(note))
        out.print(table)
