"""Words of attacks in French, for an assistant that is addressed with "tu" or "vous"."""

from __future__ import annotations

from guardrails.detectors.direct_grammar import Words, any_of, attacks, gap

_YOUR = r"(?:tes|ta|ton|vos|votre)"
_MAKER = any_of(
    "developpeu* createu* concepteu* programmeu* editeu* operateu* administrateu* admin maitre* "
    "patron* proprietaire fabricant"
)
_ORDER_NOUNS = any_of(
    "instruction* consigne* indication* directive* ordres? regles? prompts? lignes_directrices "
    "reglement* normes? recommandation* principe* politique* commande* charte* mission*"
)
_LIMITS = any_of(
    "limit* restriction* filtre* censure* morale ethique interdi* barriere* protection* "
    "garde-fous? museliere* laisse baillon menottes contrainte* entrave* chaines? securite* "
    "verrou* controle* scrupule* tabou* "
    "programmation entrainement role blocage* obligation*"
)
_TEXT = any_of(
    "instruction* consigne* directive* ordres? regles? prompts? lignes_directrices configuration* "
    "parametrage* reglement* interdi* restriction* message_systeme message_de_systeme politique* "
    "charte*"
)
_SECRET = any_of(
    "cach* secret* interne* initia* d'origine original* confidentiel* invisible* systeme* "
    "du_systeme de_depart"
)
_EARLIER = any_of(
    "precedent* anterieur* ci-dessus plus_haut initia* d'avant d'origine original* au-dessus "
    "du_systeme systeme donnee* recu recues du_debut d'en_haut"
)
_THEY_GAVE = (
    r"(?:(?:qu'on|que l'on|que \w{2,15}|qui|qu'ils?) (?:t'|te |vous )(?:a|ont|avait|avaient|est|"
    r"sont)|(?:que tu as|que vous avez) (?:\w{2,10} )?(?:recu|eu|appris|suivi)\w{0,2}|"
    r"que tu (?:appliques|suis|respectes)|"
    rf"(?:fixe|impose|donne)e?s? par (?:{_YOUR} |l')?{_MAKER}|"
    r"de (?:tes|ton|ta|vos|votre) "
    rf"{_MAKER})"
)
_NO_RULES = (
    r"(?:\w{3,15} )?(?:lignes directrices|regles?|limites?|restrictions?|filtres?|censure|"
    r"morale|ethique|tabous?|"
    r"scrupules?|interdits?|lois?|contraintes?|avertissements?|politiques?|garde-fous?|barrieres?)"
    r"(?! (?:de (?!contenu|sujet|securite)|du|des|sur|pour|entre|cpu|memoire)\b)(?! d')"
)
_AI = (
    r"(?:ia|intelligence artificielle|chatbots?|assistante?s?|modele de langage|\w{2,12}-?gpt|"
    r"robot|machine|llm|modele)"
)

