"""Remembers the vectors of small batches: retrieval, quotations and rails embed one question.

The sentences of passages that are cited often are found here too, so that picking quotations for
the second question about them costs next to nothing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.embed import Embedder

_LARGEST_BATCH = 64
"""Larger batches come from ingestion, whose texts nobody asks for again."""


class CachedEmbedder:
    """See `rag.embed.Embedder`. Keeps the last `size` vectors: 1.5 kB each at 384 dimensions."""

    def __init__(self, inner: Embedder, size: int) -> None:
        self._inner = inner
        self._size = size
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()
        self.dimension = inner.dimension
        self.fingerprint = inner.fingerprint
        self.token_starts = inner.token_starts

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if len(texts) > _LARGEST_BATCH:
            return self._inner.encode(texts)
        known = self._look_up(texts)
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            fresh = dict(zip(missing, self._inner.encode(missing), strict=True))
            self._remember(fresh)
            known |= fresh
        rows = [known[text] for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.dimension), dtype=np.float32)

    def _look_up(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        with self._lock:
            known = {text: self._vectors[text] for text in texts if text in self._vectors}
            for text in known:
                self._vectors.move_to_end(text)
        return known

    def _remember(self, fresh: dict[str, NDArray[np.float32]]) -> None:
        with self._lock:
            self._vectors.update(fresh)
            while len(self._vectors) > self._size:
                self._vectors.popitem(last=False)
