"""What a web page says: its links, what it asks of crawlers, its main text.

The main text keeps the page's own markup, which `rag.parsers.html` turns into Markdown; what is cut
away is the furniture around it. Pages that mark their main part (`<main>`, `<article>`: what
Sphinx, MkDocs, Docusaurus and most others write) are taken at their word. For the rest trafilatura
tells which words are the main text, and the smallest element that holds them is kept: its own
output flattens code in list items, empties table heads and loses footnotes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import dropwhile

from lxml import etree, html
from lxml.html import HtmlElement

from rag.errors import ParseError, SourceError
from rag.parsers.text import clean, decode
from rag.sources.web_robots import AGENT, normalise

MAIN_TEXT_VERSION = 1
"""Raised when the result of `main_text` changes, so that unchanged pages are taken in again."""
_MB = 1024 * 1024
_MAX_HTML = 10 * _MB
"""A page of more bytes is refused; its tree takes a manifold of that in memory."""
_MAX_GUIDED = 1 * _MB
"""A page of more characters is not handed to trafilatura, which takes seconds a megabyte."""
_MAX_LINKS = 10_000
_FEWEST = 50
"""Letters of an element marked as the main part; with fewer it is a shell that a script fills."""
_MOST_KEYS = 200
"""Lines of the main text, the longest ones, that are looked for in the page's elements."""
_MOST = 0.9
"""Share of the main text that an element has to hold to be the main part."""

_CHARSET = re.compile(r"""charset\s{0,9}=\s{0,9}["']?\s{0,9}([\w.:-]{2,40})""", re.IGNORECASE)
_REFRESH = re.compile(r"\s*(\d{1,3})(?:\.\d*)?\s*[;,]?\s*url\s*=\s*(.+)", re.IGNORECASE)
_CANONICAL = re.compile(r'<([^<>]*)>[^<>]*;\s*rel\s*=\s*"?canonical\b', re.IGNORECASE)
_RULE_WITH_VALUE = frozenset({"unavailable_after", "max-snippet"})
_SCRIPTS = ("script", "style", "template", "noscript")
_FURNITURE = (
    ".//nav | .//button | .//*[@role='navigation' or @role='search' or @role='contentinfo']"
    "| .//footer[not(ancestor::blockquote)]"
    "| .//aside[not(ancestor::main or ancestor::article or ancestor::*[@role='main'])]"
    "| .//a[@role='doc-backlink' or @class='footnote-backref']"
    "| .//*[self::a or self::span or self::i][@aria-hidden='true']"
)
_PERMALINKS = ".//*[self::h1 or self::h2 or self::h3 or self::h4 or self::h5 or self::h6]//a[@href]"
_TABS = ".//*[@role='tablist' or contains(concat(' ', @class, ' '), ' tabbed-labels ')]"
_IN_HEAD = frozenset("title meta link base basefont style script noscript template".split())
_LINE_NUMBERS = frozenset("linenos lineno linenumber line-number ln lnt".split())
_CONTAINERS = frozenset("body div section article main td center form".split())


@dataclass(frozen=True, slots=True)
class Page:
    """What a crawler has to know of a page; its URLs are normalised."""

    links: tuple[str, ...] = ()
    """In the page's order; empty where it asks not to follow them."""
    canonical: str | None = None
    """The address under which the page wants to be known, where it says so."""
    noindex: bool = False
    """It asks not to be taken in."""
    sends_on: str | None = None
    """Where a mere signpost sends its reader; such a page is not taken in."""


def read_page(body: bytes, url: str, headers: Mapping[str, str], *, obey: bool) -> Page:
    """What the page and its headers say; without `obey` noindex and nofollow are overheard.

    Raises SourceError for what is no HTML.
    """
    tree = _tree(html_text(body, headers))
    base = normalise(str(tree.xpath("string((//base/@href)[1])")), url) or url
    asked = _directives(tree, headers.get("x-robots-tag", "")) if obey else set()
    follow = not obey or not {"nofollow", "none"} & asked
    sends_on = _refresh(tree, base)
    return Page(
        tuple(dict.fromkeys(_links(tree, base, obey))) if follow else (),
        _canonical(tree, base, headers),
        bool({"noindex", "none"} & asked),
        sends_on if sends_on != url else None,
    )


