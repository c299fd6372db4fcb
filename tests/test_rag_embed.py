"""Vectors of a folder: the same from torch and onnxruntime, whatever the text, and made once."""

from __future__ import annotations

import base64
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.config import EmbedderConfig
from rag.embed import Embedder, NoOnnxForm, open_embedder
from rag.embed_onnx import OnnxEmbedder
from rag.errors import ModelError

TEXTS = [
    "Which setting enables vMotion for vGPU?",
    "",
    " \n\t ",
    "a",
    "Wie heißt die Lizenz? ÇA COÛTE combien? 什么是 GPU 🙂 \u200b\u202e",
    "[CLS] [SEP] [PAD] [MASK] [UNK] ##ing",
    "half a pair \ud800, and a NUL \x00",
    "| profile | memory |\n|---|---|\n| grid_a100-10c | 10 GB |",
    "x" * 5_000,
    "The licence server listens on port 7070. " * 100,
]


@pytest.fixture(scope="session")
def folder(models: Path) -> str:
    return str(models / "all-MiniLM-L6-v2")


@pytest.fixture(scope="module", autouse=True)
def _one_core() -> Iterator[None]:
    """Threads of torch that wait for each other take seconds on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def on_torch(folder: str) -> Embedder:
    return open_embedder(EmbedderConfig(model=folder, backend="torch"))


@pytest.fixture(scope="module")
def on_onnx(folder: str) -> Embedder:
    return open_embedder(EmbedderConfig(model=folder, backend="onnx"))


@pytest.fixture(scope="module")
def on_int8(folder: str) -> Embedder:
    return open_embedder(EmbedderConfig(model=folder, backend="onnx_int8"))


Make = Callable[..., Path]


@pytest.fixture(scope="module")
def make_folder(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Writes small sentence-transformers folders with random weights."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
    from transformers import (
        BertConfig,
        BertModel,
        PreTrainedTokenizerFast,
        XLMRobertaConfig,
        XLMRobertaModel,
    )

    def make(
        kind: str = "bert", pooling: str = "mean", dense: bool = False, seed: int = 0, **more: Any
    ) -> Path:
        torch.manual_seed(seed)
        parent = tmp_path_factory.mktemp("model")
        shape = {
            "vocab_size": 200,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
        }
        if kind == "bert":
            model = BertModel(BertConfig(**shape, max_position_embeddings=64))
        else:
            model = XLMRobertaModel(
                XLMRobertaConfig(**shape, max_position_embeddings=66, pad_token_id=1)
            )
        for weights in model.parameters():  # at their first size all texts are alike
            weights.data *= 4
        model.save_pretrained(parent / "plain")
        PreTrainedTokenizerFast(
            tokenizer_object=_tokenizer(), unk_token="[UNK]", pad_token="[PAD]"
        ).save_pretrained(parent / "plain")
        modules: list[Any] = [Transformer(str(parent / "plain"))]
        modules.append(Pooling(32, pooling_mode=pooling))
        modules += [Dense(32, 16)] if dense else [Normalize()]
        SentenceTransformer(modules=modules, device="cpu", **more).save_pretrained(
            str(parent / "small")
        )
        return parent / "small"

    return make


def _tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(
        WordPiece(vocab={word: i for i, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def small(folder: Path, **settings: Any) -> Embedder:
    return open_embedder(EmbedderConfig(model=str(folder), **{"max_tokens": 64, **settings}))


def kept(folder: Path) -> list[Path]:
    return sorted(folder.with_name(f"{folder.name}.onnx").glob("*"))


def cosines(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = (some * others).sum(axis=1)
    return found


def test_onnx_gives_the_vectors_of_torch(on_torch: Embedder, on_onnx: Embedder) -> None:
    expected, found = on_torch.encode(TEXTS), on_onnx.encode(TEXTS)
    assert found.dtype == np.float32
    assert found.shape == (len(TEXTS), 384) == (len(TEXTS), on_onnx.dimension)
    assert np.abs(found - expected).max() < 1e-5
    assert on_onnx.fingerprint == on_torch.fingerprint


def test_int8_is_near_and_known_by_its_own_fingerprint(
    on_torch: Embedder, on_int8: Embedder
) -> None:
    found = on_int8.encode(TEXTS)
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-5
    assert cosines(on_torch.encode(TEXTS), found).min() > 0.98
    assert on_int8.fingerprint.startswith(on_torch.fingerprint + "/int8")


@pytest.mark.parametrize("name", ["on_torch", "on_onnx", "on_int8"])
def test_tokens_begin_where_they_begin(name: str, request: pytest.FixtureRequest) -> None:
    embedder = request.getfixturevalue(name)
    assert embedder.token_starts("the memory, red").tolist() == [0, 4, 10, 12]
    assert len(embedder.token_starts("word " * 1000)) == 1000  # never cut off at the window
    assert len(embedder.token_starts("")) == 0
    text = "half \ud800 a pair 🙂 end"
    assert text[embedder.token_starts(text)[-1] :] == "end"


def test_all_backends_count_tokens_alike(
    on_torch: Embedder, on_onnx: Embedder, on_int8: Embedder
) -> None:
    for text in TEXTS:
        expected = on_torch.token_starts(text).tolist()
        assert on_onnx.token_starts(text).tolist() == expected
        assert on_int8.token_starts(text).tolist() == expected


@pytest.mark.parametrize("name", ["on_onnx", "on_int8"])
def test_no_vector_depends_on_its_neighbours(name: str, request: pytest.FixtureRequest) -> None:
    embedder = request.getfixturevalue(name)
    together = embedder.encode(TEXTS)
    for row, text in enumerate(TEXTS):
        assert np.array_equal(embedder.encode([text])[0], together[row])


def test_what_lies_behind_the_window_is_not_seen(folder: str, on_onnx: Embedder) -> None:
    short = open_embedder(EmbedderConfig(model=folder, max_tokens=32))
    words = "one two three four five six seven eight nine ten " * 20
    seen = " ".join(words.split()[:30])  # and two special tokens
    assert np.array_equal(short.encode([words]), short.encode([seen]))
    assert not np.array_equal(on_onnx.encode([words]), on_onnx.encode([seen]))


def test_nothing_gives_nothing(on_onnx: Embedder, on_torch: Embedder) -> None:
    assert on_onnx.encode([]).shape == on_torch.encode([]).shape == (0, 384)


def test_callers_do_not_disturb_each_other(on_onnx: Embedder) -> None:
    batches = [[f"text {i} of caller {caller}" for i in range(5)] for caller in range(8)]
    expected = [on_onnx.encode(batch) for batch in batches]
    with ThreadPoolExecutor(len(batches)) as pool:
        found = list(pool.map(on_onnx.encode, batches * 3))
    assert all(np.array_equal(a, b) for a, b in zip(expected * 3, found, strict=True))


def test_the_default_starts_without_torch(folder: str, on_onnx: Embedder) -> None:
    """Which is what makes every command start in a second; needs the file that `on_onnx` made."""
    program = (
        "import sys\n"
        "from rag.config import EmbedderConfig\n"
        "from rag.embed import open_embedder\n"
        f"open_embedder(EmbedderConfig(model={folder!r})).encode(['a', 'b'])\n"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


@pytest.mark.parametrize(
    ("kind", "pooling", "dense"),
    [("bert", "cls", False), ("bert", "max", True), ("xlm-roberta", "mean", True)],
)
def test_any_modules_are_traced(make_folder: Make, kind: str, pooling: str, dense: bool) -> None:
    folder = make_folder(kind, pooling, dense)
    found, expected = small(folder), small(folder, backend="torch")
    assert isinstance(found, OnnxEmbedder)
    assert found.dimension == expected.dimension == (16 if dense else 32)
    texts = ["plain words", "a", "", "some more of them " * 30]
    assert np.abs(found.encode(texts) - expected.encode(texts)).max() < 1e-5
    assert (
        cosines(expected.encode(texts), small(folder, backend="onnx_int8").encode(texts)).min()
        > 0.97
    )


def test_it_is_made_once_and_for_these_weights_alone(make_folder: Make) -> None:
    folder = make_folder()
    first = small(folder)
    (path,) = kept(folder)
    assert path.stat().st_mode & 0o077 == (folder / "modules.json").stat().st_mode & 0o077
    made = path.stat().st_mtime_ns
    again = small(folder)
    assert kept(folder) == [path]
    assert path.stat().st_mtime_ns == made
    assert np.array_equal(first.encode(["a b c"]), again.encode(["a b c"]))
    small(folder, backend="onnx_int8")
    assert path in kept(folder)  # one precision does not push the other out
    other = make_folder(seed=1)
    (folder / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    changed = small(folder)
    assert changed.fingerprint != first.fingerprint
    assert (
        np.abs(changed.encode(["a b"]) - small(other, backend="torch").encode(["a b"])).max() < 1e-5
    )
    assert len(kept(folder)) == 2
    assert path not in kept(folder)


@pytest.mark.parametrize("torn", [b"not ONNX at all", None])
def test_a_damaged_file_is_made_anew(
    make_folder: Make, torn: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_folder()
    expected = small(folder).encode(["a b c"])
    (path,) = kept(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if torn is None else torn)
    assert np.array_equal(small(folder).encode(["a b c"]), expected)
    assert "is damaged and is made anew" in caplog.text
    assert path.read_bytes() == whole
    assert kept(folder) == [path]


def test_a_place_that_cannot_be_written_costs_time_alone(
    make_folder: Make, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_folder()
    folder.with_name(f"{folder.name}.onnx").write_text("a file where the folder should be")
    assert small(folder).encode(["a b c"]).shape == (1, 32)
    assert "it will be made at every start" in caplog.text


def test_several_may_make_it_at_once(make_folder: Make) -> None:
    folder = make_folder()
    with ThreadPoolExecutor(3) as pool:
        opened = list(pool.map(lambda _: small(folder), range(3)))
    first, *others = [embedder.encode(["a b c"]) for embedder in opened]
    assert all(np.array_equal(first, other) for other in others)
    assert [path.suffix for path in kept(folder)] == [".onnx"]


def test_making_it_leaves_no_trace_in_the_log(make_folder: Make) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), list(root.filters))
    small(make_folder(), backend="onnx_int8")
    assert (root.level, list(root.handlers), list(root.filters)) == before


def test_a_folder_without_an_onnx_form_goes_on_with_torch(
    make_folder: Make, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_folder(prompts={"all": "zzz qqq zzz qqq: "}, default_prompt_name="all")
    with pytest.raises(NoOnnxForm, match=r"other vectors .* set embedder.backend=torch"):
        small(folder, backend="onnx")
    assert kept(folder) == []
    found = small(folder)
    assert np.array_equal(found.encode(["a b"]), small(folder, backend="torch").encode(["a b"]))
    assert "going on with it" in caplog.text


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_a_window_that_the_model_lacks_is_refused(
    make_folder: Make, kind: str, backend: str
) -> None:
    folder = make_folder(kind)
    small(folder, backend=backend, max_tokens=64).encode(["word " * 500])
    with pytest.raises(ModelError, match="takes 64 tokens at most: set embedder"):
        small(folder, backend=backend, max_tokens=65)


def test_onnx_does_not_run_on_a_gpu(folder: str) -> None:
    with pytest.raises(ModelError, match="runs on the CPU alone"):
        open_embedder(EmbedderConfig(model=folder, device="cuda", backend="onnx"))


@pytest.mark.parametrize("backend", ["auto", "torch", "onnx"])
def test_no_folder(tmp_path: Path, backend: Any) -> None:
    with pytest.raises(ModelError, match="run `make models`"):
        open_embedder(EmbedderConfig(model=str(tmp_path), backend=backend))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_torn_folder(make_folder: Make, name: str) -> None:
    folder = make_folder()
    (folder / name).write_bytes((folder / name).read_bytes()[:40])
    with pytest.raises(ModelError, match="make models"):
        small(folder)


class Endpoint(BaseHTTPRequestHandler):
    """`/v1/embeddings` with the answer that a test wants; vectors count the letters."""

    answer: Callable[[list[str]], Any]
    requests: list[dict[str, Any]]
    signed: list[str | None]

    def do_POST(self) -> None:
        self.signed.append(self.headers["Authorization"])
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append(request)
        body = json.dumps(type(self).answer(request["input"])).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def counted(texts: list[str]) -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": i, "embedding": [len(text), 1, 0]}
        for i, text in enumerate(texts)
    ]
    return {"object": "list", "model": "m", "data": data[::-1], "usage": {}}


@pytest.fixture
def endpoint() -> Iterator[tuple[type[Endpoint], EmbedderConfig]]:
    handler = type(
        "Handler", (Endpoint,), {"answer": staticmethod(counted), "requests": [], "signed": []}
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    yield handler, EmbedderConfig(provider="openai", model="m", base_url=url, batch_size=2)
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_endpoint_is_asked_in_batches(
    endpoint: tuple[type[Endpoint], EmbedderConfig],
) -> None:
    handler, config = endpoint
    embedder = open_embedder(config)
    vectors = embedder.encode(["a", "bb", "ccc", "dddd", "\ud800"])
    assert [len(request["input"]) for request in handler.requests] == [1, 2, 2, 1]
    assert np.allclose(vectors[:, 0] / vectors[:, 1], [1, 2, 3, 4, 1])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert embedder.dimension == 3
    assert embedder.encode([]).shape == (0, 3)
    assert embedder.fingerprint == f"{config.base_url}/m/3"


def with_data(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[list[str]], Any]:
    return lambda texts: counted(texts) | {"data": change(counted(texts)["data"])}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (with_data(lambda data: data[1:]), "2 texts were answered with 1 vectors"),
        (with_data(lambda data: [*data, *data]), None),
        (with_data(lambda data: [item | {"index": 0} for item in data]), "with 1 vectors"),
        (with_data(lambda data: [item | {"index": item["index"] + 1} for item in data]), "vectors"),
        (
            with_data(lambda data: [data[0] | {"embedding": [1.0]}, data[1]]),
            "not all of one length",
        ),
        (with_data(lambda data: [item | {"embedding": [0, 0, 0]} for item in data]), "direction"),
        (
            with_data(lambda data: [item | {"embedding": [float("nan")] * 3} for item in data]),
            "failed",
        ),
        (with_data(lambda data: [item | {"embedding": ["x"] * 3} for item in data]), "failed"),
        (with_data(lambda data: [item | {"embedding": None} for item in data]), "failed"),
        (with_data(lambda data: []), "failed"),
        (with_data(lambda data: None), "failed"),
        (lambda texts: "no", "failed"),
        (lambda texts: [], "failed"),
    ],
)
def test_half_an_answer_is_none(
    endpoint: tuple[type[Endpoint], EmbedderConfig], answer: Any, reason: str | None
) -> None:
    handler, config = endpoint
    embedder = open_embedder(config)
    handler.answer = staticmethod(answer)
    if reason is None:  # the same twice over is no contradiction
        assert embedder.encode(["a", "bb"]).shape == (2, 3)
        return
    with pytest.raises(ModelError, match=reason) as caught:
        embedder.encode(["a", "bb"])
    assert "check embedder.base_url" in str(caught.value)


SECRET = "s3cret%40x"


def test_a_password_in_the_address_is_sent_and_told_to_nobody(
    endpoint: tuple[type[Endpoint], EmbedderConfig],
) -> None:
    handler, config = endpoint
    url = config.base_url.replace("//", f"//vsage:{SECRET}@")
    embedder = open_embedder(config.model_copy(update={"base_url": url}))
    expected = base64.b64encode(b"vsage:s3cret@x").decode()
    assert handler.signed == [f"Basic {expected}"]
    assert embedder.fingerprint == open_embedder(config).fingerprint == f"{config.base_url}/m/3"
    handler.answer = staticmethod(lambda texts: f"no {url} here")
    with pytest.raises(ModelError, match=re.escape(f"endpoint {config.base_url} failed")) as caught:
        embedder.encode(["a"])
    assert "s3cret" not in str(caught.value)
    assert "vsage:" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "[::1]:9", "127.0.0.1:9/a@b"])
def test_a_password_is_not_told_when_nobody_is_there(host: str) -> None:
    config = EmbedderConfig(
        provider="openai", model="m", base_url=f"http://vsage:{SECRET}@{host}/v1"
    )
    with pytest.raises(ModelError, match=re.escape(f"http://{host}/v1")) as caught:
        open_embedder(config)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://vsage:s3/cret@host/v1", "http://[::1/s3cret"])
def test_an_address_that_is_none_is_not_repeated(url: str) -> None:
    config = EmbedderConfig(provider="openai", model="m", base_url=url)
    with pytest.raises(ModelError, match=r"embedder\.base_url is no URL") as caught:
        open_embedder(config)
    assert "s3" not in str(caught.value)


@pytest.mark.parametrize("path", ["/v1@2", "/a/b@c/v1"])
def test_a_path_may_hold_an_at_sign(
    endpoint: tuple[type[Endpoint], EmbedderConfig], path: str
) -> None:
    _handler, config = endpoint
    url = config.base_url.replace("/v1", path)
    embedder = open_embedder(config.model_copy(update={"base_url": url}))
    assert embedder.fingerprint == f"{url}/m/3"


def test_an_endpoint_that_is_not_there() -> None:
    config = EmbedderConfig(provider="openai", model="m", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ModelError, match="check embedder"):
        open_embedder(config)
