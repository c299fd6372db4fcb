"""A labelled set -> its questions, and an open catalog of exactly its documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from rag.catalog import Catalog
from rag.config import RagConfig
from rag.embed import Embedder, open_embedder
from rag.errors import EvaluationError
from rag.evaluation.evaluate import evaluation_config
from rag.evaluation.labels import (
    LabelledQuestion,
    beir_documents,
    read_beir,
    read_questions,
    read_unanswerable,
)
from rag.evaluation.progress import bar
from rag.ingest_command import ingest_with_bar
from rag.knowledge import Knowledge, open_knowledge
from rag.reembed import progress, reembed
from rag.schema import EVERYONE, Failure, RawDocument
from rag.sources.files import FileSource


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


def labelled(given: Inputs, unanswerable: Path | None, limit: int) -> list[LabelledQuestion]:
    """The questions of both files, of each the first `limit`. Raises EvaluationError."""
    most = limit or None
    if given.qrels:
        asked = read_beir(given.questions, given.qrels)[:most]
    else:
        asked = read_questions(given.questions)[:most]
    if unanswerable is not None:
        asked += read_unanswerable(unanswerable)[:most]
        seen: set[str] = set()
        for question in asked:
            if question.id in seen:
                raise EvaluationError(
                    f"the id '{question.id}' stands in {given.questions} and in "
                    f"{unanswerable}: give one of them another"
                )
            seen.add(question.id)
    return asked


def open_corpus(config: RagConfig, given: Inputs, out: Console) -> Knowledge:
    """The corpus' own catalog, brought up to what the corpus holds now."""
    items = _documents(given, config)
    config = evaluation_config(config, given.corpus)
    # Opened here and not cached: every question is timed as one that is asked for the first time.
    embedder = open_embedder(config.embedder)
    _embed_anew(config, embedder)
    knowledge = open_knowledge(config, embedder)
    # The catalog is this corpus' own: what an earlier run left of another state would count.
    present = {item.uri for item in items}
    knowledge.catalog.delete(i for uri, i in knowledge.catalog.uris().items() if uri not in present)
    report = ingest_with_bar(knowledge, items, frozenset({EVERYONE}), show=True)
    for failure in report.failures:
        out.print(
            f"[yellow]left out:[/] {escape(failure.name)}: {escape(failure.reason)}", soft_wrap=True
        )
    return knowledge


def _embed_anew(config: RagConfig, embedder: Embedder) -> None:
    """Give a catalog that another embedder has filled the vectors of the configured one."""
    catalog = Catalog(config)
    try:
        if catalog.embedder() in (None, embedder.fingerprint):
            return
        with bar("embedding anew", progress(catalog)[1]) as show:
            reembed(catalog, embedder, show)
    finally:
        catalog.close()


def _documents(given: Inputs, config: RagConfig) -> Sequence[RawDocument | Failure]:
    if given.qrels:
        return beir_documents(given.corpus)
    most = config.ingest.max_file_mb * 1024 * 1024
    items = list(FileSource([given.corpus], max_bytes=most).documents())
    if not items:
        raise EvaluationError(f"{given.corpus} holds no documents of a supported kind")
    return items


def check_names(knowledge: Knowledge, questions: Sequence[LabelledQuestion], out: Console) -> None:
    """Labels that name nothing in the corpus would count as misses: say so."""
    names = set(knowledge.catalog.names(list(knowledge.catalog.uris())).values())
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
