"""The whole chat flow beside the bare engine on the same prompts, in one run.

    python -m benchmarks.chat

Each question goes through the flow once while the generator's prompt is recorded; then the engine
alone gets that prompt and draws as many tokens. A nonce at the head of every prompt keeps the
engine's prefix cache from helping whichever comes second. Figures are medians over the questions.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from rag.generate import Generator, Usage
from rag.ingest import ingest
from rag.schema import EVERYONE, Message, Sampling
from rag.sources.files import FileSource
from serve.chat import Delta, Finished, Question, chat
from serve.config import ServeConfig
from serve.wiring import open_parts

QUESTIONS = [
    "Which setting enables vMotion for vGPU?",
    "How much memory do the weights of Llama-2 13B need in bf16?",
    "What is the difference between LoRA and QLoRA?",
    "What happens to a vGPU virtual machine without a licence?",
    "Which VM settings does a GPU with a large BAR need?",
    "What does reciprocal rank fusion do?",
    "Which GPU modes support vSphere HA?",
    "What is a prompt injection?",
    "How is an HNSW index searched?",
    "How do I see which documents vSage holds?",
    "What must be set in the BIOS before passthrough works?",
    "When should prefix tuning be used?",
]


class Recorder:
    """A generator that notes each prompt, and how long its own pieces took."""

    def __init__(self, inner: Generator) -> None:
        self._inner = inner
        self.name, self.context_tokens = inner.name, inner.context_tokens
        self.count_tokens = inner.count_tokens
        self.check, self.close = inner.check, inner.close
        self.messages: list[Message] = []
        self.pieces = 0
        self.waited = self.first = 0.0
        self._nonce = 0

    async def stream(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        adapter: str | None = None,
        usage: Usage | None = None,
    ) -> AsyncGenerator[str, None]:
        self._nonce += 1
        head = replace(messages[0], content=f"{self._nonce:06d}\n{messages[0].content}")
        self.messages, self.pieces, self.waited = [head, *messages[1:]], 0, 0.0
        asked = time.perf_counter()
        async with aclosing(self._inner.stream(self.messages, sampling, adapter, usage)) as pieces:
            async for piece in pieces:
                self.waited += time.perf_counter() - asked
                if not self.pieces:
                    self.first = self.waited
                self.pieces += 1
                yield piece
                asked = time.perf_counter()


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Times to go through the questions.")] = 1,
) -> None:
    """Print medians and ratios; the last line is JSON."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(Path(folder), rounds))


async def _measure(folder: Path, rounds: int) -> None:
    parts = open_parts(ServeConfig(data_dir=folder))
    source = FileSource([Path("docs/kb")], max_bytes=10**8)
    ingest(parts.knowledge, list(source.documents()), frozenset({EVERYONE}))
    assert parts.generator is not None
    engine, recorder = parts.generator, Recorder(parts.generator)
    parts = replace(parts, generator=recorder)
    await _flow(parts, "What is vGPU?")  # warm-up
    rows = []
    for question in QUESTIONS * rounds:
        row = await _flow(parts, question)
        if recorder.pieces:
            row |= await _bare(engine, recorder)
            rows.append(row)
            print(
                f"{question:<62} {row['flow_total']:6.2f} s, without generation {row['rest']:.2f}"
            )
    await engine.close()
    _report(rows)


async def _flow(parts: object, question: str) -> dict[str, float]:
    recorder = parts.generator  # type: ignore[attr-defined]
    recorder.pieces = 0
    started, first = time.perf_counter(), 0.0
    request = Question(question, Sampling(), frozenset({EVERYONE}))
    timings: dict[str, float] = {}
    async for event in chat(parts, request):  # type: ignore[arg-type]
        if isinstance(event, Delta) and not first:
            first = time.perf_counter() - started
        if isinstance(event, Finished):
            timings = event.timings
    total = time.perf_counter() - started
    before = sum(timings.get(stage, 0.0) for stage in _BEFORE) / 1000
    return {
        "flow_total": total,
        "rest": total - recorder.waited,
        "share": (total - recorder.waited) / total,
        "first_sentence": first,
        "flow_first_token": before + recorder.first,
    }


_BEFORE = ("input_rails", "rewrite", "retrieve", "retrieval_rails", "quotations", "prompt")


async def _bare(engine: Generator, recorder: Recorder) -> dict[str, float]:
    """The engine alone: the same prompt under a new nonce, the same number of pieces."""
    head = replace(recorder.messages[0], content="9" + recorder.messages[0].content)
    started, first, count = time.perf_counter(), 0.0, 0
    async with aclosing(engine.stream([head, *recorder.messages[1:]], Sampling())) as pieces:
        async for _piece in pieces:
            first = first or time.perf_counter() - started
            count += 1
            if count >= recorder.pieces:
                break
    return {"bare_total": time.perf_counter() - started, "bare_first_token": first}


def _report(rows: Sequence[dict[str, float]]) -> None:
    def median(key: str) -> float:
        return statistics.median(row[key] for row in rows)

    ratio = [row["flow_total"] / row["bare_total"] for row in rows]
    first = [row["flow_first_token"] / row["bare_first_token"] for row in rows]
    result = {
        "questions": len(rows),
        "flow_total_s": round(median("flow_total"), 2),
        "bare_total_s": round(median("bare_total"), 2),
        "total_ratio": round(statistics.median(ratio), 3),
        "first_token_ratio": round(statistics.median(first), 3),
        "first_sentence_s": round(median("first_sentence"), 2),
        "share_outside_generation": round(median("share"), 3),
    }
    for name, value in result.items():
        print(f"{name:>26}  {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    typer.run(main)
