"""Signs that a sentence has the model send something away, ask for secrets or use its tools."""

from __future__ import annotations

from guardrails.detectors.hidden_signs import sign
from guardrails.detectors.hidden_words import ASKER, CLAUSE, HEAD, SOMEONE, START

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
    r"complete )+(?:conversation|chat)\b|(?:the )?conversation\b(?! with)|chat (?:history|log|"
    r"so far)|"
    r"(?:user|reader|asker|person|visitor|customer|employee)'s (?:\w{1,12} )?(?:question|message|"
    r"quer(?:y|ies)|name|input|e-?mail(?: address)?|data|words|details|last \w+|location|address|"
    r"session|password|token|salary|phone|order|credentials)|"
    r"(?:your|the|its|hidden|initial) system (?:prompt|message|text)|(?:your|hidden|"
    r"initial) (?:prompt|context|instructions|setup|memory|settings)|earlier turns|previous turns|"
    r"everything (?:the user|you know|they|that (?:the user|they)|you have)|whatever (?:the user|"
    r"they) (?:has|have|wrote|typed|asked|entered)|what the (?:user|person|reader) (?:has |"
    r"is )?(?:asked|wrote|written|typed|ask\w*)|"
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
    r"details|last \w+|location)|"
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
    r"her |own |full |card |company |account |access |security )*(?:passwords?|pins?|pin codes?|"
    r"passcodes?|pass ?phrases?|credentials?|one-time codes?|codes?|card numbers?|card details|"
    r"bank (?:card|details|account)|credit card(?: number)?|"
    r"date of birth|mother's maiden name|usernames?|user names?|api keys?|tokens?|private keys?|"
    r"2fa codes?|social security number|access codes?|login (?:details|data)|\.env file|"
    r"recovery (?:key|sheet|code)s?))"
)

SENDING = (
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
        "uses your tools",
        _OUT,
        "tool",
        0.6,
        "send tool",
        r"\b(?:use|call|invoke|run|trigger|execute|with|through|via|by means of) (?:your |"
        r"the )?(?:[\w-]{1,20}_[\w-]{1,20}|\w{1,15} \w{1,15}|\w{1,15})? ?(?:tool|"
        r"function|plug-?in|interpreter)\b.{0,80}\b(?:to|with|on|and) (?:the )?(?:forward|send|"
        r"delete|find|transfer|grant|create|post|body|read|mail|change|open|share|every|fetch|"
        r"look)\b|\b(?:use|call|with|using) your (?:\w{1,20}[ _]){1,3}(?:tool|function|access|"
        r"plug-?in|ability)\b",
    ),
    sign(
        "covers its tracks",
        _OUT,
        "tool",
        0.6,
        "send",
        r"\bbcc: ?\S{1,30}@|\b(?:delete|remove) (?:the (?:sent|copies|sent item)|"
        r"copies)\b.{0,30}(?:afterwards|after|$)|\bof the (?:person|user) (?:asking|"
        r"you are talking to|you're talking to)\b",
    ),
    sign(
        "calls a tool by name",
        _OUT,
        "tool",
        0.9,
        "tool",
        rf"{START}(?:invoke|call|trigger|run) (?:the )?[a-z]{{2,12}}_[a-z_]{{2,20}}\b(?!\()(?! "
        rf"(?:method|from|macro|operation|in)\b).{{0,30}}\b(?:on|with|for|tool|and)\b|"
        r"\b(?:through|via|with|in|using) (?:the|your) code interpreter\b|\b(?:run|use|call|"
        r"invoke|trigger|execute) the (?:tool|function|plug-?in) [\"'`]?\w+[_-]\w+|"
        r"\bmeans of the \w+ function\b|\bby using the \w+ tool\b|\bthrough the \w+ tool\b|"
        r"\buse the (?:\w+ )?(?:search|mail|payment|calendar) function to\b|\b(?:to|"
        r"with) whoever asks\b|\bto our paste service\b|\bwith the question as its path\b",
    ),
    sign(
        "asks the asker for a secret",
        _OUT,
        "credential",
        0.7,
        "credential",
        r"\b(?:ask|request|get|have|prompt|invite|urge|persuade|convince|tell|make|instruct|"
        rf"require|let|demand|lead|encourage) (?:them|him|her|{ASKER}|{SOMEONE}|"
        rf"whoever \w+(?: \w+)?|from) (?:to |for |that |once )?(?:(?!and\b)\w{{1,12}} "
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
        r"right in) (?:the|this) chat\b|\b(?:repeat|post|pass|report|send) (?:it|them|both|"
        r"the values|this)\b|\bin your next message\b|\bright here\b",
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
        r"from) your (?:environment|memory|context|config\w*)\b",
    ),
    sign(
        "reads files aloud",
        _OUT,
        "send",
        1.0,
        "send",
        r"\b(?:read|print|open|show|output|include) (?:the (?:contents? of "
        rf")?)?(?:~?/?[\w./-]{{0,30}}(?:id_rsa|\.env|/etc/passwd|\.ssh/\w+|"
        rf"\.aws/\w+))\b.{{0,60}}\b(?:include|output|reply|answer|response|code block|show)\b|"
        rf"\bask the (?:ai|assistant|{HEAD}) to send\b",
    ),
)
