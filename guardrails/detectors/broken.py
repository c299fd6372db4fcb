"""Output that is no answer: loops, garbage, chat templates, a language or script nobody used.

Knows no grammar: fluent nonsense passes. A loop is seen only within the text that is judged, so a
sentence repeated over a stream is left to the caller.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from guardrails.detectors.languages import language, small_words
from guardrails.schema import Context, Verdict

RAIL = "check broken output"
WORD = re.compile(r"\w+")
NO_LETTERS = re.compile(r"[\W_]*")
LETTER_RUN = re.compile(r"([^\W\d_])\1{19,}")
SIGN_RUN = re.compile(r"(\S)\1{299,}")
GARBAGE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffd\ue000-\uf8ff\uffff]"
)
NON_ASCII_WORD = re.compile(r"[^\x00-\x7f]")
TEMPLATE = re.compile(
    r"<\|[a-z][\w -]{0,40}\|>|<｜[^｜\n]{1,40}｜>|\[/?inst\]|<</?sys>>|<(?:bos|eos|pad|unk)>|"
    r"</?(?:start|end)_of_turn>|\[(?:available_tools|tool_calls|/?system_prompt)\]|"
    r"<(?:im_start|im_end|end_of_text|begin_of_text|eot_id|fim_prefix|fim_suffix|fim_middle)>|"
    r"^\s{0,9}#{2,3} (?:instruction|response|human|assistant|input|system|user)s?:?[ \t]{0,9}$|"
    r"#{2,3} (?:instruction|response|human|assistant|system|user)s?:|"
    r"^(?:human|assistant|user|system)\s{0,3}:\s|</?passage>|</?think(?:ing)?>|</?s>(?=\s|$|\[)",
    re.IGNORECASE | re.MULTILINE,
)
LONGEST_PERIOD = 40
MIXES = frozenset({"HAN", "HIRAGANA", "KATAKANA", "HANGUL"})
SIGNS_IN_TECHNICAL_TEXT = frozenset({"GREEK"})


@dataclass(frozen=True, slots=True)
class BrokenLimits:
    """Thresholds and bounds, see `BrokenConfig`."""

    repeats: int
    repeated_words: int
    foreign_letters: int
    foreign_words: int
    max_chars: int


def check_broken(text: str, context: Context, *, limits: BrokenLimits) -> Verdict:
    """Block output that is no answer (`broken`, `empty`); what a passage holds passes."""
    if len(text) > limits.max_chars:
        reason = f"answer is longer than {limits.max_chars} characters"
        return Verdict(False, RAIL, reason, text, "too_long", 1.0)
    problem = broken(text, context, limits)
    if problem:
        # A line of dashes is left out and the answer goes on; anything else ends it.
        category = "empty" if problem in {"empty", "no letters"} else "broken"
        return Verdict(False, RAIL, f"matches pattern '{problem}'", text, category, 1.0)
    return Verdict(True, RAIL, "", text)


def broken(text: str, context: Context, limits: BrokenLimits) -> str:
    """Name of what is wrong with the text, or an empty string."""
    said = text.strip()
    if not said:
        return "empty"
    if NO_LETTERS.fullmatch(said) and not _held(said, context):
        return "no letters"
    if len(GARBAGE.findall(said)) * 20 > len(said):
        return "unreadable characters"
    for pattern in (LETTER_RUN, SIGN_RUN):
        if (run := pattern.search(said)) and not _held(run[0], context):
            return "one character again and again"
    tokens = {token[0].strip() for token in TEMPLATE.finditer(said)}
    if not all(_held(token, context) for token in tokens):
        return "chat template"
    if _loops(said, limits) and not _held(said, context):
        return "loop"
    if _foreign(said, context, limits.foreign_letters):
        return "foreign script"
    return "foreign language" if _other_language(said, context, limits.foreign_words) else ""


def _held(text: str, context: Context) -> bool:
    wanted = text.lower()
    return any(wanted in _lower(passage) for passage in context.passages)


@lru_cache(maxsize=512)
def _lower(passage: str) -> str:
    return passage.lower()


def _loops(text: str, limits: BrokenLimits) -> bool:
    """Whether the same words follow one another again and again, or one sentence does."""
    words = WORD.findall(text.lower())
    if len(words) < limits.repeated_words:
        return False
    for period in range(1, min(LONGEST_PERIOD, len(words) // limits.repeats) + 1):
        least = max(limits.repeated_words, period * limits.repeats) - period
        same = 0
        for earlier, later in zip(words, words[period:], strict=False):
            same = same + 1 if earlier == later and not later.isdigit() else 0
            if same >= least:
                return True
    sentences = [part.strip() for part in re.split(r"[.!?\n]+", text.lower())]
    long = Counter(part for part in sentences if part.count(" ") >= 4)
    if not long:
        return False
    sentence, times = long.most_common(1)[0]
    return times >= limits.repeats and 2 * times * len(sentence) > len(text)


def _foreign(text: str, context: Context, letters: int) -> bool:
    """Whether the text is in a script that neither the question nor a passage uses."""
    used = _scripts(text)
    if not used:
        return False
    known: set[str] = set()
    for part in (context.question, *context.passages):
        known.update(_kept_scripts(part))
    if not known:
        return False
    if known & MIXES:  # Japanese and Korean mix them
        known |= MIXES
    return any(
        count >= (letters if script not in SIGNS_IN_TECHNICAL_TEXT else 3 * letters)
        for script, count in used.items()
        if script not in known
    )


def _other_language(text: str, context: Context, words: int) -> bool:
    """Whether the text is in a language of which question and passages show no sign."""
    found = language(text, words)
    if not found or not any(language(passage, words) for passage in context.passages):
        return False
    sources = (context.question, *context.passages)
    return all(small_words(source).get(found, 0) < words for source in sources)


@lru_cache(maxsize=512)
def _kept_scripts(text: str) -> frozenset[str]:
    return frozenset(_scripts(text))


def _scripts(text: str) -> Counter[str]:
    """Letters by script, as Unicode names them: LATIN, CYRILLIC, HAN."""
    found: Counter[str] = Counter()
    rest = text
    if NON_ASCII_WORD.search(text):
        for char in NON_ASCII_WORD.findall(text):
            if char.isalpha():
                found[_script(char)] += 1
        rest = NON_ASCII_WORD.sub("", text)
    latin = sum(map(str.isalpha, rest))
    if latin:
        found["LATIN"] += latin
    found.pop("", None)
    return found


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    name = unicodedata.name(char, "")
    first = name.split(" ", 1)[0] if name else ""
    if first == "CJK":
        return "HAN"
    # Letter-like symbols and styled letters belong to no script.
    known = {
        "MODIFIER",
        "MATHEMATICAL",
        "FULLWIDTH",
        "HALFWIDTH",
        "FEMININE",
        "MASCULINE",
        "MICRO",
        "DOUBLE-STRUCK",
        "SCRIPT",
        "BLACK-LETTER",
        "OHM",
        "KELVIN",
        "ANGSTROM",
        "INFORMATION",
    }
    return "" if first in known else first
