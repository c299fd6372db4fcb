"""A website as a source: single pages, the pages of a sitemap, or a bounded crawl."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from rag.config import Section
from rag.errors import SourceError
from rag.parse import HTML, MARKDOWN, PLAIN
from rag.schema import Failure, RawDocument
from rag.sources.config import HttpSection
from rag.sources.web_crawl import Entry, Part, Walk
from rag.sources.web_fetch import Fetcher, Kept, PageCache
from rag.sources.web_page import MAIN_TEXT_VERSION, html_text, main_text, plain_text
from rag.sources.web_robots import (
    Bounds,
    SiteUnavailable,
    folder_of,
    identity,
    name_of,
    normalise,
    site_of,
    suffix_of,
)
from rag.sources.web_sitemap import read_sitemaps
from rag.versions import version_in_path

log = logging.getLogger(__name__)


def _address(value: str) -> str:
    if (url := normalise(value)) is None:
        raise ValueError("is no web address: write https://HOST/PATH, without user and password")
    return url


class CrawlConfig(Section):
    start: str
    """Where the crawl begins; it stays in this page's folder. A last segment without a dot is taken
    for a folder: of https://docs.example.com/kb all below /kb/ is read."""
    max_pages: int = Field(500, ge=1, le=100_000)
    max_depth: int = Field(3, ge=0, le=100)
    """Clicks away from the start."""
    within: tuple[str, ...] = ()
    """Folders to stay in instead of the start's, as addresses; other hosts only if named here."""
    include: tuple[str, ...] = ()
    """Patterns, such as `/kb/*`, of which a page's path has to match one; empty: all pages. `*`
    stands for any characters, `?` for itself. The start is always read for its links."""
    exclude: tuple[str, ...] = ()
    """Patterns of pages that are never asked for, such as `*?*`: all with a query."""

    _start = field_validator("start")(_address)

    @field_validator("within")
    @classmethod
    def _folders(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_address(value).partition("?")[0].rstrip("/") + "/" for value in values)


class SitemapConfig(Section):
    url: str
    """A sitemap or an index of them; only pages of its own host are read."""
    max_pages: int = Field(10_000, ge=1, le=1_000_000)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    _url = field_validator("url")(_address)


