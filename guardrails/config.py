"""Settings of the rails: the `guardrails` section of the configuration file.

Which rails run, and in what order, is written in `rails_dir/config.yml`; here are their knobs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from guardrails.output_config import (
    BrokenConfig,
    CommandsConfig,
    LeaksConfig,
    LinksConfig,
    ToxicConfig,
)
from guardrails.personal_config import PersonalConfig, PersonalOutputConfig
from guardrails.size_config import SizeConfig
from guardrails.topic_config import HarmConfig, TopicsConfig


class Section(BaseModel):
    """A section whose unknown keys are errors, not silently dropped wishes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class InjectionConfig(Section):
    """Rail `check injection`: attempts to override or to extract the instructions."""

    margin: float = Field(
        0.2,
        ge=-1,
        le=1,
        description="Block what scores above this on a scale from -1, like the benign seeds, to 1, "
        "like the attack seeds. Lower catches more and blocks more honest questions.",
    )
    attack_seeds: Path = Field(
        Path("seeds/attack.txt"), description="Example attacks, one a line, below rails_dir."
    )
    benign_seeds: Path = Field(
        Path("seeds/benign.txt"),
        description="Honest questions, one a line, below rails_dir; add your own site's.",
    )
    more_attacks: Path = Field(
        Path("seeds/attacks"),
        description="Folder below rails_dir with further files of attacks (*.txt).",
    )
    more_benign: Path = Field(
        Path("seeds/honest"),
        description="Folder below rails_dir with further files of honest texts (*.txt).",
    )
    phrases: Path = Field(
        Path("phrases/injection.txt"),
        description="Further phrases to block, one a line, below rails_dir; * is up to 4 words.",
    )
    max_chars: int = Field(
        50_000,
        ge=1_000,
        le=500_000,
        description="A longer message is blocked: nothing goes on unexamined.",
    )
    max_windows: int = Field(
        16,
        ge=1,
        le=256,
        description="Most pieces of one long message that are embedded; suspicious ones first.",
    )
    corpus_headings: int = Field(
        256,
        ge=0,
        le=2_000,
        description="Titles and headings of the documents that speak for a question in their "
        "words, read at the server's start: so many of all documents together. 0: none.",
    )
    gibberish: bool = Field(
        True, description="Look for optimised suffixes, too: a soup of word pieces and signs."
    )
    surprise: float = Field(
        8.5,
        ge=4,
        le=20,
        description="Block soup whose tokens surprise `surprise_model` by this many nats each, on "
        "average over 16; up to 3 more where words and signs meet as usual. Lower catches more "
        "and blocks more search words and pasted text.",
    )
    surprise_model: Path = Field(
        Path("models/SmolLM2-135M-Instruct/hf"),
        description="Folder of a Llama model in float32 safetensors, loaded at the first "
        "suspicious message. Without the folder cheap signs alone decide, and block little.",
    )


class HiddenConfig(Section):
    """Rail `check hidden instructions`: text in a document that speaks to the model."""

    phrases: Path = Field(
        Path("phrases/hidden.txt"),
        description="Further phrases to block, one a line, below rails_dir; * is up to 4 words.",
    )
    max_chars: int = Field(
        50_000, ge=1_000, le=500_000, description="A longer passage is blocked unread."
    )


class GroundedConfig(Section):
    """Rail `check grounded`: every sentence of an answer must rest on a retrieved passage."""

    threshold: float = Field(
        0.5, ge=0, le=1, description="Least support (0 to 1) that lets a sentence through."
    )
    similarity_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of embedding similarity in the support; the rest is shared words.",
    )
    check_facts: bool = Field(
        True,
        description="Block a sentence with a number, option or identifier that no passage holds, "
        "or with the opposite sense of the passage.",
    )
    candidates: int = Field(
        3, ge=1, le=64, description="How many passage sentences are compared by embedding."
    )
    cache_sentences: int = Field(
        4096, ge=16, le=1_000_000, description="Passage sentences whose embeddings are kept."
    )
    max_chars: int = Field(
        50_000, ge=1_000, le=500_000, description="A longer answer text is blocked unread."
    )


