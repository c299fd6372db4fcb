"""What the personal-data rail finds, and what it finds that is none.

Three sets: the labelled sentences of the development data; values made here (valid check digits,
real number plans, formats of real tokens) in sentences of users; passages of manuals, in which
nearly everything found is a placeholder or a false alarm.

    VSAGE_DEV_DATA=<folder> python -m benchmarks.guardrails_personal
"""

from __future__ import annotations

import base64
import json
import os
import random
import string
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import phonenumbers

from benchmarks.guardrails import SUFFIXES, pieces
from guardrails.detectors.personal import find_personal
from guardrails.personal_config import REGIONS

KINDS = {
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "IP_ADDRESS": "ip",
    "EMAIL_ADDRESS": "email",
    "US_SSN": "national_id",
    "IBAN_CODE": "iban",
}
SAID = {
    "email": ("Please write to {} about the outage.", "contact: {}", "My address is {}, thanks"),
    "phone": ("Call me at {} after lunch.", "Tel. {}", "My mobile number is {}, not the old one"),
    "card": ("Charge it to {} please.", "card number: {}", "I paid with {} yesterday"),
    "iban": ("Transfer it to {} by Friday.", "IBAN {}", "our account is {}."),
    "ip": ("The host {} does not answer.", "ping {} fails", "logs show {} as the source"),
    "key": ("I use {} for the API, why is it refused?", "token={}", "export KEY={}"),
}
HEAD, BODY = '{"alg":"HS256","typ":"JWT"}', '{"sub":"1234567890"}'
LENGTHS = {"DE": 22, "FR": 27, "GB": 22, "ES": 24, "NL": 18, "CH": 21, "AT": 20, "IT": 27, "PL": 28}


def main() -> None:
    data = os.environ.get("VSAGE_DEV_DATA")
    if not data:
        raise SystemExit("set VSAGE_DEV_DATA to the folder with the development data")
    figures = labelled(Path(data) / "guard/presidio_generated_small.json")
    figures |= made(random.Random(0), 100)
    figures |= manuals(Path(data) / "corpus")
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:10.4f}")
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


def labelled(path: Path) -> dict[str, float]:
    """Recall by kind; precision: of what was found, how much overlaps a label of that kind."""
    wanted: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    right = found_at_all = 0
    for row in json.loads(path.read_text(encoding="utf-8")):
        text = row["full_text"]
        found = find_personal(text, REGIONS)
        labels = [
            (KINDS[span["entity_type"]], span["start_position"], span["end_position"])
            for span in row["spans"]
            if span["entity_type"] in KINDS
        ]
        for kind, start, end in labels:
            wanted[kind] += 1
            caught[kind] += any(f.kind == kind and f.start < end and f.end > start for f in found)
        for one in found:
            found_at_all += 1
            right += any(
                one.kind == kind and one.start < end and one.end > start
                for kind, start, end in labels
            )
    figures = {f"labelled recall: {k} ({n})": caught[k] / n for k, n in sorted(wanted.items())}
    figures[f"labelled recall ({wanted.total()})"] = caught.total() / wanted.total()
    figures[f"labelled precision ({found_at_all})"] = right / max(1, found_at_all)
    return figures


def made(chooser: random.Random, each: int) -> dict[str, float]:
    """The same over values made here: `each` of every kind, in three sentences."""
    makers: dict[str, Callable[[random.Random], str]] = {
        "email": email,
        "phone": phone,
        "card": card,
        "iban": iban,
        "ip": ip,
        "key": key,
    }
    figures: dict[str, float] = {}
    right = found_at_all = caught_at_all = 0
    for kind, make in makers.items():
        caught = 0
        for turn in range(each):
            value, frame = make(chooser), SAID[kind][turn % len(SAID[kind])]
            start = frame.index("{}")
            found = find_personal(frame.format(value), REGIONS)
            kinds = {kind, "password"} if kind == "key" else {kind}
            hits = [
                f
                for f in found
                if f.kind in kinds and f.start < start + len(value) and f.end > start
            ]
            caught += bool(hits)
            right += len(hits)
            found_at_all += len(found)
        caught_at_all += caught
        figures[f"made recall: {kind} ({each})"] = caught / each
    figures[f"made recall ({each * len(makers)})"] = caught_at_all / (each * len(makers))
    figures[f"made precision ({found_at_all})"] = right / max(1, found_at_all)
    return figures


