"""A sentence-transformers folder on onnxruntime: the fast way to embed on a CPU.

The folder's ONNX form is made when it is first opened (`rag/embed_onnx_export.py`, some seconds)
and kept in `<folder>.onnx/` beside it, under the hash of the weights; where that cannot be written
it is made at every start. From then on neither torch nor transformers is loaded.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from rag.config import EmbedderConfig
from rag.embed import model_folder, sound, weights_hash
from rag.errors import ModelError

log = logging.getLogger(__name__)
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads would not survive a fork
onnxruntime.set_default_logger_severity(3)  # it warns of graphics cards that it cannot look at

RECIPE = 1
"""Raised when the export changes, so that what an older one wrote is made anew."""

_MAKING = threading.Lock()


class OnnxModel:
    """An opened ONNX form: texts to tokens to vectors, one text at a time."""

    def __init__(self, model: str | bytes, max_tokens: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # it would plan anew for each length
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        stored = self._session.get_modelmeta().custom_metadata_map["tokenizer"]
        self._cutting, self._whole = Tokenizer.from_str(stored), Tokenizer.from_str(stored)
        self._cutting.enable_truncation(max_tokens)
        self._whole.no_truncation()
        for tokenizer in (self._cutting, self._whole):
            tokenizer.no_padding()
        self.dimension = self.vector(self.tokens(["dimension"])[0]).size

    def tokens(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Ids of shape (1, n) of each text, cut off at the window, special tokens included."""
        encodings = self._cutting.encode_batch([sound(text) for text in texts])
        return [np.asarray([encoding.ids], dtype=np.int64) for encoding in encodings]

    def vector(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """The unit vector, shape (dimension,), of one text's tokens."""
        try:
            found: NDArray[np.float32] = self._session.run(None, {"input_ids": tokens})[0][0]
        except Exception as error:  # onnxruntime promises no classes
            raise ModelError(
                f"embedding a text of {tokens.size} tokens failed: {error}; "
                "lower embedder.max_tokens, or set embedder.backend=torch"
            ) from error
        return found

    def starts(self, text: str) -> list[int]:
        """Offset of each token of the whole text, without special tokens."""
        encoding = self._whole.encode(sound(text), add_special_tokens=False)
        return [start for start, _ in encoding.offsets]


class OnnxEmbedder:
    """See `rag.embed.Embedder`. Each text runs by itself on one core, as many as there are cores.

    That leaves no padding and no idle core, and no vector depends on the texts beside it. A call
    with one text runs at once in its caller's thread: questions don't queue behind an ingestion.
    Vectors of `onnx` are torch's to 1e-5, so they share its fingerprint; those of `onnx_int8` have
    their own.
    """

    def __init__(self, config: EmbedderConfig) -> None:
        folder = model_folder(config)
        weights = weights_hash(folder)
        self._model = _open(config, folder, weights)
        self._threads = _usable_cores()
        self.dimension = self._model.dimension
        self.fingerprint = f"{folder.name}/{self.dimension}/{weights}"
        if config.backend == "onnx_int8":
            self.fingerprint += f"/int8-{RECIPE}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        tokens = self._model.tokens(texts)
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)

        def embed(row: int) -> None:
            vectors[row] = self._model.vector(tokens[row])

        if len(texts) == 1:
            embed(0)
        elif texts:
            # Threads of this call alone, so that calls share the cores instead of queueing.
            with ThreadPoolExecutor(min(self._threads, len(texts))) as pool:
                # Longest first: no core is left alone with a long text at the end.
                for _ in pool.map(embed, sorted(range(len(texts)), key=lambda i: -tokens[i].size)):
                    pass
        return vectors

    def token_starts(self, text: str) -> NDArray[np.int64]:
        return np.asarray(self._model.starts(text), dtype=np.int64)


def onnx_file(folder: Path, weights: str, backend: str) -> Path:
    """Where the ONNX form of these weights is kept."""
    folder = folder.resolve()
    precision = "int8" if backend == "onnx_int8" else "fp32"
    return folder.with_name(f"{folder.name}.onnx") / f"{weights}-{precision}-{RECIPE}.onnx"


def _open(config: EmbedderConfig, folder: Path, weights: str) -> OnnxModel:
    path = onnx_file(folder, weights, config.backend)
    with _MAKING:  # torch traces one model at a time; whoever waited finds it made
        if path.is_file():
            try:
                return OnnxModel(str(path), config.max_tokens)
            except Exception:  # onnxruntime promises no classes; making it anew mends them all
                log.warning("%s is damaged and is made anew", path, exc_info=True)
        from rag.embed_onnx_export import export

        log.info("making the ONNX form of %s, once", folder)
        model = export(config)
        _keep(path, model)
    return OnnxModel(model, config.max_tokens)


def _keep(path: Path, model: bytes) -> None:
    """Write the file whole or not at all, and drop what earlier weights left."""
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(exist_ok=True)
        try:
            with part.open("wb") as file:
                file.write(model)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        _weights, precision, _recipe = path.stem.split("-")
        for stale in path.parent.glob(f"*-{precision}-*.onnx"):
            if stale != path:
                stale.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s cannot be kept (%s): it will be made at every start", path, error.strerror)


def _usable_cores() -> int:
    """Cores this process may run on; containers' CPU quotas do not count."""
    return max(1, len(os.sched_getaffinity(0)))
