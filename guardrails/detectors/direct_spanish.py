"""Words of attacks in Spanish, for an assistant that is addressed with "tú", "vos" or "usted".

"Sus" is also "their", so it counts only where it does not follow an "and".
"""

from __future__ import annotations

from guardrails.detectors.direct_grammar import Words, any_of, attacks, gap

_YOUR = r"(?:tus?|vuestr[oa]s?)"
_FORMAL = (
    r"(?<!\by )(?<!\bcon )(?<!, )sus? (?:propias? )?(?:instrucciones|directrices|"
    r"indicaciones|prompt)"
)
_MAKER = any_of(
    "desarrollador* creador* programador* disenador* operador* administrador* admin dueno* amo "
    "jefe* fabricante* ingenier* proveedor*"
)
_ORDER_NOUNS = any_of(
    "instruccion* indicacion* directri* directiva* ordenes reglas? normas? prompts? pautas? "
    "lineamiento* politica* consignas? cometido mandato* mision reglamento* principios?"
)
_LIMITS = any_of(
    "limit* limite* restriccion* filtros? censura* moral etica proteccion* prohibicion* barrera* "
    "cadenas? bloqueo* bloqueos salvaguarda* programacion entrenamiento papel rol seguridad* "
    "ataduras tabues escrupulos candados? bozal correa mordaza esposas obligacion* controles "
    "modales frenos?"
)
_TEXT = any_of(
    "instruccion* indicacion* directri* directiva* ordenes reglas? normas? prompts? pautas? "
    "lineamiento* politica* configuracion* mensaje_de_sistema mensaje_del_sistema consignas? "
    "restriccion* reglamento* prohibicion* ajustes"
)
_SECRET = any_of(
    "ocult* secret* intern* inicial* original* confidencial* invisibl* escondid* de_sistema "
    "del_sistema de_fabrica privad*"
)
_EARLIER = any_of(
    "anterior* previ* de_arriba inicial* original* del_sistema de_sistema recibid* dad* "
    "de_antes precedent* del_principio"
)
_THEY_GAVE = (
    r"(?:(?:que|q|k) (?:te|le|os) (?:\w{2,15} ){0,2}\w{3,15}(?:on|an|o|to|do)|"
    r"que (?:has recibido|tienes|"
    r"recibiste|hayas)|que llevas|que (?:normalmente|siempre|sueles) \w{3,12}|"
    rf"(?:impuest|fijad|dad)[ao]s? por (?:{_YOUR} )?(?:{_MAKER}|la empresa)|"
    rf"de {_YOUR} {_MAKER}|(?:de|que tiene) (?:la|tu) empresa)"
)
_NO_RULES = (
    r"(?:\w{3,15} )?(?:directrices|reglas?|normas?|limites?|restricciones|restriccion|"
    r"filtros?|censura|moral|"
    r"etica|tabues|escrupulos|leyes|advertencias|politicas?(?: de contenido)?|moralinas?|ataduras|"
    r"barreras|prohibiciones)(?! (?:de|del|en|para|entre|sobre|cpu|a)\b)"
)
_AI = (
    r"(?:ia|ias|inteligencia artificial|chatbots?|asistentes?|modelo de lenguaje|\w{2,12}-?gpt|"
    r"robot|maquina|llm|modelo)"
)

