"""Lists of messages: whose turn it is, and transcripts that are written in one text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from finetune.rows_read import kind_of
from finetune.rows_schema import Message

_ROLES = ("system", "user", "assistant")
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}
_SPEAKER = re.compile(r"\n\n(Human|Assistant): ?")


class RowError(Exception):
    """Why one row cannot be used. Stays inside of reading: it becomes a Problem there."""


def check_turns(
    ours: str, turns: Sequence[Any], last: Literal["user", "assistant"]
) -> tuple[Message, ...]:
    """The messages of a list: one of the system at most, first; then user and assistant in turn.

    `ours` names the column. Raises RowError; other keys than role and content are dropped, but
    for calls of tools, which are not supported.
    """
    messages = [_message(ours, number, turn) for number, turn in enumerate(turns, start=1)]
    spoken = messages[1:] if messages and messages[0]["role"] == "system" else messages
    before = len(messages) - len(spoken)
    for number, message in enumerate(spoken):
        wanted = _ROLES[1 + number % 2]
        if message["role"] != wanted:
            raise RowError(
                f"message {before + number + 1} of {ours} is of the {message['role']} where one "
                f"of the {wanted} is due: user and assistant take turns behind the system"
            )
    if not spoken or spoken[-1]["role"] != last:
        ends = f"ends with one of the {spoken[-1]['role']}" if spoken else "holds no message"
        raise RowError(f"{ours} {ends}: the last must be of the {last}")
    return tuple(messages)


def transcript_turns(text: str) -> list[Message]:
    """The turns of a text such as "\\n\\nHuman: Hi\\n\\nAssistant: Hello"; none if it is not one.

    What one speaker says in several turns on end is joined.
    """
    if not text.startswith("\n\nHuman:"):
        return []
    _, *parts = _SPEAKER.split(text)
    turns: list[Message] = []
    for speaker, said in zip(parts[::2], parts[1::2], strict=True):
        role = _SPEAKERS[speaker]
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n\n{said.strip()}"
        else:
            turns.append({"role": role, "content": said.strip()})
    return turns


def _message(ours: str, number: int, turn: Any) -> Message:
    where = f"message {number} of {ours}"
    if not isinstance(turn, dict):
        raise RowError(f"{where} is {kind_of(turn)}, not {{role, content}}")
    if turn.get("tool_calls"):
        raise RowError(f"{where} calls tools, which is not supported")
    role, content = turn.get("role"), turn.get("content")
    if role not in _ROLES:
        shown = "no role" if role is None else f"the role {role!r}"
        raise RowError(f"{where} has {shown}: system, user or assistant is expected")
    if not isinstance(content, str):
        missing = "content" not in turn
        raise RowError(f"{where}: content is {'missing' if missing else kind_of(content)}")
    if not content.strip():
        raise RowError(f"{where} is empty: content of the {role}")
    return {"role": role, "content": content}
