"""What the documents call their parts: titles and headings, a few of every document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from typing import TypeVar

import sqlalchemy as sa

from rag.catalog import Catalog
from rag.tables import WITHHELD, chunks, documents

T = TypeVar("T")
_LONGEST = 120
"""A longer heading is a paragraph."""


def read_headings(catalog: Catalog, groups: frozenset[str], most: int) -> list[str]:
    """Up to `most` titles and headings of documents that such a caller may read, all distinct.

    Every document gives one before any gives a second; of more documents than `most`, some from
    all over the catalog are asked. One with a passage in quarantine gives none: who hides an order
    in a text may hide another in its headings. Reads about two passages for each heading, however
    large the catalog is. Raises CatalogError.
    """
    if most < 1:
        return []
    with catalog.snapshot():
        found = _documents(catalog, groups)
        chosen = _spread(found, most)
        places = [
            (document_id, ordinal)
            for document_id, _, count in chosen
            for ordinal in _spread(range(count), max(2, 2 * most // len(chosen)))
        ]
        below = _last_headings(catalog, places)
    rounds = zip_longest(*([title, *below.get(i, ())] for i, title, _ in chosen))
    distinct: dict[str, str] = {}
    for heading in (one for texts in rounds for one in texts if one):
        plain = " ".join(heading.split())
        if len(plain) <= _LONGEST and any(char.isalpha() for char in plain):
            distinct.setdefault(plain.casefold(), plain)
    return list(distinct.values())[:most]


def _documents(catalog: Catalog, groups: frozenset[str]) -> list[tuple[int, str, int]]:
    """(id, title, passages) of those that have passages, none of them in quarantine."""
    columns = (documents.c.id, documents.c.title, documents.c.chunk_count)
    query = sa.select(*columns).where(
        documents.c.acl_id.in_(catalog.allowed_acls(groups)),
        documents.c.id.not_in(sa.select(chunks.c.document_id).where(chunks.c.acl_id == WITHHELD)),
        documents.c.chunk_count > 0,
    )
    with catalog.reading() as connection:
        rows = connection.execute(query.order_by(documents.c.id))
        return [(row.id, row.title, row.chunk_count) for row in rows]


def _last_headings(
    catalog: Catalog, places: Sequence[tuple[int, int]]
) -> dict[int, dict[str, None]]:
    """By document, in order: the heading right above each of these passages."""
    given = sa.func.json_each(sa.bindparam("places")).table_valued("value")
    query = sa.select(chunks.c.document_id, chunks.c.heading_path).where(
        chunks.c.document_id == sa.func.json_extract(given.c.value, "$[0]"),
        chunks.c.ordinal == sa.func.json_extract(given.c.value, "$[1]"),
    )
    query = query.order_by(chunks.c.document_id, chunks.c.ordinal)
    found: dict[int, dict[str, None]] = {}
    with catalog.reading() as connection:
        for row in connection.execute(query, {"places": json.dumps(places)}):
            if row.heading_path:
                found.setdefault(row.document_id, {})[row.heading_path[-1]] = None
    return found


def _spread(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of them, evenly from the first to the last."""
    if len(items) <= count:
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]
