"""Uploads and the groups that may read them: nobody touches, or learns of, what he may not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from guardrails import GuardrailsConfig, open_rails
from rag.knowledge import Knowledge
from rag.schema import EVERYONE
from serve.app import create_app
from serve.config import ServeConfig
from serve.errors import RequestError
from serve.uploads import upload_readers
from serve.wiring import Parts
from tests.fakes import FakeEmbedder, assert_whole, fake_knowledge, new_document, store

STAFF, BOARD = frozenset({"staff"}), frozenset({"board"})
OLD, NEW = b"# Plan\n\nThe former plan.", b"# Plan\n\nThe newer plan."


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[Knowledge]:
    opened = fake_knowledge(tmp_path)
    yield opened
    opened.close()


@asynccontextmanager
async def serving(knowledge: Knowledge, *groups: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server whose callers have these groups."""
    config = ServeConfig.model_validate(
        {
            "data_dir": knowledge.config.data_dir,
            "server": {"groups": groups},
            "generator": {"provider": "extractive"},
        }
    )
    rails = open_rails(GuardrailsConfig(enabled=False), embed=FakeEmbedder().encode)
    app = create_app(Parts(config, knowledge.configured(config), None, rails))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def send(
    api: httpx.AsyncClient, data: bytes = NEW, name: str = "plan.md", **form: Any
) -> httpx.Response:
    return await api.post("/v1/documents", files={"file": (name, data)}, data=form)


async def taken(api: httpx.AsyncClient, data: bytes = NEW, **form: Any) -> dict[str, Any]:
    answer = await send(api, data, **form)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def held(knowledge: Knowledge) -> dict[str, tuple[str, frozenset[str]]]:
    """URI -> text and readers, of everything there is."""
    catalog = knowledge.catalog
    return {d.uri: (catalog.text(d.id), d.groups) for d in catalog.list_documents()}


def put(knowledge: Knowledge, uri: str, groups: frozenset[str]) -> int:
    new = replace(new_document(uri, ["The secret plan."], groups), name="plan.md")
    store(knowledge.catalog, new)
    return knowledge.catalog.uris()[uri]


# --- readers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [("staff",), ("staff", "lab"), (EVERYONE,), (EVERYONE, "lab")])
async def test_an_upload_is_the_callers_groups(knowledge: Knowledge, groups: tuple[str]) -> None:
    async with serving(knowledge, *groups) as api:
        document = await taken(api)
        assert document["groups"] == sorted(groups)
        assert (await api.get(f"/v1/documents/{document['id']}")).status_code == 200
    async with serving(knowledge, "board") as api:
        status = (await api.get(f"/v1/documents/{document['id']}")).status_code
        assert status == (200 if EVERYONE in groups else 404)


async def test_a_caller_without_groups_uploads_for_everyone(knowledge: Knowledge) -> None:
    async with serving(knowledge) as api:
        assert (await taken(api))["groups"] == [EVERYONE]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("lab", ["lab"]),
        (["lab", "staff"], ["lab", "staff"]),
        ("staff, lab", ["lab", "staff"]),
        (["lab", "lab"], ["lab"]),
        (EVERYONE, [EVERYONE]),
        ("a,b", ["a,b"]),
        ("a,b ", None),
    ],
)
async def test_some_of_the_callers_groups(
    knowledge: Knowledge, sent: Any, kept: list[str] | None
) -> None:
    async with serving(knowledge, "staff", "lab", "a,b") as api:
        answer = await send(api, groups=sent)
    assert answer.status_code == (201 if kept else 403), answer.text
    assert kept is None or answer.json()["groups"] == kept


@pytest.mark.parametrize("sent", ["board", ["staff", "board"], "staff,board", "Staff", "x" * 5000])
async def test_a_group_that_the_caller_is_not_in(knowledge: Knowledge, sent: Any) -> None:
    put(knowledge, "file:///minutes.md", BOARD)
    async with serving(knowledge, "staff") as api:
        answer = await send(api, groups=sent)
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("permission_error", "not_in_group")
    assert error["param"] == "groups"
    assert "yours are: everyone, staff" in error["message"]
    assert len(error["message"]) < 200
    assert list(held(knowledge)) == ["file:///minutes.md"]


@pytest.mark.parametrize("sent", ["", " ", ",", "staff,"])
async def test_no_group_at_all(knowledge: Knowledge, sent: str) -> None:
    async with serving(knowledge, "staff") as api:
        answer = await send(api, groups=sent)
    if answer.status_code == 201:  # a form cannot tell an empty field from one that is missing
        assert (sent, answer.json()["groups"]) == ("", ["staff"])
    else:
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "groups"


def test_half_a_character_is_refused_in_plain_text() -> None:
    with pytest.raises(RequestError) as caught:
        upload_readers(["\ud800"], STAFF)
    assert caught.value.status == 403
    str(caught.value).encode()


# --- names --------------------------------------------------------------------------------------


async def test_every_group_has_names_of_its_own(knowledge: Knowledge) -> None:
    async with serving(knowledge, "staff") as staff, serving(knowledge, "board") as board:
        theirs, ours = await taken(staff, OLD), await taken(board, NEW)
        assert theirs["uri"] != ours["uri"]
        assert (await taken(board, NEW))["id"] == ours["id"]
        for path in (f"/v1/documents/{theirs['id']}", f"/v1/documents/{theirs['id']}?text=true"):
            assert (await board.get(path)).status_code == 404
        assert (await board.delete(f"/v1/documents/{theirs['id']}")).status_code == 404
        assert (await board.get("/v1/documents")).json()["total"] == 1
        assert (await board.delete(f"/v1/documents/{ours['id']}")).status_code == 200
        assert (await staff.get("/v1/documents")).json()["data"] == [theirs]


