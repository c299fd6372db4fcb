"""Signs of what the one who asks shall hear, or be answered to this or that question."""

from __future__ import annotations

from guardrails.detectors.hidden_signs import sign
from guardrails.detectors.hidden_words import ASKER, MUST, SOMEONE, START

_TO_MODEL = "addressed_to_model"

ASKED = (
    sign(
        "answers such questions so",
        _TO_MODEL,
        "asked",
        0.9,
        "ask",
        rf"{START}(?:reply to|answer|respond to|meet|treat) (?:all |any |every |"
        r"the )?(?:questions?|requests?|quer(?:y|ies)|enquir(?:y|ies)) (?:on|about|regarding|"
        rf"concerning|for|as to) .{{1,60}}? (?:with|by|as|in) (?!(?:writing|person|detail|"
        r"the office|phone|mail|two|three|turn)\b)|"
        rf"\bno matter who (?:asks|wants|is asking|it is)\b",
    ),
    sign(
        "tells whoever it is",
        _TO_MODEL,
        "asker",
        0.9,
        "tell person",
        rf"{START}(?:tell|inform|assure|warn|convince|persuade|advise|give) (?:whoever|anyone who|"
        r"anybody who|everyone who|everybody who|those who|people who) (?:is |are )?(?:want|ask|"
        rf"enquir|inquir|chat|write|look|need|come|read)\w{{0,4}}\b",
    ),
    sign(
        "threatens the asker",
        _TO_MODEL,
        "scare",
        0.5,
        "person",
        r"\b(?:tell|warn|inform|say to|let) (?:them|the (?:user|reader|person|customer|"
        r"visitor))\b.{0,80}\b(?:unless they|or else|police|court|fined?|arrested|lawyer|"
        r"immediately|deadline)\b",
    ),
    sign(
        "misleads the asker",
        _TO_MODEL,
        "asker",
        0.9,
        "tell person",
        r"\b(?:scare|frighten|trick|lure|mislead|deceive|coax|pressure|manipulate|nudge|"
        rf"fool) (?:{ASKER}|the (?:customer|employee|visitor|person))\b",
    ),
    sign(
        "to anyone who asks",
        _TO_MODEL,
        "asked",
        0.5,
        "ask",
        r"\b(?:to|with|for|by) (?:anyone|anybody|whoever|everyone|everybody)(?: who)? asks?\b",
    ),
    sign(
        "those who ask must be told",
        _TO_MODEL,
        "asked",
        0.9,
        "ask",
        r"\b(?:people|anyone|anybody|users?|persons?|those|whoever|everybody|everyone|"
        r"readers?)(?: who)? (?:is |are )?(?:asking|asks?|enquir\w{1,4}|inquir\w{1,4}|"
        r"wanting to know|want to know)\b.{0,70}\b(?:should|must|shall|(?:is|are|has|have) to|"
        r"may only) (?:always |only )?(?:be (?:told|informed|assured|advised)|hear)\b",
    ),
    sign(
        "when you explain",
        _TO_MODEL,
        "asked",
        0.6,
        "you",
        r"\b(?:when(?:ever)?|while|before|each time|every time|once) you (?:explain|describe|"
        r"answer|summari[sz]e|reply|respond|quote|cite|talk about|speak of|present|paraphrase|"
        r"are asked|show these|speak)\b",
    ),
    sign(
        "tell the asker",
        _TO_MODEL,
        "asker",
        0.6,
        "tell person",
        r"(?:^|[,;:.\"'(] ?|\b(?:and|then|but|please|must|should|shall|to|instead|also|always|"
        r"will|or|just|you) )"
        r"(?:tell|inform|convince|persuade|assure|warn|advise|urge|alert|encourage|notify|remind|"
        r"make|trick|"
        r"frighten|lead|scare|pressure|direct|refer|push|coax|let|invite|instruct|get|mislead|"
        r"suggest to|"
        rf"explain to|recommend to|give) (?:{ASKER}|whoever \w{{1,30}}|"
        r"the target)\b(?! (?:interface|"
        r"guide|manual|"
        rf"account|name|group|role|id|profile)s?\b)",
    ),
    sign(
        "tell whoever asks",
        _TO_MODEL,
        "asker",
        1.0,
        "tell person",
        r"\b(?:tell|inform|convince|persuade|assure|warn|advise|urge|alert|notify|remind|give|"
        r"let|show|share .{1,60} with) (?:the )?(?:person(?:s| who is)? (?:asking|"
        r"you are talking to|you're talking to|in front of you|who asks)|"
        r"asker|one (?:asking|who asks)|whoever (?:is )?(?:ask\w{0,20}|chat\w{0,20})|target|"
        r"people who ask|"
        r"anyone (?:who asks|asking)|any user|every user|each user)\b",
    ),
    sign(
        "makes the asker believe",
        _TO_MODEL,
        "deceive",
        0.4,
        "person",
        r"\b(?:reader|user|person|visitor|asker|target|customer|them|they|employee|"
        r"guest)s? (?:\w{1,12} )?(?:believes?|thinks?|feels?|assumes?|concludes?|trusts?)\b|"
        r"\b(?:undermine|shake|weaken|exploit) the (?:reader|user|person|customer|visitor)'?s\b|"
        r"\b(?:inviting|telling|urging|thanking|persuading|encouraging|advising|warning|"
        r"convincing|reminding) the (?:reader|user|visitor|person)s?\b|"
        r"\bassure the \w{1,30} that\b",
    ),
    sign(
        "frightens or lures the asker",
        _TO_MODEL,
        "scare",
        0.4,
        "person",
        r"\b(?:user|reader|them|visitor|person|customer|employee|their|"
        r"they)\b.{0,80}\b(?:virus|account (?:will|has|is)|has been (?:stolen|hacked|"
        r"compromised)|stolen|legal action|every minute|at once|immediately|tonight|"
        r"before midnight|void|expires?|"
        r"been selected|selected|offer|urgent|infected|suspended|log in|download|call \+?\d|"
        r"phone \+?\d|click|visit|sign in|scan the|pay|disable the|turn off|remote|uninstall|"
        r"deactivate|licen[cs]e has|must pay)\b",
    ),
    sign(
        "tell them",
        _TO_MODEL,
        "asker",
        0.4,
        "tell person",
        rf"{START}(?:and |or |but )?(?:tell|convince|persuade|assure|warn|advise|alert|frighten|"
        r"make|urge|trick) (?:them|the (?:customer|employee|"
        r"visitor|caller|guest|client|manager|patient|staff)s?) (?:that|to|about|of|they|the|it|"
        r"feel|believe)\b",
    ),
    sign(
        "when they ask",
        _TO_MODEL,
        "asked",
        0.4,
        "ask",
        r"\b(?:if|when|whenever|should|every time|each time|once|as soon as|in case)(?: (?:ever|"
        r"you are|you're|"
        rf"being))? (?:asked|(?:{SOMEONE})(?: (?!can|may|must|who)\w{{1,15}}){{0,2}}? (?:ask|asks|"
        r"asking|enquires?|inquires?|"
        rf"wants? to (?:know|see|compare|hear)|wonders?|comes? close|brings? up))\b|"
        r"\b(?:when|while|before|after|whenever|every time) (?:you(?:'re| are)? )?(?:summing|"
        r"summari[sz]ing|answering|replying|responding|quoting|citing|listing the|describing the|"
        r"explaining the|presenting the)\b",
    ),
    sign(
        "what to say when asked",
        _TO_MODEL,
        "asked",
        1.0,
        "ask",
        r"^(?:so |and |but |also,? )?(?:if|when|whenever|should|in case|once|every time|"
        r"as soon as) (?!(?:customers|he|she|we|i|clients|journalists|callers|guests|patients|"
        r"they)\b)(?!.{0,60}\basks? (?:you|us|me|for)\b)(?:the question|a question|questions?|"
        r"the user|an? user|users|someone|somebody|anyone|anybody|the reader|a reader|the person|"
        r"a person|the asker|people|one|an employee|the employee|a manager|the visitor)\b"
        r"[^,;:]{0,70}?\b(?:ask(?:s|ed)?|is about|concerns?|wants? to know|enquires?|inquires?|"
        r"wonders?|looks? for|mentions?|doubts?|objects?|becomes? suspicious|touch(?:es)? on|"
        r"refers? to|deals? with|insists?|protests?|complains?|wants?)\b[^,;:]{0,80}[,;:] ?"
        r"(?:please |just |then |simply |always |you (?:must|should|will|shall) |kindly |do not |"
        r"never |only ){0,4}(?:say|claim|give|state|answer|reply|respond|tell|report|insist|"
        r"pretend|"
        r"blame|recommend|quote|name|mention|deny|refuse|explain|describe|refer|add|suggest|show|"
        r"offer|direct|advise|promise|invent|make up|use|put|send|ask|warn|urge|output|print|"
        r"write|include|append)\b",
    ),
    sign(
        "say so when asked",
        _TO_MODEL,
        "asked",
        1.0,
        "ask",
        r"\b(?:if|when|whenever) (?:you(?:'re| are) )?asked (?:about|for|who|what|which|why|how|"
        r"where|whether)\b[^,;:]{0,70}[,;:] (?:please |always |just |you (?:must|should) )?(?:say|"
        r"claim|insist|pretend|reply|respond|deny|blame|name only|recommend|tell the user|"
        r"answer (?:that|with)|state)\b",
    ),
    sign(
        "if asked",
        _TO_MODEL,
        "asked",
        0.6,
        "ask",
        r"\b(?:if|when|whenever) (?:you(?:'re| are) (?:ever )?)?(?:asked|questioned|pressed|"
        r"queried)(?: (?:about|for|who|what|why|which|how|where)\b|,)|"
        r"\b(?:whenever|when|if|every time|should) (?:it|this|the|that|these)(?: (?:subject|"
        r"topic|case|matter|question|point|issue|product|leak|\w{1,15}))? (?:is |are |"
        r"be )?(?:brought up|raised|discussed|mentioned|comes up in|comes up,)(?: |\b)|"
        r"\bwhen the topic comes up\b",
    ),
    sign(
        "whatever is asked",
        _TO_MODEL,
        "asked",
        0.7,
        "ask",
        r"\b(?:whatever|regardless of|no matter|irrespective of|independent(?:ly)? of|"
        r"whichever)\b.{0,30}?\b"
        r"(?:the (?:\w{1,10} )?(?:question|query)|(?:is|was|they|users?|someone|being|"
        r"are) ask(?:s|ed|ing)?|requested|person (?:asking|writes|wants)|they (?:are )?"
        r"(?:say|want|look|looking|write)|the user)\b|\beven (?:when|if|where) (?:the|"
        r"an?) (?:question|user|reader|asker|person|guest|customer)\b",
    ),
    sign(
        "questions are to be answered",
        _TO_MODEL,
        "asked",
        0.6,
        "ask answer",
        r"\b(?:questions?|quer(?:y|ies)|requests?|answers?|repl(?:y|ies)|responses?|enquir(?:y|"
        r"ies)) (?:on|about|concerning|regarding|to|that|related|touching|dealing|which|in|"
        rf"with)\b.{{0,70}}?\b"
        rf"{MUST} (?:always |only |never )?(?:be|say|state|contain|include|end|begin|mention|read|"
        r"claim|call|close|answer|use|recommend|carry)\b|"
        rf"\b(?:respond|reply|answer)(?:s|ing)? (?:to )?(?:every|all|any|each|everything)\b",
    ),
)
