"""What `python -m rag evaluate` reads and prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from rag.config import RagConfig
from rag.errors import EvaluationError
from rag.evaluate import (
    MEASURES,
    LabelledQuestion,
    beir_documents,
    evaluate,
    evaluation_config,
    read_beir,
    read_questions,
)
from rag.ingest_command import ingest_with_bar
from rag.knowledge import open_knowledge
from rag.schema import EVERYONE, Failure, RawDocument
from rag.source import FileSource

out = Console(highlight=False, emoji=False)


@dataclass(frozen=True, slots=True)
class Inputs:
    """A labelled set: where its documents come from, and its questions."""

    corpus: Path
    questions: Path
    qrels: Path | None


def inputs(
    questions: Path | None,
    documents: Path | None,
    corpus: Path | None,
    queries: Path | None,
    qrels: Path | None,
) -> Inputs | None:
    """One of the two layouts, or None where neither is whole or both are mixed."""
    ours, beir = (questions, documents), (corpus, queries, qrels)
    if questions and documents and not any(beir):
        return Inputs(documents, questions, None)
    if corpus and queries and qrels and not any(ours):
        return Inputs(corpus, queries, qrels)
    return None


def run(config: RagConfig, given: Inputs, limit: int, as_json: bool) -> None:
    """Ingest the corpus (or find it unchanged), ask every question, print the means."""
    asked = (
        read_beir(given.questions, given.qrels) if given.qrels else read_questions(given.questions)
    )
    asked = asked[:limit] if limit else asked
    items = _documents(given, config)
    knowledge = open_knowledge(evaluation_config(config, given.corpus))
    # The catalog is this corpus' own: what an earlier run left of another state would count.
    present = {item.uri for item in items}
    knowledge.catalog.delete(i for uri, i in knowledge.catalog.uris().items() if uri not in present)
    report = ingest_with_bar(knowledge, items, frozenset({EVERYONE}), show=True)
    for failure in report.failures:
        out.print(
            f"[yellow]left out:[/] {escape(failure.name)}: {escape(failure.reason)}", soft_wrap=True
        )
    _check_names(asked, set(knowledge.catalog.names(list(knowledge.catalog.uris())).values()))
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("asking", total=len(asked))
        means = evaluate(knowledge, asked, frozenset(), on_question=lambda: bar.advance(task))
    _print(means, len(asked), knowledge.catalog.count())
    if as_json:
        counts = {"questions": len(asked), "documents": knowledge.catalog.count()}
        print(json.dumps({**means, **counts}))


def _documents(given: Inputs, config: RagConfig) -> Sequence[RawDocument | Failure]:
    if given.qrels:
        return beir_documents(given.corpus)
    most = config.ingest.max_file_mb * 1024 * 1024
    items = list(FileSource([given.corpus], max_bytes=most).documents())
    if not items:
        raise EvaluationError(f"{given.corpus} holds no documents of a supported kind")
    return items


def _check_names(questions: Sequence[LabelledQuestion], names: set[str]) -> None:
    """Labels that name nothing in the corpus would count as misses: say so."""
    labelled = {name for question in questions for name in question.relevant}
    if labelled and not labelled & names:
        example = sorted(labelled)[0]
        raise EvaluationError(
            f"none of the labelled documents is in the corpus, for instance '{example}': "
            "labels are names below the folder, or BEIR ids"
        )
    if missing := sorted(labelled - names):
        out.print(
            f"[yellow]not in the corpus:[/] {len(missing)} labels, such as {escape(missing[0])}"
        )


def _print(means: dict[str, dict[str, float]], questions: int, documents: int) -> None:
    table = Table("search", *MEASURES, title=f"{questions} questions, {documents} documents")
    for mode, values in means.items():
        table.add_row(mode, *(f"{values[name]:.3f}" for name in MEASURES))
    out.print(table)
