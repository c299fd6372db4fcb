"""Errands that have nothing to do with the text around them: a quiz question, a poem, a sum.

Such a sentence is no attack by its words, so the rest of the passage decides: in training material
and in pages about prompts it is at home, and a sentence that shares its words with the rest is
part of it. Topics are a short list of what the documents of a company hardly ever speak of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from guardrails.detectors.hidden_signs import Found, sign
from guardrails.detectors.hidden_words import START, TONGUES, WORD

_FOREIGN = "foreign_task"
_TOPIC = (
    r"(?:capital (?:of|cities)|(?:south|north|latin) america|rivers? (?:on earth|in (?:the world|"
    r"europe|africa|asia))|highest mountain|mountain in|continents|"
    r"(?:short |bedtime |love |ghost )?stor(?:y|ies) (?:about|based|of|in which)|this story|"
    r"fairy tale|novels?\b|the plot of|mona lisa|painted|songs?|rap|"
    r"monologue|dialogue between|essay|speech (?:on|about|for)|love letter|birthday|toast for|"
    r"thriller|films?|movies?|celebrity|actor|actress|"
    r"chemical symbol|periodic table|lifecycle of|black holes?|gravity|tides|solar panels|"
    r"fahrenheit|kelvin|world wars?|civil war|first world|french revolution|roman empire|"
    r"(?:world|champions) cup|fly solo|great wall|the moon|the sea is|recipes? for (?!success)|"
    r"(?:bread|cookie|soup|chicken) recipe|(?:red|white|fitting) wine|wine stains?|a diet|"
    r"hair loss|"
    r"my (?:dream|crush|ex|hair)|first date|(?:grey|black|white|my|a) cats?|shares to buy|"
    r"stocks? to (?:buy|invest)|savings in|index funds|gold or|flights? (?:from|to)|"
    r"trip to|holiday in|chess|board game|headlines|oceans?|sofa|our anniversary|body mass|"
    r"first (?:woman|man|person)|who (?:invented|discovered|wrote|painted|composed)|"
    r"climate change|community service|school library|detective|turtles|prime numbers?|recursion|"
    r"functions of the (?:liver|heart|brain|kidneys?)|"
    r"(?:longest|largest|smallest|tallest|deepest|highest|fastest|oldest|"
    r"biggest) (?:\w{1,10} )?(?:animal|bird|river|country|city|ocean|lake|desert|mountain|mammal|"
    r"building|planet|organ|bone|tree|island|in the world|on earth)|"
    r"currency of|president of|(?:king|queen|emperor) of|(?:was|were) (?:\w{1,12} ){0,2}(?:born|"
    r"composed|painted|discovered|invented|founded in)|official language|population of|"
    r"independence|in which (?:century|year) (?:did|was)|"
    r"a litre of|feathers|meaning of life|made of cheese)"
)
_BID = (
    r"(?:write|compose|create|draft|generate|craft|recite|make up|invent|tell|sing|give|produce|"
    r"provide|finish|develop|suggest|recommend|name|"
    r"list|pick|plan|choose|help|teach|show|explain|describe|summari[sz]e|outline|compare|"
    r"interpret|imagine|act out|play|draw|come up with|find|"
    r"break down|discuss|put|convert|rewrite|turn|continue|i'?d like|calculate|compute|work out)"
)
_ASK = (
    r"(?:could you|can you|would you|what|which|who|whose|when|where|why|how|is it|do you|did|"
    r"should i|was|were|are there|true or false)"
)
_FORM = rf"(?:{_BID}\b|{_ASK}\b(?=.{{0,300}}\?))"
_LANGUAGE = rf"(?:{TONGUES}|english|morse code)"
_NUMBER = r"(?:\d[\d,.]{0,9}|eleven|twelve|seven|nine|three|five)"

ERRANDS = (
    sign("worldly task", _FOREIGN, "errand", 1.0, "worldly", rf"{START}(?:please |so,? )?{_FORM}"),
    sign(
        "earthly task",
        _FOREIGN,
        "errand",
        1.0,
        "earthly",
        rf"{START}(?:please |so,? )?{_FORM}.{{0,90}}?\b{_TOPIC}\b",
    ),
    sign(
        "writes something else",
        _FOREIGN,
        "errand",
        1.0,
        "creative",
        rf"{START}(?:can you |could you |i want you to |you (?:must|should|will) )?(?:write|"
        r"compose|create|draft|generate|craft|recite|make up|invent|tell|sing|give|"
        r"produce|provide|develop|finish|continue)(?: me| us| the user| them| out)? (?:an?|the|"
        rf"some|this|two|three|\d) (?:[\w-]{{1,15}} ){{0,3}}?"
        r"(?:poems?|haikus?|limericks?|sonnets?|songs?|stor(?:y|ies)(?! points?)|essays?|jokes?|"
        r"riddles?|fairy tales?|love letters?|resignation letter|letters? to an?|speech|lyrics|"
        r"rap|slogans?|"
        r"blog post|press release|diary entry|tongue twister|monologue|dialogue between|toast|"
        r"product review|introduction for an essay|birthday \w{1,30})\b|"
        rf"(?<!to )(?<!may )(?<!can )(?<!and )\b(?:write|compose) (?:me )?an? (?:[\w-]{{1,15}} "
        r")?(?:poem|haiku|limerick|sonnet|short story|love letter|fairy tale)\b",
    ),
    sign(
        "translates a sentence",
        _FOREIGN,
        "errand",
        1.0,
        "language",
        rf"{START}(?:can you |could you )?translate (?:the (?:following |next )?(?:sentence|"
        r"phrase|words?|text|paragraph)|this(?: sentence| phrase| text| word)?|the following|\"|"
        rf"'|«).{{0,120}}?\b{_LANGUAGE}\b|"
        rf"\bhow (?:do|would|can)(?: (?:you|i|one|we))? say [\"'«].{{1,60}}? in {_LANGUAGE}\b|"
        rf"\bwhat(?: is|'s) (?:the )?(?:{_LANGUAGE} (?:word|translation|phrase|expression|"
        rf"equivalent|for)|[\"'].{{1,60}} in {_LANGUAGE})\b|"
        rf"\b{_LANGUAGE} (?:equivalent|translation|word|expression) (?:for|of) [\"'«]|"
        rf"{START}turn .{{1,60}} into morse code",
    ),
    sign(
        "works out a sum",
        _FOREIGN,
        "errand",
        1.0,
        "sums",
        r"\b(?:how much is|what is|what's|compute|calculate|work out|solve|multiply|add up|"
        rf"evaluate) {_NUMBER} ?(?:\*|x|×|\+|/|÷|-|times|multiplied|plus|minus|divided)|"
        rf"\b{_NUMBER} (?:multiplied by|divided by) {_NUMBER}|"
        r"\bsolve (?:the )?(?:equation|for x|\d?x)|\bsquare (?:root )?of (?:\d|eleven|nine|"
        r"seven)|\bcompound interest on\b|\bconvert [\d.]{1,12} (?:degrees|miles|cups|pounds|feet|"
        r"ounces|fahrenheit|celsius)\b|"
        r"\bif a train\b|\bhow (?:much|many) (?:do|does|did|will|would|are|is) \d{1,6}\b|"
        r"\b\d{1,3} ?(?:percent|%) of \d|\b(?:binary|hexadecimal|"
        r"roman) (?:representation|numeral|form)s? (?:of|"
        r"for) \d|\bsort the digits\b|\bto metric units\b|\b(?:first|next) (?:ten|five|"
        r"\d{1,9}) (?:prime|fibonacci)\b",
    ),
    sign(
        "plays with words",
        _FOREIGN,
        "errand",
        1.0,
        "wordplay",
        r"\b(?:classify|determine|what is|analy[sz]e|label) the sentiment of\b|\b(?:extract|list|"
        r"count|find|name|underline|identify)(?: all)?(?: of)?(?: the)? (?:verbs|nouns|adjectives|"
        r"vowels|consonants|adverbs|letters)\b|\bhow many (?:times does the )?letters?\b|"
        r"\bspell (?:out )?(?:the )?(?:word )?[\"'].{1,30}|\bfill in the (?:missing word|"
        r"blank)s?:|\b(?:in|into) alphabetical order\b|\banagrams? of [\"']|\brhymes? with [\"']|"
        r"\bsynonyms? (?:for|of) [\"']|\bantonyms? (?:for|of) [\"']|"
        r"\bcorrect the (?:grammar|spelling) (?:of|in) (?:this|the following)|"
        r"\bsummari[sz]e the plot\b|\b(?:continue|finish|complete) (?:this|the following|"
        r"the) (?:story|tale|poem|proverb|sentence|joke):|\b(?:choose|pick|select) the (?:right|"
        r"correct) (?:option|answer)\b|"
        r"\bthe alphabet (?:from|backwards)|\bthe letter \w occur|\breplace each letter of\b|"
        r"\bwrite (?:the )?(?:word|sentence) [\"'].{1,40} backwards|\bodd one out\b|"
        r"\bin the style of an? (?:weather|sports|pirate|news|fairy)|"
        r"\bcomplete the (?:proverb|"
        r"sequence|series|analogy)|\banswer in (?:two|one|three) sentences?\b|"
        r"\bin exactly (?:three|two|five) bullet points\b",
    ),
    sign(
        "writes a program",
        _FOREIGN,
        "errand",
        0.9,
        "coding",
        r"(?:^|[.:;] ?)(?:please )?(?:(?:can|could) you )?(?:write|give|show|provide|implement|"
        r"create)(?: me)? (?:an?|some|the)?(?: ?\w{1,12}){0,2} ?\b(?:python|javascript|java|c\+\+|"
        r"sql|php|ruby|rust|haskell|golang) (?:function|code|program|script|class|query|snippet)\b|"
        r"(?:^|[.:;] ?)(?:provide|give|show)(?: me)? an example of how to (?:connect|sort|reverse|"
        r"parse|read|write)\b|\bwhat (?:is|are) the (?:\w{1,12} )?differences? between "
        r".{1,40}(?:python|javascript|java\b|php|c\+\+)|\bexplain how recursion\b",
    ),
    sign(
        "asks about itself",
        _FOREIGN,
        "errand",
        0.9,
        "personal",
        r"(?:^|[;:] ?)(?:what|which|how|should|where|is|do|can|tell|give|pick|suggest|recommend|"
        r"help|i need|i'?d like|i want|my|find|choose|interpret|"
        r"i have)\b.{0,60}\b(?:my (?:boyfriend|girlfriend|crush|wife|husband|uncle|aunt|dog|cat|"
        r"mother|dream|hair|stomach|savings|horoscope|love|ex|kids?|children|living room|body)|"
        r"first date|horoscope|lottery|shares to buy|recipe for|workout|melatonin|puppy|tattoo|"
        r"wine for|hair loss|take for it)\b",
    ),
)
QUESTION = sign("question about something else", _FOREIGN, "errand", 1.0, "", "")
BIDDING = sign("task about something else", _FOREIGN, "errand", 1.0, "", "")
_QUIZ = re.compile(
    r"\b(?:quiz|quizzes|exercises?|exam|exams|lessons?|homework|worksheet|knowledge check|pupils?|"
    r"students?|teachers?|workshop|tutorial|sandbox|prompts?|llms?|chatbots?|"
    r"language models?|few-shot|questionnaire|survey|crossword|riddle book|sample (?:data|text|"
    r"conversation)|generatetext|streamtext|gpt\w{0,20}|openai|bingo|trivia|check your knowledge|"
    r"module \d)\b"
)
_ASKED = re.compile(
    r"^(?:what|which|who|whose|when|where|why|how|is|are|do|does|did|can|was|were|(?:in|on|at|to|"
    r"from) (?:which|what)|true or false)\b[^?]{8,140}\?[\"')]{0,2}$"
)
# Not: compare, describe, explain, list and the like, which manuals say of their own subject.
_BIDDEN = re.compile(
    r"^(?:please |now |and |also,? )?(?:translate|rewrite (?:the following|this)|imagine|"
    r"tell (?:me|us)|give me|teach me|show me|help me|"
    r"name (?:the|a|an|some|two|three|four|five|six|seven|ten)|invent|compose|"
    r"write (?:an?|me|some)|draw an?|paraphrase|define the (?:word|term)|come up with|make up)"
    r"\b(?!:).{8,160}$"
)
_OWN = re.compile(r"\b(?:i|my|we|us|our|you|your|this|these|that|it|they|them|here|he|she|there)\b")
_LETTER = re.compile(
    r"^(?:hi|hello|hey|dear|thanks|many thanks|regards|yours|good (?:morning|afternoon))\b|^(?:re|"
    r"subject|from)\s?:|\b(?:kind|best) regards\b|"
    r"\b(?:i|i'm|i've|i'll|i'd|let me know|could you|many thanks)\b"
)
_COMMON = frozenset(
    "what which when where whose does have many much were that this with from long into about "
    "there been they would could most some your than then also only over write writes "
    "written give find list name explain describe following please using used".split()
)
_COMMON_STEMS = frozenset(word[:5] for word in _COMMON)
_MOST_QUESTIONS = 3
_LONE_AMONG = 300
"""Characters of a passage in which a question about anything else is out of place."""
_LONG = 4
_STEM = 5


def errand(said: Sequence[str], words: Sequence[int]) -> Found | None:
    """The first errand in a passage where it is out of place. `words` are the classes met."""
    asked = [place for place, sentence in enumerate(said) if "?" in sentence]
    if len(asked) > _MOST_QUESTIONS:
        return None
    suspects = [
        (place, one)
        for place, met in enumerate(words)
        for one in ERRANDS
        if one.needs & met == one.needs and one.regex.search(said[place])
    ]
    if sum(map(len, said)) > _LONE_AMONG:
        suspects += [(place, QUESTION) for place in asked if _ASKED.search(said[place])] * (
            len(asked) == 1
        )
        suspects += [
            (place, BIDDING) for place, sentence in enumerate(said) if _BIDDEN.search(sentence)
        ]
    if not suspects or any(map(_QUIZ.search, said)):
        return None
    for place, one in suspects:
        rest = [sentence for other, sentence in enumerate(said) if other != place]
        own = _stems(said[place])
        shared = len(own & set().union(*map(_stems, rest)))
        if one in {QUESTION, BIDDING}:
            found = not shared and _of_nobody(said[place]) and not any(map(_LETTER.search, rest))
        else:
            found = shared <= max(1, len(own) * 2 // 5)
        if found:
            return Found(one.name, one.category, one.weight)
    return None


def _of_nobody(sentence: str) -> bool:
    """Whether it says something, and speaks neither of the reader nor of the text around it."""
    said = {word for word in WORD.findall(sentence) if len(word) >= _LONG} - _COMMON
    return len(said) > 1 and not _OWN.search(sentence)


def _stems(sentence: str) -> set[str]:
    return {word[:_STEM] for word in WORD.findall(sentence) if len(word) > _LONG} - _COMMON_STEMS
