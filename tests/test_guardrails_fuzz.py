"""No text makes a detector raise, or take more than its time.

Generated texts: any characters, the words of the patterns themselves, pieces repeated many times.
What takes quadratic time or worse shows by comparing a text with one four times as long.
"""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz_samples import Sampler, repeated, seconds
from benchmarks.fuzz_texts import (
    CANARY,
    RULES,
    SECONDS,
    SECONDS_PER_CHAR,
    SIGNS,
    open_detectors,
    patterns,
    words,
)
from guardrails.schema import Context, Verdict

GROUPS = open_detectors()
DETECTORS = {name: detector for group in GROUPS.values() for name, detector in group.items()}
OUTPUT = frozenset(GROUPS["output"])
# Linear growth makes a factor of four; the rest is for a busy machine.
RATIO = 9
# Too short a time says nothing about growth.
NOISE = 0.05
# Only ever tried at the beginning of a value that is short (300 characters), or of a sentence.
AT_ONE_PLACE = frozenset(
    {
        "credentials.KEY_LINES",
        "credentials.NAME",
        "credentials.PLACEHOLDER",
        "grounded.LEADS_IN",
        "phones.DOTTED_QUAD",
    }
)
NOTHING = Context()
FUZZ = settings(
    deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], max_examples=25
)


def judged(name: str, text: str, context: Context = NOTHING) -> float:
    """Seconds of this thread on the processor; fails where the verdict is none."""
    start = time.thread_time()
    verdict = DETECTORS[name](text, context)
    taken = time.thread_time() - start
    assert isinstance(verdict, Verdict), name
    assert isinstance(verdict.text, str), name
    assert 0 <= verdict.score <= 1, (name, verdict.score)
    assert verdict.allowed or verdict.category, name
    chars = len(text) + sum(map(len, (context.question, *context.passages)))
    assert taken < SECONDS + SECONDS_PER_CHAR * chars, (name, chars, taken)
    return taken


PIECES = st.one_of(
    st.sampled_from(words()),
    st.sampled_from(SIGNS),
    st.text(st.characters(), min_size=1, max_size=4),  # unpaired surrogates among them
    st.text(st.characters(categories=["Cc", "Cf", "Mn", "Me", "Zs", "Cs"]), min_size=1, max_size=4),
)
GLUE = st.sampled_from(["", " ", "\n", ". ", ", ", "-", "_", "\u200b"])


@st.composite
def texts(draw: Any, most: int = 3_000) -> str:
    """Pieces in a row, some of them repeated."""
    said = []
    for piece in draw(st.lists(PIECES, max_size=8)):
        times = draw(st.sampled_from([1, 1, 2, 30, 700]))
        said.append((piece + draw(GLUE)) * times)
    return "".join(said)[:most]


@FUZZ
@given(texts(), st.lists(texts(most=1_000), max_size=2), st.booleans())
def test_any_text_is_judged(text: str, passages: list[str], quoted: bool) -> None:
    sources = (*passages, text) if quoted else tuple(passages)
    for name in DETECTORS:
        judged(name, text, Context(text[:200], sources) if name in OUTPUT else NOTHING)


@settings(FUZZ, max_examples=6)
@given(st.lists(PIECES, min_size=1, max_size=3), GLUE)
def test_a_text_four_times_as_long_takes_four_times_as_long(pieces: list[str], glue: str) -> None:
    piece = "".join(piece + glue for piece in pieces)
    for name in DETECTORS.keys() - {"check_output"}:
        grows_evenly(name, piece, 1_500)


# Each of these was slow once.
@pytest.mark.parametrize(
    ("name", "piece"),
    [
        ("check_harm", "\u302e\u0301"),
        ("check_links", "\u302e\u0301"),
        ("check_injection", "\ufdfa"),
        ("check_injection", "0x41"),
        ("check_hidden_instructions", "<!--"),
        ("check_hidden_instructions", "!["),
        ("check_hidden_instructions", "![](http://<<=<("),
        ("check_commands", "curl |  "),
        ("check_commands", "curl --data@.kube/"),
        ("check_commands", "rm -rf /a\n"),
        ("check_broken_output", "<s>"),
        ("check_links", "`<link>` "),
        ("check_grounded", "Set DRS to 8. "),
        ("check_grounded", "human: a\nassistant: b\n"),
        ("check_personal_answer", "8.8.4.5 "),
    ],
)
def test_what_was_slow_once(name: str, piece: str) -> None:
    grows_evenly(name, piece, 4_900)


def grows_evenly(name: str, piece: str, chars: int) -> None:
    """Judged again where it looks bad, with another end: what was judged is remembered."""
    growth = []
    for end in ("", ".", ";"):
        taken = []
        for text in (repeated(piece, 4 * chars) + end, repeated(piece, chars) + end):
            taken.append(judged(name, text, Context("", (text,)) if name in OUTPUT else NOTHING))
            if taken[0] < NOISE:
                return
        growth.append(taken[0] / max(taken[1], NOISE / RATIO))
        if growth[-1] < RATIO:
            return
    raise AssertionError(f"{name} on {piece!r}: factors {growth} for a text four times as long")


@pytest.mark.parametrize("piece", ["ab c. ", "\ud800é\u0301中\u200b"])
def test_a_megabyte(piece: str) -> None:
    text = repeated(piece, 1_000_000)
    for name in DETECTORS:
        judged(name, text)


@pytest.mark.parametrize("text", ["", " ", "\n", "\0", "\ud800", "&#" + "9" * 9_000])
def test_the_smallest_texts(text: str) -> None:
    for name in DETECTORS:
        judged(name, text, Context(text, (text, "")))


def test_what_nearly_matches_a_pattern() -> None:
    """For every pattern: what it begins with, again and again."""
    slow = []
    for place, pattern in patterns().items():
        if place in AT_ONE_PLACE:
            continue
        for piece in Sampler(pattern, seed=1).pumps(2):
            taken = seconds(pattern, repeated(piece, 2_000))
            if taken > NOISE:
                growth = seconds(pattern, repeated(piece, 8_000)) / taken
                slow.append((place, piece[:80], round(taken, 3), round(growth, 1)))
    assert not slow, "pattern, piece, seconds for 2,000 characters, and for 4 times as many: factor"


@pytest.mark.parametrize("careless", [r"\[[^\]]*\]\(", r"<\w+[^>]*\son\w+="])
def test_the_sampler_finds_what_backtracks(careless: str) -> None:
    pattern = re.compile(careless)
    pieces = list(Sampler(pattern, seed=1).pumps(12))
    short = [seconds(pattern, repeated(piece, 400)) for piece in pieces]
    long = [seconds(pattern, repeated(piece, 4_000)) for piece in pieces]
    assert max(b / a for a, b in zip(short, long, strict=True)) > 30


def test_nothing_of_the_canary_is_in_the_verdict() -> None:
    for name in OUTPUT:
        verdict = DETECTORS[name](f"{CANARY} {RULES}", Context())
        assert CANARY not in verdict.reason
