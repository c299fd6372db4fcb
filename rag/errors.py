"""Everything that `rag` raises on purpose. A message says what happened and what to type next.

RagError
├── ModelError         a model file is missing, damaged or cannot be fetched
├── SourceError        a document cannot be read from where it lies
├── ParseError         a document was read but holds nothing that can be ingested
├── CatalogError       the SQL catalog cannot be opened or written
│   └── EmbedderChanged  the stored vectors are not, or no longer, of the embedder at hand
├── IndexUnavailable   the vector index cannot be built or searched
├── EvaluationError    labelled questions or a corpus cannot be read
└── GenerationError    the generator failed or is not reachable
    ├── ContextOverflow  the prompt does not fit into the model's context
    └── AdapterError   an adapter is broken, made for another base, or not in service
"""


class RagError(Exception):
    """Base of all errors that a user of `rag` can meet."""


class ModelError(RagError):
    """A model file is missing, damaged or cannot be fetched."""


class SourceError(RagError):
    """A document cannot be read from where it lies."""


class ParseError(RagError):
    """A document was read but holds nothing that can be ingested."""


class CatalogError(RagError):
    """The SQL catalog cannot be opened or written."""


class EmbedderChanged(CatalogError):
    """The stored vectors are not, or no longer, of the embedder at hand."""

    def __init__(self, stored: str, configured: str) -> None:
        super().__init__(
            f"the catalog was embedded with {stored}, the configuration names {configured}: "
            "run `python -m rag reindex` to embed it anew, or restore embedder.model"
        )


class IndexUnavailable(RagError):
    """The vector index cannot be built or searched."""


class EvaluationError(RagError):
    """Labelled questions or a corpus cannot be read."""


class GenerationError(RagError):
    """The generator failed or is not reachable."""


class ContextOverflow(GenerationError):
    """The prompt does not fit into the model's context."""


class AdapterError(GenerationError):
    """An adapter is broken, made for another base, or not in service."""
