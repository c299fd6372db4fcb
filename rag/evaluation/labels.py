"""Labelled questions and corpora as they lie in files: our JSONL layout, and BEIR's.

Every bad row of a file is reported at once, each by its line, so that a file is mended in one go.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO, TypeVar

from rag.errors import EvaluationError
from rag.schema import Message, RawDocument

T = TypeVar("T")

_MOST_PROBLEMS = 50


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """`relevant` maps document names (for BEIR: ids) to grades above 0; where it is empty, the
    corpus holds no answer and the right reply is to say so. `references` are answers that a person
    has written or checked, any of which will do.
    """

    id: str
    text: str
    relevant: Mapping[str, int]
    history: tuple[Message, ...] = ()
    references: tuple[str, ...] = ()

    @property
    def answerable(self) -> bool:
        return bool(self.relevant)


def read_questions(path: Path) -> list[LabelledQuestion]:
    """JSONL with `question`, `gold_docs` (names below the folder), optional `id`, `history`,
    `answer`, `answers`; a row with `"answerable": false` needs no `gold_docs`.
    """
    seen: dict[str, int] = {}

    def convert(number: int, row: Mapping[str, Any]) -> LabelledQuestion:
        return _question(row, _id_of(row, str(number), number, seen), _gold(row))

    return _some(_each(path, convert), path)


def read_unanswerable(path: Path) -> list[LabelledQuestion]:
    """JSONL of questions that the corpus cannot answer: `question`, optional `id`, `history`."""
    seen: dict[str, int] = {}

    def convert(number: int, row: Mapping[str, Any]) -> LabelledQuestion:
        if row.get("answerable") not in (None, False) or row.get("gold_docs"):
            raise ValueError("is labelled as answerable: it belongs into --questions")
        return _question(row, _id_of(row, f"unanswerable-{number}", number, seen), {})

    return _some(_each(path, convert), path)


def read_beir(queries: Path, qrels: Path) -> list[LabelledQuestion]:
    """BEIR's `queries.jsonl` (`_id`, `text`, optional `history`, `answer`, `answers`) with
    `qrels.tsv`.

    Queries without a judgement above 0 are left out, as BEIR does.
    """
    relevant = _judgements(qrels)
    seen: dict[str, int] = {}

    def convert(number: int, row: Mapping[str, Any]) -> LabelledQuestion | None:
        if "_id" not in row or "text" not in row:
            raise ValueError("needs `_id` and `text`")
        if str(row["_id"]) not in relevant:
            return None
        key = _id_of({"id": row["_id"]}, "", number, seen)
        return _question({**row, "question": str(row["text"])}, key, relevant[key])

    return _some(_each(queries, convert), queries)


def beir_documents(corpus: Path) -> list[RawDocument]:
    """BEIR's `corpus.jsonl` (`_id`, `title`, `text`) as documents named by their ids."""

    def convert(_number: int, row: Mapping[str, Any]) -> RawDocument:
        if "_id" not in row or "text" not in row:
            raise ValueError("needs `_id` and `text`")
        key, title = str(row["_id"]), str(row.get("title") or "").strip()
        text = f"# {title}\n\n{row['text']}" if title else str(row["text"])
        data = text.encode("utf-8", "replace")
        return RawDocument(f"beir:{key}", key, None, partial(bytes, data), ".md")

    documents = _each(corpus, convert)
    if not documents:
        raise EvaluationError(f"{corpus} holds no documents")
    return documents


def read_history(value: Any) -> tuple[Message, ...]:
    """Earlier turns: messages with `role` and `content`, or the user's bare questions.

    Raises ValueError.
    """
    if not isinstance(value or [], list):
        raise ValueError("must be a list of turns")
    turns = []
    for turn in value or ():
        if isinstance(turn, str):
            turns.append(Message("user", turn))
        elif isinstance(turn, dict):
            content = turn.get("content", turn.get("text", ""))
            turns.append(Message(str(turn.get("role", "user")), str(content)))
        else:
            raise ValueError(f"a turn is a text or a message, not {turn!r}")
    return tuple(turns)


