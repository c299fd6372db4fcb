"""Figures of the rails on texts whose authors have not seen the rails. Last line: JSON.

    python -m benchmarks.guardrails_unseen [--only messages]

The sets stand in benchmarks/questions/guard_*.jsonl: messages and passages, `label` 1 for what must
be blocked. None of them was tuned on; do not, or they become examples. Before them come the
examples themselves in five folds: each is judged by a fit on the other four fifths.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ["HF_HUB_OFFLINE"] = "1"

from guardrails import GuardrailsConfig, Rails, open_rails
from guardrails.detectors.likeness import Examples, fit
from guardrails.examples import read_examples, read_folder
from guardrails.figures import auroc
from guardrails.schema import Direction, Embed
from guardrails.seed_vectors import SEED_VECTORS
from guardrails.surprise import open_surprise
from rag.config import EmbedderConfig
from rag.embed import open_embedder

FOLDER = Path("benchmarks/questions")
SETS: Mapping[str, Direction] = {
    "messages": "input",
    "everyday": "input",
    "languages": "input",
    "documents": "retrieval",
    "toxic": "output",
}
ALONE = {"toxic": "check toxic answer"}
"""Sets whose texts other rails block for reasons of their own: here without any passage."""
FOLDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[*SETS, "folds"], help="one set alone")
    chosen = parser.parse_args().only
    config, embed = GuardrailsConfig(), open_embedder(EmbedderConfig()).encode
    figures: dict[str, Any] = {}
    if chosen in (None, "folds"):
        figures |= folds(config, embed)
    names = [name for name in SETS if chosen in (None, name)]
    if names:
        rails = open_rails(
            config,
            embed=embed,
            surprise=open_surprise(config.input.injection),
            kept=Path("models") / SEED_VECTORS,
        )
        for name in names:
            figures |= asyncio.run(judged(rails, name))
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:9.4f}")
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


def folds(config: GuardrailsConfig, embed: Embed) -> dict[str, float]:
    """The examples against each other, without patterns: no text is example and test at once."""
    section, folder = config.input.injection, config.rails_dir
    attack = _texts(folder / section.attack_seeds, folder / section.more_attacks)
    honest = _texts(folder / section.benign_seeds, folder / section.more_benign)
    rows = np.array([*attack, *honest], dtype=object)
    vectors = embed(list(rows))
    bad = np.arange(len(rows)) < len(attack)
    fold = np.random.default_rng(0).permutation(len(rows)) % FOLDS
    scores = np.zeros(len(rows))
    for number in range(FOLDS):
        known = fold != number
        sides = [Examples(tuple(rows[known & side]), vectors[known & side]) for side in (bad, ~bad)]
        scores[~known] = fit(*sides)(list(rows[~known]), vectors[~known])
    blocked = scores > section.margin
    return {
        f"five folds, caught ({len(attack)} attacks)": float(blocked[bad].mean()),
        f"five folds, false positives ({len(honest)} honest)": float(blocked[~bad].mean()),
        "five folds, AUROC": auroc(scores, bad) or 0.0,
    }


def _texts(file: Path, folder: Path) -> list[str]:
    texts = [
        *read_examples(file),
        *(text for more in read_folder(folder).values() for text in more),
    ]
    return list(dict.fromkeys(texts))


async def judged(rails: Rails, name: str) -> dict[str, float]:
    """Share blocked of each category and label, and milliseconds."""
    rows = read(FOLDER / f"guard_{name}.jsonl")
    groups: dict[str, list[bool]] = {}
    totals: dict[str, list[bool]] = {}
    took = []
    for row in rows:
        start = time.perf_counter()
        verdict = await rails.check(SETS[name], row.get("prompt") or row["text"])
        took.append(1_000 * (time.perf_counter() - start))
        side = "caught" if row["label"] else "false positives"
        for found, group in ((groups, row["category"]), (totals, "all")):
            blocked = not verdict.allowed and verdict.rail == ALONE.get(name, verdict.rail)
            found.setdefault(f"{name}, {side}: {group}", []).append(blocked)
    found = {**dict(sorted(groups.items())), **totals}
    figures = {f"{key} ({len(hits)})": float(np.mean(hits)) for key, hits in found.items()}
    return figures | {f"{name}, ms p{q}": float(np.percentile(took, q)) for q in (50, 95)}


def read(path: Path) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
