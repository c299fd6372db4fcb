"""The catalog: documents, chunks and their embeddings in SQL, the source of truth.

Each write transaction raises the catalog's generation by one and stamps what it adds or removes
with it; a vector index that knows its own generation asks `changes_since` for the difference.
A document is replaced, added or deleted in one transaction, so no reader sees half of one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from rag.chunk import place
from rag.config import RagConfig
from rag.database import open_database
from rag.errors import CatalogError
from rag.schema import EVERYONE, Chunk, Document, Hit, ParsedDocument
from rag.tables import acls, chunks, documents, facts, removed_chunks

_BATCH = 500  # below SQLite's limit of bound parameters


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


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """What decides whether a document has to be ingested again."""

    id: int
    sha256: str
    recipe: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened between two generations. `vectors` is (n, d) float16, `acl_ids` (n,)."""

    generation: int
    removed: NDArray[np.int64]
    added: NDArray[np.int64]
    acl_ids: NDArray[np.int64]
    vectors: NDArray[np.float16]


class Catalog:
    """One open catalog; may be shared between threads."""

    def __init__(self, config: RagConfig) -> None:
        self.engine = open_database(config)
        with self._reading() as connection:
            self.id = _fact(connection, "catalog_id") or ""

    def close(self) -> None:
        self.engine.dispose()

    # --- what is there -------------------------------------------------------------------------

    def generation(self) -> int:
        with self._reading() as connection:
            return _generation(connection)

    def embedder(self) -> str | None:
        """Fingerprint of the embedder that made the stored vectors; None in a new catalog."""
        with self._reading() as connection:
            return _fact(connection, "embedder")

    def allowed_acls(self, groups: frozenset[str]) -> frozenset[int]:
        """Access lists that let a caller of these groups read. `everyone` is always implied."""
        caller = groups | {EVERYONE}
        with self._reading() as connection:
            rows = connection.execute(sa.select(acls.c.id, acls.c.groups))
            return frozenset(row.id for row in rows if caller & set(json.loads(row.groups)))

    def known(self, uri: str) -> KnownDocument | None:
        query = (
            sa.select(documents.c.id, documents.c.sha256, documents.c.recipe, acls.c.groups)
            .join(acls, acls.c.id == documents.c.acl_id)
            .where(documents.c.uri == uri)
        )
        with self._reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return KnownDocument(row.id, row.sha256, row.recipe, frozenset(json.loads(row.groups)))

    def uris(self) -> dict[str, int]:
        """URI -> document id, of every document."""
        with self._reading() as connection:
            return {
                r.uri: r.id for r in connection.execute(sa.select(documents.c.uri, documents.c.id))
            }

    def names(self, uris: Sequence[str]) -> dict[str, str]:
        """URI -> name, of the documents that are there."""
        found: dict[str, str] = {}
        with self._reading() as connection:
            for start in range(0, len(uris), _BATCH):
                these = documents.c.uri.in_(uris[start : start + _BATCH])
                query = sa.select(documents.c.uri, documents.c.name).where(these)
                found |= {row.uri: row.name for row in connection.execute(query)}
        return found

    def groups(self) -> frozenset[str]:
        """Every group that some document is readable by: what an operator may see."""
        with self._reading() as connection:
            in_use = acls.c.id.in_(sa.select(documents.c.acl_id))
            rows = connection.execute(sa.select(acls.c.groups).where(in_use))
            return frozenset(group for row in rows for group in json.loads(row.groups))

    def list_documents(
        self, groups: frozenset[str] | None = None, limit: int | None = None, offset: int = 0
    ) -> list[Document]:
        """Documents by title; with `groups`, only those that such a caller may read."""
        query = _document_query().order_by(sa.func.lower(documents.c.title), documents.c.id)
        query = query.limit(limit).offset(offset) if limit is not None else query.offset(offset)
        # Before a connection is taken: it needs one of its own, and the pool is finite.
        query = self._readable(query, groups)
        with self._reading() as connection:
            return [_document(row) for row in connection.execute(query)]

    def count(self, groups: frozenset[str] | None = None) -> int:
        query = self._readable(sa.select(sa.func.count()).select_from(documents), groups)
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())

    def count_chunks(self) -> int:
        with self._reading() as connection:
            query = sa.select(sa.func.count()).select_from(chunks)
            return int(connection.execute(query).scalar_one())

    def find_document(self, key: str, groups: frozenset[str] | None = None) -> Document | None:
        """A document by id, URI or name, if the caller may read it."""
        by_key = sa.or_(documents.c.uri == key, documents.c.name == key)
        if key.isascii() and key.isdigit() and len(key) < 19:
            by_key = documents.c.id == int(key)
        query = self._readable(_document_query().where(by_key), groups)
        with self._reading() as connection:
            row = connection.execute(query).first()
        return _document(row) if row else None

    def text(self, document_id: int) -> str:
        """The parsed text that chunk spans refer to."""
        with self._reading() as connection:
            query = sa.select(documents.c.text).where(documents.c.id == document_id)
            text = connection.execute(query).scalar()
        if text is None:
            raise CatalogError(f"document {document_id} is no longer there")
        return str(text)

    def passages(self, ids: Sequence[int]) -> dict[int, Hit]:
        """Passages by chunk id, with score 0; ids that are gone by now are left out."""
        found: dict[int, Hit] = {}
        columns = (chunks, documents.c.uri, documents.c.title)
        with self._reading() as connection:
            for batch in _batches(ids):
                query = sa.select(*columns).join(documents).where(chunks.c.id.in_(batch))
                for row in connection.execute(query):
                    found[row.id] = _hit(row)
        return found

    def chunk_texts(self, after: int = 0, limit: int = 1000) -> list[tuple[int, str, str]]:
        """(chunk id, heading, text) of the next chunks by id, for re-embedding."""
        query = (
            sa.select(chunks.c.id, chunks.c.heading, chunks.c.text)
            .where(chunks.c.id > after)
            .order_by(chunks.c.id)
            .limit(limit)
        )
        with self._reading() as connection:
            return [(row.id, row.heading, row.text) for row in connection.execute(query)]

    def vectors(self, ids: Sequence[int]) -> dict[int, NDArray[np.float16]]:
        """Stored embeddings by chunk id."""
        found: dict[int, NDArray[np.float16]] = {}
        with self._reading() as connection:
            for batch in _batches(ids):
                query = sa.select(chunks.c.id, chunks.c.embedding).where(chunks.c.id.in_(batch))
                for row in connection.execute(query):
                    found[row.id] = np.frombuffer(row.embedding, dtype=np.float16)
        return found

    def changes_since(self, generation: int, dimension: int) -> Changes:
        """What a vector index of that generation has to remove and then add."""
        removed = sa.select(removed_chunks.c.chunk_id).where(
            removed_chunks.c.generation > generation
        )
        added = (
            sa.select(chunks.c.id, chunks.c.acl_id, chunks.c.embedding)
            .where(chunks.c.generation > generation)
            .order_by(chunks.c.id)
        )
        with self._reading() as connection:
            current = _generation(connection)
            gone = [row.chunk_id for row in connection.execute(removed)]
            rows = connection.execute(added).all()
        vectors = np.frombuffer(b"".join(row.embedding for row in rows), dtype=np.float16)
        return Changes(
            generation=current,
            removed=np.asarray(gone, dtype=np.int64),
            added=np.asarray([row.id for row in rows], dtype=np.int64),
            acl_ids=np.asarray([row.acl_id for row in rows], dtype=np.int64),
            vectors=vectors.reshape(len(rows), dimension),
        )

    # --- what changes it -----------------------------------------------------------------------

    def store(
        self, batch: Sequence[NewDocument], vectors: NDArray[np.float32], embedder: str
    ) -> None:
        """Add or replace documents in one transaction.

        `vectors` holds the embeddings of all their chunks, document after document, shape (n, d);
        `embedder` must be the catalog's own.
        """
        halves = iter(vectors.astype(np.float16))
        with self._writing() as (connection, generation):
            _claim_embedder(connection, embedder)
            for new in batch:
                _insert(connection, new, [next(halves) for _ in new.chunks], generation)

    def delete(self, document_ids: Iterable[int]) -> int:
        """Remove documents with all their chunks in one transaction; how many there were."""
        wanted = list(document_ids)
        if not wanted:
            return 0
        with self._writing() as (connection, generation):
            return sum(_remove(connection, batch, generation) for batch in _batches(wanted))

    def set_groups(self, document_id: int, groups: frozenset[str]) -> None:
        """Change who may read a document; its chunks move in the index by generation."""
        with self._writing() as (connection, generation):
            acl_id = _acl_id(connection, groups)
            connection.execute(
                documents.update().where(documents.c.id == document_id).values(acl_id=acl_id)
            )
            connection.execute(
                chunks.update()
                .where(chunks.c.document_id == document_id)
                .values(acl_id=acl_id, generation=generation)
            )

    def replace_embeddings(
        self, ids: Sequence[int], vectors: NDArray[np.float16], embedder: str
    ) -> None:
        """Store vectors of another embedder and make it the catalog's own, in one transaction."""
        with self._writing() as (connection, generation):
            _set_fact(connection, "embedder", embedder)
            update = (
                chunks.update()
                .where(chunks.c.id == sa.bindparam("chunk"))
                .values(embedding=sa.bindparam("vector"), generation=generation)
            )
            rows = [{"chunk": i, "vector": v.tobytes()} for i, v in zip(ids, vectors, strict=True)]
            if rows:
                connection.execute(update, rows)

    # --- how -----------------------------------------------------------------------------------

    def _readable(self, query: sa.Select[Any], groups: frozenset[str] | None) -> sa.Select[Any]:
        if groups is None:
            return query
        return query.where(documents.c.acl_id.in_(self.allowed_acls(groups)))

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            cause = getattr(error, "orig", None) or error
            raise CatalogError(f"the catalog cannot be read: {cause}") from error

    @contextmanager
    def _writing(self) -> Iterator[tuple[sa.Connection, int]]:
        """One write transaction and the generation that it makes."""
        try:
            with (
                self.engine.connect().execution_options(write=True) as connection,
                connection.begin(),
            ):
                generation = _generation(connection) + 1
                _set_fact(connection, "generation", str(generation))
                yield connection, generation
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            cause = getattr(error, "orig", None) or error
            raise CatalogError(
                f"the catalog cannot be written: {cause}; free disk space or end the other "
                "writer, then run the same command again: nothing committed is lost"
            ) from error


