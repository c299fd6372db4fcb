"""A labelled question -> everything that is measured of it, through the code that serves users."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.answerable import relevance
from rag.config import RerankerConfig, RetrieverConfig
from rag.embed import Embedder
from rag.errors import GenerationError
from rag.evaluation.answers import Answer, answer_question, measure_answer
from rag.evaluation.evaluate import measure_ranking, rank_documents, search_modes, with_embedder
from rag.evaluation.labels import LabelledQuestion
from rag.evaluation.means import ANSWERS, QUOTATIONS
from rag.evaluation.run import FoundDocument, KeptAnswer, QuestionResult, Ranking, labelled_alike
from rag.generate import Generator
from rag.knowledge import Knowledge
from rag.retrieve import Found, search
from rag.rewrite import Standalone, standalone

_KEPT = 10
_WARM_UP = "What has to be loaded?"
"""The first search of a process loads what later ones find loaded: it is not timed."""
_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is measured, and as which caller. `generator` None answers with quotations alone."""

    modes: tuple[str, ...]
    answers: bool
    generator: Generator | None = None
    groups: frozenset[str] = frozenset()

    @property
    def answerers(self) -> dict[str, Generator | None]:
        """Scope -> generator. Quotations alone are the yardstick of every other generator."""
        if not self.answers:
            return {}
        own = {ANSWERS: self.generator}
        return own if self.generator is None else {**own, QUOTATIONS: None}


