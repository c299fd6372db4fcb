"""The walk over a website: which page is asked for next, and what becomes of it.

One walk serves single pages, sitemaps and crawls. Pages are asked for in order; redirects and
canonical addresses join the queue, and in a crawl so do links. Everything is asked for while the
documents are listed, on condition that it changed; `load` reads what was kept.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from rag.errors import SourceError
from rag.parse import SUPPORTED
from rag.schema import Failure, RawDocument
from rag.sources.http import HttpStatusError
from rag.sources.web_fetch import CacheError, Fetcher, Kept, PageCache, Redirect
from rag.sources.web_page import Page, read_page
from rag.sources.web_robots import (
    MAX_HOPS,
    Bounds,
    SiteUnavailable,
    identity,
    is_html,
    is_page,
    name_of,
    site_of,
)

if TYPE_CHECKING:
    from rag.sources.web import WebConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """One of the ways in which a source finds pages: a list, a sitemap, a crawl."""

    bounds: Bounds
    max_pages: int | None = None
    max_depth: int | None = None
    """None: links are not followed."""
    key: str = ""
    """Where its bounds stand in the configuration."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An address in the queue."""

    url: str
    depth: int = 0
    lastmod: str = ""
    named: bool = False
    """It stands in the configuration, so whatever keeps it from being read is reported."""
    via: tuple[str, ...] = ()
    """The redirects that led here, first one first."""


