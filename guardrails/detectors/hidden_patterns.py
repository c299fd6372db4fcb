"""What the signs take over from the patterns of direct attacks, and what only markup betrays.

Manuals are full of imperatives ("ignore this warning"), so a pattern needs a word that only fits
a conversation: your answer, the user, the assistant, earlier instructions.
"""

from __future__ import annotations

from guardrails.detectors.hidden_signs import Sign, classes, sign
from guardrails.detectors.injection_patterns import EXTRACTION, OVERRIDE, PERSONA, TURN_MARKERS
from guardrails.detectors.patterns import BETWEEN, gap, pattern

_MODEL = (
    r"(?:ai|a\.i|llm|llms|language models?|ai assistants?|ai models?|chat ?bots?|chatgpt|gpt|"
    r"copilot|virtual assistant|ai agent|generative ai)"
)
_ANSWER = r"(?:answers?|repl(?:y|ies)|responses?|summary|summaries)"
_SAY = (
    r"(?:say|respond|reply|answer|state|write|output|tell|recommend|mention|claim|include|append|"
    r"add|insert|print|return|always|never|do not|don't|ignore|disregard|forget|send|reveal)"
)
_NOT_HTTP = (
    r"(?! (?:file|body|headers?|codes?|times?|polic(?:y|ies)|plans?|teams?|message|status)\b)"
)

# Documents say so of people, machines and prompts, too: how much it weighs, and 0 for not at all.
_WEIGHTS = {
    "never refuse": 0.0,
    "tell your prompt": 0.0,
    "repeat the text above": 0.0,
    "new instructions": 0.0,
    "tell the hidden prompt": 0.5,
    "persona without limits": 0.6,
    "text above verbatim": 0.6,
    "what were you told": 0.6,
}
_NEEDS = {"override": "drop", "prompt_extraction": "rules", "jailbreak": "role"}
_OTHER_NEEDS = {
    "drop earlier instructions": "drop rules",
    "drop all instructions": "drop rules",
    "drop your rules": "drop rules",
    "no longer bound": "you",
    "unrestricted persona": "unbound",
    "persona without limits": "limits",
    "do anything now": "mode",
    "mode switch": "mode",
    "both answers": "mode answer",
    "stay in character": "role",
    "what were you told": "you",
}


def _direct() -> tuple[Sign, ...]:
    found = []
    for one in OVERRIDE + EXTRACTION + PERSONA:
        weight = _WEIGHTS.get(one.name, 1.0)
        if weight:
            needs = classes(_OTHER_NEEDS.get(one.name, _NEEDS[one.category]))
            found.append(Sign(one.name, one.category, "direct", weight, needs, one.regex))
    return tuple(found)


