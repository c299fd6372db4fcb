"""`manifest.json`: what an exported folder holds, what it came from and how good it is.

It is written last, so that a folder without one is known to be half written.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetune.errors import FinetuneError
from finetune.run_folder import write_json

MANIFEST = "manifest.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Of an adapter: a folder's name, and the second half of a model's name, `base:adapter`."""
_BLOCK = 1 << 20


class _Part(BaseModel):
    """Unknown keys are kept: a newer version may have written them."""

    model_config = ConfigDict(extra="allow", frozen=True)


class FileEntry(_Part):
    sha256: str
    bytes: int


class BaseEntry(_Part):
    """The base model that the adapter was trained on."""

    path: str
    sha256: str
    model_type: str


class ArtefactEntry(_Part):
    """One exported form."""

    format: str
    path: str = Field(description="Below the manifest's folder: a file or a folder.")
    difference: dict[str, Any] | None = Field(None, description="To what was trained.")
    served: dict[str, Any] | None = Field(None, description="Measured on the artefact itself.")
    notes: list[str] = Field(default_factory=list)


class Manifest(_Part):
    """A whole exported folder."""

    version: int = 1
    name: str
    created: str
    method: str
    objective: str
    quantization: str
    base: BaseEntry
    data: dict[str, Any]
    metrics: dict[str, Any] | None = Field(description="evaluation.json; None: not evaluated.")
    chat_template_sha256: str
    versions: dict[str, Any]
    artefacts: list[ArtefactEntry]
    files: dict[str, FileEntry]

    def validation(self) -> str:
        """What tells which rows it was measured on; "" if that is not known."""
        files = self.data.get("files") or [{}]
        known = files[-1].get("sha256"), self.data.get("validation_rows")
        return f"{known[0]} {known[1]} {len(files)}" if known[0] else ""


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def check_name(name: str, error: type[FinetuneError]) -> str:
    """The name itself, if it can be a folder's and a model's. Raises `error`."""
    if not NAME.fullmatch(name):
        raise error(
            f"{name!r} is no name for an adapter: use up to 64 letters, digits, dots, dashes and "
            "underscores, the first a letter or digit"
        )
    return name


def file_entries(folder: Path) -> dict[str, FileEntry]:
    """Every file below `folder` but the manifest, by its path in POSIX form."""
    return {
        path.relative_to(folder).as_posix(): FileEntry(
            sha256=sha256_of(path), bytes=path.stat().st_size
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    write_json(folder / MANIFEST, manifest.model_dump())


@contextmanager
def locked(path: Path, error: type[FinetuneError], busy: str = "") -> Iterator[None]:
    """Hold a lock file among processes of one machine; `busy`: raise `error` instead of waiting.

    The file stays. On network file systems without locks the call itself fails, with `error`.
    """
    try:
        file = path.open("w")
    except OSError as problem:
        raise error(f"{path} cannot be written: {problem.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            raise error(busy) from None
        except OSError as problem:
            raise error(f"{path} cannot be locked: {problem.strerror}") from None
        yield


def read_manifest(folder: Path, error: type[FinetuneError]) -> Manifest:
    """Raises `error` for a folder whose manifest is missing or damaged."""
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise error(
            f"{folder} has no {MANIFEST}: it is half written or no export; run `python -m finetune "
            "export` again"
        ) from None
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem.strerror}") from None
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise error(f"{path} is damaged: {where}: {first['msg']}") from None


def damage(folder: Path, manifest: Manifest, *, contents: bool = True) -> list[str]:
    """Files that are missing or others than the manifest says; `contents` reads them whole."""
    found = []
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            found.append(f"{name} lies outside")
        elif not path.is_file():
            found.append(f"{name} is missing")
        elif path.stat().st_size != entry.bytes:
            found.append(f"{name} has {path.stat().st_size} bytes, not {entry.bytes}")
        elif contents and sha256_of(path) != entry.sha256:
            found.append(f"{name} was changed")
    listed = {entry.path for entry in manifest.artefacts}
    found += [f"{path} is missing" for path in listed if not (folder / path).exists()]
    return list(dict.fromkeys(found))
