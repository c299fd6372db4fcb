"""Pages over HTTP, each asked for again only on condition that it changed.

The last whole answer to every address lies in one SQLite file with its validators: it is what a
304 stands for, what `load` reads, and where the links of a page are found while the page itself
fails. Each answer is one transaction, so a killed process leaves whole answers only; a file that
is lost or damaged costs a full fetch and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path

import httpx

from rag.errors import SourceError
from rag.sources.config import HttpSection
from rag.sources.http import HttpStatusError, PoliteClient
from rag.sources.web_robots import (
    REDIRECTS,
    Robots,
    SiteUnavailable,
    read_robots,
    redirect_target,
    site_of,
)

_FORM = 1
"""Of the cache's table; a file of another form is started anew."""
_BUSY_S = 30.0
_FAILED_IN_A_ROW = 10
"""Pages without any answer, or with the server's own failure, after which a site counts as down."""
_HEADERS = ("content-type", "etag", "last-modified", "link", "x-robots-tag")
_ACCEPT = "text/html,application/xhtml+xml,application/pdf,text/markdown,text/plain;q=0.9,*/*;q=0.5"


@dataclass(frozen=True, slots=True)
class Kept:
    """The last whole answer to an address."""

    url: str
    body: bytes
    headers: dict[str, str]
    """Those of `_HEADERS` that it had, in lower case; several of one name stand one a line."""
    lastmod: str
    """What the sitemap said when it was fetched."""
    fetched: str
    """ISO time in UTC."""
    fresh: bool = False
    """Not, or not like this, in the cache yet."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """The server sends the reader on; None where the address is none to be followed."""

    target: str | None


@dataclass(frozen=True, slots=True)
class Unwanted:
    """A page of a type that nobody asked for; its body was not read."""

    content_type: str


class CacheError(SourceError):
    """The cache cannot be read or written: no page can be taken in."""


class PageCache:
    """One row an address. May be used by several threads and processes. Raises CacheError."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pages.sqlite"
        with contextlib.suppress(OSError):  # then the file cannot be opened, which says why
            folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(CacheError), self._open():  # a damaged file is removed here
            pass
        with self._open():
            pass

    def get(self, url: str) -> Kept | None:
        with self._open() as connection:
            row = connection.execute("SELECT * FROM pages WHERE url = ?", (url,)).fetchone()
        try:
            return row and Kept(url, zlib.decompress(row[1]), json.loads(row[2]), *row[3:])
        except (zlib.error, ValueError):  # SQLite does not notice a flipped bit
            return None

    def put(self, kept: Kept) -> None:
        body, headers = zlib.compress(kept.body, 1), json.dumps(kept.headers)
        row = (kept.url, body, headers, kept.lastmod, kept.fetched)
        with self._open() as connection:
            connection.execute("INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?)", row)

    def finish(self, urls: set[str] | None) -> None:
        """Note that a run got to its end; where it saw all there is, forget all but `urls`."""
        with self._open() as connection:
            connection.execute("INSERT OR REPLACE INTO runs VALUES (1)")
            if urls is not None:
                connection.execute("CREATE TEMP TABLE seen (url TEXT PRIMARY KEY)")
                connection.executemany("INSERT INTO seen VALUES (?)", ((url,) for url in urls))
                connection.execute("DELETE FROM pages WHERE url NOT IN (SELECT url FROM seen)")

    def is_complete(self) -> bool:
        """Whether a run got to its end with this file: pages it does not hold were not there."""
        with self._open() as connection:
            return connection.execute("SELECT 1 FROM runs").fetchone() is not None

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection and one transaction, both for this call alone."""
        try:
            with contextlib.closing(_connect(self.path)) as connection, connection:
                connection.execute("BEGIN")
                yield connection
        except (sqlite3.Error, OSError) as error:
            if type(error) is sqlite3.DatabaseError:  # damaged; its subclasses are other troubles
                _discard(self.path)
                raise CacheError(f"{self.path} was damaged and is removed: sync again") from error
            raise CacheError(
                f"{self.path} cannot be used ({error}): check the folder's rights and free space"
            ) from error


class Fetcher:
    """Asks sites for pages, each site at its own pace and by its own rules."""

    def __init__(
        self,
        config: HttpSection,
        cache: PageCache,
        *,
        respect_robots: bool,
        headers: dict[str, str],
        auth: tuple[str, str] | None,
        sleep: Callable[[float], None],
        now: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._cache = cache
        self._respect_robots = respect_robots
        self._headers = {"Accept": _ACCEPT, **headers}
        self._auth = auth
        self._sleep = sleep
        self._now = now
        self._clients: dict[str, PoliteClient] = {}
        self._robots: dict[str, Robots | SiteUnavailable] = {}
        self._failed: dict[str, int] = {}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def robots(self, url: str) -> Robots:
        """The rules of the URL's site. Raises SiteUnavailable, each time as the first time."""
        site = site_of(url)
        if site not in self._robots:
            try:
                client = self._client(site)
                self._robots[site] = read_robots(client, site) if self._respect_robots else Robots()
            except SiteUnavailable as error:
                self._robots[site] = error
        found = self._robots[site]
        if isinstance(found, SiteUnavailable):
            raise found
        return found

    def fetch(
        self, url: str, wanted: Callable[[httpx.Headers], bool], lastmod: str = ""
    ) -> Kept | Redirect | Unwanted:
        """The page as it is now. Raises SourceError, SiteUnavailable for one that is down.

        With the sitemap's `lastmod` of the last time nothing is asked for. What is fresh is not
        kept before `keep` is called: a broken answer must not replace a page and its links.
        """
        kept = self._cache.get(url)
        if kept and lastmod and kept.lastmod == lastmod and _settled(lastmod, kept.fetched):
            return kept
        self.robots(url)
        try:
            answer = self._client(site_of(url)).get(
                url, headers=_conditions(kept), accept=REDIRECTS, wanted=wanted
            )
        except SourceError as error:
            self._note_failure(site_of(url), error)
            raise
        self._failed[site_of(url)] = 0
        if answer.status in REDIRECTS:
            return Redirect(redirect_target(answer, url))
        fetched = self._now().astimezone(UTC).isoformat(timespec="seconds")
        values = {name: answer.headers.get_list(name) for name in _HEADERS}
        headers = {name: "\n".join(found) for name, found in values.items() if found}
        if answer.status == 304 and kept is not None:
            told: dict[str, str] = {n: headers[n] for n in ("link", "x-robots-tag") if n in headers}
            fresh = lastmod != "" or not told.items() <= kept.headers.items()
            told = {**kept.headers, **told}
            return replace(kept, headers=told, lastmod=lastmod, fetched=fetched, fresh=fresh)
        if answer.status not in (200, 203):
            raise SourceError(f"the server answered without a page ({answer.status})")
        if not wanted(answer.headers):
            return Unwanted(answer.headers.get("content-type", ""))
        return Kept(url, answer.content, headers, lastmod, fetched, fresh=True)

    def keep(self, kept: Kept) -> None:
        if kept.fresh:
            self._cache.put(kept)

    def _client(self, site: str) -> PoliteClient:
        if site not in self._clients:
            try:
                self._clients[site] = PoliteClient(
                    self._config,
                    headers=self._headers,
                    auth=self._auth,
                    sleep=self._sleep,
                    follow_redirects=False,
                )
            except SourceError as error:
                raise SiteUnavailable(site, str(error)) from error
        return self._clients[site]

    def _note_failure(self, site: str, error: SourceError) -> None:
        """A page that is refused, or too long, says nothing of the next one; silence does."""
        status = error.status if isinstance(error, HttpStatusError) else 0
        silent = isinstance(error.__cause__, httpx.TransportError)
        failing = silent or status == 429 or status >= 500
        self._failed[site] = self._failed.get(site, 0) + 1 if failing else 0
        if self._failed[site] >= _FAILED_IN_A_ROW:
            what = f"{_FAILED_IN_A_ROW} pages in a row failed, so no more were asked for"
            self._robots[site] = SiteUnavailable(site, f"{what}; the last: {error}")


