"""`python -m finetune data`: look at rows, split them, make them of feedback or documents."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import settings
from finetune.config import RunConfig
from finetune.errors import ConfigError
from finetune.rows_schema import Problem

if TYPE_CHECKING:
    from finetune.document_data import Recipe
    from finetune.document_passages import Passage
    from finetune.document_questions import Asked

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)

BAD = 1
DEFAULT = Path("configs/finetune/lora-135m-cpu.yaml")
_SHOWN = 20  # problems; --json has all of them

app = typer.Typer(add_completion=False, no_args_is_help=True)

ConfigOption = Annotated[Path, typer.Option("--config", help="Configuration of the run.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Configuration overrides.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Count, and write nothing.")]


@app.callback()
def data() -> None:
    """Rows to learn from: check and split them, make them of feedback or of documents.

    Exit status: 0 all is well, 1 bad rows or anything else that is refused, 2 a mistake.
    """


@app.command()
def check(
    overrides: Overrides = None,
    config: ConfigOption = DEFAULT,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Rows to show as learned.")] = 2,
    as_json: JsonOption = False,
) -> None:
    """List bad rows, duplicates, leaks and lengths, and show rows with the mask of the loss.

    Example: python -m finetune data check --config configs/finetune/lora-135m-cpu.yaml
    """
    run = settings.load(RunConfig, config, overrides or ())
    if not check_command(run, as_json, rows):
        raise typer.Exit(BAD)


@app.command()
def split(
    output: Annotated[Path, typer.Option("--output", help="Folder for both files.")],
    overrides: Overrides = None,
    config: ConfigOption = DEFAULT,
    by: Annotated[
        str, typer.Option("--by", help="Keep rows together by this column, not by prompt.")
    ] = "",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Part data.train into train.jsonl and validation.jsonl, with no prompt on both sides.

    Example: python -m finetune data split --config run.yaml --output data/parted --by document
    """
    from finetune.data_split import split_file

    run = settings.load(RunConfig, config, overrides or ())
    counts = split_file(run, output, by, dry_run=dry_run)
    _tell({**counts, "dry_run": dry_run}, as_json)


