"""A follow-up -> what it means by itself, and the wordings to search for.

A question that names what it is about is searched as it is, with the conversation as a faint second
wording. For one that leans on the conversation ("and on 8.0?", "how do I enable it?") it is the
other way round: the former question and the start of its answer tell what it is about. A
generator's rewrite is taken only if it keeps the question's own words and adds none from nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.generate import Generator
from rag.prompt import read_prompt
from rag.schema import Message, Sampling, Wordings
from rag.words import content_words, stem

_POINTS_BACK = re.compile(
    r"\b(it|its|they|them|their|he|she|those|these|this|that|same|former|latter|first|second|"
    r"other|another|there|then|else|instead|ones?|both|either|above|previous)\b",
    re.IGNORECASE,
)
_CONTINUES = re.compile(
    r"\s*(and|but|or|so|then|also|why|no|yes|what about|how about|which of)\b", re.IGNORECASE
)
_CHANGES = re.compile(
    r"\b((something|anything) else|(another|new|different|other|unrelated) (question|topic|matter)|"
    r"by the way|btw|ok,? thanks|thanks|thank you)\b",
    re.IGNORECASE,
)
_FEW_WORDS, _SOME_WORDS, _MANY_WORDS = 2, 6, 8
_LEANING, _STANDING = 0.9, 0.3
"""Weight of the conversation beside the question as typed."""
_TRUSTED = 0.8
"""Weight of a generator's rewrite beside the question as typed."""
_ANSWER_CHARACTERS = 600
_TURNS = 4
_MOST_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Standalone:
    """What a question means without its conversation."""

    query: str
    """What is judged, answered and shown."""
    wordings: Wordings
    """The weights add up to 1."""


async def standalone(
    question: str, history: Sequence[Message], generator: Generator | None
) -> Standalone:
    """`generator` None puts words together without one. May raise GenerationError."""
    by_words = standalone_by_words(question, history)
    if generator is None or by_words.query == question:
        return by_words
    rewritten = await _ask(question, history, generator)
    if not _is_faithful(rewritten, question, history):
        return by_words
    return Standalone(rewritten, ((rewritten, _TRUSTED), (question, 1 - _TRUSTED)))


def standalone_by_words(question: str, history: Sequence[Message]) -> Standalone:
    """The former question's words before the follow-up's own, where it leans on what was said."""
    former = [turn.content.strip() for turn in history if turn.role == "user"]
    own = len(content_words(question))
    leans = leans_on_history(question)
    if not former or (own >= _MANY_WORDS and not leans):
        return Standalone(question, ((question, 1.0),))
    said = [turn.content for turn in history if turn.role == "assistant"]
    answer = said[-1][:_ANSWER_CHARACTERS] if said else ""
    context = f"{question} {former[-1]} {answer}".strip()
    weight = _LEANING if leans else _STANDING
    query = f"{former[-1]} {question}" if leans else question
    return Standalone(query, ((context, weight), (question, 1 - weight)))


def leans_on_history(question: str) -> bool:
    """Whether the question is short of words of its own, or points at something said before."""
    if _CHANGES.search(question):
        return False
    own = len(content_words(question))
    return (
        own <= _FEW_WORDS
        or (own <= _SOME_WORDS and bool(_POINTS_BACK.search(question)))
        or (own <= _MANY_WORDS and bool(_CONTINUES.match(question)))
    )


async def _ask(question: str, history: Sequence[Message], generator: Generator) -> str:
    turns = "\n".join(f"{turn.role}: {turn.content[:500]}" for turn in history[-_TURNS:])
    messages = [
        Message("system", read_prompt("rewrite")),
        Message("user", f"{turns}\nuser: {question}\n\nRewritten question:"),
    ]
    pieces = [
        piece async for piece in generator.stream(messages, Sampling(max_tokens=_MOST_TOKENS))
    ]
    return "".join(pieces).strip().strip('"').split("\n")[0]


def _is_faithful(rewritten: str, question: str, history: Sequence[Message]) -> bool:
    own = {stem(word) for word in content_words(_POINTS_BACK.sub(" ", question))}
    new = {stem(word) for word in content_words(rewritten)}
    said = {stem(word) for turn in history for word in content_words(turn.content)}
    return bool(new) and own <= new and new <= own | said and bool(new - own)
