"""The opened knowledge base: catalog, embedder and vector index that belong together.

The stored vectors decide which embedder is in force. Where the configuration names another one,
the knowledge base goes on with the embedder that it was made with, until every passage has been
embedded anew (`rag/reembed.py`); then all processes change over at their next search.
"""

from __future__ import annotations

import json
import logging
import threading

from rag.catalog import Catalog
from rag.catalog_state import read_fact, write_fact
from rag.config import EmbedderConfig, RagConfig
from rag.embed import Embedder, open_embedder, without_secret
from rag.embed_cache import CachedEmbedder
from rag.errors import EmbedderChanged, ModelError
from rag.index import VectorIndex, open_index, refresh
from rag.screen import Screen

log = logging.getLogger(__name__)


class Knowledge:
    """`embedder` and `index` always belong to each other and to the stored vectors."""

    def __init__(
        self,
        config: RagConfig,
        catalog: Catalog,
        embedder: Embedder,
        index: VectorIndex,
        wanted: Embedder,
    ) -> None:
        self.config = config
        self.catalog = catalog
        self.wanted = wanted
        """The configured embedder; another one than `embedder` while passages are re-embedded."""
        self.screen: Screen | None = None
        """Judges passages as they come in, where the composer has set one."""
        self._pair = (embedder, index)
        self._changing = threading.Lock()

    @property
    def embedder(self) -> Embedder:
        return self._pair[0]

    @property
    def index(self) -> VectorIndex:
        return self._pair[1]

    def refresh(self) -> tuple[Embedder, VectorIndex]:
        """See what other processes have committed; the pair to search with.

        Costs one small query where nothing changed. Raises EmbedderChanged where the vectors have
        become those of an embedder that this process does not have.
        """
        embedder, index = self._pair
        try:
            refresh(index, self.catalog, embedder.fingerprint, embedder.dimension)
        except EmbedderChanged:
            self._change_over()
        return self._pair

    def _change_over(self) -> None:
        with self._changing:
            stored = self.catalog.embedder()
            if stored == self._pair[0].fingerprint:
                return  # another thread was faster
            if stored != self.wanted.fingerprint:
                raise EmbedderChanged(str(stored), self.wanted.fingerprint)
            index = open_index(
                self.config, self.catalog, self.wanted.fingerprint, self.wanted.dimension
            )
            self._pair = (self.wanted, index)
            log.info("searching with %s from now on", self.wanted.fingerprint)

    def configured(self, config: RagConfig) -> Knowledge:
        """The same knowledge base under other settings of search and answer."""
        other = Knowledge(config, self.catalog, *self._pair, self.wanted)
        other.screen = self.screen
        return other

    def close(self) -> None:
        self.catalog.close()


def open_knowledge(config: RagConfig, embedder: Embedder | None = None) -> Knowledge:
    """Open everything that ingesting and searching need. Raises RagError."""
    catalog = Catalog(config)
    try:
        wanted = embedder or _cached(open_embedder(config.embedder), config)
        _remember(catalog, wanted, config.embedder)
        present, index = _open_pair(config, catalog, wanted)
    except BaseException:
        catalog.close()
        raise
    return Knowledge(config, catalog, present, index, wanted)


def _open_pair(
    config: RagConfig, catalog: Catalog, wanted: Embedder
) -> tuple[Embedder, VectorIndex]:
    """The embedder in force and its index. Raises EmbedderChanged where it is gone."""
    stored = catalog.embedder()
    try:
        present = wanted
        if stored not in (None, wanted.fingerprint):
            present = _former(catalog, str(stored), wanted, config)
        return present, open_index(config, catalog, present.fingerprint, present.dimension)
    except EmbedderChanged:
        if catalog.embedder() != wanted.fingerprint:
            raise
        # Another process has changed over while the former embedder was being loaded.
        return wanted, open_index(config, catalog, wanted.fingerprint, wanted.dimension)


def _remember(catalog: Catalog, embedder: Embedder, config: EmbedderConfig) -> None:
    """Note how to open this embedder again, without its secrets."""
    name = f"embedder {embedder.fingerprint}"
    shown = config.model_copy(update={"base_url": without_secret(config.base_url)})
    settings = shown.model_dump_json(exclude={"api_key", "cached_vectors"})
    if catalog.fact(name) != settings:
        with catalog.writing(visible=False) as (connection, _generation):
            if read_fact(connection, name) != settings:
                write_fact(connection, name, settings)


def _former(catalog: Catalog, stored: str, wanted: Embedder, config: RagConfig) -> Embedder:
    """The embedder that made the stored vectors. Raises EmbedderChanged where it is gone."""
    settings = catalog.fact(f"embedder {stored}")
    if settings is None:
        raise EmbedderChanged(stored, wanted.fingerprint)
    try:
        known = EmbedderConfig(**json.loads(settings))
        present = config.embedder  # its secrets are for nobody but its own endpoint
        if without_secret(known.base_url) == without_secret(present.base_url):
            own = {"api_key": present.api_key, "base_url": present.base_url}
            known = known.model_copy(update=own)
        former = open_embedder(known)
    except (ModelError, ValueError) as error:
        raise EmbedderChanged(stored, wanted.fingerprint) from error
    if former.fingerprint != stored:
        raise EmbedderChanged(stored, wanted.fingerprint)
    return _cached(former, config)


def _cached(embedder: Embedder, config: RagConfig) -> Embedder:
    size = config.embedder.cached_vectors
    return CachedEmbedder(embedder, size) if size else embedder
