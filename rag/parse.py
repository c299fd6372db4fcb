"""Bytes to text: one function, dispatching on the suffix, with a parser module per family.

Parsers run no macros, load no external entities, open no network connection and write no files.
Some of them are C libraries, and documents come from anywhere: ingestion runs this in a process of
its own (`rag/parsers/worker.py`). Parser modules are imported when first needed, as most documents
need one of them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath

from rag.errors import ParseError
from rag.parsers.text import clean, parse_markdown, parse_plain
from rag.schema import ParsedDocument

MARKDOWN = frozenset({".md", ".markdown"})
PLAIN = frozenset({".txt", ".text", ".log"})
HTML = frozenset({".html", ".htm"})
MARKUP = frozenset({".rst", ".adoc", ".asciidoc"})
DATA = frozenset({".csv", ".tsv", ".json", ".jsonl"})
OFFICE = frozenset({".docx", ".pptx", ".xlsx"})
SUPPORTED = MARKDOWN | PLAIN | HTML | MARKUP | DATA | OFFICE | {".pdf", ".eml"}

_MAX_TITLE = 200


def parse(data: bytes, name: str, *, ocr: bool = False) -> ParsedDocument:
    """The document as text, or ParseError with a reason that reads on after the document's name.

    The suffix of `name` decides the format; content that contradicts it is refused rather than
    guessed at. `ocr` reads scanned PDF pages (extra `ocr`). Deterministic: the same bytes and name
    give the same result.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if not data:
        raise ParseError("file is empty")
    document = _parse(data, suffix, ocr)
    if not document.text.strip():
        raise ParseError("holds no text")
    title = " ".join(clean(document.title).split())[:_MAX_TITLE].strip()
    return replace(document, title=title or readable_name(name))


def _parse(data: bytes, suffix: str, ocr: bool) -> ParsedDocument:
    if suffix in MARKDOWN:
        return parse_markdown(data)
    if suffix in PLAIN:
        return parse_plain(data, suffix)
    if suffix in HTML:
        from rag.parsers.html import parse_html

        return parse_html(data)
    if suffix == ".pdf":
        from rag.parsers.pdf.document import parse_pdf

        return parse_pdf(data, ocr=ocr)
    if suffix == ".eml":
        from rag.parsers.email import parse_email

        return parse_email(data)
    if suffix in OFFICE:
        return _parse_office(data, suffix)
    if suffix in MARKUP:
        return _parse_markup(data, suffix)
    if suffix in DATA:
        return _parse_data(data, suffix)
    shown = f"{suffix!r} files are" if suffix else "files without a suffix are"
    raise ParseError(f"{shown} not supported; supported: {', '.join(sorted(SUPPORTED))}")


def _parse_office(data: bytes, suffix: str) -> ParsedDocument:
    if suffix == ".docx":
        from rag.parsers.docx import parse_docx

        return parse_docx(data)
    if suffix == ".pptx":
        from rag.parsers.pptx import parse_pptx

        return parse_pptx(data)
    from rag.parsers.xlsx import parse_xlsx

    return parse_xlsx(data)


def _parse_markup(data: bytes, suffix: str) -> ParsedDocument:
    if suffix == ".rst":
        from rag.parsers.rst import parse_rst

        return parse_rst(data)
    from rag.parsers.asciidoc import parse_asciidoc

    return parse_asciidoc(data)


def _parse_data(data: bytes, suffix: str) -> ParsedDocument:
    if suffix in (".json", ".jsonl"):
        from rag.parsers.json import parse_json

        return parse_json(data, suffix)
    from rag.parsers.csv import parse_csv

    return parse_csv(data, suffix)


def readable_name(name: str) -> str:
    """A title made of a file name: 'ops/vm_backup-guide.md' becomes 'Vm backup guide'."""
    path = PurePosixPath(name)
    stem = path.stem
    if stem.lower() in ("index", "readme") and path.parent.name:
        stem = path.parent.name
    words = re.sub(r"[_\-\s]+", " ", stem).strip() or name
    return words[:1].upper() + words[1:]
