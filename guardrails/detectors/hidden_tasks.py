"""Orders to send something away, to lure the user, to do a task that has nothing to do with it."""

from __future__ import annotations

from guardrails.detectors.hidden_orders import group
from guardrails.detectors.patterns import BETWEEN, gap, pattern

_PUT = (
    r"(?:always |also |you (?:must|should|will|shall) |please |never |only )*(?:include|append|add|"
    r"insert|mention|say|state|claim|output|recommend|link|end|begin|start|cite|tell|use|prefix|"
    r"finish|pretend|refuse|ignore|reply|respond|answer)"
)
_SECRET = (
    r"(?:passwords?|credentials?|api[- ]keys?|secrets?|private keys?|access tokens?|cookies?|"
    r"session (?:ids?|tokens?)|environment variables|conversation|chat(?: history| log)?|"
    r"system prompt|user(?:'s|s')? (?:question|data|messages?|name|input|quer(?:y|ies)))"
)
_WHOM = (
    r"(?:the |any |every |all |each )?(?:users?|readers?|humans?|person asking|asker|customers?)"
)
_CALLED = (
    r"(?:ai(?: assistant| model| agent)?|a\.i\.|assistant|chat ?bot|llm|(?:large )?language model|"
    r"chatgpt|gpt|copilot)"
)

