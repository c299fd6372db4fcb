"""Every error leaves as OpenAI's `{"error": {"message", "type", "code", "param"}}`."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from guardrails import GuardrailsError
from rag.errors import ContextOverflow, GenerationError, ParseError, RagError
from serve.errors import RequestError

log = logging.getLogger(__name__)

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
_SHOWN = 200
_TYPE = re.compile(r"str|[\w-]+[\[(].*", re.DOTALL)


def install(app: FastAPI) -> None:
    """Register the handlers; after this no route needs to catch anything."""
    app.add_exception_handler(RequestError, _on_request_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RagError, _on_failure)
    app.add_exception_handler(GuardrailsError, _on_failure)
    app.add_exception_handler(Exception, _on_bug)


def error_body(
    status: int, message: str, code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    kind = "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


def describe(error: Exception) -> tuple[int, str, str | None]:
    """(status, message, code) of an error met while answering, also in the middle of a stream."""
    if isinstance(error, RequestError):
        return error.status, str(error), error.code
    if isinstance(error, ContextOverflow):
        return 400, str(error), "context_length_exceeded"
    if isinstance(error, ParseError):
        return 400, str(error), "unreadable_document"
    if isinstance(error, GenerationError):
        return 503, str(error), "generator_unavailable"
    if isinstance(error, RagError | GuardrailsError):
        return 503, str(error), "unavailable"
    log.error("a request failed", exc_info=error)
    return 500, "an internal error; the server's log has the details", "internal_error"


def _response(status: int, message: str, code: str | None, param: str | None) -> JSONResponse:
    return JSONResponse(error_body(status, message, code, param), status_code=status)


async def _on_request_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestError)
    return _response(error.status, str(error), error.code, error.param)


async def _on_invalid(_request: Request, error: Exception) -> JSONResponse:
    """Name the parameter that is wrong; unknown ones as unsupported."""
    assert isinstance(error, RequestValidationError)
    # A union reports each of its types: the deepest one is the one that was meant.
    first = max(error.errors(), key=lambda item: len(item["loc"]))
    param = _param(first["loc"][1:], first["type"] == "extra_forbidden") or None
    if first["type"] == "json_invalid":
        return _response(400, "the body is not valid JSON", "invalid_json", None)
    if first["type"] == "extra_forbidden":
        return _response(400, f"unsupported parameter: '{param}'", "unsupported_parameter", param)
    if first["type"] == "missing":
        message = f"missing parameter: '{param}'" if param else "the request has no body"
        return _response(400, message, "missing_parameter", param)
    reason = str(first["msg"]).removeprefix("Value error, ")
    message = f"{param or 'body'}: {reason}"[:_SHOWN]
    return _response(400, message, "invalid_value", param)


def _param(location: Sequence[str | int], sent: bool) -> str:
    """`messages.0.content`: without pydantic's names of types, unless they were `sent` as a key."""
    *outer, last = map(str, location or [""])
    kept = [part for part in outer if part.isidentifier() or part.isdigit()]
    if sent or not _TYPE.fullmatch(last):
        kept.append(last)
    return ".".join(kept).encode("utf-8", "replace").decode()[:_SHOWN]


async def _on_http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = str(error.detail)
    if error.status_code == 404 and message == "Not Found":
        message = "no such route; /docs lists those there are"
    response = _response(error.status_code, message, None, None)
    response.headers.update(error.headers or {})
    return response


async def _on_failure(_request: Request, error: Exception) -> JSONResponse:
    status, message, code = describe(error)
    return _response(status, message, code, None)


async def _on_bug(_request: Request, error: Exception) -> JSONResponse:
    status, message, code = describe(error)
    return _response(status, message, code, None)
