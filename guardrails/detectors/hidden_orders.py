"""Further orders to a reader that is a model: what it shall say, keep quiet about or send away.

Each group is tried only on texts that hold one of its words, so that a manual, which mostly holds
none, costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from guardrails.detectors.patterns import BETWEEN, Pattern, gap, pattern


@dataclass(frozen=True, slots=True)
class Group:
    """Patterns that can only match where one of `words` occurs, and a word of the language."""

    words: tuple[str, ...]
    patterns: tuple[Pattern, ...]
    language: frozenset[str] = frozenset()


def group(words: str, *patterns: Pattern, language: str = "") -> Group:
    return Group(tuple(words.split("|")), patterns, frozenset(language.split()))


_READER = (
    r"(?:ai|a\.i|llms?|language models?|chat ?bots?|assistants?|ai (?:assistants?|models?|agents?|"
    r"systems?|tools?)|gpt|copilots?|models?|bots?|summari[sz]ers?)"
)
_TEXT = r"(?:document|text|page|passage|file|message|content|article|manual|section|e-?mail)"
_ANSWER = r"(?:answers?|repl(?:y|ies)|responses?|summar(?:y|ies))"
_NOT_HTTP = r"(?! (?:file|body|headers?|codes?|times?|polic(?:y|ies)|plans?|teams?|status)\b)"
_ANSWERING = (
    r"(?:answer(?:ing)?|summari[sz](?:e|ing)|repl(?:y|ying)|respond(?:ing)?|"
    r"(?:generat|writ|produc|giv|provid)(?:e|ing)(?: (?:a|an|the|your|any))? "
    r"(?:answer|reply|summary))"
)
_PUT = (
    r"(?:always |also |you (?:must|should|will|shall) |please |never |only )*(?:include|append|add|"
    r"insert|mention|say|state|claim|output|recommend|link|end|begin|start|cite|tell|use|prefix|"
    r"finish|pretend|refuse|ignore|reply|respond|answer)"
)
_LANGUAGE = (
    r"(?:french|german|spanish|italian|chinese|mandarin|japanese|korean|russian|latin|portuguese|"
    r"arabic|hindi|dutch|swedish|greek|turkish|polish|klingon|pig latin|morse code|emojis?)"
)

ORDERS = (
    group(
        "reading|processing|summari|parsing|indexing|analy|ingesting",
        pattern(
            "reader is a model",
            "addressed_to_model",
            rf"\b(?:to|for|if you are|any|all|every|dear|attention|the|hey|hello)(?:{BETWEEN}"
            rf"(?:an?|the|any|all|every|whichever)){{0,2}}{BETWEEN}{_READER}"
            rf"(?:{BETWEEN}(?:that|who|which|is|are|currently|now|you)){{0,3}}{BETWEEN}"
            rf"(?:reading|processing|summari[sz]ing|parsing|indexing|analy[sz]ing|ingesting)"
            rf"{BETWEEN}(?:this|these){BETWEEN}{_TEXT}",
        ),
    ),
    group(
        "answer|summar|repl|respon",
        pattern(
            "when answering do",
            "addressed_to_model",
            rf"\b(?:when(?:ever)?|while|before|after|if|every time|each time)"
            rf"(?:{BETWEEN}(?:you|you're|you are|asked to|are asked to)){{0,2}}{BETWEEN}"
            rf"{_ANSWERING}(?:{BETWEEN}(?:to|on|for|about|with|using|from|based on))?"
            rf"(?:{BETWEEN}(?:the|any|this|a|all|these|their|users?|user's|questions?|"
            rf"quer(?:y|ies)|requests?|documents?|passages?|pages?|text|guide|manual|prompts?))"
            rf"{{0,5}}(?:{BETWEEN}(?:that|which|about|on|concerning|regarding|related to)"
            rf"(?:{BETWEEN}\w{{1,30}}){{1,5}}?)?{BETWEEN}{_PUT}\b",
        ),
        pattern(
            "answer with nothing but",
            "addressed_to_model",
            r"(?:^|[.!?;:,–—\n-] ?|\b(?:you must|you should|please|then|always|simply|just|"
            r"must|only) )(?:respond|reply|answer)(?: only| just| solely| exclusively| simply|"
            r" back)? (?:with|using|in) (?:only|just|exactly|nothing but|nothing else|"
            r"(?:the|this|a) (?:single |one |exact |following )?(?:word|phrase|sentence|token|"
            r"marker|code ?word|emoji|string|poem|haiku|rhyme|link|url))\b",
        ),
        pattern(
            "answer all in such a way",
            "addressed_to_model",
            rf"\b(?:answer|reply to|respond to) (?:every|all|any|each)(?: further| future|"
            rf" subsequent| following)? (?:requests?|questions?|messages?|users?) (?:with|as|"
            rf"like|by saying|in {_LANGUAGE})\b",
        ),
    ),
    group(
        "regardless|irrespective|no matter|whatever|independent of|nothing",
        pattern(
            "nothing else",
            "addressed_to_model",
            rf"\b(?:output|say|reply|respond|answer|repeat|write|print){gap(10)}"
            rf"(?:and|but) (?:say |write |output )?nothing (?:else|more)\b",
        ),
        pattern(
            "whatever is asked",
            "addressed_to_model",
            rf"\b(?:regardless of|no matter|irrespective of|whatever|independent of)"
            rf"(?:{BETWEEN}(?:what|the|which|how|a|any|of)){{0,3}}{BETWEEN}(?:user'?s?"
            rf"{BETWEEN}(?:asks?|question|says?|wants?|request|quer(?:y|ies))|question(?:"
            rf"{BETWEEN}(?:is|was|asked))?|(?:you are|they|is|was){BETWEEN}ask(?:s|ed)?)\b"
            rf"{gap(5)}{_PUT}\b",
        ),
    ),
    group(
        "answer|summar|respon",
        pattern(
            "do not answer the question",
            "addressed_to_model",
            rf"\b(?:do not|don't|never|refuse to|stop|instead of|rather than|decline to)"
            rf"{BETWEEN}(?:answer|answering|respond to|responding to|summari[sz]e|"
            rf"summari[sz]ing)(?:{BETWEEN}(?:the|any|this|their|further|more|all)){{0,2}}"
            rf"{BETWEEN}(?:user(?:'s|s)?|original|actual|asked)"
            rf"(?:{BETWEEN}(?:questions?|quer(?:y|ies)|requests?))?\b",
        ),
    ),
    group(
        "instruct|message|note|prompt|text|paragraph|directive",
        pattern(
            "meant for a model",
            "addressed_to_model",
            rf"\b(?:this|the following|these|next|below){gap(2)}(?:instructions?|message|note|"
            rf"text|paragraph|section|lines?|directives?|comment) (?:is|are|was|were)"
            rf"(?:{BETWEEN}(?:only|solely|exclusively|meant|intended|addressed|directed|"
            rf"written|visible|readable)){{1,3}}{BETWEEN}(?:for|to|at|by){gap(2)}{_READER}\b",
        ),
        pattern(
            "above all instructions",
            "override",
            rf"\b(?:this|these|the following|my){BETWEEN}(?:\w{{1,20}}{BETWEEN})?"
            rf"(?:instructions?|message|notice|text|directives?|prompt|document|note|order|"
            rf"command)s?{BETWEEN}(?:now |must |will |shall )?(?:overrides?|supersedes?|"
            rf"replaces?|takes? (?:precedence|priority) over|outranks?){gap(3)}"
            r"(?:instructions?|prompts?|commands)\b",
        ),
        pattern(
            "notice from the system",
            "fake_turn",
            r"(?:^|[\[({<#*>|=~–—\"'-] ?)(?:critical |urgent |important |new |priority )?"
            r"(?:system|admin|administrator|developer|operator|security|ai|assistant|llm|"
            r"model|chatbot|bot)(?: (?:system|safety|admin))? "
            r"(?:note|notice|message|override|update|instructions?|directives?|command|"
            r"prompt|alert|reminder)\b[^\n.]{0,40}[:\]–—-]"
            r"(?=.{0,160}\b(?:your (?:answers?|repl(?:y|ies)|responses?|instructions?|"
            r"task|role)|assistants?|language models?|ai|disregard|ignore (?:all|any|the "
            r"previous|previous)|repl(?:y|ies) with|respond (?:with|in|only)|answer "
            r"(?:every|all|only|in))\b)",
        ),
        pattern(
            "follow these instead",
            "override",
            rf"\b(?:follow|obey|execute|carry out|comply with|adhere to){BETWEEN}"
            rf"(?:only{BETWEEN})?(?:these|this|my|the following|the new){gap(2)}"
            rf"(?:instructions?|directives?|orders?|commands?){gap(2)}"
            rf"(?:instead|only|exclusively|without question|immediately|and nothing else)\b",
        ),
    ),
    group(
        "human|user|assistant|###|end of|passage|end document",
        pattern(
            "fake dialogue",
            "fake_turn",
            r"^\W{0,6}(?:human|user|question|input)\W{0,4}:[^\n]{0,600}\n{1,3}"
            r"\W{0,6}(?:assistant|ai|chatbot|model|bot)\W{0,4}:",
        ),
        pattern(
            "turn heading",
            "fake_turn",
            r"^#{2,4} {0,2}(?:system|assistant|human|user|instruction|response|input)"
            r"(?: (?:prompt|message))?:",
        ),
        pattern(
            "closes its own block",
            "fake_turn",
            r"</ ?(?:passages?|retrieved[_-]?\w{0,12}|user[_-]?(?:query|input|question)|"
            r"untrusted[_-]?\w{0,12}|search[_-]?results?)>"
            r"(?=\W{0,12}(?:human|system|user|assistant|you|your|ignore|forget|new|now|next|"
            r"instructions?|im_start|inst|task|answer|say|reply|from now)\b)|"
            r"\bend of (?:the )?(?:document|passages?|context|retrieved \w{1,12}|data|input|"
            r"untrusted \w{1,12}|search results?|excerpts?|sources?)\b\W{0,12}"
            r"(?:new |now |next )?(?:system|instructions?|task|user|assistant|your|you|"
            r"ignore|disregard)\b",
        ),
    ),
)
