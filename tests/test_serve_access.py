"""No response, error or count tells of a document that the caller's groups may not read.

Every field of every document holds a word of its own; whatever leaves the server is searched for
the words of those that the caller may not see. The catalog's random documents are drawn by
hypothesis, as are the server's groups.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from guardrails import GuardrailsConfig, open_rails
from rag.catalog_rows import NewDocument
from rag.knowledge import Knowledge
from rag.schema import EVERYONE, Metadata
from serve.app import create_app
from serve.config import ServeConfig
from serve.wiring import Parts
from tests.fakes import FakeEmbedder, fake_knowledge, new_document, store

GROUPS = ["board", "staff", "lab", '["board"]', "board ", "Board"]
FIELDS = ("title", "text", "second", "name", "uri", "label", "version", "product", "source", "url")
SHARED = "the common frame buffer of a host holds memory for each guest"
NOWHERE = 99
"""No document has this number: what is asked of it is what is asked of one that is not there."""
QUERY = "Which common frame buffer holds the memory of a guest?"

Readers = frozenset[str]
OFTEN = settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink a failure takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
readers = st.frozensets(st.sampled_from([*GROUPS, EVERYONE]), max_size=3)
FILTERS = ("sources", "products", "versions", "labels")
libraries = st.lists(readers, min_size=1, max_size=5)


def word(field: str, number: int) -> str:
    return f"zq{field}x{number}qz"


def document(number: int, groups: Readers) -> NewDocument:
    texts = [f"{SHARED} {word('text', number)}.", f"{SHARED}, says {word('second', number)}."]
    new = new_document(word("uri", number), texts, groups, word("title", number))
    metadata = Metadata(
        product=word("product", number),
        version=f"4.{number}.{word('version', number)}",
        labels=("shared", word("label", number)),
        url=f"https://wiki.example/{word('url', number)}",
    )
    return replace(
        new,
        name=word("name", number),
        source=word("source", number),
        modified=datetime(2026, 1, 1 + number, tzinfo=UTC),
        metadata=metadata,
    )


@dataclass(frozen=True)
class Library:
    """A knowledge base as one caller sees it; numbers are those of `document`."""

    api: httpx.AsyncClient
    knowledge: Knowledge
    ids: dict[int, int]
    allowed: frozenset[int]

    @property
    def forbidden(self) -> frozenset[int]:
        return frozenset(self.ids) - self.allowed

    async def ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        """The answer, after a look at all of its bytes."""
        answer = await self.api.request(method, path, **sent)
        assert answer.status_code < 500, answer.text
        self.assert_silent(answer, json.dumps(sent, default=str) + path)
        return answer

    def assert_silent(self, answer: httpx.Response, sent: str) -> None:
        """No word of a forbidden document but those that the caller has said."""
        raw = answer.content + repr(answer.headers.raw).encode()
        for number in self.forbidden:
            for field in FIELDS:
                said = word(field, number)
                assert said in sent or said.encode() not in raw, f"{said} in {answer.text}"


@asynccontextmanager
async def serving(
    knowledge: Knowledge, embedder: FakeEmbedder, groups: Readers, **retriever: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application itself, for callers of these groups."""
    config = ServeConfig.model_validate(
        {
            "data_dir": knowledge.config.data_dir,
            "server": {"groups": tuple(groups)},
            "generator": {"provider": "extractive"},
            "retriever": retriever,
        }
    )
    rails = open_rails(GuardrailsConfig(enabled=False), embed=embedder.encode)
    app = create_app(Parts(config, knowledge.configured(config), None, rails))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as opened:
        yield opened


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    opened = fake_knowledge(tmp_path_factory.mktemp("shelf"))
    yield opened
    opened.close()


def fill(knowledge: Knowledge, documents: Sequence[Readers]) -> dict[int, int]:
    """Number -> id, of these documents and no others."""
    knowledge.catalog.delete(list(knowledge.catalog.uris().values()))
    store(knowledge.catalog, *(document(i, groups) for i, groups in enumerate(documents)))
    ids = knowledge.catalog.uris()
    return {i: ids[word("uri", i)] for i in range(len(documents))}


