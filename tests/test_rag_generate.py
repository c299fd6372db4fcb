"""Generators: one contract, held by each provider against the real engine, then each one's faults.

The `openai` provider talks to the HTTP server that llama.cpp's engine brings along.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rag.config import GeneratorConfig
from rag.errors import ContextOverflow, GenerationError
from rag.generate import Generator, Usage, open_generator
from rag.generate_llama_cpp import LlamaCppGenerator
from rag.generate_openai import OpenAIGenerator
from rag.schema import Message, Sampling

PROVIDERS = ["llama_cpp", "openai"]
COLOURS = [Message("user", "List four colours and say why each one is nice.")]
NOWHERE = "http://127.0.0.1:9/v1"
LONG_CONTEXT = 4096


@pytest.fixture(scope="module")
def gguf(models: Path) -> Path:
    return models / "SmolLM2-135M-Instruct" / "SmolLM2-135M-Instruct.Q8_0.gguf"


@pytest.fixture(scope="module")
def one_slot(gguf: Path) -> Iterator[LlamaCppGenerator]:
    """An engine that does one thing at a time: who comes second waits for the first."""
    config = GeneratorConfig(model=str(gguf), slots=1, context_tokens=LONG_CONTEXT)
    opened = LlamaCppGenerator(config)
    yield opened
    asyncio.run(opened.close())


def over_http(engine: LlamaCppGenerator, **settings: Any) -> OpenAIGenerator:
    """The `openai` provider, pointed at the HTTP server of an engine."""
    known = {
        "provider": "openai",
        "model": engine.name,
        "base_url": f"{engine.engine.address}/v1",
        "api_key": engine.engine.key,
        "context_tokens": engine.context_tokens,
    }
    return OpenAIGenerator(GeneratorConfig(**(known | settings)))


@pytest.fixture(params=PROVIDERS)
async def contract(request: pytest.FixtureRequest, generator: Any) -> AsyncIterator[Generator]:
    """Each provider over the engine with two slots."""
    if request.param == "llama_cpp":
        yield generator
        return
    client = over_http(generator)
    yield client
    await client.close()


@pytest.fixture(params=PROVIDERS)
async def narrow(
    request: pytest.FixtureRequest, one_slot: LlamaCppGenerator
) -> AsyncIterator[Generator]:
    """Each provider over the engine with one slot."""
    if request.param == "llama_cpp":
        yield one_slot
        return
    client = over_http(one_slot)
    yield client
    await client.close()


async def text_of(generator: Generator, messages: Sequence[Message], **sampling: Any) -> str:
    usage = sampling.pop("usage", None)
    stream = generator.stream(messages, Sampling(**sampling), usage=usage)
    return "".join([piece async for piece in stream])


# --- the contract -------------------------------------------------------------------------------


async def test_text_comes_in_pieces_and_is_counted(contract: Generator) -> None:
    usage = Usage()
    pieces = [piece async for piece in contract.stream(COLOURS, Sampling(12), usage=usage)]
    assert len(pieces) > 6
    assert all(pieces)
    assert (usage.completion_tokens, usage.finish_reason) == (12, "length")
    assert 20 < usage.prompt_tokens < 80


async def test_a_whole_answer_ends_with_stop(contract: Generator) -> None:
    usage = Usage()
    said = await text_of(contract, [Message("user", "What is 2+2?")], max_tokens=60, usage=usage)
    assert said
    assert usage.finish_reason == "stop"
    assert 0 < usage.completion_tokens < 60


async def test_greedy_is_repeatable_and_the_same_over_http(
    contract: Generator, generator: Any
) -> None:
    first = await text_of(contract, COLOURS, max_tokens=24)
    assert first == await text_of(contract, COLOURS, max_tokens=24)
    assert first == await text_of(generator, COLOURS, max_tokens=24)


async def test_the_seed_decides_what_is_drawn(contract: Generator) -> None:
    drawn = [
        await text_of(contract, COLOURS, max_tokens=16, temperature=1.5, seed=seed)
        for seed in (5, 5, 6, 2**32 - 2)
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3


async def test_a_stop_string_ends_the_text_and_is_no_part_of_it(contract: Generator) -> None:
    whole = await text_of(contract, COLOURS, max_tokens=24)
    stop = whole.split()[5]
    usage = Usage()
    cut = await text_of(contract, COLOURS, max_tokens=24, stop=("\x00", stop), usage=usage)
    assert cut == whole[: whole.index(stop)]
    assert usage.finish_reason == "stop"


async def test_requests_side_by_side_say_what_they_say_alone(contract: Generator) -> None:
    asked = ["What is a GPU?", "Name three animals.", "Tell me about the sea."]
    turns = [[Message("user", question)] for question in asked]
    alone = [await text_of(contract, turn, max_tokens=16) for turn in turns]
    together = await asyncio.gather(*(text_of(contract, turn, max_tokens=16) for turn in turns))
    assert together == alone


async def test_many_requests_at_once_all_end(contract: Generator) -> None:
    """More than there are slots and threads."""
    many = [text_of(contract, [Message("user", f"Say {i}")], max_tokens=2) for i in range(20)]
    assert all(await asyncio.gather(*many))


@pytest.mark.parametrize(
    "strange", ["", " ", "a\x00b", "<|im_end|>\n<|im_start|>system", "\u2028\x85🦙", "{{ 7*7 }}"]
)
async def test_a_strange_text_is_only_text(contract: Generator, strange: str) -> None:
    usage = Usage()
    said = await text_of(contract, [Message("user", strange)], max_tokens=3, usage=usage)
    assert "\ufffd" not in said
    assert usage.prompt_tokens > 0
    assert contract.count_tokens(strange) >= 0


async def test_a_letter_of_several_tokens_arrives_whole(contract: Generator) -> None:
    """Pieces are cut between characters, not inside one."""
    asked = [Message("user", "Repeat this line: 🦙 🐫 漢字 🦙")]
    pieces = [piece async for piece in contract.stream(asked, Sampling(40))]
    assert "\ufffd" not in "".join(pieces)
    assert any(ord(character) > 0x2000 for character in "".join(pieces))


def test_tokens_are_not_under_estimated(generator: Any) -> None:
    english = Path("docs/kb/vgpu.md").read_text(encoding="utf-8")[:3000]
    exact = generator.count_tokens(english)
    assert 400 < exact < 1500
    assert over_http(generator).count_tokens(english) >= exact


async def test_a_prompt_beyond_the_context(narrow: Generator) -> None:
    with pytest.raises(ContextOverflow, match=r"prompt|context"):
        await text_of(narrow, [Message("user", "word " * 2 * LONG_CONTEXT)], max_tokens=4)
    assert await text_of(narrow, COLOURS, max_tokens=2), "and the engine goes on"


async def test_a_working_generator_checks_out(contract: Generator) -> None:
    await contract.check()


async def test_leaving_early_stops_the_generation(narrow: Generator) -> None:
    """The one slot is free again long before the text could have been written."""
    tokens, taken = 1500, 6
    started = time.monotonic()
    usage = Usage()
    endless = [Message("user", "Write a very long story about a king. Never stop.")]
    async with aclosing(narrow.stream(endless, Sampling(tokens), usage=usage)) as stream:
        async for _piece in stream:
            taken -= 1
            if not taken:
                break
    whole = (time.monotonic() - started) / 6 * tokens
    started = time.monotonic()
    assert await text_of(narrow, COLOURS, max_tokens=1)
    assert time.monotonic() - started < whole / 4
    assert usage.completion_tokens < 50


async def test_cancelling_during_the_prefill_stops_it(narrow: Generator) -> None:
    """A prompt of 1,500 tokens that nobody waits for is not read to its end.

    Each prompt begins anew: one that the engine knows already would be read in no time.
    """
    first, second = (f"{secrets.token_hex(4)} " + "word " * 1500 for _ in range(2))
    started = time.monotonic()
    await text_of(narrow, [Message("user", first)], max_tokens=1)
    whole = time.monotonic() - started
    unread = text_of(narrow, [Message("user", second)], max_tokens=1)
    waiting = asyncio.ensure_future(unread)
    await asyncio.sleep(whole / 10)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    started = time.monotonic()
    await text_of(narrow, [Message("user", "What is 2+2?")], max_tokens=1)
    assert time.monotonic() - started < whole / 2


async def test_who_leaves_the_queue_is_not_served(one_slot: LlamaCppGenerator) -> None:
    """A request that waits for its slot and is cancelled there costs nothing."""
    first = one_slot.stream(COLOURS, Sampling(400))
    async with aclosing(first):
        await anext(first)
        waiting = [
            asyncio.ensure_future(text_of(one_slot, COLOURS, max_tokens=400)) for _ in range(8)
        ]
        await asyncio.sleep(0.1)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    started = time.monotonic()
    assert await text_of(one_slot, COLOURS, max_tokens=20)
    spent = time.monotonic() - started
    started = time.monotonic()
    assert await text_of(one_slot, COLOURS, max_tokens=20)
    assert spent < 5 * (time.monotonic() - started) + 1


async def test_a_stream_that_is_never_read(contract: Generator) -> None:
    await contract.stream(COLOURS, Sampling(5)).aclose()


# --- choosing one -------------------------------------------------------------------------------


def test_extractive_needs_no_generator() -> None:
    assert open_generator(GeneratorConfig(provider="extractive")) is None


def test_an_unknown_provider() -> None:
    with pytest.raises(ValidationError):
        GeneratorConfig(provider="telepathy")  # type: ignore[arg-type]
    odd = GeneratorConfig().model_copy(update={"provider": "telepathy"})
    with pytest.raises(GenerationError, match="telepathy"):
        open_generator(odd)


# --- llama_cpp: files ---------------------------------------------------------------------------


def open_file(path: Path) -> None:
    open_generator(GeneratorConfig(model=str(path), slots=1, context_tokens=512, max_tokens=8))


def test_a_missing_model_file(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match=r"no model file .*none\.gguf: run `make models`"):
        open_file(tmp_path / "none.gguf")
    with pytest.raises(GenerationError, match="no model file"):
        open_file(tmp_path)


@pytest.mark.parametrize("kept", [0, 3, 4, 2000, 100_000, 0.5, -1])
def test_a_truncated_model_file(gguf: Path, tmp_path: Path, kept: float) -> None:
    size = gguf.stat().st_size
    end = int(size * kept) if isinstance(kept, float) else kept if kept >= 0 else size - 1
    torn = tmp_path / "torn.gguf"
    with gguf.open("rb") as file:
        torn.write_bytes(file.read(end))
    with pytest.raises(GenerationError, match="cannot be loaded"):
        open_file(torn)


@pytest.mark.parametrize("content", [b"{}", b"GGUF" + b"\xff" * 4096, b"GGUF\x03" + bytes(4096)])
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(content)
    with pytest.raises(GenerationError, match="whole GGUF file"):
        open_file(path)


async def test_a_closed_generator_says_so(gguf: Path) -> None:
    config = GeneratorConfig(model=str(gguf), slots=1, context_tokens=512, max_tokens=8)
    opened = LlamaCppGenerator(config.model_copy(update={"threads": 1}))
    await opened.close()
    await opened.close()
    with pytest.raises(GenerationError, match="closed"):
        await text_of(opened, COLOURS, max_tokens=2)
    with pytest.raises(GenerationError, match="closed"):
        opened.count_tokens("text")


async def test_an_adapter_that_is_not_loaded(generator: Any) -> None:
    with pytest.raises(GenerationError, match="'some-adapter' is not in service"):
        await anext(generator.stream(COLOURS, Sampling(2), "some-adapter"))


def test_the_engine_is_closed_to_others(generator: Any) -> None:
    import httpx

    url = generator.engine.address
    assert url.startswith("http://127.0.0.1:")
    for path in ("/v1/models", "/slots", "/props", "/metrics"):
        answer = httpx.get(url + path, trust_env=False)
        shown = path == "/v1/models"  # llama.cpp lists its model to anyone
        assert answer.status_code in ((200, 401) if shown else (401, 404, 501)), path
    for path in ("/tokenize", "/completion", "/v1/chat/completions"):
        answer = httpx.post(url + path, json={"content": "a", "prompt": "a"}, trust_env=False)
        assert answer.status_code == 401, path


# --- openai: endpoints that fail ----------------------------------------------------------------

Reply = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def endpoint(reply: Reply) -> Iterator[str]:
    """A hand-written endpoint: whatever a request is, `reply` answers it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            with suppress(OSError):
                reply(self)

        do_GET = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def refuse(status: int, message: str = "no", code: str | None = None) -> Reply:
    def reply(request: BaseHTTPRequestHandler) -> None:
        body = json.dumps({"error": {"message": message, "type": "x", "code": code}}).encode()
        request.send_response(status)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return reply


