"""E-mail (.eml) to text with the standard library: who wrote what to whom, and what was attached.

The old `compat32` policy, because the newer one raises on some headers that broken programs write
and takes quadratic time on others. Quoted replies stay: they often hold the question to an answer.
Attachments are named and not read; signatures are not checked; nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.policy import Compat32

from rag.errors import ParseError
from rag.parsers.html import html_to_markdown
from rag.parsers.table_rows import pair_lines
from rag.parsers.text import clean, decode
from rag.schema import ParsedDocument

_DEEPEST = 5
"""Messages within messages; one that lies deeper is named like an attachment."""
_MAX_PARTS = 1000
_MAX_HEADER = 4000
_HEADERS = frozenset("from to cc subject date received content-type mime-version".split())
_READ = ("text/plain", "text/html")
_SEALED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_FEWEST = 4
"""Where the HTML's text is so many times as long as the plain one, the plain one says no more than
that one's program should show HTML."""
_SEVEN_BIT = re.compile(r"(?i)iso-2022-[\w-]+|hz(?:-gb-2312)?|utf-?7")
_QUOTED = re.compile(r"((?:>[ \t]?)+)(.*)")
_WRAPPED = 50
"""Characters from which on a quoted line is taken to go on in the next."""


class _Policy(Compat32):
    """Headers cut at a length: the library parses their parameters in quadratic time."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_MAX_HEADER]


@dataclass(slots=True)
class _Letter:
    """One message. `bodies`: its texts and the messages enclosed in it, in order."""

    subject: str = ""
    head: list[str] = field(default_factory=list)
    bodies: list[str | _Letter] = field(default_factory=list)
    attachments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Reading:
    """What was met in the whole file so far."""

    warnings: list[str] = field(default_factory=list)
    parts: int = 0
    unread: int = 0
    texts: dict[int, str] = field(default_factory=dict)
    """By the id of their part."""


def parse_email(data: bytes) -> ParsedDocument:
    """From, To, Cc and Date lines, the text, and the names of attachments. Title: the subject.

    An enclosed message follows with a heading of its own. Headings come as offsets, since a line
    that begins with '#' is no heading in a letter. Raises ParseError for what is encrypted or no
    message at all.
    """
    reading = _Reading()
    try:
        data = data.removeprefix(b"\xef\xbb\xbf").lstrip()
        message = message_from_bytes(data, policy=_Policy())
        if _HEADERS.isdisjoint(name.lower() for name in message.keys()):  # noqa: SIM118
            raise ParseError(
                "is not an e-mail message: save it again as .eml from the mail program"
            )
        letter = _letter(message, reading, 0)
    except RecursionError as error:
        raise ParseError("nests its parts too deeply: forward its text by itself") from error
    except (MessageError, ValueError, LookupError, TypeError) as error:
        raise ParseError(f"is damaged ({error}): save it again from the mail program") from error
    parts: list[str] = []
    headings: list[tuple[int, tuple[str, ...]]] = []
    at = 0
    for path, text in _blocks(letter, ()):
        if path is not None:
            headings.append((at, path))
        if text:
            parts.append(text)
            at += len(text) + 2
    if reading.unread:
        reading.warnings.append(f"attachments were named but not read: {reading.unread}")
    return ParsedDocument(
        letter.subject,
        "\n\n".join(parts),
        "message/rfc822",
        headings=tuple(headings),
        warnings=tuple(dict.fromkeys(reading.warnings)),
    )


def _blocks(letter: _Letter, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...] | None, str]]:
    """(heading path, text); the path is None where the one before goes on."""
    yield path or None, "\n".join(letter.head)
    back: tuple[str, ...] | None = None
    for body in letter.bodies:
        if isinstance(body, _Letter):
            yield from _blocks(body, (*path, body.subject or "Enclosed message"))
            back = path
        else:
            yield back, body
            back = None
    if letter.attachments:
        yield back, f"Attachments: {', '.join(letter.attachments)}"


def _letter(message: Message, reading: _Reading, depth: int) -> _Letter:
    letter = _Letter(subject=_header(message, "Subject"))
    # The subject of the outermost message is the title of the document.
    names = ("From", "To", "Cc", "Date") if depth == 0 else ("From", "To", "Cc", "Date", "Subject")
    for name in names:
        letter.head += pair_lines([(name, _header(message, name))])
    _collect(message, letter, reading, depth)
    return letter


def _collect(
    part: Message, letter: _Letter, reading: _Reading, depth: int, texts: bool = True
) -> None:
    """Put what `part` holds into `letter`; without `texts` the names of attachments alone."""
    reading.parts += 1
    if reading.parts > _MAX_PARTS:
        raise ParseError(f"holds more than {_MAX_PARTS} parts: forward its text by itself")
    kind = part.get_content_type()
    inner = _inner(part)
    if kind in _SEALED:
        if depth == 0 and not letter.bodies:
            raise ParseError("is encrypted or sealed: save a copy of its text without encryption")
        _name(part, kind, letter, reading)
    elif kind.startswith("message/") and inner:
        for enclosed in inner:
            if depth < _DEEPEST:
                letter.bodies.append(_letter(enclosed, reading, depth + 1))
            else:
                _name(enclosed, _header(enclosed, "Subject") or kind, letter, reading)
    elif inner:
        chosen = _chosen(inner, reading) if kind == "multipart/alternative" else inner
        for child in inner:
            _collect(child, letter, reading, depth, texts and child in chosen)
    elif kind in _READ or part.get_content_maintype() == "multipart":
        if part.get_content_disposition() == "attachment" or _filename(part):
            _name(part, kind, letter, reading)
        elif texts and (text := _text(part, reading)):
            letter.bodies.append(text)
    elif not (part.get_content_maintype() == "image" and part.get("Content-ID")):
        _name(part, kind, letter, reading)  # all but the pictures that a page shows


def _inner(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [p for p in payload if isinstance(p, Message)] if isinstance(payload, list) else []


def _chosen(options: Sequence[Message], reading: _Reading) -> Sequence[Message]:
    """Of the same text in several forms the plain one, unless it is a mere pointer to the other."""
    plain = [option for option in options if option.get_content_type() == "text/plain"]
    pages = [
        (option, part)
        for option in options
        for part in option.walk()
        if part.get_content_type() == "text/html"
    ]
    if not pages:
        return options
    rich, page = pages[-1]
    short = sum(len(_text(option, reading)) for option in plain)
    return [rich] if len(_text(page, reading)) > _FEWEST * short else plain


def _text(part: Message, reading: _Reading) -> str:
    """A part as text, '' with a warning where it cannot be read. Each is read once."""
    if id(part) not in reading.texts:
        reading.texts[id(part)] = _read_text(part, reading)
    return reading.texts[id(part)]


def _read_text(part: Message, reading: _Reading) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        payload = str(part.get_payload()).encode("utf-8", "replace")
    try:
        text, warnings = _decoded(payload, part.get_content_charset())
        if part.get_content_type() == "text/html":
            _, text = html_to_markdown(text)
    except ParseError as error:
        reading.warnings.append(f"a part could not be read: it {error}")
        return ""
    reading.warnings += warnings
    text = clean(text)
    if str(part.get_param("format", "")).lower() == "flowed":
        text = re.sub(r"(?<=[^\s>-]) \n(?=[^\s>])", " ", text)
    text = "\n".join(line.rstrip() for line in _unwrapped(text).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _decoded(data: bytes, charset: str | None) -> tuple[str, tuple[str, ...]]:
    """As in other formats, but for encodings that look like ASCII and are not."""
    if charset and _SEVEN_BIT.fullmatch(charset):
        try:
            return data.decode(charset), ()
        except (UnicodeDecodeError, LookupError):
            return data.decode("ascii", "replace"), (f"could not be decoded as {charset}",)
    return decode(data, charset)


def _unwrapped(text: str) -> str:
    """Quoted lines that were cut at the margin joined again: a sentence of several lines that each
    begin with '>' would be taken for as many sentences."""
    lines: list[str] = []
    marks, open_line = "", False
    for line in text.split("\n"):
        quoted = _QUOTED.match(line)
        if quoted is None:
            lines.append(line)
            open_line = False
            continue
        now, rest = quoted[1].replace(" ", ""), quoted[2].strip()
        if open_line and now == marks and rest and (rest[0].isalnum() or rest[0] in "\"'(“"):
            lines[-1] += " " + rest
        else:
            lines.append(f"{now} {rest}".rstrip())
        marks, open_line = now, len(rest) >= _WRAPPED
    return "\n".join(lines)


def _name(part: Message, kind: str, letter: _Letter, reading: _Reading) -> None:
    letter.attachments.append(_filename(part) or f"unnamed ({kind})")
    reading.unread += 1


def _filename(part: Message) -> str:
    try:
        return _plain(part.get_filename() or "")[:200]
    except (ValueError, LookupError, TypeError):
        return "unnamed"


def _header(message: Message, name: str) -> str:
    """The first header of that name as one line, '' for none."""
    for key, value in message.raw_items():
        if key.lower() == name.lower():
            return _plain(str(value))
    return ""


def _plain(raw: str) -> str:
    """Without encoded words (=?utf-8?q?...?=); bytes beyond ASCII as UTF-8, else as Western."""
    data = raw.encode("utf-8", "surrogateescape")
    try:
        raw = data.decode("utf-8")
    except UnicodeDecodeError:
        raw = data.decode("cp1252", "replace")
    words = []
    try:
        for word, charset in decode_header(raw):
            words.append(word if isinstance(word, str) else _word(word, charset))
    except (MessageError, ValueError):
        words = [raw]
    return " ".join(clean("".join(words)).split())


def _word(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "raw-unicode-escape", "replace")
    except (LookupError, UnicodeError):
        return data.decode("utf-8", "replace")
