"""New documents -> the same with what the guardrails say of their passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rag.catalog_rows import NewDocument
from rag.screen import Screen, Screened


def screened(
    screen: Screen | None,
    new: Sequence[NewDocument],
    texts: Sequence[str],
    notes: list[tuple[str, str]],
) -> list[NewDocument]:
    """Judged documents; as they are without a screen. `notes` gets one a document in quarantine.

    `texts` are those of all their chunks, document after document.
    """
    if screen is None:
        return list(new)
    rules, verdicts = screen.rules, iter(screen(texts))
    found: list[NewDocument] = []
    for document in new:
        judged = Screened(rules, [next(verdicts) for _ in document.chunks])
        found.append(replace(document, screened=judged))
        if flagged := len(judged.flagged()):
            note = f"{flagged} of {len(document.chunks)} passages are in quarantine"
            notes.append((document.name, f"{note}: `python -m guardrails quarantine list`"))
    return found
