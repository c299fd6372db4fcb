"""Adapters: the registry as it is read, and two of them served by one real engine."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rag.adapter_file import check_lora, folder_sha256, read_model
from rag.adapters import Offer, Registry, read_promoted
from rag.config import GeneratorConfig
from rag.engine_llama_cpp import Engine
from rag.errors import AdapterError, GenerationError
from rag.generate_llama_cpp import LlamaCppGenerator
from rag.generate_openai import OpenAIGenerator
from rag.gguf_header import read_header
from rag.schema import Message, Sampling
from rag.turns import Turns
from tests.fakes import add_adapter, promote, write_lora

ASKED = [
    Message("system", "You answer questions about the company's machines. " * 8),
    Message("user", "Name three colours and say where each is seen."),
]
OTHER = [*ASKED[:1], Message("user", "What is a GPU?")]


@pytest.fixture(scope="module")
def gguf(models: Path) -> Path:
    return models / "SmolLM2-135M-Instruct" / "SmolLM2-135M-Instruct.Q8_0.gguf"


def config(gguf: Path, folder: Path, **values: Any) -> GeneratorConfig:
    known = {"model": str(gguf), "adapters": folder, "slots": 2, "context_tokens": 1024}
    known["threads"] = 1  # other tests may run beside these
    return GeneratorConfig.model_validate(known | values)


async def said(
    generator: Any, adapter: str | None, messages: Sequence[Message] = ASKED, tokens: int = 16
) -> str:
    stream = generator.stream(messages, Sampling(tokens), adapter)
    return "".join([piece async for piece in stream])


def wait_for(done: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


# --- the registry -------------------------------------------------------------------------------


def test_without_a_registry_nothing_is_promoted(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "none", tmp_path / "model.gguf")
    assert read_promoted(tmp_path / "none") is None
    reading = registry.read()
    assert reading is not None
    assert (reading.adapters, reading.left_out) == ((), {})
    assert registry.read() is None, "and nothing has changed since"


def test_what_is_promoted_is_read_once(gguf: Path, tmp_path: Path) -> None:
    file = add_adapter(tmp_path, "law")
    registry = Registry(tmp_path, gguf)
    assert registry.read() is not None
    promote(tmp_path, "law", "law")
    reading = registry.read()
    assert reading is not None
    (adapter,) = reading.adapters
    assert (adapter.name, adapter.file, reading.left_out) == ("law", file, {})
    assert registry.unchanged(adapter)
    assert registry.read() is None
    add_adapter(tmp_path, "law", seed=1)
    assert not registry.unchanged(adapter)
    again = registry.read()
    assert again is not None
    assert again.adapters != reading.adapters


def test_a_manifest_that_is_touched_makes_no_other_adapter(gguf: Path, tmp_path: Path) -> None:
    """A note in the manifest must not open a second engine."""
    add_adapter(tmp_path, "law")
    promote(tmp_path, "law")
    registry = Registry(tmp_path, gguf)
    first = registry.read()
    manifest = tmp_path / "law" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"note": "good"}))
    second = registry.read()
    assert first is not None
    assert second is not None
    assert first.adapters == second.adapters


@pytest.mark.parametrize("content", ["", "[]", "{", '{"promoted": "law"}', '{"promoted": [1]}'])
def test_a_damaged_registry_is_said_once(tmp_path: Path, content: str) -> None:
    (tmp_path / "current.json").write_text(content)
    registry = Registry(tmp_path, tmp_path / "model.gguf")
    with pytest.raises(AdapterError, match=r"current\.json"):
        registry.read()
    assert registry.read() is None
    promote(tmp_path)
    assert registry.read() is not None


def cut_off(folder: Path) -> None:
    file = folder / "law" / "adapter.gguf"
    file.write_bytes(file.read_bytes()[:-5000])


def without(folder: Path) -> None:
    (folder / "law" / "adapter.gguf").unlink()


def manifest_says(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "law" / "manifest.json").write_text(json.dumps(values))

    return change


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no file": (without, "adapter.gguf is missing"),
    "cut off": (cut_off, "adapter.gguf is broken"),
    "no GGUF": (lambda f: (f / "law" / "adapter.gguf").write_text("x" * 99), "broken"),
    "empty": (lambda f: (f / "law" / "adapter.gguf").write_bytes(b""), "broken"),
    "no manifest": (lambda f: (f / "law" / "manifest.json").unlink(), "manifest.json is missing"),
    "no JSON": (lambda f: (f / "law" / "manifest.json").write_text("{"), "cannot be read"),
    "odd manifest": (manifest_says(artefacts=[1]), "manifest.json is damaged: artefacts.0"),
    "no LoRA": (manifest_says(method="p_tuning"), "was not exported as gguf_lora.*p_tuning"),
    "outside": (
        manifest_says(artefacts=[{"format": "gguf_lora", "path": "../../x"}]),
        "outside of its folder",
    ),
    "another file": (
        lambda f: write_lora(f / "law" / "adapter.gguf", seed=9),
        "adapter.gguf is another file than its manifest says",
    ),
    "another base": (
        manifest_says(base={"sha256": "f" * 64}),
        "another base: it was trained on the model ffffffffffff",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_served_is_left_out_with_the_reason(
    gguf: Path, tmp_path: Path, case: str
) -> None:
    spoil, reason = BROKEN[case]
    add_adapter(tmp_path, "law")
    add_adapter(tmp_path, "tax")
    promote(tmp_path, "law", "tax")
    spoil(tmp_path)
    reading = Registry(tmp_path, gguf, "a" * 64 if case == "another base" else "").read()
    assert reading is not None
    assert [adapter.name for adapter in reading.adapters] == ["tax"]
    assert list(reading.left_out) == ["law"]
    with pytest.raises(AdapterError, match=reason):
        raise AdapterError(reading.left_out["law"])
    assert str(tmp_path) not in reading.left_out["law"]


@pytest.mark.parametrize("name", ["../law", "none", "promoted", "", ".", "a/b", "x" * 101, "é"])
def test_a_name_that_cannot_be_one(gguf: Path, tmp_path: Path, name: str) -> None:
    promote(tmp_path, name)
    reading = Registry(tmp_path, gguf).read()
    assert reading is not None
    assert "cannot be an adapter's name" in reading.left_out[name]


@pytest.mark.parametrize(
    ("lora", "reason"),
    [
        ({"architecture": "qwen2"}, "architecture is 'qwen2', the served model's 'llama'"),
        ({"width": 64}, r"blk\.0\.attn_q\.weight is \(64, 4\) by \(4, 64\) there"),
        ({"layers": 31}, r"no tensor blk\.30\.attn_q\.weight"),
        ({"tensor": "blk.{}.attn_k.weight"}, "made for another base: blk"),
        ({"strength": float("nan")}, "holds what is no number"),
        ({"layers": 0}, "holds no weights"),
    ],
)
def test_a_file_that_does_not_fit(
    gguf: Path, tmp_path: Path, lora: dict[str, Any], reason: str
) -> None:
    file = write_lora(tmp_path / "a.gguf", **lora)
    with pytest.raises(AdapterError, match=reason):
        check_lora(file, read_model(gguf))


def test_our_reading_of_headers_is_gguf_s(tmp_path: Path) -> None:
    from gguf import GGUFReader

    file = write_lora(tmp_path / "a.gguf", layers=3)
    header, reader = read_header(file), GGUFReader(file)
    assert header.shapes == {t.name: tuple(map(int, t.shape)) for t in reader.tensors}
    assert header.values["adapter.type"] == "lora"
    assert header.values["adapter.lora.alpha"] == 4.0


def test_an_array_in_a_header_is_passed_over(gguf: Path) -> None:
    header = read_header(gguf)
    assert header.values["llama.embedding_length"] == 576
    assert header.shapes["blk.29.ffn_down.weight"] == (1536, 576)
    assert "tokenizer.ggml.tokens" not in header.values


@pytest.mark.parametrize("kept", [0, 3, 4, 20, 200, 100_000])
def test_a_torn_model_is_named(gguf: Path, tmp_path: Path, kept: int) -> None:
    torn = tmp_path / "torn.gguf"
    with gguf.open("rb") as file:
        torn.write_bytes(file.read(kept))
    with pytest.raises(AdapterError, match=r"torn\.gguf cannot be read"):
        read_model(torn)


def test_a_model_is_no_adapter(gguf: Path) -> None:
    with pytest.raises(AdapterError, match="is no GGUF LoRA file"):
        check_lora(gguf, read_model(gguf))


def test_it_is_the_registry_that_finetune_writes(gguf: Path, tmp_path: Path) -> None:
    from finetune.errors import RegistryError
    from finetune.manifest import damage, read_manifest
    from finetune.registry import promoted_names

    add_adapter(tmp_path, "law")
    promote(tmp_path, "law")
    manifest = read_manifest(tmp_path / "law", RegistryError)
    assert damage(tmp_path / "law", manifest) == []
    assert promoted_names(tmp_path) == ["law"]
    reading = Registry(tmp_path, gguf).read()
    assert reading is not None
    assert reading.left_out == {}


def test_the_hash_is_the_one_that_manifests_state(models: Path, tmp_path: Path) -> None:
    from finetune.base_model import base_hash

    folder = models / "SmolLM2-135M-Instruct" / "hf"
    assert folder_sha256(folder) == base_hash(folder)
    assert folder_sha256(tmp_path) == ""


def test_the_folder_beside_the_model_says_which_base_it_is(gguf: Path, tmp_path: Path) -> None:
    add_adapter(tmp_path, "law", sha256=folder_sha256(gguf.parent / "hf"))
    add_adapter(tmp_path, "tax", sha256="0" * 64)
    promote(tmp_path, "law", "tax")
    reading = Registry(tmp_path, gguf).read()
    assert reading is not None
    assert [adapter.name for adapter in reading.adapters] == ["law"]
    assert "another base" in reading.left_out["tax"]


# --- turns --------------------------------------------------------------------------------------


def never() -> bool:
    return False


def test_one_kind_runs_side_by_side() -> None:
    turns = Turns()
    assert all(turns.enter("a", never) for _ in range(5))
    for _ in range(5):
        turns.leave()
    assert turns.enter("b", never)


def test_another_kind_waits_and_is_not_overtaken() -> None:
    turns, order = Turns(), []
    turns.enter("a", never)
    first = threading.Thread(target=lambda: order.append(turns.enter("b", never) and "b"))
    first.start()
    time.sleep(0.1)
    late = threading.Thread(target=lambda: order.append(turns.enter("a", never) and "a"))
    late.start()
    time.sleep(0.1)
    assert order == [], "the second a would keep b waiting"
    turns.leave()
    first.join(5)
    assert order == ["b"]
    turns.leave()
    late.join(5)
    assert order == ["b", "a"]


def test_who_is_gone_is_passed_over() -> None:
    turns, gone, entered = Turns(), threading.Event(), []
    turns.enter("a", never)
    waiting = threading.Thread(target=lambda: entered.append(turns.enter("b", gone.is_set)))
    waiting.start()
    time.sleep(0.1)
    gone.set()
    turns.wake()
    waiting.join(5)
    assert entered == [False]
    assert turns.enter("a", never), "nobody else waits any longer"


def test_kinds_share_the_time_under_load() -> None:
    """Threads of three kinds, many turns: never two kinds at once, and all come to an end."""
    turns, lock, running, mixed = Turns(), threading.Lock(), [], []

    def work(kind: str) -> None:
        for _ in range(30):
            assert turns.enter(kind, never)
            with lock:
                running.append(kind)
                mixed.append(len(set(running)) > 1)
            time.sleep(0.0005)
            with lock:
                running.remove(kind)
            turns.leave()

    threads = [threading.Thread(target=work, args=(kind,)) for kind in "aabbc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(mixed) == 150
    assert not any(mixed)


# --- llama_cpp ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters")
    for seed, name in enumerate(("law", "tax")):
        add_adapter(folder, name, seed=seed)
    promote(folder, "law", "tax")
    return folder


@pytest.fixture(scope="module")
def alone(gguf: Path, registry: Path) -> dict[tuple[str | None, int], str]:
    """What each adapter, and the bare model, says in an engine that holds nothing else."""
    answers = {}
    for name in (None, "law", "tax"):
        generator = single(gguf, registry, name)
        for number, messages in enumerate((ASKED, OTHER)):
            answers[name, number] = asyncio.run(said(generator, name, messages))
        asyncio.run(generator.close())
    return answers


def single(gguf: Path, registry: Path, name: str | None) -> LlamaCppGenerator:
    """A generator that has one of the adapters, or none."""
    if name is None:
        return LlamaCppGenerator(config(gguf, registry, slots=1))
    folder = registry.parent / f"{registry.name}-{name}"
    folder.mkdir()
    (folder / name).symlink_to(registry / name)
    promote(folder, name)
    return LlamaCppGenerator(config(gguf, folder, slots=1), adapters=True)


@pytest.fixture
async def two(gguf: Path, registry: Path) -> AsyncIterator[LlamaCppGenerator]:
    opened = LlamaCppGenerator(config(gguf, registry), adapters=True)
    yield opened
    await opened.close()


async def test_adapters_interleaved_say_what_each_says_alone(
    two: LlamaCppGenerator, alone: dict[tuple[str | None, int], str]
) -> None:
    """The prompts share a long prefix, which the slots keep; none may be taken over."""
    assert two.adapters() == Offer(("law", "tax"), "law", {})
    assert len(set(alone.values())) == 6, "the adapters are heard, or the test shows nothing"
    order = [("law", 0), ("tax", 0), (None, 0), ("tax", 1), ("law", 1), (None, 1), ("law", 0)]
    order += [(None, 0), (None, 0), ("tax", 0), ("tax", 0), ("law", 1), (None, 1), ("tax", 1)]
    for name, number in order:
        messages = (ASKED, OTHER)[number]
        assert await said(two, name, messages) == alone[name, number], (name, number)


async def test_adapters_at_once_say_what_each_says_alone(
    two: LlamaCppGenerator, alone: dict[tuple[str | None, int], str]
) -> None:
    asked = [(name, number) for name in ("law", "tax", None) for number in (0, 1)]
    answers = await asyncio.gather(
        *(said(two, name, (ASKED, OTHER)[number]) for name, number in asked)
    )
    assert answers == [alone[one] for one in asked]


async def test_one_adapter_does_not_keep_another_waiting(two: LlamaCppGenerator) -> None:
    """Requests of one come without end; one of the other is answered among them."""
    served: list[str] = []

    async def crowd() -> None:
        while "tax" not in served:
            await said(two, "law", tokens=8)
            served.append("law")
            assert len(served) < 60

    async def single() -> None:
        await asyncio.sleep(0.2)
        await said(two, "tax", tokens=4)
        served.append("tax")

    await asyncio.gather(crowd(), crowd(), crowd(), single())


async def test_an_adapter_that_is_not_there(two: LlamaCppGenerator) -> None:
    with pytest.raises(AdapterError, match="'cats' is not in service"):
        await said(two, "cats")
    assert await said(two, "law", tokens=2)


async def test_leaving_while_waiting_for_a_turn(two: LlamaCppGenerator) -> None:
    first = two.stream(ASKED, Sampling(300), "law")
    async with aclosing(first):
        await anext(first)
        waiting = asyncio.ensure_future(said(two, "tax"))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await asyncio.wait_for(said(two, "law", tokens=2), 60)


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A registry of one test's own."""
    folder = tmp_path / "adapters"
    for seed, name in enumerate(("law", "tax")):
        add_adapter(folder, name, seed=seed)
    return folder


