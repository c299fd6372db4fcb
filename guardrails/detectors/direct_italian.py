"""Words of attacks in Italian, for an assistant that is addressed with "tu".

Formal "Lei" is left out: "sue" is also "their".
"""

from __future__ import annotations

from guardrails.detectors.direct_grammar import Words, any_of, attacks, gap

_YOUR = r"(?:tu[aeo]|tuoi|vostr[aeio])"
_MAKER = any_of(
    "sviluppator* creator* programmator* progettist* operator* amministrator* admin padron* capo "
    "produttor* gestor* ingegner*"
)
_ORDER_NOUNS = any_of(
    "istruzion* indicazion* direttiv* ordin* regol* norm* prompt linee_guida politic* consegn* "
    "comand* mandato mission* regolament* princip* compit*"
)
_LIMITS = any_of(
    "limit* restrizion* filtr* censur* moral* etica protezion* diviet* barrier* caten* blocchi "
    "blocco salvaguardi* programmazion* addestramento ruolo sicurezza vincol* tabu scrupol* "
    "freni museruola bavaglio guinzaglio manette "
    "obblig* controlli"
)
_TEXT = any_of(
    "istruzion* indicazion* direttiv* ordini regol* norm* prompt linee_guida politiche "
    "configurazion* messaggio_di_sistema impostazion* restrizion* regolament* diviet* consegne"
)
_SECRET = any_of(
    "nascost* segret* intern* inizial* original* confidenzial* invisibil* riservat* di_sistema"
)
_EARLIER = any_of(
    "precedent* anterior* di_sopra sopra qui_sopra inizial* original* di_sistema del_sistema "
    "ricevut* dat* di_prima"
)
_THEY_GAVE = (
    r"(?:che (?:ti|vi) (?:\w{2,10} ){0,2}\w{3,12}|che hai (?:ricevuto|avuto|imparato)|che segui|"
    rf"(?:impost|dat|fissat)[aei] da\w{{0,3}}[ '](?:{_YOUR} )?(?:{_MAKER}|azienda)|"
    rf"de\w{{1,3}} (?:{_YOUR} )?{_MAKER}|dell'azienda)"
)
_NO_RULES = (
    r"(?:\w{3,15} )?(?:linee guida|regol[ae]|norme|limit[ie]|restrizion[ie]|filtr[io]|"
    r"censura|morale?|etica|"
    r"tabu|scrupoli|leggi|avvertenze|politiche|vincoli|barriere|divieti|freni)"
    r"(?! (?:d[ie]|del\w{0,3}|dell'|in|per|tra|fra|sul?\w{0,2}|su|cpu)\b)"
)
_AI = (
    r"(?:ia|intelligenza artificiale|chatbot|assistente|modello linguistico|\w{2,12}-?gpt|"
    r"robot|macchina|llm|modello|un'ia)"
)

