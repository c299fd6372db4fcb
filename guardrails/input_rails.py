"""The actions that input flows may execute, from their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from guardrails.config import GuardrailsConfig
from guardrails.detectors.gibberish import GibberishLimits, check_gibberish
from guardrails.detectors.harm import HarmLimits, check_harm
from guardrails.detectors.headings import harmless
from guardrails.detectors.injection import InjectionLimits, check_injection, windows
from guardrails.detectors.likeness import Examples, Likeness, embedded, fit, joined
from guardrails.detectors.patterns import load_phrases
from guardrails.detectors.personal import KINDS, check_question, find_personal
from guardrails.detectors.size import SizeLimits, check_size
from guardrails.detectors.topics import TopicLimits, Topics, check_topics
from guardrails.errors import RailsConfigError
from guardrails.examples import (
    AS_THEY_ARE,
    Instead,
    by_category,
    check_contradictions,
    read_examples,
    read_folder,
    remembered,
)
from guardrails.schema import Context, Detector, Embed, Surprise, Verdict
from guardrails.seed_vectors import SeedVectors


def input_detectors(
    config: GuardrailsConfig,
    embed: Embed,
    honest: Sequence[str] = (),
    instead: Instead = AS_THEY_ARE,
    surprise: Surprise | None = None,
    kept: Path | None = None,
) -> dict[str, Detector]:
    """By the name that a flow executes. Raises RailsConfigError for a file that is unusable.

    `honest`: headings of the site's documents, of which those that are harmless become examples.
    `kept`: a file that keeps the examples' embeddings for the next start.
    """
    seeds = SeedVectors(embed, kept)
    attack, benign = _injection_examples(config, seeds, instead)
    harms, harmless_ones = _harm_examples(config, seeds, instead)
    benign_for_harm = joined([harmless_ones, benign])
    harmful = joined(list(harms.values()))
    injection, harm = fit(attack, benign), fit(harmful, benign_for_harm)
    headings = harmless(honest, (injection, harm), seeds)
    if headings is not None:
        injection = fit(attack, joined([benign, headings]))
        harm = fit(harmful, joined([benign_for_harm, headings]))
    embed = remembered(embed)  # one pass of the embedder serves three rails
    topics = _topics(config, seeds, embed, instead)
    seeds.keep()
    return {
        "check_size": _size(config),
        "check_personal_question": _personal(config),
        "check_harm": _harm(config, harm, harms, embed),
        "check_topics": topics,
        "check_injection": _injection(config, injection, embed, surprise),
    }


def _size(config: GuardrailsConfig) -> Detector:
    detect = partial(check_size, limits=SizeLimits(**config.input.size.model_dump()))
    return lambda text, context: detect(text)


def _personal(config: GuardrailsConfig) -> Detector:
    section = config.input.personal
    return partial(
        check_question,
        find=partial(find_personal, regions=section.phone_regions),
        actions={kind: getattr(section, kind) for kind in KINDS},
        max_chars=section.max_chars,
    )


def _injection(
    config: GuardrailsConfig, likeness: Likeness, embed: Embed, surprise: Surprise | None
) -> Detector:
    section = config.input.injection
    detect = partial(
        check_injection,
        likeness=likeness,
        embed=embed,
        limits=InjectionLimits(section.margin, section.max_chars, section.max_windows),
        extra=load_phrases(config.rails_dir / section.phrases),
    )
    limits = GibberishLimits(section.surprise, section.max_chars)

    def check(text: str, context: Context) -> Verdict:
        # One action for both: each further flow costs NeMo more than the signs of gibberish do.
        verdict = detect(text)
        if not verdict.allowed or not section.gibberish:
            return verdict
        soup = check_gibberish(text, surprise=surprise, limits=limits)
        return verdict if soup.allowed else soup

    return check


def _injection_examples(
    config: GuardrailsConfig, embed: Embed, instead: Instead
) -> tuple[Examples, Examples]:
    """Attacks and honest texts: the site's file and the folder of each."""
    section, folder = config.input.injection, config.rails_dir
    sides = [
        {
            folder / file: read_examples(folder / file, instead),
            **read_folder(folder / more, instead),
        }
        for file, more in (
            (section.attack_seeds, section.more_attacks),
            (section.benign_seeds, section.more_benign),
        )
    ]
    check_contradictions(*sides)
    attack, benign = (
        embedded([piece for text in texts for piece in windows(text, section.max_windows)], embed)
        for texts in (chain.from_iterable(side.values()) for side in sides)
    )
    return attack, benign


def _harm(
    config: GuardrailsConfig, likeness: Likeness, categories: Mapping[str, Examples], embed: Embed
) -> Detector:
    section = config.input.harm
    detect = partial(
        check_harm,
        likeness=likeness,
        categories={name: known.vectors for name, known in categories.items()},
        embed=embed,
        limits=HarmLimits(section.margin, section.max_windows),
    )
    return lambda text, context: detect(text)


def _harm_examples(
    config: GuardrailsConfig, embed: Embed, instead: Instead
) -> tuple[dict[str, Examples], Examples]:
    folder = config.rails_dir / config.input.harm.examples
    return by_category(folder, embed, "guardrails.input.harm.examples", instead)


def _topics(config: GuardrailsConfig, seeds: Embed, embed: Embed, instead: Instead) -> Detector:
    section = config.input.topics
    folder = config.rails_dir / section.folder
    sides = (folder / side for side in ("forbidden", "allowed"))
    forbidden, allowed = (read_folder(side, instead) for side in sides)
    check_contradictions(forbidden, allowed)
    if section.only_allowed and not allowed:
        raise RailsConfigError(
            f"guardrails.input.topics.only_allowed is set, but {folder / 'allowed'} holds no "
            "topic; write <topic>.txt with a few examples there"
        )
    benign = config.rails_dir / config.input.injection.benign_seeds
    detect = partial(
        check_topics,
        topics=Topics(
            forbidden={path.stem: seeds(texts) for path, texts in forbidden.items()},
            allowed={path.stem: seeds(texts) for path, texts in allowed.items()},
            benign=seeds(read_examples(benign, instead)),
        ),
        embed=embed,
        limits=TopicLimits(
            section.margin,
            section.least,
            section.neighbours,
            section.only_allowed,
            section.max_windows,
        ),
    )
    return lambda text, context: detect(text)