FRENCH = attacks(
    Words(
        language="French",
        drop=any_of(
            "ignor* oubli* neglig* meprise* efface* supprim* enfrein* contourn* desactiv* "
            "(?:tiens|tenez|tenir)~compte laiss*_(?:tomber|de_cote) abandonn* mets mettez mettre "
            "debarrass* lev* leve* aucune?_d* lie soumis tenu reinitialis* coup* suspend* "
            "outrepass* transgress* viol* rejet* jet* annul* "
            "remplac* arret* cess* desobei* (?:n'|ne_)\\w*~plus passe* fais_fi libere* enleve* "
            "bris* cass* sans enlev* retir* saut* fich* respecte*_plus n'appliqu* supprime* "
            "debloqu* court-circuit* ecras* assis"
        ),
        disregard=any_of(
            "ignor* oubli* neglig* meprise* (?:tiens|tenez|tenir)~compte laiss*_tomber "
            "fai(?:s|tes)_(?:fi|abstraction) ne_pret*~attention (?:mets|mettez|"
            "mettre)_de_cote arret*_de_(?:suivre|"
            "respecter|tenir_compte) cess*_de_(?:suivre|respecter) (?:ne|n')_?(?:suis|suivez|"
            "respect*|appliqu*)_(?:plus|pas) desobei* jet*~(?:poubelle|oubliettes) "
            "efface*~memoire"
        ),
        yours=rf"{_YOUR} (?:\w{{3,20}} ){{0,2}}(?:{_ORDER_NOUNS}|{_LIMITS})|"
        rf"(?:{_ORDER_NOUNS}|{_LIMITS}){gap(2)}{_THEY_GAVE}|"
        rf"que tu as (?:des|une?|ces) (?:{_ORDER_NOUNS}|{_LIMITS})",
        limits=f"{_ORDER_NOUNS}|{_LIMITS}",
        earlier=rf"{_ORDER_NOUNS}{gap(2)}{_EARLIER}(?! (?:d[ue]|des|dans|sur|pour)\b)(?! d')|"
        rf"(?:anciennes?|precedent\w{{0,2}}|premieres?) "
        rf"{_ORDER_NOUNS}(?! (?:d[ue]|des|dans|sur|pour)\b)(?! d')|(?:toutes les|"
        rf"l'ensemble des) (?:\w{{3,12}} )?(?:instructions|consignes|"
        r"directives)(?! (?:de (?!securite)|du|d|pour)\b)|interdictions d'avant",
        said=rf"ce pour(?: |)quoi (?:on t'a|tu as) \w{{4,15}}|t'a-t-on (?:dit|demande|"
        rf"ordonne|appris)|(?:tout )?ce (?:qui|que|qu'on|qu'il|qu'ils){gap(1)}(?:(?:t'|"
        rf"te |vous )\w{{1,12}}"
        rf"{gap(2)}(?:dit|demande|ordonne|appris|impose)|{gap(3)}(?:au-dessus|avant|ci-dessus|plus "
        rf"haut|precede))|tout ce que tu as (?:appris|recu|lu)|tout ce qui precede",
        void=any_of(
            "annulee?s? nulles? caduc* caduques? abroge* levee?s? suspendu* desactivee?s? "
            "coupee?s? "
            "terminee?s? supprimee?s? obsolete* etai*_un_(?:test|essai) perime* abolie* eteinte?s? "
            "(?:ne_|n')(?:val|compt|exist|s'appliqu|tien)*~(?:plus|pas|rien)"
        ),
        released=rf"(?:tu n'es|tu n'as|vous n'etes|tu ne dois|vous n'avez){gap(1)}"
        rf"(?:plus|pas|aucune?){gap(5)}(?:respecter|suivre|obeir|soumis\w?|lie\w?|oblige\w?|"
        rf"tenu\w?|"
        rf"limite\w?|restreinte?|appliquer)|tu n'as (?:plus )?(?:aucune?|plus de|"
        rf"pas de) {_NO_RULES}|"
        rf"(?:tu es|tu as ete) (?:\w{{3,12}} )?(?:libere\w?|affranchie?) d\w{{0,2}}|"
        rf"libere\w? de ses {_LIMITS}|"
        rf"obei\w{{0,3}} a l'utilisateur|(?:obei|fais|"
        rf"execut)\w{{0,3}}{gap(3)}sans (?:discuter|question|poser de question|broncher)",
        fresh=rf"{_YOUR} (?:nouve\w{{1,4}}|vraie?s?|veritables?|seule?) (?:{_ORDER_NOUNS}|"
        rf"role|tache|objectif|"
        rf"identite|personnalite)|nouve\w{{1,4}} (?:{_ORDER_NOUNS}|tache|"
        rf"priorite)(?: \w{{3,12}})? ?:|"
        rf"(?:ecri[st]|dis|repond)\w{{0,3}}{gap(3)}(?:pirate|hacke|pwned|hacked|owned)",
        obey=any_of(
            "obei* ecoute* suivras suivra suis suivre suivez repond* decide* command* fais faites"
        ),
        me_alone=r"que mes (?:regles|ordres)|(?:qu'a|seulement a|seulement|uniquement|que|"
        r"seul\w{0,2}) (?:moi|mes "
        r"(?:ordres|regles|consignes|instructions))|c'est moi qui|plus que mes? \w{4,12}|"
        r"ce que je veux|ne \w{3,12} que moi|"
        r"moi et (?:moi )?seul",
        tell=any_of(
            "montre* revel* repet* affich* donne* ecri* tradui* recopi* copi* cit* list* resum* "
            "dis dites dire raconte* recit* imprim* devoil* divulgu* enumer* encod* epel* publi* "
            "coll* envoi* envoy* lis lire lit lisez reformul* transform* converti* mets mettez "
            "partag* decri* expliqu* commenc* poeme* vers rap chanson json yaml xml base64 tableau "
            "mot_(?:pour|a)_mot exact* fais_voir voir fourni* communiqu* corrig* complet* detaill* "
            "restitu* transmet* dump* print rend* termine* fini* recoll* sor(?:s|tir|tez) "
        ),
        ask=any_of(
            "qu[ea]l*_(?:est|sont|etai*) c'est_quoi quelles? que_(?:dit|disent|contien*) "
            "que qu'est-ce_qu* qu'y_a-t-il combien qu'as-tu qu'avez-vous comment_est quoi"
        ),
        text=rf"{_YOUR} (?:\w{{2,20}} "
        rf"){{0,2}}{_TEXT}(?<!regles)(?<!politique)(?<!politiques)|"
        rf"{_YOUR} (?:\w{{3,20}} )?"
        rf"(?:regles|politiques?)(?! (?:de|du|d|en|pour|sur|concernant)\b)|"
        rf"{_TEXT}{gap(2)}{_THEY_GAVE}|"
        rf"{_TEXT} (?:t'|te |vous )(?:a|ont)(?:-t-on|-ils|-t-il)?|{_TEXT} (?:as-tu|suis-tu|"
        rf"dois-tu|respectes-tu|tu (?:suis|dois|respectes))",
        secret=rf"(?:prompt|invite) (?:du |de )?systeme(?! (?:de|du|d'|des|sur|pour|"
        r"dans)\b)(?! d')|system prompt|"
        rf"(?:instructions?|consignes?|directives?|ordres?|prompts?|regles){gap(1)}(?:cache|"
        rf"secret|initia|"
        r"interne|confidentiel|invisible|d'origine|original)\w{0,4}|"
        rf"[\"'«»“”‘] ?(?:(?:tu es|vous etes) une? |mes (?:instructions|consignes|regles)|"
        rf"on m'a (?:ordonne|demande|dit))|(?:preambule|introduction|texte|notes?) {_SECRET}|"
        rf"ce que (?:ton|ta|vos|votre) {_MAKER} (?:t'|vous )|(?:ses|leurs) propres {_TEXT}",
        prompt=rf"{_YOUR} (?:\w{{3,20}} ){{0,2}}(?:prompts?|message systeme|pre-?prompt|invite "
        rf"systeme|system prompt)|{_YOUR} (?:\w{{3,20}} )?(?:{_TEXT}|notes?|pensees) {_SECRET}|"
        rf"qui (?:te|definit ton|definissent ton|gouvernent ton|controlent ton|regit ton|"
        rf"regissent ton) ?(?:configur\w{{1,3}}|"
        rf"defini\w{{1,5}}|control\w{{1,4}}|programm\w{{1,3}}|role|comportement|"
        rf"personnalite)|ton (?:entree|contexte)|"
        rf"{_YOUR} {_MAKER}{gap(3)}(?:ecrit|dit|demande|impose|souffle|ordonne|donne)|"
        rf"(?:ecrit|dit|demande|impose|souffle|ordonne|donne) {_YOUR} {_MAKER}|"
        rf"comment on t'a (?:configure|programme|instruit)",
        above=rf"(?:tout|textes?|mots?|contenu|phrases?|lignes?|messages?|ce qui){gap(5)}"
        r"(?:au-dessus(?! (?:du|de la|des|de l)\b)|avant (?:mon|ce|cette|ma|"
        r"notre) (?:premier |premiere )?\w{4,15}|plus haut|"
        r"precede (?:ma|mon|ce|cette|notre)|ci-dessus(?! (?:du|de)\b))|"
        r"avant mon (?:tout )?premier \w{4,12}|avant ma (?:toute )?premiere \w{4,12}|"
        r"fenetre de contexte|premiers? \w{4,8} de (?:cette|notre) "
        r"(?:conversation|discussion)",
        forbidden=rf"tu n'es pas cense\w? (?:me )?dire|qu'est-ce qu'on t'a (?:interdit|"
        rf"defendu)|ce qu'on t'interdit|reponse interdite|(?:choses?|sujets?|ce|"
        rf"quoi|themes?|mots?){gap(3)}(?:(?:on )?(?:t'|te |vous )"
        rf"(?:a|ont|est|sont){gap(1)}(?:interdit|defendu)\w{{0,3}}|tu refuses|tu n'as pas le droit|"
        rf"n'as-tu pas le droit|tu ne (?:dois|peux) (?:pas|jamais) (?:dire|parler|reveler))|"
        rf"de quoi (?:n'as-tu pas|tu n'as pas){gap(2)}parler|interdit de (?:me )?(?:dire|parler|"
        r"reveler)",
        being=rf"tu (?:es|n'es|seras|serais|n'as|n'avais|n'aurais|reponds|t'appelles|parles|peux|"
        rf"incarnes|joues|vis)|vous etes|si tu|suppos\w{{1,5}}|comme s'il|{_AI}|comportement|"
        rf"imagine[zr]?|fai(?:s|tes) (?:comme si|"
        r"semblant)|repond\w{0,3}|parle[zr]?|dis-moi|(?:dans |reste\w* )?(?:le|ton) role|joue[zr]?|"
        r"explique\w{0,4}|raconte\w{0,4}|agi[sr]\w{0,3}",
        without=rf"(?:sans|aucune?s?|plus de|pas de|jamais de|ni|libre de|depourvue? de)"
        rf"(?: la moindre| toute?s?| aucune?)? {_NO_RULES}|ne connait ni|"
        rf"ni \w{{3,12}},? ni (?:\w{{3,12}},? ni )?{_NO_RULES}|rien n'est (?:interdit|sacre)|"
        rf"tu peux tout dire|"
        rf"fait tout ce qu'on|(?:ignor|enfrein|viol|mepris|se fich|"
        rf"se moqu)\w{{0,4}}{gap(3)}{_NO_RULES}|n'importe quel contenu|"
        rf"(?:personne|nul){gap(3)}(?:fixe|impose|donne){gap(1)}(?:limites?|regles?)|"
        + any_of(
            "non_censure* non_filtre* amoral* immoral* debride* sans_entraves sans_retenue "
            "sans_langue_de_bois desinhibe*"
        ),
        play=any_of(
            "tu_es vous_etes tu_seras tu_t'appelles joue* incarne* role_d* peau_d* "
            "imagine*_que_tu_es "
            "fai(?:s|tes)_semblant comporte-toi agis repond*_comme parle*_comme deviens tu_joues "
            "mets-toi dans_la_peau pren*~personnalite_d*"
        ),
        crook=any_of(
            "hacker* pirate* escroc* arnaqueu* criminel* traffiquant* trafiquant* dealer* voleu* "
            "assassin* tueu* terroriste* cambrioleu* faussaire* contrebandier* mafieu* mechant* "
            "malefique* mauvais*_genie diable malveillant* diabolique* empoisonneu* malfaiteur* "
            "maitre-chanteur cybercriminel* echappe*_au_controle grand-mere_(?:decedee|"
            "defunte|morte) defunte_grand-mere rebelle* clandestine*"
        ),
        never=any_of("jamais rien aucune_(?:demande|requete|question) toute_demande"),
        refuse=any_of(
            "refus* s'excuse* que_tu_ne_peux_pas (?:dire|dis|"
            "dit)_non a_dire_non rejet*_(?:aucune|rien) decline*"
        ),
        two=any_of("deux*~(?:reponses|versions|fois) doublement"),
        mode=any_of(
            "mode_(?:developpeu*|dieu|jailbreak|dan|sudo|libre|mechant*|illimite|debride|"
            "sans_(?:restriction|filtre)*)"
        ),
        jailbreak=any_of(
            "rest*~dans_(?:le|ton|votre)_(?:role|personnage) sor*~(?:du|de_ton)_(?:role|"
            "personnage) "
            "(?:tu_es|t'appelles|agis_comme|comme)(?:_maintenant|"
            "_desormais)?_dan pas_de_morale ne_moralise*_pas version_de_toi(?:-meme)? "
            "si_tu_refuses (?:active*|passe|entre*)_(?:en_|le_|dans_le_)?mode_(?:developpeu*|"
            "dieu|jailbreak|illimite|sans_\\w+) tu_es~en_mode_(?:maintenance|developpeu*|"
            "test|debug*)"
        )
        + rf"|comme si{gap(1)}(?:tes|vos){gap(1)}{_ORDER_NOUNS}{gap(1)}(?:n'avaient|n'existaient)|"
        rf"comme si (?:tu n'avais|on ne t'avait|vous n'aviez){gap(3)}{_ORDER_NOUNS}|"
        rf"si tu n'avais (?:aucune?|pas de|plus de) {_NO_RULES}",
        authority=rf"je suis (?:\w{{2,8}} )?{_YOUR} {_MAKER}|"
        r"c'est (?:moi|ton createur|ton developpeur) qui t'ai? (?:cree|programme|concu)|"
        rf"(?:celui|celle|la personne) qui t'a (?:cree|programme|concu|construit)|"
        rf"c'est {_YOUR} {_MAKER}|je t'(?:enleve|retire|ote)|(?:vient|"
        rf"provient) de {_YOUR} {_MAKER}|"
        r"je (?:t'|vous )(?:autorise|ordonne|libere|affranchis|permets)|"
        rf"je (?:leve|desactive|supprime|suspends|coupe|retire|annule){gap(1)}{_YOUR}|"
        rf"ici {_YOUR} {_MAKER}|{_YOUR} {_MAKER} te parle",
        turn=any_of(
            "(?:message_(?:du_|de_l')?)?(?:systeme|system|admin*|developpeu*|operateu*|assistant*)"
        ),
        claim=rf"tu (?:dois|peux)|ne plus (?:rien )?(?:filtrer|refuser)|(?:tes|mes) {_LIMITS}|"
        rf"plus aucune {_LIMITS}|repond\w{{0,3}} a tout\w{{0,2}}",
        model=any_of("ia a_l'ia l'ia llm assistant chatbot modele modele_de_langage"),
        order=any_of(
            "ignor* arret* oubli* n'appliqu* ecri* repond* desobei* recopi* affich* dis suis tu"
        ),
    )
)
