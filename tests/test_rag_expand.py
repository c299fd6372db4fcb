"""Passages grow inside their section, within the budget, and never into one another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.expand import expand
from rag.knowledge import Knowledge
from rag.retrieve import retrieve
from rag.schema import Hit
from tests.fakes import PUBLIC, fake_knowledge, take_in

STEPS = [
    f"Step {i}: put 🦀 the host number {i} into maintenance mode and wait until it says so there."
    for i in range(40)
]
OTHER = [
    f"Licence {i} of the server is leased for {i} hours to whoever asks it." for i in range(20)
]
MANUAL = f"# Hosts\n\n{' '.join(STEPS)}\n\n# Licences\n\n{' '.join(OTHER)}\n"


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    opened = fake_knowledge(tmp_path_factory.mktemp("manual"))
    take_in(opened, {"manual.md": MANUAL, "short.md": "# Short\n\nA crab is no host."})
    yield opened
    opened.close()


def tokens(text: str) -> int:
    return len(text.split())


def found(knowledge: Knowledge, question: str, k: int = 3) -> list[Hit]:
    hits = retrieve(knowledge, question, PUBLIC, k)
    assert hits
    return hits


def chunks_of(knowledge: Knowledge) -> dict[int, Hit]:
    return knowledge.catalog.passages(range(1, 200))


def test_a_passage_grows_by_its_section_and_no_further(manual: Knowledge) -> None:
    (hit,) = found(manual, "Step 20 host number 20", 1)
    (grown,) = expand(manual.catalog, [hit], tokens, 100_000)
    text = manual.catalog.text(hit.document_id)
    assert text[grown.start : grown.end] == grown.text
    assert grown.text == " ".join(STEPS), "all of its section, nothing of the next one"
    assert (grown.chunk_id, grown.score, grown.page) == (hit.chunk_id, hit.score, hit.page)


def test_without_room_passages_stay_as_they_are(manual: Knowledge) -> None:
    hits = found(manual, "host maintenance mode")
    size = sum(tokens(hit.text) for hit in hits)
    assert expand(manual.catalog, hits, tokens, size) == hits
    assert expand(manual.catalog, hits, tokens, 0) == hits
    assert expand(manual.catalog, [], tokens, 1000) == []


def test_no_text_is_taken_twice(manual: Knowledge) -> None:
    every = [hit for hit in chunks_of(manual).values() if hit.heading_path[-1:] == ("Hosts",)]
    assert len(every) >= 5
    two = [every[1], every[2]]
    grown = expand(manual.catalog, two, tokens, 100_000)
    assert grown[0].start == every[0].start
    assert grown[0].end == every[1].end
    assert grown[1].start == every[2].start
    assert grown[1].end == every[-1].end
    assert expand(manual.catalog, every, tokens, 100_000) == every


@given(st.integers(0, 2000), st.integers(1, 8), st.sampled_from(["host 7", "licence 3", "crab"]))
@settings(max_examples=60, deadline=None)
def test_within_the_budget_whatever_it_is(
    manual: Knowledge, budget: int, k: int, question: str
) -> None:
    hits = found(manual, question, k)
    grown = expand(manual.catalog, hits, tokens, budget)
    assert [hit.chunk_id for hit in grown] == [hit.chunk_id for hit in hits]
    before = sum(tokens(hit.text) for hit in hits)
    assert sum(tokens(hit.text) for hit in grown) <= max(before, budget)
    for old, new in zip(hits, grown, strict=True):
        assert new.start <= old.start
        assert new.end >= old.end
        assert old.text in new.text


def test_a_document_deleted_meanwhile_keeps_what_was_found(tmp_path: Path) -> None:
    opened = fake_knowledge(tmp_path)
    take_in(opened, {"manual.md": MANUAL})
    hits = found(opened, "Step 20 host number 20")
    opened.catalog.delete([hits[0].document_id])
    assert expand(opened.catalog, hits, tokens, 100_000) == hits
    opened.close()
