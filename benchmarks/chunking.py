"""How passages are cut against what a search finds: the same questions over each cut of a corpus.

    VSAGE_DEV_DATA=<folder> python -m benchmarks.chunking --sets ocp,kubevirt,nvidia,vic

Every cut is ingested into a catalog of its own that goes afterwards. `windows` knows no structure:
words by the number of tokens, a tenth of them repeated, no headings, as simple splitters do it. F1
is that of the quotations alone, against the reference answers of a set that has them. Numbers of
one set differ by chance: with 60 questions two in three cuts lie within .04 of each other.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import numpy as np
import typer

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from rag.chunk import TokenStarts, chunk_document, page_at
from rag.config import ChunkConfig, RagConfig
from rag.embed import Embedder, open_embedder
from rag.embed_cache import CachedEmbedder
from rag.evaluation.answers import answer_question, measure_answer
from rag.evaluation.evaluate import evaluate
from rag.evaluation.labels import LabelledQuestion, read_questions
from rag.ingest import ingest
from rag.knowledge import open_knowledge
from rag.schema import EVERYONE, Chunk, Failure, ParsedDocument
from rag.sources.files import FileSource

_PUBLIC = frozenset({EVERYONE})
_OURS = Path(__file__).parent / "questions"
_FOLDERS = {
    "ocp": "ocp-4.16",
    "kubevirt": "kubevirt",
    "nvidia": "nvidia-cloud-native",
    "vic": "vmware-vic",
}
CUTS: dict[str, tuple[int, int]] = {
    "sections, 100 tokens, overlap 1": (100, 1),
    "sections, 150 tokens, overlap 1": (150, 1),
    "sections, 200 tokens, overlap 0": (200, 0),
    "sections, 200 tokens, overlap 1": (200, 1),
    "sections, 200 tokens, overlap 2": (200, 2),
    "sections, 254 tokens, overlap 1": (254, 1),
    "windows, 200 tokens": (200, 0),
}


def main(
    sets: Annotated[str, typer.Option(help="Some of ocp, kubevirt, nvidia, vic.")] = "ocp",
    cuts: Annotated[str, typer.Option(help="Of the cuts, by number from 1; default: all.")] = "",
    data: Annotated[Path, typer.Option(envvar="VSAGE_DEV_DATA", help="Development data.")] = Path(),
) -> None:
    """Print hit@1, hit@5, MRR@10 and F1 for each cut of each set; the last line is JSON."""
    embedder = open_embedder(RagConfig().embedder)
    names = [list(CUTS)[int(number) - 1] for number in cuts.split(",")] if cuts else list(CUTS)
    results: dict[str, dict[str, Any]] = {}
    for name in sets.split(","):
        file = data / "qa" / "ocp_dev.jsonl" if name == "ocp" else _OURS / f"{name}.jsonl"
        questions = read_questions(file)
        results[name] = {}
        for cut in names:
            tokens, overlap = CUTS[cut]
            chunk = ChunkConfig(max_tokens=tokens, overlap_sentences=overlap)
            with tempfile.TemporaryDirectory() as folder:
                config = RagConfig(data_dir=Path(folder), chunk=chunk)
                splitter = _windows if cut.startswith("windows") else chunk_document
                with patch("rag.ingest.chunk_document", splitter):
                    found = _measure(config, embedder, data / "corpus" / _FOLDERS[name], questions)
            results[name][cut] = found
            print(f"{name:9} {cut:32}", *(f"{k} {v}" for k, v in found.items()), flush=True)
    print(json.dumps(results))


def _measure(
    config: RagConfig, embedder: Embedder, documents: Path, questions: Sequence[LabelledQuestion]
) -> dict[str, float]:
    knowledge = open_knowledge(config, CachedEmbedder(embedder, 50_000))
    try:
        started = time.perf_counter()
        items = FileSource([documents], max_bytes=10**8).documents()
        ingest(knowledge, [item for item in items if not isinstance(item, Failure)], _PUBLIC)
        spent = time.perf_counter() - started
        ranked = evaluate(knowledge, questions, _PUBLIC, modes=["default"])["default"]
        f1s = [_f1(knowledge, question) for question in questions if question.references]
        found = {name: round(ranked[name], 3) for name in ("hit@1", "hit@5", "mrr@10")}
        found["f1"] = round(statistics.mean(f1s), 3) if f1s else float("nan")
        return found | {"passages": knowledge.catalog.count_chunks(), "ingest_s": round(spent, 1)}
    finally:
        knowledge.close()


def _f1(knowledge: Any, question: LabelledQuestion) -> float:
    answer = asyncio.run(answer_question(knowledge, None, question.text, _PUBLIC))
    return measure_answer(answer, question.references, question.relevant, [])["token_f1"]


def _windows(
    document: ParsedDocument,
    token_starts: TokenStarts,
    max_tokens: int,
    _overlap: int,
    _block_tokens: int,
) -> list[Chunk]:
    """Stretches of `max_tokens` tokens; each begins a tenth of them before the last one's end."""
    starts = [
        token_starts(document.text[at : at + 50_000]) + at
        for at in range(0, len(document.text), 50_000)
    ]
    tokens = np.concatenate(starts) if starts else np.zeros(0, dtype=np.int64)
    size = max_tokens - 2
    chunks: list[Chunk] = []
    for first in range(0, len(tokens), size - size // 10):
        start = int(tokens[first])
        end = int(tokens[first + size]) if first + size < len(tokens) else len(document.text)
        if text := document.text[start:end].rstrip():
            page = page_at(document.page_starts, start)
            chunks.append(Chunk(len(chunks), start, start + len(text), text, (), page))
        if first + size >= len(tokens):
            break
    return chunks


if __name__ == "__main__":
    typer.run(main)
