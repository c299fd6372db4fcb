"""The service's feedback export -> rows to learn from: kto of votes, dpo and sft of corrections.

What each kind becomes:

vote         one kto row an answer, by the majority of those who voted; a draw becomes none
correction   a dpo pair, the correction before the answer; and a row of sft
ideal        a row of sft; it goes before any correction of the same question
comment      no row: counted, for a person to read

The same caller's later word on an answer replaces the earlier one, kind by kind. Of several
corrections of one question, the latest is the row of sft; pairs are kept for all that differ.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from finetune.errors import DataError
from finetune.grounded import Shown, grounded_prompt
from finetune.rows_read import read_records
from finetune.rows_schema import Message, Problem, folded

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Record = dict[str, Any]


class _Part(BaseModel):
    """Of a line of the export. Unknown keys are let pass: later services may say more."""

    model_config = ConfigDict(frozen=True)


class Turn(_Part):
    """An earlier message of the conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class ShownPassage(_Part):
    """What the answer was given from."""

    title: str
    text: Text


class Feedback(_Part):
    """One line of the export."""

    id: Text
    """Of the answer that it is about."""
    time: datetime
    kind: Literal["vote", "correction", "comment", "ideal"]
    value: bool | None = Field(None, strict=True)
    """Of a vote."""
    text: Text | None = None
    """Of the other kinds."""
    question: Text
    history: tuple[Turn, ...] = ()
    answer: Text
    passages: tuple[ShownPassage, ...] = ()
    adapter: str | None = None
    caller: Text

    def prompt(self) -> list[Message]:
        """What the model was asked, in the form of `grounded_prompt`."""
        shown = [Shown(one.title, one.text) for one in self.passages]
        return grounded_prompt(self.question, shown, _in_turn(self.history))

    def asked(self) -> str:
        """Equal for feedback on the same question in the same conversation and passages."""
        return "\0".join(folded(message["content"]) for message in self.prompt())


@dataclass(slots=True)
class FeedbackRows:
    """What an export becomes. Each row names the answers that it was made of, by id."""

    kto: list[Record] = field(default_factory=list)
    dpo: list[Record] = field(default_factory=list)
    sft: list[Record] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """What was read, and what became of it."""

    def to_json(self) -> dict[str, Any]:
        rows = {"kto": len(self.kto), "dpo": len(self.dpo), "sft": len(self.sft)}
        return {"rows": rows, **self.counts}


def read_feedback(path: Path) -> tuple[list[Feedback], list[Problem]]:
    """The export's lines in order of time, and those that do not follow the schema.

    Raises DataError where the file cannot be read or is none of lines.
    """
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        raise DataError(f"{path}: a feedback export is JSONL: python -m serve feedback export")
    found: list[Feedback] = []
    problems: list[Problem] = []
    records, _ = read_records(path)
    for item in records:
        if isinstance(item, Problem):
            problems.append(item)
            continue
        number, record = item
        try:
            one = Feedback.model_validate(record)
        except ValidationError as error:
            problems.append(Problem(number, _explained(error)))
            continue
        if reason := _unlike_its_kind(one):
            problems.append(Problem(number, reason))
        else:
            found.append(one)
    if not found and not problems:
        problems.append(Problem(0, "is empty: it holds no feedback"))
    return sorted(found, key=lambda one: (one.time.timestamp(), one.id)), problems


def convert(entries: Sequence[Feedback]) -> FeedbackRows:
    """Rows of the feedback, which is in order of time. Order and content depend on it alone."""
    kinds = Counter(one.kind for one in entries)
    kept = _latest(entries)
    rows = FeedbackRows()
    rows.counts = {f"{kind}s": kinds[kind] for kind in ("vote", "correction", "ideal", "comment")}
    rows.counts["superseded"] = len(entries) - len(kept)
    rows.kto, rows.counts["drawn_votes"] = _votes([one for one in kept if one.kind == "vote"])
    corrections = [one for one in kept if one.kind == "correction"]
    rows.dpo, rows.counts["corrections_without_change"] = _pairs(corrections)
    ideals = [one for one in kept if one.kind == "ideal"]
    rows.sft = _demonstrations([*corrections, *ideals])
    return rows


