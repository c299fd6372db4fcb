"""The catalog's facts about itself: its embedder, and the generation that each write makes."""

from __future__ import annotations

import uuid

import sqlalchemy as sa

from rag.errors import EmbedderChanged
from rag.tables import facts, generations


def claim_embedder(connection: sa.Connection, embedder: str) -> None:
    """Make `embedder` the catalog's own if it has none yet. Raises EmbedderChanged."""
    current = read_fact(connection, "embedder")
    if current is None:
        write_fact(connection, "embedder", embedder)
    elif current != embedder:
        raise EmbedderChanged(current, embedder)


def read_fact(connection: sa.Connection, name: str) -> str | None:
    value = connection.execute(sa.select(facts.c.value).where(facts.c.name == name)).scalar()
    return None if value is None else str(value)


def write_fact(connection: sa.Connection, name: str, value: str) -> None:
    changed = connection.execute(facts.update().where(facts.c.name == name).values(value=value))
    if not changed.rowcount:
        connection.execute(facts.insert().values(name=name, value=value))


def delete_fact(connection: sa.Connection, name: str) -> None:
    connection.execute(facts.delete().where(facts.c.name == name))


def read_generation(connection: sa.Connection) -> int:
    return int(read_fact(connection, "generation") or 0)


def next_generation(connection: sa.Connection) -> int:
    """Count one up, with a token that a restored catalog will not draw again."""
    generation = read_generation(connection) + 1
    write_fact(connection, "generation", str(generation))
    connection.execute(generations.insert().values(generation=generation, token=uuid.uuid4().hex))
    return generation


def read_token(connection: sa.Connection, generation: int) -> str | None:
    query = sa.select(generations.c.token).where(generations.c.generation == generation)
    token = connection.execute(query).scalar()
    return None if token is None else str(token)