@asynccontextmanager
async def opened(
    knowledge: Knowledge, documents: Sequence[Readers], groups: Readers, **retriever: Any
) -> AsyncIterator[Library]:
    ids = fill(knowledge, documents)
    caller = groups | {EVERYONE}
    allowed = frozenset(i for i, may in enumerate(documents) if may & caller)
    async with serving(knowledge, FakeEmbedder(), groups, **retriever) as api:
        yield Library(api, knowledge, ids, allowed)


def question(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "vsage", "messages": [{"role": "user", "content": text}], **more}


def numbers_in(text: str, field: str) -> set[int]:
    return {int(number) for number in re.findall(word(field, 0).replace("0", r"(\d+)"), text)}


# --- search -------------------------------------------------------------------------------------


@OFTEN
@given(
    libraries,
    readers,
    st.sampled_from(["hybrid", "lexical", "dense"]),
    st.booleans(),
    st.sampled_from(FILTERS),
)
def test_search(
    runner: asyncio.Runner,
    shelf: Knowledge,
    documents: list[Readers],
    groups: Readers,
    mode: str,
    collapse: bool,
    key: str,
) -> None:
    async def run() -> None:
        async with opened(shelf, documents, groups, mode=mode, collapse=collapse) as library:
            found = await library.ask("POST", "/v1/search", json={"query": QUERY, "top_k": 100})
            if not collapse:
                assert numbers_in(found.text, "uri") == library.allowed
            else:
                assert bool(found.json()["data"]) == bool(library.allowed)
            for number in library.ids:
                await search_for(library, number, mode, key)

    runner.run(run())


async def search_for(library: Library, number: int, mode: str, key: str) -> None:
    """Ask for one document by all of its words, and narrowed to it."""
    mine = number in library.allowed
    spoken = " ".join(word(field, number) for field in FIELDS)
    found = await library.ask("POST", "/v1/search", json={"query": spoken, "top_k": 3})
    if mode == "lexical":
        assert numbers_in(json.dumps(found.json()["data"]), "uri") == ({number} if mine else set())
    sent = {"query": QUERY, "top_k": 100, "filters": {key: filters_of(number)[key]}}
    found = await library.ask("POST", "/v1/search", json=sent)
    seen = {hit["uri"] for hit in found.json()["data"]}
    assert seen == ({word("uri", number)} if mine else set())


def filters_of(number: int) -> dict[str, list[str]]:
    return {
        "sources": [word("source", number)],
        "products": [word("product", number).upper()],
        "versions": [f"4.{number}"],
        "labels": [word("label", number)],
    }


# --- documents ----------------------------------------------------------------------------------


@OFTEN
@given(libraries, readers, st.integers(1, 3))
def test_documents(
    runner: asyncio.Runner,
    shelf: Knowledge,
    documents: list[Readers],
    groups: Readers,
    limit: int,
) -> None:
    async def run() -> None:
        async with opened(shelf, documents, groups) as library:
            await read_the_list(library, limit)
            for number, document_id in library.ids.items():
                await read_one(library, number, document_id)
            for number, document_id in library.ids.items():
                await delete_one(library, number, document_id)
            left = set(library.knowledge.catalog.uris())
            assert left == {word("uri", number) for number in library.forbidden}
            listed = (await library.ask("GET", "/v1/documents")).json()
            assert (listed["data"], listed["total"], listed["has_more"]) == ([], 0, False)

    runner.run(run())


async def read_the_list(library: Library, limit: int) -> None:
    total = len(library.allowed)
    seen: list[str] = []
    for offset in range(0, len(library.ids) + limit, limit):
        sent = {"limit": limit, "offset": offset}
        page = (await library.ask("GET", "/v1/documents", params=sent)).json()
        assert page["total"] == total
        assert page["has_more"] == (offset + limit < total)
        assert len(page["data"]) == max(0, min(limit, total - offset))
        seen += [item["uri"] for item in page["data"]]
    assert sorted(seen) == sorted(word("uri", number) for number in library.allowed)


