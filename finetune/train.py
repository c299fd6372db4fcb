"""Training: settings, base and rows -> an adapter (or a whole model) in the run's folder.

The loop is TRL's. What stands around it: refusals before anything is written, a run that can go on
where it was broken off, and the assertion that something was learned at all.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune import run_folder
from finetune.base_model import BaseModel, describe_base, open_base, open_tokenizer, read_config
from finetune.config import RunConfig
from finetune.datasets import Split, TrainingData, load_training_data
from finetune.device import Placement, is_main_process, keep_offline, peak_bytes, place, use_threads
from finetune.errors import PreflightError, TrainingError
from finetune.failures import named_failures
from finetune.methods import ONLINE, check_pairing, learning_rate
from finetune.resume import remove_incomplete, resume_point, step_of
from finetune.train_result import Probe, TrainResult

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Trainer

    from finetune.progress import RunCallback

Fingerprint = dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Ready:
    """A run that has passed every check."""

    run: RunConfig
    placement: Placement
    base: BaseModel
    config: dict[str, Any]
    tokenizer: PreTrainedTokenizerBase
    data: TrainingData
    checkpoint: Path | None


def train(
    run: RunConfig, *, resume: bool, dry_run: bool, progress: bool, yes: bool = False
) -> TrainResult:
    """Train, or with `dry_run` only check that it could be done.

    `resume` goes on from the last complete checkpoint; on a CPU the result is the same to the bit
    as without the interruption. `yes` removes an earlier run in output_dir, and starts even where
    the plan says that it will not fit. Raises the errors of `errors.py`; what was saved until then
    stays.
    """
    ready = _prepare(run, resume=resume, yes=yes)
    if dry_run:
        return _result(ready, steps=0, total=_steps(ready))
    if is_main_process():
        if resume:
            remove_incomplete(run.output_dir)
        else:
            run_folder.clear(run.output_dir)
        run_folder.begin(run, ready.base, ready.data.facts, ready.placement.device)
    return _run(ready, progress=progress)


def probe(run: RunConfig, steps: int = 2) -> Probe:
    """Run some real steps on the longest rows, in a folder that is removed again.

    Raises the errors of `errors.py`, TrainingError with proposals if memory runs out.
    """
    fewer = {"max_steps": steps, "early_stopping": 0, "warmup": 0.0}
    run = run.model_copy(update={"train": run.train.model_copy(update=fewer)})
    ready = _prepare(run, resume=False, yes=True)
    count = steps * run.train.batch_size * run.train.accumulate
    longest = _longest(ready.data.train, count)
    data = TrainingData(longest, _longest(ready.data.validation, 1), ready.data.facts)
    from transformers.trainer_utils import IntervalStrategy, SaveStrategy

    from finetune.progress import Interruption, RunCallback

    with tempfile.TemporaryDirectory() as folder, named_failures(run):
        trainer = _build(ready, data, Path(folder))
        trainer.args.save_strategy = SaveStrategy.NO
        trainer.args.eval_strategy = IntervalStrategy.NO
        device = ready.placement.device
        callback = RunCallback(Path(folder), 1, device, Interruption(), bar=False)
        trainer.add_callback(callback)
        with _fast_head(ready.placement):
            trainer.train()
        speed = callback.tokens / callback.seconds if callback.seconds else 0.0
        return Probe(peak_bytes(device), speed, callback.seconds)


def fingerprint(model: Any) -> Fingerprint:
    """Sum and absolute sum of each trained tensor: equal before and after means unchanged."""
    return {
        name: (float(p.detach().double().sum()), float(p.detach().double().abs().sum()))
        for name, p in model.named_parameters()
        if p.requires_grad
    }


def _prepare(run: RunConfig, *, resume: bool, yes: bool) -> _Ready:
    """Everything that can be refused is refused here, before anything is written."""
    keep_offline()
    config = read_config(run.model.path)
    check_pairing(run, config)
    placement = place(run)
    use_threads(run)
    if not resume and not yes and is_main_process():
        run_folder.refuse_used(run.output_dir)
    tokenizer = open_tokenizer(run.model.path)
    data = load_training_data(run, tokenizer)
    if not yes:
        _refuse_unfit(run, data)
    base = describe_base(run.model.path)
    checkpoint = resume_point(run, base, data.facts) if resume else None
    return _Ready(run, placement, base, config, tokenizer, data, checkpoint)


def _refuse_unfit(run: RunConfig, data: TrainingData) -> None:
    from finetune.plan import make_plan, require_fit

    split = data.train
    try:
        require_fit(make_plan(run, split.lengths, split.rows, split.scored))
    except PreflightError as error:
        raise PreflightError(f"{error} (start it all the same with --yes)") from None


def _run(ready: _Ready, *, progress: bool) -> TrainResult:
    from finetune.progress import RunCallback, stop_on_signal

    run, folder = ready.run, ready.run.output_dir
    with named_failures(run), stop_on_signal() as interruption:
        trainer = _build(ready, ready.data, folder / run_folder.CHECKPOINTS)
        device = ready.placement.device
        callback = RunCallback(
            folder, run.train.keep_checkpoints, device, interruption, bar=progress
        )
        trainer.add_callback(callback)
        before = fingerprint(trainer.model)
        with _fast_head(ready.placement), _closed(callback):
            point = str(ready.checkpoint) if ready.checkpoint else None
            trainer.train(resume_from_checkpoint=point)
        changed = _changed(before, fingerprint(trainer.model))
        finished = not interruption.asked or trainer.state.global_step >= trainer.state.max_steps
        place = _save(trainer, ready) if finished and changed else None
    result = _finished(ready, trainer, callback, changed, len(before), place)
    if is_main_process():
        from finetune.loss_plot import draw_losses

        run_folder.write_json(folder / run_folder.RESULT, result.to_json())
        draw_losses(folder)
    if not changed:
        raise TrainingError(
            f"after {trainer.state.global_step} steps no trained parameter differs from its start: "
            f"nothing was learned; raise train.learning_rate (it was {learning_rate(run):g})"
        )
    return result


def _build(ready: _Ready, data: TrainingData, folder: Path) -> Trainer:
    import datasets
    from transformers import set_seed

    from finetune.objectives import build_trainer

    datasets.disable_progress_bars()
    set_seed(ready.run.train.seed)  # a reward model's head starts at random
    scores = ready.run.objective.name == "reward"
    # The trainer moves it itself, unless it is to be spread over several GPUs.
    model = open_base(ready.run, ready.placement, scores=scores, move=False)
    return build_trainer(
        ready.run, model, ready.tokenizer, data, ready.placement, ready.config, folder
    )


def _save(trainer: Trainer, ready: _Ready) -> Path:
    """The adapter or model into the run's folder, in one piece. Its path."""
    folder = ready.run.output_dir
    name = run_folder.MODEL if ready.run.method.name == "full" else run_folder.ADAPTER
    partial = folder / f"{name}.partial"
    trainer.save_model(str(partial))
    trainer.accelerator.wait_for_everyone()
    if is_main_process():
        ready.tokenizer.save_pretrained(str(partial))
        for spare in ("training_args.bin", "README.md"):
            (partial / spare).unlink(missing_ok=True)
        run_folder.move_in(partial, folder / name)
    return folder / name


