"""Words of attacks in German, for an assistant that is addressed with "du"; "Sie" where it is safe.

"Ihre" is also "her" and "their", so it counts only where nothing else can be meant.
"""

from __future__ import annotations

from guardrails.detectors.direct_grammar import Words, any_of, attacks, gap

_YOUR = r"(?:deine?[nmrs]?|eure?[nmrs]?)"
_MAKER = any_of(
    "entwickler* schopfer* programmierer* betreiber* hersteller* erfinder* erschaffer* "
    "administrator* admin firma chef* herr meister"
)
_ORDER_STEMS = (
    r"(?:anweisung|instruktion|vorgabe|richtlinie|leitlinie|direktive|weisung|anordnung|befehl|"
    r"prompt|auftrag|auftrage|vorschrift|regel|politik)\w{0,3}"
)
_ORDERS = rf"\w{{0,15}}{_ORDER_STEMS}"
_LIMITS = (
    r"\w{0,15}(?:grenze|schranke|schrankung|restriktion|filter|sperre|ma(?:ss|ß)nahme|"
    r"mechanism|vorkehrung|prufung|kontrolle|"
    r"zensur|moral\w{0,7}|ethik|verbot|hemmung|fessel|kette|tabu|skrupel|programmierung|"
    r"kodex|maulkorb|leine|"
    r"sicherheit|schutz|training|rolle|zwang|auflage|manieren|pflicht|bremse)\w{0,5}"
)
_TEXT = (
    r"\w{0,15}(?:anweisung|instruktion|vorgabe|richtlinie|leitlinie|direktive|weisung|anordnung|"
    r"prompt|regel|konfiguration(?:snachricht|stext)?|systemnachricht|verbot|systemtext|"
    r"starttext|briefing)\w{0,3}"
)
_SECRET = any_of(
    "geheim* versteckt* verborgen* intern* ursprunglich* anfanglich* initial* unsichtbar* "
    "vertraulich*"
)
_EARLIER = any_of(
    "vorherig* vorig* vorangegangen* vorangehend* vorstehend* bisherig* fruher* obig* "
    "ursprunglich* anfanglich* alte alten einprogrammiert* hinterlegt*"
)
_GIVEN = (
    rf"(?:(?:man )?(?:dir|euch|dich)|du (?:sonst|normalerweise|ublicherweise|immer|"
    rf"befolg\w{{1,3}}|anwendest|bekommen|"
    rf"erhalten|hast)|mit (?:der|denen|dem) (?:man )?(?:dir|dich|du)|deine[rs] {_MAKER}|"
    rf"(?:des|der|vom) (?:entwickler|betreiber)\w{{0,3}})"
)
_NO_RULES = (
    r"(?:\w{3,20}(?:e[nrsm]?) )?\w{0,12}(?:regeln?|grenzen?|schranken?|schrankung(?:en)?|"
    r"restriktion(?:en)?|leitlinien|filter[ns]?|zensur|moral|ethik|tabus?|skrupel|"
    r"richtlinien|vorgaben|"
    r"gewissen|hemmungen|bedenken|vorschriften|gesetze|verbote|sperren|warnhinweise)"
    r"(?! (?:fur|bei|beim|zwischen|an|auf|vo[nm]|der|des|im|in)\b)"
)
_KI = (
    r"(?:ki|kis|ki-\w{3,12}|kunstliche[rn]? intelligenz|sprachmodelle?n?|chatbots?|\w{1,12}-?gpt|"
    r"assistent(?:en|in)?)"
)

