"""`/v1/embeddings` on a real server, through OpenAI's own client and, for what is odd, by hand."""

from __future__ import annotations

import base64
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from numpy.typing import NDArray

from guardrails import GuardrailsConfig, open_rails
from rag.config import EmbedderConfig
from rag.embed import Embedder, open_embedder
from rag.errors import ModelError
from rag.knowledge import Knowledge
from serve.config import ServeConfig
from serve.wiring import Parts
from tests.fakes import FakeEmbedder, fake_knowledge, take_in
from tests.test_serve_api import assert_refused, open_over, openai_client, serving

NAME = "vsage-embedding"
TEXTS = ["Which setting enables vMotion for vGPU?", "naïve 漢字 🦙", "x"]


@pytest.fixture(scope="module")
def url(
    kb_data_dir: Path, embedder: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = shutil.copytree(kb_data_dir, tmp_path_factory.mktemp("embeddings") / "kb")
    with serving(open_over(Path(folder), embedder, server={"max_embedding_inputs": 100})) as served:
        yield served


@pytest.fixture(scope="module")
def ai(url: str) -> Iterator[openai.OpenAI]:
    with openai_client(url) as client:
        yield client


@pytest.fixture(scope="module")
def api(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        yield client


def post(api: httpx.Client, **values: Any) -> httpx.Response:
    return api.post("/v1/embeddings", json={"model": NAME, "input": "x"} | values)


# --- with OpenAI's client -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", [{}, {"encoding_format": "base64"}, {"encoding_format": "float"}]
)
def test_texts_are_embedded_in_order(
    ai: openai.OpenAI, embedder: Embedder, encoding: dict[str, Any]
) -> None:
    made = ai.embeddings.create(model=NAME, input=TEXTS, **encoding)
    assert (made.object, made.model) == ("list", NAME)
    assert [(item.object, item.index) for item in made.data] == [("embedding", i) for i in range(3)]
    vectors = [item.embedding for item in made.data]
    if encoding.get("encoding_format") == "base64":  # asked for by name, it comes as it is
        vectors = [np.frombuffer(base64.b64decode(str(v)), "<f4").tolist() for v in vectors]
    assert np.allclose(vectors, embedder.encode(TEXTS), atol=1e-5)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    counted = sum(len(embedder.token_starts(text)) for text in TEXTS)
    assert (made.usage.prompt_tokens, made.usage.total_tokens) == (counted, counted)
    assert made.model_extra is not None
    assert made.model_extra["vsage"]["dimensions"] == 384
    assert len(made.model_extra["vsage"]["embedder"]) == 12


def test_one_text_alone(ai: openai.OpenAI, embedder: Embedder) -> None:
    made = ai.embeddings.create(model=NAME, input=TEXTS[0], dimensions=384, user="u-1")
    (item,) = made.data
    assert np.allclose(item.embedding, embedder.encode(TEXTS[:1])[0], atol=1e-5)


def test_the_projects_own_client_gets_the_same_vectors(url: str, embedder: Embedder) -> None:
    """One vSage may embed with another one's embedder."""
    config = EmbedderConfig(provider="openai", model=NAME, base_url=f"{url}/v1")
    assert np.allclose(open_embedder(config).encode(TEXTS), embedder.encode(TEXTS), atol=1e-5)


def test_errors_as_the_client_tells_them(ai: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="this server has 'vsage-embedding'") as unknown:
        ai.embeddings.create(model="vsage", input="x")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError, match="arrays of tokens are not taken") as caught:
        ai.embeddings.create(model=NAME, input=[1, 2, 3])
    assert (caught.value.code, caught.value.param) == ("invalid_value", "input")


# --- by hand ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([[1, 2], [3]], "arrays of tokens"),
        (["a", [1]], "arrays of tokens"),
        ([True], "arrays of tokens"),
        ([], "holds no text"),
        ([[]], "arrays of tokens"),
        ("", "text 0 is empty"),
        (["a", " \n"], "text 1 is empty"),
        (["a", None], "item 1 is no text"),
        (["a", {"text": "b"}], "item 1 is no text"),
        (["a", 1.5], "item 1 is no text"),
        (7, "a text or a list of texts"),
        (None, "a text or a list of texts"),
        ({"text": "a"}, "a text or a list of texts"),
        (["a"] * 101, "101 texts; at most 100"),
    ],
)
def test_what_cannot_be_embedded(api: httpx.Client, given: Any, said: str) -> None:
    assert said in assert_refused(post(api, input=given), 400, "invalid_value", "input")


def test_half_a_character(api: httpx.Client) -> None:
    content = b'{"model": "%s", "input": ["x", "a\\ud800"]}' % NAME.encode()
    headers = {"content-type": "application/json"}
    answer = api.post("/v1/embeddings", content=content, headers=headers)
    assert "surrogate" in assert_refused(answer, 400, "invalid_value", "input.1")


def test_a_text_longer_than_the_embedder_reads(api: httpx.Client) -> None:
    assert post(api, input="word " * 254).status_code == 200
    answer = post(api, input=["a", "word " * 255])
    message = assert_refused(answer, 400, "context_length_exceeded", "input")
    assert message == "text 1 has 255 tokens; the embedder reads 254: split it"


