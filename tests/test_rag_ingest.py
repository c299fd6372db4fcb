"""Ingesting: what is skipped, replaced, pruned and refused; and what is left when it is killed."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from reportlab.lib import pdfencrypt
from reportlab.pdfgen import canvas

from rag.catalog import Catalog
from rag.config import ChunkConfig, RagConfig
from rag.errors import CatalogError, SourceError
from rag.ingest import IngestReport, ingest
from rag.knowledge import Knowledge, open_knowledge
from rag.plan import plan
from rag.prune import gone, prune
from rag.retrieve import retrieve
from rag.schema import Failure, RawDocument
from rag.sources.files import FileSource
from tests.fakes import (
    PUBLIC,
    FakeEmbedder,
    assert_whole,
    contents,
    fake_knowledge,
    new_document,
    raw,
    store,
    take_in,
)

ROOT = Path(__file__).parent.parent
STAFF = frozenset({"staff"})


@pytest.fixture
def knowledge(tmp_path: Path) -> Knowledge:
    return fake_knowledge(tmp_path / "data")


def counted(report: IngestReport) -> tuple[list[str], list[str], int, list[str]]:
    return report.added, report.changed, report.unchanged, report.regrouped


def texts(knowledge: Knowledge, question: str) -> list[str]:
    return [hit.text for hit in retrieve(knowledge, question, PUBLIC, 5)]


def test_added_unchanged_changed(knowledge: Knowledge) -> None:
    report = take_in(knowledge, {"a.md": "# A\nalpha", "b.md": "beta"})
    assert counted(report) == (["a.md", "b.md"], [], 0, [])
    assert report.chunks == 2
    embedder = knowledge.embedder
    assert isinstance(embedder, FakeEmbedder)
    seen = embedder.texts
    generation = knowledge.catalog.generation()
    assert counted(take_in(knowledge, {"a.md": "# A\nalpha", "b.md": "beta"})) == ([], [], 2, [])
    assert (embedder.texts, knowledge.catalog.generation()) == (seen, generation)
    report = take_in(knowledge, {"a.md": "# A\nother", "b.md": "beta", "c.md": "gamma"})
    assert counted(report) == (["c.md"], ["a.md"], 1, [])
    assert embedder.texts == seen + 2
    assert "alpha" not in " ".join(texts(knowledge, "alpha"))
    assert texts(knowledge, "other")[0] == "other"
    assert_whole(knowledge.catalog)


def test_another_chunk_size_is_a_change(knowledge: Knowledge) -> None:
    files = {"a.md": "one two three four. " * 40}
    take_in(knowledge, files)
    config = knowledge.config.model_copy(update={"chunk": ChunkConfig(max_tokens=32)})
    smaller = open_knowledge(config, FakeEmbedder())
    before = smaller.catalog.count_chunks()
    assert counted(take_in(smaller, files)) == ([], ["a.md"], 0, [])
    assert smaller.catalog.count_chunks() > before
    smaller.close()


def test_other_readers_cost_no_embedding(knowledge: Knowledge) -> None:
    files = {"a.md": "alpha", "b.md": "beta"}
    take_in(knowledge, files)
    report = take_in(knowledge, files, STAFF)
    assert counted(report) == ([], [], 0, ["a.md", "b.md"])
    assert report.chunks == 0
    assert texts(knowledge, "alpha") == []
    assert len(retrieve(knowledge, "alpha", STAFF, 5)) == 2
    assert counted(take_in(knowledge, files, STAFF)) == ([], [], 2, [])


def test_no_groups_at_all_means_everyone_every_time(knowledge: Knowledge) -> None:
    take_in(knowledge, {"a.md": "alpha"}, frozenset())
    assert counted(take_in(knowledge, {"a.md": "alpha"}, frozenset())) == ([], [], 1, [])
    assert counted(take_in(knowledge, {"a.md": "alpha"})) == ([], [], 1, [])
    report = plan(knowledge.catalog, [raw("a.md", "alpha")], {}, knowledge.config, frozenset())
    assert counted(report) == ([], [], 1, [])


def test_a_failure_keeps_the_former_version(knowledge: Knowledge) -> None:
    take_in(knowledge, {"a.md": "good old text"})

    def vanished() -> bytes:
        raise SourceError("does not exist (moved or deleted?)")

    items = [
        raw("a.md", b"\x00\x01\x02\x03" * 100),
        RawDocument("test:b.md", "b.md", None, vanished),
        Failure("test:c.md", "c.md", "permission denied"),
        raw("d.exe", "text"),
        raw("e.pdf", "%PDF-1.4 cut off"),
        raw("f.md", "fine"),
    ]
    report = ingest(knowledge, items, PUBLIC)
    reasons = {failure.name: failure.reason for failure in report.failures}
    assert sorted(reasons) == ["a.md", "b.md", "c.md", "d.exe", "e.pdf"]
    assert "binary" in reasons["a.md"]
    assert reasons["b.md"] == "does not exist (moved or deleted?)"
    assert "'.exe' files are not supported" in reasons["d.exe"]
    assert report.added == ["f.md"]
    assert texts(knowledge, "good old text")[0] == "good old text"


def test_one_uri_twice_in_a_run(knowledge: Knowledge) -> None:
    for second in ("newer text", "older text"):
        ingest(knowledge, [raw("a.md", "older text"), raw("a.md", second)], PUBLIC)
        assert (knowledge.catalog.count(), len(knowledge.index)) == (1, 1)
        assert contents(knowledge.catalog)["test:a.md"][1] == [second]
    assert_whole(knowledge.catalog)


def test_progress_is_told_for_every_item(knowledge: Knowledge) -> None:
    items = [raw("a.md", "x"), Failure("test:b", "b", "no"), raw("c.exe", "x"), raw("a.md", "x")]
    told: list[tuple[str, int, int]] = []
    ingest(knowledge, items, PUBLIC, lambda *step: told.append(step))
    assert told == [("a.md", 1, 4), ("b", 2, 4), ("c.exe", 3, 4), ("a.md", 4, 4)]


def test_nothing_to_ingest(knowledge: Knowledge) -> None:
    report = ingest(knowledge, [], PUBLIC)
    assert counted(report) == ([], [], 0, [])
    assert knowledge.catalog.generation() == 0
    assert texts(knowledge, "anything") == []


def test_headings_alone_are_still_found(knowledge: Knowledge) -> None:
    take_in(knowledge, {"a.md": "# Unfinished chapter\n## To be written\n"})
    assert texts(knowledge, "unfinished") == ["# Unfinished chapter\n## To be written"]


# --- folders: prune, plan, and files of every bad kind ------------------------------------------


def sync(knowledge: Knowledge, folder: Path, *, remove: bool = True) -> IngestReport:
    source = FileSource([folder], max_bytes=60 * 1024 * 1024)
    items = list(source.documents())
    roots = source.roots() if remove else ()
    stale = gone(knowledge.catalog, items, roots)
    planned = plan(knowledge.catalog, items, stale, knowledge.config, PUBLIC)
    report = ingest(knowledge, items, PUBLIC)
    prune(knowledge, items, roots, report)
    assert counted(planned) == counted(report), "a dry run must say what the run then does"
    assert planned.removed == report.removed
    return report


def test_prune_removes_what_is_gone_and_only_from_these_folders(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "one-more"
    for folder in (one, two):
        folder.mkdir()
        (folder / "a.md").write_text("alpha")
        (folder / "b.md").write_text("beta")
    sync(knowledge, one)
    sync(knowledge, two)
    (one / "a.md").unlink()
    assert sync(knowledge, one, remove=False).removed == []
    assert sync(knowledge, one).removed == [(one / "a.md").as_uri()]
    assert set(knowledge.catalog.uris()) == {
        (path).as_uri() for path in (one / "b.md", two / "a.md", two / "b.md")
    }
    assert len(knowledge.index) == 3
    assert_whole(knowledge.catalog)


def test_prune_spares_what_could_not_be_looked_at(knowledge: Knowledge, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.md").write_text("alpha")
    (folder / "sub" / "b.md").write_text("beta")
    (folder / "sub" / "c.md").write_text("gamma")
    sync(knowledge, folder)
    (folder / "a.md").write_text("")  # fails, and its former version stays
    (folder / "sub" / "b.md").unlink()
    items = list(FileSource([folder], max_bytes=100).documents())
    unlisted = Failure((folder / "sub").as_uri() + "/", "sub/", "folder cannot be listed")
    roots = (folder.as_uri() + "/",)
    stale = gone(knowledge.catalog, [items[0], unlisted], roots)
    assert stale == {}
    assert sync(knowledge, folder).removed == [(folder / "sub" / "b.md").as_uri()]
    assert (folder / "a.md").as_uri() in knowledge.catalog.uris()
    missing = tmp_path / "unmounted"
    assert sync(knowledge, missing).removed == []
    assert knowledge.catalog.count() == 2


def pdf(**options: object) -> bytes:
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, **options)  # type: ignore[arg-type]
    page.drawString(72, 700, "A page about maintenance mode")
    page.showPage()
    page.save()
    return buffer.getvalue()


def scanned_pdf() -> bytes:
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer)
    page.rect(50, 50, 300, 300, fill=1)
    page.showPage()
    page.save()
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "not a Word document")
    return buffer.getvalue()


def bad_folder(folder: Path) -> None:
    folder.mkdir()
    (folder / "encrypted.pdf").write_bytes(pdf(encrypt=pdfencrypt.StandardEncryption("secret")))
    (folder / "truncated.pdf").write_bytes(pdf()[:300])
    (folder / "scanned.pdf").write_bytes(scanned_pdf())
    (folder / "fine.pdf").write_bytes(pdf())
    (folder / "zip.docx").write_bytes(zipped())
    (folder / "utf16.txt").write_text("Zwölf Boxkämpfer jagen Viktor", encoding="utf-16")
    (folder / "invalid.txt").write_bytes("Größe, Größe und Größe ".encode() * 20 + b"\xff\xfe bad")
    (folder / "empty.md").write_bytes(b"")
    (folder / "blank.md").write_bytes(b" \n\n\t ")
    (folder / "binary.txt").write_bytes(bytes(range(256)) * 20)
    (folder / "loop.md").symlink_to("loop.md")
    (folder / "up").symlink_to("..")
    (folder / "fine.md").write_text("# Fine\n\nEvacuate the host first.")


BAD = {
    "encrypted.pdf": "password",
    "truncated.pdf": "",
    "scanned.pdf": "no text",
    "zip.docx": "",
    "empty.md": "file is empty",
    "blank.md": "holds no text",
    "binary.txt": "binary",
    "loop.md": "symbolic link",
    "up": "symbolic link",
}


def test_a_folder_of_every_bad_file_at_once(knowledge: Knowledge, tmp_path: Path) -> None:
    bad_folder(tmp_path / "docs")
    for again in (False, True):
        items = list(FileSource([tmp_path / "docs"], max_bytes=10**8).documents())
        report = ingest(knowledge, items, PUBLIC)
        reasons = {failure.name: failure.reason for failure in report.failures}
        assert reasons.keys() == BAD.keys()
        for name, word in BAD.items():
            assert word in reasons[name]
            assert len(reasons[name]) > 8
            assert "Traceback" not in reasons[name]
        assert report.unchanged == (4 if again else 0)
    names = {document.name for document in knowledge.catalog.list_documents()}
    assert names == {"fine.pdf", "utf16.txt", "invalid.txt", "fine.md"}
    assert "Boxkämpfer" in texts(knowledge, "Boxkämpfer")[0]
    assert_whole(knowledge.catalog)


AS_NOBODY = """
import os, sys
from pathlib import Path
from rag.ingest import ingest
from rag.sources.files import FileSource
from tests.fakes import PUBLIC, fake_knowledge, raw
import rag.parsers.pdf.document, rag.parsers.docx, rag.parsers.html
folder = Path(sys.argv[1])
warm = fake_knowledge(Path(sys.argv[2]))
ingest(warm, [raw("a.md", "text")], PUBLIC)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
knowledge = fake_knowledge(folder / "data")
items = list(FileSource([folder / "docs"], max_bytes=1000).documents())
report = ingest(knowledge, items, PUBLIC)
print(report.added, *[(f.name, f.reason) for f in report.failures])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_may_not_be_read_costs_itself_alone(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        for path in ("docs/closed/a.md", "docs/open/b.md", "docs/mine.md"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text("text")
        (folder / "docs" / "closed").chmod(0o700)
        (folder / "docs" / "mine.md").chmod(0o600)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, name, str(tmp_path)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("['open/b.md'] ")
        assert "('closed/', 'folder cannot be listed: permission denied" in done.stdout
        assert "('mine.md', 'permission denied" in done.stdout


def test_a_text_of_50_mb(knowledge: Knowledge, tmp_path: Path) -> None:
    words = ["a" * 120 + f"{i}" for i in range(1000)]
    lines = [" ".join(words[i % 1000] for i in range(n, n + 8)) + "." for n in range(1000)]
    text = "\n".join(lines) + "\n"
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "big.txt").write_text(text * (50 * 1024 * 1024 // len(text)) + "The end is nigh.\n")
    (docs / "small.txt").write_text("small")
    size = (docs / "big.txt").stat().st_size
    assert size > 49 * 1024 * 1024
    started = time.monotonic()
    items = list(FileSource([docs], max_bytes=size - 1).documents())
    report = ingest(knowledge, items, PUBLIC)
    assert [failure.name for failure in report.failures] == ["big.txt"]
    assert "over the limit" in report.failures[0].reason
    report = ingest(knowledge, list(FileSource([docs], max_bytes=size).documents()), PUBLIC)
    assert report.failures == []
    assert time.monotonic() - started < 120
    assert report.chunks > 1000
    assert any("The end is nigh." in text for text in texts(knowledge, "nigh"))


# --- killed, full, and two processes at once ----------------------------------------------------

INGEST = """
import sys
from pathlib import Path
from rag.ingest import _parsers, ingest
from tests.fakes import PUBLIC, FakeEmbedder, fake_knowledge
from tests.test_rag_ingest import generated
knowledge = fake_knowledge(Path(sys.argv[1]), 5, FakeEmbedder(delay=0.02))
_parsers(knowledge.config.ingest).submit(b"warm", "a.md").result()  # the parser runs from here on
print("ready", flush=True)
report = ingest(knowledge, generated(), PUBLIC)
print(len(report.added), report.unchanged, flush=True)
"""
MANY = 200


def generated() -> list[RawDocument]:
    """Documents of a handful of passages each, the same every time."""
    pick = random.Random(1)
    items = []
    for i in range(MANY):
        sections = [
            f"## Part {n}\n\n" + " ".join(f"word{pick.randrange(999)}" for _ in range(90)) + "."
            for n in range(pick.randint(1, 6))
        ]
        items.append(raw(f"doc{i}.md", f"# Document {i}\n\n" + "\n\n".join(sections)))
    return items


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", INGEST, str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_killed_at_any_moment_nothing_committed_is_lost(tmp_path: Path) -> None:
    undisturbed = fake_knowledge(tmp_path / "undisturbed")
    ingest(undisturbed, generated(), PUBLIC)
    whole = contents(undisturbed.catalog)
    undisturbed.close()
    assert len(whole) == MANY

    pick = random.Random()
    folder = tmp_path / "killed"
    before: dict[str, tuple[str, list[str]]] = {}
    midway = 0
    for moment in (0.0, 0.2, 0.4):
        process = start(folder)
        time.sleep(moment + pick.random() * 0.15)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it was done before it could be killed"
        catalog = Catalog(RagConfig(data_dir=folder))
        after = contents(catalog)
        assert before.items() <= after.items(), "what was committed is gone"
        assert after.items() <= whole.items(), "a half document"
        assert len(after) == catalog.count()
        assert_whole(catalog)
        catalog.close()
        midway += 0 < len(after) < MANY
        before = after
    assert midway >= 2, f"no run was killed midway, {len(before)} of {MANY} are in"

    last = fake_knowledge(folder)
    report = ingest(last, generated(), PUBLIC)
    assert (len(report.added), report.unchanged) == (MANY - len(before), len(before))
    assert contents(last.catalog) == whole
    assert len(last.index) == last.catalog.count_chunks() == sum(len(t) for _, t in whole.values())
    assert_whole(last.catalog)
    last.close()


def test_another_process_sees_new_documents_without_reopening(tmp_path: Path) -> None:
    reader = fake_knowledge(tmp_path)
    assert texts(reader, "document") == []
    process = start(tmp_path)
    seen, started = 0, time.monotonic()
    waits: list[float] = []
    writer = Catalog(RagConfig(data_dir=tmp_path))
    while process.poll() is None and time.monotonic() - started < 60:
        committed = writer.count_chunks()
        began = time.monotonic()
        while len(reader.index) < committed:
            hits = retrieve(reader, "document word1", PUBLIC, 5)
            assert len(hits) == 5
            assert time.monotonic() - began < 30
        waits.append(time.monotonic() - began)
        seen = max(seen, committed)
        time.sleep(0.01)
    process.communicate()
    assert process.returncode == 0
    assert len({round(wait, 6) for wait in waits}) > 3
    assert seen > 0
    reader.refresh()
    assert len(reader.index) == reader.catalog.count_chunks() >= seen
    assert reader.catalog.count() == MANY
    writer.close()
    reader.close()


def test_two_ingests_of_one_folder_at_once(tmp_path: Path) -> None:
    processes = [start(tmp_path) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    catalog = Catalog(RagConfig(data_dir=tmp_path))
    assert catalog.count() == MANY
    assert_whole(catalog)
    catalog.close()


def test_a_full_disk_stops_it_with_a_reason_and_loses_nothing(tmp_path: Path) -> None:
    knowledge = fake_knowledge(tmp_path, 5)
    store(knowledge.catalog, new_document("old", ["kept from before"]))
    engine = knowledge.catalog.engine
    engine.dispose()
    with engine.connect() as connection:
        pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar() or 0)
    engine.dispose()
    limit = [pages + 150]  # what the disk has room for
    sa.event.listen(
        engine, "connect", lambda c, _: c.execute(f"PRAGMA max_page_count = {limit[0]}")
    )
    with pytest.raises(CatalogError, match=r"disk is full.*free disk space.*nothing committed"):
        ingest(knowledge, generated(), PUBLIC)
    assert_whole(knowledge.catalog)
    held = contents(knowledge.catalog)
    assert 1 < len(held) < MANY
    assert held["old"][1] == ["kept from before"]
    assert len(retrieve(knowledge, "document word1", PUBLIC, 5)) == 5, "and it still answers"
    engine.dispose()
    limit[0] = 10**6
    report = ingest(knowledge, generated(), PUBLIC)
    assert (report.unchanged, len(report.added)) == (len(held) - 1, MANY + 1 - len(held))
    assert held.items() <= contents(knowledge.catalog).items()
    assert_whole(knowledge.catalog)
    knowledge.close()
