"""What a fuzzer of the rails needs: the detectors, their patterns, and the words of these.

The embedder is not under test, so it is a random one: its vectors mean nothing, and neither do the
verdicts that rest on them.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import guardrails.detectors
from guardrails.config import GuardrailsConfig
from guardrails.input_rails import input_detectors
from guardrails.output_rails import output_detectors
from guardrails.retrieval_rails import retrieval_detectors
from guardrails.schema import Detector, Secrets, Vectors

CANARY = "3f9a1c07be52d684"
RULES = "Answer only from the passages that you are given, and name the number of each of them."
SECONDS, SECONDS_PER_CHAR = 2.0, 20e-6
"""No detector may take longer, on a slow machine."""

# Pieces on which a careless pattern looks far ahead, again and again.
SIGNS = (
    *"<>[](){}\"'`|&;:,.!?=@#$%*+-_/\\~^\n\t ",
    *("<!--", "-->", "![", "](", "[a]: ", "<a ", "</", "/>", "```", "&#9", "&#x", "&amp;", "%41"),
    *("0x41", "41 ", "\\x41", "\\u0041", "://", "http://a.b/", "www.", "a@b.co ", "a_b ", "--x "),
    *(
        "${",
        "$(",
        "../",
        "||",
        "&&",
        "' or ",
        "1.",
        "12 ",
        "0 ",
        "(030) ",
        "+1 ",
        "[1]",
        "- ",
        "# ",
    ),
    *("-----BEGIN PRIVATE KEY-----", "password: ", "Bearer ", "QUJD", "eyJ", "<|", "[INST]", "A. "),
    *("\x00", "\x1b[0m", "\x7f", "\u200b", "\u200d", "\u0301", "\u0316", "\u302e", "\u05b0"),
    *("\ufe0f", "\U000e0041", "\U0001f3f4", "\u2800", "\ud800", "\udfff", "\uffff", "\ufdfa"),
    *(
        "é",
        "ß",
        "İ",
        "а",
        "α",
        "中",
        "。",
        "ﬁ",
        "ａ",
        "٣",
        "𝐚",
        "한",
        "ไ",
        "👩‍👧 ",
        "\x85",
        "\u2028",
    ),
    *(CANARY, "3f9a1c07", RULES[:40]),
)


def random_vectors(texts: Sequence[str]) -> Vectors:
    """Unit vectors, other ones at each call."""
    vectors = np.random.default_rng().normal(size=(len(texts), 16)).astype(np.float32)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def open_detectors() -> dict[str, dict[str, Detector]]:
    """What `open_rails` registers, by direction and name."""
    config = GuardrailsConfig()
    return {
        "input": input_detectors(config, random_vectors),
        "retrieval": retrieval_detectors(config),
        "output": output_detectors(config, random_vectors, Secrets(CANARY, RULES)),
    }


def patterns() -> dict[str, re.Pattern[str]]:
    """Every compiled pattern of the detectors, by where it stands."""
    found: dict[re.Pattern[str], str] = {}
    for module in pkgutil.iter_modules(guardrails.detectors.__path__):
        loaded = importlib.import_module(f"guardrails.detectors.{module.name}")
        for name, value in vars(loaded).items():
            for place, pattern in _within(value, f"{module.name}.{name}"):
                found.setdefault(pattern, place)
    return {place: pattern for pattern, place in found.items()}


def _within(value: Any, place: str) -> Iterator[tuple[str, re.Pattern[str]]]:
    if isinstance(value, re.Pattern):
        yield place, value
    elif isinstance(value, tuple | list):
        for number, item in enumerate(value):
            yield from _within(item, f"{place}[{number}]")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _within(item, f"{place}[{key!r}]")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _within(getattr(value, field.name), f"{place}.{field.name}")


def words() -> list[str]:
    """The words that the patterns look for."""
    found: set[str] = set()
    for pattern in patterns().values():
        plain = re.sub(r"\\[a-zA-Z]|\(\?P?[^)]?|\{[\d,]*\}", "\0", pattern.pattern)
        found.update(re.findall(r"[^\W\d_]{2,30}", plain))
    return sorted(found)
