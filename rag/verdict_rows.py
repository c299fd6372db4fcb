"""Verdicts and curators' decisions as rows; SQL that runs inside a transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from rag.catalog_state import next_generation
from rag.chunk import embedding_text
from rag.screen import FAILED, Judged
from rag.tables import WITHHELD, chunks, curated, documents, verdicts


def text_key(heading: str, text: str) -> str:
    """By which a decision finds a passage again when its document has been read anew."""
    return hashlib.sha256(embedding_text(heading, text).encode("utf-8", "replace")).hexdigest()


def select_decisions(connection: sa.Connection, uri: str) -> dict[str, str]:
    """Text key -> decision, for the passages of one document."""
    query = sa.select(curated.c.text_sha256, curated.c.decision).where(curated.c.uri == uri)
    return {row.text_sha256: row.decision for row in connection.execute(query)}


def insert_verdicts(
    connection: sa.Connection, document_id: int, rules: str, by_ordinal: Mapping[int, Judged]
) -> None:
    """The verdicts on a document that has just been inserted."""
    query = sa.select(chunks.c.id, chunks.c.ordinal).where(chunks.c.document_id == document_id)
    found = connection.execute(query).all()
    _upsert(connection, rules, {row.id: by_ordinal[row.ordinal] for row in found})


def keep_verdicts(connection: sa.Connection, rules: str, judged: Mapping[int, Judged]) -> None:
    """Verdicts on stored passages by id; passages go into quarantine, or out of it, by them.

    Makes a generation only where a search can tell. Passages that are gone by now are left out.
    """
    columns = (chunks.c.id, chunks.c.heading, chunks.c.text, chunks.c.acl_id)
    query = sa.select(*columns, documents.c.uri, documents.c.acl_id.label("readers"))
    rows = connection.execute(query.join(documents).where(chunks.c.id.in_(list(judged)))).all()
    _upsert(connection, rules, {row.id: judged[row.id] for row in rows})
    generation = None
    for row in rows:
        verdict = judged[row.id]
        withheld = not verdict.allowed
        if withheld:
            decided = select_decisions(connection, row.uri)
            withheld = decided.get(text_key(row.heading, row.text)) != "released"
        wanted = WITHHELD if withheld else row.readers
        # One that could not be judged is not let out, but neither is it put away.
        if wanted != row.acl_id and verdict.category != FAILED:
            generation = generation or next_generation(connection)
            move(connection, row.id, wanted, generation)


def move(connection: sa.Connection, chunk_id: int, acl_id: int, generation: int) -> None:
    """Give one passage another access list; indexes see it by the generation."""
    this = chunks.update().where(chunks.c.id == chunk_id)
    connection.execute(this.values(acl_id=acl_id, generation=generation))


def decide(connection: sa.Connection, row: Any, decision: str, by: str, excerpt: str) -> None:
    """Remember what was decided; `row` has uri, heading and text."""
    values = {
        "uri": row.uri,
        "text_sha256": text_key(row.heading, row.text),
        "decision": decision,
        "decided_by": by,
        "decided": datetime.now(UTC),
        "excerpt": excerpt,
    }
    statement = insert(curated).values(**values)
    keys = ["uri", "text_sha256"]
    changed = {name: value for name, value in values.items() if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))


def _upsert(connection: sa.Connection, rules: str, judged: Mapping[int, Judged]) -> None:
    rows: Sequence[dict[str, Any]] = [
        {
            "chunk_id": chunk_id,
            "rules": rules,
            "allowed": verdict.allowed,
            "rail": verdict.rail,
            "category": verdict.category,
            "reason": verdict.reason,
            "score": float(verdict.score),
            "judged": datetime.now(UTC),
        }
        for chunk_id, verdict in judged.items()
        if verdict.category != FAILED
    ]
    if not rows:
        return
    statement = insert(verdicts)
    changed = {c.name: c for c in statement.excluded if c.name != "chunk_id"}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["chunk_id"], set_=changed), rows
    )
