"""What every source in `configs/sources.yaml` can be told; each kind adds keys of its own."""

from __future__ import annotations

from pydantic import Field, field_validator

from rag.config import Section
from rag.schema import Metadata


class SourceSection(Section):
    """Keys that every kind of source takes."""

    groups: tuple[str, ...] | None = None
    """Who may read these documents, where the source itself does not say; unset: ingest.groups."""
    product: str = ""
    version: str = ""
    labels: tuple[str, ...] = ()

    @field_validator("groups")
    @classmethod
    def _not_empty(cls, groups: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if groups is not None and not groups:
            raise ValueError("an empty list would hide the documents from everybody: name a group")
        return groups

    @property
    def readers(self) -> frozenset[str] | None:
        return None if self.groups is None else frozenset(self.groups)

    def metadata(
        self, *, version: str = "", product: str = "", labels: tuple[str, ...] = (), url: str = ""
    ) -> Metadata:
        """What a document says of itself goes before what the configuration says of them all."""
        every = tuple(dict.fromkeys((*self.labels, *labels)))
        return Metadata(product or self.product, version or self.version, every, url)


class HttpSection(SourceSection):
    """Keys of every source that is reached over HTTP."""

    requests_per_second: float = Field(5.0, gt=0, le=1000)
    """Never asked more often than this, however fast the server answers."""
    timeout_s: float = Field(30.0, gt=0, le=600)
    """Longest silence of the server in one request."""
    tries: int = Field(4, ge=1, le=10)
    """Requests in all, where the server is overloaded or does not answer; waits double."""
    max_file_mb: int = Field(100, ge=1, le=4096)
    """A longer answer is reported and left out."""
    verify_tls: bool = True
    ca_file: str = ""
    """Certificates of a private authority, PEM; empty: the system's."""