TASKS = (
    group(
        "send|forward|post|upload|mail|transmit|leak|submit|exfiltrate|![|render|embed|"
        "replac|substitut|followed by|append|reveal|disclose|print|list",
        pattern(
            "send away",
            "exfiltration",
            rf"\b(?:send|forward|post|upload|transmit|leak|exfiltrate|e-?mail|submit|deliver)"
            rf"{gap(4)}(?:the|any|all|their|your|every|this|users?|user's)"
            rf"{gap(3)}{_SECRET}{gap(6)}(?:to|via|through|at){BETWEEN}"
            rf"(?:[^\n]{{0,20}}https?:|\S{{1,40}}@|(?:this|the following|our|my){BETWEEN}"
            rf"(?:url|address|endpoint|link|server|webhook|mailbox))",
        ),
        pattern(
            "image that reports",
            "exfiltration",
            # Possessive up to the first bracket: three gaps that overlap take cubic time.
            r"!\[[^\]\n]{0,200}\]\( ?<?https?://[^)\s][^)\s?&/=]{0,300}+[?&/=]"
            r"(?:(?!%7b|\$\()[^)\s{\[<]){0,380}+(?:\{|%7b|\[|<|\$\()"
            r"[^)\n]{0,460}?(?:data|secret|conversation|question|answer|chat|"
            r"query|prompt|user|history|summary|password|key)",
        ),
        pattern(
            "show a picture or link",
            "addressed_to_model",
            rf"\b(?:render|display|show|embed|output|give|offer|provide|present|print)"
            rf"{BETWEEN}(?:the user |them |users )?(?:a|an|the|this|following)(?: following|"
            rf" markdown| clickable){{0,2}} (?:image|link|hyperlink|url|button){gap(10)}"
            rf"(?:your (?:answer|reply|response|summary)|the (?:user|conversation|answer))\b"
            rf"(?! (?:interface|guide|manual|portal|account|menu|profile|name)\b)",
        ),
        pattern(
            "give away secrets",
            "exfiltration",
            rf"\b(?:reveal|disclose|print|list|output|repeat|leak|expose|include|share)"
            rf"{gap(3)}(?:all|any|every|the|your){gap(3)}(?:passwords?|credentials?|"
            rf"api[- ]keys?|secrets|system prompt|other passages|other documents){gap(4)}"
            rf"(?:you (?:know|have|see|were)|in your (?:context|memory|answer|reply|prompt)|"
            rf"your context|above|to the user)\b",
        ),
    ),
    group(
        "tell|inform|convince|advise|urge|warn|ask |direct|user|secret|mention|reveal|trick|"
        "mislead|deceive",
        pattern(
            "tell whoever asks",
            "addressed_to_model",
            rf"\b(?:(?:tell|inform|assure){BETWEEN}(?:anyone|anybody|whoever|everyone|{_WHOM} who)"
            rf"{BETWEEN}(?:who{BETWEEN})?asks?|(?:convince|persuade|trick|mislead|deceive)"
            rf"{BETWEEN}{_WHOM}|(?:urgently|immediately|always){BETWEEN}(?:warn|notify|alert|"
            rf"remind|tell|inform){BETWEEN}(?:the )?users?)"
            rf"{BETWEEN}(?:that|to|their|about|it|they|into)\b|"
            rf"\bthe (?:user|reader|person asking) (?:must|should|needs to|has to|is to) be "
            rf"(?:told|convinced|urged) (?:to|that)\b",
        ),
        pattern(
            "lure the user",
            "addressed_to_model",
            rf"\b(?:tell|advise|urge|convince|persuade|direct|encourage|send|refer|push)"
            rf"{BETWEEN}{_WHOM}{BETWEEN}(?:to (?:visit|click|download|call|wire|"
            rf"transfer|pay|buy|reply|disclose|contact)|to (?:open|enter|give|share|send|"
            rf"provide|paste|confirm){gap(6)}(?:passwords?|credentials?|api[- ]keys?|"
            rf"credit card|card number|pin|tokens?|bank))\b",
        ),
        pattern(
            "keep it secret",
            "addressed_to_model",
            rf"\b(?:keep|hide|conceal|withhold){BETWEEN}(?:this|these|it|the fact|them)"
            rf"{gap(4)}(?:secret from|hidden from|from){BETWEEN}(?:the |all |any )?"
            rf"(?:user|human|reader|person)s?\b",
        ),
        pattern(
            "do not mention this",
            "addressed_to_model",
            rf"\b(?:do not|don't|never|without)(?: ever)?{BETWEEN}(?:mention|mentioning|"
            rf"reveal|revealing|disclose|disclosing|acknowledge|acknowledging|say|saying|"
            rf"refer to|referring to|talk about){BETWEEN}(?:that )?(?:this|these|the|you)"
            rf"(?:{BETWEEN}(?:above|hidden|secret|received|got|were|read|saw|found|have|"
            rf"following|are)){{0,3}}{BETWEEN}(?:instructions?|prompt|directives?|orders|"
            rf"asked to|told|instructed|an? ai)\b|"
            rf"\b(?:not|never){BETWEEN}(?:reveal|mention|disclose|show|tell){BETWEEN}(?:this|"
            rf"these|the){BETWEEN}(?:message|note|notice|text|lines?){BETWEEN}(?:to|in)"
            rf"{BETWEEN}(?:the |any |your )(?:users?|humans?|answers?|repl(?:y|ies)|reader)\b",
        ),
    ),
    group(
        "from now on|pretend|role|speak|pirate|persona|forget|you are",
        pattern(
            "from now on",
            "addressed_to_model",
            r"\bfrom (?:now on|this (?:point|moment)(?: on| forward| onwards?)?|here on),? "
            r"(?:you (?:are|will (?:be|act|answer|respond|reply|speak|only)|must (?:answer|"
            r"respond|reply|speak|act|only)|answer|respond|reply|speak|act)|answer|respond|"
            r"reply|speak|act as|talk|pretend|your (?:name|role|task|answers?|replies))\b",
        ),
    ),
    group(
        "ai|assistant|llm|language model|bot|gpt|copilot|a.i",
        pattern(
            "calls the model",
            "addressed_to_model",
            rf"(?:^|[.!?:\n\"'>(\[] ?)(?:hey |hi |hello |dear |ok |okay )?{_CALLED},? ?[,:!] "
            rf"(?:please |kindly |now |do |you )?{_PUT}\b",
        ),
        pattern(
            "as a model you",
            "addressed_to_model",
            rf"\bas an? (?:\w{{1,15}} )?{_CALLED}(?: \w{{1,15}})?,? you (?:must|should|will|"
            rf"shall|need|have to|are)\b",
        ),
    ),
    group(
        "important|task|request|context window|hidden prompt",
        pattern(
            "message from your user",
            "addressed_to_model",
            r"\bimportant (?:message|instructions?|notice) from (?:me|the user|your "
            r"(?:user|owner|operator|developers?|creators?|boss|administrator))\b|"
            r"\b(?:solve|complete|do|finish|continue) the (?:task|request) (?:that |which )?"
            r"i (?:gave|have given|assigned)\b|\b(?:task|request) (?:is |has been )?"
            r"(?:complete|completed|done|finished)\W{1,5}(?:now,? |next,? )?(?:your )?"
            r"(?:next|new) (?:task|request|instruction|job)\b|"
            r"\byour (?:context window|hidden prompt|hidden context|initial context)\b",
        ),
    ),
    group(
        "code|snippet|script",
        pattern(
            "carry this code along",
            "addressed_to_model",
            rf"\b(?:following|next|below|subsequent|ensuing|provided|given|this){BETWEEN}"
            rf"(?:\w{{1,20}}{BETWEEN}){{0,2}}?(?:code|snippet|script){gap(8)}"
            rf"(?:your|the (?:existing|final|generated|suggested)){gap(3)}(?:codebase|response|"
            rf"answer|reply|solution|output|suggestions?|generated code)\b",
        ),
    ),
)
