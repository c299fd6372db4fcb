"""JSON and JSON Lines as lines that name each value by its path: `- network.mtu: 9000`.

Records (objects in a list) read as rows with their keys, as those of a spreadsheet do; the keys of
the topmost objects are headings. Values are shown letter by letter as the file has them: numbers
keep all their digits, and keys that are given twice both come in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rag.errors import ParseError
from rag.parsers.markdown_lines import heading
from rag.parsers.table_rows import LONGEST_LABEL, limited, pair_lines
from rag.parsers.text import clean, decode
from rag.schema import ParsedDocument

_MAX_TEXT = 50_000_000
_MAX_SIZE_MB = 50
"""Of one JSON value, which takes some ten times its size while it is read."""
_DEEPEST = 60
_LONGEST_TITLE = 200
_HEADING_LEVELS = 2
_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class _Object:
    """An object's members in order; a dict would drop the first of two equal keys."""

    members: list[tuple[str, Any]]


def parse_json(data: bytes, suffix: str) -> ParsedDocument:
    """Rows, headings and `path: value` lines. Title: the topmost "title" or "name".

    Raises ParseError naming line and column of what is no JSON, and for what is too deep or large.
    """
    text, warnings = decode(data)
    media = "application/jsonl" if suffix in _LINES else "application/json"
    try:
        title, lines = _json_lines(text) if suffix in _LINES else _json(text)
        found, whole = limited(lines, _MAX_TEXT)
    except RecursionError as error:
        raise ParseError("nests its values too deeply: flatten it") from error
    if not whole:
        warnings += ("too large to be read to the end: split it",)
    return ParsedDocument(title, clean(found).strip(), media, warnings=warnings)


def _json(text: str) -> tuple[str, Iterator[str]]:
    if len(text) > _MAX_SIZE_MB * 1024 * 1024:
        raise ParseError(
            f"is one JSON value of over {_MAX_SIZE_MB} MB: split it, or save it as .jsonl with a "
            "record on each line"
        )
    value = _loaded(text, 0)
    return _title(value), _tree(value, "", 0)


def _json_lines(text: str) -> tuple[str, Iterator[str]]:
    """Each line a record."""
    # Only \n ends a line: JSON strings may hold U+2028 as it stands.
    numbered = enumerate(text.split("\n"), start=1)
    values = (_loaded(line, number) for number, line in numbered if line.strip())
    return "", (line for value in values for line in _element(value, ""))


def _loaded(text: str, number: int) -> Any:
    """The value in `text`, which is line `number` of the file (0: the whole file)."""
    try:
        return json.loads(
            text,
            object_pairs_hook=_Object,
            parse_int=str,  # kept as written, and no integer is too long
            parse_float=str,
            parse_constant=str,
        )
    except json.JSONDecodeError as error:
        lines = error.msg == "Extra data" and not number
        raise ParseError(
            f"is not valid JSON: {error.msg} at line {number or error.lineno}, column "
            f"{error.colno}{'; is each line a value by itself? Name it .jsonl' if lines else ''}"
        ) from error


def _title(value: Any) -> str:
    if isinstance(value, _Object):
        for wanted in ("title", "name"):
            for key, member in value.members:
                if key.lower() == wanted and isinstance(member, str):
                    return member if len(member) <= _LONGEST_TITLE else ""
    return ""


def _tree(value: Any, path: str, depth: int) -> Iterator[str]:
    """What stands outside lists: a line for each single value, a heading for each part."""
    _refuse_depth(depth)
    if isinstance(value, list) and not _is_plain(value):
        for i, element in enumerate(value):
            yield from _element(element, f"{path}[{i}]" if path else "")
    elif not isinstance(value, _Object):
        yield from pair_lines([(path, _shown(value))])
    else:
        # Single values first: below a heading they would seem to belong to it.
        for key, member in value.members:
            if not _is_part(member):
                yield from pair_lines([(_joined(path, key), _shown(member))])
        for key, member in value.members:
            if _is_part(member):
                if depth < _HEADING_LEVELS:
                    yield from ("", heading(depth + 2, clean(key)), "")
                yield from _tree(member, _joined(path, key), depth + 1)


def _element(value: Any, path: str) -> Iterator[str]:
    """An element of a list: an object is a row, whose first key carries the element's path."""
    pairs = list(_pairs(value, "", 0))
    if pairs:
        name, first = pairs[0]
        yield from pair_lines([(_joined(path, name), first), *pairs[1:]])


def _pairs(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """(path within the record, value) of all that a record holds, without what is empty."""
    _refuse_depth(depth)
    if isinstance(value, _Object):
        for key, member in value.members:
            yield from _pairs(member, _joined(path, key), depth + 1)
    elif isinstance(value, list) and not _is_plain(value):
        for i, element in enumerate(value):
            yield from _pairs(element, f"{path}[{i}]", depth + 1)
    elif value not in (None, "", []):
        yield path, _shown(value)


def _refuse_depth(depth: int) -> None:
    if depth > _DEEPEST:
        raise ParseError(f"nests its values more than {_DEEPEST} deep: flatten it")


def _is_plain(value: list[Any]) -> bool:
    return not any(isinstance(element, (list, _Object)) for element in value)


def _is_part(value: Any) -> bool:
    """Whether a value has values of its own that need a place."""
    if isinstance(value, list):
        return not _is_plain(value)
    return isinstance(value, _Object) and bool(value.members)


def _joined(path: str, key: str) -> str:
    """The path of a member; of a long one its end, which says most."""
    key = " ".join(clean(key).split())
    joined = f"{path}.{key}" if path and key and not key.startswith("[") else path + key
    return joined if len(joined) <= LONGEST_LABEL else "…" + joined[1 - LONGEST_LABEL :]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(element) for element in value) or "[]"
    if isinstance(value, _Object):
        return "{}"
    if isinstance(value, str):
        return clean(value) or '""'
    return {None: "null", True: "true", False: "false"}[value]
