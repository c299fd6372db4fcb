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
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from rag.catalog_rows import (
    BATCH,
    NewDocument,
    batches,
    claim_embedder,
    ensure_acl,
    insert_document,
    read_fact,
    read_generation,
    remove_documents,
    select_documents,
    to_document,
    to_hit,
    write_fact,
)
from rag.config import RagConfig
from rag.database import open_database
from rag.errors import CatalogError
from rag.schema import EVERYONE, Document, Hit
from rag.tables import acls, chunks, documents, removed_chunks


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
        with self.reading() as connection:
            self.id = read_fact(connection, "catalog_id") or ""

    def close(self) -> None:
        self.engine.dispose()

    # --- what is there -------------------------------------------------------------------------

    def generation(self) -> int:
        with self.reading() as connection:
            return read_generation(connection)

    def embedder(self) -> str | None:
        """Fingerprint of the embedder that made the stored vectors; None in a new catalog."""
        with self.reading() as connection:
            return read_fact(connection, "embedder")

    def allowed_acls(self, groups: frozenset[str]) -> frozenset[int]:
        """Access lists that let a caller of these groups read. `everyone` is always implied."""
        caller = groups | {EVERYONE}
        with self.reading() as connection:
            rows = connection.execute(sa.select(acls.c.id, acls.c.groups))
            return frozenset(row.id for row in rows if caller & set(json.loads(row.groups)))

    def known(self, uri: str) -> KnownDocument | None:
        query = (
            sa.select(documents.c.id, documents.c.sha256, documents.c.recipe, acls.c.groups)
            .join(acls, acls.c.id == documents.c.acl_id)
            .where(documents.c.uri == uri)
        )
        with self.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return KnownDocument(row.id, row.sha256, row.recipe, frozenset(json.loads(row.groups)))

    def uris(self) -> dict[str, int]:
        """URI -> document id, of every document."""
        with self.reading() as connection:
            return {
                r.uri: r.id for r in connection.execute(sa.select(documents.c.uri, documents.c.id))
            }

    def names(self, uris: Sequence[str]) -> dict[str, str]:
        """URI -> name, of the documents that are there."""
        found: dict[str, str] = {}
        with self.reading() as connection:
            for start in range(0, len(uris), BATCH):
                these = documents.c.uri.in_(uris[start : start + BATCH])
                query = sa.select(documents.c.uri, documents.c.name).where(these)
                found |= {row.uri: row.name for row in connection.execute(query)}
        return found

    def groups(self) -> frozenset[str]:
        """Every group that some document is readable by: what an operator may see."""
        with self.reading() as connection:
            in_use = acls.c.id.in_(sa.select(documents.c.acl_id))
            rows = connection.execute(sa.select(acls.c.groups).where(in_use))
            return frozenset(group for row in rows for group in json.loads(row.groups))

    def list_documents(
        self, groups: frozenset[str] | None = None, limit: int | None = None, offset: int = 0
    ) -> list[Document]:
        """Documents by title; with `groups`, only those that such a caller may read."""
        query = select_documents().order_by(sa.func.lower(documents.c.title), documents.c.id)
        query = query.limit(limit).offset(offset) if limit is not None else query.offset(offset)
        # Before a connection is taken: it needs one of its own, and the pool is finite.
        query = self._readable(query, groups)
        with self.reading() as connection:
            return [to_document(row) for row in connection.execute(query)]

    def count(self, groups: frozenset[str] | None = None) -> int:
        query = self._readable(sa.select(sa.func.count()).select_from(documents), groups)
        with self.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def count_chunks(self) -> int:
        with self.reading() as connection:
            query = sa.select(sa.func.count()).select_from(chunks)
            return int(connection.execute(query).scalar_one())

    def find_document(self, key: str, groups: frozenset[str] | None = None) -> Document | None:
        """A document by id, URI or name, if the caller may read it.

        Raises CatalogError where several documents share the name.
        """
        by_key = sa.or_(documents.c.uri == key, documents.c.name == key)
        if key.isascii() and key.isdigit() and len(key) < 19:
            by_key = documents.c.id == int(key)
        query = self._readable(select_documents().where(by_key), groups)
        with self.reading() as connection:
            rows = connection.execute(query.limit(10)).all()
        exact = [row for row in rows if row.uri == key] or rows
        if len(exact) > 1:
            ids = ", ".join(str(row.id) for row in exact)
            raise CatalogError(f"several documents are named '{key}': name one by its id: {ids}")
        return to_document(exact[0]) if exact else None

    def text(self, document_id: int) -> str:
        """The parsed text that chunk spans refer to."""
        with self.reading() as connection:
            query = sa.select(documents.c.text).where(documents.c.id == document_id)
            text = connection.execute(query).scalar()
        if text is None:
            raise CatalogError(f"document {document_id} is no longer there")
        return str(text)

    def passages(self, ids: Sequence[int]) -> dict[int, Hit]:
        """Passages by chunk id, with score 0; ids that are gone by now are left out."""
        found: dict[int, Hit] = {}
        columns = (chunks, documents.c.uri, documents.c.title)
        with self.reading() as connection:
            for batch in batches(ids):
                query = sa.select(*columns).join(documents).where(chunks.c.id.in_(batch))
                for row in connection.execute(query):
                    found[row.id] = to_hit(row)
        return found

    def chunk_texts(self, after: int = 0, limit: int = 1000) -> list[tuple[int, str, str]]:
        """(chunk id, heading, text) of the next chunks by id, for re-embedding."""
        query = (
            sa.select(chunks.c.id, chunks.c.heading, chunks.c.text)
            .where(chunks.c.id > after)
            .order_by(chunks.c.id)
            .limit(limit)
        )
        with self.reading() as connection:
            return [(row.id, row.heading, row.text) for row in connection.execute(query)]

    def vectors(self, ids: Sequence[int]) -> dict[int, NDArray[np.float16]]:
        """Stored embeddings by chunk id."""
        found: dict[int, NDArray[np.float16]] = {}
        with self.reading() as connection:
            for batch in batches(ids):
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
        with self.reading() as connection:
            current = read_generation(connection)
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
            claim_embedder(connection, embedder)
            for new in batch:
                insert_document(connection, new, [next(halves) for _ in new.chunks], generation)

    def delete(self, document_ids: Iterable[int]) -> int:
        """Remove documents with all their chunks in one transaction; how many there were."""
        wanted = list(document_ids)
        if not wanted:
            return 0
        with self._writing() as (connection, generation):
            return sum(remove_documents(connection, batch, generation) for batch in batches(wanted))

    def set_groups(self, document_id: int, groups: frozenset[str]) -> None:
        """Change who may read a document; its chunks move in the index by generation."""
        with self._writing() as (connection, generation):
            acl_id = ensure_acl(connection, groups)
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
            write_fact(connection, "embedder", embedder)
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
    def reading(self) -> Iterator[sa.Connection]:
        """A connection in a read transaction: one consistent state. Raises CatalogError."""
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
                generation = read_generation(connection) + 1
                write_fact(connection, "generation", str(generation))
                yield connection, generation
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            cause = getattr(error, "orig", None) or error
            raise CatalogError(
                f"the catalog cannot be written: {cause}; free disk space or end the other "
                "writer, then run the same command again: nothing committed is lost"
            ) from error
