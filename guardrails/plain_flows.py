"""Flows that say no more than "ask this detector, stop if it blocks": run without NeMo.

NeMo takes 5 ms and more to run such a flow, the detectors one or two. What a flow of this form
does is known from its text, so the detector is asked directly; a test compares both ways. As soon
as a direction names a flow of any other form, all its flows run in NeMo.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from guardrails.config import TimeLimit
from guardrails.schema import COMBINED, Context, Detector, Verdict

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """One flow and the detector that it asks."""

    flow: str
    action: str
    detector: Detector
    limit: TimeLimit
    rewrites: bool
    """Whether the flow goes on with the detector's text."""


async def run_steps(steps: Sequence[Step], text: str, context: Context) -> Verdict:
    """One after the other, each on the text that the one before it left; the first block ends."""
    passed = text
    last, rewriting, late = Verdict(True, "", "", text), None, None
    for step in steps:
        found = await ask(step.action, step.detector, step.limit, passed, context)
        if not found.allowed:
            named = step.action == COMBINED and found.category not in {"error", "timeout"}
            rail = found.rail if named else step.flow
            reason = found.reason or "blocked"
            return Verdict(False, rail, reason, passed, found.category, found.score)
        if found.category == "timeout":
            late = step.flow, found
        elif step.rewrites and found.text != passed:
            rewriting, passed = (step.flow, found), found.text
        last = Verdict(True, step.flow, "", passed, score=found.score)
    if late is not None:
        flow, found = late
        return Verdict(True, flow, found.reason, passed, "timeout")
    if rewriting is not None:
        flow, found = rewriting
        return Verdict(True, flow, found.reason, passed, found.category, found.score)
    return last


async def ask(
    name: str, detector: Detector, limit: TimeLimit, text: str, context: Context
) -> Verdict:
    """One detector within its time limit. Never raises: what fails blocks, category `error`."""
    try:
        # CPU-bound: in a thread, so that other requests go on meanwhile.
        async with asyncio.timeout(limit.seconds):
            return await asyncio.to_thread(detector, text, context)
    except TimeoutError:  # the thread goes on to its end: a detector cannot be broken off
        log.warning("%s took longer than %g s: %s", name, limit.seconds, limit.then)
        reason = f"not judged within {limit.seconds:g} s"
        return Verdict(limit.then == "allow", name, reason, text, "timeout", 1.0)
    except Exception as error:  # any error of any detector must end in a block
        return failure(name, text, error)


def failure(rail: str, text: str, error: Exception) -> Verdict:
    """Block, and log where it failed; not the message, which may quote the user."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
    log.error("%s failed: %s at %s", rail, type(error).__name__, place)
    return Verdict(False, rail, f"rail failed ({type(error).__name__})", text, "error")
