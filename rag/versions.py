"""Versions in questions and documents: which one is asked for, which one is newer."""

from __future__ import annotations

import re
from collections.abc import Iterable

_VERSION = re.compile(r"(?<![\w.])v?(\d+(?:\.\d+)+)(?:\.x)?(?![\w]|\.\d)", re.IGNORECASE)
_IN_PATH = re.compile(r"(?:^|[-_ ]|(?<![a-z])v)(\d+(?:[._]\d+)+)(?=$|[-_ ])", re.IGNORECASE)
_NUMBERS = re.compile(r"\d+")


def asked_versions(question: str, known: Iterable[str]) -> tuple[str, ...]:
    """Versions that the question names and some document is of: "in 4.16" -> ("4.16",).

    One that no document is of counts where its release is known: 4.16.3 where there is 4.16. Plain
    numbers are no versions here ("8 GPUs"), unless a document is of exactly that version and the
    question says so ("version 8", "release 8", "v8").
    """
    known = [version for version in known if version]
    named = {match.group(1) for match in _VERSION.finditer(question)}
    for version in known:
        if version.isdigit() and re.search(
            rf"\b(?:v|version |release |rel\. ?){version}\b(?!\.\d)", question, re.IGNORECASE
        ):
            named.add(version)
    return tuple(sorted(name for name in named if any(matches((name,), other) for other in known)))


def covers(asked: str, version: str) -> bool:
    """Whether `version` is the one asked for or one of its updates: 4.16 covers 4.16.3."""
    return version == asked or version.startswith(f"{asked}.")


def matches(asked: Iterable[str], version: str) -> bool:
    """Whether a document of `version` answers for one of those asked: 4.16 does for 4.16.3."""
    return any(covers(name, version) or covers(version, name) for name in asked)


def newness(version: str) -> tuple[int, ...]:
    """Rises with the version: 4.9 < 4.16 < 4.16.3. No version is older than any."""
    return tuple(int(number[:9]) for number in _NUMBERS.findall(version))


def version_in_path(folders: Iterable[str]) -> str:
    """The version that a folder's name ends in or consists of: "docs-4.16" -> "4.16".

    Dates, which look alike (2024.05.01), are left alone. The innermost folder decides.
    """
    for folder in reversed(list(folders)):
        match = _IN_PATH.search(folder)
        if match and len(_NUMBERS.findall(match.group(1))[0]) < 4:
            return match.group(1).replace("_", ".")
    return ""
