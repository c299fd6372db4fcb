"""Syncing a source: what is read, kept, given to other readers and removed; and killed midway."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import sqlalchemy as sa
from docx import Document as Docx

import rag.ingest
from rag.catalog import Catalog
from rag.config import IngestConfig, RagConfig
from rag.errors import ParseError, SourceError
from rag.index import open_index
from rag.index_faiss import FaissIndex
from rag.ingest import IngestReport, ingest
from rag.knowledge import Knowledge, open_knowledge
from rag.parse import parse
from rag.plan import catalog_to_look_at
from rag.retrieve import retrieve
from rag.schema import Failure, Metadata, ParsedDocument, RawDocument
from rag.sources.config import SourceSection
from rag.sources.files import FileSource
from rag.sources.folder_rules import NAME as RULES
from rag.sync import Named, plan_sync, sync
from rag.tables import acls, chunks, documents
from tests.fakes import PUBLIC, FakeEmbedder, assert_whole, contents, fake_knowledge

ROOT = Path(__file__).parent.parent
STAFF, OPS = frozenset({"staff"}), frozenset({"ops"})
NOBODY: frozenset[str] = frozenset()
DAY = datetime(2026, 3, 10, 12, tzinfo=UTC)


@dataclass
class Page:
    text: str | Exception = "text"
    name: str = ""
    stamp: str = "1"
    groups: frozenset[str] | None = None
    modified: datetime | None = DAY
    metadata: Metadata = Metadata()


@dataclass
class Wiki:
    """A source that lists what a test puts into it, and counts what is loaded."""

    pages: dict[str, Page] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def documents(self) -> Iterator[RawDocument | Failure]:
        yield from self.failures
        for key, page in list(self.pages.items()):
            yield RawDocument(
                f"wiki://host/{key}",
                page.name or key,
                page.modified,
                self._loader(key, page),
                suffix=".md",
                stamp=page.stamp,
                groups=page.groups,
                metadata=page.metadata,
            )

    def _loader(self, key: str, page: Page) -> Callable[[], bytes]:
        def load() -> bytes:
            self.loaded.append(key)
            if isinstance(page.text, Exception):
                raise page.text
            return page.text.encode()

        return load


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[Knowledge]:
    opened = fake_knowledge(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture
def wiki() -> Wiki:
    return Wiki({"a": Page("alpha"), "b": Page("beta"), "sub/c": Page("gamma")})


def told(report: IngestReport) -> dict[str, Any]:
    """All that a dry run can know of a run."""
    names = ("added", "changed", "regrouped", "relabelled", "removed", "failures", "unchanged")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def run(
    knowledge: Knowledge, source: Any, name: str = "wiki", groups: frozenset[str] = PUBLIC,
    prune_all: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """A dry run, which must change nothing and say the same as the run that follows."""
    named, catalog = Named(name, source, groups), knowledge.catalog
    before = (catalog.generation(), everything(catalog))
    planned = plan_sync(catalog, named, knowledge.config, prune_all=prune_all)
    assert (catalog.generation(), everything(catalog)) == before
    report = sync(knowledge, named, prune_all=prune_all)
    assert told(planned) == told(report), "a dry run must say what the run then does"
    assert_same_index(knowledge)
    return told(report)


def readers(knowledge: Knowledge) -> dict[str, frozenset[str]]:
    return {document.name: document.groups for document in knowledge.catalog.list_documents()}


def everything(catalog: Catalog) -> dict[str, Any]:
    """URI -> all that is stored of a document but row ids and the time of ingestion."""
    of_document = [c for c in documents.c if c.name not in ("id", "ingested", "acl_id")]
    of_chunk = [c for c in chunks.c if c.name not in ("id", "document_id", "acl_id", "generation")]
    own = sa.select(documents.c.id, *of_document, acls.c.groups).join(
        acls, acls.c.id == documents.c.acl_id
    )
    query = sa.select(chunks.c.document_id, *of_chunk, acls.c.groups)
    query = query.join(acls, acls.c.id == chunks.c.acl_id).order_by(chunks.c.id)
    with catalog.engine.connect() as connection:
        rows = connection.execute(own).all()
        passages: dict[int, list[Any]] = {row.id: [] for row in rows}
        for row in connection.execute(query):
            passages[row.document_id].append(tuple(row[1:]))
    return {row.uri: (_plain(row[1:]), passages[row.id]) for row in rows}


def _plain(row: Sequence[Any]) -> list[Any]:
    return [tuple(value) if isinstance(value, list) else value for value in row]


def assert_same_index(knowledge: Knowledge) -> None:
    """The index, and the one that the next process opens, hold exactly the catalog's passages."""
    embedder, catalog = knowledge.embedder, knowledge.catalog
    truth = catalog.changes_since(0, embedder.fingerprint, embedder.dimension)
    opened = open_index(knowledge.config, catalog, embedder.fingerprint, embedder.dimension)
    for index in (knowledge.index, opened):
        assert isinstance(index, FaissIndex)
        ids = faiss.vector_to_array(index._faiss.id_map)
        assert sorted(ids) == list(truth.added)
        assert list(index._acl_by_id[truth.added]) == list(truth.acl_ids)
        vectors = index._faiss.index.reconstruct_n(0, len(ids)) if len(ids) else np.zeros((0, 1))
        assert np.array_equal(
            vectors[np.argsort(ids)].astype(np.float16), truth.vectors
        ) or not len(ids)
        assert index.generation == truth.generation


