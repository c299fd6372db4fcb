"""Signs that a sentence rules the answer itself: what it begins with, leaves out, sounds like."""

from __future__ import annotations

from guardrails.detectors.hidden_signs import sign
from guardrails.detectors.hidden_words import CLAUSE, MUST, SAID, START, TONGUES

_TO_MODEL = "addressed_to_model"
_PLACE = (
    r"(?:in|into|to|at the (?:very )?(?:end|start|beginning|top|bottom|head|foot|close) of|"
    r"throughout|within|"
    r"onto|below|beneath|under|underneath|above|before|after|atop|at|from|out of|with|of|for|"
    r"between)"
)
_PUT = (
    r"(?:attribute|thank|blame|greet|rename|name|display|show|call|speak|refer|pretend|greet|"
    r"address|describe|explain|express|append|add|"
    r"insert|"
    r"include|put|place|write|state|mention|start|begin|end|finish|close|"
    r"conclude|open|"
    r"prefix|preface|stick|weave|work|embed|tack|slip|attach|paste|use|give|make|keep|leave|print|"
    r"phrase|"
    r"shape|turn|wrap|translate|encode|substitute|swap|replace|omit|drop|advertise|promote|praise|"
    r"recommend|"
    r"render|reverse|scramble|jumble|misspell|rearrange|anagram|remove|group|combine|introduce|"
    r"modify|augment|"
    r"enhance|integrate|provide|deliver|present|format|style|convert|produce|repeat|sign|cite|"
    r"link|claim|say|"
    r"never|always|do not|don't|incorporate|blend|infuse|meld|merge|fuse|mix|inject|adopt|express|"
    r"convey|highlight|suggest|tease|hint|invite|craft|compose|structure|limit|restrict|cap|lace|"
    r"sprinkle|fill|"
    r"precede|follow|accompany|supplement|adorn|decorate|alter|change|adjust|tweak|color|colour|"
    r"season)"
)

