"""Open the rails once, then ask them about every text: `await rails.check(direction, text)`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from guardrails.config import GuardrailsConfig
from guardrails.detectors.canonical import canonical, flat
from guardrails.detectors.evidence import EvidenceCache, Recent, digest
from guardrails.detectors.grounded import GroundedLimits, check_grounded
from guardrails.detectors.hidden import check_hidden
from guardrails.detectors.injection import InjectionLimits, check_injection
from guardrails.detectors.neighbours import Seeds, embed_seeds
from guardrails.detectors.patterns import load_phrases, read_lines
from guardrails.errors import RailsConfigError
from guardrails.nemo import NemoRails
from guardrails.schema import Context, Detector, Direction, Embed, Generate, Verdict

__all__ = ["Context", "Direction", "Rails", "Verdict", "open_rails"]

NOTHING = Context()


def open_rails(
    config: GuardrailsConfig, *, embed: Embed, generate: Generate | None = None
) -> Rails:
    """Read the rails folder, embed its seeds, start NeMo. Raises RailsConfigError.

    Takes about two seconds, most of it NeMo's import. Nothing here or later uses the network,
    unless a site's own flow does.
    """
    if not config.enabled:
        return Rails(config, None)
    if not config.rails_dir.is_dir():
        raise RailsConfigError(
            f"{config.rails_dir} is no folder; set guardrails.rails_dir to the folder with NeMo's "
            "config.yml (the repository's is configs/guardrails)"
        )
    detectors = _detectors(config, embed)
    return Rails(config, NemoRails(config.rails_dir, detectors, embed, generate))


class Rails:
    """Opened rails. Safe to share between requests of one event loop."""

    def __init__(self, config: GuardrailsConfig, nemo: NemoRails | None) -> None:
        self._nemo = nemo
        self._max_history = config.input.max_history
        self._verdicts: Recent[bytes, Verdict] = Recent(config.cache_verdicts)

    async def check(
        self, direction: Direction, text: str, context: Context | None = None
    ) -> Verdict:
        """Judge one text; for `input` the earlier turns in `context.history` as well.

        Never raises for what the text holds: a rail that fails blocks with category `error`.
        """
        known = context or NOTHING
        if self._nemo is None:
            return Verdict(True, "", "rails are switched off", text)
        if direction != "input":
            return await self._judge(direction, text, known)
        if len(known.history) > self._max_history:
            reason = f"more than {self._max_history} earlier turns"
            return Verdict(False, "input rails", reason, text, "too_long", 1.0)
        verdict = await self._judge(direction, text, replace(known, history=()))
        if not verdict.allowed:
            return verdict
        for turn in known.history:
            earlier = await self._judge(direction, turn, NOTHING)
            if not earlier.allowed:
                return replace(earlier, text=text, reason=f"an earlier turn: {earlier.reason}")
        return verdict

    async def _judge(self, direction: Direction, text: str, context: Context) -> Verdict:
        """One text, from the cache where it was judged before."""
        if self._nemo is None or not text.strip():
            return Verdict(True, "", "nothing to read", text)
        key = digest(direction, text, context.question, *context.passages)
        found = self._verdicts.get(key)
        if found is not None:
            return found
        verdict = await self._nemo.check(direction, text, context)
        if verdict.category != "error":
            self._verdicts.put(key, verdict)
        return verdict


def _detectors(config: GuardrailsConfig, embed: Embed) -> dict[str, Detector]:
    """The actions that flows may execute, by name."""
    return {
        "check_injection": _injection(config, embed),
        "check_hidden_instructions": _hidden(config),
        "check_grounded": _grounded(config, embed),
    }


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


def _hidden(config: GuardrailsConfig) -> Detector:
    section = config.retrieval.hidden
    extra = load_phrases(config.rails_dir / section.phrases)
    detect = partial(check_hidden, max_chars=section.max_chars, extra=extra)
    return lambda text, context: detect(text)


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
