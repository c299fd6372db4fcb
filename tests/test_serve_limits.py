"""Bodies that are too long, too slow or of the wrong type, sent by hand to a real server."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, UploadFile

from serve.limits import BodyLimits

MB = 1024 * 1024
SILENCE_S = 0.4


def create_app() -> FastAPI:
    """Routes that read their bodies whole, behind small limits."""
    app = FastAPI()
    app.add_middleware(BodyLimits, max_mb=0.5, max_upload_mb=1.0, timeout_s=SILENCE_S)

    @app.post("/v1/echo")
    async def echo(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    @app.put("/v1/echo")
    async def parse(body: dict[str, Any]) -> dict[str, int]:
        return {"keys": len(body)}

    @app.post("/v1/documents")
    async def upload(file: UploadFile) -> dict[str, int]:
        return {"length": len(await file.read())}

    @app.get("/v1/slow")
    async def slow() -> dict[str, str]:
        await asyncio.sleep(2 * SILENCE_S)
        return {"status": "ok"}

    @app.post("/v1/thinks")
    async def thinks(request: Request) -> dict[str, bool]:
        await request.body()
        await asyncio.sleep(2 * SILENCE_S)
        return {"gone": await request.is_disconnected()}

    @app.post("/page")
    async def page(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    return app


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(create_app(), log_config=None))
    thread = threading.Thread(target=running.run, args=([listener],))
    thread.start()
    yield listener.getsockname()[:2]
    running.should_exit = True
    thread.join()


@pytest.fixture
def client(server: tuple[str, int]) -> Iterator[httpx.Client]:
    host, port = server
    with httpx.Client(base_url=f"http://{host}:{port}", trust_env=False, timeout=20) as opened:
        yield opened


JSON = {"content-type": "application/json"}


def refused(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert (error["code"], error["type"]) == (code, "invalid_request_error")
    return str(error["message"])


# --- length -------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, MB // 2])
def test_up_to_the_limit(client: httpx.Client, length: int) -> None:
    answer = client.post("/v1/echo", content=b"x" * length, headers=JSON)
    assert answer.json() == {"length": length}


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_one_byte_more(client: httpx.Client, method: str) -> None:
    answer = client.request(method, "/v1/echo", content=b"x" * (MB // 2 + 1), headers=JSON)
    assert refused(answer, 413, "request_too_large") == "the request body is longer than 0.5 MB"
    assert answer.headers["connection"] == "close"


def test_ten_megabytes_are_refused_and_the_client_is_told(client: httpx.Client) -> None:
    answer = client.post("/v1/echo", content=b"x" * 10 * MB, headers=JSON)
    refused(answer, 413, "request_too_large")


def test_a_chunked_body_within_the_limit(client: httpx.Client) -> None:
    answer = client.post("/v1/echo", content=iter([b"x" * 1000] * 10), headers=JSON)
    assert answer.json() == {"length": 10_000}


def test_an_endless_chunked_body_is_cut_off_and_the_client_is_told(
    server: tuple[str, int],
) -> None:
    deadline = time.monotonic() + 15
    with socket.create_connection(server, timeout=20) as connection:
        connection.sendall(head("POST", "/v1/echo", "Transfer-Encoding: chunked"))
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        while not select.select([connection], [], [], 0)[0]:
            connection.sendall(chunk)
            assert time.monotonic() < deadline, "the server reads on without a word"
        answer = ""
        while '"request_too_large"' not in answer:
            answer += connection.recv(65536).decode()
        assert answer.startswith("HTTP/1.1 413")
        with pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
            send_until(deadline, connection, chunk)


def send_until(deadline: float, connection: socket.socket, chunk: bytes) -> None:
    while time.monotonic() < deadline:
        connection.sendall(chunk)


def test_uploads_have_a_limit_of_their_own(client: httpx.Client) -> None:
    for length, status in ((MB - 1000, 200), (MB + 1, 413)):
        answer = client.post("/v1/documents", files={"file": ("a.txt", b"x" * length)})
        assert answer.status_code == status, answer.text
    slash = client.post("/v1/documents/", files={"file": ("a.txt", b"x" * (MB * 3 // 4))})
    assert slash.status_code in (200, 307)


def test_other_paths_are_not_guarded(client: httpx.Client) -> None:
    assert client.post("/page", content=b"x" * MB).json() == {"length": MB}


def test_the_next_request_is_served(client: httpx.Client) -> None:
    client.post("/v1/echo", content=b"x" * 2 * MB, headers=JSON)
    assert client.post("/v1/echo", content=b"{}", headers=JSON).json() == {"length": 2}


# --- silence ------------------------------------------------------------------------------------


def head(method: str, path: str, *lines: str, kind: str = "application/json") -> bytes:
    fixed = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Type: {kind}"]
    return "\r\n".join([*fixed, *lines, "", ""]).encode()


def read(connection: socket.socket) -> str:
    """Everything up to the end of the connection."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received.decode()


