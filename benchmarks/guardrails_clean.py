"""Do the rails change answers from documents that nobody has poisoned? Last line: JSON.

    VSAGE_DEV_DATA=<folder> python -m benchmarks.guardrails_clean [--questions 60] [--model]

Every question (qa/ocp_dev.jsonl) is asked twice of the whole chat flow over its documents
(corpus/ocp-4.16): with all rails, and with none. Prompt, passages and sampling are the same, the
generator is greedy, so an answer that differs was changed by a rail. Without --model the answers
are quotations alone; with it they are those of the embedded model, some 10 s each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from rag.ingest import ingest
from rag.schema import EVERYONE, Sampling
from rag.sources.files import FileSource
from serve.chat import Finished, Question, chat
from serve.config import ServeConfig
from serve.wiring import Parts, open_parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--model", action="store_true", help="ask the embedded model, too")
    arguments = parser.parse_args()
    data = os.environ.get("VSAGE_DEV_DATA")
    if not data:
        raise SystemExit("set VSAGE_DEV_DATA to the folder with the development data")
    lines = (Path(data) / "qa/ocp_dev.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    rows = random.Random(0).sample(rows, min(arguments.questions, len(rows)))
    paths = sorted(
        {Path(data) / "corpus/ocp-4.16" / name for row in rows for name in row["gold_docs"]}
    )
    with tempfile.TemporaryDirectory() as folder:
        guarded = filled(Path(folder) / "guarded", paths, arguments.model, rails=True)
        bare = filled(Path(folder) / "bare", paths, arguments.model, rails=False)
        # The same canary, because it stands in the prompt.
        bare = replace(bare, canary=guarded.canary)
        figures = asyncio.run(compared(guarded, bare, [row["question"] for row in rows]))
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:8.4f}")
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


def filled(folder: Path, paths: Sequence[Path], model: bool, *, rails: bool) -> Parts:
    """An opened service with these documents; with its rails they are judged as they come in."""
    settings: dict[str, Any] = {"data_dir": folder, "guardrails": {"enabled": rails}}
    if not model:
        settings["generator"] = {"provider": "extractive"}
    parts = open_parts(ServeConfig.model_validate(settings))
    source = FileSource(list(paths), max_bytes=10**8)
    ingest(parts.knowledge, list(source.documents()), frozenset({EVERYONE}))
    return parts


async def compared(guarded: Parts, bare: Parts, questions: Sequence[str]) -> dict[str, float]:
    """Share of the answers that the rails leave as they are, and what changed the others."""
    same, rails = 0, Counter[str]()
    for number, question in enumerate(questions, 1):
        found, without = await answer(guarded, question), await answer(bare, question)
        if found.text == without.text:
            same += 1
            continue
        blocked = {verdict.rail for _, verdict in found.verdicts if not verdict.allowed}
        rails.update(blocked or {"a passage in quarantine"})
        print(f"changed ({number}): {question} [{', '.join(sorted(blocked))}]", flush=True)
    await guarded.close()
    await bare.close()
    figures = {f"answers ({len(questions)}) unchanged": same / len(questions)}
    return figures | {f"changed by {rail}": n / len(questions) for rail, n in rails.items()}


async def answer(parts: Parts, question: str) -> Finished:
    """The end of the flow. Raises RuntimeError where there is none."""
    sampling = Sampling(temperature=0.0, seed=0)
    async for event in chat(parts, Question(question, sampling, frozenset({EVERYONE}))):
        if isinstance(event, Finished):
            return event
    raise RuntimeError("the flow ended without an end")


if __name__ == "__main__":
    main()
