"""Documents -> catalog and index: load, parse, chunk, embed, store.

What is stored is decided document by document, so that a document that cannot be read costs itself
alone; what is committed is a batch of whole documents in one transaction, so that a process killed
at any moment leaves no half document and the next run takes up where it ended. Parsing runs ahead
in worker processes while this one embeds.
"""

from __future__ import annotations

import atexit
import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache

from rag.catalog_rows import KnownDocument, NewDocument, State, Update
from rag.chunk import chunk_document, embedding_text, place
from rag.compare import narrowed, owner_conflict, state_of, updated
from rag.config import IngestConfig, RagConfig
from rag.embed import Embedder
from rag.errors import EmbedderChanged, ParseError, SourceError
from rag.failures import known_failures, remember_failure
from rag.knowledge import Knowledge
from rag.parsers.worker import ParserDied, ParserPool
from rag.schema import EVERYONE, Failure, ParsedDocument, RawDocument
from rag.screening import screened

PARSER_VERSION = 6
"""Raised when the parsers' output changes, so that unchanged files are parsed again."""
_BATCH_CHUNKS = 512
_WINDOW = 256  # documents looked up in the catalog at a time
_AHEAD_DOCUMENTS, _AHEAD_BYTES = 64, 64 * 1024 * 1024


@dataclass(slots=True)
class IngestReport:
    """What one run did."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: int = 0
    regrouped: list[str] = field(default_factory=list)
    """Given to other readers."""
    relabelled: list[str] = field(default_factory=list)
    """Given another name, product, version, label or address."""
    removed: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    chunks: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Batch:
    """What the next transaction will hold."""

    new: list[NewDocument] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Parsing:
    """A document that is with a parser."""

    raw: RawDocument
    state: State
    sha256: str
    size: int
    known: KnownDocument | None
    parsed: Future[ParsedDocument]


OnDocument = Callable[[str, int, int], None]
"""Called after each document with its name, how many are done, and how many there are."""


def ingest(
    knowledge: Knowledge,
    items: Sequence[RawDocument | Failure],
    groups: frozenset[str],
    on_document: OnDocument = lambda name, done, total: None,
    *,
    source: str = "",
) -> IngestReport:
    """Bring the catalog up to `items`; unchanged documents are skipped by stamp or hash.

    `groups` may read what its source names no readers of. A document that fails keeps its former
    version, if there is one. Raises CatalogError when the catalog cannot be written; what was
    committed by then stays.
    """
    report = IngestReport()
    started = time.monotonic()
    batch = Batch()
    done = 0
    for item in _parsed_ahead(knowledge, items, groups or frozenset({EVERYONE}), source, report):
        if isinstance(item, Update):
            batch.updates.append(item)
        elif isinstance(item, Parsing):
            _finish(knowledge, item, batch, report)
        else:
            done += 1
            on_document(item, done, len(items))
        if _is_full(batch, knowledge.config):
            _commit(knowledge, batch, report)
            batch = Batch()
    _commit(knowledge, batch, report)
    knowledge.refresh()
    knowledge.index.save()
    report.seconds = time.monotonic() - started
    return report


def recipe(config: RagConfig) -> str:
    """What, beside its bytes, decides the chunks of a document."""
    ocr = ", ocr" if config.ingest.ocr else ""
    chunk = config.chunk
    sizes = f"{chunk.max_tokens}/{chunk.overlap_sentences}/{config.block_tokens}"
    return f"parser {PARSER_VERSION}{ocr}, chunk {sizes}"


def attempt(config: RagConfig) -> str:
    """What, beside its bytes, decides whether a document kills its parser."""
    limits = f"{config.ingest.parse_timeout_s:g} s, {config.ingest.parse_memory_mb} MB"
    return f"{recipe(config)}, {limits}"


def note_same_bytes(
    raw: RawDocument, state: State, known: KnownDocument, report: IngestReport
) -> Update | None:
    """The same bytes: whatever else is new about the document."""
    if state.groups != known.state.groups:
        report.regrouped.append(raw.name)
    elif (state.metadata, state.name) != (known.state.metadata, known.state.name):
        report.relabelled.append(raw.name)
    else:
        report.unchanged += 1
    return updated(state, known)


def note_failed(
    raw: RawDocument, state: State, known: KnownDocument | None, reason: str, report: IngestReport
) -> Update | None:
    """The former version stays, but never with readers that its source has since shut out."""
    report.failures.append(Failure(raw.uri, raw.name, reason))
    update = narrowed(state, known)
    if update is not None:
        report.regrouped.append(raw.name)
    return update


def tried_before(failed: dict[str, tuple[str, str, str]], uri: str, *key: str) -> str | None:
    """Why these bytes are not given to a parser again; `key` is their hash and `attempt`."""
    *same, reason = failed.get(uri, ("",))
    return f"{reason} (not tried again until it changes)" if same == list(key) else None


def _parsed_ahead(
    knowledge: Knowledge,
    items: Sequence[RawDocument | Failure],
    groups: frozenset[str],
    source: str,
    report: IngestReport,
) -> Iterator[Update | Parsing | str]:
    """What is to be stored, in order, and the name of each document that is thereby done.

    Keeps the parsers busy with documents that come later while the caller embeds; what they hold
    is bounded in number and bytes.
    """
    waiting: deque[tuple[str, Update | Parsing | None]] = deque()
    held = 0
    for start in range(0, len(items), _WINDOW):
        window = items[start : start + _WINDOW]
        uris = [item.uri for item in window]
        known = knowledge.catalog.known(uris)
        failed = known_failures(knowledge.catalog, uris)
        for item in window:
            step = None
            if isinstance(item, Failure):
                report.failures.append(item)
            else:
                state = state_of(item, groups, source)
                step = _begin(knowledge, item, state, known.get(item.uri), failed, report)
            waiting.append((item.name, step))
            held += step.size if isinstance(step, Parsing) else 0
            while len(waiting) > _AHEAD_DOCUMENTS or held > _AHEAD_BYTES:
                name, first = waiting.popleft()
                held -= first.size if isinstance(first, Parsing) else 0
                yield from (first, name) if first is not None else (name,)
    for name, first in waiting:
        yield from (first, name) if first is not None else (name,)


def _begin(
    knowledge: Knowledge,
    raw: RawDocument,
    state: State,
    known: KnownDocument | None,
    failed: dict[str, tuple[str, str, str]],
    report: IngestReport,
) -> Update | Parsing | None:
    """Compare one document with what is known of it; load it and hand it to a parser if needed."""
    if conflict := owner_conflict(known, state.source):
        report.failures.append(Failure(raw.uri, raw.name, conflict))
        return None
    wanted = recipe(knowledge.config)
    if known and known.recipe == wanted and raw.stamp and raw.stamp == known.state.stamp:
        return note_same_bytes(raw, state, known, report)
    try:
        data = raw.load()
    except SourceError as error:
        return note_failed(raw, state, known, str(error), report)
    sha256 = hashlib.sha256(data).hexdigest()
    if known and (known.sha256, known.recipe) == (sha256, wanted):
        return note_same_bytes(raw, state, known, report)
    if reason := tried_before(failed, raw.uri, sha256, attempt(knowledge.config)):
        return note_failed(raw, state, known, reason, report)
    parsed = _parsers(knowledge.config.ingest).submit(data, raw.name + raw.suffix)
    return Parsing(raw, state, sha256, len(data), known, parsed)


def _finish(knowledge: Knowledge, parsing: Parsing, batch: Batch, report: IngestReport) -> None:
    """Wait for the parser, then cut the document into passages."""
    raw, config = parsing.raw, knowledge.config
    try:
        parsed = parsing.parsed.result()
    except ParseError as error:
        if isinstance(error, ParserDied):
            key = (parsing.sha256, attempt(config))
            remember_failure(knowledge.catalog, raw.uri, *key, str(error))
        update = note_failed(raw, parsing.state, parsing.known, str(error), report)
        batch.updates += [update] if update else []
        return
    chunks = chunk_document(
        parsed,
        knowledge.embedder.token_starts,
        config.chunk.max_tokens,
        config.chunk.overlap_sentences,
        config.block_tokens,
    )
    report.warnings += [(raw.name, warning) for warning in parsed.warnings]
    (report.changed if parsing.known else report.added).append(raw.name)
    state = parsing.state
    batch.new.append(
        NewDocument(
            uri=raw.uri,
            name=raw.name,
            sha256=parsing.sha256,
            size=parsing.size,
            modified=state.modified,
            groups=state.groups,
            recipe=recipe(config),
            parsed=parsed,
            chunks=chunks,
            source=state.source,
            stamp=state.stamp,
            metadata=state.metadata,
        )
    )


def _is_full(batch: Batch, config: RagConfig) -> bool:
    many = len(batch.new) >= config.ingest.batch_documents or len(batch.updates) >= _WINDOW
    return many or sum(len(new.chunks) for new in batch.new) >= _BATCH_CHUNKS


def _commit(knowledge: Knowledge, batch: Batch, report: IngestReport) -> None:
    """Embed all chunks of the batch together (sorted by length there) and store them."""
    texts = [
        embedding_text(place(new.parsed.title, chunk.heading_path), chunk.text)
        for new in batch.new
        for chunk in new.chunks
    ]
    batch.new = screened(knowledge.screen, batch.new, texts, report.warnings)
    embedder = knowledge.embedder  # taken once: it may be changed by another thread at any time
    try:
        _store(knowledge, batch, texts, embedder)
    except EmbedderChanged:
        embedder, _ = knowledge.refresh()  # raises where this process lacks the new one
        _store(knowledge, batch, texts, embedder)
    report.chunks += len(texts)


def _store(knowledge: Knowledge, batch: Batch, texts: Sequence[str], embedder: Embedder) -> None:
    vectors = embedder.encode(texts)
    knowledge.catalog.store(batch.new, vectors, embedder.fingerprint, batch.updates)


def _parsers(config: IngestConfig) -> ParserPool:
    return _open_parsers(config.parsers, config.parse_timeout_s, config.parse_memory_mb, config.ocr)


@lru_cache
def _open_parsers(workers: int, timeout_s: float, memory_mb: int, ocr: bool) -> ParserPool:
    """One pool a process and configuration: starting a parser costs more than most documents."""
    pool = ParserPool(workers, timeout_s, memory_mb, ocr)
    atexit.register(pool.close)
    return pool