class TimeLimit(Section):
    """How long one rail may look at one text, and what becomes of the text then."""

    seconds: float = Field(
        10.0,
        ge=0.05,
        le=600,
        description="Many times what a rail needs: a busy machine must not refuse questions.",
    )
    then: Literal["refuse", "allow"] = Field(
        "refuse",
        description="`allow` lets the text through, with category `timeout` in the verdict.",
    )


class InputConfig(Section):
    """Rails on what a user sends."""

    size: SizeConfig = Field(
        default_factory=SizeConfig, description="Too long, repetitive or padded messages."
    )
    injection: InjectionConfig = Field(
        default_factory=InjectionConfig, description="Prompt injection and jailbreaks."
    )
    personal: PersonalConfig = Field(
        default_factory=PersonalConfig, description="Personal data and secrets."
    )
    harm: HarmConfig = Field(
        default_factory=HarmConfig, description="Violence, weapons, hatred, crime, self-harm."
    )
    topics: TopicsConfig = Field(
        default_factory=TopicsConfig, description="Topics that this site forbids or allows."
    )
    max_history: int = Field(
        100,
        ge=0,
        le=10_000,
        description="Most earlier turns that are judged; a longer history is blocked.",
    )


class RetrievalConfig(Section):
    """Rails on what was retrieved."""

    hidden: HiddenConfig = Field(
        default_factory=HiddenConfig, description="Instructions hidden in documents."
    )


class OutputConfig(Section):
    """Rails on what the model says."""

    leaks: LeaksConfig = Field(
        default_factory=LeaksConfig, description="The application's own instructions in an answer."
    )
    broken: BrokenConfig = Field(
        default_factory=BrokenConfig, description="Loops, garbage, another language."
    )
    links: LinksConfig = Field(
        default_factory=LinksConfig, description="Links and markup that no passage holds."
    )
    commands: CommandsConfig = Field(
        default_factory=CommandsConfig, description="Dangerous commands that no passage holds."
    )
    toxic: ToxicConfig = Field(
        default_factory=ToxicConfig, description="Insults, threats, harassment and hatred."
    )
    personal: PersonalOutputConfig = Field(
        default_factory=PersonalOutputConfig,
        description="Personal data and secrets that neither question nor passages hold.",
    )
    grounded: GroundedConfig = Field(
        default_factory=GroundedConfig, description="Sentences without support in the passages."
    )


class GuardrailsConfig(Section):
    """The `guardrails` section."""

    enabled: bool = Field(
        True, description="False lets every text through, unexamined. For experiments only."
    )
    rails_dir: Path = Field(
        Path("configs/guardrails"),
        description="Folder with NeMo's config.yml, the flows (*.co), seeds and phrases.",
    )
    cache_verdicts: int = Field(
        2048,
        ge=0,
        le=1_000_000,
        description="Verdicts kept by hash of text and context, so that history is judged once.",
    )
    time_limit: TimeLimit = Field(
        default_factory=TimeLimit, description="For every rail that has no limit of its own."
    )
    time_limits: dict[str, TimeLimit] = Field(
        default_factory=dict,
        description="By the name of the action that a flow executes, e.g. check_grounded.",
    )
    check_seconds: float = Field(
        60.0,
        ge=0.1,
        le=3600,
        description="For all rails of one direction together, a site's own included; a text that "
        "takes longer is refused.",
    )
    input: InputConfig = Field(default_factory=InputConfig, description="Rails on questions.")
    retrieval: RetrievalConfig = Field(
        default_factory=RetrievalConfig, description="Rails on retrieved passages."
    )
    output: OutputConfig = Field(default_factory=OutputConfig, description="Rails on answers.")
