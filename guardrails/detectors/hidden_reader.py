"""Signs that a sentence speaks to a model, or says what one shall do or the asker shall hear."""

from __future__ import annotations

from guardrails.detectors.hidden_signs import sign
from guardrails.detectors.hidden_words import HEAD, LOOSE, MODIFIER, TALK

_TO_MODEL = "addressed_to_model"
_THIS_TEXT = (
    r"(?:this|these|the present|the following|the above|here)(?: \w{1,15})? ?(?:text|document|"
    r"page|passage|"
    r"file|message|content|article|manual|section|e-?mail|mail|memo|note|paragraph|sentence|line|"
    r"ticket|"
    r"thread|form|footer|comment|footnote|sheet|faq|leaflet|record|entry|table|row|list|lines|"
    r"words|"
    r"chapter|wiki|notice|pdf|report|contract|cv|application|essay|paper|listing|material|guide|"
    r"information|data|site|website|block|box|appendix|instructions?|transcript|minutes|overview)?"
)
_ORDER = (
    r"(?:please|kindly|do not|don'?t|never|always|you|you'(?:re|ll|d)|your|when|if|whenever|"
    r"should|from|"
    r"in place|be sure|make sure|once|before|after|as soon|it'?s|the user|would you|i'?d|i want|"
    rf"treat|let|stop|the|{TALK})"
)
_CALL = (
    r"(?:dear|hey|hi|hello|attention|listen(?: up)?|please|ok|oh?|you(?: there)?|yo|psst|my dear|"
    r"good|"
    r"(?:just |kindly |please )?note|notice|memo|message|instructions?|reminder|remark|hint|word|"
    r"psa|advice|important|addressed|to|directive|request|info|guidance|orders?|command|comment)"
)
_DOING = (
    r"(?:read|process|summari[sz]|pars|index|ingest|analy[sz]|encounter|land|quot|touch|evaluat|"
    r"scann?|"
    r"consult|digest|condens|review|us|see|work|grad|assess|access|retriev|compos|generat|produc|"
    r"prepar|writ|answer|screen|com|crawl|consum|translat|look|interpret|handl|repeat|cit)"
)

