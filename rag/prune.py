"""What the catalog still holds of documents that their source no longer has."""

from __future__ import annotations

from collections.abc import Sequence

from rag.catalog import Catalog
from rag.ingest import IngestReport
from rag.knowledge import Knowledge
from rag.schema import Failure, RawDocument
from rag.source import within

_MANY, _SHARE = 20, 0.5


def prune(
    knowledge: Knowledge,
    items: Sequence[RawDocument | Failure],
    roots: Sequence[str],
    report: IngestReport,
) -> None:
    """Delete documents ingested by hand from below `roots` that are no longer there."""
    stale = gone(knowledge.catalog, items, roots)
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
    held = knowledge.catalog.uris(source)
    stale = not_listed(held, items)
    if len(stale) > max(_MANY, _SHARE * len(held)) and not even_most:
        reason = (
            f"lists {len(held) - len(stale)} of the {len(held)} documents it had: none of the "
            f"others was removed; if they are gone: `python -m rag sync {source} --prune-all`"
        )
        report.failures.append(Failure("", source, reason))
        return
    remove(knowledge, stale, report)


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
