"""Sitemaps: which pages a site says it has, and when it last changed each."""

from __future__ import annotations

import re
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from rag.errors import SourceError
from rag.sources.web_fetch import CacheError, Fetcher, Kept, Redirect
from rag.sources.web_robots import MAX_HOPS, Bounds, SiteUnavailable, normalise

_MB = 1024 * 1024
_MAX_BYTES = 50 * _MB
"""Of one unpacked sitemap, the limit of the protocol."""
_MAX_SITEMAPS = 1000


@dataclass(frozen=True, slots=True)
class Sitemap:
    pages: tuple[tuple[str, str], ...] = ()
    """(URL, lastmod or "") in the file's order."""
    sitemaps: tuple[str, ...] = ()


def read_sitemap(data: bytes) -> Sitemap:
    """A sitemap or sitemap index, XML or a URL a line, gzipped or not.

    Raises SourceError where it is not whole: pages that are missing would look deleted.
    """
    data = _inflated(data)
    try:
        safe = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)
        root = etree.fromstring(data.strip(), parser=safe)
    except (etree.XMLSyntaxError, ValueError) as error:
        lines = data.decode("utf-8-sig", "replace").split()
        if lines and all(re.match("https?://", line) for line in lines):
            return Sitemap(tuple((url, "") for line in lines if (url := normalise(line))))
        raise SourceError(f"is not a whole sitemap ({error}): check its address") from error
    kind = etree.QName(root).localname
    if kind not in ("urlset", "sitemapindex"):
        raise SourceError(f"is no sitemap but <{kind}>: check its address")
    entries = [{etree.QName(e).localname: (e.text or "").strip() for e in entry} for entry in root]
    found = [
        (url, entry.get("lastmod", ""))
        for entry in entries
        if (url := normalise(entry.get("loc", "")))
    ]
    if kind == "sitemapindex":
        return Sitemap(sitemaps=tuple(url for url, _ in found))
    return Sitemap(tuple(found))


def read_sitemaps(
    fetcher: Fetcher, url: str, bounds: Bounds, listed: dict[str, str], visited: set[str]
) -> Iterator[str]:
    """Fill `listed` (URL -> lastmod) from a sitemap and those it names; yields what is missing.

    `visited` takes the addresses of the sitemaps themselves. Raises SiteUnavailable.
    """
    waiting, known = deque([url]), {url}
    while waiting:
        url = waiting.popleft()
        try:
            if not bounds.hold(url):
                raise SourceError("lies on another host")
            kept = _ask(fetcher, url, bounds)
            sitemap = read_sitemap(kept.body)
            fetcher.keep(kept)
            visited.add(kept.url)
        except (SiteUnavailable, CacheError):
            raise
        except SourceError as error:
            yield f"the sitemap {url} {error}"
            continue
        for page, lastmod in sitemap.pages:
            listed.setdefault(page, lastmod)
        more = [url for url in sitemap.sitemaps if url not in known]
        if len(known) + len(more) > _MAX_SITEMAPS:
            yield f"the sitemap {url} names others, in all more than {_MAX_SITEMAPS}"
            return
        waiting.extend(more)
        known.update(more)


def _ask(fetcher: Fetcher, url: str, bounds: Bounds) -> Kept:
    for _ in range(MAX_HOPS + 1):
        found = fetcher.fetch(url, lambda headers: True)
        if isinstance(found, Kept):
            return found
        target = found.target if isinstance(found, Redirect) else None
        if target is None or not bounds.hold(target):
            raise SourceError(f"is redirected to {target or 'no address'}, on another host")
        url = target
    raise SourceError("is redirected in a circle")


def _inflated(data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        found = inflater.decompress(data, _MAX_BYTES)
    except zlib.error as error:
        raise SourceError("is a damaged gzip file") from error
    if not inflater.eof:
        raise SourceError(f"is a gzip file that is cut off or holds over {_MAX_BYTES // _MB} MB")
    return found
