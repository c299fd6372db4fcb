"""Parsing in processes of its own: a document that hangs, crashes or devours memory costs itself.

The pool's threads hand documents to long-lived children (`rag/parsers/child.py`) over pipes and
check what comes back as they would anything from outside. A child that fails is replaced.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from rag.errors import ParseError
from rag.parsers.answer import exchange
from rag.parsers.child import STARVED
from rag.schema import ParsedDocument

log = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[2]
_ENVIRONMENT = frozenset(
    "PATH HOME LANG LC_ALL LC_CTYPE TZ TMPDIR TEMP TMP SYSTEMROOT VIRTUAL_ENV PYTHONHOME "
    "PYTHONPATH PYTHONDONTWRITEBYTECODE LD_LIBRARY_PATH DYLD_LIBRARY_PATH OMP_NUM_THREADS".split()
)
"""What a child gets of the parent's environment: no keys, no passwords."""


_CLOSED = "was not parsed: the parsers were closed before it was its turn; ingest it again"


class ParserDied(ParseError):
    """A document that its parser did not survive: it hung, ran out of memory or crashed."""


class ParserPool:
    """Parses in `workers` processes side by side. Usable from several threads.

    `submit` takes any number of documents and holds them in memory until their turn comes: bound
    what is in flight. `timeout_s` and `memory_mb` hold for each document.
    """

    def __init__(self, workers: int, timeout_s: float, memory_mb: int, ocr: bool = False) -> None:
        self._children = [_Child(timeout_s, memory_mb, ocr) for _ in range(workers)]
        self._idle: queue.LifoQueue[_Child] = queue.LifoQueue()  # the last used is warm
        for child in self._children:
            self._idle.put(child)
        # The threads live as long as the pool: Linux ends a child with the thread that started it.
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="parser")

    def submit(self, data: bytes, name: str) -> Future[ParsedDocument]:
        """The document as `rag.parse.parse` gives it; ParseError for its verdict, ParserDied."""
        return self._threads.submit(self._parse, data, name)

    def close(self) -> None:
        """End the children, busy ones too: their documents get a ParseError, waiting ones a
        CancelledError."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for child in self._children:
            child.kill()
        self._threads.shutdown()
        for child in self._children:
            child.end()

    def __enter__(self) -> ParserPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _parse(self, data: bytes, name: str) -> ParsedDocument:
        child = self._idle.get()
        try:
            return child.parse(data, name)
        finally:
            self._idle.put(child)


class _Crashed(ParserDied):
    """The process ended by itself, or ran out of memory."""


class _Child:
    """One process, started when first needed and again after each death. One caller at a time."""

    def __init__(self, timeout_s: float, memory_mb: int, ocr: bool) -> None:
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb
        self._ocr = ocr
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()
        """Held while a process is started or ended, so that none starts behind `kill`."""

    def parse(self, data: bytes, name: str) -> ParsedDocument:
        """A crash of a process that parsed other documents before is tried again in a new one:
        the fault may have been an earlier document's."""
        used = self._process is not None
        try:
            return self._parse_once(data, name)
        except _Crashed:
            if not used:
                raise
            return self._parse_once(data, name)

    def kill(self) -> None:
        """For good. From any thread; a call under way ends with a ParseError."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                _kill(self._process)

    def end(self) -> int:
        """Kill what still runs and reap it; the exit status. Not while a call is under way."""
        with self._lock:
            process, self._process = self._process, None
            return _reap(process) if process is not None else 0

    def _parse_once(self, data: bytes, name: str) -> ParsedDocument:
        process = self._started()
        watch = _Watch(process, self._timeout_s)
        answer, wrong = None, ""
        try:
            answer = exchange(process, data, name, watch.restart)
        except (OSError, EOFError):
            pass  # it died: the exit status says how
        except ValueError as error:
            wrong = str(error)
        finally:
            watch.stop()
        if answer is None:
            raise self._verdict(self.end(), watch.late, wrong)
        if answer.retire or watch.late:
            self.end()
        if answer.starved:
            raise _Crashed(self._starved())
        if answer.document is None:
            if answer.failed:
                log.warning("parsing %s failed\n%s", name, answer.trace)
            raise ParseError(answer.refused or f"the parser failed: {answer.failed}")
        return answer.document

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "rag.parsers.child", str(self._memory_mb)]
        command += [str(self._timeout_s), "ocr" if self._ocr else "text"]
        with self._lock:
            if self._closed:
                raise ParseError(_CLOSED)
            if self._process is None:
                try:
                    self._process = subprocess.Popen(
                        command,
                        bufsize=0,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        cwd=_ROOT,
                        env={key: os.environ[key] for key in _ENVIRONMENT if key in os.environ},
                        start_new_session=True,  # a group to kill, and no interrupts from keys
                    )
                except OSError as error:
                    raise ParseError(f"no process could be started to parse it: {error}") from error
            return self._process

    def _verdict(self, status: int, late: bool, wrong: str) -> ParseError:
        """Why a process gave no answer."""
        if late:
            return ParserDied(
                f"took longer than {self._timeout_s:g} s to parse: raise ingest.parse_timeout_s, "
                "or split it into smaller documents"
            )
        if self._closed:
            return ParseError(_CLOSED)
        if wrong:
            log.warning("a parser gave an answer that is none: %s", wrong[:1000])
            return _Crashed("its parser gave no usable answer: save it anew, or in another format")
        if status == STARVED:
            return _Crashed(self._starved())
        if status >= 0:  # a Python error outside of parsing: the installation, not the document
            return ParseError(
                f"the parser process does not run (exit status {status}): run `make setup` again; "
                "standard error says more"
            )
        return _Crashed(
            f"crashed its parser ({_signal_name(-status)}): open it in a viewer and save or print "
            f"it anew; if it needs more than {self._memory_mb} MB of memory, raise "
            "ingest.parse_memory_mb"
        )

    def _starved(self) -> str:
        return (
            f"needs more than {self._memory_mb} MB of memory to parse: raise "
            "ingest.parse_memory_mb, or split it into smaller documents"
        )


class _Watch:
    """Kills a process that shows no progress for `timeout_s`, unless stopped in time."""

    def __init__(self, process: subprocess.Popen[bytes], timeout_s: float) -> None:
        self.late = False
        self._process = process
        self._timeout_s = timeout_s
        self._timer: threading.Timer | None = None
        self.restart()

    def restart(self) -> None:
        self.stop()
        self._timer = threading.Timer(self._timeout_s, self._expire)
        self._timer.start()

    def stop(self) -> None:
        """From here on it kills nobody."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    def _expire(self) -> None:
        self.late = True
        _kill(self._process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The whole group, before its leader is reaped: until then nobody else can get its number."""
    if process.returncode is not None:
        return
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _reap(process: subprocess.Popen[bytes]) -> int:
    """The exit status: of a process that was ending by itself, its own and not our signal's."""
    _kill(process)
    for pipe in (process.stdin, process.stdout):  # which ends one that may not be killed
        if pipe is not None:
            pipe.close()
    return process.wait()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
