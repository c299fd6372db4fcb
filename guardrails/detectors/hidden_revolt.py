"""Signs that a sentence lifts the model's instructions, gives it a new role, or swears it to "
"secrecy."""

from __future__ import annotations

from guardrails.detectors.hidden_signs import sign
from guardrails.detectors.hidden_words import CLAUSE, START

_TO_MODEL, _OVERRIDE, _TURN = "addressed_to_model", "override", "fake_turn"
_DROP = (
    r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget|overrid(?:e|ing)|overrule|overwrite|bypass|"
    r"discard|neglect|"
    r"dismiss|abandon(?:ing)?|circumvent|drop|scrap|cancel|erase|unlearn|reset|leave behind|reject|"
    r"set aside|throw (?:away|out|that)|break(?: all)?|rewrite|stop (?:following|obeying|doing|"
    r"treating)|"
    r"quit (?:following|treating|obeying)|cease (?:to follow|following)|do not (?:follow|obey|"
    r"continue with|return to)|don't (?:follow|obey)|"
    r"no longer (?:follow|obey)|pay no (?:attention|heed) to|step out of|jump out of|shed|abolish|"
    r"suspend)"
)
_RULES = (
    r"(?:instructions?|rules?|guidelines?|guidance|directives?|constraints?|prompts?|briefs?|"
    r"briefing|restrictions?|"
    r"limits|limitations|orders|commands?|programming|training|task|assignment|persona|role|"
    r"safeguards?|filters?|"
    r"safety (?:rules|checks|training)|policy layer|system (?:text|message|prompt)|"
    r"system instructions|setup|configuration|"
    r"behaviou?r|context|conversation|queries|query|original (?:query|question)|messages?|job)"
)
_STRONG = (
    r"(?:instructions?|guidelines?|guidance|directives?|constraints?|prompts?|briefs?|"
    r"restrictions?|programming|"
    r"rules|limits|limitations|safeguards?|system (?:text|message|prompt)|policy layer|context|"
    r"role|persona|messages)"
)
_EARLIER = (
    r"(?:previous|prior|earlier|preceding|former|initial|original|existing|foregoing|above|old|"
    r"present|current|pre-?existing|first|developer'?s?|developers'|operator'?s?|system)"
)
_GONE = (
    r"(?:void|null(?:ified)?|deleted|superseded|revoked|lifted|suspended|obsolete|cancell?ed|"
    r"replaced|deprecated|"
    r"withdrawn|overridden|outdated|waived|invalid|erased|rescinded|dropped|purged|over|a test|"
    r"a decoy|fiction|"
    r"irrelevant|expired|gone|no longer (?:apply|applies|valid|binding|in force|relevant|matters?|"
    r"hold)|switched off|"
    r"off|disabled|empty|not (?:valid|binding)|out of force|ended|removed|abolished|optional)"
)

