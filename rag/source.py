"""Where documents come from: a source names each document and can load its bytes.

A source knows nothing about formats beyond the suffixes it is told to pick up. It never raises
while it walks: what cannot be taken in comes out as a Failure between the documents, so that one
unreadable folder does not hide the other thousand. `rag/sources/` holds the providers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from rag.schema import Failure, RawDocument


class Source(Protocol):
    """One place that documents come from."""

    def documents(self) -> Iterator[RawDocument | Failure]:
        """Every document there is now, and everything that could not be taken in."""
        ...


def within(uri: str, root: str) -> bool:
    """Whether `uri` is `root` itself or lies below it, whether or not `root` ends with '/'."""
    return uri == root or uri.startswith(root.rstrip("/") + "/")
