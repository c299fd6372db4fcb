"""ASGI middleware: what another site's page makes a browser send is refused.

A form on any web page may post to 127.0.0.1, a file upload included, and a script may open a
websocket there; browsers let both through without asking. They name the page in the Origin header,
which other clients (curl, OpenAI's libraries) do not send.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.http_errors import error_body

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SHOWN = 100


class SameOrigin:
    """Refuses writing requests and websockets of pages that this server did not send.

    `hosts` are names under which a proxy shows this server, where it does not pass the Host on.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = [host.lower() for host in hosts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] != "lifespan" else Headers({})
        origin = headers.get("origin")
        reading = scope["type"] == "http" and scope["method"] in _READING
        if origin is None or reading or self._is_own(origin, headers.get("host", "")):
            await self._app(scope, receive, send)
            return
        message = (
            f"a page of '{origin[:_SHOWN]}' may not write to this server; if that is this server's "
            "own name behind a proxy, add it to server.allowed_hosts"
        )
        body = error_body(403, message, "origin_not_allowed")
        await JSONResponse(body, status_code=403)(scope, receive, send)

    def _is_own(self, origin: str, host: str) -> bool:
        try:
            page = urlsplit(origin)
            asked = urlsplit(f"{page.scheme}://{host}")
            default = _DEFAULT_PORTS.get(page.scheme)
            same = (page.hostname, page.port or default) == (asked.hostname, asked.port or default)
        except ValueError:  # a port that is no number, half a bracket
            return False
        name = page.hostname or ""
        named = f"[{name}]" if ":" in name else name
        # `null` of a sandboxed page has no name.
        return bool(name) and (same or any(fnmatchcase(named, known) for known in self._hosts))
