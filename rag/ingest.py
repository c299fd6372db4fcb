"""Documents -> catalog and index, in five steps: load, parse, chunk, embed, store.

What is stored is decided document by document, so that a document that cannot be read costs itself
alone; what is committed is a batch of whole documents in one transaction, so that a process killed
at any moment leaves no half document and the next run takes up where it ended.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rag.catalog import Catalog
from rag.catalog_rows import NewDocument
from rag.chunk import chunk_document, embedding_text, place
from rag.config import RagConfig
from rag.embed import Embedder
from rag.errors import ParseError, SourceError
from rag.knowledge import Knowledge
from rag.parse import parse
from rag.schema import EVERYONE, Failure, RawDocument
from rag.source import within

log = logging.getLogger(__name__)

PARSER_VERSION = 1
"""Raised when the parsers' output changes, so that unchanged files are parsed again."""
_BATCH_CHUNKS = 512


@dataclass(slots=True)
class IngestReport:
    """What one run did; names in the order in which they were met."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: int = 0
    regrouped: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    chunks: int = 0
    seconds: float = 0.0


OnDocument = Callable[[str, int, int], None]
"""Called after each document with its name, how many are done, and how many there are."""


def ingest(
    knowledge: Knowledge,
    items: Sequence[RawDocument | Failure],
    groups: frozenset[str],
    on_document: OnDocument = lambda name, done, total: None,
) -> IngestReport:
    """Bring the catalog up to `items`; unchanged documents are skipped by hash.

    A document that fails keeps its former version, if there is one. Raises CatalogError when the
    catalog cannot be written; what was committed by then stays.
    """
    report = IngestReport()
    groups = groups or frozenset({EVERYONE})  # as the catalog reads it
    started = time.monotonic()
    batch: list[NewDocument] = []
    for done, item in enumerate(items, start=1):
        if isinstance(item, Failure):
            report.failures.append(item)
        else:
            new = _prepare(knowledge, item, groups, report)
            if new is not None:
                batch.append(new)
        if _is_full(batch, knowledge.config):
            _commit(knowledge, batch, report)
            batch = []
        on_document(item.name, done, len(items))
    _commit(knowledge, batch, report)
    knowledge.refresh()
    knowledge.index.save()
    report.seconds = time.monotonic() - started
    return report


def prune(
    knowledge: Knowledge,
    items: Sequence[RawDocument | Failure],
    roots: Sequence[str],
    report: IngestReport,
) -> None:
    """Delete documents below `roots` that the source no longer holds."""
    stale = gone(knowledge.catalog, items, roots)
    knowledge.catalog.delete(stale.values())
    report.removed += sorted(stale)
    knowledge.refresh()
    knowledge.index.save()


def gone(
    catalog: Catalog, items: Sequence[RawDocument | Failure], roots: Sequence[str]
) -> dict[str, int]:
    """URI -> id of documents below `roots` that are not among `items`.

    What lies below a folder that could not be listed is not gone: nobody knows.
    """
    present = {item.uri for item in items}
    unlisted = [item.uri for item in items if isinstance(item, Failure)]
    return {
        uri: document_id
        for uri, document_id in catalog.uris().items()
        if uri not in present
        and any(within(uri, root) for root in roots)
        and not any(within(uri, failed) for failed in unlisted)
    }


def plan(
    catalog: Catalog,
    items: Sequence[RawDocument | Failure],
    roots: Sequence[str],
    config: RagConfig,
    groups: frozenset[str],
) -> IngestReport:
    """What `ingest`, and `prune` of these roots, would do; documents are read but not parsed."""
    report = IngestReport(removed=sorted(gone(catalog, items, roots)))
    groups = groups or frozenset({EVERYONE})
    for item in items:
        if isinstance(item, Failure):
            report.failures.append(item)
            continue
        try:
            sha256 = hashlib.sha256(item.load()).hexdigest()
        except SourceError as error:
            report.failures.append(Failure(item.uri, item.name, str(error)))
            continue
        known = catalog.known(item.uri)
        if known is None:
            report.added.append(item.name)
        elif (known.sha256, known.recipe) != (sha256, recipe(config)):
            report.changed.append(item.name)
        elif known.groups != groups:
            report.regrouped.append(item.name)
        else:
            report.unchanged += 1
    return report


def recipe(config: RagConfig) -> str:
    """What, beside its bytes, decides the chunks of a document."""
    return (
        f"parser {PARSER_VERSION}, chunk {config.chunk.max_tokens}/{config.chunk.overlap_sentences}"
    )


def _prepare(
    knowledge: Knowledge, raw: RawDocument, groups: frozenset[str], report: IngestReport
) -> NewDocument | None:
    """Load, parse and chunk one document, unless the catalog already has it as it is."""
    config = knowledge.config
    try:
        data = raw.load()
        sha256 = hashlib.sha256(data).hexdigest()
        known = knowledge.catalog.known(raw.uri)
        if known and (known.sha256, known.recipe) == (sha256, recipe(config)):
            if known.groups == groups:
                report.unchanged += 1
            else:
                knowledge.catalog.set_groups(known.id, groups)
                report.regrouped.append(raw.name)
            return None
        parsed = parse(data, raw.name + raw.suffix)
    except (SourceError, ParseError) as error:
        report.failures.append(Failure(raw.uri, raw.name, str(error)))
        return None
    except Exception as error:  # a parser library's own bug: costs this document alone
        log.warning("parsing %s failed", raw.name, exc_info=True)
        reason = f"the parser failed: {type(error).__name__}: {error}"
        report.failures.append(Failure(raw.uri, raw.name, reason))
        return None
    chunks = chunk_document(
        parsed,
        knowledge.embedder.token_starts,
        config.chunk.max_tokens,
        config.chunk.overlap_sentences,
    )
    report.warnings += [(raw.name, warning) for warning in parsed.warnings]
    (report.changed if known else report.added).append(raw.name)
    return NewDocument(
        uri=raw.uri,
        name=raw.name,
        sha256=sha256,
        size=len(data),
        modified=raw.modified,
        groups=groups,
        recipe=recipe(config),
        parsed=parsed,
        chunks=chunks,
    )


def _is_full(batch: Sequence[NewDocument], config: RagConfig) -> bool:
    chunks = sum(len(new.chunks) for new in batch)
    return len(batch) >= config.ingest.batch_documents or chunks >= _BATCH_CHUNKS


def _commit(knowledge: Knowledge, batch: Sequence[NewDocument], report: IngestReport) -> None:
    """Embed all chunks of the batch together (sorted by length there) and store them."""
    if not batch:
        return
    texts = [
        embedding_text(place(new.parsed.title, chunk.heading_path), chunk.text)
        for new in batch
        for chunk in new.chunks
    ]
    vectors = knowledge.embedder.encode(texts)
    knowledge.catalog.store(batch, vectors, knowledge.embedder.fingerprint)
    report.chunks += len(texts)


def reindex(
    catalog: Catalog, embedder: Embedder, on_chunks: Callable[[int], None] = lambda done: None
) -> int:
    """Embed every stored chunk with the configured embedder; how many there were.

    All vectors are replaced in one transaction at the end: until then the old ones stay in force,
    and a run that is killed has to be started again. Documents that another process adds meanwhile
    are taken in as long as the loop has not passed them.
    """
    ids: list[int] = []
    halves = [np.zeros((0, embedder.dimension), dtype=np.float16)]
    while rows := catalog.chunk_texts(after=ids[-1] if ids else 0, limit=_BATCH_CHUNKS):
        vectors = embedder.encode([embedding_text(heading, text) for _, heading, text in rows])
        halves.append(vectors.astype(np.float16))
        ids += [chunk_id for chunk_id, _, _ in rows]
        on_chunks(len(ids))
    # Also without any passage: an emptied catalog still names the embedder it had.
    catalog.replace_embeddings(ids, np.concatenate(halves), embedder.fingerprint)
    return len(ids)
