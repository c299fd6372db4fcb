"""GGUF LoRA files, and whether one fits the model that is served.

The engine refuses a file that does not fit together with all others, without saying which or why,
and stops the process on some damaged ones; so each file is read here first.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag.errors import AdapterError
from rag.gguf_header import read_header

if TYPE_CHECKING:
    from gguf import GGUFReader

_BLOCK = 1 << 20
_HALVES = (".lora_a", ".lora_b")
_TOKEN_EMBEDDING = "token_embd.weight"

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What of a GGUF model decides whether an adapter fits it."""

    architecture: str
    embedding_length: int
    shapes: dict[str, Shape]
    """Tensor -> its dimensions in GGUF's order: inputs, outputs."""


def read_model(path: Path) -> ServedModel:
    """The header of a model file. Raises AdapterError."""
    stat = path.stat()
    return _read_model(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=2)
def _read_model(path: Path, _mtime_ns: int, _size: int) -> ServedModel:
    try:
        header = read_header(path)
    except (OSError, ValueError, struct.error) as error:
        raise AdapterError(f"{path.name} cannot be read: {error}") from error
    architecture = str(header.values.get("general.architecture", ""))
    length = int(header.values.get(f"{architecture}.embedding_length", 0))
    return ServedModel(architecture, length, header.shapes)


def check_lora(path: Path, model: ServedModel) -> None:
    """Raise AdapterError, with the reason, unless `path` is a whole LoRA file for `model`."""
    reader = _open(path)
    kind = (_text(reader, "general.type"), _text(reader, "adapter.type"))
    if kind != ("adapter", "lora"):
        raise AdapterError(f"{path.name} is no GGUF LoRA file")
    architecture = _text(reader, "general.architecture")
    if architecture != model.architecture:
        raise AdapterError(
            f"made for another base: its architecture is '{architecture}', the served model's "
            f"'{model.architecture}'"
        )
    length = _number(reader, f"{architecture}.embedding_length")
    if length and length != model.embedding_length:
        raise AdapterError(
            f"made for another base: its embedding length is {length}, the served model's "
            f"{model.embedding_length}"
        )
    shapes = _shapes(reader)
    if not shapes:
        raise AdapterError(f"{path.name} holds no weights")
    for name in dict.fromkeys(_stem(name) for name in shapes):
        _check_pair(name, shapes, model.shapes)
    for tensor in reader.tensors:
        if tensor.data.dtype.kind == "f" and not np.isfinite(tensor.data).all():
            raise AdapterError(f"{path.name} is broken: {tensor.name} holds what is no number")


def _stem(name: str) -> str:
    """The tensor of the model that half a pair belongs to. Raises AdapterError."""
    for half in _HALVES:
        if name.endswith(half):
            return name.removesuffix(half)
    raise AdapterError(f"{name} is no tensor of a LoRA adapter")


def _check_pair(name: str, shapes: dict[str, Shape], model: dict[str, Shape]) -> None:
    """A maps the inputs to the rank, B the rank to the outputs; flipped for token embeddings."""
    a, b = (shapes.get(name + half, ()) for half in _HALVES)
    whole = model.get(name)
    if whole is None:
        raise AdapterError(f"made for another base: the served model has no tensor {name}")
    if len(a) < 2 or len(b) < 2:
        raise AdapterError(f"broken: of {name} one half is missing")
    if name == _TOKEN_EMBEDDING:
        fits = (b[1], a[1]) == whole[:2]
    else:
        fits = (a[0], b[1]) == whole[:2] and a[1] == b[0]
    if not fits:
        raise AdapterError(
            f"made for another base: {name} is {a} by {b} there, {whole} in the served model"
        )


def _open(path: Path) -> GGUFReader:
    from gguf import GGUFReader

    try:
        return GGUFReader(path)
    except FileNotFoundError:
        raise AdapterError(f"{path.name} is missing") from None
    except Exception as error:  # damaged bytes make numpy and the parser raise whatever they like
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise AdapterError(f"{path.name} is broken: {reason}") from error


def _shapes(reader: GGUFReader) -> dict[str, Shape]:
    return {tensor.name: tuple(int(n) for n in tensor.shape) for tensor in reader.tensors}


def _text(reader: GGUFReader, key: str) -> str:
    field = reader.fields.get(key)
    return str(field.contents()) if field else ""


def _number(reader: GGUFReader, key: str) -> int:
    field = reader.fields.get(key)
    return int(field.contents()) if field else 0


def file_sha256(path: Path) -> str:
    """Raises AdapterError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AdapterError(f"{path.name} cannot be read: {error.strerror}") from error


def folder_sha256(folder: Path) -> str:
    """SHA-256 of a model in Hugging Face's form as manifests of adapters state it; "" if none.

    Over config.json and all safetensors files in the order of their names, each after a line with
    its name and size.
    """
    weights = sorted(folder.glob("*.safetensors"))
    files = [folder / "config.json", *weights]
    if not weights or not files[0].is_file():
        return ""
    stats = [file.stat() for file in files]
    return _folder_sha256(tuple(files), tuple((s.st_size, s.st_mtime_ns) for s in stats))


@lru_cache(maxsize=2)
def _folder_sha256(files: tuple[Path, ...], stamps: tuple[tuple[int, int], ...]) -> str:
    digest = hashlib.sha256()
    for file, (size, _) in zip(files, stamps, strict=True):
        digest.update(f"{file.name}:{size}\n".encode())
        with file.open("rb") as opened:
            while block := opened.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()
