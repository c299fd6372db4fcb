"""A Bugzilla bug: the shapes it comes in, and its Markdown.

What people wrote is kept as they wrote it, except that it cannot pose as a heading, nor open a code
block that swallows what follows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from rag.errors import SourceError
from rag.parsers.text import clean

_LONGEST_TITLE = 250
_FENCE = re.compile(r"[ \t]*(`{3,}(?=[^`]*$)|~{3,})(.*)")
_HEADING = re.compile(r" {0,3}#{1,6}(?:\s|$)")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*$")
_ADDRESS = re.compile(r"[<(]?[^\s<(]+@[^\s>)]+[>)]?")


def _first(value: object) -> object:
    """Some servers send components and versions as lists of one."""
    return value[0] if isinstance(value, list) and value else "" if value == [] else value


_Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else _first(value))]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Person(_Shape):
    name: _Text = ""
    real_name: _Text = ""


class Bug(_Shape):
    """A bug as a list of bugs has it. Its readers have to be known; else it is not understood."""

    id: int
    groups: tuple[str, ...]
    is_cc_accessible: bool = False
    is_creator_accessible: bool = False
    summary: _Text = ""
    status: _Text = ""
    resolution: _Text = ""
    product: _Text = ""
    component: _Text = ""
    version: _Text = ""
    severity: _Text = ""
    keywords: tuple[str, ...] = ()
    last_change_time: _Text = ""
    creator: _Text = ""
    assigned_to: _Text = ""
    qa_contact: _Text = ""
    cc: tuple[str, ...] = ()
    creator_detail: Person = Person()
    assigned_to_detail: Person = Person()
    qa_contact_detail: Person | None = None
    cc_detail: tuple[Person, ...] = ()

    @property
    def known_version(self) -> str:
        return "" if self.version.lower() == "unspecified" else self.version


class Comment(_Shape):
    text: _Text = ""
    creator: _Text = ""
    creation_time: _Text = ""
    count: int | None = None
    is_private: bool = True


_S = TypeVar("_S", bound=_Shape)


def checked(shape: type[_S], entry: object) -> _S:
    """An entry of an answer as the shape it must have. Raises SourceError."""
    try:
        return shape.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SourceError(
            f"is not understood ({where}: {first['msg'].lower()}): nobody may read it"
        ) from error


def markdown(bug: Bug, comments: Sequence[Comment], private: bool) -> str:
    """The bug under headings of its own, each comment below one, so that citations name it."""
    names = _real_names(bug)
    facts = {
        "Status": f"{bug.status} {bug.resolution}",
        "Product": bug.product,
        "Component": bug.component,
        "Version": bug.known_version,
        "Severity": bug.severity,
        "Keywords": ", ".join(bug.keywords),
    }
    known = [f"- {name}: {one_line(value)}" for name, value in facts.items() if one_line(value)]
    parts = [f"# {title(bug)}", "\n".join(known)]
    for number, comment in enumerate(comments):
        if not comment.text.strip() or (comment.is_private and not private):
            continue
        count = number if comment.count is None else comment.count
        what = f"Comment {count}" if count else "Description"
        at = moment(comment.creation_time)
        when = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else ""
        by = names.get(comment.creator) or comment.creator.partition("@")[0]
        parts.append("## " + ", ".join(filter(None, (what, one_line(by), when))))
        parts.append(_as_text(comment.text))
    return "\n\n".join(parts) + "\n"


def title(bug: Bug) -> str:
    return ": ".join(filter(None, (f"Bug {bug.id}", one_line(bug.summary))))[:_LONGEST_TITLE]


def one_line(text: str) -> str:
    return " ".join(clean(text).split())


def moment(text: str) -> datetime | None:
    """A time of an answer, timezone-aware; Bugzilla means UTC where it names no zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _real_names(bug: Bug) -> dict[str, str]:
    """Login to real name, of the people that have a part in the bug; never with an address."""
    people = [bug.creator_detail, bug.assigned_to_detail, *bug.cc_detail]
    people += [bug.qa_contact_detail] if bug.qa_contact_detail else []
    return {person.name: one_line(_ADDRESS.sub("", person.real_name)) for person in people}


def _as_text(text: str) -> str:
    """A comment as Markdown that reads as it was written."""
    lines = clean(text).strip("\n").split("\n")
    code = _complete_fences(lines)
    safe: list[str] = []
    for number, line in enumerate(lines):
        if number in code:
            safe.append(line)
            continue
        if _UNDERLINE.match(line) and safe and safe[-1].strip():
            safe.append("")  # else the line above would be a heading
        if _HEADING.match(line) or _FENCE.match(line):
            indent = len(line) - len(line.lstrip())
            line = f"{line[:indent]}\\{line[indent:]}"
        safe.append(line)
    return "\n".join(safe)


def _complete_fences(lines: Sequence[str]) -> set[int]:
    """Numbers of the lines of code blocks that are closed again, their fences included.

    A fence is closed by at least as many of the same marks with nothing behind them.
    """
    inside: set[int] = set()
    endless: dict[str, int] = {}  # mark: so many of it are known not to be closed any more
    number = 0
    while number < len(lines):
        opened = _FENCE.match(lines[number])
        end = None
        if opened and len(opened[1]) < endless.get(opened[1][0], len(opened[1]) + 1):
            end = _closing(lines, number + 1, opened[1])
            if end is None:
                endless[opened[1][0]] = len(opened[1])
        if end is not None:
            inside.update(range(number, end + 1))
            number = end
        number += 1
    return inside


def _closing(lines: Sequence[str], start: int, marks: str) -> int | None:
    for number in range(start, len(lines)):
        match = _FENCE.match(lines[number])
        if match and match[1].startswith(marks) and not match[2].strip():
            return number
    return None
