"""A file of rows -> numbered records, whatever its format. Knows nothing of what they mean."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finetune.errors import DataError
from finetune.rows_schema import Problem

Record = dict[str, Any]
Numbered = tuple[int, Record] | Problem

SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
TEXTS = (".txt", ".md")
_DELIMITERS = ",;\t"
_UNDECODED = re.compile("[\udc80-\udcff]")


def read_records(path: Path) -> tuple[Iterator[Numbered], str]:
    """The records of `path` with their numbers, and the SHA-256 of what was read.

    A number is the line that a record begins on; in Parquet the row, from 1. A record that cannot
    be read is a Problem, and reading goes on behind it. Raises DataError where nothing can be read.
    """
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in TEXTS:
        return _texts(path)
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise DataError(
            f"{path}: rows are read from {known}, and texts for objective.name=pretrain from "
            f"{' and '.join(TEXTS)} files or a folder of them"
        )
    data = read_bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if suffix == ".parquet":
        return _parquet(path, data), sha256
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path} is UTF-16: save it as UTF-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    return (_csv(data) if suffix in (".csv", ".tsv") else _jsonl(path, data)), sha256


def read_bytes(path: Path) -> bytes:
    """A file's bytes. Raises DataError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: name the rows with data.train=FILE") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def _jsonl(path: Path, data: bytes) -> Iterator[Numbered]:
    if data.lstrip()[:1] == b"[":
        raise DataError(
            f"{path} is one JSON list: write one object a line, for example with "
            f"jq -c '.[]' {path.name} > rows.jsonl"
        )
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            yield Problem(number, _not_utf8(line[error.start]))
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            where = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            yield Problem(number, f"is not JSON: {said}{where}")
            continue
        if isinstance(value, dict) and "\\ud" in text.lower() and _half_a_character(value):
            yield Problem(number, "holds half of a character (\\ud800 to \\udfff without its pair)")
        elif isinstance(value, dict):
            yield number, value
        else:
            yield Problem(number, f"is {kind_of(value)}: one JSON object a line is expected")


def _half_a_character(value: Record) -> bool:
    """JSON can spell what no text can hold; a tokenizer would break on it."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _csv(data: bytes) -> Iterator[Numbered]:
    # Undecodable bytes become lone surrogates, so that they cost their own row alone.
    text = data.decode("utf-8", errors="surrogateescape")
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # the default of 128 KiB cuts documents off
    head = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Problem(number, f"is not CSV: {error}; is a quotation mark missing or single?")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            if doubled := {name for name in header if header.count(name) > 1}:
                yield Problem(number, f"names a column twice: {', '.join(sorted(doubled))}")
                return
            continue
        yield _csv_row(number, header, cells)


def _csv_row(number: int, header: list[str], cells: list[str]) -> Numbered:
    if len(cells) != len(header):
        return Problem(
            number,
            f"has {len(cells)} cells where the header has {len(header)}: put text that holds the "
            "delimiter in quotation marks",
        )
    for cell in cells:
        if stray := _UNDECODED.search(cell):
            return Problem(number, _not_utf8(ord(stray.group()) - 0xDC00))
    return number, dict(zip(header, cells, strict=True))


def _parquet(path: Path, data: bytes) -> Iterator[Numbered]:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{path}: Parquet needs pyarrow: make setup EXTRAS=finetune") from None
    number = 0
    try:
        file = parquet.ParquetFile(arrow.BufferReader(data))
        for batch in file.iter_batches(batch_size=1024):
            for record in batch.to_pylist():
                number += 1
                yield number, record
    except arrow.ArrowException as error:
        said = " ".join(str(error).split())
        raise DataError(f"{path} is not Parquet, or damaged behind row {number}: {said}") from None


def _texts(path: Path) -> tuple[Iterator[Numbered], str]:
    """Each file is one record {"text": ...}, numbered in the order of their paths."""
    files = [path]
    if path.is_dir():
        found = sorted(path.rglob("*"), key=lambda file: file.relative_to(path).as_posix())
        files = [file for file in found if file.suffix.lower() in TEXTS and _shown(file, path)]
    digest = hashlib.sha256()
    records: list[Numbered] = []
    for number, file in enumerate(files, start=1):
        data = read_bytes(file)
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
        try:
            records.append((number, {"text": data.decode("utf-8-sig")}))
        except UnicodeDecodeError as error:
            records.append(Problem(number, f"{name} {_not_utf8(data[error.start])}"))
    return iter(records), digest.hexdigest()


def _shown(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.is_file() and not hidden


def kind_of(value: object) -> str:
    """A JSON value's kind in words, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list | tuple) else "an object"


def _not_utf8(byte: int) -> str:
    return f"is not UTF-8 (byte 0x{byte:02x}): save the file as UTF-8"