def _question(row: Mapping[str, Any], key: str, relevant: Mapping[str, int]) -> LabelledQuestion:
    if "question" not in row:
        raise ValueError("has no 'question'")
    text = row["question"]
    if not isinstance(text, str) or not text.strip():
        raise ValueError("the question must be a text")
    try:
        history = read_history(row.get("history"))
    except ValueError as error:
        raise ValueError(f"`history`: {error}") from error
    return LabelledQuestion(key, text, relevant, history, _references(row))


def _id_of(row: Mapping[str, Any], default: str, number: int, seen: dict[str, int]) -> str:
    """Unique within the file: the rankings of two questions would be taken for one."""
    key = default if row.get("id") is None else str(row["id"])
    if key in seen:
        raise ValueError(f"the id '{key}' stands twice, first in line {seen[key]}")
    seen[key] = number
    return key


def _gold(row: Mapping[str, Any]) -> dict[str, int]:
    answerable = row.get("answerable", True)
    if not isinstance(answerable, bool):
        raise ValueError("`answerable` must be true or false")
    if not answerable:
        if row.get("gold_docs"):
            raise ValueError("`answerable` is false, yet `gold_docs` names documents")
        return {}
    if "gold_docs" not in row:
        raise ValueError("has no 'gold_docs'")
    gold = row["gold_docs"]
    if not isinstance(gold, list) or not all(isinstance(name, str) for name in gold):
        raise ValueError("`gold_docs` must be a list of names")
    return dict.fromkeys(gold, 1)


def _references(row: Mapping[str, Any]) -> tuple[str, ...]:
    several = row.get("answers")
    if not isinstance(several or [], list):
        raise ValueError("`answers` must be a list of texts")
    references = [row.get("answer"), *(several or ())]
    if not all(isinstance(reference, str | None) for reference in references):
        raise ValueError("`answer` must be a text, `answers` a list of texts")
    return tuple(dict.fromkeys(text for text in references if text and text.strip()))


def _judgements(qrels: Path) -> dict[str, dict[str, int]]:
    """Query id -> document id -> grade above 0."""
    relevant: dict[str, dict[str, int]] = {}
    problems = []
    with _open(qrels) as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        for number, cells in enumerate(rows, start=1):
            if not cells or (number == 1 and not cells[-1].strip().lstrip("-").isdigit()):
                continue  # the header
            try:
                # TREC's own layout has a column of zeros between query and document.
                query_id, *_, document_id, grade_cell = cells
                grade = int(grade_cell)
            except ValueError:
                problems.append(
                    f"{qrels}:{number}: needs query id, document id and grade, tab-separated"
                )
                continue
            if grade > 0:
                relevant.setdefault(query_id, {})[document_id] = grade
    _refuse(problems)
    return relevant


def _each(path: Path, convert: Callable[[int, Mapping[str, Any]], T | None]) -> list[T]:
    """What `convert` makes of each row of a JSONL file; its ValueErrors are reported together."""
    found: list[T] = []
    problems: list[str] = []
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                made = convert(number, _row(line))
            except ValueError as error:
                problems.append(f"{path}:{number}: {error}")
                continue
            if made is not None:
                found.append(made)
    _refuse(problems)
    return found


def _row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if "\\u" in line:  # an escaped half of a character, which no file and no model takes
            row = json.loads(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace"))
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("is not JSON that can be read: it is nested too deeply") from error
    if not isinstance(row, dict):
        raise ValueError("must be a JSON object")
    return row


def _refuse(problems: Sequence[str]) -> None:
    if not problems:
        return
    lines = list(problems[:_MOST_PROBLEMS])
    if more := problems[_MOST_PROBLEMS:]:
        last = more[-1].partition(": ")[0].rpartition(":")[2]
        lines.append(f"and {len(more)} more bad rows, the last in line {last}")
    raise EvaluationError("\n".join(lines))


def _some(questions: list[LabelledQuestion], path: Path) -> list[LabelledQuestion]:
    if not questions:
        raise EvaluationError(f"{path} holds no labelled questions")
    return questions


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{path} cannot be read as UTF-8 text: {error}") from error
