"""Follow-ups: what is left alone, what is joined with the question before, what a model may add."""

from __future__ import annotations

import asyncio

import pytest

from rag.rewrite import leans_on_history, standalone
from rag.schema import Message
from tests.fakes import FakeGenerator

HISTORY = (
    Message("user", "Is vMotion supported for vGPU machines on vSphere 8.0?"),
    Message("assistant", "Yes, once vgpu.hotmigrate.enabled is set."),
)
FOLLOW_UP = "How do I enable it?"


def query(question: str, *pieces: str, history: tuple[Message, ...] = HISTORY) -> str:
    generator = FakeGenerator(*pieces) if pieces else None
    return asyncio.run(standalone(question, history, generator)).query


@pytest.mark.parametrize(
    "question",
    [
        "How do I enable it?",
        "And on 7.0?",
        "What about the A100 with four profiles in vCenter?",
        "Why?",
        "Does this also hold for the smaller hosts in our lab cluster?",
        "",
    ],
)
def test_what_leans_on_the_conversation(question: str) -> None:
    assert leans_on_history(question)
    assert query(question) == f"{HISTORY[0].content} {question}"


@pytest.mark.parametrize(
    "question",
    [
        "Which licence server ports must the firewall open towards guests?",
        "How much memory does QLoRA fine-tuning of a 7B model take?",
    ],
)
def test_what_stands_alone_is_left_as_it_is(question: str) -> None:
    assert not leans_on_history(question)
    generator = FakeGenerator("something else")
    assert query(question) == question
    assert generator.asked == []


def test_without_a_former_question_there_is_nothing_to_lean_on() -> None:
    assert query(FOLLOW_UP, history=()) == FOLLOW_UP
    assert query(FOLLOW_UP, "x", history=(Message("assistant", "Hello."),)) == FOLLOW_UP


def test_a_faithful_rewrite_is_taken() -> None:
    for said in (
        "How do I enable vMotion for vGPU machines?",
        '"How do I enable vMotion for vGPU machines?"\nHere is why: ...',
        "  How do I enable vMotion for vGPU machines? \n",
    ):
        assert query(FOLLOW_UP, *said).strip('"') == "How do I enable vMotion for vGPU machines?"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "\n\n",
        "How do I enable it?",  # adds nothing
        "What is vMotion?",  # drops the question's own word
        "How do I enable vMotion for Kubernetes?",  # brings in what nobody said
        "Set vgpu.hotmigrate.enabled to true in the advanced settings.",  # answers
        "[1] How do I enable vMotion on port 8080?",
    ],
)
def test_any_other_rewrite_is_not(said: str) -> None:
    assert query(FOLLOW_UP, said) == f"{HISTORY[0].content} {FOLLOW_UP}"


def test_the_last_question_is_the_one_that_counts() -> None:
    history = (*HISTORY, Message("user", "  What does DRS do? "), Message("assistant", "It moves."))
    assert query("And HA?", history=history) == "What does DRS do? And HA?"


def test_the_model_sees_the_last_turns_and_only_their_beginnings() -> None:
    history = tuple(Message("user", f"turn{i} " + "x" * 1000) for i in range(10))
    generator = FakeGenerator("nothing useful")
    asyncio.run(standalone(FOLLOW_UP, history, generator))
    (messages,) = generator.asked
    assert [message.role for message in messages] == ["system", "user"]
    assert "turn5" not in messages[1].content
    assert all(f"user: turn{i} " in messages[1].content for i in range(6, 10))
    assert len(messages[1].content) < 2200
    assert messages[1].content.rstrip().endswith(f"user: {FOLLOW_UP}\n\nRewritten question:")
