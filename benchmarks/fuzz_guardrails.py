"""Coverage-guided fuzzing of the detectors: what raises, and what is slow. Last line: JSON.

    python -m benchmarks.fuzz_guardrails --seconds 60 [--direction input] [--detector check_links]

A detector that raises, gives no verdict or takes longer than its time makes the exit status 1; the
texts of the first few are shown. The embedder is a random one.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
import traceback
from collections import Counter
from typing import Any

MISSING = (
    "atheris is not installed; type: .venv/bin/pip install 'atheris>=3,<4' (or make setup "
    "EXTRAS=fuzz). It needs a Python that its makers build it for; 3.11 to 3.13 are."
)
LONGEST_INPUT = 2_048
LONGEST_TEXT = 10_000
SHOWN = 5


class Fuzz:
    """Turns bytes into texts, judges them, keeps count."""

    def __init__(self, atheris: Any, detectors: dict[str, Any], seconds: float) -> None:
        from benchmarks.fuzz_texts import SIGNS, words

        self._atheris = atheris
        self._detectors = detectors
        self._pieces = [*SIGNS, *words()]
        self._end = time.monotonic() + seconds
        self._runs = self._late = 0
        self._failed: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._slowest = (0.0, "", "")

    def judge(self, data: bytes) -> None:
        """One input of the fuzzer; ends the process when the time is over."""
        if time.monotonic() > self._end:
            self._report()
        source = self._atheris.FuzzedDataProvider(data)
        text = self._text(source)
        passage = text if source.ConsumeBool() else self._text(source)
        for name in self._detectors:
            self._runs += 1
            self._one(name, text, passage)

    def _text(self, source: Any) -> str:
        """Arbitrary characters, and pieces that the patterns know, some of them repeated."""
        said: list[str] = []
        for _ in range(source.ConsumeIntInRange(0, 8)):
            if source.ConsumeBool():
                piece = self._pieces[source.ConsumeIntInRange(0, len(self._pieces) - 1)]
            else:
                piece = source.ConsumeUnicode(source.ConsumeIntInRange(0, 40))
            said.append(piece * source.PickValueInList([1, 1, 2, 7, 40, 500]))
            said.append(source.PickValueInList(["", " ", "\n", ". "]))
        whole = "".join(said)
        times = source.PickValueInList([1, 1, 1, 1, 1, 30])
        text: str = (whole * times)[:LONGEST_TEXT]
        return text

    def _one(self, name: str, text: str, passage: str) -> None:
        from benchmarks.fuzz_texts import SECONDS, SECONDS_PER_CHAR
        from guardrails.schema import Context, Verdict

        start = time.thread_time()
        try:
            verdict = self._detectors[name](text, Context(text[:200], (passage,)))
            if not isinstance(verdict, Verdict) or not 0 <= verdict.score <= 1:
                self._fail(f"{name}: no verdict", text, passage)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{os.path.basename(last.filename)}:{last.lineno}"
            self._fail(f"{name}: {type(error).__name__} at {place}", text, passage)
        taken = time.thread_time() - start
        chars = 2 * len(text) + len(passage)
        if taken > SECONDS + SECONDS_PER_CHAR * chars:
            self._fail(f"{name}: slow", text, passage)
        if taken > self._slowest[0]:
            self._slowest = (taken, name, _short(text))

    def _fail(self, what: str, text: str, passage: str) -> None:
        self._failed[what] += 1
        if len(self._examples) < SHOWN:
            self._examples.setdefault(what, f"text {_short(text)}, passage {_short(passage)}")

    def _report(self) -> None:
        for what, example in self._examples.items():
            print(f"{what}: {example}")
        seconds, name, text = self._slowest
        figures = {
            "detectors": sorted(self._detectors),
            "judged": self._runs,
            "failures": dict(self._failed),
            "slowest": {"seconds": round(seconds, 3), "detector": name, "text": text},
        }
        print(json.dumps(figures, ensure_ascii=True), flush=True)
        os._exit(1 if self._failed else 0)  # libFuzzer would go on


def _short(text: str) -> str:
    shown = ascii(text)
    return f"{shown[:120]}... ({len(text)} characters)" if len(shown) > 120 else shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--direction", choices=["input", "retrieval", "output"])
    parser.add_argument("--detector", help="the name of an action, e.g. check_links")
    asked = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.exit(MISSING)
    import atheris

    with atheris.instrument_imports(include=["guardrails.detectors"]):
        from benchmarks.fuzz_texts import open_detectors
    groups = open_detectors()
    chosen = groups[asked.direction] if asked.direction else {**groups["input"]}
    if not asked.direction:
        chosen |= groups["retrieval"] | groups["output"]
    if asked.detector:
        if asked.detector not in chosen:
            sys.exit(f"no detector '{asked.detector}'; there are {', '.join(sorted(chosen))}")
        chosen = {asked.detector: chosen[asked.detector]}
    fuzz = Fuzz(atheris, chosen, asked.seconds)
    slow = ("-timeout=600", "-report_slow_units=600")  # told of in our own words, without a file
    options = (f"-max_len={LONGEST_INPUT}", "-len_control=0", "-verbosity=0", *slow)
    atheris.Setup([sys.argv[0], *options], fuzz.judge)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
