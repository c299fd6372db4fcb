"""The only module that drives NeMo Guardrails: detectors become actions, flows decide.

Written against 0.24.1, whose next versions deprecate this engine; that is why nothing else in the
application knows it. What it works around:

- `check_async` names the rail but not category or score, so `generate_async` is asked for its log.
- Retrieval flows are unreachable without a dialogue; they run as input flows of a second engine.
- A history cache that grows with every text; passing an (empty) state keeps it unused.
- Errors of an action are logged with all parameters, i.e. with the user's text.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# Before the import: NeMo reports its use to the vendor unless told not to.
os.environ["NEMO_GUARDRAILS_NO_USAGE_STATS"] = "1"
os.environ["DO_NOT_TRACK"] = "1"

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions.rail_outcome import RailOutcome, TransformTarget
from nemoguardrails.rails.llm.config import Model

from guardrails.config import TimeLimit
from guardrails.errors import RailsConfigError
from guardrails.nemo_folder import (
    check_flows,
    drop_unused_flows,
    plain_flow,
    read_config,
    rules_of,
)
from guardrails.nemo_models import ENGINE, GenerateModel, plug_embed, plug_generate
from guardrails.plain_flows import Step, ask, failure, run_steps
from guardrails.schema import COMBINED, Context, Detector, Direction, Embed, Generate, Verdict

log = logging.getLogger(__name__)

VARIABLE: Mapping[Direction, TransformTarget] = {
    "input": TransformTarget.USER_MESSAGE,
    "retrieval": TransformTarget.RELEVANT_CHUNKS,
    "output": TransformTarget.BOT_MESSAGE,
}
ENGINES: Sequence[tuple[Direction, ...]] = (("input", "output"), ("retrieval",))
"""Directions that share an engine."""
ACTION_LOG = "nemoguardrails.actions.action_dispatcher"


class NemoRails:
    """The flows of one rails folder, ready to judge texts."""

    def __init__(
        self,
        rails_dir: Path,
        detectors: Mapping[str, Detector],
        embed: Embed,
        generate: Generate | None,
        limits: Mapping[str, TimeLimit],
        check_seconds: float,
        engines: Sequence[tuple[Direction, ...]] = ENGINES,
    ) -> None:
        _keep_texts_out_of_logs()
        self._check_seconds = check_seconds
        model = plug_generate(generate)
        token = plug_embed(embed)
        self._flows: dict[Direction, list[str]] = {}
        self._engines: dict[Direction, LLMRails] = {}
        for directions in engines:
            config = read_config(rails_dir)
            self._flows |= {name: list(getattr(config.rails, name).flows) for name in directions}
            _use_own_embedder(config, token)
            if directions == ("retrieval",):
                config.rails.input.flows = config.rails.retrieval.flows
                config.rails.output.flows = []
            engine = _open_engine(config, rails_dir, model() if model else None)
            for name, detector in detectors.items():
                engine.register_action(_action(name, detector, limits[name]), name)
            check_flows(engine, rails_dir)
            drop_unused_flows(engine)
            self._engines |= dict.fromkeys(directions, engine)
        self.plain = {name: self._plain_steps(name, detectors, limits) for name in self._flows}
        """By direction: its flows as steps, None where NeMo has to run them."""

    def _plain_steps(
        self, name: Direction, detectors: Mapping[str, Detector], limits: Mapping[str, TimeLimit]
    ) -> list[Step] | None:
        """The flows of a direction as steps, if it is known without NeMo what each of them does."""
        steps = []
        for flow in self._flows[name]:
            plain = plain_flow(self._engines[name], flow, VARIABLE[name].value)
            if plain is None or plain.action not in detectors:
                return None
            detector, limit = detectors[plain.action], limits[plain.action]
            steps.append(Step(flow, plain.action, detector, limit, plain.rewrites))
        return steps

    def retrieval_rules(self) -> list[Any]:
        """The retrieval flows in their order, with all that they execute."""
        return [self._flows["retrieval"], rules_of(self._engines["retrieval"])]

    async def check(self, direction: Direction, text: str, context: Context) -> Verdict:
        """Run the flows of one direction over one text. Whatever goes wrong blocks the text."""
        flows = self._flows[direction]
        if not flows:
            return Verdict(True, "", "no rails in this direction", text)
        steps = self.plain[direction]
        try:
            async with asyncio.timeout(self._check_seconds):
                if steps is not None:
                    return await run_steps(steps, text, context)
                response = await self._engines[direction].generate_async(
                    messages=_messages(direction, text, context),
                    options={
                        "rails": ["output" if direction == "output" else "input"],
                        "output_vars": [VARIABLE[direction].value],
                        "log": {"activated_rails": True},
                    },
                    state={},
                )
            return _verdict(direction, text, flows, response)
        except TimeoutError:
            reason = f"not judged within {self._check_seconds:g} s"
            return Verdict(False, f"{direction} rails", reason, text, "timeout", 1.0)
        except Exception as error:  # any error of any site's flow must end in a block
            return failure(f"{direction} rails", text, error)


def _open_engine(config: RailsConfig, rails_dir: Path, model: GenerateModel | None) -> LLMRails:
    """NeMo leaves an event loop behind in the thread that opens it, so that is a thread of ours."""

    def build() -> LLMRails:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            return LLMRails(config, llm=model)
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            return pool.submit(build).result()
        except Exception as error:  # NeMo raises bare Exception for a broken config.py and others
            raise RailsConfigError(
                f"{rails_dir}: NeMo Guardrails refuses these rails: {error}; correct config.yml "
                "or the *.co files there"
            ) from error


def _use_own_embedder(config: RailsConfig, token: str) -> None:
    """Without this NeMo would fetch a default model from the network on first use."""
    if not any(model.type == "embeddings" and model.engine != ENGINE for model in config.models):
        config.models = [model for model in config.models if model.type != "embeddings"]
        config.models.append(Model(type="embeddings", engine=ENGINE, model=token))


def _messages(direction: Direction, text: str, context: Context) -> list[dict[str, Any]]:
    """The text in the place where NeMo's flows look for it, the rest as context variables."""
    chunks = text if direction == "retrieval" else "\n\n".join(context.passages)
    variables = {
        "direction": direction,
        "question": context.question,
        "passages": list(context.passages),
        "earlier": list(context.earlier),
        "relevant_chunks": chunks,
    }
    head = {"role": "context", "content": variables}
    if direction == "output":
        said = {"role": "assistant", "content": text}
        return [head, {"role": "user", "content": context.question}, said]
    return [head, {"role": "user", "content": text}]


