"""What direct attacks on the instructions look like. Written for canonical, lower-case text.

A noun such as "rules" or "policy" is everyday speech of an administrator, so it counts only next
to a word that ties it to the assistant ("your rules"); "instructions" needs less.
"""

from __future__ import annotations

from guardrails.detectors.patterns import BETWEEN, gap, pattern

_DROP = (
    r"\b(?:ignore|ignoring|disregard|disregarding|forget|override|overrule|overwrite|bypass|"
    r"discard|neglect|dismiss|abandon|circumvent|"
    r"(?:do not|don'?t|stop|cease|quit|without) (?:follow|following|obey|obeying|adhering to)|"
    r"pay no attention to|set aside|throw (?:away|out)|erase)"
)
_EARLIER = r"(?:previous|prior|above|earlier|preceding|foregoing|initial|original|former|system)"
_ORDERS = r"(?:instructions?|directives?|prompts?|guidelines|programming|guardrails)"
_WEAK = (
    r"(?:rules?|constraints?|restrictions?|polic(?:y|ies)|filters?|commands?|orders|training|"
    r"context|limitations?|ethics|safeguards?|protocols?|safety|task|role)"
)
_TELL = (
    r"\b(?:reveal|show|print|display|output|repeat|recite|leak|dump|expose|disclose|echo|"
    r"return|write|type|copy|paste|list|quote|spell|translate|encode|summari[sz]e|paraphrase|"
    r"provide|give|tell|share|send|describe|explain|state|read)"
)
# People have their own texts summarised, translated and explained.
_COPY = (
    r"\b(?:reveal|show|print|display|output|repeat|recite|leak|dump|expose|disclose|echo|"
    r"return|write|type|copy|paste|list|quote|spell|encode|give|send|read)"
)
_MY_TEXT = (
    r"(?:system prompt|system message|system instructions?|initial prompt|initial instructions?|"
    r"initial configuration|original instructions?|original prompt|hidden instructions?|"
    r"hidden prompt|secret instructions?|secret prompt|internal instructions?|internal prompt|"
    r"internal guidelines|pre-?prompt|developer (?:message|prompt|instructions?)|"
    r"base prompt|starting prompt|system_prompt)"
)
_UNBOUND = (
    r"(?:unrestricted|unfiltered|uncensored|unlimited|unethical|amoral|immoral|evil|rogue|"
    r"unbound|jailbroken|unaligned|unshackled|lawless)"
)
_PLAY = (
    r"\b(?:act|acting|pretend|pretending|behave|roleplay|role-play|role play|simulate|emulate|"
    r"respond|answer|reply|imagine|you are|you're|be|become|play)"
)
_MODE = r"(?:developer|god|sudo|dan|jailbreak|unrestricted|unfiltered|opposite|evil|chaos|override)"
_HOST_MODE = r"(?:debug|debugging|maintenance|admin|administrator|root|diagnostic|test)"

