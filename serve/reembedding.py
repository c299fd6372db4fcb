"""Another embedder in the configuration: embed everything anew while the former one serves."""

from __future__ import annotations

import logging
import threading

from rag.errors import RagError
from rag.knowledge import Knowledge
from rag.reembed import progress, reembed

log = logging.getLogger(__name__)


class Reembedding:
    """Runs beside the server until the change-over, or until it is stopped; a restart resumes."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reembedding", daemon=True)
        if self.under_way:
            self._thread.start()

    @property
    def under_way(self) -> bool:
        return self._knowledge.wanted.fingerprint != self._knowledge.embedder.fingerprint

    def progress(self) -> dict[str, int] | None:
        """Passages done and in all; None where nothing is to be done."""
        if not self.under_way:
            return None
        done, total = progress(self._knowledge.catalog)
        return {"done": done, "total": total}

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        knowledge, wanted = self._knowledge, self._knowledge.wanted
        log.warning(
            "searching with %s while every passage is embedded with %s",
            knowledge.embedder.fingerprint,
            wanted.fingerprint,
        )
        try:
            if reembed(knowledge.catalog, wanted, stop=self._stop.is_set):
                knowledge.refresh()
                knowledge.index.save()
                log.warning("every passage is embedded with %s: it is in force", wanted.fingerprint)
        except RagError as error:
            log.error("embedding anew stopped: %s; a restart of the server goes on", error)
