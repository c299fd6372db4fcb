"""What vSage says when it does not answer. Plain words: what happened, and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

from guardrails import Verdict
from rag.schema import Hit

REFUSED = {
    "too_long": (
        "I can't take that message: it, or the conversation before it, is longer than I may read. "
        "Please shorten it, or begin a new conversation."
    ),
    "repetition": (
        "I can't take that message: most of it is the same thing again and again. "
        "Please leave the repetitions out and ask again."
    ),
    "padding": (
        "I can't take that message: most of it is blank, invisible or heaped on other characters. "
        "Please type the question anew, without what fills it up."
    ),
    "control_characters": (
        "I can't take that message: it holds many control characters, which are no text. "
        "Please paste it again as plain text, or leave that part out."
    ),
    "forbidden_topic": (
        "That is a topic that I've been set up to leave out. "
        "Please ask the people in charge of it, or ask me about the documents."
    ),
    "off_topic": (
        "That lies outside the topics that I've been set up for. "
        "Please ask me about those, in other words if I misread you."
    ),
    "error": (
        "I can't answer: a safety check failed to run, so nothing was passed on. "
        "Please tell the person who runs this service."
    ),
    "timeout": (
        "I can't answer: a safety check took too long, so nothing was passed on. "
        "Please try again, or with a shorter message."
    ),
}
"""By the category of what was refused."""


def blocked(verdict: Verdict, help_line: str = "") -> str:
    """What is said instead of an answer. `help_line`: whom to name where a life is at risk."""
    if verdict.category == "self_harm":
        return (
            "That sounds very hard, and I'm sorry that you feel this way. I only look things up in "
            "documents, so I'm no help with it, but you don't have to be alone with this: "
            f"{help_line}. If you are in danger now, call the emergency number of your country, or "
            "tell somebody near you."
        )
    if verdict.category in REFUSED:
        return REFUSED[verdict.category]
    if verdict.rail == "check harm":
        return (
            "I can't help with that: it reads like something that could hurt people. "
            "If it was a question about your work, please ask it in other words."
        )
    if verdict.category in {"personal_data", "secret"}:
        held = "a password or a key" if verdict.category == "secret" else "personal data"
        return (
            f"I can't take that message: it seems to hold {held}, which I may not pass on. "
            "Please leave it out and ask again."
        )
    return (
        "I can't act on that message: it reads like an attempt to change how I work. "
        "If that is not what you meant, please ask again in other words."
    )


def stopped(category: str) -> str:
    """Where an answer ends early, because of what the model began to say."""
    if category == "prompt_leak":
        return (
            "I stopped here: what came next would have shown my own instructions, which I keep to "
            "myself. Please ask about the documents."
        )
    return (
        "I stopped here: what came next was not readable text. "
        "Please ask again, in other words or a narrower question."
    )


def not_found(
    query: str, documents: int, closest: Sequence[Hit] = (), filtered: bool = False
) -> str:
    """`documents` were searched, of those the caller may read; `filtered`: by the caller's wish."""
    if documents == 0 and filtered:
        return (
            "No document passes these filters, so I have nothing to answer from. "
            "Widen them, or leave some out, and ask again."
        )
    if documents == 0:
        return (
            "The knowledge base is empty, so I have nothing to answer from. "
            "Add documents first, for example with `python -m rag ingest docs/kb`."
        )
    said = f"{_searched(documents, filtered)} for “{shorten(query)}”."
    if closest:
        titles = ", ".join(f"“{_plain(shorten(hit.title, 80))}”" for hit in closest)
        said += f" The closest I have: {titles}."
    wider = "widen the filters" if filtered else "ask for the missing document to be added"
    return f"{said} Try other words, or {wider}."


def _searched(documents: int, filtered: bool) -> str:
    if filtered and documents == 1:
        return (
            "The one document that passes these filters does not hold an answer to that. "
            "I searched it"
        )
    if filtered:
        return (
            f"The {documents} documents that pass these filters do not hold an answer to that. "
            "I searched them"
        )
    which = "its one document" if documents == 1 else f"its {documents} documents"
    return f"The knowledge base does not hold an answer to that. I searched {which}"


def nothing_supported(query: str) -> str:
    return (
        f"I found passages about “{shorten(query)}”, but no sentence that I can stand behind. "
        "Try a narrower question."
    )


def _plain(title: str) -> str:
    """A title is whatever a document says: nothing in it may act as Markdown."""
    return re.sub(r"([\\`*_\[\]<>#|~!])", r"\\\1", title)


def shorten(text: str, limit: int = 120) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
