"""ASGI middleware: request bodies that are too long, too slow, or of the wrong type.

Works on the stream, so a body without a length, or one that lies about it, is cut off as soon as
it is over the limit, and nothing of it is kept.
"""

from __future__ import annotations

import asyncio

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.http_errors import error_body

_MB = 1024 * 1024
_WITH_BODY = {"POST", "PUT", "PATCH"}


class _Refused(Exception):
    def __init__(self, status: int, message: str, code: str) -> None:
        super().__init__(message)
        self.response = JSONResponse(
            error_body(status, message, code), status_code=status, headers={"connection": "close"}
        )


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
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            _check_type(scope, "multipart/form-data" if upload else "application/json")
            body = self._limited(receive, int(limit_mb * _MB), limit_mb)
            await self._app(scope, body, watched_send)
        except _Refused as refused:
            if not started:
                await refused.response(scope, receive, send)

    def _limited(self, receive: Receive, limit: int, limit_mb: float) -> Receive:
        seen, complete = 0, False

        async def limited() -> Message:
            nonlocal seen, complete
            if complete:  # only a disconnect is left to wait for
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), self._timeout_s)
            except TimeoutError:
                reason = f"nothing of the body came for {self._timeout_s:g} s"
                raise _Refused(408, reason, "request_timeout") from None
            seen += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if seen > limit:
                reason = f"the request body is longer than {limit_mb:g} MB"
                raise _Refused(413, reason, "request_too_large")
            return message

        return limited


def _check_type(scope: Scope, wanted: str) -> None:
    headers = dict(scope["headers"])
    given = headers.get(b"content-type", b"").split(b";")[0].strip().lower().decode("latin-1")
    if given != wanted:
        reason = f"the content type is {given or 'missing'}; send {wanted}"
        raise _Refused(415, reason, "unsupported_media_type")