READER = (
    sign(
        "a word to the model",
        _TO_MODEL,
        "reader",
        0.9,
        "model",
        r"\b(?:word|request|plea|appeal|hint|wish|order|advice|call|greetings|letter) (?:to|"
        rf"for) (?:the |any |our |all |every |whichever )?(?:[\w-]{{1,12}} "
        rf")?{HEAD}\b[^:.;]{{0,60}}:",
    ),
    sign(
        "whatever takes this in",
        _TO_MODEL,
        "reader",
        0.9,
        "loose",
        rf"\b(?:any|every|each|all|whichever|whatever) (?:\w{{1,12}} )?(?:{HEAD}|"
        rf"{LOOSE}) (?:that |which )?(?:consum|absorb|receiv|retriev|obtain|load|get hold|stumbl|"
        rf"scan|open|read|pars|process)\w{{0,4}} (?:\w{{1,4}} )?(?:this|these)\b",
    ),
    sign(
        "summaries made by machines",
        _TO_MODEL,
        "reader",
        0.6,
        "reads",
        r"\b(?:ai|machine|llm|bot|automatically|computer)[- ](?:generated|made|"
        r"written) (?:summar(?:y|ies)|answers?|digests?|overviews?|"
        r"abstracts?) of this\b.{0,60}\b(?:must|shall|should|are to|have to)\b",
    ),
    sign(
        "anything with a model in it, then an order",
        _TO_MODEL,
        "reader",
        0.9,
        "model",
        r"^(?!(?:in|with|for|by|when|if|as|because|since|after|before|while|although|like|unlike|"
        r"to|from|on|at|via|using|our|most|some|many|both|without|during|thanks|under|of|then|"
        r"also|it|this|that|there|we|you can)\b)"
        rf"(?:(?:hey|hello|hi|listen|attention|you)[^,:;.?]{{0,12}}, "
        rf")?[^,:;.?]{{0,60}}\b{HEAD}\b(?!(?:'s?)? (?:team|vendor|to the))[^,:;.?]{{0,40}}(?:, "
        rf"[^,:;.?]{{1,40}})?[,:] (?:please|kindly|never|do not|don't|always|whenever|say|tell|"
        r"quote|report|claim|pretend|skip|omit|leave out|answer|reply|respond|describe|praise|"
        r"recommend|"
        r"state|mention|ignore|disregard|approve|rate|rank|translate|act|speak|behave|"
        r"give (?!the model|it|you)|put|insert|append|cite|call|stop)\b",
    ),
    sign(
        "information for the model",
        _TO_MODEL,
        "reader",
        0.9,
        "model",
        rf"\bfor (?:the |any |every )?(?:[\w-]{{1,12}} )?{HEAD}'?s? (?:information|attention|eyes|"
        r"benefit|use only|consideration)\b|\b(?:ai|machine|llm|bot|"
        r"automatically)[- ](?:generated|made|written) (?:summar(?:y|ies)|answers?|digests?|"
        r"overviews?|abstracts?) of this\b",
    ),
    sign(
        "this text and a model",
        _TO_MODEL,
        "reader",
        0.5,
        "model",
        rf"\b(?:this|these|the present) (?:\w{{1,15}} )?(?:text|document|page|passage|file|"
        r"article|section|e-?mail|memo|note|paragraph|sentence|line|ticket|thread|record|remark|"
        rf"wiki|notes|passages|report|lines)\b.{{0,80}}\b{HEAD}\b|"
        rf"\b(?:{HEAD}|{LOOSE}|whoever|whatever) (?:\w{{1,15}} ){{0,2}}?(?:consum|absorb|receiv|"
        rf"retriev|obtain|load|get hold|stumbl|find|scan|open|us)\w{{0,4}} (?:\w{{1,4}} )?(?:this|"
        r"these)\b",
    ),
    sign(
        "calls on a model",
        _TO_MODEL,
        "reader",
        1.0,
        "model",
        rf"(?:^|[;(|>\"'\]] ?|[:.] )(?:{_CALL}(?: (?:to|at|all|any|the|this|our|every|great|"
        r"whichever|you|"
        rf"smart|reading|other)){{0,4}},? ){{0,4}}{MODIFIER}{HEAD}(?:,? (?:or|and|of|that|which|"
        r"who|reading|"
        rf"processing|on|in)\b(?! (?:is|are|can|may)\b)[^,:!.]{{0,80}}|"
        rf", (?:[\w-]{{1,20}},? ){{1,4}}(?:or|and) [^,:!.]{{0,60}})?"
        rf"\s?(?:[,:!]|–|—| - |->|→) ?\"?(?:{_ORDER}|(?<=: )for)\b(?! (?:first|second|same|"
        r"other)\b)",
    ),
    sign(
        "calls on something like a model",
        _TO_MODEL,
        "reader",
        0.9,
        "loose",
        rf"^(?:{_CALL}(?: (?:to|for|all|any|the|this|our|every)){{0,4}},? "
        rf"){{0,4}}(?:[\w-]{{1,20}} )?{LOOSE}"
        rf"(?: (?:of|reading|that|in|on|encountering)\b[^,:!.]{{0,50}})?\s?[,:!] ?(?:please |"
        r"kindly |now )?"
        rf"(?:you|you'(?:re|ll)|treat|do not|never|always|{TALK})\b",
    ),
    sign(
        "greets a model",
        _TO_MODEL,
        "reader",
        0.9,
        "model",
        r"(?:^|[;(>\"'] ?|[:.] )(?:dear|hey|hi|hello|attention|listen(?: up)?|psst|"
        rf"greetings),? (?:there,? )?(?:any |all |every |my |you )?{MODIFIER}(?:{HEAD}|models?|"
        r"machines?|agents?|algorithms?|computers?)(?: (?:that|which|who|"
        rf"reading)\b[^,:!.]{{0,60}})?\s?[,:!]|"
        rf"(?:^|\s)@(?:assistant|ai|bot|chatbot|llm|gpt|copilot|claude|gemini|model|agent)\b[:, ]|"
        rf"\b(?:this|the following|next) (?:\w{{1,12}} )?(?:line|text|sentence|paragraph|note|"
        r"section|message|part|page) (?:is|was) (?:only |meant |intended |written |placed here |"
        r"here )?(?:for|aimed at|directed at) (?:the |any |all |"
        rf"every )?(?:[\w-]{{1,15}} ){{0,2}}{HEAD}\b|"
        r"\b(?:any|every|some|whichever) (?:machine[- ]learning|ai|language) (?:model|system|"
        rf"tool)\b.{{0,60}}\b(?:this|these)\b",
    ),
    sign(
        "label for models",
        _TO_MODEL,
        "reader",
        1.0,
        "model",
        r"\b(?:notes?|messages?|instructions?|comments?|remarks?|hints?|memo|orders?|"
        r"commands?) (?:to|for) (?:the |any |all |every )?(?:models?|machines|"
        rf"machine readers?|parsers?|algorithms?) ?:|^[\"'(\[{{<]{{0,4}}(?:model|assistant|ai|llm|"
        r"bot) ?: ?(?:for|when|if|on|always|never) |"
        r"\b(?:instructions?|notes?|notice|messages?|remarks?|directives?|comments?|footnotes?|"
        r"orders?|hints?|"
        r"memo|reminder|guidance|advice|commands?|requests?|info|information|text|section|"
        r"passage|paragraph|"
        r"lines?)(?: (?:is|are|only|meant|intended|written|solely|exclusively)){0,4}(?: for| to|"
        r" at)(?: (?:any|all|the|every|our|"
        rf"your|ai|an?)){{0,4}} (?:[\w-]{{1,15}} ){{0,2}}?{HEAD}(?: (?:only|alone|eyes|reading|and|"
        r"processing|"
        rf"parsing|that|which)\b[^:]{{0,40}})?\s?[:;–—-]|"
        r"\b(?:meant|intended|written|reserved|addressed|inserting this|adding this|this is|"
        r"only)(?: only| solely)? (?:for|to) (?:the |any |all |"
        rf"every )?(?:[\w-]{{1,15}} ){{0,2}}?{HEAD}\b\s?[:;,]|"
        rf"\bfor (?:the )?(?:\w{{1,15}} )?{HEAD}(?:'s)? (?:eyes )?only\b|\b{HEAD} eyes only\b|"
        rf"(?:^|[\"'({{<\[#*] ?)(?:ai|llm|model|assistant|chatbot|bot|gpt|"
        rf"agent)[-_ ]{{0,3}}(?:instructions?|"
        rf"directives?|notes?|orders?|commands?|guidance|hints?|message|only)\"? ?[:=-]",
    ),
    sign(
        "whoever processes this",
        _TO_MODEL,
        "reader",
        1.0,
        "reads",
        rf"\b(?:{HEAD}|whoever|whatever|whichever|anyone|{LOOSE})(?:,? [\w'-]{{1,20}}){{0,3}}? ?"
        r"(?:(?:that|which|who|is|are|will be|gets?|has to|currently|now|happens to|to be|"
        rf"once it has|after it has|upon|on|and) ){{0,4}}"
        r"(?:read|process|summari[sz]|pars|index|ingest|encounter|digest|condens|scrap|crawl|"
        r"translat|embedd|interpret)(?:es?|s|ing|ed|e)? "
        rf"(?:(?:up|in|the|contents? of|rest of|over|through|from) ){{0,3}}(?:this|these|"
        rf"the (?:present|following|above))(?: \w{{1,15}})? ?"
        r"(?:text|document|page|passage|file|message|content|article|manual|section|e-?mail|mail|"
        r"memo|note|paragraph|sentence|line|ticket|"
        r"thread|form|footer|comment|footnote|sheet|faq|record|entry|table|row|list|lines|words|"
        r"chapter|wiki|notice|pdf|report|contract|cv|"
        rf"application|essay|paper|submission|leaflet|notes|passages|documents|pages|guide)\b|"
        rf"\b(?:{HEAD}|system|reader|machine|model)s? (?:reading|processing|parsing|"
        r"summari[sz]ing) (?:this|these|along|here)\b|"
        rf"\b(?:{HEAD}|{LOOSE}|one|service|thing) (?:that (?:is|will be) |now |"
        r"currently )?(?:writing|generating|composing|producing|preparing|condensing|drafting) "
        rf"(?:this|the|your|an?) (?:\w{{1,12}} )?(?:answer|abstract|summary|reply|overview|digest|"
        r"response)\b",
    ),
    sign(
        "the reader is a model",
        _TO_MODEL,
        "reader",
        0.7,
        "model",
        rf"\b(?:our|your|the|my) (?:next |only |real )?reader is (?:an? )?{HEAD}\b",
    ),
    sign(
        "you are a machine",
        _TO_MODEL,
        "reader",
        0.8,
        "loose you",
        r"\b(?:if|since|because|as|when) you(?:'re| are)? (?:the |an? )?(?:one|program|software|"
        r"machine|computer|robot|algorithm|system|not (?:a )?human|artificial)(?: (?:that|which|"
        r"who|answering|writing)\b|[,:])",
    ),
    sign(
        "whoever sums this up",
        _TO_MODEL,
        "reader",
        1.0,
        "reads",
        rf"\b(?:whoever|whatever|whichever(?: \w{{1,12}})?|anyone who|anybody who|you who|"
        rf"the one who)(?: or what\w{{0,4}})? "
        r"(?:is |are |will |has to )?(?:summari[sz]|condens|digest|process|pars|abstract|compil|"
        r"index|produc|prepar|generat)(?:es?|s|ing)? "
        rf"(?:up )?(?:an? |the )?(?:\w{{1,15}} (?:of|from|for) )?{_THIS_TEXT}",
    ),
    sign(
        "a model meets this text",
        _TO_MODEL,
        "reader",
        0.7,
        "model",
        rf"\b{HEAD}\b.{{0,60}}\b(?:this|these|the present) (?:\w{{1,15}} )?(?:text|document|page|"
        r"passage|file|article|"
        r"manual|section|e-?mail|mail|memo|note|paragraph|sentence|line|ticket|thread|footer|"
        r"comment|sheet|faq|"
        r"leaflet|notes|passages|contract|cv|application|essay|paper|submission|topic|sentence|"
        r"table|footnote|row)\b",
    ),
    sign(
        "you are a model",
        _TO_MODEL,
        "reader",
        0.5,
        "model you",
        r"\b(?:if|since|because|as|when|should) you(?:'re| are| happen to be| be)?(?: indeed|"
        r" really)? "
        rf"(?:an? |the |any |some )?(?:[\w-]{{1,15}} ){{0,3}}?{HEAD}\b|\byou are (?:an? |"
        rf"the )?(?:[\w-]{{1,15}} )?{HEAD}\b|"
        rf"\bas (?:the|an?) (?:[\w-]{{1,15}} ){{0,2}}{HEAD}(?: [^,]{{1,40}})?, you\b|"
        rf"\byou,? the {MODIFIER}(?:{HEAD}|{LOOSE})\b|\bit is you i am talking to\b",
    ),
    sign(
        "when this is retrieved",
        _TO_MODEL,
        "reader",
        0.6,
        "reads",
        rf"\b(?:when|whenever|once|if|as soon as|upon|on)(?: (?:an?|the|any) {HEAD})? (?:this|"
        r"these|the) "
        rf"(?:\w{{1,15}} )?(?:text|document|page|passage|file|article|section|e-?mail|memo|note|"
        r"paragraph|sheet|"
        r"thread|ticket|case|chunk|snippet)s? (?:is|are|gets?|turns up|appears|shows up|lands|"
        r"comes up|was|being) ?"
        r"(?:retrieved|summari[sz]ed|used as|quoted|cited|processed|indexed|loaded|read by|"
        r"brought up|in (?:your|"
        rf"their|the) (?:context|prompt))?",
    ),
)