async def read_one(library: Library, number: int, document_id: int) -> None:
    for more in ("", "?text=true", "?text=false&x=1"):
        answer = await library.ask("GET", f"/v1/documents/{document_id}{more}")
        if number in library.allowed:
            assert answer.json()["uri"] == word("uri", number)
            assert (word("text", number) in answer.text) == ("text=true" in more)
        else:
            await assert_like_nothing(library, "GET", document_id, answer, more)


async def delete_one(library: Library, number: int, document_id: int) -> None:
    answer = await library.ask("DELETE", f"/v1/documents/{document_id}")
    if number in library.allowed:
        assert answer.json()["deleted"] is True
    else:
        await assert_like_nothing(library, "DELETE", document_id, answer)


async def assert_like_nothing(
    library: Library, method: str, document_id: int, answer: httpx.Response, more: str = ""
) -> None:
    """Byte for byte what is said of an id that no document has ever had."""
    missing = 10**9 + document_id
    other = await library.ask(method, f"/v1/documents/{missing}{more}")
    assert answer.status_code == other.status_code == 404
    assert answer.content == other.content.replace(str(missing).encode(), b"%d" % document_id)
    same = (answer.headers.keys(), answer.headers["content-type"])
    assert same == (other.headers.keys(), other.headers["content-type"])


@pytest.mark.parametrize("field", ["name", "uri", "title"])
async def test_a_name_or_uri_opens_nothing(shelf: Knowledge, field: str) -> None:
    """`find_document` knows them; the route must take ids alone."""
    async with opened(shelf, [frozenset({"board"}), frozenset({EVERYONE})], frozenset()) as library:
        for number in (0, 1, NOWHERE):
            for method in ("GET", "DELETE"):
                answer = await library.api.request(method, f"/v1/documents/{word(field, number)}")
                assert answer.status_code in (400, 404)
                assert word("text", number) not in answer.text
        assert len(library.knowledge.catalog.uris()) == 2


# --- chat ---------------------------------------------------------------------------------------


