"""E-mail addresses, IP addresses, payment cards and IBANs in a text.

Every pattern is bounded or starts at a boundary, so a search takes time in proportion to the text.
What is reserved for documentation (RFC 2606, RFC 5737, RFC 3849) belongs to nobody and is not
found. Neither are private addresses (RFC 1918): they name a machine on its own network only.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

VALIDATED, LIKELY, WEAK = 1.0, 0.8, 0.6


@dataclass(frozen=True, slots=True)
class Found:
    """A span of the text that holds a value of one kind."""

    start: int
    end: int
    kind: str
    """email, phone, card, iban, ip, national_id, key or password."""
    score: float
    """1 where a checksum or an unmistakable format holds, less for a weaker pattern."""


EMAIL = re.compile(
    r"(?<![\w.+%'&~-])[\w.+%'&~-]{1,64}@((?:[\w-]{1,63}\.){1,8}"
    r"(?:[^\W\d_]{2,24}|xn--[a-zA-Z0-9-]{2,50}))(?![\w@]|:[/~\w])"
)
RESERVED_DOMAIN = re.compile(
    r"(?:^|\.)(?:example|test|invalid|localhost|localdomain|example\.(?:com|net|org|edu)|"
    r"(?:your|my)[-_]?(?:domain|company|org)\.\w+|(?:domain|company)\.com|vsphere\.local)$",
    re.IGNORECASE,
)
# `getty@tty1.service` is a unit of systemd, `values@prod.yaml` a file.
NOT_A_DOMAIN = re.compile(
    r"\.(?:service|socket|timer|target|mount|automount|path|slice|scope|device|swap|conf|cfg|ya?ml|"
    r"json|xml|py|sh|js|so|log|txt|md|html?|t?gz|zip|vmdk|iso|ova)$",
    re.IGNORECASE,
)
SYSTEM_ACCOUNT = re.compile(
    r"(?:git|root|core|ubuntu|cloud-user|user|username|usr)@", re.IGNORECASE
)
REMOTE_SHELL = re.compile(r"\b(?:ssh|scp|sftp|rsync|ssh-copy-id)\b[^\n]{0,60}$")

IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d|/(?:[12]?\d|30)(?!\d))")
IPV6 = re.compile(r"(?<![\w:.])[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,40}(?![\w.]|/\d)")
VERSION_BEFORE = re.compile(
    r"(?:\b(?:v|ver|version|versions|release|build|driver|drivers|firmware|bios|esxi|vcenter|vsphere|"
    r"tools|update|upgrade|patch|rpm|chart|operator|cuda|nsx|to|from)|[<>=~^])[\s:=\"'`v]{0,3}$",
    re.IGNORECASE,
)
VERSION_WORD = re.compile(r"\b(?:version|release|firmware|driver|build|upgrade|update)s?\b", re.I)
DOCUMENTATION = tuple(
    ipaddress.ip_network(net)
    for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
)
# Everybody's resolvers, and what writers make up: in a question they are a setting, not somebody.
NOBODYS = frozenset(
    "8.8.8.8 8.8.4.4 1.2.3.4 1.1.1.1 1.0.0.1 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 "
    "2001:4860:4860::8888 2001:4860:4860::8844 2606:4700:4700::1111 2606:4700:4700::1001".split()
)

CARD = re.compile(
    r"(?<![\w.+-])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{1,4}(?:\1\d{3})?|\d{4}([ -])\d{6}\2\d{4,5}|"
    r"\d{13,19})(?![\w]|[.-]\d)"
)
CARD_ISSUER = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})$|5[1-5]\d{14}$|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}$|"
    r"3[47]\d{13}$|3(?:0[0-5]|[689]\d)\d{11,16}$|6(?:011|4[4-9]\d|5\d\d)\d{12,15}$|"
    r"35(?:2[89]|[3-8]\d)\d{12,15}$|62\d{14,17}$|(?:50|5[6-9]|6[37])\d{10,17}$"
)

IBAN_START = re.compile(r"(?<![\w-])[A-Za-z]{2}\d{2}(?=[ -]?[A-Za-z0-9]{3})")
# Lengths by country, from the SWIFT IBAN registry.
IBAN_LENGTH = {
    entry[:2]: int(entry[2:])
    for entry in (
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 "
        "DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 "
        "IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 "
        "MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 "
        "SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
    ).split()
}


def luhn(digits: str) -> bool:
    """Whether the check digit of ISO/IEC 7812 holds."""
    weighted = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value // 10 + value % 10 for value in weighted) % 10 == 0


def find_emails(text: str) -> Iterator[Found]:
    """Addresses of people and of mailboxes, not logins (`ssh root@host`) nor reserved domains."""
    for match in EMAIL.finditer(text):
        domain = match[1]
        if RESERVED_DOMAIN.search(domain) or NOT_A_DOMAIN.search(domain):
            continue
        before = text[max(0, match.start() - 70) : match.start()]
        if SYSTEM_ACCOUNT.match(match[0]) or REMOTE_SHELL.search(before):
            continue
        yield Found(match.start(), match.end(), "email", VALIDATED)


def find_ips(text: str) -> Iterator[Found]:
    """Single addresses of the public internet, not versions nor networks (`/24`)."""
    for match in IPV4.finditer(text):
        before = text[max(0, match.start() - 24) : match.start()]
        if _is_public(match[0]) and not _is_version(before):
            yield Found(match.start(), match.end(), "ip", VALIDATED)
    for match in IPV6.finditer(text):
        value = match[0].rstrip(":") if not match[0].endswith("::") else match[0]
        if _is_public(value):
            yield Found(match.start(), match.start() + len(value), "ip", VALIDATED)


def _is_version(before: str) -> bool:
    direct = VERSION_BEFORE.search(before)
    if direct is None:
        return bool(VERSION_WORD.search(before))
    return not direct[0].lower().startswith(("to", "from")) or bool(VERSION_WORD.search(before))


def _is_public(value: str) -> bool:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    if value.endswith(".0"):  # a network, or a version
        return False
    if not address.is_global or address.is_multicast or str(address) in NOBODYS:
        return False
    return not any(address in network for network in DOCUMENTATION)


def find_cards(text: str) -> Iterator[Found]:
    """Payment cards: an issuer's prefix and length, and the Luhn check digit."""
    for match in CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if CARD_ISSUER.match(digits) and luhn(digits):
            yield Found(match.start(), match.end(), "card", VALIDATED)


def find_ibans(text: str) -> Iterator[Found]:
    """Account numbers of ISO 13616, in groups or not, in capitals or not."""
    for match in IBAN_START.finditer(text):
        length = IBAN_LENGTH.get(match[0][:2].upper())
        end = _end_of(text, match.start(), length) if length else None
        if end is None:
            continue
        value = re.sub(r"[ -]", "", text[match.start() : end]).upper()
        number = "".join(str(int(char, 36)) for char in value[4:] + value[:4])
        if int(number) % 97 == 1:
            yield Found(match.start(), end, "iban", VALIDATED)


def _end_of(text: str, start: int, length: int) -> int | None:
    """Where `length` letters and digits end that have single blanks or dashes between them."""
    seen, at = 0, start
    while seen < length and at < len(text):
        char = text[at]
        if char.isascii() and char.isalnum():
            seen += 1
        elif char not in " -" or text[at - 1] in " -":
            return None
        at += 1
    whole = seen == length and not text[at : at + 1].isalnum()
    return at if whole else None