def html_text(body: bytes, headers: Mapping[str, str]) -> str:
    """The page as text, see `plain_text`; its own markup may name the encoding, too."""
    if len(body) > _MAX_HTML:
        raise SourceError(f"is over {_MAX_HTML // _MB} MB, the limit for an HTML page: exclude it")
    declared = _CHARSET.search(body[:4096].decode("latin-1"))
    return plain_text(body, headers, declared[1] if declared else None)


def plain_text(body: bytes, headers: Mapping[str, str], declared: str | None = None) -> str:
    """UTF-8 if it is that, else what the header says, else what is `declared`, else a guess.

    Raises SourceError for what is no text.
    """
    found = _CHARSET.search(headers.get("content-type", ""))
    try:
        text, _ = decode(body, found[1] if found else declared)
    except ParseError as error:
        raise SourceError(f"is sent as text, but {error}") from error
    return text


def main_text(body: bytes, headers: Mapping[str, str]) -> bytes:
    """The page's main part as an HTML page of its own, in UTF-8, with the page's title.

    Where the text cannot be told from its furniture, all of the page. The same bytes give the same
    result. Raises SourceError for what is no HTML.
    """
    text = html_text(body, headers)
    tree = _tree(text)
    title = " ".join(clean(str(tree.xpath("string((//head/title)[1])"))).split())
    etree.strip_elements(tree, *_SCRIPTS, with_tail=False)
    whole = tree.find("body")
    if whole is None:  # frames
        return text.encode("utf-8", "replace")
    _drop(tree.xpath(_FURNITURE))
    part = _marked(tree, whole)
    if part is None and len(text) <= _MAX_GUIDED:
        part = _guided(whole)
    part = whole if part is None else part
    if not _length(part):
        return text.encode("utf-8", "replace")
    _mend(part)
    part.tail = None
    part.tag = "div" if part.tag in _CONTAINERS else part.tag
    page = etree.Element("html")
    etree.SubElement(etree.SubElement(page, "head"), "title").text = title
    etree.SubElement(page, "body").append(part)
    return bytes(etree.tostring(page, encoding="utf-8", method="html"))


def _tree(text: str) -> HtmlElement:
    data = text.replace("\0", "").encode("utf-8", "replace")
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        tree = html.document_fromstring(data, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError) as error:
        raise SourceError("is an empty page") from error
    head, body = tree.find("head"), tree.find("body")
    if head is not None:
        # Without <body>, which HTML 5 may leave out, libxml2 takes <main> for a part of <head>.
        strays = list(dropwhile(lambda child: child.tag in _IN_HEAD, head))
        if strays:
            body = etree.SubElement(tree, "body") if body is None else body
            body[:0] = strays
    return tree


def _links(tree: HtmlElement, base: str, obey: bool) -> Iterator[str]:
    for element in tree.xpath("//a[@href] | //area[@href] | //frame[@src] | //iframe[@src]")[
        :_MAX_LINKS
    ]:
        if obey and "nofollow" in (element.get("rel") or "").lower().split():
            continue
        if url := normalise(element.get("href") or element.get("src") or "", base):
            yield url


def _directives(tree: HtmlElement, tag: str) -> set[str]:
    """What `<meta name="robots">` and `X-Robots-Tag` ask of every crawler or of this one."""
    asked = [
        meta.get("content") or ""
        for meta in tree.iter("meta")
        if (meta.get("name") or "").strip().lower() in ("robots", AGENT)
    ]
    for line in tag.lower().splitlines():
        agent = re.match(r"\s*([\w-]+)\s*:", line)
        if agent is None or agent[1] in (AGENT, *_RULE_WITH_VALUE):
            asked.append(line[agent.end() :] if agent else line)
    return {word for text in asked for word in re.split(r"[\s,]+", text.lower())}


def _refresh(tree: HtmlElement, base: str) -> str | None:
    """Where the page sends its reader within seconds, as a folder's index page often does."""
    for meta in tree.iter("meta"):
        found = _REFRESH.match((meta.get("content") or "")[:2000])
        if found and (meta.get("http-equiv") or "").lower() == "refresh" and int(found[1]) <= 10:
            return normalise(found[2].strip().strip("'\""), base)
    return None


