"""Rows -> tokens and the mask of the loss, by the model's own chat template.

The template is treated as a black box: what it writes for the first messages of a conversation is
taken for the beginning of what it writes for all of them, and that is verified, not assumed. So the
mask needs no marks in the template. Where a template does write the past otherwise (Mistral's moves
the system message to the last question, Qwen3's drops old thoughts), a row whose earlier answers
are to be trained is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from finetune.config import DataConfig
from finetune.errors import DataError
from finetune.rows_schema import ChatRow, Message, TextRow
from finetune.template import (
    apply_template,
    beginning,
    encode,
    end_of_text,
    end_of_turn,
    open_tokenizer,
    refuse_control_tokens,
    render_prompt,
    template_name,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

__all__ = [
    "Rendered",
    "end_of_turn",
    "open_tokenizer",
    "pieces",
    "render",
    "render_prompt",
    "render_whole",
    "template_name",
]

_MARGIN_TOKENS = 2  # cut beyond the excess: the seam may be cut into other tokens


@dataclass(frozen=True, slots=True)
class Rendered:
    """One row as the model sees it.

    `trained[i]` says whether token `input_ids[i]` is one that the loss is taken on, as what is to
    be predicted. `prompt_tokens` counts those before the last answer; of a text, 0.
    """

    input_ids: list[int]
    trained: list[bool]
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a row's text, and whether it is an answer to learn."""

    text: str
    trained: bool


def render(
    row: ChatRow | TextRow, tokenizer: Tokenizer, data: DataConfig, loss_on: str
) -> Rendered:
    """A row's tokens and mask; ends with the token that ends a turn (or a text), trained.

    A conversation longer than `data.max_length` follows `data.too_long`: refuse raises, cut_prompt
    cuts the beginning of its questions, and drop returns it whole, for the caller to leave out. A
    text is never cut here, whatever its length: see `pieces`. Raises DataError that names the row.
    """
    rendered = render_whole(row, tokenizer, data, loss_on)
    excess = len(rendered.input_ids) - data.max_length
    if excess <= 0 or isinstance(row, TextRow) or data.too_long == "drop":
        return rendered
    if data.too_long == "cut_prompt":
        return _cut(row, rendered, tokenizer, data, loss_on)
    raise DataError(
        f"row {row.number} has {len(rendered.input_ids)} tokens, {excess} more than "
        f"data.max_length={data.max_length}: raise that, or choose data.too_long=drop or cut_prompt"
    )


def render_whole(
    row: ChatRow | TextRow, tokenizer: Tokenizer, data: DataConfig, loss_on: str
) -> Rendered:
    """As `render`, whatever the length. Raises DataError that names the row."""
    if isinstance(row, TextRow):
        ids = [*beginning(tokenizer), *encode(tokenizer, row.text), end_of_text(tokenizer)]
        return Rendered(ids, [True] * len(ids), 0)
    try:
        refuse_control_tokens(row.messages, tokenizer)
        parts = (_chat_parts if data.chat else _plain_parts)(row.messages, tokenizer, loss_on)
        end = end_of_turn(tokenizer) if data.chat else end_of_text(tokenizer)
        rendered = _tokens(parts, tokenizer, end, plain=not data.chat)
    except DataError as error:
        raise DataError(f"row {row.number}: {error}") from None
    if loss_on == "all":
        return replace(rendered, trained=[True] * len(rendered.trained))
    return rendered


def pieces(rendered: Rendered, max_length: int) -> list[Rendered]:
    """A text in pieces of at most `max_length` tokens, none lost. The last may be short."""
    starts = range(0, len(rendered.input_ids), max_length)
    return [
        Rendered(
            rendered.input_ids[start : start + max_length],
            rendered.trained[start : start + max_length],
            0,
        )
        for start in starts
    ]


def _chat_parts(messages: Sequence[Message], tokenizer: Tokenizer, loss_on: str) -> list[_Part]:
    """The rendered conversation, cut at both ends of every answer to learn."""
    whole = apply_template(messages, tokenizer)
    last = len(messages) - 1
    answers = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
    parts: list[_Part] = []
    done = 0
    for at in answers if loss_on == "assistant" else [last]:
        before = apply_template(messages[:at], tokenizer, answer_follows=True)
        after = whole if at == last else apply_template(messages[: at + 1], tokenizer)
        if not (whole.startswith(after) and after.startswith(before) and len(before) >= done):
            raise DataError(
                f"{template_name(tokenizer)} writes the first {at + 1} messages otherwise once "
                "more follow, so it cannot be told which tokens are the answer's: use "
                "objective.loss_on=completion, or give each answer a row of its own"
            )
        parts += [
            _Part(whole[done : len(before)], False),
            _Part(whole[len(before) : len(after)], True),
        ]
        done = len(after)
    return parts


