"""A folder of Markdown and plain text -> passages, cut at headings and between paragraphs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from finetune.errors import DataError
from finetune.rows_read import TEXTS, read_bytes

_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t#]*$")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_MARKS = re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)|\[([^\]]*)\]\([^)\s]*\)")
_WORD = re.compile(r"\w+(?:[-./]\w+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9`*\"'(])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|no|fig|sec|dr|mr|st)|\b\w)\.$", re.I
)
_FEWEST_WORDS = 8  # a passage with less says nothing that could be asked for


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document that is shown to the model as a whole."""

    document: str
    """The path below the corpus folder."""
    headings: tuple[str, ...]
    """The document's title, then the headings above the passage."""
    text: str
    first: bool
    """Whether it is the first under its heading, and so the one that the heading speaks of."""

    @property
    def place(self) -> str:
        return " > ".join(self.headings)

    @property
    def key(self) -> str:
        """Which passage it is, in 16 hexadecimal digits; another one once its words change."""
        whole = "\0".join((self.document, self.place, self.text))
        return hashlib.sha256(whole.encode()).hexdigest()[:16]


def read_passages(folder: Path, max_words: int) -> list[Passage]:
    """The passages of all .md and .txt files below `folder`, by path and in order.

    A paragraph, list, table or block of code is never cut, so one may exceed `max_words`. Equal
    passages come once. Raises DataError where nothing is found or a file is not UTF-8.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: name the one that holds the documents")
    found: dict[str, Passage] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in TEXTS):
        name = path.relative_to(folder).as_posix()
        try:
            text = read_bytes(path).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise DataError(f"{path} is not UTF-8: save it as UTF-8") from None
        for passage in passages_of(name, text, max_words):
            found.setdefault(passage.key, passage)
    if not found:
        raise DataError(
            f"{folder} holds no text to ask about in {' or '.join(TEXTS)} files: convert other "
            "formats to one of these first"
        )
    return list(found.values())


def passages_of(document: str, text: str, max_words: int) -> Iterator[Passage]:
    """The passages of one document."""
    text = _FRONT_MATTER.sub("", text.replace("\r\n", "\n"))
    for headings, blocks in _sections(text, Path(document).stem):
        kept: list[str] = []
        first = True
        for block in [*blocks, ""]:
            full = kept and (len(words(" ".join([*kept, block]))) > max_words or not block)
            if full:
                joined = "\n\n".join(kept)
                if len(words(joined)) >= _FEWEST_WORDS:
                    yield Passage(document, headings, joined, first)
                    first = False
                kept = []
            if block:
                kept.append(block)


def plain(text: str) -> str:
    """Without Markdown's marks for emphasis, code and links, in one line."""
    return " ".join(_MARKS.sub(r"\1", text).split())


def words(text: str) -> list[str]:
    """The words of a text in lower case; versions, paths and hyphenated names are one each."""
    return _WORD.findall(text.casefold())


def sentences(text: str) -> list[str]:
    """The sentences of the running text of a passage, as `plain` writes them.

    Tables and code are left out, list items are sentences of their own. Unknown abbreviations cut
    a sentence in two.
    """
    found: list[str] = []
    for block in re.split(r"\n\s*\n|\n(?=[ \t]*(?:[-*+]|\d+[.)])[ \t])", _without_code(text)):
        if block.lstrip().startswith("|"):
            continue
        line = plain(re.sub(r"^[ \t]*(?:[-*+]|\d+[.)]|>)[ \t]+", "", block))
        for part in _SENTENCE_END.split(line):
            if found and _ABBREVIATION.search(found[-1]) and line.startswith(found[-1]):
                found[-1] += f" {part}"
            elif part:
                found.append(part)
    return found


def _without_code(text: str) -> str:
    kept, in_code = [], False
    for line in text.split("\n"):
        if _FENCE.match(line):
            in_code = not in_code
        elif not in_code:
            kept.append(line)
    return "\n".join(kept)


def _sections(text: str, name: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Headings above, and the blocks that stand between them and the next heading."""
    path: dict[int, str] = {}
    title = ""
    lines: list[str] = []
    in_code = False
    for line in [*text.split("\n"), "# "]:
        in_code ^= bool(_FENCE.match(line))
        heading = None if in_code else _HEADING.match(line)
        if heading is None and line != "# ":
            lines.append(line)
            continue
        above = [path[level] for level in sorted(path)]
        yield (title or name, *above[1 if title else 0 :]), _blocks(lines)
        lines = []
        if heading is not None:
            level, words_of = len(heading.group(1)), plain(heading.group(2))
            path = {other: said for other, said in path.items() if other < level} | {
                level: words_of
            }
            title = title or words_of


def _blocks(lines: list[str]) -> list[str]:
    """Paragraphs and the like: what blank lines part, but for those in code."""
    blocks: list[list[str]] = [[]]
    in_code = False
    for line in lines:
        in_code ^= bool(_FENCE.match(line))
        if line.strip() or in_code:
            blocks[-1].append(line.rstrip())
        elif blocks[-1]:
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]
