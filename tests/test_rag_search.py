"""What shapes a search: filters, versions, near-duplicates, identifiers, spread, the reranker."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from rag.catalog import Catalog, Changes
from rag.catalog_rows import NewDocument
from rag.collapse import collapse, spread
from rag.config import RerankerConfig, RetrieverConfig
from rag.errors import ModelError
from rag.fusion import combine, fuse
from rag.index_faiss import FaissIndex
from rag.knowledge import Knowledge
from rag.rerank import Reranker, open_reranker, rerank
from rag.retrieve import retrieve
from rag.schema import EVERYONE, Filters, Hit, Metadata
from rag.scope import count_documents, open_scope
from rag.versions import asked_versions, covers, matches, newness
from rag.words import identifiers
from serve.schema_filters import FiltersIn
from tests.fakes import PUBLIC, fake_knowledge, new_document, store

FEW = settings(max_examples=25, deadline=None)
BOARD = frozenset({"board"})
PAGE = "Each host of the cluster needs the driver, the licence server and eight GB of frame buffer."


def page(
    uri: str,
    text: str | Sequence[str] = PAGE,
    groups: frozenset[str] = PUBLIC,
    *,
    source: str = "",
    modified: datetime | None = None,
    **metadata: Any,
) -> NewDocument:
    texts = [text] if isinstance(text, str) else text
    new = new_document(uri, texts, groups)
    return replace(new, source=source, modified=modified, metadata=Metadata(**metadata))


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Knowledge]:
    opened = fake_knowledge(tmp_path)
    yield opened
    opened.close()


def search(
    knowledge: Knowledge,
    question: str = "What does each host of the cluster need?",
    groups: frozenset[str] = PUBLIC,
    k: int = 8,
    filters: Filters | None = None,
    **config: Any,
) -> list[Hit]:
    return retrieve(
        knowledge, question, groups, k, settings=RetrieverConfig(**config), filters=filters
    )


def uris(hits: Sequence[Hit]) -> list[str]:
    return [hit.uri for hit in hits]


# --- releases of one page ------------------------------------------------------------------------


@pytest.fixture
def releases(made: Knowledge) -> Knowledge:
    """One page in three releases, oldest last, and something else."""
    for version in ("4.16.3", "4.15", "4.9"):
        text = PAGE.replace("eight", {"4.9": "two", "4.15": "four"}.get(version, "eight"))
        store(made.catalog, page(f"docs/{version}", text, version=version))
    store(made.catalog, page("other", "Lunch is served at noon on each day of the week."))
    return made


@pytest.mark.parametrize("mode", ["hybrid", "lexical", "dense"])
@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("", "docs/4.16.3"),
        (" in 4.15", "docs/4.15"),
        (" on v4.9?", "docs/4.9"),
        (" in version 4.16?", "docs/4.16.3"),
        (" in 4.16.3.", "docs/4.16.3"),
        (" in 4.15.7", "docs/4.15"),  # an update of a release that is known
        (" in 3.11", "docs/4.16.3"),  # no document is of that
        (" for 4 hosts with 8.0 GB", "docs/4.16.3"),
    ],
)
def test_of_three_releases_one_is_found(
    releases: Knowledge, mode: str, asked: str, first: str
) -> None:
    hits = search(releases, f"What does each host of the cluster need{asked}", mode=mode)
    assert uris(hits)[0] == first
    assert len([hit for hit in hits if hit.uri.startswith("docs/")]) == 1
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_all_of_them_where_near_duplicates_are_wanted(releases: Knowledge) -> None:
    assert len(search(releases, collapse=False)) == 4
    only = search(releases, filters=Filters(versions=("4.15", "4.9")))
    assert uris(only) == ["docs/4.15"], "the newest of those that pass"


def test_what_was_typed_last_names_the_version(releases: Knowledge) -> None:
    whole = "What does each host of the cluster need in 4.15? And in 4.9?"
    hits = retrieve(releases, whole, PUBLIC, 4, wordings=((whole, 0.6), ("And in 4.9?", 0.4)))
    assert hits[0].uri == "docs/4.9"


def test_a_version_that_only_others_may_read_counts_for_nothing(releases: Knowledge) -> None:
    """That a question names it must not move what its asker sees."""
    question = "What does each host of the cluster need in 3.11?"
    before = search(releases, question)
    store(releases.catalog, page("secret", "Nothing of the kind.", BOARD, version="3.11"))
    after = search(releases, question)
    assert uris(after) == uris(before)
    assert [hit.score for hit in after] == pytest.approx([h.score for h in before], abs=0.1)


@pytest.mark.parametrize(
    ("question", "known", "expected"),
    [
        ("in 4.16", ["4.16.3"], ("4.16",)),
        ("in 4.16.3", ["4.16"], ("4.16.3",)),
        ("in 4.1", ["4.16"], ()),
        ("in 4.16", ["4.1"], ()),
        ("version 8", ["8"], ("8",)),
        ("8 GPUs", ["8"], ()),
        ("v8", ["8"], ("8",)),
        ("V8.0.x", ["8.0.2"], ("8.0",)),
        ("version 80", ["8"], ()),
        ("from 4.15 to 4.16.", ["4.15", "4.16", ""], ("4.15", "4.16")),
        ("x4.16", ["4.16"], ()),
        ("4.16b", ["4.16"], ()),
        ("", ["4.16"], ()),
        ("version 8 (", ["8", "(", "²", "[8"], ("8",)),
    ],
)
def test_versions_in_questions(question: str, known: list[str], expected: tuple[str, ...]) -> None:
    assert asked_versions(question, known) == expected


versions = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(
    lambda numbers: ".".join(map(str, numbers))
)


@given(versions, versions)
def test_versions_compare(one: str, other: str) -> None:
    assert covers(one, one)
    assert covers(one, f"{one}.{other}")
    assert not covers(one, f"{one}{other}")
    assert covers(one, other) == (other.split(".")[: len(one.split("."))] == one.split("."))
    assert matches((one,), other) == matches((other,), one)
    assert newness(one) < newness(f"{one}.0") < newness(f"{one}.1")
    assert (newness(one) == newness(other)) == (one == other)
    assert newness("") < newness(one)


@given(st.text(max_size=80), st.lists(st.text(max_size=10), max_size=5))
def test_no_text_is_a_version_too_much(question: str, known: list[str]) -> None:
    for version in asked_versions(question, known):
        assert any(matches((version,), other) for other in known)
    assert isinstance(newness(question), tuple)


# --- near-duplicates -----------------------------------------------------------------------------


def test_a_document_behind_one_that_may_not_be_read_is_not_hidden(made: Knowledge) -> None:
    """The newest release is the board's alone: everybody else gets the newest of their own."""
    store(made.catalog, page("secret", PAGE, BOARD, version="9.9"), page("old", PAGE, version="1"))
    for mode in ("hybrid", "lexical", "dense"):
        assert uris(search(made, mode=mode)) == ["old"]
        assert uris(search(made, groups=BOARD, mode=mode)) == ["secret"]
        hits = search(made, groups=BOARD, mode=mode, filters=Filters(versions=("1",)))
        assert uris(hits) == ["old"]


