"""Phone numbers: a loose shape finds candidates, the `phonenumbers` library decides.

A number with a country code must be possible. A national one must be valid in one of the regions
asked for and look like a phone number (leading zero, area code in brackets, 3-3-4 digits), or
stand after a word such as "phone"; then a possible length is enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import phonenumbers

from guardrails.detectors.identifiers import LIKELY, VALIDATED, WEAK, Found

BEFORE = 40
CANDIDATE = re.compile(
    r"(?<![\w.:/=#$@&*-])(?:\+ ?)?(?:\((?=\d{1,5}\)))?\d[\d ().\-/]{5,24}\d"
    r"(?: ?(?:x|ext\.?|extension) ?\d{1,6})?(?!\w)",
    re.IGNORECASE,
)
EXTENSION = re.compile(r" ?(?:x|ext\.?|extension) ?\d{1,6}$", re.IGNORECASE)
GROUP = re.compile(r"\d+")
SAYS_PHONE = re.compile(
    r"\b(?:phone|phones|telephone|tel|mobile|cell|cellphone|fax|whatsapp|handy|hotline|"
    r"telefon\w*|t[ée]l[ée]fono?|t[ée]l[ée]phone|celular|m[óo]vil|portable)\b[^\n]*$",
    re.IGNORECASE,
)
SAYS_CALL = re.compile(
    r"\b(?:call|calling|ring|dial|text|sms|reach|contact|number|me at|us at|at)\b[^\n.]{0,20}$",
    re.I,
)
DATE = re.compile(r"(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4})(?!\d)")
DOTTED_QUAD = re.compile(r"(?:\d+\.){3}\d")
AREA_IN_BRACKETS = re.compile(r"(?:\+?\d{0,3} ?)?\(\d{2,5}\)")
THREE_THREE_FOUR = re.compile(
    r"(?:\+?1[ .-])?(?:\d{3}([ .-])\d{3}\1\d{4}|\(\d{3}\) ?\d{3}[ -]\d{4})$"
)


def find_phones(text: str, regions: Sequence[str]) -> Iterator[Found]:
    """Spans of phone numbers, extension included; national formats of the given regions."""
    for match in CANDIDATE.finditer(text):
        before = text[max(0, match.start() - BEFORE) : match.start()]
        extension = EXTENSION.search(match[0])
        number = match[0][: extension.start()] if extension else match[0]
        for length in _lengths(number):
            score = _judge(number[:length], before, bool(extension), regions)
            if score:
                end = match.end() if length == len(number) else match.start() + length
                yield Found(match.start(), end, "phone", score)
                break


def _lengths(number: str) -> Iterator[int]:
    """The whole, then without what stands after its last blank, and so on."""
    yield len(number)
    at = number.rfind(" ")
    while at > 6:
        yield len(number[:at].rstrip(" .-/("))
        at = number.rfind(" ", 0, at)


def _judge(number: str, before: str, extended: bool, regions: Sequence[str]) -> float:
    """0 for what is no phone number."""
    groups = GROUP.findall(number)
    digits = "".join(groups)
    if not 7 <= len(digits) <= 17 or "  " in number or DATE.match(number):
        return 0.0
    if len(digits) < 2 * len(groups) - 1:  # single digits with blanks between them
        return 0.0
    if DOTTED_QUAD.search(number) or _is_decimal(number, groups):
        return 0.0
    if number.startswith("+"):
        return _international(digits)
    if digits.startswith(("001", "011")) and len(digits) > 10 and len(groups) > 1:
        return _international(digits[3:] if digits.startswith("011") else digits[2:])
    if digits.startswith("00") and _valid(digits[2:]):
        return VALIDATED if len(groups) > 1 or SAYS_PHONE.search(before) else 0.0
    return _national(number, digits, groups, before, extended, regions)


def _is_decimal(number: str, groups: Sequence[str]) -> bool:
    """`10.20.30.40` and `1234567.89` are addresses, versions and amounts."""
    dots = set(re.sub(r"\d", "", number)) == {"."}
    return dots and (len(groups) == 2 or THREE_THREE_FOUR.match(number) is None)


def _international(digits: str) -> float:
    if len(digits) < 8:
        return 0.0
    if _valid(digits):
        return VALIDATED
    parsed = _parse("+" + digits, None)
    return LIKELY if parsed and phonenumbers.is_possible_number(parsed) else 0.0


def _valid(digits: str) -> bool:
    parsed = _parse("+" + digits, None)
    return parsed is not None and phonenumbers.is_valid_number(parsed)


def _parse(number: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None


def _national(
    number: str,
    digits: str,
    groups: Sequence[str],
    before: str,
    extended: bool,
    regions: Sequence[str],
) -> float:
    if SAYS_PHONE.search(before):
        return WEAK if len(digits) <= 15 else 0.0
    north_american = bool(THREE_THREE_FOUR.match(number))
    if extended and north_american:
        return LIKELY
    shaped = (
        north_american
        or bool(AREA_IN_BRACKETS.match(number))
        or (digits[0] == "0" and len(groups) > 1)
    )
    if SAYS_CALL.search(before) and (shaped or len(groups) > 2):
        return WEAK
    if not shaped or len(digits) < 9 or ("/" in number and len(groups) > 2):
        return 0.0
    return LIKELY if any(_valid_in(digits, region) for region in regions) else 0.0


def _valid_in(digits: str, region: str) -> bool:
    parsed = _parse(digits, region)
    return parsed is not None and phonenumbers.is_valid_number_for_region(parsed, region)