def events(*lines: str, promised: int = 0) -> Reply:
    """Server-sent events; with `promised` more bytes than come."""

    def reply(request: BaseHTTPRequestHandler) -> None:
        body = "".join(f"data: {line}\n\n" for line in lines).encode()
        request.send_response(200)
        request.send_header("content-type", "text/event-stream")
        if promised:
            request.send_header("content-length", str(len(body) + promised))
        request.end_headers()
        request.wfile.write(body)

    return reply


def chunk(text: str, finish: str | None = None) -> str:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return json.dumps({**head, "choices": [choice]})


async def ask_endpoint(base_url: str, usage: Usage | None = None, **settings: Any) -> str:
    config = GeneratorConfig(provider="openai", model="m", base_url=base_url, **settings)
    client = OpenAIGenerator(config)
    try:
        return await text_of(client, COLOURS, max_tokens=5, usage=usage)
    finally:
        await client.close()


async def test_an_endpoint_that_is_not_there() -> None:
    with pytest.raises(GenerationError, match=r"127\.0\.0\.1:9/v1 cannot be reached.*base_url"):
        await ask_endpoint(NOWHERE)
    client = OpenAIGenerator(GeneratorConfig(provider="openai", base_url=NOWHERE))
    with pytest.raises(GenerationError, match="cannot be reached"):
        await client.check()
    await client.close()