def _conditions(kept: Kept | None) -> dict[str, str]:
    """Headers by which the server answers 304 where the page is still the kept one."""
    pairs = (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
    values = {name: kept.headers.get(header, "") for name, header in pairs} if kept else {}
    return {name: value for name, value in values.items() if value and value.isascii()}


def _settled(lastmod: str, fetched: str) -> bool:
    """Whether the page was fetched when no more change could fall under this `lastmod`.

    A date, which many sites write as a midnight, holds for all of its day, wherever on earth; a
    mere month or year never settles.
    """
    try:
        moment = datetime.fromisoformat(lastmod)
        if moment.time() != time_of_day.min:
            return True
        return fetched[:10] >= (moment.date() + timedelta(days=2)).isoformat()
    except (ValueError, OverflowError):
        return False


def _connect(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.Error. A file of another form, or none, is started anew."""
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    try:
        if _form(connection) == _FORM:
            return connection
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if _form(connection) != _FORM:  # nobody else was quicker
                connection.execute("DROP TABLE IF EXISTS pages")
                connection.execute("DROP TABLE IF EXISTS runs")
                connection.execute(
                    "CREATE TABLE pages (url TEXT PRIMARY KEY, body BLOB NOT NULL, "
                    "headers TEXT NOT NULL, lastmod TEXT NOT NULL, fetched TEXT NOT NULL)"
                )
                connection.execute("CREATE TABLE runs (complete INTEGER PRIMARY KEY)")
                connection.execute(f"PRAGMA user_version = {_FORM}")
    except BaseException:
        connection.close()
        raise
    return connection


def _form(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _discard(path: Path) -> None:
    """The file and what SQLite would replay into its successor."""
    for name in (path, path.with_name(path.name + "-journal")):
        name.unlink(missing_ok=True)