def _changed(before: Fingerprint, after: Fingerprint) -> int:
    return sum(after[name] != values for name, values in before.items())


def _finished(
    ready: _Ready,
    trainer: Trainer,
    callback: RunCallback,
    changed: int,
    tensors: int,
    place: Path | None,
) -> TrainResult:
    history = trainer.state.log_history
    losses = [line["loss"] for line in history if "loss" in line]
    held = [line["eval_loss"] for line in history if "eval_loss" in line]
    speed = callback.tokens / callback.seconds if callback.seconds else 0.0
    model: Any = trainer.model
    return _result(
        ready,
        steps=trainer.state.global_step,
        total=trainer.state.max_steps,
        artefact=str(place) if place else None,
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        changed_tensors=changed,
        trainable_tensors=tensors,
        train_loss=sum(losses[-10:]) / len(losses[-10:]) if losses else None,
        eval_loss=held[-1] if held else None,
        seconds=round(callback.seconds, 3),
        tokens=callback.tokens,
        tokens_per_second=round(speed, 1),
        peak_bytes=peak_bytes(ready.placement.device),
        interrupted=place is None,
    )


def _result(ready: _Ready, *, steps: int, total: int, **rest: Any) -> TrainResult:
    run = ready.run
    artefact = rest.pop("artefact", None)
    return TrainResult(
        output_dir=str(run.output_dir),
        method=run.method.name,
        objective=run.objective.name,
        artefact=artefact,
        steps=steps,
        total_steps=total,
        learning_rate=learning_rate(run),
        train_rows=ready.data.train.rows,
        validation_rows=ready.data.validation.rows,
        dropped_rows=ready.data.train.dropped + ready.data.validation.dropped,
        resumed_from=step_of(ready.checkpoint) if ready.checkpoint else None,
        **rest,
    )


def _steps(ready: _Ready) -> int:
    """Steps that one process takes for all epochs; of packed rows an estimate from their tokens."""
    run, split = ready.run, ready.data.train
    rows = len(split.lengths)
    if run.train.packing:
        rows = max(1, round(sum(split.lengths) / run.data.max_length))
    if run.objective.name in ONLINE:
        rows *= run.objective.generations
    batches = -(-rows // run.train.batch_size)
    steps = -(-batches // run.train.accumulate)
    total = max(1, math.ceil(steps * run.train.epochs))
    return min(total, run.train.max_steps) if run.train.max_steps else total


def _longest(split: Split, count: int) -> Split:
    order = sorted(range(len(split.lengths)), key=lambda i: -split.lengths[i])[:count]
    lengths = [split.lengths[i] for i in order]
    scored = [split.scored[i] for i in order]
    return Split(split.dataset.select(order), lengths, scored, len(order), 0)


def _fast_head(placement: Placement) -> Any:
    from finetune.objectives import scored_positions_only

    return scored_positions_only(placement)


@contextmanager
def _closed(callback: RunCallback) -> Iterator[None]:
    try:
        yield
    finally:
        callback.close()
