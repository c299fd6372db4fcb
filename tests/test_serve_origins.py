"""Pages of other sites: what browsers would let them write, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI, WebSocket

from serve.origins import SameOrigin
from tests.test_serve_hosts import handshake, served

FOREIGN = [
    "https://evil.example",
    "http://localhost:1",
    "http://127.0.0.1",
    "null",
    "",
    "file://",
    "http://[::1",
    "http://127.0.0.1:x",
    "http://127.0.0.1@evil.example",
    "http://chat.example.evil.example",
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    app = FastAPI()
    app.add_middleware(SameOrigin, hosts=["chat.example", "*.corp.example"])

    @app.api_route("/", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def page() -> str:
        return "done"

    @app.websocket("/socket")
    async def talk(connection: WebSocket) -> None:
        await connection.accept()
        await connection.close()

    with served(app) as base:
        yield base


def ask(method: str, url: str, origin: str | None, host: str = "") -> httpx.Response:
    headers = {"host": host} if host else {}
    if origin is not None:
        headers["origin"] = origin
    return httpx.request(method, url, headers=headers, trust_env=False, timeout=20)


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_pages_of_other_sites_write_nothing(url: str, method: str, origin: str) -> None:
    answer = ask(method, url, origin)
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("permission_error", "origin_not_allowed")
    assert "server.allowed_hosts" in error["message"]


@pytest.mark.parametrize("origin", FOREIGN)
def test_nor_do_they_open_websockets(url: str, origin: str) -> None:
    host = f"Host: {url.removeprefix('http://')}"
    assert " 403 " in handshake(url, "/socket", host, f"Origin: {origin}")


def test_its_own_page_and_other_clients(url: str) -> None:
    host = url.removeprefix("http://")
    for origin in (None, url, url.upper().replace("HTTP", "http")):
        assert ask("POST", url, origin).status_code == 200, origin
    assert " 101 " in handshake(url, "/socket", f"Host: {host}", f"Origin: {url}")
    assert " 101 " in handshake(url, "/socket", f"Host: {host}")


def test_links_of_other_sites_work(url: str) -> None:
    assert ask("GET", url, "https://evil.example").status_code == 200


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://chat.example", ""),
        ("https://a.corp.example:8443", ""),
        ("https://other.example", "other.example"),
        ("https://other.example:443", "other.example"),
        ("http://other.example", "other.example:80"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_behind_a_proxy(url: str, origin: str, host: str) -> None:
    assert ask("POST", url, origin, host).status_code == 200
