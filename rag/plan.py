"""A dry run: what an ingest would do, without parsing, embedding or writing anything."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from rag.catalog import Catalog
from rag.catalog_rows import KnownDocument
from rag.compare import owner_conflict, state_of
from rag.config import RagConfig
from rag.errors import SourceError
from rag.failures import known_failures
from rag.ingest import IngestReport, attempt, note_failed, note_same_bytes, recipe, tried_before
from rag.schema import EVERYONE, Failure, RawDocument


def plan(
    catalog: Catalog,
    items: Sequence[RawDocument | Failure],
    gone: dict[str, int],
    config: RagConfig,
    groups: frozenset[str],
    source: str = "",
) -> IngestReport:
    """What `ingest` of these items, and the removal of `gone`, would do.

    Documents whose stamp has changed are read, but not parsed: one that turns out to hold nothing
    readable counts as added or changed here. New documents are not even read.
    """
    report = IngestReport(removed=sorted(gone))
    uris = [item.uri for item in items]
    known, failed = catalog.known(uris), known_failures(catalog, uris)
    for item in items:
        there = known.get(item.uri)
        if isinstance(item, Failure):
            report.failures.append(item)
        elif conflict := owner_conflict(there, source):
            report.failures.append(Failure(item.uri, item.name, conflict))
        elif there is None and item.uri not in failed:
            report.added.append(item.name)
        else:
            _compare(item, there, failed, config, groups or frozenset({EVERYONE}), source, report)
    return report


@contextmanager
def catalog_to_look_at(config: RagConfig) -> Iterator[Catalog]:
    """The catalog for a dry run; an empty one that is gone afterwards where there is none yet."""
    path = sa.make_url(config.database_url).database if config.database_url else None
    if (Path(path) if path else config.data_dir / "vsage.db").exists():
        with closing(Catalog(config)) as catalog:
            yield catalog
        return
    with TemporaryDirectory() as folder:
        nowhere = config.model_copy(update={"data_dir": Path(folder), "database_url": ""})
        with closing(Catalog(nowhere)) as catalog:
            yield catalog


def _compare(
    raw: RawDocument,
    known: KnownDocument | None,
    failed: dict[str, tuple[str, str, str]],
    config: RagConfig,
    groups: frozenset[str],
    source: str,
    report: IngestReport,
) -> None:
    state, wanted = state_of(raw, groups, source), recipe(config)
    if known and known.recipe == wanted and raw.stamp and raw.stamp == known.state.stamp:
        note_same_bytes(raw, state, known, report)
        return
    try:
        sha256 = hashlib.sha256(raw.load()).hexdigest()
    except SourceError as error:
        note_failed(raw, state, known, str(error), report)
        return
    if known and (known.sha256, known.recipe) == (sha256, wanted):
        note_same_bytes(raw, state, known, report)
    elif reason := tried_before(failed, raw.uri, sha256, attempt(config)):
        note_failed(raw, state, known, reason, report)
    else:
        (report.changed if known else report.added).append(raw.name)
