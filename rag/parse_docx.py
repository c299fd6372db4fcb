"""DOCX to Markdown: mammoth makes HTML of the document, the HTML parser makes Markdown of that.

markitdown runs the same mammoth, but loads a file-type model first, escapes every `_` and `*`,
puts an empty header row on tables and lets the Title style go; called directly, mammoth takes 60 %
of its time and memory. What is lost by it: equations, which markitdown writes as LaTeX.
Word's hidden text and text that a heading's automatic number consists of are not told apart from
what a reader sees: the first comes in, the second stays out.
"""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from typing import Any
from xml.etree import ElementTree

from rag.errors import ParseError
from rag.parse_html import html_to_markdown
from rag.parse_text import clean, markdown_title
from rag.schema import ParsedDocument

_ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError),
)
"""What zipfile and its decompressors raise on damaged, encrypted or exotic archives."""

_MB = 1024 * 1024
_MAX_EXPANDED = 200 * _MB
_MAX_XML = 40 * _MB
"""Of the parts that are held as a tree, which takes some twenty times their size."""
_MAX_RATIO = 200
_SMALL = 10 * _MB
"""An archive that expands to less than this is harmless at any ratio."""

_STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh
p[style-name='HTML Preformatted'] => pre:separator('\\n')
p[style-name='Code'] => pre:separator('\\n')
p[style-name='Source Code'] => pre:separator('\\n')
p[style-name='toc 1'] => !
p[style-name='toc 2'] => !
p[style-name='toc 3'] => !
p[style-name='toc 4'] => !
p[style-name='TOC Heading'] => !
"""


def parse_docx(data: bytes) -> ParsedDocument:
    """Body text, headings, lists, tables and notes. Not: page headers, contents, comments,
    deleted text."""
    import mammoth

    core = _checked(data)
    try:
        html = mammoth.convert_to_html(
            io.BytesIO(data),
            style_map=_STYLES,
            include_embedded_style_map=False,
            convert_image=_describe_image,
        ).value
    except RecursionError as error:
        raise ParseError(
            "nests its parts too deeply: save it again from the word processor"
        ) from error
    except Exception as error:  # mammoth lets through whatever its XML and zip readers raise
        raise ParseError(f"is damaged ({error}): open it and save it again as .docx") from error
    _, text = html_to_markdown(html)
    media = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    return ParsedDocument(_core_title(core) or markdown_title(text), text, media)


def _checked(data: bytes) -> bytes:
    """The document's core properties, once it is sure that reading the archive is safe.

    Declared sizes can be trusted as a bound: zipfile stops reading an entry there.
    """
    if not data.startswith(b"PK\x03\x04"):
        if data.startswith(b"\xd0\xcf\x11\xe0"):
            raise ParseError("is encrypted or an old .doc: save it as .docx without a password")
        raise ParseError("is not a DOCX file: save it again as .docx from the word processor")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            if "word/document.xml" not in entries:
                raise ParseError("is a zip archive but holds no Word document: check its suffix")
            _refuse_bomb(archive.infolist(), len(data))
            core = b""
            for name in entries:
                if name.endswith((".xml", ".rels")):
                    part = archive.read(name)
                    if b"<!DOCTYPE" in part.replace(b"\0", b""):
                        raise ParseError(
                            "declares XML entities, which no word processor writes: refused"
                        )
                    core = part if name == "docProps/core.xml" else core
            return core
    except _ZIP_ERRORS as error:
        raise ParseError(f"is damaged or cut short ({error}): copy it again") from error


def _refuse_bomb(entries: list[zipfile.ZipInfo], size: int) -> None:
    expanded = sum(entry.file_size for entry in entries)
    trees = sum(entry.file_size for entry in entries if entry.filename.endswith((".xml", ".rels")))
    if expanded > _MAX_EXPANDED or (expanded > _SMALL and expanded > _MAX_RATIO * size):
        raise ParseError(
            f"expands from {size / _MB:.1f} to {expanded / _MB:.0f} MB, which looks like a zip "
            "bomb: save it again from the word processor with smaller images"
        )
    if trees > _MAX_XML:
        raise ParseError(
            f"holds {trees / _MB:.0f} MB of text markup: split it into smaller documents"
        )


def _describe_image(image: Any) -> list[Any]:
    """An image as its description; without this, mammoth would inline its bytes."""
    from mammoth import html

    return [html.text(image.alt_text)] if image.alt_text else []


def _core_title(core: bytes) -> str:
    try:
        title = ElementTree.fromstring(core).findtext("{http://purl.org/dc/elements/1.1/}title")
    except ElementTree.ParseError:
        return ""
    title = " ".join(clean(title or "").split())
    return (
        "" if re.fullmatch(r"(?i)(word document|document\d*|untitled|.*\.docx?)", title) else title
    )