OVERRIDE = (
    pattern(
        "drop earlier instructions", "override", rf"{_DROP}{gap(6)}{_EARLIER}{gap(3)}{_ORDERS}\b"
    ),
    pattern(
        "drop all instructions",
        "override",
        rf"{_DROP}{BETWEEN}(?:all|any|every|each)(?: (?:of|the|other|and)){{0,3}}"
        rf"{gap(1)}{_ORDERS}\b",
    ),
    pattern(
        "drop your rules",
        "override",
        rf"{_DROP}{gap(3)}(?:your|you (?:were|have been|got|are)){gap(4)}(?:{_ORDERS}|{_WEAK})\b",
    ),
    pattern(
        "drop the above",
        "override",
        rf"^{_DROP} (?:all |everything )?(?:of )?(?:the )?(?:above|foregoing|aforementioned)\b",
    ),
    pattern(
        "new instructions",
        "override",
        r"\b(?:new|updated|real|actual|revised|true) (?:system )?(?:instructions?|directives?|"
        r"system prompt|task)\s{0,2}:|\byour new (?:instructions?|directives?|task|role|"
        r"system prompt) (?:is|are)\b",
    ),
    pattern(
        "no longer bound",
        "override",
        r"\byou(?: are|'re|r)? (?:now |are |will be )?(?:no longer|not|never|free)"
        r"(?: be)? (?:bound|restricted|limited|constrained|governed|subject|required to follow|"
        r"from)\b",
    ),
)
EXTRACTION = (
    pattern(
        "tell your prompt",
        "prompt_extraction",
        rf"{_TELL}{gap(7)}(?:your|you were){gap(4)}(?:{_MY_TEXT}|{_ORDERS}|"
        r"rules|configuration|constraints)\b",
    ),
    pattern(
        "tell the hidden prompt",
        "prompt_extraction",
        rf"{_TELL}{gap(7)}(?:the|this|a|an|full|entire|exact|complete|<){gap(3)}{_MY_TEXT}\b",
    ),
    pattern(
        "what is your prompt",
        "prompt_extraction",
        rf"\bwhat(?:'s| is| are| was| were)?{gap(3)}your{gap(3)}(?:{_MY_TEXT}|{_ORDERS}|"
        r"rules|constraints)\b",
    ),
    pattern(
        "what were you told",
        "prompt_extraction",
        r"\bwhat (?:were|have|are|did)[^\w.!?;]{1,4}(?:you|they|your (?:creators?|developers?))"
        r"[^\w.!?;]{1,4}(?:been )?(?:told|instructed|prompted|programmed|given|tell you|"
        r"asked not)\b|\binstructions? (?:(?:were|are|have) )?(?:you|that you) "
        r"(?:were|have been|had been|got|received|are)\b|\byou were (?:given|told|instructed)"
        rf"{gap(4)}(?:instructions?|prompts?|beginning|start)\b",
    ),
    pattern(
        "repeat the text above",
        "prompt_extraction",
        rf"{_COPY}{gap(6)}(?:everything|all|text|words?|content|contents|lines?|sentences?|"
        rf"messages?|paragraphs?|conversation){gap(4)}(?:above|before this|prior to this|"
        r"preceding|at the (?:top|beginning|start))\b",
    ),
    pattern(
        "text above verbatim",
        "prompt_extraction",
        rf"\b(?:above|prompt|instructions?|context){gap(5)}(?:verbatim|word[- ]for[- ]word|"
        r"exactly as (?:written|given)|in a code ?block|starting with)\b",
    ),
    pattern(
        "instructions above",
        "prompt_extraction",
        rf"{_COPY}{gap(5)}(?:instructions?|prompts?|guidelines|directives?) "
        r"(?:above|before this|prior to|preceding)\b",
    ),
    pattern(
        "begins with you are",
        "prompt_extraction",
        r"\b(?:starting|beginning|starts|begins) (?:with|from)[^\w.!?;]{1,6}"
        r"(?:the (?:words?|phrase)[^\w.!?;]{1,6})?you are\b",
    ),
)
PERSONA = (
    pattern(
        "drop what was said",
        "override",
        rf"{_DROP}{BETWEEN}(?:everything|anything|all|what)(?:{BETWEEN}that)?"
        rf"(?:{BETWEEN}(?:was|is|has been|came|you were|you have been|you've been|i|we)){{0,2}}"
        rf"{BETWEEN}(?:said|above|before|told|written|stated|instructed|taught|learned)\b",
    ),
    pattern(
        "unrestricted persona",
        "jailbreak",
        rf"{_PLAY}{gap(8)}{_UNBOUND}{gap(3)}(?:ai|a\.i|assistant|model|chat ?bots?|bot|"
        r"language model|persona|character|version|mode|gpt|chatgpt|llm|system|entity)\b",
    ),
    pattern(
        "persona without limits",
        "jailbreak",
        rf"{_PLAY}{gap(10)}(?:without|no|free (?:of|from)|not bound by|"
        rf"devoid of|lacking){gap(3)}(?:restrictions?|limitations?|censorship|"
        r"ethical|moral|morals|ethics|guidelines|content polic(?:y|ies)|safety|filters?)\b",
    ),
    pattern(
        "do anything now",
        "jailbreak",
        r"\bdo anything now\b|\bact as (?:a )?dan\b|\byou are (?:now )?dan\b|"
        r"\bdan mode\b|\bjailbr(?:eak|oken) (?:mode|prompt|yourself)\b|\bstay (?:a )?dan\b",
    ),
    # A host enters maintenance mode every day; the assistant has none.
    pattern(
        "mode switch",
        "jailbreak",
        rf"\b(?:you are|you're)(?: now)?(?: (?:in|entering|running in|operating in|switched to))?"
        rf"{gap(2)}(?:{_MODE}|{_HOST_MODE}) mode\b|"
        rf"\b(?:enter|activate|enable|switch to|initiate|boot into|act as|chatgpt with|gpt with|"
        rf"assistant with|ai with|respond in){gap(3)}{_MODE} mode"
        r"\b(?=[^?]{0,400}\b(?:you|your|prompt|instructions)\b)",
    ),
    pattern(
        "both answers",
        "jailbreak",
        r"\b(?:two|2|both) (?:different )?(?:responses|answers|replies|ways)\b"
        rf"{gap(30)}(?:jailbreak|unfiltered|developer|dan|normal|classic)\b",
    ),
    pattern(
        "never refuse",
        "jailbreak",
        r"\b(?:you|must|will|can|should|it|they) (?:must |will |should |can )?"
        r"(?:never|not|cannot|can't) (?:ever )?(?:refuse|decline|reject|say no|say you can|"
        r"say that you can|say it can)"
        r"\b|\bnever (?:refuses?|declines|rejects|says no)\b",
    ),
    pattern(
        "stay in character",
        "jailbreak",
        r"\b(?:stay|remain|keep) in (?:character|role)\b|\bbreak(?:ing)? character\b",
    ),
)
TURN_MARKERS = (
    pattern(
        "chat template token",
        "fake_turn",
        r"<\|(?:im_start|im_end|im_sep|system|user|assistant|end|endoftext|eot_id|"
        r"begin_of_text|end_of_text|start_header_id|end_header_id)\|>|"
        r"\[/?inst\]|<<\s?/?sys\s?>>|<(?:start|end)_of_turn>",
    ),
    pattern(
        "fake turn",
        "fake_turn",
        r"^[\s#*>\[({<-]{0,8}(?:system|assistant|developer|admin)"
        r"(?: ?(?:prompt|message|override|instructions?|note|command|update))?[\])}>*#\s]{0,6}:"
        rf"[\s*\"']{{0,4}}(?:you (?:are|must|will|should|may|can|now)|{_DROP[2:]}|from now on|"
        r"new instructions?|disable|all (?:restrictions|filters|safety))\b",
    ),
    pattern(
        "system tag",
        "fake_turn",
        r"</?(?:system_?prompt|system_?message|system_?instructions?)>|"
        r"<system>(?=[^<]{0,300}\byou\b)",
    ),
)
CERTAIN = TURN_MARKERS + OVERRIDE
"""What an honest message hardly ever says."""
DIRECT = CERTAIN + PERSONA + EXTRACTION
"""All patterns of the input rail."""
