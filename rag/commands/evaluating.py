"""Measure on labelled questions; fit the threshold of refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rag.commands.options import DEFAULT_CONFIG, FAILED, ConfigOption, JsonOption, Overrides, load


def evaluate(
    overrides: Overrides = None,
    questions: Annotated[
        Path | None,
        typer.Option(help="JSONL: question, gold_docs, optional history and answer."),
    ] = None,
    documents: Annotated[
        Path | None, typer.Option(help="The folder those names lie below.")
    ] = None,
    corpus: Annotated[Path | None, typer.Option(help="BEIR's corpus.jsonl.")] = None,
    queries: Annotated[Path | None, typer.Option(help="BEIR's queries.jsonl.")] = None,
    qrels: Annotated[Path | None, typer.Option(help="BEIR's qrels.tsv.")] = None,
    unanswerable: Annotated[
        Path | None, typer.Option(help="JSONL of questions that the documents cannot answer.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Only the first N questions (of each file).")
    ] = 0,
    modes: Annotated[
        str, typer.Option(help="Which searches to measure.")
    ] = "lexical,dense,hybrid,default",
    answers: Annotated[
        bool, typer.Option("--answers", help="Also measure answers, citations and refusals.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Keep the run in this JSON file.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what --output holds already.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report.")] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A.json B.json", help="Compare two kept runs instead."),
    ] = None,
    intersection: Annotated[
        bool, typer.Option("--intersection", help="Compare the questions that both runs hold.")
    ] = False,
    fail_below: Annotated[
        str | None, typer.Option(metavar="MEASURE=FLOOR,...", help="Exit code 1 below a floor.")
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="With --compare: exit code 1 for a clear drop beyond it."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object as the last line.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Measure retrieval, and with --answers what users are told; compare two runs; gate a build.

    Either `--questions` with `--documents`, or `--corpus` with `--queries` and `--qrels`. The
    documents go into a catalog of their own below `data_dir`/evaluation, so a second run is quick.
    `default` is what the server uses. `docs/evaluating.md` explains every number.

    Example: `python -m rag evaluate --questions qa.jsonl --documents docs --fail-below hit@5=0.9`
    """
    from rag.evaluation import command as evaluate_command

    if compare is not None:
        if any((questions, documents, corpus, queries, qrels, unanswerable, output, report)):
            raise typer.BadParameter("--compare reads two kept runs and measures nothing anew")
        ok = evaluate_command.compare_runs(
            compare,
            intersection=intersection,
            fail_below=fail_below,
            max_drop=max_drop,
            as_json=as_json,
        )
        raise typer.Exit(0 if ok else FAILED)
    inputs = evaluate_command.inputs(questions, documents, corpus, queries, qrels)
    if inputs is None:
        raise typer.BadParameter(
            "give --questions and --documents, or --corpus, --queries and --qrels"
        )
    if max_drop is not None or intersection:
        raise typer.BadParameter("--max-drop and --intersection belong to --compare")
    options = evaluate_command.Options(
        limit, unanswerable, modes, answers, output, resume, report, fail_below, as_json
    )
    ok = evaluate_command.run(load(config, overrides), inputs, options)
    raise typer.Exit(0 if ok else FAILED)


def calibrate(
    overrides: Overrides = None,
    questions: Annotated[
        Path | None, typer.Option(help="JSONL: question, gold_docs, optional history.")
    ] = None,
    documents: Annotated[
        Path | None, typer.Option(help="The folder those names lie below.")
    ] = None,
    corpus: Annotated[Path | None, typer.Option(help="BEIR's corpus.jsonl.")] = None,
    queries: Annotated[Path | None, typer.Option(help="BEIR's queries.jsonl.")] = None,
    qrels: Annotated[Path | None, typer.Option(help="BEIR's qrels.tsv.")] = None,
    unanswerable: Annotated[
        Path | None, typer.Option(help="JSONL of questions that the documents cannot answer.")
    ] = None,
    keep: Annotated[
        float, typer.Option(min=0, max=1, help="Least share of answerable questions to answer.")
    ] = 0.9,
    limit: Annotated[int, typer.Option(min=0, help="Only the first N questions of each.")] = 0,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Fit the threshold below which vSage says that it does not know.

    Prints, for several values of `retriever.min_relevance`, the share of answerable questions that
    would be answered and of unanswerable ones that would be refused, and recommends one.

    Example: `python -m rag calibrate --questions tests/data/kb_questions.jsonl --documents docs/kb`
    """
    from rag import calibrate_command
    from rag.evaluation import command as evaluate_command

    inputs = evaluate_command.inputs(questions, documents, corpus, queries, qrels)
    if inputs is None:
        raise typer.BadParameter(
            "give --questions and --documents, or --corpus, --queries and --qrels"
        )
    calibrate_command.run(
        load(config, overrides), inputs, unanswerable, keep=keep, limit=limit, as_json=as_json
    )
