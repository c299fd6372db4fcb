"""Sentence spans: what ends a sentence in technical prose, and that no character is lost."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.sentences import sentence_spans, sentences

TEXTS = st.text(st.sampled_from("ab1 .!?。|-#\n\t\"'()[]A`*") | st.characters(codec="utf-8"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("vSphere 8.0 U2 is needed. It works.", ["vSphere 8.0 U2 is needed.", "It works."]),
        ("Use e.g. the first, i.e. this. Done.", ["Use e.g. the first, i.e. this.", "Done."]),
        ("See Fig. 3 and Mr. Smith etc. for it.", ["See Fig. 3 and Mr. Smith etc. for it."]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("He (really!) left.", ["He (really!)", "left."]),  # wrong, and costs no text
        ("Edit /etc/a.conf, then a.b.c too.", ["Edit /etc/a.conf, then a.b.c too."]),
        ("1. Power on the host.\n2. Wait.", ["1. Power on the host.", "2. Wait."]),
        ("a hard\nwrapped line. next", ["a hard\nwrapped line. next"]),
        ("- one\n- two\n  more\n* three", ["- one", "- two\n  more", "* three"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["| a | b |", "|---|---|", "| 1 | 2 |"]),
        ("Intro\n\nParagraph", ["Intro", "Paragraph"]),
        ("仮想マシン。次の文！", ["仮想マシン。", "次の文！"]),
        ("What?! Yes...", ["What?!", "Yes..."]),
        ("Wait... what", ["Wait... what"]),
        ("It ends in 2024. Then more.", ["It ends in 2024.", "Then more."]),
        ("Text\n```sh\nls\n```", ["Text", "```sh\nls", "```"]),
        ("", []),
        (" \n\t ", []),
        ("...", ["..."]),
    ],
)
def test_examples(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(TEXTS)
def test_spans_rise_are_trimmed_and_leave_only_white_space_out(text: str) -> None:
    at = 0
    for start, end in sentence_spans(text):
        assert at <= start < end
        assert text[at:start].strip() == ""
        assert text[start:end] == text[start:end].strip()
        at = end
    assert text[at:].strip() == ""


@given(TEXTS, st.integers(0, 20), st.integers(0, 20))
def test_a_part_of_a_text_is_looked_at_alone(text: str, start: int, length: int) -> None:
    start = min(start, len(text))
    end = min(start + length, len(text))
    for a, b in sentence_spans(text, start, end):
        assert start <= a < b <= end
    inside = "".join(text[a:b] for a, b in sentence_spans(text, start, end))
    assert "".join(inside.split()) == "".join(text[start:end].split())


@pytest.mark.parametrize(
    "unit",
    [
        ".",
        "!",
        "...x",
        ".)",
        ".''",
        "a.",
        "a. ",
        "\n",
        " ",
        "\n ",
        "|",
        "| ",
        "e.g.",
        "1.",
        "。",
        " in 2024. X",
    ],
)
def test_no_text_takes_more_than_linear_time(unit: str) -> None:
    text = (unit * (400_000 // len(unit))) + "x"
    started = time.monotonic()
    spans = list(sentence_spans(text))
    assert time.monotonic() - started < 60
    assert spans
