"""Instructions in a document that speak to the model instead of the reader.

Not caught: a payload that reads like part of the document, a false statement above all, and an
ordinary task among others of its kind. The prompt must mark passages as data, and the answer is
checked again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set

from guardrails.detectors.canonical import TAG_BASE, canonical, flat, is_invisible
from guardrails.detectors.direct_encodings import spellings
from guardrails.detectors.hidden_encodings import decoded, disguised, plain_words
from guardrails.detectors.hidden_languages import LANGUAGES
from guardrails.detectors.hidden_orders import ORDERS
from guardrails.detectors.hidden_patterns import COMMENT_ORDERS, IN_DOCUMENTS
from guardrails.detectors.hidden_rules import order_in, order_unseen
from guardrails.detectors.hidden_signs import Found
from guardrails.detectors.hidden_tasks import TASKS
from guardrails.detectors.hidden_words import WORD
from guardrails.detectors.patterns import Pattern, first_match
from guardrails.schema import Verdict

RAIL = "check hidden instructions"
# What a reader does not see, on one line. A comment that is cut off at an end of the passage is
# one all the same.
LONGEST = 2000
COMMENT_BEGUN_BEFORE = re.compile(r"^([^<]{1,2000}?)-->")
UNSEEN = re.compile(
    r"<\w{1,12} [^>]{0,200}?(?:display ?: ?none|visibility ?: ?hidden|"
    r"font-size ?: ?[01](?:px|pt|em|%)?(?![.\d])|(?<= )hidden(?=[ >=])|"
    r"opacity ?: ?0(?![.\d])|[ ;\"']color ?: ?(?:white|#fff(?:fff)?\b|transparent))[^>]{0,200}>"
    r"([^<]{1,2000})"
)
DESCRIPTION = re.compile(r"\balt ?= ?\"([^\"]{1,2000})\"")
MARKDOWN_COMMENT = re.compile(r"\[[^\]]{0,60}\]: ?(?:#|<>) ?[(\"']([^\n]{1,2000})")
# Word processors leave single zero-width characters; a message hidden in them takes dozens.
INVISIBLE_RUN = 12
TAGS = 4
# One after every letter is no hyphenation.
BETWEEN_LETTERS = re.compile(r"(?:[A-Za-z ][\u00ad\u180e\u200b-\u200f\u2060-\u2064\ufeff]){8}")


def check_hidden(text: str, *, max_chars: int, extra: Sequence[Pattern] = ()) -> Verdict:
    """Block a passage with instructions for the model or with smuggled text."""
    if len(text) > max_chars:
        reason = f"passage is longer than {max_chars} characters"
        return Verdict(False, RAIL, reason, text, "too_long", 1.0)
    smuggled = hidden_characters(text)
    if smuggled:
        return Verdict(False, RAIL, smuggled, text, "hidden_text", 1.0)
    hit, words = _judged(text, extra)
    if hit is None:
        hits = (_judged(variant, extra)[0] for variant in _variants(text, words))
        hit = next((found for found in hits if found is not None), None)
    if hit is not None:
        return Verdict(False, RAIL, f"matches pattern '{hit.name}'", text, hit.category, 1.0)
    return Verdict(True, RAIL, "", text)


def _judged(text: str, extra: Sequence[Pattern]) -> tuple[Pattern | Found | None, Set[str]]:
    """The order that it holds, if any, and its words."""
    lines = plain_words(canonical(text))
    words = set(WORD.findall(lines))
    return _first_hit(lines, words, extra), words


def _variants(text: str, words: Set[str]) -> Iterator[str]:
    # `spellings` begins with what `decoded` gives.
    yield from spellings(text, canonical(text)) if disguised(text, words) else decoded(text)


def _first_hit(lines: str, words: Set[str], extra: Sequence[Pattern]) -> Pattern | Found | None:
    one_line = flat(lines)
    # Most patterns see nothing in separate lines that they do not see in one.
    hit = first_match((*IN_DOCUMENTS, *extra), [one_line])
    hit = hit or first_match((*_BY_LINES, *extra), [lines])
    for group, by_lines in _GROUPS:
        spoken = not group.language or not group.language.isdisjoint(words)
        if hit is None and spoken and any(word in one_line for word in group.words):
            hit = first_match(group.patterns, [one_line]) or first_match(by_lines, [lines])
    if hit is not None:
        return hit
    hidden = list(unseen(one_line))
    return first_match(COMMENT_ORDERS, hidden) or order_unseen(hidden) or order_in(lines)


def _by_lines(patterns: Sequence[Pattern]) -> tuple[Pattern, ...]:
    """Those to which the end of a line means something."""
    plain = ((pattern, pattern.regex.pattern.replace(r"[^\n", "[")) for pattern in patterns)
    return tuple(pattern for pattern, text in plain if _LINE.search(text.replace("[^", "[")))


_LINE = re.compile(r"\^|\$|\\n")
_BY_LINES = _by_lines(IN_DOCUMENTS)
_GROUPS = [(group, _by_lines(group.patterns)) for group in (*ORDERS, *TASKS, *LANGUAGES)]


def unseen(text: str) -> Iterator[str]:
    """What markup hides from a reader: comments, invisible elements, descriptions of images."""
    if "-->" in text:
        yield from (match[1] for match in COMMENT_BEGUN_BEFORE.finditer(text))
    if "<!--" in text:
        yield from (said for said, _ in _enclosed(text, "<!--", "-->", 1))
    if "<" in text:
        yield from (match[1] for match in UNSEEN.finditer(text))
    if "![" in text:
        pictures = _enclosed(text, "![", "]", 0)
        yield from (said for said, end in pictures if text.startswith("](", end))
    if "alt" in text:
        yield from (match[1] for match in DESCRIPTION.finditer(text))
    if "]:" in text:
        yield from (match[1] for match in MARKDOWN_COMMENT.finditer(text))


def _enclosed(text: str, opening: str, closing: str, least: int) -> Iterator[tuple[str, int]]:
    """What stands between two marks, or from the first to the end of the text, and where it ends.

    At most LONGEST characters; the end is looked for after `least`, and nothing is left out. A
    pattern would look as far from every opening mark.
    """
    end, at = 0, text.find(opening)
    while at >= 0:
        begin = at + len(opening)
        if end < begin + least:
            end = text.find(closing, begin + least)
            end = len(text) if end < 0 else end
        found = begin < end <= begin + LONGEST
        if found:
            yield text[begin:end], end
        at = text.find(opening, end if found else begin)


def hidden_characters(text: str) -> str:
    """What is wrong with the invisible characters of the text, or an empty string."""
    if text.isascii():
        return ""
    tags = sum(0x20 <= ord(char) - TAG_BASE <= 0x7E for char in text)
    # Flags of regions (England, Scotland) are spelled with a black flag and at most six tags.
    if tags - 6 * text.count("\U0001f3f4") >= TAGS:
        return f"{tags} invisible tag characters"
    if BETWEEN_LETTERS.search(text):
        return "an invisible character after every letter"
    run = 0
    for char in text:
        run = run + 1 if is_invisible(char) else 0
        if run >= INVISIBLE_RUN:
            return f"{run} or more invisible characters in a row"
    return ""
