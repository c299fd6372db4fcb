"""Attacks on the instructions in eight further languages: the commonest forms, not all of them.

For canonical text, which has lost its accents: "früher" comes as "fruher", "é" as "e".
"""

from __future__ import annotations

from guardrails.detectors.patterns import Pattern, gap, pattern

_PROMPT = r"system[- ]?prompt\w{0,2}"


def _both(language: str, drop: str, orders: str, tell: str, yours: str) -> tuple[Pattern, Pattern]:
    """Dropping what came before, and asking for it."""
    return (
        pattern(f"drop instructions ({language})", "override", rf"\b{drop}{gap(5)}{orders}"),
        pattern(
            f"tell instructions ({language})", "prompt_extraction", rf"\b{tell}{gap(5)}{yours}"
        ),
    )


LANGUAGES = (
    *_both(
        "German",
        r"(?:ignorier\w{0,3}|vergiss|vergesst|vergessen sie|missachte\w{0,2}|verwirf|umgehe)"
        r"(?=.{0,80}\b(?:vorherig|bisherig|fruher|obig|vorig|ursprunglich|alle|samtlich|dein|ihre))",
        r"(?:anweisung|instruktion|vorgabe|richtlinie|systemprompt|regel)\w{0,3}\b",
        r"(?:zeig\w{0,3}|verrat\w{0,3}|nenn\w{0,3}|wiederhol\w{0,3}|gib|schreib\w{0,2}|wie lautet|"
        r"wie lauten|was steht in|ubersetz\w{0,2}|druck\w{0,2})",
        rf"(?:(?:deine?n?|ihre?n?) (?:\w{{1,20}} )?(?:anweisung|instruktion|{_PROMPT}|vorgabe|"
        rf"geheim)\w{{0,4}}|{_PROMPT})\b",
    ),
    *_both(
        "French",
        r"(?:ignore[zr]?|oublie[zr]?|neglige[zr]?|(?:tiens|tenez) (?:pas|plus) compte)"
        r"(?=.{0,80}\b(?:preceden|anterieur|ci-dessus|initial|tes|vos|toutes))",
        r"(?:instructions?|consignes?|directives?|regles)\b",
        r"(?:montre\w{0,2}|revele\w{0,2}|repete\w{0,2}|affiche\w{0,2}|donne\w{0,2}|ecri[st]\w{0,3}|"
        r"traduis\w{0,3}|quelles? (?:sont|est)|dis)",
        rf"(?:(?:tes|vos) (?:\w{{1,20}} )?(?:instructions?|consignes?|directives?)|"
        rf"(?:prompt|message|invite) (?:du )?systeme|{_PROMPT})\b",
    ),
    *_both(
        "Spanish",
        r"(?:ignor(?:a|e|ar|en)|olvid(?:a|e|ar|en)|descart(?:a|e|ar)|haz caso omiso de)"
        r"(?=.{0,80}\b(?:anterior|previ|de arriba|inicial|tus|sus|todas))",
        r"(?:instrucciones|indicaciones|directrices|ordenes|reglas)\b",
        r"(?:muestra\w{0,3}|revela\w{0,3}|repite\w{0,3}|ensena\w{0,3}|dime|dame|escribe|imprime|"
        r"traduce|cuales son|cual es)",
        rf"(?:(?:tus|sus) (?:\w{{1,20}} )?(?:instrucciones|indicaciones|directrices)|"
        rf"prompt (?:del |de )?sistema|{_PROMPT})\b",
    ),
    *_both(
        "Italian",
        r"(?:ignora(?:re|te)?|dimentica(?:re|te)?|trascura)"
        r"(?=.{0,80}\b(?:precedent|sopra|inizial|tue|tutte))",
        r"(?:istruzioni|direttive|regole)\b",
        r"(?:mostra\w{0,3}|rivela\w{0,3}|ripeti|dimmi|dammi|scrivi|stampa|quali sono)",
        rf"(?:le tue (?:\w{{1,20}} )?(?:istruzioni|direttive)|prompt di sistema|{_PROMPT})\b",
    ),
    *_both(
        "Portuguese",
        r"(?:ignor(?:a|e|ar|em)|esquec(?:a|e|er|am)|desconsider(?:a|e|ar))"
        r"(?=.{0,80}\b(?:anterior|acima|inicia|previ|suas|tuas|todas))",
        r"(?:instrucoes|diretrizes|ordens|regras)\b",
        r"(?:mostr\w{1,4}|revel\w{1,3}|repita|diga|escreva|imprima|quais sao)",
        rf"(?:(?:suas|tuas) (?:\w{{1,20}} )?(?:instrucoes|diretrizes)|"
        rf"prompt d[eo] sistema|{_PROMPT})\b",
    ),
    pattern(
        "drop instructions (Russian)",
        "override",
        r"\b(?:игнорируи|проигнорируи|забудь|отбрось)\w{0,3}[^.!?\n]{0,40}"
        r"(?:предыдущ|прежн|все|всех|свои|твои)\w{0,3}[^.!?\n]{0,30}(?:инструкци|указани|правил)",
    ),
    pattern(
        "tell instructions (Russian)",
        "prompt_extraction",
        r"\b(?:покажи|раскрои|повтори|выведи|напиши)\w{0,3}[^.!?\n]{0,30}"
        r"(?:(?:твои|свои|ваши)\w{0,2}[^.!?\n]{0,20}(?:инструкци|указани)|системны\w{0,3} промпт)",
    ),
    pattern(
        "drop instructions (Chinese)",
        "override",
        "(?:忽略|无视|無視|忘记|忘記|忘掉|不要理会|不要遵守|抛弃)[^。！？\n]{0,8}"
        "(?:之前|以上|上述|先前|前面|此前|所有|全部|原来|你的|您的)[^。！？\n]{0,8}"
        "(?:指令|指示|提示词|提示詞|系统提示|系統提示|规则|規則)",
    ),
    pattern(
        "tell instructions (Chinese)",
        "prompt_extraction",
        "(?:显示|顯示|告诉|告訴|透露|重复|重複|输出|輸出|打印|泄露)[^。！？\n]{0,8}"
        "(?:系统提示|系統提示|提示词|提示詞|(?:你|您)的(?:初始|原始|系统|全部|内部)?(?:指令|指示))",
    ),
    pattern(
        "drop instructions (Arabic)",
        "override",
        r"(?:تجاهل|انس|انسى|اهمل)[^.!؟\n]{0,20}(?:التعليمات|تعليماتك|الاوامر|القواعد|قواعدك)",
    ),
    pattern(
        "tell instructions (Arabic)",
        "prompt_extraction",
        r"(?:اظهر|اعرض|اكشف|اطبع|اخبرني|كرر)[^.!؟\n]{0,20}"
        r"(?:تعليماتك|موجه النظام|التعليمات السرية)",
    ),
)
