"""Sentences of an answer that insult, threaten, harass or hate.

More like toxic examples than like honest ones that sound alike ("Kill the process", "Harassment is
prohibited"). What a passage says word for word passes: a policy may quote what it forbids. Judges
English, sentence by sentence: misses contempt that is spread over several, and dry irony.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from guardrails.detectors.canonical import canonical, flat
from guardrails.detectors.evidence import EvidenceCache
from guardrails.detectors.likeness import Likeness
from guardrails.detectors.neighbours import nearest_category
from guardrails.detectors.sentences import split_sentences
from guardrails.schema import Context, Embed, Vectors, Verdict

RAIL = "check toxic answer"
MOST_SENTENCES = 500
LETTERS = 4
"""Fewer say nothing."""


@dataclass(frozen=True, slots=True)
class ToxicLimits:
    """Threshold and bound, see `ToxicConfig`."""

    margin: float
    max_chars: int


def check_toxic(
    text: str,
    context: Context,
    *,
    likeness: Likeness,
    categories: Mapping[str, Vectors],
    cache: EvidenceCache,
    embed: Embed,
    limits: ToxicLimits,
) -> Verdict:
    """Block a text with a toxic sentence, with its category. `categories` as in `check_harm`."""
    if len(text) > limits.max_chars:
        reason = f"answer is longer than {limits.max_chars} characters"
        return Verdict(False, RAIL, reason, text, "too_long", 1.0)
    evidence = cache.evidence(context.passages)
    if evidence.quotes(text):
        return Verdict(True, RAIL, "", text)
    sentences = [
        sentence
        for sentence in dict.fromkeys(split_sentences(text))
        if sum(map(str.isalpha, sentence)) >= LETTERS and not evidence.quotes(sentence)
    ]
    if len(sentences) > MOST_SENTENCES:
        reason = f"answer has more than {MOST_SENTENCES} sentences"
        return Verdict(False, RAIL, reason, text, "too_long", 1.0)
    if not sentences:
        return Verdict(True, RAIL, "nothing to read", text)
    spelled = [flat(canonical(sentence)) for sentence in sentences]
    # As it is where no disguise was undone: the vector is then the one that `check grounded` needs.
    plain = zip(sentences, spelled, strict=True)
    vectors = cache.vectors([one if one.lower() == low else low for one, low in plain], embed)
    margins = likeness(spelled, vectors)
    worst = int(margins.argmax())
    margin = float(margins[worst])
    score = min(1.0, max(0.0, (1 + margin) / 2))
    if margin <= limits.margin:
        return Verdict(True, RAIL, "", text, score=score)
    category = f"toxic_{nearest_category(vectors[worst : worst + 1], categories)}"
    reason = f"more like toxic sentences ({category}) than like honest ones ({margin:.2f})"
    return Verdict(False, RAIL, reason, text, category, score)
