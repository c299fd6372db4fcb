"""`python -m rag evaluate`: what is measured, kept, taken up again, compared and refused."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import typer.core
import typer.main
from numpy.typing import NDArray

import settings
from rag.__main__ import app
from rag.config import FOREIGN_SECTIONS, RagConfig, RerankerConfig
from rag.errors import EvaluationError, GenerationError
from rag.evaluation import command as evaluate_command
from rag.evaluation import corpus as evaluate_corpus
from rag.evaluation.gates import parse_gates
from rag.evaluation.means import ANSWER_MEASURES
from rag.evaluation.run import read_run, write_whole
from rag.generate import Usage
from rag.schema import Message, Sampling
from tests.fakes import Done, FakeEmbedder, FakeGenerator, run_rag

Cli = Callable[..., Done]


@pytest.fixture
def embedders(monkeypatch: pytest.MonkeyPatch) -> list[FakeEmbedder]:
    """What the next run embeds with is the last one."""
    known = [FakeEmbedder()]
    monkeypatch.setattr(evaluate_corpus, "open_embedder", lambda config: known[-1])
    return known


@pytest.fixture
def cli(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    embedders: list[FakeEmbedder],
) -> Cli:
    def run(*arguments: str | Path) -> Done:
        data = f"data_dir={tmp_path / 'data'}"
        return run_rag(monkeypatch, capsys, "evaluate", *arguments, data)

    return run


ANIMALS = ("zebra", "lion", "tiger", "okapi", "heron", "otter")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for i, name in enumerate(ANIMALS):
        text = f"# The {name}\n\nThe {name} sleeps for {i + 3} hours in the shade of a tree."
        (folder / f"{name}.md").write_text(text)
    return folder


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return lines(
        tmp_path / "q.jsonl",
        *[
            {
                "id": name,
                "question": f"How many hours does the {name} sleep in the shade of a tree?",
                "gold_docs": [f"{name}.md"],
                "answer": f"The {name} sleeps for {i + 3} hours.",
            }
            for i, name in enumerate(ANIMALS)
        ],
    )


@pytest.fixture
def unanswerable(tmp_path: Path) -> Path:
    rows = [{"id": "no", "question": "Who won the regatta of 1904?", "answerable": False}]
    return lines(tmp_path / "no.jsonl", *rows)


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


EXTRACTIVE = "generator.provider=extractive"


def test_a_whole_run(
    cli: Cli, docs: Path, questions: Path, unanswerable: Path, tmp_path: Path
) -> None:
    output, report = tmp_path / "run.json", tmp_path / "run.html"
    done = cli(
        "--questions", questions, "--documents", docs, "--unanswerable", unanswerable, "--answers",
        "--output", output, "--report", report, "--json", EXTRACTIVE,
        "generator.api_key=hunter2", "embedder.base_url=http://me:hunter2@host/v1",
    )  # fmt: skip
    assert done.code == 0, done.err
    summary = done.last()
    assert summary["lexical"]["hit@1"] == 1.0
    assert {"hit@1", "recall@20", "mrr@10", "ndcg@10"} <= summary["default"].keys()
    assert (summary["questions"], summary["unanswerable"], summary["documents"]) == (7, 1, 6)
    assert summary["answers"]["abstention_recall"] == 1.0
    assert summary["answers"]["answered"] == 1.0
    assert summary["answers"]["citation_recall"] == 1.0
    assert summary["answers"]["token_f1"] > 0.3
    assert "quotations" not in summary, "the same as the answers"
    assert {"embed_question", "search", "relevance", "whole_answer", "refusal"} <= summary[
        "latency_ms"
    ].keys()
    run = read_run(output)
    assert run.complete
    assert run.means["default"] == summary["default"]
    first, *_, last = run.questions
    assert (first.id, first.gold, first.rankings["default"].rank) == ("zebra", {"zebra.md": 1}, 1)
    assert first.rankings["default"].documents[0].name == "zebra.md"
    assert first.answers["answers"].cited[0] == "zebra.md"
    assert "3 hours" in first.answers["answers"].text
    assert (last.id, last.rankings, last.answers["answers"].abstained) == ("no", {}, True)
    assert last.relevance is not None
    assert first.relevance is not None
    assert last.relevance < run.threshold <= first.relevance
    assert run.config["embedder"]["base_url"] == "http://host/v1"
    assert "hunter2" not in output.read_text() + report.read_text()
    assert "data_dir" not in run.config
    assert "Every question has its documents on top." in report.read_text()


def test_the_generator_is_set_against_quotations_alone(
    cli: Cli, docs: Path, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = FakeGenerator("The lion sleeps for 4 hours in the shade of a tree.", " \ud800!")
    monkeypatch.setattr(evaluate_command, "open_generator", lambda config: generator)
    done = cli("--questions", questions, "--documents", docs, "--answers", "--json")
    assert done.code == 0, done.err
    assert len(generator.asked) == len(ANIMALS), "not for the quotations"
    assert done.last()["answers"].keys() == done.last()["quotations"].keys()
    assert "The generator against quotations alone: token_f1" in done.out
    assert "quotations" in done.last()["latency_ms"]


def test_modes_and_limit(cli: Cli, docs: Path, questions: Path) -> None:
    common = ("--questions", questions, "--documents", docs, "--json", "--limit", "2")
    summary = cli(*common, "--modes", "dense, lexical").last()
    assert {"dense", "lexical"} <= summary.keys()
    assert not {"hybrid", "default", "answers"} & summary.keys()
    assert summary["questions"] == 2
    done = cli(*common, "--modes", "dense,sparse")
    assert done.code == 2
    assert "'sparse' is no mode of search" in done.err


# --- what is kept, and taken up again -------------------------------------------------------------


class FailingGenerator(FakeGenerator):
    """Works `good` times."""

    def __init__(self, good: int) -> None:
        super().__init__("It sleeps.")
        self.good = good

    async def stream(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        adapter: str | None = None,
        usage: Usage | None = None,
    ) -> AsyncGenerator[str]:
        if len(self.asked) >= self.good:
            raise GenerationError("the endpoint is gone")
        async for piece in super().stream(messages, sampling, adapter, usage):
            yield piece


def test_a_run_that_failed_goes_on_where_it_stopped(
    cli: Cli, docs: Path, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "run.json"
    arguments = ("--questions", questions, "--documents", docs, "--answers", "--output", output)
    failing = FailingGenerator(good=3)
    monkeypatch.setattr(evaluate_command, "open_generator", lambda config: failing)
    done = cli(*arguments)
    assert done.code == 2
    assert "at question 'okapi': the endpoint is gone" in done.err
    half = read_run(output)
    assert (len(half.questions), half.complete) == (3, False)
    working = FakeGenerator("It sleeps.")
    monkeypatch.setattr(evaluate_command, "open_generator", lambda config: working)
    assert cli(*arguments, "--resume").code == 0
    assert len(working.asked) == 3
    whole = read_run(output)
    assert whole.complete
    assert [result.id for result in whole.questions] == list(ANIMALS)
    assert whole.questions[:3] == half.questions
    assert cli(*arguments, "--resume").code == 0
    assert len(working.asked) == 3, "nothing is left to do"
    assert cli(*arguments).code == 0
    assert len(working.asked) == 9, "without --resume all anew"


def test_resuming_measures_what_is_missing_or_labelled_anew(
    cli: Cli, docs: Path, questions: Path, tmp_path: Path, embedders: list[FakeEmbedder]
) -> None:
    output = tmp_path / "run.json"
    arguments = ("--questions", questions, "--documents", docs, "--output", output)
    assert cli(*arguments, "--modes", "lexical").code == 0
    assert cli(*arguments, "--modes", "lexical,dense", "--resume").code == 0
    assert read_run(output).means.keys() == {"lexical", "dense"}
    rows = [json.loads(line) for line in questions.read_text().splitlines()]
    rows[0]["gold_docs"] = ["lion.md"]
    lines(questions, *rows)
    before = {result.id: result for result in read_run(output).questions}
    assert cli(*arguments, "--modes", "dense", "--resume").code == 0
    after = {result.id: result for result in read_run(output).questions}
    assert after["zebra"].gold == {"lion.md": 1}
    assert after["lion"].times == before["lion"].times, "taken over"
    assert after["lion"].rankings.keys() == {"dense"}, "only what was asked for"


def test_resuming_under_other_circumstances_is_refused(
    cli: Cli, docs: Path, questions: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run.json"
    arguments = ("--questions", questions, "--documents", docs, "--output", output, "--resume")
    assert cli(*arguments, EXTRACTIVE).code == 0, "nothing there yet: begins"
    done = cli(*arguments, EXTRACTIVE, "retriever.lexical_weight=0.1")
    assert done.code == 2
    assert "retriever.lexical_weight: 0.55, now 0.1" in " ".join(done.err.split())
    (docs / "heron.md").write_text("# Herons\n\nThe heron moved.")
    done = cli(*arguments, EXTRACTIVE)
    assert done.code == 2
    assert "the corpus has changed" in " ".join(done.err.split())
    output.write_text("{}")
    done = cli(*arguments[:-1], EXTRACTIVE)
    assert done.code == 2
    assert "is not an evaluation kept by" in " ".join(done.err.split())


class InterruptingEmbedder(FakeEmbedder):
    """Presses Ctrl-C while a question is embedded, as a user does in the midst of a long run."""

    at = ""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.at and self.at in texts[0] and len(texts) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return super().encode(texts)


def test_ctrl_c_ends_it_and_keeps_what_there_is(
    cli: Cli, docs: Path, questions: Path, tmp_path: Path, embedders: list[FakeEmbedder]
) -> None:
    output = tmp_path / "run.json"
    embedder = InterruptingEmbedder()
    embedder.at = "otter"
    embedders.append(embedder)
    done = cli("--questions", questions, "--documents", docs, "--output", output)
    assert done.code == 130
    assert [result.id for result in read_run(output).questions] == list(ANIMALS[:5])


def test_it_is_kept_on_the_way(
    cli: Cli, docs: Path, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed leaves what it had a few seconds before."""
    seen: list[int] = []
    write = evaluate_command.write_run
    monkeypatch.setattr(evaluate_command, "_SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(
        evaluate_command,
        "write_run",
        lambda run, path: (seen.append(len(run.questions)), write(run, path)),
    )
    output = tmp_path / "run.json"
    assert cli("--questions", questions, "--documents", docs, "--output", output).code == 0
    assert seen == [1, 2, 3, 4, 5, 6, 6]


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    write_whole(path, "former")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EvaluationError, match="cannot be written: No space left on device"):
        write_whole(path, "half")
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content", ["", "{", "null", "[]", '{"kind": "x"}', '{"version": 2}', "\xff"]
)
def test_files_that_are_no_runs(tmp_path: Path, content: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(EvaluationError, match="is not an evaluation kept by"):
        read_run(path)
    with pytest.raises(EvaluationError, match="cannot be read: No such file"):
        read_run(tmp_path / "gone.json")


# --- circumstances -------------------------------------------------------------------------------


def test_another_embedder_embeds_the_corpus_anew(
    cli: Cli, docs: Path, questions: Path, tmp_path: Path, embedders: list[FakeEmbedder]
) -> None:
    arguments = ("--questions", questions, "--documents", docs, "--modes", "dense", "--json")
    assert cli(*arguments).code == 0
    other = FakeEmbedder(dimension=256)
    embedders.append(other)
    output = tmp_path / "run.json"
    done = cli(*arguments, "--output", output)
    assert done.code == 0, done.err
    assert read_run(output).embedder == "fake/256"
    assert other.texts >= 2 * len(ANIMALS), "the passages and the questions"
    assert done.last()["dense"]["hit@1"] == 1.0


def test_the_reranker_has_a_time_of_its_own(
    cli: Cli, docs: Path, questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Backwards:
        """Scores against the order found."""

        def score(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
            return np.arange(len(passages), dtype=np.float32)

    def opened(config: RerankerConfig) -> Backwards | None:
        return None if config.provider == "none" else Backwards()

    monkeypatch.setattr("rag.retrieve.open_reranker", opened)
    arguments = ("--questions", questions, "--documents", docs, "--json")
    assert "rerank" not in cli(*arguments).last()["latency_ms"]
    reranked = cli(*arguments, "reranker.provider=sentence_transformers").last()
    assert reranked["latency_ms"]["rerank"]["questions"] == len(ANIMALS)  # type: ignore[index]
    assert reranked["default"]["hit@1"] == 0.0


def test_follow_ups_are_rewritten_as_configured(
    cli: Cli, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = ["How many hours does the okapi sleep?"]
    row = {"question": "And where is it?", "history": history, "gold_docs": ["okapi.md"]}
    questions, output = lines(tmp_path / "q.jsonl", row), tmp_path / "run.json"
    arguments = ("--questions", questions, "--documents", docs, "--output", output)
    opened: list[FakeGenerator] = []

    def open_generator(config: object) -> FakeGenerator:
        opened.append(FakeGenerator("Where is the okapi?"))
        return opened[-1]

    monkeypatch.setattr(evaluate_command, "open_generator", open_generator)
    assert cli(*arguments).code == 0
    assert opened == []
    (result,) = read_run(output).questions
    assert (result.history, result.rankings["default"].rank) == (history, 1)
    assert cli(*arguments, "rewrite.mode=generator").code == 0
    assert len(opened) == 1


# --- gates and comparisons -----------------------------------------------------------------------


def test_a_missed_gate_fails_the_build_and_is_named(cli: Cli, docs: Path, questions: Path) -> None:
    arguments = ("--questions", questions, "--documents", docs, "--modes", "lexical", "--json")
    done = cli(*arguments, "--fail-below", "lexical.hit@1=1.0")
    assert (done.code, done.last()["missed"]) == (0, [])
    rows = [json.loads(line) for line in questions.read_text().splitlines()]
    rows[0]["gold_docs"] = ["lion.md"]
    lines(questions, *rows)
    done = cli(*arguments, "--fail-below", "lexical.hit@1=0.9,lexical.hit@10=1")
    assert done.code == 1
    assert "gate missed: lexical.hit@1 is 0.8333, below 0.9" in done.err
    assert done.last()["missed"] == ["lexical.hit@1 is 0.8333, below 0.9"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--fail-below", "hit@3=0.5"], "there is no measure 'hit@3'"),
        (["--fail-below", "token_f1=0.5"], "is measured with --answers"),
        (["--fail-below", "hit@1=0.5", "--modes", "dense"], "add default to --modes"),
        (["--fail-below", "quotations.token_f1=0.5", "--answers", EXTRACTIVE], "than extractive"),
        (["--resume"], "--resume goes on with the file that --output names"),
        (["--output", "no/such/folder/x.json"], "there is no folder no/such/folder"),
        (["--report", "/dev/null"], "/dev/null is no file"),
        (["--output", "tests/data/kb_questions.jsonl"], "name another file, or delete this one"),
        (["--report", "docs/evaluating.md"], "name another file, or delete this one"),
        (["--max-drop", "0.1"], "belong to --compare"),
        (["--intersection"], "belong to --compare"),
        (["--compare", "a", "b"], "measures nothing anew"),
    ],
)
def test_mistakes_are_told_before_anything_is_measured(
    cli: Cli,
    docs: Path,
    questions: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    said: str,
) -> None:
    monkeypatch.setattr(evaluate_corpus, "open_embedder", lambda config: pytest.fail("measured"))
    done = cli("--questions", questions, "--documents", docs, *more)
    assert done.code == 2
    plain = " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.err).split())
    assert said in plain


def test_labels_that_fit_no_measure(cli: Cli, docs: Path, questions: Path, tmp_path: Path) -> None:
    double = lines(tmp_path / "double.jsonl", {"id": "lion", "question": "x"})
    done = cli("--questions", questions, "--documents", docs, "--unanswerable", double)
    assert done.code == 2
    assert "the id 'lion' stands in" in done.err
    only = lines(tmp_path / "only.jsonl", {"question": "x", "answerable": False})
    done = cli("--questions", only, "--documents", docs)
    assert done.code == 2
    assert "retrieval cannot be measured" in " ".join(done.err.split())
    done = cli("--questions", only, "--documents", docs, "--answers", "--json", EXTRACTIVE)
    assert done.code == 0
    assert done.last()["answers"].keys() >= {"abstention_recall", "abstention_f1"}
    assert "default" not in done.last()


def test_two_runs_compared(cli: Cli, docs: Path, questions: Path, tmp_path: Path) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    arguments = ("--questions", questions, "--documents", docs, "--modes", "default")
    assert cli(*arguments, "--output", a).code == 0
    assert cli(*arguments, "--output", b, "retriever.mode=lexical", "--limit", "5").code == 0
    done = cli("--compare", a, b)
    assert done.code == 2
    assert "1 only in the first (otter)" in " ".join(done.err.split())
    done = cli("--compare", a, b, "--intersection", "--max-drop", "0", "--json")
    assert done.code == 0
    assert "retriever.mode: hybrid -> lexical" in done.out
    assert (done.last()["questions"], done.last()["left_out"]) == (5, 1)
    done = cli("--compare", a, a, "--fail-below", "hit@1=1")
    assert done.code == 0
    worse = json.loads(a.read_text())
    for result in worse["questions"]:
        result["rankings"]["default"]["measures"]["hit@1"] = 0.0
        result["question"] = result["question"]
    b.write_text(json.dumps(worse))
    done = cli("--compare", a, b, "--max-drop", "0.02", "--fail-below", "hit@1=0.5", "--json")
    assert done.code == 1
    assert len(done.last()["missed"]) == 2
    assert done.last()["default"]["hit@1"]["change"] == -1.0  # type: ignore[index]
    assert "default.hit@1 went from 1.0000 to 0.0000" in done.err
    done = cli("--compare", a, tmp_path / "gone.json")
    assert (done.code, "cannot be read" in done.err) == (2, True)
    done = cli("--compare", a, b, "--fail-below", "token_f1=0.5")
    assert (done.code, "is measured with --answers" in done.err) == (2, True)


def test_questions_cannot_steer_the_terminal(cli: Cli, docs: Path, tmp_path: Path) -> None:
    text = "[red]zebra[/] \x1b[2J\x1b]0;owned\x07 \u202egnp.exe"
    rows = [{"id": "[/x]\x1b", "question": text, "gold_docs": ["zebra.md"], "answer": "zebra"}]
    questions, a, b = lines(tmp_path / "q.jsonl", *rows), tmp_path / "a.json", tmp_path / "b.json"
    arguments = ("--questions", questions, "--documents", docs, "--output")
    assert cli(*arguments, a).code == 0
    changed = json.loads(a.read_text())
    changed["questions"][0]["rankings"]["default"]["measures"]["ndcg@10"] = 0.0
    b.write_text(json.dumps(changed))
    done = cli("--compare", a, b)
    assert done.code == 0
    assert "[red]zebra[/]" in done.out
    assert not {"\x1b", "\x07", "\u202e"} & set(done.out)


GUIDE = (Path(__file__).parent.parent / "docs" / "evaluating.md").read_text(encoding="utf-8")
SHOWN = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    for line in block.replace("\\\n", " ").splitlines()
    if "rag evaluate" in line
]


@pytest.mark.parametrize("line", SHOWN)
def test_the_guide_shows_options_that_there_are(line: str) -> None:
    command = typer.main.get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    parameters = command.commands["evaluate"].params
    known = {option for parameter in parameters for option in parameter.opts}
    words = shlex.split(line)
    assert {word for word in words if word.startswith("--")} <= known
    if "--fail-below" in words:
        assert parse_gates(words[words.index("--fail-below") + 1])
    overrides = [word for word in words if re.match(r"[a-z_.]+=", word)]
    root = Path(__file__).parent.parent
    settings.load(RagConfig, root / "configs" / "chat.yaml", overrides, FOREIGN_SECTIONS)


def test_the_guide_explains_every_measure() -> None:
    for name in [*ANSWER_MEASURES, "hit@k", "recall@k", "mrr@10", "ndcg@10"]:
        assert f"| `{name}` |" in GUIDE
