"""What a run would learn from, looked at before anything is trained.

Everything is counted on the rows as `train` would take them: the same reader, split, template and
lengths. Row numbers are those of the file that a row stands in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.config import RunConfig
from finetune.errors import DataError
from finetune.render import end_of_turn, render_prompt, render_whole
from finetune.rows import (
    ChatRow,
    PairRow,
    Problem,
    PromptRow,
    Row,
    Rows,
    TextRow,
    VoteRow,
    prompt_key,
    read_rows,
    split_rows,
)
from finetune.rows_schema import answers_of, exact_key, prompt_of, row_key

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

_BINS = 10
OnRow = Callable[[int, int], None]
"""Called with how many rows are rendered, and how many there are."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of `low` to `high` tokens, both included."""

    low: int
    high: int
    rows: int


@dataclass(frozen=True, slots=True)
class TooLong:
    """Rows that exceed data.max_length."""

    max_length: int
    longest: int
    """Tokens of the longest row of all."""
    excess: dict[int, int]
    """By the number of a row to train on: how many tokens it has too many."""
    refused: bool
    """Whether `train` refuses such rows, as data.too_long=refuse says."""


@dataclass(slots=True)
class DataReport:
    """What is wrong, doubtful, or good to know. Numbers are lines, 1 the first."""

    files: list[Rows] = field(default_factory=list)
    """The rows to train on; then those to validate on, if they are a file of their own."""
    bad: dict[Path, list[Problem]] = field(default_factory=dict)
    """By file: rows that cannot be used, those included that the template cannot take."""
    train: list[Row] = field(default_factory=list)
    validation: list[Row] = field(default_factory=list)
    duplicates: list[list[int]] = field(default_factory=list)
    """Rows to train on that are equal to the letter."""
    near_duplicates: list[list[int]] = field(default_factory=list)
    """Equal but for case and white space."""
    leaked_rows: list[int] = field(default_factory=list)
    """Rows to validate on that stand among those to train on."""
    leaked_prompts: list[int] = field(default_factory=list)
    """Rows to validate on whose prompt stands there, those of `leaked_rows` included."""
    contradictions: list[list[int]] = field(default_factory=list)
    """Rows to train on with one prompt and different answers, or different votes on one answer."""
    lengths: list[int] = field(default_factory=list)
    """Tokens of each row to train on; of a pair, of the longer side."""
    trained_tokens: int = 0
    """Of all rows to train on: those that the loss is taken on."""
    too_long: TooLong | None = None
    labels: dict[str, int] = field(default_factory=dict)
    """Of votes to train on: how many are true, how many false."""
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether a run may start: no bad row, none too long to be taken, none on both sides."""
        refused = self.too_long is not None and self.too_long.refused and self.too_long.excess
        return not (any(self.bad.values()) or self.leaked_rows or refused)

    def histogram(self) -> list[Bin]:
        """The lengths in ten bins of one width."""
        return histogram(self.lengths)

    def to_json(self) -> dict[str, Any]:
        files = [
            {
                "path": str(rows.path),
                "sha256": rows.sha256,
                "rows": len(rows.rows),
                "problems": [
                    {"line": one.number, "reason": one.reason} for one in self.bad[rows.path]
                ],
            }
            for rows in self.files
        ]
        long = self.too_long
        return {
            "ok": self.ok,
            "files": files,
            "problems": sum(map(len, self.bad.values())),
            "train_rows": len(self.train),
            "validation_rows": len(self.validation),
            "duplicates": self.duplicates,
            "near_duplicates": self.near_duplicates,
            "leaked_rows": self.leaked_rows,
            "leaked_prompts": self.leaked_prompts,
            "contradictions": self.contradictions,
            "labels": self.labels,
            "tokens": sum(self.lengths),
            "trained_tokens": self.trained_tokens,
            "histogram": [{"from": b.low, "to": b.high, "rows": b.rows} for b in self.histogram()],
            "max_length": long.max_length if long else None,
            "longest": long.longest if long else 0,
            "too_long": {
                str(number): excess for number, excess in (long.excess if long else {}).items()
            },
            "notes": self.notes,
        }


def check_data(
    run: RunConfig, tokenizer: Tokenizer, on_row: OnRow = lambda done, total: None
) -> DataReport:
    """Read, split, compare and render the rows of a run.

    What is wrong with single rows stands in the report. Raises DataError where a file cannot be
    read, has no form of the objective, or cannot be split, and for a template without end-of-turn.
    """
    if run.data.train is None:
        raise DataError("data.train is not set: name the rows to learn from, data.train=FILE")
    if run.data.chat and run.objective.name != "pretrain":
        end_of_turn(tokenizer)
    report = DataReport()
    paths = [path for path in (run.data.train, run.data.validation) if path is not None]
    report.files = [read_rows(path, run.objective.name, run.data) for path in paths]
    report.bad = {rows.path: list(rows.problems) for rows in report.files}
    _part(report, run)
    _compare(report, separate=run.data.validation is not None)
    _measure(report, run, tokenizer, on_row)
    return report


def histogram(lengths: Sequence[int], bins: int = _BINS) -> list[Bin]:
    """Bins of one width over all lengths; fewer where there are fewer different ones."""
    if not lengths:
        return []
    low, high = min(lengths), max(lengths)
    width = max(1, -(-(high - low + 1) // bins))
    found = []
    for start in range(low, high + 1, width):
        end = min(start + width - 1, high)
        found.append(Bin(start, end, sum(start <= length <= end for length in lengths)))
    return found


def sides(row: Row) -> list[ChatRow | TextRow]:
    """A row as what is rendered of it: of a pair both answers, of a vote the answer."""
    if isinstance(row, ChatRow | TextRow):
        return [row]
    if isinstance(row, PromptRow):
        return []
    given = [row.chosen, row.rejected] if isinstance(row, PairRow) else [row.completion]
    return [
        ChatRow(row.number, (*row.prompt, {"role": "assistant", "content": answer}))
        for answer in given
    ]


def _part(report: DataReport, run: RunConfig) -> None:
    rows = report.files[0].rows
    if run.data.validation is not None:
        report.train, report.validation = list(rows), list(report.files[1].rows)
    elif rows:
        report.train, report.validation = split_rows(rows, run.data.validation_share, run.data.seed)


def _compare(report: DataReport, separate: bool) -> None:
    """Duplicates and contradictions among the rows to train on, and leaks to the other side."""
    report.duplicates = _groups((exact_key(row), row.number) for row in report.train)
    near = _groups((row_key(row), row.number) for row in report.train)
    report.near_duplicates = [group for group in near if group not in report.duplicates]
    report.contradictions = _contradictions(report.train)
    whole = {row_key(row) for row in report.train}
    asked = {prompt_key(row) for row in report.train}
    for row in report.validation:
        if row_key(row) in whole:
            report.leaked_rows.append(row.number)
        if prompt_key(row) in asked:
            report.leaked_prompts.append(row.number)
    if separate and report.files[0].sha256 == report.files[1].sha256:
        report.notes.append("the rows to validate on are the file to train on")
    labels = [row.label for row in report.train if isinstance(row, VoteRow)]
    if labels:
        report.labels = {"true": sum(labels), "false": len(labels) - sum(labels)}


def _groups(keyed: Iterable[tuple[str, int]]) -> list[list[int]]:
    """Numbers that share a key; a row that became two, as a pair of votes does, counts once."""
    found: dict[str, list[int]] = defaultdict(list)
    for key, number in keyed:
        if number not in found[key][-1:]:
            found[key].append(number)
    return [numbers for numbers in found.values() if len(numbers) > 1]


def _contradictions(rows: Sequence[Row]) -> list[list[int]]:
    asked: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if isinstance(row, ChatRow):
            asked[prompt_key(row)][answers_of(row)[0]].append(row.number)
        elif isinstance(row, VoteRow):
            asked[f"{prompt_key(row)}\0{row.completion}"][str(row.label)].append(row.number)
    return [
        sorted(chain.from_iterable(answers.values()))
        for answers in asked.values()
        if len(answers) > 1
    ]


def _measure(report: DataReport, run: RunConfig, tokenizer: Tokenizer, on_row: OnRow) -> None:
    """Lengths by row; rows that cannot be rendered become problems of their file."""
    held = report.files[-1].path
    limit = run.data.max_length
    excess: dict[int, int] = {}
    longest = 0
    total = len(report.train) + len(report.validation)
    for done, row in enumerate(chain(report.train, report.validation), start=1):
        trained = done <= len(report.train)
        try:
            length, learned = _length(row, run, tokenizer)
        except DataError as error:
            path = report.files[0].path if trained else held
            reason = str(error).removeprefix(f"row {row.number}: ")
            report.bad[path].append(Problem(row.number, reason))
            continue
        finally:
            on_row(done, total)
        longest = max(longest, length)
        if trained:
            report.lengths.append(length)
            report.trained_tokens += learned
            if length > limit:
                excess[row.number] = length - limit
    in_pieces = run.objective.name == "pretrain"
    refused = run.data.too_long == "refuse" and not in_pieces
    report.too_long = TooLong(limit, longest, excess, refused)
    if excess and in_pieces:
        report.notes.append(f"{len(excess)} texts are learned in pieces of {limit} tokens")


def _length(row: Row, run: RunConfig, tokenizer: Tokenizer) -> tuple[int, int]:
    """Tokens of a row, and how many of them are trained. Raises DataError."""
    if isinstance(row, PromptRow):
        text = render_prompt(prompt_of(row), tokenizer, run.data)
        ids: Any = tokenizer(text, add_special_tokens=False)["input_ids"]
        return len(ids), 0
    loss_on = run.objective.loss_on if isinstance(row, ChatRow) else "completion"
    rendered = [render_whole(side, tokenizer, run.data, loss_on) for side in sides(row)]
    return max(len(one.input_ids) for one in rendered), sum(sum(one.trained) for one in rendered)
