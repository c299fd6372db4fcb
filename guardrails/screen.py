"""The retrieval rails for many passages at once: at ingest, and when the rules have changed.

A flow that is written like those of `configs/guardrails/retrieval.co` says no more than "ask this
detector": it is asked directly, which takes a fifth of the time. Flows of any other form run in
NeMo, in an engine of their own, so that they disturb no question.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from guardrails.config import GuardrailsConfig
from guardrails.errors import RailsConfigError
from guardrails.nemo import NemoRails
from guardrails.plain_flows import Step, failure
from guardrails.retrieval_rails import retrieval_detectors
from guardrails.schema import Context, Embed, Generate, Verdict

_NOTHING = Context()
_AT_ONCE = 16
_HERE = Path(__file__).parent
_DECIDING = (
    *("screen.py", "nemo.py", "nemo_folder.py", "plain_flows.py", "retrieval_rails.py"),
    *(f"detectors/{name}.py" for name in ("canonical", "hidden", "hidden_patterns")),
    *(f"detectors/{name}.py" for name in ("hidden_encodings", "hidden_orders", "hidden_tasks")),
    *(f"detectors/{name}.py" for name in ("hidden_languages", "injection_patterns", "patterns")),
    *(f"detectors/{name}.py" for name in ("direct_encodings", "hidden_rules", "hidden_signs")),
    *(f"detectors/{name}.py" for name in ("hidden_words", "hidden_reader", "hidden_asker")),
    *(f"detectors/{name}.py" for name in ("hidden_answers", "hidden_manner", "hidden_errands")),
    *(f"detectors/{name}.py" for name in ("hidden_revolt", "hidden_secrecy", "hidden_sending")),
    *(f"detectors/{name}.py" for name in ("hidden_duty", "hidden_roles", "hidden_acting")),
)
"""Modules whose text is part of the rules: nobody has to think of raising a version."""


class Screen:
    """Texts -> verdicts. May be shared between threads; call it outside an event loop."""

    def __init__(
        self,
        config: GuardrailsConfig,
        nemo: NemoRails,
        open_nemo: Callable[[], NemoRails],
    ) -> None:
        self.rules = fingerprint(config, nemo)
        """What a verdict depends on, beside the text. Not: models that a site's flow asks."""
        self._open_nemo = open_nemo
        self._own: NemoRails | None = None
        self._lock = threading.Lock()
        self._steps = nemo.plain["retrieval"]

    def __call__(self, texts: Sequence[str]) -> list[Verdict]:
        """Never raises for what a text holds: a rail that fails blocks with category `error`."""
        if self._steps is not None:
            return [self._ask_detectors(self._steps, text) for text in texts]
        with self._lock:
            self._own = self._own or self._open_nemo()
            return asyncio.run(_ask_nemo(self._own, texts))

    def _ask_detectors(self, steps: Sequence[Step], text: str) -> Verdict:
        if not text.strip():
            return Verdict(True, "", "nothing to read", text)
        passed, score = text, 0.0
        for step in steps:
            try:
                verdict = step.detector(passed, _NOTHING)
            except Exception as error:  # whatever a detector trips over must end in a block
                return failure(step.flow, text, error)
            if not verdict.allowed:
                reason, category = verdict.reason or "blocked", verdict.category
                return Verdict(False, step.flow, reason, passed, category, verdict.score)
            passed, score = verdict.text if step.rewrites else passed, verdict.score
        return Verdict(True, steps[-1].flow if steps else "", "", passed, score=score)


def open_screen(
    config: GuardrailsConfig, *, embed: Embed, generate: Generate | None = None
) -> Screen | None:
    """The retrieval rails alone, without the examples of the others: opened in half a second.

    None where rails are off. Raises RailsConfigError.
    """
    if not config.enabled:
        return None
    check_folder(config)
    detectors = retrieval_detectors(config)
    limits = {name: config.time_limits.get(name, config.time_limit) for name in detectors}
    open_nemo = partial(
        NemoRails,
        config.rails_dir,
        detectors,
        embed,
        generate,
        limits,
        config.check_seconds,
        [("retrieval",)],
    )
    return Screen(config, open_nemo(), open_nemo)


def check_folder(config: GuardrailsConfig) -> None:
    """Raise RailsConfigError where there is no rails folder."""
    if not config.rails_dir.is_dir():
        raise RailsConfigError(
            f"{config.rails_dir} is no folder; set guardrails.rails_dir to the folder with NeMo's "
            "config.yml (the repository's is configs/guardrails)"
        )


def fingerprint(config: GuardrailsConfig, nemo: NemoRails) -> str:
    """Of everything in code, settings and rails folder that decides about a passage."""
    written: Any = yaml.safe_load((config.rails_dir / "config.yml").read_text(encoding="utf-8"))
    rails = {k: v for k, v in written["rails"].items() if k not in {"input", "output"}}
    files = [config.rails_dir / config.retrieval.hidden.phrases]
    files += sorted(config.rails_dir.rglob("*.py"))  # a site's own actions
    files += [_HERE / name for name in _DECIDING]
    parts = [
        version("nemoguardrails"),
        config.retrieval.model_dump_json(),
        json.dumps([{**written, "rails": rails}, nemo.retrieval_rules()], default=str),
        *(hashlib.sha256(path.read_bytes()).hexdigest() for path in files),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


async def _ask_nemo(nemo: NemoRails, texts: Sequence[str]) -> list[Verdict]:
    """A few at a time: flows that wait for a model wait side by side."""
    found: list[Verdict] = []
    for start in range(0, len(texts), _AT_ONCE):
        some = texts[start : start + _AT_ONCE]
        asked = (nemo.check("retrieval", text, _NOTHING) for text in some)
        found += await asyncio.gather(*asked)
    return found
