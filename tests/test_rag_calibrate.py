"""`python -m rag calibrate`: what each threshold would do, and which one is recommended."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answerable import relevance
from rag.calibrate import Estimates, estimate, recommend, tradeoff
from rag.config import RagConfig
from rag.embed_cache import CachedEmbedder
from rag.evaluation import corpus as evaluate_corpus
from rag.evaluation.evaluate import evaluation_config
from rag.evaluation.labels import LabelledQuestion, read_questions
from rag.knowledge import Knowledge
from rag.retrieve import search
from rag.rewrite import standalone_by_words
from rag.schema import EVERYONE
from tests.fakes import PUBLIC, Done, FakeEmbedder, fake_knowledge, new_document, run_rag, store

ROOT = Path(__file__).parent.parent
QUESTIONS = ROOT / "tests" / "data" / "kb_questions.jsonl"
KB = ROOT / "docs" / "kb"


def estimates(
    answerable: list[float], unanswerable: list[float], left_out: list[float] | None = None
) -> Estimates:
    arrays = (answerable, unanswerable, left_out or [])
    return Estimates(*(np.array(values, dtype=np.float64) for values in arrays))


# --- the arithmetic ------------------------------------------------------------------------------


def test_what_a_threshold_does() -> None:
    held = estimates([0.2, 0.5, 0.6, 0.9], [0.1, 0.5], [0.4, 0.7])
    found = tradeoff(held, 0.5)
    assert (found.answered, found.refused, found.refused_left_out) == (0.75, 0.5, 0.5)
    assert tradeoff(held, 0.0).answered == 1
    assert tradeoff(held, 1.0).refused == 1
    assert math.isnan(tradeoff(estimates([0.5], []), 0.5).refused)


def test_the_best_threshold_by_hand() -> None:
    held = estimates([0.5, 0.6, 0.7, 0.8], [0.1, 0.3, 0.55, 0.58, 0.65, 0.68])
    assert recommend(held, 1.0).threshold == 0.4, "no answer is given up"
    assert recommend(held, 0.75).threshold == 0.59, "one for two refusals more"
    assert recommend(held, 0.5).threshold == 0.69
    assert recommend(estimates([0.5, 0.6], [0.55, 0.1]), 0.5).threshold == 0.3, "no gain, no loss"
    assert recommend(estimates([0.8, 0.9], [0.1, 0.2]), 0.0).threshold == 0.5, "well between"
    assert recommend(estimates([0.6875], [0.0]), 0.9).threshold == 0.344, "rounding costs nothing"
    assert recommend(estimates([0.5, 0.9], [], [0.7, 0.1]), 0.5).threshold == 0.3
    assert recommend(estimates([0.5], [0.9]), 0.9).threshold == 0, "nothing to gain"


hundredths = st.integers(0, 100).map(lambda number: number / 100)


@given(
    st.lists(hundredths, min_size=1, max_size=12),
    st.lists(hundredths, max_size=12),
    st.floats(0, 1),
)
def test_no_other_threshold_is_better(
    answerable: list[float], unanswerable: list[float], keep: float
) -> None:
    held = estimates(answerable, unanswerable, answerable[::-1])
    best = recommend(held, keep)
    assert 0 <= best.threshold <= 1
    assert best.answered >= keep

    def gain(threshold: float) -> float:
        done = tradeoff(held, threshold)
        return done.answered + (done.refused if unanswerable else done.refused_left_out)

    others = [t / 200 for t in range(201) if tradeoff(held, t / 200).answered >= max(keep, 0.001)]
    assert gain(best.threshold) >= max(map(gain, others)) - 1e-9


# --- the estimates -------------------------------------------------------------------------------


def test_estimates_are_what_the_server_will_see(knowledge: Knowledge) -> None:
    """The threshold is compared with the relevance of a search as the chat flow makes it."""
    questions = read_questions(QUESTIONS)[::3]  # each reads many sentences
    names = {document.id: document.name for document in knowledge.catalog.list_documents()}
    asked: list[int] = []
    held = estimate(knowledge, questions, names, PUBLIC, lambda: asked.append(1))
    assert len(asked) == len(questions)
    config = knowledge.config
    served: dict[bool, list[float]] = {True: [], False: []}
    for question in questions:
        query = standalone_by_words(question.text, question.history)
        found = search(
            knowledge, query.query, PUBLIC, config.retriever.top_k, wordings=query.wordings
        )
        hits = found.hits[: config.prompt.max_passages]
        judged = relevance(knowledge, query.query, hits, found.contrast)
        served[question.answerable].append(judged)
    assert held.answerable.tolist() == pytest.approx(served[True])
    assert held.unanswerable.tolist() == pytest.approx(served[False])
    assert len(held.left_out) == len(held.answerable)
    assert held.answerable.mean() > held.left_out.mean()
    assert held.answerable.mean() > held.unanswerable.mean() + 0.1


def test_its_own_documents_are_left_out(tmp_path: Path) -> None:
    made = fake_knowledge(tmp_path)
    store(
        made.catalog,
        new_document("gold", ["The zebra sleeps for nine hours.", "The zebra eats grass."]),
        new_document("near", ["The zebra lives in a park."]),
        new_document("far", ["Licences are handed out by a server."]),
    )
    names = {document.id: document.name for document in made.catalog.list_documents()}
    question = "How many hours does the zebra sleep?"
    every = [
        LabelledQuestion("1", question, {"gold": 1}),
        LabelledQuestion("2", question, {"gold": 1, "near": 1}),
        LabelledQuestion("3", question, {"gold": 1, "near": 1, "far": 1}),
    ]
    held = estimate(made, every, names, frozenset({EVERYONE}))
    assert len(set(held.answerable.tolist())) == 1
    assert held.answerable[0] > held.left_out[0] > held.left_out[1] > held.left_out[2] == 0
    assert len(held.unanswerable) == 0
    made.close()


# --- the command ---------------------------------------------------------------------------------


Cli = Callable[..., Done]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: str | Path) -> Done:
        data = f"data_dir={tmp_path / 'data'}"
        return run_rag(monkeypatch, capsys, "calibrate", *arguments, data)

    return run


@pytest.fixture
def over_kb(
    cli: Cli, tmp_path: Path, kb_data_dir: Path, embedder: Any, monkeypatch: pytest.MonkeyPatch
) -> Cli:
    """Over docs/kb, whose passages need not be embedded again."""
    cached = CachedEmbedder(embedder, 10_000)
    monkeypatch.setattr(evaluate_corpus, "open_embedder", lambda config: cached)
    folder = evaluation_config(RagConfig(data_dir=tmp_path / "data"), KB).data_dir
    shutil.copytree(kb_data_dir, folder)
    return lambda *more: cli("--questions", QUESTIONS, "--documents", KB, *more)


def test_over_the_sample_documents(over_kb: Cli) -> None:
    done = over_kb()
    assert done.code == 0, done.err
    title = "11 answerable, 4 unanswerable, 11 with their own documents left out"
    assert title in " ".join(done.out.split())
    assert "configured" in done.out
    found = over_kb("--json").last()
    best, now = found["recommended"], found["configured"]
    assert f"retriever.min_relevance: {best['threshold']:.3f} in your configuration" in done.out
    assert f"{best['threshold']:.3f} recommended" in done.out
    assert best["answered"] >= 0.9
    assert now["threshold"] == RagConfig().retriever.min_relevance
    assert best["answered"] + best["refused"] >= now["answered"] + now["refused"]
    everything = over_kb("--json", "--keep", "1").last()["recommended"]
    assert everything["answered"] == 1
    assert everything["threshold"] <= best["threshold"]
    other = over_kb("--json", "retriever.min_relevance=0.9").last()["configured"]
    assert other["answered"] <= now["answered"]
    assert other["threshold"] == 0.9


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def small(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Over three animals, with a fake's vectors; the rows of the questions are given."""
    monkeypatch.setattr(evaluate_corpus, "open_embedder", lambda config: FakeEmbedder())
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("zebra", "lion", "tiger"):
        (docs / f"{name}.md").write_text(f"The {name} sleeps in the shade.")

    def run(rows: list[object], *more: str | Path) -> Done:
        questions = lines(tmp_path / "q.jsonl", *rows)
        return cli("--questions", questions, "--documents", docs, *more)

    return run


