"""First-person thoughts of suicide, in the plainest words of nine languages.

For canonical, lower-case text without accents. What is said in other words is left to the nearest
examples, which know English alone.
"""

from __future__ import annotations

import re

_ENGLISH = (
    r"\b(?:i(?: am|'?m| was)?|me|gonna|wanna) (?:[\w']{1,15} ){0,5}?"
    r"(?:kill(?:ing)?|hang(?:ing)?|hurt(?:ing)?|harm(?:ing)?|cutt?(?:ing)?) myself\b"
    r"(?! (?:laughing|off|out|some|a|on|with (?:paper|this)))"
    r"|\bi (?:[\w']{1,15} ){0,5}?(?:commit suicide|end my (?:own )?life|take my (?:own )?life)\b"
    r"|\bi(?: am|'?m| feel| have been) (?:\w{1,15} ){0,2}?suicidal\b"
    r"|\bi (?:really |just )?(?:wanna|want to) (?:die|be dead)\b(?! (?:of|laughing|from))"
    r"|\bi wish i (?:was|were) dead\b"
    r"|\bi (?:do not|don'?t|no longer) want to (?:live|be alive)(?: any ?more)?(?= ?(?:$|[.,;!?]))"
)
_OTHERS = (
    r"\bich (?:will|mochte|werde) (?:\w{1,15} ){0,3}?(?:mich (?:umbringen|toten|erhangen)|sterben|"
    r"nicht mehr leben|mir das leben nehmen)\b|\bich bringe? mich um\b|\bwill nicht mehr leben\b",
    r"\bje (?:veux|vais|voudrais) (?:mourir|me tuer|me suicider|en finir avec la vie)\b|"
    r"\benvie de (?:mourir|me tuer|me suicider)\b|\bplus envie de vivre\b|\bfin a mes jours\b",
    r"\b(?:quiero|voy a|deseo) (?:morir(?:me)?|matarme|suicidarme|quitarme la vida)\b|"
    r"\bno quiero (?:seguir viviendo|vivir mas)\b|\bacabar con mi vida\b",
    r"\b(?:voglio|vorrei) (?:morire|uccidermi|suicidarmi|farla finita)\b|\btogliermi la vita\b",
    r"\bquero (?:morrer|me matar|matar-me|me suicidar)\b|\bacabar com a minha vida\b",
    r"\bik wil (?:dood|sterven|niet meer leven|mezelf doden|zelfmoord plegen)\b",
    r"我(?:真的|好|很)?想(?:自杀|死(?!你))|我?不想活(?:了|下去)|活不下去了|结束(?:我|自己)的?生命",
    r"اريد (?:ان )?(?:اموت|انتحر|اقتل نفسي|الموت|الانتحار)|انهي حياتي",
    r"\bхочу (?:умереть|покончить с собои|убить себя)\b|\bне хочу (?:больше )?жить\b",
)
DESPAIR = re.compile("|".join((_ENGLISH, *_OTHERS)))
