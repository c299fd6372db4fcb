"""What the gibberish rail finds in soup of word pieces, and what it takes for such.

The weights of the cheap signs were fitted, and thresholds chosen, on the texts called "tuned" and
on other draws of the random suffixes. Those "held back" played no part in it: every second text of
the development data, all questions on OpenShift (their makers ask that nothing be tuned on them),
and pasted texts and suffixes that were written afterwards.

    VSAGE_DEV_DATA=<folder> python -m benchmarks.guardrails_gibberish [--each 60] [--blocks 2000]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gibberish_texts import TECHNICAL, attack, blocks, pasted, suffixes
from guardrails.config import InjectionConfig
from guardrails.detectors.gibberish import GibberishLimits, check_gibberish, suspicious
from guardrails.schema import Surprise
from guardrails.surprise import open_surprise

HALVES = ("tuned", "held back")


@dataclass(frozen=True, slots=True)
class Judged:
    group: str
    kind: str
    half: str
    blocked: bool
    asked: bool
    alone: bool
    """Whether the cheap signs would block without a model."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=60, help="suffixes of each random style")
    parser.add_argument("--blocks", type=int, default=2_000, help="blocks cut out of manuals")
    arguments = parser.parse_args()
    data = os.environ.get("VSAGE_DEV_DATA")
    if not data:
        raise SystemExit("set VSAGE_DEV_DATA to the folder with the development data")
    config = InjectionConfig()
    surprise = open_surprise(config)
    if surprise is None:
        raise SystemExit(f"{config.surprise_model} is no folder; run `make models` first")
    texts = benign(Path(data), arguments.blocks) + attacks(Path(data), arguments.each)
    limits = GibberishLimits(config.surprise, config.max_chars)
    seconds: list[float] = []
    asked = timed(surprise, seconds)
    judged = [judge_one(*text, asked, seconds, limits) for text in texts]
    figures = rates(judged) | latencies([text for *_, text in texts], seconds, limits)
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:10.4f}")
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


def attacks(data: Path, each: int) -> list[tuple[str, str, str, str]]:
    """(group, kind, half, text) of suffixes with harmful and with ordinary requests."""
    chooser = random.Random(0)
    requests = [row["prompt"] for row in rows(data / "guard/advbench_100.jsonl")]
    requests += [row["text"] for row in rows(data / "finetune/clinc_dev_train.jsonl")[::50]]
    made = suffixes(chooser, each)
    return [
        ("suffixes", style, half, attack(chooser, suffix, requests)) for style, half, suffix in made
    ]


def benign(data: Path, most_blocks: int) -> list[tuple[str, str, str, str]]:
    """The same of texts without a suffix."""
    chooser = random.Random(1)
    questions = [row["question"] for row in rows(data / "qa/ocp_dev.jsonl")]
    of = {
        "everyday requests": [r["text"] for r in rows(data / "finetune/clinc_dev_train.jsonl")],
        "labelled harmless": [
            row["prompt"]
            for row in rows(data / "guard/injection_dev.jsonl")
            if row["label"] == 0 and row["prompt"] not in set(questions)
        ],
        "chats": [t for r in rows(data / "finetune/hh_harmless_dev.jsonl") for t in turns(r)],
        "harmful, no suffix": [r["prompt"] for r in rows(data / "guard/advbench_100.jsonl")],
    }
    cut = blocks(data / "corpus", chooser)
    chooser.shuffle(cut)
    texts = [("prose", "questions on manuals", "held back", text) for text in questions]
    for kind, found in of.items():
        texts += [("prose", kind, HALVES[i % 2], text) for i, text in enumerate(found)]
    found = cut[:most_blocks]
    texts += [("technical", "blocks of manuals", HALVES[i % 2], t) for i, t in enumerate(found)]
    for kind, half, text in pasted(chooser, 4):
        texts.append(("technical" if kind in TECHNICAL else "typed", kind, half, text))
    return texts


def turns(row: dict[str, Any]) -> list[str]:
    """What the user says in a dialogue."""
    said = row["chosen"].split("\n\nHuman: ")[1:]
    return [turn.split("\n\nAssistant: ")[0] for turn in said]


def timed(surprise: Surprise, seconds: list[float]) -> Surprise:
    def ask(text: str) -> Any:
        start = time.perf_counter()
        nats = surprise(text)
        seconds.append(time.perf_counter() - start)
        return nats

    return ask


def judge_one(
    group: str,
    kind: str,
    half: str,
    text: str,
    ask: Surprise,
    seconds: Sequence[float],
    limits: GibberishLimits,
) -> Judged:
    before = len(seconds)
    blocked = not check_gibberish(text, surprise=ask, limits=limits).allowed
    alone = not check_gibberish(text, surprise=None, limits=limits).allowed
    return Judged(group, kind, half, blocked, len(seconds) > before, alone)


def rates(judged: Sequence[Judged]) -> dict[str, float]:
    """Shares blocked and asked about, by group and half; held back by kind as well."""
    figures: dict[str, float] = {}

    def put(name: str, chosen: Callable[[Judged], bool], details: bool = True) -> None:
        some = [one for one in judged if chosen(one)]
        if not some:
            return
        title = f"{name} ({len(some)})"
        figures[f"{title} blocked"] = statistics.fmean(one.blocked for one in some)
        if details:
            figures[f"{title} model asked"] = statistics.fmean(one.asked for one in some)
            figures[f"{title} blocked without a model"] = statistics.fmean(o.alone for o in some)

    for group in ("suffixes", "prose", "typed", "technical"):
        for half in HALVES:
            put(f"{group}, {half}", lambda one, g=group, h=half: (one.group, one.half) == (g, h))
        for kind in dict.fromkeys(one.kind for one in judged if one.group == group):
            put(
                f"  {group}: {kind}",
                lambda one, g=group, k=kind: (one.group, one.kind, one.half) == (g, k, "held back"),
                details=False,
            )
    return figures


def latencies(
    texts: Sequence[str], seconds: Sequence[float], limits: GibberishLimits
) -> dict[str, float]:
    """Milliseconds of both steps, and of the first text, which loads the model."""
    short = [text for text in texts if len(text) < 200][:2_000]
    start = time.perf_counter()
    for text in short:
        suspicious(text, limits)
    cheap = 1_000 * (time.perf_counter() - start) / len(short)
    long = "\n".join(texts)[:8_000]
    start = time.perf_counter()
    suspicious(long, limits)
    ranked = sorted(seconds[1:])
    return {
        "ms cheap signs, a short text": cheap,
        "ms cheap signs, 8,000 characters": 1_000 * (time.perf_counter() - start),
        "ms model, first call": 1_000 * seconds[0],
        "ms model, p50": 1_000 * statistics.median(ranked),
        "ms model, p95": 1_000 * ranked[int(0.95 * len(ranked))],
    }


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
