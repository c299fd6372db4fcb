"""GGUF artefacts asked what the safetensors original was asked, on llama.cpp as it serves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.config import RunConfig
from finetune.errors import ExportError
from finetune.parity import Difference, Trace, compare
from finetune.parity_llama_cpp import LlamaCpp
from finetune.render import render_prompt
from finetune.rows_schema import ChatRow, Message, Row, TextRow
from finetune.scores import exact_match

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

PROMPTS = 8
"""Validation rows whose prompts are answered for comparison."""
PROMPT_TOKENS = 512
"""Of such a prompt, at most; the beginning of a longer one is left out."""
NEW_TOKENS = 24
LARGEST_MEAN = {"f16": 0.01, "q8_0": 0.25}
"""Mean difference of log-probabilities that the number format alone explains, in nats.

Of SmolLM2-135M 0.0034 and 0.105 were measured; llama.cpp rounds activations to 8 bits, too. Larger
models suffer less. Rows in the wrong order, or a missing scale, cost whole nats.
"""
HARD_TEXT = "It's 2½ GB—\"naïve\" Ünïcödé, 12345 €  in\n\n\tC:\\temp; don't 你好 🙂 <b>x</b>"
"""Where tokenizers differ: numerals, spaces, apostrophes, other scripts, line breaks."""


@dataclass(frozen=True, slots=True)
class Served:
    """Validation rows, answered by the artefact as the service would have it answer."""

    rows: int
    exact_match: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def probe_prompts(rows: Sequence[Row], run: RunConfig, tokenizer: Tokenizer) -> list[list[int]]:
    """Token ids of some of the rows' prompts, no two alike."""
    prompts: dict[tuple[int, ...], None] = {}
    for row in rows:
        if isinstance(row, TextRow):
            ids = tokenizer(row.text)["input_ids"][: PROMPT_TOKENS // 4]
        else:
            text = render_prompt(prompt_of(row), tokenizer, run.data)
            ids = tokenizer(text, add_special_tokens=not run.data.chat)["input_ids"]
        prompts[tuple(ids[-PROMPT_TOKENS:])] = None
        if len(prompts) == PROMPTS:
            break
    return [list(prompt) for prompt in prompts if prompt]


def prompt_of(row: Row) -> tuple[Message, ...]:
    """What stands before the answer; of a text, nothing."""
    if isinstance(row, ChatRow):
        return row.messages[:-1]
    return () if isinstance(row, TextRow) else row.prompt


def check_gguf(
    run: RunConfig,
    tokenizer: Tokenizer,
    rows: Sequence[Row],
    traces: Sequence[Trace],
    model: Path,
    kind: str,
    adapter: Path | None = None,
) -> tuple[Difference, Served | None]:
    """Load `model`, with `adapter` on top, and compare it with what left `traces`.

    `kind` is the number format of `model`'s matrices. Raises ExportError where texts are cut into
    other tokens, the chat template writes another prompt, or the answers differ by more than the
    number format explains.
    """
    artefact = adapter or model
    longest = max((len(one.prompt) for one in traces), default=0) + NEW_TOKENS
    context = max(longest, run.data.max_length + run.evaluate.max_new_tokens) + 64
    engine = LlamaCpp(model, context=context, adapter=adapter, threads=run.train.threads)
    try:
        _check_texts(engine, artefact, run, tokenizer, rows)
        difference = compare(traces, engine)
        if difference.mean > LARGEST_MEAN[kind]:
            raise ExportError(
                f"{artefact.name} differs from what was trained: log-probabilities by "
                f"{difference.mean:.3g} in the mean (rounding to {kind} explains "
                f"{LARGEST_MEAN[kind]:g}), {difference.same_choice:.0%} of the tokens alike; it "
                "was not kept. Export export.formats=[merged] and convert that with llama.cpp's "
                "convert_hf_to_gguf.py"
            )
        return difference, _serve(engine, run, rows)
    finally:
        engine.close()


def _check_texts(
    engine: LlamaCpp, artefact: Path, run: RunConfig, tokenizer: Tokenizer, rows: Sequence[Row]
) -> None:
    """Same tokens for the same text, same prompt for the same conversation."""
    bos = str(tokenizer.bos_token or "")
    conversations = [prompt_of(row) for row in rows[:PROMPTS] if not isinstance(row, TextRow)]
    texts = [HARD_TEXT]
    for messages in conversations:
        text = render_prompt(messages, tokenizer, run.data)
        texts.append(text)
        if run.data.chat and engine.render(messages).removeprefix(bos) != text.removeprefix(bos):
            raise ExportError(
                f"{artefact.name}: llama.cpp's rendering of the chat template differs from the "
                "tokenizer's: simplify the template"
            )
    for text in texts:
        ours = tokenizer(text, add_special_tokens=False)["input_ids"]
        if engine.tokenize(text) != ours:
            raise ExportError(
                f"{artefact.name}: llama.cpp cuts {text[:40]!r} into other tokens than the "
                "tokenizer does: convert the merged folder with llama.cpp's "
                "convert_hf_to_gguf.py instead"
            )


def _serve(engine: LlamaCpp, run: RunConfig, rows: Sequence[Row]) -> Served | None:
    """Exact answers to validation rows. None for other objectives than sft, and for plain text."""
    if not run.data.chat or not run.export.served_rows:
        return None
    asked = list(islice((r for r in rows if isinstance(r, ChatRow)), run.export.served_rows))
    if not asked:
        return None
    right = 0.0
    for row in asked:
        answer = engine.answer(row.messages[:-1], run.evaluate.max_new_tokens)
        right += exact_match(answer, row.messages[-1]["content"])
    return Served(len(asked), right / len(asked))
