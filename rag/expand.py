"""Passages -> the same with what stands around them in their section, while the prompt has room.

Small passages are found best, larger ones are understood best (parent-document retrieval). A
passage grows by whole neighbours below the same heading, never into another passage of the list,
the best ranked first; it stays the passage that was found, so a citation names it as before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from rag.catalog import Catalog
from rag.schema import Hit
from rag.tables import chunks, documents

_REACH = 8
"""Neighbours on either side that a passage may grow by."""
_SAFE = 0.9
"""Share of the budget that is filled: characters only tell about how many tokens there are."""


@dataclass(slots=True)
class _Section:
    """A passage with its neighbours by ordinal, and which of them it has taken: `first` to `last`.

    `spans` are (start, end) in the document.
    """

    spans: dict[int, tuple[int, int]]
    first: int
    last: int

    @property
    def span(self) -> tuple[int, int]:
        return self.spans[self.first][0], self.spans[self.last][1]


def expand(
    catalog: Catalog, hits: Sequence[Hit], count_tokens: Callable[[str], int], budget: int
) -> list[Hit]:
    """`hits` in their order, grown as far as all together stay within `budget` tokens.

    Raises CatalogError, and what `count_tokens` raises.
    """
    length = sum(len(hit.text) for hit in hits)
    room = _SAFE * budget - count_tokens("\n\n".join(hit.text for hit in hits)) if length else 0
    if room <= 0:
        return list(hits)
    with catalog.snapshot():
        grown = _sections(catalog, hits)
        _grow(hits, grown, room * length / (_SAFE * budget - room))
        return [_widened(catalog, hit, grown.get(hit.chunk_id)) for hit in hits]


def _sections(catalog: Catalog, hits: Sequence[Hit]) -> dict[int, _Section]:
    """By chunk id; passages that have been deleted meanwhile are left out."""
    near = chunks.alias("near")
    query = (
        sa.select(chunks.c.id, chunks.c.ordinal, near.c.ordinal.label("at"), near.c.start)
        .add_columns(near.c.end)
        .where(
            chunks.c.id.in_([hit.chunk_id for hit in hits]),
            near.c.document_id == chunks.c.document_id,
            near.c.heading == chunks.c.heading,
            near.c.acl_id == chunks.c.acl_id,  # not into what is quarantined
            near.c.ordinal.between(chunks.c.ordinal - _REACH, chunks.c.ordinal + _REACH),
        )
    )
    found: dict[int, _Section] = {}
    with catalog.reading() as connection:
        for row in connection.execute(query):
            section = found.setdefault(row.id, _Section({}, row.ordinal, row.ordinal))
            section.spans[row.at] = (row.start, row.end)
    return found


def _grow(hits: Sequence[Hit], sections: dict[int, _Section], characters: float) -> None:
    """Take neighbours in turns: one behind, one before each passage, then the next ones."""
    taken = {
        (hit.document_id, sections[hit.chunk_id].first) for hit in hits if hit.chunk_id in sections
    }
    for _ in range(_REACH):
        for hit in hits:
            section = sections.get(hit.chunk_id)
            if section is None:
                continue
            for at in (section.last + 1, section.first - 1):
                if at not in section.spans or (hit.document_id, at) in taken:
                    continue
                wider = replace(section, first=min(at, section.first), last=max(at, section.last))
                cost = _length(wider) - _length(section)
                if cost <= characters:
                    characters -= cost
                    taken.add((hit.document_id, at))
                    section.first, section.last = wider.first, wider.last


def _length(section: _Section) -> int:
    start, end = section.span
    return end - start


def _widened(catalog: Catalog, hit: Hit, section: _Section | None) -> Hit:
    if section is None or section.first == section.last:
        return hit
    start, end = section.span
    part = sa.func.substr(documents.c.text, start + 1, end - start)
    with catalog.reading() as connection:
        text = connection.execute(sa.select(part).where(documents.c.id == hit.document_id)).scalar()
    return replace(hit, start=start, end=end, text=str(text)) if text else hit