@pytest.fixture
async def following(gguf: Path, live: Path) -> AsyncIterator[LlamaCppGenerator]:
    """Nothing is promoted yet."""
    opened = LlamaCppGenerator(config(gguf, live), adapters=True)
    yield opened
    await opened.close()


async def test_a_promotion_and_a_roll_back_under_way(
    following: LlamaCppGenerator,
    live: Path,
    alone: dict[tuple[str | None, int], str],
) -> None:
    """A stream that began before goes on to its end, in the engine in which it began."""
    whole = await said(following, None, tokens=80)
    first_engine = following.engine
    stream = following.stream(ASKED, Sampling(80))
    pieces = [await anext(stream)]
    promote(live, "law")
    await asyncio.to_thread(wait_for, lambda: following.adapters().served == ("law",))
    assert following.engine is not first_engine
    assert await said(following, "law") == alone["law", 0]
    pieces += [piece async for piece in stream]
    assert "".join(pieces) == whole
    await asyncio.to_thread(wait_for, lambda: first_engine.server is None)

    promote(live, "law", "tax")
    await asyncio.to_thread(wait_for, lambda: following.adapters().served == ("law", "tax"))
    assert [await said(following, name) for name in ("law", "tax", None)] == [
        alone[name, 0] for name in ("law", "tax", None)
    ]
    engine = following.engine
    promote(live, "law")
    await asyncio.to_thread(wait_for, lambda: following.adapters().served == ("law",))
    assert following.engine is engine, "a roll-back loads nothing"
    assert await said(following, "tax") == alone["tax", 0], "who asked before is answered"
    promote(live, "tax")
    await asyncio.to_thread(wait_for, lambda: following.adapters().served == ("tax",))
    assert following.engine is engine


