"""The catalog: documents, chunks and their embeddings in SQL, the source of truth.

Each write transaction raises the catalog's generation by one and stamps what it adds or removes
with it; a vector index that knows its own generation asks `changes_since` for the difference.
A document is replaced, added or deleted in one transaction, so no reader sees half of one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from rag.catalog_rows import (
    BATCH,
    KnownDocument,
    NewDocument,
    Update,
    batches,
    insert_document,
    remove_documents,
    select_documents,
    select_known,
    select_passages,
    set_groups,
    to_document,
    to_hit,
    update_document,
)
from rag.catalog_state import (
    claim_embedder,
    next_generation,
    read_fact,
    read_generation,
    read_token,
)
from rag.config import RagConfig
from rag.database import open_database
from rag.errors import CatalogError, EmbedderChanged
from rag.postings import Postings
from rag.schema import EVERYONE, Document, Hit
from rag.tables import acls, chunks, documents, removed_chunks

_GENERATION = "SELECT value FROM facts WHERE name = 'generation'"
_GIVEN = sa.select(sa.func.json_each(sa.bindparam("ids")).table_valued("value").c.value)
_PASSAGES = select_passages().where(chunks.c.id.in_(_GIVEN))
_VECTORS = "SELECT id, embedding FROM chunks WHERE id IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened between two generations. `vectors` is (n, d) float16, the rest (n,)."""

    generation: int
    token: str
    """Of that generation: see `Catalog.token`."""
    removed: NDArray[np.int64]
    added: NDArray[np.int64]
    acl_ids: NDArray[np.int64]
    document_ids: NDArray[np.int64]
    vectors: NDArray[np.float16]


