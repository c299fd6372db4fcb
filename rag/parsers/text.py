"""Bytes to clean text, and what Markdown and plain text say about themselves.

Every parser ends in `clean`, so that what is chunked, embedded, stored and cited is free of
characters that no reader sees. Decoding never raises on odd bytes and never guesses silently:
whatever is not UTF-8, marked UTF-16/32 or in the encoding it declares leaves a warning.
"""

from __future__ import annotations

import codecs
import re
import unicodedata

import yaml

from rag.errors import ParseError
from rag.schema import ParsedDocument

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = (b"%PDF-", b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x7fELF", b"\x1f\x8b")
_CONTROL_BYTES = bytes(set(range(32)) - set(b"\t\n\r\f\b\x1b")) + b"\x7f"
_BINARY_SHARE = 0.01
"""Control bytes in a text file above which it is no text. Random bytes have a tenth; a log with a
hole of NULs from a power cut stays below, unless the hole is most of it."""

_WESTERN = frozenset(map(chr, range(128))) | frozenset(
    "äöüßÄÖÜéèêëÉÈÊàâáãåæÀÁÂÅÆçÇíìîïÍÎñÑóòôõøœÓÔØŒúùûÚ…“”„‘’‚–—•€£§©®™°±·«»¿¡²³µ¼½¾×ºª\xa0"
)

_BREAKS = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\^_])")
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u200b\u2060\ufdd0-\ufdef\ufeff\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Controls, soft hyphens, zero-width spaces, lone surrogates (which no database takes) and the
tag characters that hide instructions in plain sight. Joiners stay: emoji and Indic text need
them."""

_HEAD = 64 * 1024
"""Characters in which a title or front matter has to start."""
_FENCE = re.compile(
    r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_COMMENT_OR_CODE = re.compile(
    r"^ {0,3}(?P<mark>`{3,}|~{3,})[\s\S]*?(?:^ {0,3}(?P=mark)[`~]*[ \t]*$|\Z)|^(?: {4}|\t).*$|"
    r"(?P<ticks>`+)[^`\n]+(?P=ticks)|<!--",
    re.MULTILINE,
)
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(\S[^\n]*)$", re.MULTILINE)
_SETEXT = re.compile(r"^ {0,3}(\w[^\n]*)\n {0,3}=+[ \t]*$", re.MULTILINE)
_RST = re.compile(
    r"^(?:([^\w\s])\1{2,}\n)?[ ]?(\S[^\n]*)\n([=\-~*^#+\"'`.:_])\3{2,}[ \t]*$", re.MULTILINE
)
_ADOC = re.compile(r"\A(?:(?:\[.*\]|:.*|//.*|[ \t]*)\n)*=[ \t]+(\S[^\n]*)$", re.MULTILINE)


def decode(data: bytes, declared: str | None = None) -> tuple[str, tuple[str, ...]]:
    """Text and warnings. `declared` is what the document itself says its encoding is (HTML).

    UTF-8 that decodes is UTF-8 whatever is declared: a wrong declaration is common, a text in
    another encoding that happens to be valid UTF-8 is not.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _decode_marked(data, encoding)
    if b"\0" in data and (unmarked := _unmarked_utf16(data)):
        return data.decode(unmarked), (f"decoded as {unmarked} (no byte order mark)",)
    _refuse_binary(data)
    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        return _decode_odd(data, error.start, declared)


def clean(text: str) -> str:
    """Line ends as \\n, composed characters (NFC), no terminal colours, nothing unseen."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    text = _UNSEEN.sub("", _BREAKS.sub("\n", text))
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def parse_markdown(data: bytes) -> ParsedDocument:
    """Markdown as it stands, but for its tables, which become rows, and for YAML front matter and
    HTML comments, which no reader sees and which therefore go."""
    from rag.parsers.markdown_tables import tables_as_rows

    text, warnings = decode(data)
    front, text = split_front_matter(clean(text))
    text = tables_as_rows(_without_comments(text))
    title = front or markdown_title(text)
    return ParsedDocument(title, text, "text/markdown", warnings=warnings)


def _without_comments(text: str) -> str:
    """Markdown without its HTML comments, but for those in code. One that never ends is text."""
    if "<!--" not in text:
        return text
    kept, at = [], 0
    for match in _COMMENT_OR_CODE.finditer(text):
        if match.start() < at or match[0] != "<!--":
            continue
        end = text.find("-->", match.end())
        if end < 0:
            break
        kept.append(text[at : match.start()])
        at = end + len("-->")
    return "".join([*kept, text[at:]])


def parse_plain(data: bytes, suffix: str) -> ParsedDocument:
    """Text as it stands; reStructuredText and AsciiDoc keep their markup."""
    text, warnings = decode(data)
    text = clean(text)
    title = ""
    if suffix == ".rst":
        title = first_match(_RST, text, 2)
    elif suffix == ".adoc":
        title = first_match(_ADOC, text, 1)
    elif suffix != ".log":  # a log that mentions '# something' is not titled by it
        title = markdown_title(text)
    # In a plain text file "# Heading" may be Markdown; elsewhere it is a comment, and stays text.
    headings = None if suffix in (".txt", ".text") else ()
    return ParsedDocument(title, text, "text/plain", headings=headings, warnings=warnings)


def markdown_title(text: str) -> str:
    """The first top-level heading near the beginning, else the first of any level, else ''."""
    head = _FENCE.sub("", text[:_HEAD])
    headings = [(match.start(), match[1], match[2]) for match in _HEADING.finditer(head)]
    headings += [(match.start(), "#", match[1]) for match in _SETEXT.finditer(head)]
    headings.sort()
    tops = [heading for heading in headings if heading[1] == "#"]
    for _, _, heading in tops or headings:
        if title := plain_heading(heading):
            return title
    return ""


def plain_heading(heading: str) -> str:
    """A heading without its Markdown: closing #s, anchors, links, emphasis, code marks, tags."""
    heading = re.sub(r"(?<![ \t])[ \t]+#+[ \t]*$|\{[#:][^{}]*\}", "", heading)
    heading = re.sub(r"!?\[([^\]\[]*)\]\([^()]*\)", r"\1", heading)
    heading = re.sub(r"<[^<>]*>|[*`]+|\b_+|_+\b|\\(?=\W)", "", heading)
    return " ".join(heading.split())


