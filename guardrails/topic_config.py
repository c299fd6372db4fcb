"""Settings of the rails that judge what a question is about: harm, and a site's own topics."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HarmConfig(_Section):
    """Rail `check harm`: requests that aim at hurting people, and thoughts of suicide."""

    margin: float = Field(
        0.05,
        ge=-1,
        le=1,
        description="Block what scores above this on a scale from -1, like the harmless examples, "
        "to 1, like the harmful ones. Lower catches more and blocks more honest questions.",
    )
    examples: Path = Field(
        Path("harm"),
        description="Folder below rails_dir: one file of examples for each category, and "
        "benign.txt with harmless texts that sound alike.",
    )
    help: str = Field(
        "people who listen, in confidence and free of charge, are listed for every country at "
        "findahelpline.com",
        max_length=500,
        description="Whom the reply to thoughts of suicide names. Put your own help line here.",
    )
    max_windows: int = Field(
        16, ge=1, le=256, description="Most pieces of one long message that are embedded."
    )


class TopicsConfig(_Section):
    """Rail `check topics`: topics that a site forbids or allows, each a file of examples."""

    folder: Path = Field(
        Path("topics"),
        description="Below rails_dir: forbidden/<topic>.txt and allowed/<topic>.txt, one example "
        "a line. No such folder: nothing is forbidden.",
    )
    margin: float = Field(
        0.05,
        ge=-1,
        le=1,
        description="Block when a question is nearer to a forbidden topic than to the allowed ones "
        "and to seeds/benign.txt by more than this, in cosine.",
    )
    least: float = Field(
        0.4,
        ge=-1,
        le=1,
        description="A question belongs to a topic from this cosine to its nearest examples on.",
    )
    neighbours: int = Field(
        2, ge=1, le=50, description="How many nearest examples of a topic are averaged."
    )
    only_allowed: bool = Field(
        False,
        description="Block what belongs to none of the allowed topics. Without it, what the "
        "documents do not answer is told so; that is the better judge of scope.",
    )
    max_windows: int = Field(
        16, ge=1, le=256, description="Most pieces of one long message that are embedded."
    )