@app.command("from-feedback")
def from_feedback(
    export: Annotated[Path, typer.Argument(help="Of python -m serve feedback export.")],
    output: Annotated[Path, typer.Option("--output", help="Folder for kto, dpo and sft.jsonl.")],
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad lines out.")] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Turn the service's feedback into rows: votes to kto, corrections to dpo and sft, ideals to
    sft. Bad lines are listed, and nothing is written then but with --skip-bad.

    Example: python -m finetune data from-feedback feedback.jsonl --output data/feedback
    """
    from finetune.feedback_data import convert, read_feedback, write_rows

    entries, problems = read_feedback(export)
    rows = convert(entries)
    usable = bool(entries) and (skip_bad or not problems)
    written = write_rows(rows, output) if usable and not dry_run else []
    listed = [{"line": one.number, "reason": one.reason} for one in problems]
    found = {**rows.to_json(), "files": [str(path) for path in written], "dry_run": dry_run}
    if not as_json:
        _tell_problems(export, problems)
    _tell({**found, "problems": listed if as_json else len(listed)}, as_json)
    if not usable:
        raise typer.Exit(BAD)


@app.command("from-documents")
def from_documents(
    folder: Annotated[Path, typer.Argument(help="Documents, .md and .txt.")],
    output: Annotated[Path, typer.Option("--output", help="File of rows, .jsonl.")],
    endpoint: Annotated[str, typer.Option("--endpoint", help="Of a model, ends in /v1.")] = "",
    model: Annotated[str, typer.Option("--model", help="Its name at the endpoint.")] = "",
    api_key_env: Annotated[
        str, typer.Option("--api-key-env", help="Environment variable with the key.")
    ] = "OPENAI_API_KEY",
    extractive: Annotated[
        bool, typer.Option("--extractive", help="Ask by rules, without a model.")
    ] = False,
    questions: Annotated[int, typer.Option("--questions", min=1, help="Most a passage.")] = 3,
    unanswerable: Annotated[
        float, typer.Option("--unanswerable", min=0, max=0.5, help="Part of the rows.")
    ] = 0.25,
    passages: Annotated[int, typer.Option("--passages", min=1, max=20, help="In a prompt.")] = 3,
    words: Annotated[int, typer.Option("--words", min=20, help="Of a passage, about.")] = 120,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=64, help="Requests.")] = 4,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make rows of question, passages and answer from a folder of documents.

    An answer that does not stand in its passage is left out. Stopped, the same command goes on.

    Example: python -m finetune data from-documents docs/kb --output data/kb.jsonl --extractive
    """
    from finetune.document_data import Recipe

    recipe = Recipe(
        f"{'rules' if extractive else model}, {questions} questions", unanswerable, passages, seed
    )
    workers = 1 if extractive else parallel
    with _asking(extractive, endpoint, model, api_key_env, questions) as ask:
        _tell(_made(folder, words, ask, recipe, output, workers, dry_run, as_json), as_json)


def check_command(run: RunConfig, as_json: bool, shown: int = 2) -> bool:
    """Check the data of a run and print what is found; whether the run may start.

    `shown` rows are printed as the model will see them. Raises DataError, ConfigError, ModelError.
    """
    from finetune.data_check import check_data
    from finetune.data_preview import print_preview, print_report
    from finetune.render import open_tokenizer

    tokenizer = open_tokenizer(run.model.path)
    with _bar("rows", hidden=as_json) as step:
        report = check_data(run, tokenizer, step)
    if as_json:
        print(json.dumps(report.to_json(), ensure_ascii=False))
        return report.ok
    print_report(out, report, run.data.too_long)
    print_preview(out, report.train[:shown], tokenizer, run)
    return report.ok


def _made(
    folder: Path,
    words: int,
    ask: Callable[[Passage], list[Asked]],
    recipe: Recipe,
    output: Path,
    parallel: int,
    dry_run: bool,
    as_json: bool,
) -> dict[str, Any]:
    """Make the rows, with a bar, and say how many; of a dry run, of what they would be made."""
    from finetune.document_data import make_rows
    from finetune.document_passages import read_passages

    corpus = read_passages(folder, words)
    if dry_run:
        documents = len({passage.document for passage in corpus})
        return {"documents": documents, "passages": len(corpus), "dry_run": True}
    with _bar("passages", hidden=as_json) as step:
        made = make_rows(corpus, ask, recipe, output, parallel=parallel, on_passage=step)
    return {**made.to_json(), "file": str(output)}


@contextmanager
def _asking(
    extractive: bool, endpoint: str, model: str, api_key_env: str, most: int
) -> Iterator[Callable[[Passage], list[Asked]]]:
    """What asks for questions: the rules, or the endpoint while it is open."""
    if extractive:
        if endpoint or model:
            raise ConfigError("--extractive needs no model: leave out --endpoint and --model")
        from finetune.document_questions import questions as by_rules

        yield lambda passage: by_rules(passage, most)
        return
    if not (endpoint and model):
        raise ConfigError(
            "name a generator with --endpoint http://HOST:PORT/v1 --model NAME, or give "
            "--extractive, which needs none"
        )
    from finetune.document_generate import Endpoint

    opened = Endpoint(endpoint, model, os.environ.get(api_key_env, ""))
    try:
        yield lambda passage: opened.ask(passage, most)
    finally:
        opened.close()


@contextmanager
def _bar(what: str, hidden: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on the error stream; yields what moves it on to `done` of `total`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=hidden, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _tell_problems(path: Path, problems: Sequence[Problem]) -> None:
    for one in problems[:_SHOWN]:
        where = f"line {one.number}: " if one.number else ""
        said = escape(f"{path}: {where}{one.reason}")
        err.print(f"[red]{said}[/]", soft_wrap=True)
    if len(problems) > _SHOWN:
        err.print(f"and {len(problems) - _SHOWN} more; --json lists all")


def _tell(values: dict[str, Any], as_json: bool) -> None:
    """As one JSON object, or one `name: value` a line; zeros and empty ones left out."""
    if as_json:
        print(json.dumps(values, ensure_ascii=False))
        return
    for name, value in values.items():
        shown = value
        if isinstance(value, dict):
            shown = ", ".join(f"{number} {key}" for key, number in value.items())
        elif isinstance(value, list):
            shown = ", ".join(map(str, value))
        if shown not in (0, "", False):
            out.print(escape(f"{name.replace('_', ' ')}: {shown}"), soft_wrap=True)
