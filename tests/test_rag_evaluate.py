"""Measures against figures worked out by hand, and label files with every kind of mistake."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.config import RagConfig
from rag.errors import EvaluationError
from rag.evaluation.command import Inputs, inputs
from rag.evaluation.evaluate import (
    MEASURES,
    LabelledQuestion,
    beir_documents,
    evaluate,
    evaluation_config,
    read_beir,
    read_history,
    read_questions,
    read_unanswerable,
)
from rag.ingest import ingest
from rag.knowledge import Knowledge
from rag.schema import Message
from tests.fakes import PUBLIC, FakeGenerator, fake_knowledge, take_in


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[Knowledge]:
    """Three documents that full text ranks by how often they say a word."""
    opened = fake_knowledge(tmp_path / "data")
    files = {
        "often.md": "zebra zebra zebra zebra lion",
        "once.md": "zebra among quite a few other words that say nothing at all",
        "never.md": "lion lion lion and more of that",
    }
    take_in(opened, files)
    yield opened
    opened.close()


def asked(*labels: tuple[str, dict[str, int]]) -> list[LabelledQuestion]:
    return [LabelledQuestion(str(i), text, gold) for i, (text, gold) in enumerate(labels)]


def test_figures_worked_out_by_hand(knowledge: Knowledge) -> None:
    questions = asked(
        ("zebra", {"often.md": 1}),  # first
        ("zebra", {"once.md": 1}),  # second
        ("zebra", {"never.md": 1}),  # not found
        ("unheard-of", {"once.md": 1}),  # finds nothing: counts as a miss
    )
    means = evaluate(knowledge, questions, PUBLIC)["lexical"]
    second = 1 / math.log2(3)
    assert means == {
        "hit@1": 0.25,
        "hit@5": 0.5,
        "hit@10": 0.5,
        "recall@5": 0.5,
        "recall@10": 0.5,
        "recall@20": 0.5,
        "mrr@10": pytest.approx((1 + 0.5) / 4, abs=1e-4),
        "ndcg@10": pytest.approx((1 + second) / 4, abs=1e-4),
    }


def test_grades_weigh_in_ndcg(knowledge: Knowledge) -> None:
    questions = asked(("zebra", {"often.md": 1, "once.md": 3}))
    means = evaluate(knowledge, questions, PUBLIC)["lexical"]
    gained, ideal = 1 + 3 / math.log2(3), 3 + 1 / math.log2(3)
    assert means["ndcg@10"] == pytest.approx(gained / ideal, abs=1e-4)
    assert means["mrr@10"] == 1.0


def test_recall_counts_every_relevant_document(knowledge: Knowledge) -> None:
    questions = asked(("zebra", {"often.md": 1, "once.md": 1, "never.md": 1, "gone.md": 1}))
    means = evaluate(knowledge, questions, PUBLIC)["lexical"]
    assert (means["hit@5"], means["recall@5"], means["recall@20"]) == (1.0, 0.5, 0.5)


def test_recall_looks_at_twenty_documents(tmp_path: Path) -> None:
    opened = fake_knowledge(tmp_path)
    # Longer and longer, so that BM25 puts them in the order of their numbers.
    files = {f"{i:02}.md": "zebra " + "filler " * 10 * (i + 1) + f"word{i}" for i in range(25)}
    take_in(opened, files)
    gold = {"00.md": 1, "07.md": 1, "15.md": 1, "24.md": 1}
    means = evaluate(opened, asked(("zebra", gold)), PUBLIC, modes=["lexical"])["lexical"]
    assert (means["recall@5"], means["recall@10"], means["recall@20"]) == (0.25, 0.5, 0.75)
    opened.close()


def test_unanswerable_questions_do_not_count_as_misses(knowledge: Knowledge) -> None:
    steps: list[None] = []
    questions = asked(("zebra", {"often.md": 1}), ("quagga", {}))
    means = evaluate(knowledge, questions, PUBLIC, on_question=lambda: steps.append(None))
    assert means["lexical"]["hit@1"] == 1.0
    assert len(steps) == 2


def test_modes_are_chosen_by_name(knowledge: Knowledge) -> None:
    questions = asked(("zebra", {"often.md": 1}))
    assert list(evaluate(knowledge, questions, PUBLIC, modes=["dense"])) == ["dense"]
    with pytest.raises(EvaluationError, match="'fuzzy' is no mode of search: --modes takes"):
        evaluate(knowledge, questions, PUBLIC, modes=["dense", "fuzzy"])
    with pytest.raises(EvaluationError, match="no mode of search is named"):
        evaluate(knowledge, questions, PUBLIC, modes=[])


def test_a_document_counts_once_at_its_best_passage(tmp_path: Path) -> None:
    opened = fake_knowledge(tmp_path)
    many = "\n\n".join(f"# Part {i}\n\nzebra zebra zebra" for i in range(15))
    take_in(opened, {"many.md": many, "one.md": "zebra and a good many other words besides it"})
    means = evaluate(opened, asked(("zebra", {"one.md": 1})), PUBLIC)["lexical"]
    assert (means["hit@1"], means["hit@5"], means["mrr@10"]) == (0.0, 1.0, 0.5)
    opened.close()


def test_each_mode_is_asked_as_the_caller(knowledge: Knowledge) -> None:
    questions = asked(("zebra", {"often.md": 1}), ("lion", {"never.md": 1}))
    steps: list[None] = []
    means = evaluate(knowledge, questions, PUBLIC, on_question=lambda: steps.append(None))
    assert list(means) == ["lexical", "dense", "hybrid", "default"]
    assert all(values.keys() == MEASURES.keys() for values in means.values())
    assert means["default"] == means["hybrid"]
    assert len(steps) == 2
    knowledge.catalog.set_groups(knowledge.catalog.uris()["test:often.md"], frozenset({"a"}))
    assert evaluate(knowledge, questions, PUBLIC)["dense"]["hit@10"] == 0.5
    assert evaluate(knowledge, questions, frozenset({"a"}))["dense"]["hit@10"] == 1.0


def test_a_follow_up_is_searched_with_what_it_leans_on(knowledge: Knowledge) -> None:
    history = (Message("user", "Tell me about the zebra."), Message("assistant", "It is striped."))
    question = LabelledQuestion("1", "Where is it shown?", {"often.md": 1}, history)
    assert evaluate(knowledge, [question], PUBLIC)["lexical"]["hit@1"] == 1.0
    alone = LabelledQuestion("1", "Where is it shown?", {"often.md": 1})
    assert evaluate(knowledge, [alone], PUBLIC)["lexical"]["hit@1"] == 0.0
    generator = FakeGenerator("Where is the zebra shown?")
    evaluate(knowledge, [question], PUBLIC, generator)
    assert len(generator.asked) == 1, "once a question, not once a mode"


# --- our own layout ------------------------------------------------------------------------------


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return tmp_path / "labels.jsonl"


def lines(path: Path, *rows: object) -> Path:
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def test_labelled_questions(labels: Path) -> None:
    lines(
        labels,
        {"question": "A?", "gold_docs": ["a.md", "b/c.md"], "id": "q7", "more": 1},
        "",
        {"question": "B?", "gold_docs": ["b.md"], "history": ["Former?"]},
    )
    first, second = read_questions(labels)
    assert first == LabelledQuestion("q7", "A?", {"a.md": 1, "b/c.md": 1})
    assert second == LabelledQuestion("3", "B?", {"b.md": 1}, (Message("user", "Former?"),))
    labels.write_bytes(b"\xef\xbb\xbf" + labels.read_bytes().replace(b"\n", b"\r\n"))
    assert read_questions(labels) == [first, second]


def test_references_and_unanswerable_rows(labels: Path) -> None:
    lines(
        labels,
        {"question": "A?", "gold_docs": ["a"], "answer": "x", "answers": ["y", "x", " ", "z"]},
        {"question": "B?", "answerable": False, "answer": None},
        {"question": "C?", "gold_docs": []},
        {"question": "D?", "gold_docs": ["d"], "answerable": True, "id": None},
    )
    first, second, third, fourth = read_questions(labels)
    assert first.references == ("x", "y", "z")
    assert [q.answerable for q in (first, second, third, fourth)] == [True, False, False, True]
    assert fourth.id == "4"


def test_every_bad_row_is_listed(labels: Path) -> None:
    lines(labels, GOOD, "{", {"question": "x"}, GOOD, {**GOOD, "id": "1"}, {**GOOD, "answer": 5})
    with pytest.raises(EvaluationError) as caught:
        read_questions(labels)
    said = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in said] == [f"{labels}:{n}" for n in (2, 3, 5, 6)]
    assert said[2].endswith("the id '1' stands twice, first in line 1")
    lines(labels, *["{"] * 1000)
    with pytest.raises(EvaluationError, match=r"and 950 more bad rows, the last in line 1000$"):
        read_questions(labels)


def test_half_characters_in_labels_become_question_marks(labels: Path) -> None:
    labels.write_text(r'{"question": "a \ud800 b \u00e9 \ud83d\ude00", "gold_docs": ["\udfff"]}')
    (question,) = read_questions(labels)
    assert question.text == "a ? b é 😀"
    assert question.relevant == {"?": 1}


def test_questions_that_cannot_be_answered(labels: Path, tmp_path: Path) -> None:
    lines(
        labels, {"question": "A?", "id": 7, "topic": "x"}, {"question": "B?", "answerable": False}
    )
    first, second = read_unanswerable(labels)
    assert (first.id, first.relevant) == ("7", {})
    assert second.id == "unanswerable-2", "not what a row of the other file is called"
    lines(labels, {"question": "A?", "gold_docs": ["a.md"]}, {"question": "B?", "answerable": True})
    with pytest.raises(EvaluationError) as caught:
        read_unanswerable(labels)
    assert str(caught.value).count("belongs into --questions") == 2
    labels.write_text("")
    with pytest.raises(EvaluationError, match="holds no labelled questions"):
        read_unanswerable(labels)


GOOD = {"question": "A?", "gold_docs": ["a.md"]}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "is not JSON"),
        ("not json", "is not JSON"),
        ("[1]", "must be a JSON object"),
        ("null", "must be a JSON object"),
        ({"gold_docs": ["a"]}, "has no 'question'"),
        ({"question": "x"}, "has no 'gold_docs'"),
        ({"question": "x", "gold_docs": "a.md"}, "must be a list of names"),
        ({"question": "x", "gold_docs": {"a.md": 1}}, "must be a list of names"),
        ({"question": "x", "gold_docs": [1]}, "must be a list of names"),
        ({"question": "x", "gold_docs": None}, "must be a list of names"),
        ({**GOOD, "question": None}, "the question must be a text"),
        ({**GOOD, "question": " "}, "the question must be a text"),
        ({**GOOD, "question": ["x"]}, "the question must be a text"),
        ({**GOOD, "answerable": "no"}, "`answerable` must be true or false"),
        ({**GOOD, "answerable": False}, "`answerable` is false, yet `gold_docs` names documents"),
        ({"question": "x", "answerable": True}, "has no 'gold_docs'"),
        ({**GOOD, "answer": ["x"]}, "`answer` must be a text"),
        ({**GOOD, "answers": "x"}, "`answers` must be a list"),
        ({**GOOD, "answers": [5]}, "`answers` a list of texts"),
        ("[" * 100_000, "nested too deeply"),
        ({**GOOD, "history": [5]}, "history"),
        ({**GOOD, "history": "text"}, "history"),
        ({**GOOD, "history": 5}, "history"),
        ({**GOOD, "history": {"role": "user"}}, "history"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(labels: Path, row: object, said: str) -> None:
    lines(labels, GOOD, "", row)
    with pytest.raises(EvaluationError) as caught:
        read_questions(labels)
    assert str(caught.value).startswith(f"{labels}:3: ")
    assert said in str(caught.value)


def test_label_files_that_cannot_be_used(labels: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"labels.jsonl cannot be read: No such file"):
        read_questions(labels)
    with pytest.raises(EvaluationError, match="cannot be read: Is a directory"):
        read_questions(tmp_path)
    labels.write_bytes(b"\xff\xfe{}\n")
    with pytest.raises(EvaluationError, match="UTF-8"):
        read_questions(labels)
    lines(labels, "", " ")
    with pytest.raises(EvaluationError, match="holds no labelled questions"):
        read_questions(labels)
    lines(labels, {**GOOD, "id": "x"}, {**GOOD, "id": "y"}, {**GOOD, "id": "x"})
    with pytest.raises(EvaluationError, match="the id 'x' stands twice"):
        read_questions(labels)


def test_history_in_every_shape() -> None:
    for nothing in (None, [], ""):
        assert read_history(nothing) == ()
    turns = [
        "bare",
        {"role": "assistant", "content": "reply", "extra": 1},
        {"speaker": "user", "text": "as in MT-RAG"},
        {},
    ]
    assert read_history(turns) == (
        Message("user", "bare"),
        Message("assistant", "reply"),
        Message("user", "as in MT-RAG"),
        Message("user", ""),
    )


# --- BEIR's layout -------------------------------------------------------------------------------


@pytest.fixture
def beir(tmp_path: Path) -> tuple[Path, Path]:
    queries = lines(
        tmp_path / "queries.jsonl",
        {"_id": "q1", "text": "first"},
        {"_id": 2, "text": "second", "history": ["before"]},
        {"_id": "q3", "text": "not judged"},
        {"_id": "q4", "text": "judged as irrelevant"},
    )
    return queries, tmp_path / "qrels.tsv"


@pytest.mark.parametrize("header", ["", "query-id\tcorpus-id\tscore\n", "\ufeffq\td\ts\n"])
@pytest.mark.parametrize("trec", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_judgements(beir: tuple[Path, Path], header: str, trec: bool, end: str) -> None:
    queries, qrels = beir
    middle = "\t0" if trec else ""
    rows = [
        "q1{}\td1\t1",
        "q1{}\td2\t2",
        "2{}\td 9\t1",
        "q4{}\td1\t0",
        "q4{}\td2\t-1",
        "q9{}\tx\t1",
    ]
    text = header + "".join(row.format(middle) + "\n" for row in rows) + "\n"
    qrels.write_bytes(text.replace("\n", end).encode())
    assert read_beir(queries, qrels) == [
        LabelledQuestion("q1", "first", {"d1": 1, "d2": 2}),
        LabelledQuestion("2", "second", {"d 9": 1}, (Message("user", "before"),)),
    ]


@pytest.mark.parametrize("row", ["q1", "q1\t1", "q1\td1\tx", "q1\td1\t1.5", "q1\td1\t", "q1 d1 1"])
def test_a_bad_judgement_is_named_by_file_and_line(beir: tuple[Path, Path], row: str) -> None:
    queries, qrels = beir
    qrels.write_text(f"query-id\tcorpus-id\tscore\nq1\td1\t1\n{row}\n")
    with pytest.raises(EvaluationError) as caught:
        read_beir(queries, qrels)
    assert str(caught.value).startswith(f"{qrels}:3: needs query id, document id and grade")


def test_every_bad_judgement_is_listed(beir: tuple[Path, Path]) -> None:
    queries, qrels = beir
    qrels.write_text("q1\td1\t1\nq1\nq1\td1\tx\n")
    with pytest.raises(EvaluationError) as caught:
        read_beir(queries, qrels)
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        f"{qrels}:2", f"{qrels}:3"
    ]  # fmt: skip


def test_beir_questions_may_carry_answers(beir: tuple[Path, Path]) -> None:
    queries, qrels = beir
    lines(queries, {"_id": "q1", "text": "first", "answers": ["x"]})
    qrels.write_text("q1\td1\t1\n")
    assert read_beir(queries, qrels)[0].references == ("x",)


def test_quotes_in_judgements_are_letters(beir: tuple[Path, Path]) -> None:
    queries, qrels = beir
    qrels.write_text('q1\t"d1\t1\nq1\td2"\t1\n')
    assert read_beir(queries, qrels)[0].relevant == {'"d1': 1, 'd2"': 1}


def test_beir_files_that_cannot_be_used(beir: tuple[Path, Path], tmp_path: Path) -> None:
    queries, qrels = beir
    with pytest.raises(EvaluationError, match=r"qrels.tsv cannot be read: No such file"):
        read_beir(queries, qrels)
    qrels.write_bytes(b"q1\td\xff\t1\n")
    with pytest.raises(EvaluationError, match="UTF-8"):
        read_beir(queries, qrels)
    qrels.write_text("q9\td1\t1\n")
    with pytest.raises(EvaluationError, match="holds no labelled questions"):
        read_beir(queries, qrels)
    qrels.write_text("q1\td1\t1\n")
    lines(queries, {"_id": "q1", "text": "x"}, {"_id": "q2"})
    with pytest.raises(EvaluationError, match=r"queries.jsonl:2: needs `_id` and `text`"):
        read_beir(queries, qrels)
    lines(queries, {"_id": "q1", "text": "x", "history": 7})
    with pytest.raises(EvaluationError, match=r"queries.jsonl:1: `history`"):
        read_beir(queries, qrels)
    lines(queries, {"_id": "q1", "text": "x"}, {"_id": "q1", "text": "y"})
    with pytest.raises(EvaluationError, match="the id 'q1' stands twice"):
        read_beir(queries, qrels)
    queries.unlink()
    with pytest.raises(EvaluationError, match=r"queries.jsonl cannot be read"):
        read_beir(queries, qrels)


def test_a_beir_corpus_becomes_documents(tmp_path: Path) -> None:
    corpus = lines(
        tmp_path / "corpus.jsonl",
        {"_id": "4983", "title": "A title", "text": "Some text."},
        {"_id": 7, "text": "No title."},
        {"_id": "x/y", "title": None, "text": "Odd \ud800 text."},
    )
    knowledge = fake_knowledge(tmp_path / "data")
    report = ingest(knowledge, beir_documents(corpus), PUBLIC)
    assert report.failures == []
    assert sorted(report.added) == ["4983", "7", "x/y"]
    means = evaluate(knowledge, asked(("some text title", {"4983": 1})), PUBLIC)
    assert means["lexical"]["hit@1"] == 1.0
    knowledge.close()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "holds no documents"),
        ([{"_id": "1"}], r"corpus.jsonl:1: needs `_id` and `text`"),
        ([{"_id": "1", "text": "x"}, {"text": "y"}], r"corpus.jsonl:2: needs"),
        (["{"], r"corpus.jsonl:1: is not JSON"),
    ],
)
def test_a_bad_corpus_is_named(tmp_path: Path, rows: list[object], said: str) -> None:
    corpus = lines(tmp_path / "corpus.jsonl", *rows)
    with pytest.raises(EvaluationError, match=said):
        beir_documents(corpus)


def test_which_options_make_a_set() -> None:
    a, b, c = Path("a"), Path("b"), Path("c")
    assert inputs(a, b, None, None, None) == Inputs(b, a, None)
    assert inputs(None, None, a, b, c) == Inputs(a, b, c)
    for mixed in ((a, None, None, None, None), (None, b, None, None, None), (a, b, c, None, None),
                  (a, None, None, b, c), (None, None, a, b, None), (None,) * 5):  # fmt: skip
        assert inputs(*mixed) is None


def test_each_corpus_has_a_catalog_of_its_own(tmp_path: Path) -> None:
    config = RagConfig(data_dir=tmp_path, database_url="sqlite:///elsewhere.db")
    one, two = (evaluation_config(config, tmp_path / name / "corpus") for name in "ab")
    assert one.data_dir != two.data_dir
    assert one.data_dir.is_relative_to(tmp_path / "evaluation")
    assert one.database_url == ""
    assert evaluation_config(config, tmp_path / "a" / ".." / "a" / "corpus") == one
