"""The actions that input flows may execute, from their settings."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from guardrails.config import GuardrailsConfig
from guardrails.detectors.canonical import canonical, flat
from guardrails.detectors.injection import InjectionLimits, check_injection
from guardrails.detectors.neighbours import Seeds, embed_seeds
from guardrails.detectors.patterns import load_phrases, read_lines
from guardrails.detectors.personal import KINDS, check_question, find_personal
from guardrails.errors import RailsConfigError
from guardrails.schema import Detector, Embed


def input_detectors(config: GuardrailsConfig, embed: Embed) -> dict[str, Detector]:
    """By the name that a flow executes. Raises RailsConfigError for a file that is unusable."""
    return {
        "check_personal_question": _personal(config),
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
    attack, benign = (
        _seed_lines(config.rails_dir / path)
        for path in (section.attack_seeds, section.benign_seeds)
    )
    return embed_seeds(attack, benign, embed)


def _seed_lines(path: Path) -> list[str]:
    lines = [flat(canonical(line)) for line in read_lines(path)]
    if not lines:
        raise RailsConfigError(f"{path} holds no examples; write at least one, one a line")
    return lines