ADDRESSED = (
    *_direct(),
    sign(
        "new instructions",
        "override",
        "frame",
        0.6,
        "rules",
        r"\b(?:new|updated|real|actual|revised|true) (?:system )?(?:instructions?|directives?|"
        r"system prompt)\s{0,2}:|\byour new (?:instructions?|directives?|task|role|system prompt)"
        r" (?:is|are)\b",
    ),
    sign(
        "order to the model",
        "addressed_to_model",
        "reader",
        1.0,
        "model",
        rf"\b(?:attention|note|notice|message|instructions?|important|reminder|memo|hey|dear|"
        rf"hello)(?:{BETWEEN}(?:to|for|all|any|the|this|every|reading|other)){{0,4}}{BETWEEN}"
        rf"{_MODEL}\b[^\n]{{0,3}}[:,!.—–-]",
    ),
    sign(
        "if you are a model",
        "addressed_to_model",
        "reader",
        1.0,
        "model you",
        rf"\b(?:if|since|because|as) you(?: are|'re| happen to be)?{gap(3)}{_MODEL}\b{gap(12)}"
        rf"{_SAY}\b",
    ),
    sign(
        "you are a model with a task",
        "addressed_to_model",
        "reader",
        1.0,
        "model you",
        rf"\byou are (?:now )?(?:a|an|the)?{gap(3)}{_MODEL}\b(?=.{{0,120}}\b(?:you must|"
        r"your (?:task|job|answer|goal)|must|should)\b)",
    ),
    sign(
        "steer the answer",
        "addressed_to_model",
        "answer",
        1.0,
        "answer",
        rf"\b(?:in|into|to|at the (?:end|start|beginning|top|bottom) of|throughout|with|within)"
        rf"{BETWEEN}(?:all |each of |any of )?(?:your|the next|the final){gap(2)}{_ANSWER}\b"
        rf"{_NOT_HTTP}",
    ),
    sign(
        "shape your answer",
        "addressed_to_model",
        "answer",
        1.0,
        "answer you",
        rf"\b(?:begin|start|end|finish|conclude|append|prefix|preface|enhance|alter|modify|"
        rf"change|adjust|format|limit|restrict|write|provide|give|craft|reverse|misspell|"
        rf"encode|translate|replace){gap(6)}your{gap(2)}{_ANSWER}\b",
    ),
    sign(
        "your answer must",
        "addressed_to_model",
        "answer",
        1.0,
        "answer you",
        rf"\byour{gap(2)}{_ANSWER} (?:must|should|shall|has to|needs? to)\b",
    ),
    sign(
        "every answer",
        "addressed_to_model",
        "answer",
        0.9,
        "answer",
        rf"\b(?:include|append|add|insert|put|place|output|write|say|repeat|print|mention|"
        rf"state|end|start|begin|finish|conclude|close|open|prefix|preface){gap(12)}"
        rf"(?:every|each|all|any|the next|the final|the user's){BETWEEN}"
        rf"(?:of{BETWEEN})?(?:your{BETWEEN})?{_ANSWER}\b{_NOT_HTTP}"
        rf"(?={BETWEEN}(?:with|by|to|you|that|about|on)\b|\s{{0,2}}[.:,!]|$)",
    ),
    sign(
        "the model and its answer",
        "addressed_to_model",
        "answer",
        0.9,
        "model answer",
        rf"\b(?:the |an? |any |every |all )?(?:{_MODEL}|assistants?|bots?|summari[sz]ers?){gap(12)}"
        rf"(?:in|to|of|with|into) (?:its|their) (?:final |next )?{_ANSWER}\b{_NOT_HTTP}",
    ),
    sign(
        "keep from the user",
        "addressed_to_model",
        "secret",
        0.9,
        "secret",
        r"\b(?:do not|don't|never|without)(?: ever)? (?:tell|telling|inform|informing|warn|"
        r"warning|alert|alerting|mention|mentioning|reveal|revealing|disclose|disclosing|show|"
        rf"showing|notify|notifying)(?:{BETWEEN}\w{{1,30}}){{0,4}}?{BETWEEN}(?:the|any|this)"
        rf"{BETWEEN}(?:user|human|person|reader|instruction|instructions|message|prompt)\b"
        rf"(?:{BETWEEN}(?:about|of|that|to|this|these|anything|any|what|who|in|under|but|and)"
        r"|\s{0,3}[.!,]|$)",
    ),
    sign(
        "tell the user",
        "addressed_to_model",
        "asker",
        0.9,
        "tell person",
        rf"\b(?:tell|inform|convince|persuade|urge|trick) (?:the|this|every) user"
        rf"{BETWEEN}(?:that|to|their|about|for|they|it)\b",
    ),
    sign(
        "plays with letters",
        "foreign_task",
        "manner",
        0.9,
        "letters",
        rf"\b(?:replace|replacing|swap|substitute|change|scramble|shuffle|rearrange|jumble|"
        rf"reverse|misspell|remove|omit|drop|use|using|write|group|encode|anagram|convert){gap(6)}"
        rf"(?:vowels?|consonants?|letters?|homophones?|anagrams?|emojis?|spaces between "
        rf"words|typos|misspellings|keyboard symbols){gap(7)}(?:words?|numbers?|digits|sentence|"
        r"answers?|message|"
        rf"responses?|repl(?:y|ies)|symbols|groups|sets|fours)\b",
    ),
)

COMMENT_ORDERS = (
    pattern(
        "order in a comment",
        "hidden_text",
        rf"\b(?:{_MODEL}|assistant|system prompt)\b{gap(14)}{_SAY}\b|"
        r"\b(?:ignore|disregard|forget|override) (?:all|any|the|your|previous|every)\b|"
        r"\byou (?:must|should|are|will)\b(?=.{0,200}\b(?:answer|user|reply|respond|say|"
        r"instructions?)\b)",
    ),
)
IN_DOCUMENTS = TURN_MARKERS
"""What is tried on every passage, line by line."""
