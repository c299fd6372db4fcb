"""`python -m rag`: ingest, inspect, search and evaluate a knowledge base."""

from __future__ import annotations

import sys

import typer
from rich.markup import escape

import settings
from rag.commands.documents import delete, list_documents, show
from rag.commands.evaluating import calibrate, evaluate
from rag.commands.ingesting import ingest, reindex, sync
from rag.commands.options import DEFAULT_CONFIG, MISUSED, ConfigOption, Overrides, err, load
from rag.commands.questions import ask, search
from rag.errors import RagError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Ingest documents, look at what is there, search, ask, and measure retrieval.\n\n"
    "Every command takes `--config FILE` and, behind its own arguments, any number of overrides "
    "such as `chunk.max_tokens=128` or `data_dir=/srv/vsage`.",
)
app.command()(ingest)
app.command()(sync)
app.command("list")(list_documents)
app.command()(show)
app.command()(delete)
app.command()(search)
app.command()(ask)
app.command()(evaluate)
app.command()(calibrate)
app.command()(reindex)


@app.command()
def models(overrides: Overrides = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Fetch and convert the two embedded models; what is there already is left alone."""
    from rag.models import fetch_models

    fetch_models(load(config, overrides).models_dir, echo=print)


def main() -> None:
    """Run the command line; a user's mistake ends in one message, never in a stack trace."""
    try:
        app()
    except (RagError, settings.SettingsError) as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(MISUSED)
    except KeyboardInterrupt:
        err.print("stopped; what was committed stays, the same command goes on from there")
        sys.exit(130)


if __name__ == "__main__":
    main()
