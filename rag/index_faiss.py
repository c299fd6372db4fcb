"""Exact FAISS index with access lists, kept in one file.

`IndexIDMap2` over `IndexFlatIP`, so that deletes are exact and ids are the catalog's own. The
caller's access lists become an IDSelector: a forbidden passage is never scored. The file is a NumPy
archive, which carries a CRC-32 of each member: a torn or truncated file fails to load and the
index is built again from the catalog.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
import zipfile
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from rag.catalog import Changes
from rag.errors import IndexUnavailable

log = logging.getLogger(__name__)

_MOST_SELECTORS = 256  # one bit a passage each

_DAMAGE = (
    ValueError, TypeError, KeyError, EOFError, RuntimeError, struct.error, zipfile.BadZipFile
)  # fmt: skip
"""What zipfile, NumPy and FAISS raise on bytes that are not what they should be."""


class FaissIndex:
    """See `rag.index.VectorIndex`. Memory: 4 bytes a dimension and 8 bytes of ids a passage."""

    def __init__(self, path: Path, identity: str, dimension: int) -> None:
        self._path = path
        self._identity = identity
        self._lock = threading.Lock()
        self._faiss = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self._acl_by_id = np.zeros(0, dtype=np.int32)  # chunk id -> access list, 0 where none
        self._selectors: dict[frozenset[int], faiss.IDSelector] = {}
        self._saved_generation = 0
        self.generation = 0

    @classmethod
    def load(cls, path: Path, identity: str, dimension: int, newest: int) -> FaissIndex:
        """The saved index if it belongs to this catalog and embedder, else an empty one."""
        index = cls(path, identity, dimension)
        try:
            _check_sums(path)
            with np.load(path, allow_pickle=False) as saved:
                generation = int(saved["generation"])
                if str(saved["identity"]) != identity or generation > newest:
                    log.warning("%s belongs to another catalog or embedder: built anew", path)
                    return index
                index._faiss = faiss.deserialize_index(saved["faiss"])
                index._acl_by_id = saved["acl_by_id"]
                index.generation = index._saved_generation = generation
        except FileNotFoundError:
            pass
        except (*_DAMAGE, OSError) as error:
            log.warning("%s is damaged (%s): built anew from the catalog", path, error)
            return cls(path, identity, dimension)
        return index

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    def apply(self, changes: Changes) -> None:
        with self._lock:
            if changes.generation <= self.generation:
                return  # another thread was faster
            stale = np.concatenate([changes.removed, changes.added])
            known = stale[stale < len(self._acl_by_id)]
            present = known[self._acl_by_id[known] > 0]
            if len(present):
                self._faiss.remove_ids(present)
                self._acl_by_id[present] = 0
            if len(changes.added):
                self._grow(int(changes.added.max()) + 1)
                self._faiss.add_with_ids(changes.vectors.astype(np.float32), changes.added)
                self._acl_by_id[changes.added] = changes.acl_ids
            self._selectors.clear()
            self.generation = changes.generation

    def search(
        self, vectors: NDArray[np.float32], k: int, acl_ids: frozenset[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        with self._lock:
            if not acl_ids or not self._faiss.ntotal:
                shape = (len(vectors), k)
                return np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32)
            parameters = faiss.SearchParameters(sel=self._selector(acl_ids))
            scores, ids = self._faiss.search(vectors, k, params=parameters)
        return ids, scores

    def save(self) -> None:
        with self._lock:
            if self._saved_generation == self.generation:
                return
            partial = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
            try:
                with partial.open("wb") as file:
                    np.savez(
                        file,
                        faiss=faiss.serialize_index(self._faiss),
                        acl_by_id=self._acl_by_id,
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

    def _grow(self, size: int) -> None:
        if size > len(self._acl_by_id):
            grown = np.zeros(max(size, 2 * len(self._acl_by_id)), dtype=np.int32)
            grown[: len(self._acl_by_id)] = self._acl_by_id
            self._acl_by_id = grown

    def _selector(self, acl_ids: frozenset[int]) -> faiss.IDSelector:
        if acl_ids not in self._selectors:
            if len(self._selectors) >= _MOST_SELECTORS:
                self._selectors.clear()
            allowed = np.isin(self._acl_by_id, np.fromiter(acl_ids, dtype=np.int32))
            bits = np.packbits(allowed, bitorder="little")
            self._selectors[acl_ids] = faiss.IDSelectorBitmap(bits)
        return self._selectors[acl_ids]


def _check_sums(path: Path) -> None:
    """NumPy reads as much as an array's header asks for, so it may miss the sum at the end."""
    with zipfile.ZipFile(path) as archive:
        if torn := archive.testzip():
            raise zipfile.BadZipFile(f"bad CRC-32 of {torn}")
