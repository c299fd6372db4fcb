"""`/v1/embeddings`: the vectors that the knowledge base is searched with, in OpenAI's shape."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from numpy.typing import NDArray

from rag.embed import Embedder
from serve.errors import RequestError
from serve.schema import ErrorOut
from serve.schema_embeddings import (
    EmbeddingList,
    EmbeddingMark,
    EmbeddingOut,
    EmbeddingRequest,
    EmbeddingUsage,
)
from serve.wiring import Parts

_ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorOut}, 503: {"model": ErrorOut}}
_CLIENT_GONE = 499
_AT_ONCE = 32
"""Texts between which a question of the chat gets its turn at the embedder."""
_MARKS = 2
"""Tokens that a model puts around a text; they take room in its window."""


def embedding_routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["embeddings"], responses=_ERRORS)
    turn = asyncio.Semaphore(1)

    @router.post(
        "/embeddings",
        response_model=EmbeddingList,
        summary="Texts as vectors, by the embedder of the knowledge base",
    )
    async def embed(body: EmbeddingRequest, request: Request) -> Response:
        """While another embedder takes over (`/readyz` tells), the one that still serves."""
        embedder, texts = parts.knowledge.embedder, body.texts()
        _check(body, texts, embedder, parts)
        tokens = await asyncio.to_thread(_count, texts, embedder, parts.config.embedder.max_tokens)
        vectors = []
        for start in range(0, len(texts), _AT_ONCE):
            if await request.is_disconnected():
                return Response(status_code=_CLIENT_GONE)
            async with turn:
                piece = texts[start : start + _AT_ONCE]
                vectors.append(await asyncio.to_thread(embedder.encode, piece))
        # In a thread: a million numbers as JSON take a second.
        content = await asyncio.to_thread(_render, body, np.concatenate(vectors), tokens, embedder)
        return Response(content, media_type="application/json")

    return router


def _check(body: EmbeddingRequest, texts: list[str], embedder: Embedder, parts: Parts) -> None:
    """Raises RequestError."""
    server = parts.config.server
    if body.model != server.embedding_model_name:
        raise RequestError(
            404,
            f"there is no embedding model '{body.model}'; this server has "
            f"'{server.embedding_model_name}'",
            "model_not_found",
            "model",
        )
    if len(texts) > server.max_embedding_inputs:
        raise RequestError(
            400,
            f"the request has {len(texts)} texts; at most {server.max_embedding_inputs} are taken "
            "at once",
            "invalid_value",
            "input",
        )
    if body.dimensions not in (None, embedder.dimension):
        raise RequestError(
            400,
            f"this embedder makes vectors of {embedder.dimension} numbers and no others: leave "
            "dimensions out",
            "invalid_value",
            "dimensions",
        )
    for number, text in enumerate(texts):
        if not text.strip():
            raise RequestError(400, f"text {number} is empty", "invalid_value", "input")


def _count(texts: list[str], embedder: Embedder, window: int) -> int:
    """Tokens of all texts. Raises RequestError where the end of one would not be read."""
    longest, total = window - _MARKS, 0
    for number, text in enumerate(texts):
        tokens = len(embedder.token_starts(text))
        if tokens > longest:
            raise RequestError(
                400,
                f"text {number} has {tokens} tokens; the embedder reads {longest}: split it",
                "context_length_exceeded",
                "input",
            )
        total += tokens
    return total


def _render(
    body: EmbeddingRequest, vectors: NDArray[np.float32], tokens: int, embedder: Embedder
) -> str:
    data = [
        EmbeddingOut(index=index, embedding=_encoded(vector, body.encoding_format))
        for index, vector in enumerate(vectors)
    ]
    mark = hashlib.sha256(embedder.fingerprint.encode()).hexdigest()[:12]
    return EmbeddingList(
        data=data,
        model=body.model,
        usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens),
        vsage=EmbeddingMark(embedder=mark, dimensions=embedder.dimension),
    ).model_dump_json()


def _encoded(vector: NDArray[np.float32], encoding: str) -> list[float] | str:
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    numbers: list[float] = vector.tolist()
    return numbers
