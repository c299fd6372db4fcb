"""The nouns of retrieval: what a source yields, what a parser makes of it, what a search returns.

All spans are character offsets into `ParsedDocument.text`, half-open, so that
`text[start:end]` is exactly what was embedded, cited and highlighted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

Wordings = Sequence[tuple[str, float]]
"""Texts that one question is searched for by, each with its weight."""

EVERYONE = "everyone"
"""The group that every caller belongs to; documents are readable by it unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a source knows of a document beside its text; a search can be narrowed by all of it."""

    product: str = ""
    version: str = ""
    labels: tuple[str, ...] = ()
    url: str = ""
    """Where a reader opens the document, if that is not its URI."""


@dataclass(frozen=True, slots=True)
class RawDocument:
    """A document as its source holds it. `load` is called once at most, may raise SourceError."""

    uri: str
    """Stable identity, for a file its absolute `file://` URI."""
    name: str
    """What a person would call it: a path relative to the ingested folder, or a page title."""
    modified: datetime | None
    """Timezone-aware time of the last change at the source."""
    load: Callable[[], bytes]
    suffix: str = ""
    """The format, such as ".md", where `name` does not end in it."""
    stamp: str = ""
    """Changes whenever the document does (a version number, an ETag): while it stays the same the
    document is not loaded again. Compared for equality alone, so clocks may go backwards. Empty:
    load it and compare hashes."""
    groups: frozenset[str] | None = None
    """Who may read it, by the source's own access list; an empty set is nobody, None is whatever
    the configuration says."""
    metadata: Metadata = Metadata()


@dataclass(frozen=True, slots=True)
class Failure:
    """A document (or folder) that could not be taken in, with a reason a person can act on."""

    uri: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document as text. Markdown where the format has structure, plain text otherwise."""

    title: str
    text: str
    media_type: str
    page_starts: tuple[int, ...] = ()
    """Offset at which each page begins, first page first; empty where the format has no pages."""
    headings: tuple[tuple[int, tuple[str, ...]], ...] | None = None
    """(offset, heading path) in rising order, where the parser knows the outline (PDF bookmarks);
    None where headings are to be read from the Markdown text."""
    warnings: tuple[str, ...] = ()
    """What was lost on the way, e.g. "3 of 10 pages hold no text (scanned?)"."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of one document, small enough for the embedder's window."""

    ordinal: int
    start: int
    end: int
    text: str
    heading_path: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document in the catalog, without its text."""

    id: int
    uri: str
    name: str
    title: str
    media_type: str
    sha256: str
    size: int
    modified: datetime | None
    ingested: datetime
    groups: frozenset[str]
    chunks: int
    warnings: tuple[str, ...] = ()
    source: str = ""
    """Its name in `configs/sources.yaml`; empty for what was ingested by hand."""
    product: str = ""
    version: str = ""
    labels: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a search is narrowed to: any of the values of a key, and all the keys given."""

    sources: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    """Compared without regard to case."""
    versions: tuple[str, ...] = ()
    """"4.16" stands for 4.16.3, too."""
    labels: tuple[str, ...] = ()
    modified_after: datetime | None = None
    """Inclusive; a document without a date never matches."""
    modified_before: datetime | None = None
    """Exclusive."""

    def __bool__(self) -> bool:
        return self != Filters()


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found for a question. Scores are comparable within one search only."""

    chunk_id: int
    document_id: int
    uri: str
    title: str
    heading_path: tuple[str, ...]
    page: int | None
    start: int
    end: int
    text: str
    score: float
    """Fused score, higher is better."""
    dense: float | None = None
    """Cosine similarity to the question, where the dense leg looked at this passage."""
    lexical: float | None = None
    """BM25 (positive, higher is better), where the full-text leg found this passage."""
    product: str = ""
    version: str = ""
    modified: datetime | None = None
    """Of the document at its source; for live facts the time at which they were seen."""
    url: str = ""
    """Where a reader opens the document; empty where that is its URI."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation, in the generator's terms."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw tokens. `temperature` 0 is greedy."""

    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
