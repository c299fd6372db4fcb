"""What is shown and kept while a run trains: a progress bar, metrics.jsonl, checkpoints' marks.

Also where a run ends early: at a loss that is no number, and on Ctrl-C after the step at hand.
"""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from finetune.device import is_main_process, peak_bytes
from finetune.errors import TrainingError
from finetune.resume import mark_complete, rotate
from finetune.run_folder import CHECKPOINTS, METRICS, read_lines, write_lines

_PLAIN_LINES = 20
"""Lines that a whole run prints where there is no terminal to draw a bar in."""


class Interruption:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def stop_on_signal() -> Iterator[Interruption]:
    """The first Ctrl-C (or SIGTERM) asks to stop after the step at hand, the second stops at once.

    In another thread than the main one signals cannot be caught, and are left alone.
    """
    state = Interruption()

    def handle(number: int, frame: Any) -> None:
        if state.asked:
            raise KeyboardInterrupt
        state.asked = True
        print("stopping after this step, with a checkpoint; again to stop at once", file=sys.stderr)

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, handle)
    except ValueError:
        pass
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class RunCallback(TrainerCallback):
    """Bar and metrics of one run in `folder`, and its early ends."""

    def __init__(
        self, folder: Path, keep: int, device: str, interruption: Interruption, *, bar: bool
    ) -> None:
        self.folder = folder
        self.keep = keep
        self.device = device
        self.interruption = interruption
        self.tokens = 0.0
        """Without padding, of this process's run."""
        self.seconds = 0.0
        """Of training alone."""
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._wanted = bar and is_main_process()
        self._plain_at = 0
        self._step_began = 0.0
        self._last = (0.0, 0.0)  # tokens and seconds at the last report
        self._shown: dict[str, Any] = {"loss": "-", "speed": "-"}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if is_main_process():
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / METRICS
            kept = [line for line in read_lines(path) if line["step"] <= state.global_step]
            write_lines(path, kept)  # what a resumed run repeats is not written twice
        if self._wanted:
            self._start_bar(state)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._step_began = time.perf_counter()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.seconds += time.perf_counter() - self._step_began
        if self._all_stop(args):
            control.should_save = True
            control.should_training_stop = True
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=state.global_step, **self._shown)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self.interruption.asked:  # saved already; whoever stops does not wait for an evaluation
            control.should_save = control.should_evaluate = False

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        logs = logs or {}
        self._stop_at_nan(logs, state)
        if "train_runtime" in logs:
            return
        line = {"step": state.global_step, "epoch": round(state.epoch or 0.0, 4)}
        line |= {key: value for key, value in logs.items() if key not in ("epoch", "num_tokens")}
        if "loss" in logs:
            line |= self._speed(float(logs.get("num_tokens", self.tokens)))
        if is_main_process():
            with open(self.folder / METRICS, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        self._show(line, state)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        PartialState().wait_for_everyone()  # each process has written its own generator's state
        if is_main_process():
            mark_complete(self.folder / CHECKPOINTS / f"checkpoint-{state.global_step}")
            rotate(self.folder, self.keep, state.best_model_checkpoint)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar down; also where training broke off."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _all_stop(self, args: TrainingArguments) -> bool:
        """Whether any process was asked to stop: all must stop after the same step."""
        if args.world_size > 1:
            asked = torch.tensor([int(self.interruption.asked)], device=args.device)
            torch.distributed.all_reduce(asked, op=torch.distributed.ReduceOp.MAX)
            self.interruption.asked = bool(asked.item())
        return self.interruption.asked

    def _speed(self, tokens: float) -> dict[str, float]:
        """Tokens a second since the last report, and the memory's peak."""
        self.tokens = tokens
        new, passed = tokens - self._last[0], self.seconds - self._last[1]
        self._last = (tokens, self.seconds)
        speed = new / passed if passed > 0 else 0.0
        return {
            "tokens": tokens,
            "tokens_per_second": round(speed, 1),
            "memory_bytes": peak_bytes(self.device),
            "seconds": round(self.seconds, 3),
        }

    def _stop_at_nan(self, logs: dict[str, float], state: TrainerState) -> None:
        for key in ("loss", "grad_norm", "eval_loss"):
            value = logs.get(key)
            if value is not None and not math.isfinite(value):
                raise TrainingError(
                    f"{key} is {value} after step {state.global_step}: the run stops; earlier "
                    "checkpoints are whole. Begin again with a lower train.learning_rate, more "
                    "train.warmup, or model.dtype=float32"
                )

    def _start_bar(self, state: TrainerState) -> None:
        console = Console(stderr=True)
        if not console.is_terminal:
            return
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._bar.start()
        self._task = self._bar.add_task(
            "training", total=state.max_steps, completed=state.global_step, **self._shown
        )

    def _show(self, line: dict[str, Any], state: TrainerState) -> None:
        if "loss" in line:
            memory = line["memory_bytes"] / 1e9
            self._shown = {
                "loss": f"{line['loss']:.4f}",
                "speed": f"{line['tokens_per_second']:.0f} tokens/s, {memory:.1f} GB",
            }
        if not self._wanted or self._bar is not None:
            return
        each = max(1, state.max_steps // _PLAIN_LINES)
        if "eval_loss" in line:
            print(f"step {line['step']}: validation loss {line['eval_loss']:.4f}", file=sys.stderr)
        elif state.global_step >= self._plain_at and "loss" in line:
            self._plain_at = state.global_step + each
            left = (state.max_steps - state.global_step) * self.seconds / state.global_step
            print(
                f"step {state.global_step}/{state.max_steps}: loss {self._shown['loss']}, "
                f"{self._shown['speed']}, {left:.0f} s left",
                file=sys.stderr,
            )
