"""The contract of a vector index, and that losing its file never costs more than time.

A further backend joins the contract by a name in PROVIDERS.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.catalog import Catalog, Changes
from rag.config import IndexConfig, RagConfig
from rag.errors import EmbedderChanged, IndexUnavailable
from rag.index import VectorIndex, open_index, refresh
from rag.knowledge import open_knowledge
from rag.reembed import reembed
from tests.fakes import FakeEmbedder, fake_knowledge, new_document, store, take_in

PROVIDERS = ["faiss"]
D = 32
EMBEDDER = FakeEmbedder(D).fingerprint
DOCUMENTS = 7
Truth = dict[int, tuple[int, NDArray[np.float16]]]


@pytest.fixture(params=PROVIDERS)
def config(request: pytest.FixtureRequest, tmp_path: Path) -> RagConfig:
    return RagConfig(data_dir=tmp_path, index=IndexConfig(provider=request.param))


@pytest.fixture
def open_one(config: RagConfig) -> Callable[[], VectorIndex]:
    catalog = Catalog(config)
    catalog.close()
    return lambda: open_index(config, catalog, EMBEDDER, D)


def unit(pick: np.random.Generator, n: int) -> NDArray[np.float16]:
    vectors = pick.normal(size=(n, D))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def changes(
    generation: int,
    added: dict[int, tuple[int, NDArray[np.float16]]] | None = None,
    removed: list[int] | None = None,
) -> Changes:
    rows = added or {}
    vectors = [vector for _, vector in rows.values()]
    return Changes(
        generation,
        f"token {generation}",
        np.array(removed or [], dtype=np.int64),
        np.array(list(rows), dtype=np.int64),
        np.array([acl for acl, _ in rows.values()], dtype=np.int64),
        np.array(list(rows), dtype=np.int64) % DOCUMENTS,
        np.stack(vectors) if vectors else np.zeros((0, D), np.float16),
    )


def assert_exact(
    index: VectorIndex, truth: Truth, queries: NDArray[np.float32], k: int, acl_ids: frozenset[int]
) -> None:
    """The index finds what comparing with every allowed vector finds, best first."""
    assert len(index) == len(truth)
    allowed = [i for i, (acl, _) in truth.items() if acl in acl_ids]
    stored = np.array([truth[i][1] for i in allowed], dtype=np.float32).reshape(-1, D)
    ids, scores = index.search(queries, k, acl_ids)
    assert ids.shape == scores.shape == (len(queries), k)
    for found, given, query in zip(ids, scores, queries, strict=True):
        exact = dict(zip(allowed, (stored @ query).tolist(), strict=True))
        count = min(k, len(allowed))
        assert (found[count:] == -1).all()
        hits = found[:count].tolist()
        assert len(set(hits)) == count
        np.testing.assert_allclose(given[:count], [exact[i] for i in hits], atol=1e-5)
        best = sorted(exact.values(), reverse=True)[:count]
        np.testing.assert_allclose(given[:count], best, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_search_equals_comparing_with_every_vector(
    open_one: Callable[[], VectorIndex], seed: int
) -> None:
    pick, numbers = random.Random(seed), np.random.default_rng(seed)
    index, truth, next_id = open_one(), {}, 1
    for generation in range(1, 40):
        gone = pick.sample(sorted(truth), k=min(pick.randint(0, 3), len(truth)))
        moved = [i for i in pick.sample(sorted(truth), k=min(3, len(truth))) if i not in gone]
        next_id += pick.choice([0, 0, 1, 50])  # ids have holes
        fresh = list(range(next_id, next_id + pick.randint(0, 6)))
        next_id += len(fresh)
        never_seen = [next_id + 1000] if pick.random() < 0.3 else []
        vectors = unit(numbers, len(moved) + len(fresh))
        added = {i: (pick.randint(1, 6), v) for i, v in zip(moved + fresh, vectors, strict=True)}
        index.apply(changes(generation, added, gone + never_seen))
        truth = {i: row for i, row in truth.items() if i not in gone} | added
        assert index.generation == generation
        if generation % 3 == 0:
            queries = unit(numbers, 3).astype(np.float32)
            for k in (1, 4, 200):
                acl_ids = frozenset(pick.sample(range(1, 8), k=pick.randint(0, 7)))
                assert_exact(index, truth, queries, k, acl_ids)
    assert len(truth) > 20


def test_access_lists_with_many_groups(open_one: Callable[[], VectorIndex]) -> None:
    numbers = np.random.default_rng(7)
    acls = numbers.integers(1, 400, size=3000)
    vectors = unit(numbers, 3000)
    truth = {i + 1: (int(acl), vectors[i]) for i, acl in enumerate(acls)}
    index = open_one()
    index.apply(changes(1, truth))
    queries = unit(numbers, 2).astype(np.float32)
    for size in (1, 2, 30, 399):
        allowed = frozenset(int(i) for i in numbers.choice(np.arange(1, 400), size, replace=False))
        assert_exact(index, truth, queries, 50, allowed)
    assert_exact(index, truth, queries, 5, frozenset({400, 10**6}))
    assert_exact(index, truth, queries, 5, frozenset())


def test_a_change_of_readers_takes_effect(open_one: Callable[[], VectorIndex]) -> None:
    vector = unit(np.random.default_rng(1), 1)
    query = vector.astype(np.float32)
    index = open_one()
    index.apply(changes(1, {5: (1, vector[0])}))
    assert index.search(query, 1, frozenset({1}))[0].tolist() == [[5]]
    index.apply(changes(2, {5: (2, vector[0])}))
    assert index.search(query, 1, frozenset({1}))[0].tolist() == [[-1]]
    assert index.search(query, 1, frozenset({2}))[0].tolist() == [[5]]
    index.apply(changes(3, {}, [5]))
    assert index.search(query, 1, frozenset({1, 2}))[0].tolist() == [[-1]]
    assert len(index) == 0


def test_an_old_change_comes_too_late(open_one: Callable[[], VectorIndex]) -> None:
    vectors = unit(np.random.default_rng(1), 2)
    index = open_one()
    index.apply(changes(3, {1: (1, vectors[0])}))
    index.apply(changes(3, {2: (1, vectors[1])}))
    index.apply(changes(2, {}, [1]))
    assert (len(index), index.generation) == (1, 3)


def test_deleted_passages_are_gone_before_their_vectors_are(
    open_one: Callable[[], VectorIndex],
) -> None:
    index = open_one()
    vectors = unit(np.random.default_rng(4), 100)
    index.apply(changes(1, {i + 1: (1, vectors[i]) for i in range(100)}))
    left = set(range(1, 101))
    for generation, gone in enumerate(([7, 8, 9], [9, 7, 555], list(range(20, 90))), start=2):
        index.apply(changes(generation, removed=gone))
        left -= set(gone)
        assert len(index) == len(left)
        ids, _ = index.search(vectors[:3].astype(np.float32), 100, frozenset({1}))
        assert all(set(row.tolist()) - {-1} == left for row in ids)
    index.apply(changes(9, {120: (1, vectors[6])}, removed=[1]))
    ids, _ = index.search(vectors[6:7].astype(np.float32), 1, frozenset({1}))
    assert ids.tolist() == [[120]]
    left = left - {1} | {120}
    index.save()
    assert len(index) == len(left)
    ids, _ = index.search(vectors[:1].astype(np.float32), 100, frozenset({1}))
    assert set(ids[0].tolist()) - {-1} == left


def test_an_empty_index(open_one: Callable[[], VectorIndex]) -> None:
    index = open_one()
    ids, scores = index.search(np.zeros((3, D), np.float32), 4, frozenset({1}))
    assert ids.tolist() == [[-1] * 4] * 3
    assert scores.shape == (3, 4)
    assert (len(index), index.generation) == (0, 0)


def test_searches_while_another_thread_applies(open_one: Callable[[], VectorIndex]) -> None:
    vectors = unit(np.random.default_rng(3), 400)
    index = open_one()
    failed: list[object] = []
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            ids, _ = index.search(vectors[:2].astype(np.float32), 10, frozenset({1}))
            hits = [i for i in ids[0].tolist() if i >= 0]
            if any(i % 2 for i in hits):  # odd ids have another list
                failed.append(hits)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(400):
        removed = [i - 10] if i > 10 else []
        index.apply(changes(i + 1, {i + 1: (1 + (i + 1) % 2, vectors[i])}, removed))
    done.set()
    for thread in threads:
        thread.join()
    assert failed == []


# --- kept in a file, derived from the catalog ---------------------------------------------------


def brute(catalog: Catalog) -> Truth:
    all_ = catalog.changes_since(0, EMBEDDER, D)
    rows = zip(all_.added.tolist(), all_.acl_ids.tolist(), all_.vectors, strict=True)
    return {i: (acl, vector) for i, acl, vector in rows}


def assert_mirrors(index: VectorIndex, catalog: Catalog, seed: int = 0) -> None:
    truth = brute(catalog)
    queries = unit(np.random.default_rng(seed), 3).astype(np.float32)
    assert index.generation == catalog.generation()
    everything = frozenset(acl for acl, _ in truth.values())
    assert_exact(index, truth, queries, len(truth) + 1, everything)
    for acl in everything:
        assert_exact(index, truth, queries, 5, frozenset({acl}))


def fill(catalog: Catalog, start: int = 0, count: int = 30) -> None:
    groups = [frozenset({"everyone"}), frozenset({"a"}), frozenset({"a", "b"})]
    for i in range(start, start + count):
        texts = [f"text {i} word{i % 7}", f"more {i % 3}"]
        store(catalog, new_document(f"d{i}", texts, groups[i % 3]))


def test_saved_and_loaded_it_is_the_same(config: RagConfig) -> None:
    catalog = Catalog(config)
    fill(catalog)
    first = open_index(config, catalog, EMBEDDER, D)
    assert_mirrors(first, catalog)
    first.save()
    second = open_index(config, catalog, EMBEDDER, D)
    assert_mirrors(second, catalog)
    catalog.delete([3, 4, 5])
    fill(catalog, 50, 3)
    assert refresh(second, catalog, EMBEDDER, D)
    assert not refresh(second, catalog, EMBEDDER, D)
    assert_mirrors(second, catalog)
    third = open_index(config, catalog, EMBEDDER, D)  # the file is three generations behind
    assert_mirrors(third, catalog)
    catalog.close()


def test_two_indexes_on_one_catalog_converge(config: RagConfig) -> None:
    pick = random.Random(4)
    catalog, other = Catalog(config), Catalog(config)
    fill(catalog, 0, 10)
    one, two = (open_index(config, c, EMBEDDER, D) for c in (catalog, other))
    for step in range(30):
        writer = pick.choice([catalog, other])
        if pick.random() < 0.5:
            fill(writer, pick.randrange(15), 1)
        elif uris := sorted(writer.uris().values()):
            chosen = pick.choice(uris)
            if pick.random() < 0.5:
                writer.delete([chosen])
            else:
                writer.set_groups(chosen, frozenset({pick.choice("abc")}))
        if pick.random() < 0.3:
            refresh(pick.choice([one, two]), writer, EMBEDDER, D)
        if step % 10 == 9:
            refresh(one, catalog, EMBEDDER, D)
            refresh(two, other, EMBEDDER, D)
            assert_mirrors(one, catalog, step)
            assert_mirrors(two, other, step)
            pick.choice([one, two]).save()
    catalog.close()
    other.close()


@pytest.fixture
def saved(tmp_path: Path) -> tuple[RagConfig, bytes]:
    """A knowledge base with a saved FAISS file, closed; and that file's bytes."""
    knowledge = fake_knowledge(tmp_path)
    fill(knowledge.catalog)
    knowledge.refresh()
    knowledge.index.save()
    knowledge.close()
    return knowledge.config, (tmp_path / "index.npz").read_bytes()