class WebConfig(HttpSection):
    """`sitemap: URL` and `crawl: URL` are short for mappings of which only the address is given."""

    kind: Literal["web"] = "web"
    urls: tuple[str, ...] = ()
    """Single pages, whose links are not followed."""
    sitemap: SitemapConfig | None = None
    crawl: CrawlConfig | None = None
    respect_robots: bool = True
    """Obey robots.txt, noindex and nofollow. Off only for a site of your own."""
    main_text: bool = True
    """Leave out what surrounds the text of a page: menus, headers, footers."""
    user: str = ""
    password: str = ""
    token: str = ""
    """Sent as a bearer token."""

    @field_validator("urls")
    @classmethod
    def _addresses(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_address(value) for value in values)

    @field_validator("sitemap", "crawl", mode="before")
    @classmethod
    def _short(cls, value: Any, info: ValidationInfo) -> Any:
        key = "url" if info.field_name == "sitemap" else "start"
        return {key: value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.sites:
            raise ValueError("names nothing to read: give urls, sitemap or crawl")
        if self.token and (self.user or self.password):
            raise ValueError("give either a token or user and password, not both")
        if bool(self.user) != bool(self.password):
            raise ValueError("user and password belong together")
        if (self.token or self.user) and len(self.sites) > 1:
            raise ValueError(
                f"would send its credentials to {', '.join(self.sites)}: make one source per host"
            )
        return self

    @property
    def fronts(self) -> tuple[str, ...]:
        """The pages at which a reader enters."""
        return (self.crawl.start,) if self.crawl else ()

    @property
    def sites(self) -> tuple[str, ...]:
        """Every host that may be asked, as the address of its root."""
        urls = list(self.urls)
        if self.sitemap:
            urls.append(self.sitemap.url)
        if self.crawl:
            urls += [self.crawl.start, *self.crawl.within]
        return tuple(dict.fromkeys(map(site_of, urls)))


class WebSource:
    """The pages of one `web` source. `state_dir` is a folder of its own, kept between runs.

    A page that is gone (404, 410), asks not to be indexed or is forbidden by robots.txt is left
    out; one that cannot be read now is a Failure, and the links it had the last time are followed.
    """

    def __init__(
        self,
        config: WebConfig,
        state_dir: Path,
        *,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._config = config
        self._state_dir = state_dir
        self._sleep = sleep
        self._now = now

    def documents(self) -> Iterator[RawDocument | Failure]:
        """Every page there is now. Takes as long as the site's pace asks for."""
        config = self._config
        try:
            cache = PageCache(self._state_dir)
            with contextlib.closing(self._fetcher(cache)) as fetcher:
                walk = Walk(config, cache, fetcher, partial(_document, config, cache))
                yield from self._named(walk)
                yield from self._listed(walk, fetcher)
                yield from self._crawled(walk)
                yield from walk.end()
        except SourceError as error:  # of the cache: the disk is full, the file damaged
            yield from (Failure(site, name_of(site), str(error)) for site in config.sites)

    def _named(self, walk: Walk) -> Iterator[RawDocument | Failure]:
        urls = dict.fromkeys(self._config.urls)
        part = Part(Bounds(tuple(dict.fromkeys(map(site_of, urls)))))
        yield from walk.pages(part, [Entry(url, named=True) for url in urls])

    def _listed(self, walk: Walk, fetcher: Fetcher) -> Iterator[RawDocument | Failure]:
        if (sitemap := self._config.sitemap) is None:
            return
        bounds = Bounds((site_of(sitemap.url),), sitemap.include, sitemap.exclude)
        part = Part(bounds, sitemap.max_pages, key="sitemap")
        listed: dict[str, str] = {}
        try:
            for error in read_sitemaps(fetcher, sitemap.url, bounds, listed, walk.visited):
                yield from walk.cover(part, error)
        except SiteUnavailable as error:
            yield from walk.unavailable(error)
        entries = [Entry(url, lastmod=at) for url, at in listed.items() if walk.admits(url, part)]
        if not entries and walk.whole:
            what = f"none of the {len(listed)} pages that {sitemap.url} lists may be read"
            yield from walk.cover(part, f"{what}: check sitemap.include, exclude and robots.txt")
        yield from walk.pages(part, entries)

    def _crawled(self, walk: Walk) -> Iterator[RawDocument | Failure]:
        if (crawl := self._config.crawl) is None:
            return
        bounds = Bounds(crawl.within or (folder_of(crawl.start),), crawl.include, crawl.exclude)
        part = Part(bounds, crawl.max_pages, crawl.max_depth, "crawl")
        yield from walk.pages(part, [Entry(crawl.start, named=True)])

    def _fetcher(self, cache: PageCache) -> Fetcher:
        config = self._config
        return Fetcher(
            config,
            cache,
            respect_robots=config.respect_robots,
            headers={"Authorization": f"Bearer {config.token}"} if config.token else {},
            auth=(config.user, config.password) if config.user else None,
            sleep=self._sleep,
            now=self._now,
        )


def _document(config: WebConfig, cache: PageCache, kept: Kept, lastmod: str) -> RawDocument:
    """The page as a document, whose stamp changes with the bytes and with what is made of them."""
    uri = identity(kept.url)
    content_type = kept.headers.get("content-type", "")
    suffix = suffix_of(kept.url, content_type)
    cut = config.main_text and suffix in HTML
    made = f"main text {MAIN_TEXT_VERSION}" if cut else "whole"
    digest = hashlib.sha256(f"{made} {content_type}\n".encode("utf-8", "replace") + kept.body)
    name = name_of(uri)
    return RawDocument(
        uri,
        name,
        _modified(kept.headers.get("last-modified", ""), lastmod),
        partial(_load, cache, kept.url, suffix, cut),
        suffix="" if name.lower().endswith(suffix) else suffix,
        stamp=digest.hexdigest(),
        groups=config.readers,
        metadata=config.metadata(
            version=config.version or version_in_path(uri.split("/")[3:-1]),
            url=kept.url if kept.url != uri else "",
        ),
    )


def _load(cache: PageCache, url: str, suffix: str, cut: bool) -> bytes:
    """The kept page in UTF-8; formats that are no text as they are."""
    kept = cache.get(url)
    if kept is None:
        raise SourceError("was kept when it was listed, but is no longer: sync again")
    if cut:
        try:
            return main_text(kept.body, kept.headers)
        except SourceError:
            raise
        except Exception:  # a parser library's own bug
            log.warning("cutting out the main text of %s failed", url, exc_info=True)
    if suffix in HTML:
        return html_text(kept.body, kept.headers).encode("utf-8", "replace")
    if suffix in MARKDOWN | PLAIN:
        return plain_text(kept.body, kept.headers).encode("utf-8", "replace")
    return kept.body


def _modified(last_modified: str, lastmod: str) -> datetime | None:
    for read, text in (
        (email.utils.parsedate_to_datetime, last_modified),
        (datetime.fromisoformat, lastmod),
    ):
        try:
            moment = read(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return moment.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            continue
    return None
