"""Another embedder in the configuration: embed everything anew while the former one serves."""

from __future__ import annotations

import logging
import threading

from rag.errors import RagError
from rag.knowledge import Knowledge
from rag.reembed import Overruled, progress, reembed

log = logging.getLogger(__name__)


class Reembedding:
    """Runs beside the server until the change-over, or until it is stopped; a restart resumes.

    What fails, such as an endpoint that is down, is tried again after `pause_s` seconds.
    """

    def __init__(self, knowledge: Knowledge, pause_s: float = 60.0) -> None:
        self._knowledge = knowledge
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reembedding", daemon=True)
        if self.under_way:
            self._thread.start()

    @property
    def under_way(self) -> bool:
        return self._knowledge.wanted.fingerprint != self._knowledge.embedder.fingerprint

    def progress(self, groups: frozenset[str]) -> dict[str, int] | None:
        """Passages done and in all, of those such a caller may read; None where all is done."""
        if not self.under_way:
            return None
        catalog = self._knowledge.catalog
        done, total = progress(catalog, catalog.allowed_acls(groups))
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
        while not self._stop.is_set():
            try:
                if reembed(knowledge.catalog, wanted, stop=self._stop.is_set):
                    knowledge.refresh()
                    knowledge.index.save()
                    log.warning("every passage is embedded with %s from now on", wanted.fingerprint)
                return
            except Overruled as error:
                log.error("%s", error)
                return
            except RagError as error:
                log.error("embedding anew: %s; tried again in %g s", error, self._pause_s)
                self._stop.wait(self._pause_s)
