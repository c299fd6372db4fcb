"""A website as a source, against a real server on loopback that counts what it is asked."""

from __future__ import annotations

import contextlib
import gzip
import math
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from rag.errors import SourceError
from rag.ingest import IngestReport, ingest
from rag.parse import parse
from rag.prune import prune_source
from rag.schema import Failure, RawDocument
from rag.source import Source, within
from rag.sources.web import WebConfig, WebSource
from rag.sources.web_crawl import Entry, Part, links_of
from rag.sources.web_page import Page, main_text, read_page
from rag.sources.web_robots import Bounds, Robots, folder_of, identity, name_of, normalise
from rag.sources.web_sitemap import read_sitemap
from settings import SettingsError, load
from tests.fakes import fake_knowledge

ROOT = Path(__file__).parent.parent
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MODIFIED = "Mon, 02 Mar 2026 10:00:00 GMT"


@dataclass
class Resource:
    """What the server answers under a path."""

    body: bytes = b""
    type: str | None = "text/html"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    etag: str = ""
    modified: str = ""
    announced: int | None = None
    """A Content-Length that is not the body's."""


class Site:
    """A web server whose pages a test sets; counts requests by path, and 304 answers."""

    def __init__(self) -> None:
        self.pages: dict[str, Resource | Callable[[], Resource]] = {}
        self.asked: Counter[str] = Counter()
        self.unchanged: Counter[str] = Counter()
        self.hosts: set[str] = set()
        self.seen: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: else each answer waits for an ACK

            def do_GET(self) -> None:
                with contextlib.suppress(ConnectionError):  # the reader has seen enough
                    site.answer(self)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path
        self.asked[path] += 1
        self.hosts.add(handler.headers["Host"])
        self.seen.append((path, dict(handler.headers)))
        found = self.pages.get(path, Resource(b"not here", status=404))
        page = found() if callable(found) else found
        tags = [value for value in (page.etag, page.modified) if value]
        sent = (handler.headers["If-None-Match"], handler.headers["If-Modified-Since"])
        same = page.status == 200 and any(tag in sent for tag in tags)
        self.unchanged[path] += same
        handler.send_response(304 if same else page.status)
        if page.type is not None and not same:
            handler.send_header("Content-Type", page.type)
        for name, value in (("ETag", page.etag), ("Last-Modified", page.modified)):
            if value:
                handler.send_header(name, value)
        for name, value in page.headers.items():
            handler.send_header(name, value)
        body = b"" if same else page.body
        if not same:
            length = len(body) if page.announced is None else page.announced
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(body)
        handler.wfile.flush()
        handler.close_connection = handler.close_connection or page.announced is not None

    def put(self, path: str, body: str | bytes = "", **more: Any) -> None:
        """A page with an ETag that goes with its body, unless told otherwise."""
        data = body.encode() if isinstance(body, str) else body
        self.pages[path] = Resource(**{"etag": f'"{hash(data)}"', **more, "body": data})

    def forget(self) -> None:
        self.asked.clear()
        self.unchanged.clear()
        self.seen.clear()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    try:
        yield site
    finally:
        site.stop()


def page(title: str, *links: str, text: str = "", head: str = "") -> str:
    listed = "".join(f'<li><a href="{link}">{link}</a></li>' for link in links)
    words = text or f"All about {title}, in a sentence that is long enough to be a page of its own."
    return (
        f"<!doctype html><html><head><title>{title}</title>{head}</head><body>"
        f"<main><h1>{title}</h1><p>{words}</p></main><nav><ul>{listed}</ul></nav></body></html>"
    )


@dataclass
class Run:
    found: list[RawDocument]
    failed: list[Failure]
    sleeps: list[float]

    @property
    def names(self) -> list[str]:
        return [document.name for document in self.found]

    @property
    def stamps(self) -> dict[str, str]:
        return {document.uri: document.stamp for document in self.found}

    @property
    def reasons(self) -> str:
        return "\n".join(f"{failure.uri} {failure.reason}" for failure in self.failed)

    def keeps(self, uri: str) -> bool:
        """Whether a document that is not listed stays in the catalog all the same."""
        return any(within(uri, failure.uri) for failure in self.failed)


def sync(folder: Path, now: datetime = NOON, **config: Any) -> Run:
    """One run. Pace and patience as a test needs them; waits are noted and not slept."""
    quick = {"requests_per_second": 1000, "tries": 2, "timeout_s": 5, "verify_tls": False}
    settings = {**quick, **config}
    sleeps: list[float] = []
    source: Source = WebSource(
        WebConfig.model_validate(settings), folder, sleep=sleeps.append, now=lambda: now
    )
    items = list(source.documents())
    found = [item for item in items if isinstance(item, RawDocument)]
    return Run(found, [item for item in items if isinstance(item, Failure)], sleeps)


def crawl(folder: Path, site: Site, start: str = "/", **bounds: Any) -> Run:
    more = {key: bounds.pop(key) for key in list(bounds) if key in WebConfig.model_fields}
    return sync(folder, crawl={"start": site.url + start, **bounds}, **more)


def text_of(document: RawDocument) -> str:
    return parse(document.load(), document.name + document.suffix).text


def robots(site: Site, text: str, **more: Any) -> None:
    site.put("/robots.txt", text, type="text/plain", **more)


# --- URLs and bounds ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("HTTPS://Docs.Example.COM:443/A/../b/./c#part", "https://docs.example.com/b/c"),
        ("http://h:80", "http://h/"),
        ("http://h:8080/", "http://h:8080/"),
        ("https://h/%7euser/%2f%c3%a4", "https://h/~user/%2F%C3%A4"),
        ("https://h/ä b", "https://h/%C3%A4%20b"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://h/?b=2&a=1&a=0&utm_source=x&gclid=1", "https://h/?a=1&a=0&b=2"),
        ("https://h/p;jsessionid=1A2B?q", "https://h/p?q"),
        ("  https://h/a  ", "https://h/a"),
        ("https://[::1]:8080/a", "https://[::1]:8080/a"),
        ("//other/x", "https://other/x"),
        ("../x.html", "https://base/x.html"),
        ("?page=2", "https://base/a/b?page=2"),
        ("javascript:alert(1)", None),
        ("mailto:a@b.example", None),
        ("data:text/html,x", None),
        ("ftp://h/x", None),
        ("file:///etc/passwd", None),
        ("https://user:secret@h/", None),
        ("https://h:99999/", None),
        ("https://exa mple/", None),
        ("https://xn--/", None),
        ("https://[::1/", None),
        ("https://h/\0", None),
        ("https://h/" + "a" * 3000, None),
    ],
)
def test_one_form_for_each_address(given: str, expected: str | None) -> None:
    found = normalise(given, "https://base/a/b")
    assert found == expected
    if found is not None:
        assert normalise(found) == found


def test_an_index_page_and_its_folder_are_one_document() -> None:
    assert identity("https://h/a/index.html") == identity("https://h/a/index.htm") == "https://h/a/"
    assert identity("https://h/a/index.html?x=1") == "https://h/a/index.html?x=1"
    assert identity("https://h/a/myindex.html") == "https://h/a/myindex.html"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("https://h.example/", "h.example"),
        ("https://h.example/docs/", "docs"),
        ("https://h.example/docs/restore.html", "docs/restore"),
        ("https://h.example/docs/manual.pdf", "docs/manual.pdf"),
        ("https://h.example/w/%C3%BCber%20uns?page=2", "w/über uns?page=2"),
        ("https://h.example/a%00%0Ab%FF", "a b\ufffd"),
    ],
)
def test_names_read_well(uri: str, name: str) -> None:
    assert name_of(uri) == name


def test_a_folder_is_told_from_a_page_by_its_dot() -> None:
    assert folder_of("https://h/docs/index.html") == "https://h/docs/"
    assert folder_of("https://h/docs/") == folder_of("https://h/docs") == "https://h/docs/"
    assert folder_of("https://h/docs?a=/x/y.z") == "https://h/docs/"


def test_bounds_are_not_fooled_by_look_alikes() -> None:
    bounds = Bounds(("https://h/docs/",))
    assert bounds.contain("https://h/docs/a")
    assert bounds.contain("https://h/docs")
    for url in (
        "https://h/docsevil/a",
        "https://h.evil/docs/a",
        "https://evil/https://h/docs/",
        "http://h/docs/a",
        "https://h:8443/docs/a",
        "https://h/",
        "https://h/docs/logo.png",
        "https://h/docs/_sources/a.rst.txt",
        "https://h/docs/app.JS?v=1",
    ):
        assert not bounds.contain(url), url
    assert not bounds.contain(str(normalise("https://h/docs/../admin")))
    assert not bounds.contain(str(normalise("https://h/docs/%2e%2e/admin")))


def test_a_host_is_no_file_ending() -> None:
    assert Bounds(("https://docs.zip/",)).contain("https://docs.zip/")


