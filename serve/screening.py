"""Passages judged once and for good: at a question, and beside the server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from guardrails import GuardrailsError, Verdict
from rag.catalog import Catalog
from rag.chunk import embedding_text, place
from rag.errors import RagError
from rag.quarantine import all_settled, count_pending, keep, recheck, settled
from rag.schema import Hit
from rag.screen import Screen
from serve.wiring import Parts

log = logging.getLogger(__name__)

_STORED = "judged at ingest"
_QUARANTINED = "in quarantine"


def judge(parts: Parts, hits: Sequence[Hit]) -> list[Verdict]:
    """One verdict a hit: the stored one where it is by the present rules, else judged now.

    Searches find nothing that is in quarantine; one that has just gone there is withheld as well.
    """
    assert parts.screen is not None
    catalog, rules = parts.knowledge.catalog, parts.screen.rules
    stored = settled(catalog, rules, [hit.chunk_id for hit in hits])
    new = [hit for hit in hits if hit.chunk_id not in stored]
    judged: dict[int, Verdict] = {}
    if new:
        texts = [embedding_text(place(hit.title, hit.heading_path), hit.text) for hit in new]
        said = parts.screen(texts)
        judged = {
            hit.chunk_id: Verdict(v.allowed, v.rail, v.reason, hit.text, v.category, v.score)
            for hit, v in zip(new, said, strict=True)
        }
        stored |= _kept(catalog, rules, judged)
    return [_verdict(hit, judged.get(hit.chunk_id), stored.get(hit.chunk_id)) for hit in hits]


def grown_may_pass(parts: Parts, hit: Hit) -> bool:
    """Whether a passage with what stands around it may be shown.

    All of it has been judged, passage by passage, and passages overlap by a sentence: an order that
    runs from one into the next stands whole in one of them. Only what is new is judged here.
    """
    assert parts.screen is not None
    if all_settled(parts.knowledge.catalog, parts.screen.rules, hit):
        return True
    return parts.screen([hit.text])[0].allowed


def _kept(catalog: Catalog, rules: str, judged: dict[int, Verdict]) -> dict[int, bool]:
    """Store what was judged; what became of it, which is no passage's end if that fails."""
    try:
        keep(catalog, rules, judged)
        return settled(catalog, rules, list(judged))
    except RagError as error:
        log.warning("verdicts on passages are not kept: %s", error)
        return {}


def _verdict(hit: Hit, judged: Verdict | None, shown: bool | None) -> Verdict:
    """What is stored goes before what was just judged: a curator may have released it."""
    if shown is None and judged is not None:
        return judged
    if shown:
        return Verdict(True, "", _STORED, hit.text)
    return judged or Verdict(False, "retrieval rails", _QUARANTINED, hit.text, "quarantined", 1.0)


class Screening:
    """Runs beside the server: judges what came in by other ways, or by other rules."""

    def __init__(self, catalog: Catalog, screen: Screen | None, pause_s: float = 15.0) -> None:
        self._catalog = catalog
        self._screen = screen
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="screening", daemon=True)
        if screen is not None:
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        assert self._screen is not None
        seen = None
        while not self._stop.is_set():
            try:
                # Every document that comes in makes a generation.
                generation = self._catalog.generation()
                if generation != seen:
                    self._recheck(self._screen)
                    seen = generation
            except (RagError, GuardrailsError) as error:
                log.error("judging passages: %s; tried again in %g s", error, self._pause_s)
            self._stop.wait(self._pause_s)

    def _recheck(self, screen: Screen) -> None:
        if pending := count_pending(self._catalog, screen.rules):
            log.info("judging %d passages", pending)
            recheck(self._catalog, screen, stop=self._stop.is_set)
