"""Texts that a regular expression matches or nearly matches, repeated: where backtracking shows.

A pattern that looks far ahead from each of many places is found by repeating what it begins with.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from re import _parser as parser  # type: ignore[attr-defined]  # no public way to the parts
from typing import Any

CANDIDATES = "a b7-_.:/<>[]()\"'`;|&=@#$%\\\n{}!?*+,~^Aé中"
IS: dict[str, Callable[[str], bool]] = {
    "DIGIT": str.isdigit,
    "SPACE": str.isspace,
    "WORD": lambda char: char.isalnum() or char == "_",
}


class Sampler:
    """Makes texts of one pattern. The same seed makes the same texts."""

    def __init__(self, pattern: re.Pattern[str], seed: int) -> None:
        self._tree = parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)
        self._random = random.Random(f"{seed} {pattern.pattern}")

    def pumps(self, count: int) -> Iterator[str]:
        """Whole samples and beginnings of samples, to be repeated."""
        for _ in range(count):
            whole = self._sample(self._tree)
            cut = whole[: self._random.randint(1, len(whole))] if whole else ""
            end = self._random.choice(["", " ", "\n", "a", *CANDIDATES])
            yield self._random.choice([whole, cut]) + end

    def _sample(self, tree: Any) -> str:
        return "".join(self._part(str(op), value) for op, value in tree)

    def _part(self, op: str, value: Any) -> str:
        if op == "LITERAL":
            return chr(value)
        if op in {"ANY", "NOT_LITERAL"}:
            return "x"
        if op == "IN":
            return self._one_of(value)
        if op == "BRANCH":
            return self._sample(self._random.choice(value[1]))
        if op == "SUBPATTERN":
            return self._sample(value[3])
        if op == "ATOMIC_GROUP":
            return self._sample(value)
        if op == "ASSERT" and value[0] > 0:
            return self._sample(value[1])
        if op.endswith("REPEAT"):
            return self._repeat(*value)
        return ""

    def _repeat(self, least: int, most: Any, tree: Any) -> str:
        times = self._random.choice([least, least + 1, least + 3, 40, 400])
        one = self._sample(tree)
        times = max(least, min(times, int(most), 400 // max(1, len(one))))
        return one * times

    def _one_of(self, items: Any) -> str:
        negated = str(items[0][0]) == "NEGATE"
        fitting = [char for char in CANDIDATES if any(map(_holder(char), items)) != negated]
        if fitting:
            return self._random.choice(fitting)
        op, value = self._random.choice(items)
        return chr(value if str(op) == "LITERAL" else value[0])


def _holder(char: str) -> Callable[[Any], bool]:
    def holds(item: Any) -> bool:
        op, value = str(item[0]), item[1]
        if op == "LITERAL":
            return ord(char) == int(value)
        if op == "RANGE":
            return bool(value[0] <= ord(char) <= value[1])
        if op == "CATEGORY":
            name = str(value).removeprefix("CATEGORY_")
            return IS[name.removeprefix("NOT_")](char) != name.startswith("NOT_")
        return False

    return holds


def repeated(piece: str, chars: int) -> str:
    """The piece again and again, so many characters of it."""
    return (piece * (chars // max(1, len(piece)) + 1))[:chars]


def seconds(pattern: re.Pattern[str], text: str) -> float:
    """How long it takes to find all matches."""
    start = time.thread_time()
    for _ in pattern.finditer(text):
        pass
    return time.thread_time() - start
