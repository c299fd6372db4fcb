"""`/v1/feedback`: votes, corrections, comments and ideal answers, by the id of an answer."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from serve.schema import ErrorOut
from serve.schema_feedback import FeedbackIn, FeedbackOut
from serve.wiring import Parts

_ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorOut}, 503: {"model": ErrorOut}}


def feedback_routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["chat"], responses=_ERRORS)

    @router.post("/feedback", summary="Say whether an answer is good, or what it should have been")
    async def give(body: FeedbackIn, request: Request) -> FeedbackOut:
        """One of each kind a caller and answer: the last one counts."""
        address = request.client.host if request.client else ""
        given = body.given()
        await parts.answers.give(parts, body.id, address, given)
        return FeedbackOut(id=body.id, recorded=given.kinds())

    return router
