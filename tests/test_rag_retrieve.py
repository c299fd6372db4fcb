"""Retrieval: fusion, questions that nobody expects, and no passage for who may not read it."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.catalog import Catalog
from rag.config import RetrieverConfig
from rag.fulltext import rarity, score_words, search_words
from rag.fusion import fuse
from rag.knowledge import Knowledge
from rag.retrieve import retrieve
from rag.schema import EVERYONE, Hit
from rag.scope import Scope, open_scope
from tests.fakes import PUBLIC, fake_knowledge, new_document, store, stored_ids, take_in

Mode = Literal["hybrid", "lexical", "dense"]
MODES: tuple[Mode, ...] = ("hybrid", "lexical", "dense")
GROUPS = ["a", "b", "c", "d", "e"]
WORDS = ["host", "cluster", "memory", "driver", "licence", "profile", "network", "storage"]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    opened = fake_knowledge(tmp_path_factory.mktemp("toy"))
    take_in(
        opened,
        {
            "vmotion.md": "# vMotion\n\nSet vgpu.hotmigrate.enabled to true before a migration.",
            "licence.md": "# Licence\n\nThe licence server hands out leases for 24 hours.",
            "memory.md": "# Memory\n\nA profile decides the frame buffer of each guest.",
            "empty.md": "# Don't\n\nNever say never: C++, 50 % and a_b stay as they are.",
        },
    )
    yield opened
    opened.close()


def search(
    knowledge: Knowledge, question: str, mode: Mode = "hybrid", groups: frozenset[str] = PUBLIC
) -> list[Hit]:
    return retrieve(knowledge, question, groups, 5, settings=RetrieverConfig(mode=mode))


@pytest.mark.parametrize("mode", MODES)
def test_each_way_finds_the_plain_case(toy: Knowledge, mode: Mode) -> None:
    hits = search(toy, "How long is a lease of the licence server?", mode)
    assert hits[0].uri == "test:licence.md"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert hits[0].score == pytest.approx(1.0, abs=0.01)
    text = toy.catalog.text(hits[0].document_id)
    assert text[hits[0].start : hits[0].end] == hits[0].text
    assert hits[0].heading_path == ("Licence",)


def test_hybrid_keeps_both_scores_and_fills_the_gaps(toy: Knowledge) -> None:
    for hit in search(toy, "lease of the frame buffer"):
        assert hit.dense is not None, "every candidate gets its cosine"
    by_words = {hit.chunk_id: hit.lexical for hit in search(toy, "frame buffer", "lexical")}
    assert list(by_words)
    both = {hit.chunk_id: hit for hit in search(toy, "frame buffer")}
    assert all(both[i].lexical == pytest.approx(score) for i, score in by_words.items())
    assert all(hit.lexical is None for hit in search(toy, "frame buffer", "dense"))
    assert all(hit.dense is None for hit in search(toy, "frame buffer", "lexical"))


def test_words_stem_and_headings_count(toy: Knowledge) -> None:
    assert search(toy, "migrating, migrations", "lexical")[0].uri == "test:vmotion.md"
    assert search(toy, "vgpu.hotmigrate.enabled", "lexical")[0].uri == "test:vmotion.md"
    assert search(toy, "VMOTION", "lexical")[0].uri == "test:vmotion.md"
    assert search(toy, "xyzzy", "lexical") == []


QUESTIONS = [
    '"', '""', "'", "a OR", "NOT", "NOT x", "AND AND", "NEAR(a b, 5)", "a*", "^a", "heading:x",
    "text : y", "{heading text}: z", "-x", "+", "(", ")", "a AND (b", "\0", "a\0b", "🤷", "🤷‍♀️ GPU",
    "%", "_", "___", "'; DROP TABLE chunks; --", "\\", "[", "\ud800", "x \udfff y", "a_b", "C++",
    "²", "½ ₃", "ﷺ", "e\u0301", "\u202e", "؟", "日本語", "don't 'say' \"never\"", "licence-server",
    " ", "\n\t", "?", "...", "the of and", "x" * 20_000, "word " * 5000, "a,b;c:d|e" * 500,
]  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS, ids=range(len(QUESTIONS)))
def test_no_question_raises(toy: Knowledge, question: str) -> None:
    for mode in MODES:
        assert len(search(toy, question, mode)) <= 5


@pytest.mark.parametrize(
    "question", [*[q for q in QUESTIONS if len(q) < 100], "x" * 20_000], ids=ascii
)
def test_nor_does_it_with_the_real_embedder(knowledge: Knowledge, question: str) -> None:
    hits = retrieve(knowledge, question, PUBLIC, 3)
    assert len(hits) <= 3


@given(st.text(max_size=60) | st.text(string.punctuation + "ab ANDORNEAR\"'*", max_size=60))
@settings(max_examples=100, deadline=None)
def test_no_text_raises(toy: Knowledge, question: str) -> None:
    for mode in MODES:
        search(toy, question, mode)
    rarity(toy.catalog, question.split())


def test_an_empty_question_and_an_empty_catalog(toy: Knowledge, tmp_path: Path) -> None:
    assert search(toy, "", "lexical") == []
    empty = fake_knowledge(tmp_path)
    for mode in MODES:
        assert search(empty, "licence", mode) == []
    empty.close()


def test_k_and_candidates_bound_what_comes(tmp_path: Path) -> None:
    knowledge = fake_knowledge(tmp_path)
    store(knowledge.catalog, *(new_document(f"d{i}", ["same words here"]) for i in range(40)))
    for mode in MODES:
        settings_ = RetrieverConfig(mode=mode, candidates=10, collapse=False)
        for k in (0, 1, 10):
            hits = retrieve(knowledge, "same words", PUBLIC, k, settings=settings_)
            assert [hit.chunk_id for hit in hits] == list(range(1, k + 1)), "ties go by id"
        assert len(retrieve(knowledge, "same", PUBLIC, 99, settings=settings_)) in range(10, 21)
    knowledge.close()


def test_a_deleted_document_is_not_found_again(tmp_path: Path) -> None:
    knowledge = fake_knowledge(tmp_path)
    take_in(knowledge, {"a.md": "alpha", "b.md": "alpha beta"})
    other = Catalog(knowledge.config)
    other.delete([other.uris()["test:a.md"]])
    other.close()
    for mode in MODES:
        assert [hit.uri for hit in search(knowledge, "alpha", mode)] == ["test:b.md"]
    knowledge.close()


# --- access --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    """Documents about everything, each readable by a random set of groups."""
    opened = fake_knowledge(tmp_path_factory.mktemp("guarded"))
    pick = random.Random(3)
    for i in range(60):
        groups = frozenset(pick.sample([*GROUPS, EVERYONE], k=pick.randint(1, 3)))
        texts = [" ".join(pick.choices(WORDS, k=8)) for _ in range(pick.randint(1, 3))]
        store(opened.catalog, new_document(f"doc{i}", texts, groups, f"Title {i}"))
    yield opened
    opened.close()


@given(
    st.frozensets(st.sampled_from([*GROUPS, EVERYONE, "unknown", "", "a\x00", '["a"]'])),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join),
    st.sampled_from(MODES),
    st.integers(1, 100),
)
@settings(max_examples=60, deadline=None)
def test_nobody_sees_what_is_not_theirs(
    guarded: Knowledge, groups: frozenset[str], question: str, mode: Mode, k: int
) -> None:
    catalog = guarded.catalog
    readers = {document.uri: document.groups for document in catalog.list_documents()}
    mine = {uri for uri, allowed in readers.items() if allowed & (groups | {EVERYONE})}
    hits = retrieve(guarded, question, groups, k, settings=RetrieverConfig(mode=mode))
    assert {hit.uri for hit in hits} <= mine
    listed = catalog.list_documents(groups)
    assert {document.uri for document in listed} == mine
    assert catalog.count(groups) == len(mine)
    for document in random.Random(k).sample(catalog.list_documents(), 5):
        for key in (document.uri, str(document.id)):
            assert (catalog.find_document(key, groups) is not None) == (document.uri in mine)


def test_forbidden_passages_take_no_place_of_allowed_ones(tmp_path: Path) -> None:
    """Access is decided before the search: hits that were dropped after it would be missing."""
    knowledge = fake_knowledge(tmp_path)
    secret = frozenset({"board"})
    store(
        knowledge.catalog,
        *(new_document(f"secret{i}", ["merger plans"], secret) for i in range(300)),
        new_document("open", ["merger plans are rumours with many more words besides them"]),
    )
    settings_ = {mode: RetrieverConfig(mode=mode, candidates=10) for mode in MODES}
    for mode in MODES:
        hits = retrieve(knowledge, "merger plans", PUBLIC, 5, settings=settings_[mode])
        assert [hit.uri for hit in hits] == ["open"]
        hits = retrieve(knowledge, "merger plans", secret, 5, settings=settings_[mode])
        assert all(hit.uri.startswith("secret") for hit in hits)
    knowledge.close()


def test_losing_a_group_takes_effect_at_once(tmp_path: Path) -> None:
    knowledge = fake_knowledge(tmp_path)
    store(knowledge.catalog, new_document("a", ["merger plans"], frozenset({"a"})))
    for readers, seen in (("a", 1), ("b", 0), ("a", 1)):
        knowledge.catalog.set_groups(1, frozenset({readers}))
        for mode in MODES:
            assert len(search(knowledge, "merger", mode, frozenset({"a"}))) == seen
    knowledge.close()


# --- full text and fusion, alone -----------------------------------------------------------------


def test_full_text_scores(toy: Knowledge) -> None:
    scope = open_scope(toy.catalog, PUBLIC)
    scores = search_words(toy.catalog, "licence lease", 10, scope, 1.0)
    assert len(scores) == 1
    assert min(scores.values()) > 0
    assert search_words(toy.catalog, "licence", 10, Scope(frozenset()), 1.0) == {}
    assert score_words(toy.catalog, "licence", [], 1.0) == {}
    every = stored_ids(toy.catalog)
    assert score_words(toy.catalog, "licence lease", [*every, 999], 1.0) == pytest.approx(scores)
    heavier = search_words(toy.catalog, "licence lease", 10, scope, 5.0)
    assert next(iter(heavier.values())) > next(iter(scores.values()))


def test_rarity_is_highest_for_what_is_nowhere(toy: Knowledge) -> None:
    weights = rarity(toy.catalog, ["the", "licences", "a", "zebra"])
    assert weights["zebra"] > weights["licences"] > weights["a"] > 0
    assert rarity(toy.catalog, []) == {}


def test_fusion_by_hand() -> None:
    lexical, dense = {1: 4.0, 2: 2.0}, {2: 0.8, 3: 0.4}
    assert fuse(lexical, dense, 0.6) == pytest.approx({1: 0.6, 2: 0.3 + 0.4, 3: 0.2})
    assert fuse(lexical, dense, 1.0) == pytest.approx({1: 1.0, 2: 0.5, 3: 0.0})
    assert fuse(lexical, {}, 0.6) == pytest.approx({1: 0.6, 2: 0.3})
    assert fuse({}, {1: -0.5, 2: -0.1}, 0.6) == {1: 0.0, 2: 0.0}
    assert fuse({}, {}, 0.6) == {}


SCORES = st.dictionaries(st.integers(1, 20), st.floats(0.01, 100), max_size=10)


@given(SCORES, SCORES, st.floats(0, 1))
def test_fusion_stays_between_0_and_1_and_keeps_each_order(
    lexical: dict[int, float], dense: dict[int, float], weight: float
) -> None:
    fused = fuse(lexical, dense, weight)
    assert fused.keys() == lexical.keys() | dense.keys()
    assert all(0 <= score <= 1 + 1e-9 for score in fused.values())
    for a in fused:
        for b in fused:
            if lexical.get(a, 0) >= lexical.get(b, 0) and dense.get(a, 0) >= dense.get(b, 0):
                assert fused[a] >= fused[b] - 1e-9


def test_hybrid_is_no_worse_than_either_leg(knowledge: Knowledge) -> None:
    """On questions in the words of the sample knowledge base and in others."""
    asked = {
        "vgpu.hotmigrate.enabled": "vmotion-ha-drs-with-gpus.md",
        "move a running machine with a virtual graphics card to another server": (
            "vmotion-ha-drs-with-gpus.md"
        ),
        "MIG instances of an A100": "mig.md",
        "LoRA rank": "peft-methods.md",
        "which index type for a million vectors": "vector-indexes.md",
        "how much GPU memory does a 7B model need": "sizing-gpu-memory.md",
    }

    def found(mode: Mode) -> int:
        hits = [search(knowledge, question, mode) for question in asked]
        names = [[hit.uri.rsplit("/", 1)[1] for hit in these[:3]] for these in hits]
        return sum(name in top for name, top in zip(asked.values(), names, strict=True))

    assert found("hybrid") >= max(found("lexical"), found("dense"))
    assert found("hybrid") == len(asked)
