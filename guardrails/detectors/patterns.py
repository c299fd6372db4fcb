"""Named patterns over canonical text, and the phrase files with which a site adds its own.

Every repetition is bounded and neighbouring parts share no characters, so a search takes time in
proportion to the text. English only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from guardrails.errors import RailsConfigError

# Between two words of a phrase: never across the end of a sentence.
BETWEEN = r"[^\w.!?;]{1,4}"
MAX_PHRASE_WORDS = 20


def gap(words: int) -> str:
    """Up to this many further words, then the blank before the next one."""
    return rf"(?:{BETWEEN}\w{{1,30}}){{0,{words}}}?{BETWEEN}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern with the name and category that a verdict reports."""

    name: str
    category: str
    regex: re.Pattern[str]


def pattern(name: str, category: str, regex: str) -> Pattern:
    """Compile one pattern for canonical (lower-case) text."""
    return Pattern(name, category, re.compile(regex, re.MULTILINE))


def first_match(patterns: Sequence[Pattern], texts: Iterable[str]) -> Pattern | None:
    """The first pattern that occurs in any of the texts."""
    for text in texts:
        for candidate in patterns:
            if candidate.regex.search(text):
                return candidate
    return None


def load_phrases(path: Path) -> tuple[Pattern, ...]:
    """Read a phrase file: one phrase a line, `*` for up to four words, `#` starts a comment."""
    found = []
    for number, line in enumerate(read_lines(path), start=1):
        words = line.split()
        if len(words) > MAX_PHRASE_WORDS:
            raise RailsConfigError(
                f"{path}: phrase {number} has {len(words)} words; "
                f"shorten it to at most {MAX_PHRASE_WORDS}"
            )
        if not any(any(char.isalnum() for char in word) for word in words):
            raise RailsConfigError(
                f"{path}: phrase {number} ({line!r}) has no word in it and would match anything; "
                "write at least one word besides *"
            )
        found.append(Pattern(f"phrase {number}", "site_phrase", _compile_phrase(words)))
    return tuple(found)


def read_lines(path: Path) -> list[str]:
    """The lines that say something, without comments; a missing file is a RailsConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RailsConfigError(
            f"{path} cannot be read ({error}); create it (it may be empty for phrases) "
            "or correct the path under `guardrails` in the configuration"
        ) from error
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def _compile_phrase(words: list[str]) -> re.Pattern[str]:
    parts: list[str] = []
    joiner = r"(?<!\w)"
    for word in words:
        if word == "*":
            joiner = gap(4) if parts else joiner
            continue
        parts.append(joiner + re.escape(word.lower()))
        joiner = BETWEEN
    return re.compile("".join(parts) + r"(?!\w)")
