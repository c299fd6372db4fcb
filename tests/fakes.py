"""Stand-ins for what a test is not about, and short ways to fill a catalog."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
import zlib
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

from rag.__main__ import main
from rag.catalog import Catalog, NewDocument
from rag.config import IngestConfig, RagConfig
from rag.generate import Usage
from rag.ingest import IngestReport, ingest
from rag.knowledge import Knowledge, open_knowledge
from rag.schema import EVERYONE, Chunk, Message, ParsedDocument, RawDocument, Sampling
from rag.tables import chunks, documents

_TOKEN = re.compile(r"\w+|[^\w\s]")
PUBLIC = frozenset({EVERYONE})


class FakeEmbedder:
    """Hashed bags of words: texts that share words are near. Counts the texts it has seen."""

    def __init__(self, dimension: int = 32, fingerprint: str = "", delay: float = 0.0) -> None:
        self.dimension = dimension
        self.fingerprint = fingerprint or f"fake/{dimension}"
        self.texts = 0
        self._delay = delay
        self._buckets: dict[str, int] = {}

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += len(texts)
        time.sleep(self._delay)
        vectors = np.full((len(texts), self.dimension), 1e-3, dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for token in _TOKEN.findall(text.lower()):
                vector[self._bucket(token)] += 1
            vector /= np.linalg.norm(vector)
        return vectors

    def token_starts(self, text: str) -> NDArray[np.int64]:
        return np.fromiter((match.start() for match in _TOKEN.finditer(text)), dtype=np.int64)

    def _bucket(self, token: str) -> int:
        if token not in self._buckets:
            data = token.encode("utf-8", "replace")
            self._buckets[token] = zlib.crc32(data) % self.dimension
        return self._buckets[token]


class FakeGenerator:
    """Says what it was told to, piece by piece; notes what it was asked and how it ended."""

    name = "fake"
    context_tokens = 4096

    def __init__(self, *pieces: str) -> None:
        self._pieces = pieces
        self.asked: list[list[Message]] = []
        self.drawn = 0
        self.closed = False

    def count_tokens(self, text: str) -> int:
        return len(_TOKEN.findall(text))

    async def stream(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        adapter: str | None = None,
        usage: Usage | None = None,
    ) -> AsyncGenerator[str]:
        self.asked.append(list(messages))
        try:
            for piece in self._pieces:
                self.drawn += 1
                yield piece
        finally:
            self.closed = True

    async def check(self) -> None:
        pass

    async def close(self) -> None:
        pass


def fake_knowledge(
    folder: Path, batch: int = 32, embedder: FakeEmbedder | None = None
) -> Knowledge:
    config = RagConfig(data_dir=folder, ingest=IngestConfig(batch_documents=batch))
    return open_knowledge(config, embedder or FakeEmbedder())


def raw(name: str, text: str | bytes) -> RawDocument:
    data = text.encode() if isinstance(text, str) else text
    return RawDocument(f"test:{name}", name, None, lambda: data)


def take_in(
    knowledge: Knowledge, files: dict[str, str], groups: frozenset[str] = PUBLIC
) -> IngestReport:
    """Ingest texts by name; every one of them has to go in."""
    report = ingest(knowledge, [raw(name, text) for name, text in files.items()], groups)
    assert report.failures == []
    return report


def new_document(
    uri: str, texts: Sequence[str], groups: frozenset[str] = PUBLIC, title: str = ""
) -> NewDocument:
    """A document of exactly these passages."""
    pieces, at = [], 0
    for ordinal, text in enumerate(texts):
        pieces.append(Chunk(ordinal, at, at + len(text), text))
        at += len(text) + 1
    parsed = ParsedDocument(title, "\n".join(texts), "text/plain")
    return NewDocument(uri, uri, "0" * 64, at, None, groups, "test", parsed, pieces)


def store(catalog: Catalog, *new: NewDocument, embedder: FakeEmbedder | None = None) -> None:
    embedder = embedder or FakeEmbedder()
    texts = [chunk.text for document in new for chunk in document.chunks]
    catalog.store(new, embedder.encode(texts), embedder.fingerprint)


def stored_ids(catalog: Catalog) -> list[int]:
    """The ids of all passages, rising."""
    with catalog.engine.connect() as connection:
        return list(connection.execute(sa.select(chunks.c.id).order_by(chunks.c.id)).scalars())


def assert_whole(catalog: Catalog) -> None:
    """No half document, no chunk without one, and a full-text index that mirrors the chunks."""
    with catalog.engine.connect() as connection:
        rows = connection.execute(sa.select(documents.c.id, documents.c.chunk_count)).all()
        grouped = sa.select(chunks.c.document_id, sa.func.count()).group_by(chunks.c.document_id)
        counted = {row[0]: row[1] for row in connection.execute(grouped)}
        assert {i: n for i, n in rows if n} == counted
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    with catalog.engine.connect().execution_options(write=True) as connection, connection.begin():
        connection.exec_driver_sql(
            "INSERT INTO chunk_words(chunk_words, rank) VALUES ('integrity-check', 1)"
        )


def contents(catalog: Catalog) -> dict[str, tuple[str, list[str]]]:
    """URI -> hash and passages: what two catalogs of the same documents have in common."""
    query = (
        sa.select(documents.c.uri, documents.c.sha256, chunks.c.text)
        .join(chunks)
        .order_by(documents.c.uri, chunks.c.ordinal)
    )
    found: dict[str, tuple[str, list[str]]] = {}
    with catalog.engine.connect() as connection:
        for uri, sha256, text in connection.execute(query):
            found.setdefault(uri, (sha256, []))[1].append(text)
    return found


class Done(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def last(self) -> dict[str, Any]:
        """The JSON object of the last line."""
        parsed: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return parsed


def run_rag(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> Done:
    """`python -m rag ARGUMENTS` in this process; no user ever sees a stack trace."""
    monkeypatch.setattr(sys, "argv", ["rag", *map(str, arguments)])
    code: object = 0
    try:
        main()
    except SystemExit as done:
        code = done.code or 0
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    assert isinstance(code, int)
    return Done(code, captured.out, captured.err)


def write_lora(
    path: Path,
    seed: int = 0,
    *,
    strength: float = 0.3,
    rank: int = 4,
    width: int = 576,
    layers: int = 30,
    architecture: str = "llama",
    tensor: str = "blk.{}.attn_q.weight",
) -> Path:
    """A GGUF LoRA with random weights; by default one that fits SmolLM2-135M and is heard."""
    import gguf

    random = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    writer = gguf.GGUFWriter(part, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(rank))
    for layer in range(layers):
        name = tensor.format(layer)
        for half, shape in (("lora_a", (rank, width)), ("lora_b", (width, rank))):
            weights = random.normal(0, strength / rank**0.5, shape).astype(np.float32)
            writer.add_tensor(f"{name}.{half}", weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(part, path)
    return path


def add_adapter(folder: Path, name: str, sha256: str = "", **lora: Any) -> Path:
    """An adapter in a registry, not promoted. Returns its GGUF file."""
    file = write_lora(folder / name / "adapter.gguf", **lora)
    base = {"path": "models/base/hf", "sha256": sha256, "model_type": "llama"}
    own = hashlib.sha256(file.read_bytes()).hexdigest()
    manifest = {
        **dict.fromkeys(("created", "objective", "quantization", "chat_template_sha256"), ""),
        "name": name,
        "method": "lora",
        "base": base,
        "data": {},
        "metrics": None,
        "versions": {},
        "artefacts": [{"format": "gguf_lora", "path": "adapter.gguf"}],
        "files": {"adapter.gguf": {"sha256": own, "bytes": file.stat().st_size}},
    }
    (folder / name / "manifest.json").write_text(json.dumps(manifest))
    return file


def promote(folder: Path, *names: str) -> None:
    """In one step, as the registry does it."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "current.json.part"
    part.write_text(json.dumps({"promoted": names, "history": []}))
    os.replace(part, folder / "current.json")
