"""`python -m rag`: ingest, inspect, search and evaluate a knowledge base."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import settings
from rag.config import FOREIGN_SECTIONS, RagConfig
from rag.errors import RagError
from rag.filter_options import (
    AfterOption,
    BeforeOption,
    LabelOption,
    ProductOption,
    SourceOption,
    VersionOption,
    to_filters,
)
from rag.schema import EVERYONE, Document, Failure, Filters, Hit

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Ingest documents, look at what is there, search, ask, and measure retrieval.\n\n"
    "Every command takes `--config FILE` and, behind its own arguments, any number of overrides "
    "such as `chunk.max_tokens=128` or `data_dir=/srv/vsage`.",
)
out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)

FAILED, MISUSED = 1, 2

ConfigOption = Annotated[Path, typer.Option("--config", help="The configuration file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Configuration overrides.")
]
DEFAULT_CONFIG = Path("configs/chat.yaml")


@app.command()
def ingest(
    arguments: Annotated[
        list[str], typer.Argument(metavar="PATH... [KEY=VALUE]...", help="Files and folders.")
    ],
    groups: Annotated[
        str, typer.Option(help="Comma-separated groups that may read these documents.")
    ] = "",
    prune: Annotated[
        bool, typer.Option("--prune", help="Also delete what is gone from these folders.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: ingest whatever changes, until Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Add and update documents: PDF, Office, HTML, Markdown and other text, tables, e-mail.

    Unchanged files are skipped; changed ones are replaced. A `.vsage.yaml` beside files says who
    may read them and goes before `--groups`. Exit code 1 says that at least one document failed;
    the others are in.

    Example: `python -m rag ingest docs/kb --prune`
    """
    from rag import ingest_command

    paths, overrides = settings.split_overrides(arguments)
    if not paths:
        raise typer.BadParameter("name at least one file or folder", param_hint="PATH")
    loaded = _load(config, overrides)
    if watch and dry_run:
        raise typer.BadParameter("--watch goes on ingesting: leave --dry-run out")
    named = frozenset(filter(None, groups.replace(" ", "").split(",")))
    folders, readers = [Path(path) for path in paths], named or frozenset(loaded.ingest.groups)
    if watch:
        ingest_command.watch(loaded, folders, readers, remove_gone=prune, as_json=as_json)
        return
    ok = ingest_command.run(
        loaded, folders, readers, remove_gone=prune, dry_run=dry_run, as_json=as_json
    )
    raise typer.Exit(0 if ok else FAILED)


@app.command()
def sync(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]... [KEY=VALUE]...", help="Sources; default: all."),
    ] = None,
    sources: Annotated[Path, typer.Option(help="The file that lists the sources.")] = Path(
        "configs/sources.yaml"
    ),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    prune_all: Annotated[
        bool, typer.Option("--prune-all", help="Remove even most of a source's documents.")
    ] = False,
    forget: Annotated[
        str, typer.Option(metavar="NAME", help="Delete the documents of a source instead.")
    ] = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Bring the sources of `configs/sources.yaml` up to date: folders, web, Confluence, ...

    Only what has changed since the last sync is fetched; what is gone there is deleted here; who
    may read it there may read it here. A sync that was interrupted goes on where it stopped. Exit
    code 1 says that something failed; everything else is in.

    Example: `python -m rag sync wiki --dry-run`
    """
    from rag import sync_command

    names, overrides = settings.split_overrides(arguments or [])
    loaded = _load(config, overrides)
    if forget:
        if names or dry_run or prune_all:
            raise typer.BadParameter(
                "--forget deletes all documents of one source: give nothing else with it"
            )
        sync_command.forget(loaded, forget, as_json)
        return
    ok = sync_command.run(
        loaded,
        sync_command.read_sources(sources),
        names,
        dry_run=dry_run,
        prune_all=prune_all,
        as_json=as_json,
    )
    raise typer.Exit(0 if ok else FAILED)


@app.command("list")
def list_documents(
    overrides: Overrides = None, as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """List the documents in the knowledge base."""
    from rag.catalog import Catalog

    documents = Catalog(_load(config, overrides)).list_documents()
    if as_json:
        for document in documents:
            _print_json(document)
        return
    table = Table("id", "title", "name", "passages", "readers", "ingested")
    for document in documents:
        table.add_row(
            str(document.id),
            escape(document.title),
            escape(document.name),
            str(document.chunks),
            escape(", ".join(sorted(document.groups))),
            f"{document.ingested:%Y-%m-%d %H:%M}",
        )
    out.print(table if documents else "No documents yet: `python -m rag ingest PATH...` adds some.")


@app.command()
def show(
    document: Annotated[str, typer.Argument(help="Its id, name or URI.")],
    overrides: Overrides = None,
    text: Annotated[bool, typer.Option("--text", help="Also print the parsed text.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show one document: where it came from, who may read it, and its text."""
    from rag.catalog import Catalog

    catalog = Catalog(_load(config, overrides))
    found = _find(catalog, document)
    body = catalog.text(found.id) if text else None
    if as_json:
        _print_json(found, text=body)
        return
    for field in dataclasses.fields(found):
        out.print(f"[bold]{field.name:>10}[/]  {_plain(getattr(found, field.name))}")
    if body is not None:
        print(f"\n{body}")


