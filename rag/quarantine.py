"""Passages that guardrails withhold: judged, listed, released or deleted by a curator.

A quarantined passage has an access list that nobody is on (`WITHHELD`), so that no search finds
it and no other passage grows into it. Its document stays readable as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from rag.catalog import Catalog
from rag.catalog_rows import aware
from rag.chunk import embedding_text
from rag.errors import CatalogError
from rag.schema import Hit
from rag.screen import Judged, Screen
from rag.tables import (
    WITHHELD,
    chunks,
    curated,
    documents,
    next_vectors,
    removed_chunks,
    verdicts,
)
from rag.verdict_rows import decide, keep_verdicts, move

_BATCH = 256
_EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Withheld:
    """A passage in quarantine, with what the rails said of it."""

    id: int
    document_id: int
    uri: str
    name: str
    title: str
    heading_path: tuple[str, ...]
    page: int | None
    start: int
    end: int
    text: str
    rail: str
    category: str
    reason: str
    score: float
    judged: datetime | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a curator decided about a passage of these words."""

    uri: str
    decision: str
    by: str
    at: datetime | None
    excerpt: str


def recheck(
    catalog: Catalog,
    screen: Screen,
    on_passages: Callable[[int], None] = lambda done: None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Judge every passage that was not judged by the present rules; how many there were.

    Each batch is kept as soon as it is judged: a run that is killed goes on where it stopped.
    """
    done = after = 0
    while not stop():
        rows = _pending(catalog, screen.rules, after)
        if not rows:
            break
        judged = screen([embedding_text(row.heading, row.text) for row in rows])
        ids = [row.id for row in rows]
        keep(catalog, screen.rules, dict(zip(ids, judged, strict=True)))
        after = ids[-1]
        done += len(ids)
        on_passages(done)
    return done


def count_pending(catalog: Catalog, rules: str | None = None) -> int:
    """Passages that were not judged by these rules; without `rules`, by any."""
    query = sa.select(sa.func.count()).select_from(chunks.outerjoin(verdicts, _VERDICT))
    query = query.where(verdicts.c.rules.is_(None) if rules is None else _other_rules(rules))
    with catalog.reading() as connection:
        return int(connection.execute(query).scalar_one())


def keep(catalog: Catalog, rules: str, judged: Mapping[int, Judged]) -> None:
    """Store verdicts by passage id, and withhold what they are against."""
    with catalog.writing(visible=False) as (connection, _generation):
        keep_verdicts(connection, rules, judged)


def settled(catalog: Catalog, rules: str, ids: Sequence[int]) -> dict[int, bool]:
    """Of these passages those judged by `rules`: whether they may be shown."""
    query = sa.select(chunks.c.id, chunks.c.acl_id).join(verdicts, _VERDICT)
    query = query.where(chunks.c.id.in_(ids), verdicts.c.rules == rules)
    with catalog.reading() as connection:
        return {row.id: row.acl_id != WITHHELD for row in connection.execute(query)}


def all_settled(catalog: Catalog, rules: str, hit: Hit) -> bool:
    """Whether every passage in this stretch of a document was judged by `rules` and let pass."""
    inside = sa.and_(
        chunks.c.document_id == hit.document_id,
        chunks.c.start >= hit.start,
        chunks.c.end <= hit.end,
    )
    bad = sa.or_(_other_rules(rules), chunks.c.acl_id == WITHHELD)
    query = sa.select(sa.func.count(), sa.func.count().filter(bad))
    query = query.select_from(chunks.outerjoin(verdicts, _VERDICT)).where(inside)
    with catalog.reading() as connection:
        there, wrong = connection.execute(query).one()
    return bool(there) and not wrong


def list_withheld(catalog: Catalog, groups: frozenset[str] | None = None) -> list[Withheld]:
    """What is in quarantine, by document; with `groups`, of documents that they may read."""
    query = _withheld().order_by(documents.c.title, chunks.c.document_id, chunks.c.ordinal)
    if groups is not None:
        query = query.where(documents.c.acl_id.in_(catalog.allowed_acls(groups)))
    with catalog.reading() as connection:
        return [_to_withheld(row) for row in connection.execute(query)]


def find_withheld(catalog: Catalog, chunk_id: int) -> Withheld:
    """One passage in quarantine. Raises CatalogError where it is not (any more)."""
    with catalog.reading() as connection:
        return _to_withheld(_one(connection, chunk_id))


def list_decisions(catalog: Catalog) -> list[Decision]:
    """What curators have decided, the latest first."""
    query = sa.select(curated).order_by(curated.c.decided.desc())
    with catalog.reading() as connection:
        return [
            Decision(row.uri, row.decision, row.decided_by, aware(row.decided), row.excerpt)
            for row in connection.execute(query)
        ]


def release(catalog: Catalog, chunk_id: int, by: str) -> Withheld:
    """Let a passage be found again, also after a change of rules or a sync of its document.

    The decision is about its words: changed ones are judged anew. Raises CatalogError.
    """
    with catalog.writing() as (connection, generation):
        row = _one(connection, chunk_id)
        decide(connection, row, "released", by, row.text[:_EXCERPT])
        move(connection, chunk_id, row.readers, generation)
        return _to_withheld(row)


def delete(catalog: Catalog, chunk_id: int, by: str) -> Withheld:
    """Remove a passage from the index; a sync does not bring the same words back.

    The text of its document, which its readers may open, is left as it is. Raises CatalogError.
    """
    with catalog.writing() as (connection, generation):
        row = _one(connection, chunk_id)
        decide(connection, row, "deleted", by, row.text[:_EXCERPT])
        gone = {"chunk_id": chunk_id, "generation": generation}
        connection.execute(removed_chunks.insert().values(**gone))
        connection.execute(next_vectors.delete().where(next_vectors.c.chunk_id == chunk_id))
        connection.execute(verdicts.delete().where(verdicts.c.chunk_id == chunk_id))
        connection.execute(chunks.delete().where(chunks.c.id == chunk_id))
        its = documents.update().where(documents.c.id == row.document_id)
        connection.execute(its.values(chunk_count=documents.c.chunk_count - 1))
        return _to_withheld(row)


_VERDICT = verdicts.c.chunk_id == chunks.c.id


def _other_rules(rules: str) -> sa.ColumnElement[bool]:
    return sa.or_(verdicts.c.rules.is_(None), verdicts.c.rules != rules)


def _pending(catalog: Catalog, rules: str, after: int) -> list[Any]:
    query = sa.select(chunks.c.id, chunks.c.heading, chunks.c.text)
    query = query.select_from(chunks.outerjoin(verdicts, _VERDICT))
    query = query.where(chunks.c.id > after, _other_rules(rules)).order_by(chunks.c.id)
    with catalog.reading() as connection:
        return list(connection.execute(query.limit(_BATCH)))


def _withheld() -> sa.Select[Any]:
    said = [verdicts.c[name] for name in ("rail", "category", "reason", "score", "judged")]
    whose = [documents.c[name] for name in ("uri", "name", "title")]
    query = sa.select(chunks, *whose, documents.c.acl_id.label("readers"), *said)
    joined = chunks.join(documents).outerjoin(verdicts, _VERDICT)
    return query.select_from(joined).where(chunks.c.acl_id == WITHHELD)


def _one(connection: sa.Connection, chunk_id: int) -> Any:
    row = connection.execute(_withheld().where(chunks.c.id == chunk_id)).first()
    if row is None:
        raise CatalogError(
            f"passage {chunk_id} is not in quarantine: "
            "`python -m guardrails quarantine list` shows those that are"
        )
    return row


def _to_withheld(row: Any) -> Withheld:
    return Withheld(
        id=row.id,
        document_id=row.document_id,
        uri=row.uri,
        name=row.name,
        title=row.title,
        heading_path=tuple(row.heading_path),
        page=row.page,
        start=row.start,
        end=row.end,
        text=row.text,
        rail=row.rail or "",
        category=row.category or "",
        reason=row.reason or "",
        score=row.score or 0.0,
        judged=aware(row.judged),
    )