def _plain_parts(messages: Sequence[Message], tokenizer: Tokenizer, loss_on: str) -> list[_Part]:
    """Contents one after the other: blank lines between turns, none before an answer."""
    end = str(tokenizer.eos_token)
    parts: list[_Part] = []
    for at, message in enumerate(messages):
        is_last = at == len(messages) - 1
        if message["role"] == "assistant":
            trained = is_last or loss_on == "assistant"
            parts.append(_Part(message["content"] + (end if trained else "\n\n"), trained))
        else:
            follows = "" if messages[at + 1]["role"] == "assistant" else "\n\n"
            parts.append(_Part(message["content"] + follows, False))
    return parts


def _tokens(parts: Sequence[_Part], tokenizer: Tokenizer, end: int, plain: bool) -> Rendered:
    """The parts' tokens. Each answer's mask ends with the last `end` in it, the row as well."""
    ids: list[int] = beginning(tokenizer) if plain else []
    trained = [False] * len(ids)
    prompt_tokens = 0
    for part, tokens in zip(parts, _encode_parts(parts, tokenizer), strict=True):
        kept = 0
        if part.trained:
            prompt_tokens = len(ids)
            kept = max((at + 1 for at, token in enumerate(tokens) if token == end), default=0)
            if not kept:
                raise DataError(
                    f"{template_name(tokenizer)} writes an answer without its end-of-turn token: "
                    "the model would not learn to stop"
                )
        ids += tokens
        trained += [at < kept for at in range(len(tokens))]
    if not any(trained):
        raise DataError("no token of it is trained: its answer is empty once rendered")
    length = max(at + 1 for at, learned in enumerate(trained) if learned)
    return Rendered(ids[:length], trained[:length], prompt_tokens)


def _encode_parts(parts: Sequence[_Part], tokenizer: Tokenizer) -> list[list[int]]:
    """Tokens by part: of the whole text, as servers encode a conversation, if that begins with the
    tokens that each answer is generated from.

    Otherwise, as where a tokenizer joins the blank line before an answer to it, each part is
    encoded alone, which is what generation does: first the prompt, then the answer.
    """
    if not tokenizer.is_fast:
        return [encode(tokenizer, one.text) for one in parts]
    text = "".join(part.text for part in parts)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = list(encoded["input_ids"]), list(encoded["offset_mapping"])
    found: list[list[int]] = []
    at = end = 0
    for part in parts:
        if part.trained and ids[:at] != encode(tokenizer, text[:end]):
            return [encode(tokenizer, one.text) for one in parts]
        end += len(part.text)
        start = at
        while at < len(ids) and offsets[at][1] <= end:
            at += 1
        found.append(ids[start:at])
    return found


def _cut(
    row: ChatRow, rendered: Rendered, tokenizer: Tokenizer, data: DataConfig, loss_on: str
) -> Rendered:
    """Cut the beginnings of the user's messages, the oldest first, until the row fits."""
    messages = [dict(message) for message in row.messages]
    for message in messages:
        if message["role"] != "user":
            continue
        whole = message["content"]
        ids = encode(tokenizer, whole)
        gone = 0
        while (excess := len(rendered.input_ids) - data.max_length) > 0 and gone < len(ids):
            gone += excess + _MARGIN_TOKENS
            # Something stays: templates and readers expect a question.
            message["content"] = str(tokenizer.decode(ids[gone:])).lstrip(" \n�") or "…"
            rendered = render_whole(ChatRow(row.number, tuple(messages)), tokenizer, data, loss_on)
    excess = len(rendered.input_ids) - data.max_length
    if excess > 0:
        raise DataError(
            f"row {row.number} is {excess} tokens too long even without its questions, and an "
            f"answer is never cut: raise data.max_length={data.max_length} or leave the row out"
        )
    return rendered