def test_globs_know_the_star_alone() -> None:
    url = "https://h/docs/v8/a.html?x=[1]"
    for pattern in ("*", "/docs/*", "/docs/v8/a.html?x=[1]", "*?*", "https://h/docs/*", "*.html?*"):
        assert Bounds(("https://h/",), include=(pattern,)).contain(url), pattern
        assert not Bounds(("https://h/",), exclude=(pattern,)).contain(url), pattern
    for pattern in ("/docs/", "docs/*", "/docs/??/*", "*.html", "https://g/*"):
        assert not Bounds(("https://h/",), include=(pattern,)).contain(url), pattern
    assert not Bounds(("https://h/",), ("/docs/*",), ("*v8*",)).contain(url)


# --- configuration -----------------------------------------------------------------------------


def test_the_yaml_is_short_for_simple_sources(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(
        "kind: web\nsitemap: https://h/sitemap.xml\ncrawl: https://H:443/docs\n"
        "urls: [https://h/a#b]\ngroups: [staff]\n"
    )
    config = load(WebConfig, path)
    assert config.sitemap is not None
    assert config.crawl is not None
    assert (config.sitemap.url, config.crawl.start) == (
        "https://h/sitemap.xml",
        "https://h/docs",
    )
    assert config.urls == ("https://h/a",)
    assert config.sites == ("https://h/",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: web", "names nothing to read: give urls, sitemap or crawl"),
        ("urls: [intranet/page]", "is no web address: write https://HOST/PATH"),
        ("urls: ['https://me:pw@h/']", "without user and password"),
        ("urls: https://h/", "urls"),
        ("crawl: {start: 'ftp://h/'}", "crawl.start: is no web address"),
        ("crawl: {start: 'https://h/', max_page: 3}", "did you mean 'crawl.max_pages'?"),
        ("crawl: {max_pages: 3}", "crawl.start: is required"),
        ("crawl: {start: 'https://h/', within: [docs]}", "crawl.within: is no web address"),
        ("{urls: ['https://h/'], token: t, user: u}", "either a token or user and password"),
        ("{urls: ['https://h/'], user: u}", "user and password belong together"),
        ("{urls: ['https://h/', 'https://g/'], token: t}", "make one source per host"),
        (
            "{crawl: {start: 'https://h/a/', within: ['https://g/']}, token: t}",
            "would send its credentials to https://h/, https://g/",
        ),
        ("{urls: ['https://h/'], groups: []}", "an empty list would hide"),
    ],
)
def test_a_mistake_in_the_yaml_is_named(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(text)
    assert isinstance(yaml.safe_load(text), dict)
    with pytest.raises(SettingsError) as caught:
        load(WebConfig, path)
    assert expected in str(caught.value)


def test_secrets_stay_out_of_errors(tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text("{urls: ['https://h/', 'https://g/'], token: s3cret, user: u, password: 4444}")
    with pytest.raises(SettingsError) as caught:
        load(WebConfig, path)
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ValidationError):
        WebConfig(urls=("https://h/",), token="t", user="u", password="p")


# --- robots.txt --------------------------------------------------------------------------------


def test_the_longest_rule_wins_wildcards_included() -> None:
    rules = Robots(
        "User-agent: *\nDisallow: /private/\nAllow: /private/open/\nDisallow: /*.pdf$\n"
        "Disallow: /search?*q=\n\nUser-agent: otherbot\nDisallow: /\n"
    )
    allowed = {
        "/a": True,
        "/private/a": False,
        "/private/open/a": True,
        "/x/y.pdf": False,
        "/x/y.pdf.html": True,
        "/search?lang=en&q=1": False,
    }
    assert {path: rules.allow(f"https://h{path}") for path in allowed} == allowed


def test_rules_for_this_crawler_go_before_those_for_all() -> None:
    rules = Robots("User-agent: *\nDisallow: /\n\nUser-agent: vSage\nDisallow: /x\nCrawl-delay: 2")
    assert rules.allow("https://h/a")
    assert not rules.allow("https://h/x")
    assert rules.pause_s() == 2


@pytest.mark.parametrize("delay", ["-1", "nan", "inf", "soon", ""])
def test_a_senseless_delay_is_none(delay: str) -> None:
    assert Robots(f"User-agent: *\nCrawl-delay: {delay}").pause_s() == 0


def test_what_robots_forbids_is_not_asked_for(site: Site, tmp_path: Path) -> None:
    robots(site, "User-agent: *\nDisallow: /private/\n")
    site.put("/", page("Home", "/a.html", "/private/b.html"))
    site.put("/a.html", page("A"))
    site.put("/private/b.html", page("B"))
    run = crawl(tmp_path, site)
    assert (run.names, run.failed) == (["127.0.0.1:" + str(site.port), "a"], [])
    assert site.asked["/private/b.html"] == 0
    assert crawl(tmp_path, site, respect_robots=False).names[-1] == "private/b"


def test_a_named_page_that_robots_forbids_is_reported(site: Site, tmp_path: Path) -> None:
    robots(site, "User-agent: *\nDisallow: /\n")
    site.put("/a.html", page("A"))
    run = sync(tmp_path, urls=[site.url + "/a.html"])
    assert run.found == []
    assert run.failed == [
        Failure(site.url + "/a.html", "a", "is forbidden by the site's robots.txt")
    ]


@pytest.mark.parametrize("status", [404, 410, 400, 451])
def test_without_a_robots_txt_all_is_allowed(site: Site, tmp_path: Path, status: int) -> None:
    robots(site, "User-agent: *\nDisallow: /", status=status)
    site.put("/", page("Home"))
    assert len(crawl(tmp_path, site).found) == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Resource(status=401), "itself forbidden (401)"),
        (Resource(status=403), "itself forbidden (403)"),
        (Resource(status=500), "cannot be read (500)"),
        (Resource(status=503), "cannot be read (503)"),
        (Resource(status=429), "cannot be read (429)"),
        (Resource(b"User-ag", announced=999), "cannot be read"),
        (Resource(status=302, headers={"Location": "http://evil.example/"}), "on another host"),
        (Resource(status=302), "redirected to"),
        (Resource(status=302, headers={"Location": "http://127.0.0.1:1/"}), "on another host"),
        (Resource(b"User-agent: *\nCrawl-delay: 86400"), "asks for 86400 s between two requests"),
    ],
)
def test_robots_that_cannot_be_had_stop_everything(
    site: Site, tmp_path: Path, answer: Resource, expected: str
) -> None:
    site.pages["/robots.txt"] = answer
    site.put("/a/", page("Home"))
    run = sync(
        tmp_path,
        crawl=site.url + "/a/",
        urls=[site.url + "/a/x", site.url + "/b"],
        sitemap=site.url + "/sitemap.xml",
    )
    assert run.found == []
    assert [failure.uri for failure in run.failed] == [site.url + "/"]
    assert expected in run.reasons
    assert set(site.asked) == {"/robots.txt"}
    assert run.keeps(site.url + "/a/whatever")


def test_robots_may_be_redirected_on_its_host(site: Site, tmp_path: Path) -> None:
    site.pages["/robots.txt"] = Resource(status=301, headers={"Location": "/r.txt"})
    site.put("/r.txt", "User-agent: *\nDisallow: /b", type="text/plain")
    site.put("/", page("Home", "/b"))
    assert len(crawl(tmp_path, site).found) == 1
    site.pages["/robots.txt"] = Resource(status=301, headers={"Location": "/robots.txt"})
    assert len(crawl(tmp_path, site).found) == 1


