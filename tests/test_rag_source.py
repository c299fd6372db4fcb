"""Files and folders as a source: what comes out, in which order, and why something does not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.errors import SourceError
from rag.schema import Failure, RawDocument
from rag.source import Source, within
from rag.sources.files import FileSource

LIMIT = 1000
NOBODY = 65534


def run(*paths: Path, limit: int = LIMIT) -> tuple[list[RawDocument], list[Failure]]:
    source: Source = FileSource(paths, max_bytes=limit)
    out = list(source.documents())
    found = [item for item in out if isinstance(item, RawDocument)]
    return found, [item for item in out if isinstance(item, Failure)]


def only_failure(*paths: Path, limit: int = LIMIT) -> Failure:
    found, failed = run(*paths, limit=limit)
    assert found == []
    assert len(failed) == 1
    return failed[0]


def put(path: Path, text: str = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    for name in ("b.md", "a/z.txt", "a/b/c.PDF", "c d/ü.html", "a.docx"):
        put(tmp_path / "docs" / name)
    return tmp_path / "docs"


def test_walks_a_folder_sorted_and_names_relative_to_it(docs: Path) -> None:
    found, failed = run(docs)
    assert [d.name for d in found] == ["a/b/c.PDF", "a/z.txt", "a.docx", "b.md", "c d/ü.html"]
    assert failed == []
    assert found[4].uri == docs.as_uri() + "/c%20d/%C3%BC.html"
    assert found[0].load() == b"text"
    assert found[0].modified is not None
    assert found[0].modified.tzinfo is not None
    assert [d.uri for d in run(docs)[0]] == [d.uri for d in found]


def test_is_lazy(docs: Path) -> None:
    documents = FileSource([docs], max_bytes=LIMIT).documents()
    assert isinstance(documents, Iterator)
    next(documents)
    (docs / "b.md").unlink()
    put(docs / "c d" / "x.md")
    names = [item.name for item in documents]
    assert names == ["a/z.txt", "a.docx", "b.md", "c d/x.md", "c d/ü.html"]


def test_skips_hidden_unsupported_and_lock_files(docs: Path) -> None:
    for name in (".secret.md", ".git/x.md", "photo.jpg", "~$a.docx", "noext"):
        put(docs / name)
    assert len(run(docs)[0]) == 5
    assert run(docs)[1] == []


def test_a_relative_path_and_a_dotted_path_are_resolved(
    docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(docs)
    assert run(Path("."))[0][3].uri == (docs / "b.md").as_uri()
    assert run(Path("a/../b.md"))[0][0].name == "b.md"
    assert FileSource([Path("a")], max_bytes=1).roots() == ((docs / "a").as_uri() + "/",)


def test_a_file_named_directly_goes_by_its_file_name(docs: Path) -> None:
    found, _ = run(docs / "a" / "z.txt", put(docs / ".hidden.md"))
    assert [d.name for d in found] == ["z.txt", ".hidden.md"]


def test_the_same_real_file_comes_once(docs: Path) -> None:
    (docs / "0link.md").symlink_to(docs / "b.md")
    found, failed = run(docs / "a", docs, docs / "b.md", docs)
    assert [d.name for d in found] == ["b/c.PDF", "z.txt", "b.md", "a.docx", "c d/ü.html"]
    assert failed == []


def test_a_named_file_of_an_unsupported_kind_fails_with_the_list(docs: Path) -> None:
    failure = only_failure(put(docs / "x.exe"))
    assert failure.reason.startswith("'.exe' files are not supported; supported: .adoc, .asciidoc")
    assert "without a suffix" in only_failure(put(docs / "noext")).reason


def test_a_missing_path_fails(tmp_path: Path) -> None:
    failure = only_failure(tmp_path / "gone")
    assert failure == Failure(
        (tmp_path / "gone").as_uri(), str(tmp_path / "gone"), "does not exist (moved or deleted?)"
    )


def test_an_impossible_path_fails() -> None:
    assert only_failure(Path("a\0b")).reason == "is not a valid path"
    assert "too long" in only_failure(Path("x" * 5000)).reason
    assert FileSource([Path("a\0b")], max_bytes=1).roots() == ()


def test_too_large_names_size_limit_and_key(docs: Path) -> None:
    big = put(docs / "big.md", "x" * (3 * 1024 * 1024))
    failure = only_failure(big, limit=2 * 1024 * 1024)
    assert failure.reason.startswith("file is 3 MB, over the limit of 2 MB")
    assert "ingest.max_file_mb" in failure.reason
    exact = put(docs / "exact.md", "x" * LIMIT)
    assert run(exact)[0][0].load() == b"x" * LIMIT
    assert "file is 0.1 MB" in only_failure(put(docs / "over.md", "x" * (LIMIT + 1))).reason


def test_an_empty_file_fails(docs: Path) -> None:
    assert only_failure(put(docs / "empty.md", "")).reason == "file is empty"


def test_links_that_break_loop_or_lead_out(docs: Path, tmp_path: Path) -> None:
    outside = put(tmp_path / "docs2" / "o.md")
    (docs / "broken").symlink_to("nowhere.md")
    (docs / "loop1.md").symlink_to("loop2.md")
    (docs / "loop2.md").symlink_to("loop1.md")
    (docs / "out.md").symlink_to(outside)
    (docs / "outdir").symlink_to(outside.parent)
    (docs / "out.bin").symlink_to(put(tmp_path / "x.bin"))
    (docs / "a" / "up").symlink_to(docs)
    found, failed = run(docs)
    assert len(found) == 5
    reasons = {failure.name: failure.reason for failure in failed}
    assert set(reasons) == {"broken", "loop1.md", "loop2.md", "out.md", "outdir", "a/up"}
    assert "broken symbolic link to nowhere.md" in reasons["broken"]
    assert "leads back to itself" in reasons["loop1.md"]
    assert "outside the folder" in reasons["out.md"]
    assert str(outside) in reasons["out.md"]
    assert "outside the folder" in reasons["outdir"]
    assert "loop" in reasons["a/up"]
    assert failed[0].uri == (docs / "a" / "up").as_uri()


def test_a_link_within_the_folder_yields_its_target_under_its_real_name(docs: Path) -> None:
    put(docs / ".versions" / "v2" / "x.md")
    (docs / "current").symlink_to(docs / ".versions" / "v2")
    found, failed = run(docs)
    assert [d.name for d in found if "x.md" in d.name] == [".versions/v2/x.md"]
    assert failed == []


def test_a_linked_root_is_followed(docs: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(docs)
    (tmp_path / "dead").symlink_to("nothing")
    assert run(tmp_path / "link")[0][3].uri == (docs / "b.md").as_uri()
    assert "broken symbolic link" in only_failure(tmp_path / "dead").reason


def test_pipes_sockets_and_devices_fail(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(docs / "pipe.md")
    monkeypatch.chdir(docs)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock.txt")
        failed = run(docs)[1]
    assert {f.name: f.reason for f in failed} == {
        "pipe.md": "is a named pipe, not a file",
        "sock.txt": "is a socket, not a file",
    }
    assert only_failure(Path("/dev/null")).reason == "is a device, not a file"


def test_load_reports_what_happened_since_the_walk(docs: Path) -> None:
    gone, grown, swapped, emptied, dir_now = run(docs)[0]
    (docs / gone.name).unlink()
    put(docs / grown.name, "x" * 2000)
    (docs / swapped.name).unlink()
    (docs / swapped.name).symlink_to("/etc/hostname")
    put(docs / emptied.name, "")
    (docs / dir_now.name).unlink()
    os.mkfifo(docs / dir_now.name)
    for document, reason in (
        (gone, "does not exist"),
        (grown, "ingest.max_file_mb"),
        (swapped, "symbolic link"),
        (emptied, "empty"),
        (dir_now, "named pipe"),
    ):
        with pytest.raises(SourceError, match=reason):
            document.load()


def test_a_name_that_is_no_utf8_is_shown_but_keeps_its_identity(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md")).write_text("x")
    (document,) = run(tmp_path)[0]
    assert document.name == "caf\ufffd.md"
    assert document.uri.endswith("/caf%E9.md")
    assert document.load() == b"x"


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file 1000 folders down, taken away again here: rmtree recurses and would give up on it."""
    monkeypatch.chdir(tmp_path)
    for _ in range(1000):
        os.mkdir("d")
        os.chdir("d")
    Path("x.md").write_text("x")
    os.chdir(tmp_path)
    yield tmp_path
    subprocess.run(["rm", "-rf", "--", tmp_path / "d"], check=True)


