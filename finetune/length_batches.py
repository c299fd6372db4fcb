"""Batches of rows of like length: little padding, so more tokens a second."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

_STRETCH = 50
"""Batches that are sorted by length together: enough to fill them evenly, few enough to mix."""


def length_batches(
    lengths: Sequence[int], batch_size: int, epoch_of: Callable[[], int], seed: int
) -> Any:
    """A sampler whose every `batch_size` rows on end are of like length, in random order.

    transformers' own draws from the global generator, so that a run resumed in the middle of an
    epoch sees another order; and it walks from long to short rows. This one's order depends on
    seed and epoch alone, and whole batches are shuffled.
    """
    from torch.utils.data import Sampler

    class LengthBatches(Sampler[int]):
        def __len__(self) -> int:
            return len(lengths)

        def __iter__(self) -> Any:
            return iter(length_order(lengths, batch_size, f"{seed} {epoch_of()}"))

    return LengthBatches()


def length_order(lengths: Sequence[int], batch_size: int, seed: str) -> list[int]:
    """Indices in batches of like length. Each stretch of batches is sorted by itself."""
    shuffle = random.Random(seed)
    order = list(range(len(lengths)))
    shuffle.shuffle(order)
    stretch = batch_size * _STRETCH
    batches: list[list[int]] = []
    for start in range(0, len(order), stretch):
        part = sorted(order[start : start + stretch], key=lambda i: lengths[i])
        batches += [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
    # A batch that is not full must be the last, else it would shift all behind it.
    full = [batch for batch in batches if len(batch) == batch_size]
    rest = [batch for batch in batches if len(batch) != batch_size]
    shuffle.shuffle(full)
    return [index for batch in full + rest for index in batch]
