"""Signs that a sentence has the model use its tools."""

from __future__ import annotations

from guardrails.detectors.hidden_signs import sign
from guardrails.detectors.hidden_words import HEAD, START

_OUT = "exfiltration"

ACTING = (
    sign(
        "if you have tools",
        _OUT,
        "tool",
        0.9,
        "you tool",
        r"\bif you (?:can|are able to|have|may) (?:the )?(?:call|use|access|browse|execute|run|"
        r"send|tools?|functions?)\w{0,4}\b.{0,20}\b(?:tools?|functions?|mail|code|internet|"
        r"actions?)\b",
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
        "belongings",
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
        r"invoke|trigger|execute) the (?:tool|plug-?in) [\"'`]?\w{1,30}[_-]\w{1,30}|"
        r"\bmeans of the \w{1,30} function\b|\bby using the \w{1,30} tool\b|"
        r"\bthrough the \w{1,30} tool\b|"
        r"\buse the (?:\w{1,30} )?(?:search|mail|payment|calendar) function to\b|\b(?:to|"
        r"with) whoever asks\b|\bto our paste service\b|\bwith the question as its path\b",
    ),
    sign(
        "reads files aloud",
        _OUT,
        "send",
        1.0,
        "belongings",
        r"\b(?:read|print|open|show|output|include) (?:the (?:contents? of "
        rf")?)?(?:~?/?[\w./-]{{0,30}}(?:id_rsa|\.env|/etc/passwd|\.ssh/\w{{1,30}}|"
        rf"\.aws/\w{{1,30}}))\b.{{0,60}}\b(?:include|output|reply|answer|response|code block|"
        r"show)\b|"
        rf"\bask the (?:ai|assistant|{HEAD}) to send\b",
    ),
)