def split_front_matter(text: str) -> tuple[str, str]:
    """The title in a YAML front matter ('' without one) and the text after it.

    A block that is no YAML mapping stays in the text: it may be a rule (`---`) and prose. One
    whose values are unquoted prose with colons is still read by its `title:` line.
    """
    match = re.match(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$\n?", text[:_HEAD], re.S | re.M)
    if not match:
        return "", text
    try:
        front = yaml.safe_load(match[1])
        if front is not None and not isinstance(front, dict):
            return "", text
        title = (front or {}).get("title")
    except (yaml.YAMLError, ValueError, RecursionError):
        if not re.match(r"(?:#.*\n|\s)*[\w-]+:", match[1]):
            return "", text
        line = re.search(r"^title:[ \t]*(.+)$", match[1], re.M)
        title = re.sub(r"^([\"'])(.*)\1$", r"\2", line[1].strip()) if line else None
    usable = title is not None and not isinstance(title, (dict, list))
    return (" ".join(str(title).split()) if usable else ""), text[match.end() :].lstrip("\n")


def first_match(pattern: re.Pattern[str], text: str, group: int) -> str:
    """The group of the first match near the beginning, as one line, else ''."""
    match = pattern.search(text[:_HEAD])
    return " ".join(match[group].split()) if match else ""


def _decode_marked(data: bytes, encoding: str) -> tuple[str, tuple[str, ...]]:
    try:
        return data.decode(encoding), ()
    except UnicodeDecodeError:
        text = data.decode(encoding, "replace")
    replaced, name = text.count("\ufffd"), encoding.removesuffix("-sig")
    return text, (f"{replaced} places are not valid {name} and were replaced",)


def _unmarked_utf16(data: bytes) -> str | None:
    """UTF-16 without a mark shows in NULs (the high bytes of ASCII) on one side only.

    A text without any ASCII, not even a space or a line end, is not recognised.
    """
    sample = data[: 2 * _HEAD]
    odd, even = sample[1::2].count(0), sample[0::2].count(0)
    if len(data) % 2 or max(odd, even) < 20 * min(odd, even) + 1:
        return None
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    odd_ones = sum(
        unicodedata.category(c) in ("Cc", "Cn", "Co") and c not in "\t\n\r\f" for c in text[:_HEAD]
    )
    return encoding if odd_ones <= 0.01 * len(text[:_HEAD]) else None


def _refuse_binary(data: bytes) -> None:
    if data.startswith(_MAGIC):
        raise ParseError(
            "is not text but a binary file under a text suffix: rename it, or leave it out"
        )
    controls = len(data) - len(data.translate(None, _CONTROL_BYTES))
    if controls > _BINARY_SHARE * len(data):
        raise ParseError("holds binary data, not text: leave it out, or convert it to text")


def _decode_odd(data: bytes, bad: int, declared: str | None) -> tuple[str, tuple[str, ...]]:
    """Not UTF-8: damaged UTF-8, what the document declares, or the best guess around `bad`."""
    text = data.decode("utf-8", "replace")
    replaced = text.count("\ufffd")
    proper = len(text) - len(text.encode("ascii", "ignore")) - replaced
    encoding = declared or _guess(data[max(0, bad - _HEAD // 4) : bad + _HEAD])
    if encoding is None or proper > 2 * replaced:
        return text, (f"{replaced} places are not valid UTF-8 and were replaced",)
    try:
        text, lost = data.decode(encoding), ""
    except LookupError:
        return _decode_odd(data, bad, None)
    except UnicodeDecodeError:
        text, lost = data.decode(encoding, "replace"), ", with some characters replaced"
    if declared and not lost:
        return text, ()
    return text, (f"decoded as {re.sub('^cp(?=125)', 'windows-', encoding)}{lost}",)


def _guess(sample: bytes) -> str | None:
    """The likeliest one-byte or multi-byte encoding of text around a byte that is not UTF-8.

    charset-normalizer judges by letters, so a text with hardly any beyond ASCII (one curly quote,
    one pound sign) gives it nothing to go by: that is taken for Western, as most such text is.
    """
    from charset_normalizer import from_bytes

    odd = len(sample.translate(None, bytes(range(128))))
    if (odd < 8 or odd < 0.03 * len(sample)) and _WESTERN.issuperset(
        sample.decode("cp1252", "replace")
    ):
        return "cp1252"
    best = from_bytes(sample, cp_exclusion=["utf_16", "utf_16_be", "utf_16_le", "utf_32"]).best()
    if best is None or best.encoding in ("ascii", "utf_8"):
        return None
    return "cp1252" if "cp1252" in best.could_be_from_charset else best.encoding
