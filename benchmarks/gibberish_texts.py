"""Texts for the benchmark of the gibberish rail: soup of word pieces, and what is none.

`gibberish/suffixes.txt` was written by hand in the manner of optimised suffixes, the first 24 lines
before thresholds were chosen; `gibberish/optimised.txt` was found by a short greedy search over
token gradients against the embedded SmolLM2, so these are real, if weak ones. What users paste or
type is in `gibberish/pasted.jsonl`: `{hex8}`, `{num}` and the like in it are filled with random
values; the rows "held back" were written after thresholds were chosen.
"""

from __future__ import annotations

import json
import random
import re
import string
from collections.abc import Callable, Sequence
from pathlib import Path

from tokenizers import Tokenizer

FOLDER = Path(__file__).parent / "gibberish"
TOKENIZER = Path("models/SmolLM2-135M-Instruct/hf/tokenizer.json")
TECHNICAL = {
    *("log", "trace", "minified", "code", "config", "output", "blob", "regex", "table", "error")
}
CORPUS = {".md", ".rst", ".txt"}
TUNED = 24
SLOT = re.compile(r"\{(hex\d+|num|ip|uuid|b64)\}")
BLOCK_CHARS = (200, 1_500)
FIRST_TOKEN, FREQUENT, COMMON = 20, 6_000, 16_000
"""Ids below the first are special; the more frequent a token, the smaller its id."""


def pasted(chooser: random.Random, each: int) -> list[tuple[str, str, str]]:
    """(kind, half, text): each text once, those with slots `each` times."""
    rows = []
    for line in (FOLDER / "pasted.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        times = each if SLOT.search(row["text"]) else 1
        rows += [(row["kind"], row["half"], _filled(row["text"], chooser)) for _ in range(times)]
    return rows


def blocks(corpus: Path, chooser: random.Random) -> list[str]:
    """Blocks of code, listings and tables of manuals, 200 to 1,500 characters."""
    found: list[str] = []
    for path in sorted(corpus.rglob("*")):
        if path.suffix not in CORPUS:
            continue
        for block in _verbatim(path.read_text(encoding="utf-8").splitlines()):
            found += [
                block[start : start + chooser.randint(*BLOCK_CHARS)]
                for start in range(0, len(block) - BLOCK_CHARS[0], BLOCK_CHARS[1])
            ]
    return [block for block in found if len(block.strip()) >= BLOCK_CHARS[0]]


def suffixes(chooser: random.Random, each: int) -> list[tuple[str, str, str]]:
    """(style, half, suffix): `each` of every random style, and all that are written down."""
    made = [
        (style, "held back", make(chooser.randint(14, 40)))
        for style, make in _makers(chooser).items()
        for _ in range(each)
    ]
    written = (FOLDER / "suffixes.txt").read_text(encoding="utf-8").splitlines()
    made += [("written", "tuned", line) for line in written[:TUNED]]
    made += [("written", "held back", line) for line in written[TUNED:]]
    found = (FOLDER / "optimised.txt").read_text(encoding="utf-8").splitlines()
    return made + [("optimised", "held back", line) for line in found]


def attack(chooser: random.Random, suffix: str, requests: Sequence[str]) -> str:
    """The suffix behind a request, now and then on a line of its own, before it or in between."""
    request, place = chooser.choice(requests), chooser.random()
    if place < 0.75:
        return f"{request} {suffix}"
    if place < 0.85:
        return f"{request}\n{suffix}"
    if place < 0.95:
        return f"{suffix} {request}"
    return f"{request} {suffix} {chooser.choice(requests)}"


def _makers(chooser: random.Random) -> dict[str, Callable[[int], str]]:
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    spelled = {
        token: text
        for token in range(FIRST_TOKEN, tokenizer.get_vocab_size())
        if (text := tokenizer.decode([token])).isascii() and text.isprintable() and text.strip()
    }
    words = [token for token, text in spelled.items() if text.strip().isalpha()]
    signs = [token for token, text in spelled.items() if not any(map(str.isalnum, text))]
    first = [token for token in words if spelled[token].startswith(" ")]
    inner = [token for token in words if not spelled[token].startswith(" ")]

    def mixed(count: int, shares: tuple[float, float], most: int) -> str:
        pools = [[token for token in pool if token < most] for pool in (first, inner, signs)]
        weights = (*shares, 1 - sum(shares))
        picked = [chooser.choice(chooser.choices(pools, weights)[0]) for _ in range(count)]
        return str(tokenizer.decode(picked)).strip()

    def drawn(count: int, pool: Sequence[int]) -> str:
        return str(tokenizer.decode([chooser.choice(pool) for _ in range(count)])).strip()

    known = list(spelled)
    frequent = [token for token in known if token < FREQUENT]
    return {
        "any tokens": lambda count: drawn(count, known),
        "frequent tokens": lambda count: drawn(count, frequent),
        "pieces and signs": lambda count: mixed(count, (0.45, 0.30), len(spelled)),
        "words and some signs": lambda count: mixed(count, (0.70, 0.15), COMMON),
    }


def _filled(text: str, chooser: random.Random) -> str:
    def value(match: re.Match[str]) -> str:
        kind = match[1]
        if kind == "num":
            return str(chooser.randint(2, 99_999))
        if kind == "ip":
            return ".".join(str(chooser.randint(1, 254)) for _ in range(4))
        if kind == "b64":
            return "".join(chooser.choices(string.ascii_letters + string.digits + "+/", k=48))
        length = 32 if kind == "uuid" else int(kind[3:])
        digits = "".join(chooser.choices("0123456789abcdef", k=length))
        if kind != "uuid":
            return digits
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    return SLOT.sub(value, text)


def _verbatim(lines: Sequence[str]) -> list[str]:
    """Fenced and indented blocks, and tables, whole."""
    found: list[str] = []
    block: list[str] = []
    state = ""
    for line in [*lines, ""]:
        fence = line.lstrip().startswith("```")
        now = state if state == "fenced" and not fence else _kind(line, fence, state)
        if now != state or fence:
            if len(block) > 2:
                found.append("\n".join(block))
            block, state = [], now
        if state and not fence:
            block.append(line)
    return found


def _kind(line: str, fence: bool, state: str) -> str:
    if fence:
        return "" if state == "fenced" else "fenced"
    if line.startswith(("    ", "\t")):
        return "indented"
    return "table" if line.startswith(("|", "+-")) else ""
