"""Attacks on the instructions in eight further languages.

Put together from lists of words (`direct_grammar`), so what is told in other words is missed.
"""

from __future__ import annotations

from guardrails.detectors.direct_arabic import ARABIC
from guardrails.detectors.direct_chinese import CHINESE
from guardrails.detectors.direct_french import FRENCH
from guardrails.detectors.direct_german import GERMAN
from guardrails.detectors.direct_italian import ITALIAN
from guardrails.detectors.direct_portuguese import PORTUGUESE
from guardrails.detectors.direct_russian import RUSSIAN
from guardrails.detectors.direct_spanish import SPANISH

LANGUAGES = (
    *GERMAN,
    *FRENCH,
    *SPANISH,
    *ITALIAN,
    *PORTUGUESE,
    *RUSSIAN,
    *CHINESE,
    *ARABIC,
)
