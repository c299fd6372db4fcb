"""ASGI middleware: requests under a host name that is not this server's are refused.

A web page may let its own name point to 127.0.0.1 (DNS rebinding), and the browser would then let
its scripts read what a server there answers. The name that they asked for stays in the Host header.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.config import ServerConfig
from serve.http_errors import error_body

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_SHOWN = 100


def trusted_hosts(config: ServerConfig) -> list[str]:
    """Patterns of host names that may be asked for; `*` is any."""
    if config.allowed_hosts:
        return [*_LOOPBACK, *config.allowed_hosts, *_own(config.host)]
    return [*_LOOPBACK, *_own(config.host)] if is_loopback(config.host) else ["*"]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    try:
        found = {str(address[4][0]) for address in socket.getaddrinfo(host or "0.0.0.0", None)}
    except (OSError, UnicodeError):  # no name at all: to listen on it says so
        return False
    return all(ipaddress.ip_address(one.partition("%")[0]).is_loopback for one in found)


def _own(host: str) -> list[str]:
    """`server.host` as a Host header names it, where it is loopback."""
    if not is_loopback(host):
        return []
    return [f"[{host}]" if ":" in host else host]


class TrustedHosts:
    """Starlette's check of the Host header, with OpenAI's error where it refuses."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or await self._trusts(scope, receive):
            await self._app(scope, receive, send)
            return
        name = Headers(scope=scope).get("host", "")[:_SHOWN]
        message = (
            f"this server is not called '{name}': ask for it by one of its own names, or add this "
            "one to server.allowed_hosts"
        )
        body = error_body(421, message, "host_not_allowed")
        await JSONResponse(body, status_code=421)(scope, receive, send)

    async def _trusts(self, scope: Scope, receive: Receive) -> bool:
        trusted = False

        async def accept(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal trusted
            trusted = True

        async def drop(message: Message) -> None:
            pass

        check = TrustedHostMiddleware(accept, list(self._hosts), www_redirect=False)
        await check(scope, receive, drop)
        return trusted