class Catalog:
    """One open catalog; may be shared between threads."""

    def __init__(self, config: RagConfig) -> None:
        self.engine = open_database(config)
        self.postings = Postings()
        self._here = threading.local()
        self._seen: dict[str, tuple[int, Any]] = {}
        with self.reading() as connection:
            self.id = read_fact(connection, "catalog_id") or ""

    def close(self) -> None:
        self.engine.dispose()

    # --- what is there -------------------------------------------------------------------------

    def generation(self) -> int:
        with self.reading() as connection:
            return int(connection.exec_driver_sql(_GENERATION).scalar() or 0)

    def token(self, generation: int) -> str | None:
        """Random mark of a generation: the same number means the same state only with its token.

        A catalog that was restored from a backup counts the same generations a second time.
        """
        with self.reading() as connection:
            return read_token(connection, generation)

    def fact(self, name: str) -> str | None:
        """One of the catalog's few facts about itself, such as `embedder`."""
        with self.reading() as connection:
            return read_fact(connection, name)

    def embedder(self) -> str | None:
        """Fingerprint of the embedder that made the stored vectors; None in a new catalog."""
        return self.fact("embedder")

    def allowed_acls(self, groups: frozenset[str]) -> frozenset[int]:
        """Access lists that let a caller of these groups read. `everyone` is always implied."""
        caller = groups | {EVERYONE}
        lists: list[tuple[int, frozenset[str]]] = self._once("acls", _read_acls)
        return frozenset(acl_id for acl_id, readers in lists if not readers.isdisjoint(caller))

    def versions(self, acl_ids: frozenset[int]) -> list[str]:
        """Every version that some document of these access lists is of."""
        found: list[tuple[str, int]] = self._once("versions", _read_versions)
        return sorted({version for version, acl_id in found if acl_id in acl_ids})

    def known(self, uris: Sequence[str]) -> dict[str, KnownDocument]:
        """By URI, those of the documents that are there, with what decides about an update."""
        found: dict[str, KnownDocument] = {}
        with self.reading() as connection:
            for start in range(0, len(uris), BATCH):
                found |= select_known(connection, uris[start : start + BATCH])
        return found

    def uris(self, source: str | None = None) -> dict[str, int]:
        """URI -> document id, of every document, or of every one of a source."""
        query = sa.select(documents.c.uri, documents.c.id)
        if source is not None:
            query = query.where(documents.c.source == source)
        with self.reading() as connection:
            return {row.uri: row.id for row in connection.execute(query)}

    def count_by_source(self) -> dict[str, int]:
        """Source -> documents; '' is what was ingested by hand."""
        query = sa.select(documents.c.source, sa.func.count().label("n"))
        with self.reading() as connection:
            rows = connection.execute(query.group_by(documents.c.source)).all()
        return {row.source: int(row.n) for row in rows}

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
        return {i: hit for i, (hit, _) in self.passages_and_vectors(ids).items()}

    def passages_and_vectors(
        self, ids: Sequence[int]
    ) -> dict[int, tuple[Hit, NDArray[np.float16]]]:
        """The same with their embeddings: they lie side by side."""
        with self.reading() as connection:
            rows = connection.execute(_PASSAGES, {"ids": _as_json(ids)})
            return {row.id: (to_hit(row), _vector(row.embedding)) for row in rows}

    def vectors(self, ids: Sequence[int]) -> dict[int, NDArray[np.float16]]:
        """Stored embeddings by chunk id."""
        with self.reading() as connection:
            rows = connection.exec_driver_sql(_VECTORS, (_as_json(ids),))
            return {i: _vector(embedding) for i, embedding in rows}

    def changes_since(self, generation: int, embedder: str, dimension: int) -> Changes:
        """What a vector index of that generation has to remove and then add.

        Raises EmbedderChanged where the stored vectors are of another embedder.
        """
        removed = sa.select(removed_chunks.c.chunk_id).where(
            removed_chunks.c.generation > generation
        )
        added = (
            sa.select(chunks.c.id, chunks.c.acl_id, chunks.c.document_id, chunks.c.embedding)
            .where(chunks.c.generation > generation)
            .order_by(chunks.c.id)
        )
        with self.reading() as connection:
            current = read_generation(connection)
            token = read_token(connection, current) or ""
            stored = read_fact(connection, "embedder")
            if stored not in (None, embedder):
                raise EmbedderChanged(str(stored), embedder)
            gone = [row.chunk_id for row in connection.execute(removed)]
            rows = connection.execute(added).all()
        vectors = np.frombuffer(b"".join(row.embedding for row in rows), dtype=np.float16)
        return Changes(
            generation=current,
            token=token,
            removed=np.asarray(gone, dtype=np.int64),
            added=np.asarray([row.id for row in rows], dtype=np.int64),
            acl_ids=np.asarray([row.acl_id for row in rows], dtype=np.int64),
            document_ids=np.asarray([row.document_id for row in rows], dtype=np.int64),
            vectors=vectors.reshape(len(rows), dimension),
        )

    # --- what changes it -----------------------------------------------------------------------

    def store(
        self,
        batch: Sequence[NewDocument],
        vectors: NDArray[np.float32],
        embedder: str,
        updates: Sequence[Update] = (),
    ) -> None:
        """Add or replace documents, and update what is known of others, in one transaction.

        `vectors` holds the embeddings of all new chunks, document after document, shape (n, d);
        `embedder` must be the catalog's own.
        """
        if not batch and not updates:
            return
        halves = iter(vectors.astype(np.float16))
        visible = bool(batch) or any(update.visible for update in updates)
        with self.writing(visible=visible) as (connection, generation):
            if batch:
                claim_embedder(connection, embedder)
            for new in batch:
                insert_document(connection, new, [next(halves) for _ in new.chunks], generation)
            for update in updates:
                update_document(connection, update, generation)

    def delete(self, document_ids: Iterable[int]) -> int:
        """Remove documents with all their chunks in one transaction; how many there were."""
        wanted = list(document_ids)
        if not wanted:
            return 0
        with self.writing() as (connection, generation):
            return sum(remove_documents(connection, batch, generation) for batch in batches(wanted))

    def set_groups(self, document_id: int, groups: frozenset[str]) -> None:
        """Change who may read a document; its chunks move in the index by generation."""
        with self.writing() as (connection, generation):
            set_groups(connection, document_id, groups, generation)

    # --- how -----------------------------------------------------------------------------------

    def _readable(self, query: sa.Select[Any], groups: frozenset[str] | None) -> sa.Select[Any]:
        if groups is None:
            return query
        return query.where(documents.c.acl_id.in_(self.allowed_acls(groups)))

    def _once(self, name: str, read: Callable[[sa.Connection], Any]) -> Any:
        """What `read` finds, asked for once in each generation."""
        with self.reading() as connection:
            generation = int(connection.exec_driver_sql(_GENERATION).scalar() or 0)
            seen = self._seen.get(name)
            if seen is None or seen[0] != generation:
                seen = self._seen[name] = (generation, read(connection))
        return seen[1]

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Whatever this thread reads inside is of one state, and over one connection."""
        if getattr(self._here, "connection", None) is not None:
            yield
            return
        with self.reading() as connection:
            self._here.connection = connection
            try:
                yield
            finally:
                self._here.connection = None

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection in a read transaction: one consistent state. Raises CatalogError."""
        shared: sa.Connection | None = getattr(self._here, "connection", None)
        try:
            if shared is not None:
                yield shared
                return
            with self.engine.connect() as connection:
                yield connection
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            cause = getattr(error, "orig", None) or error
            raise CatalogError(f"the catalog cannot be read: {cause}") from error

    @contextmanager
    def writing(self, *, visible: bool = True) -> Iterator[tuple[sa.Connection, int]]:
        """One write transaction and the generation that it makes.

        `visible` False keeps the generation: nothing that a search could see is written.
        """
        try:
            with (
                self.engine.connect().execution_options(write=True) as connection,
                connection.begin(),
            ):
                count = next_generation if visible else read_generation
                generation = count(connection)
                yield connection, generation
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            cause = getattr(error, "orig", None) or error
            raise CatalogError(
                f"the catalog cannot be written: {cause}; free disk space or end the other "
                "writer, then run the same command again: nothing committed is lost"
            ) from error


def _read_acls(connection: sa.Connection) -> list[tuple[int, frozenset[str]]]:
    rows = connection.execute(sa.select(acls.c.id, acls.c.groups))
    return [(row.id, frozenset(json.loads(row.groups))) for row in rows]


def _read_versions(connection: sa.Connection) -> list[tuple[str, int]]:
    query = sa.select(documents.c.version, documents.c.acl_id).where(documents.c.version != "")
    return [(row.version, row.acl_id) for row in connection.execute(query.distinct())]


def _vector(embedding: bytes) -> NDArray[np.float16]:
    return np.frombuffer(embedding, dtype=np.float16)


def _as_json(ids: Sequence[int]) -> str:
    """One bound parameter, however many there are."""
    return json.dumps([int(i) for i in ids])
