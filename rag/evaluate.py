"""Labelled questions -> hit@k, MRR@10, nDCG@10 of each way to search.

A document counts once, at the rank of its best passage. The measures themselves come from
ir-measures (trec_eval's definitions).
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import ir_measures

from rag.config import RagConfig, RetrieverConfig
from rag.errors import EvaluationError
from rag.generate import Generator
from rag.knowledge import Knowledge
from rag.retrieve import retrieve
from rag.rewrite import standalone_question
from rag.schema import Message, RawDocument

MEASURES = {
    "hit@1": ir_measures.Success @ 1,
    "hit@5": ir_measures.Success @ 5,
    "hit@10": ir_measures.Success @ 10,
    "mrr@10": ir_measures.RR @ 10,
    "ndcg@10": ir_measures.nDCG @ 10,
}
_DEPTH = 10
_PASSAGES = 100


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """`relevant` maps document names (for BEIR: ids) to grades above 0."""

    id: str
    text: str
    relevant: Mapping[str, int]
    history: tuple[Message, ...] = ()


def evaluate(
    knowledge: Knowledge,
    questions: Sequence[LabelledQuestion],
    groups: frozenset[str],
    generator: Generator | None = None,
    on_question: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, float]]:
    """Mode -> measure -> mean over the questions; the configured retriever is `default`."""
    configured = knowledge.config.retriever
    modes = {mode: configured.model_copy(update={"mode": mode}) for mode in _MODES}
    modes["default"] = configured
    run: dict[str, list[ir_measures.ScoredDoc]] = {mode: [] for mode in modes}
    for question in questions:
        query = asyncio.run(standalone_question(question.text, question.history, generator))
        for mode, settings in modes.items():
            names = _documents(knowledge, query, groups, settings)
            run[mode] += [
                ir_measures.ScoredDoc(question.id, name, float(-rank))
                for rank, name in enumerate(names)
            ]
        on_question()
    qrels = [
        ir_measures.Qrel(question.id, name, grade)
        for question in questions
        for name, grade in question.relevant.items()
    ]
    return {mode: _means(qrels, ranked) for mode, ranked in run.items()}


_MODES = ("lexical", "dense", "hybrid")


def _documents(
    knowledge: Knowledge, query: str, groups: frozenset[str], settings: RetrieverConfig
) -> list[str]:
    """Names of the best documents, each once."""
    hits = retrieve(knowledge, query, groups, _PASSAGES, settings=settings)
    uris = list(dict.fromkeys(hit.uri for hit in hits))[:_DEPTH]
    names = knowledge.catalog.names(uris)
    return [names[uri] for uri in uris]


def _means(
    qrels: Sequence[ir_measures.Qrel], run: Sequence[ir_measures.ScoredDoc]
) -> dict[str, float]:
    means = ir_measures.calc_aggregate(list(MEASURES.values()), qrels, run)
    return {name: round(float(means[measure]), 4) for name, measure in MEASURES.items()}


def read_questions(path: Path) -> list[LabelledQuestion]:
    """JSONL with `question`, `gold_docs` (names below the folder), optional `id`, `history`."""
    questions = []
    for number, row in _rows(path):
        try:
            gold, text = row["gold_docs"], str(row["question"])
        except KeyError as error:
            raise EvaluationError(f"{path}:{number}: has no {error}") from error
        if not isinstance(gold, list) or not all(isinstance(name, str) for name in gold):
            raise EvaluationError(f"{path}:{number}: `gold_docs` must be a list of names")
        history = _history_of(row, path, number)
        questions.append(
            LabelledQuestion(str(row.get("id", number)), text, dict.fromkeys(gold, 1), history)
        )
    return _some(questions, path)


def read_beir(queries: Path, qrels: Path) -> list[LabelledQuestion]:
    """BEIR's `queries.jsonl` (`_id`, `text`, optional `history`) with `qrels.tsv`.

    Queries without a judgement above 0 are left out, as BEIR does.
    """
    relevant: dict[str, dict[str, int]] = {}
    with _open(qrels) as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        for number, cells in enumerate(rows, start=1):
            if not cells or (number == 1 and not cells[-1].strip().lstrip("-").isdigit()):
                continue  # the header
            try:
                # TREC's own layout has a column of zeros between query and document.
                query_id, *_, document_id, grade_cell = cells
                grade = int(grade_cell)
            except ValueError as error:
                raise EvaluationError(
                    f"{qrels}:{number}: needs query id, document id and grade, tab-separated"
                ) from error
            if grade > 0:
                relevant.setdefault(query_id, {})[document_id] = grade
    questions = []
    for number, row in _rows(queries):
        if "_id" not in row or "text" not in row:
            raise EvaluationError(f"{queries}:{number}: needs `_id` and `text`")
        key = str(row["_id"])
        if key in relevant:
            history = _history_of(row, queries, number)
            questions.append(LabelledQuestion(key, str(row["text"]), relevant[key], history))
    return _some(questions, queries)


def beir_documents(corpus: Path) -> list[RawDocument]:
    """BEIR's `corpus.jsonl` (`_id`, `title`, `text`) as documents named by their ids."""
    documents = []
    for number, row in _rows(corpus):
        if "_id" not in row or "text" not in row:
            raise EvaluationError(f"{corpus}:{number}: needs `_id` and `text`")
        key, title = str(row["_id"]), str(row.get("title") or "").strip()
        text = f"# {title}\n\n{row['text']}" if title else str(row["text"])
        data = text.encode("utf-8", "replace")
        documents.append(RawDocument(f"beir:{key}", key, None, partial(bytes, data), ".md"))
    if not documents:
        raise EvaluationError(f"{corpus} holds no documents")
    return documents


def read_history(value: Any) -> tuple[Message, ...]:
    """Earlier turns: messages with `role` and `content`, or the user's bare questions."""
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


def _history_of(row: Mapping[str, Any], path: Path, number: int) -> tuple[Message, ...]:
    try:
        return read_history(row.get("history"))
    except ValueError as error:
        raise EvaluationError(f"{path}:{number}: `history`: {error}") from error


def evaluation_config(config: RagConfig, corpus: Path) -> RagConfig:
    """The same configuration over a catalog of the corpus' own, kept for the next run."""
    key = hashlib.sha256(str(corpus.resolve()).encode()).hexdigest()[:12]
    folder = config.data_dir / "evaluation" / f"{corpus.stem}-{key}"
    return config.model_copy(update={"data_dir": folder, "database_url": ""})


def _some(questions: list[LabelledQuestion], path: Path) -> list[LabelledQuestion]:
    if not questions:
        raise EvaluationError(f"{path} holds no labelled questions")
    twice = [key for key, n in Counter(question.id for question in questions).items() if n > 1]
    if twice:  # their rankings would be taken for one
        raise EvaluationError(f"{path}: the id '{twice[0]}' stands twice")
    return questions


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise EvaluationError(f"{path}:{number}: is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise EvaluationError(f"{path}:{number}: must be a JSON object")
            yield number, row


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{path} cannot be read as UTF-8 text: {error}") from error
