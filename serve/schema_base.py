"""What all requests and responses of the HTTP API have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from serve.schema_docs import describe


def _well_formed(text: str) -> str:
    """JSON can spell half a character, which could be neither embedded nor sent back."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds an unpaired surrogate, which is not a character") from None
    return text


Text = Annotated[str, AfterValidator(_well_formed)]


class Described(BaseModel):
    """What goes out; its fields are described in `serve.schema_docs`."""

    model_config = ConfigDict(json_schema_extra=describe)


class Strict(BaseModel):
    """What comes in: no unknown keys, and JSON's own types, so that `true` is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=describe)
