"""The header of a GGUF file: its plain values, and the names and dimensions of its tensors.

`gguf.GGUFReader` reads the same, and the vocabulary with it, token by token: 4 s for one of 49,000
tokens. This passes over arrays. Layout: github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions
2 and 3, little-endian.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_FORMATS = "BbHhIif?"  # by GGUF's number of the type, 0 to 7
_STRING, _ARRAY = 8, 9
_WIDE = {10: "Q", 11: "q", 12: "d"}

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Header:
    values: dict[str, Value]
    """Without those that are arrays."""
    shapes: dict[str, tuple[int, ...]]
    """Tensor -> its dimensions in GGUF's order: inputs, outputs."""


def read_header(path: Path) -> Header:
    """Raises OSError, or ValueError or struct.error where it is no whole GGUF header."""
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        return _Cursor(data).header()


class _Cursor:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def header(self) -> Header:
        magic = self._data[:4]
        self._skip(len(_MAGIC))
        version = self._number("I")
        if magic != _MAGIC or version not in _VERSIONS:
            raise ValueError("it is no GGUF file of version 2 or 3")
        tensors, pairs = self._number("Q"), self._number("Q")
        values: dict[str, Value] = {}
        for _ in range(pairs):
            key, value = self._string(), self._value(self._number("I"))
            if value is not None:
                values[key] = value
        shapes = {}
        for _ in range(tensors):
            name = self._string()
            shapes[name] = tuple(self._number("Q") for _ in range(self._number("I")))
            self._skip(4 + 8)  # type and offset
        return Header(values, shapes)

    def _value(self, kind: int) -> Value | None:
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            value: Value = self._unpack(_format(kind))
            return value
        inner, count = self._number("I"), self._number("Q")
        if inner in (_STRING, _ARRAY):
            for _ in range(count):
                self._value(inner)
        else:
            self._skip(count * struct.calcsize(_format(inner)))
        return None

    def _string(self) -> str:
        length = self._number("Q")
        start = self._at
        self._skip(length)
        return self._data[start : self._at].decode("utf-8", "replace")

    def _number(self, form: str) -> int:
        return int(self._unpack(form))

    def _unpack(self, form: str) -> int | float | bool:
        value: int | float | bool
        (value,) = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += struct.calcsize(form)
        return value

    def _skip(self, count: int) -> None:
        self._at += count
        if self._at > len(self._data):
            raise ValueError("its header is cut off")


def _format(kind: int) -> str:
    """Raises ValueError."""
    found = _WIDE.get(kind) or _FORMATS[kind : kind + 1]
    if not found:
        raise ValueError(f"it holds a value of unknown type {kind}")
    return found
