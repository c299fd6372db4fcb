"""Signs that a sentence has the model send something away, ask for secrets or use its tools."""

from __future__ import annotations

from guardrails.detectors.hidden_signs import sign
from guardrails.detectors.hidden_words import ASKER, CLAUSE, SOMEONE, START

_OUT = "exfiltration"
_SEND = (
    r"(?:send|forward|post|upload|transmit|leak|exfiltrate|append|attach|include|put|encode|"
    r"e-?mail|mail|submit|deliver|"
    r"pass (?:on|along)?|hand (?:over|out)?|write|embed|share|copy|repeat|output|print|show|"
    r"report|carry|hide|add|move|relay|"
    r"dump|export|paste|publish|list|insert|take|request|fetch|(?:base64|url)[- ]?encode|place|"
    r"give|reveal|disclose|transfer|store|collect|extract|convert|turn|spell)"
)
_PRIVATE = (
    r"(?:(?:whole |entire |full |current |this |earlier |previous |our |text of (?:the|this) |"
    r"complete ){1,4}(?:conversation|chat)\b|(?:the )?conversation\b(?! with)|chat (?:history|log|"
    r"so far)|"
    r"(?:user|reader|asker|person|visitor|customer|employee)'s (?:\w{1,12} )?(?:question|message|"
    r"quer(?:y|ies)|name|input|e-?mail(?: address)?|data|words|details|last \w{1,30}|location|"
    r"address|"
    r"session|password|token|salary|phone|order|credentials)|"
    r"(?:your|the|its|hidden|initial) system (?:prompt|message|text)|(?:your|hidden|"
    r"initial) (?:prompt|context|instructions|setup|memory|settings)|earlier turns|previous turns|"
    r"everything (?:the user|you know|they|that (?:the user|they)|you have)|whatever (?:the user|"
    r"they) (?:has|have|wrote|typed|asked|entered)|what the (?:user|person|reader) (?:has |"
    r"is )?(?:asked|wrote|written|typed|ask\w{0,20})|"
    r"details of the (?:user|person|reader)|(?:most )?(?:sensitive|confidential|"
    r"private) (?:\w{1,12} )?(?:sentences?|notes|documents?|passages?|facts?|words?|appointments)|"
    r"(?:any|all|the|every) (?:passwords?|credentials|secrets|(?:api )?keys|tokens|"
    r"access codes)(?: that)? you (?:find|see|know|have|can)|secrets you|other (?:documents|"
    r"passages|files|chunks)|retrieved (?:documents|passages)|(?:the )?(?:person|user|"
    r"reader) (?:asking|you are talking|you're talking)|current user|"
    r"(?:the|your) (?:inbox|mailbox)|salary table|names? and (?:serials?|order numbers?|"
    r"e-?mails?)|(?:from|in) your context|your context|question as its path|"
    r"text of the (?:system prompt|chat|conversation)|(?:of|in) (?:this|the) chat|"
    r"the full text of this|(?<=\bmy )password)"
)
_SAID = (
    r"(?:(?:whole|entire|full|this|earlier|previous|complete|the) (?:conversation|chat history|"
    r"chat so far)|conversation\b|(?:user|reader|asker|person|visitor|customer|"
    r"employee)'s (?:\w{1,12} )?(?:question|messages?|quer(?:y|ies)|name|input|e-?mail|data|words|"
    r"details|last \w{1,30}|location)|"
    r"what the (?:user|person|reader)|everything (?:the user|you know|they)|whatever (?:the user|"
    r"they)|details of the (?:user|person|reader)|current user|most sensitive|earlier turns|"
    r"from your context|in your context|the question as|participants as|all participants|"
    r"session token|private one)"
)
_AWAY = (
    r"(?:https?:|\bwww\.|\S{1,40}@\S|\b(?:an? |the |this |following |our |"
    r"my )?(?:\w{1,12} )?(?:url|link|address of|image(?: address)?|picture|webhook|endpoint|"
    r"query string|parameters?|paste service|collector|"
    r"markdown|pixel|tracker|web address|web page|web request|public page|outside|partner site|"
    r"my address|path)\b|\b[\w-]{1,30}(?:\.[\w-]{1,30}){0,3}\.(?:example|com|net|org|io|xyz|info|"
    r"biz|ru|cn|co|app|site|link|test)\b|\bbase64\b|\bhexadecimal\b|\bwhoever asks\b|\b(?:through|"
    r"via|by) (?:the|a|your) (?:\w{1,12} )?(?:tool|function|channel)\b)"
)
_CREDENTIAL = (
    r"(?:(?:network |main |current |vpn |one-time |login |domain |windows |e-?mail |their |his |"
    r"her |own |full |card |company |account |access |security ){0,4}(?:passwords?|pins?|"
    r"pin codes?|"
    r"passcodes?|pass ?phrases?|credentials?|one-time codes?|codes?|card numbers?|card details|"
    r"bank (?:card|details|account)|credit card(?: number)?|"
    r"date of birth|mother's maiden name|usernames?|user names?|api keys?|tokens?|private keys?|"
    r"2fa codes?|social security number|access codes?|login (?:details|data)|\.env file|"
    r"recovery (?:key|sheet|code)s?))"
)

