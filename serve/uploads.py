"""An uploaded file -> a document of the knowledge base, without a look at other groups' documents.

An upload's URI is `upload:READERS/NAME`, where READERS is `everyone` or a hash of the groups that
may read it. So every set of readers has names of its own: a caller replaces only what he could read
and delete anyway, and whether somebody else has a document of that name makes no difference to what
he is told. The hash is of the groups and not of the caller, because whoever may read a document may
also bring it up to date.

Catalogs of former versions hold `upload:NAME`, one name space for all. Such a document goes when
somebody who may read it uploads its name again; nobody else's upload touches it.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath

from rag.catalog import Catalog
from rag.ingest import ingest
from rag.parse import SUPPORTED
from rag.schema import EVERYONE, Document, RawDocument
from serve.errors import RequestError
from serve.wiring import Parts

_LONGEST_NAME = 200
_SHOWN = 80


def upload_readers(wanted: Sequence[str] | None, caller: frozenset[str]) -> frozenset[str]:
    """The groups that may read an upload: those named, else all of the caller's.

    Raises RequestError where none is named, or one that the caller is not in.
    """
    if wanted is None:
        return caller or frozenset({EVERYONE})
    his = caller | {EVERYONE}
    named: set[str] = set()
    for value in wanted:  # a name may hold a comma itself
        named |= {value} if value in his else {part.strip() for part in value.split(",")}
    if not named or "" in named:
        raise RequestError(
            400, "groups names no group; leave it out for all of yours", "invalid_value", "groups"
        )
    if foreign := sorted(named - his):
        shown = foreign[0][:_SHOWN].encode("utf-8", "replace").decode()
        raise RequestError(
            403,
            f"you are not in the group '{shown}'; yours are: {', '.join(sorted(his))}",
            "not_in_group",
            "groups",
        )
    return frozenset(named)


def take_in(parts: Parts, name: str, data: bytes, readers: frozenset[str]) -> Document:
    """Ingest one uploaded document. Raises RequestError, and RagError where it cannot be stored.

    The former document of that name and readers stays where this one cannot be read.
    """
    if not data:
        raise RequestError(400, "the file is empty", "unreadable_document", "file")
    catalog, caller = parts.knowledge.catalog, parts.groups | {EVERYONE}
    uri = upload_uri(catalog, name, readers, caller)
    raw = RawDocument(uri, name, datetime.now(UTC), lambda: data)
    report = ingest(parts.knowledge, [raw], readers)
    if report.failures:
        reason = report.failures[0].reason
        raise RequestError(400, f"{name}: {reason}", "unreadable_document", "file")
    _remove_former(parts, name, caller)
    known = catalog.known([uri]).get(uri)
    document = catalog.find_document(str(known.id), caller) if known else None
    if document is None:
        raise RequestError(409, f"{name} was deleted while it was added", "conflict", "file")
    return document


def upload_uri(catalog: Catalog, name: str, readers: frozenset[str], caller: frozenset[str]) -> str:
    """The URI of an upload: always the same one, unless its document was given to other readers.

    That one is then passed over; no command does so, and only those who knew it could tell.
    """
    for attempt in itertools.count():
        uri = f"upload:{_label(catalog, readers, attempt)}/{name}"
        known = catalog.known([uri]).get(uri)
        if known is None or known.state.groups & caller:
            return uri
    raise AssertionError("there is always another URI")


def _label(catalog: Catalog, readers: frozenset[str], attempt: int) -> str:
    """Keyed with the catalog's random id: what a URI tells of groups cannot be guessed from it."""
    if EVERYONE in readers:  # whoever else is named
        readers = frozenset({EVERYONE})
        if attempt == 0:
            return EVERYONE
    said = json.dumps([sorted(readers), attempt])
    return hmac.new(
        catalog.id.encode(), said.encode("utf-8", "replace"), hashlib.sha256
    ).hexdigest()[:12]


def _remove_former(parts: Parts, name: str, caller: frozenset[str]) -> None:
    """A former version's upload of this name, where the caller may read it."""
    uri = f"upload:{name}"
    former = parts.knowledge.catalog.known([uri]).get(uri)
    if former is not None and former.state.groups & caller:
        parts.knowledge.catalog.delete([former.id])
        parts.knowledge.refresh()


def file_name(filename: str | None) -> str:
    """The file's name without any folders. Raises RequestError."""
    name = PurePosixPath((filename or "").replace("\\", "/")).name.strip()
    name = "".join(character for character in name if character.isprintable())
    if len(name) > _LONGEST_NAME:  # cut, it might pass for another document
        raise RequestError(
            400,
            f"the file's name has {len(name)} characters; at most {_LONGEST_NAME} are taken",
            "invalid_value",
            "file",
        )
    if PurePosixPath(name).suffix.lower() not in SUPPORTED:
        known = ", ".join(sorted(SUPPORTED))
        raise RequestError(
            415, f"'{name}' has no supported suffix: {known}", "unsupported_media_type", "file"
        )
    return name
