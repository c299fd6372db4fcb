"""The process that parses, started by `rag/parsers/worker.py`.

    python -m rag.parsers.child MEMORY_MB TIMEOUT_S ocr|text

Requests come on standard input, answers go to what was standard output at the start; the libraries
get /dev/null for both, and for standard error once the imports have worked. Imports little, as
every death of a parser is followed by a start.

Not a true sandbox: limits hold off accidents and greedy documents, but a document that takes over
a C library acts with the rights of the user that runs vSage (without the secrets in its
environment), until its process is replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from dataclasses import asdict
from io import BufferedReader, BufferedWriter
from struct import Struct
from typing import Any

from rag.errors import ParseError
from rag.parse import parse

REQUEST = Struct(">IQ")
"""Bytes of the name, bytes of the document; both follow."""
ANSWER = Struct(">Q")
"""Bytes of the JSON that follows: one key of `document`, `refused`, `failed` or `starved`, and
`retire` where the process should be replaced. 0 is no answer yet, but a sign of progress."""
MAX_ANSWER = 512 * 1024 * 1024
"""Bytes."""

STARVED = 77
"""Exit status where not even the request or the answer fitted into memory."""

_MB = 1024 * 1024
_PR_SET_PDEATHSIG = 1
_GRACE_S = 5
"""How much later than its parent the process ends itself, should the parent be gone."""


def main(memory_mb: int, timeout_s: float, ocr: bool) -> None:
    """Answer until standard input ends."""
    requests, answers = _take_streams()
    _die_with_parent()
    _limit(memory_mb)
    if ocr:
        _report_pages(answers, timeout_s)
    while request := _read(requests):
        _set_alarm(timeout_s + _GRACE_S)
        answer = _answer(*request, ocr)
        _set_alarm(0)
        answer["retire"] = "starved" in answer or _resident_mb() > memory_mb / 4
        _write(answers, answer)


def _take_streams() -> tuple[BufferedReader, BufferedWriter]:
    """The two pipes, where no library can read or write by mistake."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)
    return requests, answers


def _die_with_parent() -> None:
    """Interrupts are the parent's to handle. The end of standard input ends an idle process, a
    signal from the kernel (Linux) one that is busy, and elsewhere its own alarm."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # Where the whole machine runs out of memory, a parser is the one to go.
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("800")


def _limit(memory_mb: int) -> None:
    """Bound what the process may allocate; mapped libraries do not count. Not on Windows."""
    try:
        import resource
    except ImportError:
        return
    # macOS knows the limits but does not enforce the first.
    for name, wanted in ((resource.RLIMIT_DATA, memory_mb * _MB), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(name)
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(name, (limit, limit))


def _read(requests: BufferedReader) -> tuple[str, bytes] | None:
    head = requests.read(REQUEST.size)
    if len(head) < REQUEST.size:
        return None
    name_bytes, size = REQUEST.unpack(head)
    name, data = requests.read(name_bytes), requests.read(size)
    return (name.decode("utf-8", "replace"), data) if len(data) == size else None


def _answer(name: str, data: bytes, ocr: bool) -> dict[str, Any]:
    try:
        return {"document": asdict(parse(data, name, ocr=ocr))}
    except Exception as error:
        if _is_starved(error):
            return {"starved": True}
        if isinstance(error, ParseError):
            return {"refused": str(error)}
        # A parser library's own bug.
        shown = f"{type(error).__name__}: {error}"[:1000]
        return {"failed": shown, "trace": traceback.format_exc()[-10_000:]}


def _is_starved(error: BaseException | None) -> bool:
    """Whether memory ran out, also where a parser took that for a damaged document."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _write(answers: BufferedWriter, answer: dict[str, Any]) -> None:
    payload = json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")
    if len(payload) > MAX_ANSWER:
        limit = f"holds more than {MAX_ANSWER // _MB} MB of text: split it into smaller documents"
        payload = json.dumps({"refused": limit, "retire": True}).encode()
    answers.write(ANSWER.pack(len(payload)))
    answers.write(payload)
    answers.flush()


def _report_pages(answers: BufferedWriter, timeout_s: float) -> None:
    """Let the time count from the last page that OCR read: a long scan is no hang."""
    from rag.parsers.pdf.ocr import watch

    def report() -> None:
        answers.write(ANSWER.pack(0))
        answers.flush()
        _set_alarm(timeout_s + _GRACE_S)

    watch(report)


def _set_alarm(seconds: float) -> None:
    """Ends the process whatever it is doing, unless set to 0 in time. Not on Windows."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _resident_mb() -> float:
    """What the process holds now (0 where unknown); the peak would count its parent's, too."""
    try:
        with open("/proc/self/statm", "rb") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / _MB


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "ocr")
    except MemoryError:
        sys.exit(STARVED)