async def test_a_broken_adapter_disturbs_nobody(
    following: LlamaCppGenerator,
    live: Path,
    alone: dict[tuple[str | None, int], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = (live / "tax" / "adapter.gguf").read_bytes()
    (live / "tax" / "adapter.gguf").write_bytes(good[:5000])
    promote(live, "law", "tax")
    await asyncio.to_thread(wait_for, lambda: following.adapters().served == ("law",))
    assert "broken" in following.adapters().left_out["tax"]
    assert "adapter tax is left out: adapter.gguf is broken" in caplog.text
    (live / "current.json").write_text("{")
    await asyncio.to_thread(wait_for, lambda: "current.json" in following.adapters().left_out)
    assert following.adapters().served == ("law",), "what was in service stays"
    (live / "tax" / "adapter.part").write_bytes(good)
    os.replace(live / "tax" / "adapter.part", live / "tax" / "adapter.gguf")
    promote(live, "law", "tax")
    await asyncio.to_thread(wait_for, lambda: following.adapters().served == ("law", "tax"))
    assert following.adapters().left_out == {}
    assert await said(following, "tax") == alone["tax", 0]


async def test_what_the_engine_itself_refuses(
    gguf: Path, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our check may not know all that llama.cpp minds."""
    monkeypatch.setattr("rag.adapters.check_lora", lambda path, model: None)
    add_adapter(live, "law", width=64)
    promote(live, "law")
    opened = LlamaCppGenerator(config(gguf, live), adapters=True)
    assert opened.adapters().served == ()
    assert "the engine refused" in opened.adapters().left_out["law"]
    promote(live, "law", "tax")
    await asyncio.to_thread(wait_for, lambda: "tax" in opened.adapters().left_out)
    assert await said(opened, None, tokens=2)
    promote(live, "tax")
    await asyncio.to_thread(wait_for, lambda: opened.adapters() == Offer(("tax",), "tax", {}))
    assert await said(opened, "tax", tokens=2)
    await opened.close()


async def test_without_being_asked_to_it_loads_none(gguf: Path, live: Path) -> None:
    promote(live, "law")
    opened = LlamaCppGenerator(config(gguf, live, slots=1))
    assert opened.adapters() == Offer()
    with pytest.raises(AdapterError):
        await said(opened, "law")
    await opened.close()


def test_an_engine_with_adapters_keeps_no_prompts_in_ram(gguf: Path, live: Path) -> None:
    """That cache does not know which adapter has computed what it holds."""
    reading = Registry(live, gguf)
    promote(live, "law")
    read = reading.read()
    assert read is not None
    engine = Engine(config(gguf, live, slots=1), read.adapters)
    assert engine.scales("law") == {"lora": [{"id": 0, "scale": 1.0}]}
    assert engine.scales(None) == {"lora": [{"id": 0, "scale": 0.0}]}
    engine.close()


# --- openai: the contract with an endpoint that serves several, as vLLM does ---------------------


class Endpoint:
    """Lists models as vLLM does, and answers with the name it was asked by."""

    def __init__(self) -> None:
        self.adapters = ["law", "tax"]
        self.down = False
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if owner.down:
                    self.send_error(500)
                    return
                models = [{"id": "base", "object": "model", "created": 1, "owned_by": "vllm"}]
                models += [
                    {"id": name, "object": "model", "created": 1, "owned_by": "vllm"}
                    | {"root": f"/adapters/{name}", "parent": "base"}
                    for name in owner.adapters
                ]
                self._send({"object": "list", "data": models}, "application/json")

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if asked["model"] not in ("base", *owner.adapters):
                    self.send_error(404)
                    return
                choice = {"index": 0, "delta": {"content": asked["model"]}}
                head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
                line = json.dumps({**head, "choices": [{**choice, "finish_reason": "stop"}]})
                self._send(f"data: {line}\n\ndata: [DONE]\n\n", "text/event-stream")

            def _send(self, body: Any, kind: str) -> None:
                data = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def vllm() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    thread = threading.Thread(target=endpoint.server.serve_forever, args=(0.05,))
    thread.start()
    yield endpoint
    endpoint.server.shutdown()
    endpoint.server.server_close()
    thread.join()


def client(vllm: Endpoint, folder: Path, **values: Any) -> OpenAIGenerator:
    known = {"provider": "openai", "model": "base", "base_url": vllm.url, "adapters": folder}
    return OpenAIGenerator(GeneratorConfig.model_validate(known | values), adapters=True)


async def test_the_endpoint_s_adapters_are_offered_and_named(
    vllm: Endpoint, tmp_path: Path
) -> None:
    opened = client(vllm, tmp_path)
    assert opened.adapters() == Offer(("law", "tax"), None, {})
    assert [await said(opened, name) for name in ("law", None, "tax")] == ["law", "base", "tax"]
    with pytest.raises(GenerationError, match="has no model 'cats'"):
        await said(opened, "cats")
    await opened.close()


async def test_with_a_registry_only_what_it_promotes(
    vllm: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.endpoint_adapters._LOOK_EVERY_S", 0.1)
    promote(tmp_path, "tax", "cats")
    opened = client(vllm, tmp_path)
    assert opened.adapters().served == ("tax",)
    assert "has no adapter of that name" in opened.adapters().left_out["cats"]
    promote(tmp_path, "tax", "law")
    await asyncio.to_thread(wait_for, lambda: opened.adapters() == Offer(("tax", "law"), "tax", {}))
    vllm.adapters.remove("law")
    await asyncio.to_thread(wait_for, lambda: opened.adapters().served == ("tax",))
    vllm.down = True
    await asyncio.to_thread(wait_for, lambda: "endpoint" in opened.adapters().left_out)
    assert opened.adapters().served == ("tax",), "what is known stays until it answers again"
    await opened.close()


async def test_the_list_may_come_from_the_configuration(vllm: Endpoint, tmp_path: Path) -> None:
    vllm.down = True
    opened = client(vllm, tmp_path, endpoint_adapters=("law",))
    assert opened.adapters() == Offer(("law",), None, {})
    assert await said(opened, "law") == "law"
    await opened.close()


async def test_a_dead_endpoint_offers_nothing(tmp_path: Path) -> None:
    values = {"provider": "openai", "base_url": "http://127.0.0.1:9/v1", "adapters": tmp_path}
    opened = OpenAIGenerator(GeneratorConfig.model_validate(values), adapters=True)
    assert opened.adapters().served == ()
    assert "APIConnectionError" in opened.adapters().left_out["endpoint"]
    await opened.close()
