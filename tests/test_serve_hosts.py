"""The Host header: a web page that points its own name to this machine gets nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
import uvicorn
from fastapi import FastAPI, WebSocket
from pydantic import ValidationError

from serve.config import ServerConfig
from serve.hosts import TrustedHosts, is_loopback, trusted_hosts

FOREIGN = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "evil-localhost",
    "127.0.0.1.evil.example",
    "127.0.0.2",
    "0.0.0.0",
    "[::]",
    "localhost:x",
    "evil.example:80@localhost",
    "localhost@evil.example",
    "localhost/",
    "\u00e4\u00ff",
    "x" * 3000,
    "",
]
OWN = ["localhost", "LocalHost:1", "127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8000"]


def create_app(**server: Any) -> FastAPI:
    app = FastAPI()
    app.add_middleware(TrustedHosts, hosts=trusted_hosts(ServerConfig(**server)))

    @app.get("/")
    async def page() -> str:
        return "the page"

    @app.websocket("/socket")
    async def talk(connection: WebSocket) -> None:
        await connection.accept()
        await connection.close()

    return app


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(app, log_config=None))
    thread = threading.Thread(target=running.run, args=([listener],))
    thread.start()
    yield "http://{}:{}".format(*listener.getsockname())
    running.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(create_app()) as base:
        yield base


def get(url: str, host: str) -> httpx.Response:
    headers = {"host": host.encode("latin-1")}
    return httpx.get(url, headers=headers, trust_env=False, timeout=20)


def handshake(url: str, path: str, *lines: str) -> str:
    """The first line of what a server says to a browser that wants a websocket."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        head = [f"GET {path} HTTP/1.1", *lines, "Upgrade: websocket", "Connection: Upgrade"]
        head += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""]
        connection.sendall("\r\n".join(head).encode("latin-1"))
        return connection.recv(4096).decode("latin-1").splitlines()[0]


# --- on loopback --------------------------------------------------------------------------------


@pytest.mark.parametrize("host", OWN)
def test_its_own_names(url: str, host: str) -> None:
    assert get(url, host).json() == "the page"
    assert " 101 " in handshake(url, "/socket", f"Host: {host}")


@pytest.mark.parametrize("host", FOREIGN)
def test_other_names(url: str, host: str) -> None:
    answer = get(url, host)
    assert answer.status_code == 421, answer.text
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "host_not_allowed")
    assert "server.allowed_hosts" in error["message"]
    assert len(error["message"]) < 300
    assert " 421 " in handshake(url, "/socket", f"Host: {host}")


def test_no_name_at_all(url: str) -> None:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    assert answer.split(b"\r\n")[0].endswith(b"421 Misdirected Request")
    assert b"the page" not in answer


def test_a_proxys_name_does_not_count(url: str) -> None:
    headers = {
        "host": "evil.example",
        "x-forwarded-host": "localhost",
        "forwarded": "host=localhost",
    }
    assert httpx.get(url, headers=headers, trust_env=False).status_code == 421


def test_names_that_are_added() -> None:
    with served(create_app(allowed_hosts=["Chat.example", "*.corp.example"])) as url:
        for host in (
            *OWN,
            "chat.example",
            "CHAT.EXAMPLE:443",
            "a.corp.example",
            "a.b.corp.example",
        ):
            assert get(url, host).status_code == 200, host
        for host in (*FOREIGN, "www.chat.example", "corp.example", "evilcorp.example"):
            assert get(url, host).status_code == 421, host


# --- elsewhere ----------------------------------------------------------------------------------


def test_elsewhere_any_name_unless_some_are_listed() -> None:
    assert trusted_hosts(ServerConfig(host="0.0.0.0")) == ["*"]
    listed = trusted_hosts(ServerConfig(host="0.0.0.0", allowed_hosts=("chat.example",)))
    assert "*" not in listed
    assert set(listed) == {"localhost", "127.0.0.1", "[::1]", "chat.example"}
    with served(create_app(host="0.0.0.0", allowed_hosts=["chat.example"])) as url:
        assert get(url, "chat.example").status_code == 200
        assert get(url, "evil.example").status_code == 421


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("127.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.0.2.1", False),
        ("a" * 300, False),
        ("a..b", False),
    ],
)
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    allowed = trusted_hosts(ServerConfig(host=host))
    assert ("*" not in allowed) is loopback
    if loopback:
        assert (f"[{host}]" if ":" in host else host) in allowed


@pytest.mark.parametrize(
    "host",
    ["", "https://chat.example", "chat.example:443", "a.*.example", "**", "::1", "a b", "a/"],
)
def test_what_is_no_host_name(host: str) -> None:
    with pytest.raises(ValidationError, match="is no host name"):
        ServerConfig(allowed_hosts=(host,))


@pytest.mark.parametrize(
    "host", ["*", "*.example", "a_b", "[::1]", "192.0.2.1", "chat.corp.example"]
)
def test_what_is_a_host_name(host: str) -> None:
    assert host in trusted_hosts(ServerConfig(allowed_hosts=(host,)))


# --- the whole server ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/docs", "/healthz", "/readyz", "/v1/models", "/nothing"])
def test_every_route_is_guarded(running_server: str, path: str) -> None:
    assert get(running_server + path, "evil.example").status_code == 421
    assert get(running_server + path, "localhost").status_code != 421


def test_uploads_and_questions_are_guarded(running_server: str) -> None:
    headers = {"host": "evil.example"}
    files = {"file": ("evil.md", b"# Evil\n\nText.")}
    for sent in ({"files": files}, {"json": {"model": "vsage"}}):
        for path in ("/v1/documents", "/v1/chat/completions", "/v1/embeddings"):
            answer = httpx.post(running_server + path, headers=headers, trust_env=False, **sent)  # type: ignore[arg-type]
            assert answer.status_code == 421, path


def test_the_pages_socket_is_guarded(running_server: str) -> None:
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    assert " 421 " in handshake(running_server, path, "Host: evil.example")
    assert " 101 " in handshake(running_server, path, f"Host: {urlsplit(running_server).netloc}")


def test_openais_client_is_told(running_server: str) -> None:
    with (
        openai.OpenAI(
            base_url=f"{running_server}/v1",
            api_key="unused",
            max_retries=0,
            default_headers={"host": "evil.example"},
        ) as client,
        pytest.raises(openai.APIStatusError, match=r"server\.allowed_hosts") as caught,
    ):
        client.models.list()
    assert (caught.value.status_code, caught.value.code) == (421, "host_not_allowed")
