"""The embedder's backends side by side: speed, memory, nearness of vectors, retrieval quality.

    python -m benchmarks.embedders
    VSAGE_DEV_DATA=<folder> python -m benchmarks.embedders

Every backend has a process of its own. They take turns with the same slices of passages, so that a
noisy machine slows all alike: read the ratios, which are medians over the rounds, and the passages
per CPU second, which other processes hardly change. Two candidates that vSage does not offer run
for comparison: torch's own dynamic int8, and OpenVINO (`pip install openvino`) on the ONNX form.

With VSAGE_DEV_DATA, passages come from its corpora too, and each backend whose vectors are not
torch's answers the labelled questions from the vectors alone, over their documents and some others.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from rag.chunk import chunk_document, embedding_text, place
from rag.config import EmbedderConfig, RagConfig
from rag.embed import Embedder, model_folder, open_embedder, weights_hash
from rag.parse import parse
from rag.schema import RawDocument
from rag.sources.files import FileSource

Vectors = NDArray[np.float32]
OFFERED = ("torch", "onnx", "onnx_int8")
CANDIDATES = ("torch int8", "openvino")
QUESTION = "Which setting enables vMotion for vGPU?"
SAME = 1e-3
"""Largest difference in cosine at which vectors are taken for torch's."""
out = Console(width=130, highlight=False)


class OpenVino:
    """OpenVINO on vSage's ONNX form, a request to a core, each with one text."""

    def __init__(self) -> None:
        import openvino

        from rag.embed_onnx import OnnxModel, onnx_file

        config = EmbedderConfig(backend="onnx")
        folder = model_folder(config)
        path = onnx_file(folder, weights_hash(folder), "onnx")
        self._tokens = OnnxModel(str(path), config.max_tokens).tokens
        settings = {"PERFORMANCE_HINT": "THROUGHPUT"}
        model = openvino.Core().compile_model(str(path), "CPU", settings)
        self._queue = openvino.AsyncInferQueue(model, len(os.sched_getaffinity(0)))
        self._queue.set_callback(self._keep)

    def encode(self, texts: Sequence[str]) -> Vectors:
        self._rows: dict[int, Vectors] = {}
        for row, tokens in enumerate(self._tokens(texts)):
            self._queue.start_async({0: tokens}, row)
        self._queue.wait_all()
        return np.stack([self._rows[row] for row in range(len(texts))])

    def _keep(self, request: Any, row: int) -> None:
        self._rows[row] = request.get_output_tensor(0).data[0].copy()


def _torch_int8() -> Any:
    """torch's dynamic quantisation of all linear layers."""
    import torch

    from rag.embed import load_folder

    warnings.simplefilter("ignore")
    return torch.ao.quantization.quantize_dynamic(
        load_folder(EmbedderConfig()), {torch.nn.Linear}, dtype=torch.qint8
    )


def _open(backend: str) -> Callable[[list[str]], Vectors]:
    if backend == "openvino":
        return OpenVino().encode
    if backend == "torch int8":
        return partial(_torch_int8().encode, normalize_embeddings=True, show_progress_bar=False)
    return open_embedder(EmbedderConfig.model_validate({"backend": backend})).encode


def _serve(backend: str, pipe: Connection) -> None:
    """The process of one backend: load, then embed what comes through the pipe."""
    started, before = time.perf_counter(), _resident_mb()
    try:
        encode = _open(backend)
    except ImportError as error:
        print(f"left out: {backend}: {error}")
        pipe.send(0.0)
        return
    encode([QUESTION])
    pipe.send(time.perf_counter() - started)
    while (texts := pipe.recv()) is not None:
        wall, cpu = time.perf_counter(), time.process_time()
        vectors = encode(texts)
        spent = (time.perf_counter() - wall, time.process_time() - cpu)
        pipe.send((*spent, _resident_mb() - before, vectors))


def _resident_mb() -> float:
    """Now; the peak that the kernel keeps is inherited from the parent."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


class Backend:
    """One backend's process and what was measured of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(name, theirs), daemon=True)
        self._process.start()
        self.load_s: float = (
            self._pipe.recv()
        )  # one after the other: they would slow each other down
        self.walls: list[float] = []
        self.cpu_s = self.rss_mb = 0.0
        self.latencies: list[float] = []

    def encode(self, texts: Sequence[str]) -> tuple[float, float, Vectors]:
        """(seconds, CPU seconds, vectors)."""
        self._pipe.send(list(texts))
        wall, cpu, rss_mb, vectors = self._pipe.recv()
        self.rss_mb = max(self.rss_mb, rss_mb)
        return wall, cpu, vectors

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join()


def main(
    passages: Annotated[int, typer.Option(min=20, help="Passages embedded in each round.")] = 300,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    documents: Annotated[int, typer.Option(help="Documents of the quality run.")] = 120,
) -> None:
    """Print a table; the last line is JSON."""
    data = os.environ.get("VSAGE_DEV_DATA")
    folders = [Path("docs/kb"), *([Path(data) / "corpus"] if data else [])]
    # Made before anything is timed: a start that has to make them is no start to measure.
    open_embedder(EmbedderConfig(backend="onnx_int8"))
    cutter = open_embedder(EmbedderConfig(backend="onnx"))
    texts = _passages(cutter, folders, passages)
    opened = [Backend(name) for name in (*OFFERED, *CANDIDATES)]
    backends = [backend for backend in opened if backend.load_s]
    differences = _measure(backends, texts, rounds)
    quality = _quality(backends, differences, cutter, Path(data), documents) if data else {}
    for backend in backends:
        backend.close()
    _report(backends, differences, quality, len(texts))


