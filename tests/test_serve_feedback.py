"""Votes, corrections, comments and ideal answers: over HTTP, and what becomes of them in SQL."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import httpx
import pytest
import sqlalchemy as sa
from pydantic import BaseModel

import serve.remembering
import serve.schema_feedback
from guardrails import GuardrailsConfig, open_rails
from rag.catalog import Catalog
from rag.config import RagConfig
from rag.database import _MIGRATIONS
from rag.schema import Message, Sampling
from rag.tables import answers, feedback
from serve.chat import Finished, Question
from serve.config import ServeConfig
from serve.errors import RequestError
from serve.feedback import AnswerRow, Given, keep_answers, prune, read_feedback, record
from serve.wiring import Parts
from tests.fakes import PUBLIC, FakeEmbedder, fake_knowledge, take_in
from tests.test_serve_api import assert_refused, serving

TEXT = "# Ferry\n\nThe ferry connects Meersburg with the town. It leaves at 08:15 from pier 4."
QUESTION = "When does the ferry leave?"


@dataclass
class Service:
    """A server that answers in quotations, and the catalog behind it."""

    api: httpx.Client
    catalog: Catalog
    parts: Parts

    def ask(self, question: str = QUESTION, **values: Any) -> str:
        """The id of an answer."""
        messages = [*values.pop("history", []), {"role": "user", "content": question}]
        body = {"model": "vsage", "messages": messages, **values}
        answer = self.api.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def give(self, answer_id: str, **said: Any) -> httpx.Response:
        return self.api.post("/v1/feedback", json={"id": answer_id, **said})

    def rows(self) -> list[tuple[str, bool | None, str]]:
        return [(row.kind, row.value, row.text) for row in read_feedback(self.catalog)]


@contextmanager
def service(folder: Path, **server: Any) -> Iterator[Service]:
    knowledge = fake_knowledge(folder)
    take_in(knowledge, {"ferry.md": TEXT})
    config = ServeConfig.model_validate(
        {"data_dir": folder, "retriever": {"min_relevance": 0.0}, "server": server}
    )
    rails = open_rails(GuardrailsConfig(enabled=False), embed=FakeEmbedder().encode)
    parts = Parts(config, knowledge.configured(config), None, rails)
    with serving(parts) as url, httpx.Client(base_url=url, trust_env=False, timeout=60) as api:
        yield Service(api, knowledge.catalog, parts)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("feedback")) as running:
        yield running


@pytest.fixture
def served(shared: Service) -> Service:
    """The one server, with all feedback forgotten."""
    with shared.catalog.writing(visible=False) as (connection, _):
        connection.execute(feedback.delete())
        connection.execute(answers.delete())
    return shared


# --- over HTTP ----------------------------------------------------------------------------------


def test_everything_that_can_be_said_is_stored_with_its_answer(served: Service) -> None:
    history = [{"role": "user", "content": "Is there a ferry?"}]
    history += [{"role": "assistant", "content": "There is. [1]"}]
    before = datetime.now(UTC)
    answer_id = served.ask(history=history)
    said = {"vote": False, "correction": "At 08:15.", "comment": "Too long.", "ideal": "08:15. [1]"}
    reply = served.give(answer_id, **said)
    assert reply.status_code == 200, reply.text
    kinds = ["vote", "correction", "comment", "ideal"]
    assert reply.json() == {"id": answer_id, "object": "feedback", "recorded": kinds}
    found = list(read_feedback(served.catalog))
    assert [(row.kind, row.value, row.text) for row in found] == [
        ("vote", False, ""),
        ("correction", None, "At 08:15."),
        ("comment", None, "Too long."),
        ("ideal", None, "08:15. [1]"),
    ]
    for row in found:
        assert row.answer_id == answer_id
        assert before <= row.given <= datetime.now(UTC)
        assert (row.question, list(row.history)) == (QUESTION, history)
        assert "08:15" in row.answer
        assert row.adapter is None
        (passage,) = row.passages
        assert (passage["title"], passage["uri"]) == ("Ferry", "test:ferry.md")
        assert "It leaves at 08:15 from pier 4." in passage["text"]
        assert "127.0.0.1" not in row.caller
    assert len({row.caller for row in found}) == 1


def test_a_second_vote_of_one_caller_changes_the_first(served: Service) -> None:
    answer_id = served.ask()
    for vote in (True, False, True, False):
        assert served.give(answer_id, vote=vote).status_code == 200
    served.give(answer_id, correction="One.")
    served.give(answer_id, correction="Two.", vote=None)
    assert served.rows() == [("vote", False, ""), ("correction", None, "Two.")]


def test_votes_on_two_answers_are_two(served: Service) -> None:
    first, second = served.ask(), served.ask()
    assert first != second
    served.give(first, vote=True)
    served.give(second, vote=False)
    assert served.rows() == [("vote", True, ""), ("vote", False, "")]


def test_a_streamed_answer_can_be_voted_on_as_soon_as_it_ends(served: Service) -> None:
    body = {"model": "vsage", "messages": [{"role": "user", "content": QUESTION}], "stream": True}
    streamed = served.api.post("/v1/chat/completions", json=body).text
    first = json.loads(streamed.partition("\n\n")[0].removeprefix("data: "))
    assert served.give(first["id"], vote=True).status_code == 200
    (row,) = read_feedback(served.catalog)
    assert "08:15" in row.answer


def test_an_answer_that_found_nothing_takes_a_correction(tmp_path: Path) -> None:
    with service(tmp_path) as served:
        served.catalog.delete(served.catalog.uris().values())
        answer_id = served.ask()
        assert served.give(answer_id, correction="At 08:15.").status_code == 200
        (row,) = read_feedback(served.catalog)
        assert "knowledge base is empty" in row.answer
        assert list(row.passages) == []


@pytest.mark.parametrize(
    ("said", "code", "param"),
    [
        ({}, "invalid_value", None),
        ({"vote": None, "comment": None}, "invalid_value", None),
        ({"vote": 1}, "invalid_value", "vote"),
        ({"vote": "true"}, "invalid_value", "vote"),
        ({"comment": True}, "invalid_value", "comment"),
        ({"correction": ""}, "invalid_value", "correction"),
        ({"ideal": " \n\t"}, "invalid_value", "ideal"),
        ({"vote": True, "comment": "x" * 20_001}, "invalid_value", "comment"),
        ({"comment": "\ud800"}, "invalid_value", "comment"),
        ({"vote": True, "stars": 5}, "unsupported_parameter", "stars"),
        ({"vote": True, "id": ""}, "invalid_value", "id"),
        ({"vote": True, "id": "x" * 201}, "invalid_value", "id"),
        ({"vote": True, "id": 7}, "invalid_value", "id"),
    ],
)
def test_what_makes_no_sense_is_refused(
    served: Service, said: dict[str, Any], code: str, param: str | None
) -> None:
    answer_id = served.ask()
    sent = json.dumps({"id": answer_id, **said})
    kind = {"content-type": "application/json"}
    refused = served.api.post("/v1/feedback", content=sent, headers=kind)
    assert_refused(refused, 400, code, param)
    assert served.rows() == []


def test_no_json_and_no_id(served: Service) -> None:
    kind = {"content-type": "application/json"}
    refused = served.api.post("/v1/feedback", content="{", headers=kind)
    assert_refused(refused, 400, "invalid_json")
    assert_refused(
        served.api.post("/v1/feedback", json={"vote": True}), 400, "missing_parameter", "id"
    )
    assert served.api.post("/v1/feedback", content="x").status_code == 415
    assert served.api.get("/v1/feedback").status_code == 405


@pytest.mark.parametrize("name", ["chatcmpl-0", "chatcmpl-" + "0" * 24, "%", "' OR 1=1 --", "\0"])
def test_an_answer_that_is_not_known(served: Service, name: str) -> None:
    served.ask()
    message = assert_refused(served.give(name, vote=True), 404, "not_found", "id")
    assert "30 days" in message
    assert served.rows() == []


def test_an_answer_that_is_not_to_be_stored_is_not(served: Service) -> None:
    for store, status in ((False, 404), (None, 200)):
        assert served.give(served.ask(store=store), vote=True).status_code == status
    assert served.rows() == [("vote", True, "")]


def test_switched_off_nothing_is_kept_or_taken(tmp_path: Path) -> None:
    with service(tmp_path, feedback={"enabled": False}) as served:
        answer_id = served.ask()
        assert_refused(served.give(answer_id, vote=True), 404, "feedback_off")
        assert _count(served.catalog) == 0


def test_who_may_not_see_the_answer_may_not_vote_on_it(tmp_path: Path) -> None:
    with service(tmp_path, groups=["board", "everyone"]) as served:
        answer_id = served.ask()
        assert served.give(answer_id, vote=True).status_code == 200
    with service(tmp_path) as served:
        assert_refused(served.give(answer_id, vote=False), 404, "not_found", "id")
        assert served.rows() == [("vote", True, "")]


# --- a database that cannot be written ----------------------------------------------------------


def _quickly(catalog: Catalog) -> None:
    """Locks are waited for a tenth of a second instead of a minute."""
    catalog.engine.dispose()
    sa.event.listen(catalog.engine, "connect", lambda c, _: c.execute("PRAGMA busy_timeout = 100"))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    other = sqlite3.connect(folder / "vsage.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("COMMIT")
        other.close()


def test_a_locked_database_loses_neither_answer_nor_vote(tmp_path: Path) -> None:
    with service(tmp_path) as served:
        early = served.ask()
        assert served.give(early, vote=True).status_code == 200
        _quickly(served.catalog)
        with _locked(tmp_path):
            late = served.ask()
            for answer_id in (early, late):
                message = assert_refused(served.give(answer_id, vote=False), 503, "unavailable")
                assert "locked" in message
            assert served.rows() == [("vote", True, "")]
        assert served.give(late, vote=False).status_code == 200
        assert served.rows() == [("vote", True, ""), ("vote", False, "")]


def test_nobody_waits_long_for_another_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve.remembering, "_PATIENCE_S", 0.2)
    with service(tmp_path) as served:
        answer_id = served.ask()
        served.give(answer_id, vote=True)
        with _locked(tmp_path):
            message = assert_refused(served.give(answer_id, vote=False), 503, "unavailable")
            assert "send the feedback again" in message
            served.ask()  # answers and searches do not wait for it


def test_a_full_disk_loses_nothing_else(tmp_path: Path) -> None:
    with service(tmp_path) as served:
        early = served.ask()
        served.give(early, comment="Fine.")
        engine = served.catalog.engine
        with engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

        def full(connection: Any, _record: Any) -> None:
            connection.execute(f"PRAGMA max_page_count = {pages}")

        engine.dispose()
        sa.event.listen(engine, "connect", full)
        refused = served.give(early, comment="x" * 19_000, vote=True)
        assert "full" in assert_refused(refused, 503, "unavailable")
        late = served.ask()
        assert served.rows() == [("comment", None, "Fine.")]
        sa.event.remove(engine, "connect", full)
        engine.dispose()
        assert served.give(late, vote=True).status_code == 200
        assert served.rows() == [("comment", None, "Fine."), ("vote", True, "")]


def test_what_waits_in_memory_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve.remembering, "_MOST_UNWRITTEN", 3)
    with service(tmp_path) as served:
        _quickly(served.catalog)
        with _locked(tmp_path):
            asked = [served.ask() for _ in range(5)]
            time.sleep(0.5)  # nobody waits for the lock any longer
        for answer_id in asked[:2]:
            assert_refused(served.give(answer_id, vote=True), 404, "not_found", "id")
        for answer_id in asked[2:]:
            assert served.give(answer_id, vote=True).status_code == 200


def test_what_cannot_be_remembered_fails_no_answer(
    served: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("no row")

    monkeypatch.setattr(serve.remembering, "_to_row", broken)
    answer_id = served.ask()
    monkeypatch.undo()
    assert_refused(served.give(answer_id, vote=True), 404, "not_found", "id")
    assert "an answer is not remembered" in caplog.text


def test_a_row_that_cannot_be_written_does_not_stand_before_the_next(
    served: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise UnicodeEncodeError("utf-8", "x", 0, 1, "no")

    monkeypatch.setattr(serve.remembering, "keep_answers", broken)
    lost = served.ask()
    _until(lambda: not served.parts.answers._unwritten)
    monkeypatch.undo()
    assert_refused(served.give(lost, vote=True), 404, "not_found", "id")
    assert served.give(served.ask(), vote=True).status_code == 200


def _until(done: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not done():
        assert time.monotonic() < give_up
        time.sleep(0.02)


async def test_what_is_unwritten_is_written_at_the_end(tmp_path: Path) -> None:
    knowledge = fake_knowledge(tmp_path)
    rails = open_rails(GuardrailsConfig(enabled=False), embed=FakeEmbedder().encode)
    parts = Parts(ServeConfig(data_dir=tmp_path), knowledge, None, rails)
    for number in range(50):
        parts.answers.remember(parts, f"a{number}", Finished(text="yes"))
    parts.answers.close()
    assert _count(knowledge.catalog) == 50
    parts.answers.remember(parts, "late", Finished(text="yes"))  # no error: nobody could help
    knowledge.close()


# --- in SQL -------------------------------------------------------------------------------------


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog(RagConfig(data_dir=tmp_path))
    yield opened
    opened.close()


def remembered(catalog: Catalog, *ids: str, age_days: float = 0) -> None:
    """Answers of these ids, the first one the oldest."""
    start = datetime.now(UTC) - timedelta(days=age_days)
    rows = [
        AnswerRow(name, start + timedelta(seconds=number), "Q", [], [], "A", None, ["everyone"])
        for number, name in enumerate(ids)
    ]
    with catalog.writing(visible=False) as (connection, _):
        keep_answers(connection, rows)


def said(catalog: Catalog, answer_id: str, address: str = "10.0.0.1", **given: Any) -> bool:
    with catalog.writing(visible=False) as (connection, _):
        return record(connection, answer_id, address, PUBLIC, Given(**given))


def _count(catalog: Catalog) -> int:
    with catalog.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(answers)).scalar_one())


def _ids(catalog: Catalog) -> set[str]:
    with catalog.reading() as connection:
        return set(connection.execute(sa.select(answers.c.id)).scalars())


def pruned(catalog: Catalog, keep_days: int = 30, max_answers: int = 1000) -> int:
    with catalog.writing(visible=False) as (connection, _):
        return prune(connection, keep_days, max_answers)


def test_old_answers_go_and_those_with_feedback_stay(catalog: Catalog) -> None:
    remembered(catalog, "old", "voted", age_days=31)
    remembered(catalog, "young", age_days=29)
    said(catalog, "voted", vote=True)
    assert pruned(catalog) == 1
    assert _ids(catalog) == {"voted", "young"}
    assert pruned(catalog) == 0


def test_no_more_answers_than_stated_and_those_with_feedback_do_not_count(
    catalog: Catalog,
) -> None:
    remembered(catalog, *"abcdefgh")
    said(catalog, "b", vote=True)
    said(catalog, "g", texts={"comment": "c"})
    assert pruned(catalog, max_answers=3) == 3
    assert _ids(catalog) == {"b", "g", "e", "f", "h"}


def test_the_server_prunes_as_it_goes(tmp_path: Path) -> None:
    with service(tmp_path, feedback={"max_answers": 3}) as served:
        asked = [served.ask() for _ in range(6)]
        assert served.give(asked[-1], vote=True).status_code == 200
        assert _ids(served.catalog) <= set(asked[-4:])
        assert_refused(served.give(asked[0], vote=True), 404, "not_found", "id")


def test_each_caller_has_a_vote_of_his_own(catalog: Catalog, tmp_path: Path) -> None:
    remembered(catalog, "a")
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.1", "::1", ""):
        assert said(catalog, "a", address, vote=address != "10.0.0.1")
    found = list(read_feedback(catalog))
    assert sorted(row.value for row in found if row.value is not None) == [False, True, True, True]
    callers = {row.caller for row in found}
    assert len(callers) == 4
    assert all(len(caller) == 16 and "10.0" not in caller for caller in callers)
    catalog.close()
    again = Catalog(RagConfig(data_dir=tmp_path))
    said(again, "a", "10.0.0.1", vote=True)
    assert {row.caller for row in read_feedback(again)} == callers, "the salt stays"
    again.close()
    other = Catalog(RagConfig(data_dir=tmp_path / "other"))
    remembered(other, "a")
    said(other, "a", "10.0.0.1", vote=True)
    assert not {row.caller for row in read_feedback(other)} & callers, "each has its own"
    other.close()


def test_feedback_is_read_by_time_from_a_time_on(catalog: Catalog) -> None:
    remembered(catalog, "a", "b", "c")
    for name in "cab":
        said(catalog, name, vote=True)
    rows = list(read_feedback(catalog))
    assert [row.answer_id for row in rows] == ["c", "a", "b"]
    assert [row.answer_id for row in read_feedback(catalog, rows[1].given)] == ["a", "b"]
    newest = read_feedback(catalog, limit=2, newest_first=True)
    assert [row.answer_id for row in newest] == ["b", "a"]


def test_no_search_notices_an_answer_or_a_vote(catalog: Catalog) -> None:
    before = catalog.generation()
    remembered(catalog, "a")
    said(catalog, "a", vote=True)
    assert catalog.generation() == before


def test_a_catalog_of_the_schema_before_is_brought_up_to_date(tmp_path: Path) -> None:
    catalog = Catalog(RagConfig(data_dir=tmp_path))
    options = alembic.config.Config()
    options.set_main_option("script_location", str(_MIGRATIONS))
    write = catalog.engine.connect().execution_options(write=True)
    with write as connection, connection.begin():
        options.attributes["connection"] = connection
        alembic.command.downgrade(options, "0003")
        assert not sa.inspect(connection).has_table("answers")
    catalog.close()
    catalog = Catalog(RagConfig(data_dir=tmp_path))
    remembered(catalog, "a")
    assert said(catalog, "a", vote=True)
    catalog.close()


# --- what is kept of an answer ------------------------------------------------------------------


def _kept(end: Finished) -> AnswerRow:
    rails = open_rails(GuardrailsConfig(enabled=False), embed=FakeEmbedder().encode)
    parts = Parts(ServeConfig(), None, None, rails)  # type: ignore[arg-type]
    return serve.remembering._to_row(parts, "a", end)


def test_a_question_that_was_refused_is_kept_masked() -> None:
    question = Question("My card is 4111 1111 1111 1111", Sampling(), PUBLIC, adapter="terse")
    end = Finished(text="No.", question=question)
    assert _kept(end).question.endswith("1111")
    kept = _kept(replace(end, finish_reason="content_filter"))
    assert kept.question == "My card is <CARD_1>"
    assert (kept.adapter, list(kept.groups)) == ("terse", ["everyone"])


def test_half_characters_are_kept_as_question_marks() -> None:
    history = (Message("user", "a\ud800"),)
    kept = _kept(
        Finished(text="b\udfff", question=Question("c\ud800", Sampling(), PUBLIC, history))
    )
    assert (kept.history[0]["content"], kept.answer, kept.question) == ("a?", "b?", "c?")


def test_ids_cannot_be_guessed() -> None:
    ids = {serve.remembering.new_answer_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(name) == len("chatcmpl-") + 24 for name in ids)


@pytest.mark.parametrize(
    ("text", "fine"), [("", False), (" ", False), ("x" * 101, False), ("x", True)]
)
def test_texts_are_checked_wherever_they_come_from(text: str, fine: bool) -> None:
    given = Given(texts={"correction": text})
    if fine:
        given.check(100)
        return
    with pytest.raises(RequestError, match="correction"):
        given.check(100)


def test_every_field_is_described_with_an_example() -> None:
    for model in vars(serve.schema_feedback).values():
        if isinstance(model, type) and issubclass(model, BaseModel):
            for name, field in model.model_json_schema().get("properties", {}).items():
                assert "description" in field, name
                assert "examples" in field or "const" in field, name
