"""A Modelfile for Ollama: the merged GGUF, its chat template in Go's language, and where to stop.

Ollama does not run Jinja. What stands around each role's words is read off the rendered chat
template and written as a Go template; it is used only if it gives the same prompts, which is tried
on several conversations. Templates that do more (Llama 2's puts the system message into the first
question) are refused. A template that trims its messages is taken: Ollama's will not trim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.config import DataConfig
from finetune.errors import ExportError
from finetune.render import end_of_turn
from finetune.rows_schema import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

ROLES = ("system", "user", "assistant")
_TOPICS = {"system": "Sxs", "user": "Uxu", "assistant": "Axa"}
_BY_HAND = (
    "leave out ollama and write its TEMPLATE by hand, or serve the GGUF file with llama.cpp, which "
    "runs the template as it is"
)


@dataclass(frozen=True, slots=True)
class Turns:
    """What a chat template writes before and after the words of each role, and before an answer."""

    around: dict[str, tuple[str, str]]
    before_answer: str
    default_system: str

    def render(self, messages: Sequence[Message]) -> str:
        """What the Go template writes, as Python."""
        written = []
        for message in messages:
            before, after = self.around[message["role"]]
            written.append(before + message["content"] + after)
        return "".join(written) + self.before_answer

    def go(self) -> str:
        parts = []
        for number, role in enumerate(ROLES):
            before, after = self.around[role]
            condition = f'{"else if" if number else "if"} eq .Role "{role}"'
            parts.append(f"{{{{ {condition} }}}}{before}{{{{ .Content }}}}{after}")
        loop = "".join(parts)
        return f"{{{{ range .Messages }}}}{loop}{{{{ end }}}}{{{{ end }}}}{self.before_answer}"


def write_modelfile(target: Path, gguf: str, tokenizer: Tokenizer, data: DataConfig) -> None:
    """Write `target` for the file `gguf` beside it. Raises ExportError."""
    lines = [f"# ollama create {Path(gguf).name.split('.')[0].lower()} -f Modelfile"]
    lines.append(f"FROM ./{gguf}")
    if data.chat:
        turns = read_turns(tokenizer)
        system = data.system or turns.default_system
        stop = tokenizer.convert_ids_to_tokens(end_of_turn(tokenizer))
        lines.append(f"TEMPLATE {_quoted(turns.go())}")
        if system:
            lines.append(f"SYSTEM {_quoted(system)}")
        lines.append(f'PARAMETER stop "{stop}"')
    else:
        lines.append(f"TEMPLATE {_quoted('{{ .Prompt }}')}")
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_turns(tokenizer: Tokenizer) -> Turns:
    """Take the chat template apart. Raises ExportError where the parts do not make up the whole."""
    system, user, assistant = (_TOPICS[role] for role in ROLES)
    asked = _rendered(tokenizer, _talk("system", "user"))
    answered = _rendered(tokenizer, _talk("system", "user", "assistant"))
    again = _rendered(tokenizer, [*_talk("system", "user", "assistant"), *_talk("user")])
    after_user = asked.rpartition(user)[2]
    after_assistant = answered.rpartition(assistant)[2]
    before_user = _between(again, assistant, user).removeprefix(after_assistant)
    turns = Turns(
        around={
            "system": (
                asked.partition(system)[0],
                _between(asked, system, user).removesuffix(before_user),
            ),
            "user": (before_user, after_user),
            "assistant": (
                _between(answered, user, assistant).removeprefix(after_user),
                after_assistant,
            ),
        },
        before_answer=_rendered(tokenizer, _talk("system", "user"), True).removeprefix(asked),
        default_system="",
    )
    turns = Turns(turns.around, turns.before_answer, _default_system(tokenizer, turns))
    _verify(tokenizer, turns)
    return turns


def _default_system(tokenizer: Tokenizer, turns: Turns) -> str:
    """The system message that the template writes where there is none."""
    before, after = turns.around["system"]
    start = _rendered(tokenizer, _talk("user")).partition(_TOPICS["user"])[0]
    start = start.removesuffix(turns.around["user"][0])
    if start.startswith(before) and start.endswith(after) and len(start) > len(before + after):
        return start[len(before) : len(start) - len(after)]
    return ""


def _verify(tokenizer: Tokenizer, turns: Turns) -> None:
    talks = [
        _talk("user"),
        _talk("system", "user"),
        [*_talk("user", "assistant"), *_talk("user")],
        [*_talk("system", "user", "assistant"), *_talk("user", "assistant"), *_talk("user")],
    ]
    for talk in talks:
        spoken = talk
        if talk[0]["role"] != "system" and turns.default_system:
            # Ollama itself puts the Modelfile's SYSTEM before a conversation without one
            spoken = [{"role": "system", "content": turns.default_system}, *talk]
        if turns.render(spoken) != _rendered(tokenizer, talk, answer_follows=True):
            raise ExportError(
                "the chat template does more than write something around each message: " + _BY_HAND
            )


def _talk(*roles: str) -> list[Message]:
    return [{"role": role, "content": _TOPICS[role]} for role in roles]


def _rendered(
    tokenizer: Tokenizer, messages: Sequence[Message], answer_follows: bool = False
) -> str:
    """Without the token that begins a text: llama.cpp and Ollama add it themselves."""
    from jinja2 import TemplateError

    try:
        text = str(
            tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=answer_follows
            )
        )
    except TemplateError as error:
        raise ExportError(
            f"the chat template refuses a conversation ({error}): {_BY_HAND}"
        ) from None
    if "{{" in text or "}}" in text:
        raise ExportError(
            f"the chat template writes {{{{ or }}}}, which Go templates read: {_BY_HAND}"
        )
    begins = tokenizer("", add_special_tokens=True)["input_ids"][:1]
    if begins == [tokenizer.bos_token_id]:
        text = text.removeprefix(str(tokenizer.bos_token))
    return text


def _between(text: str, left: str, right: str) -> str:
    """From the last `left` on that a `right` follows."""
    head = text.rpartition(right)[0]
    return head.rpartition(left)[2]


def _quoted(text: str) -> str:
    if '"""' in text:
        raise ExportError(
            'a Modelfile cannot hold """: take it out of the system message or the chat template'
        )
    return f'"""{text}"""'
