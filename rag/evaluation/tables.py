"""A run, or the comparison of two, as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from unicodedata import category

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rag.evaluation.compare import Change, Comparison, Difference
from rag.evaluation.evaluate import MEASURES, MODES
from rag.evaluation.means import (
    ANSWER_MEASURES,
    ANSWERS,
    QUOTATIONS,
    STAGES,
    columns,
    difference_intervals,
    ratio,
)
from rag.evaluation.run import Run, differences

_EXPLAINED = {
    "token_f1": "words shared with reference",
    "rouge_l": "the same, in the same order",
    "citation_precision": "cited from labelled documents",
    "citation_recall": "labelled documents cited",
    "cited_sentences": "sentences with a citation",
    "unsupported": "sentences not borne out",
    "answered": "of the answerable ones",
    "abstention_precision": "refusals that were right",
    "abstention_recall": "unanswerable and refused",
    "abstention_f1": "both of these in one",
}
_ALWAYS = ("default", ANSWERS)
"""Scopes whose unchanged measures are shown, too."""
_LONGEST = 70
_STEERING = ("Cc", "Cf", "Cs")
_JOINERS = "\u200c\u200d"


def print_run(out: Console, run: Run) -> None:
    """Means by mode of search, of the answers, and the times of this machine."""
    counts = f"{len(run.questions)} questions, {run.corpus.documents} documents"
    if modes := [mode for mode in MODES if mode in run.means]:
        table = _table("search", *MEASURES)
        for mode in modes:
            table.add_row(mode, *(_share(run.means[mode].get(name)) for name in MEASURES))
        _print(out, counts, table)
    if ANSWERS in run.means:
        out.print()
        title = f"answers of {run.generator}; {_unanswerable(run)} questions are unanswerable"
        _print(out, title, _answers(run))
        if verdict := worth(run):
            out.print(escape(verdict), soft_wrap=True)
    out.print()
    table = _table("stage", "p50 ms", "p95 ms", "questions")
    for stage in STAGES:
        if times := run.latency_ms.get(stage):
            table.add_row(
                stage, f"{times['p50']:.1f}", f"{times['p95']:.1f}", str(int(times["questions"]))
            )
    _print(out, f"times on this machine ({run.machine})", table)


def _answers(run: Run) -> Table:
    table = _table("measure", "answers")
    scopes = [scope for scope in (ANSWERS, QUOTATIONS) if scope in run.means]
    if QUOTATIONS in scopes:
        table.add_column("quotations alone")
    table.add_column("what it is", style="dim")
    for name in ANSWER_MEASURES:
        values = [run.means[scope].get(name) for scope in scopes]
        if any(value is not None for value in values):
            table.add_row(name, *map(_share, values), _EXPLAINED[name])
    return table


def _unanswerable(run: Run) -> int:
    return sum(not question.answerable for question in run.questions)


def worth(run: Run) -> str:
    """Whether the generator is better than quotations alone, in words; empty where unknown."""
    made = columns(run.questions)
    if "token_f1" not in made.get(ANSWERS, {}) or "token_f1" not in made.get(QUOTATIONS, {}):
        return ""
    own, baseline = made[ANSWERS]["token_f1"], made[QUOTATIONS]["token_f1"]
    ((low, high),) = difference_intervals([baseline], [own])
    gain = ratio(own) - ratio(baseline)
    if low > 0:
        verdict = "it is worth its time"
    elif high < 0:
        verdict = "it makes answers worse"
    else:
        verdict = "no clear difference"
    return (
        f"The generator against quotations alone: token_f1 {gain:+.3f} "
        f"(95%: {low:+.3f} to {high:+.3f}): {verdict}."
    )


def print_comparison(out: Console, a: Run, b: Run, names: Sequence[str], found: Comparison) -> None:
    """Differences with their intervals, the settings behind them, the questions that changed."""
    for note in _notes(a, b, found):
        out.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    for key, one, other in differences(a, b):
        out.print(f"{escape(key)}: {escape(str(one))} -> {escape(str(other))}", soft_wrap=True)
    table = _table("measure", "A", "B", "B - A", "95% interval", "better", "worse", "equal")
    for scope in dict.fromkeys(difference.scope for difference in found.differences):
        own = [d for d in found.differences if d.scope == scope]
        rows = [d for d in own if d.moved or scope in _ALWAYS]
        table.add_row(f"[cyan]{scope}[/]" if rows else f"[cyan]{scope}[/] unchanged")
        for difference in rows:
            table.add_row(*_row(difference), style="bold" if difference.clear else "")
    _print(out, f"A = {names[0]}, B = {names[1]}: {found.questions} questions", table)
    out.print("[dim]bold and *: zero lies outside the interval[/]")
    for change in found.changes:
        out.print(_line(change), soft_wrap=True)


def _table(*columns: str) -> Table:
    """Narrow enough for a terminal of 80 columns."""
    table = Table(*columns, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.columns[0].no_wrap = True
    return table


def _print(out: Console, title: str, table: Table) -> None:
    out.print(f"[italic]{escape(title)}[/]", soft_wrap=True)
    out.print(table)


def _notes(a: Run, b: Run, found: Comparison) -> Iterator[str]:
    for letter, run in (("A", a), ("B", b)):
        if not run.complete:
            yield f"{letter} was interrupted: it holds the first {len(run.questions)} questions"
    if found.left_out:
        yield f"{found.left_out} questions that only one of them holds are left out"
    if a.corpus.fingerprint != b.corpus.fingerprint:
        yield (
            f"the corpora differ: {a.corpus.documents} documents in A, {b.corpus.documents} in B, "
            "or other texts"
        )
    if a.embedder != b.embedder:
        yield f"the embedders differ: {a.embedder} in A, {b.embedder} in B"


def _row(difference: Difference) -> tuple[str, ...]:
    d = difference
    counted = d.better + d.worse + d.equal
    counts = (str(n) if counted else "-" for n in (d.better, d.worse, d.equal))
    interval = f"{d.low:+.3f} {d.high:+.3f}{'*' if d.clear else ''}"
    return (
        d.measure, f"{d.a:.3f}", f"{d.b:.3f}", f"{d.change:+.3f}", interval, *counts
    )  # fmt: skip


def _line(change: Change) -> str:
    return (
        f"{change.scope}.{change.measure} {change.a:.2f} -> {change.b:.2f}  "
        f"[dim]{escape(shown(change.id, 30))}[/]  {escape(shown(change.question, _LONGEST))}"
    )


def shown(text: str, most: int) -> str:
    """One line of printable characters: a question may hold what steers a terminal."""
    kept = (c if category(c) not in _STEERING or c in _JOINERS else " " for c in text)
    line = " ".join("".join(kept).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
