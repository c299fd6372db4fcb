"""ASGI middleware: request bodies that are too long, too slow, or of the wrong type.

Works on the stream, so a body without a length, or one that lies about it, is cut off as soon as
it is over the limit, and nothing of it is kept.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.http_errors import error_body

_MB = 1024 * 1024
_LINGER_S = 2.0
_WITH_BODY = {"POST", "PUT", "PATCH"}


class BodyRefused(Exception):
    """Ends the reading of a body; whatever the framework makes of it is replaced."""


class BodyLimits:
    """Guards `/v1/*`; the page's own routes are the page library's business."""

    def __init__(
        self, app: ASGIApp, *, max_mb: float, max_upload_mb: float, timeout_s: float
    ) -> None:
        self._app = app
        self._max_mb = max_mb
        self._max_upload_mb = max_upload_mb
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        guarded = scope["type"] == "http" and scope["path"].startswith("/v1/")
        if not guarded or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        upload = scope["path"].rstrip("/") == "/v1/documents"
        limit_mb = self._max_upload_mb if upload else self._max_mb
        refused = _wrong_type(scope, "multipart/form-data" if upload else "application/json")
        started = False
        seen, complete = 0, False

        async def limited_receive() -> Message:
            nonlocal seen, complete, refused
            if complete:  # only a disconnect is left to wait for
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), self._timeout_s)
            except TimeoutError:
                reason = f"nothing of the body came for {self._timeout_s:g} s"
                refused = _refusal(408, reason, "request_timeout")
                raise BodyRefused(reason) from None
            seen += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if seen > limit_mb * _MB:
                reason = f"the request body is longer than {limit_mb:g} MB"
                refused = _refusal(413, reason, "request_too_large")
                raise BodyRefused(reason)
            return message

        async def watched_send(message: Message) -> None:
            nonlocal started
            if refused is None or started:  # else the framework's own answer to BodyRefused
                started = True
                await send(message)

        if refused is None:
            with suppress(BodyRefused):
                await self._app(scope, limited_receive, watched_send)
        if refused is not None and not started:
            await _refuse(refused, receive, send)


async def _refuse(response: JSONResponse, receive: Receive, send: Send) -> None:
    """Answer, then read on for a moment.

    A connection closed over unread bytes is reset, and the client would never see the answer.
    """
    headers = response.raw_headers
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _wrong_type(scope: Scope, wanted: str) -> JSONResponse | None:
    headers = dict(scope["headers"])
    given = headers.get(b"content-type", b"").split(b";")[0].strip().lower().decode("latin-1")
    if given == wanted:
        return None
    reason = f"the content type is {given or 'missing'}; send {wanted}"
    return _refusal(415, reason, "unsupported_media_type")


def _refusal(status: int, message: str, code: str) -> JSONResponse:
    body = error_body(status, message, code)
    return JSONResponse(body, status_code=status, headers={"connection": "close"})
