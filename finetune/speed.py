"""Tokens a second and hours, from operations a token, a peak, and the share of it that is reached.

With N the weights that every token is multiplied with, L layers, a = heads x head_dim, s the row's
length, one pass forward costs 2N + 2Las (causal attention). A frozen base needs the pass forward
and the gradient of the activations: 4N and three times the attention. Full fine-tuning adds the
weights' gradient: 6N. Checkpointing adds a pass forward: 6N and 8N. The adapter's own operations
are left out (under 1% at rank 16), and so are evaluation, loading and saving.

`mfu` is the share of the peak over all operations carried out, those of checkpointing included. On
a quantised base each pass also reads and writes all weights once, at the memory's bandwidth.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from finetune.config import RunConfig
from finetune.memory import Device, element_bytes
from finetune.shapes import Shape
from finetune.trainable import adapted_layers

# A core with AVX2 reached more than this in float32 matrix products; a guess until probed.
CPU_TFLOPS_A_CORE = 0.05
# Of main memory; measured on a machine with two memory channels.
CPU_BANDWIDTH = 12e9
_ROWS_A_ROW = {"dpo": 2, "reward": 2}
_EXTRA_PASSES = {"dpo": 1, "kto": 3, "rloo": 2, "grpo": 2}
"""Forward passes beside training's: the reference; kto's two of unrelated pairs; the reward's."""
_SORTED = ("sft", "pretrain", "dpo", "reward")
"""Objectives whose rows may be batched by length."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What computes: operations and bytes a second."""

    name: str
    tflops: float
    bandwidth: float


@dataclass(frozen=True, slots=True)
class Work:
    """What a run reads. Tokens are of one mean row as it is computed, padding included."""

    sequences: int | None
    """Of an epoch; None where the data are unknown."""
    steps: int | None
    """Of the optimiser, over all epochs."""
    padded: float
    real: float


@dataclass(frozen=True, slots=True)
class Speed:
    """An expectation, or what a probe measured."""

    tokens_per_second: float
    """Padding left out."""
    steps: int | None
    hours: float | None
    measured: bool = False


def count_work(run: RunConfig, lengths: Sequence[int] | None, rows: int | None) -> Work:
    """Rows, steps and padding. Unknown lengths count as data.max_length: an upper bound."""
    limit = run.data.max_length
    online = run.objective.name in ("rloo", "grpo")
    extra = run.objective.max_new_tokens if online else 0
    known = [min(length + extra, limit) for length in lengths or ()]
    if rows is None:
        rows = len(known) or None
    real = sum(known) / len(known) if known else float(limit)
    if run.train.packing:
        sequences = None if rows is None else math.ceil(rows * real / limit)
        return Work(sequences, _steps(run, sequences), limit, _packed(run, real, rows, sequences))
    sequences = None if rows is None else rows * (run.objective.generations if online else 1)
    padded = _padded(run, known) if known else float(limit)
    return Work(sequences, _steps(run, sequences), padded, real)


def expect(shape: Shape, run: RunConfig, device: Device, engine: Engine, work: Work) -> Speed:
    """Tokens a second and hours on `engine`."""
    rows = run.train.batch_size * _ROWS_A_ROW.get(run.objective.name, 1)
    operations = rows * work.padded * operations_a_token(shape, run, work.padded)
    seconds = operations / (engine.tflops * 1e12 * run.plan.mfu)
    seconds += _dequantise(shape, run, device) / engine.bandwidth
    seconds += _sample(shape, run, device, work) / engine.bandwidth
    hours = None
    if work.steps is not None:
        hours = work.steps * run.train.accumulate * seconds / 3600
    return Speed(rows * work.real / seconds, work.steps, hours)


def measured(run: RunConfig, work: Work, tokens_per_second: float) -> Speed:
    """The same from what a probe saw."""
    rows = run.train.batch_size * _ROWS_A_ROW.get(run.objective.name, 1)
    hours = None
    if work.steps is not None:
        tokens = work.steps * run.train.accumulate * rows * work.real
        hours = tokens / tokens_per_second / 3600
    return Speed(tokens_per_second, work.steps, hours, measured=True)


def operations_a_token(shape: Shape, run: RunConfig, length: float) -> float:
    """Floating-point operations that training carries out for one token of a row of `length`."""
    linear, attention = _passes(shape, run)
    width = shape.attention_width
    return linear * 2 * shape.multiplied + attention * 2 * shape.layers * width * length


def _passes(shape: Shape, run: RunConfig) -> tuple[float, float]:
    """Passes through matrices and through attention, in units of one pass forward."""
    share = 1.0
    if run.method.name == "adapter_layers":  # below its first layer nothing needs a gradient
        share = adapted_layers(shape, run.method) / shape.layers
    again = share if run.train.gradient_checkpointing else 0.0
    forward = 1 + again + _EXTRA_PASSES.get(run.objective.name, 0)
    return forward + share * (2 if run.method.name == "full" else 1), forward + share * 2


def _dequantise(shape: Shape, run: RunConfig, device: Device) -> float:
    """Bytes moved in a batch to turn quantised weights into arithmetic's format."""
    if run.model.quantization == "none":
        return 0.0
    stored = 0.5 if run.model.quantization == "nf4" else 1.0
    passes = _passes(shape, run)[0]
    return passes * shape.linear_weights * (stored + element_bytes(run, device))


def _sample(shape: Shape, run: RunConfig, device: Device, work: Work) -> float:
    """Bytes read in a batch to sample answers: the weights and half the cache, for each token."""
    if run.objective.name not in ("rloo", "grpo"):
        return 0.0
    element = element_bytes(run, device)
    cache = 2 * shape.layers * shape.kv_width * element * work.padded * run.train.batch_size
    weights = shape.multiplied * element / run.train.accumulate  # all of a step's rows at once
    return run.objective.max_new_tokens * (weights + cache / 2)


def _steps(run: RunConfig, sequences: int | None) -> int | None:
    most = run.train.max_steps or None
    if sequences is None:
        return most
    batches = math.ceil(sequences / run.train.batch_size)
    steps = math.ceil(run.train.epochs * math.ceil(batches / run.train.accumulate))
    return min(steps, most) if most else steps


def _padded(run: RunConfig, lengths: Sequence[int]) -> float:
    """Mean length as computed: each batch is as long as its longest row."""
    ordered = list(lengths)
    random.Random(run.data.seed).shuffle(ordered)
    if run.train.group_by_length and run.objective.name in _SORTED:
        ordered.sort()
    size = run.train.batch_size
    batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    return sum(len(batch) * max(batch) for batch in batches) / len(ordered)


def _packed(run: RunConfig, real: float, rows: int | None, sequences: int | None) -> float:
    """Real tokens of a packed sequence; full, where the number of rows is unknown."""
    if rows is None or not sequences:
        return float(run.data.max_length)
    return rows * real / sequences
