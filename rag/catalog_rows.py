"""Rows of the catalog's tables <-> the nouns of `rag.schema`; SQL that runs inside a transaction.

Knows nothing about connections, transactions or generations beyond what it is handed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from rag.chunk import place
from rag.schema import Chunk, Document, Hit, Metadata, ParsedDocument
from rag.screen import Screened
from rag.tables import (
    WITHHELD,
    acls,
    chunks,
    documents,
    failures,
    next_vectors,
    removed_chunks,
    verdicts,
)
from rag.verdict_rows import insert_verdicts, select_decisions, text_key

BATCH = 500  # below SQLite's limit of bound parameters


@dataclass(frozen=True, slots=True)
class NewDocument:
    """Everything that one document brings into the catalog, but for its embeddings."""

    uri: str
    name: str
    sha256: str
    size: int
    modified: datetime | None
    groups: frozenset[str]
    recipe: str
    parsed: ParsedDocument
    chunks: Sequence[Chunk]
    source: str = ""
    stamp: str = ""
    metadata: Metadata = Metadata()
    screened: Screened | None = None
    """What the guardrails say of `chunks`; None where there are none here to ask."""


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """What the catalog holds of a document that decides about an update."""

    id: int
    sha256: str
    recipe: str
    state: State


@dataclass(frozen=True, slots=True)
class State:
    """What can change of a document without its bytes."""

    name: str
    groups: frozenset[str]
    source: str
    stamp: str
    metadata: Metadata
    modified: datetime | None


@dataclass(frozen=True, slots=True)
class Update:
    """A document whose bytes are as they were, and what else became of it."""

    document_id: int
    state: State
    visible: bool = True
    """Whether a search could tell; a newer stamp or date alone makes no new generation."""


def insert_document(
    connection: sa.Connection,
    new: NewDocument,
    vectors: Sequence[NDArray[np.float16]],
    generation: int,
) -> None:
    old = connection.execute(sa.select(documents.c.id).where(documents.c.uri == new.uri)).scalar()
    if old is not None:
        remove_documents(connection, [old], generation)
    connection.execute(failures.delete().where(failures.c.uri == new.uri))
    acl_id = ensure_acl(connection, new.groups)
    decided = select_decisions(connection, new.uri)
    document = documents.insert().values(
        uri=new.uri,
        name=new.name,
        title=new.parsed.title,
        media_type=new.parsed.media_type,
        sha256=new.sha256,
        size=new.size,
        modified=new.modified,
        ingested=datetime.now(UTC),
        acl_id=acl_id,
        recipe=new.recipe,
        chunk_count=len(new.chunks),
        warnings=list(new.parsed.warnings),
        page_starts=list(new.parsed.page_starts),
        text=new.parsed.text,
        source=new.source,
        stamp=new.stamp,
        **_metadata_values(new.metadata),
    )
    inserted = connection.execute(document).inserted_primary_key
    document_id = int(inserted[0]) if inserted else 0
    flagged = new.screened.flagged() if new.screened else frozenset()
    rows = []
    for place_in_list, (chunk, vector) in enumerate(zip(new.chunks, vectors, strict=True)):
        heading = place(new.parsed.title, chunk.heading_path)
        decision = decided.get(text_key(heading, chunk.text)) if decided else None
        if decision == "deleted":
            continue
        withheld = place_in_list in flagged and decision != "released"
        values = {
            "document_id": document_id,
            "acl_id": WITHHELD if withheld else acl_id,
            "ordinal": chunk.ordinal,
            "start": chunk.start,
            "end": chunk.end,
            "page": chunk.page,
            "heading_path": list(chunk.heading_path),
            "heading": heading,
            "text": chunk.text,
            "embedding": vector.tobytes(),
            "generation": generation,
        }
        rows.append(values)
    if rows:
        connection.execute(chunks.insert(), rows)
    if new.screened:
        by_ordinal = {c.ordinal: v for c, v in zip(new.chunks, new.screened.verdicts, strict=True)}
        insert_verdicts(connection, document_id, new.screened.rules, by_ordinal)


def remove_documents(
    connection: sa.Connection, document_ids: Sequence[int], generation: int
) -> int:
    theirs = chunks.c.document_id.in_(document_ids)
    gone = sa.select(chunks.c.id, sa.literal(generation)).where(theirs)
    connection.execute(removed_chunks.insert().from_select(["chunk_id", "generation"], gone))
    connection.execute(
        next_vectors.delete().where(
            next_vectors.c.chunk_id.in_(sa.select(chunks.c.id).where(theirs))
        )
    )
    connection.execute(
        verdicts.delete().where(verdicts.c.chunk_id.in_(sa.select(chunks.c.id).where(theirs)))
    )
    # Not left to the cascade: SQLite fires no delete triggers there unless they are recursive.
    connection.execute(chunks.delete().where(theirs))
    return connection.execute(documents.delete().where(documents.c.id.in_(document_ids))).rowcount


def ensure_acl(connection: sa.Connection, groups: frozenset[str]) -> int:
    """The access list of exactly these groups; the empty one lets nobody read."""
    key = json.dumps(sorted(groups))
    found = connection.execute(sa.select(acls.c.id).where(acls.c.groups == key)).scalar()
    if found is not None:
        return int(found)
    inserted = connection.execute(acls.insert().values(groups=key)).inserted_primary_key
    return int(inserted[0]) if inserted else 0


def update_document(connection: sa.Connection, update: Update, generation: int) -> None:
    state = update.state
    values = {
        "name": state.name,
        "source": state.source,
        "stamp": state.stamp,
        "modified": state.modified,
        **_metadata_values(state.metadata),
    }
    this = documents.c.id == update.document_id
    connection.execute(documents.update().where(this).values(**values))
    set_groups(connection, update.document_id, state.groups, generation)


def set_groups(
    connection: sa.Connection, document_id: int, groups: frozenset[str], generation: int
) -> None:
    """Who may read a document; its chunks get the new generation only if that changes.

    What is quarantined stays so.
    """
    acl_id = ensure_acl(connection, groups)
    this = documents.c.id == document_id
    if connection.execute(sa.select(documents.c.acl_id).where(this)).scalar() == acl_id:
        return
    connection.execute(documents.update().where(this).values(acl_id=acl_id))
    connection.execute(
        chunks.update()
        .where(chunks.c.document_id == document_id, chunks.c.acl_id != WITHHELD)
        .values(acl_id=acl_id, generation=generation)
    )


def select_known(connection: sa.Connection, uris: Sequence[str]) -> dict[str, KnownDocument]:
    columns = [
        documents.c[name]
        for name in ("id", "uri", "name", "sha256", "recipe", "source", "stamp", "modified")
    ] + [documents.c[name] for name in ("product", "version", "labels", "url")]
    query = sa.select(*columns, acls.c.groups).join(acls, acls.c.id == documents.c.acl_id)
    found = {}
    for row in connection.execute(query.where(documents.c.uri.in_(uris))):
        metadata = Metadata(row.product, row.version, tuple(row.labels), row.url)
        groups = frozenset(json.loads(row.groups))
        state = State(row.name, groups, row.source, row.stamp, metadata, aware(row.modified))
        found[row.uri] = KnownDocument(row.id, row.sha256, row.recipe, state)
    return found


def _metadata_values(metadata: Metadata) -> dict[str, Any]:
    return {
        "product": metadata.product,
        "version": metadata.version,
        "labels": list(metadata.labels),
        "url": metadata.url,
    }


def select_documents() -> sa.Select[Any]:
    columns = [c for c in documents.c if c.name not in {"text", "page_starts"}]
    return sa.select(*columns, acls.c.groups).join(acls, acls.c.id == documents.c.acl_id)


def to_document(row: Any) -> Document:
    return Document(
        id=row.id,
        uri=row.uri,
        name=row.name,
        title=row.title,
        media_type=row.media_type,
        sha256=row.sha256,
        size=row.size,
        modified=aware(row.modified),
        ingested=aware(row.ingested) or datetime.now(UTC),
        groups=frozenset(json.loads(row.groups)),
        chunks=row.chunk_count,
        warnings=tuple(row.warnings),
        source=row.source,
        product=row.product,
        version=row.version,
        labels=tuple(row.labels),
        url=row.url,
    )


def select_passages() -> sa.Select[Any]:
    names = ("uri", "title", "product", "version", "modified", "url")
    return sa.select(chunks, *(documents.c[name] for name in names)).join(documents)


def to_hit(row: Any) -> Hit:
    return Hit(
        chunk_id=row.id,
        document_id=row.document_id,
        uri=row.uri,
        title=row.title,
        heading_path=tuple(row.heading_path),
        page=row.page,
        start=row.start,
        end=row.end,
        text=row.text,
        score=0.0,
        product=row.product,
        version=row.version,
        modified=aware(row.modified),
        url=row.url,
    )


def aware(moment: datetime | None) -> datetime | None:
    """SQLite hands back naive times; everything here is stored in UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), BATCH):
        yield [int(i) for i in ids[start : start + BATCH]]
