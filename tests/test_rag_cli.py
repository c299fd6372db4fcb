"""`python -m rag`: exit codes, one-line errors, JSON that is JSON, and text that stays as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import rag.knowledge
from rag.schema import Metadata
from tests.fakes import Done, FakeEmbedder, fake_knowledge, new_document, run_rag, store, take_in
from tests.test_rag_ingest import BAD, bad_folder

ROOT = Path(__file__).parent.parent


Cli = Callable[..., Done]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command in this process, on a data folder of its own."""

    def run(*arguments: str | Path, data: Path = tmp_path / "data") -> Done:
        return run_rag(monkeypatch, capsys, *arguments, f"data_dir={data}")

    return run


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A data folder with documents whose words look like markup."""
    folder = tmp_path / "data"
    knowledge = fake_knowledge(folder)
    take_in(
        knowledge,
        {
            "a.md": "# [/INST] [bold]odd[/bold] \\[/x] :smile:\n\n[red]markup[/] :warning:",
            "b.md": "# Plain\n\n" + "A long line that a terminal would wrap. " * 20,
        },
    )
    take_in(knowledge, {"[/secret].md": "# Secret\n\nFor some."}, frozenset({"board", "[/x]"}))
    knowledge.close()
    return folder


def test_list_shows_titles_as_they_are(cli: Cli, filled: Path) -> None:
    done = cli("list")
    assert done.code == 0
    assert "[/INST] [bold]odd[/bold]" in done.out
    assert ":smile:" in done.out
    assert "[/secret].md" in done.out
    rows = cli("list", "--json").rows()
    assert {row["name"] for row in rows} == {"a.md", "b.md", "[/secret].md"}
    assert {tuple(row["groups"]) for row in rows} == {("everyone",), ("[/x]", "board")}  # type: ignore[arg-type]


def test_an_empty_catalog_says_how_to_fill_it(cli: Cli) -> None:
    done = cli("list")
    assert (done.code, done.out) == (
        0,
        "No documents yet: `python -m rag ingest PATH...` adds some.\n",
    )
    assert cli("list", "--json").out == ""


def test_show_prints_the_text_letter_for_letter(cli: Cli, filled: Path) -> None:
    for name in ("a.md", "b.md"):
        knowledge = fake_knowledge(filled)
        document = knowledge.catalog.find_document(name)
        assert document is not None
        text = knowledge.catalog.text(document.id)
        knowledge.close()
        done = cli("show", name, "--text")
        assert done.code == 0
        assert done.out.endswith(f"\n{text}\n")
        (row,) = cli("show", str(document.id), "--text", "--json").rows()
        assert (row["text"], row["uri"]) == (text, f"test:{name}")
    assert "board" in cli("show", "[/secret].md").out


@pytest.mark.parametrize("key", ["missing.md", "0", "²", "[/b]", "%"])
def test_a_document_that_is_not_there(cli: Cli, filled: Path, key: str) -> None:
    for command in ("show", "delete"):
        done = cli(command, key)
        assert done.code == 2
        assert done.err == (
            f"error: there is no document '{key}': `python -m rag list` shows those there are\n"
        )


def test_delete_takes_all_or_nothing(cli: Cli, filled: Path) -> None:
    assert cli("delete", "a.md", "missing.md").code == 2
    assert len(cli("list", "--json").rows()) == 3
    done = cli("delete", "a.md", "[/secret].md", "a.md")
    assert done.code == 0
    assert done.out.startswith("Deleted 2: [/INST]")
    assert cli("delete", "b.md", "--json").rows() == [{"deleted": 1}]
    assert cli("list", "--json").out == ""


def test_mistakes_of_the_user_end_in_one_message(cli: Cli, tmp_path: Path) -> None:
    done = cli("list", "chunk.max_token=5", "nonsense")
    assert done.code == 2
    assert "'nonsense' is not an override" in done.err
    assert "did you mean 'chunk.max_tokens'?" in done.err
    assert cli("list", "--config", "missing.yaml").err.startswith("error: missing.yaml: 1 problem")
    (tmp_path / "file").write_text("")
    done = cli("list", data=tmp_path / "file")
    assert done.code == 2
    assert "cannot be opened" in done.err
    assert cli("ingest").code == 2
    assert "name at least one file or folder" in cli("ingest", "chunk.max_tokens=64").err
    done = cli("search", "x", f"embedder.model={tmp_path}/no-model")
    assert done.code == 2
    assert "run `make models`" in done.err
    assert cli("nonsense").code == 2
    assert cli("evaluate", "--questions", "x").code == 2


def test_another_embedder_than_the_catalogs(cli: Cli, filled: Path, models: Path) -> None:
    done = cli("search", "text")
    assert done.code == 2
    assert "embedded with fake/32" in done.err
    assert "python -m rag reindex" in done.err
    assert cli("reindex").code == 0
    assert cli("search", "markup", "--json").rows()[0]["uri"] == "test:a.md"


def test_a_day_with_the_command_line(cli: Cli, models: Path, tmp_path: Path) -> None:
    """Dry run, ingest, again, search as others, change readers, prune, search again."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "lease.md").write_text("# Leases\n\nEach lease lasts 24 hours.")
    (docs / "board.txt").write_text("The merger is planned for May.")
    (dry,) = cli("ingest", docs, "--dry-run", "--json").rows()
    assert (dry["dry_run"], dry["added"]) == (True, ["board.txt", "lease.md"])
    assert cli("list", "--json").out == ""
    done = cli("ingest", docs / "lease.md")
    assert done.code == 0
    assert done.out.startswith("1 added; 1 passages embedded in ")
    (report,) = cli("ingest", docs / "board.txt", "--groups", "board, audit", "--json").rows()
    assert (report["added"], report["failures"]) == (["board.txt"], [])
    everything = cli("search", "When is the merger?", "--json").rows()
    assert everything[0]["text"] == "The merger is planned for May."
    as_staff = cli("search", "When is the merger?", "--groups", "staff", "--json").rows()
    assert [hit["text"] for hit in as_staff] == ["Each lease lasts 24 hours."]
    assert "planned for May" in cli("search", "merger", "--groups", "audit").out
    assert cli("search", "merger", "--top-k", "1").out.startswith("1. Board")
    asked = cli("ask", "How long does each lease last?", "--json", "generator.provider=extractive")
    assert asked.code == 0
    (answer,) = asked.rows()
    assert "24 hours" in str(answer["answer"])
    asked = cli("ask", "Who won the regatta of 1904?", "generator.provider=extractive")
    assert asked.code == 1
    assert "does not hold an answer (2 documents searched)" in asked.out
    (docs / "board.txt").unlink()
    (report,) = cli("ingest", docs, "--prune", "--json").rows()
    assert report["removed"] == [(docs / "board.txt").as_uri()]
    assert len(cli("search", "merger", "--json").rows()) == 1