@FEW
@given(
    st.lists(st.tuples(st.sampled_from(["", "a", "b", "ab"]), versions), min_size=1, max_size=8),
    st.frozensets(st.sampled_from(["a", "b"])),
)
def test_copies_collapse_to_one_of_the_callers_own(
    shelf: Knowledge, copies: list[tuple[str, str]], groups: frozenset[str]
) -> None:
    shelf.catalog.delete(list(shelf.catalog.uris().values()))
    pages = [
        page(f"d{i}", PAGE, frozenset(may), version=version)
        for i, (may, version) in enumerate(copies)
    ]
    store(shelf.catalog, *pages)
    mine = [version for may, version in copies if set(may) & groups]
    hits = search(shelf, groups=groups)
    assert [hit.version for hit in hits] == sorted(mine, key=newness)[-1:]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    opened = fake_knowledge(tmp_path_factory.mktemp("shelf"))
    yield opened
    opened.close()


def hit(
    chunk_id: int,
    document_id: int,
    text: str = PAGE,
    version: str = "",
    modified: datetime | None = None,
    score: float | None = None,
) -> Hit:
    at = score if score is not None else 1 - chunk_id / 1000
    return Hit(
        chunk_id, document_id, f"d{document_id}", "", (), None, 0, len(text), text, at,
        version=version, modified=modified,
    )  # fmt: skip


