"""A cross-encoder that reads question and passage together and orders the hits anew.

Off by default: no model is embedded, and a weak one makes results worse. `python -m rag evaluate`
tells whether a given one helps on your own questions.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.config import RerankerConfig
from rag.errors import ModelError
from rag.schema import Hit

_MOST_TOKENS = 512
"""Of question and passage together; some models take more, at a price."""
_OR_NONE = "name the folder of a cross-encoder in reranker.model, or set reranker.provider=none"
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_LOADING = (OSError, ValueError, RuntimeError, KeyError, TypeError, AssertionError)
"""What torch and transformers raise on a folder or device that is not what it should be."""


class Reranker(Protocol):
    """May be called from several threads at once."""

    def score(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Relevance of each passage, shape (len(passages),), higher is better."""
        ...


@lru_cache
def open_reranker(config: RerankerConfig) -> Reranker | None:
    """The configured reranker, None for none; loaded once a process. Raises ModelError."""
    if config.provider == "none":
        return None
    if config.provider == "sentence_transformers":
        return CrossEncoderReranker(config)
    raise ModelError(f"reranker.provider '{config.provider}' is unknown")


def rerank(reranker: Reranker, question: str, hits: Sequence[Hit]) -> list[Hit]:
    """The same hits, best first by the reranker, whose scores they carry."""
    scores = reranker.score(question, [hit.text for hit in hits])
    order = np.argsort(-scores, kind="stable")
    return [replace(hits[i], score=float(scores[i])) for i in order]


class CrossEncoderReranker:
    """Any sentence-transformers CrossEncoder folder with one label. Never asks a hub."""

    def __init__(self, config: RerankerConfig) -> None:
        folder = Path(config.model)
        _check(folder, config.model)
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        import transformers
        from safetensors import SafetensorError
        from sentence_transformers import CrossEncoder

        transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            self._model = CrossEncoder(str(folder), device=config.device, local_files_only=True)
        except (*_LOADING, SafetensorError) as error:
            raise ModelError(
                f"the cross-encoder in {folder} cannot be loaded on {config.device}: {error}; "
                f"check reranker.device, {_OR_NONE}"
            ) from error
        if self._model.num_labels != 1:
            raise ModelError(
                f"the cross-encoder in {folder} has {self._model.num_labels} labels, one that "
                f"scores relevance has a single one: {_OR_NONE}"
            )
        window = self._model.max_seq_length or _MOST_TOKENS
        self._model.max_seq_length = min(window, _MOST_TOKENS)
        self._batch_size = config.batch_size
        self._lock = threading.Lock()

    def score(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        if not passages:
            return np.zeros(0, dtype=np.float32)
        with self._lock:
            scores = self._model.predict(
                [(query, passage) for passage in passages],
                batch_size=self._batch_size,
                show_progress_bar=False,
            )
        return np.asarray(scores, dtype=np.float32).reshape(len(passages))


def _check(folder: Path, named: str) -> None:
    """Raises ModelError on a folder that would load, but score by untrained weights or no words."""
    try:
        stated = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"no cross-encoder in '{named}' ({error}): {_OR_NONE}") from error
    kinds = stated.get("architectures") if isinstance(stated, dict) else None
    if not any(str(kind).endswith("ForSequenceClassification") for kind in kinds or ()):
        raise ModelError(
            f"'{named}' holds {', '.join(map(str, kinds or ('no model',)))}, which cannot score a "
            f"passage: {_OR_NONE}"
        )
    if not any(any(folder.glob(name)) for name in _TOKENIZERS):
        raise ModelError(f"the cross-encoder in '{named}' has no tokenizer: {_OR_NONE}")