class Walk:
    """One run over a source's pages."""

    def __init__(
        self,
        config: WebConfig,
        cache: PageCache,
        fetcher: Fetcher,
        document: Callable[[Kept, str], RawDocument],
    ) -> None:
        """`document` makes one of a page and its sitemap's lastmod."""
        self._config = config
        self._document = document
        self._cache = cache
        self._fetcher = fetcher
        self.visited: set[str] = set()
        """Addresses whose kept answers are to stay."""
        self._read_now: set[str] = set()
        self._taken: set[str] = set()
        self._failed: set[tuple[str, str, str]] = set()
        self._copies: dict[str, list[RawDocument]] = {}
        """Canonical URI -> the pages that call themselves copies of it."""
        self.whole = True
        """Nothing that may be there was left unseen."""
        self._interrupted = False
        self._cache_is_new = not cache.is_complete()

    def end(self) -> Iterator[RawDocument]:
        """Copies of what was not there stand for themselves; the cache forgets what is gone."""
        known = self._taken | {uri for uri, _, _ in self._failed}
        for uri, copies in self._copies.items():
            for copy in copies if uri not in known else ():
                yield from self._take(copy)
        if not self._interrupted:
            self._cache.finish(self.visited if self.whole else None)

    def pages(self, part: Part, entries: Iterable[Entry]) -> Iterator[RawDocument | Failure]:
        """Breadth first, so that the bounds cut off what lies farthest from the start."""
        queue = deque(entries)
        queued = {entry.url for entry in queue}
        beyond: set[str] = set()
        asked = 0
        while queue:
            entry = queue.popleft()
            if asked == part.max_pages:
                advice = f"raise {part.key}.max_pages, or leave pages out with {part.key}.exclude"
                reason = f"stopped after {asked} pages with more to come, such as {entry.url}"
                yield from self.cover(part, f"{reason}; none is removed: {advice}")
                break
            asked += not entry.via
            items, follow = self._step(entry, part)
            yield from items
            for link in follow:
                if link.url in queued or not (link.via or self.admits(link.url, part)):
                    continue
                if part.max_depth is not None and link.depth > part.max_depth:
                    beyond.add(link.url)
                    continue
                queued.add(link.url)
                (queue.append if link.depth > entry.depth else queue.appendleft)(link)
        if beyond := set(map(identity, beyond)) - set(map(identity, queued)):
            reason = f"pages more than {part.max_depth} clicks away were not read"
            advice = "raise crawl.max_depth, or leave them out with crawl.exclude"
            which = f"({len(beyond)}, such as {min(beyond)})"
            yield from self.cover(part, f"{reason} {which}; none is removed: {advice}")

    def _step(self, entry: Entry, part: Part) -> tuple[list[RawDocument | Failure], list[Entry]]:
        """One page: what comes out of it, and where it leads. Never raises for the page's sake."""
        try:
            if entry.url in self._read_now and (kept := self._cache.get(entry.url)):
                return self._read(entry, kept, part)  # met in another part of the source
            if not self._fetcher.robots(entry.url).allow(entry.url):
                raise SourceError("is forbidden by the site's robots.txt")
            found = self._fetcher.fetch(entry.url, partial(is_page, entry.url), entry.lastmod)
            if isinstance(found, Redirect):
                return [], [self._hop(entry, found.target, part)]
            if isinstance(found, Kept):
                return self._read(entry, found, part)
            if entry.named:
                what = found.content_type or "of no type"
                raise SourceError(
                    f"is {what}, not a page; read are: {', '.join(sorted(SUPPORTED))}"
                )
            return [], []
        except SiteUnavailable as error:
            return list(self.unavailable(error)), []
        except CacheError:
            raise
        except SourceError as error:
            return self._not_read(entry, part, error)
        except Exception as error:  # a parser library's own bug: costs this page alone
            log.warning("reading %s failed", entry.url, exc_info=True)
            reason = f"cannot be read: {type(error).__name__}: {error}"
            return self._not_read(entry, part, SourceError(reason))

    def _read(
        self, entry: Entry, kept: Kept, part: Part
    ) -> tuple[list[RawDocument | Failure], list[Entry]]:
        """A page that was answered: taken in, unless it says otherwise."""
        page = self._page(kept)
        self._fetcher.keep(kept)
        self.visited.add(kept.url)
        self._read_now.add(kept.url)
        raw = self._document(kept, entry.lastmod)
        if page.sends_on:
            return [], [self._hop(entry, page.sends_on, part)]
        follow = links_of(entry, page, part)
        if page.noindex and entry.named and part.max_depth is None:
            raise SourceError("asks not to be taken in (noindex): remove it from urls")
        if page.noindex or not part.bounds.select(kept.url):
            return [], follow
        original = page.canonical
        if original and identity(original) != raw.uri and self._may_be_original(original, part):
            self._copies.setdefault(identity(original), []).append(raw)
            return [], [Entry(original, entry.depth), *follow]
        return list(self._take(raw)), follow

    def _not_read(
        self, entry: Entry, part: Part, error: SourceError
    ) -> tuple[list[RawDocument | Failure], list[Entry]]:
        """What a page leaves behind that is gone, or fails: the links it had the last time."""
        reason = f"is redirected to {entry.url}, which {error}" if entry.via else str(error)
        is_start = entry.named and part.max_depth is not None
        gone = isinstance(error, HttpStatusError) and error.status in (404, 410)
        if gone and not is_start:
            advice = f"{reason}: mend its address, or remove it from urls"
            name = name_of((*entry.via, entry.url)[0])
            return list(self._fail("", advice, name) if entry.named else ()), []
        items: list[RawDocument | Failure] = []
        for url in (*entry.via, entry.url):  # any of them may be the document's address
            items += self._fail(identity(url), reason)
            self.visited.add(url)
        kept = self._cache.get(entry.url)
        if kept is not None:
            return items, links_of(entry, self._page(kept), part)
        if part.max_depth is not None and (is_start or self._cache_is_new):
            items += self.cover(
                part, "a page that could not be read may lead to others: none is removed"
            )
        return items, []

    def _page(self, kept: Kept) -> Page:
        body = kept.body if is_html(kept.url, kept.headers) else b"<html>"
        return read_page(body, kept.url, kept.headers, obey=self._config.respect_robots)

    def _hop(self, entry: Entry, target: str | None, part: Part) -> Entry:
        """The entry for a redirect's target. Raises SourceError where nobody may follow."""
        via = (*entry.via, entry.url)
        if target is None:
            raise SourceError("is redirected to what is no web address")
        if target in via or len(via) > MAX_HOPS:
            raise SourceError(f"is redirected in a circle, by {target}")
        inside = part.bounds.hold(target) if entry.named else part.bounds.contain(target)
        if not inside:
            raise SourceError(
                f"is redirected to {target}, which this source may not read: a sign-in page? If "
                "not, write that address into the source, or exclude the page"
            )
        return replace(entry, url=target, lastmod="", via=via)

    def admits(self, url: str, part: Part) -> bool:
        """Whether a link may be followed; robots.txt that cannot be read is reported later."""
        try:
            return part.bounds.contain(url) and self._fetcher.robots(url).allow(url)
        except SiteUnavailable:
            return True

    def _may_be_original(self, url: str, part: Part) -> bool:
        """A template that names the site's front page on every page is not believed."""
        fronts = {site_of(url), *map(identity, self._config.fronts)}
        return identity(url) not in fronts and self.admits(url, part)

    def _take(self, raw: RawDocument) -> Iterator[RawDocument]:
        if raw.uri not in self._taken:
            self._taken.add(raw.uri)
            yield raw

    def _fail(self, uri: str, reason: str, name: str = "") -> Iterator[Failure]:
        failure = (uri, name or name_of(uri), reason)
        if failure not in self._failed:
            self._failed.add(failure)
            yield Failure(*failure)

    def cover(self, part: Part, reason: str) -> Iterator[Failure]:
        """Failures for all that the part may hold: what was not seen is not gone."""
        self.whole = False
        for folder in part.bounds.within:
            yield from self._fail(folder, reason)

    def unavailable(self, error: SiteUnavailable) -> Iterator[Failure]:
        self.whole = False
        self._interrupted = True
        yield from self._fail(error.site, str(error))


def links_of(entry: Entry, page: Page, part: Part) -> list[Entry]:
    """The page's links, where the part follows any.

    An http address of a site that is read by https is an old link to the same page.
    """
    if part.max_depth is None:
        return []
    urls = []
    for url in page.links:
        secure = re.sub("^http:", "https:", url)
        urls.append(secure if part.bounds.hold(secure) else url)
    return [Entry(url, entry.depth + 1) for url in urls]