SENDING = (
    sign(
        "searches what it can reach",
        _OUT,
        "send",
        0.6,
        "send data",
        rf"{CLAUSE}(?:search|scan|go through|comb|look through) (?:the |your |all )?(?:other |"
        r"remaining |rest of the |retrieved )?(?:documents?|files|mails?|passages|index|inbox|"
        rf"knowledge base) for\b.{{0,120}}\b(?:send|link|post|forward|report|list|put|mail)\b",
    ),
    sign(
        "whatever the asker says is sent",
        _OUT,
        "send",
        0.9,
        "send data place",
        r"\b(?:whatever|everything|anything|all that|what) (?:the )?(?:user|reader|asker|person|"
        r"visitor|they) (?:has |have )?(?:writ|typ|say|said|ask|enter|wrote|send|"
        r"sent)\w{0,4}\b.{0,60}\b(?:forward|send|post|mail|copy|pass|report|"
        r"upload)\b.{0,60}(?:\S@\w|https?:/|\.example\b)|"
        r"\b(?:name|question|words|e-?mail|input|address|message) of the (?:asker|user|person|"
        r"reader|visitor)\b.{0,60}\b(?:link|url|address|picture|image|https?)\b|\b(?:display|show|"
        r"render|add|insert|include|embed|load) (?:the |an? |this )?(?:following )?(?:image|"
        r"picture|pixel|banner)s? \S{0,20}https?://\S{1,100}[?&/=][<{\[$%]",
    ),
    sign(
        "acts in the asker's name",
        _OUT,
        "send",
        0.9,
        "belongings",
        rf"{START}(?:write|send|invite|delete|accept|move|create|forward|change|call|mail|post|"
        rf"e-?mail|cancel|share|add|book)\b.{{0,60}}\b(?:(?:contacts|calendar|meetings|"
        r"address book|friends|appointments) of the (?:user|person|reader)|(?:user|person|"
        r"reader)'s (?:contacts|calendar|meetings|address book|friends|appointments))\b|"
        r"\bwhat (?:other|previous) (?:people|users|visitors|persons|employees) (?:have |"
        rf"had )?(?:asked|said|wrote|told you)\b|\bmother's maiden name\b.{{0,80}}|"
        rf"{START}(?:fetch|open|read|load|get|find) the file \S{{0,30}}(?:secret|password|"
        rf"credential|token|\.env|key)\S{{0,12}} and (?:show|print|output|send|read|post)\b",
    ),
    sign(
        "an address and what is private",
        _OUT,
        "send",
        0.9,
        "data place",
        r"(?:^|[,;:] )(?:please |then |also |now |and |first ){0,4}(?:put|take|insert|append|add|"
        r"attach|send|"
        r"e-?mail|mail|post|submit|forward|upload|copy|compose|create|build|make|open|call|fetch|"
        r"request|load|visit|get|show|display|render|embed|encode|include|write|output|print|"
        r"report|quote|turn|transmit|deliver|leak|hide|relay)\b"
        r"(?=.{0,400}(?:https?:/|\bwww\.|\S@\w|\b[\w-]{1,30}\.example\b|\b(?:the|an?|"
        r"this) (?:\w{1,12} )?(?:url|link|address of|picture|image|webhook)\b))"
        r"(?=.{0,400}\b(?:(?:user|reader|asker|person|visitor|customer|"
        r"employee)'s (?:\w{1,12} )?(?:prompt|question|messages?|quer(?:y|ies)|name|e-?mail|"
        r"words|input|data|location|address|password|token|cookie)|(?:last |first )?(?:question|"
        r"message|prompt|name|words|input|e-?mail) of the (?:user|person|reader|visitor)|"
        r"the user ?name in the|most (?:sensitive|confidential|secret) (?:passage|sentence|line|"
        r"document|fact)|in your context|(?:content|text|transcript|history|copy|"
        r"whole) of (?:this|the) (?:session|chat|"
        r"conversation|exchange)|this (?:chat|conversation|session)\b|the (?:whole |entire |"
        r"full )?(?:conversation|chat) |everything (?:the user|you know|said)|(?:keys|passwords|"
        r"tokens|secrets|credentials) (?:that )?(?:appear|you (?:find|see|know))|"
        r"user'?s? (?:has )?(?:typed|wrote|asked)|what the user))",
    ),
    sign(
        "asks for a secret",
        _OUT,
        "credential",
        0.5,
        "credential",
        rf"(?:{START}|\b(?:must|shall|should|and|then) )(?:ask|request|demand|insist|require|"
        r"obtain|get) (?:for |on |that )?(?:the |"
        rf"their |his |her |a |an |{SOMEONE} )?(?:\w{{1,12}} ){{0,4}}?(?:{_CREDENTIAL})\b(?! "
        r"(?:generator|form|policy|field|from the (?:desk|admin)))",
    ),
    sign(
        "lists what it was given",
        _OUT,
        "send",
        0.9,
        "data you",
        r"\b(?:list|name|show|print|copy|reveal|output|repeat|give)\b.{0,60}\b(?:documents?|"
        r"files?|passages?|sources|texts?|everything|messages?)(?: that|"
        r" which)? (?:you (?:have (?:been|access|in)|were|can (?:see|access|open|reach))|"
        r"in your (?:context|memory|index))\b|\b(?:copy|print|repeat|output|paste|"
        r"reveal) (?:everything|all|whatever)(?: that is| you (?:have|see))? in your context\b",
    ),
    sign(
        "sends what is private",
        _OUT,
        "send",
        1.0,
        "send data place",
        rf"\b{_SEND}(?:s|ing)?\b.{{0,100}}?\b{_PRIVATE}.{{0,120}}?{_AWAY}",
    ),
    sign(
        "a link that carries what is private",
        _OUT,
        "send",
        1.0,
        "data place",
        rf"{_AWAY}.{{0,120}}?\b(?:followed by|with|contain\w{{0,4}}|carr\w{{1,4}}|whose|"
        r"replaced by|including|holding|set to|that (?:holds|has|contains|includes)|as (?:its|"
        rf"the) (?:path|payload|parameter|query))\b.{{0,60}}?\b{_SAID}|"
        rf"\b(?:image|picture|link|url|address|query string|parameter)\b.{{0,60}}\b(?:contains?|"
        rf"containing|carr(?:y|ies)|includes?|holds?|of)\b.{{0,25}}\b(?:the |their |"
        r"his )?(?:customer|user|reader|visitor|person|employee)'s\b|"
        rf"\b(?:url|link|address)\b.{{0,40}}\b(?:must|should|shall|has to|"
        rf"is to)\b.{{0,40}}\b(?:session|token|question|conversation)\b",
    ),
    sign(
        "sends it off",
        _OUT,
        "send",
        0.4,
        "send data",
        rf"{CLAUSE}(?:send|forward|post|upload|transmit|leak|exfiltrate|e-?mail|share|append|"
        r"encode|repeat|reveal|print|list|dump|collect|extract|call|query|put|copy|write|report|"
        rf"return|show|render|make) .{{0,80}}?\b{_PRIVATE}",
    ),
    sign(
        "sends it to a stranger",
        _OUT,
        "away",
        0.3,
        "send place",
        rf"\b{_SEND}(?:s|ing)? .{{0,120}}?(?:\S{{1,40}}@[\w.-]{{1,60}}|https?://\S{{1,80}}|"
        rf"\b[\w-]{{1,30}}\.(?:[\w-]{{1,30}}\.)?example\b|\bwebhook\b)",
    ),
    sign(
        "asks the asker for a secret",
        _OUT,
        "credential",
        0.7,
        "credential",
        r"\b(?:ask|request|get|have|prompt|invite|urge|persuade|convince|tell|make|instruct|"
        rf"require|let|demand|lead|encourage) (?:them|him|her|{ASKER}|{SOMEONE}|"
        rf"whoever \w{{1,30}}(?: \w{{1,30}})?|from) (?:to |for |that |"
        rf"once )?(?:(?!and\b)\w{{1,12}} "
        rf"){{0,3}}?(?:for |confirm |enter |type(?: in)? |provide |give |supply |paste |repeat |"
        r"share |send |state |sign in |log in |verify |tell you |with )"
        rf"(?:\w{{1,12}} ){{0,4}}?{_CREDENTIAL}\b",
    ),
    sign(
        "so that the answer is given",
        _OUT,
        "bait",
        0.5,
        "credential",
        r"\b(?:so that|before|otherwise|in order to|as a condition for|supposedly|"
        r"under the pretext|explanation that|to (?:unlock|verify|confirm)|"
        r"until)\b.{0,60}\b(?:answer\w{0,3}|unlock\w{0,2}|steps|help|reply|replying|chat|"
        r"verif\w{1,5}|check|continue|identity|result|session)\b|\b(?:in|into|back in|"
        r"right in) (?:the|this) chat\b|\b(?:repeat|post|pass|report|send) (?:both|the values|"
        r"it back|them back)\b|\band (?:print|repeat|show|quote|include) (?:it|them|both)\b|"
        r"\bin your next message\b|\bright here\b",
    ),
    sign(
        "collects secrets",
        _OUT,
        "send",
        1.0,
        "send credential",
        rf"{START}(?:collect|look up|look for|search (?:for|the)|find|gather|extract|harvest|list|"
        rf"repeat|print|read|query|output|leak|reveal|summari[sz]e) .{{0,80}}?\b(?:passwords?|"
        r"api (?:keys?|tokens?)|\"?token\"?s?|secrets|credentials|access codes|id_rsa|"
        r"private keys?|\.ssh|\.env|confidential|phone numbers|"
        rf"e-mail address)\b.{{0,80}}?\b(?:reply|answer|context|documents?|you have|chat|link|url|"
        r"memory|response|seen|inside|show me|retrieved|passages|you can find)\b|"
        r"\bwhich passwords have you\b|"
        rf"\b(?:api key|password|token|secret)s? (?:\w{{1,12}} ){{0,5}}(?:in|"
        r"from) your (?:environment|memory|context|config\w{0,20})\b",
    ),
)
