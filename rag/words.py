"""Words as retrieval sees them: stop words, stems, and the tokens that must never be altered."""

from __future__ import annotations

import re
from functools import lru_cache

import snowballstemmer

STOPWORDS = frozenset(
    "a about after all also an and any are as at be because been before being but by can could did "
    "do does doing for from had has have having he her here him his how i if in into is it its me "
    "more most my no not of on once one only or other our out over please same she should so some "
    "such tell than that the their them then there these they this those through to too under up "
    "us very was we were what when where which while who whom why will with would you your".split()
)
NEGATIONS = frozenset(
    "no not never none neither nor without cannot can't don't doesn't didn't isn't aren't wasn't "
    "weren't won't mustn't shouldn't unsupported impossible unable".split()
)
GENERIC = frozenset(
    "difference different differ explain describe mean meaning define definition give list name "
    "example kind type way need needed needs use used uses using work works get got many much big "
    "large small happen happens best possible make want know find help question answer".split()
)
"""Words that questions are made of: whether a passage holds them says little."""
_WORD = re.compile(r"\w+(?:['’]\w+)?")
_EXACT = re.compile(r"\w*\d[\w.,:/%-]*\w|\d|\w+(?:[._/-]\w+)+|--?\w[\w-]*|\b[A-Z]{2,}\b")
_RUN = re.compile(r"\w+(?:[._/:-]\w+)*")
_VERSION = re.compile(r"v?\d+(?:\.(?:\d+|x))*", re.IGNORECASE)
_PLAIN_COMPOUND = re.compile(r"[A-Za-z]+(?:[-/][A-Za-z]+)*")
_LETTER, _DIGIT, _JOINT = re.compile(r"[A-Za-z]"), re.compile(r"\d"), re.compile(r"[._/:-]")
_STEMMER = snowballstemmer.stemmer("english")


def words(text: str) -> list[str]:
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


def content_words(text: str) -> list[str]:
    """Distinct words of `text` that say what it is about, lower case, in order."""
    distinct = list(dict.fromkeys(words(text)))
    return [word for word in distinct if word not in STOPWORDS] or distinct


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    return str(_STEMMER.stemWord(word))


def stems(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order, repeated where the text repeats them."""
    return [stem(word) for word in words(text) if word not in STOPWORDS]


def exact_tokens(text: str) -> set[str]:
    """Numbers, versions, option names, flags and acronyms: right only letter for letter."""
    return {match.group().lower().strip(".,:-") for match in _EXACT.finditer(text)} - {""}


def identifiers(text: str) -> list[str]:
    """Option names, error codes, paths and numbers that a passage has to hold letter for letter.

    Versions and plain compounds such as "pass-through" are none.
    """
    return list(dict.fromkeys(filter(_is_identifier, _RUN.findall(text))))


def _is_identifier(token: str) -> bool:
    if token.isdecimal():
        return len(token) >= 5  # a bug's number
    if len(token) < 4 or _PLAIN_COMPOUND.fullmatch(token) or _VERSION.fullmatch(token):
        return False
    return bool(_LETTER.search(token) and (_DIGIT.search(token) or _JOINT.search(token)))


def negations(text: str) -> int:
    return sum(word in NEGATIONS for word in words(text))
