"""The actions that retrieval flows may execute, from their settings."""

from __future__ import annotations

from functools import partial

from guardrails.config import GuardrailsConfig
from guardrails.detectors.hidden import check_hidden
from guardrails.detectors.patterns import load_phrases
from guardrails.schema import Detector


def retrieval_detectors(config: GuardrailsConfig) -> dict[str, Detector]:
    """By the name that a flow executes. Raises RailsConfigError for a file that is unusable."""
    return {"check_hidden_instructions": _hidden(config)}


def _hidden(config: GuardrailsConfig) -> Detector:
    section = config.retrieval.hidden
    extra = load_phrases(config.rails_dir / section.phrases)
    detect = partial(check_hidden, max_chars=section.max_chars, extra=extra)
    return lambda text, context: detect(text)
