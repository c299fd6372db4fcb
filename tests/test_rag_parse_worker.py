"""Parsing in other processes: one bad document costs itself, whatever it does to its parser.

The misbehaviour is real: a `sitecustomize` module, which only the children load, makes the Markdown
parser do what the document says.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from rag.errors import ParseError
from rag.parse import parse
from rag.parsers.worker import ParserDied, ParserPool

ROOT = Path(__file__).parent.parent
LINUX = sys.platform == "linux"
PARENT = """
import sys
from rag.parsers.worker import ParserPool
with ParserPool(2, timeout_s=60, memory_mb=512) as pool:
    for path in sys.argv[1:]:
        pool.submit(f"HANG {path}".encode(), "a.md")
    sys.stdin.read()
"""
SITE = """
import ctypes, fcntl, os, re, signal, stat, struct, subprocess, sys, time
import rag.parsers.text
from rag.errors import ParseError

real = rag.parsers.text.parse_markdown

def parse_markdown(data):
    words = data[:4096].decode("latin-1").split()
    act = ACTS.get(words[0]) if words else None
    said = act(*words[1:]) if act else None
    return real(data if said is None else said.encode())

def hang(path=None):
    if path:
        with open(path + ".new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(path + ".new", path)
    time.sleep(1000)

def spin():
    re.match(r"(a+)+$", "a" * 64 + "b")  # holds the interpreter's lock

def segfault():
    ctypes.string_at(0)

def eat():
    hoard = []
    while True:
        hoard.append(bytes(16 << 20))

def eat_and_call_it_damaged():
    try:
        eat()
    except Exception as error:
        raise ParseError("is damaged") from error

hoard = []

def grow(megabytes):
    hoard.append(bytes([1]) * (int(megabytes) << 20))
    return f"pid {os.getpid()}"

def noise():
    for number in (1, 2):
        os.write(number, b"warning: noise from a library\\n" * 5000)
    print("more noise", flush=True)
    return f"read {sys.stdin.read(10)!r} {os.read(0, 10)!r}"

def garbage(kind):
    junk = {"json": b"{", "keys": b'{"danger": 1}', "types": b'{"refused": 7}', "none": b"{}"}
    offsets = b'{"document": {"title": "t", "text": "x", "media_type": "m", "page_starts": [9]}}'
    payload = (junk | {"offsets": offsets}).get(kind, b"")
    size = 1 << 60 if kind == "size" else len(payload)
    for number in range(3, 30):
        try:
            os.write(number, struct.pack(">Q", size) + payload)
        except OSError:
            pass
    time.sleep(1000)

def signs(count):
    (answers,) = [n for n in range(3, 30) if is_pipe(n) and fcntl.fcntl(n, fcntl.F_GETFL) & 1]
    for _ in range(int(count)):
        time.sleep(0.2)
        os.write(answers, bytes(8))
    return "done" if count != "3" else hang()

def is_pipe(number):
    try:
        return stat.S_ISFIFO(os.fstat(number).st_mode)
    except OSError:
        return False

def descriptors():
    shown = []
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            shown.append(os.readlink(f"/proc/self/fd/{number}").partition(":")[0])
        except OSError:
            pass
    return " ".join(sorted(shown))

def lonely(path):
    subprocess.Popen(["sleep", "1000"])
    hang(path)

def interrupted():
    os.kill(os.getpid(), signal.SIGINT)
    return "unmoved"

def poison():
    for name in ACTS:
        ACTS[name] = os.abort
    return "the next one dies"

def bug():
    return {}["missing"]

ACTS = {
    "HANG": hang, "SPIN": spin, "SEGFAULT": segfault, "ABORT": os.abort, "EAT": eat,
    "EXIT": lambda: os._exit(0), "BLAME": eat_and_call_it_damaged, "GROW": grow,
    "NOISE": noise, "GARBAGE": garbage, "FILES": descriptors, "GROUP": lonely, "BUG": bug,
    "SIGNS": signs,
    "INTERRUPT": interrupted, "PID": lambda: f"pid {os.getpid()}", "POISON": poison,
    "ENV": lambda: " ".join(sorted(os.environ)),
    "MODULES": lambda: " ".join(sorted(sys.modules)),
}
rag.parsers.text.parse_markdown = parse_markdown
"""


@pytest.fixture(scope="module", autouse=True)
def _misbehaving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(SITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")
        patch.setenv("SECRET_API_KEY", "not for parsers")
        yield


@pytest.fixture(scope="module")
def pool() -> Iterator[ParserPool]:
    with ParserPool(1, timeout_s=60, memory_mb=400) as opened:
        yield opened


@pytest.fixture(scope="module")
def hasty() -> Iterator[ParserPool]:
    with ParserPool(1, timeout_s=0.7, memory_mb=400) as opened:
        yield opened


def text(pool: ParserPool, says: str) -> str:
    return pool.submit(says.encode(), "a.md").result(60).text


def reason(pool: ParserPool, says: str, kind: type[ParseError] = ParserDied) -> str:
    with pytest.raises(kind) as caught:
        text(pool, says)
    assert isinstance(caught.value, kind)
    return str(caught.value)


def pid(pool: ParserPool) -> int:
    return int(text(pool, "PID").removeprefix("pid "))


def wait_for(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def is_gone(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"


def test_it_gives_what_parse_gives(pool: ParserPool) -> None:
    page = "<title>Größe 🚀</title><h1>Kopf</h1><p>Text &amp; <b>mehr</b></p>".encode()
    assert pool.submit(page, "ops/a.html").result() == parse(page, "ops/a.html")
    western = "Größe".encode("cp1252")
    found = pool.submit(western, "a.txt").result()
    assert found == parse(western, "a.txt")
    assert found.warnings == ("decoded as windows-1252",)
    assert found.headings is None


def test_the_parsers_own_verdict_is_no_death(pool: ParserPool) -> None:
    before = pid(pool)
    with pytest.raises(ParseError, match=r"'\.exe' files are not supported") as caught:
        pool.submit(b"x", "a.exe").result()
    assert not isinstance(caught.value, ParserDied)
    with pytest.raises(ParseError, match="file is empty"):
        pool.submit(b"", "a.md").result()
    assert pid(pool) == before


def test_a_parsers_bug_is_told_and_logged(
    pool: ParserPool, caplog: pytest.LogCaptureFixture
) -> None:
    before = pid(pool)
    assert reason(pool, "BUG", ParseError) == "the parser failed: KeyError: 'missing'"
    assert 'return {}["missing"]' in caplog.text
    assert pid(pool) == before


@pytest.mark.parametrize("says", ["HANG", "SPIN"])
def test_a_hanging_document_is_ended(hasty: ParserPool, says: str) -> None:
    started = time.monotonic()
    said = reason(hasty, says)
    assert time.monotonic() - started < 60
    assert said.startswith("took longer than 0.7 s to parse: raise ingest.parse_timeout_s")
    assert text(hasty, "after") == "after"


def test_time_counts_from_the_last_sign_of_progress(hasty: ParserPool) -> None:
    assert text(hasty, "SIGNS 6") == "done"
    assert reason(hasty, "SIGNS 3").startswith("took longer than 0.7 s")


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("says", "name"), [("SEGFAULT", "SIGSEGV"), ("ABORT", "SIGABRT")])
def test_a_crash_names_the_signal(pool: ParserPool, says: str, name: str) -> None:
    assert reason(pool, says).startswith(f"crashed its parser ({name}): open it in a viewer")
    assert text(pool, "after") == "after"


@pytest.mark.skipif(not LINUX, reason="the memory limit is enforced on Linux only")
@pytest.mark.parametrize("says", ["EAT", "BLAME"])
def test_a_greedy_document_meets_the_limit(pool: ParserPool, says: str) -> None:
    assert reason(pool, says).startswith(
        "needs more than 400 MB of memory to parse: raise ingest.parse_memory_mb"
    )
    assert text(pool, "after") == "after"


@pytest.mark.skipif(not LINUX, reason="the memory limit is enforced on Linux only")
def test_a_document_larger_than_the_limit() -> None:
    with (
        ParserPool(1, timeout_s=60, memory_mb=256) as small,
        pytest.raises(ParserDied, match="needs more than 256 MB"),
    ):
        small.submit(bytes(300 << 20), "a.md").result()


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_a_process_that_grew_is_replaced() -> None:
    large_parent = bytes([1]) * (200 << 20)
    with ParserPool(1, timeout_s=60, memory_mb=400) as fresh:
        before = pid(fresh)
        assert pid(fresh) == before
        assert text(fresh, "GROW 20") == f"pid {before}"
        assert text(fresh, "GROW 200") == f"pid {before}"
        assert pid(fresh) != before
    del large_parent


def test_a_process_that_exits_is_the_installations_fault(pool: ParserPool) -> None:
    said = reason(pool, "EXIT", ParseError)
    assert said.startswith("the parser process does not run (exit status 0): run `make setup`")
    assert text(pool, "after") == "after"


def test_a_process_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with ParserPool(1, timeout_s=60, memory_mb=400) as broken:
        monkeypatch.setattr(sys, "executable", "/no/such/python")
        assert "no process could be started" in reason(broken, "x", ParseError)
        monkeypatch.undo()
        assert text(broken, "x") == "x"


@pytest.mark.parametrize("kind", ["json", "keys", "types", "offsets", "size"])
def test_answers_are_not_trusted(pool: ParserPool, kind: str) -> None:
    assert reason(pool, f"GARBAGE {kind}").startswith("its parser gave no usable answer")
    assert text(pool, "after") == "after"


def test_noise_of_libraries_does_not_reach_the_answers(
    pool: ParserPool, capfd: pytest.CaptureFixture[str]
) -> None:
    assert text(pool, "NOISE") == "read '' b''"
    assert text(pool, "after") == "after"
    assert capfd.readouterr() == ("", "")


def test_an_earlier_documents_fault_is_not_the_next_ones(pool: ParserPool) -> None:
    before = pid(pool)
    assert text(pool, "POISON") == "the next one dies"
    assert pid(pool) != before


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_child_that_was_killed_while_idle_costs_no_document(pool: ParserPool) -> None:
    os.kill(pid(pool), signal.SIGKILL)
    assert text(pool, "after") == "after"


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_what_a_child_inherits(pool: ParserPool) -> None:
    leaked = os.open(ROOT / "Makefile", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        with ParserPool(1, timeout_s=60, memory_mb=400) as fresh:
            found = text(fresh, "FILES").split()
    finally:
        os.close(leaked)
    assert found == ["/dev/null", "/dev/null", "/dev/null", "pipe", "pipe"]
    names = text(pool, "ENV").split()
    assert "SECRET_API_KEY" not in names
    assert "PATH" in names


def test_a_child_imports_little(pool: ParserPool) -> None:
    with ParserPool(1, timeout_s=60, memory_mb=400) as fresh:
        loaded = set(text(fresh, "MODULES").split())
    assert "rag.parse" in loaded
    assert not loaded & {"torch", "faiss", "numpy", "pydantic", "pypdfium2", "lxml", "sqlalchemy"}


def test_interrupts_are_the_parents_business(pool: ParserPool) -> None:
    assert text(pool, "INTERRUPT") == "unmoved"


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_a_timeout_ends_the_whole_process_group(hasty: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    future = hasty.submit(f"GROUP {path}".encode(), "a.md")
    wait_for(path.exists)
    leader = int(path.read_text())
    members = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and os.getpgid(int(entry.name)) == leader
    ]
    assert len(members) == 2
    with pytest.raises(ParserDied, match="took longer"):
        future.result()
    wait_for(lambda: all(map(is_gone, members)))


def test_large_documents_pass() -> None:
    line = b"Before a host enters maintenance mode, its machines move away. \xe2\x9c\x93\n"
    data = line * ((100 << 20) // len(line))
    with ParserPool(1, timeout_s=120, memory_mb=2048) as opened:
        found = opened.submit(data, "a.log").result()
    assert len(found.text.encode()) == len(data)
    assert found.text.startswith(line.decode() * 2)
    assert found.text.endswith(line.decode())


def test_workers_parse_side_by_side_and_a_hang_holds_up_nobody_else(tmp_path: Path) -> None:
    with ParserPool(2, timeout_s=60, memory_mb=400) as opened:
        path = tmp_path / "pid"
        stuck = opened.submit(f"HANG {path}".encode(), "a.md")
        wait_for(path.exists)
        results = [opened.submit(f"number {n}".encode(), "a.md") for n in range(50)]
        assert [each.result(20).text for each in results] == [f"number {n}" for n in range(50)]
        assert not stuck.done()


def test_closing_ends_what_runs_and_what_waits(tmp_path: Path) -> None:
    opened = ParserPool(1, timeout_s=60, memory_mb=400)
    path = tmp_path / "pid"
    running = opened.submit(f"HANG {path}".encode(), "a.md")
    waiting = opened.submit(b"x", "a.md")
    wait_for(path.exists)
    started = time.monotonic()
    opened.close()
    assert time.monotonic() - started < 60
    with pytest.raises(ParseError, match="were closed") as caught:
        running.result(0)
    assert not isinstance(caught.value, ParserDied)
    with pytest.raises(CancelledError):
        waiting.result(0)
    with pytest.raises(RuntimeError):
        opened.submit(b"x", "a.md")
    opened.close()
    if LINUX:
        assert is_gone(int(path.read_text()))


def test_a_pool_that_parsed_nothing_started_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with ParserPool(4, timeout_s=60, memory_mb=400):
        pass


def test_many_threads_share_a_pool(pool: ParserPool) -> None:
    found: list[bool] = []

    def work(number: int) -> None:
        found.extend(text(pool, f"text {number} {n}") == f"text {number} {n}" for n in range(20))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 100


@pytest.mark.skipif(not LINUX, reason="reads /proc; elsewhere a busy child ends by its alarm")
def test_children_go_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    command = [sys.executable, "-c", PARENT, *map(str, paths)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, text=True) as parent:
        wait_for(lambda: all(path.exists() for path in paths))
        parent.kill()
    children = [int(path.read_text()) for path in paths]
    wait_for(lambda: all(map(is_gone, children)))


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupted_command_prints_no_child_traceback(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    command = [sys.executable, "-c", PARENT, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, stdin=pipe, stderr=pipe, text=True, start_new_session=True
    ) as parent:
        wait_for(path.exists)
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.stderr is not None
        said = parent.stderr.read()
    assert said.count("Traceback") == 1
    assert said.rstrip().endswith("KeyboardInterrupt")
    if LINUX:
        assert is_gone(int(path.read_text()))
