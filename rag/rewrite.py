"""A follow-up -> a query that stands alone.

A question that names what it is about is left as it is: rewriting it can only harm. For one that
leans on the conversation ("and on 8.0?", "how do I enable it?") the generator's rewrite is taken
only if it keeps the question's own words and adds none from nowhere; otherwise, and without a
generator, the words of the former question are put before it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.generate import Generator
from rag.prompt import read_prompt
from rag.schema import Message, Sampling
from rag.words import content_words, stem

_LEANS = re.compile(
    r"\b(it|its|that|this|these|those|they|them|their|he|she|one|ones|same|former|latter|there|"
    r"above|previous|another|instead|else)\b|^(and|but|or|so|what about|how about|why|also)\b",
    re.IGNORECASE,
)
_FEW_WORDS = 3
_TURNS = 4
_MOST_TOKENS = 64


async def standalone_question(
    question: str, history: Sequence[Message], generator: Generator | None
) -> str:
    """The query to search for; `generator` None puts words together without one.

    May raise GenerationError.
    """
    former = [turn.content for turn in history if turn.role == "user"]
    if not former or not leans_on_history(question):
        return question
    combined = f"{former[-1].strip()} {question}"
    if generator is None:
        return combined
    rewritten = await _ask(question, history, generator)
    return rewritten if _is_faithful(rewritten, question, history) else combined


def leans_on_history(question: str) -> bool:
    """Whether the question is short of words of its own, or points at something said before."""
    return len(content_words(question)) <= _FEW_WORDS or bool(_LEANS.search(question))


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
    own = {stem(word) for word in content_words(_LEANS.sub(" ", question))}
    new = {stem(word) for word in content_words(rewritten)}
    said = {stem(word) for turn in history for word in content_words(turn.content)}
    return bool(new) and own <= new and new <= own | said and bool(new - own)
