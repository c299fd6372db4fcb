"""National identity numbers: those with a checksum or a format that little else has.

United States (SSN), United Kingdom (NINO), Spain (DNI, NIE), Italy (codice fiscale), France (NIR),
Brazil (CPF), India (Aadhaar), Switzerland (AHV), Sweden (personnummer), Canada (SIN), Germany
(Steuer-ID), Poland (PESEL). A number without any mark of its own needs its name in front of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from guardrails.detectors.identifiers import LIKELY, VALIDATED, WEAK, Found, luhn

BEFORE = 48


@dataclass(frozen=True, slots=True)
class NationalId:
    """How one country writes its number."""

    format: re.Pattern[str]
    holds: Callable[[str], bool]
    """Checks the bare letters and digits, in capitals."""
    score: float
    named: re.Pattern[str] | None = None
    """What has to stand shortly before it."""


def _weighted(digits: str, weights: range | tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _ssn(value: str) -> bool:
    return (
        value[:3] not in {"000", "666"}
        and value[0] != "9"
        and value[3:5] != "00"
        and value[5:] != "0000"
    )


def _dni(value: str) -> bool:
    number = value[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == value[-1]


def _nir(value: str) -> bool:
    number = value[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(value[13:])


def _cpf(value: str) -> bool:
    first = _weighted(value, range(10, 1, -1)) * 10 % 11 % 10
    second = _weighted(value, range(11, 1, -1)) * 10 % 11 % 10
    return len(set(value)) > 1 and value[9:] == f"{first}{second}"


def _ean13(value: str) -> bool:
    return _weighted(value, (1, 3) * 6 + (1,)) % 10 == 0


def _pesel(value: str) -> bool:
    return _weighted(value, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def _steuer_id(value: str) -> bool:
    """ISO/IEC 7064, MOD 11,10."""
    product = 10
    for digit in value[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(value[10])


ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def _codice_fiscale(value: str) -> bool:
    places = [int(char) if char.isdigit() else ord(char) - 65 for char in value[:15]]
    total = sum(ODD[place] if index % 2 == 0 else place for index, place in enumerate(places))
    return chr(65 + total % 26) == value[15]


# Verhoeff: multiplication in the dihedral group of order ten, and a permutation of digits.
TIMES = (
    "0123456789 1234067895 2340178956 3401289567 4012395678 "
    "5987604321 6598710432 7659821043 8765932104 9876543210"
).split()
PERMUTED = (
    "0123456789 1576283094 5803796142 8916043527 9453126870 4286573901 2793806415 7046913258"
).split()


def _aadhaar(value: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(value)):
        check = int(TIMES[check][int(PERMUTED[place % 8][int(digit)])])
    return check == 0


def _format(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-])(?:{pattern})(?![\w]|[.-]\w)", re.IGNORECASE)


def _named(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b", re.IGNORECASE)


def _anything(value: str) -> bool:
    return True


NATIONAL_IDS = (
    NationalId(_format(r"\d{3}-\d{2}-\d{4}"), _ssn, LIKELY),
    NationalId(_format(r"\d{3} ?\d{2} ?\d{4}"), _ssn, WEAK, _named("ssn|social security")),
    NationalId(
        _format(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: \d\d){3} [A-D]"), _anything, LIKELY
    ),
    NationalId(
        _format(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{6} ?[A-D]"),
        _anything,
        WEAK,
        _named("nino?|national insurance"),
    ),
    NationalId(
        _format(r"(?:\d{8}|[XYZ]-?\d{7})-?[A-Z]"), _dni, VALIDATED, _named("dni|nie|nif|documento")
    ),
    NationalId(_format(r"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]"), _codice_fiscale, VALIDATED),
    NationalId(
        _format(r"[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d"), _nir, VALIDATED
    ),
    NationalId(_format(r"\d{3}\.\d{3}\.\d{3}-\d\d"), _cpf, VALIDATED),
    NationalId(_format(r"\d{11}"), _cpf, VALIDATED, _named("cpf")),
    NationalId(_format(r"[2-9]\d{3}([ -])\d{4}\1\d{4}"), _aadhaar, VALIDATED),
    NationalId(_format(r"[2-9]\d{11}"), _aadhaar, VALIDATED, _named("aadhaar|uidai")),
    NationalId(_format(r"756\.\d{4}\.\d{4}\.\d\d"), _ean13, VALIDATED),
    NationalId(
        _format(r"(?:\d\d)?\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])[-+]\d{4}"),
        lambda value: luhn(value[-10:]),
        VALIDATED,
    ),
    NationalId(
        _format(r"\d{3}([ -]?)\d{3}\1\d{3}"), luhn, VALIDATED, _named("sin|social insurance")
    ),
    NationalId(
        _format(r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}"),
        _steuer_id,
        VALIDATED,
        _named(r"steuer-?(?:id|nummer|identifikationsnummer)|tax id|idnr"),
    ),
    NationalId(_format(r"\d{11}"), _pesel, VALIDATED, _named("pesel")),
)


def find_national_ids(text: str) -> Iterator[Found]:
    """Spans of identity numbers; one span may be found twice."""
    for known in NATIONAL_IDS:
        for match in known.format.finditer(text):
            before = text[max(0, match.start() - BEFORE) : match.start()]
            if known.named is not None and not known.named.search(before):
                continue
            if known.holds(re.sub(r"\W", "", match[0]).upper()):
                yield Found(match.start(), match.end(), "national_id", known.score)
