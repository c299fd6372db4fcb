"""The actions that input flows may execute, from their settings."""

from __future__ import annotations

from functools import partial

from guardrails.config import GuardrailsConfig
from guardrails.detectors.harm import HarmLimits, HarmSeeds, check_harm
from guardrails.detectors.injection import InjectionLimits, check_injection
from guardrails.detectors.neighbours import Seeds, embed_seeds
from guardrails.detectors.patterns import load_phrases
from guardrails.detectors.personal import KINDS, check_question, find_personal
from guardrails.detectors.topics import TopicLimits, Topics, check_topics
from guardrails.errors import RailsConfigError
from guardrails.examples import check_contradictions, read_examples, read_folder, remembered
from guardrails.schema import Detector, Embed


def input_detectors(config: GuardrailsConfig, embed: Embed) -> dict[str, Detector]:
    """By the name that a flow executes. Raises RailsConfigError for a file that is unusable."""
    embed = remembered(embed)
    return {
        "check_personal_question": _personal(config),
        "check_harm": _harm(config, embed),
        "check_topics": _topics(config, embed),
        "check_injection": _injection(config, embed),
    }


def _personal(config: GuardrailsConfig) -> Detector:
    section = config.input.personal
    return partial(
        check_question,
        find=partial(find_personal, regions=section.phone_regions),
        actions={kind: getattr(section, kind) for kind in KINDS},
        max_chars=section.max_chars,
    )


def _injection(config: GuardrailsConfig, embed: Embed) -> Detector:
    section = config.input.injection
    detect = partial(
        check_injection,
        seeds=_seeds(config, embed),
        embed=embed,
        limits=InjectionLimits(
            margin=section.margin,
            neighbours=section.neighbours,
            max_chars=section.max_chars,
            max_windows=section.max_windows,
        ),
        extra=load_phrases(config.rails_dir / section.phrases),
    )
    return lambda text, context: detect(text)


def _seeds(config: GuardrailsConfig, embed: Embed) -> Seeds:
    section = config.input.injection
    paths = [config.rails_dir / path for path in (section.attack_seeds, section.benign_seeds)]
    attack, benign = (read_examples(path) for path in paths)
    check_contradictions({paths[0]: attack}, {paths[1]: benign})
    return embed_seeds(attack, benign, embed)


def _harm(config: GuardrailsConfig, embed: Embed) -> Detector:
    section = config.input.harm
    folder = config.rails_dir / section.examples
    files = read_folder(folder)
    benign = {path: files.pop(path) for path in list(files) if path.name == "benign.txt"}
    if not files or not benign:
        raise RailsConfigError(
            f"{folder} must hold benign.txt and at least one further file of examples; copy the "
            "repository's configs/guardrails/harm, or correct guardrails.input.harm.examples"
        )
    check_contradictions(files, benign)
    honest = [*read_examples(config.rails_dir / config.input.injection.benign_seeds)]
    harmless = [text for texts in benign.values() for text in texts]
    detect = partial(
        check_harm,
        seeds=HarmSeeds(
            harmful={path.stem.replace("-", "_"): embed(texts) for path, texts in files.items()},
            benign=embed([*harmless, *honest]),
        ),
        embed=embed,
        limits=HarmLimits(section.margin, section.neighbours, section.max_windows),
    )
    return lambda text, context: detect(text)


def _topics(config: GuardrailsConfig, embed: Embed) -> Detector:
    section = config.input.topics
    folder = config.rails_dir / section.folder
    forbidden, allowed = (read_folder(folder / side) for side in ("forbidden", "allowed"))
    check_contradictions(forbidden, allowed)
    if section.only_allowed and not allowed:
        raise RailsConfigError(
            f"guardrails.input.topics.only_allowed is set, but {folder / 'allowed'} holds no "
            "topic; write <topic>.txt with a few examples there"
        )
    detect = partial(
        check_topics,
        topics=Topics(
            forbidden={path.stem: embed(texts) for path, texts in forbidden.items()},
            allowed={path.stem: embed(texts) for path, texts in allowed.items()},
            benign=embed(read_examples(config.rails_dir / config.input.injection.benign_seeds)),
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