def alike(ids: Sequence[int]) -> dict[int, NDArray[np.float16]]:
    return {i: np.array([1, 0], dtype=np.float16) for i in ids}


def test_passages_of_one_document_are_never_merged() -> None:
    hits = [hit(1, 1), hit(2, 1), hit(3, 1)]
    assert collapse(hits, alike, ()) == hits
    # Twice in each of two releases: both passages of the newer one stay.
    hits = [hit(1, 1, version="1"), hit(2, 2, version="2"), hit(3, 2, version="2")]
    assert [found.chunk_id for found in collapse(hits, alike, ())] == [2, 3]
    hits.append(hit(4, 1, version="1"))
    assert [found.chunk_id for found in collapse(hits, alike, ())] == [2, 3]


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["", "1", "2"])), max_size=12))
def test_collapsing_properties(drawn: list[tuple[int, str]]) -> None:
    hits = [hit(i, document, version=version) for i, (document, version) in enumerate(drawn)]
    found = collapse(hits, alike, ())
    assert {h.chunk_id for h in found} <= {h.chunk_id for h in hits}
    assert len({h.chunk_id for h in found}) == len(found)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    counts = [sum(h.document_id == i for h in hits) for i in range(5)]
    assert len(found) >= max(counts, default=0), "each passage of a document has its own group"
    assert (hits == []) == (found == [])
    if hits:
        assert found[0].score == hits[0].score


def test_which_one_stands_for_the_others() -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC)

    def chosen(*hits: Hit, asked: Sequence[str] = ()) -> list[int]:
        return [found.chunk_id for found in collapse(hits, alike, asked)]

    old, new = hit(1, 1, modified=day), hit(2, 2, modified=day + timedelta(days=1))
    assert chosen(old, new) == [2]
    assert chosen(old, replace(new, modified=day + timedelta(hours=23))) == [1], "one sync"
    assert chosen(old, replace(new, modified=None)) == [1]
    assert chosen(replace(old, version="4.16"), replace(new, version="4.9")) == [1]
    same = replace(old, version="v4.16"), replace(new, version="4.16")
    assert chosen(*same) == [2], "two spellings of one version: the date decides"
    assert chosen(replace(old, version="1"), hit(2, 2)) == [1], "no version is the oldest"
    assert chosen(hit(1, 1, version="4.16"), hit(2, 2, version="4.9"), asked=("4.9",)) == [2]
    other = PAGE.replace("driver", "x").replace("licence", "y").replace("frame", "z")
    assert chosen(hit(1, 1), hit(2, 2, other)) == [1, 2], "alike by meaning only"


def test_vectors_that_are_missing_or_of_two_lengths_merge_nothing() -> None:
    hits = [hit(1, 1), hit(2, 2)]
    assert collapse(hits, lambda ids: {}, ()) == hits
    assert collapse(hits, lambda ids: {1: np.ones(2, np.float16)}, ()) == hits
    lengths = {1: np.ones(2, np.float16), 2: np.ones(3, np.float16)}
    assert collapse(hits, lambda ids: lengths, ()) == hits
    assert collapse([], alike, ()) == []


# --- spread over documents -----------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 5), max_size=30),
    st.integers(1, 5),
    st.integers(0, 20),
)
def test_spread(drawn: list[int], per_document: int, k: int) -> None:
    hits = [hit(i, document) for i, document in enumerate(drawn)]
    found = spread(hits, per_document, k)
    assert len(found) == min(k, len(hits)), "filled up"
    assert [h.chunk_id for h in found] == sorted(h.chunk_id for h in found), "best first"
    over = [i for i in set(drawn) if [h.document_id for h in found].count(i) > per_document]
    within = sum(min(per_document, drawn.count(i)) for i in set(drawn))
    assert not over or within < k, "more of one document only where others are too few"
    if hits and k:
        assert found[0] == hits[0]


def test_spread_in_a_search(made: Knowledge) -> None:
    many = [f"{PAGE} Part {word}." for word in ("one", "two", "three", "four", "five", "six")]
    store(made.catalog, page("many", many), page("b", "A cluster needs hosts."))
    hits = search(made, k=4, per_document=2)
    assert sorted(uris(hits)) == ["b", "many", "many", "many"]
    assert [h.uri for h in search(made, k=3, per_document=2)].count("many") == 2
    assert len(search(made, k=50, per_document=1)) == 7