@pytest.mark.parametrize(
    ("values", "code", "param"),
    [
        ({"dimensions": 128}, "invalid_value", "dimensions"),
        ({"dimensions": 0}, "invalid_value", "dimensions"),
        ({"dimensions": True}, "invalid_value", "dimensions"),
        ({"dimensions": "384"}, "invalid_value", "dimensions"),
        ({"encoding_format": "int8"}, "invalid_value", "encoding_format"),
        ({"encoding_format": None}, "invalid_value", "encoding_format"),
        ({"model": 7}, "invalid_value", "model"),
        ({"user": 7}, "invalid_value", "user"),
        ({"input_type": "query"}, "unsupported_parameter", "input_type"),
    ],
)
def test_parameters_that_cannot_be_honoured(
    api: httpx.Client, values: dict[str, Any], code: str, param: str
) -> None:
    assert_refused(post(api, **values), 400, code, param)


@pytest.mark.parametrize("name", ["model", "input"])
def test_what_is_missing_is_named(api: httpx.Client, name: str) -> None:
    values = {"model": NAME, "input": "x"}
    del values[name]
    assert_refused(api.post("/v1/embeddings", json=values), 400, "missing_parameter", name)


def test_a_get_is_refused(api: httpx.Client) -> None:
    assert_refused(api.get("/v1/embeddings"), 405, None)


# --- over other embedders -----------------------------------------------------------------------


def parts_over(knowledge: Knowledge) -> Parts:
    config = ServeConfig.model_validate(
        {"data_dir": knowledge.config.data_dir, "generator": {"provider": "extractive"}}
    )
    rails = open_rails(GuardrailsConfig(enabled=False), embed=FakeEmbedder().encode)
    return Parts(config, knowledge, None, rails)


class Watched(FakeEmbedder):
    """Notes the size of each batch; waits for `go` before each."""

    def __init__(self, dimension: int = 32) -> None:
        super().__init__(dimension)
        self.batches: list[int] = []
        self.began, self.go = threading.Event(), threading.Event()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(len(texts))
        self.began.set()
        assert self.go.wait(60)
        return super().encode(texts)


def test_many_texts_leave_room_between_them(tmp_path: Path) -> None:
    watched = Watched()
    watched.go.set()
    texts = [f"text number {i}" for i in range(70)]
    with serving(parts_over(fake_knowledge(tmp_path, embedder=watched))) as url:
        with openai_client(url) as client:
            made = client.embeddings.create(model=NAME, input=texts)
        assert watched.batches == [32, 32, 6]
        expected = FakeEmbedder().encode(texts)
        assert np.allclose([item.embedding for item in made.data], expected, atol=1e-6)


def test_a_client_that_hangs_up_ends_the_work(tmp_path: Path) -> None:
    watched = Watched()
    with serving(parts_over(fake_knowledge(tmp_path, embedder=watched))) as url:
        with openai_client(url) as client, pytest.raises(openai.APITimeoutError):
            client.embeddings.create(model=NAME, input=["text"] * 2000, timeout=0.5)
        assert watched.began.wait(10)
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as api:
            assert api.get("/healthz").status_code == 200  # the server has seen the end by now
            watched.go.set()
            assert post(api).status_code == 200
    assert sum(watched.batches) <= 3 * 32


def test_an_embedder_that_fails_is_unavailable(tmp_path: Path) -> None:
    class Failing(FakeEmbedder):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            raise ModelError("the endpoint is down")

    with (
        serving(parts_over(fake_knowledge(tmp_path, embedder=Failing()))) as url,
        openai_client(url) as client,
        pytest.raises(openai.InternalServerError, match="the endpoint is down") as caught,
    ):
        client.embeddings.create(model=NAME, input="x")
    assert (caught.value.status_code, caught.value.code) == (503, "unavailable")


def test_during_a_change_the_embedder_that_serves(tmp_path: Path) -> None:
    made, wanted = fake_knowledge(tmp_path), Watched(16)
    take_in(made, {"a.md": "# A\n\nabout vGPU"})
    changing = Knowledge(made.config, made.catalog, made.embedder, made.index, wanted)
    with serving(parts_over(changing)) as url, openai_client(url) as client:
        before = client.embeddings.create(model=NAME, input="vGPU")
        assert np.allclose(before.data[0].embedding, FakeEmbedder().encode(["vGPU"])[0], atol=1e-6)
        assert wanted.began.wait(30)
        wanted.go.set()
        deadline = time.monotonic() + 30
        after = client.embeddings.create(model=NAME, input="vGPU")
        while len(after.data[0].embedding) == 32:
            assert time.monotonic() < deadline
            after = client.embeddings.create(model=NAME, input="vGPU")
    assert len(after.data[0].embedding) == 16
    marks = [answer.model_extra["vsage"]["embedder"] for answer in (before, after)]  # type: ignore[index]
    assert marks[0] != marks[1]


def test_every_part_of_the_api_has_a_name_of_its_own() -> None:
    with pytest.raises(ValueError, match="must differ"):
        ServeConfig.model_validate({"server": {"embedding_model_name": "vsage"}})
