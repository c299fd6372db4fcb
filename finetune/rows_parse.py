"""A record -> a row: columns by name, templates, and everything that can be wrong with either.

A reason is written to be read behind "line 12: ".
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from finetune.config import DataConfig, Objective
from finetune.errors import ConfigError, DataError
from finetune.rows_read import Record, kind_of
from finetune.rows_schema import ChatRow, Message, PairRow, PromptRow, Row, TextRow, VoteRow
from finetune.turns import RowError, check_turns, transcript_turns

COLUMNS = ("messages", "prompt", "completion", "text", "chosen", "rejected", "label")
_FORMS: dict[Objective, tuple[tuple[str, ...], ...]] = {
    "sft": (("messages",), ("prompt", "completion")),
    "pretrain": (("text",),),
    "dpo": (("chosen", "rejected"),),
    "reward": (("chosen", "rejected"),),
    "kto": (("prompt", "completion", "label"), ("chosen", "rejected")),
    "rloo": (("prompt",), ("messages",)),
    "grpo": (("prompt",), ("messages",)),
}
"""The columns that each objective reads: the first form that a file has. Pairs may have prompts."""
_COMMON = {
    "messages": ("conversations", "conversation", "dialog", "dialogue", "chat"),
    "prompt": ("question", "instruction", "query", "input", "user", "text"),
    "completion": ("answer", "response", "output", "target", "reply", "intent", "category"),
    "text": ("content", "document", "body"),
    "chosen": ("preferred", "accepted", "better", "winner"),
    "rejected": ("dispreferred", "worse", "loser"),
    "label": ("vote", "liked", "thumbs", "desirable", "rating"),
}
"""What other tools call our columns."""
_FIELD = re.compile(r"\{(\w+)\}")
_YES, _NO = ("true", "1", "yes"), ("false", "0", "no")

Parser = Callable[[int, Record], list[Row]]


def find_form(where: str, columns: Iterable[str], objective: Objective, data: DataConfig) -> Parser:
    """What makes rows of this file's records; it raises RowError.

    Raises DataError where the columns fit no form of the objective, ConfigError where
    `data.columns` names what there is not.
    """
    there = sorted(columns)
    _check_mapping(where, there, data)
    ours = {ours for ours in COLUMNS if data.columns.get(ours, ours) in there}
    if set(_FIELD.findall(data.prompt_template)) - {"prompt"} <= set(there) and "{prompt}" not in (
        data.prompt_template
    ):
        ours.add("prompt")  # the template makes it of other columns
    for form in _FORMS[objective]:
        if ours >= set(form):
            return _parser(
                form, objective, data, from_text=where.lower().endswith((".csv", ".tsv"))
            )
    forms = ", or ".join(" and ".join(form) for form in _FORMS[objective])
    likely = ours | {name for name in COLUMNS if _near(name, there)}
    best = max(_FORMS[objective], key=lambda form: len(likely & set(form)) / len(form))
    missing = [name for name in best if name not in ours]
    raise DataError(
        f"{where} has the columns {', '.join(there) or '(none)'}; objective {objective} needs "
        f"{forms}: " + "; ".join(_advice(name, there) for name in missing)
    )


def _check_mapping(where: str, there: Sequence[str], data: DataConfig) -> None:
    for ours, theirs in data.columns.items():
        if ours not in COLUMNS:
            near = difflib.get_close_matches(ours, COLUMNS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(COLUMNS)}"
            raise ConfigError(f"data.columns.{ours}: no such column of ours; {hint}")
        if theirs not in there:
            raise DataError(f"{where} has no column {theirs}: {_advice(ours, there, theirs)}")
    if not _FIELD.search(data.prompt_template):
        raise ConfigError(
            "data.prompt_template holds no {prompt}, nor another column in braces: every prompt "
            "would be the same"
        )


def _advice(ours: str, there: Sequence[str], wanted: str = "") -> str:
    """What to type for a column that is missing."""
    if near := _near(ours, there, wanted):
        return f"{wanted or ours} may be '{near}', then add data.columns.{ours}={near}"
    return f"name the column of {ours} with data.columns.{ours}=COLUMN"


def _near(ours: str, there: Sequence[str], wanted: str = "") -> str:
    """The column that is likely meant: spelled alike, else what others call it; or none."""
    near = difflib.get_close_matches(wanted or ours, there, n=1)
    return (near or [name for name in _COMMON[ours] if name in there] or [""])[0]


def _parser(
    form: tuple[str, ...], objective: Objective, data: DataConfig, from_text: bool
) -> Parser:
    fields = _Fields(data, from_text)

    def pairs(number: int, record: Record) -> list[Row]:
        prompt, chosen, rejected = fields.pair(record)
        if objective != "kto":
            return [PairRow(number, prompt, chosen, rejected)]
        votes = ((chosen, True), (rejected, False))
        return [VoteRow(number, prompt, answer, label) for answer, label in votes]

    def votes(number: int, record: Record) -> list[Row]:
        prompt, completion = fields.answered(record, "completion")
        return [VoteRow(number, prompt, completion, fields.label(record))]

    def chats(number: int, record: Record) -> list[Row]:
        if form == ("messages",):
            return [ChatRow(number, fields.messages(record))]
        prompt, completion = fields.answered(record, "completion")
        return [ChatRow(number, (*prompt, {"role": "assistant", "content": completion}))]

    def prompts(number: int, record: Record) -> list[Row]:
        if form == ("messages",):
            return [PromptRow(number, fields.messages(record)[:-1])]
        return [PromptRow(number, fields.prompt(record))]

    if objective == "pretrain":
        return lambda number, record: [TextRow(number, fields.text(record, "text"))]
    if objective == "sft":
        return chats
    if objective in ("rloo", "grpo"):
        return prompts
    return pairs if form == ("chosen", "rejected") else votes


class _Fields:
    """Takes columns out of records. Every method raises RowError."""

    def __init__(self, data: DataConfig, from_text: bool) -> None:
        self._data = data
        self._from_text = from_text
        """Whether cells hold text alone, so that lists and booleans are written out."""

    def messages(self, record: Record) -> tuple[Message, ...]:
        """A conversation that ends with an answer."""
        turns = check_turns("messages", self._turns(record, "messages"), last="assistant")
        return self._with_system(turns)

    def prompt(self, record: Record) -> tuple[Message, ...]:
        template = self._data.prompt_template
        if self._has_prompt(record) or "{prompt}" in template:
            value = self._maybe_turns(record, "prompt")
            if isinstance(value, list):
                return self._with_system(check_turns("prompt", value, last="user"))
        cells = {name: self._cell(record, name) for name in _FIELD.findall(template)}
        # One pass: braces that stand in a prompt are no fields.
        text = _FIELD.sub(lambda match: cells[match.group(1)], template)
        return self._with_system(({"role": "user", "content": text},))

    def answered(self, record: Record, ours: str) -> tuple[tuple[Message, ...], str]:
        """Prompt and answer, each a text or a list of messages; the list may hold both."""
        value = self._maybe_turns(record, ours)
        if not isinstance(value, list):
            turns = transcript_turns(value) if not self._has_prompt(record) else []
            if not turns:
                return self.prompt(record), value
            value = list(turns)
        if len(value) == 1 and isinstance(value[0], dict) and value[0].get("role") == "assistant":
            return self.prompt(record), self._written(value[0].get("content"), ours)
        messages = check_turns(ours, value, last="assistant")
        return self._with_system(messages[:-1]), messages[-1]["content"]

    def pair(self, record: Record) -> tuple[tuple[Message, ...], str, str]:
        prompt, chosen = self.answered(record, "chosen")
        other, rejected = self.answered(record, "rejected")
        if prompt != other:
            raise RowError("chosen and rejected answer different prompts")
        if chosen.strip() == rejected.strip():
            raise RowError("chosen and rejected are identical")
        return prompt, chosen, rejected

    def label(self, record: Record) -> bool:
        value = self._value(record, "label")
        if isinstance(value, bool):
            return value
        if self._from_text and isinstance(value, str):
            word = value.strip().lower()
            if word in _YES or word in _NO:
                return word in _YES
        shown = json.dumps(value, ensure_ascii=False, default=str)
        accepted = "true, false, 1, 0, yes or no" if self._from_text else "true or false"
        raise RowError(f"label is {shown[:40]}: {accepted} is expected")

    def text(self, record: Record, ours: str) -> str:
        return self._written(self._value(record, ours), ours)

    def _has_prompt(self, record: Record) -> bool:
        return self._data.columns.get("prompt", "prompt") in record

    def _cell(self, record: Record, name: str) -> str:
        """A column that the template names: ours, or any of the file."""
        if name == "prompt":
            return self.text(record, "prompt")
        value = record.get(name)
        if not isinstance(value, str):
            raise RowError(
                f"{name} is missing, which data.prompt_template names"
                if name not in record
                else f"{name} is {kind_of(value)}, not text"
            )
        return value

    def _value(self, record: Mapping[str, Any], ours: str) -> Any:
        theirs = self._data.columns.get(ours, ours)
        if theirs not in record:
            raise RowError(f"{theirs} is missing; {_advice(ours, sorted(record))}")
        return record[theirs]

    def _maybe_turns(self, record: Record, ours: str) -> str | list[Any]:
        """A text, or a list of messages."""
        value = self._value(record, ours)
        if isinstance(value, list):
            return value
        text = self._written(value, ours)
        if self._from_text and re.match(r'\s*\[\s*\{\s*"(?:role|content)"', text):
            return self._turns(record, ours)
        return text

    def _turns(self, record: Record, ours: str) -> list[Any]:
        value = self._value(record, ours)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError as error:
                raise RowError(f"{ours} is text, but no JSON list of messages: {error}") from None
        if not isinstance(value, list):
            raise RowError(f"{ours} is {kind_of(value)}, not a list of messages")
        return value

    def _written(self, value: object, ours: str) -> str:
        if not isinstance(value, str):
            raise RowError(f"{ours} is {kind_of(value)}, not text")
        if not value.strip():
            raise RowError(f"{ours} is empty")
        return value

    def _with_system(self, turns: tuple[Message, ...]) -> tuple[Message, ...]:
        if not self._data.system or (turns and turns[0]["role"] == "system"):
            return turns
        return ({"role": "system", "content": self._data.system}, *turns)