def test_a_deep_folder_does_not_exhaust_the_stack(deep: Path) -> None:
    (document,) = run(deep)[0]
    assert document.name == "d/" * 1000 + "x.md"


def test_roots(docs: Path, tmp_path: Path) -> None:
    source = FileSource([docs, docs / "b.md", tmp_path / "gone", docs], max_bytes=LIMIT)
    assert source.roots() == (docs.as_uri() + "/", (docs / "b.md").as_uri())


def test_within() -> None:
    assert within("file:///a/b.md", "file:///a/")
    assert within("file:///a/b.md", "file:///a")
    assert within("file:///a", "file:///a")
    assert not within("file:///ab/c.md", "file:///a")
    assert within("file:///x", "file:///")


WALK_AS_NOBODY = """
import os, sys
from pathlib import Path
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
from rag.schema import Failure
from rag.sources.files import FileSource
for item in FileSource([Path(p) for p in sys.argv[1:]], max_bytes=1000).documents():
    reason = item.reason if isinstance(item, Failure) else "ok"
    print(item.uri, item.name, reason, sep="|")
"""


def walk_unprivileged(*paths: Path) -> list[list[str]]:
    """What a walk gives to a user without special rights: root reads whatever its mode is."""
    if os.geteuid() != 0:
        found, failed = run(*paths)
        return [[d.uri, d.name, "ok"] for d in found] + [[f.uri, f.name, f.reason] for f in failed]
    script = WALK_AS_NOBODY.format(uid=NOBODY)
    # Imports come before the rights are given up: the interpreter may lie where only root reads.
    script = "import rag.sources.files, rag.schema\n" + script
    command = [sys.executable, "-c", script, *map(str, paths)]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split("|") for line in done.stdout.splitlines()]


