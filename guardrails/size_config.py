"""Settings of the rail `check size`: messages that cost more than they ask."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SizeConfig(BaseModel):
    """Rail `check size`: too long, repetitive, padded, or full of control characters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_chars: int = Field(
        50_000,
        ge=100,
        le=2_000_000,
        description="A longer message is blocked before any other rail reads it, earlier turns of "
        "a conversation included. The HTTP API takes no newest question above "
        "server.max_question_chars; max_chars of the other rails are nets for those without this "
        "one.",
    )
    repeats: int = Field(
        20,
        ge=3,
        le=10_000,
        description="How often the same characters, words or lines follow one another to count as "
        "a repetition.",
    )
    repeated_chars: int = Field(
        700,
        ge=50,
        le=1_000_000,
        description="Block when repetitions fill this many characters and most of the message, or "
        "eight times as many anywhere in it. Those without a letter (rules of dashes, rows of "
        "zeros) count an eighth.",
    )
    padding_chars: int = Field(
        200,
        ge=20,
        le=1_000_000,
        description="Block when most of a message, and this many characters of it, are filler: "
        "invisible ones, marks heaped on a letter, or blanks in runs longer than this.",
    )
    control_share: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Block when a larger share of the characters are control characters.",
    )
