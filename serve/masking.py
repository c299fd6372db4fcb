"""Personal data in texts that leave the service as data: masked, whatever the rails let through."""

from __future__ import annotations

from collections.abc import Sequence

from guardrails.detectors.personal import MaskNumbers, find_personal


def masked(texts: Sequence[str], regions: Sequence[str]) -> tuple[list[str], int]:
    """The texts of one conversation with `<EMAIL_1>` and the like, and how many values were masked.

    The same value has the same mask in all of them. Finds what has a form: addresses, numbers,
    keys, passwords that are called so. Names of people have none and stay.
    """
    numbers, found, count = MaskNumbers(), [], 0
    for text in texts:
        numbers.reserve(text)
    for text in texts:
        pieces, at = [], 0
        for span in find_personal(text, regions):
            pieces += [text[at : span.start], numbers.name(text, span)]
            at = span.end
            count += 1
        found.append("".join([*pieces, text[at:]]))
    return found, count
