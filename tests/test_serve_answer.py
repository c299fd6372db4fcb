"""The answer as it grows, the replies instead of one, and the clock: no model needed."""

from __future__ import annotations

import time
from typing import Any

import pytest

from guardrails import Verdict
from rag.attribute import Support
from rag.draft import Sentence
from rag.evidence import Quote
from rag.schema import Hit, Sampling
from serve import replies
from serve.answer import Answer
from serve.timing import Timings

TEXTS = ("MIG splits a GPU. It needs Ampere.", "DRS moves machines.", "HA restarts them.")


def hit(number: int, text: str) -> Hit:
    return Hit(
        chunk_id=number,
        document_id=10 + number,
        uri=f"file:///{number}.md",
        title=f"Document {number}",
        heading_path=(),
        page=None,
        start=100,
        end=100 + len(text),
        text=text,
        score=1.0,
    )


HITS = tuple(hit(number, text) for number, text in enumerate(TEXTS))


def said(
    text: str, passage: int | None = None, before: str = " ", quoted: bool = False
) -> Sentence:
    support = None
    if passage is not None:
        support = Support(Quote(passage, 100, 108, TEXTS[passage][:8]), 0.87654)
    return Sentence(text, before, support, quoted)


def answer(**sampling: Any) -> Answer:
    """Counts one token a character."""
    return Answer(HITS, Sampling(**({"max_tokens": 10_000} | sampling)), len)


# --- marks and citations ------------------------------------------------------------------------


def test_passages_are_numbered_as_they_are_cited() -> None:
    grown = answer()
    pieces = [
        grown.add(said("HA restarts.", 2)),
        grown.add(said("MIG splits.", 0)),
        grown.add(said("HA again.", 2)),
    ]
    assert pieces == ["HA restarts. [1]", " MIG splits. [2]", " HA again. [1]"]
    assert grown.text == "".join(pieces)
    assert [(c.number, c.hit.chunk_id, len(c.support)) for c in grown.citations] == [
        (1, 2, 2),
        (2, 0, 1),
    ]


def test_what_supports_a_sentence_is_noted() -> None:
    grown = answer()
    grown.add(said("MIG splits.", 0, quoted=True))
    (support,) = grown.citations[0].support
    assert (support.sentence, support.start, support.end) == ("MIG splits.", 100, 108)
    assert (support.score, support.quoted) == (0.877, True)


def test_a_sentence_that_claims_nothing_is_not_cited() -> None:
    grown = answer()
    assert grown.add(said("Here are the steps:")) == "Here are the steps:"
    assert grown.citations == []


def test_white_space_before_the_first_sentence_is_dropped() -> None:
    grown = answer()
    assert grown.add(said("MIG splits.", 0, before="\n\n")) == "MIG splits. [1]"


def test_the_mark_of_a_code_block_stands_below_it() -> None:
    """On the line of the closing fence it would break the block."""
    grown = answer()
    block = "```\nesxcli hardware pci list\n```"
    assert grown.add(said(block, 0)) == f"{block}\n[1]"


def test_a_documents_own_references_do_not_look_like_marks() -> None:
    grown = answer()
    assert grown.add(said("“As [1] and [23] show.”", 0)) == "“As (1) and (23) show.” [1]"
    assert grown.citations[0].support[0].sentence in grown.text


@pytest.mark.parametrize("code", ["```\ngpus[0]\n```", "```sh\na[1] [2]", "Use `gpus[0]`."])
def test_an_index_in_code_stays_one(code: str) -> None:
    grown = answer()
    assert grown.add(said(code)) == code


# --- where it ends ------------------------------------------------------------------------------


def test_the_token_budget_cuts_a_sentence_which_is_then_not_cited() -> None:
    grown = answer(max_tokens=8)
    assert grown.add(said("MIG splits a GPU.", 0)) == "MIG spli"
    assert (grown.full, grown.citations) == ("length", [])


def test_a_sentence_that_just_fits_is_whole() -> None:
    grown = answer(max_tokens=11)
    assert grown.add(said("MIG splits.", 0)) == "MIG splits. [1]"
    assert grown.full == ""
    assert grown.add(said("HA restarts.", 2, before="\n\n")) == ""
    assert grown.full == "length"
    assert grown.text == "MIG splits. [1]"


def test_the_budget_counts_over_all_sentences() -> None:
    grown = answer(max_tokens=15)
    assert grown.add(said("MIG splits.", 0))
    assert grown.add(said("HA restarts.", 2)) == " HA r"
    assert [citation.hit.chunk_id for citation in grown.citations] == [0]


