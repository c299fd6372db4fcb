"""Bytes to text: one function, dispatching on the suffix, with a parser module per family.

Parsers run no macros, load no external entities, open no network connection and write no files.
PDF and HTML are parsed by C libraries inside this process: a document crafted against a bug in
those is not contained here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath

from rag.errors import ParseError
from rag.parse_text import clean, parse_markdown, parse_plain
from rag.schema import ParsedDocument

MARKDOWN = frozenset({".md", ".markdown"})
PLAIN = frozenset({".txt", ".text", ".log", ".rst", ".adoc"})
HTML = frozenset({".html", ".htm"})
SUPPORTED = MARKDOWN | PLAIN | HTML | {".pdf", ".docx"}

_MAX_TITLE = 200


def parse(data: bytes, name: str) -> ParsedDocument:
    """The document as text, or ParseError with a reason that reads on after the document's name.

    The suffix of `name` decides the format; content that contradicts it is refused rather than
    guessed at. Deterministic: the same bytes and name give the same result.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if not data:
        raise ParseError("file is empty")
    document = _parse(data, suffix)
    if not document.text.strip():
        raise ParseError("holds no text")
    title = " ".join(clean(document.title).split())[:_MAX_TITLE].strip()
    return replace(document, title=title or readable_name(name))


def _parse(data: bytes, suffix: str) -> ParsedDocument:
    if suffix in MARKDOWN:
        return parse_markdown(data)
    if suffix in PLAIN:
        return parse_plain(data, suffix)
    if suffix in HTML:
        from rag.parse_html import parse_html

        return parse_html(data)
    if suffix == ".pdf":
        from rag.parse_pdf import parse_pdf

        return parse_pdf(data)
    if suffix == ".docx":
        from rag.parse_docx import parse_docx

        return parse_docx(data)
    shown = f"{suffix!r} files are" if suffix else "files without a suffix are"
    raise ParseError(f"{shown} not supported; supported: {', '.join(sorted(SUPPORTED))}")


def readable_name(name: str) -> str:
    """A title made of a file name: 'ops/vm_backup-guide.md' becomes 'Vm backup guide'."""
    path = PurePosixPath(name)
    stem = path.stem
    if stem.lower() in ("index", "readme") and path.parent.name:
        stem = path.parent.name
    words = re.sub(r"[_\-\s]+", " ", stem).strip() or name
    return words[:1].upper() + words[1:]
