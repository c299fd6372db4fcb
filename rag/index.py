"""Chunk vectors -> nearest chunks. Derived from the catalog: losing it costs time, never data."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.catalog import Catalog, Changes
from rag.config import RagConfig
from rag.errors import IndexUnavailable


class VectorIndex(Protocol):
    """Exact or approximate. May be searched from several threads while another applies changes."""

    @property
    def generation(self) -> int:
        """The catalog's generation that this index mirrors; 0 is an empty index."""
        ...

    def __len__(self) -> int: ...

    def apply(self, changes: Changes) -> None:
        """Delete what was removed, upsert what was added, and take over the generation."""
        ...

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        acl_ids: frozenset[int],
        document_ids: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Chunk ids and inner products, both (n queries, k), best first, id -1 where there is none.

        Only chunks whose access list is in `acl_ids`, and whose document is among `document_ids`
        (None: every one), are looked at.
        """
        ...

    def save(self) -> None:
        """Make the present state survive the process, atomically."""
        ...


def open_index(config: RagConfig, catalog: Catalog, embedder: str, dimension: int) -> VectorIndex:
    """The configured index, brought up to the catalog's generation without re-embedding."""
    if config.index.provider == "faiss":
        from rag.index_faiss import FaissIndex

        index = FaissIndex.load(
            config.data_dir / "index.npz",
            f"{catalog.id}/{embedder}",
            dimension,
            catalog.token,
        )
    else:
        raise IndexUnavailable(f"index.provider '{config.index.provider}' is unknown")
    refresh(index, catalog, embedder, dimension)
    return index


def refresh(index: VectorIndex, catalog: Catalog, embedder: str, dimension: int) -> bool:
    """Bring `index` up to the catalog; whether anything had changed. Raises EmbedderChanged."""
    if index.generation == catalog.generation():
        return False
    index.apply(catalog.changes_since(index.generation, embedder, dimension))
    return True