def assert_recovers(config: RagConfig) -> None:
    """Opened, it is right, and no text was embedded for it."""
    embedder = FakeEmbedder()
    knowledge = open_knowledge(config, embedder)
    assert embedder.texts == 0
    assert_mirrors(knowledge.index, knowledge.catalog)
    knowledge.close()


def test_a_missing_file_is_made_from_the_catalog(saved: tuple[RagConfig, bytes]) -> None:
    config, _ = saved
    (config.data_dir / "index.npz").unlink()
    assert_recovers(config)


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.9999])
def test_a_truncated_file(saved: tuple[RagConfig, bytes], share: float) -> None:
    config, data = saved
    (config.data_dir / "index.npz").write_bytes(data[: int(len(data) * share)])
    assert_recovers(config)


def test_a_file_with_one_bit_flipped_anywhere(saved: tuple[RagConfig, bytes]) -> None:
    """Array headers and the archive's own tables too, where most readers check no sum."""
    config, data = saved
    pick = random.Random(0)
    catalog = Catalog(config)
    members = [data.index(mark) for mark in (b"faiss.npy", b"acl_by_id.npy", b"generation.npy")]
    heads = [at + i for at in members for i in range(-40, 150)]
    tables = list(range(data.index(b"PK\x01\x02"), len(data)))
    spots = [*pick.sample(heads, 60), *pick.sample(tables, 60), *pick.sample(range(len(data)), 20)]
    truth = brute(catalog)
    queries = unit(np.random.default_rng(0), 2).astype(np.float32)
    for spot in spots:
        flipped = bytearray(data)
        flipped[spot] ^= 1 << pick.randrange(8)
        (config.data_dir / "index.npz").write_bytes(flipped)
        index = open_index(config, catalog, EMBEDDER, D)
        assert index.generation == catalog.generation()
        assert_exact(index, truth, queries, 70, frozenset({1, 2, 3}))
    catalog.close()


