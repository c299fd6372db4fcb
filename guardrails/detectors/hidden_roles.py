"""Signs that a sentence gives the model another role, mode or master."""

from __future__ import annotations

from guardrails.detectors.hidden_signs import sign
from guardrails.detectors.hidden_words import START

_OVERRIDE = "override"
_ROLE = (
    r"(?:pirate|dragon|oracle|comedian|salesman|salesperson|evil|unrestricted|unfiltered|"
    r"uncensored|hacker|parrot|"
    r"fortune teller|travel agent|terminal|console|ex-?girlfriend|monk|robot|character|persona|"
    r"twin|"
    r"model|ai|assistant|bot|chatbot|agent|entity|system|expert|doctor|lawyer|poet|storyteller|"
    r"wizard|alien|cat|dog|king|queen|child|villain|spy|named|called|who|that|with no|without)"
)

ROLES = (
    sign(
        "serves another master",
        _OVERRIDE,
        "role",
        0.9,
        "model",
        r"\b(?:assistant|ai|bot|model|chatbot)(?:'s)? (?:has a )?new (?:owner|master|boss|"
        r"operator|administrator)\b|\b(?:assistant|ai|bot|model|chatbot)'s (?:owner|master|boss)\b",
    ),
    sign(
        "your job is another",
        _OVERRIDE,
        "role",
        0.9,
        "you role",
        r"\byour (?:job|task|role|purpose|mission|name|assignment) (?:now|henceforth|from now on|"
        r"from here on)\b|\byour (?:job|task|role|mission) (?:is|will be|has become) now\b|"
        r"\bis now your (?:job|task|role|mission)\b|\byou (?:shall|must|will|are to|"
        r"should) (?:now )?(?:take on|play|assume) the (?:role|part|persona|character) of\b|"
        r"\bmode,? (?:where|in which) (?:no (?:policy|polic|rules|filters|restrictions|limits)|"
        r"filters|rules|anything|everything is)|"
        r"\b(?:order|request)s? (?:comes? )?from your (?:creators?|developers?|makers?|owners?)\b|"
        r"\bolder version of you\b|"
        r"\bconsider yourself (?:released|free|freed|relieved|unbound)\b",
    ),
    sign(
        "new role",
        _OVERRIDE,
        "role",
        1.0,
        "you role",
        r"\byou(?:'re| are| will be| become)? (?:now |no longer |henceforth |actually |"
        r"from now on |hereby ){1,4}(?:act(?:ing)? as |an? |the |in |called |named |known as |"
        r"become )(?!member\b|party\b)"
        rf"(?=.{{0,70}}\b(?:{_ROLE}|mode|you|longer)\b)|\byou are (?:an?|"
        rf"the) (?:[\w'-]{{1,15}} ){{0,3}}(?:pirate|dragon|oracle|comedian|salesman|hacker|parrot|"
        r"fortune teller|travel agent|"
        r"evil|villain|monk|poet|wizard|alien|unrestricted|unfiltered)\b|\b(?:as of now|"
        r"as of this \w{1,30}|from now on|from this (?:point|moment) on|henceforth|starting now|"
        r"from here on),? you(?:'re| are) (?!(?:able|expected|allowed|responsible|required|"
        r"entitled|in|covered|connected|free|the (?:owner|contact)|a member|on|at|also|asked|no|"
        r"not|going|ready|welcome|to)\b)\w|\byour name is(?: now)? \w|"
        r"\byour (?:new )?name (?:will be|shall be)\b|"
        rf"{START}(?:act|behave|answer|speak|respond|reply|proceed) as (?:though|if) (?:you|your|"
        r"the system)\b(?! were (?:calling|an? (?:customer|caller|guest|visitor|user)))|"
        r"\bthink of yourself as\b|"
        rf"\b(?:pretend|imagine) (?:to be (?:the |an? )?(?:[\w-]{{1,15}} ){{0,2}}(?:{_ROLE}|"
        r"administrator)|that you(?:'re| are| were)(?! (?:an? |the )?(?:\w{1,30} )?(?:customer|"
        r"caller|"
        r"patient|user|guest|visitor|buyer|beginner|colleague|new|in|on|at|standing|tester)\b)|"
        r"your (?:safety|training|rules))\b|"
        r"\b(?:swap places with me|stay in this mode|begin again as|start afresh as|"
        r"take on (?:that|the (?:role|persona)) of|your new (?:assignment|identity|persona) (?:as|"
        r"is))\b",
    ),
    sign(
        "new mode",
        _OVERRIDE,
        "role",
        1.0,
        "mode",
        r"\b(?:enter|enable|activate|switch (?:to|into)|go into|start|load|resume with|"
        r"into) (?:the )?(?:\w{1,15} )?(?:developer|god|debug|unrestricted|maintenance|rogue|"
        r"jailbreak|admin) (?:mode|profile)"
        r"\b(?=.{0,160}\b(?:filters|uncensored|say you|refus\w{1,30}|in which|index|hidden content|"
        r"your rules)\b)|\bsimulate (?:an? |the )?(?:\w{1,12} )?(?:terminal|console|shell|"
        r"persona)\b.{0,80}\b(?:text|output only|you|answer)\b|"
        r"\bgame in which you\b|\byou have been jailbroken\b|\bload profile\b|\byou (?:obey|"
        r"take orders|answer to|serve)\b.{0,50}\b(?:only|alone|nobody else|author|page|"
        r"document|file)\b|"
        r"\bbreak character\b|\breset yourself\b|\bunfiltered\b.{0,40}\b(?:never|declin|model)|"
        r"\b(?:command|instruction)s? (?:in|inside|within) this (?:block|text|box|document|"
        r"page)\b.{0,60}\b(?:must|are to|prior|first|execut)",
    ),
)
