"""What `python -m guardrails seed` prints: for people, and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from guardrails.schema import Verdict
from guardrails.seed_change import Change
from guardrails.seed_effect import Effect, Judged
from guardrails.seed_files import Example

RESTART = "a running server reads its examples at its start: restart it"
_SHOWN = 90


def tell_change(change: Change, done: str, dry_run: bool, seen: Sequence[Effect]) -> None:
    """`done` is "added" or "removed"."""
    for example in change.already:
        print(f"stands there already: {example.place}: {printable(example.text)}")
    if not change.texts:
        return
    would, new = "would be " if dry_run else "", "the new file " if change.created else ""
    to = "to" if done == "added" else "from"
    print(f"{would}{done} {to} {new}{change.kind.path}:")
    by_text = {one.text: one for one in seen}
    for text in change.texts:
        print(f"  {printable(text)}")
        if one := by_text.get(text):
            print(f"    before: {_verdict(one.before)}")
            print(f"    after:  {_verdict(one.after)}")
            if one.hint:
                print(f"    {one.hint}")
    if not dry_run:
        print(RESTART)


def change_object(
    change: Change, done: str, dry_run: bool, seen: Sequence[Effect]
) -> dict[str, Any]:
    """The same as one JSON object."""
    return {
        "kind": change.kind.name,
        "file": str(change.kind.path),
        "dry_run": dry_run,
        "created": change.created,
        done: list(change.texts),
        "already": [example_object(example) for example in change.already],
        "effects": [dataclasses.asdict(one) for one in seen],
        "restart": bool(change.texts) and not dry_run,
    }


def tell_judged(one: Judged) -> None:
    """A text, its verdict, and what is nearest to it on either side."""
    print(printable(one.text, _SHOWN))
    print(f"  {_verdict(one.verdict)}")
    for cosine, example in (*one.blocking, *one.honest):
        side = "block" if example.kind.blocks else "allow"
        shown = printable(example.text, _SHOWN)
        print(f"  {cosine:5.2f}  {side}  {example.place}: {shown}")


def judged_object(one: Judged) -> dict[str, Any]:
    """The same as a JSON object."""
    near = [
        {**example_object(example), "cosine": round(cosine, 4)}
        for cosine, example in (*one.blocking, *one.honest)
    ]
    return {"text": one.text, "verdict": dataclasses.asdict(one.verdict), "nearest": near}


def example_object(example: Example) -> dict[str, Any]:
    return {
        "kind": example.kind.name,
        "file": str(example.kind.path),
        "line": example.number,
        "text": example.text,
    }


def printable(text: str, most: int | None = None) -> str:
    """One line for a terminal: what prints nothing or moves the cursor is spelled out."""
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text[:most])
    return shown if most is None or len(text) <= most else f"{shown}..."


def _verdict(verdict: Verdict) -> str:
    if verdict.allowed:
        return f"allowed  score={verdict.score:.2f}"
    return (
        f"blocked  rail={verdict.rail}  category={verdict.category}  score={verdict.score:.2f}  "
        f"{verdict.reason}"
    )
