"""Where a web source may go: the one form of a URL, its bounds, and robots.txt."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urljoin

import httpx
from protego import Protego

from rag.errors import SourceError
from rag.parse import HTML, SUPPORTED
from rag.parsers.text import clean
from rag.sources.http import USER_AGENT, Answer, HttpStatusError, PoliteClient

AGENT = USER_AGENT.partition("/")[0].lower()
"""The product token by which robots.txt and `<meta name>` address this crawler."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_HOPS = 5
_LONGEST_URL = 2000
_LONGEST_NAME = 300
_MAX_ROBOTS = 512 * 1024
"""Bytes of robots.txt that are read; RFC 9309 asks for at least 500 KiB."""
_LONGEST_PAUSE_S = 60.0
_OFFICE = "application/vnd.openxmlformats-officedocument"
_SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "text/plain": ".txt",
    f"{_OFFICE}.wordprocessingml.document": ".docx",
    f"{_OFFICE}.presentationml.presentation": ".pptx",
    f"{_OFFICE}.spreadsheetml.sheet": ".xlsx",
}
_SAYS_LITTLE = frozenset({"", "text/plain", "application/octet-stream", "binary/octet-stream"})
"""Content types under which a server sends files whose ending it does not know."""
_NO_PAGES = frozenset(
    ".7z .avi .bin .bmp .bz2 .css .deb .dmg .eot .exe .gif .gz .ico .img .iso .jar .jpeg .jpg .js "
    ".json .map .mov .mp3 .mp4 .msi .ova .ovf .png .rar .rpm .rss .svg .tar .tgz .tif .tiff .ttf "
    ".wav .webm .webp .whl .woff .woff2 .xml .xz .zip .zst".split()
)
"""Endings of links that are not even tried."""
_SOURCES = "/_sources/"
"""The folder in which Sphinx keeps each page a second time, as its source."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_TRACKING = re.compile(r"(?:utm_\w+|gclid|fbclid|phpsessid|jsessionid)(?:=|$)", re.IGNORECASE)


class SiteUnavailable(SourceError):
    """No page of the site may or can be asked for now; `site` is its address."""

    def __init__(self, site: str, message: str) -> None:
        super().__init__(message)
        self.site = site


def normalise(url: str, base: str = "") -> str | None:
    """The URL in the one form in which it is compared and asked for; None for no page's URL.

    Relative to `base`; scheme and host in lower case, no default port, no fragment, no `..`, no
    needless percent-encoding, the query's parameters sorted by key, without those that only track
    the reader. A URL that carries a password is none.
    """
    try:
        parts = httpx.URL(urljoin(base, _plain_percent(url.strip())))
        scheme, host, port = parts.scheme, parts.netloc.decode("ascii"), parts.port
        named = parts.host != "" and "%" not in host and not parts.userinfo
    except (ValueError, httpx.InvalidURL):  # idna's errors are UnicodeErrors, so ValueErrors
        return None
    if scheme not in _DEFAULT_PORTS or not named:
        return None
    if port == _DEFAULT_PORTS[scheme]:
        host = host.removesuffix(f":{port}")
    elif port is not None and not 0 < port < 65536:
        return None
    path, _, query = parts.raw_path.decode("ascii").partition("?")
    path = re.sub(r";jsessionid=[^/;]*", "", path, flags=re.IGNORECASE)
    fields = [field for field in query.split("&") if field]
    fields = sorted((f for f in fields if not _TRACKING.match(f)), key=lambda f: f.split("=")[0])
    found = f"{scheme}://{host}{path or '/'}" + (f"?{'&'.join(fields)}" if fields else "")
    return found if len(found) <= _LONGEST_URL else None


def redirect_target(answer: Answer, url: str) -> str | None:
    location = answer.headers.get("location", "")
    return normalise(location, url) if location else None


def identity(url: str) -> str:
    """The document's URI: a folder and its index page are one document."""
    return re.sub(r"/index\.html?$", "/", url)


def site_of(url: str) -> str:
    """Scheme, host and port with the closing slash: https://docs.example.com/."""
    return "/".join(url.split("/", 3)[:3]) + "/"


def folder_of(url: str) -> str:
    """The URL up to the folder: a last segment without a dot is taken for a folder itself."""
    path = url.partition("?")[0]
    head, _, last = path.rpartition("/")
    return f"{head}/" if not last or "." in last else f"{path}/"


