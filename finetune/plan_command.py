"""What `python -m finetune plan` shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from finetune.config import RunConfig
from finetune.plan import Holder, Plan, gb, make_plan

out = Console(highlight=False, emoji=False)

_SHOWN_HOLDERS = 5
_KINDS = {"gpu": "whole GPUs", "vgpu": "vGPU profiles, time-sliced", "mig": "vGPU profiles on MIG"}


def plan_command(
    run: RunConfig,
    as_json: bool,
    lengths: Sequence[int] | None = None,
    scored: Sequence[int] | None = None,
) -> Plan:
    """Print the plan, as tables or as one JSON object, and return it. Raises ModelError,
    ConfigError; a run that does not fit is shown, not raised (`require_fit` raises it)."""
    plan = make_plan(run, lengths, None, scored)
    show_plan(plan, as_json)
    return plan


def show_plan(plan: Plan, as_json: bool) -> None:
    """Print `plan`, also one that a probe has corrected."""
    if as_json:
        print(json.dumps(plan.to_json(), ensure_ascii=False))
        return
    out.print(Group(*_sections(plan)))


def _sections(plan: Plan) -> Iterable[RenderableType]:
    yield _model_line(plan)
    yield _memory_table(plan)
    yield _verdict(plan)
    if plan.proposals:
        yield _proposal_table(plan)
    yield _speed_line(plan)
    yield _disk_line(plan)
    yield _holder_table(plan) if plan.holders else "no single GPU known holds it as it stands"
    for note in plan.notes:
        yield f"[dim]note: {escape(note)}[/dim]"


def _model_line(plan: Plan) -> str:
    run = plan.run
    share = plan.trainable / plan.parameters
    return (
        f"{escape(str(run.model.path))}: {plan.parameters:,} parameters; {run.method.name} trains "
        f"{plan.trainable:,} ({share:.2%}), {run.objective.name}, on {plan.engine.name}"
    )


def _memory_table(plan: Plan) -> Table:
    table = Table(title="memory", title_justify="left", box=None, pad_edge=False)
    table.add_column("part")
    table.add_column("size", justify="right")
    table.add_column(f"at the peak ({plan.memory.moment})", justify="right")
    for name, size in plan.memory.parts.items():
        if size:
            table.add_row(name, gb(size), gb(size) if name in plan.memory.held else "-")
    table.add_row("estimated peak", "", gb(plan.memory.peak), style="bold")
    if plan.measured_bytes is not None:
        difference = plan.measured_bytes / plan.memory.peak - 1
        table.add_row("measured peak", f"{difference:+.1%}", gb(plan.measured_bytes), style="bold")
    return table


def _verdict(plan: Plan) -> str:
    limit = plan.limit
    of = f"{gb(limit.usable)} usable of {gb(limit.total)} ({escape(limit.source)})"
    if plan.fits_memory:
        return f"[green]fits[/green]: {gb(plan.needed)} in {of}"
    return f"[red]does not fit[/red]: {gb(plan.needed)}, and {of}"


def _proposal_table(plan: Plan) -> Table:
    table = Table(
        title="what would fit, cheapest in quality first",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("type after the command", overflow="fold")
    table.add_column("needs", justify="right")
    table.add_column("costs")
    for one in plan.proposals:
        table.add_row(escape(" ".join(one.overrides)), gb(one.needed), one.cost)
    return table


def _speed_line(plan: Plan) -> str:
    speed, engine = plan.speed, plan.engine
    how = (
        "measured"
        if speed.measured
        else f"expected at {plan.run.plan.mfu:.0%} of {engine.tflops:g} TFLOP/s"
    )
    steps = "" if speed.steps is None else f", {speed.steps:,} steps"
    return f"speed: {speed.tokens_per_second:,.0f} tokens/s ({how}){steps}{_time(speed.hours)}"


def _time(hours: float | None) -> str:
    if hours is None:
        return ""
    return f", {60 * hours:.0f} minutes" if hours < 2 else f", {hours:.1f} hours"


def _disk_line(plan: Plan) -> str:
    disk = plan.disk
    parts = ", ".join(f"{name} {gb(size)}" for name, size in disk.parts.items())
    state = "[green]fits[/green]" if disk.fits else "[red]does not fit[/red]"
    return f"disk: {state}: {gb(disk.needed)} of {gb(disk.free)} free ({parts})"


def _holder_table(plan: Plan) -> Table:
    table = Table(
        title="GPUs that hold it, smallest first", title_justify="left", box=None, pad_edge=False
    )
    table.add_column("GPU or profile")
    for name in ("usable", "left after headroom", "tokens/s", "time"):
        table.add_column(name, justify="right")
    for kind, title in _KINDS.items():
        holders = [holder for holder in plan.holders if holder.gpu.kind == kind]
        if holders:
            table.add_row(f"[dim]{title}[/dim]")
        for holder in holders[:_SHOWN_HOLDERS]:
            table.add_row(*_holder_row(holder))
        if len(holders) > _SHOWN_HOLDERS:
            table.add_row(f"[dim]and {len(holders) - _SHOWN_HOLDERS} larger[/dim]")
    return table


def _holder_row(holder: Holder) -> tuple[str, ...]:
    return (
        holder.gpu.name,
        gb(holder.gpu.usable),
        gb(holder.spare),
        f"{holder.speed.tokens_per_second:,.0f}",
        _time(holder.speed.hours).removeprefix(", ") or "-",
    )