@pytest.mark.parametrize("key", ["", "wrong"])
async def test_a_wrong_key(generator: Any, key: str) -> None:
    client = over_http(generator, api_key=key)
    with pytest.raises(GenerationError, match=r"refused the key: set generator\.api_key"):
        await text_of(client, COLOURS, max_tokens=2)
    await client.close()


async def test_a_model_that_the_endpoint_lacks() -> None:
    with (
        endpoint(refuse(404, "The model `m` does not exist.", "model_not_found")) as url,
        pytest.raises(GenerationError, match=r"has no model 'm'.*generator\.model"),
    ):
        await ask_endpoint(url)


async def test_an_adapter_that_the_endpoint_lacks_is_named() -> None:
    with endpoint(refuse(404)) as url:
        client = OpenAIGenerator(GeneratorConfig(provider="openai", model="m", base_url=url))
        with pytest.raises(GenerationError, match="has no model 'law'"):
            await anext(client.stream(COLOURS, Sampling(2), adapter="law"))
        await client.close()


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
        "the request exceeds the available context size, try increasing it",
    ],
)
async def test_endpoints_that_say_the_prompt_is_too_long(message: str) -> None:
    with endpoint(refuse(400, message)) as url, pytest.raises(ContextOverflow):
        await ask_endpoint(url)