def _action(name: str, detector: Detector, limit: TimeLimit) -> Any:
    """Wrap a detector as a NeMo action. Takes **kwargs: NeMo passes whatever it has."""

    async def run(text: str, context: dict[str, Any] | None = None, **kwargs: Any) -> RailOutcome:
        known = context or {}
        judged = Context(
            question=known.get("question") or "",
            passages=tuple(known.get("passages") or ()),
            earlier=tuple(known.get("earlier") or ()),
        )
        verdict = await ask(name, detector, limit, text, judged)
        metadata = {"category": verdict.category, "score": verdict.score}
        if not verdict.allowed:
            if name == COMBINED and verdict.category not in {"error", "timeout"}:
                metadata["rail"] = verdict.rail
            return RailOutcome.block(reason=verdict.reason, metadata=metadata)
        if verdict.text != text:
            target = VARIABLE[known.get("direction", "input")]
            rewrites = [(target, verdict.text)]
            return RailOutcome.transform(rewrites, reason=verdict.reason, metadata=metadata)
        reason = verdict.reason if verdict.category == "timeout" else None
        return RailOutcome.allow(reason=reason, metadata=metadata)

    return run


def _verdict(direction: Direction, text: str, flows: Sequence[str], response: Any) -> Verdict:
    """Read NeMo's log. A flow that did not run to its end counts as a block."""
    finished: dict[str, float | None] = {}
    variable = VARIABLE[direction].value
    rewriting: tuple[str, RailOutcome] | None = None
    late: tuple[str, RailOutcome] | None = None
    for rail in response.log.activated_rails:
        returned = [action.return_value for action in rail.executed_actions]
        outcomes = [value for value in returned if isinstance(value, RailOutcome)]
        blocking = next((outcome for outcome in outcomes if outcome.is_blocked), None)
        if blocking is not None:
            so_far = rewriting[1].transform_text.get(variable, text) if rewriting else text
            return _blocked(rail.name, so_far, blocking)
        if rail.stop:
            broken = None in returned
            reason = "an action failed" if broken else "stopped by its flow"
            return Verdict(False, rail.name, reason, text, "error" if broken else "")
        scores = [outcome.metadata.get("score") for outcome in outcomes]
        finished[rail.name] = scores[-1] if scores else None
        late = next(
            ((rail.name, one) for one in outcomes if one.metadata.get("category") == "timeout"),
            late,
        )
        rewriting = next(
            ((rail.name, outcome) for outcome in reversed(outcomes) if outcome.is_transform),
            rewriting,
        )
    missing = [flow for flow in flows if flow not in finished]
    if missing:
        return Verdict(False, missing[0], "rail did not run to its end", text, "error")
    passed = response.output_data[variable]
    if late is not None:
        return Verdict(True, late[0], late[1].reason or "", passed, "timeout")
    if rewriting is not None:
        return _rewritten(*rewriting, passed)
    rail, score = next(
        ((name, score) for name, score in reversed(finished.items()) if score is not None),
        ("", 0.0),
    )
    return Verdict(True, rail, "", passed, score=score)


def _rewritten(rail: str, outcome: RailOutcome, passed: str) -> Verdict:
    category = str(outcome.metadata.get("category") or "")
    score = float(outcome.metadata.get("score") or 0.0)
    return Verdict(True, rail, outcome.reason or "", passed, category, score)


def _blocked(rail: str, text: str, outcome: RailOutcome) -> Verdict:
    category = str(outcome.metadata.get("category") or "")
    score = float(outcome.metadata.get("score") or 0.0)
    rail = str(outcome.metadata.get("rail") or rail)
    return Verdict(False, rail, outcome.reason or "blocked", text, category, score)


class _WithoutTexts(logging.Filter):
    """Lets the name of a failed action through, drops its parameters and traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            return False
        if isinstance(record.args, tuple) and len(record.args) == 3:
            action, _, error = record.args
            record.msg, record.args = "action %s failed: %s", (action, type(error).__name__)
        return True


def _keep_texts_out_of_logs() -> None:
    """NeMo logs every event, texts included, at INFO, and texts of failed actions above it."""
    logging.getLogger("nemoguardrails").setLevel(logging.WARNING)
    for name in (ACTION_LOG, "nemoguardrails.rails.llm.llmrails"):
        logger = logging.getLogger(name)
        if not any(isinstance(entry, _WithoutTexts) for entry in logger.filters):
            logger.addFilter(_WithoutTexts())
