"""Texts -> unit vectors, behind one Protocol."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.config import EmbedderConfig
from rag.errors import ModelError

_WORD = re.compile(r"\w{1,5}|[^\w\s]")


class Embedder(Protocol):
    """`encode` may be called from several threads at once."""

    dimension: int
    fingerprint: str
    """Changes whenever the same text would get another vector."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of shape (len(texts), dimension), each of unit length."""
        ...

    def token_starts(self, text: str) -> NDArray[np.int64]:
        """Character offset at which each token of `text` begins, without special tokens."""
        ...


def open_embedder(config: EmbedderConfig) -> Embedder:
    """Load the configured embedder. Raises ModelError."""
    if config.provider == "sentence_transformers":
        return SentenceTransformersEmbedder(config)
    if config.provider == "openai":
        return OpenAIEmbedder(config)
    raise ModelError(f"embedder.provider '{config.provider}' is unknown")


class SentenceTransformersEmbedder:
    """Any sentence-transformers folder, on CPU or GPU. Never looks anything up on a hub."""

    def __init__(self, config: EmbedderConfig) -> None:
        folder = Path(config.model)
        if not (folder / "modules.json").is_file():
            raise ModelError(f"no embedding model in {folder}: run `make models`")
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        import transformers
        from sentence_transformers import SentenceTransformer
        from tokenizers import Tokenizer

        transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._model = SentenceTransformer(str(folder), device=config.device, local_files_only=True)
        self._model.max_seq_length = config.max_tokens
        # A private copy of the tokenizer: the model's own truncates and pads.
        self._tokenizer = Tokenizer.from_str(self._model.tokenizer.backend_tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._batch_size = config.batch_size
        self._lock = threading.Lock()
        self.dimension = int(self._model.get_embedding_dimension() or 0)
        self.fingerprint = f"{folder.name}/{self.dimension}/{_weights_hash(folder)}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        # Batches are sorted by length inside `encode`. One forward pass at a time: two would
        # fight for the same cores and both end later.
        with self._lock:
            vectors = self._model.encode(
                [_sound(text) for text in texts],
                batch_size=self._batch_size,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return np.asarray(vectors, dtype=np.float32)

    def token_starts(self, text: str) -> NDArray[np.int64]:
        encoding = self._tokenizer.encode(_sound(text), add_special_tokens=False)
        return np.fromiter((start for start, _ in encoding.offsets), dtype=np.int64)


class OpenAIEmbedder:
    """Any OpenAI-compatible `/v1/embeddings`. Token offsets are estimated: no tokenizer there."""

    def __init__(self, config: EmbedderConfig) -> None:
        from openai import OpenAI

        self._client = OpenAI(base_url=config.base_url, api_key=config.api_key or "none")
        self._config = config
        self.dimension = int(self.encode(["dimension"]).shape[1])
        self.fingerprint = f"{config.base_url}/{config.model}/{self.dimension}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        from openai import OpenAIError

        rows: list[list[float]] = []
        try:
            for start in range(0, len(texts), self._config.batch_size):
                batch = [_sound(text) for text in texts[start : start + self._config.batch_size]]
                answer = self._client.embeddings.create(
                    model=self._config.model, input=batch, encoding_format="float"
                )
                rows += [item.embedding for item in sorted(answer.data, key=lambda d: d.index)]
        except OpenAIError as error:
            raise ModelError(
                f"the embedding endpoint {self._config.base_url} failed: {error}; "
                "check embedder.base_url, embedder.model and embedder.api_key"
            ) from error
        vectors = np.asarray(rows, dtype=np.float32).reshape(len(texts), -1)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)

    def token_starts(self, text: str) -> NDArray[np.int64]:
        return np.fromiter((match.start() for match in _WORD.finditer(text)), dtype=np.int64)


def _sound(text: str) -> str:
    """Lone surrogates, which JSON can bring in and no tokenizer takes, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _weights_hash(folder: Path) -> str:
    """Hash over the files that decide a vector; about 0.1 s for the embedded model."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".safetensors", ".bin", ".onnx"} or path.name in {
            "config.json",
            "tokenizer.json",
            "modules.json",
        }:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
