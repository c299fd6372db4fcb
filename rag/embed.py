"""Texts -> unit vectors, behind one Protocol."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from rag.config import EmbedderConfig
from rag.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

_WORD = re.compile(r"\w{1,5}|[^\w\s]")


class NoOnnxForm(ModelError):
    """The folder cannot be had in ONNX with the same vectors; the torch backend takes it."""


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
        return _open_folder(config)
    if config.provider == "openai":
        return OpenAIEmbedder(config)
    raise ModelError(f"embedder.provider '{config.provider}' is unknown")


def _open_folder(config: EmbedderConfig) -> Embedder:
    """A sentence-transformers folder on the backend that `auto` or the configuration names."""
    on_cpu = config.device.startswith("cpu")
    if config.backend == "torch" or (config.backend == "auto" and not on_cpu):
        return SentenceTransformersEmbedder(config)
    if not on_cpu:
        raise ModelError(
            f"embedder.backend={config.backend} runs on the CPU alone: set embedder.device=cpu "
            "or embedder.backend=torch"
        )
    from rag.embed_onnx import OnnxEmbedder

    if config.backend != "auto":
        return OnnxEmbedder(config)
    try:
        return OnnxEmbedder(config.model_copy(update={"backend": "onnx"}))
    except NoOnnxForm as error:  # both give the same vectors, torch at half the speed
        log.warning("%s: going on with it, at half the speed", error)
        return SentenceTransformersEmbedder(config)


class SentenceTransformersEmbedder:
    """Any sentence-transformers folder, on CPU or GPU. Never looks anything up on a hub."""

    def __init__(self, config: EmbedderConfig) -> None:
        from tokenizers import Tokenizer

        folder = model_folder(config)
        self._model = load_folder(config)
        # A private copy of the tokenizer: the model's own truncates and pads.
        self._tokenizer = Tokenizer.from_str(self._model.tokenizer.backend_tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._batch_size = config.batch_size
        self._lock = threading.Lock()
        self.dimension = int(self._model.get_embedding_dimension() or 0)
        self.fingerprint = f"{folder.name}/{self.dimension}/{weights_hash(folder)}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        # Batches are sorted by length inside `encode`. One forward pass at a time: two would
        # fight for the same cores and both end later.
        with self._lock:
            vectors = self._model.encode(
                [sound(text) for text in texts],
                batch_size=self._batch_size,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return np.asarray(vectors, dtype=np.float32)

    def token_starts(self, text: str) -> NDArray[np.int64]:
        encoding = self._tokenizer.encode(sound(text), add_special_tokens=False)
        return np.fromiter((start for start, _ in encoding.offsets), dtype=np.int64)


class OpenAIEmbedder:
    """Any OpenAI-compatible `/v1/embeddings`. Token offsets are estimated: no tokenizer there.

    `user:secret@` in `base_url` is sent along and kept out of the fingerprint and of errors.
    """

    def __init__(self, config: EmbedderConfig) -> None:
        from openai import OpenAI

        self._config = config
        self._userinfo = _userinfo(config.base_url)
        try:
            self._client = OpenAI(base_url=config.base_url, api_key=config.api_key or "none")
        except Exception as error:  # its text may repeat a piece of the password
            raise ModelError(
                "embedder.base_url is no URL: write it like https://host/v1, and in a password "
                "%2F for /, %3A for :, %40 for @"
            ) from error
        self.dimension = int(self.encode(["dimension"]).shape[1])
        self.fingerprint = self._without_secret(
            f"{config.base_url}/{config.model}/{self.dimension}"
        )

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        rows: list[list[float]] = []
        for start in range(0, len(texts), self._config.batch_size):
            rows += self._request(texts[start : start + self._config.batch_size])
        if len({len(row) for row in rows}) != 1:
            raise self._error("its vectors are not all of one length")
        vectors = np.asarray(rows, dtype=np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.all(np.isfinite(lengths) & (lengths > 0)):
            raise self._error("it gave a vector without a direction")
        return np.asarray(vectors / lengths, dtype=np.float32)

    def _request(self, texts: Sequence[str]) -> list[list[float]]:
        from openai import OpenAIError

        try:
            answer = self._client.embeddings.create(
                model=self._config.model,
                input=[sound(text) for text in texts],
                encoding_format="float",
            )
            found = {item.index: [float(value) for value in item.embedding] for item in answer.data}
        # What is no embedding at all comes as it is through the client.
        except (OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise self._error(str(error)) from error
        if sorted(found) != list(range(len(texts))):
            raise self._error(f"{len(texts)} texts were answered with {len(found)} vectors")
        return [found[row] for row in range(len(texts))]

    def _error(self, reason: str) -> ModelError:
        return ModelError(
            self._without_secret(f"the embedding endpoint {self._config.base_url} failed: {reason}")
            + "; check embedder.base_url, embedder.model and embedder.api_key"
        )

    def _without_secret(self, text: str) -> str:
        """Fingerprints are stored and shown, and so are errors: neither holds a password."""
        return text.replace(f"{self._userinfo}@", "") if self._userinfo else text

    def token_starts(self, text: str) -> NDArray[np.int64]:
        return np.fromiter((match.start() for match in _WORD.finditer(text)), dtype=np.int64)


def _userinfo(url: str) -> str:
    """`user:secret` of `https://user:secret@host/v1`; empty where there is none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[0]
    except ValueError:  # no URL at all: opening the client says so
        return ""


def without_secret(url: str) -> str:
    """A URL as it may be shown and stored: without `user:secret@`."""
    secret = _userinfo(url)
    return url.replace(f"{secret}@", "", 1) if secret else url


def model_folder(config: EmbedderConfig) -> Path:
    """The configured folder. Raises ModelError where it is none, or its window is too small."""
    folder = Path(config.model)
    if not (folder / "modules.json").is_file():
        raise ModelError(f"no embedding model in {folder}: run `make models`")
    window = _window(folder)
    if window and config.max_tokens > window:
        raise ModelError(
            f"embedder.max_tokens is {config.max_tokens}, but {folder.name} takes {window} tokens "
            f"at most: set embedder.max_tokens={window} or less"
        )
    return folder


def _window(folder: Path) -> int | None:
    """Longest input in tokens that the model has positions for; None where it does not say."""
    for path in sorted(folder.rglob("config.json")):
        try:
            stated = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelError(f"{path} is damaged ({error}): run `make models`") from error
        positions = stated.get("max_position_embeddings")
        if isinstance(positions, int):
            kind = str(stated.get("model_type"))
            if kind.endswith("roberta") or kind in ("camembert", "mpnet"):
                positions -= int(stated.get("pad_token_id") or 0) + 1  # they count from behind it
            return positions
    return None


def load_folder(config: EmbedderConfig, **model_settings: str) -> SentenceTransformer:
    """The folder as sentence-transformers opens it; imports torch, which takes seconds.

    Raises ModelError.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import transformers
    from sentence_transformers import SentenceTransformer

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = SentenceTransformer(
            config.model, device=config.device, local_files_only=True, model_kwargs=model_settings
        )
    except Exception as error:  # four libraries open it; none promises what it raises
        raise ModelError(
            f"{config.model} cannot be opened ({type(error).__name__}: {error}): is it whole? "
            "`make models` checks and repairs the embedded one"
        ) from error
    model.max_seq_length = config.max_tokens
    return model


def sound(text: str) -> str:
    """Lone surrogates, which JSON can bring in and no tokenizer takes, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def weights_hash(folder: Path) -> str:
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
