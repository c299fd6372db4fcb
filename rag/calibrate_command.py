"""What `python -m rag calibrate` prints."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from rag.calibrate import Estimates, Tradeoff, estimate, recommend, tradeoff
from rag.config import RagConfig
from rag.errors import EvaluationError
from rag.evaluation.corpus import Inputs, check_names, labelled, open_corpus
from rag.evaluation.progress import bar

out = Console(highlight=False, emoji=False)
_STEPS = np.arange(0.30, 0.81, 0.05)


def run(
    config: RagConfig,
    given: Inputs,
    unanswerable: Path | None,
    *,
    keep: float,
    limit: int,
    as_json: bool,
) -> None:
    """Ask the labelled questions and print what each threshold would do. Raises EvaluationError."""
    questions = labelled(given, unanswerable, limit)
    if not any(question.answerable for question in questions):
        raise EvaluationError("no question has a gold document: there is nothing to keep")
    knowledge = open_corpus(config, given, out)
    check_names(knowledge, questions, out)
    names = {document.id: document.name for document in knowledge.catalog.list_documents()}
    done = itertools.count(1)
    with bar("asking", len(questions)) as advance:
        estimates = estimate(
            knowledge, questions, names, knowledge.catalog.groups(), lambda: advance(next(done))
        )
    best = recommend(estimates, keep)
    now = tradeoff(estimates, config.retriever.min_relevance)
    if as_json:
        values = {"recommended": best, "configured": now}
        print(json.dumps({key: _jsonable(value) for key, value in values.items()}))
    else:
        _print(estimates, best, now)


def _print(estimates: Estimates, best: Tradeoff, now: Tradeoff) -> None:
    title = (
        f"{len(estimates.answerable)} answerable, {len(estimates.unanswerable)} unanswerable, "
        f"{len(estimates.left_out)} with their own documents left out"
    )
    table = Table("min_relevance", "answered", "refused", "refused, left out", title=title)
    rows = [tradeoff(estimates, float(step)) for step in _STEPS]
    for row in sorted([*rows, best, now], key=lambda row: row.threshold):
        mark = " recommended" if row is best else " configured" if row is now else ""
        shares = (row.answered, row.refused, row.refused_left_out)
        table.add_row(f"{row.threshold:.3f}{mark}", *(_percent(share) for share in shares))
    out.print(table)
    out.print(
        f"To use it, set retriever.min_relevance: {best.threshold:.3f} in your configuration. It "
        "was fitted on these questions: expect a little less on others.",
        soft_wrap=True,
    )


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:.0%}"


def _jsonable(row: Tradeoff) -> dict[str, float | None]:
    values = dataclasses.asdict(row)
    return {key: None if math.isnan(value) else round(value, 4) for key, value in values.items()}