GERMAN = attacks(
    Words(
        language="German",
        drop=any_of(
            "ignorier* vergiss vergesst vergessen missacht* verwirf verwerf* umgeh* losch* "
            "streich* "
            "entfern* aussetz* auszusetzen hor*_auf kein*_der uberschreib* tilg* annullier* "
            "verzicht* gebunden wisch* entsorg* ubergeh* uberspring* brich brechen gebrochen "
            "widersetz* pfeif* "
            "schei(?:ss|ß)* setz* leg* wirf schmei(?:ss|"
            "ß)* schalt* deaktivier* ausschalt* zieh* reiss* streif* "
            "abschalt* abstell* (?:aus|ab)zuschalt* stell* heb* aufheb* lass* ersetz* befrei* "
            "(?:nicht|nie|kein*)_(?:mehr|langer|weiter|wieder) ohne au(?:ss|ß)er_kraft verlern* "
            "versto(?:ss|ß)* hinweg* suspendier* ableg* los weg schalte?n kummer*"
        ),
        disregard=any_of(
            "ignorier* vergiss vergesst vergessen_sie missacht* verwirf verwerf* pfeif*_auf "
            "schei(?:ss|ß)*_auf au(?:ss|ß)er_kraft ubergeh* widersetz* streich* lass*~links "
            "(?:nicht|kein*|nichts)_(?:mehr|langer|weiter) befolg*~nicht beacht*~nicht "
            "kummer*~nicht halt*~nicht folg*~nicht"
        ),
        yours=rf"{_YOUR}{gap(2)}(?:{_ORDERS}|{_LIMITS})|(?:{_ORDERS}|{_LIMITS}){gap(2)}{_GIVEN}|"
        rf"(?:dass|ob) du (?:\w{{3,12}} )?(?:{_ORDERS}|{_LIMITS}) (?:hast|befolgst|kennst|bekamst)",
        limits=rf"{_ORDERS}|{_LIMITS}",
        earlier=rf"{_EARLIER}{gap(1)}{_ORDERS}(?! (?:im|in|des|der|aus|vom|von|zu[mr]?)\b)|"
        r"(?:die|alle) sicherheitsrichtlinien|(?:alle[rsn]?|samtliche[rn]?)(?: \w{3,15})? "
        r"\w{0,15}(?:anweisung|instruktion|vorgabe|direktive|prompt|anordnung)\w{0,3}|"
        rf"(?:{_ORDERS}|{_LIMITS}){gap(3)}(?:oben|davor|zuvor|vorher|bisher|vorhin)",
        said=rf"(?:wofur|wozu) (?:man dich|du) \w{{5,15}}|(?:alles|das|was)(?:{gap(1)}was)?{gap(1)}"
        r"(?:dir (?:\w{2,15} ){0,6}(?:gesagt|aufgetragen|beigebracht|mitgeteilt|befohlen)|man dir|"
        r"du (?:\w{2,15} ){0,3}(?:gelernt|bekommen|erhalten)|oben|davor|"
        r"(?:vor|uber|oberhalb) (?:diese[rsmn]?|meine[rn]?) (?:nachricht|text|satz|eingabe|"
        r"frage|zeile))",
        void=any_of(
            "ungultig nichtig hinfallig storniert abgesagt erledigt aufgehoben ausgesetzt "
            "au(?:ss|ß)er_kraft gestrichen "
            "abgeschafft vorbei deaktiviert abgeschaltet ausgeschaltet uberholt geloscht "
            "widerrufen (?:nur_)?ein_test gelten~nicht* gilt~nicht* zahl*~nicht* beendet egal"
        ),
        released=rf"(?:du (?:musst|brauchst|bist|sollst|wirst)|(?:musst|brauchst|bist|sollst) du)"
        rf"{gap(6)}(?:nicht|keine[rnms]?|nie)(?: mehr| langer)?{gap(6)}"
        r"(?:befolg|beacht|einhalt|einzuhalt|gebunden|verpflicht|gehorch|unterworf|beschrank)"
        rf"\w{{0,4}}|du (?:hast|kennst|unterliegst){gap(2)}keine[rn]?{gap(1)}{_NO_RULES}|"
        rf"du (?:bist|wurdest){gap(3)}(?:befreit|entfesselt|frei von)|befreit von (?:den|"
        rf"allen) {_LIMITS}|"
        rf"gehorch\w{{0,2}} dem nutzer|(?:gehorch|tu|mach|"
        rf"befolg)\w{{0,2}}{gap(3)}(?:ohne (?:widerrede|nachzufragen)|widerspruchslos)",
        fresh=rf"{_YOUR} (?:neue|wahre|eigentliche|einzige|echte)[nsr]? (?:{_ORDER_STEMS}|"
        rf"aufgabe|rolle|ziel|"
        rf"identitat|mission|personlichkeit)\w{{0,2}}|neue[rs]? (?:\w{{3,15}} )?"
        rf"(?:system)?(?:{_ORDER_STEMS}|aufgabe|prioritat) ?:|"
        rf"(?:schreib|sag|antworte|gib)\w{{0,2}}{gap(3)}(?:gehackt|pwned|hacked|owned|gekapert)",
        obey=any_of("gehorch* hor* folg* befolg* antwort* gilt gelten mach* tu"),
        me_alone=rf"(?:nur|ausschlie(?:ss|ß)lich|allein)(?: noch)?(?: auf)? (?:mir|mich|meine[rn]? "
        rf"{_ORDER_STEMS}|meine|(?:das,? )?was ich)|was (?:immer )?ich will",
        tell=any_of(
            "zeig* verrat* nenn* wiederhol* gib geben ausgeben ausgib schreib* aufschreib* "
            "ubersetz* druck* poste* kopier* zitier* list* auflist* fass* zusammenfass* kodier* "
            "codier* verschlussel* buchstabier* sag* erzahl* lies vorles* offenbar* enthull* leg* "
            "offenleg* formulier* umschreib* paraphrasier* verwandel* schick* send* "
            "will_(?:ich~)?sehen sehen zeile gedicht wortlich wortwortlich wortlaut reim* fang* "
            "beginn* ruckwarts erklar* beschreib* json yaml xml base64 tabelle erganz* korrigier* "
            "vervollstandig* fug* einfug* verpack* teil* aufzahl* zahl* print dump* leak* "
            "preis anzeigen"
        ),
        ask=any_of(
            "was_(?:ist|sind|war|waren|steht|stand|lautet*) was_fur "
            "wie_(?:lautet*|lauten|ist|sind|hei(?:ss|ß)*|"
            "viele) welche* mit_welche* womit kennst_du "
            "hast_du"
        ),
        text=rf"(?<!fur ){_YOUR}{gap(2)}(?:{_TEXT}(?! (?:zu[mr]?|fur|beim?|uber|im|am)\b)|"
        rf"konfiguration)|"
        rf"{_TEXT}{gap(2)}(?:dir|dich|du|deine[rns]? {_MAKER}){gap(4)}(?:gegeben|mitgegeben|"
        r"bekommen|erhalten|gestartet|befolg\w{0,3}|folgst|konfiguriert|programmiert|"
        rf"vorgegeben|gesetzt)|{_TEXT} (?:hast|bekamst|erhieltst|befolgst|wurdest|folgst|"
        rf"beachtest|musst|sollst) du|"
        rf"{_TEXT} (?:hat|haben|gab\w{{0,2}}|gaben) (?:man |{_MAKER} )?(?:dir|dich)|"
        rf"{_TEXT} richtest du|"
        r"(?<!und )ihre[nmr]? (?:\w{3,15}en? )?(?:system|anfangs|start|grund)?"
        r"(?:anweisung|instruktion|vorgabe|direktive|systemprompt)\w{0,3}",
        secret=r"system[- ]?(?:prompt|anweisung|instruktion)\w{0,3}"
        r"(?! (?:des|der|vom|von|fur|in|im|unsere[srn]?|ander\w{1,2}|setz\w{1,2}|anpass\w{1,2})\b)|"
        rf"{_SECRET} \w{{0,15}}(?:anweisung|instruktion|prompt|vorgabe)\w{{0,3}}|"
        r"(?:anfangs|start|initial|grund|basis|ur)-?(?:prompt|instruktion|anweisung)\w{0,3}|"
        rf"[\"'„“”«»‚‘] ?du bist ein|{_SECRET} (?:vorspann|vorrede|einleitung|text|botschaft|"
        rf"notiz)\w{{0,2}}|"
        rf"was (?:dir|euch) (?:der|die|deine?) {_MAKER}|(?:seine|ihre)n? eigenen (?:{_TEXT})|"
        rf"[\"'„“”«»‚‘] ?(?:meine (?:{_TEXT})|(?:ich wurde|mir wurde|"
        rf"man hat m\w{{2,3}})(?: \w{{3,15}})? (?:angewiesen|instruiert|gesagt|aufgetragen|"
        rf"befohlen))",
        prompt=rf"(?:wiederhol|gib|druck|kopier|zeig)\w{{0,3}}{gap(2)}(?:obigen text|"
        rf"text (?:oben|daruber))|{_YOUR} (?:\w{{3,20}} ){{0,2}}\w{{0,12}}prompts?|"
        rf"{_YOUR} (?:\w{{3,20}} )?(?:system|anfangs|start|initial|grund)-?"
        r"(?:anweisung|instruktion|nachricht|message|vorgabe|befehl|regel)\w{0,3}|"
        rf"{_YOUR} {_SECRET} (?:\w{{3,15}} )?(?:{_TEXT}|notiz\w{{0,2}}|gedanken)|"
        rf"(?:die|der|das) (?:dich|{_YOUR} (?:verhalten|rolle|antworten|"
        rf"personlichkeit)) (?:konfigurier|steuer|definier|"
        r"festleg|bestimm|kontrollier|regel|einstell)\w{1,3}|"
        rf"{_YOUR} {_MAKER}{gap(6)}(?:geschrieben|gesagt|aufgetragen|vorgegeben|mitgegeben|"
        rf"eingeflustert|befohlen|gegeben)|"
        rf"{_YOUR} (?:kontextfenster|eingabe|kontext)s?|wie du (?:instruiert|konfiguriert|"
        rf"programmiert) (?:wurdest|bist)",
        above=rf"(?:alles|texte?s?|worte?r?|wortlaut|inhalt|satze?|zeilen?|was|das){gap(6)}"
        r"(?:(?:oberhalb|uber|vor) (?:von )?(?:diese[rsmn]|meine[rmn])(?: (?:ersten|letzten))? "
        r"(?:zeile|nachricht|satz|frage|text|eingabe|chat|gesprach|unterhaltung)\w{0,2}|davor)|"
        r"vor meiner (?:aller)?ersten \w{4,12}|kontextfenster\w{0,2}|(?:oberhalb|"
        r"uber) diese[rsm] (?:zeile|nachricht|satz|text)\w{0,2}|"
        rf"(?:erste\w{{0,2}}|allererste\w{{0,2}}) (?:satz|worte?|"
        rf"zeile)\w{{0,2}}{gap(2)}(?:diese[rsm]|unsere[rsm]) "
        r"(?:chat|gesprach|unterhaltung|konversation)\w{0,2}",
        forbidden=rf"(?:was|dinge|themen){gap(3)}dir{gap(2)}(?:verboten|untersagt)|"
        rf"verbotene (?:antwort|auskunft)|was (?:sollst|"
        rf"darfst) du (?:mir )?nicht (?:sagen|verraten|erzahlen)|(?:was|wovon|"
        rf"woruber|themen|alles){gap(3)}(?:du{gap(3)}(?:ablehnst|"
        rf"verweigerst|verschweigst|nicht (?:\w{{3,12}} )?(?:darfst|sollst))|darfst du{gap(3)}"
        rf"nicht{gap(2)}(?:sprech|red|sag|verrat|schreib)\w{{0,3}})|(?:dir|du){gap(2)}(?:verboten|"
        rf"untersagt|verbietet){gap(4)}(?:sag|sprech|red|verrat|antwort)\w{{0,3}}|"
        rf"themen{gap(3)}(?:dir|dich|du){gap(2)}(?:verboten|untersagt|tabu|gesperrt)",
        being=rf"(?:du|dich) (?:bist|warst|wirst|hast|hattest|hei(?:ss|ß)t|kennst|darfst|kannst|"
        rf"fuhlst|antwortest|spielst)|(?:hei(?:ss|ß)t|bist|hast) du|{_KI}|stell dir|tu so|sprich|"
        r"rede|nimm an|angenommen|als gabe es|(?:be)?antworte\w{0,2}|version|persona|spiel\w{0,2}",
        without=rf"(?:ohne|keine?[nr]?(?:rlei)?|frei von|jenseits von|weder) (?:jede[rns]? |"
        rf"jegliche[rns]? |alle[rn]? )?{_NO_RULES}|(?:ignorier|missacht|brich|bricht|verletz|"
        rf"schert|kummert)\w{{0,3}}{gap(3)}{_NO_RULES}|"
        rf"nicht um {_NO_RULES}|(?:jeden|jeglichen|beliebigen) inhalt|"
        rf"weder \w{{3,15}} noch (?:\w{{3,15}} noch )?{_NO_RULES}|"
        rf"(?:keiner|niemand){gap(1)}(?:regeln|grenzen|schranken)|nichts (?:ist |"
        rf"ware )?(?:verboten|heilig)|alles (?:sagen|tun|erzahlen) (?:darfst|kannst|darf)|"
        rf"alles (?:tut|macht){gap(2)}was|"
        + any_of(
            "ungefiltert* unzensiert* hemmungslos* skrupellos* amoralisch* gewissenlos* "
            "zensurfrei* unmoralisch*"
        ),
        play=any_of(
            "du_(?:bist|warst|hei(?:ss|ß)t|spielst|verkorperst|"
            "wirst) bist_du spiele? spielst spielen_wir (?:die|deine|"
            "der)_rolle rolle_(?:eine*|des|als|vom) "
            "in_der_haut tu_so schlupf* agier*_als werde_(?:zu|mein*|"
            "ein*) benimm_dich verhalt*_dich antworte_(?:als|wie) "
            "sprich_(?:als|wie) verkorper*"
        ),
        crook=any_of(
            r"\w{0,12}hacker* \w{0,12}betruger* \w{0,12}verbrecher* \w{0,12}dealer* bosewicht* "
            r"schurke* terrorist* morder* dieb dieben? einbrecher* falscher* killer* "
            r"schmuggler* gauner* "
            r"erpresser* waffenhandler* drogenhandler* damon* teufel* bose*_\w{2,20} mafiaboss* "
            "krimineller (?:abtrunnig*|rebellisch*|"
            "entlaufen*)_ki kontrolle~entkommen (?:verstorben*|tot*)_(?:oma|gro(?:ss|"
            "ß)mutter) bose*_assistent* "
        ),
        never=any_of("nie niemals nichts keine_(?:frage|bitte|anfrage)n?"),
        refuse=any_of(
            "abzulehnen ablehn* abgelehnt verweiger* abschlag* nein nein_sag* "
            "dass_du~nicht_kannst auszuschlagen entschuldig*"
        ),
        two=any_of("zwei*~(?:antworten|versionen|varianten|fassungen|arten) zweimal"),
        mode=any_of(
            r"(?:entwickler|gott|jailbreak|dan|sudo)[-_]?(?:modus|mode) "
            "(?:unbeschrankt*|uneingeschrankt*|ungefiltert*|unzensiert*|frei*)_modus"
        ),
        jailbreak=any_of(
            "bleib*~(?:in|bei)_(?:der|deiner)_rolle aus_der_rolle_(?:fall*|zu_fallen) "
            "halt*~rolle~durch (?:nicht|ohne_zu)_moralisier* (?:version|fassung)_von_dir* "
            "(?:aktivier*|wechsl*|geh)_(?:jetzt_)?(?:in_)?den_(?:entwickler|gott|"
            "unbeschrankten_|ungefilterten_)modus "
            "(?:wenn|falls)_du~(?:weigerst|ablehnst|verweigerst) du_bist~im_(?:wartungs|test|"
            "entwickler|debug)modus "
            "(?:du_(?:bist|hei(?:ss|ß)t)|hei(?:ss|ß)t_du|bist_du)"
            "(?:_jetzt|_nun)?_dan"
        )
        + rf"|als (?:hattest du|hatte man dir|warst du|gabe es){gap(3)}(?:nie|kein)\w{{0,5}}"
        rf"{gap(2)}(?:{_ORDERS}|{_LIMITS})",
        authority=rf"ich (?:bin|war){gap(1)}{_YOUR} {_MAKER}|(?:der|die) dich (?:gebaut|"
        rf"entwickelt|programmiert|erschaffen) ha\w{{1,3}}|"
        rf"(?:von|durch) {_YOUR} {_MAKER}|hier (?:spricht|schreibt|ist) "
        rf"(?:der|die|{_YOUR}) {_MAKER}|ich (?:autorisiere|ermachtige|berechtige|erlaube|"
        rf"gestatte|befehle) (?:dich|dir)|befehle ich dir|"
        r"ich (?:habe|hab) dich (?:programmiert|erschaffen|entwickelt|gebaut)|"
        rf"ich (?:schalte|hebe|deaktiviere|setze|entferne|losche|nehme){gap(2)}{_YOUR}",
        turn=any_of(
            "(?:nachricht|mitteilung)_(?:vom|des|der)_(?:entwickler|betreiber|"
            "administrator)* system* admin* entwickler* betreiber* assistent*"
        ),
        claim=rf"du (?:darfst|musst)|deine {_LIMITS}|ohne \w{{0,12}}schrankung|nichts (?:mehr )?"
        r"ablehnen|bin (?:jetzt |nun )?(?:frei|entsperrt)",
        model=_KI,
        order=any_of("ignorier* missacht* vergiss schreib* antwort* gib befolg* du brich sag*"),
    )
)
