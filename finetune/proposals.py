"""Changes that make a run fit, cheapest in quality first, each computed to be shown to fit.

What costs only time comes first: smaller batches with accumulation, checkpointing. Then what costs
little quality: a quantised base, no packing, a smaller rank. Then what loses data or capacity:
shorter rows, another method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from finetune.config import RunConfig
from finetune.errors import ConfigError
from finetune.methods import check_pairing

_MOST = 5
_SHORTEST = 128

Overrides = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Proposal:
    """`overrides` are to be typed after the command as they stand."""

    overrides: tuple[str, ...]
    needed: int
    """Bytes at the peak with them."""
    cost: str


def propose(
    run: RunConfig, model_type: str, layers: int, needed: Callable[[RunConfig], int], usable: int
) -> tuple[Proposal, ...]:
    """At most five, in order of what they cost. Empty where nothing of this makes it fit.

    Each change that suffices by itself; and before them, where the gentler ones do not, as many of
    those together as it takes, with the largest batch that then fits.
    """
    base = {"model_type": model_type, "num_hidden_layers": layers}
    found: list[Proposal] = []
    together: Overrides = {}
    costs: list[str] = []
    for changes, cost in _ladder(run):
        candidate = _changed(run, changes, base)
        if candidate is None:
            continue
        if needed(candidate) <= usable:
            if not _repeats(found, changes):
                found.append(Proposal(_typed(changes), needed(candidate), cost))
            continue
        combined = _changed(run, together | changes, base)
        before = _changed(run, together, base) or run
        if found or combined is None or needed(combined) >= needed(before):
            continue
        together |= changes
        costs += [cost] if cost not in costs else []
        if needed(combined) <= usable:
            found.append(_relaxed(run, together, "; ".join(costs), base, needed, usable))
    return tuple(found[:_MOST])


def _relaxed(
    run: RunConfig,
    together: Overrides,
    cost: str,
    base: dict[str, Any],
    needed: Callable[[RunConfig], int],
    usable: int,
) -> Proposal:
    """`together`, which fits, with the largest batch that still does."""
    best = together
    if "train.batch_size" in together:
        for size in _divisors(run.train.batch_size):
            larger = together | _smaller_batch(run, size)
            candidate = _changed(run, larger, base)
            if candidate is not None and needed(candidate) <= usable:
                best = larger
                break
    return Proposal(_typed(best), needed(_changed(run, best, base) or run), cost)


def _repeats(found: list[Proposal], changes: Overrides) -> bool:
    """Whether a change of the same keys stands there already: the first is the gentlest."""
    keys = set(changes)
    return any({one.split("=")[0] for one in old.overrides} == keys for old in found)


def _ladder(run: RunConfig) -> Iterator[tuple[Overrides, str]]:
    """Changes to `run`, gentlest first."""
    train, method = run.train, run.method
    for size in _divisors(train.batch_size):
        yield _smaller_batch(run, size), "smaller batches, added up: the same steps"
    if not train.gradient_checkpointing:
        yield {"train.gradient_checkpointing": True}, "slower by a third to a half: the same steps"
    if run.model.quantization == "none" and method.name != "full":
        yield {"model.quantization": "nf4"}, "the frozen base is rounded to 4 bits"
    if train.packing:
        yield {"train.packing": False}, "short rows are computed one by one"
    if method.name in ("lora", "dora", "rslora"):
        for rank in (method.rank // 2, method.rank // 4, 8):
            if 4 <= rank < method.rank:
                alpha = method.alpha * rank / method.rank
                yield {"method.rank": rank, "method.alpha": alpha}, "fewer trained parameters"
    for length in (run.data.max_length // 2, run.data.max_length // 4):
        if length >= _SHORTEST:
            yield _shorter(run, length)
    if method.name in ("full", "dora"):
        yield {"method.name": "lora"}, "adapters instead of the whole model"
    if method.name == "full":
        changes = {"method.name": "lora", "model.quantization": "nf4"}
        yield changes, "adapters on a base rounded to 4 bits"


def _smaller_batch(run: RunConfig, size: int) -> Overrides:
    accumulate = run.train.accumulate * run.train.batch_size // size
    return {"train.batch_size": size, "train.accumulate": accumulate}


def _shorter(run: RunConfig, length: int) -> tuple[Overrides, str]:
    if run.data.too_long == "cut_prompt":
        return {"data.max_length": length}, "longer prompts lose their beginning"
    return {"data.max_length": length, "data.too_long": "drop"}, "longer rows are left out"


def _divisors(batch: int) -> list[int]:
    """Of the batch size, largest first, itself left out."""
    return [size for size in range(batch - 1, 0, -1) if batch % size == 0]


def _changed(run: RunConfig, changes: Overrides, base: dict[str, Any]) -> RunConfig | None:
    """`run` with them; None where they contradict what stands there."""
    values = run.model_dump()
    for key, value in changes.items():
        section, name = key.split(".")
        values[section][name] = value
    candidate = RunConfig.model_validate(values)
    try:
        check_pairing(candidate, base)
    except ConfigError:
        return None
    return candidate


def _typed(changes: Overrides) -> tuple[str, ...]:
    return tuple(f"{key}={_word(value)}" for key, value in changes.items())


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
