"""Will it fit, how long will it take: arithmetic before a run, from the model's config.json alone.

Reads config.json and, if given, the rows' lengths; asks the system for memory and disk. Loads no
model and no model library. Every number is an expectation until `correct` puts a probe's in place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finetune import machine
from finetune.capacity import Limit, capacity
from finetune.config import RunConfig
from finetune.disk import Disk, disk_needed
from finetune.errors import PreflightError
from finetune.gpus import Gpu, known_gpus
from finetune.memory import Device, Memory, estimate
from finetune.proposals import Proposal, propose
from finetune.shapes import Shape, read_shape
from finetune.speed import (
    Engine,
    Speed,
    Work,
    count_work,
    expect,
    measured,
)
from finetune.trainable import base_parameters, trainable_parameters


@dataclass(frozen=True, slots=True)
class Holder:
    """A GPU or vGPU profile that holds the run, and what stays free on it."""

    gpu: Gpu
    spare: int
    """Bytes beyond the headroom."""
    speed: Speed


@dataclass(frozen=True, slots=True)
class Lengths:
    """What is known of the rows, in tokens."""

    longest: int
    scored: int | None
    """Of a row, tokens on which the loss is taken, at most; None: unknown, all are counted."""
    known: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer. `fits` is about memory and disk."""

    run: RunConfig
    shape: Shape
    device: Device
    parameters: int
    trainable: int
    lengths: Lengths
    work: Work
    memory: Memory
    limit: Limit
    speed: Speed
    engine: Engine
    disk: Disk
    holders: tuple[Holder, ...]
    proposals: tuple[Proposal, ...]
    notes: tuple[str, ...]
    measured_bytes: int | None = None

    @property
    def needed(self) -> int:
        """Bytes of memory: a probe's, else the estimate."""
        return self.memory.peak if self.measured_bytes is None else self.measured_bytes

    @property
    def fits_memory(self) -> bool:
        return self.needed <= self.limit.usable

    @property
    def fits(self) -> bool:
        return self.fits_memory and self.disk.fits

    def to_json(self) -> dict[str, Any]:
        """Plain values. Bytes, tokens a second, hours."""
        return {
            "fits": self.fits,
            "device": self.device,
            "parameters": {**self.shape.parts(), "total": self.parameters},
            "trainable": self.trainable,
            "memory": {
                "parts": self.memory.parts,
                "held_at_peak": [name for name in self.memory.parts if name in self.memory.held],
                "moment": self.memory.moment,
                "estimate": self.memory.peak,
                "measured": self.measured_bytes,
                "needed": self.needed,
                "limit": self.limit.total,
                "usable": self.limit.usable,
                "limit_source": self.limit.source,
            },
            "tokens_per_second": self.speed.tokens_per_second,
            "steps": self.speed.steps,
            "hours": self.speed.hours,
            "engine": dataclasses.asdict(self.engine) | {"mfu": self.run.plan.mfu},
            "disk": {
                "parts": self.disk.parts,
                "needed": self.disk.needed,
                "free": self.disk.free,
            },
            "holders": [_holder_json(holder) for holder in self.holders],
            "proposals": [
                {"overrides": list(one.overrides), "needed": one.needed, "cost": one.cost}
                for one in self.proposals
            ],
            "notes": list(self.notes),
        }


def make_plan(
    run: RunConfig,
    lengths: Sequence[int] | None,
    steps_rows: int | None,
    scored: Sequence[int] | None = None,
) -> Plan:
    """What `run` needs, and whether it fits here. Raises ModelError, ConfigError.

    `lengths`: tokens of the rows, of prompts alone for rloo and grpo. None: every row counts as
    data.max_length. `steps_rows`: rows of an epoch; None: as many as there are lengths. `scored`:
    of each row, tokens on which the loss is taken; None: all.
    """
    shape = read_shape(run.model.path)
    gpu = machine.installed_gpu() if run.train.device != "cpu" else None
    device: Device = "cuda" if gpu is not None or run.train.device == "cuda" else "cpu"
    rows = _row_lengths(run, lengths, scored)
    work = count_work(run, lengths, steps_rows)
    limit, engine, notes = capacity(run, device, gpu)
    memory = estimate(shape, run, device, rows.longest, rows.scored)
    plan = Plan(
        run=run,
        shape=shape,
        device=device,
        parameters=base_parameters(shape, run),
        trainable=trainable_parameters(shape, run),
        lengths=rows,
        work=work,
        memory=memory,
        limit=limit,
        speed=expect(shape, run, device, engine, work),
        engine=engine,
        disk=disk_needed(shape, run, device),
        holders=_holders(shape, run, rows, work),
        proposals=(),
        notes=(*notes, *_row_notes(run, shape, rows, work)),
    )
    return dataclasses.replace(plan, proposals=_proposals(plan))


