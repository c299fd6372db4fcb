"""Plain lines as Markdown: what other formats need so that their text is not taken for markup.

A parser that writes Markdown decides itself what is a heading and what is code; a line of the
document that happens to begin with '# ' or a fence must stay the line that it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_MARKUP = re.compile(r"^([ \t]*)(?=#{1,6}[ \t]|`{3}|~{3})", re.MULTILINE)
_HEADING_ENDS = re.compile(r"[ \t]#+[ \t]*$")
_FOLLOWED = re.compile(r"(?:https?://|mailto:)[^\s()<>]+", re.IGNORECASE)
_LONGEST_TARGET = 100
"""A longer one is dropped: it would crowd the words out of the passage."""
_LONGEST_HEADING = 200
"""Characters. The chunker takes a line over 300 for a paragraph."""


def escaped(text: str) -> str:
    """The lines with a backslash before what would be a heading or open a fence."""
    return _MARKUP.sub(r"\1\\", text)


def heading(level: int, title: str) -> str:
    """A heading line; levels beyond 6 are written as 6, a title that is too long as prose."""
    title = _HEADING_ENDS.sub("", " ".join(title.split()))
    if not title:
        return ""
    if len(title) > _LONGEST_HEADING:
        return escaped(title)
    return f"{'#' * max(1, min(level, 6))} {title}"


def fenced(code: str, language: str = "") -> str:
    """A code block, between marks longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    marks = "`" * (longest + 1)
    language = re.sub(r"[^\w+#.-]", "", language)
    return f"{marks}{language}\n{code.strip(chr(10))}\n{marks}"


def item(marker: str, body: str) -> str:
    """A list item: the marker before the first line, the others below its text."""
    first, *rest = body.split("\n")
    indent = " " * (len(marker) + 1)
    return "\n".join([f"{marker} {first}".rstrip(), *(f"{indent}{line}".rstrip() for line in rest)])


def code(text: str) -> str:
    """Code within a line."""
    if not text.strip():
        return text
    runs = re.findall("`+", text)
    marks = "`" * (max(map(len, runs), default=0) + 1)
    pad = " " if text[0] == "`" or text[-1] == "`" else ""
    return f"{marks}{pad}{text}{pad}{marks}"


def link(label: str, target: str) -> str:
    """A link that a reader can follow; of any other its label alone."""
    label, target = label.strip(), target.strip()
    if not _FOLLOWED.fullmatch(target) or len(target) > _LONGEST_TARGET:
        return label
    return f"<{target}>" if label in ("", target) else f"[{label}]({target})"


def joined(blocks: Iterable[str]) -> str:
    """Blocks with a blank line between them; empty ones are left out."""
    return "\n\n".join(block.strip("\n") for block in blocks if block.strip())
