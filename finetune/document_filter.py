"""Whether a question and its answer can be learned from: checks by words, no model.

They let a wrong paraphrase pass that uses the passage's own words, and refuse a right one in words
of its own: what is kept is grounded rather than complete.
"""

from __future__ import annotations

import re

from finetune.document_passages import plain, words

_SHARE = 0.8  # of an answer's telling words that must stand in the passage
_LIKE = 0.75  # of a question's telling words: a passage that holds as many may answer it
_NEGATION = re.compile(r"\b(?:not?|never|none|cannot|without|nor)\b|n't\b", re.IGNORECASE)
_POINTS_OUT = re.compile(
    r"\b(?:this|the|above|following|given|provided) (?:passage|text|document|section|page|excerpt|"
    r"context|paragraph|table|list|example)\b|\baccording to\b",
    re.IGNORECASE,
)
_COMMON = frozenset(
    "a about after all also an and any are as at be because been before between both but by can "
    "could did do does each else for from had has have how i if in into is it its know long many "
    "may me mean might more most much must no not of on one or other our out over own same shall "
    "should so some such tell term than that the their them then there these they this those "
    "through to too under until up use used was we were what when where which while who why will "
    "with would you your".split()
)


def telling(text: str) -> set[str]:
    """The words that carry a text's meaning, without their commonest endings."""
    return {_stem(word) for word in words(plain(text)) if word not in _COMMON}


def stands_in(answer: str, passage: str) -> bool:
    """Whether an answer is borne out: word for word, or by nearly all its telling words.

    Every number and name with a digit must stand there, and a negation only where the passage has
    one, too.
    """
    said, source = plain(answer).casefold(), plain(passage).casefold()
    if said in source:
        return True
    exact = {word for word in words(said) if any(sign.isdigit() for sign in word)}
    if not exact <= set(words(source)):
        return False
    if _NEGATION.search(said) and not _NEGATION.search(source):
        return False
    wanted = telling(said)
    return bool(wanted) and len(wanted & telling(source)) >= _SHARE * len(wanted)


def flaw(question: str, answer: str, passage: str) -> str:
    """Why a question and answer are left out, in a few words that can be counted, or nothing."""
    if not question.rstrip().endswith("?") or not 3 <= len(words(question)) <= 40:
        return "no question"
    if _POINTS_OUT.search(question):
        return "speaks of the passage"
    if not telling(question) & telling(passage):
        return "asks for something else"
    if not 1 <= len(words(answer)) <= 80:
        return "answer empty or long"
    if telling(answer) <= telling(question):
        return "answer repeats the question"
    if not stands_in(answer, passage):
        return "answer not in the passage"
    return ""


def might_answer(question: str, answer: str, passage: str) -> bool:
    """Whether a passage that is to hold no answer may hold it nevertheless. Errs on that side."""
    asked = telling(question)
    speaks_of_it = len(asked & telling(passage)) >= _LIKE * len(asked)
    return speaks_of_it or stands_in(answer, passage)


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "es", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word