def test_one_bad_document_makes_exit_code_1_and_the_rest_goes_in(
    cli: Cli, models: Path, tmp_path: Path
) -> None:
    bad_folder(tmp_path / "docs")
    (tmp_path / "docs" / "[red]odd[").mkdir()
    (tmp_path / "docs" / "[red]odd[" / "].md").write_text("")
    done = cli("ingest", tmp_path / "docs", tmp_path / "missing")
    assert done.code == 1
    assert f"4 added, {len(BAD) + 2} failed" in done.out
    for name in (*BAD, "[red]odd[/].md"):
        assert f"│ {name} " in done.out
    assert "does not exist (moved or deleted?)" in done.out
    assert len(cli("list", "--json").rows()) == 4


def test_a_folder_without_documents(cli: Cli, models: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for more in ((), ("--dry-run",)):
        done = cli("ingest", tmp_path / "empty", *more)
        assert done.code == 1
        assert "holds no documents of a supported kind" in done.out


def test_evaluate_prints_what_it_measured(cli: Cli, models: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("zebra", "lion", "tiger"):
        (docs / f"{name}.md").write_text(f"The {name} lives here.")
    (docs / "[").mkdir()
    (docs / "[" / "broken].md").write_text("")
    questions = tmp_path / "q.jsonl"
    rows = [{"question": "zebra", "gold_docs": ["zebra.md"]}]
    rows += [{"question": "lion", "gold_docs": ["lion.md", "[/gone].md"]}]
    questions.write_text("\n".join(map(json.dumps, rows)))
    arguments = ("evaluate", "--questions", questions, "--documents", docs, "--json")
    done = cli(*arguments)
    assert done.code == 0
    assert "left out: [/broken].md: file is empty" in done.out
    assert "[/gone].md" in done.out
    measured = json.loads(done.out.splitlines()[-1])
    assert measured["lexical"]["hit@1"] == 1.0
    assert (measured["questions"], measured["documents"]) == (2, 3)
    (docs / "lion.md").rename(docs / "leo.md")
    measured = json.loads(cli(*arguments).out.splitlines()[-1])
    assert measured["documents"] == 3, "what the corpus no longer holds does not count"
    assert measured["lexical"]["hit@10"] == 0.5
    assert json.loads(cli(*arguments, "--limit", "1").out.splitlines()[-1])["questions"] == 1
    questions.write_text('{"question": "x", "gold_docs": ["nowhere.md"]}\n{"question": 1}')
    assert f"{questions}:2: has no 'gold_docs'" in cli(*arguments).err
    questions.write_text('{"question": "x", "gold_docs": ["nowhere.md"]}')
    done = cli(*arguments)
    assert done.code == 2
    assert "none of the labelled documents is in the corpus, for instance 'nowhere.md'" in done.err


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    """The rest is tested in this process; this is the door."""
    command = [sys.executable, "-m", "rag", "list", f"data_dir={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("No documents yet")
    command = [sys.executable, "-m", "rag", "list", "retriver.top_k=1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "retriver: unknown key; did you mean 'retriever'?" in done.stderr
    assert "Traceback" not in done.stderr


# --- a search narrowed to some documents ---------------------------------------------------------


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents of several sources, products, versions, labels and days."""
    monkeypatch.setattr(rag.knowledge, "open_embedder", lambda config: FakeEmbedder())
    knowledge = fake_knowledge(tmp_path / "data")
    rows = [
        ("a", "wiki", Metadata("vSphere", "4.16", ("runbook", "gpu")), 1),
        ("b", "wiki", Metadata("vSphere", "4.16.3", ("gpu",)), 2),
        ("c", "", Metadata("VCF", "4.1", ('"odd" label',)), 3),
    ]
    for name, source, metadata, day in rows:
        text = f"The cluster {name} holds {' '.join([name * 4] * 5)} hosts."
        modified = datetime(2026, 3, day, 12, tzinfo=UTC)
        new = new_document(name, [text])
        new = replace(new, source=source, metadata=metadata, modified=modified)
        store(knowledge.catalog, new)
    knowledge.close()


NARROWED = [
    ((), "abc"),
    (("--source", "wiki"), "ab"),
    (("--source", ""), "c"),
    (("--source", "wiki", "--source", ""), "abc"),
    (("--product", "vsphere"), "ab"),
    (("--product", "VCF", "--product", "vSphere"), "abc"),
    (("--version", "4.16"), "ab"),
    (("--version", "4.1"), "c"),
    (("--version", "4.1", "--version", "4.16.3"), "bc"),
    (("--label", "gpu"), "ab"),
    (("--label", '"odd" label'), "c"),
    (("--label", "GPU"), ""),
    (("--after", "2026-03-02"), "bc"),
    (("--before", "2026-03-02"), "a"),
    (("--after", "2026-03-02T12:00:00Z"), "bc"),
    (("--after", "2026-03-02T14:00+02:00", "--before", "2026-03-02T21:00:01+09:00"), "b"),
    (("--source", "wiki", "--version", "4.1"), ""),
    (("--source", "wiki", "--label", "runbook", "--product", "VSPHERE"), "a"),
]


@pytest.mark.usefixtures("described")
@pytest.mark.parametrize(("options", "found"), NARROWED)
def test_search_options(cli: Cli, options: tuple[str, ...], found: str) -> None:
    done = cli("search", "cluster hosts", *options, "--json")
    assert done.code == 0, done.err
    assert sorted(str(row["uri"]) for row in done.rows()) == list(found)
    if not found:
        assert cli("search", "cluster hosts", *options).out == "Nothing found.\n"


@pytest.mark.usefixtures("described")
def test_ask_takes_the_same_options(cli: Cli) -> None:
    extractive = ("generator.provider=extractive", "retriever.min_relevance=0.000001")
    for options, found in NARROWED:
        done = cli("ask", "What does the cluster hold?", *options, "--json", *extractive)
        (answer,) = done.rows()
        cited: dict[str, dict[str, object]] = answer["citations"]  # type: ignore[assignment]
        assert {str(hit["uri"]) for hit in cited.values()} <= set(found)
        assert (done.code, answer["found"]) == ((0, True) if found else (1, False))
    done = cli("ask", "What is xyzzy?", "--source", "wiki", *extractive[:1])
    assert "does not hold an answer (2 documents searched)" in done.out


@pytest.mark.usefixtures("described")
@pytest.mark.parametrize("command", ["search", "ask"])
@pytest.mark.parametrize(
    "date", ["yesterday", "2026-13-01", "", "31.12.2026", "0001-01-01T00:00+14:00"]
)
def test_a_date_that_is_none(cli: Cli, command: str, date: str) -> None:
    for option in ("--after", "--before"):
        done = cli(command, "cluster", option, date)
        assert done.code == 2
        assert f"'{date}' is no date: write 2026-03-31 or 2026-03-31T17:00+02:00" in done.err
        assert option in done.err