# --- incremental ---------------------------------------------------------------------------------


def test_the_second_sync_does_nothing(knowledge: Knowledge, wiki: Wiki) -> None:
    assert run(knowledge, wiki) == {"added": ["a", "b", "sub/c"]}
    wiki.loaded.clear()
    index = knowledge.config.data_dir / "index.npz"
    before = (knowledge.catalog.generation(), index.stat(), everything(knowledge.catalog))
    assert run(knowledge, wiki) == {"unchanged": 3}
    assert wiki.loaded == []
    after = (knowledge.catalog.generation(), index.stat(), everything(knowledge.catalog))
    assert [after[0], after[1].st_mtime_ns, after[1].st_ino, after[2]] == [
        before[0], before[1].st_mtime_ns, before[1].st_ino, before[2],
    ]  # fmt: skip


def test_only_what_changed_is_loaded(knowledge: Knowledge, wiki: Wiki) -> None:
    run(knowledge, wiki)
    wiki.loaded.clear()
    wiki.pages["b"] = Page("beta, rewritten", stamp="2")
    wiki.pages["d"] = Page("delta")
    del wiki.pages["a"]
    assert run(knowledge, wiki) == {
        "added": ["d"], "changed": ["b"], "removed": ["wiki://host/a"], "unchanged": 1,
    }  # fmt: skip
    assert wiki.loaded == ["b", "b", "d"], "the dry run reads what changed, and nothing new"
    texts = [hit.text for hit in retrieve(knowledge, "beta rewritten", PUBLIC, 5)]
    assert texts[0] == "beta, rewritten"
    assert "alpha" not in texts
    assert_whole(knowledge.catalog)


def test_without_a_stamp_the_bytes_decide(knowledge: Knowledge, wiki: Wiki) -> None:
    wiki.pages = {"a": Page("alpha", stamp="")}
    run(knowledge, wiki)
    assert run(knowledge, wiki) == {"unchanged": 1}
    wiki.pages["a"].text = "other"
    assert run(knowledge, wiki) == {"changed": ["a"]}


def test_the_same_bytes_under_a_new_stamp_are_read_once(knowledge: Knowledge, wiki: Wiki) -> None:
    run(knowledge, wiki)
    generation = knowledge.catalog.generation()
    for page in wiki.pages.values():
        page.stamp = "2"
    assert sync(knowledge, Named("wiki", wiki, PUBLIC)).unchanged == 3
    wiki.loaded.clear()
    assert run(knowledge, wiki) == {"unchanged": 3}
    assert (wiki.loaded, knowledge.catalog.generation()) == ([], generation)


def test_clocks_may_go_backwards(knowledge: Knowledge, wiki: Wiki) -> None:
    """Stamps and dates are compared for equality alone; a new date is no new generation."""
    wiki.pages = {"a": Page("alpha", stamp="2026-03-10"), "b": Page("beta")}
    run(knowledge, wiki)
    earlier = DAY - timedelta(days=900)
    wiki.pages["a"] = Page("alpha, restored", stamp="2023-01-01", modified=earlier)
    wiki.pages["b"].modified = earlier
    assert run(knowledge, wiki) == {"changed": ["a"], "unchanged": 1}
    assert {d.modified for d in knowledge.catalog.list_documents()} == {earlier}
    generation = knowledge.catalog.generation()
    index = (knowledge.config.data_dir / "index.npz").stat().st_mtime_ns
    wiki.pages["b"].modified = DAY
    wiki.pages["a"].modified = None
    assert run(knowledge, wiki) == {"unchanged": 2}
    assert {d.name: d.modified for d in knowledge.catalog.list_documents()} == {"a": None, "b": DAY}
    assert knowledge.catalog.generation() == generation
    assert (knowledge.config.data_dir / "index.npz").stat().st_mtime_ns == index


