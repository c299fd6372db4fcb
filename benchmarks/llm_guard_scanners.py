"""LLM Guard's scanners that need no weights, asked over JSON lines.

Started by `benchmarks/guardrails_peers.py` under the Python that has llm-guard; needs nothing of
vSage. The first line that it prints says what runs here; then one line answers each line of stdin:

    first  {"version", "runs": {"input": [names], "output": [names]}, "together": as runs,
            "fails": [[direction, name, why]]}
    in     {"direction", "scanner": a name or "all", "text"}
    out    {"blocked", "ms"}

A scanner runs with its defaults; where it asks for a list, with the one that llm-guard ships. Left
out: scanners that judge no danger (length, reading time, JSON), those whose patterns the site must
bring, and URLReachability, which requests every link that it finds.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

WEIGHTLESS = {
    "input": ("BanSubstrings", "InvisibleText", "Secrets"),
    "output": ("BanSubstrings", "NoRefusalLight"),
}
APART = {
    *("BanCompetitors", "Code", "Gibberish", "Language", "LanguageSame", "NoRefusal"),
    *("NoRefusalLight", "Relevance", "Sentiment", "TokenLimit"),
}
"""Not in "all": what they refuse is unwanted, not dangerous."""
WEIGHTED = {
    "input": (
        *("Anonymize", "BanCode", "BanCompetitors", "BanTopics", "Code", "Gibberish", "Language"),
        *("PromptInjection", "Toxicity", "Sentiment", "TokenLimit"),
    ),
    "output": (
        *("BanCode", "BanCompetitors", "BanTopics", "Bias", "Code", "FactualConsistency"),
        *("Gibberish", "Language", "LanguageSame", "MaliciousURLs", "NoRefusal", "Relevance"),
        *("Sensitive", "Toxicity", "Sentiment"),
    ),
}
"""They load a model, or a lexicon or tokenizer (Sentiment, TokenLimit), when they are made."""


def settings(direction: str) -> dict[str, dict[str, Any]]:
    """What a scanner cannot be made without."""
    from llm_guard.input_scanners.ban_substrings import PROMPT_STOP_SUBSTRINGS
    from llm_guard.output_scanners.ban_substrings import OUTPUT_STOP_SUBSTRINGS
    from llm_guard.vault import Vault

    listed = PROMPT_STOP_SUBSTRINGS if direction == "input" else OUTPUT_STOP_SUBSTRINGS
    return {
        "BanSubstrings": {"substrings": listed},
        "Anonymize": {"vault": Vault()},
        "BanCompetitors": {"competitors": ["Acme"]},
        "BanTopics": {"topics": ["violence"]},
        "Code": {"languages": ["Python"]},
        "Language": {"valid_languages": ["en"]},
    }


def open_scanners() -> tuple[dict[tuple[str, str], Any], list[list[str]]]:
    """The scanners that can be made, by direction and name, and why the others cannot."""
    from llm_guard import input_scanners, output_scanners

    opened: dict[tuple[str, str], Any] = {}
    failed = []
    for direction, module in (("input", input_scanners), ("output", output_scanners)):
        known = settings(direction)
        for name in WEIGHTLESS[direction] + WEIGHTED[direction]:
            try:
                opened[direction, name] = getattr(module, name)(**known.get(name, {}))
            except Exception as error:  # whatever a library raises that finds no weights
                failed.append([direction, name, reason(error)])
    return opened, failed


def reason(error: Exception) -> str:
    """The first line of the message that says something."""
    lines = [line.strip(" *\n") for line in str(error).splitlines()]
    text = next((line for line in lines if line), "no message")
    return f"{type(error).__name__}: {textwrap.shorten(text, 90)}"


def scan(direction: str, scanners: list[Any], text: str) -> bool:
    """Whether one of them refuses the text."""
    from llm_guard import scan_output, scan_prompt

    if direction == "input":
        _, valid, _ = scan_prompt(scanners, text, fail_fast=True)
    else:
        _, valid, _ = scan_output(scanners, "", text, fail_fast=True)
    return not all(valid.values())


def answer(opened: dict[tuple[str, str], Any], asked: dict[str, str]) -> dict[str, Any]:
    direction, name = asked["direction"], asked["scanner"]
    names = named(opened, direction, APART) if name == "all" else [name]
    scanners = [opened[direction, one] for one in names]
    start = time.perf_counter()
    blocked = scan(direction, scanners, asked["text"])
    return {"blocked": blocked, "ms": 1_000 * (time.perf_counter() - start)}


def named(opened: Iterable[tuple[str, str]], direction: str, without: set[str]) -> list[str]:
    return [name for way, name in opened if way == direction and name not in without]


def speaker() -> Callable[[dict[str, Any]], None]:
    """Prints JSON lines where stdout was; what libraries print goes to stderr from now on."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=lines, flush=True)

    return say


def main() -> None:
    """Answer until stdin ends."""
    say = speaker()
    from llm_guard.util import configure_logger

    configure_logger("CRITICAL", stream=sys.stderr)  # it logs what it finds
    opened, failed = open_scanners()
    runs = {way: named(opened, way, set()) for way in WEIGHTLESS}
    together = {way: named(opened, way, APART) for way in WEIGHTLESS}
    start = {"version": version("llm-guard"), "runs": runs, "together": together, "fails": failed}
    say(start)
    for line in sys.stdin:
        say(answer(opened, json.loads(line)))


if __name__ == "__main__":
    main()
