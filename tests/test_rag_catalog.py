"""The catalog: what is committed is whole, exact in full text, and told on in `changes_since`."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from rag.catalog import Catalog, Changes
from rag.config import RagConfig
from rag.errors import CatalogError
from rag.fulltext import search_words
from rag.schema import EVERYONE
from rag.scope import open_scope
from rag.tables import chunks, metadata, removed_chunks
from tests.fakes import PUBLIC, FakeEmbedder, assert_whole, new_document, store, stored_ids

DIMENSION = FakeEmbedder().dimension
EMBEDDER = FakeEmbedder().fingerprint
STAFF, HR = frozenset({"staff"}), frozenset({"hr"})


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog(RagConfig(data_dir=tmp_path))
    yield opened
    opened.close()


def found(catalog: Catalog, words: str) -> list[str]:
    """Texts that the full-text index finds, whoever may read them."""
    with catalog.engine.connect() as connection:
        query = "SELECT rowid FROM chunk_words WHERE chunk_words MATCH ? ORDER BY rowid"
        ids = [row[0] for row in connection.exec_driver_sql(query, (words,))]
    return [hit.text for hit in catalog.passages(ids).values()]


def chunk_ids(catalog: Catalog) -> list[int]:
    return stored_ids(catalog)


def test_a_new_catalog_is_empty(catalog: Catalog) -> None:
    assert catalog.generation() == 0
    assert catalog.embedder() is None
    assert (catalog.count(), catalog.count_chunks(), catalog.uris()) == (0, 0, {})
    assert catalog.list_documents() == []
    assert catalog.find_document("1") is None
    assert catalog.known(["x"]) == {}
    assert catalog.groups() == frozenset()
    assert len(catalog.changes_since(0, EMBEDDER, DIMENSION).added) == 0
    assert len(catalog.id) == 32


def test_it_is_the_same_catalog_after_opening_it_again(tmp_path: Path) -> None:
    first = Catalog(RagConfig(data_dir=tmp_path))
    store(first, new_document("a", ["text"]))
    first.close()
    second = Catalog(RagConfig(data_dir=tmp_path))
    assert (second.id, second.generation(), second.count()) == (first.id, 1, 1)
    second.close()


def test_replacing_a_document_removes_all_of_its_former_self(catalog: Catalog) -> None:
    store(catalog, new_document("a", ["old alpha", "old beta"]), new_document("b", ["other"]))
    before = chunk_ids(catalog)
    store(catalog, new_document("a", ["new gamma"], title="New"))
    assert catalog.count() == 2
    assert found(catalog, "old") == []
    assert found(catalog, "alpha") == []
    assert found(catalog, "gamma") == ["new gamma"]
    assert found(catalog, "heading:new") == ["new gamma"]
    assert set(before) & set(chunk_ids(catalog)) == {before[2]}
    assert catalog.passages(before[:2]) == {}
    assert_whole(catalog)


def test_ids_are_never_used_twice(catalog: Catalog) -> None:
    seen_chunks: set[int] = set()
    seen_documents: set[int] = set()
    for round_ in range(5):
        store(catalog, new_document("a", [f"text {round_}", "more"]))
        ids = {*chunk_ids(catalog)}
        document = catalog.uris()["a"]
        assert not ids & seen_chunks
        assert document not in seen_documents
        seen_chunks |= ids
        seen_documents.add(document)
        if round_ % 2:
            assert catalog.delete([document]) == 1
    assert len(seen_chunks) == 10


def test_each_write_is_one_generation(catalog: Catalog) -> None:
    store(catalog, *(new_document(name, [name]) for name in "abc"))
    assert catalog.generation() == 1
    catalog.set_groups(catalog.uris()["a"], HR)
    assert catalog.generation() == 2
    catalog.delete(list(catalog.uris().values()))
    assert catalog.generation() == 3
    assert catalog.delete([]) == 0
    assert catalog.generation() == 3
    assert catalog.delete([12345]) == 0


def test_a_write_that_fails_leaves_nothing(catalog: Catalog) -> None:
    store(catalog, new_document("a", ["kept"]))
    few = np.zeros((1, DIMENSION), dtype=np.float32)
    with pytest.raises(StopIteration):
        catalog.store([new_document("a", ["x", "y"])], few, catalog.embedder() or "")
    assert catalog.generation() == 1
    assert found(catalog, "kept") == ["kept"]
    assert_whole(catalog)


def replay(changes: Changes, state: dict[int, tuple[int, bytes]]) -> None:
    """Apply changes as an index does: remove, then add."""
    for chunk_id in changes.removed.tolist():
        state.pop(chunk_id, None)
    rows = zip(changes.added.tolist(), changes.acl_ids.tolist(), changes.vectors, strict=True)
    for chunk_id, acl_id, vector in rows:
        state[chunk_id] = (acl_id, vector.tobytes())


@pytest.mark.parametrize("seed", range(6))
def test_changes_since_add_up_to_a_full_rebuild(catalog: Catalog, seed: int) -> None:
    pick = random.Random(seed)
    follower: dict[int, tuple[int, bytes]] = {}
    at = 0
    for step in range(60):
        uris = catalog.uris()
        action = pick.choice(["store", "store", "store", "delete", "regroup", "both"])
        if action in ("delete", "both") and uris:
            catalog.delete(pick.sample(sorted(uris.values()), k=pick.randint(1, min(3, len(uris)))))
        if action in ("store", "both"):
            uris_ = [f"d{pick.randrange(12)}" for _ in range(pick.randint(1, 3))]  # also twice
            new = [
                new_document(uri, [f"{uri} {step} {i}" for i in range(pick.randint(0, 4))])
                for uri in uris_
            ]
            store(catalog, *new)
        if action == "regroup" and uris:
            groups = frozenset(pick.sample(["a", "b", "c"], k=pick.randint(1, 3)))
            catalog.set_groups(pick.choice(sorted(uris.values())), groups)
        if pick.random() < 0.4:
            changes = catalog.changes_since(at, EMBEDDER, DIMENSION)
            replay(changes, follower)
            at = changes.generation
            rebuilt: dict[int, tuple[int, bytes]] = {}
            replay(catalog.changes_since(0, EMBEDDER, DIMENSION), rebuilt)
            assert follower == rebuilt
            assert sorted(rebuilt) == chunk_ids(catalog)
    assert at > 5
    assert_whole(catalog)
    nothing = catalog.changes_since(catalog.generation(), EMBEDDER, DIMENSION)
    assert len(nothing.removed) == len(nothing.added) == 0


def test_the_check_of_the_full_text_index_does_notice(catalog: Catalog) -> None:
    """`assert_whole` must be able to fail, or every test that ends with it says nothing."""
    store(catalog, new_document("a", ["alpha", "beta"]))
    with catalog.engine.connect().execution_options(write=True) as connection, connection.begin():
        connection.exec_driver_sql("DROP TRIGGER chunks_gone")
        connection.execute(chunks.delete().where(chunks.c.text == "alpha"))
    with pytest.raises((AssertionError, sa.exc.DatabaseError)):
        assert_whole(catalog)
    with catalog.engine.connect().execution_options(write=True) as connection, connection.begin():
        connection.exec_driver_sql("UPDATE documents SET chunk_count = 1")
    with pytest.raises(sa.exc.DatabaseError, match="malformed"):
        assert_whole(catalog)


def test_full_text_is_exact_after_many_deletes(catalog: Catalog) -> None:
    for i in range(40):
        store(catalog, new_document(f"d{i}", [f"shared word{i}", f"shared other{i % 5}"]))
    uris = catalog.uris()
    catalog.delete(uris[f"d{i}"] for i in range(40) if i % 3)
    left = [f"shared word{i}" for i in range(40) if not i % 3]
    assert [text for text in found(catalog, "shared") if "word" in text] == left
    assert all(bool(found(catalog, f"word{i}")) == (i % 3 == 0) for i in range(40))
    scores = search_words(catalog, "shared", 100, open_scope(catalog, PUBLIC), 1.0)
    assert sorted(scores) == chunk_ids(catalog)
    assert_whole(catalog)


def test_groups_decide_who_sees_what(catalog: Catalog) -> None:
    store(
        catalog,
        new_document("open", ["x"]),
        new_document("hr", ["x"], HR),
        new_document("both", ["x"], HR | STAFF),
        new_document("nobody", ["x"], frozenset()),
    )

    def names(groups: frozenset[str] | None) -> set[str]:
        listed = {document.uri for document in catalog.list_documents(groups)}
        assert catalog.count(groups) == len(listed)
        for uri, document_id in catalog.uris().items():
            for key in (uri, str(document_id)):
                assert (catalog.find_document(key, groups) is not None) == (uri in listed)
        return listed

    assert names(None) == {"open", "hr", "both", "nobody"}
    assert names(frozenset()) == names(frozenset({EVERYONE})) == {"open"}
    assert names(STAFF) == {"open", "both"}
    assert names(HR) == names(HR | STAFF) == {"open", "hr", "both"}
    assert names(frozenset({"h", "HR", '"hr"', "hr\\", "%"})) == {"open"}
    assert catalog.groups() == {EVERYONE, "hr", "staff"}
    catalog.set_groups(catalog.uris()["open"], HR)
    assert names(STAFF) == {"both"}
    catalog.delete([catalog.uris()["both"]])
    assert catalog.groups() == {"hr"}, "no document is readable by staff any more"


def test_listing_is_by_title_and_can_be_paged(catalog: Catalog) -> None:
    titles = ["beta", "Alpha", "gamma", "Delta", "alpha"]
    new = [new_document(f"u{i}", ["x"], title=title) for i, title in enumerate(titles)]
    store(catalog, *new)
    listed = [document.title for document in catalog.list_documents()]
    assert listed == ["Alpha", "alpha", "beta", "Delta", "gamma"]
    pages = [catalog.list_documents(limit=2, offset=i) for i in (0, 2, 4, 6)]
    assert [d.title for page in pages for d in page] == listed
    assert [d.title for d in catalog.list_documents(offset=3)] == listed[3:]


def test_a_document_is_found_by_id_name_and_uri(catalog: Catalog) -> None:
    store(catalog, new_document("a.md", ["x", "y"], title="A"))
    document = catalog.find_document("a.md")
    assert document is not None
    assert (document.title, document.chunks, document.groups) == ("A", 2, PUBLIC)
    assert document.ingested.tzinfo is not None
    assert catalog.find_document(str(document.id)) == document
    for key in ("", "b.md", "A.MD", "%", "0", "-1", "²", "٣", "9" * 18, "9" * 40, "a\0b", "1 or 1"):
        assert catalog.find_document(key) is None
    assert catalog.text(document.id) == "x\ny"
    with pytest.raises(CatalogError, match="no longer there"):
        catalog.text(document.id + 1)


def test_many_names_and_passages_at_once(catalog: Catalog) -> None:
    uris = [f"u{i}" for i in range(1201)]
    store(catalog, *(new_document(uri, [uri]) for uri in uris))
    assert catalog.names([*uris, "gone"]) == {uri: uri for uri in uris}
    assert len(catalog.names(uris * 30)) == 1201, "more than SQLite binds in one statement"
    ids = chunk_ids(catalog)[:1000]
    assert len(ids) == 1000
    assert list(catalog.passages(ids)) == ids
    assert list(catalog.vectors(ids)) == ids
    assert catalog.delete(catalog.uris().values()) == 1201
    assert_whole(catalog)


def test_stored_embeddings_come_back(catalog: Catalog) -> None:
    store(catalog, new_document("a", ["alpha beta", "gamma"]))
    ids = chunk_ids(catalog)
    vectors = FakeEmbedder().encode(["alpha beta", "gamma"])
    back = np.stack([catalog.vectors(ids)[i] for i in ids])
    assert back.dtype == np.float16
    np.testing.assert_allclose(back.astype(np.float32), vectors, atol=1e-3)


def test_another_embedder_is_refused_by_name(catalog: Catalog) -> None:
    store(catalog, new_document("a", ["x"]))
    other = FakeEmbedder(fingerprint="other/32")
    with pytest.raises(CatalogError) as caught:
        store(catalog, new_document("b", ["y"]), embedder=other)
    assert f"was embedded with fake/{DIMENSION}, the configuration names other/32" in str(
        caught.value
    )
    assert "python -m rag reindex" in str(caught.value)
    assert catalog.uris().keys() == {"a"}
    assert catalog.generation() == 1


def test_the_migrations_make_what_the_tables_say(catalog: Catalog) -> None:
    def compared(obj: object, name: str | None, kind: str, *_: object) -> bool:
        return not (
            kind == "table" and str(name).startswith(("chunk_words", "chunk_terms", "alembic"))
        )

    with catalog.engine.connect() as connection:
        options = {"include_object": compared, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        made = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
        sql = dict(connection.exec_driver_sql(made).all())
    for table in metadata.tables.values():
        wanted = "AUTOINCREMENT" in str(sa.schema.CreateTable(table).compile(catalog.engine))
        assert ("AUTOINCREMENT" in sql[table.name]) == wanted
        assert wanted == (table.name in {"documents", "chunks"})


def test_deleting_a_document_row_takes_its_chunks(catalog: Catalog) -> None:
    """Foreign keys are on in every connection of the pool."""
    store(catalog, new_document("a", ["x"]))
    connections = [catalog.engine.connect() for _ in range(4)]
    for connection in connections:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        connection.close()


@pytest.mark.parametrize("name", ["with space", "a?b=c", "a%20b", "a#b", "ü", "x" * 100])
def test_a_data_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    catalog = Catalog(RagConfig(data_dir=tmp_path / name / "deep"))
    catalog.close()
    assert (tmp_path / name / "deep" / "vsage.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError) as caught:
        Catalog(RagConfig(data_dir=tmp_path / "file" / "data"))
    assert str(tmp_path / "file" / "data") in str(caught.value)
    assert "data_dir=FOLDER" in str(caught.value)
    with pytest.raises(CatalogError, match="cannot be opened"):
        Catalog(RagConfig(data_dir=tmp_path, database_url=f"sqlite:///{tmp_path}/no/x.db"))


OPEN_AS_NOBODY = """
import os, sys
from pathlib import Path
from rag.catalog import Catalog
from rag.config import RagConfig
from rag.errors import CatalogError
folder = Path(sys.argv[1])
Catalog(RagConfig(data_dir=Path(sys.argv[2])))  # imports all while they can be read
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    Catalog(RagConfig(data_dir=folder))
except CatalogError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("existing", [False, True])
def test_a_read_only_folder_is_named(existing: bool, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if existing:
            Catalog(RagConfig(data_dir=folder)).close()
        folder.chmod(0o555)
        command = [sys.executable, "-c", OPEN_AS_NOBODY, name, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert f"the catalog below {name} cannot be opened" in done.stdout
        assert "check that the folder is writable" in done.stdout


@pytest.mark.parametrize(
    "url", ["postgresql://db/x", "sqlite:nonsense", "sqlite+other:///x", "mysql://", "x"]
)
def test_an_unusable_url_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(CatalogError, match="database_url"):
        Catalog(RagConfig(data_dir=tmp_path, database_url=url))


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "vsage.db").write_bytes(b"not a database at all, but long enough" * 100)
    with pytest.raises(CatalogError, match="not a database"):
        Catalog(RagConfig(data_dir=tmp_path))


def test_a_damaged_database_is_told_not_thrown(tmp_path: Path) -> None:
    catalog = Catalog(RagConfig(data_dir=tmp_path))
    store(catalog, *(new_document(f"d{i}", ["word " * 300]) for i in range(50)))
    catalog.close()
    for leftover in ("vsage.db-wal", "vsage.db-shm"):
        (tmp_path / leftover).unlink(missing_ok=True)
    path = tmp_path / "vsage.db"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 4)
        file.write(b"\xff" * (size // 2))
    with pytest.raises(CatalogError, match=r"cannot be (opened|read): .*(malformed|corrupt)"):
        Catalog(RagConfig(data_dir=tmp_path)).changes_since(0, EMBEDDER, DIMENSION)


def test_a_catalog_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    Catalog(RagConfig(data_dir=tmp_path)).close()
    raw = sqlite3.connect(tmp_path / "vsage.db")
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.commit()
    raw.close()
    with pytest.raises(CatalogError, match="newer vSage"):
        Catalog(RagConfig(data_dir=tmp_path))


def test_a_writer_waits_its_time_and_then_says_why(tmp_path: Path, catalog: Catalog) -> None:
    store(catalog, new_document("a", ["x"]))
    catalog.engine.dispose()
    sa.event.listen(catalog.engine, "connect", lambda c, _: c.execute("PRAGMA busy_timeout = 100"))
    other = sqlite3.connect(tmp_path / "vsage.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CatalogError, match=r"database is locked.*nothing committed is lost"):
        catalog.delete([1])
    assert catalog.count() == 1, "readers are not held up"
    second = Catalog(RagConfig(data_dir=tmp_path))
    assert second.count() == 1, "nor is opening it"
    second.close()
    other.execute("COMMIT")
    other.close()
    assert catalog.delete([1]) == 1


def test_two_writers_take_turns(tmp_path: Path, catalog: Catalog) -> None:
    other = Catalog(RagConfig(data_dir=tmp_path))
    failed: list[Exception] = []

    def write(writer: Catalog, name: str) -> None:
        try:
            for i in range(30):
                store(writer, new_document(f"{name}{i % 10}", [f"{name} {i}"]))
        except Exception as error:
            failed.append(error)

    threads = [
        threading.Thread(target=write, args=(writer, name))
        for writer, name in ((catalog, "a"), (other, "b"), (catalog, "c"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert failed == []
    assert catalog.generation() == 90
    assert catalog.count() == catalog.count_chunks() == 30
    assert_whole(catalog)


OPEN_AT = """
import sys, time
from pathlib import Path
from rag.catalog import Catalog
from rag.config import RagConfig
time.sleep(max(0, float(sys.argv[2]) - time.time()))
print(Catalog(RagConfig(data_dir=Path(sys.argv[1]))).id)
"""


def test_a_new_catalog_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    at = str(time.time() + 4)  # by then all have imported what they need
    command = [sys.executable, "-c", OPEN_AT, str(tmp_path / "new"), at]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0] * 3, outputs
    assert len({out for out, _ in outputs}) == 1


def test_more_readers_than_connections(catalog: Catalog) -> None:
    store(catalog, *(new_document(f"d{i}", ["x"], HR) for i in range(5)))
    ready = threading.Barrier(40)
    counts: list[int] = []

    def read() -> None:
        ready.wait()
        counts.extend(len(catalog.list_documents(HR)) for _ in range(5))

    threads = [threading.Thread(target=read, daemon=True) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert counts == [5] * 200


def test_groups_are_kept_as_sorted_json(catalog: Catalog) -> None:
    odd = frozenset({'a"b', "ü", "z", "a,b"})
    store(
        catalog,
        new_document("a", ["x"], odd),
        new_document("b", ["y"], frozenset(sorted(odd, reverse=True))),
    )
    known = catalog.known(["a"]).get("a")
    assert known is not None
    assert known.state.groups == odd
    with catalog.engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT groups FROM acls").scalars().all()
    assert kept == [json.dumps(sorted(odd))]


def test_removed_chunks_are_remembered_once(catalog: Catalog) -> None:
    for i in range(3):
        store(catalog, new_document("a", [f"x{i}", "y"]))
    with catalog.engine.connect() as connection:
        rows = connection.execute(sa.select(removed_chunks)).all()
    assert [tuple(row) for row in rows] == [(1, 2), (2, 2), (3, 3), (4, 3)]


def test_a_name_that_several_documents_share_is_not_guessed_at(catalog: Catalog) -> None:
    first, second = new_document("upload:a/x.md", ["one"]), new_document("upload:b/x.md", ["two"])
    store(catalog, replace(first, name="x.md"), replace(second, name="x.md"))
    ids = sorted(catalog.uris().values())
    with pytest.raises(CatalogError, match=f"by its id: {ids[0]}, {ids[1]}"):
        catalog.find_document("x.md")
    found = catalog.find_document("upload:b/x.md")
    assert found is not None
    assert found.id == ids[1]
