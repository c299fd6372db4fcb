"""Open the rails once, then ask them about every text: `await rails.check(direction, text)`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from guardrails.config import GuardrailsConfig, TimeLimit
from guardrails.detectors.evidence import Recent, digest
from guardrails.errors import RailsConfigError
from guardrails.examples import AS_THEY_ARE, Instead
from guardrails.input_rails import input_detectors
from guardrails.nemo import NemoRails
from guardrails.output_rails import output_detectors
from guardrails.retrieval_rails import retrieval_detectors
from guardrails.schema import (
    Context,
    Direction,
    Embed,
    Generate,
    Observe,
    Secrets,
    Surprise,
    Verdict,
)
from guardrails.screen import Screen, check_folder

__all__ = ["Context", "Direction", "Rails", "Verdict", "open_rails"]

NOTHING = Context()
NO_SECRETS = Secrets()


def open_rails(
    config: GuardrailsConfig,
    *,
    embed: Embed,
    generate: Generate | None = None,
    secrets: Secrets = NO_SECRETS,
    observe: Observe | None = None,
    honest: Sequence[str] = (),
    instead: Instead = AS_THEY_ARE,
    surprise: Surprise | None = None,
    kept: Path | None = None,
) -> Rails:
    """Read the rails folder, embed its seeds, start NeMo. Raises RailsConfigError.

    `honest` holds headings of the site's own documents; those that no rail has anything against
    become examples of honest texts. Without `surprise` the cheap signs of gibberish decide alone.
    `kept` is a file for the examples' embeddings: with it only the first start, or the first after
    a change, spends ten seconds and more on them; the others take about three, most of it NeMo's
    import. Nothing here or later uses the network, unless a site's own flow does.
    """
    if not config.enabled:
        return Rails(config, None, observe=observe)
    check_folder(config)
    retrieval = retrieval_detectors(config)
    honest = [text for text in honest if all(d(text, NOTHING).allowed for d in retrieval.values())]
    detectors = {
        **input_detectors(config, embed, honest, instead, surprise, kept),
        **retrieval,
        **output_detectors(config, embed, secrets, kept),
    }
    limits = _limits(config, detectors)
    open_nemo = partial(
        NemoRails, config.rails_dir, detectors, embed, generate, limits, config.check_seconds
    )
    nemo = open_nemo()
    return Rails(config, nemo, Screen(config, nemo, open_nemo), observe)


def _limits(config: GuardrailsConfig, detectors: Iterable[str]) -> dict[str, TimeLimit]:
    """How long each action may take."""
    known = set(detectors)
    unknown = sorted(config.time_limits.keys() - known)
    if unknown:
        raise RailsConfigError(
            f"guardrails.time_limits names {', '.join(unknown)}; the actions that can be limited "
            f"one by one are {', '.join(sorted(known))} (check_seconds holds for all others)"
        )
    return {name: config.time_limits.get(name, config.time_limit) for name in known}


class Rails:
    """Opened rails. Safe to share between requests of one event loop."""

    def __init__(
        self,
        config: GuardrailsConfig,
        nemo: NemoRails | None,
        screen: Screen | None = None,
        observe: Observe | None = None,
    ) -> None:
        self.screen = screen
        """Judges many passages at once, outside any event loop; None where rails are off."""
        self._nemo = nemo
        self._observe = observe
        self._max_history = config.input.max_history
        self._verdicts: Recent[bytes, Verdict] = Recent(config.cache_verdicts)

    async def check(
        self, direction: Direction, text: str, context: Context | None = None
    ) -> Verdict:
        """Judge one text; for `input` the earlier turns in `context.history` as well.

        Never raises for what the text holds: a rail that fails blocks with category `error`.
        """
        start = time.perf_counter()
        verdict = await self._check(direction, text, context or NOTHING)
        if self._observe is not None:
            self._observe(direction, verdict, time.perf_counter() - start)
        return verdict

    async def _check(self, direction: Direction, text: str, known: Context) -> Verdict:
        if self._nemo is None:
            return Verdict(True, "", "rails are switched off", text)
        if direction != "input":
            return await self._judge(direction, text, known)
        if len(known.history) > self._max_history:
            reason = f"more than {self._max_history} earlier turns"
            return Verdict(False, "input rails", reason, text, "too_long", 1.0)
        alone = replace(known, history=(), earlier=known.earlier or known.history)
        verdict = await self._judge(direction, text, alone)
        if not verdict.allowed:
            return verdict
        for turn in known.history:
            earlier = await self._judge(direction, turn, NOTHING)
            if not earlier.allowed:
                reason = f"an earlier turn: {earlier.reason}"
                return replace(earlier, text=verdict.text, reason=reason)
        return verdict

    async def _judge(self, direction: Direction, text: str, context: Context) -> Verdict:
        """One text, from the cache where it was judged before."""
        if self._nemo is None or not text.strip():
            return Verdict(True, "", "nothing to read", text)
        passages = str(len(context.passages))  # so that no earlier text is taken for a passage
        alone = digest(direction, text, context.question, passages, *context.passages)
        within = digest(alone.hex(), *context.earlier)
        found = self._verdicts.get(alone) or self._verdicts.get(within)
        if found is not None:
            return found
        verdict = await self._nemo.check(direction, text, context)
        if verdict.category not in {"error", "timeout"}:
            # What is unchanged and is no answer was judged without a look at earlier texts.
            lone = direction == "input" and verdict.text == text
            self._verdicts.put(alone if lone else within, verdict)
        return verdict
