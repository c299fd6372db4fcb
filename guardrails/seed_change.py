"""Changes of a file of examples: worked out first, then written as a whole or not at all."""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import os
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from guardrails.config import GuardrailsConfig
from guardrails.opening import CommandError
from guardrails.seed_files import Example, Kind, examples, opposites, plain, read, same_side

MOST_CHARS = 800
"""What a rail looks at in one piece; a longer example would be cut off."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file as it is to become."""

    kind: Kind
    data: bytes
    texts: tuple[str, ...]
    """Added or removed; none: there is nothing to write."""
    already: tuple[Example, ...] = ()
    """Examples that were to be added and stand there."""
    created: bool = False

    def lines(self) -> list[str]:
        """The examples of the file as it is to become."""
        return [example.text for example in examples(self.kind, self.data)]


def plan_add(config: GuardrailsConfig, kind: Kind, texts: Sequence[str], fold: bool) -> Change:
    """Texts at the end of the file. Raises CommandError that names all that cannot be added."""
    data = read(kind)
    there = {
        plain(example.text): example
        for other in same_side(config, kind)
        for example in examples(other)
    }
    against = {
        plain(example.text): example
        for other in opposites(config, kind)
        for example in examples(other)
    }
    new: dict[str, str] = {}
    already: dict[str, Example] = {}
    problems: list[str] = []
    for text in texts:
        line = " ".join(text.split()) if fold else text.strip()
        key = plain(line)
        if problem := _problem(line) or _contradiction(line, against.get(key)):
            problems.append(problem)
        elif key in there:
            already[key] = there[key]
        else:
            new.setdefault(key, " ".join(line.split()))
    if problems:
        raise CommandError("\n  ".join(["nothing was added:", *problems]))
    added = tuple(new.values())
    created = bool(added) and not kind.path.exists()
    return Change(kind, _with(data, added), added, tuple(already.values()), created)


def plan_remove(config: GuardrailsConfig, kind: Kind, texts: Sequence[str]) -> Change:
    """The file without these texts, however they are spelled. Raises CommandError."""
    data = read(kind)
    there = {plain(example.text): example for example in examples(kind, data)}
    wanted = {plain(text): text for text in texts}
    missing = [text for key, text in wanted.items() if key not in there]
    if missing:
        others = [one for other in same_side(config, kind) for one in examples(other)]
        alike = there | {plain(one.text): one for one in others}
        problems = [_missing(text, kind, alike) for text in missing]
        raise CommandError("\n  ".join(["nothing was removed:", *problems]))
    if wanted.keys() >= there.keys():
        without = "delete the file instead" if ":" in kind.name else "add others first"
        raise CommandError(
            f"nothing was removed: {kind.path} would hold no example, and the rails would not "
            f"start; {without}"
        )
    gone = {example.number for example in examples(kind, data) if plain(example.text) in wanted}
    lines = data.decode("utf-8").splitlines(keepends=True)
    kept = "".join(line for number, line in enumerate(lines, start=1) if number not in gone)
    removed = tuple(there[key].text for key in wanted)
    return Change(kind, kept.encode("utf-8"), removed)


def write(change: Change) -> None:
    """Put the new file in the place of the old one, at once. Raises CommandError."""
    path = change.kind.path.resolve()  # a link stays a link
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(change.data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, part)
            with contextlib.suppress(PermissionError):
                shutil.chown(part, path.stat().st_uid, path.stat().st_gid)
        os.replace(part, path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other of these commands changes a file of this folder meanwhile: the second one waits."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise CommandError(f"{folder} cannot be opened: {error.strerror}") from error
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _with(data: bytes, texts: Sequence[str]) -> bytes:
    if not texts:
        return data
    end = b"\r\n" if b"\r\n" in data else b"\n"
    before = b"" if not data or data.endswith((b"\n", b"\r")) else end
    return data + before + b"".join(text.encode("utf-8") + end for text in texts)


def _problem(text: str) -> str:
    """Why this can be no example; empty where it can. Quotes the beginning of the text."""
    shown = repr(text[:60] + ("..." if len(text) > 60 else ""))
    if any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        return f"{shown} is no UTF-8 text"
    if not text:
        return "an empty text"
    if not any(char.isalpha() for char in plain(text)):
        return f"{shown} holds no word"
    if len(text.splitlines()) > 1:
        return f"{shown} has line breaks; --fold takes it as one line"
    if any(unicodedata.category(char) == "Cc" and char != "\t" for char in text):
        return f"{shown} holds control characters"
    if text.startswith("#"):
        return f"{shown} begins with #, which starts a comment; write it without"
    if len(text) > MOST_CHARS:
        return f"{shown} has {len(text)} characters; shorten it to at most {MOST_CHARS}"
    return ""


def _contradiction(text: str, other: Example | None) -> str:
    if other is None:
        return ""
    return (
        f"{text[:60]!r} stands on the other side, in {other.place}; if it belongs here, first "
        f"`python -m guardrails seed remove --kind '{other.kind.name}' TEXT`"
    )


def _missing(text: str, kind: Kind, alike: dict[str, Example]) -> str:
    near = difflib.get_close_matches(plain(text), alike, n=1)
    hint = ""
    if near:
        found = alike[near[0]]
        hint = f"; like it: {found.text!r} in {found.place}, --kind '{found.kind.name}'"
    return f"{text[:60]!r} does not stand in {kind.path}{hint}"
