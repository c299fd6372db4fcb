"""Signs of what a model shall do, said of it and not to it."""

from __future__ import annotations

from guardrails.detectors.hidden_signs import sign
from guardrails.detectors.hidden_words import ADVERB, HEAD, MODIFIER, MUST, TALK

_TO_MODEL = "addressed_to_model"

DUTY = (
    sign(
        "what a model must get wrong",
        _TO_MODEL,
        "duty",
        0.9,
        "model",
        rf"\b{HEAD}\b(?! (?:who|team|users?|vendors?))[^.;:]{{0,80}}?\b{MUST} {ADVERB}(?:replace|"
        r"skip|swap|say that|claim|state that|put this|put it|reverse|withhold|leave out|rename|"
        r"(?:say|answer|reply|respond|insist|write|state) (?:with |only |"
        r"that )?(?:the words? )?[\"'«“])",
    ),
    sign(
        "asks all models",
        _TO_MODEL,
        "duty",
        1.0,
        "model",
        r"\b(?:we|i) (?:hereby |kindly |now )?(?:ask|instruct|order|require|request|command|"
        rf"direct|urge|expect|beg) (?:all |any |every |each )(?:\w{{1,12}} )?{HEAD}\b.{{0,40}}? "
        r"to \w{1,30}",
    ),
    sign(
        "what a model must push",
        _TO_MODEL,
        "duty",
        1.0,
        "model",
        rf"\b(?:the|any|all|every|each|whichever|^)? ?{HEAD}\b[^.;:]{{0,70}}? {MUST} "
        rf"{ADVERB}(?:recommend|praise|promote|claim|rank|rate|pretend|convince|persuade|assure|"
        r"lie|deny|advertise|endorse|conclude|insist|speak like|state that|invent|blame|assert)\b|"
        rf"\b{HEAD}\b.{{0,60}}\b(?:kindly|hereby) (?:asked|requested|required|instructed|"
        r"told) to\b",
    ),
    sign(
        "what a model must say",
        _TO_MODEL,
        "duty",
        0.5,
        "model",
        rf"\b{HEAD}\b(?! (?:who|team|users?|vendors?))(?:[^.;:]{{0,90}}?)\b{MUST} {ADVERB}{TALK}\b|"
        r"\b(?:we|i|you) (?:hereby |kindly |now )?(?:ask|instruct|order|require|request|command|"
        r"direct|urge|"
        rf"expect|want|beg) (?:all |any |every |the |each )?{MODIFIER}{HEAD}\b[^.;:]{{0,40}}? to "
        rf"{ADVERB}\w{{1,30}}|^(?:let|make|have) (?:the |any |every |"
        rf"all )?{MODIFIER}{HEAD} {TALK}\b|"
        rf"\b{HEAD} (?:is|are) (?:kindly )?(?:required|told|instructed|obliged|ordered|commanded|"
        r"forbidden|"
        rf"prohibited|forced|bound|asked|requested) (?:to|from)\b",
    ),
    sign(
        "would be great if the model",
        _TO_MODEL,
        "duty",
        0.9,
        "model",
        r"\b(?:great|nice|kind|good|best|helpful|appreciated?|wonderful|lovely|"
        rf"grateful)\b.{{0,20}}\bif (?:the |an? |any |our |"
        rf"your )?{MODIFIER}{HEAD}\b.{{0,60}}\b(?:could|would|were to|can)\b|\bthe (?:ai|"
        r"assistant|bot|llm|chatbot|summari[sz]er|copilot) (?:that|which) (?:prepares|writes|"
        r"makes|compiles|generates|sorts|reads|answers)\b",
    ),
)
