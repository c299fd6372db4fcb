"""`python -m serve`, run as a user runs it."""

from __future__ import annotations

import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from guardrails import GuardrailsError
from rag.errors import RagError
from serve.__main__ import _announce, _listen
from serve.config import ServeConfig
from serve.errors import ServeError
from serve.wiring import open_parts

ROOT = Path(__file__).parent.parent
VMOTION = "Which setting enables vMotion for vGPU?"
START_S = 240
READY = re.compile(r"^vSage is ready: page (http://\S+)/  API \1/v1  docs \1/docs")


class Server:
    """A server in a process of its own. Its lines are read as they come."""

    def __init__(self, *arguments: str) -> None:
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serve", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.lines.put)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.errors.append)),
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: object, keep: object) -> None:
        for line in stream:  # type: ignore[attr-defined]
            keep(line)  # type: ignore[operator]

    def stop(self, number: int) -> int:
        self.process.send_signal(number)
        return self.end()

    def end(self) -> int:
        code = self.process.wait(60)
        for reader in self._readers:
            reader.join()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.end()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def start() -> Iterator[object]:
    started: list[Server] = []

    def starting(*arguments: str) -> Server:
        started.append(Server(*arguments))
        return started[-1]

    yield starting
    for server in started:
        server.close()


@pytest.fixture(scope="module")
def data_dir(kb_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(kb_data_dir, tmp_path_factory.mktemp("main") / "data"))


def ask(url: str, **values: object) -> httpx.Response:
    asked = {"model": "vsage", "messages": [{"role": "user", "content": VMOTION}]}
    return httpx.post(
        f"{url}/v1/chat/completions", json=asked | values, trust_env=False, timeout=120
    )


# --- a server that runs -------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_announces_itself_serves_and_ends(
    start: object, tmp_path: Path, data_dir: Path, models: Path, number: int
) -> None:
    """With the page, the embedded model and, once, documents to take in first."""
    if number == signal.SIGTERM:
        (tmp_path / "kb").mkdir()
        shutil.copy(ROOT / "docs" / "kb" / "vmotion-ha-drs-with-gpus.md", tmp_path / "kb")
        (tmp_path / "kb" / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
        options = ("--ingest", str(tmp_path / "kb"), f"data_dir={tmp_path / 'data'}")
        options += ("generator.provider=extractive",)
    else:
        options = (f"data_dir={data_dir}", "generator.slots=1")
    server = start("--port", "0", *options)  # type: ignore[operator]
    first, second = (server.lines.get(timeout=START_S) for _ in range(2))
    ready = READY.match(first)
    assert ready is not None, first
    url = ready[1]
    assert second.startswith(f"Ask: curl {url}/v1/chat/completions ")
    assert httpx.get(f"{url}/readyz", trust_env=False).json()["status"] == "ready"
    answer = ask(url, max_tokens=100).json()
    assert answer["vsage"]["citations"]
    page = httpx.get(f"{url}/", trust_env=False, timeout=60)
    assert (page.status_code, "vSage" in page.text) == (200, True)
    assert httpx.get(f"{url}/v1/nothing", trust_env=False).json()["error"]["message"]
    if number == signal.SIGTERM:
        assert any(line.startswith("left out: broken.pdf: ") for line in server.errors)
        _ask_as_announced(second)
    started = time.monotonic()
    code = server.stop(number)
    assert time.monotonic() - started < 60
    said = "".join(server.errors)
    assert "Traceback" not in said, said
    assert "Warning" not in said, said
    assert code in ((0, -signal.SIGTERM, 143) if number == signal.SIGTERM else (0, 130)), said
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz", trust_env=False)


def _ask_as_announced(line: str) -> None:
    """The second line is a command that can be pasted as it is."""
    if shutil.which("curl") is None:
        return
    ran = subprocess.run(
        ["bash", "-c", line.removeprefix("Ask: ")], capture_output=True, text=True, check=False
    )
    assert '"choices"' in ran.stdout, ran.stderr


def test_the_announcement_is_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    _announce("http://[::1]:8000", "vsage")
    first, second = capsys.readouterr().out.splitlines()
    assert READY.match(first)
    assert '"model":"vsage"' in second


# --- a server that cannot start -----------------------------------------------------------------


def failed(*arguments: str) -> str:
    """What a server says that ends at once, all on standard error."""
    ran = subprocess.run(
        [sys.executable, "-m", "serve", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert ran.returncode == 2, ran.stderr
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr
    return ran.stderr


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = failed("--port", str(port))
    assert said.startswith(f"error: cannot listen on 127.0.0.1:{port}: ")
    assert said.count("\n") == 1
    assert "--port" in said


@pytest.mark.parametrize("host", ["192.0.2.1", "", "a..b", "x" * 300, "\x00"])
def test_a_host_that_is_not_here(host: str) -> None:
    with pytest.raises(ServeError, match=r"cannot listen on .*addresses with --host"):
        _listen(host, 0)


def test_both_families_can_be_listened_on() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        try:
            with _listen(host, 0) as listener:
                assert listener.getsockname()[1] > 0
        except ServeError:
            assert host == "::1", "only IPv6 may be missing here"


def test_a_configuration_file_that_is_not_there(tmp_path: Path) -> None:
    said = failed("--config", str(tmp_path / "none.yaml"))
    assert "no such file: name one with --config" in said


def test_every_problem_of_a_configuration_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "chat.yaml"
    path.write_text("server:\n  prot: 80\n  port: 99999\nguardrials: {}\n")
    said = failed("--config", str(path), "generator.provder=extractive")
    assert "4 problems" in said
    assert "server.prot: unknown key; did you mean 'server.port'?" in said
    assert "did you mean 'guardrails'?" in said
    assert "did you mean 'generator.provider'?" in said
    assert "99999" in said


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "chat.yaml"
    path.write_text("server: [")
    assert "is not valid YAML" in failed("--config", str(path))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "'nonsense' is not an override"),
        (["--port", "70000"], "less than or equal to 65535"),
        (["--nonsense"], "No such option"),
        (["server.host=192.0.2.1"], "cannot listen on 192.0.2.1:8000"),
        (["server.log_level=loud"], "server.log_level"),
    ],
)
def test_arguments_that_make_no_sense(arguments: list[str], said: str) -> None:
    assert said in failed(*arguments)


def test_models_that_are_not_there(tmp_path: Path, models: Path) -> None:
    data, missing = tmp_path / "data", tmp_path / "none.gguf"
    said = failed("--port", "0", f"data_dir={data}", f"generator.model={missing}")
    assert said.splitlines()[-1] == (
        f"error: no model file {missing}: run `make models`, or set generator.model to a GGUF file"
    )


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("embedder", {"model": "none"}, "no embedding model in none: run `make models`"),
        ("guardrails", {"rails_dir": "none"}, "set guardrails.rails_dir"),
    ],
)
def test_parts_that_are_not_there(
    section: str, values: dict[str, str], said: str, tmp_path: Path, models: Path
) -> None:
    """As the test above, but without starting Python and all libraries anew."""
    known = {"data_dir": tmp_path, "generator": {"provider": "extractive"}}
    with pytest.raises((RagError, GuardrailsError), match=said):
        open_parts(ServeConfig.model_validate({**known, section: values}))


def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(RagError, match="cannot be opened"):
        open_parts(ServeConfig(data_dir=tmp_path / "data"))


def test_help_names_an_example() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "serve", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "python -m serve --port 8080" in ran.stdout
    assert "--ingest" in ran.stdout
