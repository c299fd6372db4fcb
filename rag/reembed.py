"""Every stored passage embedded anew by another embedder, while the former one goes on serving.

The new vectors gather in a table of their own, a batch a transaction, so that a run that is killed
goes on where it stopped. When none is missing, one transaction puts them in force.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sqlalchemy as sa

from rag.catalog import Catalog
from rag.catalog_state import delete_fact, read_fact, write_fact
from rag.chunk import embedding_text
from rag.embed import Embedder
from rag.tables import chunks, next_vectors

_BATCH = 256
_NEXT = "next_embedder"


def reembed(
    catalog: Catalog,
    embedder: Embedder,
    on_chunks: Callable[[int], None] = lambda done: None,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Give every passage `embedder`'s vector, then change over; whether it came to that.

    Documents that are added or deleted meanwhile are taken into account. Resumes what an earlier
    run with the same embedder has done, and drops what one with another left behind. `stop` is
    asked after each batch. Passages that the catalog has already from this embedder are embedded
    again only where none is in force.
    """
    if catalog.embedder() == embedder.fingerprint:
        _abandon(catalog)
        return True
    _begin(catalog, embedder.fingerprint)
    after = 0
    while not stop():
        rows = _missing(catalog, after)
        if rows:
            after = rows[-1].id
            vectors = embedder.encode([embedding_text(row.heading, row.text) for row in rows])
            halves = [vector.tobytes() for vector in vectors.astype(np.float16)]
            _keep(catalog, dict(zip((row.id for row in rows), halves, strict=True)))
            on_chunks(progress(catalog)[0])
        elif after:
            after = 0  # once more from the start: what has come in behind
        elif _change_over(catalog, embedder.fingerprint):
            return True
    return False


def progress(catalog: Catalog) -> tuple[int, int]:
    """(passages with a vector of the next embedder, passages in all)."""
    with catalog.reading() as connection:
        done = connection.execute(sa.select(sa.func.count()).select_from(next_vectors))
        total = connection.execute(sa.select(sa.func.count()).select_from(chunks))
        return int(done.scalar_one()), int(total.scalar_one())


def _begin(catalog: Catalog, fingerprint: str) -> None:
    with catalog.writing(visible=False) as (connection, _generation):
        if read_fact(connection, _NEXT) != fingerprint:
            connection.execute(next_vectors.delete())
            write_fact(connection, _NEXT, fingerprint)


def _abandon(catalog: Catalog) -> None:
    """Drop the vectors of an embedder that is no longer wanted."""
    if catalog.fact(_NEXT) is not None:
        with catalog.writing(visible=False) as (connection, _generation):
            connection.execute(next_vectors.delete())
            delete_fact(connection, _NEXT)


def _missing(catalog: Catalog, after: int) -> list[sa.Row[tuple[int, str, str]]]:
    query = (
        sa.select(chunks.c.id, chunks.c.heading, chunks.c.text)
        .where(chunks.c.id > after, _without_next())
        .order_by(chunks.c.id)
        .limit(_BATCH)
    )
    with catalog.reading() as connection:
        return list(connection.execute(query))


def _keep(catalog: Catalog, vectors: dict[int, bytes]) -> None:
    """Store vectors of those passages that are still there."""
    with catalog.writing(visible=False) as (connection, _generation):
        query = sa.select(chunks.c.id).where(chunks.c.id.in_(vectors), _without_next())
        rows = [
            {"chunk_id": row.id, "embedding": vectors[row.id]} for row in connection.execute(query)
        ]
        if rows:
            connection.execute(next_vectors.insert(), rows)


def _change_over(catalog: Catalog, fingerprint: str) -> bool:
    """Put the new vectors in force, unless a document has come in since."""
    vector = sa.select(next_vectors.c.embedding).where(next_vectors.c.chunk_id == chunks.c.id)
    with catalog.writing() as (connection, generation):
        if read_fact(connection, _NEXT) != fingerprint:
            return catalog.embedder() == fingerprint  # another process did it, or began another
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
