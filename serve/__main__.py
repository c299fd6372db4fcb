"""`python -m serve`: the API and the page over one knowledge base.

`python -m serve feedback` is a program of its own: what stands behind `serve` are overrides.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import settings
from guardrails import GuardrailsError
from rag.errors import RagError
from serve.config import ServeConfig
from serve.errors import ServeError

cli = typer.Typer(add_completion=False, rich_markup_mode="markdown")
err = Console(stderr=True, highlight=False)
MISUSED = 2
_PORT_ERRORS = {errno.EADDRINUSE, errno.EACCES}


@cli.command()
def serve(
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Configuration overrides.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")
    ] = None,
    ingest: Annotated[
        list[Path] | None, typer.Option(help="Files or folders to bring up to date first.")
    ] = None,
    config: Annotated[Path, typer.Option("--config", help="The configuration file.")] = Path(
        "configs/chat.yaml"
    ),
) -> None:
    """Start the server: an OpenAI-compatible API below `/v1`, the page at `/`, docs at `/docs`.

    Example: `python -m serve --port 8080 generator.provider=extractive`

    What callers said of answers: `python -m serve feedback --help`
    """
    given = list(overrides or ())
    given += [f"server.host={host}"] if host is not None else []
    given += [f"server.port={port}"] if port is not None else []
    run(settings.load(ServeConfig, config, given), ingest or [])


def run(config: ServeConfig, folders: list[Path]) -> None:
    """Open everything, then serve until interrupted. Raises ServeError, RagError, GuardrailsError.

    The port is taken first: a server that could not listen should not load models.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    logging.basicConfig(
        level=config.server.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
    )
    for noisy in (
        "httpx",
        "sentence_transformers",
        "faiss",
        "alembic",
        "nemoguardrails",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with _listen(config.server.host, config.server.port) as listener:
        _serve(config, folders, listener)


def _serve(config: ServeConfig, folders: list[Path], listener: socket.socket) -> None:
    import uvicorn

    from rag.ingest_command import ingest_with_bar
    from rag.sources.files import FileSource
    from serve.app import create_app
    from serve.page import mount_page
    from serve.wiring import open_parts

    parts = open_parts(config)
    if folders:
        source = FileSource(folders, max_bytes=config.ingest.max_file_mb * 1024 * 1024)
        readers = frozenset(config.ingest.groups)
        report = ingest_with_bar(parts.knowledge, list(source.documents()), readers, show=True)
        for failure in report.failures:
            err.print(f"left out: {failure.name}: {failure.reason}", markup=False, soft_wrap=True)
    app = create_app(parts)
    mount_page(app, parts)
    host, port = listener.getsockname()[:2]
    _announce(f"http://{f'[{host}]' if ':' in host else host}:{port}", config.server.model_name)
    level = config.server.log_level
    server = uvicorn.Server(uvicorn.Config(app, log_level=level, log_config=None))
    # Its start-up lines would stand behind the two that say how to begin.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    server.run(sockets=[listener])


def _announce(url: str, model: str) -> None:
    print(f"vSage is ready: page {url}/  API {url}/v1  docs {url}/docs  (Ctrl-C stops it)")
    print(
        f"""Ask: curl {url}/v1/chat/completions -H 'content-type: application/json' """
        f"""-d '{{"model":"{model}","messages":[{{"role":"user","content":"What is vGPU?"}}]}}'""",
        flush=True,
    )


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ServeError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, UnicodeError) as error:  # the second where a host could be no name at all
        here = isinstance(error, OSError) and error.errno in _PORT_ERRORS
        advice = (
            "name another with --port, or stop what listens there"
            if here
            else "name one of this machine's addresses with --host"
        )
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ServeError(f"cannot listen on {host}:{port}: {reason}; {advice}") from error


def main() -> None:
    try:
        if sys.argv[1:2] == ["feedback"]:
            from serve.feedback_command import run as feedback

            feedback(sys.argv[2:])
        cli()
    except (ServeError, RagError, GuardrailsError, settings.SettingsError) as error:
        err.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(MISUSED)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