class TimedEmbedder:
    """See `rag.embed.Embedder`; adds up the seconds spent in `encode`."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self.dimension = inner.dimension
        self.fingerprint = inner.fingerprint
        self.token_starts = inner.token_starts
        self.seconds = 0.0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        start = time.perf_counter()
        try:
            return self._inner.encode(texts)
        finally:
            self.seconds += time.perf_counter() - start


def measure(
    knowledge: Knowledge,
    questions: Sequence[LabelledQuestion],
    wanted: Wanted,
    kept: Mapping[str, QuestionResult],
    on_result: Callable[[QuestionResult], None],
) -> None:
    """Hand a result to `on_result` for each question in turn; those in `kept` are taken over.

    Closes the generator. Raises GenerationError, naming the question.
    """
    settings = search_modes(knowledge.config, wanted.modes)
    # One event loop for all: a client's connections belong to the loop that they began in.
    with asyncio.Runner() as runner:
        try:
            _probe(knowledge, Standalone(_WARM_UP, ()), wanted.groups)
            for question in questions:
                result = _taken_over(kept.get(question.id), question, wanted)
                if result is None:
                    result = runner.run(_measure(knowledge, question, wanted, settings))
                on_result(result)
        finally:
            if wanted.generator is not None:
                runner.run(wanted.generator.close())


async def _measure(
    knowledge: Knowledge,
    question: LabelledQuestion,
    wanted: Wanted,
    settings: Mapping[str, RetrieverConfig],
) -> QuestionResult:
    rewriter = wanted.generator if knowledge.config.rewrite.mode == "generator" else None
    try:
        asked = await standalone(question.text, question.history, rewriter)
        estimate, times = _probe(knowledge, asked, wanted.groups)
        answers = {}
        for scope, generator in wanted.answerers.items():
            answer = await answer_question(
                knowledge, generator, asked.query, wanted.groups, asked.wordings
            )
            times |= _answer_times(answer, scope)
            answers[scope] = _keep(knowledge, answer, question)
    except GenerationError as error:
        raise GenerationError(f"at question '{question.id}': {error}") from error
    return QuestionResult(
        id=question.id,
        question=question.text,
        history=[turn.content for turn in question.history],
        gold=dict(question.relevant),
        references=list(question.references),
        query=asked.query,
        relevance=round(estimate, 4),
        rankings=_rankings(knowledge, asked, question, wanted.groups, settings),
        answers=answers,
        times={stage: round(ms, 3) for stage, ms in times.items()},
    )


def _probe(
    knowledge: Knowledge, asked: Standalone, groups: frozenset[str]
) -> tuple[float, dict[str, float]]:
    """The relevance that decides about an answer, and milliseconds by stage on the way to it."""
    found, seconds = _timed_search(knowledge, asked, groups)
    if knowledge.config.reranker.provider != "none":
        _, without = _timed_search(_without_reranker(knowledge), asked, groups)
        seconds["rerank"] = max(0.0, seconds["search"] - without["search"])
        seconds["search"] = without["search"]
    start = time.perf_counter()
    estimate = relevance(knowledge, asked.query, found.hits, found.contrast)
    seconds["relevance"] = time.perf_counter() - start
    return estimate, {stage: value * _MS for stage, value in seconds.items()}


def _timed_search(
    knowledge: Knowledge, asked: Standalone, groups: frozenset[str]
) -> tuple[Found, dict[str, float]]:
    embedder = TimedEmbedder(knowledge.embedder)
    timed = with_embedder(knowledge, embedder)
    start = time.perf_counter()
    most = knowledge.config.prompt.max_passages
    found = search(timed, asked.query, groups, most, wordings=asked.wordings)
    seconds = {"search": time.perf_counter() - start - embedder.seconds}
    return found, {"embed_question": embedder.seconds, **seconds} if embedder.seconds else seconds


def _without_reranker(knowledge: Knowledge) -> Knowledge:
    config = knowledge.config.model_copy(update={"reranker": RerankerConfig()})
    embedder = knowledge.embedder
    return Knowledge(config, knowledge.catalog, embedder, knowledge.index, embedder)


def _rankings(
    knowledge: Knowledge,
    asked: Standalone,
    question: LabelledQuestion,
    groups: frozenset[str],
    settings: Mapping[str, RetrieverConfig],
) -> dict[str, Ranking]:
    """Nothing for a question that no document answers."""
    if not question.answerable:
        return {}
    found = {}
    every = rank_documents(knowledge, asked.query, groups, settings, asked.wordings)
    for mode, ranking in every.items():
        ranks = [rank for rank, item in enumerate(ranking, 1) if item.name in question.relevant]
        found[mode] = Ranking(
            documents=[
                FoundDocument(name=item.name, score=round(item.score, 4))
                for item in ranking[:_KEPT]
            ],
            rank=min(ranks, default=None),
            measures=measure_ranking(question.relevant, ranking),
        )
    return found


def _keep(knowledge: Knowledge, answer: Answer, question: LabelledQuestion) -> KeptAnswer:
    by_uri = knowledge.catalog.names([hit.uri for hit in answer.cited])
    names = [by_uri.get(hit.uri, hit.uri) for hit in answer.cited]
    return KeptAnswer(
        text=answer.text.encode("utf-8", "replace").decode(),  # an endpoint may send half letters
        abstained=answer.abstained,
        cited=names,
        measures=measure_answer(answer, question.references, question.relevant, names),
    )


def _answer_times(answer: Answer, scope: str) -> dict[str, float]:
    if scope == QUOTATIONS:
        return {} if answer.abstained else {"quotations": answer.whole_s * _MS}
    if answer.abstained:
        return {"refusal": answer.whole_s * _MS}
    first = answer.whole_s if answer.first_s is None else answer.first_s
    return {"first_sentence": first * _MS, "whole_answer": answer.whole_s * _MS}


def _taken_over(
    kept: QuestionResult | None, question: LabelledQuestion, wanted: Wanted
) -> QuestionResult | None:
    """What is wanted of a kept result, if all of that is there."""
    modes = wanted.modes if question.answerable else ()
    if (
        kept is None
        or not labelled_alike(kept, question)
        or not set(modes) <= kept.rankings.keys()
        or not wanted.answerers.keys() <= kept.answers.keys()
    ):
        return None
    return kept.model_copy(
        update={
            "rankings": {mode: kept.rankings[mode] for mode in modes},
            "answers": {scope: kept.answers[scope] for scope in wanted.answerers},
        }
    )