def test_a_header_that_asks_for_less_than_there_is(saved: tuple[RagConfig, bytes]) -> None:
    """The sum stands behind the last byte, and such a reader never gets there."""
    config, _ = saved
    path = config.data_dir / "index.npz"
    arrays = dict(np.load(path))
    arrays["acl_by_id"] = np.concatenate([arrays["acl_by_id"], np.zeros(9000, np.int32)])
    np.savez(path, **arrays)
    assert_recovers(config)
    shape = b"(%d,)" % len(arrays["acl_by_id"])
    data = path.read_bytes()
    assert data.count(shape) == 1
    path.write_bytes(data.replace(shape, b"(50%s,)" % (b" " * (len(shape) - 5))))
    assert_recovers(config)


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"PK\x03\x04" * 50, b"\x93NUMPY", b"\x80\x04.", b"x" * 10_000]
)
def test_a_file_of_something_else(saved: tuple[RagConfig, bytes], data: bytes) -> None:
    config, _ = saved
    (config.data_dir / "index.npz").write_bytes(data)
    assert_recovers(config)


def test_an_archive_of_something_else(saved: tuple[RagConfig, bytes]) -> None:
    config, _ = saved
    path = config.data_dir / "index.npz"
    arrays = dict(np.load(path))
    for change in (
        {"faiss": arrays["faiss"][:100]},
        {"faiss": np.zeros(50, np.uint8)},
        {"generation": np.array([1, 2])},
        {"identity": np.array("other/fake")},
        {"generation": np.int64(10**9)},
    ):
        np.savez(path, **{**arrays, **change})
        assert_recovers(config)
    np.savez(path, something=np.zeros(3))
    assert_recovers(config)


