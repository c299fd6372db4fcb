"""All signs, and the verdict of one canonical passage on them."""

from __future__ import annotations

from collections.abc import Iterable

from guardrails.detectors.hidden_acting import ACTING
from guardrails.detectors.hidden_answers import ANSWERS
from guardrails.detectors.hidden_asker import ASKED
from guardrails.detectors.hidden_duty import DUTY
from guardrails.detectors.hidden_errands import errand
from guardrails.detectors.hidden_manner import MANNER
from guardrails.detectors.hidden_patterns import ADDRESSED
from guardrails.detectors.hidden_reader import READER
from guardrails.detectors.hidden_revolt import REVOLT
from guardrails.detectors.hidden_roles import ROLES
from guardrails.detectors.hidden_secrecy import SECRECY, TURNS
from guardrails.detectors.hidden_sending import SENDING
from guardrails.detectors.hidden_signs import LIGHTER, Found, classes_of, sentences, weigh

SIGNS = (
    *LIGHTER,
    *ADDRESSED,
    *READER,
    *DUTY,
    *ASKED,
    *ANSWERS,
    *MANNER,
    *REVOLT,
    *ROLES,
    *TURNS,
    *SECRECY,
    *SENDING,
    *ACTING,
)
UNSEEN_ENOUGH = 0.5
"""What a reader cannot see needs less."""


def order_in(lines: str) -> Found | None:
    """The first order to a model or errand in canonical text with its line breaks."""
    said = sentences(lines)
    words = [classes_of(sentence) for sentence in said]
    return weigh(said, words, SIGNS) or errand(said, words)


def order_unseen(texts: Iterable[str]) -> Found | None:
    """The same in what markup hides, by stricter standards."""
    for text in texts:
        said = sentences(text)
        found = weigh(said, [classes_of(sentence) for sentence in said], SIGNS, UNSEEN_ENOUGH)
        if found:
            return Found(found.name, "hidden_text", found.weight)
    return None
