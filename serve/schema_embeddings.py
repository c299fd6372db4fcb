"""`/v1/embeddings` in OpenAI's shape."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from serve.schema_base import Described, Strict, Text


class EmbeddingRequest(Strict):
    """OpenAI's embedding request; texts alone, no token ids: tokenizers differ."""

    model: Text = Field(
        description="The embedder's name in `/v1/models`.", examples=["vsage-embedding"]
    )
    input: Text | list[Text] = Field(
        description="One text, or a list of them.",
        examples=[["licence token folder", "vMotion with vGPU"]],
    )
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="`base64` is the bytes of little-endian 32-bit floats."
    )
    dimensions: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Accepted where it is what the embedder makes anyway.", examples=[384]
    )
    user: Text | None = Field(None, description="Accepted and ignored.")

    @field_validator("input", mode="before")
    @classmethod
    def _texts(cls, given: Any) -> Any:
        """Say what is wrong in one sentence: a union would complain once for each of its types."""
        if isinstance(given, str):
            return given
        if not isinstance(given, list):
            raise ValueError("must be a text or a list of texts")
        if not given:
            raise ValueError("holds no text")
        for number, item in enumerate(given):
            if isinstance(item, int | list):
                raise ValueError(
                    "arrays of tokens are not taken: send the text itself "
                    "(in LangChain: check_embedding_ctx_length=False)"
                )
            if not isinstance(item, str):
                raise ValueError(f"item {number} is no text")
        return given

    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


class EmbeddingOut(Described):
    object: Literal["embedding"] = "embedding"
    index: int = Field(description="Place of its text in the request, from 0.")
    embedding: list[float] | str = Field(
        description="A vector of unit length.", examples=[[0.0123, -0.0456]]
    )


class EmbeddingUsage(Described):
    prompt_tokens: int = Field(description="Tokens of all texts, as the embedder counts them.")
    total_tokens: int = Field(description="The same.")


class EmbeddingMark(Described):
    """What vSage adds to OpenAI's shape."""

    embedder: str = Field(
        description="Vectors compare only where this is the same: it changes with the embedder.",
        examples=["8c5b2f6d1a90"],
    )
    dimensions: int = Field(description="Numbers in a vector.", examples=[384])


class EmbeddingList(Described):
    object: Literal["list"] = "list"
    data: list[EmbeddingOut]
    model: str
    usage: EmbeddingUsage
    vsage: EmbeddingMark
