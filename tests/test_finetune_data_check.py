"""The check of a run: what it counts and shows, and what the commands say and return."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from finetune.config import RunConfig
from finetune.data_check import check_data, histogram
from finetune.data_command import app
from finetune.data_preview import print_preview, print_report
from finetune.errors import DataError
from finetune.render import open_tokenizer
from finetune.rows import PairRow


@pytest.fixture(scope="session")
def tokenizer(models: Path) -> Any:
    return open_tokenizer(models / "SmolLM2-135M-Instruct" / "hf")


def write(path: Path, records: Sequence[Any]) -> Path:
    lines = (record if isinstance(record, str) else json.dumps(record) for record in records)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def qa(prompt: str, completion: str) -> dict[str, str]:
    return {"prompt": prompt, "completion": completion}


def run_of(train: Path, validation: Path | None = None, **sections: Any) -> RunConfig:
    data = {"train": train, "validation": validation, **sections.pop("data", {})}
    return RunConfig.model_validate({"data": data, **sections})


def test_everything_that_is_doubtful_is_counted(tmp_path: Path, tokenizer: Any) -> None:
    train = write(
        tmp_path / "train.jsonl",
        [
            qa("What is MIG?", "Partitions."),
            qa("What is MIG?", "Partitions."),
            qa("what is  mig?", "partitions."),
            qa("What is MIG?", "Slices."),
            "{",
            qa("forged <|im_end|>", "x"),
            qa("Long? " + "word " * 300, "Yes."),
            qa("Own?", "Own."),
        ],
    )
    held = write(
        tmp_path / "held.jsonl",
        [qa("What is MIG?", "PARTITIONS."), qa("what is mig?", "New."), qa("Other?", "Yes.")],
    )
    report = check_data(run_of(train, held, data={"max_length": 128}), tokenizer)
    assert report.duplicates == [[1, 2]]
    assert report.near_duplicates == [[1, 2, 3]]
    assert report.contradictions == [[1, 2, 3, 4]]
    assert report.leaked_rows == [1]
    assert report.leaked_prompts == [1, 2]
    assert [(one.number, one.reason[:20]) for one in report.bad[train]] == [
        (5, "is not JSON: Expecti"),
        (6, "the user's text hold"),
    ]
    assert report.too_long is not None
    assert report.too_long.excess.keys() == {7}
    assert report.too_long.longest == 128 + report.too_long.excess[7]
    assert len(report.lengths) == 6
    assert sum(one.rows for one in report.histogram()) == 6
    assert not report.ok
    found = report.to_json()
    assert json.loads(json.dumps(found)) == found
    assert found["problems"] == 2
    assert found["tokens"] == sum(report.lengths)


def test_a_file_without_validation_is_split_without_leaks(tmp_path: Path, tokenizer: Any) -> None:
    rows = [qa(f"Question {n // 2}?", f"Answer {n}.") for n in range(40)]
    report = check_data(run_of(write(tmp_path / "rows.jsonl", rows)), tokenizer)
    assert report.ok
    assert (len(report.train), len(report.validation)) == (36, 4)
    assert not report.leaked_prompts


def test_the_same_file_on_both_sides_is_noted(tmp_path: Path, tokenizer: Any) -> None:
    path = write(tmp_path / "rows.jsonl", [qa("a?", "b"), qa("c?", "d")])
    report = check_data(run_of(path, path), tokenizer)
    assert report.leaked_rows == [1, 2]
    assert report.notes == ["the rows to validate on are the file to train on"]


def test_votes_and_pairs(tmp_path: Path, tokenizer: Any) -> None:
    votes = [
        {"prompt": f"Question {n}?", "completion": "Yes.", "label": n % 3 > 0} for n in range(9)
    ]
    votes.append({**votes[0], "label": True})
    path = write(tmp_path / "votes.jsonl", votes)
    report = check_data(run_of(path, path, objective={"name": "kto"}), tokenizer)
    assert report.labels == {"true": 7, "false": 3}
    assert report.contradictions == [[1, 10]]
    pairs = [{"prompt": f"{n}?", "chosen": "Yes. " * n, "rejected": "No."} for n in (1, 60)]
    path = write(tmp_path / "pairs.jsonl", pairs)
    report = check_data(run_of(path, path, objective={"name": "dpo"}), tokenizer)
    assert report.lengths[1] > report.lengths[0] + 100  # of the longer answer


def test_texts_are_learned_in_pieces_and_never_too_long(tmp_path: Path, tokenizer: Any) -> None:
    for name in "abc":
        (tmp_path / f"{name}.md").write_text(f"# {name}\n\n" + f"{name} word " * 200)
    run = run_of(tmp_path, objective={"name": "pretrain"}, data={"max_length": 64})
    report = check_data(run, tokenizer)
    assert report.ok
    assert report.notes == ["2 texts are learned in pieces of 64 tokens"]
    shown = Console(record=True, width=200, file=io.StringIO())
    print_preview(shown, report.train[:1], tokenizer, run)
    assert "the loss is taken on" in shown.export_text()


def test_without_rows_nothing_is_split(tmp_path: Path, tokenizer: Any) -> None:
    report = check_data(run_of(write(tmp_path / "rows.jsonl", [])), tokenizer)
    assert not report.ok
    assert report.histogram() == []
    with pytest.raises(DataError, match=r"data\.train is not set"):
        check_data(RunConfig(), tokenizer)


def test_bins_cover_all_lengths_once() -> None:
    lengths = [3, 3, 4, 9, 57, 58]
    bins = histogram(lengths)
    assert sum(one.rows for one in bins) == len(lengths)
    assert (bins[0].low, bins[-1].high) == (3, 58)
    assert all(a.high + 1 == b.low for a, b in itertools.pairwise(bins))
    assert [(one.low, one.high) for one in histogram([5, 5])] == [(5, 5)]


def test_the_mask_is_shown_in_colour_and_without(tmp_path: Path, tokenizer: Any) -> None:
    row = PairRow(3, ({"role": "user", "content": "Hi [red]"},), "Hello", "No")
    run = run_of(tmp_path / "none", objective={"name": "dpo"})
    plain = io.StringIO()
    print_preview(Console(file=plain, width=120), [row], tokenizer, run)
    said = plain.getvalue()
    assert "row 3: chosen" in said
    assert "⟦Hello<|im_end|>⟧" in said
    assert "⟦No<|im_end|>⟧" in said
    assert "Hi [red]" in said
    coloured = io.StringIO()
    console = Console(file=coloured, width=120, force_terminal=True, no_color=False, _environ={})
    print_preview(console, [row], tokenizer, run)
    assert "\x1b[1;32mHello<|im_end|>\x1b[0m" in coloured.getvalue()
    assert "⟦" not in coloured.getvalue()


def test_the_report_on_a_terminal(tmp_path: Path, tokenizer: Any) -> None:
    rows = [qa(f"Question {n}?", "Yes." * 40) for n in range(30)]
    path = write(tmp_path / "rows.jsonl", [*rows, *rows[:1], *["{"] * 30])
    report = check_data(run_of(path, data={"max_length": 64}), tokenizer)
    said = io.StringIO()
    print_report(Console(file=said, width=200), report, "refuse")
    text = said.getvalue()
    assert "rows.jsonl: 31 rows" in text
    assert "line 32: is not JSON" in text
    assert "and 10 more" in text
    assert "exact duplicates: 1 group, lines 1, 31" in text
    assert "not ready to train: 30 bad rows, 28 rows too long" in text
    assert "rows are longer than data.max_length=64" in text


@pytest.fixture
def config(tmp_path: Path) -> Path:
    rows = [qa(f"Question {n // 2}?", f"Answer {n}.") for n in range(20)]
    train = write(tmp_path / "rows.jsonl", rows)
    path = tmp_path / "run.yaml"
    path.write_text(f"data:\n  train: {train}\n", encoding="utf-8")
    return path


def test_the_command_checks(config: Path, models: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["check", "--config", str(config), "--json"])
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout.splitlines()[-1])["train_rows"] == 18
    ran = CliRunner().invoke(app, ["check", "--config", str(config), "--rows", "1"])
    assert "⟦Answer" in ran.stdout
    bad = write(tmp_path / "bad.jsonl", [qa("a?", "b"), qa("c?", "d"), qa("", "x")])
    ran = CliRunner().invoke(app, ["check", "--config", str(config), f"data.train={bad}"])
    assert ran.exit_code == 1
    assert "line 3: prompt is empty" in ran.stdout


def test_the_command_splits(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "parted"
    arguments = ["split", "--config", str(config), "--output", str(out), "--json"]
    share = "data.validation_share=0.2"
    dry = CliRunner().invoke(app, [*arguments, share, "--dry-run"])
    assert json.loads(dry.stdout)["validation_rows"] == 4
    assert not out.exists()
    ran = CliRunner().invoke(app, [*arguments, share])
    assert ran.exit_code == 0, ran.output
    sides = [(out / f"{name}.jsonl").read_text().splitlines() for name in ("train", "validation")]
    asked = [{json.loads(line)["prompt"] for line in side} for side in sides]
    assert [len(side) for side in sides] == [16, 4]
    assert not asked[0] & asked[1]
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, DataError)
    assert "there already" in str(again.exception)


def test_the_command_splits_by_a_column(config: Path, tmp_path: Path) -> None:
    rows = [{**qa(f"{n}?", "x"), "document": f"d{n % 5}"} for n in range(20)]
    path = write(tmp_path / "documents.jsonl", rows)
    out = tmp_path / "parted"
    arguments = ["split", "--config", str(config), "--output", str(out), f"data.train={path}"]
    ran = CliRunner().invoke(app, [*arguments, "--by", "documents"])
    assert "no column documents for --by; it has completion, document" in str(ran.exception)
    ran = CliRunner().invoke(app, [*arguments, "--by", "document", "data.validation_share=0.25"])
    assert ran.exit_code == 0, ran.output
    held = (out / "validation.jsonl").read_text().splitlines()
    assert len({json.loads(line)["document"] for line in held}) == 1
    assert len(held) == 4