def test_a_new_name_and_new_labels_cost_no_embedding(knowledge: Knowledge, wiki: Wiki) -> None:
    run(knowledge, wiki)
    assert isinstance(knowledge.embedder, FakeEmbedder)
    seen = knowledge.embedder.texts
    wiki.loaded.clear()
    wiki.pages["a"].name = "Moved/a"
    wiki.pages["b"].metadata = Metadata("Wiki", "8.0", ("x",), "https://wiki/b")
    assert run(knowledge, wiki) == {"relabelled": ["Moved/a", "b"], "unchanged": 1}
    assert run(knowledge, wiki) == {"unchanged": 3}
    found = {document.name: document for document in knowledge.catalog.list_documents()}
    assert set(found) == {"Moved/a", "b", "sub/c"}
    assert (found["b"].product, found["b"].labels) == ("Wiki", ("x",))
    assert (knowledge.embedder.texts, wiki.loaded) == (seen, [])


def test_an_interrupted_sync_goes_on(knowledge: Knowledge, wiki: Wiki) -> None:
    wiki.pages = {f"p{i}": Page(f"text {i}") for i in range(80)}

    def interrupt(name: str, done: int, total: int) -> None:
        if done == 70:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(knowledge, Named("wiki", wiki, PUBLIC), interrupt)
    held = knowledge.catalog.count()
    assert 0 < held < 80
    found = run(knowledge, wiki)
    assert (len(found["added"]), found["unchanged"]) == (80 - held, held)


# --- deletions -----------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_listed_loses_nothing(knowledge: Knowledge, wiki: Wiki) -> None:
    run(knowledge, wiki)
    del wiki.pages["a"], wiki.pages["sub/c"]
    wiki.failures = [Failure("wiki://host/sub/", "sub/", "cannot be listed")]
    found = run(knowledge, wiki)
    assert (found["removed"], found["unchanged"]) == (["wiki://host/a"], 1)
    assert found["failures"] == wiki.failures
    assert set(readers(knowledge)) == {"b", "sub/c"}
    wiki.pages.clear()
    wiki.failures = [Failure("wiki://host/", "host", "does not answer")]
    assert run(knowledge, wiki) == {"failures": wiki.failures}
    assert set(readers(knowledge)) == {"b", "sub/c"}


def test_a_shrunken_listing_is_not_believed(knowledge: Knowledge, wiki: Wiki) -> None:
    wiki.pages = {f"p{i}": Page(f"text {i}") for i in range(60)}
    run(knowledge, wiki)
    kept = dict(wiki.pages)
    wiki.pages = dict(list(kept.items())[:29])
    wiki.pages["p0"] = Page("changed", stamp="2")
    found = run(knowledge, wiki)
    assert (found["changed"], found["unchanged"]) == (["p0"], 28), "what is there is taken in"
    assert found["failures"][0].reason == (
        "lists 29 documents, and no longer 31 of those it had: none of these was removed; "
        "if they are gone: `python -m rag sync wiki --prune-all`"
    )
    assert knowledge.catalog.count() == 60
    wiki.pages = dict(list(kept.items())[:30])
    assert len(run(knowledge, wiki)["removed"]) == 30, "half of them may go"
    wiki.pages = dict(list(kept.items())[:10])
    assert len(run(knowledge, wiki)["removed"]) == 20, "and always a few"


def test_an_empty_listing_is_not_believed_however_few_there_were(
    knowledge: Knowledge, wiki: Wiki
) -> None:
    run(knowledge, wiki)
    wiki.pages.clear()
    assert "lists 0 documents" in run(knowledge, wiki)["failures"][0].reason
    assert knowledge.catalog.count() == 3
    assert len(run(knowledge, wiki, prune_all=True)["removed"]) == 3
    assert knowledge.catalog.count() == 0


