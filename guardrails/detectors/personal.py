"""Personal data and secrets: masked, refused or let through, by kind.

Neither a value nor what stands for it leaves this module except in the masked text itself.
Masks count within a conversation: `<EMAIL_2>` is the second address in it. They are worked out anew
from the texts before (`Context.earlier`), nothing is stored: a client that leaves out the beginning
of a conversation shifts the numbers. A mask that stands in a text keeps its number from others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from guardrails.detectors.credentials import find_keys, find_passwords
from guardrails.detectors.identifiers import Found, find_cards, find_emails, find_ibans, find_ips
from guardrails.detectors.national_ids import find_national_ids
from guardrails.detectors.phones import find_phones
from guardrails.detectors.spelling import plain
from guardrails.schema import Context, Verdict

RAIL = "check personal data"
SECRETS = frozenset({"key", "password"})
# Of two that overlap, the more telling kind stays.
KINDS = ("key", "password", "email", "iban", "card", "national_id", "ip", "phone")
NAMES = {kind: "ID" if kind == "national_id" else kind.upper() for kind in KINDS}
WORD = re.compile(r"\w")
WRITTEN_MASK = re.compile(rf"<({'|'.join(NAMES.values())})_(\d{{1,6}})>")

Find = Callable[[str], Sequence[Found]]


def find_personal(text: str, regions: Sequence[str]) -> list[Found]:
    """Spans of `text`, in order, none overlapping. Any string; linear in its length."""
    spelled, places = plain(text)
    found = chain(
        find_keys(spelled),
        find_passwords(spelled),
        find_emails(spelled),
        find_ibans(spelled),
        find_cards(spelled),
        find_national_ids(spelled),
        find_ips(spelled),
        find_phones(spelled, regions),
    )
    kept = _without_overlaps(list(found))
    if spelled is text:
        return kept
    return [Found(places[f.start], places[f.end - 1] + 1, f.kind, f.score) for f in kept]


def _without_overlaps(found: Sequence[Found]) -> list[Found]:
    taken = bytearray(max((span.end for span in found), default=0))
    kept = []
    for span in sorted(found, key=lambda f: (KINDS.index(f.kind), f.start, -f.end)):
        if not any(taken[span.start : span.end]):
            taken[span.start : span.end] = b"\1" * (span.end - span.start)
            kept.append(span)
    return sorted(kept, key=lambda f: f.start)


def check_question(
    text: str, context: Context, *, find: Find, actions: Mapping[str, str], max_chars: int
) -> Verdict:
    """Judge what a user sends; `context.earlier` gives the masks their numbers."""
    if len(text) > max_chars:
        return _too_long(text, max_chars)
    return _decide(text, context.earlier, find(text), find, actions)


def check_answer(
    text: str, context: Context, *, find: Find, actions: Mapping[str, str], max_chars: int
) -> Verdict:
    """Judge what the model says: what stands in the question or in a passage passes."""
    if len(text) > max_chars:
        return _too_long(text, max_chars)
    found = find(text)
    if found:
        sources = (context.question, *context.passages)
        known = {same_value(source, span) for source in sources for span in find(source)}
        written = "\n".join(plain(source)[0] for source in sources).lower()
        found = [span for span in found if same_value(text, span) not in known]
        values = {span: plain(text[span.start : span.end])[0].lower() for span in found}
        quoted = {value for value in set(values.values()) if _stands_in(value, written)}
        found = [span for span in found if values[span] not in quoted]
    return _decide(text, context.earlier, found, find, actions)


def _stands_in(value: str, written: str) -> bool:
    """Word for word, and not as a part of something longer."""
    at = written.find(value)
    while at >= 0:
        around = written[max(0, at - 1) : at] + written[at + len(value) : at + len(value) + 1]
        if not WORD.search(around):
            return True
        at = written.find(value, at + 1)
    return False


def same_value(text: str, span: Found) -> tuple[str, str]:
    """Kind and value, the value in one spelling: blanks, dashes and capitals do not matter."""
    value, _ = plain(text[span.start : span.end])
    if span.kind in SECRETS:
        return span.kind, value
    if span.kind == "phone":  # +44 20 ..., (020) ... remain two
        return span.kind, re.sub(r"\D", "", value)
    if span.kind in {"card", "iban", "national_id"}:
        return span.kind, re.sub(r"\W", "", value).lower()
    return span.kind, value.lower()


def _decide(
    text: str,
    earlier: Sequence[str],
    found: Sequence[Found],
    find: Find,
    actions: Mapping[str, str],
) -> Verdict:
    by_action = {
        action: [span for span in found if actions[span.kind] == action]
        for action in ("refuse", "mask")
    }
    refused, masked = by_action["refuse"], by_action["mask"]
    if refused:
        return _verdict(False, "holds", text, refused)
    if not masked:
        return Verdict(True, RAIL, "", text)
    return _verdict(True, "masked", mask(text, masked, earlier, find), masked)


def _verdict(allowed: bool, what: str, text: str, spans: Sequence[Found]) -> Verdict:
    counts = Counter(span.kind for span in spans)
    named = ", ".join(f"{kind} ({counts[kind]})" for kind in KINDS if counts[kind])
    category = "secret" if SECRETS & counts.keys() else "personal_data"
    score = max(span.score for span in spans)
    return Verdict(allowed, RAIL, f"{what} {named}", text, category, score)


def mask(text: str, spans: Sequence[Found], earlier: Sequence[str], find: Find) -> str:
    """The text with `<KIND_n>` for each span; the same value gets the same n.

    Spans are in order and do not overlap. Numbers go on from the values in `earlier`, all of them
    counted, whatever happened to them there.
    """
    numbers = MaskNumbers()
    for former in earlier:
        numbers.reserve(former)
        for span in find(former):
            numbers.name(former, span)
    numbers.reserve(text)
    pieces, at = [], 0
    for span in spans:
        pieces += [text[at : span.start], numbers.name(text, span)]
        at = span.end
    return "".join([*pieces, text[at:]])


class MaskNumbers:
    """Which value has which number. Lives as long as one call of `mask`."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._last: dict[str, int] = {}

    def reserve(self, text: str) -> None:
        """Leave out the numbers of masks that the text holds already."""
        for match in WRITTEN_MASK.finditer(text):
            self._last[match[1]] = max(self._last.get(match[1], 0), int(match[2]))

    def name(self, text: str, span: Found) -> str:
        """The mask of the value at `span`."""
        name, value = NAMES[span.kind], same_value(text, span)
        if value not in self._numbers:
            self._numbers[value] = self._last[name] = self._last.get(name, 0) + 1
        return f"<{name}_{self._numbers[value]}>"


def _too_long(text: str, max_chars: int) -> Verdict:
    reason = f"text is longer than {max_chars} characters"
    return Verdict(False, RAIL, reason, text, "too_long", 1.0)