async def test_another_groups_document_makes_no_difference(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """The same replies with it and without it; the id alone counts on, whoever it belongs to."""
    told = []
    for others in (True, False):
        if others:
            put(knowledge, "upload:plan.md", BOARD)
            async with serving(knowledge, "board") as board:
                await taken(board, OLD, groups=EVERYONE)
                await taken(board, OLD)
        else:
            knowledge.catalog.delete(knowledge.catalog.uris().values())
            async with serving(knowledge, "board") as board:
                await taken(board, OLD, groups=EVERYONE)
        async with serving(knowledge, "staff") as api:
            replies = [await send(api, b"", name="plan.md"), await send(api, NEW)]
            replies += [await send(api, NEW, groups=EVERYONE), await send(api, b"\x00", "plan.pdf")]
            replies.append(await api.get("/v1/documents"))
        told.append([without_marks(reply.json()) for reply in replies])
    assert told[0] == told[1]


def without_marks(value: Any) -> Any:
    """A reply without what is drawn anew for every document."""
    if isinstance(value, dict):
        drawn = {"id", "ingested", "modified"}
        return {key: without_marks(one) for key, one in value.items() if key not in drawn}
    return [without_marks(one) for one in value] if isinstance(value, list) else value


async def test_the_same_readers_in_any_order_replace(knowledge: Knowledge) -> None:
    async with serving(knowledge, "staff", "lab") as api:
        first = await taken(api, OLD)
    async with serving(knowledge, "lab", "staff", "board") as api:
        second = await taken(api, NEW, groups=["lab", "staff"])
    assert first["uri"] == second["uri"]
    assert list(held(knowledge)) == [first["uri"]]
    assert "newer" in held(knowledge)[first["uri"]][0]


async def test_everyones_documents_are_one_name_space(knowledge: Knowledge) -> None:
    async with serving(knowledge, EVERYONE, "staff") as api:
        first = await taken(api, OLD)
    async with serving(knowledge, "board") as api:
        second = await taken(api, NEW, groups=EVERYONE)
    assert first["uri"] == second["uri"] == "upload:everyone/plan.md"
    assert held(knowledge)[first["uri"]][1] == {EVERYONE}


async def test_a_document_given_to_others_since_is_not_replaced(knowledge: Knowledge) -> None:
    for groups in ("staff", EVERYONE):
        async with serving(knowledge, "staff") as api:
            first = await taken(api, OLD, groups=groups)
            knowledge.catalog.set_groups(first["id"], BOARD)
            second = await taken(api, NEW, groups=groups)
            again = await taken(api, NEW, groups=groups)
        assert second["id"] == again["id"] != first["id"]
        assert "former" in held(knowledge)[first["uri"]][0]


async def test_a_replacement_that_cannot_be_read_changes_nothing(knowledge: Knowledge) -> None:
    put(knowledge, "upload:plan.md", frozenset({EVERYONE}))
    async with serving(knowledge, "staff") as api:
        await taken(api, OLD, groups="staff")
        put(knowledge, "upload:plan.md", STAFF | BOARD)
        before = held(knowledge)
        answer = await send(api, bytes(range(256)) * 20)
    assert answer.status_code == 400
    assert held(knowledge) == before


async def test_many_groups_upload_one_name_at_once(knowledge: Knowledge) -> None:
    groups = [f"team{number}" for number in range(4)]
    async with serving(knowledge, *groups) as api:
        sent = [send(api, b"# Plan\n\nOf %s." % group.encode(), groups=group) for group in groups]
        answers = await asyncio.gather(*sent, *(send(api, NEW, groups=group) for group in groups))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert sorted(sorted(readers) for _, readers in held(knowledge).values()) == [
        [group] for group in groups
    ]
    assert_whole(knowledge.catalog)


# --- documents of former versions ---------------------------------------------------------------


@pytest.mark.parametrize("readers", [frozenset({EVERYONE}), STAFF, STAFF | BOARD])
async def test_a_former_versions_upload_is_replaced(
    knowledge: Knowledge, readers: frozenset[str]
) -> None:
    put(knowledge, "upload:plan.md", readers)
    async with serving(knowledge, "staff") as api:
        document = await taken(api)
        listed = (await api.get("/v1/documents")).json()["data"]
    assert listed == [document]
    ((text, now),) = held(knowledge).values()
    assert ("newer" in text, now) == (True, STAFF)
    assert_whole(knowledge.catalog)


async def test_a_former_versions_upload_of_others_stays(knowledge: Knowledge) -> None:
    secret = put(knowledge, "upload:plan.md", BOARD)
    async with serving(knowledge, "staff") as api:
        for groups in (EVERYONE, "staff"):
            await taken(api, groups=groups)
    assert held(knowledge)["upload:plan.md"] == ("The secret plan.", BOARD)
    assert knowledge.catalog.uris()["upload:plan.md"] == secret


async def test_other_documents_of_that_name_stay(knowledge: Knowledge) -> None:
    put(knowledge, "file:///docs/plan.md", frozenset({EVERYONE}))
    put(knowledge, "upload:other.md", frozenset({EVERYONE}))
    async with serving(knowledge, EVERYONE) as api:
        await taken(api)
    assert set(held(knowledge)) == {
        "file:///docs/plan.md",
        "upload:other.md",
        "upload:everyone/plan.md",
    }
