"""What each step of `python -m finetune` does and says. Reports go to standard output, or to
standard error where the last line is to be one JSON object."""

from __future__ import annotations

import json
import sys
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from finetune.config import RunConfig

STOPPED = 130
"""Exit status after Ctrl-C."""

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def check(run: RunConfig, as_json: bool, quiet: bool = False) -> bool:
    """Whether the rows can be trained on."""
    from finetune.base_model import open_tokenizer, read_config
    from finetune.data_check import check_data
    from finetune.data_preview import print_preview, print_report
    from finetune.methods import check_pairing

    check_pairing(run, read_config(run.model.path))
    tokenizer = open_tokenizer(run.model.path)
    report = check_data(run, tokenizer)
    if as_json:
        print_json(report.to_json())
    else:
        console = err if quiet else out
        print_report(console, report, run.data.too_long)
        print_preview(console, report.train[:2], tokenizer, run)
    return report.ok


def plan(
    run: RunConfig, as_json: bool, *, probe: bool = False, quiet: bool = False, refuse: bool = True
) -> bool:
    """Whether the run fits; with `refuse`, PreflightError says what would, if it does not."""
    from finetune.base_model import open_tokenizer, read_config
    from finetune.methods import check_pairing
    from finetune.plan import correct, make_plan, require_fit
    from finetune.plan_command import show_plan

    check_pairing(run, read_config(run.model.path))
    if run.data.train is None:
        found = make_plan(run, None, None)
    else:
        from finetune.datasets import load_training_data

        split = load_training_data(run, open_tokenizer(run.model.path)).train
        found = make_plan(run, split.lengths, split.rows, split.scored)
    if probe:
        from finetune.train import probe as probed

        seen = probed(run)
        found = correct(found, seen.peak_bytes, seen.tokens_per_second)
    if not quiet:
        show_plan(found, as_json)
    if refuse and not as_json:
        require_fit(found)
    return found.fits


def train(
    run: RunConfig, as_json: bool, *, resume: bool, yes: bool, dry_run: bool, quiet: bool = False
) -> dict[str, Any]:
    from finetune.device import is_main_process
    from finetune.train import train as trained

    result = trained(run, resume=resume, dry_run=dry_run, progress=True, yes=yes)
    found = result.to_json()
    if not is_main_process():
        return found
    if as_json:
        print_json({"dry_run": dry_run, **found})
    elif dry_run:
        _say(
            f"would train {result.method} for {result.objective} on {result.train_rows} rows, "
            f"{result.total_steps} steps, into {result.output_dir}",
            quiet,
        )
    elif not result.interrupted:
        held = f", {result.eval_loss:.4f} in validation" if result.eval_loss is not None else ""
        _say(
            f"trained {result.steps} steps in {result.seconds:.0f} s, "
            f"{result.tokens_per_second:.0f} tokens/s: loss {result.train_loss:.4f}{held}; "
            f"{result.artefact}",
            quiet,
        )
    if result.interrupted:
        err.print(
            f"stopped after step {result.steps} of {result.total_steps}, with a checkpoint: the "
            "same command with --resume goes on from it"
        )
        raise typer.Exit(STOPPED)
    return found


def evaluate(
    run: RunConfig, as_json: bool, *, dry_run: bool = False, quiet: bool = False
) -> dict[str, Any]:
    from finetune import evaluate as evaluation

    if dry_run:
        planned = evaluation.plan_evaluation(run)
        if as_json:
            print_json({"dry_run": True, **planned})
        else:
            _say(f"would measure {planned['artefact']} on {planned['rows']} rows", quiet)
        return planned
    found = evaluation.evaluate(run, tell).flat()
    if as_json:
        print_json(found)
    else:
        path = run.output_dir / "MODEL_CARD.md"
        from rich.markdown import Markdown

        (err if quiet else out).print(Markdown(path.read_text(encoding="utf-8")))
    return found


def tell(line: str) -> None:
    print(line, file=sys.stderr)


def _say(line: str, quiet: bool) -> None:
    (err if quiet else out).print(escape(line), soft_wrap=True)


def print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False))
