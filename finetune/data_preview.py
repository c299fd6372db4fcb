"""Rows and reports, as they are shown on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from finetune.config import RunConfig
from finetune.data_check import DataReport, sides
from finetune.errors import DataError
from finetune.render import Rendered, pieces, render
from finetune.rows import PairRow, PromptRow, Row, TextRow, VoteRow
from finetune.template import render_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

_SHOWN = 20  # problems and numbers of a kind; --json has all of them
_TRAINED, _GIVEN = "bold green", "dim"
_BAR = 40
_TEXT_TOKENS = 200  # shown of a document


def marked(rendered: Rendered, tokenizer: Tokenizer, plain: bool) -> Text:
    """A row as the model sees it: what the loss is taken on in green, the rest dim.

    `plain`, for terminals without colours: what the loss is taken on stands in ⟦double brackets⟧.
    """
    text = Text()
    pairs = zip(rendered.input_ids, rendered.trained, strict=True)
    for trained, run in groupby(pairs, key=lambda pair: pair[1]):
        written = str(tokenizer.decode([token for token, _ in run], skip_special_tokens=False))
        if plain and trained:
            written = f"⟦{written}⟧"
        text.append(written, style=_TRAINED if trained else _GIVEN)
    return text


def print_preview(
    console: Console, rows: Sequence[Row], tokenizer: Tokenizer, run: RunConfig
) -> None:
    """Rows as they will be learned, with the mask of the loss. One that cannot be says why."""
    plain = console.no_color or not console.is_terminal
    for row in rows:
        if isinstance(row, PromptRow):
            console.rule(f"row {row.number}: the prompt", style="dim")
            console.print(Text(render_prompt(row.prompt, tokenizer, run.data)), soft_wrap=True)
            continue
        for side, name in zip(sides(row), _names(row), strict=True):
            console.rule(f"row {row.number}{name}", style="dim")
            loss_on = run.objective.loss_on if run.objective.name == "sft" else "completion"
            try:
                rendered = render(side, tokenizer, run.data, loss_on)
            except DataError as error:
                console.print(f"[red]{escape(str(error))}[/]", soft_wrap=True)
                continue
            learned = sum(rendered.trained)
            shown = pieces(rendered, _TEXT_TOKENS)[0] if isinstance(row, TextRow) else rendered
            console.print(marked(shown, tokenizer, plain), soft_wrap=True)
            console.print(f"{len(rendered.input_ids)} tokens, the loss is taken on {learned}")


def print_report(console: Console, report: DataReport, too_long: str) -> None:
    """Everything of the report, the worst first. `too_long` is data.too_long."""
    for rows in report.files:
        problems = report.bad[rows.path]
        console.print(f"{escape(str(rows.path))}: {len(rows.rows)} rows", soft_wrap=True)
        for one in problems[:_SHOWN]:
            where = f"line {one.number}: " if one.number else ""
            console.print(f"  [red]{where}{escape(one.reason)}[/]", soft_wrap=True)
        if len(problems) > _SHOWN:
            console.print(f"  [red]and {len(problems) - _SHOWN} more[/] (--json lists all)")
    console.print(f"train on {len(report.train)}, validate on {len(report.validation)}")
    _print_findings(console, report)
    if report.labels:
        console.print(f"votes: {report.labels['true']} true, {report.labels['false']} false")
    _print_lengths(console, report, too_long)
    for note in report.notes:
        console.print(f"note: {escape(note)}", soft_wrap=True)
    console.print(_verdict(report))


def _print_findings(console: Console, report: DataReport) -> None:
    groups = (
        ("exact duplicates", report.duplicates),
        ("duplicates but for case and white space", report.near_duplicates),
        ("same prompt, different answers", report.contradictions),
    )
    for name, found in groups:
        if found:
            shown = "; ".join(", ".join(map(str, numbers[:4])) for numbers in found[:5])
            more = ", ..." if len(found) > 5 else ""
            console.print(
                f"[yellow]{name}[/]: {_counted(len(found), 'group')}, lines {shown}{more}"
            )
    leaks = (
        ("rows to validate on that are trained on", report.leaked_rows),
        ("rows to validate on whose prompt is trained on", report.leaked_prompts),
    )
    for name, numbers in leaks:
        if numbers:
            shown = ", ".join(map(str, numbers[:_SHOWN]))
            more = ", ..." if len(numbers) > _SHOWN else ""
            console.print(f"[red]{name}[/]: {len(numbers)}, lines {shown}{more}", soft_wrap=True)


def _print_lengths(console: Console, report: DataReport, too_long: str) -> None:
    bins = report.histogram()
    if not bins:
        return
    table = Table("tokens", "rows", "", box=None, pad_edge=False)
    most = max(one.rows for one in bins)
    for one in bins:
        bar = "█" * max(1 if one.rows else 0, round(_BAR * one.rows / most))
        table.add_row(f"{one.low}–{one.high}", str(one.rows), bar)
    console.print(table)
    total = sum(report.lengths)
    share = report.trained_tokens / total if total else 0.0
    console.print(f"{total} tokens to train on; the loss is taken on {share:.0%} of them")
    long = report.too_long
    if long is None or not long.excess:
        return
    worst = sorted(long.excess.items(), key=lambda item: -item[1])
    shown = ", ".join(f"line {number} by {excess}" for number, excess in worst[:5])
    colour = "red" if long.refused else "yellow"
    console.print(
        f"[{colour}]{len(worst)} rows are longer than data.max_length={long.max_length}[/] "
        f"({shown}); data.too_long={too_long}",
        soft_wrap=True,
    )


def _verdict(report: DataReport) -> str:
    bad = sum(map(len, report.bad.values()))
    long = report.too_long
    refused = len(long.excess) if long is not None and long.refused else 0
    found = ((bad, "bad row"), (len(report.leaked_rows), "leaked row"), (refused, "row too long"))
    reasons = [_counted(number, what) for number, what in found if number]
    return f"[red]not ready to train: {', '.join(reasons)}[/]" if reasons else "ready to train"


def _counted(number: int, what: str) -> str:
    first, _, rest = what.partition(" ")
    if number == 1:
        return f"1 {what}"
    return f"{number} {first}s {rest}" if first == "row" else f"{number} {what}s"


def _names(row: Row) -> list[str]:
    if isinstance(row, PairRow):
        return [": chosen", ": rejected"]
    if isinstance(row, VoteRow):
        return [f": voted {str(row.label).lower()}"]
    return [""]
