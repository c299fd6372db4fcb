"""What `python -m rag ingest` and `reindex` show while they work."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
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
from rag.errors import RagError
from rag.ingest import IngestReport, ingest
from rag.knowledge import Knowledge, open_knowledge
from rag.plan import catalog_to_look_at, plan
from rag.prune import gone, prune
from rag.reembed import progress, reembed
from rag.schema import Failure, RawDocument
from rag.sources.files import FileSource

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)

_GLANCE_MS = 250
"""Of a watch, between two looks at whether it was interrupted."""


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
    source = _files(config, paths)
    items = list(source.documents())
    if dry_run:
        with catalog_to_look_at(config) as catalog:
            stale = gone(catalog, items, source.roots()) if remove_gone else {}
            report = plan(catalog, items, stale, config, groups)
    else:
        report = _take_in(open_knowledge(config), source, items, groups, remove_gone, not as_json)
    if not items:
        nothing = Failure("", ", ".join(map(str, paths)), "holds no documents of a supported kind")
        report.failures.append(nothing)
    print_report(report, dry_run=dry_run, as_json=as_json)
    return not report.failures


def watch(
    config: RagConfig,
    paths: Sequence[Path],
    groups: frozenset[str],
    *,
    remove_gone: bool,
    as_json: bool,
) -> None:
    """Ingest `paths`, then again whenever something below them changes, until interrupted.

    Each pass looks at all files but reads only those whose stamp has changed. Shares mounted over
    the network tell nobody of changes: there set WATCHFILES_FORCE_POLLING=true.
    """
    if missing := [str(path) for path in paths if not path.exists()]:
        raise RagError(f"{', '.join(missing)} does not exist: only what is there can be watched")
    knowledge, source = open_knowledge(config), _files(config, paths)
    told = f"Watching {', '.join(map(str, paths))}; Ctrl-C ends it."
    (err if as_json else out).print(escape(told), soft_wrap=True)
    first = True
    with suppress(KeyboardInterrupt):  # also in the middle of a pass: what is committed stays
        for _change in _changes(paths, config.data_dir):
            items = list(source.documents())
            report = ingest_with_bar(knowledge, items, groups, show=False)
            if remove_gone:
                prune(knowledge, items, source.roots(), report, even_most=False)
            if did_something(report) or first:
                print_report(report, dry_run=False, as_json=as_json)
            first = False
    knowledge.close()


def _changes(paths: Sequence[Path], data_dir: Path) -> Iterator[None]:
    """Once at the start, then whenever something below `paths` changed, until interrupted.

    The first comes when the watch is on already: what changes during the first pass is not lost.
    """
    from watchfiles import watch as changes

    own, begun = data_dir.resolve(), False
    for change in changes(
        *paths,
        raise_interrupt=False,
        yield_on_timeout=True,
        rust_timeout=_GLANCE_MS,
        ignore_permission_denied=True,  # each pass says what may not be read
    ):
        foreign = any(not Path(path).resolve().is_relative_to(own) for _, path in change)
        if foreign or not begun:
            begun = True
            yield


def reindex(config: RagConfig) -> None:
    """Embed everything stored with the configured embedder, with a progress bar."""
    catalog, embedder = Catalog(config), open_embedder(config.embedder)
    if catalog.embedder() in (None, embedder.fingerprint):
        out.print(f"Nothing to do: the passages are embedded with {embedder.fingerprint}.")
        reembed(catalog, embedder)
        return
    done, total = progress(catalog)
    with _bar("passages") as bar:
        task = bar.add_task("embedding", total=total, completed=done, name="")
        reembed(catalog, embedder, lambda n: bar.update(task, completed=n))
    open_knowledge(config, embedder).index.save()
    out.print(f"{total} passages embedded with {embedder.fingerprint}.")


def ingest_with_bar(
    knowledge: Knowledge,
    items: Sequence[RawDocument | Failure],
    groups: frozenset[str],
    show: bool,
) -> IngestReport:
    """`rag.ingest.ingest` behind a progress bar."""
    with ingest_bar(show) as bar:
        task = bar.add_task("ingesting", total=len(items), name="")
        return ingest(
            knowledge,
            items,
            groups,
            lambda name, done, total: bar.update(task, completed=done, name=escape(name[-40:])),
        )


def did_something(report: IngestReport) -> bool:
    """Whether a run changed anything, or has something to complain of."""
    lists = (report.added, report.changed, report.regrouped, report.relabelled, report.removed)
    return any(lists) or bool(report.failures)


def print_report(report: IngestReport, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        values = {"dry_run": dry_run, **dataclasses.asdict(report)}
        print(json.dumps(values, ensure_ascii=False), flush=True)
    else:
        _print_summary(report, dry_run)


def ingest_bar(show: bool) -> Progress:
    return _bar("documents", disable=not show)


def _files(config: RagConfig, paths: Sequence[Path]) -> FileSource:
    return FileSource(paths, max_bytes=config.ingest.max_file_mb * 1024 * 1024)


def _take_in(
    knowledge: Knowledge,
    source: FileSource,
    items: Sequence[RawDocument | Failure],
    groups: frozenset[str],
    remove_gone: bool,
    show: bool,
) -> IngestReport:
    report = ingest_with_bar(knowledge, items, groups, show)
    if remove_gone:
        prune(knowledge, items, source.roots(), report)
    return report


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
        f"{would}described anew": len(report.relabelled),
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