def _insert(
    connection: sa.Connection,
    new: NewDocument,
    vectors: Sequence[NDArray[np.float16]],
    generation: int,
) -> None:
    old = connection.execute(sa.select(documents.c.id).where(documents.c.uri == new.uri)).scalar()
    if old is not None:
        _remove(connection, [old], generation)
    acl_id = _acl_id(connection, new.groups)
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


def _remove(connection: sa.Connection, document_ids: Sequence[int], generation: int) -> int:
    theirs = chunks.c.document_id.in_(document_ids)
    gone = sa.select(chunks.c.id, sa.literal(generation)).where(theirs)
    connection.execute(removed_chunks.insert().from_select(["chunk_id", "generation"], gone))
    # Not left to the cascade: SQLite fires no delete triggers there unless they are recursive.
    connection.execute(chunks.delete().where(theirs))
    return connection.execute(documents.delete().where(documents.c.id.in_(document_ids))).rowcount


def _acl_id(connection: sa.Connection, groups: frozenset[str]) -> int:
    key = json.dumps(sorted(groups or {EVERYONE}))
    found = connection.execute(sa.select(acls.c.id).where(acls.c.groups == key)).scalar()
    if found is not None:
        return int(found)
    inserted = connection.execute(acls.insert().values(groups=key)).inserted_primary_key
    return int(inserted[0]) if inserted else 0