def test_a_stop_string_cuts_and_is_no_part_of_the_answer() -> None:
    grown = answer(stop=("zzz", "splits"))
    assert grown.add(said("MIG splits a GPU.", 0)) == "MIG "
    assert (grown.full, grown.citations) == ("stop", [])


def test_the_earliest_stop_string_counts() -> None:
    grown = answer(stop=("GPU", "splits"))
    assert grown.add(said("MIG splits a GPU.", 0)) == "MIG "


def test_a_stop_string_across_two_sentences() -> None:
    grown = answer(stop=("moved. HA",))
    assert grown.add(said("It moved.")) == "It moved."
    assert grown.add(said("HA restarts.", 2)) == ""
    assert grown.full == "stop"
    assert grown.text == "It moved."


def test_a_stop_string_in_the_white_space_between() -> None:
    grown = answer(stop=("\n\n",))
    assert grown.add(said("One.")) == "One."
    assert grown.add(said("Two.", before="\n\n")) == ""
    assert (grown.text, grown.full) == ("One.", "stop")


def test_a_stop_string_is_not_met_in_the_marks() -> None:
    """The marks are vSage's, and a client that stops at "[" means the model's text."""
    grown = answer(stop=("[1]",))
    assert grown.add(said("MIG splits.", 0)) == "MIG splits. [1]"
    assert grown.add(said("HA restarts.", 2)) == " HA restarts. [2]"
    assert grown.full == ""


def test_a_stop_string_at_the_very_start_leaves_nothing() -> None:
    grown = answer(stop=("MIG",))
    assert grown.add(said("MIG splits.", 0)) == ""
    assert (grown.text, grown.full, grown.citations) == ("", "stop", [])


# --- replies ------------------------------------------------------------------------------------


def test_an_empty_knowledge_base_says_how_to_fill_it() -> None:
    assert "python -m rag ingest" in replies.not_found("vGPU", 0)


@pytest.mark.parametrize(("count", "named"), [(1, "its one document"), (17, "its 17 documents")])
def test_not_found_names_what_was_searched(count: int, named: str) -> None:
    reply = replies.not_found("the  football\ncup", count)
    assert f"I searched {named} for “the football cup”" in reply


def test_a_long_question_is_shortened_in_the_reply() -> None:
    assert len(replies.not_found("word " * 2000, 3)) < 400
    assert replies.shorten("a" * 120) == "a" * 120
    assert replies.shorten("a" * 121) == "a" * 119 + "…"
    assert "…" in replies.nothing_supported("word " * 2000)


def test_a_rail_that_failed_is_not_the_callers_fault() -> None:
    attack = Verdict(False, "check injection", "override", "x", "override", 1.0)
    broken = Verdict(False, "input rails", "rail failed (ValueError)", "x", "error")
    assert "attempt to change how I work" in replies.blocked(attack)
    assert "attempt" not in replies.blocked(broken)
    assert "safety check failed" in replies.blocked(broken)
    for verdict in (attack, broken):
        assert "ValueError" not in replies.blocked(verdict)


# --- the clock ----------------------------------------------------------------------------------


def test_stages_are_timed_in_milliseconds() -> None:
    timings = Timings()
    for _ in range(2):
        with timings("retrieve"):
            time.sleep(0.02)
    shown = timings.milliseconds()
    assert list(shown) == ["retrieve", "total"]
    assert 40 <= shown["retrieve"] <= shown["total"]


def test_a_stage_within_another_is_counted_once() -> None:
    timings = Timings()
    with timings("output_rails"):
        time.sleep(0.03)
    with timings("generate"):
        time.sleep(0.01)
        with timings("output_rails"):
            time.sleep(0.05)
    shown = timings.milliseconds()
    assert shown["output_rails"] >= 80
    assert 10 <= shown["generate"] < shown["total"] - 75


def test_the_first_token_is_noted_once_and_failures_are_timed_too() -> None:
    timings = Timings()
    with pytest.raises(ValueError, match="broken"), timings("prompt"):
        raise ValueError("broken")
    timings.first_token()
    first = timings.milliseconds()["first_token"]
    time.sleep(0.01)
    timings.first_token()
    assert timings.milliseconds()["first_token"] == first
    assert "prompt" in timings.milliseconds()


def test_an_unsupported_sentence_is_marked_and_cites_nothing() -> None:
    answer = Answer([], Sampling(), len)
    assert (
        answer.add(Sentence("It flies.", "", None, unsupported=True)) == "It flies. [unsupported]"
    )
    code = Sentence("```\nfly()\n```", "\n", None, unsupported=True)
    assert answer.add(code) == "\n```\nfly()\n```\n[unsupported]"
    assert answer.citations == []
