"""Options of the command line that narrow a search, and the filters that they make."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from rag.schema import Filters


def moment(text: str) -> datetime:
    """An ISO date or time, in UTC unless it names its zone. Raises typer.BadParameter."""
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"'{text}' is no date: write 2026-03-31 or 2026-03-31T17:00+02:00"
        ) from None


SourceOption = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="NAME", help="Of this source; '' is what came by hand."),
]
ProductOption = Annotated[
    list[str] | None, typer.Option("--product", metavar="NAME", help="Of this product.")
]
VersionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--version", metavar="VERSION", help="Of this version: 8.0 stands for 8.0.2, too."
    ),
]
LabelOption = Annotated[
    list[str] | None, typer.Option("--label", metavar="LABEL", help="With this label.")
]
AfterOption = Annotated[
    datetime | None,
    typer.Option("--after", metavar="DATE", parser=moment, help="Changed then or later."),
]
BeforeOption = Annotated[
    datetime | None,
    typer.Option("--before", metavar="DATE", parser=moment, help="Changed before then."),
]


def to_filters(
    sources: Sequence[str] | None,
    products: Sequence[str] | None,
    versions: Sequence[str] | None,
    labels: Sequence[str] | None,
    after: datetime | None,
    before: datetime | None,
) -> Filters:
    """What an option names several times is any of it; several options have to hold together."""
    return Filters(
        sources=tuple(sources or ()),
        products=tuple(products or ()),
        versions=tuple(versions or ()),
        labels=tuple(labels or ()),
        modified_after=after,
        modified_before=before,
    )
