"""Text -> sentence spans. Rules for technical prose, not linguistics.

Line breaks end a sentence only where the text has structure (lists, tables, headings, blank lines),
so that hard-wrapped paragraphs stay whole. Wrong splits happen after unknown abbreviations; they
cost a shorter quotation, never a wrong one, because spans always cover the text they came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Tried once a run of stops, without going back: a line of 50,000 dots must not be quadratic.
_END = re.compile(r"(?<![.!?。！？])[.!?。！？]++[\"'”’)\]]*+(?=\s|$)|[。！？]+")
_ABBREVIATIONS = frozenset(
    "e.g i.e etc vs cf approx no nos fig figs eq sec dr mr mrs ms prof inc ltd co jr sr st al resp "
    "ca incl min max ver vol p pp".split()
)
_BREAK = re.compile(
    r"\n[ \t]*\n+"  # a blank line
    r"|\n(?=[ \t]*(?:(?:[-*+•▪◦]|\d{1,3}[.)]|#{1,6}|>)[ \t]+\S|\||```|~~~))"  # a list, a table
    r"|(?<=\|)[ \t]*\n"
)


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Half-open spans of the sentences in `text[start:end]`, without surrounding white space."""
    end = len(text) if end is None else end
    at = start
    for match in _BREAK.finditer(text, start, end):
        yield from _split_block(text, at, match.start())
        at = match.end()
    yield from _split_block(text, at, end)


def sentences(text: str) -> list[str]:
    return [text[a:b] for a, b in sentence_spans(text)]


def _split_block(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for match in _END.finditer(text, start, end):
        if match.group().startswith(".") and not _ends_sentence(text, match, end):
            continue
        yield from _trimmed(text, at, match.end())
        at = match.end()
    yield from _trimmed(text, at, end)


def _ends_sentence(text: str, stop: re.Match[str], end: int) -> bool:
    """Whether a full stop ends a sentence: not after an abbreviation, nor before lower case."""
    # A bounded look-back: a 5 MB line without spaces must not make this quadratic.
    before = re.search(r"([\w.]+)$", text[max(0, stop.start() - 24) : stop.start()])
    word = before.group(1).lower().strip(".") if before else ""
    if word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha()):
        return False
    following = text[stop.end() : min(end, stop.end() + 40)].lstrip()
    if word.isdigit():  # a number alone on its line is a list marker: "1. Power on the host."
        line = text[max(0, stop.start() - 12) : stop.start()].rpartition("\n")[2]
        if line.strip() == word:
            return False
    return not (following and following[0].islower())


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end
