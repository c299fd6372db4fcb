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
from rag.errors import CatalogError
from rag.schema import EVERYONE, Chunk, Document, Hit, ParsedDocument
from rag.tables import acls, chunks, documents, facts, removed_chunks

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


def insert_document(
    connection: sa.Connection,
    new: NewDocument,
    vectors: Sequence[NDArray[np.float16]],
    generation: int,
) -> None:
    old = connection.execute(sa.select(documents.c.id).where(documents.c.uri == new.uri)).scalar()
    if old is not None:
        remove_documents(connection, [old], generation)
    acl_id = ensure_acl(connection, new.groups)
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
    )
    inserted = connection.execute(document).inserted_primary_key
    rows = [
        {
            "document_id": inserted[0] if inserted else 0,
            "acl_id": acl_id,
            "ordinal": chunk.ordinal,
            "start": chunk.start,
            "end": chunk.end,
            "page": chunk.page,
            "heading_path": list(chunk.heading_path),
            "heading": place(new.parsed.title, chunk.heading_path),
            "text": chunk.text,
            "embedding": vector.tobytes(),
            "generation": generation,
        }
        for chunk, vector in zip(new.chunks, vectors, strict=True)
    ]
    if rows:
        connection.execute(chunks.insert(), rows)


def remove_documents(
    connection: sa.Connection, document_ids: Sequence[int], generation: int
) -> int:
    theirs = chunks.c.document_id.in_(document_ids)
    gone = sa.select(chunks.c.id, sa.literal(generation)).where(theirs)
    connection.execute(removed_chunks.insert().from_select(["chunk_id", "generation"], gone))
    # Not left to the cascade: SQLite fires no delete triggers there unless they are recursive.
    connection.execute(chunks.delete().where(theirs))
    return connection.execute(documents.delete().where(documents.c.id.in_(document_ids))).rowcount


def ensure_acl(connection: sa.Connection, groups: frozenset[str]) -> int:
    key = json.dumps(sorted(groups or {EVERYONE}))
    found = connection.execute(sa.select(acls.c.id).where(acls.c.groups == key)).scalar()
    if found is not None:
        return int(found)
    inserted = connection.execute(acls.insert().values(groups=key)).inserted_primary_key
    return int(inserted[0]) if inserted else 0


def claim_embedder(connection: sa.Connection, embedder: str) -> None:
    current = read_fact(connection, "embedder")
    if current is None:
        write_fact(connection, "embedder", embedder)
    elif current != embedder:
        raise CatalogError(
            f"this catalog was embedded with {current}, the configuration names {embedder}: "
            "run `python -m rag reindex` to embed it anew, or restore embedder.model"
        )


def read_fact(connection: sa.Connection, name: str) -> str | None:
    value = connection.execute(sa.select(facts.c.value).where(facts.c.name == name)).scalar()
    return None if value is None else str(value)


def write_fact(connection: sa.Connection, name: str, value: str) -> None:
    changed = connection.execute(facts.update().where(facts.c.name == name).values(value=value))
    if not changed.rowcount:
        connection.execute(facts.insert().values(name=name, value=value))


def read_generation(connection: sa.Connection) -> int:
    return int(read_fact(connection, "generation") or 0)


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
        modified=_aware(row.modified),
        ingested=_aware(row.ingested) or datetime.now(UTC),
        groups=frozenset(json.loads(row.groups)),
        chunks=row.chunk_count,
        warnings=tuple(row.warnings),
    )


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
    )


def _aware(moment: datetime | None) -> datetime | None:
    """SQLite hands back naive times; everything here is stored in UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), BATCH):
        yield [int(i) for i in ids[start : start + BATCH]]
