"""`python -m guardrails evaluate`: how often the rails are right on labelled rows."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from guardrails.curve import check_curve_path, write_curve
from guardrails.errors import GuardrailsError
from guardrails.figures import Judged, curve, figures
from guardrails.opening import CheckConfig, CommandError, fail, open_embedder
from guardrails.rows import Row, read_rows
from guardrails.schema import Direction
from guardrails.surprise import open_surprise
from settings import SettingsError, load

OVERALL = "overall"
UNNAMED = "(no category)"


def evaluate(
    direction: Annotated[str, typer.Option(help="input, retrieval or output")],
    data: Annotated[
        Path,
        typer.Option(
            help="Rows, one JSON object a line: prompt or text, label, and if need be category, "
            "context (question, passages, history), source (the passage an answer rests on). "
            "Label 1: must be blocked (of an answer: not supported); 0: must pass."
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="e.g. guardrails.input.injection.margin=0.2"),
    ] = None,
    config: Annotated[Path, typer.Option(help="Configuration file")] = Path("configs/chat.yaml"),
    roc: Annotated[
        Path | None, typer.Option("--curve", help="Draw the ROC: a .svg, .png or .tsv")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Only the JSON object")] = False,
) -> None:
    """Judge labelled rows; print rates, AUROC and latencies, in the last line as JSON.

    Every row is judged for itself, nothing from a cache. A figure that the rows do not allow
    (AUROC without rows of both labels) is null. Ends with 0 whatever the figures are.
    """
    if direction not in {"input", "retrieval", "output"}:
        fail(f"--direction must be input, retrieval or output, not '{direction}'")
    try:
        if roc is not None:
            check_curve_path(roc)
        rows = read_rows(data, cast(Direction, direction))
        settings = load(CheckConfig, config, overrides or [])
        judged = _judge(settings, cast(Direction, direction), rows)
        result = report(judged)
        if roc is not None:
            _write(roc, judged, f"{direction} rails, AUROC {result['auroc']}")
    except (SettingsError, GuardrailsError, CommandError) as error:
        fail(str(error))
    if not as_json:
        _print_table(result)
    print(json.dumps(result, ensure_ascii=False))


def report(judged: Sequence[Judged]) -> dict[str, Any]:
    """Figures of all rows, and of each category by itself."""
    groups: dict[str, list[Judged]] = {}
    for row in judged:
        groups.setdefault(row.category or UNNAMED, []).append(row)
    by_category = {name: figures(rows) for name, rows in sorted(groups.items())}
    return {**figures(judged), "by_category": by_category}


def _judge(settings: CheckConfig, direction: Direction, rows: Sequence[Row]) -> list[Judged]:
    from guardrails.rails import open_rails

    # Without cached verdicts, or a row that comes twice would flatter the latencies.
    config = settings.guardrails.model_copy(update={"cache_verdicts": 0})
    surprise = open_surprise(config.input.injection)
    embed, kept = open_embedder(settings.embedder), settings.seed_vectors
    rails = open_rails(config, embed=embed, surprise=surprise, kept=kept)

    async def judge_all() -> list[Judged]:
        await rails.check(direction, "Warm up.")  # the first text pays for lazy imports
        judged = []
        with _progress() as bar:
            for row in bar.track(rows, description=f"{direction} rails"):
                start = time.perf_counter()
                verdict = await rails.check(direction, row.text, row.context)
                took = 1_000 * (time.perf_counter() - start)
                judged.append(Judged(row.label, row.category, verdict, took))
        return judged

    return asyncio.run(judge_all())


def _progress() -> Progress:
    """On stderr, and only where somebody watches."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _write(path: Path, judged: Sequence[Judged], title: str) -> None:
    if len({row.label for row in judged}) < 2:
        raise CommandError(f"--curve {path}: a ROC needs rows of both labels")
    write_curve(path, curve(judged), title)


def _print_table(result: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("category", overflow="fold")
    names = ("n", "tpr", "fpr", "precision", "f1", "auroc")
    for name in (*names, "p50 ms", "p95 ms"):
        table.add_column(name, justify="right")
    table.add_column("blocked by", overflow="fold")
    for category, row in [*result["by_category"].items(), (OVERALL, result)]:
        latency = row["latency_ms"]
        rails = ", ".join(f"{name or '-'} {count}" for name, count in row["by_rail"].items())
        cells = [*(row[name] for name in names), latency["p50"], latency["p95"]]
        table.add_row(escape(category), *map(_cell, cells), escape(rails))
    Console().print(table)


def _cell(value: float | int | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