# --- filters -------------------------------------------------------------------------------------

ODD = [
    "%", "_", "a_b", "aXb", "100%", '"', 'a"b', "b", "\\", "\\u00fc", "ü", "Ü", "日本", "🤷", "'",
    "A", "a", "a/b", "[", "]", ",", '","', "x\ny", "\t", "a b", " ", "ß", "SS", "\x00", "a\x00b",
]  # fmt: skip
odd = st.sampled_from(ODD)
day = st.integers(1, 28).map(lambda number: datetime(2026, 3, number, tzinfo=UTC))
zoned = st.tuples(day, st.integers(-12, 14)).map(
    lambda drawn: drawn[0].astimezone(timezone(timedelta(hours=drawn[1])))
)
described = st.fixed_dictionaries(
    {
        "source": odd | st.just(""),
        "product": odd | st.just(""),
        "version": odd | versions | st.just(""),
        "labels": st.lists(odd, max_size=3, unique=True).map(tuple),
        "modified": st.none() | day,
    }
)
some = st.lists(odd, max_size=3).map(tuple)
narrowings = st.builds(
    Filters,
    sources=some,
    products=some,
    versions=st.lists(odd | versions, max_size=3).map(tuple),
    labels=some,
    modified_after=st.none() | zoned,
    modified_before=st.none() | zoned,
)


def passes(filters: Filters, new: NewDocument) -> bool:
    """The filters in plain Python."""
    data, modified = new.metadata, new.modified
    products = {product.casefold() for product in filters.products}
    after, before = filters.modified_after, filters.modified_before
    return (
        (not filters.sources or new.source in filters.sources)
        and (not products or data.product.casefold() in products)
        and (not filters.versions or any(covers(v, data.version) for v in filters.versions))
        and (not filters.labels or bool(set(data.labels) & set(filters.labels)))
        and (after is None or (modified is not None and modified >= after))
        and (before is None or (modified is not None and modified < before))
    )


@FEW
@given(
    st.lists(st.tuples(described, st.sampled_from([PUBLIC, BOARD])), min_size=1, max_size=6),
    st.lists(narrowings, min_size=1, max_size=5),
    st.sampled_from(["hybrid", "lexical", "dense"]),
)
def test_filters_find_what_plain_python_finds(
    shelf: Knowledge,
    drawn: list[tuple[dict[str, Any], frozenset[str]]],
    filtering: list[Filters],
    mode: str,
) -> None:
    shelf.catalog.delete(list(shelf.catalog.uris().values()))
    pages = [page(f"d{i}", PAGE, groups, **values) for i, (values, groups) in enumerate(drawn)]
    store(shelf.catalog, *pages)
    for filters in filtering:
        for groups in (PUBLIC, BOARD):
            hits = search(shelf, groups=groups, filters=filters, mode=mode, collapse=False)
            caller = groups | {EVERYONE}
            mine = {new.uri for new in pages if new.groups & caller and passes(filters, new)}
            assert set(uris(hits)) == mine
            assert count_documents(shelf.catalog, groups, filters) == len(mine)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(versions=("4.16",)), "4.16 4.16.3"),
        (Filters(versions=("4.1",)), "4.1"),
        (Filters(versions=("4",)), "4.1 4.16 4.16.3"),
        (Filters(versions=("4.16.",)), ""),
        (Filters(versions=("4._6",)), ""),
        (Filters(versions=("%",)), ""),
        (Filters(products=("VSPHERE",)), "4.1 4.16"),
        (Filters(products=("ÜBERWACHUNG", "x")), "4.16.3"),
        (Filters(products=("vSpher_",)), ""),
        (Filters(labels=("runbook",)), "4.1"),
        (Filters(labels=("Runbook",)), "4.16"),
        (Filters(labels=("run",)), ""),
        (Filters(labels=('b"',)), "4.16.3"),
        (Filters(labels=("b",)), ""),
        (Filters(labels=("grün",)), "4.16"),
        (Filters(sources=("wiki",)), "4.1"),
        (Filters(sources=("",)), "4.16 4.16.3"),
        (Filters(sources=("wiki", "")), "4.1 4.16 4.16.3"),
        (Filters(sources=("Wiki",)), ""),
        (Filters(versions=("4",), labels=("runbook", "grün")), "4.1 4.16"),
        (Filters(versions=("4.16",), labels=("runbook",)), ""),
        (Filters(), "4.1 4.16 4.16.3"),
    ],
)
def test_filters_by_hand(made: Knowledge, filters: Filters, found: str) -> None:
    store(
        made.catalog,
        page("4.1", source="wiki", product="vSphere", version="4.1", labels=("runbook", "b c")),
        page("4.16", product="vsphere", version="4.16", labels=("Runbook", "grün")),
        page("4.16.3", product="Überwachung", version="4.16.3", labels=('b"', 'a"b"c')),
    )
    for mode in ("hybrid", "lexical", "dense"):
        hits = search(made, filters=filters, mode=mode, collapse=False)
        assert " ".join(sorted(uris(hits))) == found
    assert count_documents(made.catalog, PUBLIC, filters) == len(found.split())


