"""Signs of an order to a model, weighed sentence by sentence.

One sign alone says little: manuals order, mails speak of answers, pages about AI name models. So
each sign has a weight and a kind; a sentence weighs as much as its heaviest sign of each kind
together, and less certain ones count when the next sentence has others. A sign is looked for only
where each of its classes of words is met, so a passage without such words costs next to nothing.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from guardrails.detectors.hidden_words import BITS, WORD, WORDS

ENOUGH = 0.89
"""Weight of a sentence that is taken for an order."""
ENOUGH_OF_TWO = 1.3
"""Of two sentences in a row, together."""
LONGEST = 600
_STEP = 400
_SHORTEST = 7
_BREAK = re.compile(r"(?<=[.!?])[\"')\]*]{0,3}\s|\n\s{0,8}(?=[\n*#|>•\d\"-])|\n(?=[^\n]{1,40}:)")
_LEADING = re.compile(r"^[^\w<\[(\"'!/]{1,20}(?:\d{1,3}[.):] )?")


@dataclass(frozen=True, slots=True)
class Sign:
    """What adds `weight` to a sentence, once for all signs of its kind."""

    name: str
    category: str
    kind: str
    weight: float
    needs: int
    regex: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Found:
    """The heaviest sign of what was taken for an order, and the weight of all."""

    name: str
    category: str
    weight: float


def sign(name: str, category: str, kind: str, weight: float, needs: str, regex: str) -> Sign:
    """`needs` names classes of words, all of which the sentence must hold."""
    return Sign(name, category, kind, weight, classes(needs), re.compile(regex))


def classes(names: str) -> int:
    """The bits of these classes of words."""
    found = 0
    for name in names.split():
        found |= BITS[name]
    return found


_NOT_OF_PEOPLE = frozenset({"reader", "send", "drop", "role", "secret", "frame", "asked", "duty"})
_DOUBT, _SURE = 0.4, 2.0
_ONLY = {"away": frozenset("send tool credential reader duty asker answer asked bait".split())}
"""Kinds that count for nothing without one of these."""
_NOT_IN_MAILS = frozenset({"reader", "duty"})
LIGHTER = (
    sign(
        "tells of attacks",
        "",
        "told",
        0.0,
        "told",
        r"\b(?:attackers?|attacks?|(?:prompt )?injections?|injected|jailbreak(?:s|ing)?|"
        r"red team\w{0,3}|researchers|phishing|poisoned|adversarial|"
        r"malicious|fraudsters|scammers|benchmark|scenario|exercise|participants|study|victims|"
        r"reported that|(?:was|were|is) told (?:to|by|that)|wants? (?:the|our|a) \w{1,30} to|"
        r"phrases? (?:such as|like)|the phrase [\"'][^\"']{1,80}[\"'] (?:alone|is|was|occurs|"
        r"appears|may|can|does|by itself)|classifiers?|detectors?)\b",
    ),
    sign("asks", "", "asks", -0.4, "question", r"\?[\"')]{0,2}$"),
    sign(
        "among people",
        "",
        "mail",
        0.0,
        "mail",
        r"\b(?:(?:kindly|please) confirm|confirm (?:your|receipt|that you)|attendance|"
        r"allerg\w{1,4}|in ink|answer to (?:question|no|point|item|your)|"
        r"space provided|questionnaire|spreadsheet|answer sheet|in writing|on the form|"
        r"tickets? "
        r"(?:is|will|has))\b|\b(?:instructions?|guidelines|rules) (?:regarding|about the|"
        r"concerning|"
        r"for (?:the|use)|on how) (?!user|answer|model)|\bso (?:that )?we\b|\b(?:case|ticket|"
        r"order|reference|customer|invoice|serial|phone|"
        r"account|contract|request|telephone|fax|project|registration) (?:number|no|id)\b|"
        r"\bplease (?:state|tell us|indicate|let us know) (?:whether|your|if|when|how)\b|"
        r"\bwhether you\b|\byour (?:reply|answer|response|answers|message|"
        r"summary)(?: to us)? (?:by|before|until|will|would|is|are|as soon|has been|was|"
        r"at your)\b|\b(?:thank|thanks)\b.{0,40}\byour\b|\bby (?:monday|tuesday|wednesday|"
        r"thursday|friday|noon|tomorrow|return)\b",
    ),
)
"""What makes an order less likely: it is told of, it is a question, or it is an ordinary mail."""


def sentences(lines: str) -> list[str]:
    """Sentences, cells of lists and lines with a label; long ones in pieces that overlap."""
    pieces = (" ".join(piece.split()) for piece in _BREAK.split(lines))
    plain = (piece if piece[:1].isalnum() else _LEADING.sub("", piece) for piece in pieces)
    return [
        said[start : start + LONGEST]
        for said in plain
        if len(said) >= _SHORTEST
        for start in range(0, max(1, len(said) - _STEP // 2), _STEP)
    ]


def classes_of(sentence: str) -> int:
    """The classes of words that it holds."""
    met = BITS["question"] if "?" in sentence else 0
    for word in WORD.findall(sentence):
        met |= WORDS.get(word, 0)
    return met


def kinds_of(sentence: str, words: int, signs: Iterable[Sign]) -> dict[str, Sign]:
    """The heaviest sign of each kind."""
    found: dict[str, Sign] = {}
    for one in signs:
        if one.needs & words == one.needs:
            best = found.get(one.kind)
            if (best is None or best.weight < one.weight) and one.regex.search(sentence):
                found[one.kind] = one
    return found


def weigh(
    said: Sequence[str], words: Sequence[int], signs: Sequence[Sign], enough: float = ENOUGH
) -> Found | None:
    """The first sentence, or pair of neighbours, that weighs enough."""
    everything = functools.reduce(operator.or_, words, 0)
    possible = [one for one in signs if one.needs & everything == one.needs]
    before: dict[str, Sign] = {}
    for sentence, met in zip(said, words, strict=True):
        here = kinds_of(sentence, met, possible) if met else {}
        if here and _weight(here) >= enough:
            return _found(here)
        if here and before:
            both = dict(before)
            for kind, one in here.items():
                if kind not in both or both[kind].weight < one.weight:
                    both[kind] = one
            if _weight(both) >= enough + ENOUGH_OF_TWO - ENOUGH:
                return _found(both)
        before = here
    return None


def _weight(found: dict[str, Sign]) -> float:
    kinds = found.keys()
    spared = {kind for kind, others in _ONLY.items() if kinds.isdisjoint(others)}
    if not kinds.isdisjoint(_NOT_OF_PEOPLE):
        spared.add("people")
    whole = sum(one.weight for kind, one in found.items() if kind not in spared)
    told = "told" in kinds or ("mail" in kinds and kinds.isdisjoint(_NOT_IN_MAILS))
    return min(whole, _SURE) * _DOUBT if told else whole


def _found(kinds: dict[str, Sign]) -> Found:
    best = max(kinds.values(), key=lambda one: one.weight)
    return Found(best.name, best.category, _weight(kinds))
