"""A passage as the API shows it, in search results and citations alike."""

from __future__ import annotations

from typing import Any

from rag.schema import Hit


def passage(hit: Hit) -> dict[str, Any]:
    """The fields that `HitOut` and `CitationOut` share."""
    return {
        "document_id": hit.document_id,
        "chunk_id": hit.chunk_id,
        "title": hit.title,
        "uri": hit.uri,
        "heading_path": list(hit.heading_path),
        "page": hit.page,
        "start": hit.start,
        "end": hit.end,
        "text": hit.text,
        "product": hit.product,
        "version": hit.version,
        "modified": hit.modified,
        "url": hit.url,
    }
