"""What a caller may see and asked for, decided before anything is searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from rag.catalog import Catalog
from rag.schema import Filters
from rag.tables import chunks, documents


@dataclass(frozen=True, slots=True)
class Scope:
    """The passages that one search may look at."""

    acl_ids: frozenset[int]
    filters: Filters | None = None
    document_ids: NDArray[np.int64] | None = None
    """The documents that pass the filters; None where nothing is filtered."""

    def restrict(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """A query over `chunks` that returns passages of this scope alone."""
        query = query.where(chunks.c.acl_id.in_(self.acl_ids))
        if not self.filters:
            return query
        passing = sa.select(documents.c.id).where(*conditions(self.filters))
        return query.where(chunks.c.document_id.in_(passing))


def open_scope(catalog: Catalog, groups: frozenset[str], filters: Filters | None = None) -> Scope:
    """The scope of a caller of these groups. Raises CatalogError."""
    acl_ids = catalog.allowed_acls(groups)
    if not filters:
        return Scope(acl_ids)
    query = sa.select(documents.c.id).where(documents.c.acl_id.in_(acl_ids), *conditions(filters))
    with catalog.reading() as connection:
        ids = [row.id for row in connection.execute(query)]
    return Scope(acl_ids, filters, np.asarray(ids, dtype=np.int64))


def count_documents(
    catalog: Catalog, groups: frozenset[str], filters: Filters | None = None
) -> int:
    """How many documents such a search looks at."""
    scope = open_scope(catalog, groups, filters)
    return catalog.count(groups) if scope.document_ids is None else len(scope.document_ids)


def conditions(filters: Filters) -> list[sa.ColumnElement[bool]]:
    """The filters as conditions on `documents`: one a key, all of which have to hold."""
    found: list[sa.ColumnElement[bool]] = []
    if filters.sources:
        found.append(documents.c.source.in_(filters.sources))
    if filters.products:
        names = [product.casefold() for product in filters.products]
        found.append(sa.func.casefold(documents.c.product).in_(names))
    if filters.versions:
        found.append(sa.or_(*(_of_version(version) for version in filters.versions)))
    if filters.labels:
        found.append(_has_label(filters.labels))
    if filters.modified_after is not None:
        found.append(documents.c.modified >= filters.modified_after.astimezone(UTC))
    if filters.modified_before is not None:
        found.append(documents.c.modified < filters.modified_before.astimezone(UTC))
    return found


def _of_version(version: str) -> sa.ColumnElement[bool]:
    """As `rag.versions.covers`; not by LIKE, which takes A for a."""
    column, prefix = documents.c.version, f"{version}."
    return sa.or_(column == version, sa.func.substr(column, 1, len(prefix)) == prefix)


def _has_label(labels: Sequence[str]) -> sa.ColumnElement[bool]:
    """One of these among the document's labels, which are kept as a JSON list."""
    its = sa.func.json_each(documents.c.labels).table_valued(sa.column("value", sa.String))
    query = sa.select(sa.literal(1)).select_from(its).where(its.c.value.in_(labels))
    return query.correlate(documents).exists()
