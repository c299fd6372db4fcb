"""A cited passage inside its document: which stretches of the text to show, and how strongly."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.exc import NoResultFound

from rag.catalog import Catalog
from serve.answer import Citation

AROUND = 4_000
"""Characters shown on either side of a passage at first."""
MOST_AROUND = 500_000
"""And after "Show the whole document": a browser page is no place for more."""

Kind = Literal["plain", "passage", "support"]

_SOFT = re.compile(r"(?<=[^\n])\n(?=[^\s#>|*+•▪◦-])(?!```|~~~|\d{1,3}[.)] )")
"""A line break inside a paragraph, as hard-wrapped text and PDF pages are full of."""
_HEADING = re.compile(r"^#{1,6} .+$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of the document's text; a `support` lies inside the passage."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What is shown of a document. The texts of all stretches together are `text[start:end]`."""

    start: int
    end: int
    length: int
    """Of the whole document."""
    stretches: tuple[Stretch, ...]

    @property
    def whole(self) -> bool:
        return self.start == 0 and self.end == self.length


def cited_text(catalog: Catalog, citation: Citation, groups: frozenset[str]) -> str | None:
    """The text of the cited document; None where it is gone, changed or no longer readable."""
    hit = citation.hit
    document = catalog.find_document(str(hit.document_id), groups)
    if document is None:
        return None
    try:
        text = catalog.text(document.id)
    except NoResultFound:  # deleted since the line before
        return None
    return text if text[hit.start : hit.end] == hit.text else None


def excerpt(text: str, citation: Citation, around: int) -> Excerpt:
    """The passage with its supporting sentences, and up to `around` characters on either side."""
    first, last = citation.hit.start, citation.hit.end
    start, end = _line_start(text, max(0, first - around)), _line_end(text, last + around)
    start, end = min(start, first), max(end, last)
    spans = _merged([(s.start, s.end) for s in citation.support], first, last)
    stretches = [Stretch("plain", text[start:first])]
    at = first
    for low, high in spans:
        stretches += [Stretch("passage", text[at:low]), Stretch("support", text[low:high])]
        at = high
    stretches += [Stretch("passage", text[at:last]), Stretch("plain", text[last:end])]
    return Excerpt(start, end, len(text), tuple(s for s in stretches if s.text))


def to_html(stretches: Sequence[Stretch]) -> str:
    """The passage as one `<mark>`, its supporting sentences as marks inside it.

    Documents are not trusted, so their text is escaped. Nothing is added or left out: the text of
    the marks is, character for character, the text of the spans that were cited.
    """
    pieces: list[str] = []
    inside = False
    for stretch in stretches:
        if inside != (stretch.kind != "plain"):
            pieces.append("</mark>" if inside else '<mark class="passage" id="cited-passage">')
            inside = not inside
        content = _content(stretch.text)
        support = stretch.kind == "support"
        pieces.append(f'<mark class="support">{content}</mark>' if support else content)
    return "".join(pieces) + ("</mark>" if inside else "")


def _content(text: str) -> str:
    """Escaped; soft line breaks are styled as spaces, which leaves them line breaks to a copy."""
    escaped = html.escape(text).replace("\r", "&#13;")
    return _HEADING.sub(r"<b>\g<0></b>", _SOFT.sub('<span class="soft">\n</span>', escaped))


def _merged(spans: Sequence[tuple[int, int]], first: int, last: int) -> list[tuple[int, int]]:
    """The spans in rising order, cut to the passage, those that touch made one."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted((max(low, first), min(high, last)) for low, high in spans):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        elif low < high:
            merged.append((low, high))
    return merged


def _line_start(text: str, at: int) -> int:
    """The start of the next line, so that an excerpt does not begin in the middle of a word."""
    if at == 0:
        return 0
    newline = text.find("\n", at - 1, at + 500)
    return newline + 1 if newline >= 0 else at


def _line_end(text: str, at: int) -> int:
    if at >= len(text):
        return len(text)
    newline = text.rfind("\n", at - 500, at)
    return newline if newline >= 0 else at