def correct(plan: Plan, measured_peak_bytes: int, tokens_per_second: float) -> Plan:
    """`plan` with what a probe of two real steps saw in place of what was expected.

    Proposals and GPUs are computed again, every estimate scaled by measured / estimated.
    """
    speed = plan.speed
    if tokens_per_second > 0:
        speed = measured(plan.run, plan.work, tokens_per_second)
    plan = dataclasses.replace(plan, measured_bytes=measured_peak_bytes, speed=speed)
    return dataclasses.replace(plan, proposals=_proposals(plan))


def require_fit(plan: Plan) -> None:
    """Raises PreflightError, in one line that ends with what would fit."""
    if not plan.disk.fits:
        raise PreflightError(
            f"the run needs {gb(plan.disk.needed)} of disk, and {plan.disk.where} has "
            f"{gb(plan.disk.free)} left: free some, name another output_dir, or set "
            "train.keep_checkpoints lower"
        )
    if plan.fits_memory:
        return
    what = (
        f"the run needs {gb(plan.needed)} of memory, and may use {gb(plan.limit.usable)} of "
        f"{gb(plan.limit.total)} ({plan.limit.source})"
    )
    if plan.proposals:
        ways = [
            f"{' '.join(one.overrides)} ({gb(one.needed)}; {one.cost})" for one in plan.proposals
        ]
        raise PreflightError(f"{what}; what would fit: {', or '.join(ways)}")
    if plan.holders:
        raise PreflightError(f"{what}; the smallest that holds it: {plan.holders[0].gpu.name}")
    raise PreflightError(f"{what}; no single GPU holds it: choose a smaller model")


def gb(size: float) -> str:
    """10^9 bytes, as memory and disks are sold."""
    return f"{size / 1e9:.2f} GB" if size < 9.95e9 else f"{size / 1e9:.1f} GB"


def _row_lengths(
    run: RunConfig, lengths: Sequence[int] | None, scored: Sequence[int] | None
) -> Lengths:
    online = run.objective.name in ("rloo", "grpo")
    extra = run.objective.max_new_tokens if online else 0
    if not lengths:
        return Lengths(run.data.max_length, None, known=False)
    longest = min(max(lengths) + extra, run.data.max_length)
    return Lengths(longest, max(scored) if scored else None, known=True)


def _row_notes(run: RunConfig, shape: Shape, rows: Lengths, work: Work) -> list[str]:
    notes = []
    if not rows.known:
        notes.append(f"row lengths unknown: every row counts as data.max_length={rows.longest}")
    if rows.scored is None and run.objective.name != "reward":
        notes.append("memory of the loss is an upper bound: every token counts as scored")
    if work.steps is None:
        notes.append("number of rows unknown: no hours")
    if rows.longest > shape.context:
        notes.append(f"rows of {rows.longest} tokens exceed the model's context, {shape.context}")
    return notes


def _holders(shape: Shape, run: RunConfig, rows: Lengths, work: Work) -> tuple[Holder, ...]:
    """Smallest first. The run is taken as it would be on a GPU: model.dtype auto is bfloat16."""
    needed = estimate(shape, run, "cuda", rows.longest, rows.scored).peak
    found = []
    for gpu in known_gpus():
        spare = int(gpu.usable * (1 - run.plan.headroom)) - needed
        if spare >= 0:
            engine = Engine(gpu.name, gpu.tflops, gpu.bandwidth)
            found.append(Holder(gpu, spare, expect(shape, run, "cuda", engine, work)))
    return tuple(found)


def _proposals(plan: Plan) -> tuple[Proposal, ...]:
    """None where it fits, else what would."""
    if plan.fits_memory:
        return ()
    scale = plan.needed / plan.memory.peak

    def needed(candidate: RunConfig) -> int:
        longest = min(plan.lengths.longest, candidate.data.max_length)
        scored = plan.lengths.scored
        return int(scale * estimate(plan.shape, candidate, plan.device, longest, scored).peak)

    shape = plan.shape
    return propose(plan.run, shape.model_type, shape.layers, needed, plan.limit.usable)


def _holder_json(holder: Holder) -> dict[str, Any]:
    return {
        "name": holder.gpu.name,
        "kind": holder.gpu.kind,
        "usable": holder.gpu.usable,
        "spare": holder.spare,
        "tokens_per_second": holder.speed.tokens_per_second,
        "hours": holder.speed.hours,
    }
