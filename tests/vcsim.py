"""Builds and starts the simulated vCenter of `tests/vcsim/main.go`.

It needs Go and govmomi as Debian packages them. The first build takes most of a minute, so the
program is kept in the user's cache folder, by a hash of what it is made of.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rag.sources.vcenter import VCenterConfig

USER = "reader@vsphere.local"
PASSWORD = "secret"
_SOURCE = Path(__file__).parent / "vcsim"
_GOPATH = Path("/usr/share/gocode")
_PACKAGES = "golang-go and golang-github-vmware-govmomi-dev"


@dataclass(frozen=True, slots=True)
class VCenter:
    """A running server. `certificate` is what a client has to trust."""

    process: subprocess.Popen[str]
    port: int
    certificate: Path

    def command(self, *words: str) -> str:
        """Carry out one command of main.go; its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def calls(self) -> dict[str, int]:
        """SOAP calls by method since this was last asked."""
        counted: dict[str, int] = json.loads(self.command("calls"))
        return counted

    def config(self, **changes: Any) -> VCenterConfig:
        given = {
            "kind": "vcenter",
            "host": "localhost",
            "port": self.port,
            "user": USER,
            "password": PASSWORD,
            "ca_file": str(self.certificate),
            "timeout_s": 20,
        }
        return VCenterConfig.model_validate(given | changes)


def vcsim_binary() -> Path:
    """The program, built unless the cache has it. Skips the test where it cannot be built."""
    simulator = _GOPATH / "src/github.com/vmware/govmomi/simulator"
    go = shutil.which("go")
    if go is None or not simulator.is_dir():
        pytest.skip(f"no simulated vCenter: install Debian's packages {_PACKAGES}")
    made_of = [(_SOURCE / "main.go").read_bytes(), str(simulator.stat().st_mtime_ns).encode()]
    made_of.append(subprocess.run([go, "version"], capture_output=True, check=True).stdout)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vsage"
    binary = cache / f"vcsim-{hashlib.sha256(b'|'.join(made_of)).hexdigest()[:16]}"
    if not binary.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            fresh = Path(folder) / "vcsim"
            settings = {"GO111MODULE": "off", "GOPATH": str(_GOPATH), "GOFLAGS": ""}
            subprocess.run(
                [go, "build", "-o", fresh, "."], cwd=_SOURCE, env=os.environ | settings, check=True
            )
            fresh.replace(binary)
    return binary


@contextmanager
def running_vcenter(folder: Path, *flags: str) -> Iterator[VCenter]:
    """A vCenter of its own, with its certificate and temporary files below `folder`."""
    certificate = folder / "vcenter.pem"
    command = [str(vcsim_binary()), "-cert", str(certificate), "-user", USER]
    command += ["-password", PASSWORD, *flags]
    environment = os.environ | {"TMPDIR": str(folder)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        announced = process.stdout.readline()
        assert announced, "the simulated vCenter did not start"
        try:
            yield VCenter(process, int(announced), certificate)
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
