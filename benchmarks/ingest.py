"""Ingestion beside the embedder alone, on the same texts in the same run.

    python -m benchmarks.ingest --documents docs/kb
    python -m benchmarks.ingest --documents "$VSAGE_DEV_DATA/corpus" --limit 200

Documents are taken in slices; for each slice the whole ingestion and the bare embedder take turns
in going first, so that a noisy machine slows both alike. The ratio is what to read, not the rates.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from rag.chunk import chunk_document, embedding_text, place
from rag.config import RagConfig
from rag.ingest import ingest
from rag.knowledge import Knowledge, open_knowledge
from rag.parse import parse
from rag.schema import EVERYONE, Failure, RawDocument
from rag.sources.files import FileSource

SLICE = 32


def main(
    documents: Annotated[Path, typer.Option(help="Folder to ingest.")] = Path("docs/kb"),
    limit: Annotated[int, typer.Option(help="At most so many documents, drawn at random.")] = 0,
) -> None:
    """Print documents/s and chunks/s of both, and their ratio; the last line is JSON."""
    items = list(FileSource([documents], max_bytes=10**8).documents())
    items = [item for item in items if not isinstance(item, Failure)]
    if limit and limit < len(items):
        items = sorted(random.Random(0).sample(items, limit), key=lambda item: item.uri)
    with tempfile.TemporaryDirectory() as folder:
        knowledge = open_knowledge(RagConfig(data_dir=Path(folder)))
        knowledge.embedder.encode(["warm up"] * 32)
        whole = bare = 0.0
        chunks = 0
        for number, start in enumerate(range(0, len(items), SLICE)):
            batch = items[start : start + SLICE]
            texts = _texts(knowledge, batch)
            chunks += len(texts)
            turns = [_time_ingest, _time_embedder] if number % 2 else [_time_embedder, _time_ingest]
            spent = {turn: turn(knowledge, batch, texts) for turn in turns}
            whole += spent[_time_ingest]
            bare += spent[_time_embedder]
        knowledge.close()
    result = {
        "documents": len(items),
        "chunks": chunks,
        "ingest_documents_per_s": round(len(items) / whole, 2),
        "ingest_chunks_per_s": round(chunks / whole, 2),
        "embedder_chunks_per_s": round(chunks / bare, 2),
        "share_of_embedder_speed": round(bare / whole, 3),
    }
    for name, value in result.items():
        print(f"{name:>26}  {value}")
    print(json.dumps(result))


def _texts(knowledge: Knowledge, batch: list[RawDocument]) -> list[str]:
    """What ingestion will embed; parsed here once more, outside both timings."""
    config = knowledge.config.chunk
    texts = []
    for raw in batch:
        try:
            parsed = parse(raw.load(), raw.name)
        except Exception as error:  # ingestion reports it; here it only has no texts
            print(f"left out: {raw.name}: {error}")
            continue
        chunks = chunk_document(
            parsed,
            knowledge.embedder.token_starts,
            config.max_tokens,
            config.overlap_sentences,
            knowledge.config.block_tokens,
        )
        texts += [embedding_text(place(parsed.title, c.heading_path), c.text) for c in chunks]
    return texts


def _time_ingest(knowledge: Knowledge, batch: list[RawDocument], _texts: list[str]) -> float:
    started = time.perf_counter()
    ingest(knowledge, batch, frozenset({EVERYONE}))
    return time.perf_counter() - started


def _time_embedder(knowledge: Knowledge, _batch: list[RawDocument], texts: list[str]) -> float:
    started = time.perf_counter()
    knowledge.embedder.encode(texts)
    return time.perf_counter() - started


if __name__ == "__main__":
    typer.run(main)
