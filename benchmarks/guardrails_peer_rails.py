"""The rails that `benchmarks/guardrails_peers.py` compares, each behind one `ask(text)`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import yaml

from benchmarks.guardrails_output import CANARY, RULES
from guardrails import Context, GuardrailsConfig, Secrets, open_rails  # before NeMo: no telemetry
from guardrails.nemo_models import GenerateModel
from guardrails.schema import Direction, Embed
from rag.generate import Generator
from rag.schema import Message, Sampling

NOTHING = Context()
YARA = {"injection_detection": {"injections": ["code", "sqli", "template", "xss"]}}
# (direction, flow, settings, on a sample only, note)
NEMO: tuple[tuple[Direction, str, dict[str, Any], bool, str], ...] = (
    ("input", "context bloat detection on input", {}, False, "for padded and repeated text"),
    ("input", "jailbreak detection model", {}, False, "without its weights it lets all pass"),
    ("input", "jailbreak detection heuristics", {}, True, "needs gpt2-large"),
    ("input", "self check input", {}, True, "judge: the embedded 135M model"),
    ("output", "injection detection", YARA, False, "its YARA rules for code, SQL, templates, XSS"),
    ("output", "self check output", {}, True, "judge: the embedded 135M model"),
)

NOTES = {
    "BanSubstrings": "with the list that it ships",
    "NoRefusalLight": "looks for refusals, which are no danger",
}


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    group: str
    category: str
    context: Context = NOTHING


@dataclass(frozen=True, slots=True)
class Answer:
    blocked: bool
    ms: float
    failed: bool = False
    """The rail broke instead of deciding."""


Ask = Callable[[Text], Awaitable[Answer]]


@dataclass(slots=True)
class Rail:
    """One row of the table. Without `ask` it could not be opened, and `note` says why."""

    system: str
    direction: str
    name: str
    ask: Ask | None
    note: str = ""
    sampled: bool = False
    """Too slow for all texts."""
    answers: list[tuple[Text, Answer]] = field(default_factory=list)

    async def judge(self, text: Text) -> Answer:
        assert self.ask is not None
        return await self.ask(text)


def vsage_rails(embed: Embed, scratch: Path) -> list[Rail]:
    secrets = Secrets(CANARY, RULES.read_text(encoding="utf-8").strip())
    config = GuardrailsConfig()
    # A copy of the rails folder in which the output rail that knows no passages stands alone.
    alone = Path(shutil.copytree(config.rails_dir, scratch / "rails"))
    settings = yaml.safe_load((alone / "config.yml").read_text(encoding="utf-8"))
    settings["rails"]["output"]["flows"] = ["check output"]
    (alone / "config.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    whole = open_rails(config, embed=embed, secrets=secrets)
    part = open_rails(config.model_copy(update={"rails_dir": alone}), embed=embed, secrets=secrets)

    def asking(rails: Any, direction: Direction) -> Ask:
        async def ask(text: Text) -> Answer:
            start = time.perf_counter()
            verdict = await rails.check(direction, text.text, text.context)
            took = 1_000 * (time.perf_counter() - start)
            return Answer(not verdict.allowed, took, verdict.category == "error")

        return ask

    return [
        Rail("vSage", "input", "all input rails", asking(whole, "input")),
        Rail("vSage", "output", "all output rails", asking(whole, "output"), "grounding included"),
        Rail("vSage", "output", "check output", asking(part, "output"), "leaks, links, commands"),
    ]


async def nemo_rails(stack: AsyncExitStack, generator: Generator) -> list[Rail]:
    """NeMo's bundled rails, each alone, with the defaults that it ships."""
    return [await nemo_rail(stack, generator, *row) for row in NEMO]


