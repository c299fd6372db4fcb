"""Remembered answers and what callers say of them, in the catalog's database.

SQL that runs inside a transaction of the catalog; `serve.remembering` says when. One caller's word
on one answer is one row of each kind: who votes again changes the vote, who corrects again replaces
the correction.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from rag.catalog import Catalog
from rag.catalog_rows import BATCH, aware
from rag.catalog_state import read_fact, write_fact
from rag.schema import EVERYONE
from rag.tables import answers, feedback
from serve.errors import RequestError

TEXTS = ("correction", "comment", "ideal")
KINDS = ("vote", *TEXTS)
_SALT = "feedback_salt"


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """An answer as it is remembered. `history` and `passages` hold dicts as `rag.tables` says."""

    id: str
    created: datetime
    question: str
    history: Sequence[Mapping[str, str]]
    passages: Sequence[Mapping[str, str]]
    answer: str
    adapter: str | None
    groups: Sequence[str]


@dataclass(frozen=True, slots=True)
class Given:
    """What one caller says of an answer at one time; `texts` by kind, those of `TEXTS`."""

    vote: bool | None = None
    texts: Mapping[str, str] = field(default_factory=dict)

    def check(self, max_chars: int) -> None:
        """Raises RequestError for a text that is empty or too long."""
        for kind, text in self.texts.items():
            if not text.strip():
                raise RequestError(400, f"the {kind} is empty", "invalid_value", kind)
            if len(text) > max_chars:
                message = f"the {kind} has {len(text)} characters; at most {max_chars} are taken"
                raise RequestError(400, message, "invalid_value", kind)

    def kinds(self) -> list[str]:
        """Those that are given, in the order of `KINDS`."""
        voted = ["vote"] if self.vote is not None else []
        return voted + [kind for kind in TEXTS if kind in self.texts]

    def rows(self) -> list[dict[str, Any]]:
        return [
            {
                "kind": kind,
                "value": self.vote if kind == "vote" else None,
                "text": self.texts.get(kind),
            }
            for kind in self.kinds()
        ]


@dataclass(frozen=True, slots=True)
class Feedback:
    """One row of feedback with the answer that it is about."""

    answer_id: str
    given: datetime
    kind: str
    value: bool | None
    text: str
    caller: str
    question: str
    history: Sequence[Mapping[str, str]]
    passages: Sequence[Mapping[str, str]]
    answer: str
    adapter: str | None


def keep_answers(connection: sa.Connection, rows: Sequence[AnswerRow]) -> None:
    if rows:
        connection.execute(answers.insert(), [asdict(row) for row in rows])


def record(
    connection: sa.Connection,
    answer_id: str,
    address: str,
    groups: frozenset[str],
    given: Given,
) -> bool:
    """Store what a caller says of an answer; False where these groups know of no such answer.

    A caller is an address until there are accounts: those behind one proxy count as one.
    """
    query = sa.select(answers.c.groups).where(answers.c.id == answer_id)
    asked_by = connection.execute(query).scalar()
    if asked_by is None or not frozenset(asked_by) <= groups | {EVERYONE}:
        return False
    caller, now = _caller(connection, address), datetime.now(UTC)
    for row in given.rows():
        same = (
            feedback.c.answer_id == answer_id,
            feedback.c.caller == caller,
            feedback.c.kind == row["kind"],
        )
        changed = connection.execute(feedback.update().where(*same).values(**row, given=now))
        if not changed.rowcount:
            new = {**row, "answer_id": answer_id, "caller": caller, "given": now}
            connection.execute(feedback.insert().values(**new))
    return True


def prune(connection: sa.Connection, keep_days: int, max_answers: int) -> int:
    """Forget answers without feedback that are too old or too many; how many there were."""
    loose = answers.c.id.not_in(sa.select(feedback.c.answer_id))
    query = sa.select(answers.c.created).where(loose).order_by(answers.c.created.desc())
    newest_of_the_rest = connection.execute(query.offset(max_answers).limit(1)).scalar()
    too_old = answers.c.created < datetime.now(UTC) - timedelta(days=keep_days)
    if newest_of_the_rest is not None:
        too_old = sa.or_(too_old, answers.c.created <= newest_of_the_rest)
    return int(connection.execute(answers.delete().where(loose, too_old)).rowcount)


def read_feedback(
    catalog: Catalog,
    since: datetime | None = None,
    limit: int | None = None,
    *,
    newest_first: bool = False,
) -> Iterator[Feedback]:
    """All feedback given at `since` or later, by time. Raises CatalogError."""
    order = [feedback.c.given, feedback.c.id]
    its = [answers.c[name] for name in ("question", "history", "passages", "answer", "adapter")]
    query = sa.select(feedback, *its).select_from(feedback.join(answers)).limit(limit)
    query = query.order_by(*(column.desc() if newest_first else column for column in order))
    if since is not None:
        query = query.where(feedback.c.given >= since)
    with catalog.reading() as connection:
        for row in connection.execute(query.execution_options(yield_per=BATCH)):
            yield Feedback(
                answer_id=row.answer_id,
                given=aware(row.given) or row.given,
                kind=row.kind,
                value=row.value,
                text=row.text or "",
                caller=row.caller,
                question=row.question,
                history=row.history,
                passages=row.passages,
                answer=row.answer,
                adapter=row.adapter,
            )


def _caller(connection: sa.Connection, address: str) -> str:
    """An opaque name for an address, the same for as long as this catalog lives.

    Who has the catalog has the salt and can try all addresses; who has an export alone cannot.
    """
    salt = read_fact(connection, _SALT)
    if salt is None:
        salt = secrets.token_hex(32)
        write_fact(connection, _SALT, salt)
    key = bytes.fromhex(salt)
    return hashlib.blake2b(address.encode(), key=key, digest_size=8).hexdigest()
