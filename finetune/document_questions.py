"""Questions and answers from a passage by rules alone: definitions, plain statements, headings.

English only, and stiff: it asks what the text states outright, nothing that takes two sentences
together. Its answers are sentences of the passage, word for word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from finetune.document_filter import telling
from finetune.document_passages import Passage, plain, sentences, words

_SUBJECT = r"(?P<subject>(?:(?:The|An?) )?[A-Z0-9a-z][\w./+-]*(?: [\w./+()-]+){0,5}?)"
_DEFINED = re.compile(_SUBJECT + r" (?P<verb>is|are) (?:an?|the|one of) ")
_STATED = re.compile(
    _SUBJECT + r" (?P<verb>needs|requires|supports|uses|provides|shows|holds|contains|adds|"
    r"learns|saves|means|measures|replaces|lists|limits|writes|reads|serves) "
)
_ABLE = re.compile(
    _SUBJECT + r" can(?:not)? (?!not\b)(?P<what>[^,;:.]+?)(?=[,;:.]| so that| because)"
)
_GLOSSARY = re.compile(r"^\*\*(?P<term>[^*]+)\*\*(?: \(\w+\))?(?: or \*\*[^*]+\*\*)?: ")
_NO_SUBJECT = re.compile(
    r"^(?:\w+ing|below|above|it|its|this|that|these|those|they|there|he|she|we|you|both|each|one|"
    r"such|which|what|who|"
    r"when|if|where|how|with|in|on|for|of|to|at|by|from|after|before|because|without|only|all|"
    r"another|some|many|most|then|here|an? (?:common|typical|good))\b|"
    r"\b(?:that|which|if|when|because|is|are|not|can|cannot|must|and|or|to|same|other|two|three)\b",
    re.IGNORECASE,
)
_ORDERS = frozenset(
    "add allow build change check choose clean configure connect copy create define delete deploy "
    "disable document download enable export find fix import install licence license maintain "
    "measure migrate move prepare remove replace reset restart restore run set share size split "
    "start stop test tune uninstall update upgrade use verify write".split()
)
_ASKS = re.compile(r"^(?:what|which|who|where|when|why|how)\b", re.IGNORECASE)
_VAGUE = frozenset(
    "overview introduction summary steps sources notes note limits pitfalls parts requirements "
    "comparison configuration formats measuring memory example examples prerequisites".split()
)
_FEWEST, _MOST = 5, 60  # words of an answer
_CLEAR = 3  # telling words with which a heading is understood without its document's title


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and its answer."""

    question: str
    answer: str


def questions(passage: Passage, most: int) -> list[Asked]:
    """Up to `most` questions that the passage answers; the surest first, no answer twice."""
    found: dict[str, Asked] = {}
    stated = sentences(passage.text)
    for one in (*_glossary(passage.text), *_statements(stated), *_heading(passage, stated)):
        if _FEWEST <= len(words(one.answer)) <= _MOST:
            found.setdefault(one.answer, one)
    once = {one.question: one for one in reversed(found.values())}
    return [one for one in found.values() if once[one.question] is one][:most]


def _glossary(text: str) -> Iterator[Asked]:
    """`**Term**: what it is`, one paragraph each."""
    for block in re.split(r"\n\s*\n", text):
        if match := _GLOSSARY.match(block):
            yield Asked(f"What does the term {plain(match['term'])} mean?", plain(block))


def _statements(stated: list[str]) -> Iterator[Asked]:
    for sentence in stated:
        if not sentence.endswith("."):
            continue
        if match := _DEFINED.match(sentence):
            if subject := _subject(match["subject"]):
                yield Asked(f"What {match['verb']} {subject}?", sentence)
        elif match := _ABLE.match(sentence):
            if (subject := _subject(match["subject"])) and len(words(match["what"])) <= 15:
                yield Asked(f"Can {subject} {match['what']}?", sentence)
        elif (match := _STATED.match(sentence)) and (subject := _subject(match["subject"])):
            yield Asked(f"What does {subject} {match['verb'].removesuffix('s')}?", sentence)


def _subject(text: str) -> str:
    """The subject as it stands within a sentence; nothing if it points elsewhere."""
    if _NO_SUBJECT.search(text):
        return ""
    return re.sub(r"^(The|An?) ", lambda match: match.group().lower(), text)


def _heading(passage: Passage, stated: list[str]) -> Iterator[Asked]:
    """What a heading announces is answered by the sentences that come first under it."""
    heading = passage.headings[-1].rstrip(".:")
    wanted = _wanted(heading) if passage.first else ""
    if wanted and len(passage.headings) > 1 and len(telling(heading)) < _CLEAR:
        wanted = f"{passage.headings[0]}: {wanted[0].lower()}{wanted[1:]}"
    if not wanted or not stated:
        return
    answer = stated[0]
    for sentence in stated[1:]:
        longer = f"{answer} {sentence}"
        if len(words(longer)) > _MOST // 2 or plain(longer) not in plain(passage.text):
            break
        answer = longer
    # What ends in a colon is completed by a list or table that is no part of the answer.
    if answer.endswith((".", "!")):
        yield Asked(wanted, answer)


def _wanted(heading: str) -> str:
    """The question that a heading stands for, or none."""
    if heading.endswith("?"):
        return heading
    first, *rest = heading.split()
    if heading.casefold() in _VAGUE or (first.casefold() in _VAGUE and len(rest) < 2):
        return ""
    lowered = heading if _is_name(first) else heading[0].lower() + heading[1:]
    if _ASKS.match(heading):
        return f"Can you tell me {lowered}?"
    if first.casefold() in _ORDERS and rest:
        return f"How do I {lowered}?"
    return f"What should I know about {lowered}?"


def _is_name(word: str) -> bool:
    """Whether a word keeps its capitals within a sentence: `vMotion`, `DRS`, `MIG`, `H100`."""
    return any(sign.isupper() or sign.isdigit() for sign in word[1:])
