"""The actions that output flows may execute, from their settings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from guardrails.config import GuardrailsConfig
from guardrails.detectors.broken import BrokenLimits, check_broken
from guardrails.detectors.commands import check_commands
from guardrails.detectors.evidence import EvidenceCache
from guardrails.detectors.grounded import check_grounded
from guardrails.detectors.leaks import check_leaks, prepare
from guardrails.detectors.likeness import fit, joined
from guardrails.detectors.links import check_links
from guardrails.detectors.personal import KINDS, check_answer, find_personal
from guardrails.detectors.support import GroundedLimits
from guardrails.detectors.toxic import ToxicLimits, check_toxic
from guardrails.examples import by_category
from guardrails.schema import COMBINED, Context, Detector, Embed, Secrets, Verdict
from guardrails.seed_vectors import SeedVectors


def output_detectors(
    config: GuardrailsConfig, embed: Embed, secrets: Secrets, kept: Path | None = None
) -> dict[str, Detector]:
    """By the name that a flow executes. `check_output` is the four after it in one action.

    `kept`: a file that keeps the examples' embeddings. Raises RailsConfigError for a file of
    examples that is unusable.
    """
    output = config.output
    cache = EvidenceCache(output.grounded.cache_sentences)  # a sentence is embedded once for both
    quick: dict[str, Detector] = {
        "check_leaks": partial(
            check_leaks,
            known=prepare(secrets.canary, secrets.instructions, output.leaks.run_words),
            max_chars=output.leaks.max_chars,
        ),
        "check_broken_output": partial(
            check_broken, limits=BrokenLimits(**output.broken.model_dump())
        ),
        "check_links": partial(check_links, max_chars=output.links.max_chars),
        "check_commands": partial(check_commands, max_chars=output.commands.max_chars),
    }
    return {
        COMBINED: partial(_first_block, detectors=tuple(quick.values())),
        **quick,
        "check_personal_answer": _personal(config),
        "check_toxic_answer": _toxic(config, embed, cache, kept),
        "check_grounded": _grounded(config, embed, cache),
    }


def _first_block(text: str, context: Context, *, detectors: Sequence[Detector]) -> Verdict:
    """One action for several detectors: NeMo takes longer to start an action than they run."""
    verdict = Verdict(True, "", "", text)
    for detector in detectors:
        verdict = detector(text, context)
        if not verdict.allowed:
            break
    return verdict


def _personal(config: GuardrailsConfig) -> Detector:
    section = config.output.personal
    return partial(
        check_answer,
        find=partial(find_personal, regions=section.phone_regions),
        actions={kind: getattr(section, kind) for kind in KINDS},
        max_chars=section.max_chars,
    )


def _toxic(
    config: GuardrailsConfig, embed: Embed, cache: EvidenceCache, kept: Path | None
) -> Detector:
    section = config.output.toxic
    seeds = SeedVectors(embed, kept)
    folder = config.rails_dir / section.examples
    toxic, benign = by_category(folder, seeds, "guardrails.output.toxic.examples")
    seeds.keep()
    return partial(
        check_toxic,
        likeness=fit(joined(list(toxic.values())), benign),
        categories={name: known.vectors for name, known in toxic.items()},
        cache=cache,
        embed=embed,
        limits=ToxicLimits(section.margin, section.max_chars),
    )


def _grounded(config: GuardrailsConfig, embed: Embed, cache: EvidenceCache) -> Detector:
    section = config.output.grounded
    return partial(
        check_grounded,
        cache=cache,
        embed=embed,
        limits=GroundedLimits(
            threshold=section.threshold,
            similarity_weight=section.similarity_weight,
            check_facts=section.check_facts,
            candidates=section.candidates,
            max_chars=section.max_chars,
        ),
    )
