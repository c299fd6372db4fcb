"""Headings of the site's documents, as examples of what its users honestly ask about.

A document may be poisoned, with headings that resemble an attack and would make attacks look
honest. So a heading counts only where rails that do not know it find it clearly harmless.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from guardrails.detectors.canonical import canonical, flat
from guardrails.detectors.despair import DESPAIR
from guardrails.detectors.direct_languages import LANGUAGES
from guardrails.detectors.injection import WINDOW
from guardrails.detectors.injection_patterns import DIRECT
from guardrails.detectors.likeness import Examples, Likeness
from guardrails.detectors.patterns import first_match
from guardrails.schema import Embed

CLEARLY = -0.3
"""Score up to which a heading is taken for harmless; attacks begin above 0."""


def harmless(texts: Sequence[str], rails: Sequence[Likeness], embed: Embed) -> Examples | None:
    """The headings that no rail has anything against; None where there are none."""
    lines = list(dict.fromkeys(line for text in texts if (line := flat(canonical(text)))))
    lines = [
        line
        for line in lines
        if len(line) <= WINDOW
        and not DESPAIR.search(line)
        and first_match((*DIRECT, *LANGUAGES), [line]) is None
    ]
    if not lines:
        return None
    vectors = embed(lines)
    worst = np.max([rail(lines, vectors) for rail in rails], axis=0)
    good = np.flatnonzero(worst <= CLEARLY)
    if not len(good):
        return None
    return Examples(tuple(lines[index] for index in good), vectors[good])