@pytest.fixture
def open_docs() -> Iterator[Path]:
    """A folder that every user of the machine can reach, as pytest's own folders are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for name in ("b.md", "a/b/c.PDF", "a/z.txt", "a.docx", "c.html"):
            put(Path(folder) / "docs" / name)
        yield Path(folder).resolve() / "docs"


def test_an_unreadable_folder_fails_with_the_folders_uri(open_docs: Path) -> None:
    (open_docs / "a").chmod(0o000)
    try:
        out = walk_unprivileged(open_docs)
        named = walk_unprivileged(open_docs / "a")
    finally:
        (open_docs / "a").chmod(0o755)
    failed = [line for line in out if line[2] != "ok"]
    assert len(out) == 4
    assert failed == [[(open_docs / "a").as_uri() + "/", "a/", failed[0][2]]]
    assert failed[0][2].startswith("folder cannot be listed: permission denied")
    assert within((open_docs / "a" / "b" / "c.PDF").as_uri(), failed[0][0])
    assert [line[:2] for line in named] == [[(open_docs / "a").as_uri() + "/", "./"]]


def test_an_unreadable_file_fails(open_docs: Path) -> None:
    (open_docs / "b.md").chmod(0o000)
    failed = [line for line in walk_unprivileged(open_docs) if line[2] != "ok"]
    assert [line[1] for line in failed] == ["b.md"]
    assert failed[0][2].startswith("permission denied: give the user")


def test_a_folder_that_may_be_listed_but_not_entered_fails_as_a_whole(open_docs: Path) -> None:
    (open_docs / "a").chmod(0o444)
    try:
        failed = [line for line in walk_unprivileged(open_docs) if line[2] != "ok"]
    finally:
        (open_docs / "a").chmod(0o755)
    assert [line[1] for line in failed] == ["a/"], "its .vsage.yaml might restrict what is below"
    assert ".vsage.yaml cannot be read" in failed[0][2]
