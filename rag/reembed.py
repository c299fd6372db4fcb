"""Every stored passage embedded anew by another embedder, while the former one goes on serving.

The new vectors gather in a table of their own, a batch a transaction, so that a run that is killed
goes on where it stopped. When none is missing, one transaction puts them in force. Several
processes may work at it together; the fact `next_embedder` says whose vectors they gather.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import sqlalchemy as sa

from rag.catalog import Catalog
from rag.catalog_state import delete_fact, read_fact, write_fact
from rag.chunk import embedding_text
from rag.embed import Embedder
from rag.errors import CatalogError
from rag.tables import chunks, next_vectors

_BATCH = 256
_NEXT = "next_embedder"


class Overruled(CatalogError):
    """Another process has begun to embed with yet another embedder, or gone back to the former."""

    def __init__(self, fingerprint: str) -> None:
        super().__init__(
            f"embedding anew with {fingerprint} was given up: another process is configured with "
            "another embedder; give all of them the same embedder.model, then run "
            "`python -m rag reindex`"
        )


def reembed(
    catalog: Catalog,
    embedder: Embedder,
    on_chunks: Callable[[int], None] = lambda done: None,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Give every passage `embedder`'s vector, then change over; whether it came to that.

    Documents that are added or deleted meanwhile are taken into account. Resumes what an earlier
    run with the same embedder has done, and drops what one with another left behind. `on_chunks`
    gets the number of passages done; `stop` is asked after each batch. Raises Overruled.
    """
    if not _begin(catalog, embedder.fingerprint):
        return True
    after = 0
    while not stop():
        rows = _missing(catalog, after)
        if rows:
            vectors = embedder.encode([embedding_text(row.heading, row.text) for row in rows])
            halves = [vector.tobytes() for vector in vectors.astype(np.float16)]
            by_id = dict(zip((row.id for row in rows), halves, strict=True))
            kept = _keep(catalog, embedder.fingerprint, by_id)
            if kept is None:
                return True
            # Where some were there already, another process is at work: go somewhere else.
            after = rows[-1].id if kept == len(rows) else _anywhere(catalog)
            on_chunks(progress(catalog)[0])
        elif after:
            after = 0  # once more from the start: what has come in behind
        elif _change_over(catalog, embedder.fingerprint):
            return True
    return False


def progress(catalog: Catalog, acl_ids: frozenset[int] | None = None) -> tuple[int, int]:
    """(passages with a vector of the next embedder, passages in all), of these access lists."""
    total = sa.select(sa.func.count()).select_from(chunks)
    if acl_ids is not None:
        total = total.where(chunks.c.acl_id.in_(acl_ids))
    done = total.where(chunks.c.id.in_(sa.select(next_vectors.c.chunk_id)))
    with catalog.reading() as connection:
        first, second = connection.execute(done), connection.execute(total)
        return int(first.scalar_one()), int(second.scalar_one())


def _begin(catalog: Catalog, fingerprint: str) -> bool:
    """Drop what is left of other embedders; whether there is anything to do."""
    with catalog.writing(visible=False) as (connection, _generation):
        in_force = read_fact(connection, "embedder") == fingerprint
        if in_force or read_fact(connection, _NEXT) != fingerprint:
            connection.execute(next_vectors.delete())
            delete_fact(connection, _NEXT)
        if not in_force:
            write_fact(connection, _NEXT, fingerprint)
    return not in_force


def _in_force(connection: sa.Connection, fingerprint: str) -> bool:
    """Whether another process has ended what this one is at. Raises Overruled."""
    if read_fact(connection, _NEXT) == fingerprint:
        return False
    if read_fact(connection, "embedder") == fingerprint:
        return True
    raise Overruled(fingerprint)


def _missing(catalog: Catalog, after: int) -> list[sa.Row[tuple[int, str, str]]]:
    query = (
        sa.select(chunks.c.id, chunks.c.heading, chunks.c.text)
        .where(chunks.c.id > after, _without_next())
        .order_by(chunks.c.id)
        .limit(_BATCH)
    )
    with catalog.reading() as connection:
        return list(connection.execute(query))


def _anywhere(catalog: Catalog) -> int:
    with catalog.reading() as connection:
        highest = connection.execute(sa.select(sa.func.max(chunks.c.id))).scalar()
    return random.randrange(highest or 1)


def _keep(catalog: Catalog, fingerprint: str, vectors: dict[int, bytes]) -> int | None:
    """Store vectors of those passages that are there and lack one; how many, None where in force.

    Raises Overruled.
    """
    with catalog.writing(visible=False) as (connection, _generation):
        if _in_force(connection, fingerprint):
            return None
        query = sa.select(chunks.c.id).where(chunks.c.id.in_(list(vectors)), _without_next())
        rows = [
            {"chunk_id": row.id, "embedding": vectors[row.id]} for row in connection.execute(query)
        ]
        if rows:
            connection.execute(next_vectors.insert(), rows)
    return len(rows)


def _change_over(catalog: Catalog, fingerprint: str) -> bool:
    """Put the new vectors in force, unless a document has come in since. Raises Overruled."""
    vector = sa.select(next_vectors.c.embedding).where(next_vectors.c.chunk_id == chunks.c.id)
    with catalog.writing() as (connection, generation):
        if _in_force(connection, fingerprint):
            return True
        if connection.execute(sa.select(chunks.c.id).where(_without_next()).limit(1)).first():
            return False
        connection.execute(
            chunks.update().values(embedding=vector.scalar_subquery(), generation=generation)
        )
        connection.execute(next_vectors.delete())
        write_fact(connection, "embedder", fingerprint)
        delete_fact(connection, _NEXT)
    return True


def _without_next() -> sa.ColumnElement[bool]:
    there = sa.select(next_vectors.c.chunk_id).where(next_vectors.c.chunk_id == chunks.c.id)
    return ~there.exists()
