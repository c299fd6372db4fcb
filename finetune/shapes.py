"""A decoder's shape, from its config.json alone: how many parameters stand where.

Covers the Llama family and what is built like it: grouped-query attention, a gated MLP, RMS norms,
no convolutions, no experts. Anything else is refused rather than counted wrongly. Knows nothing of
bytes, devices or adapters, and imports no model library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.errors import ModelError

LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_TYPES = ("llama", "mistral", "qwen2", "qwen3", "smollm3")
_STORED = {"float32": 4, "float16": 2, "bfloat16": 2}
# What transformers assumes where the key is missing.
_KV_HEADS = {"mistral": 8, "qwen2": 32, "qwen3": 32, "smollm3": 4}


@dataclass(frozen=True, slots=True)
class Linear:
    """One of a layer's matrices, `outputs` x `inputs`."""

    name: str
    inputs: int
    outputs: int
    bias: bool

    @property
    def weights(self) -> int:
        return self.inputs * self.outputs

    @property
    def parameters(self) -> int:
        return self.weights + (self.outputs if self.bias else 0)


@dataclass(frozen=True, slots=True)
class Shape:
    """What config.json says. Dimensions in elements."""

    model_type: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    qkv_bias: bool
    output_bias: bool
    mlp_bias: bool
    qk_norm: bool
    stored_bytes: int
    context: int

    @property
    def attention_width(self) -> int:
        """Of q and of what goes into o_proj."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Of k and of v: smaller than attention_width under grouped-query attention."""
        return self.kv_heads * self.head_dim

    @property
    def linears(self) -> tuple[Linear, ...]:
        """The seven matrices of one layer, in the order of LINEARS."""
        h, m, a, k = self.hidden, self.intermediate, self.attention_width, self.kv_width
        return (
            Linear("q_proj", h, a, self.qkv_bias),
            Linear("k_proj", h, k, self.qkv_bias),
            Linear("v_proj", h, k, self.qkv_bias),
            Linear("o_proj", a, h, self.output_bias),
            Linear("gate_proj", h, m, self.mlp_bias),
            Linear("up_proj", h, m, self.mlp_bias),
            Linear("down_proj", m, h, self.mlp_bias),
        )

    @property
    def linear_weights(self) -> int:
        """Elements of the matrices of all layers: what is quantised, and what adapters go onto."""
        return self.layers * sum(linear.weights for linear in self.linears)

    def parts(self) -> dict[str, int]:
        """Parameters by part; their sum is the model's. A tied head counts nothing twice."""
        attention, mlp = self.linears[:4], self.linears[4:]
        norms = self.layers * (2 * self.hidden + (2 * self.head_dim if self.qk_norm else 0))
        return {
            "embeddings": self.vocabulary * self.hidden,
            "attention": self.layers * sum(linear.parameters for linear in attention),
            "mlp": self.layers * sum(linear.parameters for linear in mlp),
            "norms": norms + self.hidden,
            "head": 0 if self.tied else self.vocabulary * self.hidden,
        }

    @property
    def parameters(self) -> int:
        return sum(self.parts().values())

    @property
    def multiplied(self) -> int:
        """N of the rules 4N and 6N: weights that every token is multiplied with. The embedding is
        looked up, not multiplied; the head is multiplied, tied or not."""
        return self.linear_weights + self.vocabulary * self.hidden


def read_shape(folder: Path) -> Shape:
    """The shape of the model in `folder`. Raises ModelError."""
    path = folder / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{path} does not exist: model.path must name a folder in Hugging Face's form"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise ModelError(f"{path} holds no object: download the model again")
    return shape_of(values, str(path))


def shape_of(values: Mapping[str, Any], where: str) -> Shape:
    """The shape that a config.json's `values` describe. `where` names it. Raises ModelError."""
    kind = values.get("model_type")
    if kind not in _TYPES:
        raise ModelError(
            f"{where}: the preflight does not know model_type {kind!r}; it knows "
            f"{', '.join(_TYPES)}"
        )
    heads = _count(values, "num_attention_heads", where)
    hidden = _count(values, "hidden_size", where)
    kv_heads = _count(values, "num_key_value_heads", where, _KV_HEADS.get(kind, heads))
    if heads % kv_heads:
        raise ModelError(f"{where}: {heads} attention heads cannot share {kv_heads} key heads")
    bias = bool(values.get("attention_bias", False))
    return Shape(
        model_type=kind,
        hidden=hidden,
        intermediate=_count(values, "intermediate_size", where),
        layers=_count(values, "num_hidden_layers", where),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=_count(values, "head_dim", where, 128 if kind == "qwen3" else hidden // heads),
        vocabulary=_count(values, "vocab_size", where),
        tied=bool(values.get("tie_word_embeddings", kind == "smollm3")),
        qkv_bias=bias or kind == "qwen2",
        output_bias=bias and kind != "qwen2",
        mlp_bias=bool(values.get("mlp_bias", False)),
        qk_norm=kind == "qwen3",
        stored_bytes=_STORED.get(str(values.get("dtype", values.get("torch_dtype"))), 2),
        context=_count(values, "max_position_embeddings", where, 2048),
    )


def _count(values: Mapping[str, Any], key: str, where: str, default: int | None = None) -> int:
    value = values.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelError(f"{where}: {key} must be a positive whole number, and is {value!r}")
    return value
