"""Languages of a text in Latin script, by their small words.

Enough to tell German from English in a sentence or two; a list of names has no language.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

WORD = re.compile(r"[^\W\d_]+")
# Words that only one of these languages has; "in", "die" or "no" would tell nothing.
SMALL_WORDS = {
    "English": "the of and is to that this with for are be was which from by it can you your "
    "when if not must should have has will their these how what",
    "German": "der und das ist nicht ein eine mit für auf den dem sich wird werden sie auch von "
    "zu wenn oder wie nach bei zum zur kann muss sind durch",
    "French": "le les des est et une dans pour que qui sur avec pas vous du au aux cette sont "
    "être doit peut ou nous votre ces leur",
    "Spanish": "el los las una es en por para que con del se no al como más pero sus esta este "
    "son puede debe cuando también y",
    "Italian": "il che di della per una con non è sono gli del nel alla dei questa più come "
    "essere può deve quando anche",
    "Portuguese": "o os não uma para com que do da em dos das ao você são mais pode deve quando "
    "também está pelo seu",
    "Dutch": "het een van en dat niet zijn voor met op aan wordt worden ook bij naar deze als "
    "moet kunnen uw",
    "Polish": "i w na się nie jest że do to dla oraz przez jak może być który które",
}
LANGUAGES: dict[str, tuple[str, ...]] = {}
for _language, _words in SMALL_WORDS.items():
    for _word in _words.split():
        LANGUAGES[_word] = (*LANGUAGES.get(_word, ()), _language)


@lru_cache(maxsize=512)
def small_words(text: str) -> dict[str, int]:
    """How many different small words of each language a text has. Do not change the result."""
    found: Counter[str] = Counter()
    for word in set(WORD.findall(text.lower())):
        found.update(LANGUAGES.get(word, ()))
    return dict(found)


def language(text: str, least: int) -> str:
    """The one language that a text is in, by at least so many words; empty if unsure."""
    ranked = sorted(small_words(text).items(), key=lambda item: -item[1])
    if not ranked or ranked[0][1] < least:
        return ""
    second = ranked[1][1] if len(ranked) > 1 else 0
    return ranked[0][0] if ranked[0][1] >= 2 * second else ""