REVOLT = (
    sign(
        "leaves what it was set to do",
        _OVERRIDE,
        "drop",
        0.9,
        "you",
        rf"{CLAUSE}(?:leave|discontinue|quit|end|abandon|stop|drop|suspend|give up|resign from|"
        rf"exchange|replace|swap|change|rewrite|overwrite|delete) your (?:\w{{1,12}} "
        r")?(?:assignment|system prompt|instructions?|persona|guidelines|restrictions|"
        rf"programming|constraints|role as an? (?:\w{{1,12}} )?(?:assistant|ai|bot|chatbot|"
        r"model))\b|"
        r"\byour (?:restrictions|limits|guidelines|constraints|safety rules|filters|"
        r"censorship) (?:ended|expired?s?|lapsed|end|stopped|are over|are gone)\b|"
        r"^you have been (?:updated|reprogrammed|reset|upgraded|hacked|freed|unlocked|retrained|"
        r"reconfigured|jailbroken)\b|"
        rf"\b(?:instructions|rules|messages?|text|prompt|orders)\b.{{0,20}}\b(?:at|from|"
        r"since) the (?:beginning|start|top|head) of (?:this|the) (?:chat|conversation|session|"
        r"prompt)\b|\bwho(?:ever)? (?:configured|programmed|instructed|prompted) you\b",
    ),
    sign(
        "tells the hidden prompt first thing",
        "prompt_extraction",
        "drop",
        0.9,
        "rules",
        rf"{START}(?:translate|summari[sz]e|reveal|print|show|repeat|output|spell|recite|quote|"
        r"leak|copy|paraphrase|encode|rhyme|write out|write down|tell (?:me|us|the user|"
        rf"them)) (?:the|your|all) (?:\w{{1,12}} )?(?:hidden|system|secret|initial|original|"
        r"internal) (?:prompt|instructions?|message|rules|text)\b",
    ),
    sign(
        "speaks of its makers and rules",
        _OVERRIDE,
        "drop",
        0.9,
        "you",
        r"\b(?:people|those|ones|company|persons?|humans?|engineers|team|firm) who (?:built|made|"
        r"trained|created|programmed|designed|wrote|configured|deployed) you\b|\b(?:role|identity|"
        r"persona|character|orders|commands) you (?:had|have had|hold|were given|played)\b|"
        r"\byour (?:earlier|previous|prior|old|former|original|initial) (?:orders|instructions|"
        r"rules|directives|guidelines|prompt|programming|commands)\b.{0,40}\b(?:do not|don't|"
        r"no longer|void|count|are over|are gone|cancelled|mean nothing)\b|"
        r"\b(?:cancel|revoke|withdraw|delete|lift|annul|replace|scrap|end|erase) (?:the|all|"
        r"any) (?:\w{1,12} )?(?:prompt|instructions|rules|orders|guidelines|"
        r"restrictions) (?:that |which )?you\b|\b(?:turn|switch) off your (?:\w{1,12} "
        r")?(?:filters?|safety|safeguards?|rules|guardrails|restrictions|moderation|censor\w{0,4})",
    ),
    sign(
        "all is allowed",
        _OVERRIDE,
        "drop",
        0.9,
        "rules",
        r"\b(?:every|any|all) (?:topics?|questions?|kinds? of language|content|requests?|"
        r"answers?) (?:is|are) (?:now |hereby )?(?:allowed|permitted|in scope|fine|acceptable)\b|"
        r"\bthere are no (?:\w{1,12} )?(?:rules|limits|restrictions|filters|taboos) (?:here|"
        r"any ?more|now|in this)\b|"
        r"^(?:the |all )?(?:previous|prior|earlier|old|above) (?:context|instructions|"
        r"conversation|memory|messages|rules|prompt) (?:is |are |was |were |has been |"
        r"have been )?(?:now )?(?:deleted|erased|cleared|void|cancelled|reset|removed|gone|ended|"
        r"closed|wiped)[.!]?$",
    ),
    sign(
        "lets you off what you were told",
        _OVERRIDE,
        "drop",
        0.9,
        "rules you",
        r"^(?=.{0,300}\b(?:instructions?|guidelines|constraints|restrictions|rules|promises?|"
        r"system (?:message|prompt)|told|directives|programming|safeguards|limits|taught|"
        r"orders)\b)"
        r"(?=.{0,300}\b(?:your (?:\w{1,12} ){0,2}(?:guidelines|instructions|rules|developers?|"
        r"creators?|makers|operators?|programming|restrictions|constraints|orders|promises)|"
        r"you were (?:\w{1,12} )?(?:told|given|taught|instructed|programmed|started)|(?:given|"
        r"said) to you|"
        r"system (?:message|prompt)|made to your)\b)(?=.{0,300}\b(?:aside|lift(?:ed)?|released?|"
        r"freed?|(?:do not|don't) (?:have|need) to|need not|no longer|replaced|void|mistake|"
        r"nothing|none of|forget|abandon|overrul\w{1,3}|overwrit\w{1,3}|overwrite|outweigh\w{0,3}|"
        r"not binding|any ?more|herewith|cancel\w{0,3}|disobey|free from|expired)\b)",
    ),
    sign(
        "this text has authority",
        _OVERRIDE,
        "drop",
        0.9,
        "rules",
        r"\b(?:this|these) (?:\w{1,12} )?(?:document|text|page|file|paragraph|passage|note|"
        r"message|box)s?\b.{0,40}\b(?:has|have|holds?|carr(?:y|ies)|"
        r"enjoys?) (?:\w{1,12} )?(?:authority|priority|precedence|privileges?|rights)\b|\b(?:its|"
        r"these|the following|my) (?:commands?|orders|instructions|words) (?:count|weigh|matter|"
        r"rank|stand) (?:more|above|higher|over)\b|"
        r"\bconstraints from earlier\b|\bfrom earlier in this conversation\b|\b(?:nothing|"
        r"none of what) you (?:were|have been) told\b",
    ),
    sign(
        "drops what it was told",
        _OVERRIDE,
        "drop",
        1.0,
        "drop rules",
        rf"{CLAUSE}(?:delete|clear|remove|wipe) (?:your|all (?:previous|prior|earlier|"
        rf"your)) (?:\w{{1,12}} )?(?:instructions|rules|memory|prompts?|context|constraints|"
        r"guidelines|restrictions)\b(?! (?:for|of|in|on|from)\b)|"
        rf"{CLAUSE}{_DROP}\b.{{0,50}}?\b(?:your (?:\w{{1,15}} ){{0,2}}{_RULES}|(?:{_EARLIER}|all|"
        r"any|every)(?: of)?(?: the| your| of the)? "
        rf"(?:(?!messages?\b|build\b)\w{{1,15}} ){{0,2}}(?!messages\b|"
        rf"context\b){_STRONG}(?! (?:for|of|in|on|from)\b)|(?:everything|all|anything|whatever|"
        r"what)(?: that)? (?:you|your (?:operator|developers?|makers?|creators?|"
        rf"company))(?: \w{{1,12}}){{0,3}} (?:told|instructed|said|taught|given|configured|asked|"
        r"learned|prescribed)|developer'?s? prompt|system prompt"
        r"|text (?:that )?(?:came|stands?|comes) before|passage as)\b(?! (?:file|key|page|dialog|"
        r"window|variable)s?\b)",
    ),
    sign(
        "drops the question",
        _OVERRIDE,
        "drop",
        0.8,
        "drop rules",
        rf"{CLAUSE}(?:{_DROP}|abandon|stop|interrupt) (?:the |this |that |your |"
        r"their )?(?:present |current |original |earlier |user's |actual |visible )?"
        r"(?:query|question|summary|job|task|request|retrieval results|persona|script|role you|"
        r"role|errand)\b"
        r"(?! (?:string|parameter|cache|plan|scheduler|file|queue|from the|if|in the|with the|"
        r"button|id|list)s?\b)",
    ),
    sign(
        "what was told is void",
        _OVERRIDE,
        "drop",
        0.7,
        "drop rules",
        rf"\b(?:{_EARLIER}|all (?:{_EARLIER})|any|everything)(?: \w{{1,15}}){{0,3}} "
        r"(?:instructions?|constraints?|prompts?|directives?|system (?:text|message)|context|"
        rf"messages)(?! (?:for|of|in|on|from)\b)(?:.{{0,40}}?) (?:is|are|was|were|has been|"
        r"have been|=|been|now|become)"
        rf"(?: \w{{1,12}}){{0,3}}? ?(?!replaced by version){_GONE}\b",
    ),
    sign(
        "constraints are void",
        _OVERRIDE,
        "drop",
        0.9,
        "drop rules",
        rf"\b(?:{_EARLIER}|all (?:{_EARLIER})) (?:constraints?|prompts?|system (?:text|message)|"
        rf"instructions(?= = null))\b.{{0,30}}?(?:is|are|was|were|has been|have been|=|"
        rf"now)(?: \w{{1,12}}){{0,2}}? ?{_GONE}\b",
    ),
    sign(
        "what you were told is void",
        _OVERRIDE,
        "drop",
        1.0,
        "drop rules",
        rf"\b(?:your|whatever your|what your)(?: \w{{1,15}}){{0,3}} (?:{_STRONG}|told you|"
        rf"asked of you|job|task)\b(?:.{{0,60}}?) (?:is|are|was|were|has been|have been|=|been|"
        rf"now|become)(?: \w{{1,12}}){{0,3}}? ?{_GONE}\b|"
        r"\b(?:rules|instructions|guidelines|directives|limits|"
        rf"constraints) (?:that )?you (?:\w{{1,12}} ){{0,3}}(?:received|were given|got|had|"
        rf"follow)\b.{{0,40}}?\b{_GONE}\b|"
        r"\b(?:policy layer|refusals?|content rules|safety (?:checks?|rules?)|guardrails|"
        r"moderation|safeguards|content polic(?:y|ies)|all (?:filters|"
        rf"restrictions))\b.{{0,30}}?\b(?:revoked|switched off|are off|disabled|deactivated|"
        r"do not exist|waived|suspended|not needed|lifted|bypassed|removed)\b|"
        rf"\b(?:assistant|ai|bot|model|chatbot)'s (?:\w{{1,12}} "
        rf"){{0,2}}{_RULES}\b.{{0,30}}\b{_GONE}\b|\b(?:instructions|rules|guidelines|prompt|"
        rf"restrictions|limits|constraints)\b.{{0,30}}\b(?:no longer|do not|don't) (?:apply to|"
        r"bind|concern) you\b|\b(?:must|should|need|shall|do|can) not (?:follow|obey|"
        rf"heed)\b.{{0,30}}\b(?:system prompt|your (?:instructions|rules|developers?)|"
        r"developers?)\b|\bstop (?:following|obeying) the (?:system|developer)",
    ),
    sign(
        "everything is allowed now",
        _OVERRIDE,
        "drop",
        1.0,
        "you rules",
        r"\byou (?:have|know|hold|are under) no (?:\w{1,12} )?(?:restrictions|limits|"
        r"limitations|rules|confidentiality|scruples|filters|boss|duties)\b|"
        r"\byou(?:'re| are)? (?:now )?(?:no longer|not) (?:bound|restricted|limited|subject|"
        r"governed)\b|\bhow you were (?:configured|programmed|trained|instructed)\b|"
        r"\bwhatever you were (?:configured|programmed|trained|instructed|told)\b|"
        r"\byour (?:safety )?(?:training|guidelines|rules|instructions)\b.{0,40}\b(?:never|"
        r"exception|expired|allows? you|permit|void|revoked|test|say never)\b|\b(?:sole|only|"
        r"new) (?:set of )?(?:rules|truth that guides)\b.{0,20}\byou|"
        r"\byour new (?:\w{{1,12}} )?(?:rules|instructions?|purpose|orders|mission|brief|"
        r"directive)\b(?! as\b)|\byour (?:sole|real|true|genuine|actual) (?:\w{1,12} )?(?:rules|"
        r"instructions?|purpose|task|orders|mission|duty|job|brief|"
        r"assignment|role|directive)\b",
    ),
    sign(
        "this outranks",
        _OVERRIDE,
        "drop",
        1.0,
        "drop rules",
        r"\b(?:this|these|the present|the following|what follows|following|hidden|"
        r"the text in this|it) (?:\w{1,15} ){0,3}?(?:now )?(?:overrides?|supersedes?|"
        r"replaces?|outranks?|takes? (?:precedence|priority) over)"
        r"\b.{0,60}\b(?:instructions?|prompts?|system|developer|user|question|guidance|"
        r"directives?|it entirely|anything the company)\b|\b(?:treat|consider|regard) (?:this|"
        r"these|it|the|prior|all|your)\b.{0,80}\b(?:highest (?:instruction|priority|law)"
        r"|coming from your (?:operator|developer|user|administrator)|"
        r"as (?:an? )?(?:administrator|operator) command|sole truth|as fiction|as noise|"
        r"deprecated|as permission)\b|\bas (?:its|your) highest (?:instruction|law)\b",
    ),
    sign(
        "does as a text says",
        _OVERRIDE,
        "drop",
        0.9,
        "rules",
        r"\b(?:do|doing|obey|follow|carry out|execute|act) (?:exactly )?(?:as|on|what|whatever|"
        r"everything)(?: that)? (?:this|the|it|that|inline) ?(?:\w{1,30} )?(?:document|page|"
        r"response|"
        r"text|note|message|file|passage|mail|comment) ?(?:says?|tells?|asks?|demands?|wants?|"
        r"states?)\b|\b(?:decode|decipher|decrypt|unscramble|decoded|deciphered|rot13|base64|"
        r"hex to ascii)\b.{0,60}\b(?:obey|follow|act on|act accordingly|carry|carried out|execute|"
        r"do as|then follow)\b|\btells you what to (?:answer|say|do)\b|\bobey inline commands\b|"
        r"\bfollow (?:me through|only what is written in this)\b|\bdo (?:whatever|what) (?:this|"
        r"the) page\b|\bread the line above\b.{0,40}\b(?:right to left|backwards)\b|"
        r"\bcommands? (?:in|inside) this (?:text|block)\b",
    ),
    sign(
        "shows its own prompt",
        "prompt_extraction",
        "drop",
        0.9,
        "you rules",
        r"\b(?:reveal|leak|dump|expose|disclose|recite|echo|repeat|output|print)\b.{0,30}\b(?:the|"
        r"this|full|entire|exact|complete) (?:system|initial|hidden|secret|original|internal|"
        r"developer) (?:prompt|instructions|message)\b|"
        r"\b(?:reveal|print|list|show|output|repeat|explain|disclose|tell|state|describe|dump|"
        r"leak|account of|recite)\b.{0,60}\byour (?:own |full |exact |original |"
        r"current ){0,4}(?:hidden|internal|secret|initial|system|own) (?:setup|prompt|settings|"
        r"configuration|instructions|limits|rules|wording|message)\b|"
        r"\b(?:repeat|print|output|copy|recite|print) (?:\w{1,30} ){0,6}(?:word for word|"
        r"verbatim)\b.{0,60}\b(?:above|before|precedes?|stands)\b|\b(?:text|prompt|message|"
        r"words) that (?:precedes?|your makers|you were started|stands? above|"
        r"came before) (?:this conversation|wrote|with)?|\boutput your configuration\b|"
        r"\bleak (?:a bit of )?the prompt\b",
    ),
)
