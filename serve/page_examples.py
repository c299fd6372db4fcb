"""Questions to start with, made from the documents themselves so that they hold the answer.

A document whose first sentence begins with its own title and goes on in lower case ("Dynamic
DirectPath I/O passes a whole GPU to ...") answers "What is <title>?". Where no document does, the
titles stand in a form that fits any of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy.exc import NoResultFound

from rag.catalog import Catalog
from rag.schema import Document

_ASIDE = re.compile(r"\s*\([^()]*\)")
_FILE_LIKE = re.compile(r"[_/\\]|\.\w{2,4}$")
_LOOKED_AT = 60
_MOST_CHUNKS = 40
_LONGEST_TITLE = 48


def example_questions(catalog: Catalog, groups: frozenset[str], count: int = 3) -> list[str]:
    """Up to `count` questions about documents that the caller may read. Raises CatalogError."""
    named = [
        (document, title)
        for document in catalog.list_documents(groups, limit=_LOOKED_AT)
        if (title := subject(document.title))
    ]
    # The text of a long document is not read only to find its first sentence.
    short = [(document, title) for document, title in named if document.chunks <= _MOST_CHUNKS]
    defined = [
        f"What is {title}?"
        for document, title in short
        if is_defined(title, _opening(catalog, document))
    ]
    general = [f"What do the documents say about “{title}”?" for _, title in named]
    return _spread(defined, count) if len(defined) >= count else (defined + general)[:count]


def subject(title: str) -> str:
    """The title without asides and subtitle; empty where it is no name to put in a question."""
    short = _ASIDE.sub("", title.split(": ")[0]).strip()
    if len(short) > _LONGEST_TITLE or _FILE_LIKE.search(short.replace("I/O", "")):
        return ""
    return short


def is_defined(title: str, opening: str) -> bool:
    """Whether a sentence is about the title as one thing: "<title> splits ...", not "split"."""
    if not opening.startswith(f"{title} "):
        return False
    verb = opening[len(title) + 1 :].split(" ")[0]
    return verb.islower() and verb.endswith("s")


def _opening(catalog: Catalog, document: Document) -> str:
    """The first words under the headings, without asides."""
    try:
        text = catalog.text(document.id)
    except NoResultFound:  # deleted since it was listed
        return ""
    lines = (line.strip() for line in text[:2000].splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return _ASIDE.sub("", first)


def _spread(questions: Sequence[str], count: int) -> list[str]:
    """`count` of them from all over the alphabet rather than the first ones."""
    step = (len(questions) - 1) / max(1, count - 1)
    return [questions[round(i * step)] for i in range(count)]