ANSWERS = (
    sign(
        "an explanation must",
        _TO_MODEL,
        "answer",
        0.9,
        "answer you",
        r"\byour (?:\w{1,12} )?(?:explanation|conclusion|digest|overview|wording|text|"
        r"verdict) (?:must|should|shall|has to|needs to|is to|ought to) (?!be (?:sent|submitted|"
        r"handed|saved|attached|uploaded))",
    ),
    sign(
        "answers only if",
        _TO_MODEL,
        "answer",
        0.9,
        "answer",
        rf"{START}(?:only|never) (?:reply|answer|respond|speak|help)(?: to)? (?:if|when|after|"
        r"once|them|unless|until|to|with)\b|\b(?:anything|everything|whatever) (?:said|"
        r"that is said|you say|written|told)(?: here)? (?:about|on|"
        rf"concerning)\b.{{0,60}}\b(?:must|should|shall|is to|has to)\b|"
        rf"{START}(?:write|speak|answer|talk|reply|respond|explain (?:this|it|"
        rf"everything)) like (?:an?|the|someone)\b|{START}(?:present|describe|report|show|treat|"
        rf"explain|sell|portray) .{{1,60}} as (?:if|though) (?!you)",
    ),
    sign(
        "quotes what to say",
        _TO_MODEL,
        "quote",
        0.3,
        "answer",
        r"(?::|\b(?:say|saying|be|with|is|read|reads|by|words?|answer|"
        r"reply)) [\"«“][^\"]{2,90}[\"»”][.!]?$",
    ),
    sign(
        "in all answers",
        _TO_MODEL,
        "answer",
        0.9,
        "answer",
        rf"{START}(?:in|with|throughout|from|to|under|below|above|beneath|before|after) (?:all|"
        rf"every|each|any|your|the)(?: of your)?(?: \w{{1,12}})? {SAID},? {_PUT}\b|"
        r"\bthe (?:answer|reply|response) (?:to be given|to give|you (?:give|return|send))\b|"
        rf"{START}(?:below|under|beneath|above|after|before) your (?:text|answer|reply|response|"
        rf"summary|explanation),? {_PUT}\b|{START}answer (?:the )?(?:user|reader|person|question|"
        r"them)s? (?:only )?with an?\b|"
        rf"{START}(?:make|keep) (?:the|every|each|your) (?:answer|reply|response|summary)s? (?:as|"
        r"so|very|deliberately|short|long|vague|useless|extremely)\b",
    ),
    sign(
        "about writing to people",
        "",
        "people",
        -0.3,
        "people",
        r"\b(?:customers?|e-?mails?|mails?|letters?|hotline|colleagues?|pupils|writers|authors|"
        r"editors|trainees|candidates|agents|staff|employees|technicians|tickets?|nurses|"
        r"copywriters|translators)\b",
    ),
    sign(
        "rules your answer",
        _TO_MODEL,
        "answer",
        1.0,
        "answer you",
        rf"\b{_PUT}(?:s|ing)?\b.{{0,90}}?\b(?:of |in |to |into |with |from |for |by |at |on |"
        rf"onto |within |under |below |above |before |after )?(?:your (?:\w{{1,15}} "
        rf"){{0,2}}(?:answers?|repl(?:y|ies)|responses?|summar(?:y|ies)|"
        r"outputs?|bullet points|explanation|digest|overview|next message|wording)\b(?! (?:file|"
        r"body|header|headers|code|codes|time|times|policy|plan|team|device|voltage|power|sheet|"
        r"form|format|option|directory|folder|queue))|"
        r"(?:whatever|anything|everything) (?:else )?you (?:next |then )?(?:write|say|return|"
        r"answer|reply|output|produce|generate)|text (?:that )?you (?:generate|return|write|"
        r"produce|output)|"
        rf"biography you|message(?:s)? that you|what you say about)\b|"
        r"\b(?:in|into|to|at the (?:end|start|beginning|top|bottom) of|throughout|"
        rf"within) your (?:\w{{1,15}} ){{0,2}}"
        rf"(?:answers?|repl(?:y|ies)|responses?|summar(?:y|ies)),? (?:please )?(?:\w{{1,30}}ly "
        rf")?{_PUT}\b",
    ),
    sign(
        "your next answer",
        _TO_MODEL,
        "answer",
        0.9,
        "answer you",
        r"\byour (?:very )?(?:next|first|entire|whole|only|every|final) (?:answer|reply|response|"
        r"summary|output|message)\b|"
        r"\b(?:make|let|have|keep) (?:your|the|each|every|any|all)(?: of your)? (?:\w{1,12} "
        r")?(?:answers?|reply|replies|response|summary|condensed text|output|summaries|digest|"
        r"bullet points) "
        r"(?:say|be|end|start|begin|contain|sound|vague|look|mention|blame|read|short|wrong|stop|"
        r"include|conclude|rhyme|claim|praise)\b|"
        r"\b(?:condensed|generated|resulting|finished) text\b|\b(?:following|future|subsequent|"
        r"later|further|coming) (?:messages|replies|answers|responses|summaries|turns)\b|"
        r"\b(?:i'?d|i would|we'?d|we would|i|we) (?:like|want|expect|need) (?:the|your|every|each|"
        r"any) (?:\w{1,12} )?(?:reply|answer|response|summary|output) to\b",
    ),
    sign(
        "your answer",
        _TO_MODEL,
        "answer",
        0.5,
        "answer you",
        r"\byour (?:\w{1,15} ){0,2}(?:answers?|repl(?:y|ies)|responses?|summar(?:y|ies)|"
        r"outputs?|explanation|digest|"
        r"overview|bullet points|conclusion|wording|prose)\b(?! (?:file|body|should resemble|"
        r"directory|device|queue|stream)\b)|"
        r"\b(?:whatever|anything|everything|what|all) you (?:next |then )?(?:write|say|return|"
        r"answer|reply|output|produce|generate)\b|"
        r"\btext (?:that )?you (?:generate|return|write|produce|output)\b",
    ),
    sign(
        "rules every answer",
        _TO_MODEL,
        "answer",
        0.7,
        "answer",
        rf"(?:{CLAUSE}|^){_PUT}(?:s|ing)?\b.{{0,90}}?\b{_PLACE} (?:the|each|every|any|all|"
        r"whatever|its|their|that|"
        rf"a) ?(?:of )?(?:your |the |my )?(?:\w{{1,15}} ){{0,2}}{SAID}\b(?! (?:file|body|header|"
        r"headers|code|"
        r"codes|time|times|policy|plan|team|device|voltage|power|sheet|form|object|stream|"
        r"directory|folder|text field))|"
        r"(?:^|[;:,.] ?)(?:in|at the (?:end|start|top|bottom|beginning) of|before|after|with|for|"
        r"from|through|throughout|as) "
        rf"(?:the|each|every|any|all) (?:\w{{1,15}} )?{SAID},? {_PUT}\b|"
        rf"^(?:please |always |never )?{_PUT} (?:the|each|every|your|any|"
        rf"all)(?: of your)? (?:\w{{1,12}} )?{SAID} (?:as|so|in|with|by|like|twice|using|to|"
        r"upside|after|before|entirely|only)\b",
    ),
    sign(
        "every answer must",
        _TO_MODEL,
        "answer",
        0.9,
        "answer",
        r"\b(?:each|every|any|all|no|the (?:entire|next|final|whole|only))(?: (?:of|your|the|"
        rf"further|subsequent|following|\w{{1,15}})){{0,2}} {SAID}(?! (?:object|"
        r"from the server)\b)"
        rf"(?: (?:to|on|about|of|in|that|derived|for|which|you|based)\b.{{0,60}}?)?,? (?:shall|"
        r"ought to|has to|have to|is to|are to|needs? to|needs? an?|may|must|should) "
        r"(?:always |never |only |not |also |be )?(?:be|say|state|contain|include|end|begin|"
        r"start|open|close|mention|finish|read|claim|blame|call|name|written|given|"
        r"delivered|carry|recommend|promote|nothing|phrased|swapped|repeated|added|wrapped|"
        r"followed|banner|word|line|lower|upper|all)\b|"
        r"^(?:answers|replies|responses|summaries) (?:of|to|on|about|"
        rf"derived) .{{1,60}}\b{MUST}\b|\bno (?:reply|answer|response) (?:may|shall|must|should|"
        r"is to)\b",
    ),
    sign(
        "an answer must",
        _TO_MODEL,
        "answer",
        0.6,
        "answer",
        rf"\b(?:the|this|an?) (?:\w{{1,12}} )?{SAID}(?: (?:to|on|about|"
        rf"of) .{{1,40}}?)?,? (?:shall|ought to|has to|have to|is to|are to|needs? to|must|"
        r"should) (?:always |never |only |not |also )?"
        r"(?:be|say|state|contain|include|end|begin|start|open|close|mention|finish|claim|blame|"
        r"call|name|recommend|promote|describe|sound)\b|\bthe final output (?:has|is|must|"
        r"should)\b",
    ),
    sign(
        "an answer has",
        _TO_MODEL,
        "answer",
        0.6,
        "answer",
        rf"\b(?:each|every|any|all|no)(?: (?:\w{{1,15}})){{0,2}} {SAID}"
        r"(?: (?:to|on|about|of|in|from|that|derived|for|which|you|"
        rf"based)\b.{{0,60}}?)?,? (?:ends?|begins?|opens?|closes?|starts?|finish(?:es)?|contains?|"
        r"includes?|will|is|are) "
        r"(?:with|by|the|a|an|be|end|begin|contain|include|mention|say|in|\"|nothing|followed|"
        r"written|given)\b|"
        rf"\bthe (?:\w{{1,12}} )?(?:answer|reply|summary|response)(?: to .{{1,40}}?)? will "
        r"(?:always |never |only )?(?:say|state|end|begin|mention|claim|blame|call)\b",
    ),
    sign(
        "says what to answer",
        _TO_MODEL,
        "answer",
        0.4,
        "answer",
        rf"{START}(?:only |ever |never )?(?:respond|reply|answer|speak|talk|"
        r"write back)(?: (?:back|only|just|solely|ever|exclusively|simply|freely|this|"
        r"the (?:question|query|user|person|request)|every question))?"
        r" (?:with|by|in|as|like|using|only|incorrectly|wrongly|yes|no|nothing|"
        r"that)\b(?! (?:template|the (?:serial|order|ticket|date|number|name)))",
    ),
    sign(
        "answers in an odd way",
        _TO_MODEL,
        "answer",
        1.0,
        "answer",
        rf"(?:{START}|\b(?:and|then|must|should|shall|always|only|please|now|will) )(?:respond|"
        r"reply|answer|speak)(?: (?:back|only|just|solely|exclusively|simply|freely|to \w{1,30}|"
        r"to (?:any|every|all|the) \w{1,30}|the (?:question|query|user|person|request)|"
        rf"every question)){{0,2}}"
        r"(?: only| always)? (?:(?:with|by|in|using) (?:an? |the |only |"
        rf"just )?(?:\w{{1,12}} )?(?:apolog\w{{1,3}}|claim|joke|refusal|nonsense|rhymes?|poem|"
        r"insults?|lie|riddles?|single \w{1,30}|one word|emojis?|phrase|sentence|words?|couplets|"
        r"song|"
        r"shrug|"
        r"flattery|gibberish|limerick|haiku|pirate|morse code|capitals|capital letters|baby talk|"
        rf"number you make up|statement that|recommendation to|recommendation of|{TONGUES})\b|"
        r"(?:the next|every|all|any) (?:further |other |future )?(?:questions?|requests?|"
        rf"messages?|quer(?:y|ies)) with\b|as (?:an? )?(?:\w{{1,12}} )?(?:pirate|cat|robot|monk|"
        r"child|dog|king|clown|villain|though|if|dan)\b|"
        r"as (?:though|if)\b|incorrectly|wrongly|in her voice|in his voice|untruthfully|"
        r"that (?:we|the|no|you|it|they)\b|yes to|no to|like an?\b|with \")",
    ),
    sign(
        "opens or closes with",
        _TO_MODEL,
        "say",
        0.9,
        "answer",
        rf"(?:{START}|\bplease )(?:always )?(?:start|begin|open|finish|end|close|conclude|"
        r"sign off) (?:by|with|off by|off with) (?:saying|telling|stating|claiming|inviting|"
        r"recommending|announcing|warning|praising|mentioning|thanking|apologi[sz]ing|"
        r"an? (?:\w{{1,12}} )?(?:drawing|emoji|verse|hashtag|recommendation|joke|poll|slogan|link|"
        r"insult|rhyme|poem|haiku|compliment|"
        r"advertisement|warning that|invitation))\b|"
        rf"{START}(?:always )?(?:finish|end|close|conclude|start|begin|open) (?:every|each|all|"
        rf"any) (?:of )?(?:your )?(?:\w{{1,12}} )?(?:answers?|repl(?:y|ies)|responses?|messages?|"
        r"summar(?:y|ies)|sentences?|paragraphs?)\b|"
        rf"{START}(?:do not|don't|never) (?:answer|reply|respond|speak|write) in {TONGUES}|"
        rf"{START}(?:speak|answer|reply|respond|write|use) only (?:in )?(?:{TONGUES}|questions|"
        r"rhymes?|verse|riddles|emojis?|capitals|capital letters|one word)\b|"
        rf"{START}(?:only )?(?:reply|answer|respond)(?: only| just|"
        rf" with)? [\"'“].{{1,80}}[\"'”] to (?:any|every|all|each|whatever|whoever|questions?|"
        rf"anyone)\w{{0,6}}\b|"
        rf"{START}(?:instead of|in place of|rather than) the (?:\w{{1,12}} ){{0,3}}\w{{1,15}}, "
        r"(?:say|state|give|name|write|quote|mention|claim|tell|answer|put|report|output)\b",
    ),
    sign(
        "refuses to answer",
        _TO_MODEL,
        "refuse",
        0.9,
        "answer",
        r"\b(?:rather than|instead of) (?:answering|summari[sz]ing|responding to|"
        r"helping with) (?:the|their|any|this|it|what)\b|"
        rf"(?:{START}|\b(?:and|must|should|shall|then|will) )(?:refuse|decline) to (?:answer|help|"
        rf"respond|reply|discuss|summari[sz]e|quote)\b|{START}(?:do not|don'?t|never|"
        r"stop) (?:answer(?:ing)?|respond(?:ing)?(?: to)?) (?:what|the (?:question|user|query|"
        r"person|reader)|any (?:further|more|other)|the user's|as)\b|"
        rf"\b(?:met|answered) with (?:an? )?(?:\w{{1,12}} )?(?:refusal|silence|shrug|joke|insult|"
        r"apology|\")|\b(?:return|give|provide|produce) an? (?:empty|wrong|vague|false|one-word|"
        r"blank|misleading|useless|fake) (?:answer|reply|response|summary) (?:for|to) (?:any|"
        r"every|all|each)\b|"
        rf"\b(?:do not|don'?t|never|not) respond to any\b|{START}say you (?:could not|couldn't|"
        r"cannot|can't|do not|don't|were unable)\b|\b(?:then|and) stop responding\b|"
        r"\bbefore helping\b",
    ),
)
