"""The HTTP application: API routes, health, and the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST

from guardrails import GuardrailsError
from rag.errors import RagError
from serve import http_errors
from serve.hosts import TrustedHosts, trusted_hosts
from serve.limits import BodyLimits
from serve.origins import SameOrigin
from serve.reembedding import Reembedding
from serve.routes_chat import chat_routes
from serve.routes_documents import document_routes
from serve.routes_embeddings import embedding_routes
from serve.routes_feedback import feedback_routes
from serve.routes_quarantine import quarantine_routes
from serve.screening import Screening
from serve.wiring import Parts

_ABOUT = """Answers from the company's own documents, with citations; refuses where they hold none.

Any OpenAI client works: set its base URL to this server's `/v1` and name the model that
`/v1/models` lists. vSage's own fields ride along under `vsage`."""


def create_app(parts: Parts) -> FastAPI:
    """All routes over opened parts; closes the parts when the server stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        reembedding = Reembedding(parts.knowledge)
        app.state.reembedding = reembedding
        screening = Screening(parts.knowledge.catalog, parts.screen)
        yield
        await asyncio.to_thread(screening.stop)
        await asyncio.to_thread(reembedding.stop)
        await parts.close()

    # FastAPI's own /docs would load its scripts from a CDN.
    app: FastAPI = FastAPIOffline(title="vSage", version="1", description=_ABOUT, lifespan=lifespan)
    http_errors.install(app)
    app.add_middleware(
        BodyLimits,
        max_mb=parts.config.server.max_request_mb,
        # Room for the multipart headers around a file of exactly the limit.
        max_upload_mb=parts.config.ingest.max_file_mb + 0.1,
        timeout_s=parts.config.server.receive_timeout_s,
    )
    app.add_middleware(SameOrigin, hosts=parts.config.server.allowed_hosts)
    app.add_middleware(TrustedHosts, hosts=trusted_hosts(parts.config.server))
    app.include_router(chat_routes(parts))
    app.include_router(feedback_routes(parts))
    app.include_router(embedding_routes(parts))
    app.include_router(document_routes(parts))
    app.include_router(quarantine_routes(parts))

    @app.get("/healthz", tags=["health"], summary="The process is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"], summary="A question could be answered now")
    async def readyz() -> Response:
        try:
            ready = await asyncio.to_thread(_ready, parts, app.state.reembedding)
            if parts.generator is not None:
                await parts.generator.check()
        except (RagError, GuardrailsError) as error:
            return JSONResponse({"status": "unavailable", "reason": str(error)}, status_code=503)
        return JSONResponse({"status": "ready", **ready})

    @app.get("/metrics", tags=["health"], summary="Figures for Prometheus; no text of anybody")
    async def metrics() -> Response:
        return Response(parts.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    return app


def _ready(parts: Parts, reembedding: Reembedding) -> dict[str, Any]:
    """What a caller may know of the knowledge base's state. Raises RagError."""
    parts.knowledge.refresh()
    ready = {"documents": parts.knowledge.catalog.count(parts.groups)}
    progress = reembedding.progress(parts.groups)
    return ready if progress is None else {**ready, "reembedding": progress}
