"""Answers measured against figures worked out by hand, through the code that answers users."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.evaluation.answers import (
    Answer,
    answer_question,
    measure_answer,
    rouge_l,
    token_f1,
    unsupported,
)
from rag.knowledge import Knowledge
from rag.schema import Hit
from tests.fakes import PUBLIC, FakeGenerator, fake_knowledge, take_in


def hit(text: str, uri: str = "test:a.md") -> Hit:
    return Hit(1, 1, uri, "Title", (), None, 0, len(text), text, 1.0)


def given_answer(*sentences: str, cited: tuple[Hit, ...] = (), abstained: bool = False) -> Answer:
    return Answer(" ".join(sentences), sentences, cited, abstained, 0.1, 0.2)


@pytest.mark.parametrize(
    ("answer", "reference", "f1"),
    [
        ("The cat sat.", "a cat sat", 1.0),
        ("cat sat down", "cat sat", 2 * 2 / 5),
        ("cat cat cat", "cat", 2 * 1 / 4),
        ("dog", "cat", 0.0),
        ("", "cat", 0.0),
        ("", "", 1.0),
        ("the", "a", 1.0),
        ("“quoted” — so!", "quoted so", 1.0),
        ("vgpu.hotmigrate.enabled", "vgpu.hotmigrate.enabled", 1.0),
        ("Größe 40 GB", "GRÖSSE 40 GB", 2 * 2 / 6),
        ("内存 四十", "内存 四十", 1.0),
    ],
)
def test_token_f1_as_squad_counts(answer: str, reference: str, f1: float) -> None:
    assert token_f1(answer, reference) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        # Lin 2004: "police kill the gunman" against "police killed the gunman": three of four.
        ("police kill the gunman", "police killed the gunman", 0.75),
        ("the gunman kill police", "police killed the gunman", 0.5),
        ("", "police", 0.0),
        ("", "", 1.0),
    ],
)
def test_rouge_l_as_lin_counts(answer: str, reference: str, expected: float) -> None:
    assert rouge_l(answer, reference) == pytest.approx(expected)


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abcd"), max_size=9))
def test_rouge_l_agrees_with_the_plain_table(a: list[str], b: list[str]) -> None:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            longest = max(table[i][j + 1], table[i + 1][j])
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else longest
    length = len(a) + len(b)
    expected = 2 * table[-1][-1] / length if a and b else float(a == b)
    assert rouge_l(" ".join(a), " ".join(b)) == pytest.approx(expected)


def test_a_long_reference_is_no_trap() -> None:
    assert rouge_l("word " * 5_000, "other word " * 20_000) == pytest.approx(2 * 5_000 / 45_000)


def test_measures_of_an_answer() -> None:
    passages = (hit("The lease lasts 24 hours."), hit("Zebras are striped.", "test:b.md"))
    answer = given_answer(
        "The lease lasts 24 hours. [1]", "“Zebras are striped.” [2] [1]", cited=passages
    )
    measures = measure_answer(
        answer, ["24 hours", "lease lasts 24 hours"], {"a.md": 1, "c.md": 1}, ["a.md", "b.md"]
    )
    assert measures == {
        "token_f1": pytest.approx(2 * 4 / (7 + 4)),  # the marks are no words, the best one counts
        "rouge_l": pytest.approx(2 * 4 / (8 + 4)),
        "citation_precision": 0.5,
        "citation_recall": 0.5,
        "cited_sentences": 1.0,
        "unsupported": 0.0,
    }


def test_a_refusal_scores_nothing_against_a_reference() -> None:
    refused = given_answer(abstained=True)
    assert measure_answer(refused, ["24 hours"], {"a.md": 1}, []) == {"token_f1": 0, "rouge_l": 0}
    assert measure_answer(refused, [], {"a.md": 1}, []) == {}
    assert measure_answer(refused, ["never said"], {}, []) == {}


def test_an_answer_to_what_cannot_be_answered_has_no_right_citation() -> None:
    answer = given_answer("Zebras are striped.", cited=())
    measures = measure_answer(answer, [], {}, [])
    assert measures.keys() == {"cited_sentences", "unsupported"}
    assert measures["cited_sentences"] == 0.0


def test_support_is_worked_out_anew() -> None:
    cited = (hit("vMotion of vGPU virtual machines is off by default. Set it to 64 to allow it."),)
    said = (
        "vMotion of vGPU virtual machines is off by default. [1]",  # as it stands there
        "Set it to 46 to allow it. [1]",  # another number
        "The vGPU virtual machines are never off by default. [1]",  # turned round
        "Here are the steps:",  # claims nothing
    )
    assert unsupported(said, cited) == 0.5
    assert unsupported(said[:1], ()) == 1.0
    assert unsupported(said[3:], ()) == 0.0
    broken = "“vMotion of vGPU\n virtual machines is off by default.” [1]"
    assert unsupported((broken,), cited) == 0.0


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[Knowledge]:
    opened = fake_knowledge(tmp_path / "data")
    take_in(opened, {"lease.md": "# Leases\n\nEach lease lasts 24 hours before it is renewed."})
    yield opened
    opened.close()


def test_it_asks_as_users_do(knowledge: Knowledge) -> None:
    generator = FakeGenerator("Each lease lasts ", "24 hours. ")
    query = "How long does each lease last before it is renewed?"
    answer = asyncio.run(answer_question(knowledge, generator, query, PUBLIC))
    assert len(generator.asked) == 1
    assert not answer.abstained
    assert "24 hours" in answer.sentences[0]
    assert [hit.uri for hit in answer.cited] == ["test:lease.md"]
    assert answer.first_s is not None
    assert 0 < answer.first_s <= answer.whole_s
    quoted = asyncio.run(answer_question(knowledge, None, query, PUBLIC))
    assert quoted.sentences[0].startswith("“Each lease lasts 24 hours")
    refused = asyncio.run(answer_question(knowledge, None, "Who won the regatta of 1904?", PUBLIC))
    assert refused.abstained
    assert (refused.text, refused.cited, refused.first_s) == ("", (), None)


def test_an_answer_of_nothing_is_a_refusal(tmp_path: Path) -> None:
    """Passages are found, but none of their sentences is fit to be quoted."""
    opened = fake_knowledge(tmp_path)
    take_in(opened, {"zebra.md": "Zebra."})
    answer = asyncio.run(answer_question(opened, None, "zebra", PUBLIC))
    assert answer.abstained
    opened.close()
