"""Search over catalogs of several sizes: what it costs beside the bare FAISS call.

    VSAGE_DEV_DATA=<folder> python -m benchmarks.search --passages 10000,100000,1000000

Each size is a catalog of its own below `--data`, made once and used again: real sentences from
`docs/kb` and the development corpus, synthetic unit vectors of 384 dimensions. The stages take
turns, so that a noisy machine slows all alike, each with another question: a stage that followed
another on the same one would find its pages in SQLite's cache. Every question has been asked once
before; what that first time took is reported apart. Query embeddings come from the cache and are
measured by themselves.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import httpx
import numpy as np

from benchmarks.chat import QUESTIONS
from benchmarks.search_catalog import Corpus, open_filled, read_corpus
from rag.config import GeneratorConfig
from rag.embed import open_embedder
from rag.fulltext import search_words
from rag.index import open_index
from rag.retrieve import retrieve
from rag.scope import open_scope
from rag.words import content_words
from serve.app import create_app
from serve.config import ServeConfig, ServerConfig
from serve.wiring import Parts, open_parts

GROUPS = ("everyone", "engineering")
_TOP, _DELETED = 8, 10_000
_LABELLED = Path("benchmarks/questions")


def main(
    passages: Annotated[str, typer.Option(help="Sizes, with commas between.")] = "10000,100000",
    data: Annotated[
        Path | None,
        typer.Option(help="Folder for the catalogs: 3 GB and 1.5 GB of index for a million."),
    ] = None,
    questions: Annotated[int, typer.Option(min=4, help="Questions to ask.")] = 60,
    rounds: Annotated[int, typer.Option(min=1, help="Times to go through them.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON alone at the end.")] = False,
) -> None:
    """Fill catalogs where they are missing, then print a table.

    A million passages take 10 to 20 minutes to fill, about 5 GB of disk in the folder and 6 GB of
    memory. What the measurement of deleting takes away is filled in again by the next run.
    """
    corpus = read_corpus()
    asked = _questions(corpus, questions)
    folder = data or Path(tempfile.gettempdir()) / "vsage-search"
    results = []
    for size in (int(part) for part in passages.replace("_", "").split(",")):
        print(f"{size:,} passages in {folder / str(size)}", flush=True)
        results.append(asyncio.run(_measure(folder / str(size), size, corpus, asked, rounds)))
    if not as_json:
        _table(results)
    print(json.dumps(results))


def _questions(corpus: Corpus, count: int) -> list[str]:
    """A third each: about `docs/kb`, labelled ones, and words of the corpus."""
    pick = random.Random(1)
    labelled = [
        json.loads(line)["question"]
        for path in sorted(_LABELLED.glob("*.jsonl"))
        if "followups" not in path.name
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    drawn = []
    while len(drawn) < count:
        words = content_words(pick.choice(corpus.sentences))
        drawn.append(" ".join(pick.sample(words, min(len(words), pick.randint(2, 6)))))
    mixed = [*QUESTIONS[: count // 3], *pick.sample(labelled, min(len(labelled), count // 3))]
    return [*mixed, *drawn][:count]


async def _measure(
    folder: Path, size: int, corpus: Corpus, asked: Sequence[str], rounds: int
) -> dict[str, Any]:
    config = ServeConfig(
        data_dir=folder,
        generator=GeneratorConfig(provider="extractive"),
        server=ServerConfig(groups=GROUPS),
    )
    embedder = open_embedder(config.embedder)
    open_filled(folder, size, embedder.fingerprint, embedder.dimension, corpus).close()
    del embedder
    result: dict[str, Any] = {"passages": size}
    opened = open_parts(config)  # the first time it builds the index
    opened.knowledge.index.save()
    await opened.close()
    started = time.perf_counter()
    parts = open_parts(config)
    result["start_s"] = round(time.perf_counter() - started, 2)
    result["index_bytes_a_passage"] = round(_index_bytes(parts) / size)
    result["disk_bytes_a_passage"] = round(_bytes(folder) / size)
    result |= await _times(parts, asked, rounds)
    if size > 2 * _DELETED:
        result |= _delete(parts, asked)
    await parts.close()
    return result


async def _times(parts: Parts, asked: Sequence[str], rounds: int) -> dict[str, Any]:
    knowledge = parts.knowledge
    catalog, groups = knowledge.catalog, parts.groups
    cold, embedding = [], []
    for question in asked:
        embedding.append(_timed(lambda q=question: knowledge.embedder.encode([q])))
        cold.append(_timed(lambda q=question: retrieve(knowledge, q, groups, _TOP)))
    transport = httpx.ASGITransport(app=create_app(parts))
    spent: dict[str, list[float]] = {"faiss": [], "words": [], "retrieve": [], "search": []}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for step in range(len(asked) * rounds):
            turns = {
                name: asked[(step + at * len(asked) // len(spent)) % len(asked)]
                for at, name in enumerate(spent)
            }
            spent["faiss"].append(_timed(_bare(parts, turns["faiss"])))
            scope = open_scope(catalog, groups)
            spent["words"].append(
                _timed(lambda q=turns["words"], s=scope: search_words(catalog, q, 100, s, 0.7))
            )
            spent["retrieve"].append(
                _timed(lambda q=turns["retrieve"]: retrieve(knowledge, q, groups, _TOP))
            )
            body = {"query": turns["search"], "top_k": _TOP}
            started = time.perf_counter()
            answer = await client.post("/v1/search", json=body)
            spent["search"].append(time.perf_counter() - started)
            assert answer.status_code == 200, answer.text
    found: dict[str, Any] = {}
    for name, times in {"embedding": embedding, "first_retrieve": cold, **spent}.items():
        found |= _percentiles(name, times)
    for name in ("retrieve", "search"):
        # Of one moment, not of one question: FAISS looks at every passage whatever is asked.
        extra = [a - b for a, b in zip(spent[name], spent["faiss"], strict=True)]
        found[f"{name}_overhead_p50_ms"] = _ms(statistics.median(extra))
    return found


def _bare(parts: Parts, question: str) -> Callable[[], object]:
    """FAISS itself with the selector that retrieval uses, without lock or wrapper."""
    import faiss

    knowledge = parts.knowledge
    acl_ids = knowledge.catalog.allowed_acls(parts.groups)
    index: Any = knowledge.index
    vector = knowledge.embedder.encode([question])
    parameters = faiss.SearchParameters(sel=index._selector(acl_ids))
    count = knowledge.config.retriever.candidates
    return lambda: index._faiss.search(vector, count, params=parameters)


def _delete(parts: Parts, asked: Sequence[str]) -> dict[str, Any]:
    """Delete documents of 10,000 passages, those found included; searches have to miss them."""
    knowledge, groups = parts.knowledge, parts.groups
    found = {h.document_id for q in asked for h in retrieve(knowledge, q, groups, _TOP)}
    others = [i for i in knowledge.catalog.uris().values() if i not in found]
    goal = len(knowledge.index) - _DELETED
    wanted = [*sorted(found), *others][: _DELETED // 20]
    started = time.perf_counter()
    knowledge.catalog.delete(wanted)
    committed = time.perf_counter()
    knowledge.refresh()
    ended = time.perf_counter()
    left = {h.document_id for q in asked for h in retrieve(knowledge, q, groups, _TOP)}
    assert not left & set(wanted), "a deleted document was found"
    assert len(knowledge.index) == goal == knowledge.catalog.count_chunks()
    return {
        "delete_10000_s": round(committed - started, 2),
        "delete_index_s": round(ended - committed, 2),
    }


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _percentiles(name: str, seconds: Sequence[float]) -> dict[str, float]:
    p50, p95 = np.percentile(seconds, (50, 95))
    return {f"{name}_p50_ms": _ms(p50), f"{name}_p95_ms": _ms(p95)}


def _ms(seconds: float) -> float:
    return round(1000 * float(seconds), 2)


def _index_bytes(parts: Parts) -> float:
    """Memory that another index of the same catalog takes, beside whatever else there is."""
    gc.collect()
    knowledge, before = parts.knowledge, _resident_mb()
    another = open_index(
        knowledge.config,
        knowledge.catalog,
        knowledge.embedder.fingerprint,
        knowledge.embedder.dimension,
    )
    assert len(another) == len(knowledge.index)
    gc.collect()
    return (_resident_mb() - before) * 2**20


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _resident_mb() -> float:
    """Of this process now, or at most so far where the system does not say."""
    status = Path("/proc/self/statm")
    if status.is_file():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _table(results: Sequence[dict[str, Any]]) -> None:
    for name in dict.fromkeys(name for result in results for name in result):
        cells = "".join(f"{result.get(name, '')!s:>14}" for result in results)
        print(f"{name:>28}{cells}")


if __name__ == "__main__":
    typer.run(main)