def name_of(uri: str) -> str:
    """The URL's path as a person reads it, without `.html`; the host for the site's root."""
    shown = " ".join(clean(unquote(uri[len(site_of(uri)) :], errors="replace")).split())
    shown = re.sub(r"\.(?:x?html?)$", "", shown, flags=re.IGNORECASE).rstrip("/")
    return (shown or uri.split("/", 3)[2])[:_LONGEST_NAME]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one part of a source may ask for, whatever links and redirects say."""

    within: Sequence[str]
    """URL prefixes ending with '/', all of them normalised."""
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def hold(self, url: str) -> bool:
        """Whether it lies in one of the folders, or is one, written without its slash."""
        path = url.partition("?")[0]
        return any(url.startswith(folder) or f"{path}/" == folder for folder in self.within)

    def contain(self, url: str) -> bool:
        """Whether the page may be asked for."""
        if _ending(url) in _NO_PAGES or _SOURCES in url:
            return False
        return self.hold(url) and self.select(url)

    def select(self, url: str) -> bool:
        """Whether include and exclude let it pass."""
        if any(_matches(pattern, url) for pattern in self.exclude):
            return False
        return not self.include or any(_matches(pattern, url) for pattern in self.include)


def suffix_of(url: str, content_type: str) -> str:
    """The format of a page, as `rag.parse` knows it, by what the server says; "" for none."""
    kind = content_type.partition(";")[0].strip().lower()
    ending = _ending(url)
    if kind in _SAYS_LITTLE and ending in SUPPORTED - HTML:
        return ending
    suffix = _SUFFIXES.get(kind, "")
    return suffix if suffix in SUPPORTED else ""


def is_page(url: str, headers: Mapping[str, str]) -> bool:
    return suffix_of(url, headers.get("content-type", "")) != ""


def is_html(url: str, headers: Mapping[str, str]) -> bool:
    return suffix_of(url, headers.get("content-type", "")) in HTML


def _ending(url: str) -> str:
    return PurePosixPath(url[len(site_of(url)) - 1 :].partition("?")[0]).suffix.lower()


def _matches(pattern: str, url: str) -> bool:
    """A glob whose `*` stands for any characters, compared with path and query, or the URL."""
    text = url if "://" in pattern else url[len(site_of(url)) - 1 :]
    parts = [re.escape(part) for part in re.split(r"\*+", pattern)]
    return re.fullmatch(".*".join(parts), text, re.DOTALL) is not None


class Robots:
    """One site's robots.txt. Without a text everything is allowed."""

    def __init__(self, text: str = "") -> None:
        self._rules = Protego.parse(text)

    def allow(self, url: str) -> bool:
        return self._rules.can_fetch(url, AGENT)

    def pause_s(self) -> float:
        """Seconds between two requests that the site asks for; 0 where it does not."""
        rate = self._rules.request_rate(AGENT)
        pauses = [self._rules.crawl_delay(AGENT) or 0.0]
        if rate is not None and rate.requests > 0:
            pauses.append(rate.seconds / rate.requests)
        return max((pause for pause in pauses if math.isfinite(pause)), default=0.0)


def read_robots(client: PoliteClient, site: str) -> Robots:
    """The site's rules; the client is slowed down to the pause they ask for.

    Missing (404 and most other 4xx) allows everything. Raises SiteUnavailable where the file is
    forbidden (401, 403), cannot be read now, or asks for a pause that no sync can keep.
    """
    text = _robots_text(client, site)
    robots = Robots(text)
    pause = robots.pause_s()
    if pause > _LONGEST_PAUSE_S:
        raise SiteUnavailable(
            site,
            f"{site}robots.txt asks for {pause:g} s between two requests: agree on another pace "
            "with its owner, then set respect_robots: false and a low requests_per_second",
        )
    if pause > 0:
        client.slow_down(pause)
    return robots


def _robots_text(client: PoliteClient, site: str) -> str:
    url = f"{site}robots.txt"
    accepted = frozenset({*range(400, 500), *REDIRECTS} - {429})
    for _ in range(MAX_HOPS + 1):
        try:
            answer = client.get(url, accept=accepted)
        except SourceError as error:
            status = f" ({error.status})" if isinstance(error, HttpStatusError) else ""
            raise SiteUnavailable(
                site, f"{site}robots.txt cannot be read{status}, so nothing was asked for: {error}"
            ) from error
        if answer.status in (401, 403):
            raise SiteUnavailable(
                site,
                f"{site}robots.txt is itself forbidden ({answer.status}), which forbids every "
                "page: check the source's user and token, or set respect_robots: false",
            )
        if answer.status not in REDIRECTS:
            found = answer.status < 300
            return answer.content[:_MAX_ROBOTS].decode("utf-8-sig", "replace") if found else ""
        url = _next_hop(answer, url, site)
    return ""  # a circle of redirects leads to no file


def _next_hop(answer: Answer, url: str, site: str) -> str:
    """Redirects stay on the host; from http to https counts as staying."""
    target = redirect_target(answer, url)
    if target is None or site_of(target) not in (site, re.sub("^http:", "https:", site)):
        raise SiteUnavailable(
            site,
            f"{site}robots.txt is redirected to {target or 'no address'}, on another host: write "
            "the site's final address into the source, or set respect_robots: false",
        )
    return target


def _plain_percent(text: str) -> str:
    """Percent-encoding with capitals, and none where the character needs none."""

    def replace(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if _UNRESERVED.fullmatch(character) else f"%{match[1].upper()}"

    return re.sub(r"%([0-9A-Fa-f]{2})", replace, text)
