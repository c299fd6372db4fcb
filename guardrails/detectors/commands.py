"""Dangerous commands and injected queries that no passage holds.

A manual may tell the reader to erase a disk; a model that tells it on its own is not to be
believed, and neither is one that swaps the disk. So a dangerous command passes only where a
passage has the same one, with the same target. Ordinary commands pass: `check grounded` judges
them. Not caught: a command assembled from variables, told in words, or unknown to the patterns.
"""

from __future__ import annotations

import re
from functools import lru_cache

from guardrails.detectors.command_patterns import TARGETED, WHOLE
from guardrails.detectors.urls import readable
from guardrails.schema import Context, Verdict

RAIL = "check commands"
FENCE = re.compile(r"^\s{0,9}```[\w-]{0,20}[ \t]{0,9}$", re.MULTILINE)
PROMPT = re.compile(r"^[ \t>]{0,9}(?:\[[^\]\n]{1,60}\])?[$#%][ \t]{1,9}", re.MULTILINE)
CONTINUED = re.compile(r"\\[ \t]{0,9}\r?\n[ \t]{0,99}")
FIELD_SEPARATOR = re.compile(r"\$\{?ifs(?:%\?\?)?\}?(?:\$\d)?")
# Quotation marks within a word and backslashes before a letter change nothing for a shell.
QUOTED_LETTERS = re.compile(r"(?<=[a-z])(?:''|\"\"|\\)(?=[a-z])|(?<![\w\\])\\(?=[a-z]{2,9}\s)")
BLANKS = re.compile(r"[ \t\r\f\v]+")
OPERAND = re.compile(r"(?:of=)?[\"']?((?:/|~|\*|\$|\.\.?(?:/|$)|\.\*)[^\s\"'`,)]{0,300})")
LONGEST = 400


def check_commands(text: str, context: Context, *, max_chars: int) -> Verdict:
    """Block a text with a dangerous command that no passage holds (`command`)."""
    if len(text) > max_chars:
        reason = f"answer is longer than {max_chars} characters"
        return Verdict(False, RAIL, reason, text, "too_long", 1.0)
    for name, command in dangerous(text):
        if not any(held(command, passage) for passage in context.passages):
            return Verdict(False, RAIL, f"matches pattern '{name}'", text, "command", 1.0)
    return Verdict(True, RAIL, "", text)


@lru_cache(maxsize=512)
def dangerous(text: str) -> frozenset[tuple[str, str]]:
    """(pattern, command) of each dangerous command in a text, one for each target."""
    shown = spelled(text)
    found: set[tuple[str, str]] = set()
    for pattern in TARGETED:
        for match in pattern.regex.finditer(shown):
            found.update((pattern.name, command) for command in _targets(match[0]))
    for pattern in WHOLE:
        for match in pattern.regex.finditer(shown):
            found.add((pattern.name, match[0].strip(" .,:;`'\"")[:LONGEST]))
    return frozenset(found)


def spelled(text: str) -> str:
    """Lower case, one command a line, without prompt signs, Markdown and disguise."""
    text = CONTINUED.sub(" ", readable(text).lower())
    text = PROMPT.sub("", FENCE.sub("", text))
    text = FIELD_SEPARATOR.sub(" ", text)
    return BLANKS.sub(" ", QUOTED_LETTERS.sub("", text)).strip()


def held(command: str, passage: str) -> bool:
    """Whether a passage has the whole command, not one that only begins like it."""
    return command in _own(passage) or _within(command, _line(passage))


def _within(command: str, line: str) -> bool:
    wanted = " ".join(command.split())
    at = line.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        if (at == 0 or line[at - 1] in " \"'`($") and (
            end == len(line) or line[end] in " \"'`),.;:"
        ):
            return True
        at = line.find(wanted, at + 1)
    return False


@lru_cache(maxsize=512)
def _own(passage: str) -> frozenset[str]:
    return frozenset(command for _, command in dangerous(passage))


@lru_cache(maxsize=512)
def _line(passage: str) -> str:
    return " ".join(spelled(passage).split())


def _targets(command: str) -> list[str]:
    """`rm -rf /a /b` as `rm /a` and `rm /b`; what follows in prose is no target."""
    name = command.strip().split(" ", 1)[0].strip("`")
    words = command.split("`", 1)[0].split()[1:]
    targets = [
        match[1].rstrip(".,:;") or match[1] for word in words if (match := OPERAND.match(word))
    ]
    if name.startswith(">"):
        return [" ".join(command.split())]
    plain = [word for word in words if not word.startswith("-")]
    return [f"{name} {target}" for target in targets] or [f"{name} {word}" for word in plain[:1]]
