"""What a run may use here: memory to fit into, arithmetic to be done with; and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

from finetune import machine
from finetune.config import RunConfig
from finetune.gpus import find_gpu, known_gpus
from finetune.memory import Device
from finetune.speed import CPU_BANDWIDTH, CPU_TFLOPS_A_CORE, Engine


@dataclass(frozen=True, slots=True)
class Limit:
    """What the run must stay below."""

    total: int
    """Bytes; `usable` of them, after `plan.headroom`."""
    usable: int
    source: str


def capacity(
    run: RunConfig, device: Device, gpu: machine.InstalledGpu | None
) -> tuple[Limit, Engine, list[str]]:
    """Memory, engine, and notes on what is a guess about them. `gpu` is the one installed here."""
    if device == "cpu":
        return _cpu(run)
    known = find_gpu(gpu.name) if gpu is not None else None
    notes = []
    if run.plan.memory_gb is not None:
        limit = _limit(run, int(run.plan.memory_gb * 1e9), "plan.memory_gb")
    elif gpu is not None:
        limit = _limit(run, gpu.free, f"free on {gpu.name}")
    else:
        largest = max(known_gpus(), key=lambda one: one.usable)
        limit = _limit(run, largest.usable, f"{largest.name}, the largest known")
        notes.append("no GPU here and no plan.memory_gb: judged by the largest single GPU known")
    if known is None:
        whole = [one for one in known_gpus() if one.kind == "gpu"]
        known = next((one for one in whole if one.usable >= limit.total), whole[-1])
        notes.append(f"speed is that of {known.name}: set plan.peak_tflops for another GPU")
    return limit, Engine(known.name, run.plan.peak_tflops or known.tflops, known.bandwidth), notes


def _cpu(run: RunConfig) -> tuple[Limit, Engine, list[str]]:
    if run.plan.memory_gb is not None:
        limit = _limit(run, int(run.plan.memory_gb * 1e9), "plan.memory_gb")
    else:
        limit = _limit(run, machine.free_memory(), "main memory that is free")
    cores = run.train.threads or machine.cores()
    name = f"CPU, {cores} cores" if cores > 1 else "CPU, 1 core"
    if run.plan.peak_tflops is not None:
        return limit, Engine(name, run.plan.peak_tflops, CPU_BANDWIDTH), []
    note = (
        f"speed is a guess until probed: {1000 * CPU_TFLOPS_A_CORE:.0f} GFLOP/s a core at "
        f"{run.plan.mfu:.0%}"
    )
    return limit, Engine(name, CPU_TFLOPS_A_CORE * cores, CPU_BANDWIDTH), [note]


def _limit(run: RunConfig, total: int, source: str) -> Limit:
    return Limit(total, int(total * (1 - run.plan.headroom)), source)
