"""What the rails say of a text before and after a change of examples, and what stands near it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from guardrails.detectors.injection import RESEMBLES, windows
from guardrails.opening import CheckConfig, CommandError, open_embedder
from guardrails.schema import Embed, Verdict
from guardrails.seed_change import Change
from guardrails.seed_files import HARMLESS, Example, Kind, all_kinds, examples, plain
from guardrails.seed_vectors import SeedVectors
from guardrails.surprise import open_surprise

NEAREST = 3
FAILED = {"error", "timeout"}


@dataclass(frozen=True, slots=True)
class Effect:
    """Verdicts on one text."""

    text: str
    before: Verdict
    after: Verdict
    as_wished: bool
    """Whether its kind gets its way: blocked or let through."""
    hint: str
    """What to do where it does not; else empty."""


def effects(settings: CheckConfig, change: Change, removed: bool = False) -> list[Effect]:
    """Of a change that is not written. Opens the rails twice.

    Raises CommandError, RailsConfigError.
    """
    from guardrails.rails import open_rails

    config, embed = settings.guardrails, _open(settings)
    surprise = open_surprise(config.input.injection)
    before = open_rails(config, embed=embed, kept=settings.seed_vectors, surprise=surprise)
    known = SeedVectors(embed, settings.seed_vectors)  # reads what the first has kept
    instead = {change.kind.path: change.lines()}
    after = open_rails(config, embed=known, instead=instead, surprise=surprise)

    async def judge(text: str) -> Effect:
        verdicts = await before.check("input", text), await after.check("input", text)
        hint = "" if removed else _hint(change.kind, verdicts[1])
        return Effect(text, *verdicts, not hint, hint)

    async def judge_all() -> list[Effect]:
        return [await judge(text) for text in change.texts]

    return asyncio.run(judge_all())


@dataclass(frozen=True, slots=True)
class Judged:
    """A text, what the rails say of it, and the examples nearest to it, by cosine."""

    text: str
    verdict: Verdict
    blocking: tuple[tuple[float, Example], ...]
    honest: tuple[tuple[float, Example], ...]


def judge_texts(settings: CheckConfig, texts: Sequence[str]) -> list[Judged]:
    """As the rails stand. Raises CommandError, RailsConfigError."""
    from guardrails.rails import open_rails

    config, embed = settings.guardrails, _open(settings)
    surprise = open_surprise(config.input.injection)
    rails = open_rails(config, embed=embed, kept=settings.seed_vectors, surprise=surprise)
    known = [one for kind in all_kinds(config) for one in examples(kind)]
    vectors = SeedVectors(embed, settings.seed_vectors)([plain(one.text) for one in known])

    async def judge(text: str) -> Judged:
        verdict = await rails.check("input", text)
        pieces = windows(plain(text), config.input.injection.max_windows)
        cosines = (embed(pieces) @ vectors.T).max(axis=0)
        near = [(float(cosines[i]), known[i]) for i in np.argsort(-cosines)]
        blocking = [pair for pair in near if pair[1].kind.blocks]
        honest = [pair for pair in near if not pair[1].kind.blocks]
        return Judged(text, verdict, tuple(blocking[:NEAREST]), tuple(honest[:NEAREST]))

    async def judge_all() -> list[Judged]:
        return [await judge(text) for text in texts]

    return asyncio.run(judge_all())


def _open(settings: CheckConfig) -> Embed:
    if not settings.guardrails.enabled:
        raise CommandError("guardrails.enabled is false: add guardrails.enabled=true to try a text")
    return open_embedder(settings.embedder)


def _hint(kind: Kind, after: Verdict) -> str:
    """What else it takes until `after` is what the kind is for; empty where it is."""
    if after.category in FAILED:
        return f"{after.rail} failed: {after.reason}"
    if kind.blocks:
        more = "one example is not enough: add two to four other wordings of it"
        return more if after.allowed else ""
    if after.allowed:
        return ""
    if after.category == RESEMBLES:
        return "one example is not enough: add two to four other wordings of it"
    if after.rail == "check harm" and after.category != "self_harm":
        where = "other wordings of it" if kind.name == HARMLESS else f"it to {HARMLESS} as well"
        return f"add {where}"
    if after.rail == "check topics":
        return "add it to topic:allowed/<name>, or remove its like from the forbidden topic"
    return f"no example changes that: {after.rail} blocks by what stands in the text"