@app.command()
def delete(
    documents: Annotated[list[str], typer.Argument(help="Ids, names or URIs; [KEY=VALUE]...")],
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Delete documents with all their passages, at once and for every reader."""
    from rag.catalog import Catalog

    keys, overrides = settings.split_overrides(documents)
    catalog = Catalog(_load(config, overrides))
    found = [_find(catalog, key) for key in keys]
    deleted = catalog.delete({document.id for document in found})
    if as_json:
        print(json.dumps({"deleted": deleted}))
    else:
        out.print(f"Deleted {deleted}: " + ", ".join(escape(document.title) for document in found))


@app.command()
def search(
    question: Annotated[str, typer.Argument(help="What to look for.")],
    overrides: Overrides = None,
    top_k: Annotated[int, typer.Option("--top-k", min=1, max=100, help="How many.")] = 8,
    groups: Annotated[
        str, typer.Option(help="Search as a caller of these groups; default: see everything.")
    ] = "",
    source: SourceOption = None,
    product: ProductOption = None,
    version: VersionOption = None,
    label: LabelOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Print the passages nearest to a question, best first.

    An option that is given several times takes any of its values; several options have to hold
    together.

    Example: `python -m rag search "vMotion with vGPU" --version 8.0 --after 2026-01-01`
    """
    from rag.knowledge import open_knowledge
    from rag.retrieve import retrieve

    knowledge = open_knowledge(_load(config, overrides))
    readers = _caller(groups, knowledge.catalog.groups())
    filters = to_filters(source, product, version, label, after, before)
    hits = retrieve(knowledge, question, readers, top_k, filters=filters)
    if as_json:
        for hit in hits:
            _print_json(hit)
        return
    for rank, hit in enumerate(hits, start=1):
        out.print(f"[bold]{rank}. {escape(_place(hit))}[/]  [dim]{hit.score:.3f}[/]")
        out.print(hit.text.strip(), markup=False)
        out.print()
    if not hits:
        out.print("Nothing found.")


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    overrides: Overrides = None,
    groups: Annotated[
        str, typer.Option(help="Ask as a caller of these groups; default: see everything.")
    ] = "",
    source: SourceOption = None,
    product: ProductOption = None,
    version: VersionOption = None,
    label: LabelOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Answer a question with citations. No guardrails here: the server has them.

    It can be narrowed to some documents like a search. Exit code 1 says that the knowledge base
    holds no answer.

    Example: `python -m rag ask "Which setting enables vMotion for vGPU?"`
    """
    from rag.ask import Asked
    from rag.generate import open_generator
    from rag.knowledge import open_knowledge
    from rag.scope import count_documents

    loaded = _load(config, overrides)
    knowledge = open_knowledge(loaded)
    readers = _caller(groups, knowledge.catalog.groups())
    filters = to_filters(source, product, version, label, after, before)
    asked = Asked()
    asyncio.run(
        _print_answer(
            knowledge, open_generator(loaded.generator), question, readers, filters, asked, as_json
        )
    )
    if as_json:
        cited = {str(number): dataclasses.asdict(hit) for number, hit in asked.cited.items()}
        values = {"answer": asked.text, "found": asked.found, "citations": cited}
        print(json.dumps(values, default=_jsonable))
    elif asked.found:
        out.print()
        for number, hit in asked.cited.items():
            out.print(f"[dim]\\[{number}] {escape(_place(hit))}[/]")
    else:
        searched = count_documents(knowledge.catalog, readers, filters)
        out.print(f"The knowledge base does not hold an answer ({searched} documents searched).")
    raise typer.Exit(0 if asked.found else FAILED)


@app.command()
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
    ok = evaluate_command.run(_load(config, overrides), inputs, options)
    raise typer.Exit(0 if ok else FAILED)


@app.command()
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
        _load(config, overrides), inputs, unanswerable, keep=keep, limit=limit, as_json=as_json
    )


@app.command()
def reindex(overrides: Overrides = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Embed every stored passage again, after `embedder.model` has changed."""
    from rag import ingest_command

    ingest_command.reindex(_load(config, overrides))


@app.command()
def models(overrides: Overrides = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Fetch and convert the two embedded models; what is there already is left alone."""
    from rag.models import fetch_models

    fetch_models(_load(config, overrides).models_dir, echo=print)


def main() -> None:
    """Run the command line; a user's mistake ends in one message, never in a stack trace."""
    try:
        app()
    except (RagError, settings.SettingsError) as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(MISUSED)
    except KeyboardInterrupt:
        err.print("stopped; what was committed stays, the same command goes on from there")
        sys.exit(130)


def _load(path: Path, overrides: list[str] | None) -> RagConfig:
    return settings.load(RagConfig, path, overrides or (), FOREIGN_SECTIONS)


async def _print_answer(
    knowledge: Any,
    generator: Any,
    question: str,
    groups: frozenset[str],
    filters: Filters,
    asked: Any,
    quiet: bool,
) -> None:
    from rag.ask import ask as answer

    async for piece in answer(knowledge, generator, question, groups, asked, filters=filters):
        if not quiet:
            print(piece, end="", flush=True)
    if asked.text and not quiet:
        print()
    if generator is not None:
        await generator.close()


def _find(catalog: Any, key: str) -> Document:
    found: Document | None = catalog.find_document(key)
    if found is None:
        raise RagError(f"there is no document '{key}': `python -m rag list` shows those there are")
    return found


def _caller(groups: str, everything: frozenset[str]) -> frozenset[str]:
    named = frozenset(filter(None, groups.replace(" ", "").split(",")))
    return named | {EVERYONE} if named else everything


def _place(hit: Hit) -> str:
    path = " > ".join(hit.heading_path) or hit.title
    page = f", page {hit.page}" if hit.page else ""
    return f"{hit.title}: {path}{page}" if hit.heading_path[:1] != (hit.title,) else path + page


def _plain(value: Any) -> str:
    if isinstance(value, frozenset | tuple):
        return escape(", ".join(sorted(map(str, value)))) or "-"
    return "-" if value is None else escape(str(value))


def _print_json(item: Document | Hit | Failure, **more: Any) -> None:
    values = {**dataclasses.asdict(item), **{k: v for k, v in more.items() if v is not None}}
    print(json.dumps(values, default=_jsonable, ensure_ascii=False))


def _jsonable(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else sorted(value)


if __name__ == "__main__":
    main()
