"""A model's tokenizer and chat template: what they write, and how an answer ends in them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.config import DataConfig
from finetune.errors import DataError, ModelError
from finetune.rows_schema import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

_PROBE = "Wxyz"


def open_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a base model's folder. Raises ModelError."""
    from transformers import AutoTokenizer

    if not (path / "config.json").is_file():
        raise ModelError(f"{path} holds no model: name its folder with model.path=FOLDER")
    try:
        tokenizer: Tokenizer = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: its tokenizer cannot be opened: {said}") from None
    return tokenizer


def render_prompt(messages: Sequence[Message], tokenizer: Tokenizer, data: DataConfig) -> str:
    """The text that an answer to `messages` is generated from. Raises DataError.

    Encode it with add_special_tokens=False if `data.chat`: the template writes its own.
    """
    if data.chat:
        return apply_template(messages, tokenizer, answer_follows=True)
    return "\n\n".join(message["content"] for message in messages)


def end_of_turn(tokenizer: Tokenizer) -> int:
    """The token that the template ends an answer with.

    Raises DataError for a template without: a model trained with it would never stop.
    """
    return _end_of_turn(tokenizer, str(tokenizer.chat_template))


def template_name(tokenizer: Tokenizer) -> str:
    """A template in messages: whose it is, and by its hash, which."""
    digest = hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()[:12]
    return f"the chat template of {tokenizer.name_or_path} ({digest})"


@lru_cache(maxsize=8)
def _end_of_turn(tokenizer: Tokenizer, template: str) -> int:
    """Cached by the template as well: it can be set on a tokenizer at any time."""
    asked, said = {"role": "user", "content": _PROBE}, {"role": "assistant", "content": _PROBE}
    whole = apply_template([asked, said], tokenizer)
    tail = whole[whole.rindex(_PROBE) + len(_PROBE) :] if _PROBE in whole else ""
    ends = control_tokens(tokenizer).search(tail)
    if ends is None:
        raise DataError(
            f"{template_name(tokenizer)} ends an answer with {tail!r}, which is no control token: "
            "a model trained so would never stop. Use a base with a chat template that ends turns, "
            "or data.chat=false"
        )
    return encode(tokenizer, ends.group())[0]


def apply_template(
    messages: Sequence[Message], tokenizer: Tokenizer, answer_follows: bool = False
) -> str:
    """What the template writes. Raises DataError where there is none, or it refuses the roles."""
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise DataError(
            f"{tokenizer.name_or_path} has no chat template: set data.chat=false, or use the "
            "instruct variant of the base"
        )
    try:
        written = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=answer_follows
        )
    except TemplateError as error:
        roles = ", ".join(message["role"] for message in messages)
        raise DataError(f"{template_name(tokenizer)} refuses {roles}: {error}") from None
    return str(written)


def refuse_control_tokens(messages: Sequence[Message], tokenizer: Tokenizer) -> None:
    """In a text they would be read as what they spell: the end of a turn in its middle."""
    signs = control_tokens(tokenizer)
    for message in messages:
        if found := signs.search(message["content"]):
            raise DataError(
                f"the {message['role']}'s text holds the control token {found.group()}, which "
                "would be read as one: write it otherwise"
            )


@lru_cache(maxsize=8)
def control_tokens(tokenizer: Tokenizer) -> re.Pattern[str]:
    """Finds the tokens that steer the model, such as <|im_end|>, in a text."""
    tokens = {*map(str, tokenizer.all_special_tokens)}
    tokens |= {added.content for added in tokenizer.added_tokens_decoder.values() if added.special}
    longest_first = sorted(filter(None, tokens), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: Any = tokenizer(text, add_special_tokens=False)["input_ids"]
    return list(ids)


def beginning(tokenizer: Tokenizer) -> list[int]:
    """The token that this tokenizer puts before a plain text, if any."""
    ids: Any = tokenizer("")["input_ids"]
    begins = bool(ids) and ids[0] == tokenizer.bos_token_id
    return [ids[0]] if begins else []


def end_of_text(tokenizer: Tokenizer) -> int:
    token = tokenizer.eos_token_id
    if token is None:
        raise DataError(f"{tokenizer.name_or_path} has no end-of-text token: use another base")
    return int(token)
