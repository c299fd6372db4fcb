"""What a search or a question can be narrowed to, as clients write it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from rag.schema import Filters
from serve.schema_base import Strict, Text


def _aware(moment: datetime) -> datetime:
    """A time without a zone is taken as UTC."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies beyond the years 1 to 9999 in UTC") from None


# JSON has no type for times: they come as text.
Moment = Annotated[datetime, Field(strict=False), AfterValidator(_aware)]
Values = Annotated[list[Text], Field(max_length=50)]


class FiltersIn(Strict):
    """Any of the values of a key, and all the keys given."""

    sources: Values = Field(
        default_factory=list,
        description="Names of `configs/sources.yaml`; an empty one is what was added by hand.",
        examples=[["wiki"]],
    )
    products: Values = Field(
        default_factory=list, description="Without regard to case.", examples=[["vSphere"]]
    )
    versions: Values = Field(
        default_factory=list, description="`8.0` stands for 8.0.2, too.", examples=[["8.0"]]
    )
    labels: Values = Field(default_factory=list, examples=[["runbook"]])
    modified_after: Moment | None = Field(
        None, description="Changed at the source then or later.", examples=["2026-01-01T00:00:00Z"]
    )
    modified_before: Moment | None = Field(
        None, description="Changed at the source before then.", examples=["2026-07-01T00:00:00Z"]
    )

    def filters(self) -> Filters:
        return Filters(
            sources=tuple(self.sources),
            products=tuple(self.products),
            versions=tuple(self.versions),
            labels=tuple(self.labels),
            modified_after=self.modified_after,
            modified_before=self.modified_before,
        )


class VsageIn(Strict):
    """What vSage's own clients may add to OpenAI's request."""

    filters: FiltersIn | None = Field(
        None, description="Answer from documents that pass these alone."
    )
