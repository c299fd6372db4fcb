"""`/v1/quarantine`: the passages that the guardrails withhold, as far as the caller may read them.

A list alone: to release or to delete is for `python -m guardrails quarantine`, as long as nobody
signs in here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from rag.quarantine import list_withheld
from serve.schema import ErrorOut
from serve.schema_base import Described
from serve.wiring import Parts


class WithheldOut(Described):
    id: int = Field(description="The passage.", examples=[171])
    document_id: int
    title: str
    uri: str
    heading_path: list[str]
    page: int | None
    start: int
    end: int
    text: str
    rail: str
    category: str
    reason: str
    score: float
    judged: datetime | None = Field(
        description="When a rail said so; null where one failed.", examples=["2026-11-23T16:15:02Z"]
    )


class Quarantine(Described):
    data: list[WithheldOut]
    total: int


def quarantine_routes(parts: Parts) -> APIRouter:
    errors: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorOut}, 503: {"model": ErrorOut}}
    router = APIRouter(prefix="/v1", tags=["documents"], responses=errors)

    @router.get("/quarantine", summary="Passages that no search finds until a curator decides")
    def list_quarantine() -> Quarantine:
        found = list_withheld(parts.knowledge.catalog, parts.groups)
        data = [
            WithheldOut(
                heading_path=list(item.heading_path),
                **{name: getattr(item, name) for name in _SAME},
            )
            for item in found
        ]
        return Quarantine(data=data, total=len(data))

    return router


_SAME = [name for name in WithheldOut.model_fields if name != "heading_path"]
