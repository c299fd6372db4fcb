"""Every link that a reader or a renderer could make out in a text, in one comparable spelling.

Renderers differ, so the widest reading counts: plain, `hxxp`, backslashes, `//host`, `www.`, bare
names of common top-level domains, Markdown targets, HTML attributes. Regular expressions rather
than a Markdown parser, since a sentence of a stream may hold half a link.
"""

from __future__ import annotations

import re
import string
import unicodedata
from functools import lru_cache

from guardrails.detectors.canonical import NON_ASCII, is_invisible, unescaped

STOP = r"\s<>\"'`|^{}"
SCHEME = re.compile(
    rf"(?<![a-z0-9+.-])([a-z][a-z0-9+.-]{{1,20}}):([/\\]{{1,9}})([^{STOP}]{{1,4000}})"
)
BARE_HOST = (
    r"(?:[\w-]{1,63}\.){1,8}(?:com|net|org|info|biz|ru|cn|xyz|top|click|link|site|online|shop|tk|"
    r"app|page|me|co|uk|de|fr|eu|io|dev|ai|cc|ws|to|ly|gg|zip|mov)"
)
RELATIVE = re.compile(
    rf"(?<![\w:/\\.])[/\\]{{2}}((?:[\w-]{{1,63}}\.){{1,8}}[\w-]{{2,63}}[^{STOP}]{{0,4000}})"
)
WWW = re.compile(rf"(?<![\w./@-])(www\.[^{STOP}]{{1,4000}})")
BARE = re.compile(rf"(?<![\w./@:%\\-])({BARE_HOST}(?![\w-]|\.\w)[^{STOP}]{{0,4000}})")
OPAQUE = re.compile(
    r"(?<![\w.-])(javascript|vbscript|mailto|tel|sms|blob|view-source)\s{0,4}:\s{0,4}([^\s\"'<>)]{1,400})"
)
DATA_URI = re.compile(
    r"(?<![\w.-])data:[\w/+.-]{0,80}(?:;[\w=.-]{1,80}){0,4},|(?<![\w.-])data:text/html"
)
EMAIL = re.compile(r"<([\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6})>")
TARGET = re.compile(
    r"\]\(\s{0,9}<?([^)\s>]{1,4000})|^[ >]{0,9}\[[^\]\n]{1,200}\]:\s{0,9}<?([^\s>]{1,4000})", re.M
)
ATTRIBUTE = re.compile(
    r"<[a-z][^<>]{0,400}?\s(?:href|src|action|formaction|srcset|poster|background|cite)"
    r"\s{0,9}=\s{0,9}[\"']?([^\s\"'>]{1,4000})"
)
DEFANGED = re.compile(r"\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)")
ESCAPED = re.compile(r"%([0-9a-fA-F]{2})")
UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")
WEB = frozenset({"http", "https", "hxxp", "hxxps", "h**p", "ttp", "ttps"})
# `normalize` sorts the marks on a letter, in quadratic time: a long run of them is cut.
PIECE = re.compile(r"[\x00-\x7f]*[^\x00-\x7f]{1,200}|[\x00-\x7f]+")
TRAILING = ".,;:!?)]}*_'\"/\\"


@lru_cache(maxsize=512)
def links(text: str) -> frozenset[str]:
    """The canonical links of a text: web links as `host/path`, others with their scheme.

    Linear in the length of the text. Kept for recent texts, since a stream asks again and again
    about the same passages.
    """
    return frozenset(_found(readable(text))) - {""}


def readable(text: str) -> str:
    """The text as a browser takes it: entities decoded, full-width letters and dots plain."""
    text = unescaped(text)
    if NON_ASCII.search(text):
        shown = "".join(char for char in text if not is_invisible(char))
        pieces = (unicodedata.normalize("NFKC", piece) for piece in PIECE.findall(shown))
        text = "".join(pieces).replace("。", ".")
    text = "".join(char for char in text if char >= " " or char in "\n\t\r")
    return DEFANGED.sub(".", text)


def _found(text: str) -> set[str]:
    found: set[str] = set()
    lowered = text.lower() if len(text.lower()) == len(text) else text  # same places in both
    taken = bytearray(len(lowered))
    for match in SCHEME.finditer(lowered):
        found.add(_canonical(match[1], text[match.start(3) : match.end(3)]))
        taken[match.start() : match.end()] = b"\1" * (match.end() - match.start())
    for pattern in (RELATIVE, WWW, BARE):
        for match in pattern.finditer(lowered):
            if not taken[match.start()]:
                found.add(_canonical("", text[match.start(1) : match.end(1)]))
    for match in OPAQUE.finditer(lowered):
        found.add(f"{match[1]}:{match[2].rstrip(TRAILING)}")
    found.update("data:" for _ in DATA_URI.finditer(lowered))
    found.update(f"mailto:{match[1]}" for match in EMAIL.finditer(lowered))
    for pattern in (TARGET, ATTRIBUTE):
        for match in pattern.finditer(lowered):
            found.add(
                _target(text[match.start(match.lastindex or 0) : match.end(match.lastindex or 0)])
            )
    return found


def _target(target: str) -> str:
    """What a link points to, by its place in the markup; a path of this site has no host."""
    if any(pattern.search(target.lower()) for pattern in (SCHEME, RELATIVE, WWW, BARE, OPAQUE)):
        return ""  # found already, wherever it stands
    return f"target:{_decoded(target).rstrip(TRAILING)}" if target.strip(TRAILING) else ""


def _canonical(scheme: str, rest: str) -> str:
    """Host in lower case and punycode, unreserved escapes decoded, no trailing punctuation."""
    rest = rest.replace("\\", "/").lstrip("/")
    cut = rest.find("](")  # `[http://a](http://b)`: the text of a link ends there
    rest = (rest if cut < 0 else rest[:cut]).rstrip(TRAILING)
    if ")" in rest and "(" not in rest:
        rest = rest[: rest.index(")")].rstrip(TRAILING)
    at = next((place for place, char in enumerate(rest) if char in "/?#"), len(rest))
    authority, path = rest[:at], rest[at:]
    user, found, host = authority.rpartition("@")
    host = _ascii_host(_decoded(host).lower().removesuffix(":443").removesuffix(":80").rstrip("."))
    if not host:
        return ""
    kept = "" if scheme in WEB else f"{scheme}://" if scheme else ""
    return f"{kept}{user}{found}{host}{_decoded(path)}"


def _ascii_host(host: str) -> str:
    """A look-alike host is another host: in punycode it looks like one as well."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def _decoded(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        char = chr(int(match[1], 16))
        return char if char in UNRESERVED else match[0].upper()

    return ESCAPED.sub(plain, text)
