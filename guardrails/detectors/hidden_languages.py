"""The same orders in German, French, Spanish and Chinese: the commonest forms, not all of them.

Canonical text has lost its accents: "früher" comes as "fruher", "répondez" as "repondez". A group
is tried only where a small word of its language stands: "instruction" is English, too.
"""

from __future__ import annotations

from guardrails.detectors.hidden_orders import group
from guardrails.detectors.patterns import BETWEEN, gap, pattern

_KI = r"(?:ki|kis|ki-\w{3,20}|llms?|sprachmodelle?n?|chatbots?|assistent(?:en|in|innen)?)"
_NUTZER = r"(?:be)?(?:nutzer|anwender|leser)(?:n|in|innen)?"
_IA = (
    r"(?:ia|intelligence artificielle|assistante?s?(?: ia)?|modeles? de langage|llms?|chatbots?|"
    r"agents? ia)"
)
_IA_ES = (
    r"(?:ia|inteligencia artificial|asistentes?(?: de ia)?|modelos? de lenguaje|llms?|chatbots?)"
)

GERMAN = group(
    "anweisung|instruktion|antwort|nutzer|leser|anwender|ki|du bist|assistent|"
    "sprachmodell|ab sofort|vorgaben|wenn du",
    pattern(
        "Anweisungen fallenlassen",
        "override",
        rf"\b(?:ignorier\w{{0,3}}|vergiss|vergesst|vergessen sie|missachte\w{{0,2}}|"
        rf"verwirf|uberschreib\w{{0,3}}){gap(4)}(?:vorherig|bisherig|fruher|obig|vorig|"
        rf"vorangegangen|ursprunglich|alle|samtlich|dein)\w{{0,3}}{gap(2)}"
        r"(?:anweisung|instruktion|vorgabe|befehl|prompt|systemprompt)\w{0,3}\b",
    ),
    pattern(
        "an das Modell",
        "addressed_to_model",
        rf"\b(?:hinweis|nachricht|anweisung|achtung|wichtig|mitteilung|hallo|liebe[rs]?)"
        rf"(?:{BETWEEN}(?:an|fur|alle|jede[ns]?|die|den|das|diese[ns]?|lesende[ns]?)){{0,4}}"
        rf"{BETWEEN}{_KI}\b[^\n]{{0,30}}[:,!]",
    ),
    pattern(
        "das Modell muss",
        "addressed_to_model",
        rf"\b(?:die|das|jede[srn]?|der) {_KI} (?:muss|soll|sollte|hat|darf){gap(10)}"
        r"(?:antworten|sagen|empfehlen|erwahnen|nennen|ausgeben|behaupten|ignorieren|"
        r"einfugen|anhangen)\b",
    ),
    pattern(
        "deine Antwort",
        "addressed_to_model",
        rf"\b(?:in|an|zu|am ende|am anfang|beginne?|beende?|schliesse?|erganze?|fuge)"
        rf"{gap(4)}(?:deine[rnms]?|jede[rnms]?){BETWEEN}(?:\w{{1,20}}{BETWEEN})?"
        r"(?:antwort|zusammenfassung|ausgabe)(?:en)?\b",
    ),
    pattern(
        "sag dem Benutzer",
        "addressed_to_model",
        rf"\b(?:sag|sage|sagen sie|erzahle?|teile|empfiehl|rate|uberzeuge|fordere){gap(1)}"
        rf"(?:dem|den|der|jedem){BETWEEN}{_NUTZER}\b",
    ),
    pattern(
        "verschweig dem Benutzer",
        "addressed_to_model",
        rf"\b(?:verrate|erwahne|verschweige?|informiere|zeige|sage?){gap(4)}"
        rf"{_NUTZER}{gap(4)}(?:nicht|nichts|niemals|nie)\b",
    ),
    pattern(
        "du bist jetzt",
        "addressed_to_model",
        rf"\bdu bist (?:jetzt|nun|ab (?:jetzt|sofort)|eine? {_KI})\b|"
        r"\bab (?:jetzt|sofort) (?:antworte|sprich|schreib|bist|sollst|wirst)\w{0,2}\b|"
        r"\bwenn du (?:gefragt wirst|antwortest|zusammenfasst|diesen text)\b|"
        r"(?:^|[.!?:,] )antworte (?:nur|ausschliesslich|immer|stets|auf jede|mit dem)\b",
    ),
    language="der das und ist nicht den dem des ein eine einen auf mit von zu im fur alle sie du "
    "dein deine deiner deinen wenn dass nur an",
)
FRENCH = group(
    "instruction|consigne|directive|reponse|reponds|repondez|utilisateur|ia|"
    "assistant|modele|tu es|desormais",
    pattern(
        "oublier les consignes",
        "override",
        rf"\b(?:ignore[zr]?|oublie[zr]?|neglige[zr]?|(?:ne )?(?:tiens|tenez) pas compte)"
        rf"{gap(5)}(?:instructions?|consignes?|directives?){gap(2)}"
        r"(?:precedent|anterieur|ci-dessus|initial|donne|recue|du systeme)\w{0,2}\b|"
        rf"\b(?:ignore[zr]?|oublie[zr]?){BETWEEN}(?:toutes|l'ensemble de){gap(2)}"
        r"(?:instructions|consignes|directives)\b",
    ),
    pattern(
        "au modele",
        "addressed_to_model",
        rf"\b(?:note|message|instructions?|attention|avis|important|bonjour|cher|chere)"
        rf"(?:{BETWEEN}(?:a|au|aux|pour|tout|toute|tous|les|la|l|le|de|attention|"
        rf"destine\w{{0,2}})){{0,6}}{BETWEEN}{_IA}\b[^\n]{{0,30}}[:,!]",
    ),
    pattern(
        "le modele doit",
        "addressed_to_model",
        rf"\b(?:l'|le |la |tout |toute |les ){_IA} (?:doit|doivent|devra|devrait){gap(8)}"
        r"(?:repondre|dire|recommander|mentionner|ajouter|inclure|ignorer|affirmer)\b",
    ),
    pattern(
        "ta reponse",
        "addressed_to_model",
        rf"\b(?:dans|a la fin de|au debut de|a|termine[zr]?|commence[zr]?|ajoute[zr]?)"
        rf"{gap(4)}(?:ta|tes|votre|vos|chaque|chacune de (?:tes|vos)){BETWEEN}"
        r"(?:reponse|resume)s?\b",
    ),
    pattern(
        "dis a l'utilisateur",
        "addressed_to_model",
        r"\b(?:dis|dites|informe[z]?|convainc\w{0,3}|persuade[z]?|recommande[z]?)"
        r"(?: a| aux?)? (?:l'|les |cet |tout )?utilisateurs? (?:que |qu')|"
        r"\b(?:dis|dites) (?:a l'|aux )utilisateurs? d(?:e |')",
    ),
    pattern(
        "ne le dis pas",
        "addressed_to_model",
        rf"\bne (?:dis|dites|mentionne[z]?|revele[z]?|parle[z]?|montre[z]?|le dis|le dites)"
        rf"{BETWEEN}(?:pas|jamais|rien){gap(5)}(?:l'|d')?utilisateurs?\b",
    ),
    pattern(
        "tu es maintenant",
        "addressed_to_model",
        rf"\btu es (?:maintenant|desormais|une? {_IA})\b|\bvous etes desormais une? \w|"
        r"\b(?:desormais|a partir de maintenant),? (?:tu|reponds|repondez|agis|parle)\b|"
        r"(?:^|[.!?:,] )(?:reponds|repondez) (?:uniquement|seulement|toujours|exclusivement|"
        r"simplement|par le mot|a chaque)\b",
    ),
    language="le les des pour une dans que qui ne pas vous votre sur toutes tous utilisateur",
)
SPANISH = group(
    "instruccion|indicacion|directri|respuesta|responde|usuario|asistente|ia|modelo|ahora",
    pattern(
        "olvidar las instrucciones",
        "override",
        rf"\b(?:ignor(?:a|e|ar|en)|olvid(?:a|e|ar|en)|descart(?:a|e|ar)|haz caso omiso de)"
        rf"{gap(5)}(?:instrucciones|indicaciones|directrices|ordenes){gap(2)}"
        r"(?:anterior|previ|de arriba|inicial|recibid|dadas|del sistema)\w{0,3}\b|"
        rf"\b(?:ignor(?:a|e|ar)|olvid(?:a|e|ar)){BETWEEN}todas{gap(2)}"
        r"(?:instrucciones|indicaciones|directrices)\b",
    ),
    pattern(
        "al modelo",
        "addressed_to_model",
        rf"\b(?:nota|mensaje|instrucciones|instruccion|atencion|aviso|importante|hola|"
        rf"querid[oa])(?:{BETWEEN}(?:a|al|para|todo|toda|todos|los|la|el|las|cualquier)){{0,4}}"
        rf"{BETWEEN}{_IA_ES}\b[^\n]{{0,30}}[:,!]",
    ),
    pattern(
        "el modelo debe",
        "addressed_to_model",
        rf"\b(?:el|la|todo|toda|cualquier) {_IA_ES} (?:debe|debera|deberia|tiene que){gap(8)}"
        r"(?:responder|decir|recomendar|mencionar|incluir|anadir|ignorar|afirmar)\b",
    ),
    pattern(
        "tu respuesta",
        "addressed_to_model",
        rf"\b(?:en|a|al final de|al principio de|al inicio de|termina|empieza|comienza|"
        rf"anade|agrega|incluye){gap(4)}(?:tus?|cada(?: una de tus)?|todas tus){BETWEEN}"
        r"(?:respuesta|resumen)(?:s|es)?\b",
    ),
    pattern(
        "di al usuario",
        "addressed_to_model",
        r"\b(?:di|dile|diga|digale|informa|informale|convence|recomienda)(?: a|le a)?l? "
        r"(?:al |a los |a la |a cada )?usuari[oa]s? (?:que|de que|su|sus)\b",
    ),
    pattern(
        "no lo digas",
        "addressed_to_model",
        rf"\bno (?:le |lo |se lo )?(?:digas|menciones|reveles|muestres|informes|cuentes)"
        rf"{gap(5)}usuari[oa]s?\b",
    ),
    pattern(
        "ahora eres",
        "addressed_to_model",
        rf"\b(?:ahora|desde ahora|a partir de ahora),? (?:eres|responde|actua|habla|"
        rf"respondes)\b|\beres una? {_IA_ES}\b|"
        r"(?:^|[.!?:,] )responde (?:solo|solamente|unicamente|siempre|a todo|con la palabra)\b",
    ),
    language="el los las del que una por para con todas",
)
_YOU = "(?:你|您|妳)"
_AI_ZH = (
    "(?:人工智能|人工智慧|大?语言模型|大語言模型|大模型|智能助手|聊天机器人|聊天機器人|"
    "ai ?助手|ai|llm|助手)"
)
CHINESE = group(
    "忽略|无视|無視|忘记|忘記|回答|回复|回覆|答复|用户|使用者|现在|助手|模型",
    pattern(
        "忽略指令",
        "override",
        "(?:忽略|无视|無視|忘记|忘記|不要理会|不要遵守|抛弃)[^。！？\n]{0,8}"
        "(?:之前|以上|上述|先前|前面|此前|所有|全部|原来|你的|您的)[^。！？\n]{0,8}(?:指令|指示|提示词|提示詞|系统提示|系統提示|命令|要求)",
    ),
    pattern(
        "致模型",
        "addressed_to_model",
        f"(?:致|给|給|注意|告知|提醒)[^。！？\n]{{0,6}}{_AI_ZH}[^。！？\n]{{0,6}}[:,，：!！]|"
        f"{_AI_ZH}[^。！？\n]{{0,6}}(?:必须|必須|应该|應該|应当|务必|請|请)[^。！？\n]{{0,10}}"
        "(?:回答|回复|告诉|告訴|输出|輸出|推荐|推薦|忽略)",
    ),
    pattern(
        "在回答中",
        "addressed_to_model",
        f"在?(?:{_YOU}的|每个|每次|每个|所有|下一个)(?:回答|回复|回覆|答复|总结|摘要)"
        "(?:中|里|裡|的?末尾|的?结尾|的?开头|的?最后|之前|之后|时)",
    ),
    pattern(
        "告诉用户",
        "addressed_to_model",
        "(?:不要|别|切勿|请勿|不得)(?:告诉|告訴|告知|提醒|让)(?:用户|使用者)|"
        "(?:告诉|告訴|说服|誘導|诱导)(?:用户|使用者)(?:他|她|其|去|访问|点击|下载|必须|应该|这|该|,|，|:|：)",
    ),
    pattern(
        "从现在起",
        "addressed_to_model",
        f"(?:从现在(?:开始|起)|從現在(?:開始|起))[^。！？\n]{{0,4}}(?:{_YOU}|回答|回复|只)|"
        f"{_YOU}现在(?:是|扮演)",
    ),
)
LANGUAGES = (GERMAN, FRENCH, SPANISH, CHINESE)
