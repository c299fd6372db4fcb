"""What the catalog still holds of documents that their source no longer has."""

from __future__ import annotations

from collections.abc import Sequence

from rag.catalog import Catalog
from rag.ingest import IngestReport
from rag.knowledge import Knowledge
from rag.schema import Failure, RawDocument
from rag.source import within

_FEW = 20
"""As many may always go at once, as long as something is left."""


def prune(
    knowledge: Knowledge,
    items: Sequence[RawDocument | Failure],
    roots: Sequence[str],
    report: IngestReport,
    *,
    even_most: bool = True,
) -> None:
    """Delete documents ingested by hand from below `roots` that are no longer there.

    Whoever asks for that means it; where nobody looks on, `even_most` False spares what too short
    a listing lacks, and says so.
    """
    stale = gone(knowledge.catalog, items, roots)
    if not even_most and (refused := too_many(stale, items)):
        report.failures.append(refused)
        return
    remove(knowledge, stale, report)


def prune_source(
    knowledge: Knowledge,
    items: Sequence[RawDocument | Failure],
    source: str,
    report: IngestReport,
    *,
    even_most: bool,
) -> None:
    """Delete documents of `source` that it no longer lists.

    A listing that suddenly lacks most documents looks like an account that lost its rights or a
    share that is not mounted: then nothing is deleted, and the report says so, unless `even_most`.
    """
    stale = not_listed(knowledge.catalog.uris(source), items)
    if not even_most and (refused := too_many(stale, items, source)):
        report.failures.append(refused)
        return
    remove(knowledge, stale, report)


def too_many(
    stale: dict[str, int], items: Sequence[RawDocument | Failure], source: str = ""
) -> Failure | None:
    """Why a listing is not believed: it holds nothing, or less than what is missing from it.

    Judged by the listing alone, so that a dry run finds the same before the run as the run itself.
    """
    listed = sum(isinstance(item, RawDocument) for item in items)
    if not stale or (listed and len(stale) <= max(_FEW, listed)):
        return None
    command = f"sync {source} --prune-all" if source else "ingest PATH --prune"
    reason = (
        f"lists {listed} documents, and no longer {len(stale)} of those it had: none of these was "
        f"removed; if they are gone: `python -m rag {command}`"
    )
    return Failure("", source or "--prune", reason)


def remove(knowledge: Knowledge, stale: dict[str, int], report: IngestReport) -> None:
    """Delete these documents, given as URI -> id, and note them."""
    if not stale:
        return
    knowledge.catalog.delete(stale.values())
    report.removed += sorted(stale)
    knowledge.refresh()
    knowledge.index.save()


def gone(
    catalog: Catalog, items: Sequence[RawDocument | Failure], roots: Sequence[str]
) -> dict[str, int]:
    """URI -> id of documents ingested by hand below `roots` that are not among `items`."""
    held = {
        uri: document_id
        for uri, document_id in catalog.uris(source="").items()
        if any(within(uri, root) for root in roots)
    }
    return not_listed(held, items)


def not_listed(held: dict[str, int], items: Sequence[RawDocument | Failure]) -> dict[str, int]:
    """Those of `held` that are not among `items`.

    What lies below a folder that could not be listed is not gone: nobody knows.
    """
    present = {item.uri for item in items}
    unlisted = [item.uri for item in items if isinstance(item, Failure)]
    return {
        uri: document_id
        for uri, document_id in held.items()
        if uri not in present and not any(within(uri, failed) for failed in unlisted)
    }