def _passages(embedder: Embedder, folders: Sequence[Path], count: int) -> list[str]:
    """Real passages, an equal share from each folder."""
    drawn: list[str] = []
    for folder in folders:
        items = _documents(folder)
        random.Random(0).shuffle(items)
        texts: list[str] = []
        for item in items[:60]:
            texts += [text for _, text in _cut(embedder, item)]
        drawn += random.Random(0).sample(texts, min(len(texts), count // len(folders)))
    random.Random(0).shuffle(drawn)
    return drawn


def _documents(folder: Path) -> list[RawDocument]:
    found = FileSource([folder], max_bytes=10**8).documents()
    return [item for item in found if isinstance(item, RawDocument)]


def _cut(embedder: Embedder, item: RawDocument) -> list[tuple[str, str]]:
    """(document's name, what is embedded) of each passage."""
    parsed = parse(item.load(), item.name + item.suffix)
    config = RagConfig()
    sizes = (config.chunk.max_tokens, config.chunk.overlap_sentences, config.block_tokens)
    found = chunk_document(parsed, embedder.token_starts, *sizes)
    return [
        (item.name, embedding_text(place(parsed.title, chunk.heading_path), chunk.text))
        for chunk in found
    ]


def _measure(backends: Sequence[Backend], texts: Sequence[str], rounds: int) -> dict[str, float]:
    """Let them take turns; the largest difference in cosine to torch's vectors."""
    slices = [texts[start : start + 50] for start in range(0, len(texts), 50)]
    differences = dict.fromkeys((backend.name for backend in backends), 0.0)
    for number in range(rounds):
        totals = dict.fromkeys(differences, 0.0)
        for part in slices:
            turn = list(backends) if number % 2 == 0 else list(backends)[::-1]
            vectors = {}
            for backend in turn:
                wall, cpu, vectors[backend.name] = backend.encode(part)
                totals[backend.name] += wall
                backend.cpu_s += cpu
                backend.latencies += [backend.encode([QUESTION])[0] for _ in range(3)]
            for name, found in vectors.items():
                cosine = (found * vectors["torch"]).sum(axis=1)
                differences[name] = max(differences[name], float(1 - cosine.min()))
        for backend in backends:
            backend.walls.append(totals[backend.name] / len(texts))
        print(f"round {number + 1} of {rounds}", flush=True)
    for backend in backends:
        backend.cpu_s /= rounds * len(texts)
    return differences


def _quality(
    backends: Sequence[Backend],
    differences: dict[str, float],
    cutter: Embedder,
    data: Path,
    documents: int,
) -> dict[str, tuple[float, float]]:
    """(hit@1, MRR@10) by document of each backend with vectors of its own, and of onnx."""
    rows = [json.loads(line) for line in (data / "qa/ocp_dev.jsonl").open(encoding="utf-8")]
    gold = {name for row in rows for name in row["gold_docs"]}
    items = _documents(data / "corpus/ocp-4.16")
    others = [item for item in items if item.name not in gold]
    random.Random(0).shuffle(others)
    chosen = [item for item in items if item.name in gold]
    chosen += others[: max(0, documents - len(chosen))]
    cut = [pair for item in chosen for pair in _cut(cutter, item)]
    out.print(f"{len(rows)} questions, {len(chosen)} documents, {len(cut)} passages")
    found = {}
    for backend in backends:
        if backend.name == "onnx" or differences[backend.name] > SAME:
            _, _, stored = backend.encode([text for _, text in cut])
            _, _, asked = backend.encode([row["question"] for row in rows])
            # As in the catalog: passages are kept in half precision.
            scores = asked @ stored.astype(np.float16).astype(np.float32).T
            found[backend.name] = _means(scores, [name for name, _ in cut], rows)
    return found


def _means(
    scores: Vectors, names: Sequence[str], rows: Sequence[dict[str, Any]]
) -> tuple[float, float]:
    hits = reciprocal = 0.0
    for row, score in zip(rows, scores, strict=True):
        ranked = list(dict.fromkeys(names[i] for i in np.argsort(-score)))[:10]
        rank = next((i for i, name in enumerate(ranked, 1) if name in row["gold_docs"]), 0)
        hits += rank == 1
        reciprocal += 1 / rank if rank else 0
    return hits / len(rows), reciprocal / len(rows)


def _report(
    backends: Sequence[Backend],
    differences: dict[str, float],
    quality: dict[str, tuple[float, float]],
    passages: int,
) -> None:
    torch = next(backend for backend in backends if backend.name == "torch")
    best = quality.get("onnx", (0.0, 0.0))
    rows = []
    for backend in backends:
        ratios = [a / b for a, b in zip(torch.walls, backend.walls, strict=True)]
        hit, mrr = quality.get(backend.name, best)
        rows.append(
            {
                "backend": backend.name,
                "load s": round(backend.load_s, 1),
                "passages/s": round(1 / statistics.median(backend.walls), 1),
                "x torch": round(statistics.median(ratios), 2),
                "per CPU s": round(1 / backend.cpu_s, 1),
                "question ms": round(1000 * statistics.median(backend.latencies), 1),
                "adds MB": round(backend.rss_mb),
                "1 - cosine": f"{max(0.0, differences[backend.name]):.5f}",
                "hit@1": round(hit, 3) if quality else "",
                "MRR@10": round(mrr, 4) if quality else "",
                "MRR / torch's": round(mrr / best[1], 3) if quality else "",
            }
        )
    table = Table(*rows[0], title=f"{passages} passages, {os.cpu_count()} cores")
    for row in rows:
        table.add_row(*map(str, row.values()))
    out.print(table)
    print(json.dumps(rows))


if __name__ == "__main__":
    typer.run(main)
