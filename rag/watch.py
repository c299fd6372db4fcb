"""Something that is looked at again and again beside the requests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Watch:
    """Calls `look` every `pause_s` seconds in a thread of its own until it is stopped."""

    def __init__(self, name: str, look: Callable[[], None], pause_s: float) -> None:
        self._look = look
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Waits for a look that is under way."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._pause_s):
            try:
                self._look()
            except Exception:  # the next look may succeed, and nobody else would start it again
                log.exception("%s", self._thread.name)
