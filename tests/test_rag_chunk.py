"""Chunks: spans that are exact, headings never crossed, a budget kept, nothing lost."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.chunk import chunk_document, embedding_text, page_at, place, sections
from rag.embed import Embedder
from rag.parse import parse
from rag.schema import Chunk, ParsedDocument
from tests.fakes import FakeEmbedder

token_starts = FakeEmbedder().token_starts

WORDS = st.sampled_from(
    ["alpha", "Beta.", "gamma!", "8.0", "e.g.", "x" * 40, "ünï", "日本。", "C#", "`c`"]
)
LINES = st.one_of(
    st.lists(WORDS, max_size=60).map(" ".join),
    st.tuples(st.integers(1, 6), st.lists(WORDS, max_size=4)).map(
        lambda pair: "#" * pair[0] + " " + " ".join(pair[1])
    ),
    st.sampled_from(["", "  ", "```", "```sh", "~~~", "# ", "#", "- item", "| a | b |", "\t#x"]),
)
TEXTS = st.lists(LINES, max_size=25).map("\n".join)


def chunked(
    text: str, max_tokens: int = 32, overlap: int = 0, title: str = "", block_tokens: int = 0
) -> list[Chunk]:
    document = ParsedDocument(title, text, "text/markdown")
    return chunk_document(document, token_starts, max_tokens, overlap, block_tokens)


def heading_lines(text: str) -> list[tuple[int, int]]:
    """Spans of lines that are headings, found another way than the code does it."""
    found, at, fence = [], 0, ""
    for line in text.split("\n"):
        bare = line.lstrip(" \t")
        run = re.match(r"`{3,}|~{3,}", bare)
        marks = run.group() if run else ""
        if fence:
            if marks.startswith(fence) and not bare[len(marks) :].strip():
                fence = ""
        elif marks:
            fence = "" if marks[0] == "`" and "`" in bare[len(marks) :] else marks
        elif re.match(r"#{1,6}[ \t]", line) and line.lstrip("#").strip().strip("#").strip():
            found.append((at, at + len(line)))
        at += len(line) + 1
    return found


@given(
    TEXTS, st.integers(16, 80), st.integers(0, 3), st.sampled_from(["", "Title", "A longer title"])
)
@settings(max_examples=300, deadline=None)
def test_properties_that_hold_for_every_text(
    text: str, max_tokens: int, overlap: int, title: str
) -> None:
    chunks = chunked(text, max_tokens, overlap, title)
    headings = heading_lines(text)
    covered = np.zeros(len(text), dtype=bool)
    for number, chunk in enumerate(chunks):
        assert chunk.ordinal == number
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.text == chunk.text.strip() != ""
        heading = place(title, chunk.heading_path)
        cost = len(token_starts(embedding_text(heading, chunk.text)))
        assert cost <= max(max_tokens - 2, len(token_starts(heading)) + 16)
        covered[chunk.start : chunk.end] = True
        if not (headings and chunk.start == 0 and len(chunks) == 1):
            assert not any(chunk.start < b and a < chunk.end for a, b in headings) or (
                chunk.heading_path == ()
            )
    for a, b in headings:
        covered[a:b] = True
    assert all(covered[i] or text[i].isspace() for i in range(len(text)))
    assert chunked(text, max_tokens, overlap, title) == chunks
    for before, after in pairwise(chunks):
        assert before.start < after.start
        assert before.end < after.end


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_without_overlap_nothing_comes_twice(text: str) -> None:
    for before, after in pairwise(chunked(text)):
        assert before.end <= after.start


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_a_chunk_never_crosses_a_heading(text: str) -> None:
    headings = heading_lines(text)
    chunks = chunked(text)
    if any(
        text[a:b].strip() and not c.heading_path
        for c in chunks
        for a, b in headings
        if c.start <= a < c.end
    ):
        assert {c.heading_path for c in chunks} == {()}  # headings and nothing else
        rest = "".join(
            text[b:c] for (_, b), (c, _) in pairwise([(0, 0), *headings, (len(text), 0)])
        )
        assert not rest.strip()
        return
    for chunk in chunks:
        above = [a for a, _ in headings if a < chunk.start]
        assert not any(chunk.start <= a < chunk.end for a, _ in headings)
        assert bool(above) == bool(chunk.heading_path)
        if above:
            line = text[above[-1] :].split("\n", 1)[0]
            assert chunk.heading_path[-1] in line


def test_heading_paths_nest_and_reset() -> None:
    text = "intro\n# A\na\n## B\nb\n#### C\nc\n## D ##\nd\n# E #5\ne\n## C#\nf"
    assert [(c.text, c.heading_path) for c in chunked(text)] == [
        ("intro", ()),
        ("a", ("A",)),
        ("b", ("A", "B")),
        ("c", ("A", "B", "C")),
        ("d", ("A", "D")),
        ("e", ("E #5",)),
        ("f", ("E #5", "C#")),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "```sh\n# comment\nls\n```",
        "~~~\n# comment\n```\n# more\n~~~",
        "````md\n```\n# comment\n```\n````",
        "  ```\n# comment\n  ```",
        "```\n# never closed",
        "```\n```python\n# comment\n```",
        "#hashtag\n####### seven\n#\n##\n# ##",
    ],
)
def test_what_looks_like_a_heading_and_is_none(text: str) -> None:
    chunks = chunked(text, max_tokens=200)
    assert {chunk.heading_path for chunk in chunks} == {()}
    assert "".join(c.text for c in chunks).count("#") == text.count("#")


def test_a_heading_after_a_fence_counts_again() -> None:
    for fenced in ("```\n# x\n```", "````\n```\n````", "```inline``` code", "~~~\na\n~~~~~"):
        assert chunked(f"{fenced}\n# Heading\nbody")[-1].heading_path == ("Heading",)


def test_comments_in_a_log_are_text_and_can_be_found() -> None:
    text = "# first\n# second\nline\n# third\n"
    chunks = chunk_document(parse(text.encode(), "a.log"), token_starts, 32, 0)
    assert "\n".join(chunk.text for chunk in chunks).split() == text.split()


def test_a_document_of_headings_alone_is_still_found() -> None:
    (chunk,) = chunked("# Title\n## Part\n\n### Detail\n")
    assert chunk.text == "# Title\n## Part\n\n### Detail"
    assert chunk.heading_path == ()
    assert chunked(" \n\n") == []


def test_a_sentence_over_the_budget_is_cut_between_words() -> None:
    text = " ".join(f"word{i}x" for i in range(500))
    chunks = chunked(text, max_tokens=50)
    assert len(chunks) == 11
    assert " ".join(chunk.text for chunk in chunks) == text


def test_real_tokens_are_not_torn_apart(embedder: Embedder) -> None:
    """WordPiece cuts `hypervisorless` into many tokens; a passage must not end within it."""
    text = "hypervisorless paravirtualization, " * 200
    document = ParsedDocument("", text, "text/plain")
    chunks = chunk_document(document, embedder.token_starts, 64, 1)
    assert len(chunks) > 10
    assert " ".join(chunk.text for chunk in chunks) == text.strip()
    for chunk in chunks:
        assert len(embedder.token_starts(chunk.text)) <= 62
        assert {word.strip(",") for word in chunk.text.split()} <= {
            "hypervisorless",
            "paravirtualization",
        }


def test_one_word_over_the_budget_is_cut_all_the_same() -> None:
    text = "-" * 1000
    chunks = chunked(text, max_tokens=50)
    assert "".join(chunk.text for chunk in chunks) == text
    assert max(len(chunk.text) for chunk in chunks) <= 48


def test_overlap_repeats_whole_sentences_and_gives_way_to_long_ones() -> None:
    text = " ".join(f"Short sentence number {i} here." for i in range(20))
    plain, overlapping = chunked(text, 40, 0), chunked(text, 40, 1)
    assert " ".join(c.text for c in plain) == text
    assert len(" ".join(c.text for c in overlapping)) > len(text)
    for before, after in pairwise(overlapping):
        shared = text[after.start : before.end]
        assert re.fullmatch(r"Short sentence number \d+ here\.", shared)
    long = "Short one. " + " ".join(["word"] * 25) + ". " + " ".join(["term"] * 25) + "."
    for before, after in pairwise(chunked(long, 32, 2)):
        assert before.end <= after.start


def test_a_long_heading_leaves_room_for_the_text() -> None:
    (chunk,) = chunked("# " + "word " * 50 + "\nbody", max_tokens=32)
    assert chunk.text == "body"
    assert len(chunk.heading_path[0]) == 249
    long = "# " + "word " * 200
    chunks = chunked(f"{long}\nbody", max_tokens=32)
    assert {c.heading_path for c in chunks} == {()}, "a paragraph that begins with a hash"
    assert "".join("".join(c.text for c in chunks).split()) == "".join((long + "body").split())


def test_pages_are_counted_from_one() -> None:
    document = ParsedDocument("", "one\n\ntwo\n\nthree", "application/pdf", page_starts=(0, 5, 10))
    chunks = chunk_document(document, token_starts, 32, 0)
    assert [chunk.page for chunk in chunks] == [1]
    starts = (0, 5, 5, 10)
    assert [page_at(starts, i) for i in (0, 4, 5, 9, 10, 99)] == [1, 1, 3, 3, 4, 4]
    assert page_at((), 3) is None
    assert page_at((2, 4), 1) is None


def test_an_outline_takes_the_place_of_markdown() -> None:
    text = "before\nA\n# not a heading\nB\nlast"
    outline = ((7, ("A",)), (25, ("A", "B")))
    document = ParsedDocument("T", text, "application/pdf", headings=outline)
    found = [(s.heading_path, text[s.start : s.end].split()) for s in sections(document)]
    assert found == [
        ((), ["before"]),
        (("A",), ["A", "#", "not", "a", "heading"]),
        (("A", "B"), ["B", "last"]),
    ]
    flat = ParsedDocument("T", text, "application/pdf", headings=())
    assert [s.heading_path for s in sections(flat)] == [()]


def test_where_a_passage_stands() -> None:
    assert place("T", ()) == "T"
    assert place("T", ("A", "B")) == "T > A > B"
    assert place("T", ("T", "B")) == "T > B"
    assert place("", ("A",)) == "A"
    assert embedding_text("", "text") == "text"
    assert embedding_text("T > A", "text") == "T > A\ntext"


@pytest.mark.parametrize(
    "line",
    [
        "lorem ipsum " * 440_000,
        "x" * 5_000_000,
        "." * 5_000_000,
        "# a" + " " * 5_000_000 + "b",
        "# " + "#" * 5_000_000 + "b",
        "| a " * 1_250_000,
    ],
    ids=["words", "one word", "dots", "heading of spaces", "heading of hashes", "table"],
)
def test_a_line_of_5_mb_takes_seconds(line: str) -> None:
    started = time.monotonic()
    chunks = chunked(line, max_tokens=200, overlap=1)
    assert time.monotonic() - started < 60
    assert chunks
    assert chunks[-1].end == len(line.rstrip())


def test_50_000_headings_take_seconds() -> None:
    text = "".join(f"{'#' * (i % 6 + 1)} Heading {i}\nbody {i}\n" for i in range(50_000))
    started = time.monotonic()
    chunks = chunked(text)
    assert time.monotonic() - started < 60
    assert len(chunks) == 50_000
    assert chunks[49_999].heading_path[-1] == "Heading 49999"
    assert max(len(chunk.heading_path) for chunk in chunks) == 6


CODE = "```sh\n" + "\n".join(f"step --number {i} --now" for i in range(4)) + "\n```"
LIST = "\n".join(f"- Item number {i} of the list" for i in range(5))
TABLE = "\n".join(f"| cell {i} | value {i} |" for i in range(6))
ITEMS = "1. First do this.\n\n   Then wait a little.\n\n2. And then do that."


@pytest.mark.parametrize("block", [CODE, LIST, TABLE, ITEMS])
@pytest.mark.parametrize("before", range(1, 12))
def test_lists_tables_and_code_are_kept_whole(block: str, before: int) -> None:
    prose = " ".join(f"Sentence number {i} stands here." for i in range(before))
    chunks = chunked(f"{prose}\n\n{block}\n\nAfterwards there is more to say.", 48, 1)
    assert any(block in chunk.text for chunk in chunks)


def test_what_leads_in_stays_with_its_list() -> None:
    prose = " ".join(f"Sentence number {i} stands here." for i in range(6))
    chunks = chunked(f"{prose}\n\nDo this:\n\n{LIST}", 48, 1)
    assert any(f"Do this:\n\n{LIST}" in chunk.text for chunk in chunks)


def test_a_list_over_the_budget_fills_chunks_as_before() -> None:
    items = "\n".join(f"- Item number {i} of the list" for i in range(40))
    chunks = chunked(f"One sentence.\n\n{items}", 48, 0)
    assert chunks[0].text.startswith("One sentence.\n\n- Item number 0")
    assert "\n".join(c.text for c in chunks).replace("\n\n", "\n") == f"One sentence.\n{items}"


def test_two_blocks_of_code_may_lie_in_two_chunks() -> None:
    chunks = chunked(f"{CODE}\n{CODE}", 56, 0)
    assert [chunk.text for chunk in chunks] == [CODE, CODE]


@pytest.mark.parametrize("before", range(1, 9))
def test_a_chunk_grows_for_a_list_but_not_for_what_follows(before: int) -> None:
    prose = " ".join(f"Sentence number {i} stands here." for i in range(before))
    chunks = chunked(f"{prose}\n\n{LIST}\n\nAfterwards there is more to say.", 48, 0, "", 80)
    (holding,) = [chunk.text for chunk in chunks if LIST in chunk.text]
    grown = len(token_starts(prose)) + len(token_starts(LIST)) <= 78
    assert (holding.startswith("Sentence number 0")) == grown
    assert all(len(token_starts(chunk.text)) <= 78 for chunk in chunks)
    without = [chunk for chunk in chunks if LIST not in chunk.text]
    assert all(len(token_starts(chunk.text)) <= 46 for chunk in without)


@given(TEXTS, st.integers(32, 80), st.integers(0, 2), st.integers(0, 120))
def test_no_chunk_is_over_the_larger_limit(text: str, most: int, overlap: int, block: int) -> None:
    chunks = chunked(text, most, overlap, "", block)
    for chunk in chunks:
        above = len(token_starts(place("", chunk.heading_path)))
        limit = max(16, max(most, block) - 2 - above)
        assert len(token_starts(chunk.text)) <= limit
        assert text[chunk.start : chunk.end] == chunk.text