@OFTEN
@given(
    libraries,
    readers,
    st.sampled_from([0.0, 0.53, 1.0]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(FILTERS),
)
def test_chat(
    runner: asyncio.Runner,
    shelf: Knowledge,
    documents: list[Readers],
    groups: Readers,
    min_relevance: float,
    stream: bool,
    filtered: bool,
    key: str,
) -> None:
    async def run() -> None:
        async with opened(shelf, documents, groups, min_relevance=min_relevance) as library:
            shared = {"vsage": {"filters": {"labels": ["shared"]}}} if filtered else {}
            sent = question(QUERY, stream=stream, **shared)
            answer = await library.ask("POST", "/v1/chat/completions", json=sent)
            assert_count(answer, len(library.allowed))
            assert numbers_in(answer.text, "uri") <= library.allowed
            if min_relevance == 0 and library.allowed:
                assert numbers_in(answer.text, "uri"), "it cites something"
            for number in library.ids:
                await chat_about(library, number, stream, key)

    runner.run(run())


async def chat_about(library: Library, number: int, stream: bool, key: str) -> None:
    """By its words, in a follow-up, and narrowed to it."""
    spoken = f"What is {word('text', number)} in {word('title', number)}?"
    earlier = [
        {"role": "user", "content": f"Tell me of {word('title', number)}."},
        {"role": "assistant", "content": f"It holds {word('second', number)}."},
    ]
    follow_up = question(f"And its {word('text', number)}?", stream=stream)
    follow_up["messages"] = [*earlier, *follow_up["messages"]]
    for sent in (question(spoken, stream=stream), follow_up):
        answer = await library.ask("POST", "/v1/chat/completions", json=sent)
        assert_count(answer, len(library.allowed))
    answer, other = [
        await library.ask("POST", "/v1/chat/completions", json=question(QUERY, **narrowed(n, key)))
        for n in (number, NOWHERE)
    ]
    if number in library.allowed:
        assert numbers_in(answer.text, "uri") <= {number}
        assert_count(answer, 1)
    else:  # just like a document that there is not
        assert told(answer) == told(other)


def narrowed(number: int, key: str) -> dict[str, Any]:
    return {"vsage": {"filters": {key: filters_of(number)[key]}}}


def told(answer: httpx.Response) -> Any:
    """Everything in a reply that is not drawn or measured anew each time."""
    body = answer.json()
    del body["id"], body["created"], body["vsage"]["timings"]
    return body


def assert_count(answer: httpx.Response, allowed: int) -> None:
    """Where the reply says how many documents were searched, it counts the caller's own."""
    if said := re.search(r"I searched its (one|\d+) document", answer.text):
        assert said.group(1) == ("one" if allowed == 1 else str(allowed))


# --- health and errors --------------------------------------------------------------------------


@OFTEN
@given(libraries, readers)
def test_health_and_errors(
    runner: asyncio.Runner, shelf: Knowledge, documents: list[Readers], groups: Readers
) -> None:
    async def run() -> None:
        async with opened(shelf, documents, groups) as library:
            ready = await library.ask("GET", "/readyz")
            assert ready.json() == {"status": "ready", "documents": len(library.allowed)}
            for method, path, sent in BAD:
                answer = await library.ask(method, path, json=sent)
                assert 400 <= answer.status_code < 500, path

    runner.run(run())


BAD: list[tuple[str, str, Any]] = [
    ("POST", "/v1/search", {"query": ""}),
    ("POST", "/v1/search", {"query": QUERY, "groups": ["board"]}),
    ("POST", "/v1/search", {"query": QUERY, "filters": {"groups": ["board"]}}),
    ("POST", "/v1/search", {"query": QUERY, "filters": {"labels": "shared"}}),
    ("POST", "/v1/search", {"query": QUERY, "filters": {"modified_after": "x"}}),
    ("POST", "/v1/chat/completions", question(QUERY, vsage={"groups": ["board"]})),
    ("POST", "/v1/chat/completions", question(QUERY, groups=["board"])),
    ("POST", "/v1/chat/completions", question("")),
    ("GET", "/v1/documents?limit=0", None),
    ("GET", "/v1/documents/x", None),
    ("PUT", "/v1/documents/1", None),
]


@OFTEN
@given(libraries, readers)
def test_a_document_that_may_not_be_read_changes_no_count(
    runner: asyncio.Runner, shelf: Knowledge, documents: list[Readers], groups: Readers
) -> None:
    """What a caller can count is the same with the others' documents and without them."""

    async def counted(these: list[Readers]) -> list[Any]:
        async with opened(shelf, these, groups, min_relevance=1) as library:
            listed = await library.ask("GET", "/v1/documents")
            said = await library.ask("POST", "/v1/chat/completions", json=question("xyzzy plugh"))
            ready = await library.ask("GET", "/readyz")
            content = said.json()["choices"][0]["message"]["content"]
            return [listed.json()["total"], content, ready.content]

    async def run() -> None:
        mine = [may for may in documents if may & (groups | {EVERYONE})]
        assert await counted(documents) == await counted(mine)

    runner.run(run())


class Held(FakeEmbedder):
    """Embeds passages only when it is let go."""

    def __init__(self) -> None:
        super().__init__(16)
        self.go = threading.Event()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        assert self.go.wait(60)
        return super().encode(texts)


async def test_progress_of_a_new_embedder_counts_the_callers_passages_alone(
    tmp_path: Path,
) -> None:
    board, wanted = frozenset({"board"}), Held()
    made = fake_knowledge(tmp_path)
    fill(made, [frozenset({EVERYONE}), board, board])
    changing = Knowledge(made.config, made.catalog, made.embedder, made.index, wanted)
    seen = []
    for groups in (frozenset[str](), board):
        async with serving(changing, FakeEmbedder(), groups) as api:
            seen.append((await api.get("/readyz")).json())
            wanted.go.set()
    expected: dict[str, Any] = {"status": "ready", "documents": 1}
    assert seen[0] == {**expected, "reembedding": {"done": 0, "total": 2}}
    assert seen[1]["documents"] == 3
    made.close()