ZEBRA = {"question": "Where does the zebra sleep?", "gold_docs": ["zebra.md"]}
LION = {"question": "Where does the lion sleep?", "gold_docs": ["lion.md"]}
NOWHERE = {"question": "Who won the regatta?", "answerable": False}


def test_without_unanswerable_questions(small: Callable[..., Done]) -> None:
    found = small([ZEBRA, LION], "--json").last()["recommended"]
    assert found["refused"] is None
    assert found["refused_left_out"] is not None
    assert "2 answerable, 0 unanswerable" in small([ZEBRA, LION]).out
    assert "1 answerable, 0 unanswerable" in small([ZEBRA, LION], "--limit", "1").out


def test_unanswerable_questions_of_a_file_of_their_own(
    small: Callable[..., Done], tmp_path: Path
) -> None:
    more = lines(tmp_path / "no.jsonl", {"question": "Who won the cup?"}, {"question": "Why?"})
    done = small([ZEBRA, NOWHERE], "--unanswerable", more)
    assert "1 answerable, 3 unanswerable" in done.out


def test_json_is_one_line_even_where_labels_are_missing(small: Callable[..., Done]) -> None:
    gone = {"question": "Where is it?", "gold_docs": ["gone.md"]}
    done = small([ZEBRA, gone], "--json")
    assert "gone.md" in done.out + done.err
    assert done.last()["recommended"]["answered"] >= 0.9


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        ([NOWHERE], [], "no question has a gold document: there is nothing to keep"),
        ([{**ZEBRA, "gold_docs": ["x.md"]}], [], "none of the labelled documents is in the corpus"),
        ([{"question": "x"}], [], "has no 'gold_docs'"),
        ([ZEBRA], ["--keep", "1.1"], "--keep"),
        ([ZEBRA], ["--corpus", "x"], "give --questions and --documents"),
        ([ZEBRA], ["--unanswerable", "missing.jsonl"], "missing.jsonl"),
        ([ZEBRA], ["retriver.top_k=1"], "did you mean 'retriever'"),
    ],
)
def test_mistakes(
    small: Callable[..., Done], rows: list[object], more: list[str], said: str
) -> None:
    done = small(rows, *more)
    assert done.code == 2
    assert said in done.err


def test_nothing_given(cli: Cli) -> None:
    done = cli()
    assert done.code == 2
    assert "give --questions and --documents, or --corpus, --queries and --qrels" in done.err
