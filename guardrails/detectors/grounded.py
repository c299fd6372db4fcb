"""Does every sentence of an answer rest on a retrieved passage?

Half shared words, half embedding similarity, then a hard look at numbers, names and polarity.
There is no entailment model: a sentence built from the passage's own words in a wrong relation
("A needs B" for "B needs A") passes. Knows no world: a true sentence without a passage is blocked.
"""

from __future__ import annotations

import re

from guardrails.detectors.evidence import EvidenceCache
from guardrails.detectors.facts import identifiers, numbers, without_marks
from guardrails.detectors.sentences import content_words, split_sentences
from guardrails.detectors.support import GroundedLimits, Support, support
from guardrails.schema import GROUNDED, Context, Embed, Verdict

RAIL = GROUNDED
MOST_SENTENCES = 500
"""Each costs an embedding: an answer of more is none."""
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
    sentences = dict.fromkeys(split_sentences(without_marks(text)))
    if len(sentences) > MOST_SENTENCES:
        reason = f"answer has more than {MOST_SENTENCES} sentences"
        return Verdict(False, RAIL, reason, text, "too_long", 0.0)
    for sentence in sentences:
        if not states_nothing(sentence):
            found = support(sentence, evidence, cache=cache, embed=embed, limits=limits)
            lowest = min(lowest, found, key=lambda item: item.score)
    allowed = not lowest.problem
    return Verdict(allowed, RAIL, lowest.problem, text, lowest.category, lowest.score)


def states_nothing(sentence: str) -> bool:
    """Greetings, headings, and admissions that the documents do not hold the answer."""
    if any(form.fullmatch(sentence) for form in (SAYS_NOTHING, ADMITS, LEADS_IN)):
        return not numbers(sentence) and not identifiers(sentence)
    return not content_words(sentence) and not numbers(sentence) and not identifiers(sentence)
