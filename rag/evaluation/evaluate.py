"""Labelled questions -> hit@k, recall@k, MRR@10, nDCG@10 of each way to search.

A document counts once, at the rank of its best passage. The measures themselves come from
ir-measures (trec_eval's definitions). Questions that the corpus cannot answer have no documents to
be found, so they are left out here; `rag.evaluation.answers` looks at them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ir_measures

from rag.config import RagConfig, RetrieverConfig
from rag.embed import Embedder
from rag.errors import EvaluationError
from rag.evaluation.labels import (
    LabelledQuestion,
    beir_documents,
    read_beir,
    read_history,
    read_questions,
    read_unanswerable,
)
from rag.generate import Generator
from rag.knowledge import Knowledge
from rag.retrieve import retrieve
from rag.rewrite import standalone
from rag.schema import Wordings

__all__ = [
    "DEPTH",
    "MEASURES",
    "MODES",
    "LabelledQuestion",
    "RankedDocument",
    "beir_documents",
    "evaluate",
    "evaluation_config",
    "measure_ranking",
    "rank_documents",
    "read_beir",
    "read_history",
    "read_questions",
    "read_unanswerable",
    "search_modes",
    "with_embedder",
]

MEASURES = {
    "hit@1": ir_measures.Success @ 1,
    "hit@5": ir_measures.Success @ 5,
    "hit@10": ir_measures.Success @ 10,
    "recall@5": ir_measures.R @ 5,
    "recall@10": ir_measures.R @ 10,
    "recall@20": ir_measures.R @ 20,
    "mrr@10": ir_measures.RR @ 10,
    "ndcg@10": ir_measures.nDCG @ 10,
}
MODES = ("lexical", "dense", "hybrid", "default")
"""`default` is the retriever as it is configured."""
DEPTH = 20
"""Documents looked at; they come from the best `_PASSAGES` passages, so there may be fewer."""
_PASSAGES = 60
_CACHED = 16


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """`score` is that of its best passage, comparable within one search only."""

    name: str
    score: float


def evaluate(
    knowledge: Knowledge,
    questions: Sequence[LabelledQuestion],
    groups: frozenset[str],
    generator: Generator | None = None,
    on_question: Callable[[], None] = lambda: None,
    modes: Sequence[str] = MODES,
) -> dict[str, dict[str, float]]:
    """Mode -> measure -> mean over the answerable questions, to four places.

    `generator` rewrites follow-ups; None puts the former question's words before them.
    """
    settings = search_modes(knowledge.config, modes)
    sums = {mode: dict.fromkeys(MEASURES, 0.0) for mode in modes}
    for question in questions:
        if question.answerable:
            asked = asyncio.run(standalone(question.text, question.history, generator))
            rankings = rank_documents(knowledge, asked.query, groups, settings, asked.wordings)
            for mode, ranking in rankings.items():
                for name, value in measure_ranking(question.relevant, ranking).items():
                    sums[mode][name] += value
        on_question()
    count = max(1, sum(question.answerable for question in questions))
    return {
        mode: {name: round(total / count, 4) for name, total in totals.items()}
        for mode, totals in sums.items()
    }


def search_modes(config: RagConfig, modes: Sequence[str]) -> dict[str, RetrieverConfig]:
    """Mode -> the settings that it searches with. Raises EvaluationError for an unknown mode."""
    unknown = [mode for mode in modes if mode not in MODES]
    if unknown or not modes:
        named = f"'{unknown[0]}' is no mode of search" if unknown else "no mode of search is named"
        raise EvaluationError(f"{named}: --modes takes some of {','.join(MODES)}")
    own = config.retriever
    return {
        mode: own if mode == "default" else own.model_copy(update={"mode": mode})
        for mode in dict.fromkeys(modes)
    }


def rank_documents(
    knowledge: Knowledge,
    query: str,
    groups: frozenset[str],
    settings: Mapping[str, RetrieverConfig],
    wordings: Wordings = (),
) -> dict[str, list[RankedDocument]]:
    """Mode -> the best documents, each once, best first."""
    # The question is embedded once for all modes: the knowledge base remembers its vector.
    rankings: dict[str, list[RankedDocument]] = {}
    for mode, these in settings.items():
        same = next((done for done in rankings if settings[done] == these), None)
        rankings[mode] = (
            rankings[same] if same else _search(knowledge, query, groups, these, wordings)
        )
    return rankings


def _search(
    knowledge: Knowledge,
    query: str,
    groups: frozenset[str],
    settings: RetrieverConfig,
    wordings: Wordings,
) -> list[RankedDocument]:
    hits = retrieve(knowledge, query, groups, _PASSAGES, settings=settings, wordings=wordings)
    best: dict[str, float] = {}
    for hit in hits:
        best.setdefault(hit.uri, hit.score)
    uris = list(best)[:DEPTH]
    names = knowledge.catalog.names(uris)
    return [RankedDocument(names[uri], best[uri]) for uri in uris if uri in names]


def with_embedder(knowledge: Knowledge, embedder: Embedder) -> Knowledge:
    """The same knowledge base through another door to the same embedder, cached or timed."""
    return Knowledge(knowledge.config, knowledge.catalog, embedder, knowledge.index, embedder)


def measure_ranking(
    relevant: Mapping[str, int], ranking: Sequence[RankedDocument]
) -> dict[str, float]:
    """Measure -> value for one question; nothing found is 0 throughout."""
    qrels = [ir_measures.Qrel("", name, grade) for name, grade in relevant.items()]
    run = [ir_measures.ScoredDoc("", item.name, float(-i)) for i, item in enumerate(ranking)]
    found = {
        metric.measure: float(metric.value)
        for metric in ir_measures.iter_calc(list(MEASURES.values()), qrels, run)
    }
    return {name: found.get(measure, 0.0) for name, measure in MEASURES.items()}


def evaluation_config(config: RagConfig, corpus: Path) -> RagConfig:
    """The same configuration over a catalog of the corpus' own, kept for the next run."""
    key = hashlib.sha256(str(corpus.resolve()).encode()).hexdigest()[:12]
    folder = config.data_dir / "evaluation" / f"{corpus.stem}-{key}"
    return config.model_copy(update={"data_dir": folder, "database_url": ""})
