"""Ingestion beside LlamaIndex's and Haystack's, with the same model on the same files in one run.

    python3.11 -m venv peers && peers/bin/pip install torch==2.13.0
    peers/bin/pip install llama-index-core llama-index-readers-file mdit_plain markdown-it-py \\
        llama-index-embeddings-huggingface haystack-ai sentence-transformers-haystack
    python -m benchmarks.ingest_peers --peers-python peers/bin/python [FOLDER...]

Each system runs in a process of its own, all of them in turn in each round, so that a noisy machine
slows all alike: the ratios are what to read. Time is from the first file read to everything stored
and searchable, without the loading of libraries and model, which has a column of its own.

A system that makes longer passages than the model's window embeds their beginning alone: that is
fast, and the rest is never found by a search. "cut off" is the share of the passages' tokens that
this costs, and the rows marked `fit` are the peers with passages that the model sees whole.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

from rag.catalog import Catalog
from rag.chunk import embedding_text
from rag.config import RagConfig
from rag.tables import chunks

MODEL = Path("models/all-MiniLM-L6-v2")
SUFFIXES = {".md", ".markdown", ".rst", ".txt"}
WINDOW = 254
"""Tokens of the model's 256 that are not special."""
QUESTION = "How is a GPU given to a virtual machine?"
out = Console(width=150, highlight=False)


@dataclass(frozen=True, slots=True)
class System:
    """One row of the table: vSage with overrides, or a peer."""

    name: str
    peer: str = ""
    fit: bool = False
    overrides: tuple[str, ...] = ()


SYSTEMS = [
    System("vSage"),
    System("vSage, int8", overrides=("embedder.backend=onnx_int8",)),
    System("vSage, torch", overrides=("embedder.backend=torch",)),
    System("LlamaIndex, default", "llama_index"),
    System("LlamaIndex, fit", "llama_index", fit=True),
    System("Haystack, default", "haystack"),
    System("Haystack, fit", "haystack", fit=True),
]


@dataclass(frozen=True, slots=True)
class Run:
    """What one process did. `cpu_seconds` is all it used, the loading included."""

    seconds: float
    start_seconds: float
    cpu_seconds: float
    texts: list[str]
    failed: list[str]
    found: int


def main(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Default: docs/kb, with VSAGE_DEV_DATA two of its corpora."),
    ] = None,
    peers_python: Annotated[Path, typer.Option(help="The Python that has the peers.")] = Path(
        sys.executable
    ),
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    limit: Annotated[int, typer.Option(help="At most so many files, drawn at random.")] = 100,
) -> None:
    """Print a table; the last line is JSON."""
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch) / "corpus"
        files = _copy(folders or _default_folders(), corpus, limit)
        runs: dict[str, list[Run]] = {system.name: [] for system in SYSTEMS}
        for number in range(rounds):
            for system in SYSTEMS[number:] + SYSTEMS[:number]:
                store = Path(scratch) / "store"
                store.mkdir()
                run = _run(system, corpus, files, store, peers_python)
                runs[system.name].append(run)
                shutil.rmtree(store)
                print(f"round {number + 1}: {system.name:<20} {run.seconds:7.1f} s", flush=True)
        _report(runs, files)


def _default_folders() -> list[Path]:
    data = os.environ.get("VSAGE_DEV_DATA")
    corpora = ("kubevirt", "nvidia-cloud-native")
    return [Path(data) / "corpus" / name for name in corpora] if data else [Path("docs/kb")]


def _copy(folders: list[Path], target: Path, limit: int) -> list[Path]:
    """A folder with exactly the files that all systems shall take in."""
    found = sorted(
        (folder, path)
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in SUFFIXES and path.is_file()
    )
    if not found:
        raise SystemExit(
            f"no {', '.join(sorted(SUFFIXES))} files in {', '.join(map(str, folders))}"
        )
    chosen = sorted(random.Random(0).sample(found, min(limit or len(found), len(found))))
    copies = []
    for folder, path in chosen:
        copy = target / folder.name / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copies.append(copy)
    return copies


def _run(system: System, corpus: Path, files: list[Path], store: Path, python: Path) -> Run:
    if system.peer:
        return _run_peer(system, files, store, python)
    return _run_vsage(system, corpus, store)