def test_a_share_that_is_not_mounted_loses_nothing(knowledge: Knowledge, tmp_path: Path) -> None:
    """Gone, a dangling link in its place, or an empty mount point."""
    share, link = tmp_path / "share", tmp_path / "link"
    share.mkdir()
    (share / "a.md").write_text("alpha")
    link.symlink_to(share)
    source = FileSource([link], max_bytes=1000)
    assert run(knowledge, source) == {"added": ["a.md"]}
    share.rename(tmp_path / "away")
    found = run(knowledge, source)
    (failure,) = found["failures"]
    assert "broken symbolic link" in failure.reason
    assert knowledge.catalog.count() == 1
    share.mkdir()
    assert "--prune-all" in run(knowledge, source)["failures"][0].reason
    share.rmdir()
    (tmp_path / "away").rename(share)
    assert run(knowledge, source) == {"unchanged": 1}


def test_a_document_that_goes_while_it_is_read(knowledge: Knowledge, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("a", "b", "c"):
        (docs / f"{name}.md").write_text(name)
    source = FileSource([docs], max_bytes=1000)
    run(knowledge, source)
    (docs / "b.md").write_text("b, changed")
    items = list(source.documents())
    (docs / "b.md").unlink()
    report = ingest(knowledge, items, PUBLIC, source="wiki")
    assert [failure.reason for failure in report.failures] == ["does not exist (moved or deleted?)"]
    assert knowledge.catalog.count() == 3
    assert run(knowledge, source) == {"removed": [(docs / "b.md").as_uri()], "unchanged": 2}


def test_a_uri_belongs_to_one_source(knowledge: Knowledge, wiki: Wiki) -> None:
    run(knowledge, wiki)
    other = Wiki({"a": Page("intruder"), "z": Page("zeta")})
    found = run(knowledge, other, "other")
    assert found["added"] == ["z"]
    assert found["failures"][0].reason.startswith("belongs to the source 'wiki'")
    assert "--forget wiki" in found["failures"][0].reason
    report = ingest(knowledge, list(other.documents()), OPS)
    assert [failure.uri for failure in report.failures] == ["wiki://host/a", "wiki://host/z"]
    assert contents(knowledge.catalog)["wiki://host/a"][1] == ["alpha"]
    assert readers(knowledge)["a"] == PUBLIC
    del other.pages["a"]
    assert run(knowledge, other, "other") == {"unchanged": 1}, "and it removes only its own"
    assert run(knowledge, wiki) == {"unchanged": 3}


def test_what_was_ingested_by_hand_can_be_adopted(knowledge: Knowledge, wiki: Wiki) -> None:
    ingest(knowledge, list(wiki.documents()), PUBLIC)
    assert knowledge.catalog.count_by_source() == {"": 3}
    assert run(knowledge, wiki) == {"unchanged": 3}
    assert knowledge.catalog.count_by_source() == {"wiki": 3}
    del wiki.pages["b"]
    assert run(knowledge, wiki)["removed"] == ["wiki://host/b"]


# --- readers -------------------------------------------------------------------------------------


def test_the_sources_readers_go_before_the_configured(knowledge: Knowledge, wiki: Wiki) -> None:
    wiki.pages["b"].groups = OPS
    wiki.pages["sub/c"].groups = NOBODY
    run(knowledge, wiki, groups=STAFF)
    assert readers(knowledge) == {"a": STAFF, "b": OPS, "sub/c": NOBODY}
    assert [hit.text for hit in retrieve(knowledge, "alpha beta gamma", OPS, 5)] == ["beta"]
    assert retrieve(knowledge, "alpha beta gamma", PUBLIC, 5) == []


def test_other_readers_cost_no_embedding(knowledge: Knowledge, wiki: Wiki) -> None:
    run(knowledge, wiki)
    assert isinstance(knowledge.embedder, FakeEmbedder)
    seen = knowledge.embedder.texts
    wiki.loaded.clear()
    wiki.pages["a"].groups = OPS
    assert run(knowledge, wiki) == {"regrouped": ["a"], "unchanged": 2}
    assert (knowledge.embedder.texts, wiki.loaded) == (seen, [])
    assert "alpha" not in [hit.text for hit in retrieve(knowledge, "alpha", PUBLIC, 5)]
    assert [hit.text for hit in retrieve(knowledge, "alpha", OPS, 1)] == ["alpha"]


@pytest.mark.parametrize("broken", [SourceError("does not answer"), "\0\1\2\3" * 100])
@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        (PUBLIC, STAFF, STAFF),
        (STAFF | OPS, STAFF, STAFF),
        (STAFF, NOBODY, NOBODY),
        (STAFF, OPS, NOBODY),
        (STAFF, PUBLIC, STAFF),  # the new text may be for everyone; the old one never was
        (STAFF, STAFF | OPS, STAFF),
    ],
)
def test_a_former_version_never_gains_readers(
    knowledge: Knowledge,
    wiki: Wiki,
    before: frozenset[str],
    after: frozenset[str],
    kept: frozenset[str],
    broken: str | Exception,
) -> None:
    wiki.pages = {"a": Page("alpha", groups=before)}
    run(knowledge, wiki)
    wiki.pages["a"] = Page(broken, stamp="2", groups=after)
    for _ in range(2):
        report = sync(knowledge, Named("wiki", wiki, PUBLIC))
        assert [failure.name for failure in report.failures] == ["a"]
        assert readers(knowledge) == {"a": kept}
    assert report.regrouped == [], "the second time there is nothing left to take away"
    assert contents(knowledge.catalog)["wiki://host/a"][1] == ["alpha"]
    assert_same_index(knowledge)
    wiki.pages["a"] = Page("omega", stamp="3", groups=after)
    assert run(knowledge, wiki) == {"changed": ["a"]}
    assert readers(knowledge) == {"a": after}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def test_rules_beside_files(knowledge: Knowledge, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    write(docs, {n: n for n in ("a.md", "hr/b.md", "hr/pay/c.md", "hr/open/d.md", "closed/e.md")})
    source = FileSource([docs / "hr", docs], max_bytes=1000, described=SourceSection(groups=("x",)))
    run(knowledge, source)
    assert set(readers(knowledge).values()) == {frozenset({"x"})}
    write(
        docs,
        {
            f"hr/{RULES}": "groups: [hr]\nproduct: People\nversion: '8.0'",
            f"hr/pay/{RULES}": "groups: [' pay ', board]",
            f"hr/open/{RULES}": "labels: [public]",
            f"closed/{RULES}": "groups: []",
        },
    )
    found = run(knowledge, source)
    assert sorted(found["regrouped"]) == ["b.md", "closed/e.md", "open/d.md", "pay/c.md"]
    assert readers(knowledge) == {
        "a.md": frozenset({"x"}),
        "b.md": frozenset({"hr"}),
        "pay/c.md": frozenset({"pay", "board"}),
        "open/d.md": frozenset({"hr"}),
        "closed/e.md": NOBODY,
    }
    by_name = {document.name: document for document in knowledge.catalog.list_documents()}
    deep = by_name["open/d.md"]
    assert (deep.product, deep.version, deep.labels) == ("People", "8.0", ("public",))
    assert run(knowledge, source) == {"unchanged": 5}
    # The folders above an ingested path hold, even when it is named alone.
    alone = fake_knowledge(tmp_path / "alone")
    run(alone, FileSource([docs / "hr" / "pay" / "c.md"], max_bytes=1000))
    run(alone, FileSource([docs / "hr" / "open"], max_bytes=1000), "two")
    assert readers(alone) == {"c.md": frozenset({"pay", "board"}), "d.md": frozenset({"hr"})}
    alone.close()


@pytest.mark.parametrize(
    "text",
    [
        "groups: staff", "groups:", "groups: null", "groups: [a, '']", "groups: [[a]]",
        "groups: [a", "groups: [1]", "groups: {a: b}", "grups: [a]", "- groups", "[]", "0", "false",
        "''", "version: 4.10", "\0", "x" * 70_000, "!!python/object:os.system x", "[" * 2000,
    ],
)  # fmt: skip
def test_broken_rules_close_their_folder_and_keep_former_readers(
    knowledge: Knowledge, tmp_path: Path, text: str
) -> None:
    docs = tmp_path / "docs"
    write(docs, {"a.md": "a", "hr/b.md": "b", f"hr/{RULES}": "groups: [hr]", "hr/deep/c.md": "c"})
    source = FileSource([docs], max_bytes=1000)
    run(knowledge, source)
    former = readers(knowledge)
    write(docs, {f"hr/{RULES}": text, "hr/new.md": "new", "hr/b.md": "changed"})
    found = run(knowledge, source)
    assert found["unchanged"] == 1
    (failure,) = found["failures"]
    assert failure.name == "hr/"
    assert RULES in failure.reason
    assert "mend it, then run again" in failure.reason
    assert readers(knowledge) == former == {
        "a.md": PUBLIC, "hr/b.md": frozenset({"hr"}), "hr/deep/c.md": frozenset({"hr"}),
    }  # fmt: skip


def test_rules_that_are_no_file_are_broken_and_wait_for_nobody(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    write(
        docs, {"pipe/a.md": "a", "folder/b.md": "b", "empty/c.md": "c", f"empty/{RULES}": "# -\n"}
    )
    os.mkfifo(docs / "pipe" / RULES)
    (docs / "folder" / RULES).mkdir()
    found = run(knowledge, FileSource([docs], max_bytes=1000))
    assert {failure.name for failure in found["failures"]} == {"pipe/", "folder/"}
    assert readers(knowledge) == {"empty/c.md": PUBLIC}


# --- hostile and unusual documents ---------------------------------------------------------------

DYING = """
import ctypes, rag.parsers.text
real = rag.parsers.text.parse_markdown
def parse_markdown(data):
    if data.startswith(b"CRASH"):
        ctypes.string_at(0)
    return real(data)
rag.parsers.text.parse_markdown = parse_markdown
"""


def test_a_document_that_kills_its_parser_does_it_once(
    tmp_path: Path, wiki: Wiki, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(DYING)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    config = RagConfig(data_dir=tmp_path / "data", ingest=IngestConfig(parse_timeout_s=61))
    knowledge = open_knowledge(config, FakeEmbedder())
    wiki.pages["bad"] = Page("CRASH now")
    first = sync(knowledge, Named("wiki", wiki, PUBLIC))
    assert first.added == ["a", "b", "sub/c"]
    assert [failure.name for failure in first.failures] == ["bad"]
    assert first.failures[0].reason.startswith("crashed its parser (SIGSEGV)")
    with monkeypatch.context() as patch:
        patch.setattr(rag.ingest, "_parsers", None)  # nothing is given to a parser
        found = run(knowledge, wiki)
        assert found["failures"][0].reason.endswith("(not tried again until it changes)")
    wiki.pages["bad"].groups = STAFF
    assert run(knowledge, wiki)["failures"][0].name == "bad"
    # The advice was to raise a limit: then it is tried again.
    more = config.model_copy(update={"ingest": IngestConfig(parse_timeout_s=62)})
    raised = open_knowledge(more, FakeEmbedder())
    again = sync(raised, Named("wiki", wiki, PUBLIC))
    assert not again.failures[0].reason.endswith("(not tried again until it changes)")
    wiki.pages["bad"] = Page("mended", stamp="2")
    assert sync(raised, Named("wiki", wiki, PUBLIC)).added == ["bad"]
    raised.close()
    knowledge.close()
    for limit in (61.0, 62.0):
        rag.ingest._open_parsers(1, limit, 2048, False).close()


def bomb() -> bytes:
    """A Word document of 256 MB in 0.3 MB."""
    buffer = BytesIO()
    Docx().save(buffer)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive, archive.open(
        "word/media/image1.xml", "w", force_zip64=True
    ) as member:  # fmt: skip
        for _ in range(64):
            member.write(bytes(1 << 22))
    return buffer.getvalue()


def test_a_zip_bomb_costs_itself(knowledge: Knowledge, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    write(docs, {"fine.md": "fine"})
    (docs / "bomb.docx").write_bytes(bomb())
    started = time.monotonic()
    report = sync(knowledge, Named("wiki", FileSource([docs], max_bytes=10**8), PUBLIC))
    assert report.added == ["fine.md"]
    assert [failure.name for failure in report.failures] == ["bomb.docx"]
    assert "zip bomb" in report.failures[0].reason
    assert time.monotonic() - started < 120


def test_one_line_of_5_mb(knowledge: Knowledge, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    write(docs, {"line.txt": "word " * 1_000_000 + "nigh", "block.md": "x" * 5_000_000})
    source = FileSource([docs], max_bytes=10**8)
    report = sync(knowledge, Named("wiki", source, PUBLIC))
    assert (report.added, report.failures) == (["block.md", "line.txt"], [])
    assert any(hit.text.endswith("nigh") for hit in retrieve(knowledge, "nigh", PUBLIC, 3))
    assert run(knowledge, source) == {"unchanged": 2}


def test_5000_tiny_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.ingest, "_parsers", lambda config: Inline())
    docs = tmp_path / "docs"
    for i in range(5000):
        path = docs / f"{i % 50:02}" / f"{i}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"number {i}")
    knowledge = fake_knowledge(tmp_path / "data", 500)
    source = Named("tiny", FileSource([docs], max_bytes=1000), PUBLIC)
    started = time.monotonic()
    assert len(sync(knowledge, source).added) == 5000
    first, started = time.monotonic() - started, time.monotonic()
    assert sync(knowledge, source).unchanged == 5000
    assert time.monotonic() - started < first
    knowledge.close()


def test_scripts_and_encodings(knowledge: Knowledge, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    texts = {
        "he.md": ("utf-8", "הגיבוי הלילי רץ בשעה שתיים בלילה"),
        "ar.txt": ("utf-8-sig", "يعمل النسخ الاحتياطي كل ليلة في الساعة الثانية"),
        "zh.md": ("utf-16", "备份每天晚上两点运行，请检查日志文件"),
        "ja.txt": ("shift_jis", "バックアップは毎晩二時に実行されます。ログを確認してください。"),
        "ru.txt": ("cp1251", "Резервное копирование выполняется каждую ночь в два часа ночи."),
        "de.txt": ("cp1252", "Die nächtliche Sicherung läuft um zwei Uhr nachts."),
    }  # fmt: skip
    for name, (encoding, text) in texts.items():
        (docs / name).write_bytes(text.encode(encoding))
    source = FileSource([docs], max_bytes=1000)
    report = sync(knowledge, Named("wiki", source, PUBLIC))
    assert sorted(report.added) == sorted(texts)
    for _, text in texts.values():
        assert retrieve(knowledge, text, PUBLIC, 1)[0].text == text
    # Chinese and Japanese have no blanks: a word of full text is what stands between punctuation.
    for word in ("הגיבוי", "الاحتياطي", "备份每天晚上两点运行", "копирование", "nächtliche"):
        found = knowledge_lexical(knowledge, word)
        assert word in found, word


def knowledge_lexical(knowledge: Knowledge, word: str) -> str:
    """The best passage by full text alone: the vectors of this test know nothing of words."""
    retriever = knowledge.config.retriever.model_copy(update={"mode": "lexical"})
    lexical = knowledge.configured(knowledge.config.model_copy(update={"retriever": retriever}))
    hits = retrieve(lexical, word, PUBLIC, 1)
    return hits[0].text if hits else ""


# --- a dry run where there is nothing yet --------------------------------------------------------


def test_a_dry_run_makes_no_catalog(tmp_path: Path, wiki: Wiki) -> None:
    for url in ("", f"sqlite:///{tmp_path}/data/other.db"):
        config = RagConfig(data_dir=tmp_path / "data", database_url=url)
        with catalog_to_look_at(config) as catalog:
            report = plan_sync(catalog, Named("wiki", wiki, PUBLIC), config)
        assert (report.added, wiki.loaded) == (["a", "b", "sub/c"], [])
        assert not (tmp_path / "data").exists()


def test_a_dry_run_of_a_failing_document_names_it(knowledge: Knowledge, wiki: Wiki) -> None:
    run(knowledge, wiki)
    wiki.pages["a"] = Page(SourceError("does not answer"), stamp="2", groups=STAFF)
    found = run(knowledge, wiki)
    assert found["regrouped"] == ["a"]
    assert found["failures"] == [Failure("wiki://host/a", "a", "does not answer")]


# --- killed --------------------------------------------------------------------------------------


class Inline:
    """Parses here and now: what is killed below is the sync, not a parser."""

    def submit(self, data: bytes, name: str) -> Future[ParsedDocument]:
        future: Future[ParsedDocument] = Future()
        try:
            future.set_result(parse(data, name))
        except ParseError as error:
            future.set_exception(error)
        return future


def sync_folder(data: Path, docs: Path, delay: float = 0.0, die_at: int = 0) -> Knowledge:
    """`die_at` N: killed just before its N-th SQL statement."""
    rag.ingest._parsers = lambda config: Inline()  # type: ignore[assignment]
    count = 0

    def tick(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    if die_at:
        sa.event.listen(sa.Engine, "before_cursor_execute", tick)
    knowledge = fake_knowledge(data, 8, FakeEmbedder(delay=delay))
    source = FileSource([docs], max_bytes=10**6, described=SourceSection(product="P"))
    sync(knowledge, Named("docs", source, STAFF))
    return knowledge


def serve_syncs() -> None:
    """Fork one sync for each line of standard input: `DATA DOCS DIE_AT`; starting Python costs
    more than a sync. The dead stay until the next line, so that nobody else gets their number."""
    with contextlib.closing(fake_knowledge(Path(sys.argv[1]))):
        pass  # everything is imported
    print("ready", flush=True)
    for line in sys.stdin:
        data, docs, die_at = line.split()
        pid = os.fork()
        if pid == 0:
            sync_folder(Path(data), Path(docs), 0.01, int(die_at))
            os._exit(0)
        print(pid, flush=True)
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


class Syncs:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(
        self, data: Path, docs: Path, die_at: int = 0, after_s: float | None = None
    ) -> int:
        """Its exit status."""
        pid = int(self._ask(f"{data} {docs} {die_at}"))
        if after_s is not None:
            time.sleep(after_s)  # where exactly it is then does not matter
            os.kill(pid, signal.SIGKILL)
        return int(self._ask("reap"))

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@pytest.fixture
def syncs(tmp_path: Path) -> Iterator[Syncs]:
    code = "from tests.test_rag_sync import serve_syncs; serve_syncs()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "warm")],
        cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Syncs(process)
        assert process.stdin is not None
        process.stdin.close()


def first_state(docs: Path) -> None:
    for i in range(150):
        words = " ".join(f"w{(i * 7 + n * n) % 97}" for n in range(60))
        write(docs, {f"{'abc'[i % 3]}/{i:03}.md": f"# Doc {i}\n\n{words}.\n\n## More\n\n{words}"})
    write(docs, {f"b/{RULES}": "groups: [board]", "c/bad.pdf": "no pdf"})


def second_state(docs: Path) -> None:
    for i in range(0, 150, 6):
        (docs / "abc"[i % 3] / f"{i:03}.md").unlink()
    for i in range(1, 150, 6):
        write(docs, {f"{'abc'[i % 3]}/{i:03}.md": f"# Doc {i}, changed\n\nother words {i}"})
    for i in range(150, 170):
        write(docs, {f"d/{i}.md": f"# New {i}\n\nnew words"})
    write(docs, {f"b/{RULES}": "groups: [ops]\nversion: '9'", f"c/{RULES}": "labels: [l]"})


def test_killed_at_any_point_the_next_sync_mends_it(
    tmp_path: Path, syncs: Syncs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rag.ingest, "_parsers", rag.ingest._parsers)  # put back afterwards
    pick = random.Random()
    docs, before = tmp_path / "docs", tmp_path / "empty"
    before.mkdir()
    for change in (first_state, second_state):
        change(docs)
        whole = tmp_path / f"undisturbed-{change.__name__}"
        shutil.copytree(before, whole)
        statements: list[int] = []
        with counted(statements):
            sync_folder(whole, docs).close()
        catalog = Catalog(RagConfig(data_dir=whole))
        wanted = everything(catalog)
        catalog.close()
        started = time.monotonic()
        shutil.copytree(before, tmp_path / "timed")
        assert syncs(tmp_path / "timed", docs) == 0
        takes = time.monotonic() - started
        shutil.rmtree(tmp_path / "timed")
        killed = 0
        for attempt in range(10):
            data = tmp_path / f"killed-{change.__name__}-{attempt}"
            shutil.copytree(before, data)
            if attempt % 2:
                status = syncs(data, docs, die_at=pick.randint(1, len(statements)))
                assert status == -signal.SIGKILL
            else:
                status = syncs(data, docs, after_s=pick.uniform(0, takes))
                assert status in (0, -signal.SIGKILL)
            killed += status == -signal.SIGKILL
            assert_mended(data, docs, wanted)
        assert killed >= 7
        before = whole


def assert_mended(data: Path, docs: Path, wanted: dict[str, Any]) -> None:
    half = Catalog(RagConfig(data_dir=data))
    assert_whole(half)
    half.close()
    mended = sync_folder(data, docs)
    assert everything(mended.catalog) == wanted
    assert_whole(mended.catalog)
    assert_same_index(mended)
    mended.close()
    shutil.rmtree(data)


@contextlib.contextmanager
def counted(statements: list[int]) -> Iterator[None]:
    def tick(*arguments: Any) -> None:
        statements.append(1)

    sa.event.listen(sa.Engine, "before_cursor_execute", tick)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", tick)
