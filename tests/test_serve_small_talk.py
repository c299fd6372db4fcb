"""Greetings, thanks and "who are you" get an answer of their own; questions never do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

import settings
from guardrails import GuardrailsConfig, open_rails
from rag.schema import Message, Sampling
from serve.chat import Delta, Finished, Question, chat
from serve.config import ServeConfig
from serve.small_talk import SmallTalk, open_small_talk, plain, spellings
from serve.wiring import Parts
from tests.fakes import PUBLIC, FakeEmbedder, fake_knowledge, take_in

FILE = Path(__file__).parent.parent / "configs/small_talk.yaml"
TEXT = "# Ferry\n\nFerry connects Meersburg with the town. It leaves at 08:15 from pier 4."


@pytest.fixture(scope="module")
def talk() -> SmallTalk:
    return open_small_talk(FILE)


@pytest.fixture
def parts(tmp_path: Path, talk: SmallTalk) -> Iterator[Parts]:
    knowledge = fake_knowledge(tmp_path)
    config = ServeConfig.model_validate({"data_dir": knowledge.config.data_dir})
    rails = open_rails(GuardrailsConfig(enabled=False), embed=FakeEmbedder().encode)
    yield Parts(config, knowledge.configured(config), None, rails, small_talk=talk)
    knowledge.close()


def said(parts: Parts, text: str, *history: Message) -> Finished:
    async def ask() -> Finished:
        question = Question(text, Sampling(), PUBLIC, history)
        async with aclosing(chat(parts, question)) as events:
            seen = [event async for event in events]
        end = seen[-1]
        assert isinstance(end, Finished)
        assert end.text == "".join(event.text for event in seen if isinstance(event, Delta))
        return end

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("text", "kind", "language"),
    [
        ("Hi", "greeting", "en"),
        ("HELLO!!!", "greeting", "en"),
        ("hiiiii there :)", "greeting", "en"),
        ("Good morning, vSage", "greeting", "en"),
        ("thanks!", "thanks", "en"),
        ("Thank you so much 🙏", "thanks", "en"),
        ("ok thanks, bye", "goodbye", "en"),
        ("Hey, how are you today?", "wellbeing", "en"),
        ("Hi! What can you do for me?", "identity", "en"),
        ("who are you", "identity", "en"),
        ("Are you a real human?", "identity", "en"),
        ("help", "identity", "en"),
        ("Got it.", "acknowledgement", "en"),
        ("👍", "acknowledgement", "en"),
        ("no", "answer", "en"),
        ("Grüß Gott", "greeting", "de"),
        ("GRUESS GOTT", None, ""),
        ("Vielen Dank für deine Hilfe!", "thanks", "de"),
        ("Wer bist du?", "identity", "de"),
        ("Bonjour !", "greeting", "fr"),
        ("Qui êtes-vous ?", "identity", "fr"),
        ("¿Qué puedes hacer?", "identity", "es"),
        ("muchas gracias", "thanks", "es"),
        ("你好，你是谁？", "identity", "zh"),
        ("谢谢", "thanks", "zh"),
        ("من أنت؟", "identity", "ar"),
        ("شكراً جزيلاً", "thanks", "ar"),
        ("Come stai?", "wellbeing", "it"),
    ],
)
def test_it_is_recognised(talk: SmallTalk, text: str, kind: str | None, language: str) -> None:
    found = talk.kind(text)
    assert found == ((kind, language) if kind else None)


@pytest.mark.parametrize(
    "text",
    [
        "Hi, how do I move a VM?",
        "thanks, and how do I undo it?",
        "what can you tell me about vMotion",
        "who are you allowed to call at night?",
        "help me configure DRS",
        "team",
        "OK button",
        "test plan",
        "Hallo, wie starte ich den Cluster?",
        "你好，怎么迁移虚拟机？",
        "start the VM",
        "a" * 5_000,
        "hi " * 500,
    ],
)
@pytest.mark.parametrize("follow_up", [False, True])
def test_a_question_stays_a_question(talk: SmallTalk, text: str, follow_up: bool) -> None:
    assert talk.kind(text, follow_up=follow_up) is None


@pytest.mark.parametrize("text", ["yes", "no", "no thanks", "sure", "?", "ja", "oui"])
def test_yes_and_no_mean_what_was_said_before(talk: SmallTalk, text: str) -> None:
    assert talk.kind(text) is not None
    assert talk.kind(text, follow_up=True) is None


def test_the_reply_says_what_it_can_do_and_how_much_it_knows(parts: Parts) -> None:
    take_in(parts.knowledge, {"ferry.md": TEXT, "b.md": "# Boats\n\nBoats float."})
    end = said(parts, "What can you do?")
    assert "2 that you may read" in end.text
    assert "For example: “" in end.text
    assert end.finish_reason == "stop"
    assert not end.citations


def test_an_empty_knowledge_base_gives_no_example(parts: Parts) -> None:
    assert "For example" not in said(parts, "Hello").text


def test_thanks_after_an_answer_are_not_searched_for(parts: Parts) -> None:
    take_in(parts.knowledge, {"ferry.md": TEXT})
    turns = (Message("user", "When does the ferry leave?"), Message("assistant", "At 08:15."))
    end = said(parts, "Merci beaucoup !", *turns)
    assert end.text.startswith("Je vous en prie")
    assert "retrieve" not in end.timings


def test_without_the_file_everything_is_looked_up(parts: Parts) -> None:
    end = said(replace(parts, small_talk=None), "Hello")
    assert "retrieve" in end.timings


def test_every_language_greets_thanks_and_says_who_it_is(talk: SmallTalk) -> None:
    for name in talk._languages:
        for kind in ("greeting", "thanks", "identity"):
            phrases = getattr(talk._languages[name], kind)
            assert phrases
            assert all(talk.kind(one) for phrase in phrases for one in spellings(phrase)), name


def test_mistakes_in_the_file_are_all_named(tmp_path: Path) -> None:
    file = tmp_path / "talk.yaml"
    text = FILE.read_text(encoding="utf-8").replace("({documents} ", "({documents_} ", 1)
    file.write_text(text.replace("    goodbye:", "    godbye:", 1), encoding="utf-8")
    with pytest.raises(settings.SettingsError) as raised:
        open_small_talk(file)
    assert "godbye" in str(raised.value)
    assert "only {documents} and {question}" in str(raised.value)
    with pytest.raises(settings.SettingsError, match=r"none\.yaml"):
        open_small_talk(tmp_path / "none.yaml")


def test_words_are_compared_without_accents_and_marks() -> None:
    assert plain("  Grüß   Gott!! ") == "gruss gott"
    assert plain("sooooo good\u200b") == "so good"
    assert plain("\ud800") == ""
