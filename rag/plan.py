"""A dry run: what an ingest would do, without parsing, embedding or writing anything."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from rag.catalog import Catalog
from rag.catalog_rows import KnownDocument
from rag.config import RagConfig
from rag.errors import SourceError
from rag.ingest import IngestReport, owner_conflict, recipe, state_of
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

    Documents whose stamp has changed are read, but not parsed.
    """
    report = IngestReport(removed=sorted(gone))
    known = catalog.known([item.uri for item in items])
    for item in items:
        if isinstance(item, Failure):
            report.failures.append(item)
        elif conflict := owner_conflict(known.get(item.uri), source):
            report.failures.append(Failure(item.uri, item.name, conflict))
        elif (there := known.get(item.uri)) is None:
            report.added.append(item.name)
        else:
            _compare(item, there, config, groups or frozenset({EVERYONE}), source, report)
    return report


def _compare(
    raw: RawDocument,
    known: KnownDocument,
    config: RagConfig,
    groups: frozenset[str],
    source: str,
    report: IngestReport,
) -> None:
    state = state_of(raw, groups, source)
    if known.recipe != recipe(config) or not raw.stamp or raw.stamp != known.state.stamp:
        try:
            sha256 = hashlib.sha256(raw.load()).hexdigest()
        except SourceError as error:
            report.failures.append(Failure(raw.uri, raw.name, str(error)))
            return
        if (known.sha256, known.recipe) != (sha256, recipe(config)):
            report.changed.append(raw.name)
            return
    if state.groups != known.state.groups:
        report.regrouped.append(raw.name)
    elif state.metadata != known.state.metadata:
        report.relabelled.append(raw.name)
    else:
        report.unchanged += 1