def write_rows(rows: FeedbackRows, folder: Path) -> list[Path]:
    """kto.jsonl, dpo.jsonl and sft.jsonl below `folder`; a file without rows is not written.

    Files of the same names are replaced, those that would be empty removed. Raises DataError.
    """
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, records in (("kto", rows.kto), ("dpo", rows.dpo), ("sft", rows.sft)):
            path = folder / f"{name}.jsonl"
            if not records:
                path.unlink(missing_ok=True)
                continue
            beside = path.with_suffix(".partial")
            lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
            beside.write_text("".join(lines), encoding="utf-8")
            beside.replace(path)
            written.append(path)
    except OSError as error:
        raise DataError(f"{folder} cannot be written to: {error.strerror}") from None
    return written


def _latest(entries: Iterable[Feedback]) -> list[Feedback]:
    """Each caller's last word of a kind on an answer."""
    last: dict[tuple[str, ...], Feedback] = {}
    for one in entries:
        key = (one.caller, one.kind, one.asked(), one.answer)
        last.pop(key, None)  # so that the order stays that of time
        last[key] = one
    return list(last.values())


def _votes(votes: Sequence[Feedback]) -> tuple[list[Record], int]:
    """One row an answer, and how many answers as many liked as disliked."""
    by_answer: dict[tuple[str, str], list[Feedback]] = defaultdict(list)
    for vote in votes:
        by_answer[vote.asked(), vote.answer].append(vote)
    rows: list[Record] = []
    drawn = 0
    for same in by_answer.values():
        liked = sum(vote.value is True for vote in same)
        if 2 * liked == len(same):
            drawn += 1
            continue
        rows.append(
            {
                "prompt": same[0].prompt(),
                "completion": same[0].answer,
                "label": 2 * liked > len(same),
                "votes": len(same),
                "answers": sorted({vote.id for vote in same}),
            }
        )
    return rows, drawn


def _pairs(corrections: Sequence[Feedback]) -> tuple[list[Record], int]:
    """Correction against answer, and how many corrections change nothing."""
    rows: dict[tuple[str, str, str], Record] = {}
    same = 0
    for one in corrections:
        if one.text is None or folded(one.text) == folded(one.answer):
            same += 1
            continue
        pair = {"prompt": one.prompt(), "chosen": one.text, "rejected": one.answer}
        row = rows.setdefault((one.asked(), one.text, one.answer), {**pair, "answers": []})
        row["answers"].append(one.id)
    return list(rows.values()), same


def _demonstrations(entries: Iterable[Feedback]) -> list[Record]:
    """One row a question: what comes later in `entries` replaces what came before."""
    rows: dict[str, Record] = {}
    for one in entries:
        answer = {"role": "assistant", "content": one.text}
        row = {"messages": [*one.prompt(), answer], "kind": one.kind, "answers": [one.id]}
        rows[one.asked()] = row
    return list(rows.values())


def _unlike_its_kind(one: Feedback) -> str:
    """Why an entry of the right types is none nevertheless, or nothing."""
    if one.kind == "vote" and one.value is None:
        return "value is missing: a vote is true or false"
    if one.kind != "vote" and one.text is None:
        return f"text is missing: a {one.kind} is a text"
    if one.time.tzinfo is None:
        return "time has no zone: write it in UTC, such as 2026-01-31T12:00:00Z"
    return ""


def _in_turn(history: Sequence[Turn]) -> list[Message]:
    """Earlier turns as templates demand them: from a question on, user and assistant in turn.

    Callers of the API may send others: turns of one role on end are joined, a last question that
    nobody answered is left out, and so are the caller's own system messages.
    """
    turns: list[Message] = []
    for turn in history:
        if turn.role == "system" or not turn.content.strip():
            continue
        if turns and turns[-1]["role"] == turn.role:
            turns[-1]["content"] += f"\n\n{turn.content}"
        elif turns or turn.role == "user":
            turns.append({"role": turn.role, "content": turn.content})
    return turns[:-1] if turns and turns[-1]["role"] == "user" else turns


def _explained(error: ValidationError) -> str:
    found = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        message = item["msg"][:1].lower() + item["msg"][1:]
        found.append(f"{where} is missing" if item["type"] == "missing" else f"{where}: {message}")
    return "; ".join(found)