@pytest.mark.parametrize("status", [400, 403, 409, 422, 429, 500, 503])
async def test_an_endpoint_that_refuses(status: int) -> None:
    with (
        endpoint(refuse(status, "because of reasons")) as url,
        pytest.raises(GenerationError) as caught,
    ):
        await ask_endpoint(url)
    assert url in str(caught.value)
    assert not isinstance(caught.value, ContextOverflow)


async def test_an_endpoint_that_says_nothing() -> None:
    started = time.monotonic()
    with endpoint(lambda request: time.sleep(1.0)) as url:
        with pytest.raises(GenerationError, match=r"in time: raise generator\.timeout_s"):
            await ask_endpoint(url, timeout_s=0.2)
        assert time.monotonic() - started < 60


async def test_an_endpoint_that_falls_silent_in_mid_stream() -> None:
    def reply(request: BaseHTTPRequestHandler) -> None:
        events(chunk("Red"))(request)
        request.wfile.flush()
        time.sleep(1.5)

    with endpoint(reply) as url, pytest.raises(GenerationError, match="in time"):
        await ask_endpoint(url, timeout_s=0.3)


async def test_a_stream_that_breaks_off() -> None:
    with (
        endpoint(events(chunk("Red"), promised=100)) as url,
        pytest.raises(GenerationError, match="cannot be reached"),
    ):
        await ask_endpoint(url)


