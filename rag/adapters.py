"""The adapter registry as a server sees it: which adapters are in service, and which cannot be.

    adapters/current.json         {"promoted": ["first", "second"], ...}: in service
    adapters/NAME/manifest.json   {"method", "base": {"sha256"},
                                   "artefacts": [{"format": "gguf_lora", "path"}, ...],
                                   "files": {"PATH": {"sha256", "bytes"}}, ...}

Another program writes it, each file in one step; nothing is written here.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from rag.adapter_file import check_lora, file_sha256, folder_sha256, read_model
from rag.errors import AdapterError

log = logging.getLogger(__name__)

CURRENT = "current.json"
MANIFEST = "manifest.json"
GGUF_LORA = "gguf_lora"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_RESERVED = ("none", "promoted")
"""What `generator.default_adapter` means something else by."""
_HF_FOLDER = "hf"

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a generator can be asked for."""

    served: tuple[str, ...] = ()
    """Adapters in service, in the registry's order."""
    first: str | None = None
    """The first of those promoted; None where it, or a registry, is missing."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Promoted adapters that cannot be served -> why not."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA file that fits the served model. Equal only to the very same file."""

    name: str
    file: Path
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Reading:
    """A registry at one moment."""

    promoted: tuple[str, ...] = ()
    adapters: tuple[Adapter, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")
    sha256: str


class _Artefact(BaseModel):
    model_config = ConfigDict(extra="ignore")
    format: str
    path: str


class _Base(BaseModel):
    model_config = ConfigDict(extra="ignore")
    sha256: str = ""


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="ignore")
    method: str = ""
    base: _Base = _Base()
    artefacts: list[_Artefact] = []
    files: dict[str, _File] = {}

    def gguf_lora(self) -> str:
        """Where that file lies below the adapter's folder; "" if there is none."""
        return next((one.path for one in self.artefacts if one.format == GGUF_LORA), "")


class Registry:
    """The folder of one registry, for one GGUF model."""

    def __init__(self, folder: Path, model: Path, base_sha256: str = "") -> None:
        """`base_sha256`: of the model in Hugging Face's form; empty takes it from the folder `hf`
        beside `model`, where there is one, and compares none where there is none."""
        self._folder = folder
        self._model = model
        self._base_sha256 = base_sha256
        self._seen: object = None

    def read(self) -> Reading | None:
        """What is promoted now; None where nothing has changed since the last call.

        Raises AdapterError where the registry itself cannot be read, once for each such state.
        """
        try:
            promoted = read_promoted(self._folder) or ()
        except AdapterError as error:
            if self._seen == str(error):
                return None
            self._seen = str(error)
            raise
        seen = (promoted, tuple(self._stamps(name) for name in promoted))
        if seen == self._seen:
            return None
        self._seen = seen
        found: list[Adapter] = []
        left_out: dict[str, str] = {}
        for name in promoted:
            try:
                found.append(self._adapter(name))
            except AdapterError as error:
                left_out[name] = str(error)
        return Reading(promoted, tuple(found), left_out)

    def unchanged(self, adapter: Adapter) -> bool:
        """Whether its file is still the one that was read."""
        return _stamp(adapter.file) == adapter.stamp

    def _adapter(self, name: str) -> Adapter:
        """Raises AdapterError."""
        manifest = self._manifest(name)
        ours = self._base_sha256 or self._neighbour_sha256()
        if ours and manifest.base.sha256 and manifest.base.sha256 != ours:
            raise AdapterError(
                f"made for another base: it was trained on the model {manifest.base.sha256[:12]}, "
                f"served is {ours[:12]} (SHA-256)"
            )
        given = manifest.gguf_lora()
        if not given:
            method = manifest.method or "its method"
            raise AdapterError(
                f"it was not exported as {GGUF_LORA}, which llama_cpp needs; what {method} trains "
                "may have no such form"
            )
        file = _inside(self._folder / name, given)
        # Before the file is read: one that is replaced meanwhile counts as changed afterwards.
        stamp = _stamp(file)
        check_lora(file, read_model(self._model))
        if (entry := manifest.files.get(given)) and entry.sha256 != file_sha256(file):
            raise AdapterError(f"{given} is another file than its manifest says")
        return Adapter(name, file, stamp)

    def _manifest(self, name: str) -> _Manifest:
        """Raises AdapterError."""
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise AdapterError(f"'{name[:100]}' cannot be an adapter's name")
        try:
            return _Manifest.model_validate(_read_json(self._folder / name / MANIFEST))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise AdapterError(f"{MANIFEST} is damaged: {where}: {first['msg']}") from None

    def _neighbour_sha256(self) -> str:
        try:
            return folder_sha256(self._model.parent / _HF_FOLDER)
        except OSError:
            return ""  # it vanished while it was read: nothing to compare with

    def _stamps(self, name: str) -> tuple[Stamp, Stamp]:
        """Differs as soon as a manifest or the file that it names does."""
        try:
            file = _inside(self._folder / name, self._manifest(name).gguf_lora())
        except AdapterError:
            return (), ()
        return _stamp(self._folder / name / MANIFEST), _stamp(file)


def read_promoted(folder: Path) -> tuple[str, ...] | None:
    """The names in service; None where there is no registry. Raises AdapterError."""
    file = folder / CURRENT
    if not file.exists():
        return None
    names = _read_json(file).get("promoted")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise AdapterError(f"{CURRENT} is damaged: 'promoted' is no list of names")
    return tuple(dict.fromkeys(names))


def offer_of(promoted: Sequence[str], served: Sequence[str], left_out: dict[str, str]) -> Offer:
    first = promoted[0] if promoted and promoted[0] in served else None
    return Offer(tuple(served), first, left_out)


def log_changes(before: Offer, now: Offer) -> None:
    """A line for each adapter that is newly left out, and one for a change of those in service."""
    for name, reason in now.left_out.items():
        if before.left_out.get(name) != reason:
            log.warning("adapter %s is left out: %s", name, reason)
    if now.served != before.served:
        log.info("adapters in service: %s", ", ".join(now.served) or "none")


def _inside(folder: Path, name: str) -> Path:
    """Raises AdapterError where `name` leads out of the adapter's folder."""
    file = folder / name
    if not file.resolve().is_relative_to(folder.resolve()):
        raise AdapterError(f"its manifest names a file outside of its folder: {name}")
    return file


def _stamp(file: Path) -> Stamp:
    try:
        stat = file.stat()
    except OSError:
        return ()
    return ((stat.st_ino, stat.st_size, stat.st_mtime_ns),)


def _read_json(file: Path) -> dict[str, Any]:
    """Raises AdapterError."""
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AdapterError(f"{file.name} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise AdapterError(f"{file.name} cannot be read: {error}") from None
    if not isinstance(read, dict):
        raise AdapterError(f"{file.name} is damaged: it holds no object")
    return read
