"""AsciiDoc to Markdown, read line by line.

There is no Python library to take instead (looked at in November 2026): asciidoc and asciidoc3 are
GPL and AGPL; of the permissive ones asciidoctrine is an alpha that needs seconds for a page and
refuses usual tables, pyasciidoc a pre-alpha without attributes, and adparser runs the Ruby program.
This reading knows what technical documentation is made of: headings, attributes, lists, code,
tables, admonitions, links. What it does not know stays as text. Each line is looked at once, so
that the time is linear in the text.

Not done: including files, evaluating conditions (all alternatives come in), nested tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import dropwhile, takewhile

from rag.parsers.asciidoc_blocks import Blocks
from rag.parsers.asciidoc_inline import Inline
from rag.parsers.text import clean, decode, markdown_title
from rag.schema import ParsedDocument

_INCLUDE = re.compile(r"include::([^\s\[]{1,500})\[")
_CONDITION = re.compile(r"(?:ifn?def|ifeval|endif)::[^\s\[]{0,500}\[(.*)\]")


def parse_asciidoc(data: bytes) -> ParsedDocument:
    """Headings, paragraphs, lists, code, tables and notes. Title: the document's, else the first.

    Included files do not come in; a warning names them. Raises ParseError where tables expand
    beyond reason.
    """
    text, warnings = decode(data)
    files: list[str] = []
    lines = list(_preprocessed(clean(text), files))
    inline = Inline()
    for line in takewhile(str.strip, dropwhile(lambda line: not line.strip(), lines)):
        inline.define(line)  # the document's title stands above the attributes that it uses
    blocks = Blocks(inline)
    for line in lines:
        blocks.read(line)
    found = clean(blocks.text())
    if files:
        names = ", ".join(list(dict.fromkeys(files))[:20])
        warnings += (f"included files were not read: {names}",)
    return ParsedDocument(markdown_title(found), found, "text/asciidoc", warnings=warnings)


def _preprocessed(text: str, files: list[str]) -> Iterator[str]:
    """Lines without includes, which are added to `files`, and without conditions. The value of an
    attribute that goes on in the lines below is one line with them."""
    value: list[str] = []
    for line in text.split("\n"):
        if value or (line.startswith(":") and line.endswith(" \\")):
            value.append(line)
            if not line.endswith(" \\"):
                yield "\n".join(value)
                value = []
        elif "::" not in line:
            yield line
        elif match := _INCLUDE.match(line):
            files.append(match[1])
        elif match := _CONDITION.match(line):
            if match[1] and line.startswith("if") and not line.startswith("ifeval"):
                yield match[1]
        else:
            yield re.sub(r"^\\(?=include::|ifn?def::|endif::|ifeval::)", "", line)
    if value:
        yield "\n".join(value)