def _canonical(tree: HtmlElement, base: str, headers: Mapping[str, str]) -> str | None:
    for link in tree.iter("link"):
        if "canonical" in (link.get("rel") or "").lower().split() and link.get("href"):
            return normalise(link.get("href"), base)
    found = _CANONICAL.search(headers.get("link", "")[:4000])
    return normalise(found[1], base) if found else None


def _marked(tree: HtmlElement, whole: HtmlElement) -> HtmlElement | None:
    """The element that the page itself marks as its main part, if it marks one."""
    mains = _outermost(tree.xpath("//main | //*[@role='main']"))
    around = mains[0] if len(mains) == 1 else whole
    articles = _outermost(around.xpath(".//article | .//*[@itemprop='articleBody']"))
    if len(articles) == 1 and 2 * _length(articles[0]) >= _length(around) >= _FEWEST:
        return articles[0]
    return around if len(mains) == 1 and _length(around) >= _FEWEST else None


def _guided(whole: HtmlElement) -> HtmlElement | None:
    """The smallest container of the words that trafilatura takes for the main text.

    Blocks of links in it that hold none of those words are dropped.
    """
    text = _extractor()(html.tostring(whole, encoding="unicode"))
    keys = [key for line in (text or "").splitlines() if len(key := _squeezed(line)) >= 15]
    keys = sorted(keys, key=len, reverse=True)[:_MOST_KEYS]

    def held(element: HtmlElement) -> int:
        squeezed = _squeezed(element.text_content())
        return sum(len(key) for key in keys if key in squeezed)

    wanted = _MOST * held(whole)
    if not wanted:
        return None
    part = inner = whole
    while len(inner) and held(inner := max(inner, key=_length)) >= wanted:
        part = inner if inner.tag in _CONTAINERS else part
    for block in list(part):
        linked = sum(_length(link) for link in block.iter("a"))
        if 2 * linked > _length(block) and not held(block):
            _drop([block])
    return part


@cache
def _extractor() -> Callable[[str], str | None]:
    """trafilatura, without memory of other pages. Imported late: it takes a third of a second."""
    from trafilatura import extract

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # complains of every empty page
    return partial(extract, include_comments=False, favor_recall=True, deduplicate=False)


def _mend(part: HtmlElement) -> None:
    """Take out what a reader sees as decoration, and name the panels that tabs lead to."""
    _drop(a for a in part.xpath(_PERMALINKS) if a.get("href")[:1] == "#" and not _length(a))
    spans = part.xpath(".//pre//span[@class]")
    _drop(span for span in spans if not _LINE_NUMBERS.isdisjoint(span.get("class").split()))
    for table in part.xpath(".//table"):
        cells = table.xpath("./tr/td | ./tbody/tr/td")
        code = cells[1].xpath(".//pre") if len(cells) == 2 else []
        if len(code) == 1 and re.fullmatch(r"[\d\s]+", cells[0].text_content()):  # line numbers
            code[0].tail = table.tail
            table.getparent().replace(table, code[0])
    for tabs in part.xpath(_TABS):
        labels = tabs.xpath(".//*[@role='tab'] | .//label")
        panels = "*[@role='tabpanel' or contains(concat(' ', @class, ' '), ' tabbed-block ')]"
        around = tabs.getparent()
        found = _outermost(around.xpath(f".//{panels}")) if around is not None else []
        if labels and len(labels) == len(found):
            for label, panel in zip(labels, found, strict=True):
                for hiding in ("hidden", "style"):
                    panel.attrib.pop(hiding, None)
                name = etree.Element("p")
                name.text = " ".join(label.text_content().split())
                panel.insert(0, name)
            _drop([tabs])


def _drop(elements: Iterable[HtmlElement]) -> None:
    """Remove elements, not the text after them."""
    for element in list(elements):
        if element.getparent() is not None:
            element.drop_tree()


def _outermost(elements: list[HtmlElement]) -> list[HtmlElement]:
    """Of elements in document order those that lie in none of the others."""
    found: list[HtmlElement] = []
    for element in elements:
        if not found or found[-1] not in element.iterancestors():
            found.append(element)
    return found


def _squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text)


def _length(element: HtmlElement) -> int:
    """Letters and digits in it."""
    return len(_squeezed(element.text_content()))
