"""The actions that output flows may execute, from their settings."""

from __future__ import annotations

from functools import partial

from guardrails.config import GuardrailsConfig
from guardrails.detectors.evidence import EvidenceCache
from guardrails.detectors.grounded import GroundedLimits, check_grounded
from guardrails.detectors.personal import KINDS, check_answer, find_personal
from guardrails.schema import Detector, Embed


def output_detectors(config: GuardrailsConfig, embed: Embed) -> dict[str, Detector]:
    """By the name that a flow executes."""
    return {
        "check_personal_answer": _personal(config),
        "check_grounded": _grounded(config, embed),
    }


def _personal(config: GuardrailsConfig) -> Detector:
    section = config.output.personal
    return partial(
        check_answer,
        find=partial(find_personal, regions=section.phone_regions),
        actions={kind: getattr(section, kind) for kind in KINDS},
        max_chars=section.max_chars,
    )


def _grounded(config: GuardrailsConfig, embed: Embed) -> Detector:
    section = config.output.grounded
    return partial(
        check_grounded,
        cache=EvidenceCache(section.cache_sentences),
        embed=embed,
        limits=GroundedLimits(
            threshold=section.threshold,
            similarity_weight=section.similarity_weight,
            check_facts=section.check_facts,
            candidates=section.candidates,
            max_chars=section.max_chars,
        ),
    )
