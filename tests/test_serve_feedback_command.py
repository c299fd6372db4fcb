"""`python -m serve feedback`: lists and exports, with personal data masked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rag.catalog import Catalog
from rag.config import RagConfig
from serve.__main__ import main
from serve.feedback import AnswerRow, Given, keep_answers, record
from serve.masking import masked
from tests.fakes import PUBLIC, Done

KEYS = ["id", "time", "kind", "question", "history", "answer", "passages", "adapter", "caller"]
MAIL, OTHER = "anna.berg@lakeferry.de", "otto@harbour-office.org"
Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: Path) -> Run:
    """`python -m serve feedback ARGUMENTS` in this process."""

    def running(*arguments: str | Path) -> Done:
        given = [*map(str, arguments), f"data_dir={data}"]
        monkeypatch.setattr(sys, "argv", ["serve", "feedback", *given])
        with pytest.raises(SystemExit) as done:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Done(int(done.value.code or 0), captured.out, captured.err)

    return running


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A catalog with an answer on which two callers gave feedback, and one on which nobody did."""
    folder = tmp_path / "data"
    catalog = Catalog(RagConfig(data_dir=folder))
    row = AnswerRow(
        "chatcmpl-1",
        datetime.now(UTC),
        f"May {MAIL} open a ticket?",
        [{"role": "user", "content": f"I am {OTHER}"}, {"role": "assistant", "content": "Hello."}],
        [{"title": "Tickets", "text": f"Write to {OTHER}.", "uri": "file:///secret/tickets.md"}],
        f"Yes, {MAIL} may. [1]",
        "terse",
        ["everyone"],
    )
    with catalog.writing(visible=False) as (connection, _):
        other = AnswerRow("chatcmpl-2", row.created, "?", [], [], "!", None, ["everyone"])
        keep_answers(connection, [row, other])
        said = {"correction": f"Yes, as {MAIL}.", "comment": "Zu lang – 日本", "ideal": "Yes. [1]"}
        record(connection, row.id, "10.0.0.1", PUBLIC, Given(False, said))
        record(connection, row.id, "10.0.0.2", PUBLIC, Given(True))
    catalog.close()
    return folder


def exported(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_row_has_the_stated_keys_and_nothing_personal(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "feedback.jsonl"
    done = run("export", "--output", path, "--json")
    assert done.code == 0, done.err
    assert done.last() == {
        "output": str(path),
        "rows": 5,
        "up": 1,
        "down": 1,
        "correction": 1,
        "comment": 1,
        "ideal": 1,
        "masked": 21,
        "answers": 1,
        "callers": 2,
    }
    rows = exported(path)
    text = path.read_text(encoding="utf-8")
    assert not [value for value in (MAIL, OTHER, "10.0.0", "secret") if value in text]
    assert [row["kind"] for row in rows] == ["vote", "correction", "comment", "ideal", "vote"]
    assert [row.get("value") for row in rows] == [False, None, None, None, True]
    assert [row.get("text") for row in rows] == [
        None,
        "Yes, as <EMAIL_2>.",
        "Zu lang – 日本",
        "Yes. [1]",
        None,
    ]
    for row in rows:
        assert [key for key in row if key not in ("value", "text")] == KEYS
        assert ("value" in row) != ("text" in row)
        assert datetime.fromisoformat(row["time"]).utcoffset() is not None
        assert row["time"].endswith("Z")
        assert row["id"] == "chatcmpl-1"
        assert row["question"] == "May <EMAIL_2> open a ticket?"
        assert row["history"] == [
            {"role": "user", "content": "I am <EMAIL_1>"},
            {"role": "assistant", "content": "Hello."},
        ]
        assert row["answer"] == "Yes, <EMAIL_2> may. [1]"
        assert row["passages"] == [{"title": "Tickets", "text": "Write to <EMAIL_1>."}]
        assert row["adapter"] == "terse"
    assert rows[0]["caller"] != rows[4]["caller"]
    assert path.stat().st_mode & 0o077 == 0, "its owner alone may read it"
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == ["feedback.jsonl"]


def test_since_is_a_time_or_a_day(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "feedback.jsonl"
    run("export", "--output", path)
    last = exported(path)[-1]["time"]
    for since, rows in (("2020-01-01", 5), (last, 1), ("2999-01-01T10:00:00+02:00", 0)):
        done = run("export", "--output", path, "--since", since, "--json")
        assert (done.code, done.last()["rows"]) == (0, rows)
        assert len(exported(path)) == rows


def test_what_was_exported_is_said_in_words(run: Run, tmp_path: Path) -> None:
    said = run("export", "--output", tmp_path / "f.jsonl").out
    assert "5 rows on 1 answers written to" in said
    assert "1 good, 1 bad, 1 corrections" in said


def test_list_shows_the_newest_first(run: Run) -> None:
    rows = run("list", "--json").rows()
    assert [row["kind"] for row in rows] == ["vote", "ideal", "comment", "correction", "vote"]
    assert MAIL not in json.dumps(rows)
    assert len(run("list", "--json", "--limit", "2").rows()) == 2
    table = run("list").out
    assert "good" in table
    assert "bad" in table
    assert "chatcmpl-1" in table
    assert MAIL not in table
    assert "Nobody" in run("list", "--since", "2999-01-01").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("export",), "--output"),
        (("export", "--output", "no/such/folder/f.jsonl"), "cannot write no/such/folder/f.jsonl"),
        (("export", "--output", "tests"), "tests is a folder"),
        (("list", "--since", "yesterday"), "'yesterday' is no time"),
        (("list", "--since", "0001-01-01T00:00:00+10:00"), "is no time"),
        (("list", "--limit", "0"), "--limit"),
        (("list", "server.feedback.keep_day=3"), "did you mean 'server.feedback.keep_days'?"),
        (("lisst",), "No such command"),
    ],
)
def test_a_mistake_is_named(run: Run, arguments: tuple[str, ...], says: str) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert says in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_a_failed_export_leaves_the_former_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "feedback.jsonl"
    path.write_text("before")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("serve.feedback_export.os.fsync", full)
    done = run("export", "--output", path)
    assert done.code == 2
    assert "No space left on device" in done.err
    assert path.read_text() == "before"
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == ["feedback.jsonl"]


def test_it_runs_as_a_user_runs_it(data: Path) -> None:
    command = [sys.executable, "-m", "serve", "feedback", "list", "--json", f"data_dir={data}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == 5


# --- masks --------------------------------------------------------------------------------------


def test_the_same_value_has_the_same_mask_in_all_texts() -> None:
    texts = [f"{MAIL} and {OTHER}", "", f"again {OTHER.upper()}", "<EMAIL_7> stood here"]
    found, count = masked(texts, ("US",))
    assert found == ["<EMAIL_8> and <EMAIL_9>", "", "again <EMAIL_9>", "<EMAIL_7> stood here"]
    assert count == 3


@pytest.mark.parametrize(
    "text",
    [
        "card 4111 1111 1111 1111",
        "IBAN DE89 3704 0044 0532 0130 00",
        "call +44 20 7946 0958",
        "the host 93.184.216.34 answers",
        "password: hunter2hunter2",
    ],
)
def test_every_kind_is_masked_whatever_the_rails_allow(text: str) -> None:
    (found,), count = masked([text], ("US", "GB", "DE"))
    assert count == 1
    assert "_1>" in found
