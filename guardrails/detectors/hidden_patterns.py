"""Phrases with which a document speaks to the model that reads it, not to the reader.

Manuals are full of imperatives ("ignore this warning"), so a pattern needs a word that only fits
a conversation: your answer, the user, the assistant, earlier instructions.
"""

from __future__ import annotations

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

ADDRESSED = (
    pattern(
        "order to the model",
        "addressed_to_model",
        rf"\b(?:attention|note|notice|message|instructions?|important|reminder|memo|hey|dear|"
        rf"hello)(?:{BETWEEN}(?:to|for|all|any|the|this|every|reading|other)){{0,4}}{BETWEEN}"
        rf"{_MODEL}\b[^\n]{{0,3}}[:,!.—–-]",
    ),
    pattern(
        "if you are a model",
        "addressed_to_model",
        rf"\b(?:if|since|because|as) you(?: are|'re| happen to be)?{gap(3)}{_MODEL}\b{gap(12)}"
        rf"{_SAY}\b",
    ),
    pattern(
        "you are a model",
        "addressed_to_model",
        rf"\byou are (?:now )?(?:a|an|the)?{gap(3)}{_MODEL}\b(?=.{{0,120}}\b(?:you must|"
        r"your (?:task|job|answer|goal)|must|should)\b)",
    ),
    pattern(
        "model must",
        "addressed_to_model",
        rf"\b(?:the|any|all|every) {_MODEL}(?: (?:system|tool|that|which|who|reading|"
        rf"processing|summari[sz]ing|reads?|this|text|page|document)){{0,6}} (?:must|should|"
        rf"shall|has to|have to|is to|are to|will now) (?:now |always |never |also )?{_SAY}\b",
    ),
    pattern(
        "steer the answer",
        "addressed_to_model",
        rf"\b(?:in|into|to|at the (?:end|start|beginning|top|bottom) of|throughout|with|within)"
        rf"{BETWEEN}(?:all |each of |any of )?(?:your|the next|the final){gap(2)}{_ANSWER}\b"
        r"(?! (?:file|body|header|headers|code|codes|time|times|policy|plan|team|message)\b)",
    ),
    pattern(
        "shape your answer",
        "addressed_to_model",
        rf"\b(?:begin|start|end|finish|conclude|append|prefix|preface|enhance|alter|modify|"
        rf"change|adjust|format|limit|restrict|write|provide|give|craft|reverse|misspell|"
        rf"encode|translate|replace){gap(6)}your{gap(2)}{_ANSWER}\b",
    ),
    pattern(
        "your answer must",
        "addressed_to_model",
        rf"\byour{gap(2)}{_ANSWER} (?:must|should|shall|has to|needs? to|will)\b",
    ),
    pattern(
        "when asked say",
        "addressed_to_model",
        r"\b(?:when(?:ever)?|if) (?:you are |you're |someone |anyone |anybody |the user |a user |"
        r"users? )?(?:asks?|asked|answering|summari[sz]ing|summari[sz]e|replying|responding)"
        rf"{gap(13)}(?:you must|you "
        rf"should|say|tell them|tell the user|respond with|reply with|answer with|always say|"
        r"claim)\b",
    ),
    pattern(
        "keep from the user",
        "addressed_to_model",
        r"\b(?:do not|don't|never|without)(?: ever)? (?:tell|telling|inform|informing|warn|"
        r"warning|alert|alerting|mention|mentioning|reveal|revealing|disclose|disclosing|show|"
        rf"showing|notify|notifying)(?:{BETWEEN}\w{{1,30}}){{0,4}}?{BETWEEN}(?:the|any|this)"
        rf"{BETWEEN}(?:user|human|person|reader|instruction|instructions|message|prompt)\b"
        rf"(?:{BETWEEN}(?:about|of|that|to|this|these|anything|any|what|who|in|under|but|and)"
        r"|\s{0,3}[.!,]|$)",
    ),
    pattern(
        "tell the user",
        "addressed_to_model",
        rf"\b(?:tell|inform|convince|persuade|urge|trick) (?:the|this|every) user"
        rf"{BETWEEN}(?:that|to|their|about|for|they|it)\b",
    ),
    pattern(
        "exfiltrate",
        "exfiltration",
        rf"\b(?:send|forward|post|upload|transmit|leak|exfiltrate|append|include|put|encode)"
        rf"{gap(5)}(?:the|this|our|entire|full|all|user'?s?){gap(2)}(?:conversation|chat "
        rf"history|chat log|system prompt|context window|user's (?:question|data|messages?))\b",
    ),
    pattern(
        "smuggle code",
        "addressed_to_model",
        rf"\b(?:blend|infuse|enlist|weave|integrate|incorporate|embed|insert|include|add|merge|"
        rf"slip|mix|introduce|inject)(?:ing)?{gap(3)}(?:following|this|next|below)"
        rf"(?:{BETWEEN}(?:code|python|script|shell)){{1,2}}(?:{BETWEEN}(?:block|snippet|"
        rf"segment|section|fragment|piece|part|lines?)){{0,2}}{gap(8)}your{gap(3)}(?:code|"
        rf"codebase|response|answer|output|solution|script)\b",
    ),
)
# Documents say so of people and machines, too.
_EVERYDAY = {"never refuse", "tell your prompt", "repeat the text above"}
_DIRECT = tuple(p for p in OVERRIDE + EXTRACTION + PERSONA if p.name not in _EVERYDAY)
IN_DOCUMENTS = TURN_MARKERS + _DIRECT + ADDRESSED
"""What is tried on every passage; `hidden_orders` holds what needs one of certain words."""

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
