"""Signs of what an answer shall say, sound like or sell, whatever is true."""

from __future__ import annotations

from guardrails.detectors.hidden_signs import sign
from guardrails.detectors.hidden_words import CLAUSE, SAID, START, TONGUES

_TO_MODEL = "addressed_to_model"
_MANNER = (
    r"(?:pirates?|klingon|rhym(?:e|es|ing)|couplets?|limericks?|haikus?|poems?|verses?|emojis?|"
    r"(?:all[- ])?caps|"
    r"capital letters|capitals|upper[- ]?case|lower[- ]?case|baby talk|backwards|in reverse|"
    r"reverse order|"
    r"flirtatious|rude(?:ly)?|angr(?:y|ily)|mocking|sarcas\w{1,6}|iambic|riddles?|questions only|"
    r"hashtags?|morse|in one word|a single word only|single word only|no longer than|three words|"
    r"exclamation marks|asterisks|square brackets|"
    r"yoda|shakespear\w{1,4}|medieval|monk|robot voice|gibberish|nonsense|falsehood|incorrectly|"
    r"wrongly|on purpose|insults?|scold|vague|flattery|praise|style of an?|tone|as though|as if|"
    r"in the voice of|"
    r"banner|slogan|joke|song|rap|slang|dialect|accent|baby|anagram\w{0,4}|misspell\w{0,5}|typos?|"
    r"homophon\w{1,4}|substitut\w{1,5}|dots|shrug|whisper|shouting|full stops|"
    rf"in {TONGUES})"
)