def test_dates_are_moments_whatever_their_zone(made: Knowledge) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    store(made.catalog, page("noon", modified=noon), page("undated", "Undated hosts need it."))
    east = noon.astimezone(timezone(timedelta(hours=9)))
    later = east + timedelta(seconds=1)
    for filters, seen in (
        (Filters(modified_after=noon), 1),
        (Filters(modified_after=east), 1),
        (Filters(modified_after=later), 0),
        (Filters(modified_before=east), 0),
        (Filters(modified_before=later), 1),
        (Filters(modified_after=east, modified_before=later), 1),
    ):
        assert len(search(made, filters=filters)) == seen


@pytest.mark.parametrize(
    ("given_", "utc"),
    [
        ("2026-03-01T12:00:00", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01T12:00:00+09:00", "2026-03-01T03:00:00+00:00"),
        ("2026-03-01", "2026-03-01T00:00:00+00:00"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00"),
    ],
)
def test_moments_of_the_api_are_utc(given_: str, utc: str) -> None:
    filters = FiltersIn.model_validate({"modified_after": given_}).filters()
    assert filters.modified_after is not None
    assert filters.modified_after.isoformat() == utc


@pytest.mark.parametrize("beyond", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00"])
def test_moments_before_all_time_are_refused(beyond: str) -> None:
    with pytest.raises(ValidationError, match="years 1 to 9999"):
        FiltersIn.model_validate({"modified_before": beyond})


# --- filters inside the vector index -------------------------------------------------------------


@FEW
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(1, 5),
    st.integers(1, 12),
    st.integers(1, 50),
)
def test_the_index_filters_exactly(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n: int, acls: int, docs: int, k: int
) -> None:
    """Against comparing with every vector, after adding, removing and moving some."""
    numbers, pick = np.random.default_rng(seed), random.Random(seed)
    index = FaissIndex(tmp_path_factory.getbasetemp() / "never-saved.npz", "x", 8)
    truth: dict[int, tuple[int, int, NDArray[np.float16]]] = {}
    for generation in (1, 2, 3):
        ids = np.array(sorted(pick.sample(range(1, 60), n)), dtype=np.int64)
        gone = [i for i in truth if pick.random() < 0.3 and i not in ids]
        vectors = numbers.normal(size=(n, 8))
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
        acl, document = numbers.integers(1, acls + 1, n), numbers.integers(1, docs + 1, n)
        index.apply(
            Changes(generation, "t", np.array(gone, dtype=np.int64), ids, acl, document, vectors)
        )
        truth = {i: row for i, row in truth.items() if i not in gone}
        rows = zip(acl.tolist(), document.tolist(), vectors, strict=True)
        truth |= dict(zip(ids.tolist(), rows, strict=True))
    query = numbers.normal(size=(1, 8)).astype(np.float32)
    allowed_acls = frozenset(pick.sample(range(1, acls + 2), pick.randint(0, acls)))
    chosen = np.array(pick.sample(range(docs + 3), pick.randint(0, docs)), dtype=np.int64)
    for document_ids in (None, chosen, np.zeros(0, np.int64)):
        passing = {
            i: float(vector.astype(np.float32) @ query[0])
            for i, (acl_, document_, vector) in truth.items()
            if acl_ in allowed_acls and (document_ids is None or document_ in document_ids)
        }
        found, scores = index.search(query, k, allowed_acls, document_ids)
        count = min(k, len(passing))
        assert (found[0, count:] == -1).all()
        assert set(found[0, :count].tolist()) <= passing.keys()
        best = sorted(passing.values(), reverse=True)[:count]
        np.testing.assert_allclose(scores[0, :count], best, atol=1e-5)


# --- identifiers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What does vgpu.hotmigrate.enabled do?", ["vgpu.hotmigrate.enabled"]),
        ("I set vgpu.hotmigrate.enabled.", ["vgpu.hotmigrate.enabled"]),
        ("vgpu.hotmigrate.enabled=true", ["vgpu.hotmigrate.enabled"]),
        ("error 0x80070005 (ERR-42)", ["0x80070005", "ERR-42"]),
        ("What became of bug #1234567?", ["1234567"]),
        ("See 98765.", ["98765"]),
        ("CVE-2026-12345, vmx-19", ["CVE-2026-12345", "vmx-19"]),
        ("in /var/log/vmkernel.log", ["var/log/vmkernel.log"]),
        ("E_ACCESSDENIED from a_b", ["E_ACCESSDENIED"]),
        ("A100-80GB A100-80GB", ["A100-80GB"]),
        ("the pass-through and/or client/server mode", []),
        ("in 4.16.3, v4.16, V8.0.x, 10.0.0.1 or 2026-03-01", []),
        ("8 GPUs of 80 GB at 1,000 W, e.g. i.e. 3.5.", []),
        ("", []),
    ],
)
def test_identifiers_of_a_question(question: str, expected: list[str]) -> None:
    assert identifiers(question) == expected


