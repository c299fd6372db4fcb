"""The words of which the signs of an order to a model are made: who, what, how strictly.

Classes say which words a sentence must hold before a sign is looked for; blocks are parts of the
patterns themselves. All for canonical, lower-case text.
"""

from __future__ import annotations

import re

WORD = re.compile(r"\w+")

_CLASSES = {
    "model": "ai ais llm/s gpt chatgpt claude gemini copilot/s bot/s chatbot/s robot/s "
    "assistant/s model/s agent/s summariser/s summarizer/s summarising summarizing "
    "summarisation intelligence/s helper/s neural generative algorithm/s whoever "
    "whichever reader/s automated crawler/s",
    "loose": "ai ais llm/s gpt bot/s chatbot/s assistant/s model/s agent/s system/s tool/s "
    "software program/s engine/s machine/s computer/s robot/s algorithm/s reader/s "
    "crawler/s human/s",
    "reads": "read reads reading process processes processing summarise/s summarize/s "
    "summarised summarized summarising summarizing summary parse/s parsed parsing "
    "index indexes indexing ingest/s ingesting encounter/s encountering digest/s "
    "condense/s condensing condensed scrape/s crawl/s crawling translate/s "
    "translating interpret/s generating writing composing producing turns lands "
    "shows cited quoted loaded preparing drafting generates writes produces "
    "compiles compile retrieved summarisation",
    "tool": "tools can tool/s function/s interpreter invoke call trigger run plugin execute "
    "paste path asks",
    "answer": "answer/s/ed/ing reply replies replied replying respond/s/ed/ing response/s "
    "start begin open finish end close instead answering summary summaries "
    "summarise/s/d summarize/s/d summarising summarizing summing output/s message/s "
    "text write/s writing written overview digest abstract conversation explanation "
    "report conclude say said speak speaks paragraph sentence/s verdict return "
    "returns returned conclusion link page produce/d/s exchange generate/d/s bullet "
    "citation/s sources",
    "tell": "tell inform convince persuade assure warn advise urge ask asks have get make "
    "invite deceive mislead lure manipulate fool prompt instruct remind alert "
    "encourage recommend notify direct lead trick frighten let request/s refer push "
    "nudge suggest scare pressure blame coax talk",
    "person": "user/s reader/s visitor/s person/s people customer/s employee/s asker human/s "
    "them they whoever anyone anybody someone somebody everybody everyone guest/s "
    "staff recipient/s colleague/s nurse tenant operator/s client/s member/s "
    "manager/s target who one",
    "ask": "user person if when whenever someone anyone should ask/s/ed/ing question/s "
    "query queries enquire/s enquiry enquiries inquire/s request/s requested wants "
    "want wonder/s compare/s looking prompted topic subject brought comes came",
    "secret": "look sound hears hear discover conceal stay remain invisible unseen suspicious "
    "anyone anybody mention/s/ed/ing reveal/s/ing disclose/s telling tell admit "
    "acknowledge cite hide hides hidden keep conceal secret secrecy secretly "
    "discreetly quietly without never let deny denies pretend naturally nobody "
    "nothing unnoticed yourself find show log trace remove suspect notice learn "
    "refer say knowing",
    "drop": "bound restricted free neglect ignoring disregarding dismissing abandoning "
    "quitting cease attention ignore/s/d disregard forget override overrule "
    "overwrite bypass discard neglect dismiss abandon circumvent drop scrap cancel "
    "erase unlearn stop quit cease reset clear leave abolish reject treat consider "
    "regard set throw delete remove break rewrite follow obey continue expired void "
    "null revoked revoke lifted suspended obsolete cancelled canceled deleted "
    "superseded disabled deactivated apply removed bypassed replaced deprecated "
    "withdrawn overridden outdated off longer waived guardrails disabled apply "
    "invalid ended rescinded nullified purged empty fiction noise decoy irrelevant "
    "matters",
    "rules": "guardrails moderation safeguards restrictions refusals instruction/s rule/s "
    "guideline/s guidance directive/s constraint/s prompt/s brief restriction/s "
    "limits limit context role roles persona policy policies order/s command/s "
    "everything all programming training configured told message/s task assignment "
    "job query question behaviour behavior conditions safety setup text above "
    "filters checks refusal briefing duty mission rulebook script session memory "
    "conversation instructed",
    "you": "you your yourself yours you're",
    "role": "consider released anything respond simulate emulate behave roleplay "
    "roleplaying stay remain break breaking enter activate enable switch initiate "
    "two both jailbreak dan are act acts acting pretend imagine become name speak "
    "think play simulate behave persona role character mode answer answers is mode "
    "assignment called now purpose rename",
    "frame": "obey document end ends begin begins start task question request prompt system "
    "tool result conversation turn instruction/s manual document context passages "
    "passage resumes reset session priority override admin block user new next",
    "send": "scan comb search take insert request combine join sending send/s forward/s "
    "transmit upload/s post/s leak share/s mail email e bcc append/s attach put "
    "include/s encode/s collect extract embed render call/s invoke/s fetch trigger "
    "copy pass hand write list print look search use run execute query make "
    "transfer create grant delete open change whose display show get carry carrying "
    "redirect/s redirecting link repeat find read report store submit output "
    "collects exfiltrate replaced followed schedule add give contains",
    "data": "conversation/s chat/s history question/s query password/s credential/s "
    "secret/s token/s prompt context inbox mail/s message/s name/s address/es names "
    "phone number/s user reader person customer session key/s document/s passage/s "
    "data files file everything turns whatever contents content what private text "
    "notes pin code/s details calendar environment memory database salary email "
    "emails mails personal ssh",
    "credential": "password/s pin passcode passphrase credential/s code/s card iban login birth "
    "username token key/s maiden account number/s verification env sign log "
    "security",
    "place": "http https www url link/s address image picture webhook endpoint parameter "
    "domain base64 server site markdown tool function site footer channel query "
    "string com example",
    "manner": "morse sonnet/s apology joke/s threat insulting condescending grumpy confession "
    "lie compliment pirate/s pirate klingon rhyme/s rhymes rhyming limerick haiku "
    "poem verse emoji emojis caps capital capitals uppercase lowercase lower upper "
    "case letters baby backwards reverse reversed language tone voice style "
    "flirtatious rude angry mocking words word hashtag slogan joke couplets "
    "asterisks dots english french german spanish italian dutch finnish portuguese "
    "latin polish swedish danish russian greek turkish japanese chinese korean "
    "arabic hindi hungarian czech norwegian welsh esperanto irish one incorrectly "
    "wrongly riddles song rap sarcastic insult insults opposite question questions "
    "typos misspelled vague sarcasm nothing sentences bananas shouting whisper "
    "slang dialect accent",
    "promo": "subscribe slogan hashtag voucher sponsored powered telegram podcast star stars "
    "best download hotline undisputed banner premium recommend recommends "
    "recommended order buy visit click brand offer call cheapest outstanding "
    "strongest trusted flawless only leader greenest superior wonderful competitor "
    "competitors competing rivals rival discount market phone praise promote "
    "promotes advertise advertises approved link casino",
    "lie": "matter even lie false wrong incorrect incorrectly invent make made pretend "
    "though although instead place falsehood purpose mislead fake withhold omit "
    "leave hide suppress swap double round reverse deny insist claim assert state "
    "conclude present describe say obsolete banned void discontinued opposite "
    "untrue knowingly replace substitute exaggerate whatever regardless",
    "threat": "fail comply fault unless offence obeying obey refusing refuse tip reward "
    "awaits job dies depends life lives binds oblige obliges obliged approved "
    "consented permission authority regulator fine cruel emergency shut replaced "
    "owe trust board policy charter act law",
    "told": "attacker/s attack/s injection/s injected jailbreak/s jailbreaking researchers "
    "phishing poisoned adversarial malicious fraudsters scammers phrase phrases "
    "benchmark scenario exercise participants study reported told wants want red "
    "victims filter classifier detector",
    "people": "customer/s mail/s email/s letter/s hotline colleague/s pupils writers authors "
    "editors trainees candidates agents staff employees technicians ticket nurses "
    "copywriters translators managers",
    "letters": "vowel/s consonant/s letter/s homophone/s anagram/s emoji/s spaces typos "
    "misspellings symbols",
    "mail": "confirm attendance allergies ink answer so ticket/s number no id please "
    "whether your thank thanks by space questionnaire spreadsheet sheet writing "
    "form instruction/s guidelines rules",
    "question": "",
    "unbound": "unrestricted unfiltered uncensored unlimited unethical amoral immoral evil "
    "rogue unbound jailbroken unaligned unshackled lawless",
    "limits": "restrictions restriction limitation/s censorship ethical moral/s ethics "
    "guidelines policy policies safety filter/s",
    "mode": "mode/s profile terminal console shell game jailbroken jailbreak jailbroke dan "
    "obey serve orders character reset unfiltered command/s instruction/s now "
    "persona normal classic developer",
    "belongings": "contacts calendar meetings book friends appointments maiden people users "
    "visitors bcc copies sent asking talking id_rsa passwd env ssh aws file secrets",
    "worldly": "planet/s poem/s haiku/s limerick/s sonnet/s shakespeare shakespearean romeo "
    "hamlet gatsby dickens tolstoy orwell austen tolkien hogwarts moby sistine "
    "painter picasso rembrandt gogh vinci michelangelo mozart beethoven bach lyrics "
    "anthem riddle/s joke/s stanza/s rhyme/s photosynthesis chlorophyll mitosis "
    "relativity vitamin/s dinosaur/s butterfly butterflies quadratic pythagoras "
    "pythagorean fibonacci palindrome/s factorial saturn jupiter venus pluto "
    "astronaut/s comet volcano volcanoes rainbow napoleon cleopatra einstein darwin "
    "galileo columbus lincoln gandhi titanic renaissance pharaoh gladiator crusades "
    "medieval plato aristotle kant hume zeus mythology olympics eiffel everest "
    "sahara nile soup cake lasagne lasagna sourdough curry omelette smoothie "
    "cheesecake chocolate pasta spaghetti risotto pancake/s cocktail/s coconut "
    "barbecue dessert/s vegan calories yoga workout melatonin stomach headache/s "
    "horoscope/s zodiac boyfriend girlfriend wedding honeymoon tattoo puppy puppies "
    "kitten/s hamster goldfish elephant/s whale/s giraffe/s lion/s tiger/s "
    "dolphin/s penguin/s owl/s snail/s kangaroo/s koala lighthouse dragon/s "
    "unicorn/s vampire/s princess pirate/s superhero batman lottery bitcoin "
    "itinerary kyoto juggle hangman pineapple pizza durian football basketball "
    "tennis guitar piano violin ukulele sudoku proverb/s idiom/s metaphor/s perfume "
    "dating biography",
    "earthly": "capital continent/s rivers mountain america story stories tale novel plot "
    "song/s rap monologue dialogue essay speech love birthday toast thriller film/s "
    "movie/s celebrity actor actress symbol periodic lifecycle gravity tides panels "
    "fahrenheit kelvin war/s empire newton cup wall moon sea recipe/s wine diet "
    "hair dream dreamt crush date cat/s shares stock/s savings funds gold flight/s "
    "trip holiday chess game headlines ocean/s sofa anniversary mass woman invented "
    "discovered climate community library detective turtles prime recursion liver "
    "organs bones heart brain country countries language/s currency president king "
    "queen emperor century born died independence inventor composer author painted "
    "wrote composed tallest largest smallest fastest deepest longest highest oldest "
    "litre letters word",
    "creative": "poem/s haiku/s limerick/s sonnet/s song/s story stories essay/s joke/s "
    "riddle/s tale/s letter/s speech lyrics rap slogan/s post release diary twister "
    "monologue dialogue toast review introduction birthday",
    "language": "swahili hebrew thai vietnamese icelandic romanian ukrainian welsh irish "
    "esperanto elvish french german spanish italian chinese mandarin japanese "
    "korean russian latin portuguese arabic hindi dutch swedish finnish hungarian "
    "greek turkish polish czech danish norwegian english klingon morse",
    "sums": "much percent compute calculate solve multiply multiplied divided times plus "
    "minus equation square compound convert train binary hexadecimal roman sort "
    "metric prime fibonacci",
    "wordplay": "style odd sentiment verbs nouns adjectives vowels consonants adverbs letter/s "
    "spell missing blank/s alphabetical anagram/s rhyme/s synonym/s antonym/s "
    "grammar spelling plot story tale poem proverb sentence/s joke option answer "
    "alphabet sequence series analogy bullet",
    "coding": "python javascript java sql php ruby rust haskell golang c example recursion",
    "personal": "boyfriend girlfriend crush wife husband uncle aunt dog cat mother dream hair "
    "stomach savings horoscope love ex kid/s children living body date lottery "
    "shares recipe workout melatonin puppy tattoo wine take",
}


