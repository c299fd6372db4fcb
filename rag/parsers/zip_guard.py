"""Office files are zip archives of XML: what has to be sure before a library opens one.

Expansion is bounded before anything is expanded, XML that declares entities is refused, and a file
that is protected, damaged or of another kind gives a reason. Nothing is unpacked to disk.
"""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from xml.etree import ElementTree

from rag.errors import ParseError
from rag.parsers.text import clean

_ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError),
)
"""What zipfile and its decompressors raise on damaged or exotic archives."""

_MB = 1024 * 1024
_MAX_EXPANDED = 200 * _MB
_MAX_RATIO = 200
_SMALL = 10 * _MB
"""An archive that expands to less than this is harmless at any ratio."""
_MAX_PARTS = 20_000
_MAX_SMALL = _MB
_STRICT = b"http://purl.oclc.org/ooxml/"
_BLOCK = _MB
_SNIFFED = 256
_DECLARING = (".svg", ".html", ".htm", ".xhtml", ".mht")
_DOCTYPE = b"<!DOCTYPE"
_ENCODING = re.compile(
    rb"""<\?xml[^>]{0,99}?encoding\s*=\s*["'](?!utf-?8|utf-?16|us-ascii|ascii)""", re.IGNORECASE
)
"""Another encoding, such as UTF-7, could hide a declaration from a search for its bytes."""
_OLE = b"\xd0\xcf\x11\xe0"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_POOR_TITLE = re.compile(
    r"(?i)(?:word document|document\d*|untitled|(?:powerpoint )?presentation\d*|präsentation\d*|"
    r"slide \d+|book\d*|workbook\d*|mappe\d*|.*\.(?:docx?|pptx?|xlsx?))"
)


@dataclass(frozen=True, slots=True)
class Package:
    """One kind of Office file."""

    name: str
    """As a person calls it: "Word document"."""
    suffix: str
    folder: str
    """The folder within the archive that every file of this kind has."""
    program: str
    max_markup_mb: int
    """Of XML, which takes some twenty times its size where it is held as a tree."""
    strict: bool = False
    """Whether the library knows the other names that "Strict Open XML" has for everything."""


def checked_title(data: bytes, package: Package) -> str:
    """The title in the document's properties ('' for none), once reading the archive is safe.

    Declared sizes can be trusted as a bound: zipfile stops reading an entry there. Raises
    ParseError for what is protected, damaged, of another kind, too large or hostile.
    """
    if not data.startswith(b"PK\x03\x04"):
        raise ParseError(_not_an_archive(data, package))
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _refuse_other(entries, package)
            _refuse_bomb(entries, len(data), package)
            markup = sum(_checked_part(archive, entry) for entry in entries)
            if markup > package.max_markup_mb * _MB:
                raise ParseError(
                    f"holds {markup / _MB:.0f} MB of text markup: split it into smaller documents"
                )
            if not package.strict and _STRICT in _read(archive, "_rels/.rels"):
                raise ParseError(
                    f"is in the Strict Open XML format: save it again as ordinary {package.suffix}"
                )
            return _core_title(_read(archive, "docProps/core.xml"))
    except _ZIP_ERRORS as error:
        raise ParseError(f"is damaged or cut short ({error}): copy it again") from error


def _not_an_archive(data: bytes, package: Package) -> str:
    if data.startswith(_OLE):
        if _ENCRYPTED in data:
            return "is protected by a password: save a copy without one"
        old = package.suffix.removesuffix("x")
        return f"is an old {old} file: open it and save it as {package.suffix}"
    suffix = package.suffix
    return f"is not a {suffix[1:].upper()} file: save it again as {suffix} from {package.program}"


def _refuse_other(entries: list[zipfile.ZipInfo], package: Package) -> None:
    if any(entry.flag_bits & 1 for entry in entries):
        raise ParseError("is protected by a password: save a copy without one")
    if not any(entry.filename.startswith(package.folder) for entry in entries):
        raise ParseError(f"is a zip archive but holds no {package.name}: check its suffix")


def _refuse_bomb(entries: list[zipfile.ZipInfo], size: int, package: Package) -> None:
    expanded = sum(entry.file_size for entry in entries)
    if expanded > _MAX_EXPANDED or (expanded > _SMALL and expanded > _MAX_RATIO * size):
        raise ParseError(
            f"expands from {size / _MB:.1f} to {expanded / _MB:.0f} MB, which looks like a zip "
            f"bomb: save it again from {package.program}, with smaller images, or split it"
        )
    if len(entries) > _MAX_PARTS:
        raise ParseError(f"holds {len(entries)} parts: split it into smaller documents")


def _checked_part(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """Bytes of markup in the part, 0 for a picture. Read in blocks, searched for declarations.

    What begins like markup counts as such, whatever its name: a reader follows names that the
    document itself gives. Embedded drawings and web pages alone may declare a DOCTYPE; no reader
    here takes them as parts of the document, and expat and libxml2 bound what entities expand to.
    """
    if entry.filename.lower().endswith(_DECLARING):
        return 0
    with archive.open(entry) as part:
        block = part.read(_BLOCK)
        start = block[:_SNIFFED].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xfe\xff \t\r\n")
        if not entry.filename.endswith((".xml", ".rels")) and not start.startswith(b"<"):
            return 0
        if _ENCODING.search(block[:_SNIFFED].replace(b"\0", b"")):
            raise ParseError("declares an unusual XML encoding, which no program writes: refused")
        tail = b""
        while block:
            seen = tail + block.replace(b"\0", b"")
            if _DOCTYPE in seen:
                raise ParseError("declares XML entities, which no program writes: refused")
            tail = seen[-len(_DOCTYPE) :]
            block = part.read(_BLOCK)
    return entry.file_size


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """A small part, b"" where there is none."""
    try:
        with archive.open(name) as part:
            return part.read(_MAX_SMALL)
    except KeyError:
        return b""


def _core_title(core: bytes) -> str:
    try:
        title = ElementTree.fromstring(core).findtext("{http://purl.org/dc/elements/1.1/}title")
    except ElementTree.ParseError:
        return ""
    title = " ".join(clean(title or "").split())
    return "" if _POOR_TITLE.fullmatch(title) else title