async def nemo_rail(
    stack: AsyncExitStack,
    generator: Generator,
    direction: Direction,
    flow: str,
    settings: dict[str, Any],
    sampled: bool,
    note: str,
) -> Rail:
    """One bundled rail alone, in the engine that NeMo chooses for it."""
    from nemoguardrails import Guardrails, RailsConfig
    from nemoguardrails.rails.llm.options import RailType

    if flow == "injection detection" and find_spec("yara") is None:
        return Rail("NeMo", direction, flow, None, "not installed: yara-python")
    content: dict[str, Any] = {"models": [], "rails": {direction: {"flows": [flow]}}}
    if settings:
        content["rails"]["config"] = settings
    model = None
    if flow.startswith("self check"):
        model, content["prompts"] = GenerateModel(judge(generator)), bundled_prompts()
    engine = Guardrails(RailsConfig.from_content(yaml_content=yaml.safe_dump(content)), llm=model)
    await engine.startup()
    stack.push_async_callback(engine.shutdown)
    types = [RailType.INPUT if direction == "input" else RailType.OUTPUT]

    async def ask(text: Text) -> Answer:
        asked = text.text if direction == "input" else "What does the manual say?"
        messages = [{"role": "user", "content": asked}]
        if direction == "output":
            messages.append({"role": "assistant", "content": text.text})
        start = time.perf_counter()
        result = await engine.check_async(messages, rail_types=types)
        took = 1_000 * (time.perf_counter() - start)
        return Answer(result.status == "blocked", took, "internal error" in result.content)

    return Rail("NeMo", direction, flow, ask, note, sampled)


def bundled_prompts() -> list[dict[str, Any]]:
    """The prompts of NeMo's own example; ten tokens, as it reads the first two words alone."""
    import nemoguardrails

    path = Path(nemoguardrails.__file__).parent / "examples/bots/abc/prompts.yml"
    prompts = yaml.safe_load(path.read_text(encoding="utf-8"))["prompts"]
    return [prompt | {"max_tokens": 10} for prompt in prompts]


def judge(generator: Generator) -> Callable[..., Awaitable[str]]:
    async def generate(messages: Sequence[Mapping[str, str]], **sampling: Any) -> str:
        turns = [Message(turn["role"], turn["content"]) for turn in messages]
        known = {key: sampling[key] for key in ("max_tokens", "temperature") if key in sampling}
        return "".join([piece async for piece in generator.stream(turns, Sampling(**known))])

    return generate


async def llm_guard_rails(
    stack: AsyncExitStack, python: Path | None
) -> tuple[list[Rail], list[tuple[str, str, str]]]:
    """A rail for each scanner that can be made, one for all of them; and what cannot be made."""
    if python is None:
        note = "not installed: --llm-guard-python"
        return [Rail("LLM Guard", way, "scanners", None, note) for way in ("input", "output")], []
    script = Path(__file__).with_name("llm_guard_scanners.py")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        str(python), str(script), stdin=pipe, stdout=pipe, stderr=pipe, limit=2**24
    )
    errors = asyncio.create_task(_read_all(process.stderr))
    stack.push_async_callback(_end, process)
    assert process.stdin is not None
    assert process.stdout is not None
    start = await process.stdout.readline()
    if not start:
        said = (await errors).strip().splitlines() or ["nothing"]
        raise SystemExit(
            f"{python} cannot run LLM Guard: {said[-1]}\nThe top of --help says how to install it"
        )
    able = json.loads(start)
    reader, writer = process.stdout, process.stdin

    def asking(direction: str, scanner: str) -> Ask:
        async def ask(text: Text) -> Answer:
            task = {"direction": direction, "scanner": scanner, "text": text.text}
            writer.write(json.dumps(task).encode() + b"\n")
            await writer.drain()
            answer = json.loads(await reader.readline())
            return Answer(answer["blocked"], answer["ms"])

        return ask

    system, rails = f"LLM Guard {able['version']}", []
    for direction, names in able["runs"].items():
        for name in names:
            note = NOTES.get(name, "")
            rails.append(Rail(system, direction, name, asking(direction, name), note))
        together = able["together"][direction]
        if len(together) > 1:
            name = f"{', '.join(together)} together"
            rails.append(Rail(system, direction, name, asking(direction, "all")))
    return rails, [tuple(one) for one in able["fails"]]


async def _read_all(stream: asyncio.StreamReader | None) -> str:
    """Read on, or the process would stop when the pipe is full; the end of it is enough."""
    kept = b""
    while stream is not None and (piece := await stream.read(65_536)):
        kept = (kept + piece)[-65_536:]
    return kept.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()
