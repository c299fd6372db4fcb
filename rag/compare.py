"""A document as its source has it against what the catalog knows of it.

A run and a dry run decide alike because both ask here. Nothing is read or written.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

from rag.catalog_rows import KnownDocument, State, Update
from rag.schema import EVERYONE, RawDocument


def state_of(raw: RawDocument, groups: frozenset[str], source: str) -> State:
    """What a document is to carry beside its text; `groups` hold where its source names none."""
    readers = groups if raw.groups is None else raw.groups
    modified = raw.modified.astimezone(UTC) if raw.modified is not None else None
    return State(raw.name, readers, source, raw.stamp, raw.metadata, modified)


def owner_conflict(known: KnownDocument | None, source: str) -> str | None:
    """Why this source may not touch the document: it belongs to another one."""
    owner = known.state.source if known is not None else ""
    if owner in ("", source):
        return None
    return (
        f"belongs to the source '{owner}', which keeps it up to date: `python -m rag sync {owner}`"
        f"; if there is no such source any more: `python -m rag sync --forget {owner}`"
    )


def updated(state: State, known: KnownDocument) -> Update | None:
    """What to write where the bytes are the same. A new stamp or date is no new generation."""
    if state == known.state:
        return None
    unseen = replace(known.state, stamp=state.stamp, modified=state.modified)
    return Update(known.id, state, visible=state != unseen)


def narrowed(state: State, known: KnownDocument | None) -> Update | None:
    """What to write where the new content cannot be had, so that the former stays.

    It stays for readers of both alone: the source may have shut some out, and others it may have
    let in because the text that they see there is another one.
    """
    if known is None:
        return None
    readers = _readers_of_both(known.state.groups, state.groups)
    if readers == known.state.groups:
        return None
    return Update(known.id, replace(known.state, groups=readers))


def _readers_of_both(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    if EVERYONE in one:
        return other
    return one if EVERYONE in other else one & other
