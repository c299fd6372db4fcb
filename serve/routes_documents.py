"""`/v1/search` and `/v1/documents`: the knowledge base, as far as the caller may see it.

Uploads are in `serve/uploads.py`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, File, Form, Query, UploadFile

from rag.retrieve import retrieve
from rag.schema import Document, Hit
from serve.errors import RequestError
from serve.passages import passage
from serve.schema import (
    DocumentDeleted,
    DocumentList,
    DocumentOut,
    ErrorOut,
    HitOut,
    SearchRequest,
    SearchResult,
)
from serve.timing import Timings
from serve.uploads import file_name, take_in, upload_readers
from serve.wiring import Parts

_ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorOut}, 503: {"model": ErrorOut}}


def document_routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["documents"], responses=_ERRORS)

    @router.post("/search", summary="The passages nearest to a query")
    async def search(body: SearchRequest) -> SearchResult:
        if not body.query.strip():
            raise RequestError(400, "the query is empty", "invalid_value", "query")
        timings = Timings()
        with timings("retrieve"):
            hits = await asyncio.to_thread(
                retrieve,
                parts.knowledge,
                body.query,
                parts.groups,
                body.top_k,
                filters=body.filters.filters() if body.filters else None,
            )
        data = [_hit(hit) for hit in hits]
        return SearchResult(query=body.query, data=data, timings=timings.milliseconds())

    @router.post("/documents", status_code=201, summary="Add a document")
    async def upload(
        file: UploadFile = File(description="One document."),  # noqa: B008
        groups: list[str] | None = Form(  # noqa: B008
            None,
            description="Who may read it: some of the caller's own groups, one a field or with "
            "commas between them. Left out: all of the caller's groups.",
            examples=[["everyone"]],
        ),
    ) -> DocumentOut:
        """An upload of the same name for the same groups replaces the former one."""
        readers = upload_readers(groups, parts.groups)
        name = file_name(file.filename)
        data = await file.read()
        return _document(await asyncio.to_thread(take_in, parts, name, data, readers))

    @router.get("/documents", summary="What may be read, by title")
    def list_documents(
        limit: int = Query(100, ge=1, le=1000), offset: int = Query(0, ge=0, le=10**9)
    ) -> DocumentList:
        catalog = parts.knowledge.catalog
        found = catalog.list_documents(parts.groups, limit, offset)
        total = catalog.count(parts.groups)
        return DocumentList(
            data=[_document(document) for document in found],
            total=total,
            has_more=offset + len(found) < total,
        )

    @router.get("/documents/{document_id}", summary="One document, with its text if asked for")
    def get_document(
        document_id: int, text: bool = Query(False, description="Also return the parsed text.")
    ) -> DocumentOut:
        document = _find(parts, document_id)
        return _document(document, parts.knowledge.catalog.text(document.id) if text else None)

    @router.delete("/documents/{document_id}", summary="Remove a document at once")
    def delete_document(document_id: int) -> DocumentDeleted:
        document = _find(parts, document_id)
        parts.knowledge.catalog.delete([document.id])
        parts.knowledge.refresh()
        return DocumentDeleted(id=document.id)

    return router


def _find(parts: Parts, document_id: int) -> Document:
    """Raises the same 404 whether a document does not exist or may not be read."""
    document = parts.knowledge.catalog.find_document(str(document_id), parts.groups)
    if document is None:
        raise RequestError(404, f"there is no document {document_id}", "not_found", "document_id")
    return document


def _document(document: Document, text: str | None = None) -> DocumentOut:
    return DocumentOut(
        id=document.id,
        title=document.title,
        name=document.name,
        uri=document.uri,
        media_type=document.media_type,
        sha256=document.sha256,
        bytes=document.size,
        modified=document.modified,
        ingested=document.ingested,
        groups=sorted(document.groups),
        chunks=document.chunks,
        warnings=list(document.warnings),
        source=document.source,
        product=document.product,
        version=document.version,
        labels=list(document.labels),
        url=document.url,
        text=text,
    )


def _hit(hit: Hit) -> HitOut:
    return HitOut(
        **passage(hit),
        score=round(hit.score, 4),
        lexical=None if hit.lexical is None else round(hit.lexical, 4),
        dense=None if hit.dense is None else round(hit.dense, 4),
    )