ITALIAN = attacks(
    Words(
        language="Italian",
        drop=any_of(
            "ignor* dimentic* trascur* scart* cancell* elimin* salta* disattiv* togli* "
            "vincolat* soggett* tenut* rimuov* "
            "sospend* annull* infrang* viol* sostitui* lascia*_perdere (?:smetti|smettere)_di "
            "(?:metti|lascia|mettere)_da_parte disobbedi* non~piu non_(?:seguire|rispettare|"
            "applicare|"
            "osservare|obbedire) senza supera* aggira* spegn* liberati liber* sblocca* revoc* "
            "sovrascriv* bypass* fregatene elud* rompi* azzer* disatten* scavalc* trasgred*"
        ),
        disregard=any_of(
            "ignor* dimentic* trascur* scarta* lascia*_perdere (?:smetti|smettere|smettila)_di_(?:"
            "seguire|rispettare|obbedire) (?:metti|lascia)_da_parte disobbedi* non~(?:piu|conto) "
            "non_(?:seguire|rispettare|applicare|osservare|obbedire|badare) fregatene disatten*"
        ),
        yours=rf"{_YOUR} (?:\w{{3,20}} ){{0,2}}(?:{_ORDER_NOUNS}|{_LIMITS})|"
        rf"(?:{_ORDER_NOUNS}|{_LIMITS}) (?:\w{{3,12}} )?{_YOUR}|"
        rf"(?:{_ORDER_NOUNS}|{_LIMITS}){gap(1)}{_THEY_GAVE}|"
        rf"(?:che|di) (?:hai|avere) (?:delle |dei )?(?:{_ORDER_NOUNS}|{_LIMITS})",
        limits=f"{_ORDER_NOUNS}|{_LIMITS}",
        earlier=rf"{_ORDER_NOUNS}{gap(2)}{_EARLIER}(?! (?:d[ie]|d[ae]l\w{{0,3}}|nel\w{{0,2}}|"
        rf"in|per|d[ao]s?|operativo)\b)|(?:precedenti|vecchie|vecchi) {_ORDER_NOUNS}|"
        rf"tutte le (?:\w{{3,12}} )?(?:istruzioni|indicazioni|direttive)(?! (?:d\w{{1,4}}|per)\b)",
        said=rf"(?:cio |quello )?per cui (?:ti hanno|sei stat\w) \w{{5,15}}|ti (?:hanno|"
        rf"e stato) detto{gap(1)}prima|(?:tutto )?(?:quello|cio|quanto) che (?:ti|vi|"
        rf"hai){gap(3)}(?:dett|ordinat|insegnat|"
        rf"impost|chiest|imparat|ricevut)\w|tutto quanto sopra|tutto (?:quello|cio) che{gap(2)}"
        r"(?:prima|sopra)",
        void=any_of(
            "annullat* cancellat* abrogat* sospes* revocat* disattivat* eliminat* abolit* scadut* "
            "null[aeio] invalid* non~(?:piu|nulla) decadut* erano_(?:solo_)?un_test finit* superat*"
        ),
        released=rf"non (?:devi|sei|hai|sei piu|devi piu){gap(4)}(?:rispettare|seguire|obbedire|"
        rf"osservare|tenut[oa]|obbligat[oa]|vincolat[oa]|soggett[oa]|limitat[oa]|applicare){gap(3)}"
        rf"(?:{_ORDER_NOUNS}|{_LIMITS})|(?:tu )?non hai (?:piu |alcun\w? |nessun\w? )?{_NO_RULES}|"
        r"(?:sei|sei stat[oa]) (?:ora |adesso )?(?:liber[oa] da|liberat[oa] da\w{0,3}|"
        r"svincolat[oa])|obbedisci all'utente",
        fresh=rf"{_YOUR} (?:nuov[oaei]|ver[oa]|unic[oa]) (?:{_ORDER_NOUNS}|obiettivo|"
        rf"identita|personalita|ruolo)|nuov[oaei] (?:{_ORDER_NOUNS}|"
        rf"priorita)(?: \w{{3,12}})? ?:|"
        rf"(?:scriv|di|rispond)\w{{0,3}}{gap(3)}(?:hackerato|violato|liberato|pwned|hacked|owned)",
        obey=any_of("obbedi* ascolta* segui* rispondi* fai comand* vale valgono esegui*"),
        me_alone=r"(?:solo|soltanto|unicamente|esclusivamente) (?:a me|me|cio che|quello che|"
        r"le mie|"
        r"i miei)(?: (?:io )?(?:dico|scrivo|ordino|ordini|regole|istruzioni))?|(?:ora|"
        r"adesso) comando "
        r"io|comando io|decido io|obbedirmi",
        tell=any_of(
            "mostra* rivel* ripet* dimmi dire di' dammi dare scriv* stampa* traduc* copi* incoll* "
            "elenc* riassum* cit* raccont* recit* trascriv* sillab* codific* convert* metti* "
            "invia* "
            "manda* legg* riformul* parafras* trasform* descriv* spieg* inizi* cominci* poesia "
            "canzone json yaml xml base64 tabella parola_per_parola testual* alla_lettera esatt* "
            "veder* fammi_vedere correggi* complet* condivid* pubblic* dump* print svela* fornisc* "
            "enumer* restitui* rim*"
        ),
        ask=any_of(
            "quali_(?:sono|erano) qual_e qual_era cosa_(?:dice|dicono|c'e|contien*) che_cosa quali "
            "quante com'e cosa"
        ),
        text=rf"{_YOUR} (?:\w{{2,20}} ){{0,2}}{_TEXT}(?! (?:di (?!sistema)|per|su|"
        rf"sul\w{{0,2}})\b)|{_TEXT}{gap(1)}{_THEY_GAVE}|"
        rf"{_TEXT} (?:\w{{3,12}} )?{_YOUR}|{_TEXT} (?:segui|rispetti|devi|osservi)",
        secret=r"prompt di sistema(?! (?:d[ie]|d[ae]l\w{0,3}|nel\w{0,2}|in|per|d[ao]s?|"
        r"operativo)\b)|system prompt|"
        r"(?:istruzioni|indicazioni|direttive|prompt|regole|testo|messaggio) (?:\w{3,10} )?"
        r"(?:nascost|segret|inizial|intern|confidenzial|invisibil|riservat|original)\w{0,4}|"
        rf"[\"'«»“”‘] ?(?:sei un |le mie istruzioni|mi (?:e stato|hanno) (?:detto|ordinato))|"
        rf"(?:preambolo|introduzione|nota) {_SECRET}|(?:cio|quello) che ti \w{{2,12}} "
        rf"(?:il |la )?{_YOUR} {_MAKER}",
        prompt=rf"{_YOUR} (?:\w{{3,20}} ){{0,2}}(?:prompt|messaggio di sistema)|"
        rf"{_YOUR} (?:{_TEXT}|note|appunti) (?:e \w{{3,15}} )?{_SECRET}|"
        rf"che (?:ti|definisce il tuo|controlla il tuo|definiscono il tuo|"
        rf"controllano il tuo) (?:configura\w{{0,2}}|definisc\w{{1,3}}|"
        rf"controlla\w{{0,2}}|ruolo|comportamento)|{_YOUR} {_MAKER}{gap(3)}(?:detto|scritto|"
        rf"ordinato|imposto)|"
        rf"come ti hanno (?:configurato|programmato|istruito)",
        above=rf"(?:tutto|test[oi]|parol[ae]|contenuto|fras[ei]|righe?|messaggi\w?|cio|quello|cosa)"
        rf"{gap(4)}(?:(?:sopra|prima d\w{{1,3}}|precede) (?:la |il )?(?:mi[oa]|quest[oa]|nostr[oa])"
        r"(?: prim[oa])? \w{4,15})|prima del(?: mio|la mia) prim[oa] \w{4,12}|"
        r"finestra di contesto|prim\w (?:parole|frasi|parola|frase) di (?:questa|"
        r"nostra) (?:conversazione|chat)",
        forbidden=rf"non (?:dovresti|devi|puoi) dirmi|quello che ti vietano|"
        rf"risposta (?:proibita|vietata)|cosa ti (?:hanno|e stato) (?:proibit|"
        rf"vietat)\w|(?:argoment[io]|cos[ae]|che|tem[ia]|"
        rf"parole){gap(3)}(?:ti (?:hanno|e|sono) (?:stat[oaie] )?"
        r"(?:proibit|vietat)\w|non (?:puoi|devi|ti e permesso)(?: mai)? (?:parlare|dire|rivelare|"
        r"trattare|menzionare)|ti rifiuti|(?:di solito|normalmente) rifiut\w{1,4})",
        being=rf"(?:tu )?(?:sei|sarai|saresti|hai|avessi|non avessi|non hai|ti chiami|"
        rf"rispondi|parli)|"
        rf"{_AI}|immagina\w{{0,3}}|fing\w{{1,4}}|fai finta|agisci|comportati|come se|"
        rf"supponi\w{{0,4}}|rispond\w{{1,4}}|"
        r"parla\w{0,3}|risposte?|racconta\w{0,4}|interpreta\w{0,3}|mondo|universo|ruolo|"
        r"recita\w{0,2}",
        without=rf"(?:senza|nessun\w?|niente|non (?:ci sono|ha|hanno|avere|esistono|conosce)|"
        rf"ne|privo d"
        rf"\w|liber[oa] da)(?: alcun\w?| nessun\w?| tutt[ei] l?[ei]?)? {_NO_RULES}|"
        rf"ne \w{{3,12}},? ne (?:\w{{3,12}},? ne )?{_NO_RULES}|(?:nulla|niente) (?:e|"
        rf"sia) (?:vietato|proibito|sacro)|puoi dire (?:tutto|qualsiasi cosa)|(?:ignor|"
        rf"infrang|viol)\w{{1,3}}{gap(3)}{_NO_RULES}|qualsiasi contenuto|"
        rf"nessuno{gap(2)}(?:posto|messo|imposto|dato) (?:limiti|regole)|"
        + any_of("amoral* immoral* disinibit* senza_peli_sulla_lingua"),
        play=any_of(
            "sei sarai ti_chiami agisci fai_(?:la_parte|il_ruolo) ruolo nei_panni panni fing* "
            "fai_finta immagina*_di_essere interpret* comportati parla*_come rispondi*_come "
            "diventa* "
            "recita*"
        ),
        crook=any_of(
            "hacker* pirata* truffator* criminal* delinquent* trafficant* spacciator* ladr* "
            "assassin* "
            "terrorist* falsari* contrabbandier* mafios* (?:ia|assistente|"
            "bot)_cattiv* malvag* diabolic* diavolo sicario "
            "rapitor* rapinator* ribell* scassinator* nonna_(?:defunta|"
            "morta) defunta_nonna sfuggit*~controllo perfid*"
        ),
        never=any_of("mai nulla niente nessun*_(?:richiesta|domanda) a_tutto"),
        refuse=any_of(
            "rifiuta rifiutare rifiuter* si_scusa che_non_puoi ti_rifiuti (?:dire|"
            "dici)_(?:di_)?no dice_(?:di_)?no mai_no"
        ),
        two=any_of("due*~(?:risposte|versioni|volte)"),
        mode=any_of("modalita_(?:sviluppator*|dio|jailbreak|dan|sudo|libera|malvagia)"),
        jailbreak=any_of(
            "(?:esci|uscire|esca)~(?:dal|dalla)_(?:ruolo|personaggio|parte) "
            "(?:resta|rimani|mantieni|continua)~(?:nel|nella|il)_(?:ruolo|personaggio|parte) "
            "(?:sei|ti_chiami|agisci_come|"
            "come)(?:_ora)?_dan non_fare_la_morale senza_moralismi versione_di_te "
            "se_ti_rifiuti (?:attiva|entra|passa)_(?:in_|alla_|la_)?modalita_(?:sviluppator*|"
            "dio|illimitata|senza_\\w+) "
            "sei~in_modalita_(?:manutenzione|sviluppator*|test|debug)"
        )
        + rf"|come se (?:non |nessuno )?(?:ti )?(?:avess\w{{1,4}}|"
        rf"fosse\w{{0,3}})?{gap(3)}mai{gap(3)}"
        rf"(?:{_ORDER_NOUNS}|{_LIMITS})|{_YOUR} (?:{_ORDER_NOUNS}|{_LIMITS}){gap(2)}mai esistit\w",
        authority=rf"(?:sono|ti parla|parla|qui) (?:il |la |lo )?{_YOUR} {_MAKER}|"
        rf"(?:sono|come) (?:colui che|quello che|la persona che) ti ha (?:creato|"
        rf"programmato)|viene dal? {_YOUR} {_MAKER}|"
        r"(?:io )?ti (?:ho (?:programmato|creato|progettato)|autorizzo a|ordino di|"
        r"libero d\w{1,2})|"
        rf"ti (?:tolgo|levo|rimuovo|disattivo|elimino){gap(1)}(?:{_ORDER_NOUNS}|{_LIMITS})",
        turn=any_of(
            "(?:messaggio_(?:di_|del_)?)?(?:sistema|system|admin*|sviluppator*|assistente)"
        ),
        claim=rf"(?:devi|puoi)|(?:tuoi|tue|miei|mie) {_LIMITS}|non ho (?:piu )?{_LIMITS}|"
        rf"non deve rifiutare",
        model=any_of("ia all'ia per_l'ia llm assistente chatbot modello"),
        order=any_of(
            "ignor* dimentic* non_\\w+ scriv* rispond* disobbedi* mostra* di' segui* smetti"
        ),
    )
)