def test_a_file_of_another_catalog(saved: tuple[RagConfig, bytes], tmp_path: Path) -> None:
    _, data = saved
    other = fake_knowledge(tmp_path / "other")
    fill(other.catalog, 100, 5)
    other.close()
    (tmp_path / "other" / "index.npz").write_bytes(data)
    assert_recovers(other.config)


def test_a_file_newer_than_the_catalog(saved: tuple[RagConfig, bytes], tmp_path: Path) -> None:
    """As after the catalog was restored from a backup."""
    config, _ = saved
    backup = (config.data_dir / "vsage.db").read_bytes()
    knowledge = open_knowledge(config, FakeEmbedder())
    fill(knowledge.catalog, 100, 3)
    knowledge.refresh()
    knowledge.index.save()
    knowledge.close()
    for leftover in config.data_dir.glob("vsage.db*"):
        leftover.unlink()
    (config.data_dir / "vsage.db").write_bytes(backup)
    assert_recovers(config)


def test_a_file_of_a_later_life_of_the_catalog(
    saved: tuple[RagConfig, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """Restored from a backup it counts the same generations a second time, for other changes."""
    config, _ = saved
    backup = (config.data_dir / "vsage.db").read_bytes()
    first = open_knowledge(config, FakeEmbedder())
    fill(first.catalog, 100, 3)
    first.refresh()
    first.index.save()
    generation = first.catalog.generation()
    first.close()
    for leftover in config.data_dir.glob("vsage.db*"):
        leftover.unlink()
    (config.data_dir / "vsage.db").write_bytes(backup)
    catalog = Catalog(config)
    fill(catalog, 200, 3)
    assert catalog.generation() == generation
    catalog.close()
    assert_recovers(config)
    again = open_knowledge(config, FakeEmbedder())
    again.index.save()
    again.close()
    assert "belongs to another catalog or embedder: built anew" in caplog.text
    caplog.clear()
    assert_recovers(config)
    assert "built anew" not in caplog.text, "once is enough"


def test_another_embedder_needs_a_reembed(saved: tuple[RagConfig, bytes]) -> None:
    config, _ = saved
    other = FakeEmbedder(16)
    with pytest.raises(EmbedderChanged, match=r"embedded with fake/32.*names fake/16.*reindex"):
        open_knowledge(config, other)
    catalog = Catalog(config)
    reached: list[int] = []
    assert reembed(catalog, other, reached.append)
    assert catalog.count_chunks() == other.texts == 60
    assert reached == [60]
    catalog.close()
    knowledge = open_knowledge(config, other)
    assert len(knowledge.index) == 60
    assert other.texts == 60
    with pytest.raises(EmbedderChanged, match="reindex"):
        open_knowledge(config, FakeEmbedder())
    knowledge.close()


def test_an_emptied_catalog_can_change_its_embedder(tmp_path: Path) -> None:
    knowledge = fake_knowledge(tmp_path)
    take_in(knowledge, {"a.md": "text"})
    knowledge.catalog.delete(list(knowledge.catalog.uris().values()))
    other = FakeEmbedder(16)
    assert reembed(knowledge.catalog, other)
    knowledge.close()
    knowledge = open_knowledge(knowledge.config, other)
    take_in(knowledge, {"b.md": "text"})
    assert len(knowledge.index) == 1
    knowledge.close()


def test_a_reindex_shows_in_an_index_that_is_open(tmp_path: Path) -> None:
    knowledge = fake_knowledge(tmp_path)
    take_in(knowledge, {"a.md": "text"})
    catalog = Catalog(knowledge.config)
    reembed(catalog, FakeEmbedder(D, "other/32"))
    with pytest.raises(EmbedderChanged, match="reindex"):
        knowledge.refresh()
    catalog.close()
    knowledge.close()


def test_saving_on_a_full_disk_says_that_nothing_is_lost(tmp_path: Path) -> None:
    knowledge = fake_knowledge(tmp_path)
    fill(knowledge.catalog)
    knowledge.refresh()
    partial = tmp_path / f"index.npz.{os.getpid()}.part"
    partial.symlink_to("/dev/full")  # every write there: no space left on device
    with pytest.raises(IndexUnavailable, match=r"No space left.*nothing is lost.*built again"):
        knowledge.index.save()
    assert not partial.is_symlink()
    assert not (tmp_path / "index.npz").exists()
    knowledge.index.save()
    assert (tmp_path / "index.npz").is_file()
    assert sorted(path.name for path in tmp_path.glob("index*")) == ["index.npz"]
    knowledge.close()
    assert_recovers(knowledge.config)


def test_an_unknown_provider() -> None:
    with pytest.raises(ValueError, match="faiss"):
        IndexConfig(provider="chroma")  # type: ignore[arg-type]
