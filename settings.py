"""YAML file + `key=value` overrides -> one validated model. The only module all packages share.

Precedence, lowest first: the model's defaults, the file, the overrides. `${NAME}` and
`${NAME:-default}` in a string of the file are replaced from the environment, so that a secret never
needs to stand in a file. Every problem found is reported together, each with the key's path and,
for an unknown key, the nearest one that exists.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import typing
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

T = TypeVar("T", bound=BaseModel)

_OVERRIDE = re.compile(r"^([A-Za-z_]\w*(?:\.\w+)*)=(.*)$", re.DOTALL)
_SECRET = re.compile(r"key|token$|secret|password", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}")


class SettingsError(Exception):
    """The configuration cannot be used. The message lists every problem, one a line."""

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "\n".join([f"{where}: {_count(len(problems))}", *map("  {}".format, problems)])
        )


def load(
    model: type[T], path: Path, overrides: Sequence[str] = (), foreign: Sequence[str] = ()
) -> T:
    """Read `path`, apply `overrides`, validate as `model`.

    `foreign` names top-level sections of the same file that another package validates; they are
    left out here. Raises SettingsError.
    """
    values = _read(path)
    problems: list[str] = []
    values = _expand(values, "", problems)
    for override in overrides:
        _apply(values, override, problems)
    for section in foreign:
        values.pop(section, None)
    try:
        settings = model.model_validate(values)
    except ValidationError as error:
        problems += [_explain(model, dict(item), foreign) for item in error.errors()]
    if problems:
        raise SettingsError(str(path), problems)
    return settings


def split_overrides(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part a command's free arguments into (operands, overrides).

    `generator.provider=openai` is an override unless a file of that very name exists.
    """
    operands: list[str] = []
    overrides: list[str] = []
    for argument in arguments:
        is_override = _OVERRIDE.match(argument) and not os.path.exists(argument)
        (overrides if is_override else operands).append(argument)
    return operands, overrides


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice: YAML itself keeps the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue  # `<<: *anchor` may come more than once, and is resolved further up
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a single value", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(str(path), ["no such file: name one with --config"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(str(path), [f"cannot be read: {error}"]) from None
    try:
        values = yaml.load(text, Loader=_UniqueKeyLoader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2024-13-45
        raise SettingsError(
            str(path), [f"is not valid YAML: {' '.join(str(error).split())}"]
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(str(path), ["must be a mapping of keys to values at its top level"])
    return values


def _expand(value: Any, where: str, problems: list[str]) -> Any:
    """Replace `${NAME:-default}` in every string below `value`."""
    if isinstance(value, dict):
        return {
            k: _expand(v, f"{where}.{k}" if where else str(k), problems) for k, v in value.items()
        }
    if isinstance(value, list):
        return [_expand(v, f"{where}[{i}]", problems) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        if value := os.environ.get(name):
            return value
        if default is None and name not in os.environ:
            problems.append(
                f"{where}: the environment variable {name} is not set; "
                f"export it, or write ${{{name}:-default}}"
            )
        return default or ""

    return _VARIABLE.sub(replace, value)


def _apply(values: dict[str, Any], override: str, problems: list[str]) -> None:
    match = _OVERRIDE.match(override)
    if not match:
        problems.append(f"'{override}' is not an override: write key.path=value")
        return
    keys = match.group(1).split(".")
    value: Any = match.group(2)
    if value.strip():  # `database_url=` means the empty string, not YAML's null
        with contextlib.suppress(yaml.YAMLError, ValueError):
            value = yaml.safe_load(value)
    for key in keys[:-1]:
        if values.get(key) is None:
            values[key] = {}
        values = values[key]
        if not isinstance(values, dict):
            problems.append(f"{match.group(1)}: '{key}' is a single value and has no keys below it")
            return
    values[keys[-1]] = value


def _explain(model: type[BaseModel], item: Mapping[str, Any], foreign: Sequence[str]) -> str:
    location, section = _follow(model, [str(part) for part in item["loc"]])
    path = ".".join(location) or "(whole file)"
    if item["type"] == "extra_forbidden":
        return f"{path}: unknown key{_nearest(model, section, location, foreign)}"
    if item["type"] == "missing":
        return f"{path}: is required"
    if item["type"].startswith("union_tag_"):
        return _explain_kind(path, item["ctx"])
    if item["type"] == "tuple_type":
        return f"{path}: must be a list, such as [one, two]"
    message = str(item["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    shown = item.get("input")
    telling = isinstance(shown, str | int | float | bool) and not _SECRET.search(path)
    given = f" (given: {shown!r})" if telling else ""
    return f"{path}: {message}{given}"


def _explain_kind(path: str, context: Mapping[str, Any]) -> str:
    """Of a section whose other keys depend on one: that is not given, or unknown."""
    key = context["discriminator"].strip("'")
    if "tag" not in context:
        return f"{path}.{key}: is required"
    return f"{path}.{key}: '{context['tag']}' is unknown; there are: {context['expected_tags']}"


def _follow(model: type[BaseModel], location: Sequence[str]) -> tuple[list[str], Any]:
    """The path as it stands in the file, and the model that its last key stands in.

    Between the keys of a mapping and of its values, pydantic names the kind that was chosen.
    """
    shown: list[str] = []
    section: Any = model
    here: Any = model
    for part in location:
        if typing.get_origin(here) is typing.Annotated:
            here = typing.get_args(here)[0]
        arguments = typing.get_args(here)
        if tagged := [a for a in arguments if _is_model(a) and part in _tags(a)]:
            here = section = tagged[0]
            continue
        shown.append(part)
        if typing.get_origin(here) is dict:
            here = arguments[1]
            continue
        models = [a for a in (here, *arguments) if _is_model(a)]
        section = models[0] if len(models) == 1 else None
        field = section.model_fields.get(part) if section is not None else None
        here = field.annotation if field is not None else None
    return shown, section


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _tags(model: type[BaseModel]) -> Iterator[Any]:
    """The values that one of its fields is bound to: `kind: Literal["web"]`."""
    for field in model.model_fields.values():
        if typing.get_origin(field.annotation) is typing.Literal:
            yield from typing.get_args(field.annotation)


def _nearest(
    model: type[BaseModel], section: Any, location: Sequence[str], foreign: Sequence[str]
) -> str:
    """Suggest a sibling spelled alike, else a key of that name anywhere in the file."""
    known = list(_paths(model)) + list(foreign)
    names = list(section.model_fields) if section is not None else []
    names += foreign if len(location) == 1 else []
    close = difflib.get_close_matches(location[-1], names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{'.'.join([*location[:-1], close[0]])}'?"
    elsewhere = [p for p in known if p.rpartition(".")[2] == location[-1]]
    if elsewhere:
        return f"; did you mean '{elsewhere[0]}'?"
    return f"; known here: {', '.join(sorted(names))}" if names else ""


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        for inner in (field.annotation, *typing.get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from _paths(inner, f"{prefix}{name}.")


def _count(n: int) -> str:
    return "1 problem" if n == 1 else f"{n} problems"
