"""Documents that killed their parser, remembered so that they do it once."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from rag.catalog import Catalog
from rag.catalog_rows import BATCH
from rag.tables import failures


def known_failures(catalog: Catalog, uris: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """URI -> (SHA-256 of the bytes, recipe, reason) of the last time."""
    found: dict[str, tuple[str, str, str]] = {}
    with catalog.reading() as connection:
        for start in range(0, len(uris), BATCH):
            these = failures.c.uri.in_(uris[start : start + BATCH])
            for row in connection.execute(sa.select(failures).where(these)):
                found[row.uri] = (row.sha256, row.recipe, row.reason)
    return found


def remember_failure(catalog: Catalog, uri: str, sha256: str, recipe: str, reason: str) -> None:
    with catalog.writing(visible=False) as (connection, _generation):
        connection.execute(failures.delete().where(failures.c.uri == uri))
        row = {"uri": uri, "sha256": sha256, "recipe": recipe, "reason": reason}
        connection.execute(failures.insert().values(row))
