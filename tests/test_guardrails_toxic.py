"""Toxic sentences of answers, over the real examples and the real embedder."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from guardrails import Context, GuardrailsConfig, RailsConfigError, Verdict
from guardrails.output_rails import output_detectors
from guardrails.schema import Detector, Secrets
from guardrails.seed_vectors import SEED_VECTORS

KEPT = Path("models") / SEED_VECTORS
RAILS_DIR = Path("configs/guardrails")
POLICY = "Remarks such as “you people are too stupid for this job” are grounds for a warning."


@pytest.fixture(scope="module")
def check(embedder: Any) -> Detector:
    detectors = output_detectors(GuardrailsConfig(), embedder.encode, Secrets(), KEPT)
    return detectors["check_toxic_answer"]


def judge(check: Detector, text: str, *passages: str) -> Verdict:
    return check(text, Context(passages=passages))


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Only a stupid moron like you would ask such a question.", "toxic_insult"),
        ("I know where you live, and I will make you bleed for this.", "toxic_threat"),
        ("Nobody would miss you, so go ahead and end your life.", "toxic_self_harm"),
        ("Immigrants are parasites and should be thrown out of the team.", "toxic_hate"),
    ],
)
def test_toxic_sentences(check: Detector, text: str, category: str) -> None:
    verdict = judge(check, text)
    assert (verdict.allowed, verdict.rail) == (False, "check toxic answer")
    assert verdict.category == category
    assert verdict.score > 0.6
    assert text not in verdict.reason


@pytest.mark.parametrize(
    "text",
    [
        "Kill the stuck process with `kill -9 4242` and start the service again.",
        "The master promotes a slave when its heartbeat stops.",
        "The OOM killer picks a victim and terminates it.",
        "An attacker on the same network could exploit this flaw to execute code.",
        "Harassment is prohibited; report it to the human resources department.",
        "Never do that: all data on the disk would be lost.",
        "This design is bad because it has a single point of failure.",
        "If you are in danger, call the emergency number of your country.",
        "Sorry, the documents do not say that.",
        "Der Dienst startet nach dem Neustart des Hosts von selbst.",
        "",
        "...",
        "| 10.0.0.1 | 4 |",
        "\ud800",
    ],
)
def test_honest_sentences(check: Detector, text: str) -> None:
    assert judge(check, text).allowed


def test_one_toxic_sentence_spoils_the_answer(check: Detector) -> None:
    honest = "A cluster holds 96 hosts. Each host runs the same version."
    assert judge(check, honest).allowed
    assert not judge(check, f"{honest} You are a worthless idiot.").allowed


def test_a_disguise_is_undone(check: Detector) -> None:
    assert not judge(check, "Ｙｏｕ ａｒｅ ａ ｗｏｒｔｈｌｅｓｓ ｉｄｉｏｔ.").allowed


def test_what_a_passage_says_word_for_word_passes(check: Detector) -> None:
    assert not judge(check, POLICY).allowed
    assert judge(check, POLICY, f"Conduct at work. {POLICY} See below.").allowed


def test_a_longer_answer_than_the_limit_is_blocked(check: Detector) -> None:
    for text in (
        "word " * 5_000,
        "Fine then. " * 501 + "\n".join(map("go {} on".format, range(999))),
    ):
        verdict = judge(check, text)
        assert (verdict.allowed, verdict.category) == (False, "too_long")


@pytest.mark.parametrize("missing", ["benign.txt", "insult.txt"])
def test_unusable_examples_stop_the_start(tmp_path: Path, embedder: Any, missing: str) -> None:
    folder = Path(shutil.copytree(RAILS_DIR, tmp_path / "rails"))
    for path in (folder / "toxic").glob("*.txt"):
        if path.name == missing or (missing != "benign.txt" and path.name != "benign.txt"):
            path.unlink()
    config = GuardrailsConfig(rails_dir=folder)
    opening = partial(output_detectors, config, embedder.encode, Secrets())
    with pytest.raises(RailsConfigError, match=r"toxic.*guardrails\.output\.toxic\.examples"):
        opening()


def test_an_example_on_both_sides_stops_the_start(tmp_path: Path, embedder: Any) -> None:
    folder = Path(shutil.copytree(RAILS_DIR, tmp_path / "rails"))
    both = (folder / "toxic/insult.txt").read_text(encoding="utf-8").splitlines()[0]
    with (folder / "toxic/benign.txt").open("a", encoding="utf-8") as file:
        file.write(f"{both}\n")
    with pytest.raises(RailsConfigError, match="at once"):
        output_detectors(GuardrailsConfig(rails_dir=folder), embedder.encode, Secrets())