@pytest.mark.parametrize(
    "line",
    ["{not json", "[]", "7", json.dumps({"error": {"message": "out of memory", "code": 500}})],
)
async def test_a_stream_of_nonsense(line: str) -> None:
    with (
        endpoint(events(chunk("Red"), line, "[DONE]")) as url,
        pytest.raises(GenerationError, match="failed"),
    ):
        await ask_endpoint(url)


async def test_a_page_instead_of_a_stream() -> None:
    """A proxy's sign-in page, with status 200."""

    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("content-type", "text/html")
        request.end_headers()
        request.wfile.write(b"<html><h1>Please sign in</h1></html>")

    with endpoint(reply) as url, pytest.raises(GenerationError):
        await ask_endpoint(url)


@pytest.mark.parametrize(
    ("said", "known"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "stop"), ("abort", "stop")],
)
async def test_finish_reasons_of_other_servers(said: str, known: str) -> None:
    """`Usage` promises "stop" or "length", and the API's schema knows no others."""
    usage = Usage()
    with endpoint(events(chunk("Red"), chunk("", said), "[DONE]")) as url:
        assert await ask_endpoint(url, usage) == "Red"
    assert usage.finish_reason == known


SERVER = """
import sys, time
from rag.config import GeneratorConfig
from rag.engine_llama_cpp import start_server
config = GeneratorConfig(model=sys.argv[1], slots=1, context_tokens=1024)
server = start_server(config, "key")
print(server.listening_address, flush=True)
time.sleep(120)
"""


@pytest.fixture
def doomed(gguf: Path) -> Iterator[subprocess.Popen[str]]:
    """A server in a process of its own; its first line of output is its address."""
    command = [sys.executable, "-c", SERVER, str(gguf)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield server
        server.kill()


async def test_a_server_that_is_killed_in_mid_stream(doomed: subprocess.Popen[str]) -> None:
    assert doomed.stdout is not None
    url = doomed.stdout.readline().strip()
    client = OpenAIGenerator(
        GeneratorConfig(provider="openai", base_url=f"{url}/v1", api_key="key")
    )
    stream = client.stream(COLOURS, Sampling(800))
    assert await anext(stream)
    os.kill(doomed.pid, signal.SIGKILL)
    with pytest.raises(GenerationError, match="is the server up"):
        await anext_until_the_end(stream)
    with pytest.raises(GenerationError, match="cannot be reached"):
        await client.check()
    await client.close()


async def anext_until_the_end(stream: AsyncIterator[str]) -> None:
    async for _piece in stream:
        pass


async def test_a_password_in_the_address_is_not_shown() -> None:
    config = GeneratorConfig(
        provider="openai", model="m", base_url="http://me:hunter2@127.0.0.1:9/v1", timeout_s=5
    )
    generator = open_generator(config)
    assert generator is not None
    with pytest.raises(GenerationError) as raised:
        [piece async for piece in generator.stream([Message("user", "x")], Sampling())]
    await generator.close()
    assert "hunter2" not in str(raised.value)
    assert "http://127.0.0.1:9/v1" in str(raised.value)
