"""What `/v1/models` answers: OpenAI's shape, and what of the adapters is not served."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from serve.schema_base import Described


class ModelOut(Described):
    id: str = Field(examples=["vsage"])
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "vsage"


class LeftOutOut(Described):
    """A promoted adapter that is not served."""

    name: str = Field(examples=["support-v2"])
    reason: str = Field(description="Why it is not served.", examples=["adapter.gguf is missing"])


class AdaptersOut(Described):
    """The state of the adapters."""

    default: str | None = Field(
        description="The adapter that answers where the bare model is named; null: none does.",
        examples=["support-v1"],
    )
    left_out: list[LeftOutOut] = Field(
        description="Promoted adapters that cannot be served. The registry's own file or the "
        "endpoint stands here, too, while it cannot be read.",
        examples=[[{"name": "support-v2", "reason": "adapter.gguf is missing"}]],
    )


class ModelList(Described):
    object: Literal["list"] = "list"
    data: list[ModelOut]
    vsage: AdaptersOut
