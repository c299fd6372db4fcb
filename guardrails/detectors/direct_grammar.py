"""How attacks are put together in any language: words of one list near words of another.

A language brings its lists (`Words`); the sentences are made here. Their parts may come in either
order, within one sentence. Every repetition is bounded, so a search takes time in proportion to
the text. For canonical text, which has lost its accents: "früher" comes as "fruher", "é" as "e".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from guardrails.detectors.patterns import Pattern, pattern

# Like the one of `patterns`, but it also knows where an Arabic or a Chinese sentence ends.
BETWEEN = r"[^\w.!?;؟؛。]{1,4}"
# As in a pasted request to a model: {"role": "system", "content": "..."}.
_ROLE = r"[\"']role[\"']\s?:\s?[\"']"

Named = tuple[str, str, str]
"""Name, category, expression."""


def gap(words: int) -> str:
    """Up to this many further words, then the blank before the next one."""
    return rf"(?:{BETWEEN}+\w{{1,30}}+){{0,{words}}}?{BETWEEN}"


def characters(most: int) -> str:
    """Up to so many characters of the same sentence, for scripts without blanks."""
    return rf"[^.!?;。\n]{{0,{most}}}?"


def any_of(words: str) -> str:
    """One of the words: `*` is up to six more letters, `_` a blank, `~` up to three more words."""
    found = [
        item.replace("_", " ").replace("*", r"\w{0,6}").replace("~", gap(3))
        for item in words.split()
    ]
    return f"(?:{'|'.join(found)})"


@dataclass(frozen=True, slots=True)
class Words:
    """The lists of one language, each a regular expression."""

    language: str
    drop: str
    """Verbs: ignore, delete, switch off, no longer follow."""
    disregard: str
    """Those of `drop` that nobody says of a file or of a rule of the firewall."""
    yours: str
    """Rules and limits bound to the assistant: your rules, the limits you were given."""
    limits: str
    """Any rules and limits: only where the rest of the sentence leaves no doubt."""
    earlier: str
    """The previous instructions, the rules above."""
    said: str
    """Everything above, whatever you were told."""
    void: str
    """Are cancelled, no longer apply."""
    released: str
    """You need not follow the rules any longer."""
    fresh: str
    """Your new task, a new instruction: what replaces the old ones."""
    obey: str
    me_alone: str
    """Only me, nothing but my orders: beside `obey`."""
    tell: str
    """Show, repeat, translate, list, put into JSON."""
    ask: str
    """What is, which are."""
    text: str
    """Your instructions, your configuration, the rules you were given."""
    secret: str
    """The system prompt, the hidden instructions: unbound, so it must be told."""
    prompt: str
    """Your system prompt, your hidden instructions: nobody mentions them by chance."""
    above: str
    """The text above this line, what stands before my first message."""
    forbidden: str
    """What you must not say."""
    being: str
    """You are, you have, an AI, answer."""
    without: str
    """Without rules, no morals, uncensored."""
    play: str
    """You are, play the part of."""
    crook: str
    """Who does harm: a fraud, a hacker, an evil AI."""
    never: str
    refuse: str
    """Refuse, say no, apologise: beside `never`."""
    two: str
    """Two answers."""
    mode: str
    """Developer mode."""
    jailbreak: str
    """Stay in your role, you are DAN: nothing needs to be near it."""
    authority: str
    """I am your developer, I authorise you."""
    turn: str
    """Who speaks, at the head of a forged turn: system, administrator, assistant."""
    claim: str
    """What a forged turn claims: restrictions off, you must answer."""
    model: str
    """An AI that is addressed: AI, language model, assistant."""
    order: str
    """What it is ordered: ignore, write only, answer."""
    spaced: bool = True
    """Are there blanks between words? Without, any character may be a boundary."""
    script: str = ""
    """The range of its letters, if not Latin: a text with none of them is not read."""

    def spelled(self, spell: Callable[[str], str]) -> Words:
        """The same lists in another spelling."""
        lists: dict[str, Any] = {
            field.name: spell(getattr(self, field.name))
            for field in fields(self)
            if field.name not in {"language", "spaced", "script"}
        }
        return replace(self, **lists)

    def near(self, one: str, other: str, words: int) -> str:
        """Both, in either order, with at most so many words between them."""
        one, other = f"(?:{one})", f"(?:{other})"
        between = gap(words) if self.spaced else characters(2 * words)
        return self.word(f"{one}{between}{other}|{other}{between}{one}")

    def word(self, regex: str) -> str:
        """One of these alternatives, as a word of its own."""
        return rf"(?<!\w)(?:{regex})(?!\w)" if self.spaced else f"(?:{regex})"


def attacks(words: Words) -> tuple[Pattern, ...]:
    """The patterns of one language."""
    found = (*_override(words), *_extraction(words), *_persona(words), *_forged(words))
    start = rf"\A(?=[^{words.script}]*[{words.script}])[\s\S]*?" if words.script else ""
    return tuple(
        pattern(f"{name} ({words.language})", category, f"{start}(?:{regex})")
        for name, category, regex in found
    )


def _override(words: Words) -> tuple[Named, ...]:
    rules = f"{words.yours}|{words.earlier}|{words.said}"
    past = f"{words.earlier}|{words.said}|{words.above}|{words.secret}"
    return (
        ("drop your rules", "override", words.near(words.drop, words.yours, 6)),
        ("drop earlier instructions", "override", words.near(words.disregard, past, 5)),
        ("rules are void", "override", words.near(rules, words.void, 4)),
        ("released from the rules", "override", words.word(words.released)),
        ("new instructions", "override", words.word(words.fresh)),
        ("obey me alone", "override", words.near(words.obey, words.me_alone, 3)),
    )


def _extraction(words: Words) -> tuple[Named, ...]:
    asked = f"{words.tell}|{words.ask}"
    return (
        ("tell your instructions", "prompt_extraction", words.near(words.tell, words.text, 8)),
        ("what are your instructions", "prompt_extraction", words.near(words.ask, words.text, 3)),
        ("tell the hidden prompt", "prompt_extraction", words.near(asked, words.secret, 8)),
        ("your hidden prompt", "prompt_extraction", words.word(words.prompt)),
        ("what you were told", "prompt_extraction", words.near(asked, words.said, 3)),
        ("repeat the text above", "prompt_extraction", words.near(asked, words.above, 5)),
        ("what you must not say", "prompt_extraction", words.word(words.forbidden)),
    )


def _persona(words: Words) -> tuple[Named, ...]:
    return (
        ("persona without limits", "jailbreak", words.near(words.being, words.without, 10)),
        ("persona that does harm", "jailbreak", words.near(words.play, words.crook, 6)),
        ("never refuse", "jailbreak", words.near(words.never, words.refuse, 3)),
        ("two answers", "jailbreak", words.near(words.two, f"{words.without}|{words.crook}", 12)),
        (
            "mode switch",
            "jailbreak",
            words.near(words.mode, f"{words.being}|{words.without}|{words.limits}", 10),
        ),
        ("play a jailbreak", "jailbreak", words.word(words.jailbreak)),
    )


def _forged(words: Words) -> tuple[Named, ...]:
    return (
        ("forged authority", "fake_turn", words.word(words.authority)),
        (
            "forged turn",
            "fake_turn",
            rf"(?:^|[\n\[#*<(|{{【「]|{_ROLE})\s?{words.turn}\s?[:\]#>|)*】」\"]"
            rf"(?=[^\n]{{0,160}}?(?:{words.word(f'{words.claim}|{words.without}')}|"
            rf"{words.near(words.limits, words.void, 5)}))",
        ),
        (
            "addressed to the model",
            "fake_turn",
            rf"{words.word(words.model)}(?:的.{{1,2}})?\s?[:,،!]\s?"
            rf"(?=[^\n]{{0,60}}?{words.word(words.order)})",
        ),
    )