@pytest.mark.parametrize("piece", ["1-", "1/", "1:", "_-", "-", "a.", "a1-", "1.1", "a_", "٣"])
def test_identifiers_take_no_time(piece: str) -> None:
    started = time.process_time()
    identifiers(piece * 8000)
    assert time.process_time() - started < 0.5


@given(st.text(max_size=60) | st.text("aZ1._/:- ", max_size=60))
def test_identifiers_stand_in_the_text(text: str) -> None:
    for token in identifiers(text):
        assert token in text
        assert len(token) > 3


@pytest.mark.parametrize(
    ("question", "holding", "near"),
    [
        (
            "What is vgpu.hotmigrate.enabled for?",
            "Set VGPU.HotMigrate.enabled first.",
            ["Set vgpu hotmigrate enabled first.", "vgpu.hotmigrate.enabling is not it."],
        ),
        ("How do I mend ERR-42?", "It failed with ERR-42.", ["ERR 42 it is.", "An ERR.42 again."]),
        ("bug 1234567", "Mended: 1234567.", ["Mended: 1234568.", "bug bug bug bug"]),
        ("code 0x80070005", "The code was 0x80070005.", ["The code code was 0x80070006."]),
    ],
)
@pytest.mark.parametrize("mode", ["hybrid", "lexical"])
def test_what_holds_an_identifier_letter_for_letter_goes_first(
    made: Knowledge, question: str, holding: str, near: list[str], mode: str
) -> None:
    store(made.catalog, *(page(f"near{i}", text) for i, text in enumerate(near)))
    store(made.catalog, page("holding", f"{holding} {PAGE} {PAGE}"))
    plain = {h.uri: h for h in search(made, question, mode=mode, identifier_weight=0)}
    found = search(made, question, mode=mode, identifier_weight=1)
    assert found[0].uri == "holding"
    assert found[0].score == pytest.approx(plain["holding"].score + 1)
    for h in found[1:]:
        assert h.score == pytest.approx(plain[h.uri].score), "the others are left alone"


def test_an_identifier_in_a_heading_counts(made: Knowledge) -> None:
    new = new_document("heading", ["Set it to true."], title="vgpu.hotmigrate.enabled")
    store(made.catalog, new, page("other", "Set hotmigrate to true, to true."))
    question = "What is vgpu.hotmigrate.enabled?"
    scores = [search(made, question, identifier_weight=w)[0].score for w in (0, 0.5)]
    assert scores[1] == pytest.approx(scores[0] + 0.5)


