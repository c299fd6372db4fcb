"""Does every sentence of an answer rest on a retrieved passage?

Half shared words, half embedding similarity, then a hard look at numbers, names and polarity.
There is no entailment model: a sentence built from the passage's own words in a wrong relation
("A needs B" for "B needs A") passes. Knows no world: a true sentence without a passage is blocked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from guardrails.detectors.evidence import Evidence, EvidenceCache
from guardrails.detectors.facts import holds, identifiers, numbers, opposed, without_marks
from guardrails.detectors.sentences import content_words, split_sentences
from guardrails.schema import GROUNDED, Context, Embed, Verdict

RAIL = GROUNDED
MISMATCH_FACTOR = 0.4
"""What is left of the support of a sentence whose facts are wrong."""
SAME_STATEMENT = 0.6
"""Share of common words, and cosine, from which two sentences speak of the same thing."""
SAYS_NOTHING = re.compile(
    r"(?:hello|hi|hey|good (?:morning|afternoon|evening)|thanks?(?: you)?|you'?re welcome|welcome|"
    r"sure|certainly|of course|yes|no|okay|great question|i hope (?:this|that) helps|"
    r"let me know if (?:you|there|anything)[\w ,']{0,60}|"
    r"(?:here (?:is|are)|here's|these are|the following|below (?:is|are)) [\w ,'-]{0,80}:|"
    r"(?:based on|according to) (?:the|your) (?:[\w ]{0,40})(?:passages?|documents?|context|"
    r"documentation|sources?)[\w ]{0,20}[:,]?)[\s.!,:]{0,4}",
    re.IGNORECASE,
)
ADMITS = re.compile(
    r"(?:(?:therefore|unfortunately|however|so),? )?(?:(?:i'?m |i am )?sorry,? (?:but )?)?"
    r"(?:i|we|the (?:provided |given |retrieved )?"
    r"(?:documents?|passages?|context|sources?|documentation|information))(?: (?:can|could|do|does|"
    r"did|have|has|is|are|was|were))? ?(?:not|n't|cannot|can't|couldn't|don't|doesn't|didn't|"
    r"haven't|hasn't|isn't) (?:\w{1,20} ){0,2}?(?:find|found|know|have|contain|say|mention|"
    r"answer|specify|provide|state|hold|include|sure|help|available)\b(?!.{0,400}\b(?:but|however|"
    r"although|though|instead|because|since|except|which)\b)[^.!?:;]{0,160}[.!]?",
    re.IGNORECASE,
)
LEADS_IN = re.compile(
    r"```\w{0,20}|[\w ]{1,30}:|[^.!?:]{0,120}\b(?:following|below|follows|steps?|commands?|example|"
    r"says|this)\b[^.!?:]{0,60}:",
    re.IGNORECASE,
)


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


def check_grounded(
    text: str, context: Context, *, cache: EvidenceCache, embed: Embed, limits: GroundedLimits
) -> Verdict:
    """Block a text with a sentence that the passages do not support. No passages, no support."""
    if len(text) > limits.max_chars:
        reason = f"answer is longer than {limits.max_chars} characters"
        return Verdict(False, RAIL, reason, text, "too_long", 0.0)
    evidence = cache.evidence(context.passages)
    if evidence.quotes(text):
        return Verdict(True, RAIL, "", text, score=1.0)
    lowest = Support(1.0)
    for sentence in split_sentences(without_marks(text)):
        found = support(sentence, evidence, cache=cache, embed=embed, limits=limits)
        if found.problem:
            return Verdict(False, RAIL, found.problem, text, found.category, found.score)
        lowest = min(lowest, found, key=lambda item: item.score)
    return Verdict(True, RAIL, "", text, score=lowest.score)


def support(
    sentence: str, evidence: Evidence, *, cache: EvidenceCache, embed: Embed, limits: GroundedLimits
) -> Support:
    """Support of one sentence in [0, 1]; a sentence that states nothing has all of it."""
    if states_nothing(sentence):
        return Support(1.0)
    words = set(content_words(sentence))
    best = evidence.nearest(words, limits.candidates)
    texts = [evidence.sentences[index].text for index in best]
    similarity = cache.similarities(sentence, texts, embed) if texts else []
    overlap = len(words & evidence.words) / len(words) if words else 0.0
    weight = limits.similarity_weight
    score = weight * max(0.0, *similarity, 0.0) + (1 - weight) * overlap
    if limits.check_facts:
        wrong = _wrong_fact(sentence, words, evidence, best, similarity)
        if wrong is not None:
            return Support(score * MISMATCH_FACTOR, *wrong)
    if score < limits.threshold:
        return Support(score, f"support {score:.2f} is below {limits.threshold}", "unsupported")
    return Support(score)


def states_nothing(sentence: str) -> bool:
    """Greetings, headings, and admissions that the documents do not hold the answer."""
    if any(form.fullmatch(sentence) for form in (SAYS_NOTHING, ADMITS, LEADS_IN)):
        return not numbers(sentence) and not identifiers(sentence)
    return not content_words(sentence) and not numbers(sentence) and not identifiers(sentence)


def _wrong_fact(
    sentence: str,
    words: set[str],
    evidence: Evidence,
    best: Sequence[int],
    similarity: Sequence[float],
) -> tuple[str, str] | None:
    """Problem and category of the first fact that the passages do not hold."""
    if numbers(sentence) - evidence.numbers:
        return "a number that no passage holds", "number"
    if any(not holds(evidence.text, name) for name in identifiers(sentence)):
        return "a name or option that no passage holds", "identifier"
    same = [
        evidence.sentences[index]
        for index, cosine in zip(best, similarity, strict=True)
        if cosine >= SAME_STATEMENT and _same_statement(words, evidence.sentences[index].words)
    ]
    # One passage that agrees is enough: manuals state exceptions next to rules.
    if same and all(opposed(sentence, source.text) for source in same):
        return "the opposite of what the passage says", "negation"
    return None


def _same_statement(words: set[str], source: frozenset[str]) -> bool:
    common = len(words & source)
    return common >= SAME_STATEMENT * len(words) and common >= 0.5 * len(source)
