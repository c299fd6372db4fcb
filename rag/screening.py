"""New documents -> the same with what the guardrails say of their passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rag.catalog_rows import NewDocument
from rag.screen import Screen, Screened


def screened(
    screen: Screen, new: Sequence[NewDocument], texts: Sequence[str]
) -> tuple[list[NewDocument], list[tuple[str, str]]]:
    """Judged documents, and a note on each that has passages in quarantine.

    `texts` are those of all their chunks, document after document.
    """
    rules, verdicts = screen.rules, iter(screen(texts))
    found: list[NewDocument] = []
    notes: list[tuple[str, str]] = []
    for document in new:
        judged = Screened(rules, [next(verdicts) for _ in document.chunks])
        found.append(replace(document, screened=judged))
        if flagged := len(judged.flagged()):
            note = f"{flagged} of {len(document.chunks)} passages are in quarantine"
            notes.append((document.name, f"{note}: `python -m guardrails quarantine list`"))
    return found, notes
