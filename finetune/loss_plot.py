"""The plot of a run's losses, loss.png, from its metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune.run_folder import METRICS, PLOT, read_lines

_SMOOTH = 20  # points that the thick line is averaged over


def draw_losses(folder: Path) -> Path | None:
    """Draw training and validation loss over the steps; None if there is nothing to draw."""
    lines = read_lines(folder / METRICS)
    trained = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    held = [(line["step"], line["eval_loss"]) for line in lines if "eval_loss" in line]
    if not trained:
        return None
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes: Any = figure.subplots()
    steps, losses = zip(*trained, strict=True)
    axes.plot(steps, losses, color="tab:blue", alpha=0.3, linewidth=1)
    axes.plot(steps, _smooth(losses), color="tab:blue", label="training")
    if held:
        axes.plot(*zip(*held, strict=True), color="tab:orange", marker="o", label="validation")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    axes.legend()
    path = folder / PLOT
    figure.savefig(path, dpi=120)
    return path


def _smooth(values: tuple[float, ...]) -> list[float]:
    """The mean of each value and the up to `_SMOOTH` - 1 before it."""
    return [
        sum(values[max(0, i + 1 - _SMOOTH) : i + 1]) / min(i + 1, _SMOOTH)
        for i in range(len(values))
    ]
