"""What `python -m rag evaluate` measures, prints and keeps."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from rag.config import RagConfig
from rag.errors import EvaluationError
from rag.evaluation.compare import compare, lost
from rag.evaluation.corpus import Inputs, check_names, inputs, labelled, open_corpus
from rag.evaluation.evaluate import MODES, search_modes
from rag.evaluation.gates import Gate, check_measured, missed, parse_gates
from rag.evaluation.labels import LabelledQuestion
from rag.evaluation.means import ANSWERS, QUOTATIONS, columns, latencies, means
from rag.evaluation.measure import Wanted, measure
from rag.evaluation.progress import bar
from rag.evaluation.report import html_report, read_report
from rag.evaluation.run import (
    QuestionResult,
    Run,
    new_run,
    read_run,
    resumable,
    writable,
    write_run,
    write_whole,
)
from rag.evaluation.tables import print_comparison, print_run
from rag.generate import Generator, open_generator
from rag.knowledge import Knowledge

__all__ = ["Inputs", "Options", "compare_runs", "inputs", "run"]

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)

_SAVE_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured, and where it goes. `limit` 0 is no limit."""

    limit: int = 0
    unanswerable: Path | None = None
    modes: str = ",".join(MODES)
    answers: bool = False
    output: Path | None = None
    resume: bool = False
    report: Path | None = None
    fail_below: str | None = None
    as_json: bool = False


def run(config: RagConfig, given: Inputs, options: Options) -> bool:
    """Ingest the corpus (or find it unchanged), ask every question, print the means.

    Whether all gates were met. Raises RagError.
    """
    modes, gates = _checked(config, options)
    asked = labelled(given, options.unanswerable, options.limit)
    if not options.answers and not any(question.answerable for question in asked):
        raise EvaluationError(
            f"no question of {given.questions} names documents that answer it: retrieval cannot be "
            "measured; --answers measures how often they are refused"
        )
    knowledge = open_corpus(config, given, out)
    try:
        check_names(knowledge, asked, out)
        generator = _generator(config, options, asked)
        wanted = Wanted(modes, options.answers, generator)
        done = _measured(knowledge, asked, wanted, new_run(knowledge, given.corpus), options)
    finally:
        knowledge.close()
    print_run(out, done)
    if options.report is not None:
        write_whole(options.report, html_report(done))
    for path in filter(None, (options.output, options.report)):
        out.print(f"written: {escape(str(path))}", soft_wrap=True)
    misses = _tell(missed(gates, done.means))
    if options.as_json:
        print(json.dumps(_summary(done, misses)))
    return not misses


def compare_runs(
    paths: tuple[Path, Path],
    *,
    intersection: bool = False,
    fail_below: str | None = None,
    max_drop: float | None = None,
    as_json: bool = False,
) -> bool:
    """Print what changed from the first kept run to the second; whether all gates were met."""
    gates = parse_gates(fail_below) if fail_below is not None else []
    a, b = map(read_run, paths)
    found = compare(a, b, intersection)
    after: dict[str, dict[str, float]] = {}
    for difference in found.differences:
        after.setdefault(difference.scope, {})[difference.measure] = round(difference.b, 4)
    check_measured(gates, list(after))
    print_comparison(out, a, b, [str(path) for path in paths], found)
    misses = missed(gates, after)
    if max_drop is not None:
        misses += lost(found, max_drop)
    _tell(misses)
    if as_json:
        print(json.dumps({**found.as_json(), "missed": misses}))
    return not misses


def _checked(config: RagConfig, options: Options) -> tuple[tuple[str, ...], list[Gate]]:
    """Modes and gates; whatever is wrong with the options is said before anything is measured."""
    modes = tuple(filter(None, (mode.strip() for mode in options.modes.split(","))))
    search_modes(config, modes)
    gates = parse_gates(options.fail_below) if options.fail_below is not None else []
    scopes = [*modes]
    if options.answers:
        scopes += [ANSWERS, *([QUOTATIONS] if config.generator.provider != "extractive" else [])]
    check_measured(gates, scopes)
    if options.resume and options.output is None:
        raise EvaluationError("--resume goes on with the file that --output names: name it")
    if options.output is not None:
        writable(options.output, read_run)
    if options.report is not None:
        writable(options.report, read_report)
    return modes, gates


def _generator(
    config: RagConfig, options: Options, asked: Sequence[LabelledQuestion]
) -> Generator | None:
    """The configured one, where answers are measured or follow-ups rewritten by it."""
    rewrites = config.rewrite.mode == "generator" and any(question.history for question in asked)
    return open_generator(config.generator) if options.answers or rewrites else None


def _measured(
    knowledge: Knowledge,
    asked: Sequence[LabelledQuestion],
    wanted: Wanted,
    fresh: Run,
    options: Options,
) -> Run:
    """The run with all its results; what there is of it is kept on the way and on an error."""
    kept = _kept(fresh, options)
    results: list[QuestionResult] = []
    saved = time.monotonic()

    def save() -> None:
        nonlocal saved
        if options.output is not None and results:
            write_run(_whole(fresh, results, len(asked)), options.output)
        saved = time.monotonic()

    with bar("asking", len(asked)) as show:

        def on_result(result: QuestionResult) -> None:
            results.append(result)
            show(len(results))
            if time.monotonic() - saved > _SAVE_EVERY_S:
                save()

        try:
            measure(knowledge, asked, wanted, kept, on_result)
        finally:
            save()
    return _whole(fresh, results, len(asked))


def _kept(fresh: Run, options: Options) -> dict[str, QuestionResult]:
    if not options.resume or options.output is None or not options.output.exists():
        return {}
    before = read_run(options.output)
    resumable(before, fresh, options.output)
    return {result.id: result for result in before.questions}


def _whole(fresh: Run, results: Sequence[QuestionResult], asked: int) -> Run:
    return fresh.model_copy(
        update={
            "written": datetime.now(UTC),
            "complete": len(results) == asked,
            "means": means(columns(results)),
            "latency_ms": latencies(results),
            "questions": list(results),
        }
    )


def _tell(misses: list[str]) -> list[str]:
    for miss in misses:
        err.print(f"[bold red]gate missed:[/] {escape(miss)}", soft_wrap=True)
    return misses


def _summary(run: Run, misses: list[str]) -> dict[str, object]:
    return {
        **run.means,
        "questions": len(run.questions),
        "unanswerable": sum(not question.answerable for question in run.questions),
        "documents": run.corpus.documents,
        "latency_ms": run.latency_ms,
        "missed": misses,
    }
