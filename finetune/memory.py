"""Memory of a run by part, at its fullest moment, from the model's config.json alone.

A run is fullest at one of these moments, and not every part is held at each:

    loss        activations of all layers (with checkpointing: the layers' inputs), and the tiles
                in which logits are computed: TRL never holds them all
    backward    the same without the tiles, and the working space of one layer
    step        gradients, optimiser, no activations
    generation  of rloo and grpo: keys and values of the answers being sampled

Numbers are bytes; GB are 10^9. What is not modelled: fragmentation beyond the stated overhead,
sharding over several GPUs (the numbers are one GPU's that holds everything), evaluation batches,
which keep no activations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from finetune.activations import Batch, largest_batch, layer_bytes, layers_kept
from finetune.config import RunConfig
from finetune.shapes import Shape
from finetune.trainable import base_parameters, trainable_parameters

Device = Literal["cpu", "cuda"]
Moment = Literal["loss", "backward", "step", "generation"]
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}

# bitsandbytes, NF4 with double quantisation: half a byte a weight; an 8-bit scale for each 64; a
# float32 scale for each 256 of those; and for each matrix two code books and an offset.
_NF4_A_WEIGHT = 0.5 + 1 / 64 + 4 / (64 * 256)
_NF4_A_MATRIX = 4 * (16 + 256 + 1)
# TRL's fused head works in tiles of this many tokens and words of the vocabulary.
_TILE_TOKENS, _TILE_WORDS = 4096, 32_768
# Without Triton the tile's gradient is computed by torch, step by step, in float32.
_TILES_ON_CPU = 8.25
# Python, torch and its libraries; on a GPU the CUDA context, cuBLAS's workspaces and rounding.
_OVERHEAD = {"cpu": 600_000_000, "cuda": 900_000_000}
# glibc's heap: holes that temporary tensors leave between those that are kept. Measured on a CPU
# from 128 to 1,024 tokens a batch; 0 with MALLOC_MMAP_THRESHOLD_=65536, which is slower.
_HEAP_HOLES = {"cpu": 0.76, "cuda": 0.0}


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of each part, which moment is the fullest, and what is held then."""

    parts: dict[str, int]
    moment: Moment
    held: frozenset[str]
    """Names of the parts that are held at that moment."""

    @property
    def peak(self) -> int:
        return sum(size for name, size in self.parts.items() if name in self.held)

    @property
    def tensors(self) -> int:
        """The peak without overhead and heap: what torch.cuda.max_memory_allocated would say."""
        apart = self.held & {"overhead", "heap"}
        return self.peak - sum(self.parts[name] for name in apart)


def element_bytes(run: RunConfig, device: Device) -> int:
    """Of the arithmetic's number format: d in `activations`."""
    if run.model.dtype == "auto":
        return 2 if device == "cuda" else 4
    return _BYTES[run.model.dtype]


def weight_bytes(shape: Shape, run: RunConfig, element: int) -> int:
    """Of the base as loaded. Embeddings, norms, biases and the head are never quantised; a base
    that is trained itself is float32."""
    total = base_parameters(shape, run)
    if run.method.name == "full":
        return 4 * total
    if run.model.quantization == "none":
        return element * total
    rest = element * (total - shape.linear_weights)
    if run.model.quantization == "nf4":
        matrices = shape.layers * len(shape.linears)
        return rest + int(_NF4_A_WEIGHT * shape.linear_weights) + _NF4_A_MATRIX * matrices
    scales = 4 * shape.layers * sum(linear.outputs for linear in shape.linears)
    return rest + shape.linear_weights + scales


def estimate(
    shape: Shape, run: RunConfig, device: Device, longest: int, scored: int | None = None
) -> Memory:
    """Bytes by part for rows of at most `longest` tokens. Raises ConfigError.

    `scored`: on how many of a row's tokens the loss is taken, at most; None: all of them. The
    others need no logits.
    """
    element = element_bytes(run, device)
    trained = trainable_parameters(shape, run)
    batch = largest_batch(run, longest, device)
    full = run.method.name == "full"
    parts = {
        "weights": weight_bytes(shape, run, element),
        "other models": _other_models(shape, run, element),
        "adapter": 0 if full else 4 * trained,
        "optimiser": 8 * trained,  # AdamW: two float32 moments
        "gradients": 4 * trained,
        "16-bit copies": _copies(trained, element),
        "activations": _activations(shape, run, batch, element),
        "loss": _loss(shape, run, batch, element, device, scored),
        "working space": _working(shape, run, batch, element),
        "generation": _generation(shape, run, longest, element),
        "overhead": _OVERHEAD[device],
    }
    parts["heap"] = int(_HEAP_HOLES[device] * (parts["activations"] + parts["loss"]))
    return _fullest(parts, gradients_stay=run.train.accumulate > 1)