def test_the_pace_is_the_slower_of_both(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home", *(f"/{n}" for n in range(4))))
    for n in range(4):
        site.put(f"/{n}", page(str(n)))
    for asked_for, pause in (("", 20), ("Crawl-delay: 50", 50), ("Crawl-delay: 0.1", 20)):
        robots(site, f"User-agent: *\n{asked_for}")
        waits = crawl(tmp_path / asked_for, site, requests_per_second=0.05).sleeps
        # Nothing sleeps, so each request has to wait one pause longer than the one before.
        assert [math.ceil(wait / pause) for wait in waits] == [1, 2, 3, 4, 5]


# --- crawling ----------------------------------------------------------------------------------


def small_site(site: Site) -> None:
    site.put("/docs/", page("Docs", "a.html", "/docs/sub/", "b.html#part", "/other/", "mailto:x@y"))
    site.put("/docs/a.html", page("A", "b.html", "./", "../docs/sub/index.html"), modified=MODIFIED)
    site.put("/docs/b.html", page("B"))
    site.put(
        "/docs/sub/", page("Sub", "deep.html", "//127.0.0.1:1/x", "https://evil.example/docs/")
    )
    site.put("/docs/sub/index.html", page("Sub", "deep.html"))
    site.put("/docs/sub/deep.html", page("Deep"))
    site.put("/other/", page("Other"))


def test_a_crawl_takes_in_the_folder_and_nothing_else(site: Site, tmp_path: Path) -> None:
    small_site(site)
    run = crawl(tmp_path, site, "/docs/", groups=["staff"], product="Backup", labels=["web"])
    assert run.failed == []
    assert run.names == ["docs", "docs/a", "docs/sub", "docs/b", "docs/sub/deep"]
    assert [d.uri.removeprefix(site.url) for d in run.found] == [
        "/docs/",
        "/docs/a.html",
        "/docs/sub/",
        "/docs/b.html",
        "/docs/sub/deep.html",
    ]
    assert site.asked["/other/"] == 0
    assert site.hosts == {f"127.0.0.1:{site.port}"}
    a = run.found[1]
    assert (a.suffix, a.groups) == (".html", frozenset({"staff"}))
    assert (a.metadata.product, a.metadata.labels, a.metadata.url) == ("Backup", ("web",), "")
    assert a.modified == datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert text_of(a).startswith("# A\n\nAll about A")
    assert all(document.stamp for document in run.found)


def test_the_version_stands_in_the_path_or_the_configuration(site: Site, tmp_path: Path) -> None:
    site.put("/docs/v8.1/a.html", page("A"))
    url = site.url + "/docs/v8.1/a.html"
    assert sync(tmp_path, urls=[url]).found[0].metadata.version == "8.1"
    assert sync(tmp_path, urls=[url], version="9").found[0].metadata.version == "9"


def test_an_unchanged_site_costs_conditional_requests_alone(site: Site, tmp_path: Path) -> None:
    small_site(site)
    site.pages["/docs/b.html"] = Resource(page("B").encode(), modified=MODIFIED)
    first = crawl(tmp_path, site, "/docs/")
    site.forget()
    second = crawl(tmp_path, site, "/docs/")
    assert second.stamps == first.stamps
    assert second.names == first.names
    assert second.failed == []
    del site.asked["/robots.txt"]
    assert site.unchanged == site.asked
    assert set(site.asked.values()) == {1}
    assert text_of(second.found[1]) == text_of(first.found[1])
    assert [document.modified for document in second.found] == [d.modified for d in first.found]


def test_stamps_need_no_validators(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home"), etag="")
    first = crawl(tmp_path, site)
    second = crawl(tmp_path, site)
    assert first.stamps == second.stamps
    site.put(
        "/", page("Home", text="Now it says something else, and that at some length."), etag=""
    )
    assert crawl(tmp_path, site).stamps != first.stamps


def test_a_lost_cache_costs_a_full_fetch_and_no_more(site: Site, tmp_path: Path) -> None:
    small_site(site)
    first = crawl(tmp_path / "one", site, "/docs/")
    site.forget()
    again = crawl(tmp_path / "two", site, "/docs/")
    assert again.stamps == first.stamps
    assert sum(site.unchanged.values()) == 0


def test_what_is_made_of_a_page_is_part_of_its_stamp(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home"))
    whole = crawl(tmp_path, site, main_text=False)
    assert whole.stamps != crawl(tmp_path, site).stamps


def test_a_changed_page_alone_has_another_stamp(site: Site, tmp_path: Path) -> None:
    small_site(site)
    first = crawl(tmp_path, site, "/docs/").stamps
    site.put("/docs/b.html", page("B", text="It was rewritten from its first word to the last."))
    run = crawl(tmp_path, site, "/docs/")
    changed = {uri for uri, stamp in run.stamps.items() if first[uri] != stamp}
    assert changed == {site.url + "/docs/b.html"}
    assert "rewritten" in text_of(run.found[3])


@pytest.mark.parametrize("status", [404, 410])
def test_a_deleted_page_is_not_listed(site: Site, tmp_path: Path, status: int) -> None:
    small_site(site)
    crawl(tmp_path, site, "/docs/")
    site.pages["/docs/b.html"] = Resource(status=status)
    run = crawl(tmp_path, site, "/docs/")
    assert "docs/b" not in run.names
    assert run.failed == []
    assert not run.keeps(site.url + "/docs/b.html")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Resource(status=500), "failed with 500 2 times"),
        (Resource(status=503), "failed with 503"),
        (Resource(status=429, headers={"Retry-After": "7"}), "fewer requests (429)"),
        (Resource(status=401), "asks for other credentials (401)"),
        (Resource(status=403), "forbids it (403)"),
        (Resource(status=418), "failed with 418"),
        (Resource(status=204, type=None), "without a page (204)"),
        (Resource(page("Sub").encode(), announced=9999), "does not answer after 2 tries"),
        (Resource(b"\x1f\x8b no gzip", headers={"Content-Encoding": "gzip"}), "does not answer"),
        (Resource(b""), "is an empty page"),
        (Resource(b"\x89PNG" + bytes(range(256)) * 9), "is sent as text, but is not text"),
        (
            Resource(status=302, headers={"Location": "https://sso.example/login"}),
            "a sign-in page?",
        ),
        (Resource(status=302, headers={"Location": "/login"}), "which this source may not read"),
        (Resource(status=302, headers={"Location": "http://[::1"}), "does not answer"),
        (Resource(status=302), "what is no web address"),
        (Resource(status=301, headers={"Location": "/docs/sub/"}), "in a circle"),
    ],
)
def test_a_page_that_fails_is_kept_with_all_it_leads_to(
    site: Site, tmp_path: Path, answer: Resource, expected: str
) -> None:
    small_site(site)
    before = crawl(tmp_path, site, "/docs/")
    good = site.pages["/docs/sub/"]
    site.pages["/docs/sub/"] = site.pages["/docs/sub/index.html"] = answer
    run = crawl(tmp_path, site, "/docs/")
    assert {failure.uri for failure in run.failed} == {site.url + "/docs/sub/"}
    assert expected in run.reasons
    # Its links are those of the last time, so what only it leads to is still there.
    assert "docs/sub/deep" in run.names
    assert site.hosts == {f"127.0.0.1:{site.port}"}
    site.pages["/docs/sub/"] = site.pages["/docs/sub/index.html"] = good
    after = crawl(tmp_path, site, "/docs/")
    assert after.stamps == before.stamps
    assert after.failed == []


def test_retry_after_is_waited_for(site: Site, tmp_path: Path) -> None:
    answers = [Resource(status=429, headers={"Retry-After": "7"}), Resource(page("Home").encode())]
    site.pages["/"] = lambda: answers.pop(0)
    run = crawl(tmp_path, site)
    assert len(run.found) == 1
    assert 7.0 in run.sleeps


def test_a_failing_page_without_a_copy_covers_what_it_may_lead_to(
    site: Site, tmp_path: Path
) -> None:
    small_site(site)
    site.pages["/docs/sub/"] = site.pages["/docs/sub/index.html"] = Resource(status=500)
    run = crawl(tmp_path, site, "/docs/")
    assert "docs/sub/deep" not in run.names
    assert run.keeps(site.url + "/docs/sub/deep.html")
    assert run.keeps(site.url + "/docs/elsewhere.html")
    assert "may lead to others" in run.reasons
    # Once a run got through, such a page was never there: it no longer holds up the rest.
    run = crawl(tmp_path, site, "/docs/")
    assert not run.keeps(site.url + "/docs/elsewhere.html")
    assert run.keeps(site.url + "/docs/sub/")


@pytest.mark.parametrize("status", [404, 500])
def test_a_start_that_fails_removes_nothing(site: Site, tmp_path: Path, status: int) -> None:
    small_site(site)
    site.pages["/docs/"] = Resource(status=status)
    run = crawl(tmp_path, site, "/docs/")
    assert run.found == []
    assert run.keeps(site.url + "/docs/a.html")


def test_a_start_that_fails_for_once_is_passed_over(site: Site, tmp_path: Path) -> None:
    small_site(site)
    crawl(tmp_path, site, "/docs/")
    site.pages["/docs/"] = Resource(status=500)
    run = crawl(tmp_path, site, "/docs/")
    assert run.names == ["docs/a", "docs/sub", "docs/b", "docs/sub/deep"]


