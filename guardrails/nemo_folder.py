"""Reading a rails folder so that a mistake in it stops the start instead of opening the rails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from nemoguardrails import LLMRails, RailsConfig

from guardrails.errors import RailsConfigError

DIRECTIONS = ("input", "retrieval", "output")
TEXTS = {"user_message", "bot_message", "relevant_chunks"}
SYSTEM_FLOWS = "llm_flows.co"


def read_config(rails_dir: Path) -> RailsConfig:
    """Parse config.yml and the Colang files of a folder."""
    path = rails_dir / "config.yml"
    if not path.is_file():
        raise RailsConfigError(
            f"{path} is missing; set guardrails.rails_dir to the folder that holds config.yml and "
            "the *.co files (the repository's is configs/guardrails)"
        )
    _check_yaml(path)
    try:
        return RailsConfig.from_path(str(rails_dir))
    except Exception as error:  # NeMo and its Colang parser raise bare Exception
        raise RailsConfigError(
            f"{rails_dir} cannot be read: {error}; correct config.yml or the *.co files there"
        ) from error


def _check_yaml(path: Path) -> None:
    """Each direction must be written down: NeMo takes a misspelled key for "no rails"."""
    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RailsConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise RailsConfigError(f"{path} must hold a mapping with the key `rails`")
    version = str(values.get("colang_version", "1.0"))
    if version != "1.0":
        raise RailsConfigError(
            f"{path}: colang_version is {version}; write the flows in Colang 1.0, "
            "the only version whose rails can be run one direction at a time"
        )
    rails = values.get("rails")
    wrong = []
    for name in DIRECTIONS:
        section = rails.get(name) if isinstance(rails, dict) else None
        flows = section.get("flows") if isinstance(section, dict) else None
        if not isinstance(flows, list) or not all(isinstance(flow, str) for flow in flows):
            wrong.append(
                f"rails.{name}.flows must be a list of flow names; "
                "write an empty list [] to run without rails in that direction"
            )
        elif twice := sorted({flow for flow in flows if flows.count(flow) > 1}):
            wrong.append(f"rails.{name}.flows names twice: {', '.join(twice)}; keep one of each")
    _raise_all(str(path), wrong)


def _raise_all(place: str, wrong: Sequence[str]) -> None:
    """One error that names all that has to be mended."""
    if wrong:
        raise RailsConfigError("\n".join(f"{place}: {message}" for message in wrong))


def check_flows(engine: LLMRails, rails_dir: Path) -> None:
    """What NeMo would find out, or overlook, only when the first text comes."""
    wrong: dict[str, None] = {}  # ordered: two directions may share a flow
    for name in sorted(_reachable(engine)):
        elements = engine.runtime.flow_configs[name].elements
        assigned = {part.get("action_result_key") or part.get("key") for part in elements}
        for part in elements:
            action = part.get("action_name")
            if part["_type"] != "run_action" or action in {None, "utter", "create_event"}:
                continue
            if not engine.runtime.action_dispatcher.has_registered(action):
                wrong[
                    f"flow '{name}' executes the unknown action '{action}'; correct "
                    "its name or define it in actions.py beside config.yml"
                ] = None
            # NeMo hands an unknown variable over by name: the rail would judge "$user_mesage".
            text = str(part.get("action_params", {}).get("text", ""))
            if text.startswith("$") and text[1:] not in TEXTS | assigned:
                wrong[
                    f"flow '{name}' passes the unknown variable {text} to "
                    f"'{action}'; the texts are {', '.join(f'${known}' for known in sorted(TEXTS))}"
                ] = None
    _raise_all(str(rails_dir), list(wrong))


def drop_unused_flows(engine: LLMRails) -> None:
    """NeMo loads the flows of its whole library; without them a check takes a third less time."""
    flows = engine.runtime.flow_configs
    keep = _reachable(engine)
    for name, flow in list(flows.items()):
        sources = {element.get("_source_mapping", {}).get("filename") for element in flow.elements}
        if name not in keep and SYSTEM_FLOWS not in sources:
            del flows[name]


@dataclass(frozen=True, slots=True)
class PlainFlow:
    """What a flow of the commonest form does."""

    action: str
    rewrites: bool


def plain_flow(engine: LLMRails, flow: str, variable: str) -> PlainFlow | None:
    """A flow that is written like those of the repository: execute one action with the text, stop
    where it blocks, and perhaps go on with its text where it rewrites. None for any other flow.

    What such a flow does is known without running it. `variable` holds the text.
    """
    if flow not in engine.runtime.flow_configs:
        return None
    elements = engine.runtime.flow_configs[flow].elements
    steps = [
        {key: value for key, value in part.items() if key != "_source_mapping"} for part in elements
    ]
    if not steps or steps[0].get("_type") != "run_action":
        return None
    action = str(steps[0].pop("action_name", None))
    asks = [
        {
            "_type": "run_action",
            "action_params": {"text": f"${variable}"},
            "action_result_key": "outcome",
        },
        *_STOPS,
    ]
    goes_on = {
        "_type": "set",
        "key": variable,
        "expression": f'$outcome.transform_text["{variable}"]',
    }
    if steps == asks:
        return PlainFlow(action, rewrites=False)
    return PlainFlow(action, rewrites=True) if steps == [*asks, _WHERE, goes_on] else None


def rules_of(engine: LLMRails) -> list[Any]:
    """What the reachable flows say, wherever they are written; the same for the same rules."""
    flows = engine.runtime.flow_configs
    return [
        [name, [{k: v for k, v in part.items() if k != "_source_mapping"} for part in elements]]
        for name in sorted(_reachable(engine) & flows.keys())
        for elements in [flows[name].elements]
    ]


_STOPS = [
    {"_type": "if", "expression": "$outcome.is_blocked", "_next_else": 2},
    {"_type": "run_action", "action_name": "utter", "action_params": {"value": "stop"}},
]
_WHERE = {"_type": "if", "expression": "$outcome.is_transform", "_next_else": 2}


def _reachable(engine: LLMRails) -> set[str]:
    """Names of the rails' flows and of the flows that these call."""
    rails = engine.config.rails
    names = [*rails.input.flows, *rails.output.flows, *rails.retrieval.flows]
    waiting = [name.split("$")[0].strip() for name in names]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found or name not in engine.runtime.flow_configs:
            continue
        found.add(name)
        elements = engine.runtime.flow_configs[name].elements
        waiting += [str(part["flow_name"]) for part in elements if part["_type"] == "flow"]
    return found