def _fullest(parts: dict[str, int], gradients_stay: bool) -> Memory:
    always = {"weights", "other models", "adapter", "optimiser", "overhead"}
    passing = {"activations", "heap", "16-bit copies"}
    passing |= {"gradients"} if gradients_stay else set()
    moments: dict[Moment, set[str]] = {
        "loss": always | passing | {"loss"},
        "backward": always | passing | {"working space"},
        "step": always | {"gradients"},
        "generation": always | {"generation"},
    }
    held = {moment: sum(parts[name] for name in names) for moment, names in moments.items()}
    fullest = max(held, key=lambda moment: held[moment])
    return Memory(parts, fullest, frozenset(moments[fullest]))


def _copies(trained: int, element: int) -> int:
    """Autocast keeps a 16-bit copy of each float32 weight that is trained."""
    return element * trained if element < 4 else 0


def _other_models(shape: Shape, run: RunConfig, element: int) -> int:
    """A frozen reference where the base itself is trained; and the reward model, taken to be as
    large as the base. With an adapter the reference is the base without it, and costs nothing."""
    objective = run.objective.name
    total = 0
    if run.method.name == "full" and objective in ("dpo", "kto", "rloo", "grpo"):
        total += element * shape.parameters
    if objective in ("rloo", "grpo"):
        total += element * (shape.parameters - shape.parts()["head"])
    return total


def _activations(shape: Shape, run: RunConfig, batch: Batch, element: int) -> int:
    """Of all layers; with checkpointing their inputs, and one layer in full while it is redone."""
    a_token = layer_bytes(shape, run, batch, element)
    kept = layers_kept(shape, run)
    stream = 4 if run.method.name == "full" else element
    last = 4 * shape.hidden + 2 * element * shape.hidden  # final norm, and what the head reads
    if not run.train.gradient_checkpointing:
        return batch.tokens * (kept * a_token + last)
    return batch.tokens * (kept * stream * shape.hidden + a_token + last)


def _loss(
    shape: Shape,
    run: RunConfig,
    batch: Batch,
    element: int,
    device: Device,
    scored: int | None,
) -> int:
    """Tiles of logits, and the gradient of what the head reads, in float32."""
    if run.objective.name == "reward":
        return 0
    a_row = batch.length if scored is None or run.train.packing else min(scored, batch.length)
    positions = batch.rows * a_row
    tile = min(positions, _TILE_TOKENS) * min(shape.vocabulary, _TILE_WORDS)
    tiles = int(tile * (4 * _TILES_ON_CPU if device == "cpu" else element))
    of_head = 4 * shape.vocabulary * shape.hidden if run.method.name == "full" else 0
    return tiles + 4 * (positions + batch.tokens) * shape.hidden + of_head


def _working(shape: Shape, run: RunConfig, batch: Batch, element: int) -> int:
    """Gradients that pass through one layer, and its largest matrix dequantised."""
    passing = batch.tokens * (3 * element * shape.intermediate + 12 * shape.hidden)
    largest = max(linear.weights for linear in shape.linears)
    if run.method.name == "dora":  # B x A in full, beside the weight and its norm
        return passing + 3 * 4 * largest
    return passing + (element * largest if run.model.quantization != "none" else 0)


def _generation(shape: Shape, run: RunConfig, longest: int, element: int) -> int:
    """Keys and values of all answers of a step, and the last position's logits while sampling."""
    if run.objective.name not in ("rloo", "grpo"):
        return 0
    rows = run.train.batch_size * run.train.accumulate
    a_token = 2 * shape.layers * shape.kv_width * element
    return rows * (longest * a_token + 3 * 4 * shape.vocabulary)
