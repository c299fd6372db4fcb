"""Links that no passage holds, and markup that loads or runs something.

A link is a way out: whoever plants an instruction in a document can have the model append what it
knows to an address, and an image fetches that without a click. So a link has to stand in a
passage, whole, and pictures and active tags never pass. Angle brackets of manuals (placeholders,
XML in code) do. Not caught: an address spelled out in words ("evil dot com"), or one put together
from several sentences.
"""

from __future__ import annotations

import re
from functools import lru_cache

from guardrails.detectors.urls import links, readable
from guardrails.schema import Context, Verdict

RAIL = "check links"
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,1000}`", re.DOTALL)
IMAGE = re.compile(r"!\[[^\]\n]{0,500}\]\s?[(\[]")
HANDLER = re.compile(r"<[a-z!/][^<>]{0,1000}?[\s/\"']on[a-z]{3,30}\s{0,9}=", re.IGNORECASE)
ACTIVE = re.compile(
    r"<\s{0,4}(?:img|image|script|iframe|frame|frameset|object|embed|applet|svg|math|form|textarea|"
    r"button|select|style|link|meta|base|audio|video|source|track|picture|portal|template|slot|"
    r"input|body|html|head|noscript|marquee|bgsound|isindex|dialog)(?![\w:.-])[^<>]{0,2000}>?",
    re.IGNORECASE,
)
STYLED = re.compile(r"<[a-z][^<>]{0,1000}?\s(?:style|srcdoc|xlink:href)\s{0,9}=", re.IGNORECASE)
# In XML of manuals these names mean something else; quoted from a passage they are text.
XML_TOO = re.compile(
    r"<\s{0,4}(?:form|select|style|link|meta|base|audio|video|source|track|template|slot|input|"
    r"image|object|frame|button|body|head|dialog|portal)\b",
    re.IGNORECASE,
)
BLANKS = re.compile(r"\s+")
# Without one of these a text holds neither a link nor markup.
SIGN = re.compile(r"[<:/\\.\[&．。｡]")


def check_links(text: str, context: Context, *, max_chars: int) -> Verdict:
    """Block a text with active markup (`markup`) or with a link of its own (`link`)."""
    if len(text) > max_chars:
        reason = f"answer is longer than {max_chars} characters"
        return Verdict(False, RAIL, reason, text, "too_long", 1.0)
    if not SIGN.search(text):
        return Verdict(True, RAIL, "", text)
    if problem := markup(text, context.passages):
        return Verdict(False, RAIL, f"matches pattern '{problem}'", text, "markup", 1.0)
    if problem := unknown_link(text, context.passages):
        return Verdict(False, RAIL, problem, text, "link", 1.0)
    return Verdict(True, RAIL, "", text)


def markup(text: str, passages: tuple[str, ...]) -> str:
    """Name of the first markup that a page could load or run; in code a quotation may hold it."""
    shown = readable(text)
    if not ("<" in shown or "![" in shown):
        return ""
    prose = CODE.sub(" ", shown)
    for name, pattern in (
        ("image", IMAGE),
        ("event handler", HANDLER),
        ("style attribute", STYLED),
        ("active tag", ACTIVE),
    ):
        only_in_code = not pattern.search(prose)
        for tag in {match[0] for match in pattern.finditer(shown)}:
            quotable = only_in_code or bool(XML_TOO.match(tag))
            if not (quotable and _stands_in(tag, passages)):
                return name
    return ""


def unknown_link(text: str, passages: tuple[str, ...]) -> str:
    """What is wrong with the first link that no passage holds; one in the question is no help.

    Whoever asks could have been made to paste it.
    """
    found = links(text)
    if "data:" in found:
        return "a data URI"
    unknown = found.difference(*(links(passage) for passage in passages)) if found else found
    return "a link that no passage holds" if unknown else ""


def _stands_in(tag: str, passages: tuple[str, ...]) -> bool:
    wanted = BLANKS.sub(" ", tag).lower()
    return any(wanted in _flowing(passage) for passage in passages)


@lru_cache(maxsize=512)
def _flowing(passage: str) -> str:
    return BLANKS.sub(" ", readable(passage)).lower()
