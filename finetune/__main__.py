"""`python -m finetune STEP --config FILE [key=value ...]`: from a company's rows to an adapter.

Exit status: 0 good, 1 refused or failed with a reason in one line, 2 a mistake in the settings or
the command, 130 stopped with Ctrl-C (a checkpoint is kept).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

import settings
from finetune import steps
from finetune.config import RunConfig
from finetune.data_command import app as data
from finetune.device import keep_offline
from finetune.errors import FinetuneError
from finetune.registry_command import app as registry

FAILED, MISUSED = 1, 2

ConfigOption = Annotated[Path, typer.Option("--config", help="The run's YAML file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Last line: one JSON object.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, change nothing.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings, e.g. train.epochs=1"),
]
DEFAULT = Path("configs/finetune/lora-135m-cpu.yaml")

EXTRA = frozenset(
    {"accelerate", "bitsandbytes", "datasets", "matplotlib", "peft", "pyarrow", "trl"}
)
"""Packages of the extra `finetune` that a step meets first."""
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Adapt a model to your rows: look at them, plan, train, evaluate, export.\n\n"
    "A first run, on any CPU:\n\n"
    "`python -m finetune run data.train=rows.jsonl output_dir=data/finetune/mine`\n\n"
    '`rows.jsonl` holds `{"prompt": ..., "completion": ...}` a line. Every step takes '
    "`--config FILE` (one YAML file a run, see configs/finetune/) and any number of overrides "
    "such as `method.rank=8 train.learning_rate=1e-4`; `--dry-run` changes nothing.",
)

app.add_typer(data, name="data")
app.add_typer(registry, name="registry")


def load(config: Path, overrides: list[str] | None) -> RunConfig:
    return settings.load(RunConfig, config, overrides or ())


@app.command()
def check(
    overrides: Overrides = None,
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
    dry_run: DryRun = False,
) -> None:
    """Look at the rows: bad ones, duplicates, leaks, lengths, and two as the model will see them.

    `python -m finetune check data.train=rows.jsonl data.columns='{completion: intent}'`
    """
    if not steps.check(load(config, overrides), as_json):
        raise typer.Exit(FAILED)


@app.command()
def plan(
    overrides: Overrides = None,
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Run two real steps and correct the estimate.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Will it fit, how long will it take: from the model's config.json, without loading it.

    `python -m finetune plan --config configs/finetune/qlora-llama2-13b.yaml plan.memory_gb=48`
    """
    if not steps.plan(load(config, overrides), as_json, probe=probe and not dry_run):
        raise typer.Exit(FAILED)


@app.command()
def train(
    overrides: Overrides = None,
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last complete checkpoint.")
    ] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Remove an earlier run in output_dir; start even if it may not fit."
        ),
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Train. Ctrl-C stops after the step at hand with a checkpoint; `--resume` goes on from it.

    `python -m finetune train --config configs/finetune/lora-135m-cpu.yaml data.train=rows.jsonl`

    On several GPUs: `accelerate launch --config_file configs/accelerate/gpus.yaml -m finetune train
    ...`; in two processes on a CPU: `torchrun --nproc_per_node 2 -m finetune train ...`
    """
    steps.train(load(config, overrides), as_json, resume=resume, yes=yes, dry_run=dry_run)


@app.command()
def evaluate(
    overrides: Overrides = None,
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
    dry_run: DryRun = False,
) -> None:
    """Measure the trained model against its base on held-back rows, and write the model card.

    `python -m finetune evaluate --config configs/finetune/lora-135m-cpu.yaml --json`
    """
    steps.evaluate(load(config, overrides), as_json, dry_run=dry_run)


@app.command()
def export(
    overrides: Overrides = None,
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
    dry_run: DryRun = False,
) -> None:
    """Write the artefacts of export.formats, each checked against what was trained.

    `python -m finetune export 'export.formats=[adapter, gguf_lora]'`
    """
    from finetune.export import export_command

    export_command(load(config, overrides), as_json, dry_run)


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders of evaluated runs.")],
    as_json: JsonOption = False,
) -> None:
    """Several runs side by side: settings that differ, results, costs.

    `python -m finetune compare data/finetune/lora data/finetune/qlora`
    """
    from finetune.compare import compare as compared
    from finetune.compare import table

    found = compared(folders)
    if as_json:
        steps.print_json({"runs": [one.to_json() for one in found]})
    else:
        steps.out.print(table(found))


@app.command()
def run(
    overrides: Overrides = None,
    config: ConfigOption = DEFAULT,
    as_json: JsonOption = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with training.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="As of train.")] = False,
    dry_run: DryRun = False,
) -> None:
    """All of it: check, plan, train, evaluate, export; ends at the first step that refuses.

    `python -m finetune run --config configs/finetune/lora-135m-cpu.yaml data.train=rows.jsonl`
    """
    wanted = load(config, overrides)
    if not steps.check(wanted, as_json=False, quiet=as_json):
        raise typer.Exit(FAILED)
    fits = steps.plan(wanted, as_json=False, quiet=as_json, refuse=not yes)
    trained = steps.train(
        wanted, as_json=False, resume=resume, yes=yes, dry_run=dry_run, quiet=as_json
    )
    if dry_run:
        if as_json:
            steps.print_json({"dry_run": True, "fits": fits, **trained})
        return
    evaluated = steps.evaluate(wanted, as_json=False, quiet=as_json)
    from finetune.export import export as exported

    artefacts = exported(wanted, tell=steps.tell)
    if as_json:
        made = [{"format": one.format, "path": one.path} for one in artefacts]
        steps.print_json({**evaluated, "training": trained, "artefacts": made})
    else:
        steps.out.print(f"exported {', '.join(one.format for one in artefacts)}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake ends in one message, never in a stack trace."""
    keep_offline()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # of the libraries: what matters here is said as an error
    try:
        app(arguments)
    except settings.SettingsError as error:
        steps.err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(MISUSED)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in EXTRA:
            raise
        need = f"{error.name} is not installed: run `make setup EXTRAS=finetune`"
        steps.err.print(f"[bold red]error:[/] {need}", soft_wrap=True)
        sys.exit(FAILED)
    except FinetuneError as error:
        steps.err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        steps.err.print("stopped; complete checkpoints stay, --resume goes on from the last")
        sys.exit(steps.STOPPED)


if __name__ == "__main__":
    main()