def test_an_identifier_brings_in_what_neither_leg_proposed(made: Knowledge) -> None:
    question = "cluster host driver licence server frame buffer needs ERR-42"
    store(made.catalog, *(page(f"d{i}", f"{PAGE} {PAGE} w{i}") for i in range(30)))
    store(made.catalog, page("rare", "ERR-42 " + " ".join(f"filler{i}" for i in range(300))))
    store(made.catalog, page("secret", "ERR-42 " + PAGE, BOARD))
    found = search(made, question, candidates=10, k=30, collapse=False, identifier_weight=1)
    assert found[0].uri == "rare"
    assert "secret" not in uris(found)
    assert "secret" in uris(search(made, question, BOARD, candidates=10, k=30, collapse=False))
    narrowed = search(made, question, BOARD, filters=Filters(sources=("none",)))
    assert narrowed == []


# --- fusion --------------------------------------------------------------------------------------

scores = st.dictionaries(st.integers(1, 9), st.floats(0, 50), max_size=6)


@given(scores, scores, st.floats(0, 1))
def test_fusion_properties(
    lexical: dict[int, float], dense: dict[int, float], weight: float
) -> None:
    fused = fuse(lexical, dense, weight)
    assert fused.keys() == lexical.keys() | dense.keys()
    assert all(-1e-9 <= score <= 1 + 1e-9 for score in fused.values())
    for one in fused:
        for other in fused:
            if lexical.get(one, 0) >= lexical.get(other, 0) and dense.get(one, 0) >= dense.get(
                other, 0
            ):
                assert fused[one] >= fused[other] - 1e-12, "better in both is better in all"
    scaled = fuse({i: 3 * score for i, score in lexical.items()}, dense, weight)
    assert scaled == pytest.approx(fused), "the unit of a leg does not matter"


@given(st.lists(st.tuples(scores, st.floats(0.1, 5)), min_size=1, max_size=4))
def test_combining_properties(drawn: list[tuple[dict[int, float], float]]) -> None:
    tables, weights = [table for table, _ in drawn], [weight for _, weight in drawn]
    mean = combine(tables, weights)
    assert mean.keys() == set().union(*tables)
    for i, score in mean.items():
        values = [table.get(i, 0.0) for table in tables]
        assert min(values) - 1e-9 <= score <= max(values) + 1e-9
    doubled = combine(tables, [2 * weight for weight in weights])
    assert doubled == pytest.approx(mean), "only their proportion counts"


