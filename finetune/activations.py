"""What autograd keeps of one token in one layer: the terms of an RMS-norm, SDPA, gated-MLP decoder.

Notation: h hidden, a = heads x head_dim, k = kv_heads x head_dim, m intermediate, r rank, s the
length of a row, d bytes of the arithmetic's number format. Counted is what the installed
transformers, PEFT and bitsandbytes save for the backward pass, each storage once:

    norms        2 x 4h           both inputs, in float32 whatever d is
    attention    d(2a + 2k) + 4 x heads     q, k, v, the output, the softmax's sums (sdpa)
    MLP          d x 3m           gate, its activation, up
    inputs       what the trained matrices read (see `_inputs`)

Attention scores are not kept: sdpa recomputes them. With padding or packing there is a mask, of
which sdpa keeps a copy in d a layer (d x s a token), and keys and values are repeated for each
query head (2k becomes 2a). `eager` keeps heads x s scores three times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from finetune.config import RunConfig
from finetune.shapes import Shape
from finetune.trainable import (
    FEEDFORWARD,
    PROMPTS,
    adapted_layers,
    targeted,
)

_SHARED = {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj"}
"""Matrices that read the same tensor as the one named."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The largest batch that passes through the model at once."""

    rows: int
    length: int
    """Of a row in tokens, virtual tokens of a prompt included."""
    masked: bool
    """Whether attention needs a mask: rows of unlike length, or several documents in a row."""
    dropout_bytes: int
    """Of what dropout keeps of an element: 1 on a GPU, a float32 factor on a CPU; 0 without."""

    @property
    def tokens(self) -> int:
        return self.rows * self.length


def largest_batch(run: RunConfig, longest: int, device: Literal["cpu", "cuda"]) -> Batch:
    """The batch with `longest` tokens a row. Pairs are two rows each, chosen and rejected."""
    rows = run.train.batch_size * (2 if run.objective.name in ("dpo", "reward") else 1)
    length = run.data.max_length if run.train.packing else longest
    if run.method.name in PROMPTS:
        length += run.method.virtual_tokens
    dropout = (1 if device == "cuda" else 4) if run.method.dropout else 0
    return Batch(rows, length, run.train.packing or rows > 1, dropout)


def layer_bytes(shape: Shape, run: RunConfig, batch: Batch, element: int) -> int:
    """Of one token in one layer that gradients pass. `element` is d above."""
    full = run.method.name == "full"
    norms = 2 * 4 * shape.hidden * (2 if full else 1)  # trained norms also keep their output
    kept = norms + _attention(shape, run, batch, element) + element * 3 * shape.intermediate
    return kept + _inputs(shape, run, batch, element) + _method_extra(shape, run, element)


def layers_kept(shape: Shape, run: RunConfig) -> int:
    """Layers whose activations are kept: adapter layers stand in the last ones only."""
    if run.method.name == "adapter_layers":
        return adapted_layers(shape, run.method)
    return shape.layers


def _attention(shape: Shape, run: RunConfig, batch: Batch, element: int) -> int:
    a, k = shape.attention_width, shape.kv_width
    eager = run.model.attention == "eager"
    flash = run.model.attention == "flash_attention_2"
    if eager or (batch.masked and not flash):
        k = a
    if run.method.name == "prefix_tuning":
        k += k * run.method.virtual_tokens // batch.length
    kept = element * (2 * a + 2 * k)
    if eager:
        return kept + shape.heads * batch.length * (4 + 2 * element)
    mask = element * batch.length if batch.masked and not flash else 0
    return kept + 4 * shape.heads + mask


def _inputs(shape: Shape, run: RunConfig, batch: Batch, element: int) -> int:
    """What is kept because a matrix is trained, or has an adapter.

    In float32 without dropout the matrices that read the same tensor share it, and o_proj and
    down_proj read what attention and MLP leave anyway, or once more. In 16 bits each adapter casts
    its input by itself, and dropout makes a copy and a mask for each.
    """
    name, d = run.method.name, element
    if name == "full":
        shared = d * 2 * shape.hidden
        apart = d * 5 * shape.hidden  # q, k, v, gate and up each cast a float32 stream
        return (shared if d == 4 else apart) + d * shape.intermediate
    quantised = run.model.quantization == "int8"  # its backward pass keeps every input
    kept = d * (2 * shape.hidden + shape.intermediate) if quantised else 0
    if name == "ia3":
        return kept + _ia3(shape, run, d)
    dropout = batch.dropout_bytes
    seen: set[str] = set()
    for target in targeted(shape, run.method):
        kept += d * run.method.rank
        source = _SHARED.get(target.name, target.name)
        if dropout or d != 4:
            kept += target.inputs * (d + dropout)
        elif source not in seen and source != "o_proj" and not quantised:
            kept += target.inputs * d
        seen.add(source)
        if name == "dora":  # the base's output and the adapter's, to be scaled
            kept += 2 * d * target.outputs
    return kept


def _ia3(shape: Shape, run: RunConfig, element: int) -> int:
    """The scaled tensors: outputs in d, a feed-forward layer's input in float32."""
    return sum(
        4 * target.inputs if target.name == FEEDFORWARD else element * target.outputs
        for target in targeted(shape, run.method)
    )


def _method_extra(shape: Shape, run: RunConfig, element: int) -> int:
    """Adapter layers compute the queries again, and attend to the prompt with scores in full."""
    if run.method.name != "adapter_layers":
        return 0
    scores = shape.heads * run.method.virtual_tokens * (4 + 2 * element)
    return element * shape.attention_width + scores
