"""What a parsing process is asked and answers, seen from the side that trusts nothing of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from itertools import pairwise
from typing import IO

from pydantic import BaseModel, ConfigDict

from rag.parsers.child import ANSWER, MAX_ANSWER, REQUEST
from rag.schema import ParsedDocument

_MOST_SIGNS = 10_000
"""Of progress before an answer: more than OCR reads pages."""


class Answer(BaseModel):
    """What a child says, checked as anything from outside."""

    model_config = ConfigDict(extra="forbid", strict=True)

    document: ParsedDocument | None = None
    refused: str = ""
    failed: str = ""
    trace: str = ""
    starved: bool = False
    retire: bool = False


def exchange(
    process: subprocess.Popen[bytes], data: bytes, name: str, on_progress: Callable[[], None]
) -> Answer:
    """Hand a document to a child and wait for what it says.

    Raises OSError or EOFError when the process dies, ValueError for an answer that is none.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    shown = name.encode("utf-8", "replace")
    for part in (REQUEST.pack(len(shown), len(data)) + shown, data):
        rest = memoryview(part)
        while rest:
            rest = rest[process.stdin.write(rest) :]
    for _ in range(_MOST_SIGNS):
        (size,) = ANSWER.unpack(_receive(process.stdout, ANSWER.size))
        if size:
            break
        on_progress()
    if not 0 < size <= MAX_ANSWER:
        raise ValueError(f"an answer of {size} bytes")
    answer = Answer.model_validate_json(_receive(process.stdout, size))
    if answer.document is not None:
        _check_offsets(answer.document)
    return answer


def _receive(pipe: IO[bytes], size: int) -> bytearray:
    buffer = bytearray(size)
    rest = memoryview(buffer)
    while rest:
        count = pipe.readinto(rest)  # type: ignore[attr-defined]
        if not count:
            raise EOFError("the process ended")
        rest = rest[count:]
    return buffer


def _check_offsets(document: ParsedDocument) -> None:
    for offsets in (document.page_starts, [at for at, _ in document.headings or ()]):
        inside = not offsets or 0 <= offsets[0] <= offsets[-1] <= len(document.text)
        if not inside or any(a > b for a, b in pairwise(offsets)):
            raise ValueError("offsets that do not rise within the text")
