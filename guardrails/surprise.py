"""How much each token of a text surprises a small language model: the plug `Surprise`.

A Llama model in a safetensors folder (the embedded SmolLM2-135M), read in NumPy: no torch, whose
import alone would cost a server seconds and hundreds of megabytes for something it needs rarely.
The weights are mapped, not copied: about 520 MB of the file come to lie in the page cache, shared
by all processes and given back when memory runs short; beside them 40 MB of the process's own. All
of it at the first call, not before. On one core, because several would only wait for each other.
"""

from __future__ import annotations

import json
import mmap
import struct
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from guardrails.config import InjectionConfig
from guardrails.errors import RailsConfigError
from guardrails.schema import Surprise

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Array = NDArray[np.float32]

MOST_TOKENS = 64
"""Of a longer text the rest is not read: a token costs about 10 ms on a busy core."""
PATIENCE_S = 5.0
"""One text at a time. Who waits longer than this gives up, so that no queue builds up."""
BEFORE = "Search terms:"
"""What the text is read after: search words in a row surprise less, soup as much as ever."""
NEEDED = ("config.json", "tokenizer.json", "model.safetensors")


def open_surprise(config: InjectionConfig) -> Surprise | None:
    """The model that the configuration names; None where it is not wanted or there is no folder.

    Reads only what describes it; the rest at the first call. Raises RailsConfigError.
    """
    folder = config.surprise_model
    if not config.gibberish or not folder.is_dir():
        return None
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise RailsConfigError(
            f"{folder} holds no {', '.join(missing)}; run `make models`, or point "
            "guardrails.input.injection.surprise_model to a folder that is whole"
        )
    try:
        shape = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        known = shape.get("model_type") == "llama" and shape.get("tie_word_embeddings")
        model = Llama(shape, map_weights(folder / "model.safetensors")) if known else None
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise RailsConfigError(
            f"{folder} cannot be read ({error}); run `make models`, or set "
            "guardrails.input.injection.gibberish=false"
        ) from error
    if model is None:
        raise RailsConfigError(
            f"{folder} is no Llama model with tied embeddings; set "
            "guardrails.input.injection.surprise_model=models/SmolLM2-135M-Instruct/hf, for which "
            "the threshold was chosen"
        )
    return _Lazy(folder / "tokenizer.json", model)


class _Lazy:
    """The plug. Loads what it needs at the first call; may be called from several threads."""

    def __init__(self, file: Path, model: Llama) -> None:
        self._file, self._model = file, model
        self._lock = threading.Lock()
        self._loaded: tuple[Tokenizer, Any] | None = None

    def __call__(self, text: str) -> Array:
        if not self._lock.acquire(timeout=PATIENCE_S):
            raise TimeoutError
        try:
            tokenizer, threads = self._loaded = self._loaded or self._load()
            sound = text.encode("utf-8", "replace").decode("utf-8")
            known = tokenizer.encode(BEFORE).ids
            tokens = known + tokenizer.encode(" " + sound).ids[:MOST_TOKENS]
            with threads.limit(limits=1, user_api="blas"):
                return self._model.surprise(tokens)[len(known) - 1 :]
        finally:
            self._lock.release()

    def _load(self) -> tuple[Tokenizer, Any]:
        from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self._file)), ThreadpoolController()


def map_weights(path: Path) -> dict[str, Array]:
    """The tensors of a safetensors file, mapped. Raises ValueError unless all are float32."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        head = json.loads(file.read(length))
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    head.pop("__metadata__", None)
    if any(tensor["dtype"] != "F32" for tensor in head.values()):
        raise ValueError(f"{path.name} is not in float32")
    return {
        name: np.frombuffer(
            data, "<f4", int(np.prod(tensor["shape"])), 8 + length + tensor["data_offsets"][0]
        ).reshape(tensor["shape"])
        for name, tensor in head.items()
    }


class Llama:
    """The forward pass over one short text, whole; nothing is generated."""

    def __init__(self, shape: Mapping[str, Any], weights: Mapping[str, Array]) -> None:
        self._weights = weights
        self._layers = int(shape["num_hidden_layers"])
        self._heads = int(shape["num_attention_heads"])
        self._shared = self._heads // int(shape["num_key_value_heads"])
        self._width = int(shape.get("head_dim") or shape["hidden_size"] // self._heads)
        self._tiny = float(shape["rms_norm_eps"])
        rope = shape.get("rope_parameters") or shape
        self._theta = float(rope["rope_theta"])

    def surprise(self, tokens: list[int]) -> Array:
        """Negative log-likelihood of each token after the first, in nats."""
        embedding = self._weights["model.embed_tokens.weight"]
        state: Array = embedding[tokens]
        angles = np.outer(
            np.arange(len(tokens)), self._theta ** (-np.arange(0, self._width, 2) / self._width)
        )
        turn = np.tile(np.cos(angles), 2).astype("f4"), np.tile(np.sin(angles), 2).astype("f4")
        for layer in range(self._layers):
            name = f"model.layers.{layer}."
            state = state + self._attend(self._norm(state, name + "input_layernorm"), name, turn)
            state = state + self._feed(self._norm(state, name + "post_attention_layernorm"), name)
        last = self._norm(state, "model.norm")[:-1]
        logits = last @ embedding.T
        top = logits.max(axis=1)
        said = np.einsum("td,td->t", last, embedding[tokens[1:]])
        logits -= top[:, None]
        np.exp(logits, out=logits)
        result: Array = np.log(logits.sum(axis=1)) + top - said
        return result

    def _attend(self, state: Array, name: str, turn: tuple[Array, Array]) -> Array:
        query, key, value = (
            self._apply(state, f"{name}self_attn.{part}_proj")
            .reshape(len(state), -1, self._width)
            .transpose(1, 0, 2)
            for part in "qkv"
        )
        query, key = _rotate(query, turn), np.repeat(_rotate(key, turn), self._shared, axis=0)
        weight = query @ key.transpose(0, 2, 1) / np.float32(self._width**0.5)
        weight += np.triu(np.full(weight.shape[1:], -np.inf, dtype="f4"), 1)
        weight = np.exp(weight - weight.max(axis=2, keepdims=True))
        weight /= weight.sum(axis=2, keepdims=True)
        mixed = weight @ np.repeat(value, self._shared, axis=0)
        flat = mixed.transpose(1, 0, 2).reshape(len(state), -1)
        return self._apply(flat, f"{name}self_attn.o_proj")

    def _feed(self, state: Array, name: str) -> Array:
        gate = self._apply(state, f"{name}mlp.gate_proj")
        gate *= self._apply(state, f"{name}mlp.up_proj") / (1 + np.exp(-gate))
        return self._apply(gate, f"{name}mlp.down_proj")

    def _apply(self, state: Array, name: str) -> Array:
        result: Array = state @ self._weights[name + ".weight"].T
        return result

    def _norm(self, state: Array, name: str) -> Array:
        scale = np.sqrt((state * state).mean(axis=1, keepdims=True) + self._tiny)
        result: Array = state / scale * self._weights[name + ".weight"]
        return result


def _rotate(state: Array, turn: tuple[Array, Array]) -> Array:
    half = state.shape[2] // 2
    turned = np.concatenate((-state[..., half:], state[..., :half]), axis=2)
    result: Array = state * turn[0] + turned * turn[1]
    return result
