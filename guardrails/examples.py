"""Files of examples, one text a line, embedded once; none may stand on two sides at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from guardrails.detectors.canonical import canonical, flat
from guardrails.detectors.evidence import Recent, digest
from guardrails.detectors.likeness import Examples, embedded
from guardrails.detectors.patterns import read_lines
from guardrails.errors import RailsConfigError
from guardrails.schema import Embed, Vectors

REMEMBERED = 512
Instead = Mapping[Path, Sequence[str]]
"""Lines that stand for those of a file: what a change of it would do."""
AS_THEY_ARE: Instead = {}


def read_examples(path: Path, instead: Instead = AS_THEY_ARE) -> list[str]:
    """The examples of one file in canonical spelling. Raises RailsConfigError if it has none."""
    given = instead[path] if path in instead else read_lines(path)
    lines = [flat(canonical(line)) for line in given]
    if not lines:
        raise RailsConfigError(f"{path} holds no examples; write at least one, one a line")
    return lines


def read_folder(folder: Path, instead: Instead = AS_THEY_ARE) -> dict[Path, list[str]]:
    """All *.txt files of a folder, by path in alphabetical order; empty where it is missing."""
    new = (path for path in instead if path.parent == folder)
    paths = sorted({*folder.glob("*.txt"), *new})
    return {path: read_examples(path, instead) for path in paths}


def check_contradictions(
    blocked: Mapping[Path, Sequence[str]], allowed: Mapping[Path, Sequence[str]]
) -> None:
    """Raise RailsConfigError that names every example which stands on both sides."""
    where = {text: path for path, texts in blocked.items() for text in texts}
    both = [
        f"{text!r} stands in {where[text]} and in {path}"
        for path, texts in allowed.items()
        for text in dict.fromkeys(texts)
        if text in where
    ]
    if both:
        raise RailsConfigError(
            f"examples that are to be blocked and let through at once: {'; '.join(both)}; "
            "delete each from one of its files"
        )


def by_category(
    folder: Path, embed: Embed, key: str, instead: Instead = AS_THEY_ARE
) -> tuple[dict[str, Examples], Examples]:
    """Embedded examples of each category, a file each, and of benign.txt that sound alike.

    `key` is the setting that names the folder. Raises RailsConfigError.
    """
    files = read_folder(folder, instead)
    benign = {path: files.pop(path) for path in list(files) if path.name == "benign.txt"}
    if not files or not benign:
        raise RailsConfigError(
            f"{folder} must hold benign.txt and at least one further file of examples; copy the "
            f"repository's configs/guardrails/{folder.name}, or correct {key}"
        )
    check_contradictions(files, benign)
    blocked = {path.stem.replace("-", "_"): embedded(texts, embed) for path, texts in files.items()}
    return blocked, embedded(list(chain.from_iterable(benign.values())), embed)


def remembered(embed: Embed) -> Embed:
    """The same embedder, which knows the texts of a moment ago: one pass serves several rails."""
    known: Recent[bytes, Vectors] = Recent(REMEMBERED)

    def embed_once(texts: Sequence[str]) -> Vectors:
        key = digest(*texts)
        found = known.get(key)
        if found is None:
            found = embed(texts)
            known.put(key, found)
        return found

    return embed_once
