"""The README's commands exist, its files are there, and its API examples run."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.core
import typer.main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SHELL = "\n".join(body for language, body in BLOCKS if language == "sh").replace("\\\n", " ")


def shell_lines(start: str) -> list[str]:
    return [line for line in SHELL.splitlines() if start in line]


def test_every_make_target_exists() -> None:
    targets = re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"run", "test", "help"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_linked_file_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    for link in links:
        assert (ROOT / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("line", shell_lines("python -m "))
def test_every_command_takes_the_options_shown(line: str) -> None:
    words = shlex.split(line.split("|")[-1])
    module, *rest = words[words.index("-m") + 1 :]
    if (module, rest[0]) == ("guardrails", "quarantine"):  # handed on to the application
        entry = importlib.import_module("serve.quarantine")
        rest.pop(0)
    elif (module, rest[0]) == ("serve", "feedback"):
        module, entry = "serve.feedback", importlib.import_module("serve.feedback_command")
        rest.pop(0)
    else:
        entry = importlib.import_module(f"{module}.__main__")
    command = typer.main.get_command(entry.cli if module == "serve" else entry.app)
    while isinstance(command, typer.core.TyperGroup):
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known


def test_the_overrides_shown_are_valid() -> None:
    import settings
    from serve.config import ServeConfig

    overrides = re.findall(r"(?<=\s)(\w+\.\w+=\S+)", "\n".join(shell_lines("-m serve")))
    assert overrides
    settings.load(ServeConfig, ROOT / "configs" / "chat.yaml", overrides)


def test_the_client_example_runs(running_server: str) -> None:
    """The Python block as it stands, but for the address."""
    (example,) = [body for language, body in BLOCKS if language == "python"]
    printed = run_python(example.replace("http://127.0.0.1:8000", running_server))
    assert "vgpu.hotmigrate.enabled" in printed
    assert re.search(r"^1 .+ \d+ \d+$", printed, re.MULTILINE)


@pytest.mark.parametrize("line", shell_lines("curl "))
def test_the_curl_examples_run(line: str, running_server: str) -> None:
    words = shlex.split(line.replace("http://127.0.0.1:8000", running_server))
    done = subprocess.run([*words, "-sS", "--fail-with-body"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["object"]
    assert answer.get("data", True), "an example that finds nothing teaches nothing"


def run_python(program: str) -> str:
    environment = {**os.environ, "NO_PROXY": "*"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
