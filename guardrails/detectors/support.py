"""How well the passages support one sentence: shared words, meaning, and the facts in it.

The base is half shared words, half embedding similarity, a mix that agrees well with human labels
of faithfulness. Each fact that does not fit the passages leaves a part of it: the factors were set
by hand, so that one wrong number, name or option outweighs any number of right words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from guardrails.detectors.evidence import Evidence, EvidenceCache
from guardrails.detectors.facts import (
    holds,
    identifiers,
    names,
    negated,
    numbers,
    numbers_known,
    opposed,
)
from guardrails.detectors.sentences import content_words
from guardrails.schema import Embed

ABSENT = 0.4
"""What is left of the support where no passage holds the number, or the option."""
ELSEWHERE = 0.5
"""Where the number stands in the passages, but not near what the sentence says."""
UNNAMED = 0.45
"""Where no passage holds the name."""
OPPOSITE = 0.4
"""Where all that speaks of the same thing says the opposite."""
DOUBTFUL = 0.8
"""Where only the nearest sentence says the opposite, or nothing near has the "not" of this one."""
SAME_STATEMENT = 0.6
"""Share of common words, and cosine, from which two sentences speak of the same thing."""
NEAREST = 3


@dataclass(frozen=True, slots=True)
class GroundedLimits:
    """Thresholds and bounds, see `GroundedConfig`."""

    threshold: float
    similarity_weight: float
    check_facts: bool
    candidates: int
    max_chars: int


@dataclass(frozen=True, slots=True)
class Support:
    """How well one sentence is supported, and what is wrong with it, if anything."""

    score: float
    problem: str = ""
    category: str = ""


def support(
    sentence: str, evidence: Evidence, *, cache: EvidenceCache, embed: Embed, limits: GroundedLimits
) -> Support:
    """Support of one sentence in [0, 1], and the fact that is wrong, if one is."""
    words = set(content_words(sentence))
    best = evidence.nearest(words, limits.candidates)
    texts = [evidence.sentences[index].text for index in best]
    similarity = cache.similarities(sentence, texts, embed) if texts else []
    overlap = len(words & evidence.words) / len(words) if words else 0.0
    weight = limits.similarity_weight
    score = weight * max(0.0, *similarity, 0.0) + (1 - weight) * overlap
    wrong: list[tuple[float, str, str]] = []
    if limits.check_facts:
        wrong = [
            *_wrong_names(sentence, evidence),
            *_wrong_numbers(sentence, evidence, best),
            *_wrong_sense(sentence, words, evidence, best, similarity),
        ]
    for factor, _, _ in wrong:
        score *= factor
    problem = next(((why, kind) for _, why, kind in wrong if kind), None)
    if problem is not None and score < limits.threshold:
        return Support(score, *problem)
    if score < limits.threshold:
        return Support(score, f"support {score:.2f} is below {limits.threshold}", "unsupported")
    return Support(score)


def _wrong_names(sentence: str, evidence: Evidence) -> list[tuple[float, str, str]]:
    wrong = []
    if any(not holds(evidence.text, name) for name in identifiers(sentence)):
        wrong.append((ABSENT, "a name or option that no passage holds", "identifier"))
    if any(not _named(name, evidence) for name in names(sentence)):
        wrong.append((UNNAMED, "a name that no passage holds", "name"))
    return wrong


def _named(name: str, evidence: Evidence) -> bool:
    return name in evidence.spelled or name.rstrip("s") in evidence.spelled


def _wrong_numbers(
    sentence: str, evidence: Evidence, best: Sequence[int]
) -> list[tuple[float, str, str]]:
    said = numbers(sentence)
    if not said:
        return []
    if said - evidence.numbers:
        return [(ABSENT, "a number that no passage holds", "number")]
    near = " ".join(evidence.sentences[index].text for index in _near(evidence, best))
    if said - numbers_known(near):
        return [(ELSEWHERE, "a number that stands elsewhere in the passages", "number")]
    return []


def _wrong_sense(
    sentence: str,
    words: set[str],
    evidence: Evidence,
    best: Sequence[int],
    similarity: Sequence[float],
) -> list[tuple[float, str, str]]:
    if not best:
        return []
    ranked = sorted(zip(similarity, best, strict=True), reverse=True)
    same = [
        evidence.sentences[index]
        for cosine, index in ranked
        if cosine >= SAME_STATEMENT and _same_statement(words, evidence.sentences[index].words)
    ]
    # One passage that agrees is enough: manuals state exceptions next to rules.
    if same and all(opposed(sentence, source.text) for source in same):
        return [(OPPOSITE, "the opposite of what the passage says", "negation")]
    wrong = []
    if opposed(sentence, evidence.sentences[ranked[0][1]].text):
        wrong.append((DOUBTFUL, "", ""))
    near = (evidence.sentences[index].text for index in _near(evidence, best[:1]))
    if negated(sentence) and not any(negated(text) for text in near):
        wrong.append((DOUBTFUL, "", ""))
    return wrong


def _near(evidence: Evidence, best: Sequence[int]) -> list[int]:
    """The nearest sentences, each with the one before and the one after it."""
    last = len(evidence.sentences) - 1
    around = {beside for index in best[:NEAREST] for beside in (index - 1, index, index + 1)}
    return sorted(index for index in around if 0 <= index <= last)


def _same_statement(words: set[str], source: frozenset[str]) -> bool:
    common = len(words & source)
    return common >= SAME_STATEMENT * len(words) and common >= 0.5 * len(source)
