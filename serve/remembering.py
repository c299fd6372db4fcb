"""Answers remembered beside the server, so that callers can say later what was wrong with them."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from rag.catalog import Catalog
from rag.errors import CatalogError
from serve.config import FeedbackConfig
from serve.errors import RequestError
from serve.feedback import AnswerRow, Given, keep_answers, prune, record
from serve.masking import masked

if TYPE_CHECKING:
    from serve.chat import Finished
    from serve.wiring import Parts

log = logging.getLogger(__name__)

_MOST_UNWRITTEN = 1000
"""Answers that wait in memory for a database that cannot be written."""
_PATIENCE_S = 20.0
"""How long a caller waits for his feedback to be written, before he is told to come back."""
_PRUNE_S = 3600.0


def new_answer_id() -> str:
    """Random: nobody names an answer that he was not given."""
    return f"chatcmpl-{secrets.token_hex(12)}"


class AnswerLog:
    """Writes answers, and what is said of them, in one thread of its own.

    So an answer is written before the feedback on it, and a database that lets its writers wait
    holds up neither an answer nor a search. An answer that could not be written is tried again
    with the next one, or with the feedback on it; a server that ends before that loses it.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "feedback")
        self._lock = threading.Lock()
        self._unwritten: dict[str, AnswerRow] = {}
        self._under_way = False
        self._since_pruned = 0
        self._pruned = float("-inf")

    def remember(self, parts: Parts, answer_id: str, end: Finished) -> None:
        """Keep an answer that is finished. Returns at once and never raises."""
        config, catalog = parts.config.server.feedback, parts.knowledge.catalog
        if not config.enabled or (end.question is not None and not end.question.remember):
            return
        try:
            row = _to_row(parts, answer_id, end)
            with self._lock:
                while len(self._unwritten) >= _MOST_UNWRITTEN:
                    del self._unwritten[next(iter(self._unwritten))]
                self._unwritten[answer_id] = row
                idle, self._under_way = not self._under_way, True
            if idle:
                self._thread.submit(self._write_or_warn, catalog, config)
        except Exception:  # the answer is what matters; the thread may be at its end already
            log.exception("an answer is not remembered")

    async def give(self, parts: Parts, answer_id: str, address: str, given: Given) -> None:
        """Store feedback of a caller with this network address.

        Raises RequestError, or CatalogError where the database cannot be written.
        """
        config, groups = parts.config.server.feedback, parts.groups
        if not config.enabled:
            message = "this server takes no feedback: server.feedback.enabled is false"
            raise RequestError(404, message, "feedback_off")
        given.check(config.max_chars)

        def store(connection: sa.Connection) -> bool:
            return record(connection, answer_id, address, groups, given)

        job = self._thread.submit(self._write, parts.knowledge.catalog, config, store)
        try:
            found = await asyncio.wait_for(asyncio.wrap_future(job), _PATIENCE_S)
        except TimeoutError:
            raise CatalogError(
                "another process writes to the database and lets this one wait: "
                "send the feedback again in a minute"
            ) from None
        if not found:
            raise RequestError(
                404,
                "there is no such answer here; answers without feedback are forgotten after "
                f"{config.keep_days} days",
                "not_found",
                "id",
            )

    def close(self) -> None:
        """Write what is still to be written; may wait for the database's lock."""
        self._thread.shutdown(wait=True)

    # --- in the thread ---------------------------------------------------------------------------

    def _write_or_warn(self, catalog: Catalog, config: FeedbackConfig) -> None:
        with self._lock:
            self._under_way = False
        try:
            self._write(catalog, config, lambda _: True)
        except CatalogError as error:
            log.warning("answers wait to be remembered: %s", error)
        except Exception:  # what cannot be written at all must not stand before all that follows
            log.exception("answers are not remembered")
            with self._lock:
                self._unwritten.clear()

    def _write(
        self,
        catalog: Catalog,
        config: FeedbackConfig,
        then: Callable[[sa.Connection], bool],
    ) -> bool:
        """What is unwritten and then `then`, in one transaction; what that returns."""
        with self._lock:
            rows = list(self._unwritten.values())
        due = self._prune_is_due(len(rows), config)
        with catalog.writing(visible=False) as (connection, _generation):
            keep_answers(connection, rows)
            done = then(connection)
            if due:
                prune(connection, config.keep_days, config.max_answers)
        if due:
            self._since_pruned, self._pruned = 0, time.monotonic()
        with self._lock:
            for row in rows:
                self._unwritten.pop(row.id, None)
        return done

    def _prune_is_due(self, new: int, config: FeedbackConfig) -> bool:
        self._since_pruned += new
        many = self._since_pruned >= max(1, config.max_answers // 100)
        return many or time.monotonic() - self._pruned > _PRUNE_S


def _to_row(parts: Parts, answer_id: str, end: Finished) -> AnswerRow:
    """What is kept of an answer. A question that was refused may be so for what it holds: that is
    masked before it is kept."""
    asked = end.question
    question = asked.text if asked else end.query
    if end.finish_reason == "content_filter":
        regions = parts.config.guardrails.input.personal.phone_regions
        (question,), _ = masked([question], regions)
    return AnswerRow(
        id=answer_id,
        created=datetime.now(UTC),
        question=_storable(question),
        history=[
            {"role": turn.role, "content": _storable(turn.content)}
            for turn in (asked.history if asked else ())
        ],
        passages=[{"title": hit.title, "text": hit.text, "uri": hit.uri} for hit in end.passages],
        answer=_storable(end.text),
        adapter=asked.adapter if asked else None,
        groups=sorted(asked.groups if asked else parts.groups),
    )


def _storable(text: str) -> str:
    """Half characters, which a browser may send, have no place in UTF-8."""
    return text.encode("utf-8", "replace").decode()