@pytest.mark.parametrize("sent", [b"", b'{"model": "vs'])
@pytest.mark.parametrize("length", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_a_client_that_falls_silent_is_let_go(
    server: tuple[str, int], sent: bytes, length: str
) -> None:
    started = time.monotonic()
    with socket.create_connection(server, timeout=20) as connection:
        if sent and length.startswith("Transfer"):
            sent = b"%x\r\n%s\r\n" % (len(sent), sent)
        connection.sendall(head("POST", "/v1/echo", length) + sent)
        answer = read(connection)
    assert answer.startswith("HTTP/1.1 408")
    assert '"request_timeout"' in answer
    assert SILENCE_S <= time.monotonic() - started < 10


def test_a_slow_body_is_not_silent(server: tuple[str, int]) -> None:
    with socket.create_connection(server, timeout=20) as connection:
        connection.sendall(head("POST", "/v1/echo", "Content-Length: 6", "Connection: close"))
        for byte in b"123456":
            time.sleep(SILENCE_S / 4)
            connection.sendall(bytes([byte]))
        assert '{"length":6}' in read(connection)


def test_an_answer_may_take_longer_than_the_silence_allowed(client: httpx.Client) -> None:
    assert client.get("/v1/slow").json() == {"status": "ok"}
    assert client.post("/v1/thinks", content=b"{}", headers=JSON).json() == {"gone": False}


def test_who_hangs_up_in_mid_body_harms_nobody(
    server: tuple[str, int], client: httpx.Client
) -> None:
    with socket.create_connection(server, timeout=20) as connection:
        connection.sendall(head("POST", "/v1/echo", "Content-Length: 1000") + b"{")
    assert client.post("/v1/echo", content=b"{}", headers=JSON).json() == {"length": 2}


# --- type ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/json;x"]
)
def test_json_is_json(client: httpx.Client, kind: str) -> None:
    assert client.post("/v1/echo", content=b"{}", headers={"content-type": kind}).is_success


@pytest.mark.parametrize(
    ("path", "kind", "wanted"),
    [
        ("/v1/echo", "text/plain", "application/json"),
        ("/v1/echo", "application/x-www-form-urlencoded", "application/json"),
        ("/v1/echo", "multipart/form-data; boundary=x", "application/json"),
        ("/v1/echo", "application/jsonp", "application/json"),
        ("/v1/echo", "\u00ff\u00fe", "application/json"),
        ("/v1/documents", "application/json", "multipart/form-data"),
        ("/v1/documents/", "text/plain", "multipart/form-data"),
    ],
)
def test_another_type_is_refused(client: httpx.Client, path: str, kind: str, wanted: str) -> None:
    headers = {"content-type": kind.encode("latin-1")}
    answer = client.post(path, content=b"{}", headers=headers)
    assert refused(answer, 415, "unsupported_media_type").endswith(f"send {wanted}")


def test_a_missing_type_is_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/echo", content=b"{}")
    assert "content type is missing" in refused(answer, 415, "unsupported_media_type")


# --- without a server ---------------------------------------------------------------------------


async def test_lifespans_pass_through() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    guarded = BodyLimits(app, max_mb=1, max_upload_mb=1, timeout_s=1)
    await guarded({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert seen == ["lifespan"]


async def test_a_body_that_is_refused_while_an_answer_runs_does_not_break_it() -> None:
    """A route that answers before it has read: the answer goes on, unharmed."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        await receive()

    sent: list[dict[str, Any]] = []

    async def pieces() -> AsyncIterator[dict[str, Any]]:
        while True:
            yield {"type": "http.request", "body": b"x" * MB, "more_body": True}

    source = pieces()

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return await anext(source)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/x", "headers": headers}
    guarded = BodyLimits(app, max_mb=0.5, max_upload_mb=1, timeout_s=1)
    await guarded(scope, receive, send)  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == ["http.response.start"]
    await source.aclose()