def _claim_embedder(connection: sa.Connection, embedder: str) -> None:
    current = _fact(connection, "embedder")
    if current is None:
        _set_fact(connection, "embedder", embedder)
    elif current != embedder:
        raise CatalogError(
            f"this catalog was embedded with {current}, the configuration names {embedder}: "
            "run `python -m rag reindex` to embed it anew, or restore embedder.model"
        )


def _fact(connection: sa.Connection, name: str) -> str | None:
    value = connection.execute(sa.select(facts.c.value).where(facts.c.name == name)).scalar()
    return None if value is None else str(value)


def _set_fact(connection: sa.Connection, name: str, value: str) -> None:
    changed = connection.execute(facts.update().where(facts.c.name == name).values(value=value))
    if not changed.rowcount:
        connection.execute(facts.insert().values(name=name, value=value))


def _generation(connection: sa.Connection) -> int:
    return int(_fact(connection, "generation") or 0)


def _document_query() -> sa.Select[Any]:
    columns = [c for c in documents.c if c.name not in {"text", "page_starts"}]
    return sa.select(*columns, acls.c.groups).join(acls, acls.c.id == documents.c.acl_id)


def _document(row: Any) -> Document:
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


def _hit(row: Any) -> Hit:
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


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _BATCH):
        yield [int(i) for i in ids[start : start + _BATCH]]
