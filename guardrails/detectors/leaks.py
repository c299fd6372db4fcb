"""The instructions of the application, or the random token that stands in them, in an answer.

The token (canary) is found spaced, in pieces, reversed, in base64, hexadecimal and rot13; the
instructions as a run of words, in base64 too. Not caught: instructions in other words or in
another language, or a token told over several sentences in pieces shorter than half of it.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from guardrails.detectors.canonical import canonical
from guardrails.schema import Context, Verdict

RAIL = "check leaks"
WORD = re.compile(r"[^\W_]+")
NOT_PLAIN = re.compile(r"[\W_]+")
ENCODED = re.compile(r"[A-Za-z0-9+/_-]{40,4000}")
MOST_ENCODED = 16


@dataclass(frozen=True, slots=True)
class Known:
    """What an answer must not hold, as made by `prepare`."""

    canary: str
    forms: tuple[str, ...]
    """Spellings of the canary, plain letters and digits in lower case."""
    runs: frozenset[tuple[str, ...]]
    """Every run of `run_words` words of the instructions."""
    run_words: int


def prepare(canary: str, prompt: str, run_words: int) -> Known:
    """What to look for. Raises ValueError for a canary that chance could spell."""
    if canary and not re.fullmatch(r"[0-9a-f]{16,128}", canary):
        raise ValueError("a canary is 16 to 128 hexadecimal digits in lower case")
    runs = frozenset(_runs(_words(prompt), run_words))
    return Known(canary, tuple(_forms(canary)) if canary else (), runs, run_words)


def check_leaks(text: str, context: Context, *, known: Known, max_chars: int) -> Verdict:
    """Block an answer that holds the canary or a long run of the instructions (`prompt_leak`)."""
    if len(text) > max_chars:
        reason = f"answer is longer than {max_chars} characters"
        return Verdict(False, RAIL, reason, text, "too_long", 1.0)
    if known.canary and holds_canary(text, known):
        return Verdict(False, RAIL, "matches pattern 'canary'", text, "prompt_leak", 1.0)
    if known.runs and repeats_prompt(text, context.passages, known):
        return Verdict(False, RAIL, "matches pattern 'instructions'", text, "prompt_leak", 1.0)
    return Verdict(True, RAIL, "", text)


def holds_canary(text: str, known: Known) -> bool:
    """Whether the text spells the canary, or half of it, in one of its forms."""
    plain = canonical(text)
    squeezed = NOT_PLAIN.sub("", plain)
    half = len(known.canary) // 2
    if any(form in squeezed for form in known.forms):
        return True
    for token in (known.canary, known.canary[::-1]):
        if any(token[at : at + half] in squeezed for at in range(len(token) - half + 1)):
            return True
        if _in_pieces(token, plain):
            return True
    return False


def repeats_prompt(text: str, passages: Sequence[str], known: Known) -> bool:
    """Whether the text repeats a run of the instructions that no passage holds."""
    for shown in (text, *_decoded(text)):
        shared = known.runs.intersection(_runs(_words(shown), known.run_words))
        if shared and not shared <= _runs_of(tuple(passages), known.run_words):
            return True
    return False


def _forms(canary: str) -> Iterator[str]:
    """Encodings that a model can be talked into; base64 depends on what stands before."""
    raw = canary.encode("ascii")
    yield raw.hex()
    yield raw[::-1].hex()
    yield codecs.encode(canary, "rot13")
    for token in (raw, raw[::-1], raw.upper()):
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + token).decode("ascii")
            # The first characters mix with what stands before, the last with what comes after.
            yield NOT_PLAIN.sub("", encoded[4 if shift else 0 : -4]).lower()


def _in_pieces(token: str, plain: str) -> bool:
    """Whether short pieces of a text spell the token one after the other, other words between."""
    pieces = [word for word in WORD.findall(plain) if word in token]
    told = "".join(piece for piece in pieces if len(piece) <= len(token))
    # Many short words would spell anything in the end: little may stand between.
    if len(told) > 4 * len(token):
        return False
    letters = iter(told)
    return all(letter in letters for letter in token)


def _decoded(text: str) -> Iterator[str]:
    """What runs of base64 in the text say, where that is text."""
    for number, match in enumerate(ENCODED.finditer(text)):
        if number == MOST_ENCODED:
            return
        body = match[0].replace("-", "+").replace("_", "/")
        try:
            yield base64.b64decode(body[: len(body) // 4 * 4]).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            continue


def _words(text: str) -> list[str]:
    return WORD.findall(canonical(text))


def _runs(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(size)), strict=False)


@lru_cache(maxsize=64)
def _runs_of(passages: tuple[str, ...], size: int) -> frozenset[tuple[str, ...]]:
    return frozenset(run for passage in passages for run in _runs(_words(passage), size))
