"""A catalog of any size for `benchmarks.search`: real sentences, synthetic unit vectors.

Documents go in through `Catalog.store`, the way ingestion puts them there, so that every table,
trigger and generation is what a real catalog of that size has.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from rag.catalog import Catalog
from rag.catalog_rows import NewDocument
from rag.config import RagConfig
from rag.parse import parse
from rag.schema import EVERYONE, Chunk, Failure, Metadata, ParsedDocument
from rag.sentences import sentences
from rag.sources.files import FileSource

PER_DOCUMENT = 20
GROUPS = (EVERYONE, EVERYONE, EVERYONE, "engineering", "operations", "board")
"""One is drawn for each document: half of all passages are everyone's."""
_PER_TRANSACTION = 250
_CHARACTERS = 560  # about 120 of MiniLM's tokens
_NEIGHBOURS = 300
_MOST_FILES = 1500
_MADE = "made.json"


@dataclass(frozen=True, slots=True)
class Corpus:
    """Sentences in reading order, and the headings to be found between them."""

    sentences: list[str]
    headings: list[str]


def read_corpus() -> Corpus:
    """`docs/kb`, and below VSAGE_DEV_DATA the corpus where that is set."""
    folders = [Path("docs/kb")]
    if data := os.environ.get("VSAGE_DEV_DATA"):
        folders.append(Path(data) / "corpus")
    items = [
        i for i in FileSource(folders, max_bytes=10**6).documents() if not isinstance(i, Failure)
    ]
    items = sorted(items, key=lambda item: item.uri)
    if len(items) > _MOST_FILES:
        items = sorted(random.Random(0).sample(items, _MOST_FILES), key=lambda item: item.uri)
    found: list[str] = []
    headings: list[str] = []
    for item in items:
        try:
            text = parse(item.load(), item.name).text
        except Exception as error:  # ingestion would report it; here it only gives no sentences
            print(f"left out: {item.name}: {error}")
            continue
        for sentence in sentences(text):
            if sentence.startswith("#"):
                headings.append(sentence.lstrip("# ").partition("\n")[0][:100])
            elif 30 <= len(sentence) <= 400:
                found.append(" ".join(sentence.split()))
    return Corpus(found, [heading for heading in headings if heading])


def open_filled(
    folder: Path, passages: int, embedder: str, dimension: int, corpus: Corpus
) -> Catalog:
    """The catalog in `folder` with so many passages: what is missing goes in now."""
    made = {"passages": passages, "embedder": embedder, "sentences": len(corpus.sentences)}
    note = folder / _MADE
    if folder.is_dir() and any(folder.iterdir()):
        if not note.is_file() or json.loads(note.read_text(encoding="utf-8")) != made:
            raise SystemExit(f"{folder} holds something else: remove it, or name another --data")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(made), encoding="utf-8")
    catalog = Catalog(RagConfig(data_dir=folder))
    missing = passages - catalog.count_chunks()
    if missing <= 0:
        return catalog
    first = max(catalog.uris().values(), default=0)
    _fill(catalog, first, missing, embedder, dimension, corpus)
    with catalog.engine.connect() as connection:
        connection.rollback()
        connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
    return catalog


def _fill(
    catalog: Catalog, first: int, passages: int, embedder: str, dimension: int, corpus: Corpus
) -> None:
    noise, started = np.random.default_rng(first), time.perf_counter()
    per_transaction = _PER_TRANSACTION * PER_DOCUMENT
    documents = _documents(first, passages, corpus)
    for start in range(0, passages, per_transaction):
        count = min(per_transaction, passages - start)
        batch = [next(documents) for _ in range(-(-count // PER_DOCUMENT))]
        vectors = noise.standard_normal((sum(len(d.chunks) for d in batch), dimension), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        catalog.store(batch, vectors, embedder)
        done, spent = start + count, time.perf_counter() - started
        if done % 50_000 < per_transaction:
            left = spent / done * (passages - done)
            print(
                f"  filled {done:,} of {passages:,} passages, about {left:.0f} s left", flush=True
            )


def _documents(first: int, passages: int, corpus: Corpus) -> Iterator[NewDocument]:
    pick = random.Random(first)
    for number in range(-(-passages // PER_DOCUMENT)):
        count = min(PER_DOCUMENT, passages - number * PER_DOCUMENT)
        yield _document(first + number, count, corpus, pick)


def _document(number: int, passages: int, corpus: Corpus, pick: random.Random) -> NewDocument:
    """Most sentences from one place of the corpus, some from anywhere, and one of its own.

    The last holds a host name and an error code that no other document has: the vocabulary of a
    growing catalog grows.
    """
    title = f"{pick.choice(corpus.headings)} ({number})"
    at = pick.randrange(max(1, len(corpus.sentences) - _NEIGHBOURS))
    near = corpus.sentences[at : at + _NEIGHBOURS]
    pieces: list[Chunk] = []
    texts: list[str] = []
    offset = 0
    for ordinal in range(passages):
        text = _passage(near, corpus.sentences, pick)
        if ordinal == passages // 2:
            text += f" Seen on esx-{number:06d}.example.com with error 0x{number * 7919:08X}."
        path = (title, pick.choice(corpus.headings))
        pieces.append(Chunk(ordinal, offset, offset + len(text), text, path))
        texts.append(text)
        offset += len(text) + 2
    parsed = ParsedDocument(title, "\n\n".join(texts), "text/markdown")
    uri = f"synthetic:{number}"
    modified = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=number % 8760)
    groups = frozenset({pick.choice(GROUPS)})
    metadata = Metadata(product="", version=pick.choice(("", "", "8.0", "9.0")))
    return NewDocument(
        uri, uri, f"{number:064x}", offset, modified, groups, "synthetic", parsed, pieces,
        source="synthetic", metadata=metadata,
    )  # fmt: skip


def _passage(near: Sequence[str], every: Sequence[str], pick: random.Random) -> str:
    chosen: list[str] = []
    length = 0
    while length < _CHARACTERS:
        chosen.append(pick.choice(near if pick.random() < 0.7 else every))
        length += len(chosen[-1]) + 1
    return " ".join(chosen)
