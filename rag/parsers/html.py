"""HTML to Markdown: what a reader of the page sees, with its headings, lists and tables.

BeautifulSoup on lxml repairs any markup and fetches nothing; markdownify does the walk.
Hidden is what the markup itself hides; a style sheet that hides by class, or white text on white,
is not interpreted, so such text comes in (and is judged by the retrieval rails like any other).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rag.errors import ParseError
from rag.parsers.text import clean, decode
from rag.schema import ParsedDocument

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_DROPPED = frozenset(
    "script style nav noscript template svg iframe object embed canvas audio video map dialog "
    "datalist title meta link base".split()  # not "head": see `_drop_unseen`
)
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|"
    r"(?:font-size|(?<![\w-])opacity)\s*:\s*0(?:\.0+)?(?:px|pt|r?em|%)?\s*(?:[;!]|$)",
    re.IGNORECASE,
)
_TRAILING = re.compile(r"(?<![ \t])[ \t]+$", re.MULTILINE)
_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w-]{2,40})|\A\s*<\?xml[^>]{0,99}?encoding=["']([\w-]{2,40})""",
    re.IGNORECASE,
)


def parse_html(data: bytes) -> ParsedDocument:
    """The visible part of a page. Title: <title>, else the first <h1>."""
    match = _DECLARED.search(data[:4096])
    declared = (match[1] or match[2]).decode("ascii") if match else None
    text, warnings = decode(data, declared)
    title, body = html_to_markdown(text)
    return ParsedDocument(title, body, "text/html", warnings=warnings)


def html_to_markdown(html: str) -> tuple[str, str]:
    """(title, Markdown) of an HTML text."""
    from bs4 import BeautifulSoup

    from rag.parsers.html_markdown import Converter

    # Without a tag, or with an XML declaration, BeautifulSoup warns of a mistake that is none.
    html = re.sub(r"<\?xml[^>]{0,200}>", "", html, flags=re.IGNORECASE)
    try:
        soup = BeautifulSoup(html if "<" in html else f"<p>{html}", "lxml")
        title = _title(soup)
        _drop_unseen(soup)
        markdown = Converter().convert_soup(_main_part(soup))
    except RecursionError as error:
        raise ParseError("nests its elements too deeply: save it as a simpler page") from error
    markdown = clean(markdown)
    return title, re.sub(r"\n{3,}", "\n\n", _TRAILING.sub("", markdown)).strip()


def _title(soup: BeautifulSoup) -> str:
    for name in ("title", "h1"):
        tag = soup.find(name)
        if tag is not None and (title := " ".join(clean(tag.get_text(" ")).split())):
            return title
    return ""


def _drop_unseen(soup: BeautifulSoup) -> None:
    """Take out what no reader sees. Of a head only what belongs there: on a page without <body>,
    lxml leaves a <main> or <article>, which it doesn't know, in the head."""
    for tag in soup.find_all(_is_unseen):
        if not tag.decomposed:
            tag.decompose()


def _main_part(soup: BeautifulSoup) -> Tag:
    """The page's <main>, where there is one and it holds most of the text: the rest is furniture.

    A first heading above it (a banner with the page's name) is lost; the title has its words.
    """
    found = soup.select("main, [role=main]")
    if len(found) == 1 and 2 * len(found[0].get_text()) > len(soup.get_text()):
        return found[0]
    return soup


def _is_unseen(tag: Tag) -> bool:
    if tag.name in ("html", "body"):  # pages that a script shows once it has run
        return False
    if tag.name in _DROPPED or tag.has_attr("hidden"):
        return True
    if tag.name == "input" or (style := tag.get("style")) is None:
        return tag.name == "a" and "headerlink" in (tag.get("class") or ())
    return _HIDDEN.search(str(style)) is not None
