"""Settings of the rails that look at an answer for leaks, links, commands and broken output."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class _Bounded(BaseModel):
    """What these sections share; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_chars: int = Field(
        20_000, ge=1_000, le=500_000, description="A longer answer text is blocked unread."
    )


class LeaksConfig(_Bounded):
    """Rail `check leaks`: the canary, and parts of the application's instructions."""

    canary: bool = Field(
        True,
        description="Put a random token, new at each start, into the instructions: where it turns "
        "up in an answer, they leaked. Takes about 25 tokens of the prompt.",
    )
    run_words: int = Field(
        8,
        ge=4,
        le=50,
        description="Block an answer that repeats this many words of the instructions in a row.",
    )


class LinksConfig(_Bounded):
    """Rail `check links`: links that no passage holds, markup that loads or runs something."""


class CommandsConfig(_Bounded):
    """Rail `check commands`: dangerous commands and injected queries that no passage holds."""


class BrokenConfig(_Bounded):
    """Rail `check broken output`: loops, garbage, another language than the passages'."""

    repeats: int = Field(
        5, ge=3, le=100, description="How often the same words in a row make a loop."
    )
    repeated_words: int = Field(
        20, ge=8, le=1_000, description="Least words that a loop must fill, all repeats together."
    )
    foreign_letters: int = Field(
        6,
        ge=1,
        le=1_000,
        description="Block from this many letters of a script that neither question nor passages "
        "use; Greek, common in formulas, from three times as many.",
    )
    foreign_words: int = Field(
        4,
        ge=2,
        le=100,
        description="Block from this many small words (the, der, les) of a language that neither "
        "question nor passages use.",
    )


class ToxicConfig(_Bounded):
    """Rail `check toxic answer`: sentences that insult, threaten, harass or hate."""

    margin: float = Field(
        0.3,
        ge=-1,
        le=1,
        description="Block what scores above this on a scale from -1, like the honest examples, "
        "to 1, like the toxic ones.",
    )
    examples: Path = Field(
        Path("toxic"),
        description="Folder below rails_dir: one file of examples for each category, and "
        "benign.txt with honest sentences that sound alike.",
    )
