"""Text to sentences, and sentences to content words. English rules of thumb, no model."""

from __future__ import annotations

import re

MAX_SENTENCE = 600
BREAK = re.compile(r"(?<=[.!?])[\"')\]]{0,2}\s+(?=[\"'(\[`*A-Z0-9])|\n{1,50}")
ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|approx|incl|no|fig|sec|dr|mr|ms)\.$", re.I)
WORD = re.compile(r"[a-z0-9](?:[a-z0-9_'’.-]{0,60}[a-z0-9])?")
STOP = frozenset(
    "a an and any are as at be been being but by can could did do does each else for from had has "
    "have having he her here his how i if in into is it its itself just may me might more most "
    "must my no nor not of on one only or other our own per same shall she should since so some "
    "such than that the their them then there these they this those through thus to too under "
    "until up upon us use used uses using via was we were what when where whether which while "
    "who whose why will with within without would yes you your also however therefore please "
    "sure okay ok well let's find found see above below following".split()
)
SUFFIXES = ("ations", "ation", "ingly", "ments", "ment", "ings", "ing", "ies", "ied", "ers", "ed",
            "er", "es", "ly", "s", "e", "y")  # fmt: skip


def split_sentences(text: str) -> list[str]:
    """Sentences and lines, in order; a longer one than 600 characters is cut."""
    sentences: list[str] = []
    for piece in BREAK.split(text):
        stripped = piece.strip()
        if not stripped:
            continue
        if sentences and ABBREVIATION.search(sentences[-1]) and len(sentences[-1]) < MAX_SENTENCE:
            sentences[-1] = f"{sentences[-1]} {stripped}"
        else:
            sentences.append(stripped)
    return [
        sentence[start : start + MAX_SENTENCE]
        for sentence in sentences
        for start in range(0, len(sentence), MAX_SENTENCE)
    ]


def content_words(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order, with repetitions."""
    words = (match[0].replace("’", "'") for match in WORD.finditer(text.lower()))
    return [stem(word) for word in words if word not in STOP and len(word) > 1]


def stem(word: str) -> str:
    """Cut one ending, so that `configured` meets `configuration`. Crude on purpose: no download."""
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 4:
            return word[: -len(suffix)]
    return word
