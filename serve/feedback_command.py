"""`python -m serve feedback`: what callers said of answers, listed or exported for fine-tuning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

import settings
from rag.catalog import Catalog
from rag.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption, Overrides, out
from serve.config import ServeConfig
from serve.errors import ServeError
from serve.feedback import read_feedback
from serve.feedback_export import export as write_export
from serve.feedback_export import to_line

_CUT = 60

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Votes, corrections, comments and ideal answers that callers gave, with personal data "
    "masked. A running server is not disturbed.",
)

SinceOption = Annotated[
    str, typer.Option(help="Only what was given then or later: 2026-11-30, or with a time (UTC).")
]


@app.command("list")
def list_feedback(
    overrides: Overrides = None,
    since: SinceOption = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many at most.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """The latest feedback, newest first."""
    moment, loaded = _moment(since), _load(config, overrides)
    regions = loaded.guardrails.input.personal.phone_regions
    catalog = Catalog(loaded)
    rows = read_feedback(catalog, moment, limit, newest_first=True)
    lines = [to_line(row, regions)[0] for row in rows]
    catalog.close()
    if as_json:
        for line in lines:
            print(json.dumps(line, ensure_ascii=False))
        return
    table = Table("time", "kind", "says", "question", "adapter", "answer")
    for line in lines:
        says = line["text"] if "text" in line else "good" if line["value"] else "bad"
        cells = (line["time"][:16], line["kind"], _cut(says), _cut(line["question"]))
        table.add_row(*map(escape, (*cells, line["adapter"] or "-", line["id"])))
    out.print(table if lines else "Nobody has given any feedback yet.")


@app.command()
def export(
    output: Annotated[Path, typer.Option(help="The file to write; one that is there is replaced.")],
    overrides: Overrides = None,
    since: SinceOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write all feedback as JSONL, oldest first: input of `python -m finetune data from-feedback`.

    Example: `python -m serve feedback export --output feedback.jsonl --since 2026-11-01`
    """
    moment, loaded = _moment(since), _load(config, overrides)
    if output.is_dir():
        raise ServeError(f"{output} is a folder: name a file in it with --output")
    catalog = Catalog(loaded)
    regions = loaded.guardrails.input.personal.phone_regions
    report = write_export(read_feedback(catalog, moment), output, regions)
    catalog.close()
    if as_json:
        print(json.dumps(report))
        return
    out.print(
        f"{report['rows']} rows on {report['answers']} answers written to {escape(str(output))}: "
        f"{report['up']} good, {report['down']} bad, {report['correction']} corrections, "
        f"{report['comment']} comments, {report['ideal']} ideal answers; "
        f"{report['masked']} personal values masked",
        soft_wrap=True,
    )


def run(arguments: Sequence[str]) -> None:
    """What stands behind `python -m serve feedback`. Raises ServeError, RagError, SettingsError."""
    app(list(arguments), prog_name="python -m serve feedback")


def _moment(since: str) -> datetime | None:
    if not since:
        return None
    try:
        moment = datetime.fromisoformat(since)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ServeError(
            f"--since '{since}' is no time: write 2026-11-30 or 2026-11-30T08:00:00Z"
        ) from None


def _load(config: Path, overrides: list[str] | None) -> ServeConfig:
    return settings.load(ServeConfig, config, overrides or ())


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _CUT else text[: _CUT - 1] + "…"
