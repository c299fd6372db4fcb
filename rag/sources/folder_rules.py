"""`.vsage.yaml` beside files: who may read them, and what product and version they are about.

It holds for its folder and everything below, key by key, until one further down says otherwise;
those of the folders above an ingested path hold, too. A file that cannot be understood hides
nothing and opens nothing: its folder is not taken in until it is mended.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError, field_validator

from rag.config import Section
from rag.errors import SourceError

NAME = ".vsage.yaml"
_LARGEST = 64 * 1024


class FolderRules(Section):
    """Keys of a `.vsage.yaml`; what is left out is as in the folder above."""

    groups: tuple[str, ...] | None = None
    """Groups that may read the files."""
    product: str | None = None
    version: str | None = None
    labels: tuple[str, ...] | None = None

    @field_validator("version", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        """YAML reads `version: 4.16` as a number, and 4.10 as 4.1: only quotes keep it."""
        if isinstance(value, float):
            raise ValueError(f"put the version in quotes: version: '{value}'")
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("groups", mode="before")
    @classmethod
    def _list(cls, groups: object) -> object:
        """Said without a value, or with one that is no list, it is not known what was meant."""
        if not isinstance(groups, list):
            raise ValueError("write a list, such as [staff]; [] is nobody")
        return groups

    @field_validator("groups")
    @classmethod
    def _some(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        if not all(group.strip() for group in groups):
            raise ValueError("a group's name is empty")
        return tuple(group.strip() for group in groups)


@dataclass(frozen=True, slots=True)
class RulesAbove:
    """The rules in force in a folder."""

    rules: FolderRules

    def below(self, folder: Path) -> RulesAbove:
        """In force in `folder`, a child of this one. Raises SourceError."""
        own = read_rules(folder)
        if own is None:
            return self
        return RulesAbove(self.rules.model_copy(update=own.model_dump(exclude_none=True)))


def rules_for(folder: Path) -> RulesAbove:
    """In force in `folder`, by all folders above it. Raises SourceError."""
    above = RulesAbove(FolderRules())
    for ancestor in (*reversed(folder.parents), folder):
        above = above.below(ancestor)
    return above


def read_rules(folder: Path) -> FolderRules | None:
    """The folder's own rules, None without any. Raises SourceError."""
    path = folder / NAME
    try:
        values = yaml.safe_load(_read(path))
        return FolderRules.model_validate({} if values is None else values)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        what = first["msg"].removeprefix("Value error, ")
        raise SourceError(f"{path}: {key}: {what}; mend it, then run again") from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        what = " ".join(str(error).split())
        raise SourceError(
            f"{path} cannot be read ({what}), so who may read its folder is unknown: mend it, "
            "then run again"
        ) from error


def _read(path: Path) -> bytes:
    """Does not wait for a pipe's other end. Raises OSError and ValueError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("is no file")
        data = os.read(descriptor, _LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(data) > _LARGEST:
        raise ValueError("is larger than 64 kB")
    return data