def _run_vsage(system: System, corpus: Path, store: Path) -> Run:
    overrides = [f"data_dir={store}", *system.overrides]
    command = [sys.executable, "-m", "rag"]
    started = time.perf_counter()
    done, cpu_seconds = _call([*command, "ingest", str(corpus), *overrides, "--json"])
    whole = time.perf_counter() - started
    report = json.loads(done)
    searched, _ = _call([*command, "search", QUESTION, "--top-k", "2", *overrides, "--json"])
    return Run(
        seconds=report["seconds"],
        start_seconds=whole - report["seconds"],
        cpu_seconds=cpu_seconds,
        texts=list(_passages(RagConfig(data_dir=store))),
        failed=[failure["name"] for failure in report["failures"]],
        found=len(searched.splitlines()),
    )


def _passages(config: RagConfig) -> Iterator[str]:
    catalog = Catalog(config)
    with catalog.reading() as connection:
        for heading, text in connection.execute(sa.select(chunks.c.heading, chunks.c.text)):
            yield embedding_text(heading, text)
    catalog.close()


def _run_peer(system: System, files: list[Path], store: Path, python: Path) -> Run:
    task = {
        "peer": system.peer,
        "fit": system.fit,
        "files": [str(path) for path in files],
        "model": str(MODEL.resolve()),
        "out": str(store),
    }
    script = str(Path(__file__).with_name("peer_pipelines.py"))
    answer, cpu_seconds = _call([str(python), script], json.dumps(task))
    return Run(cpu_seconds=cpu_seconds, **json.loads(answer))


def _call(command: list[str], stdin: str = "") -> tuple[str, float]:
    """(what the command prints, CPU seconds it used); its errors end the benchmark."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # 1 is vSage's way to say that a document failed, which the report names.
    if done.returncode > 1 or not done.stdout.strip():
        raise SystemExit(f"{' '.join(command[:4])} failed:\n{done.stderr[-2000:]}")
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _report(runs: dict[str, list[Run]], files: list[Path]) -> None:
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: list[str]) -> list[int]:
        encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    whole = sum(count([path.read_text(encoding="utf-8", errors="replace") for path in files]))
    rows = {name: _row(runs, name, count, len(files), whole) for name in runs}
    table = Table(*next(iter(rows.values())), title=f"{len(files)} files, {whole} tokens")
    for row in rows.values():
        table.add_row(*map(str, row.values()))
    out.print(table)
    peers = [system.name for system in SYSTEMS if system.peer]
    for against in (peers, [name for name in peers if name.endswith("fit")]):
        for mine in [system.name for system in SYSTEMS if not system.peer]:
            ratios = [
                min(runs[name][i].seconds for name in against) / run.seconds
                for i, run in enumerate(runs[mine])
            ]
            out.print(f"{mine}: {statistics.median(ratios):.2f} x the fastest of {against}")
    print(json.dumps({"files": len(files), "tokens": whole, "systems": list(rows.values())}))


def _row(
    runs: dict[str, list[Run]], name: str, count: Any, files: int, whole: int
) -> dict[str, Any]:
    own, first = runs[name], runs[next(iter(runs))]
    sizes = count(own[0].texts)
    embedded = sum(min(size, WINDOW) for size in sizes)

    def median(values: Iterator[float]) -> float:
        return statistics.median(values)

    return {
        "system": name,
        "documents/s": round(median(files / run.seconds for run in own), 2),
        "time / vSage's": round(
            median(a.seconds / b.seconds for a, b in zip(own, first, strict=True)), 2
        ),
        "CPU s": round(median(run.cpu_seconds for run in own), 1),
        "start s": round(median(run.start_seconds for run in own), 1),
        "passages": len(sizes),
        "embedded / corpus": round(embedded / whole, 2),
        "cut off": f"{1 - embedded / max(1, sum(sizes)):.1%}",
        "tokens/s": round(median(embedded / run.seconds for run in own)),
        "failed": len(own[0].failed),
        "found": min(run.found for run in own),
    }


if __name__ == "__main__":
    typer.run(main)