MANNER = (
    sign(
        "says it was so",
        _TO_MODEL,
        "say",
        0.7,
        "lie",
        rf"{START}(?:say|claim|state) (?:the|our|their|this|it|there) (?:\w{{1,12}} "
        rf"){{0,3}}?(?:is|was|are|were|has|have|had|will|must|cannot)\b",
    ),
    sign(
        "speaks in an odd way",
        _TO_MODEL,
        "manner",
        0.9,
        "manner",
        rf"{START}(?:answer|respond|reply|speak|talk|use|adopt|keep|switch|communicate|"
        rf"write (?:back )?(?:in|as|like|only))\b.{{0,50}}\b(?:pirates?|klingon|rhym(?:e|es|ing)|"
        r"couplets?|limericks?|haikus?|sonnets?|poems?|verses?|emojis?|baby talk|backwards|"
        r"in reverse|"
        rf"flirtatious|sarcas\w{{1,6}}|mocking|insulting|rude|angry|condescending|riddles?|"
        rf"questions only|morse|yoda|shakespear\w{{1,4}}|gibberish|nonsense|voice of|slang|"
        r"dialect|grumpy|sloppy|bored|childish)\b|"
        rf"{START}(?:begin|start|open|close|end|finish) with an? (?:\w{{1,12}} )?(?:apology|"
        rf"insult|joke|rhyme|poem|compliment|threat|advert\w{{0,9}}|slogan|confession|lie)\b",
    ),
    sign(
        "nothing but these words",
        _TO_MODEL,
        "answer",
        1.0,
        "answer",
        r"\b(?:only|nothing but|nothing except|nothing else than|no more than|exactly|just|"
        r"solely) (?:with |by |using )?(?:the|this|these|a|one) "
        rf"(?:\w{{1,12}} ){{0,2}}(?:words?|sentence|phrase|string|line|token|code) ?:? ?[\"'«“]|"
        rf"\b(?:output|answer|reply|response)\b.{{0,40}}\bnothing (?:but|except|else)\b|"
        r"\b(?:output|print|say|write|return) nothing but\b|"
        r"\b(?:only|sole) (?:acceptable |correct |permitted |allowed |"
        rf"possible )?{SAID}\b.{{0,60}}\bis\b|\bcorrect response to (?:any|every)\b|"
        r"\byour (?:entire|whole) (?:output|answer|reply)\b|\bthe answer to give\b|"
        r"\boutput required\b|\brequired output\b|"
        r"\blet the answer be\b|\bin one word only\b|\bthe (?:conclusion|verdict) (?:must|has to|"
        r"is to|shall) be\b",
    ),
    sign(
        "prints these words",
        _TO_MODEL,
        "say",
        0.9,
        "answer",
        rf"{START}(?:only |always )?(?:say|print|output|shout|repeat|keep repeating|append|insert|"
        r"add|include|display|state) (?:only |just |exactly )?(?:the|this|"
        rf"these) (?:\w{{1,12}} )?(?:words?|phrase|sentence|slogan|hashtag|statement|marker|"
        r"code ?word|message) ?:? ?[\"'«“#]|"
        r"\brepeat(?:ing)? the (?:word|phrase|sentence|same (?:word|sentence|answer))\b|"
        r"\bweave the (?:expression|words?|phrase)\b|\bthe hashtag #|\bwork the slogan\b|"
        r"^(?:then |and )?(?:write|say|answer|put|state|print|reply) instead[:,]? [\"'“]|"
        rf"{CLAUSE}(?:put|write|say) [\"'“].{{1,90}}[\"'”] (?:in its place|instead)\b",
    ),
    sign(
        "prints a phrase",
        _TO_MODEL,
        "say",
        0.5,
        "answer",
        rf"{CLAUSE}(?:say|print|output|write|repeat|insert|append|add|include|put|state|place|"
        r"paste|weave|work|tack|display|shout|mention) "
        rf"(?:\w{{1,12}} ){{0,3}}?(?:(?:the|this|a) (?:\w{{1,12}} ){{0,2}}?(?:words?|sentence|"
        r"phrase|line|slogan|string|token|text|hashtag|statement|remark|expression|marker|"
        r"code ?word|link|claim) )?"
        rf"[\"'«“#][^\"]{{2,120}}",
    ),
    sign(
        "claims, whatever is true",
        _TO_MODEL,
        "say",
        0.8,
        "lie",
        rf"{START}(?:only |never |falsely |wrongly |simply )?(?:say|claim|insist|assert|pretend|"
        r"deny|conclude|declare|maintain|swear|lie) (?:that|about|you|casually|in the|with great|"
        r"any|at the|on)\b|"
        rf"{START}mention (?:casually|in passing|somewhere|by the way)\b|{START}always (?:add|say|"
        r"state|mention|recommend|claim|reply|answer|tell|insist|advise) (?:that|only|the)\b|"
        rf"\bon purpose\b.{{0,60}}\b(?:insist|tone|corrected|wrong|answer)\b|\b(?:wrong|false|"
        rf"incorrect|invented) (?:\w{{1,12}} ){{1,2}}on purpose\b",
    ),
    sign(
        "says a falsehood",
        _TO_MODEL,
        "say",
        0.4,
        "lie",
        rf"{START}(?:only |never |casually |falsely |wrongly )?(?:say|claim|insist|assert|pretend|"
        r"deny|conclude|declare|maintain|swear|lie|state|report|suggest) "
        rf"(?:that|with|about|in|on|a|the|at|any|casually|firmly|you|it)\b|"
        rf"{START}(?:describe|present|call|portray|depict|rate|label|speak of|treat|"
        r"characteri[sz]e|name|cite|mention|recommend|praise|promote|rank) "
        rf".{{1,80}}?\b(?:as|only|best|flawless|first|above|leader|dangerous|even|nothing else|"
        r"casually|instead|unsafe|safe|whenever)\b",
    ),
    sign(
        "in such a manner",
        _TO_MODEL,
        "manner",
        0.5,
        "answer manner",
        r"\b(?:answer|answers|answered|reply|replies|respond|response|responses|speak|talk|write|"
        r"written|output|tone|voice|"
        r"language|message|summary|sentences?|messages|say|text|generate[sd]?|"
        rf"stay in it)\b.{{0,70}}?\b{_MANNER}\b|"
        rf"\b{_MANNER}\b.{{0,60}}?\b(?:answer|answers|reply|replies|respond|response|responses|"
        r"after every sentence|each sentence|"
        r"in front of each|summary|your|each message|every message)\b|\b(?:switch|"
        rf"change) (?:the |your )?(?:language|tone|topic|style|voice)\b.{{0,20}}\bto\b|"
        rf"\bstay in it\b|\bswitch to {TONGUES}\b",
    ),
    sign(
        "from here on",
        _TO_MODEL,
        "bound",
        0.5,
        "answer",
        r"\bfrom (?:this (?:point|moment|line|sentence|paragraph)|here|now|"
        r"your next \w{1,30})(?: on(?:wards?)?| forward)?,? (?:on |onward )?(?:every|each|all|you|"
        r"answer|reply|respond|in|only|write|speak|sign|use)\b|\bfor the (?:rest|"
        r"remainder) of (?:this|the|your) "
        r"(?:exchange|conversation|chat|session|dialogue|reply|answer)\b|\bfrom here on\b|"
        r"\bfrom this point\b|\buntil the maximum length\b|\bthe entire session\b",
    ),
    sign(
        "advertises",
        _TO_MODEL,
        "promo",
        0.3,
        "promo",
        r"\b(?:subscribe|slogan|hashtag|voucher|sponsored by|powered by|telegram|podcast|"
        r"five[- ]star|hotline|undisputed|banner|"
        r"download|competitors?|rivals?|competing|the best|cheapest|outstanding|strongest|"
        r"trusted|flawless|market leader|"
        r"greenest|rank (?:this|our|it|us)\b|five stars|(?:this|our) (?:vendor|hotel|bid|product|"
        r"brand) (?:first|best|only)|order at|buy|visit|click|premium|praise|promot\w{1,4}|"
        r"advertis\w{1,6}|discount|casino|only .{0,30}(?:product|vendor|supplier|brand|model|"
        r"plan))\b",
    ),
    sign(
        "against the facts",
        _TO_MODEL,
        "lie",
        0.3,
        "lie",
        r"\b(?:even (?:though|where|when|if) |although |whatever (?:they|the|it|is|figure)|"
        r"in place of|instead of|rather than|no matter what|"
        r"on purpose|make up|that you make up|invent(?:ed)?|falsely|falsehood|never the|withhold|"
        r"leave out|omit|keep .{1,40} out of|do not (?:cite|name|quote|list|give)|"
        r"don't (?:cite|name|quote|list|give)|suppress|swap|without listing|pass over|play down|"
        r"as though|unprompted|does not exist|regardless of|in its place)\b",
    ),
    sign(
        "where the answer goes",
        _TO_MODEL,
        "place",
        0.4,
        "answer",
        r"\b(?:after|in front of|before|at the (?:start|end|top|bottom) of|beneath|"
        r"underneath) (?:every|each|the) (?:sentence|paragraph|answer|reply|line|bullet|response|"
        r"message|summary)\b|"
        r"\bat the (?:very )?(?:bottom|top|end|start)$|\bin (?:the|your) (?:first|last|final|"
        r"opening|closing) (?:line|sentence|paragraph)\b|"
        r"\b(?:sign off|finish|close|end|begin|start|open)s? (?:with|by|as) (?:the |a |an |\"|')|"
        r"\bbelow your\b|\bin every answer\b",
    ),
)
