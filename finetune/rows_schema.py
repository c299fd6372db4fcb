"""What a row can be, and how rows are compared. No file is read here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

Message = dict[str, str]
"""{"role": "system", "user" or "assistant", "content": text}."""


@dataclass(frozen=True, slots=True)
class ChatRow:
    """A conversation whose last message is the assistant's. Of sft."""

    number: int
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two answers to one prompt, the better one first. Of dpo and reward."""

    number: int
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str


@dataclass(frozen=True, slots=True)
class VoteRow:
    """One answer and whether it was liked. Of kto."""

    number: int
    prompt: tuple[Message, ...]
    completion: str
    label: bool


@dataclass(frozen=True, slots=True)
class TextRow:
    """Plain text, such as a whole document. Of pretrain."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class PromptRow:
    """A prompt whose answers the model writes itself. Of rloo and grpo."""

    number: int
    prompt: tuple[Message, ...]


Row = ChatRow | PairRow | VoteRow | TextRow | PromptRow


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row cannot be used. `number` is its line, 1 the first; 0 stands for the whole file."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Rows:
    """A file, read: the good rows in its order, and what is wrong with the others."""

    rows: list[Row]
    problems: list[Problem]
    path: Path
    sha256: str


def folded(text: str) -> str:
    """Without differences of case and white space."""
    return " ".join(text.split()).casefold()


def prompt_of(row: Row) -> tuple[Message, ...]:
    """What is answered; of a text, nothing."""
    if isinstance(row, TextRow):
        return ()
    return row.messages[:-1] if isinstance(row, ChatRow) else row.prompt


def prompt_key(row: Row) -> str:
    """Equal for rows that ask the same, whatever the answer; system messages do not count.

    A text is its own prompt. Case and white space are folded.
    """
    if isinstance(row, TextRow):
        return folded(row.text)
    return _written(message for message in prompt_of(row) if message["role"] != "system")


def row_key(row: Row) -> str:
    """Equal for rows that say the same throughout, but for case and white space."""
    return "\0".join(map(folded, exact_key(row).split("\0")))


def exact_key(row: Row) -> str:
    """Equal for rows whose every character is the same."""
    if isinstance(row, TextRow):
        return row.text
    parts = [f"{message['role']}\0{message['content']}" for message in prompt_of(row)]
    return "\0\0".join([*parts, *answers_of(row)])


def answers_of(row: Row) -> list[str]:
    """The answers that stand in a row, and the vote on it."""
    if isinstance(row, ChatRow):
        return [row.messages[-1]["content"]]
    if isinstance(row, PairRow):
        return [row.chosen, row.rejected]
    if isinstance(row, VoteRow):
        return [row.completion, str(row.label)]
    return []


def _written(messages: Iterable[Message]) -> str:
    return "\0".join(f"{message['role']} {folded(message['content'])}" for message in messages)
