"""Documents become rows whose answers stand in their passages, by rules or by a model's server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from finetune.config import DataConfig
from finetune.data_command import app
from finetune.document_data import Recipe, make_rows
from finetune.document_filter import flaw, might_answer, stands_in
from finetune.document_generate import Endpoint, read_answers
from finetune.document_passages import Passage, passages_of, plain, read_passages, sentences
from finetune.document_questions import Asked, questions
from finetune.errors import ConfigError, DataError
from finetune.grounded import REFUSAL
from finetune.rows import read_rows

KB = Path("docs/kb")

DOCUMENT = """---
author: me
---
# Backing up the appliance

The appliance is a small virtual machine with one disk. It is backed up every night.

## Restore a backup

Stop the service before you restore a backup. The restore takes about 10 minutes.

```
# not a heading
restore --all
```

## What is kept

**Snapshot**: a copy of the disk at one moment, which
is kept for `7` days.

| Kind | Days |
|---|---|
| daily | 7 |

The catalogue needs 4 GB of memory, e.g. on a small host. A snapshot cannot be restored to another
appliance, because keys differ.
"""


def rows_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_documents_are_cut_at_headings_and_between_blocks() -> None:
    found = list(passages_of("backup.md", DOCUMENT, 40))
    assert [one.place for one in found] == [
        "Backing up the appliance",
        "Backing up the appliance > Restore a backup",
        "Backing up the appliance > What is kept",
        "Backing up the appliance > What is kept",
    ]
    assert "# not a heading\nrestore --all" in found[1].text
    assert [one.first for one in found] == [True, True, True, False]
    assert found[3].text.startswith("The catalogue")
    assert len({one.key for one in found}) == 4
    again = list(passages_of("backup.md", DOCUMENT.replace("10 min", "12 min"), 40))
    assert [a.key == b.key for a, b in zip(found, again, strict=True)] == [True, False, True, True]


def test_sentences_of_running_text() -> None:
    text = "Use `a.b`, e.g. on ESXi. Then\nwait.\n\n- First item\n- Second. Third!\n\n| a | b |\n"
    expected = ["Use a.b, e.g. on ESXi.", "Then wait.", "First item", "Second.", "Third!"]
    assert sentences(text) == expected
    assert plain("**Bold** [link](http://x) snake_case _soft_") == "Bold link snake_case soft"


def test_questions_by_rules() -> None:
    _, restore, kept, memory = passages_of("backup.md", DOCUMENT, 40)
    asked = [one for passage in (restore, kept, memory) for one in questions(passage, 5)]
    assert asked == [
        Asked(
            "Backing up the appliance: how do I restore a backup?",
            "Stop the service before you restore a backup. The restore takes about 10 minutes.",
        ),
        Asked(
            "What does the term Snapshot mean?",
            "Snapshot: a copy of the disk at one moment, which is kept for 7 days.",
        ),
        Asked(
            "What does the catalogue need?",
            "The catalogue needs 4 GB of memory, e.g. on a small host.",
        ),
        Asked(
            "Can a snapshot be restored to another appliance?",
            "A snapshot cannot be restored to another appliance, because keys differ.",
        ),
    ]


PASSAGE = "The client token is stored in `/etc/nvidia` on Linux. A lease lasts 24 hours."


@pytest.mark.parametrize(
    ("answer", "stands"),
    [
        ("the client token is stored in /etc/nvidia on linux.", True),
        ("A lease lasts 24 hours", True),
        ("On Linux the client token is stored in /etc/nvidia.", True),
        ("A lease lasts 48 hours.", False),
        ("A lease never lasts 24 hours.", False),
        ("The token is stored in the registry on Windows.", False),
        ("", True),
    ],
)
def test_answers_stand_in_the_passage(answer: str, stands: bool) -> None:
    assert stands_in(answer, PASSAGE) is stands


@pytest.mark.parametrize(
    ("question", "answer", "found"),
    [
        ("Where is the client token stored?", "In /etc/nvidia on Linux.", ""),
        ("Where is the client token stored", "In /etc/nvidia.", "no question"),
        (
            "What does this passage say of tokens?",
            "A lease lasts 24 hours",
            "speaks of the passage",
        ),
        ("Who won the cup in football?", "A lease lasts 24 hours", "asks for something else"),
        ("How long does a lease last?", "", "answer empty or long"),
        ("How long does a lease last?", "A lease lasts.", "answer repeats the question"),
        ("How long does a lease last?", "90 days.", "answer not in the passage"),
    ],
)
def test_flaws_of_a_question(question: str, answer: str, found: str) -> None:
    assert flaw(question, answer, PASSAGE) == found


def test_a_passage_that_might_answer_is_not_shown_as_one_that_does_not() -> None:
    assert might_answer("How long does a lease last?", "One day", PASSAGE)
    assert not might_answer("How long does a driver last?", "One day", PASSAGE)


def test_rows_of_the_sample_documents(tmp_path: Path) -> None:
    corpus = read_passages(KB, 120)
    path = tmp_path / "kb.jsonl"
    recipe = Recipe("rules", unanswerable=0.3)
    made = make_rows(corpus, lambda passage: questions(passage, 3), recipe, path)
    rows = rows_in(path)
    assert made.answerable + made.unanswerable == len(rows) > 200
    assert made.unanswerable / len(rows) == pytest.approx(0.3, abs=0.06)
    texts = {one.key: one for one in corpus}
    titles: dict[str, set[str]] = {}
    for one in corpus:
        titles.setdefault(one.document, set()).add(one.place)
    for row in rows:
        source = texts[row["passage"]]
        assert 1 <= len(row["passages"]) <= 3
        shown = [one["text"] for one in row["passages"]]
        if row["answerable"]:
            assert stands_in(row["answer"], source.text)
            assert source.text in shown
        else:
            assert row["answer"] == REFUSAL
            assert source.text not in shown
            assert not titles[source.document] & {one["title"] for one in row["passages"]}
        assert row["messages"][1]["content"].endswith(f"Question: {row['question']}")
    read = read_rows(path, "sft", DataConfig())
    assert not read.problems
    assert len(read.rows) == len(rows)


def test_a_stopped_run_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    corpus = read_passages(KB, 120)[:40]
    whole, parted = tmp_path / "whole.jsonl", tmp_path / "parted.jsonl"
    recipe = Recipe("rules")
    make_rows(corpus, lambda passage: questions(passage, 3), recipe, whole)
    asked: list[str] = []

    def breaks(passage: Passage) -> list[Asked]:
        asked.append(passage.key)
        if len(asked) == 20:
            raise DataError("the server is gone")
        return questions(passage, 3)

    with pytest.raises(DataError, match="the server is gone"):
        make_rows(corpus, breaks, recipe, parted)
    with parted.open("a", encoding="utf-8") as file:
        file.write('{"messages": [{"ro')  # killed in the middle of a line
    before = len(asked)
    made = make_rows(corpus, breaks, recipe, parted)
    assert made.before == 19
    assert len(asked) == before + 40 - 19
    assert parted.read_text() == whole.read_text()
    with pytest.raises(DataError, match="was begun with other settings"):
        make_rows(corpus, breaks, Recipe("rules", seed=1), parted)
    # What is gone from the corpus goes from the rows.
    make_rows(corpus[:5], breaks, recipe, parted)
    assert {row["passage"] for row in rows_in(parted)} <= {one.key for one in corpus[:5]}


def test_a_file_of_someone_else_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("mine")
    with pytest.raises(DataError, match="was not made by this command"):
        make_rows([], lambda passage: [], Recipe("rules"), path)
    assert path.read_text() == "mine"


class Server:
    """An OpenAI-compatible server that answers with `replies`, with the last one for ever."""

    def __init__(self) -> None:
        self.replies: list[tuple[int, Any]] = []
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.lock = threading.Lock()

    def reply(self) -> tuple[int, Any]:
        with self.lock:
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def said(content: str) -> tuple[int, Any]:
    return 200, {"choices": [{"message": {"role": "assistant", "content": content}}]}


@pytest.fixture
def server() -> Iterator[tuple[str, Server]]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append((self.path, self.headers.get("Authorization", ""), body))
            status, reply = state.reply()
            content = reply.encode() if isinstance(reply, str) else json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/v1", state
        running.shutdown()
        thread.join()


def test_a_model_is_asked_and_its_answers_are_checked(
    tmp_path: Path, server: tuple[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, state = server
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text(f"# Licences\n\n{PASSAGE}\n")
    (tmp_path / "docs" / "b.md").write_text(
        "# Fans\n\nFans are cleaned once a year by the vendor.\n"
    )
    written = (
        '1. {"question": "How long does a licence lease last?", '
        '"answer": "A lease lasts 24 hours."}\n'
        '```json\n[{"question": "Where is the token?", "answer": "In C:/Windows."}]\n```'
    )
    state.replies = [said(written)]
    monkeypatch.setenv("MY_KEY", "sesame")
    out = tmp_path / "rows.jsonl"
    command = ["from-documents", str(tmp_path / "docs"), "--output", str(out), "--json"]
    command += ["--endpoint", url, "--model", "teacher", "--api-key-env", "MY_KEY"]
    ran = CliRunner().invoke(app, [*command, "--unanswerable", "0.5"])
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout) == {
        "passages": 2,
        "done_before": 0,
        "answerable": 1,
        "unanswerable": 1,
        "passages_without_question": 0,
        "rejected": {"answer not in the passage": 1, "asks for something else": 2},
        "file": str(out),
    }
    path, key, body = state.requests[0]
    assert (path, key, body["model"]) == ("/v1/chat/completions", "Bearer sesame", "teacher")
    assert any(PASSAGE in request["messages"][1]["content"] for _, _, request in state.requests)
    right, refused = rows_in(out)
    assert right["answer"] == "A lease lasts 24 hours."
    assert [one["title"] for one in refused["passages"]] == ["Fans"]
    asked = len(state.requests)
    ran = CliRunner().invoke(app, [*command, "--unanswerable", "0.5"])
    assert json.loads(ran.stdout)["done_before"] == 2
    assert len(state.requests) == asked


def test_a_server_that_is_busy_is_waited_for(server: tuple[str, Server]) -> None:
    url, state = server
    waits: list[float] = []
    endpoint = Endpoint(url, "m", wait=waits.append)
    passage = Passage("a.md", ("A",), PASSAGE, True)
    state.replies = [(503, "busy"), (429, "slow"), said('{"question": "q?", "answer": "a"}')]
    assert endpoint.ask(passage, 3) == [Asked("q?", "a")]
    assert waits == [1.0, 2.0]
    state.replies = [(500, "broken")]
    with pytest.raises(DataError, match=r"status 500\); the same command goes on from here"):
        endpoint.ask(passage, 3)
    state.replies = [(401, "no")]
    with pytest.raises(DataError, match="answered 401: it asks for credentials"):
        endpoint.ask(passage, 3)
    state.replies = [(200, "<html>")]
    with pytest.raises(DataError, match="does not answer like OpenAI's API"):
        endpoint.ask(passage, 3)
    endpoint.close()
    gone = Endpoint("http://127.0.0.1:9/v1", "m", wait=waits.append)
    with pytest.raises(DataError, match="cannot be reached"):
        gone.ask(passage, 3)
    gone.close()


def test_what_a_model_writes_is_read_leniently() -> None:
    text = 'Sure! {"question": "a", "answer": 5} {"question": "b?", "answer": "c {d}"} {broken'
    assert read_answers(text) == [Asked("b?", "c {d}")]
    assert read_answers("no JSON") == []


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    command = ["from-documents", str(tmp_path), "--output", str(tmp_path / "rows.jsonl")]
    ran = CliRunner().invoke(app, [*command, "--extractive"])
    assert isinstance(ran.exception, DataError)
    assert "holds no text to ask about" in str(ran.exception)
    (tmp_path / "a.md").write_text(DOCUMENT)
    ran = CliRunner().invoke(app, command)
    assert isinstance(ran.exception, ConfigError)
    assert "--extractive" in str(ran.exception)
    ran = CliRunner().invoke(app, [*command, "--extractive", "--dry-run", "--json"])
    assert json.loads(ran.stdout) == {"documents": 1, "passages": 3, "dry_run": True}
    assert not (tmp_path / "rows.jsonl").exists()