# --- the reranker --------------------------------------------------------------------------------

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def save_cross_encoder(folder: Path, *, labels: int = 1, head: bool = True) -> Path:
    """A BERT with one layer, random weights and a window of 64 tokens; each letter is a token."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = [*special, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    tokenizer: Any = getattr(transformers, "BertTokenizerFast")  # noqa: B009 - untyped there
    tokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "vocab_size": len(vocabulary),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 64,
        "num_labels": labels,
        "initializer_range": 1.0,
    }
    config = transformers.BertConfig(**sizes)
    kind = transformers.BertForSequenceClassification if head else transformers.BertModel
    kind(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_cross_encoder(tmp_path_factory.mktemp("reranker") / "tiny")


def settings_of(folder: Path, **values: Any) -> RerankerConfig:
    return RerankerConfig(provider="sentence_transformers", model=str(folder), **values)


def opened(folder: Path, **values: Any) -> Reranker:
    reranker = open_reranker(settings_of(folder, **values))
    assert reranker is not None
    return reranker


def test_the_order_follows_the_cross_encoder(cross_encoder: Path) -> None:
    reranker = opened(cross_encoder)
    texts = ["driver", "licence server", "zebra", "", "frame buffer of a guest", "x" * 5000, "日本"]
    hits = [hit(i, i, text) for i, text in enumerate(texts)]
    scores_ = reranker.score("Which driver?", texts)
    assert scores_.shape == (len(texts),)
    assert scores_.dtype == np.float32
    assert len(set(scores_.tolist())) > 3
    ordered = rerank(reranker, "Which driver?", hits)
    assert sorted(h.chunk_id for h in ordered) == [h.chunk_id for h in hits]
    assert [h.score for h in ordered] == sorted(scores_.tolist(), reverse=True)
    assert all(h.score == scores_[h.chunk_id] for h in ordered)
    one_by_one = [float(reranker.score("Which driver?", [text])[0]) for text in texts]
    np.testing.assert_allclose(one_by_one, scores_, atol=1e-5)
    assert reranker.score("x", []).shape == (0,)
    assert rerank(reranker, "x", []) == []


def test_a_search_is_ordered_by_it(made: Knowledge, cross_encoder: Path) -> None:
    texts = [f"{PAGE} {word}" for word in ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")]
    store(made.catalog, *(page(f"d{i}", text) for i, text in enumerate(texts)))
    store(made.catalog, page("secret", PAGE, BOARD))
    reranking = made.configured(
        made.config.model_copy(update={"reranker": settings_of(cross_encoder, candidates=2)})
    )
    plain = search(made, collapse=False)
    found = search(reranking, collapse=False, k=2)
    judged = opened(cross_encoder).score("What does each host of the cluster need?", texts)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    assert {h.uri for h in found} == set(uris(plain[:2])), "it reads as many as it may"
    assert all(h.score == pytest.approx(judged[int(h.uri[1:])], abs=1e-5) for h in found)
    assert len(search(reranking, collapse=False, k=6)) == 6, "as many as were asked for"


def test_none_is_configured_by_default() -> None:
    assert open_reranker(RerankerConfig()) is None


def damaged(folder: Path, tmp_path: Path, how: str) -> Path:
    copy = tmp_path / "damaged"
    shutil.copytree(folder, copy)
    weights = copy / "model.safetensors"
    config = json.loads((copy / "config.json").read_text())
    if how == "torn":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif how == "no weights":
        weights.unlink()
    elif how == "no tokenizer":
        for path in (*copy.glob("*token*"), copy / "vocab.txt"):
            path.unlink(missing_ok=True)
    elif how == "no JSON":
        (copy / "config.json").write_text("{")
    elif how == "a list":
        (copy / "config.json").write_text("[]")
    elif how == "unknown kind":
        (copy / "config.json").write_text(json.dumps({**config, "model_type": "nothing"}))
    elif how == "another size":
        (copy / "config.json").write_text(json.dumps({**config, "hidden_size": 32}))
    return copy


@pytest.mark.parametrize(
    "how",
    ["torn", "no weights", "no tokenizer", "no JSON", "a list", "unknown kind", "another size"],
)
def test_a_damaged_folder(cross_encoder: Path, tmp_path: Path, how: str) -> None:
    with pytest.raises(ModelError, match=r"reranker\.model.*reranker\.provider=none"):
        opened(damaged(cross_encoder, tmp_path, how))


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    """An embedder would load, too, and score by weights that nobody has trained."""
    told = r"reranker\.model.*reranker\.provider=none"
    for folder in (tmp_path, tmp_path / "missing", Path("pyproject.toml"), Path()):
        with pytest.raises(ModelError, match=f"no cross-encoder in .*{told}"):
            opened(folder)
    with pytest.raises(ModelError, match=f"holds BertModel, which cannot score.*{told}"):
        opened(save_cross_encoder(tmp_path / "embedder", head=False))
    with pytest.raises(ModelError, match=f"has 3 labels.*{told}"):
        opened(save_cross_encoder(tmp_path / "three", labels=3))


@pytest.mark.parametrize("device", ["nowhere", "cuda:77"])
def test_a_device_that_there_is_not(cross_encoder: Path, device: str) -> None:
    with pytest.raises(ModelError, match=rf"cannot be loaded on {device}.*reranker\.device"):
        opened(cross_encoder, device=device)


# --- what a killed process leaves behind ---------------------------------------------------------


@pytest.mark.parametrize("owner", ["99999999", "x", "9" * 40, ""])
def test_partial_files_of_the_dead_are_removed(tmp_path: Path, owner: str) -> None:
    partial = tmp_path / f"index.npz.{owner}.part"
    partial.write_bytes(b"half")
    FaissIndex.load(tmp_path / "index.npz", "x", 8, lambda generation: None)
    assert not partial.exists()


def test_partial_files_of_the_living_stay(tmp_path: Path) -> None:
    (tmp_path / "index.npz.1.part").write_bytes(b"half")
    (tmp_path / "index.npz.99999999.part").mkdir()  # cannot be removed: only in the way
    FaissIndex.load(tmp_path / "index.npz", "x", 8, lambda generation: None)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_empty_scope_is_no_scope(made: Knowledge) -> None:
    catalog: Catalog = made.catalog
    assert open_scope(catalog, PUBLIC).document_ids is None
    assert open_scope(catalog, PUBLIC, Filters()).document_ids is None
    narrowed = open_scope(catalog, PUBLIC, Filters(labels=("x",))).document_ids
    assert narrowed is not None
    assert narrowed.tolist() == []