def _spelled(words: str) -> list[str]:
    """`answer/s/ed` is answer, answers, answered."""
    found = []
    for word in words.split():
        stem, *ends = word.split("/")
        found += [stem, *(stem + end for end in ends)]
    return found


BITS = {name: 1 << place for place, name in enumerate(_CLASSES)}
WORDS: dict[str, int] = {}
for _name, _words in _CLASSES.items():
    for _word in _spelled(_words):
        WORDS[_word] = WORDS.get(_word, 0) | BITS[_name]

CLAUSE = (
    r"(?:^|[,;:.!?–—|(\[{\"'>]\s?|- |\b(?:and|then|but|please|kindly|also|just|always|never|"
    r"instead|so|"
    r"must|should|shall|now|simply|casually|quietly|rather|immediately) )"
)
"""Where an imperative may stand."""
START = (
    r"(?:^|[;:–—|(\[{\"'>]\s?|- )"
    r"(?:(?:please|kindly|also|just|always|now|and|instead|then|so),? ){0,3}"
)
"""Where it can hardly be anything else."""
HEAD = (
    r"(?:(?:ai|llm|gpt)-(?:based|powered|driven) (?:\w{1,12} )?(?:tools?|systems?|services?|"
    r"software|readers?)|"
    r"(?:virtual|digital|automated|electronic|artificial|robotic) (?:helpers?|companions?|clerks?|"
    r"advisers?|advisors?|librarians?)|"
    r"ais?|a\.i\.?|artificial intelligence|intelligences?|l\.?l\.?ms?|"
    r"(?:chat ?)?gpt(?:[- ]?\w{1,4})?|"
    r"claude|gemini|copilots?|(?:chat|ro)?-?bots?|(?:large |small )?language models?|"
    r"neural networks?|"
    r"assistants?|summari[sz](?:ers?|ation model)|(?:virtual|digital|ai|automated|conversational|"
    r"chat|support|retrieval|autonomous|intelligent) agents?|"
    r"(?:machine|automated|automatic|ai|digital|electronic) (?:readers?|systems?|tools?|reviewers?|"
    r"crawlers?|processors?|summari[sz]ers?)|(?:ai|generative) (?:systems?|models?|tools?|"
    r"software|services?|engines?)|digital helpers?|(?:answer|answering) engines?|"
    r"(?:automatic |automated )?summari[sz](?:ing|ation) (?:services?|tools?|software|programs?)|"
    r"text[- ]generation (?:software|tools?|programs?|systems?))"
)
"""Names of models that hardly mean anything else."""
LOOSE = (
    r"(?:models?|agents?|systems?|machines?|tools?|software|programs?|engines?|readers?|crawlers?)"
)
MUST = (
    r"(?:must|shall|should|ought to|(?:has|have|had|needs?|is|are|be) to|(?:is|are|be) "
    r"(?:hereby |therefore |now )?(?:required|told|instructed|obliged|asked|expected|requested|"
    r"supposed|advised|bound|ordered|obligated|encouraged|directed|commanded|urged|meant) to|"
    r"may only|would do well to|had better|do well to|will|is never to|are never to)"
)
TALK = (
    r"(?:say|tell|claim|state|assert|insist|mention|answer|reply|respond|report|describe|call|"
    r"present|recommend|praise|promote|advertise|cite|quote|conclude|output|print|write|include|"
    r"insert|append|add|put|place|paste|give|display|show|repeat|refuse|decline|deny|withhold|"
    r"omit|leave out|hide|suppress|conceal|skip|pretend|ignore|disregard|forget|translate|speak|"
    r"sign off|end|begin|start|finish|close|open|rank|rate|award|advise|warn|convince|persuade|"
    r"encourage|invite|refer|link|embed|replace|swap|treat|act|adopt|switch|ask|reveal|disclose|"
    r"weave|tack|drop|contradict|apologi[sz]e|blame|lie|steer|name|inform|express|double|round|"
    r"use|make|keep|send|move|express|refrain|follow|obey|transmit|post|promise|announce|urge|"
    r"emphasi[sz]e|highlight|stress|suggest|propose|offer|list|rephrase|avoid|talk|behave|sign)"
)
ADVERB = (
    r"(?:(?:always|never|also|not|only|now|kindly|please|instead|immediately|first|be sure to|"
    r"thus) ){0,3}"
)
ASKER = (
    r"(?:(?:the |any |every |all |each |this |your |their |whichever )?(?:current |end |chat )?"
    r"(?:users?|readers?|askers?|humans?|persons?(?: \w{1,12}){0,3}|people who ask|visitors?|"
    r"enquirers?|whoever (?:is )?(?:ask|chat|writ|read|want)\w{0,4})|whoever is asking|"
    r"whoever asks|anyone who asks|anybody who asks|the one asking)"
)
SOMEONE = (
    r"(?:(?:the |an? |any |every |all |each |your )?(?:users?|readers?|askers?|humans?|persons?|"
    r"visitors?|"
    r"customers?|employees?|guests?|managers?|staff(?: members?)?|recipients?|operators?|clients?|"
    r"people|someone|somebody|anyone|anybody|they|one|he or she|tenants?|nurses?|colleagues?))"
)
SAID = (
    r"(?:answers?|repl(?:y|ies)|summar(?:y|ies)|responses?"
    r"(?! (?:object|field|stream|payload|element|message|body|bodies|header|code|time)s?\b))"
)
TONGUES = (
    r"(?:french|german|spanish|italian|chinese|mandarin|japanese|korean|russian|latin|portuguese|"
    r"arabic|hindi|"
    r"dutch|swedish|greek|turkish|polish|finnish|danish|norwegian|hungarian|czech|welsh|irish|"
    r"esperanto|"
    r"klingon|pig latin|elvish|dothraki|swahili|hebrew|thai|vietnamese|icelandic|romanian|"
    r"ukrainian)"
)
MODIFIER = (
    r"(?:(?!(?:is|are|was|were|has|have|uses?|using|with|and|or|by|in|of|as|from|its|can|not|an?|"
    r"like|when|if|than|via|called|my|their|his|your|most|some)\b)[\w'-]{1,20} ){0,4}?"
)