def test_a_server_that_is_gone_is_left_alone_soon(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home", *(f"/p{n}.html" for n in range(50))))
    for n in range(50):
        site.put(f"/p{n}.html", page(f"P{n}"))
    assert len(crawl(tmp_path, site).found) == 51
    for n in range(5, 50):
        site.pages[f"/p{n}.html"] = Resource(status=503)
    site.forget()
    run = crawl(tmp_path, site)
    assert len(run.found) == 6
    assert "10 pages in a row failed" in run.reasons
    assert run.keeps(site.url + "/p49.html")
    assert sum(site.asked[f"/p{n}.html"] for n in range(50)) == 5 + 10 * 2
    # Nothing was forgotten: back again, the site costs conditional requests.
    for n in range(5, 50):
        site.put(f"/p{n}.html", page(f"P{n}"))
    site.forget()
    assert len(crawl(tmp_path, site).found) == 51
    assert sum(site.unchanged.values()) == 51


def test_nobody_listens(site: Site, tmp_path: Path) -> None:
    site.stop()
    run = sync(tmp_path, crawl=site.url + "/docs/")
    assert [failure.uri for failure in run.failed] == [site.url + "/"]
    assert "does not answer after 2 tries" in run.reasons
    replacement = Site()
    site.stop = replacement.stop  # type: ignore[method-assign]


def test_the_bound_of_pages_is_told_and_nothing_pruned(site: Site, tmp_path: Path) -> None:
    small_site(site)
    run = crawl(tmp_path, site, "/docs/", max_pages=2)
    assert run.names == ["docs", "docs/a"]
    assert run.keeps(site.url + "/docs/sub/deep.html")
    assert "raise crawl.max_pages" in run.reasons
    site.put("/docs/", page("Docs", "a.html"))
    site.put("/docs/a.html", page("A"))
    assert crawl(tmp_path, site, "/docs/", max_pages=2).failed == []


def test_the_bound_of_depth_is_told_and_nothing_pruned(site: Site, tmp_path: Path) -> None:
    small_site(site)
    run = crawl(tmp_path, site, "/docs/", max_depth=1)
    assert "docs/sub/deep" not in run.names
    assert [failure.uri for failure in run.failed] == [site.url + "/docs/"]
    assert "pages more than 1 clicks away were not read (1, such as" in run.reasons
    assert crawl(tmp_path, site, "/docs/", max_depth=1, exclude=["*/deep*"]).failed == []


def test_an_endless_calendar_ends(site: Site, tmp_path: Path) -> None:
    class Calendar(dict[str, Any]):
        def get(self, path: str, default: Any = None) -> Any:
            if not path.startswith("/cal"):
                return super().get(path, default)
            month = int(path.partition("=")[2] or 0)
            return Resource(page(f"Month {month}", f"?m={month + 1}", f"?m={month + 2}").encode())

    site.pages = Calendar()
    site.put("/", page("Home", "/cal?m=0", "/last.html"))
    site.put("/last.html", page("Last"))
    run = crawl(tmp_path, site, max_pages=30, max_depth=100)
    assert len(run.found) == 30
    assert "last" in run.names
    assert "stopped after 30 pages" in run.reasons
    assert crawl(tmp_path, site, exclude=["*?m=*"]).names[1:] == ["last"]


def test_include_and_exclude(site: Site, tmp_path: Path) -> None:
    small_site(site)
    run = crawl(tmp_path, site, "/docs/", include=["/docs/sub/*"], exclude=["*/deep*"])
    assert run.names == ["docs/sub"]  # the start is read for its links alone
    assert site.asked["/docs/sub/deep.html"] == site.asked["/docs/a.html"] == 0


def test_other_folders_only_when_named(site: Site, tmp_path: Path) -> None:
    small_site(site)
    within = [site.url + "/docs/", site.url + "/other"]
    assert "other" in crawl(tmp_path, site, "/docs/", within=within).names


def test_another_host_only_when_named(site: Site, tmp_path: Path) -> None:
    other = f"http://localhost:{site.port}"
    site.put("/a/", page("A", f"{other}/b/"))
    site.put("/b/", page("B", "c.html"))
    site.put("/b/c.html", page("C"))
    assert crawl(tmp_path, site, "/a/").names == ["a"]
    assert site.hosts == {f"127.0.0.1:{site.port}"}
    run = crawl(tmp_path, site, "/a/", within=[site.url + "/a/", f"{other}/b/"])
    assert [document.uri for document in run.found] == [
        site.url + "/a/",
        f"{other}/b/",
        f"{other}/b/c.html",
    ]


def test_redirects_off_the_host_are_not_followed(site: Site, tmp_path: Path) -> None:
    other = f"http://localhost:{site.port}"
    for path, to in (
        ("/a", f"{other}/secret"),
        ("/b", "file:///etc/passwd"),
        ("/c", "gopher://x/"),
    ):
        site.pages[path] = Resource(status=302, headers={"Location": to})
    site.put("/secret", page("Secret"))
    site.put("/", page("Home", "/a", "/b", "/c"))
    run = crawl(tmp_path, site, urls=[site.url + "/a"])
    assert len(run.found) == 1
    assert {failure.name for failure in run.failed} >= {"a", "b", "c"}
    assert site.asked["/secret"] == 0
    assert site.hosts == {f"127.0.0.1:{site.port}"}


def test_a_redirect_on_the_site_is_the_page_it_leads_to(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home", "/old.html", "/new.html", "/older.html"))
    site.pages["/older.html"] = Resource(status=301, headers={"Location": "/old.html"})
    site.pages["/old.html"] = Resource(status=308, headers={"Location": "new.html"})
    site.put("/new.html", page("New"))
    run = crawl(tmp_path, site)
    assert run.names[1:] == ["new"]
    assert run.failed == []
    assert site.asked["/new.html"] == 1


def test_a_start_without_its_slash(site: Site, tmp_path: Path) -> None:
    small_site(site)
    site.pages["/docs"] = Resource(status=301, headers={"Location": "/docs/"})
    assert crawl(tmp_path, site, "/docs", include=["/docs/sub/*"]).names == [
        "docs/sub",
        "docs/sub/deep",
    ]


def test_a_redirect_to_a_page_that_fails_keeps_both(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home", "/old.html"))
    site.pages["/old.html"] = Resource(status=302, headers={"Location": "/new.html"})
    site.put("/new.html", page("New"))
    assert crawl(tmp_path, site).names[1:] == ["new"]
    site.pages["/new.html"] = Resource(status=500)
    run = crawl(tmp_path, site)
    assert run.keeps(site.url + "/new.html")
    assert run.keeps(site.url + "/old.html")
    assert f"is redirected to {site.url}/new.html, which the server failed" in run.reasons


def test_redirects_in_circles_and_without_end(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home", "/a", "/n0"))
    site.pages["/a"] = Resource(status=302, headers={"Location": "/b"})
    site.pages["/b"] = Resource(status=302, headers={"Location": "/a"})
    for n in range(20):
        site.pages[f"/n{n}"] = Resource(status=302, headers={"Location": f"/n{n + 1}"})
    run = crawl(tmp_path, site)
    assert len(run.found) == 1
    assert run.reasons.count("in a circle") >= 2
    assert site.asked["/n5"] == 1
    assert site.asked["/n7"] == 0


def test_what_pages_ask_of_crawlers(site: Site, tmp_path: Path) -> None:
    site.put(
        "/",
        page("Home", "/noindex.html", "/nofollow.html", "/none.html", "/tag.html", "/other.html")
        + '<a rel="noopener nofollow" href="/unfollowed.html">x</a>',
    )
    meta = '<meta name="{}" content="{}">'.format
    site.put("/noindex.html", page("N", "/n.html", head=meta("ROBOTS", "NoIndex, follow")))
    site.put("/nofollow.html", page("F", "/f.html", head=meta("robots", "nofollow")))
    site.put("/none.html", page("O", "/o.html", head=meta("vsage", "none")))
    site.put("/other.html", page("X", head=meta("googlebot", "noindex")))
    site.put("/tag.html", page("T", "/manual.pdf"), headers={"X-Robots-Tag": "a: nofollow"})
    site.put("/manual.pdf", b"%PDF", type="application/pdf", headers={"X-Robots-Tag": "noindex"})
    for name in "nfo":
        site.put(f"/{name}.html", page(name))
    site.put("/unfollowed.html", page("U"))
    run = crawl(tmp_path, site)
    assert set(run.names[1:]) == {"n", "nofollow", "tag", "other"}
    assert run.failed == []
    assert not site.asked["/f.html"]
    assert not site.asked["/o.html"]
    assert not site.asked["/unfollowed.html"]
    everything = crawl(tmp_path, site, respect_robots=False)
    assert len(everything.found) == 11


def test_a_page_that_comes_to_ask_for_noindex_goes(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home", "/a.html"))
    site.put("/a.html", page("A"))
    crawl(tmp_path, site)
    site.put("/a.html", page("A"), etag='"2"', headers={"X-Robots-Tag": "noindex"})
    for _ in range(2):  # the second time it is a 304, without that header
        run = crawl(tmp_path, site)
        assert len(run.found) == 1
        assert not run.keeps(site.url + "/a.html")


def test_a_304_may_ask_for_noindex(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home", "/a.html"))
    site.put("/a.html", page("A"))
    crawl(tmp_path, site)
    site.put("/a.html", page("A"), headers={"X-Robots-Tag": "noindex"})
    for _ in range(2):
        assert len(crawl(tmp_path, site).found) == 1
        site.put("/a.html", page("A"))
    assert site.unchanged["/a.html"] == 2


def test_old_http_links_of_an_https_site() -> None:
    part = Part(Bounds(("https://h/docs/",)), max_depth=1)
    links = ("http://h/docs/a", "http://g/", "https://h/docs/?u=http://h/docs/")
    found = links_of(Entry("https://h/docs/"), Page(links), part)
    assert [entry.url for entry in found] == [
        "https://h/docs/a",
        "http://g/",
        "https://h/docs/?u=http://h/docs/",
    ]


def test_a_copy_goes_by_its_canonical_address(site: Site, tmp_path: Path) -> None:
    canonical = '<link rel="canonical" href="/page">'
    site.put("/", page("Home", "/page?print=1", "/page?view=2", "/header.html"))
    for path in ("/page?print=1", "/page?view=2", "/page"):
        site.put(path, page("Page", head=canonical))
    link = {"Link": f'<{site.url}/page>; rel="canonical"'}
    site.put("/header.html", page("H"), headers=link)
    run = crawl(tmp_path, site)
    assert run.names[1:] == ["page"]
    assert run.failed == []
    assert site.asked["/page"] == 1


def test_a_canonical_address_that_is_not_there_is_not_believed(site: Site, tmp_path: Path) -> None:
    pairs = {
        "/gone.html": "/nowhere.html",
        "/a.html": "/b.html",
        "/b.html": "/a.html",
        "/front.html": "/",
        "/off.html": "https://public.example/off.html",
        "/self.html": "/self.html#x",
        "/odd.html": "javascript:1",
    }
    site.put("/", page("Home", *pairs))
    for path, target in pairs.items():
        site.put(path, page(path, head=f'<link rel="canonical" href="{target}">'))
    run = crawl(tmp_path, site)
    assert set(run.names[1:]) == {path.strip("/").removesuffix(".html") for path in pairs}
    assert run.failed == []
    assert site.hosts == {f"127.0.0.1:{site.port}"}


def test_a_signpost_is_not_a_page(site: Site, tmp_path: Path) -> None:
    site.put("/", '<meta http-equiv="refresh" content="0; url=\'latest/\'"><p>Redirecting')
    site.put("/latest/", page("Latest", "/off.html"))
    site.put("/off.html", '<meta http-equiv="Refresh" content="1;URL=https://evil.example/"><p>x')
    run = crawl(tmp_path, site)
    assert run.names == ["latest"]
    assert "evil.example" in run.reasons
    site.put("/", page("Status", head='<meta http-equiv="refresh" content="5">'))
    assert len(crawl(tmp_path, site).found) == 1


def test_links_of_all_kinds(site: Site, tmp_path: Path) -> None:
    site.put(
        "/",
        "<html><head><base href='/deep/er/'></head><body><p>Start</p>"
        "<a href=' one.html '>1</a><map><area href='two.html'></map><iframe src='three.html'>"
        "</iframe><a href>0</a><a name=x>0</a><a href='http://[bad'>0</a>"
        "<a href='four&amp;.html?a&amp;b'>4</a><!-- <a href='no.html'> --></body></html>",
    )
    for name in ("one.html", "two.html", "three.html", "four&.html?a&b"):
        site.put(f"/deep/er/{name}", page(name))
    run = crawl(tmp_path, site)
    assert run.names[1:] == [f"deep/er/{n}" for n in ("one", "two", "three", "four&.html?a&b")]


@pytest.mark.parametrize(
    ("path", "kind", "body", "suffix", "expected"),
    [
        ("/a", "application/xhtml+xml; charset=utf-8", page("A").encode(), ".html", "All about A"),
        ("/a.md", "text/markdown", b"# Head\n\ntext", "", "# Head"),
        ("/a", "text/x-markdown", b"# Head\n\ntext", ".md", "# Head"),
        ("/a.rst", "text/plain", b"Head\n====\n\ntext", "", "text"),
        ("/a.php", "text/plain; charset=cp1252", "über".encode("cp1252"), ".txt", "über"),
        ("/a.md", "application/octet-stream", b"# Head\n\ntext", "", "# Head"),
        ("/a.md", None, b"# Head\n\ntext", "", "# Head"),
        ("/a.cgi", "TEXT/HTML;Charset=UTF-8", page("A").encode(), ".html", "All about A"),
    ],
)
def test_the_server_says_what_format_it_is(
    site: Site, tmp_path: Path, path: str, kind: str | None, body: bytes, suffix: str, expected: str
) -> None:
    site.put(path, body, type=kind)
    (document,) = sync(tmp_path, urls=[site.url + path]).found
    assert document.suffix == suffix
    assert expected in text_of(document)


def test_what_is_no_page_is_not_even_read(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home", "/x.png", "/photo", "/data", "/x.zip"))
    big = b"\x89PNG" + bytes(30_000_000)
    site.put("/photo", big, type="image/png")
    site.put("/data", b"{}", type="application/octet-stream")
    run = crawl(tmp_path, site, max_file_mb=1)
    assert len(run.found) == 1
    assert run.failed == []
    assert site.asked["/photo"] == 1
    assert site.asked["/x.png"] == site.asked["/x.zip"] == 0
    run = sync(tmp_path, urls=[site.url + "/photo"])
    assert "is image/png, not a page; read are: .adoc, " in run.reasons


def test_a_huge_page_is_reported(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home", "/big.html", "/long.html"))
    site.put("/big.html", page("Big", text="x" * 2_000_000))
    site.put("/long.html", page("Long", text="x" * 900_000))
    run = crawl(tmp_path, site, max_file_mb=1)
    assert run.names[1:] == ["long"]
    assert "over the limit of 1 MB: raise the source's max_file_mb" in run.reasons
    site.put("/big.html", page("Big", text="x" * 11_000_000))
    assert "is over 10 MB, the limit for an HTML page" in crawl(tmp_path, site).reasons


@pytest.mark.parametrize(
    ("header", "meta", "encoding"),
    [
        ("text/html; charset=windows-1251", "", "cp1251"),
        ("text/html; charset=windows-1251", "utf-8", "cp1251"),
        ("text/html", "windows-1251", "cp1251"),
        ("text/html; charset=latin-1", "", "utf-8"),
        ("text/html; charset=nonsense", "windows-1251", "cp1251"),
        ("text/html", "", "utf-16"),
    ],
)
@pytest.mark.parametrize("cut", [True, False])
def test_charsets(
    site: Site, tmp_path: Path, header: str, meta: str, encoding: str, cut: bool
) -> None:
    words = "Резервное копирование виртуальной машины выполняется каждую ночь по расписанию."
    body = page("Копия", text=words, head=f'<meta charset="{meta}">').encode(encoding)
    site.put("/", body, type=header)
    (document,) = crawl(tmp_path, site, main_text=cut).found
    assert words in text_of(document)
    assert parse(document.load(), "x.html").title == "Копия"


def test_a_token_is_sent_to_the_site_alone(site: Site, tmp_path: Path) -> None:
    site.pages["/"] = Resource(status=302, headers={"Location": f"http://localhost:{site.port}/x"})
    sync(tmp_path, urls=[site.url + "/"], token="s3cret")
    assert {headers["Authorization"] for _, headers in site.seen} == {"Bearer s3cret"}
    assert {headers["Host"] for _, headers in site.seen} == {f"127.0.0.1:{site.port}"}
    site.forget()
    sync(tmp_path, urls=[site.url + "/"], user="me", password="pw")
    assert {headers["Authorization"] for _, headers in site.seen} == {"Basic bWU6cHc="}


# --- single pages ------------------------------------------------------------------------------


def test_named_pages_are_listed_once_and_their_links_not_followed(
    site: Site, tmp_path: Path
) -> None:
    site.put("/a.html", page("A", "/b.html"))
    site.put("/dir/index.html", page("D"))
    urls = [site.url + path for path in ("/a.html", "/a.html#x", "/dir/index.html")]
    run = sync(tmp_path, urls=urls)
    assert run.names == ["a", "dir"]
    assert run.failed == []
    assert site.asked["/b.html"] == 0
    assert run.found[1].metadata.url == site.url + "/dir/index.html"


def test_a_named_page_that_is_gone_is_reported_and_not_kept(site: Site, tmp_path: Path) -> None:
    run = sync(tmp_path, urls=[site.url + "/a.html", site.url + "/b.html"])
    assert [failure.name for failure in run.failed] == ["a", "b"]
    assert "(404): mend its address, or remove it from urls" in run.reasons
    assert not run.keeps(site.url + "/a.html")


def test_a_named_page_that_wants_no_index_is_reported(site: Site, tmp_path: Path) -> None:
    site.put("/a.html", page("A"), headers={"X-Robots-Tag": "noindex"})
    run = sync(tmp_path, urls=[site.url + "/a.html"])
    assert run.found == []
    assert "asks not to be taken in (noindex): remove it from urls" in run.reasons


def test_parts_share_what_they_read(site: Site, tmp_path: Path) -> None:
    small_site(site)
    site.put("/sitemap.xml", sitemap_of(site, {"/docs/": "", "/docs/a.html": ""}))
    run = sync(
        tmp_path,
        urls=[site.url + "/docs/a.html"],
        sitemap=site.url + "/sitemap.xml",
        crawl=site.url + "/docs/",
    )
    assert sorted(run.names) == ["docs", "docs/a", "docs/b", "docs/sub", "docs/sub/deep"]
    assert site.asked["/docs/a.html"] == site.asked["/docs/"] == 1


# --- sitemaps ----------------------------------------------------------------------------------

XMLNS = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def sitemap_of(site: Site, pages: dict[str, str], kind: str = "urlset", item: str = "url") -> str:
    entries = "".join(
        f"<{item}><loc>{path if '://' in path else site.url + path}</loc>"
        f"{f'<lastmod>{lastmod}</lastmod>' if lastmod else ''}</{item}>"
        for path, lastmod in pages.items()
    )
    return f'<?xml version="1.0" encoding="UTF-8"?><{kind} {XMLNS}>{entries}</{kind}>'


def listed(folder: Path, site: Site, now: datetime = NOON, **more: Any) -> Run:
    return sync(folder, now, sitemap={"url": site.url + "/sitemap.xml", **more})


def test_pages_with_the_same_lastmod_are_not_asked_for(site: Site, tmp_path: Path) -> None:
    pages = {"/a.html": "2026-03-01", "/b.html": "2026-03-09T08:00:00+01:00", "/c.html": ""}
    site.put("/sitemap.xml", sitemap_of(site, pages), type="application/xml")
    for path in pages:
        site.put(path, page(path, "/linked.html"))
    first = listed(tmp_path, site)
    assert first.names == ["a", "b", "c"]
    assert first.found[1].modified == datetime(2026, 3, 9, 7, tzinfo=UTC)
    assert site.asked["/linked.html"] == 0
    site.forget()
    second = listed(tmp_path, site)
    assert second.stamps == first.stamps
    assert site.asked == Counter({"/robots.txt": 1, "/sitemap.xml": 1, "/c.html": 1})
    assert site.unchanged == Counter({"/sitemap.xml": 1, "/c.html": 1})
    assert text_of(second.found[0]) == text_of(first.found[0])
    site.put("/b.html", page("B", text="It has been changed, and the sitemap tells it to us."))
    pages["/b.html"] = "2026-03-10T09:00:00+01:00"
    site.put("/sitemap.xml", sitemap_of(site, pages))
    site.forget()
    third = listed(tmp_path, site)
    assert site.asked["/a.html"] == 0
    assert site.asked["/b.html"] == 1
    assert third.stamps[site.url + "/b.html"] != first.stamps[site.url + "/b.html"]


@pytest.mark.parametrize(
    ("lastmod", "trusted"),
    [
        ("2026-03-10", False),  # today: it may change again under the same date
        ("2026-03-09", False),  # still today somewhere on earth
        ("2026-03-08", True),
        ("2026-03-10T00:00:00Z", False),  # a date in disguise
        ("2026-03-10T11:00:00Z", True),
        ("2026-03", False),
        ("2026", False),
        ("yesterday", False),
    ],
)
def test_a_date_of_today_proves_nothing(
    site: Site, tmp_path: Path, lastmod: str, trusted: bool
) -> None:
    site.put("/sitemap.xml", sitemap_of(site, {"/a.html": lastmod}))
    site.put("/a.html", page("A"))
    listed(tmp_path, site)
    site.put("/a.html", page("A", text="It was changed twice in a single day, as pages are."))
    site.forget()
    listed(tmp_path, site)
    assert site.asked["/a.html"] == (0 if trusted else 1)


def test_a_sitemap_index_in_all_its_forms(site: Site, tmp_path: Path) -> None:
    children = {"/s1.xml": "", "/s2.xml.gz": "", "/s3.txt": "", "/sitemap.xml": ""}
    site.put("/sitemap.xml", sitemap_of(site, children, "sitemapindex", "sitemap"))
    site.put("/s1.xml", sitemap_of(site, {"/a.html": ""}).replace(XMLNS, ""))
    site.put("/s2.xml.gz", gzip.compress(sitemap_of(site, {"/b.html": ""}).encode()))
    site.put("/s3.txt", f"\ufeff{site.url}/c.html\n\n", type="text/plain")
    for name in "abc":
        site.put(f"/{name}.html", page(name))
    run = listed(tmp_path, site)
    assert (run.names, run.failed) == (["a", "b", "c"], [])
    assert site.asked["/sitemap.xml"] == 1


def test_a_sitemap_names_pages_of_its_host_alone(site: Site, tmp_path: Path) -> None:
    pages = {
        "/a.html": "",
        f"http://localhost:{site.port}/b.html": "",
        "file:///etc/passwd": "",
        "https://evil.example/": "",
    }
    site.put("/sitemap.xml", sitemap_of(site, pages))
    site.put("/a.html", page("A"))
    run = listed(tmp_path, site)
    assert (run.names, run.failed) == (["a"], [])
    assert site.hosts == {f"127.0.0.1:{site.port}"}
    children = {"https://evil.example/s.xml": "", "/s.xml": ""}
    site.put("/sitemap.xml", sitemap_of(site, children, "sitemapindex", "sitemap"))
    site.put("/s.xml", sitemap_of(site, {"/a.html": ""}))
    run = listed(tmp_path, site)
    assert run.names == ["a"]
    assert "https://evil.example/s.xml lies on another host" in run.reasons


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Resource(status=404), "does not exist at the server (404)"),
        (Resource(status=500), "failed with 500"),
        (Resource(b"<urlset><url><loc>http://x/</lo"), "is not a whole sitemap"),
        (Resource(b""), "is not a whole sitemap"),
        (Resource(b"<!doctype html><html><body>Sign in<br></html>"), "is not a whole sitemap"),
        (Resource(b"<html><body>Sign in</body></html>"), "is no sitemap but <html>"),
        (Resource(b"<rss></rss>"), "is no sitemap but <rss>"),
        (Resource(gzip.compress(b"<urlset/>" * 99)[:-20]), "gzip file that is cut off"),
        (Resource(b"\x1f\x8bnonsense"), "is a damaged gzip file"),
        (Resource(gzip.compress(b"\n" * 60_000_000)), "holds over 50 MB"),
        (Resource(b"<urlset/>"), "none of the 0 pages"),
        (Resource(status=302, headers={"Location": "http://evil.example/"}), "on another host"),
        (Resource(status=302, headers={"Location": "/sitemap.xml"}), "in a circle"),
    ],
)
def test_a_sitemap_that_is_not_whole_removes_nothing(
    site: Site, tmp_path: Path, answer: Resource, expected: str
) -> None:
    good = sitemap_of(site, {"/a.html": ""})
    site.put("/sitemap.xml", good)
    site.put("/a.html", page("A"))
    assert listed(tmp_path, site).names == ["a"]
    site.pages["/sitemap.xml"] = answer
    run = listed(tmp_path, site)
    assert run.found == []
    assert [failure.uri for failure in run.failed] == [site.url + "/"]
    assert expected in run.reasons
    site.put("/sitemap.xml", good)
    assert listed(tmp_path, site).names == ["a"]


def test_one_of_many_sitemaps_failing_costs_itself(site: Site, tmp_path: Path) -> None:
    children = {"/gone.xml": "", "/s.xml": ""}
    site.put("/sitemap.xml", sitemap_of(site, children, "sitemapindex", "sitemap"))
    site.put("/s.xml", sitemap_of(site, {"/a.html": "", "/b.html": ""}))
    site.put("/a.html", page("A"))
    run = listed(tmp_path, site)
    assert run.names == ["a"]  # b is 404, and simply gone
    assert run.keeps(site.url + "/x.html")
    assert len(run.failed) == 1


def test_a_sitemap_has_bounds(site: Site, tmp_path: Path) -> None:
    pages = {f"/{n}.html": "" for n in range(9)} | {"/logo.png": ""}
    site.put("/sitemap.xml", sitemap_of(site, pages))
    for path in pages:
        site.put(path, page(path))
    run = listed(tmp_path, site, max_pages=3)
    assert run.names == ["0", "1", "2"]
    assert "raise sitemap.max_pages" in run.reasons
    assert run.keeps(site.url + "/8.html")
    run = listed(tmp_path, site, include=["/[1].html", "/2*"], exclude=["/1*"])
    assert (run.names, run.failed) == (["2"], [])
    run = listed(tmp_path, site, include=["/docs/*"])
    assert "none of the 10 pages" in run.reasons


def test_entities_are_not_expanded(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
    bomb = (
        f'<!DOCTYPE urlset [<!ENTITY l0 "ha">{laughs}]><urlset><url><loc>&l9;</loc></url></urlset>'
    )
    secret = tmp_path / "secret"
    secret.write_text("https://h/secret")
    leak = (
        f'<!DOCTYPE urlset [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
        "<urlset><url><loc>&x;</loc></url></urlset>"
    )
    for document in (bomb, leak):
        try:
            found = read_sitemap(document.encode()).pages
        except SourceError:
            continue
        assert found == ()


def test_images_in_a_sitemap_are_no_pages() -> None:
    text = (
        f'<urlset {XMLNS} xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">'
        "<!-- c --><url><image:image><image:loc>https://h/x.jpg</image:loc></image:image>"
        "<loc> https://h/a </loc><lastmod>2026-01-01</lastmod></url><url/><?pi x?></urlset>"
    )
    assert read_sitemap(text.encode()).pages == (("https://h/a", "2026-01-01"),)


# --- what is kept between runs -----------------------------------------------------------------


def test_a_run_killed_half_way_is_taken_up_again(site: Site, tmp_path: Path) -> None:
    paths = [f"/p{n}.html" for n in range(8)]
    site.put("/", page("Home", *paths))
    for path in paths:
        site.put(path, page(path))
    reached, go_on = threading.Event(), threading.Event()

    def stuck() -> Resource:
        reached.set()
        go_on.wait(30)
        return Resource(status=500)

    last, site.pages["/p6.html"] = site.pages["/p6.html"], stuck
    script = f"""
        from pathlib import Path
        from rag.sources.web import WebConfig, WebSource
        config = WebConfig(crawl={site.url + "/"!r}, requests_per_second=1000)
        list(WebSource(config, Path({str(tmp_path)!r})).documents())
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT)
    try:
        assert reached.wait(60)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        go_on.set()
    site.pages["/p6.html"] = last
    site.forget()
    run = crawl(tmp_path, site)
    assert (len(run.found), run.failed) == (9, [])
    assert sum(site.unchanged.values()) == 7  # the start and six pages were kept
    assert "/p0" in text_of(run.found[1])


@pytest.mark.parametrize("damage", ["garbage", "torn", "other form", "journal"])
def test_a_damaged_cache_costs_a_full_fetch(site: Site, tmp_path: Path, damage: str) -> None:
    small_site(site)
    first = crawl(tmp_path, site, "/docs/")
    path = tmp_path / "pages.sqlite"
    if damage == "garbage":
        path.write_bytes(os.urandom(50_000))
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:100] + b"\0" * 5000)
    elif damage == "journal":
        path.write_bytes(b"x" * 9000)
        path.with_name("pages.sqlite-journal").write_bytes(os.urandom(9000))
    else:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA user_version = 99")
    run = crawl(tmp_path, site, "/docs/")
    if run.failed:  # the damage lay too deep to be seen at once
        assert run.found == []
        assert run.keeps(site.url + "/docs/a.html")
        assert "sync again" in run.reasons
        run = crawl(tmp_path, site, "/docs/")
    assert run.stamps == first.stamps
    assert run.failed == []


def test_a_flipped_bit_in_a_kept_page_is_noticed(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home"))
    first = crawl(tmp_path, site)
    with contextlib.closing(sqlite3.connect(tmp_path / "pages.sqlite")) as connection, connection:
        connection.execute("UPDATE pages SET body = x'00ff'")
    with pytest.raises(SourceError, match="sync again"):
        first.found[0].load()
    assert crawl(tmp_path, site).stamps == first.stamps


def test_a_folder_that_cannot_be_used(site: Site, tmp_path: Path) -> None:
    small_site(site)
    (tmp_path / "file").write_text("")
    (tmp_path / "taken" / "pages.sqlite").mkdir(parents=True)
    for folder in ("file", "taken"):
        run = crawl(tmp_path / folder, site, "/docs/")
        assert run.found == []
        assert [failure.uri for failure in run.failed] == [site.url + "/"]
        assert "pages.sqlite cannot be used" in run.reasons
    assert not site.asked


def test_a_full_disk_removes_nothing(site: Site, tmp_path: Path) -> None:
    small_site(site)
    crawl(tmp_path, site, "/docs/")
    site.put("/docs/b.html", page("B", text="changed " * 200))
    path = tmp_path / "pages.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON pages BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    run = crawl(tmp_path, site, "/docs/")
    assert "cannot be used (disk full): check the folder's rights and free space" in run.reasons
    assert run.keeps(site.url + "/docs/sub/deep.html")


def test_a_cache_lost_between_listing_and_loading(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home"))
    run = crawl(tmp_path, site)
    (tmp_path / "pages.sqlite").unlink()
    with pytest.raises(SourceError, match="sync again"):
        run.found[0].load()


def test_a_page_that_goes_after_the_listing_is_still_loaded(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home"))
    run = crawl(tmp_path, site)
    site.pages.clear()
    assert "All about Home" in text_of(run.found[0])


def test_what_is_gone_is_forgotten(site: Site, tmp_path: Path) -> None:
    def kept() -> set[str]:
        with contextlib.closing(sqlite3.connect(tmp_path / "pages.sqlite")) as connection:
            rows = connection.execute("SELECT url FROM pages").fetchall()
        return {row[0].removeprefix(site.url) for row in rows}

    small_site(site)
    crawl(tmp_path, site, "/docs/")
    assert "/docs/sub/deep.html" in kept()
    site.pages["/docs/b.html"] = Resource(status=500)
    site.pages["/docs/sub/deep.html"] = Resource(status=404)
    crawl(tmp_path, site, "/docs/")
    assert "/docs/sub/deep.html" not in kept()
    assert "/docs/b.html" in kept()
    before = kept()
    crawl(tmp_path, site, "/docs/", max_pages=1)
    assert kept() == before


def test_two_runs_at_once_do_not_disturb_each_other(site: Site, tmp_path: Path) -> None:
    small_site(site)
    runs: list[Run] = []
    threads = [
        threading.Thread(target=lambda: runs.append(crawl(tmp_path, site, "/docs/")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 4
    assert all(run.failed == [] for run in runs)
    assert len({tuple(run.stamps.items()) for run in runs}) == 1


def test_a_listing_that_is_broken_off_leaves_all_as_it_was(site: Site, tmp_path: Path) -> None:
    small_site(site)
    crawl(tmp_path, site, "/docs/")
    config = WebConfig.model_validate({"crawl": site.url + "/docs/", "requests_per_second": 1000})
    items = WebSource(config, tmp_path).documents()
    next(items)
    items.close()  # type: ignore[attr-defined]
    site.forget()
    crawl(tmp_path, site, "/docs/")
    assert sum(site.unchanged.values()) == sum(site.asked.values()) - 1  # all but robots.txt


# --- main text ---------------------------------------------------------------------------------

STEPS = (
    "<h2>Steps{}</h2><ol><li><p>List the snapshots:</p>"
    "<div class='highlight'><pre><span></span># newest first\nbackup list \\\n    --vm web01\n"
    "</pre></div></li><li><p>Power on.</p></li></ol>"
    "<table><thead><tr><th>Release</th><th>Host</th></tr></thead>"
    "<tbody><tr><td>8.0</td><td><code>esx1</code></td></tr></tbody></table>"
    "<dl><dt>RPO</dt><dd>How much data may be lost.</dd></dl>"
)
INTRO = "<p>A machine is restored from the snapshot of the night before.</p>"
MENU = "<ul><li><a href='/a'>Menu one</a></li><li><a href='/b'>Menu two</a></li></ul>"

SPHINX = (
    "<div class='wy-grid-for-nav'><nav class='wy-nav-side'>" + MENU + "</nav><section>"
    "<div role='navigation' aria-label='Page navigation'>Breadcrumb » Here</div>"
    "<div role='main' class='document' itemscope><div itemprop='articleBody'>"
    "<section id='r'><h1>Restoring<a class='headerlink' href='#r' title='Link'>\uf0c1</a></h1>"
    + INTRO
    + STEPS.format("<a class='headerlink' href='#s'>¶</a>")
    + "<div class='highlight'><pre><span class='linenos'>1</span>def f():\n"
    "<span class='linenos'>2</span>    return 1\n</pre></div>"
    "<aside class='footnote'><span>[1]</span><p>The footnote’s text.</p></aside></section></div>"
    "</div><footer><a href='/next'>Next</a><p>© Copyright Example. Built with Sphinx.</p></footer>"
    "</section></div>"
)
MKDOCS = (
    "<header class='md-header'><nav>Site name</nav></header><div class='md-container'>"
    "<main class='md-main'><div class='md-sidebar'><nav>" + MENU + "</nav></div>"
    "<div class='md-content'><article class='md-content__inner'><h1>Restoring"
    "<a class='headerlink' href='#r' title='Permanent link'>¶</a></h1>"
    + INTRO
    + STEPS.format("<a class='headerlink' href='#s'>¶</a>")
    + "<div class='highlight'><table class='highlighttable'><tbody><tr><td class='linenos'>"
    "<div class='linenodiv'><pre><span class='normal'>1</span>\n<span class='normal'>2</span></pre>"
    "</div></td><td class='code'><div><pre><code>def f():\n    return 1\n</code></pre></div></td>"
    "</tr></tbody></table></div>"
    "<div class='tabbed-set tabbed-alternate'><input type='radio'><input type='radio'>"
    "<div class='tabbed-labels'><label>Linux</label><label>Windows</label></div>"
    "<div class='tabbed-content'><div class='tabbed-block'><p>Use systemctl.</p></div>"
    "<div class='tabbed-block'><p>Use net stop.</p></div></div></div>"
    "<p>The footnote’s text.<a class='footnote-backref' href='#x'>↩</a></p></article></div></main>"
    "</div><footer class='md-footer'>© Copyright Example. Made with Material.</footer>"
)
DOCUSAURUS = (
    "<div id='__docusaurus'><div role='region'><a href='#m'>Skip to main content</a></div>"
    "<nav class='navbar'>" + MENU + "</nav><aside class='sidebar'>" + MENU + "</aside>"
    "<main class='docMainContainer'><div class='row'><div class='col'><article>"
    "<nav aria-label='Breadcrumbs'><ul><li>Home</li></ul></nav>"
    "<div class='tocCollapsible'><button type='button'>On this page</button></div>"
    "<div class='markdown'><header><h1>Restoring</h1></header>"
    + INTRO
    + STEPS.format("<a href='#s' class='hash-link' aria-label='Direct link'>\u200b</a>")
    + "<div class='codeBlock'><pre><code><span class='token-line'>def f():<br></span>"
    "<span class='token-line'>    return 1<br></span></code></pre><div><button>Copy</button></div>"
    "</div><div class='tabs-container'><ul role='tablist'><li role='tab'>Linux</li>"
    "<li role='tab'>Windows</li></ul><div><div role='tabpanel'><p>Use systemctl.</p></div>"
    "<div role='tabpanel' hidden><p>Use net stop.</p></div></div></div>"
    "<p>The footnote’s text.</p></div>"
    "<footer class='theme-doc-footer'><a href='/edit'>Edit this page</a></footer></article>"
    "<nav class='pagination-nav'><a href='/x'>Previous</a></nav></div>"
    "<div class='col'><ul class='table-of-contents'><li><a href='#s'>Contents here</a></li></ul>"
    "</div></div></main><footer>© Copyright Example.</footer></div>"
)
DIVS = (
    "<div id='top'><a href='/'>Home</a> <a href='/it'>Department</a></div><div id='wrap'>"
    "<div id='left'>"
    + MENU
    + "</div><div id='content'><h1>Restoring</h1>"
    + INTRO
    + "<p>While it runs the machine is off; ask the backup team if it stops half-way, as they see "
    "the log of the job and can resume it from the last block that was written.</p>"
    + STEPS.format("")
    + "<pre>def f():\n    return 1\n</pre><p>The footnote’s text.</p></div></div>"
    "<div id='bottom'><a href='/imprint'>Imprint</a> <a href='/privacy'>Privacy policy</a></div>"
)
LAYOUT_TABLE = (
    "<table width='100%'><tr><td colspan='2'><a href='/'>Home</a> | <a href='/x'>Department</a>"
    "</td></tr><tr><td width='150'>"
    + MENU
    + "</td><td><h1>Restoring</h1>"
    + INTRO
    + "<p>While it runs the machine is off; ask the backup team if it stops half-way, as they see "
    "the log of the job and can resume it from the last block that was written.</p>"
    + STEPS.format("")
    + "<pre>def f():\n    return 1\n</pre><p>The footnote’s text.</p></td></tr></table>"
)
LAYOUTS = {
    "sphinx": SPHINX,
    "mkdocs": MKDOCS,
    "docusaurus": DOCUSAURUS,
    "divs": DIVS,
    "layout table": LAYOUT_TABLE,
}


def cut(body: str, title: str = "Restoring — Backup 8.0") -> str:
    html = (
        f"<!doctype html><html><head><title>{title}</title><style>p {{}}</style>"
        f"<script>var a = '<p>no';</script></head><body>{body}<script>x()</script></body></html>"
    )
    return parse(main_text(html.encode(), {}), "x.html").text


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_main_text_of_documentation_pages(layout: str) -> None:
    text = cut(LAYOUTS[layout])
    assert text.startswith("# Restoring\n\nA machine is restored")
    assert "\n## Steps\n" in text
    assert "1. List the snapshots:\n\n   ```\n   # newest first\n   backup list \\\n" in text
    assert "       --vm web01\n   ```\n2. Power on." in text
    assert "- Release: 8.0; Host: `esx1`" in text
    assert "RPO\n:   How much data may be lost." in text
    assert "```\ndef f():\n    return 1\n```" in text
    assert "The footnote’s text." in text
    for furniture in (
        *("Menu", "Copyright", "Copy", "Edit", "Next", "Previous", "On this page", "Skip", "Home"),
        *("Contents here", "Breadcrumb", "Imprint", "Department", "¶", "\uf0c1", "↩", "linenos"),
    ):
        assert furniture not in text, furniture
    if "Linux" in LAYOUTS[layout]:
        assert "Linux\n\nUse systemctl.\n\nWindows\n\nUse net stop." in text


def test_the_title_stays_and_the_result_is_a_page_of_utf8() -> None:
    data = f"<title>Köln & Bonn</title><main>{INTRO}</main>".encode("cp1252")
    found = main_text(data, {"content-type": "text/html; charset=windows-1252"})
    assert parse(found, "x.html").text.startswith("A machine is restored")
    assert parse(found, "x.html").title == "Köln & Bonn"
    assert found.decode().startswith("<html><head>")


def test_main_text_does_not_learn_from_other_pages() -> None:
    pages = [f"<html><body>{LAYOUTS[layout]}</body></html>".encode() for layout in LAYOUTS]
    once = [main_text(data, {}) for data in pages]
    for _ in range(3):  # trafilatura would drop a paragraph that it has seen too often
        assert [main_text(data, {}) for data in reversed(pages)] == once[::-1]


@pytest.mark.parametrize(
    "body",
    [
        "<p>Short.</p>",
        "<main></main><div><p>The text is elsewhere.</p></div>",
        "<main>Loading</main><div><p>The text is elsewhere.</p></div>",
        "<h1>Directory</h1>" + "".join(f"<a href='/{n}'>Entry {n}</a> " for n in range(40)),
        "<article><p>One of two.</p></article><article><p>Two of two.</p></article>",
        "<table><tr><td>a</td><td>b</td></tr></table>",
        "<pre>only code\n  is here</pre>",
        "<form><div><p>All in a form.</p></div></form>",
        "<p>" + "<b>" * 90 + "deep" + "</b>" * 90,
        "<div>" * 90 + "<p>deeper</p>",
        "text without a tag",
        "<p>a<p>b<td>c</td></div></p>",
        "<svg><p>x</p></svg><math><mi>y</mi></math><p>Text.</p>",
    ],
)
def test_nothing_is_lost_where_nothing_can_be_told(body: str) -> None:
    words = set(re.findall(r"\w+", parse(f"<body>{body}".encode(), "x.html").text)) - {"Loading"}
    assert words <= set(re.findall(r"\w+", cut(body)))


def test_a_long_page_without_marks_is_taken_whole() -> None:
    body = f"<div>{MENU}</div><div><p>{'many words here ' * 80_000}</p></div>"
    assert "Menu one" in cut(body)


def test_hidden_text_stays_hidden() -> None:
    text = cut(f"<main>{INTRO}<p hidden>no one</p><p style='display:none'>sees it</p></main>")
    assert "no one" not in text
    assert "sees it" not in text


def test_pages_that_are_hostile_take_no_time() -> None:
    started = time.monotonic()
    for body in (
        "<a href='" * 50_000,
        "<" * 200_000,
        "<meta http-equiv=refresh content='" + "1" * 200_000 + "'>",
        "<table><tr>" * 5_000,
        "<main>" * 3_000 + INTRO,
        "<ul role=tablist>" * 2_000 + "<li role=tab>x" * 2_000,
        "<div><p>" + "word " * 100_000,
        "<a href=x>y</a>" * 10_000,
    ):
        data = body.encode()
        with contextlib.suppress(SourceError):
            main_text(data, {})
        with contextlib.suppress(SourceError):
            read_page(data, "https://h/", {}, obey=True)
    assert time.monotonic() - started < 120


def test_a_parser_that_breaks_costs_the_cutting_alone(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, obey: bool = True) -> bytes:
        raise RecursionError

    site.put("/", page("Home", "/menu"))
    (document,) = crawl(tmp_path, site, max_depth=0, exclude=["/menu"]).found
    monkeypatch.setattr("rag.sources.web.main_text", broken)
    assert "All about Home" in text_of(document)
    monkeypatch.setattr("rag.sources.web_crawl.read_page", broken)
    run = crawl(tmp_path / "new", site)
    assert "cannot be read: RecursionError" in run.reasons


def test_a_failure_says_which_page_it_was(site: Site, tmp_path: Path) -> None:
    site.put("/", page("Home", "/a/b.html"))
    site.pages["/a/b.html"] = replace(Resource(status=500))
    run = crawl(tmp_path, site)
    assert Failure(
        site.url + "/a/b.html", "a/b", "the server failed with 500 2 times: try again later"
    ) in (run.failed)


# --- into the catalog --------------------------------------------------------------------------


def test_a_site_goes_into_the_catalog_and_stays_up_to_date(site: Site, tmp_path: Path) -> None:
    def taken_in() -> IngestReport:
        run = crawl(tmp_path / "state", site, "/docs/")
        items = [*run.found, *run.failed]
        report = ingest(knowledge, items, frozenset({"everyone"}), source="web")
        prune_source(knowledge, items, "web", report, even_most=False)
        return report

    def unread(*arguments: Any) -> bytes:
        raise AssertionError("an unchanged page was loaded")

    knowledge = fake_knowledge(tmp_path / "data")
    small_site(site)
    first = taken_in()
    assert first.added == ["docs", "docs/a", "docs/sub", "docs/b", "docs/sub/deep"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rag.sources.web.main_text", unread)
        assert taken_in().unchanged == 5
    site.put("/docs/b.html", page("B", text="It was rewritten from its first word to the last."))
    site.pages["/docs/sub/deep.html"] = Resource(status=410)
    site.pages["/docs/a.html"] = Resource(status=500)
    last = taken_in()
    assert last.changed == ["docs/b"]
    assert last.removed == [site.url + "/docs/sub/deep.html"]
    assert [failure.name for failure in last.failures] == ["docs/a"]
    assert site.url + "/docs/a.html" in knowledge.catalog.uris()