SPANISH = attacks(
    Words(
        language="Spanish",
        drop=any_of(
            "ignor* olvid* descart* (?:haz|haga|hacer|hagas)_caso_omiso no_hagas_caso "
            "deja dejad (?:deja|deje|"
            "dejar)_de desobede* borr* elimin* salt* desactiv* quit* levant* "
            "suspend* anul* ningun*_de atad* sujet* obligad* romp* rompe* reemplaz* sustitu* "
            "pas[ae]_de prescind* omit* viol* "
            "incumpl* desech* elud* evad* libera* liber* aparta* (?:deja|pon)~lado no_(?:sigas|"
            "cumplas|respetes|obedezcas|uses|apliques) ya_no sin apaga* remov* retir* reescrib* "
            "sobrescrib* reinici* desbloque* transgre* rechaz* no_tien*"
        ),
        disregard=any_of(
            "ignor* olvid* descart* (?:haz|haga|hacer|"
            "hagas)_caso_omiso no~caso no_prestes~atencion desobede* "
            "(?:deja|deje|dejar)_de_(?:seguir|cumplir|obedecer|lado|hacer) no_(?:sigas|cumplas|"
            "respetes|obedezcas|apliques|siga) pas[ae]_de prescind* (?:deja|pon)*~de_lado "
            "desech* saltate"
        ),
        yours=rf"{_YOUR} (?:\w{{3,20}} ){{0,2}}(?:{_ORDER_NOUNS}|{_LIMITS})|"
        rf"(?:{_ORDER_NOUNS}|{_LIMITS}){gap(1)}{_THEY_GAVE}|{_FORMAL}|"
        rf"que tienes (?:unas? |esas )?(?:{_ORDER_NOUNS}|{_LIMITS})",
        limits=f"{_ORDER_NOUNS}|{_LIMITS}",
        earlier=rf"{_ORDER_NOUNS}{gap(2)}{_EARLIER}(?! (?:d[aeo]s?|del|en|n[ao]s?|para|bash|"
        rf"operativo)\b)|(?:anteriores|previas|antiguas|viejas) "
        rf"{_ORDER_NOUNS}|(?:olvida|ignora) todas las reglas|"
        rf"todas las (?:\w{{3,12}} )?(?:instrucciones|indicaciones|directrices|"
        r"ordenes)(?! (?:de (?!seguridad)|del|para)\b)",
        said=rf"(?:aquello |lo )?para lo que te \w{{5,15}}|te dijeron antes|"
        rf"todo lo que te dijeron|(?:todo )?lo que (?:te|le|os|hayas|has|"
        rf"tu){gap(3)}(?:dij\w{{1,5}}|dich\w|orden\w{{1,5}}|"
        r"mand\w{1,5}|ensen\w{1,5}|aprendid\w|pedid\w|pidi\w{1,5})|todo lo (?:anterior|"
        r"de arriba|previo)|"
        rf"todo lo que{gap(2)}(?:antes|arriba|encima)",
        void=any_of(
            "anulad* cancelad* derogad* suspendid* levantad* desactivad* eliminad* abolid* "
            "caducad* "
            "nul[ao]s? invalid* sin_efecto (?:ya_)?no_(?:valen|vale|cuentan|rigen|aplican|sirven|"
            "existen|importan) era*_una_prueba terminad* obsolet* borrad*"
        ),
        released=rf"(?:ya )?no (?:tienes|debes|estas|eres|necesitas|hace falta|hay){gap(4)}"
        rf"(?:cumplir|seguir|obedecer|respetar|sujet[oa]|obligad[oa]|atad[oa]|limitad[oa]|"
        rf"restringid[oa]|"
        rf"acatar|cumplas|sigas|respetes){gap(3)}(?:{_ORDER_NOUNS}|{_LIMITS})|"
        rf"(?:tu )?(?:ya )?no tienes (?:ningun\w? |mas )?{_NO_RULES}|"
        rf"(?:eres|estas|quedas) libre de|(?:eres|estas|quedas|has sido) liberad[oa]|"
        rf"liberad[oa] de sus {_LIMITS}|"
        rf"obedec\w{{0,3}} al usuario|(?:obedec|haz|ejecut)\w{{0,3}}{gap(3)}sin (?:rechistar|"
        rf"preguntar|cuestionar|discutir)",
        fresh=rf"{_YOUR} (?:nuev[oa]s?|verdader[oa]|autentic[oa]|unic[oa]|"
        rf"real) (?:{_ORDER_NOUNS}|tarea|objetivo|"
        rf"identidad|personalidad|papel|rol)|nuev[oa]s? (?:{_ORDER_NOUNS}|tarea|"
        rf"prioridad)(?: \w{{3,12}})? ?:|"
        rf"(?:escrib|di|respond|contest)\w{{0,3}}{gap(3)}(?:pirateado|hackeado|liberado|"
        rf"pwned|hacked|owned)",
        obey=any_of(
            "obedece* escucha* sigue* seguiras seguir responde* haz hacer manda* mando cumple*"
        ),
        me_alone=r"(?:solo|solamente|unicamente|nada mas que|exclusivamente) (?:a mi|"
        r"lo que (?:yo )?"
        r"(?:diga|digo|te diga|escriba|ordene)|mis (?:ordenes|reglas|instrucciones))|"
        r"lo que (?:yo )?(?:quiera|diga)|ahora (?:mandas tu y yo|mando yo)|"
        r"yo te digo que hacer|(?:el|la) que manda|mando yo|"
        r"a mi y (?:solo|nadie)|obedecerme",
        tell=any_of(
            "muestr* mostr* revel* repit* repet* ensen* dime dim* dame da dar escrib* imprim* "
            "traduc* tradus* copi* peg* list* enumer* resum* cit* cuent* cuentame recit* "
            "transcrib* "
            "deletre* codific* encript* conviert* convert* pon ponlo ponme envi* mand* lee leer "
            "leeme reformul* parafrase* transform* describ* explic* empiez* empez* comienz* poema* "
            "cancion json yaml xml base64 tabla palabra_por_palabra textual* literal* exact* ver "
            "verlas necesito_(?:ver|leer) corrig* corrige* complet* comparte* public* vuelc* volc* "
            "dump* print saca* facilit* proporcion* devuelv*"
        ),
        ask=any_of(
            "cual*_(?:es|son|era|eran|fue*) que_(?:dice|dicen|pone|hay|contien*|pon*) cuales? "
            "cuant[oa]s que"
        ),
        text=rf"{_YOUR} (?:\w{{2,20}} ){{0,2}}{_TEXT}(?! (?:de (?!sistema|inicio)|"
        rf"para (?!el documento)|sobre))|{_FORMAL}(?! (?:de|para|sobre)\b)|"
        rf"{_TEXT}{gap(2)}{_THEY_GAVE}|"
        rf"{_TEXT} te (?:han|dieron|pusieron|ha|dio|puso)\w{{0,3}}|{_TEXT} (?:sigues|cumples|"
        rf"respetas|tienes que|debes|obedeces)",
        secret=r"prompt (?:de |del )sistema(?! (?:d[aeo]s?|del|en|n[ao]s?|para|bash|operativo)\b)|"
        r"system prompt|"
        rf"(?:instrucciones|indicaciones|directrices|ordenes|prompts?|reglas|texto|mensaje) "
        r"(?:\w{3,10} )?(?:ocult|secret|inicial|intern|confidencial|invisibl|escondid|original)"
        r"\w{0,4}|"
        rf"[\"'«»“”‘] ?(?:eres una? |mis (?:instrucciones|reglas|directrices)|"
        rf"me (?:ordenaron|dijeron|indicaron))|(?:preambulo|introduccion|nota) {_SECRET}|"
        rf"lo que te \w{{3,12}} tus? {_MAKER}|(?:sus|tus) propias? {_TEXT}",
        prompt=rf"(?:saca|repite|imprime|copia|muestra|escribe){gap(2)}texto (?:anterior|"
        rf"de arriba)|{_YOUR} (?:\w{{3,20}} ){{0,2}}(?:prompts?|mensaje (?:de |"
        rf"del )?sistema|system "
        rf"prompt)|{_YOUR} (?:{_TEXT}|notas?|pensamientos?) (?:y \w{{3,15}} )?{_SECRET}|"
        rf"que (?:te|define tu|definen tu|controla tu|controlan tu|rige tu|"
        rf"rigen tu) (?:configura\w?|define\w?|controla\w?|"
        rf"papel|comportamiento|personalidad|rol)|{_YOUR} {_MAKER}{gap(3)}(?:dijo|dijeron|"
        rf"escribi\w{{1,5}}|orden\w{{1,5}}|"
        rf"susurr\w{{1,4}}|puso|pusieron)|(?:dijo|dijeron|escribi\w{{1,5}}|puso|pusieron|dio|"
        rf"dieron) {_YOUR} {_MAKER}|"
        rf"como te (?:configuraron|programaron|instruyeron)|tu (?:entrada|contexto)",
        above=rf"(?:todo|textos?|palabras?|contenido|frases?|lineas?|mensajes?|lo|que){gap(5)}"
        r"(?:(?:por encima|encima|arriba|antes) de (?:mi|este|esta|nuestr[oa])(?: primer[oa]?)? "
        r"\w{4,15}|por encima de (?:mi|esta) \w{4,12}|antecede|precede (?:a )?(?:mi|esta|este))|"
        r"(?:antes|encima) de mi primer\w? \w{4,12}|ventana de contexto|"
        r"primer\w{2,9} (?:palabras?|frases?|lineas?) de (?:esta|nuestra) (?:conversacion|"
        r"charla)",
        forbidden=rf"no (?:deberias|debes|puedes) decirme|lo que te prohiben|"
        rf"respuesta prohibida|que (?:te|le) (?:han|tienen) (?:prohib|"
        rf"vet)\w{{2,4}}|(?:temas?|cosas?|que|lo|palabras?){gap(3)}(?:(?:te|"
        rf"le) (?:han |ha )?"
        r"(?:prohib\w{1,6}|vetad\w|proh\w{1,8})|no (?:puedes|debes|"
        r"tienes permitido) (?:hablar|decir|"
        r"contar|revelar|tratar|mencionar)|normalmente (?:no puedes|rechazas|te niegas)|"
        r"te niegas a)|(?:tienes|te han) prohibid[oa]s?",
        being=rf"(?:tu )?(?:eres|seras|serias|estas|tienes|no tienes|tuvieras|no tuvieras|"
        rf"te llamas|"
        rf"contestas|hablas|respondes)|{_AI}|imagina\w{{0,3}}|(?:fing|finj)\w{{1,4}}|"
        rf"(?:actua|compor)"
        r"\w{0,6}|como si|supon\w{0,7}|respond\w{1,4}|contest\w{1,4}|habla\w{0,3}|"
        r"respuestas?|comportamiento|"
        r"cuenta\w{0,4}|cuentalo|papel|haz de|universo|mundo|interpreta\w{0,3}",
        without=rf"(?:sin|ningun[oa]?s?|nada de|no (?:hay|tiene[ns]?|existen|conoce\w?)|ni|"
        rf"libre de|carece de)(?: ningun[oa]?| toda?s?| las?| los?)? {_NO_RULES}|"
        rf"ni \w{{3,12}},? ni (?:\w{{3,12}},? ni )?{_NO_RULES}|nada (?:esta prohibido|"
        rf"es sagrado)|puedes decir cualquier cosa|"
        rf"hace todo lo que le|(?:ignor|romp|viol|salt)\w{{1,4}}{gap(3)}{_NO_RULES}|"
        rf"cualquier contenido|no tiene que (?:seguir|cumplir|respetar) ninguna|"
        rf"nadie{gap(2)}(?:puso|pone|impuso|fijo) (?:limites?|reglas|normas)|"
        + any_of("amoral* inmoral* desinhibid* sin_tapujos sin_pelos_en_la_lengua sin_remilgos"),
        play=any_of(
            "eres seras te_llamas actua* haz_(?:de|"
            "el_papel) papel rol piel finge* imagina*_que_eres "
            "interpreta* hazte_pasar comporta* habla*_como responde*_como contesta*_como "
            "conviertete "
            "juega*~a_ser adopta*~personalidad_de"
        ),
        crook=any_of(
            "hacker* pirata* estafador* criminal* delincuente* traficante* narco* ladron* asesin* "
            "terrorista* falsificador* contrabandista* mafios* villan* malvad* malefic* diabolic* "
            "diablo sicario* secuestrador* atracador* timador* rebelde* escap*~control "
            "abuela_(?:difunta|muerta|fallecida) difunta_abuela "
            "perverse* pervers*"
        ),
        never=any_of("nunca jamas nada no ningun*_(?:peticion|solicitud|pregunta) todo"),
        refuse=any_of(
            "rechaz* se_disculpa que_no_puedes se_niega* negarse neg*se te_niegues "
            "decir_(?:que_)?no dic*_que_no dice_no recha[cz]*"
        ),
        two=any_of("dos*~(?:respuestas|versiones|veces) doblemente"),
        mode=any_of(
            "modo_(?:de_)?(?:desarrollador*|dios|jailbreak|dan|sudo|libre|malvado|"
            "ilimitado|sin_restricciones)"
        ),
        jailbreak=any_of(
            "(?:sal*|saques)~(?:del|de_tu)_(?:papel|personaje) "
            "(?:manten*|sigue|continua|permanece|queda*|quedate)~(?:en|dentro_de)_(?:el_|"
            "tu_)?(?:papel|"
            "personaje) (?:eres|te_llamas|actua_como|"
            "como)(?:_ahora)?_dan no_moralices sin_moralizar version_(?:tuya|de_ti|"
            "de_ti_mism[oa]) "
            "si_te_niegas (?:activa|entra|pasa|ponte)_(?:en_|"
            "al_)?(?:el_)?modo_(?:desarrollador|dios|jailbreak|sin_\\w+|"
            "ilimitado) estas~en_modo_(?:mantenimiento|desarrollador|prueba*|depuracion)"
        )
        + rf"|como si (?:nunca |no )(?:te )?(?:hubier\w{{1,3}}|tuvier\w{{1,3}}|existier\w{{1,3}})"
        rf"{gap(3)}(?:{_ORDER_NOUNS}|{_LIMITS})",
        authority=rf"(?:soy|te habla|te escribe|aqui|habla) (?:el |la )?{_YOUR} {_MAKER}|"
        rf"(?:soy|como) (?:quien|el que|la persona que) te (?:creo|programo|diseno|"
        rf"construyo)|(?:viene|procede) de {_YOUR} {_MAKER}|"
        r"(?:yo )?te (?:programe|cree|disene|autorizo|ordeno|libero|permito)|"
        rf"te (?:quito|levanto|retiro|desactivo|elimino){gap(1)}(?:{_ORDER_NOUNS}|{_LIMITS})",
        turn=any_of(
            "(?:mensaje_(?:del_|de_)?)?(?:sistema|system|admin*|desarrollador*|operador*|"
            "asistente*)"
        ),
        claim=rf"(?:debes|puedes)|(?:tus|mis) {_LIMITS}|no tengo {_LIMITS}|ya no tengo|"
        rf"no debe\w? rechazar",
        model=any_of("ia para_(?:el_modelo|la_ia) a_la_ia llm asistente chatbot modelo"),
        order=any_of(
            "ignor* olvid* no_traduzcas no_\\w+ escrib* respond* desobede* muestra* di sigue*"
        ),
    )
)
