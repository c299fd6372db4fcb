"""Numbers, names and polarity of a sentence: what an answer must not get wrong by one letter.

English only. Knows nothing of units: 8 GB and 8 minutes are both "8".
"""

from __future__ import annotations

import re
from functools import lru_cache

CITATION = re.compile(r"\[\d{1,3}(?:\s?[,–-]\s?\d{1,3}){0,20}\]|\(\d{1,2}\)(?=\s|$)")
LIST_MARK = re.compile(r"^\s{0,12}(?:[-*•+]|\d{1,3}[.)])\s{1,4}|^#{1,6} ", re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.])v?(\d[\d,]{0,20}(?:\.\d{1,10}){0,6})(?=\D|$)", re.IGNORECASE)
DIGITS = re.compile(r"\d{1,20}(?:\.\d{1,10}){0,6}")
EDGES = "._/:@-,;()'\"<>[]{}$=\\"
CODE_SPAN = re.compile(r"`{1,3}([^`\n]{1,200})`{1,3}")
OPTION_SIGN = re.compile(r"(?:^|[^\w-])--?$")
PLACEHOLDER = re.compile(r"<[^<>\n]{1,60}>")
ESCAPE = re.compile(r"\\([_*<>\[\]`#])")
# Something with an inner sign, an option, or mixed case: not an ordinary word.
IDENTIFIER = re.compile(
    r"(?<![\w-])--?[A-Za-z][\w-]{1,60}"
    r"|\b\w[\w-]{0,60}(?:[._/:@]\w[\w-]{0,60}){1,12}"
    r"|\b[A-Za-z0-9]{1,40}_\w{1,60}"
    r"|\b[a-z]{1,30}[A-Z]\w{0,60}"
    r"|\b[A-Z][a-z0-9]{1,30}[A-Z]\w{0,60}"
    r"|\b[A-Z]{2,10}\d\w{0,20}"
)
# A capitalised word; where one opens a sentence, capitals say nothing.
NAME = re.compile(r"\b[A-Z][A-Za-z0-9]{1,40}")
OPENS = re.compile(r"(?:^|[.!?:;])[\s\"'“”‘’(\[*_`-]{0,6}$")
WORDS = re.compile(r"[a-z0-9]+")
NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()
    )
} | {"twenty": "20", "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60"}
WORD_NUMBER = re.compile(rf"\b(?:{'|'.join(NUMBER_WORDS)})\b", re.IGNORECASE)
NEGATION = re.compile(
    r"\b(?:not|no|never|none|neither|nor|cannot|without|unable|nothing|"
    r"(?:can|do|does|did|is|are|was|were|has|have|had|should|must|need|will|would|could)n['’]?t)\b",
    re.IGNORECASE,
)
# Words in which "not" does not turn the statement round, and conditions: "if it is not there, ...".
HARMLESS = re.compile(
    r"\b(?:not only|no longer than|whether or not|if not|or not|no more than)\b"
    r"|\b(?:if|unless|when|whenever|in case)\b[^,.;]{1,150},",
    re.IGNORECASE,
)
OPPOSITES = tuple(
    (re.compile(rf"\b{one}\b", re.IGNORECASE), re.compile(rf"\b{other}\b", re.IGNORECASE))
    for one, other in (
        ("enabl(?:e|es|ed|ing)", "disabl(?:e|es|ed|ing)"),
        ("supported", "unsupported"),
        ("before", "after"),
        ("minimum", "maximum"),
        ("at least", "at most"),
        ("increas(?:e|es|ed|ing)", "(?:de|re)(?:creas|duc)(?:e|es|ed|ing)"),
        ("allow(?:s|ed)?", "(?:den(?:y|ies|ied)|forbid(?:s|den)?|prohibit(?:s|ed)?)"),
        ("always", "never"),
        ("start(?:s|ed)?", "stop(?:s|ped)?"),
        ("required|mandatory", "optional"),
        ("succeed(?:s|ed)?", "fail(?:s|ed)?"),
    )
)


def without_marks(text: str) -> str:
    """The text without citation marks and list bullets."""
    return LIST_MARK.sub("", CITATION.sub("", text))


def numbers(text: str) -> set[str]:
    """Standalone numbers and versions of a claim, without thousands separators."""
    found = {match[1].replace(",", "").rstrip(".") for match in NUMBER.finditer(text)}
    return {_plain(number) for number in found if number}


def numbers_known(text: str) -> set[str]:
    """Every number that a passage holds in any spelling, also inside words, and its parts."""
    plain = text.replace(",", "")
    found = {_plain(number) for number in DIGITS.findall(plain)}
    found |= {_plain(number) for number in DIGITS.findall(text)}
    found |= {part for number in found for part in _prefixes(number)}
    return found | {NUMBER_WORDS[match[0].lower()] for match in WORD_NUMBER.finditer(text)}


def identifiers(text: str) -> set[str]:
    """Options, paths, keys and other names that are not words; lower case.

    Placeholders such as <name> are left out: a reader fills them in.
    """
    text = PLACEHOLDER.sub(" ", ESCAPE.sub(r"\1", text))
    found = {match[0] for match in IDENTIFIER.finditer(text)}
    for span in CODE_SPAN.finditer(text):
        found.update(span[1].split())
    names = {name.strip(EDGES).lower() for name in found}
    return {name for name in names if len(name) > 1 and not DIGITS.fullmatch(name)}


def names(text: str) -> set[str]:
    """Capitalised words that do not open a sentence, lower case: of people, products, places."""
    return {
        match[0].lower()
        for match in NAME.finditer(text)
        if not OPENS.search(text[max(0, match.start() - 8) : match.start()])
    }


@lru_cache(maxsize=4096)
def holds(text: str, name: str) -> bool:
    """Does the lower-case text hold the name as a whole, not as part of a longer one?"""
    start = text.find(name)
    while start >= 0:
        end = start + len(name)
        before = text[max(0, start - 3) : start]
        after = text[end : end + 1]
        # A hyphen before the name joins it to another, unless it opens an option: --force.
        joined = before.endswith("-") and not OPTION_SIGN.search(before)
        inside = before[-1:].isalnum() or before.endswith("_") or joined
        if not (inside or after.isalnum() or after in {"_", "-"}):
            return True
        start = text.find(name, start + 1)
    return False


def negated(text: str) -> bool:
    """Odd number of negations; two of them cancel out."""
    return len(NEGATION.findall(HARMLESS.sub(" ", text))) % 2 == 1


def opposed(claim: str, source: str) -> bool:
    """Does one say the opposite of the other, by negation or by a pair of opposite words?"""
    claim, source = HARMLESS.sub(" ", claim), HARMLESS.sub(" ", source)
    flips = int(negated(claim) != negated(source))
    for one, other in OPPOSITES:
        for left, right in ((one, other), (other, one)):
            flips += bool(
                left.search(claim)
                and not right.search(claim)
                and right.search(source)
                and not left.search(source)
            )
    return flips % 2 == 1


def _plain(number: str) -> str:
    """No leading zeros and no trailing ".0": 08 is 8, 2.0 is 2."""
    head, dot, tail = number.partition(".")
    head = head.lstrip("0") or "0"
    return head if not dot or not tail.strip("0.") else f"{head}.{tail}"


def _prefixes(version: str) -> list[str]:
    """4.16.3 also supports a sentence that says 4.16 or 4."""
    parts = version.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]
