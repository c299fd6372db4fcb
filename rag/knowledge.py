"""The opened knowledge base: catalog, embedder and vector index that belong together."""

from __future__ import annotations

from dataclasses import dataclass

from rag.catalog import Catalog
from rag.config import RagConfig
from rag.embed import Embedder, open_embedder
from rag.index import VectorIndex, open_index, refresh


@dataclass(frozen=True, slots=True)
class Knowledge:
    config: RagConfig
    catalog: Catalog
    embedder: Embedder
    index: VectorIndex

    def refresh(self) -> bool:
        """See what other processes have committed; costs one small query where nothing changed."""
        return refresh(self.index, self.catalog, self.embedder.fingerprint, self.embedder.dimension)

    def close(self) -> None:
        self.catalog.close()


def open_knowledge(config: RagConfig, embedder: Embedder | None = None) -> Knowledge:
    """Open everything that ingesting and searching need. Raises RagError."""
    catalog = Catalog(config)
    embedder = embedder or open_embedder(config.embedder)
    index = open_index(config, catalog, embedder.fingerprint, embedder.dimension)
    return Knowledge(config, catalog, embedder, index)
