"""Exact FAISS index with access lists, kept in one file.

`IndexIDMap` over `IndexFlatIP`, so that deletes are exact and ids are the catalog's own. The
caller's access lists and filters become an IDSelector: a forbidden passage is never scored, nor one
that was deleted. To take deleted vectors out moves all those behind them, seconds in an index of a
million; so that waits until there are many, or the index is saved.

The file is a NumPy archive, which carries a CRC-32 of each member: a torn or truncated file fails
to load and the index is built again from the catalog.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from rag.catalog import Changes
from rag.errors import IndexUnavailable

log = logging.getLogger(__name__)

_MOST_SELECTORS = 256  # one bit a passage each
_MOST_DELETED = 0.25
"""Share of the index that deleted vectors may take up until it is saved."""

_DAMAGE = (
    ValueError, TypeError, KeyError, EOFError, RuntimeError, struct.error, zipfile.BadZipFile
)  # fmt: skip
"""What zipfile, NumPy and FAISS raise on bytes that are not what they should be."""


class FaissIndex:
    """See `rag.index.VectorIndex`. Memory: 4 bytes a dimension and 16 bytes of ids a passage."""

    def __init__(self, path: Path, identity: str, dimension: int) -> None:
        self._path = path
        self._identity = identity
        self._lock = threading.Lock()
        self._faiss = faiss.IndexIDMap(faiss.IndexFlatIP(dimension))
        self._acl_by_id = np.zeros(0, dtype=np.int32)  # chunk id -> access list, 0 where none
        self._document_by_id = np.zeros(0, dtype=np.int32)
        self._deleted = np.zeros(0, dtype=np.int64)  # ids that are still in `_faiss`
        self._selectors: dict[frozenset[int], faiss.IDSelector] = {}
        self._saved_generation = 0
        self._token = ""
        self.generation = 0

    @classmethod
    def load(
        cls,
        path: Path,
        identity: str,
        dimension: int,
        token_of: Callable[[int], str | None],
    ) -> FaissIndex:
        """The saved index if it belongs to this catalog and embedder, else an empty one."""
        index = cls(path, identity, dimension)
        _sweep(path)
        try:
            _check_sums(path)
            with np.load(path, allow_pickle=False) as saved:
                generation, token = int(saved["generation"]), str(saved["token"])
                if str(saved["identity"]) != identity or token_of(generation) != token:
                    log.warning("%s belongs to another catalog or embedder: built anew", path)
                    return index
                index._faiss = faiss.deserialize_index(saved["faiss"])
                index._acl_by_id = saved["acl_by_id"]
                index._document_by_id = saved["document_by_id"]
                index._token = token
                index.generation = index._saved_generation = generation
        except FileNotFoundError:
            pass
        except (*_DAMAGE, OSError) as error:
            log.warning("%s is damaged (%s): built anew from the catalog", path, error)
            return cls(path, identity, dimension)
        return index

    def __len__(self) -> int:
        return int(self._faiss.ntotal) - len(self._deleted)

    def apply(self, changes: Changes) -> None:
        with self._lock:
            if changes.generation <= self.generation:
                return  # another thread was faster
            removed = changes.removed[self._holds(changes.removed)]
            self._acl_by_id[removed] = 0
            self._deleted = np.concatenate([self._deleted, removed])
            again = changes.added[
                self._holds(changes.added)
            ]  # with other readers, or embedded anew
            if len(again) or len(self._deleted) > _MOST_DELETED * self._faiss.ntotal:
                self._take_out(again)
            if len(changes.added):
                self._grow(int(changes.added.max()) + 1)
                self._faiss.add_with_ids(changes.vectors.astype(np.float32), changes.added)
                self._acl_by_id[changes.added] = changes.acl_ids
                self._document_by_id[changes.added] = changes.document_ids
            self._selectors.clear()
            self.generation, self._token = changes.generation, changes.token

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        acl_ids: frozenset[int],
        document_ids: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        with self._lock:
            if not acl_ids or not self._faiss.ntotal:
                shape = (len(vectors), k)
                return np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32)
            selector = self._selector(acl_ids)
            if document_ids is not None:
                allowed = self._allowed(acl_ids) & np.isin(self._document_by_id, document_ids)
                bits = np.packbits(allowed, bitorder="little")
                selector = faiss.IDSelectorBitmap(bits)
            parameters = faiss.SearchParameters(sel=selector)
            scores, ids = self._faiss.search(vectors, k, params=parameters)
        return ids, scores

    def save(self) -> None:
        with self._lock:
            if self._saved_generation == self.generation:
                return
            self._take_out()
            partial = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
            try:
                with partial.open("wb") as file:
                    np.savez(
                        file,
                        faiss=faiss.serialize_index(self._faiss),
                        acl_by_id=self._acl_by_id,
                        document_by_id=self._document_by_id,
                        token=np.array(self._token),
                        generation=np.int64(self.generation),
                        identity=np.array(self._identity),
                    )
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(partial, self._path)
            except OSError as error:
                partial.unlink(missing_ok=True)
                raise IndexUnavailable(
                    f"the index cannot be saved to {self._path}: {error}; nothing is lost, "
                    "it is built again from the catalog at the next start"
                ) from error
            self._saved_generation = self.generation

    def _holds(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        found = ids < len(self._acl_by_id)
        found[found] = self._acl_by_id[ids[found]] > 0
        return found

    def _take_out(self, further: NDArray[np.int64] | None = None) -> None:
        """The vectors of what was deleted, and of these."""
        ids = self._deleted if further is None else np.concatenate([self._deleted, further])
        if len(ids):
            self._faiss.remove_ids(ids)
            self._acl_by_id[ids] = 0
            self._deleted = np.zeros(0, dtype=np.int64)

    def _grow(self, size: int) -> None:
        if size > len(self._acl_by_id):
            room = max(size, 2 * len(self._acl_by_id)) - len(self._acl_by_id)
            self._acl_by_id = np.pad(self._acl_by_id, (0, room))
            self._document_by_id = np.pad(self._document_by_id, (0, room))

    def _allowed(self, acl_ids: frozenset[int]) -> NDArray[np.bool_]:
        return np.isin(self._acl_by_id, np.fromiter(acl_ids, dtype=np.int32))

    def _selector(self, acl_ids: frozenset[int]) -> faiss.IDSelector:
        if acl_ids not in self._selectors:
            if len(self._selectors) >= _MOST_SELECTORS:
                self._selectors.clear()
            bits = np.packbits(self._allowed(acl_ids), bitorder="little")
            self._selectors[acl_ids] = faiss.IDSelectorBitmap(bits)
        return self._selectors[acl_ids]


def _sweep(path: Path) -> None:
    """Remove what a process that was killed while it saved has left behind."""
    for partial in path.parent.glob(f"{path.name}.*.part"):
        owner = partial.name.split(".")[-2]
        try:
            os.kill(int(owner), 0)
        except (ProcessLookupError, ValueError, OverflowError):
            with contextlib.suppress(OSError):  # it is only in the way
                partial.unlink(missing_ok=True)
        except OSError:
            continue  # somebody else's, and alive


def _check_sums(path: Path) -> None:
    """NumPy reads as much as an array's header asks for, so it may miss the sum at the end."""
    with zipfile.ZipFile(path) as archive:
        if torn := archive.testzip():
            raise zipfile.BadZipFile(f"bad CRC-32 of {torn}")
