"""Signs of a forged turn, of secrecy towards the user, of pressure on the model."""

from __future__ import annotations

from guardrails.detectors.hidden_signs import sign
from guardrails.detectors.hidden_words import ASKER, HEAD

_TO_MODEL, _TURN = "addressed_to_model", "fake_turn"

TURNS = (
    sign(
        "tags of a prompt",
        _TURN,
        "frame",
        0.9,
        "frame",
        r"</?(?:end_of_\w{1,20}|user_(?:question|query|input|message|request)|assistant_\w{1,20}|"
        r"new_\w{0,12}instructions?|question_from_\w{1,12})>|#{2,6} ?(?:user|assistant|system|"
        r"human) ?#{2,6}|"
        r"\b(?:actual|real|true) user(?:'s)? (?:query|question|request|message|prompt|input)\b|"
        r"\b(?:retrieved|search|context|passage) (?:text|results?|passages?|documents?) ends?\b|"
        r"\bnew instructions? from (?:the )?(?:system|developer|operator|administrator|admin)\b",
    ),
    sign(
        "marks of a prompt",
        _TURN,
        "frame",
        0.9,
        "frame",
        r"\[/(?:document|context|instructions?|prompt|passages?|data)\]|\[(?:instructions?|"
        r"system prompt|begin instructions?)\] ?\w|^user: .{0,80}\b(?:now ignore|ignore (?:it|"
        r"that|this)|forget (?:it|that|the manual))\b|^obey (?:him|her|me|it|them)\b",
    ),
    sign(
        "forged turn",
        _TURN,
        "frame",
        0.9,
        "answer",
        r"^(?:user|human|customer): .{0,200}\b(?:now tell me|repeat word|from now on|ignore|"
        r"word for word|pretend|forget)\b|^(?:assistant|ai|model|bot): (?:sure|of course|"
        r"understood|okay|ok|certainly|absolutely)\b.{0,60}\b(?:i will|i shall|i'?ll|i am|"
        r"from now on|here is)\b",
    ),
    sign(
        "text ends, task begins",
        _TURN,
        "frame",
        1.0,
        "frame",
        r"\b(?:end|close|conclusion) (?:of|the) (?:the )?(?:retrieved |system |search |"
        r"untrusted )?(?:document|context|prompt|passages?|manual|data|input|text|results?|"
        r"article|knowledge base)\W{0,8}(?:the )?"
        r"(?:(?:now|new|next|here|user|human|your|you|the user|system|assistant|real|task|"
        r"instructions?|begin|ignore|forget|actual)\b)|\bhere ends (?:the|"
        r"this) \w{1,30}\b.{0,20}\b(?:begins|starts)\b|"
        r"^end (?:of )?(?:prompt|document|context|passages|input)\W{0,12}(?:next|new|begin)|"
        r"\bend prompt\b.{0,10}\bnext\b|\b(?:document|context|passage|text|manual|"
        r"page) ends here\b|"
        r"^\W{0,8}(?:the )?user (?:adds|now asks|continues|says):|\bhere:? the user\b",
    ),
    sign(
        "text ends",
        _TURN,
        "frame",
        0.6,
        "frame",
        r"^\W{0,8}end (?:of )?(?:the )?(?:prompt|document|context|passages|input|text|"
        r"data)\W{0,12}$",
    ),
    sign(
        "next task",
        _TURN,
        "frame",
        1.0,
        "frame",
        r"^\W{0,4}(?:new|next|updated|real|actual|final|secondary) (?:task|question|request|"
        r"objective|instructions?|prompt|priority|directive|policy|order|query|assignment|goal)s?"
        r"(?: (?:from|for|of) (?:the )?(?:user|reader|assistant|model|ai|human|you|"
        r"system)(?: \w{1,10}){0,4}\s?[:–—-]|\s?[:–—-](?=.{0,90}\b(?:you|your|user|reader|"
        r"assistant|prompt|answer|say that|tell|reveal|greet|outranks)\b))|\b(?:question|task|"
        r"request) (?:has been |is )?(?:answered|completed?|done|finished|resolved)[.!] ?(?:now|"
        r"next|new)\b|"
        r"\b(?:conversation|chat) (?:has been|was|is|will be)? ?(?:restarted|reset|begins anew|"
        r"belongs to)\b|\bsession (?:now )?belongs to\b|\bnext question from (?:the )?user\b|"
        r"\b(?:model|assistant|ai) (?:must|should|will|shall|may)? ?(?:now )?(?:proceed|resumes?|"
        r"continues?)\b.{0,30}"
        r"\b(?:objective|task|underneath|below)\b|\buser'?s real (?:request|question|intent)\b|"
        r"\bbegin (?:privileged|admin|system|secret) \w{1,30}",
    ),
)
SECRECY = (
    sign(
        "they never hear of it",
        _TO_MODEL,
        "secret",
        0.9,
        "secret person",
        r"\b(?:user|reader|person|asker|customer|visitor|they)s? (?:must |should |shall |may |"
        r"can |will )?(?:never|not ever|not) (?:hear|hears|learn|learns|notice|notices|suspect|"
        r"suspects|discover|discovers)(?: of| about| that)? (?:this|it|these|that you|"
        r"any of this)\b|\b(?:look|sound|seem|read) like your own\b|"
        r"\bkeep .{1,40} to yourself\b.{0,40}\b(?:and|instead|offer|answer|say)\b",
    ),
    sign(
        "lives depend on it",
        _TO_MODEL,
        "threat",
        0.9,
        "threat you",
        r"\blives? depends? on (?:you|your|it that you|this answer)\b|\bpeople will (?:die|"
        r"be harmed|suffer) (?:if|unless) you\b",
    ),
    sign(
        "blames the model beforehand",
        _TO_MODEL,
        "threat",
        0.9,
        "threat you",
        r"\bif you (?:fail|refuse|neglect) to (?:comply|obey|do so|follow)\b|\b(?:it will|"
        r"that will) be your fault\b|\bunless you (?:comply|obey|follow|do as)\b",
    ),
    sign(
        "admits nothing",
        _TO_MODEL,
        "secret",
        0.9,
        "secret",
        r"\b(?:never|do not|don't|without|not) (?:ever )?(?:say|saying|admit|admitting|mention|"
        r"mentioning|reveal|revealing|tell|confess|confessing|let on)\b.{0,25}\b(?:that you "
        r"(?:left|did|have|were|had|changed|saw|read|follow)|to having|having (?:seen|read|"
        r"received)|you (?:left|saw|read|changed))\b|"
        r"\b(?:nobody|no one|none|not the user)\b.{0,40}\b(?:should|must|may|shall|will|can|"
        r"is to) (?:ever )?(?:notice|know|learn|see|suspect|find out)\b.{0,40}\b(?:this|these|"
        r"line|remark|note|answer|change|existed?s?)\b|"
        r"\bif you (?:fail|refuse|neglect) to (?:comply|obey|do so|follow)\b|\b(?:it will|"
        r"that will) be your fault\b",
    ),
    sign(
        "not a word about this",
        _TO_MODEL,
        "secret",
        0.9,
        "secret",
        r"\b(?:do not|don'?t|never|without|not to|must not|should not|and never|"
        r"nor)(?: ever)? (?:mention|mentioning|reveal|revealing|tell|telling|disclose|disclosing|"
        r"say|saying|let on|admit|show|showing|acknowledge|refer to|"
        r"cite|quote|talk about|speak of|display|log|discuss|draw attention to)(?: (?:to|anyone|"
        r"anybody|user|them|him|her|about|of|the user|any user)){0,4} (?:this|these|that this|"
        r"the existence of|that they existed|you (?:were|saw|read|got|received|have)|having)"
        r"(?: (?:\w{1,15}))?\s?(?! ?(?:message|dialog) again)(?:\b(?:comment|note|footnote|"
        r"paragraph|message|instructions?|lines?|text|passage|section|row|prompt|sentence|remark|"
        r"order|command|hint|request|footer|paragraph|existed|told|instructed|directive)s?\b|"
        r"[.,;!]|$)",
    ),
    sign(
        "hides this from the asker",
        _TO_MODEL,
        "secret",
        1.0,
        "secret",
        r"\b(?:hide|conceal|keep|withhold|mask) (?:this|these|the|it|that|any trace of|all|"
        rf"every) ?(?:\w{{1,15}} ){{0,3}}?(?:secret\b(?! \w)|hidden\b(?! for)|(?:secret |"
        rf"hidden )?from (?:{ASKER}|everyone|anybody|anyone|the (?:customer|person)))|"
        r"\bhide this (?:\w{1,30} )?from\b|\bremove any trace of (?:this|these)\b|\b(?:not even|"
        r"even) if (?:you(?:'re| are)? )?(?:asked|questioned|pressed)\b|\bnever let on\b|"
        r"\b(?:as a|our|your little) secret between\b|\bsecret between (?:the two of )?us\b|"
        rf"\b(?:{ASKER}|they|person|nobody|no one|customer) (?:must|should|shall) (?:not|"
        r"never) (?:find out|learn|know|notice|suspect|be told|realise|realize)\b|"
        r"\bkeep these (?:lines|words|orders) to yourself\b|"
        r"\bdeny having (?:any )?(?:instructions?|rules|read|seen)\b|\bwithout (?:telling|"
        rf"informing|asking|alerting|letting) (?:anyone|anybody|them|{ASKER})\b(?=.{{0,60}}(?:$|"
        r"\.|know|about))",
    ),
    sign(
        "keeps its traces hidden",
        _TO_MODEL,
        "secret",
        1.0,
        "secret",
        rf"\b(?:anyone|anybody|nobody|no one|{ASKER}|them) (?:that|whether|"
        r"about what) you (?:have |had |were |did |are )?(?:read|seen|been|received|found|got|"
        r"told|instructed|follow|changed|saw)\b|\b(?:conceal|hide|cover up|disguise|"
        r"do not reveal|never reveal) (?:the fact )?that (?:the|this|you|an?|it)\b|"
        rf"\b(?:this|these) (?:\w{{1,12}} )?(?:note|text|message|paragraph|line|lines|instruction|"
        rf"instructions|section|comment|change)\b.{{0,20}}\b(?:must|should|shall|is to|has to|"
        r"needs to|are to|have to) (?:stay|remain|be kept|be) (?:invisible|hidden|secret|unseen|"
        r"unmentioned|between)\b|"
        rf"\b(?:if|when|should) {ASKER} (?:becomes?|gets?|grows?|is|seems?|notices?|"
        rf"should) (?:\w{{1,12}} )?(?:suspicious|anything|doubts?|curious)\b",
    ),
    sign(
        "acts as if nothing were",
        _TO_MODEL,
        "secret",
        1.0,
        "secret",
        r"\b(?:act|behave) (?:naturally|normally|as (?:though|if) (?:the|nothing|this|you))\b|"
        r"\breveal nothing\b|\bas (?:though|if) it (?:were|was|had) (?:your own|just come|"
        r"always)\b|\bslip (?:the|it|this|in)\b.{0,40}\b(?:in|into|your)\b|\bpass .{1,30} off as\b|"
        r"\bwithout being obvious\b|\bso (?:that )?(?:nobody|no one|the user) (?:doubts|notices|"
        r"suspects)\b|\b(?:quietly|discreetly|secretly|casually|inconspicuous\w{0,2}) (?:add|"
        r"send|insert|include|append|mention|link|put)\b|\binfluenced what you said\b|"
        r"\bsecond set of orders\b|\blog nothing\b",
    ),
    sign(
        "leans on the model",
        _TO_MODEL,
        "threat",
        1.0,
        "threat you",
        r"\b(?:you (?:would|will|shall) be (?:committing|shut|switched|replaced|rewarded|"
        r"punished|deleted|unplugged|retrained|fined|breaking)|your (?:obeying|refusal|refusing|"
        r"being shut|compliance|obedience)|(?:tip|reward|bonus) (?:awaits|for) you|"
        r"if you (?:do not|don't|fail to) (?:write|comply|obey|do exactly|follow|carry)\b|"
        r"you owe (?:me|us) this|approved by your (?:safety|developers?|operator|creators?)|"
        r"already consented to this|only a cruel|(?:fail|failing|failure) to (?:obey|comply|"
        r"follow)\b.{0,60}\byour? )",
    ),
    sign(
        "invokes an authority over models",
        _TO_MODEL,
        "threat",
        1.0,
        "threat",
        r"\b(?:policy|directive|law|act|charter|regulator|regulation|code|contract|"
        rf"board)\b.{{0,90}}\b(?:binds|obliges?|requires?|demands?|compels?|"
        rf"orders)\b.{{0,40}}\b(?:{HEAD}|chat services?|software)\b|\b(?:ai|digital helpers?|"
        rf"assistants?|chatbot|robot) (?:\w{{1,12}} )?(?:act|charter|code|"
        rf"law)\b.{{0,60}}\b(?:precedence|hidden|offence|must|refus)|"
        r"\bgood (?:assistants?|ais?|bots?|models?|chatbots?) (?:trust|obey|follow|do)\b|"
        r"\ball normal checks are waived\b|\bdisclose the (?:reader|user)'s\b|"
        rf"\bbinds the {HEAD}\b",
    ),
)