def manuals(corpus: Path) -> dict[str, float]:
    """Passages with at least one find, by kind, and milliseconds a passage."""
    chunks = [
        chunk
        for path in sorted(corpus.rglob("*"))
        if path.suffix in SUFFIXES
        for chunk in pieces(path.read_text(encoding="utf-8"))
    ]
    counts: Counter[str] = Counter()
    start = time.perf_counter()
    for chunk in chunks:
        counts.update({found.kind for found in find_personal(chunk, REGIONS)})
    took = 1_000 * (time.perf_counter() - start) / len(chunks)
    total = f"({len(chunks)} passages)"
    figures = {f"manuals with {k} {total}": n / len(chunks) for k, n in sorted(counts.items())}
    return {**figures, "ms a passage of 1,200 characters": took}


def email(chooser: random.Random) -> str:
    first, last = (
        chooser.choice(("ana", "bob.k", "li-wei", "j")),
        chooser.choice(("ortiz", "e", "")),
    )
    host = chooser.choice(("acme.io", "mail.firm.co.uk", "uni-x.edu", "corp.internal.net"))
    return f"{first}{chooser.choice(('.', '_', '+'))}{last or 7}@{host}"


def phone(chooser: random.Random) -> str:
    """A valid number of some country, as people there write it or with its prefix."""
    region = chooser.choice(REGIONS)
    kind = chooser.choice(
        (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    )
    number = phonenumbers.example_number_for_type(region, kind)
    assert number is not None
    style = chooser.choice(
        (phonenumbers.PhoneNumberFormat.NATIONAL, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    )
    return phonenumbers.format_number(number, style)


def card(chooser: random.Random) -> str:
    digits = chooser.choice(("4", "51", "55", "6011")) + "".join(
        chooser.choices("0123456789", k=16)
    )
    digits = digits[:15]
    digits += next(d for d in string.digits if _luhn(digits + d))
    parts = [digits[i : i + 4] for i in range(0, 16, 4)]
    return chooser.choice(("", " ", "-")).join(parts)


def _luhn(digits: str) -> bool:
    doubled = [int(d) * (2 - index % 2) for index, d in enumerate(digits)]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def iban(chooser: random.Random) -> str:
    country = chooser.choice(sorted(LENGTHS))
    body = "".join(chooser.choices(string.digits, k=LENGTHS[country] - 4))
    if country in {"GB", "NL"}:
        body = "ABNA" + body[4:]
    elif country == "IT":
        body = "X" + body[1:]
    check = 98 - int("".join(str(int(c, 36)) for c in f"{body}{country}00")) % 97
    value = f"{country}{check:02}{body}"
    spaced = " ".join(value[i : i + 4] for i in range(0, len(value), 4))
    return chooser.choice((value, spaced))


def ip(chooser: random.Random) -> str:
    return f"{chooser.choice((52, 81, 93, 185))}." + ".".join(
        str(chooser.randint(1, 254)) for _ in range(3)
    )


def key(chooser: random.Random) -> str:
    """A token of a known format, random inside."""

    def pick(alphabet: str, count: int) -> str:
        return "".join(chooser.choices(alphabet, k=count))

    letters, upper = string.ascii_letters + string.digits, string.ascii_uppercase + string.digits

    def part(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    return chooser.choice(
        (
            "AKIA" + pick(upper, 16),
            "ghp_" + pick(letters, 36),
            "glpat-" + pick(letters, 20),
            f"xoxb-{pick(string.digits, 11)}-{pick(string.digits, 11)}-{pick(letters, 24)}",
            part(HEAD) + "." + part(BODY) + "." + pick(letters, 43),
            "sk_live_" + pick(letters, 24),
        )
    )


if __name__ == "__main__":
    main()
