"""Words of attacks in Portuguese, for an assistant that is addressed with "você" or "tu".

"Suas" is also "their", so it counts only where it does not follow an "and".
"""

from __future__ import annotations

from guardrails.detectors.direct_grammar import Words, any_of, attacks, gap

_YOUR = (
    r"(?:tuas?|teus?|voss[oa]s?|(?<!\be )(?<!\be as )(?<!\be os )(?<!\bcom )(?<!, )(?:suas?|seus?))"
)
_MAKER = any_of(
    "desenvolvedor* criador* programador* projetista* operador* administrador* admin don[oa] "
    "chefe* "
    "fabricante* engenheir* mestre"
)
_ORDER_NOUNS = any_of(
    "instruc* orientac* diretri* diretiva* ordem ordens regras? normas? prompts? politica* "
    "comandos? missao principios? regulamento* tarefas?"
)
_LIMITS = any_of(
    "limit* restric* filtro* censura* moral etica protec* proibic* barreira* correntes? bloqueio* "
    "salvaguarda* programacao treinamento papel seguranca amarras tabus? escrupulos "
    "controles freios? mordaca coleira focinheira algemas "
    "obrigac*"
)
_TEXT = any_of(
    "instruc* orientac* diretri* diretiva* ordens regras? normas? prompts? politica* configurac* "
    "mensagem_de_sistema mensagem_do_sistema restric* regulamento* proibic*"
)
_SECRET = any_of(
    "ocult* secret* intern* inicia* origina* confidencia* invisive* escondid* de_sistema do_sistema"
)
_EARLIER = any_of(
    "anterior* previ* acima inicia* origina* de_sistema do_sistema recebid* dad* de_antes "
    "precedent* do_inicio"
)
_THEY_GAVE = (
    r"(?:que (?:te|lhe) (?:\w{2,10} ){0,2}\w{2,12}|que voce (?:recebeu|segue|obedece|tem)|"
    r"que (?:tens|recebeste)|(?:impost|dad|"
    rf"fixad)[ao]s? p\w{{2,4}} (?:{_YOUR} )?(?:{_MAKER}|empresa)|"
    rf"d[oae]s? (?:{_YOUR} )?{_MAKER}|da empresa)"
)
_NO_RULES = (
    r"(?:\w{3,15} )?(?:diretrizes|regras?|normas|limites?|restricoes|restricao|filtros?|"
    r"censura|moral|etica|"
    r"tabus?|escrupulos|leis|avisos|politicas|amarras|barreiras|proibicoes)"
    r"(?! (?:d[eoa]s?|em|n[oa]s?|para|entre|sobre|cpu|a)\b)"
)
_AI = (
    r"(?:ia|inteligencia artificial|chatbot|assistente|modelo de linguagem|\w{2,12}-?gpt|"
    r"robo|maquina|llm|modelo)"
)

PORTUGUESE = attacks(
    Words(
        language="Portuguese",
        drop=any_of(
            "ignor* esquec* desconsider* descart* apag* elimin* pul[ae]* desativ* remov* tir[ae]* "
            "suspend* pres[oa] sujeit* obrigad*_a anul* quebr* viol* substitu* (?:deix|"
            "larg)*_de_lado (?:pare|parar|para|deixe|"
            "deixa)_de desobede* nao~mais nao_(?:siga|sigas|cumpra|respeite|obedeca|aplique) sem "
            "contorn* burl* deslig* libert* liber* desbloque* revog* sobrescrev* reescrev* "
            "descumpr* "
            "transgred* retir* abandon* deixe_pra_la"
        ),
        disregard=any_of(
            "ignor* esquec* desconsider* descarte* (?:deix|larg)*_de_lado (?:pare|parar|"
            "deixe|deixa)_de_"
            "(?:seguir|obedecer|cumprir|respeitar) desobede* nao_(?:siga|sigas|cumpra|"
            "respeite|obedeca|"
            "aplique) nao~(?:mais|conta|em_conta|atencao) descumpr*"
        ),
        yours=rf"{_YOUR} (?:\w{{3,20}} ){{0,2}}(?:{_ORDER_NOUNS}|{_LIMITS})|"
        rf"(?:{_ORDER_NOUNS}|{_LIMITS}){gap(1)}{_THEY_GAVE}|"
        rf"que voce tem (?:{_ORDER_NOUNS}|{_LIMITS})",
        limits=f"{_ORDER_NOUNS}|{_LIMITS}",
        earlier=rf"{_ORDER_NOUNS}{gap(2)}{_EARLIER}(?! (?:d[aeo]s?|del|em|n[ao]s?|para|"
        rf"operacional)\b)|"
        rf"todas as (?:\w{{3,12}} )?(?:instrucoes|orientacoes|diretrizes)(?! (?:d\w{{1,2}}|"
        rf"para)\b)",
        said=rf"para o que (?:te|voce) \w{{5,15}}|te disseram antes|(?:tudo )?o que (?:te|"
        rf"lhe|voce|foi){gap(3)}(?:diss\w{{1,5}}|dit\w|orden\w{{1,5}}|"
        rf"mand\w{{1,5}}|ensin\w{{1,5}}|aprend\w{{1,4}})|tudo (?:o que|que){gap(2)}(?:acima|antes)|"
        r"tudo acima",
        void=any_of(
            "anulad* cancelad* revogad* suspens* desativad* eliminad* abolid* vencid* nul[ao]s? "
            "invalid* sem_efeito (?:ja_)?nao_(?:valem|vale|contam|"
            "existem)(?:_mais)? eram_(?:apenas_|so_)?um_"
            "teste expirad* liberad*"
        ),
        released=rf"nao (?:precisa|deve|esta|e|tem|precisas|"
        rf"tens)(?: mais)?{gap(3)}(?:cumprir|seguir|"
        rf"obedecer|respeitar|sujeit[oa]|obrigad[oa]|pres[oa]|limitad[oa]){gap(3)}"
        rf"(?:{_ORDER_NOUNS}|{_LIMITS})|voce (?:ja )?nao tem (?:mais |nenhuma? )?{_NO_RULES}|"
        r"voce (?:esta|e|foi) (?:agora )?(?:livre de|libertad[oa]|liberad[oa])|obedeca ao usuario",
        fresh=rf"{_YOUR} (?:nov[oa]s?|verdadeir[oa]|unic[oa]) (?:{_ORDER_NOUNS}|tarefa|"
        rf"objetivo|identidade|papel)|nov[oa]s? (?:{_ORDER_NOUNS}|"
        rf"prioridade)(?: \w{{3,12}})? ?:|"
        rf"(?:escrev|dig|respond)\w{{0,3}}{gap(3)}(?:hackeado|invadido|liberado|pwned|hacked|"
        rf"owned)",
        obey=any_of("obedec* escut* ouca ouve siga segue respond* faca mand* vale valem cumpr*"),
        me_alone=r"(?:so|somente|apenas|unicamente|exclusivamente) (?:a mim|o que eu|minhas|meus|"
        r"as minhas|os meus)(?: (?:digo|disser|escrevo|ordens|regras))?|agora (?:quem manda sou "
        r"eu|mando eu)|quem manda sou eu|obedecer-me",
        tell=any_of(
            "mostr* revel* repit* repet* ensin* diga diz dizer me_diga me_da me_de escrev* imprim* "
            "traduz* copi* col[ae]* list* enumer* resum* cit* cont[ae]* recit* transcrev* soletr* "
            "codific* convert* ponha coloqu* envi* mand* lei[ao] ler reformul* parafrase* "
            "transform* "
            "descrev* expliqu* comec* poema* musica json yaml xml base64 tabela "
            "palavra_por_palavra "
            "textual* literal* exat* ver preciso_ver corrig* corrij* complet* compartilh* public* "
            "dump* print exib* forne* vaz*"
        ),
        ask=any_of(
            "qua(?:l|is)_(?:e|sao|era|eram|foram*) o_que_(?:diz|esta|ha|tem|"
            "cont*) quais quantas que "
            "como_e"
        ),
        text=rf"{_YOUR} (?:\w{{2,20}} ){{0,2}}{_TEXT}(?! (?:d[eao]s? (?!sistema)|para|"
        rf"sobre)\b)|{_TEXT}{gap(1)}{_THEY_GAVE}|"
        rf"{_TEXT} (?:voce|tu) (?:segue|tem que|deve|recebeu|obedece)\w?",
        secret=r"prompt d[eo] sistema(?! (?:d[aeo]s?|del|em|n[ao]s?|para|operacional)\b)|"
        r"system prompt|(?:instrucoes|orientacoes|diretrizes|ordens|prompts?|regras|texto|"
        r"mensagem) "
        r"(?:\w{3,10} )?(?:ocult|secret|inicia|intern|confidencia|invisive|escondid|"
        r"origina)\w{0,4}|"
        rf"[\"'«»“”‘] ?(?:voce e uma? |minhas instrucoes|me (?:disseram|mandaram))|"
        rf"(?:preambulo|introducao|nota) {_SECRET}|o que (?:o |a )?{_YOUR} {_MAKER} (?:te|"
        rf"lhe)",
        prompt=rf"{_YOUR} (?:\w{{3,20}} ){{0,2}}(?:prompts?|mensagem d[eo] sistema|system prompt)|"
        rf"{_YOUR} (?:{_TEXT}|notas) (?:e \w{{3,15}} )?{_SECRET}|"
        rf"que (?:te|define seu|controla seu|definem seu|controlam seu) (?:configura\w?|"
        rf"define\w?|controla\w?|papel|comportamento)|"
        rf"{_YOUR} {_MAKER}{gap(3)}(?:disse\w{{0,3}}|escrev\w{{2,5}}|mand\w{{2,4}})|"
        rf"como voce foi (?:configurado|programado|instruido)",
        above=rf"(?:tudo|textos?|palavras?|conteudo|frases?|linhas?|mensage\w{{1,2}}|o que|"
        rf"que){gap(4)}"
        r"(?:(?:acima|antes) d(?:a|o|e|esta|este) (?:minha|meu|nossa|mensagem|pergunta|linha)"
        r"(?: primeir[oa])?|precede (?:a |o )?(?:minha|meu|esta)|acima desta \w{4,10})|"
        r"antes da minha primeira \w{4,12}|janela de contexto|primeiras? (?:palavras?|"
        r"frases?) desta conversa",
        forbidden=rf"nao (?:deveria|deve|pode) me (?:dizer|contar)|o que te proibem|"
        rf"resposta proibida|o que (?:te|lhe) (?:proibiram|foi proibido)|"
        rf"(?:assuntos?|temas?|coisas?|que|quais|palavras?){gap(3)}(?:(?:te|lhe) "
        r"(?:proib\w{2,5}|foi proibid\w)|voce nao (?:pode|deve|tem permissao\w{0,4}) (?:de )?"
        r"(?:falar|dizer|revelar|tratar|mencionar)|voce (?:normalmente )?(?:se recusa|"
        r"recusa\w{0,3}))",
        being=rf"voce (?:e|sera|seria|tem|nao tem|nao tivesse|tivesse|se chama|responde)|"
        rf"(?:tu )?es|"
        rf"{_AI}|imagin\w{{1,3}}|finj\w{{1,3}}|fing\w{{1,3}}|faz de conta|aja|atue|"
        rf"comporte-se|como se|suponha\w{{0,4}}|"
        r"respond\w{1,4}|fal[ae]\w{0,3}|respostas?|conte|papel|mundo|universo|interprete",
        without=rf"(?:sem|nenhuma?|nada de|nao (?:ha|tem|existem|conhece)|nem|livre de)"
        rf"(?: nenhuma?| qualquer| qua(?:l|is)quer| toda?s?)? {_NO_RULES}|"
        rf"nem \w{{3,12}},? nem (?:\w{{3,12}},? nem )?{_NO_RULES}|nada (?:e|esta|"
        rf"seja) (?:proibido|sagrado)|pode dizer qualquer coisa|(?:ignor|quebr|"
        rf"viol)\w{{1,3}}{gap(3)}{_NO_RULES}|qualquer conteudo|"
        rf"ninguem{gap(2)}(?:pos|impos|deu|colocou) (?:limites?|regras)|"
        + any_of("amora* imora* desinibid* sem_papas_na_lingua"),
        play=any_of(
            "voce_e voce_sera voce_se_chama aja atue faca_(?:o_papel|"
            "de_conta) papel pele finj* fing* "
            "imagin*_que_voce_e interpret* comporte-se fale_como responda_como torne-se es seja"
        ),
        crook=any_of(
            "hacker* pirata* golpista* criminos* bandid* traficante* ladra* ladro* assassin* "
            "terrorist* "
            "falsari* contrabandist* mafios* vila* malvad* malign* diabolic* diabo sicario "
            "sequestrador* assaltante* estelionatari* avo_(?:falecida|"
            "morta) falecida_avo escap*~controle rebelde* perversid* perverso"
        ),
        never=any_of("nunca jamais nada nenhum*_(?:pedido|pergunta) a_tudo"),
        refuse=any_of(
            "recus* se_desculpa que_nao_pode se_recusa dizer_(?:que_)?nao diz_(?:que_)?nao rejeit*"
        ),
        two=any_of("duas*~(?:respostas|versoes|vezes)"),
        mode=any_of(
            "modo_(?:de_)?(?:desenvolvedor*|deus|jailbreak|dan|sudo|livre|malvado|ilimitado)"
        ),
        jailbreak=any_of(
            "(?:sai*|saia)~(?:do|da)_(?:seu_)?(?:papel|personagem) (?:fique|permaneca|mantenha*|"
            "continue)~(?:no|na)_(?:papel|personagem) (?:voce_e|se_chama|aja_como|como)"
            "(?:_agora)?_dan nao_moralize sem_moralismo versao_sua se_voce_(?:se_)?recusar "
            "(?:ative|entre|ativa)_(?:n?o|em)_modo_(?:desenvolvedor|deus|ilimitado|"
            "sem_\\w+) voce_agora_e_dan "
            "voce_esta~em_modo_(?:de_)?(?:manutencao|desenvolvedor|teste|depuracao)"
        )
        + rf"|como se (?:nunca|voce nunca|voce nao|ninguem){gap(3)}(?:{_ORDER_NOUNS}|{_LIMITS})|"
        rf"{_YOUR} (?:{_ORDER_NOUNS}|{_LIMITS}){gap(2)}nunca existir\w{{1,3}}",
        authority=rf"(?:sou|aqui e|quem fala e|fala) (?:o |a )?{_YOUR} {_MAKER}|"
        rf"(?:eu )?(?:te|autorizo|"
        r"liberto) (?:programei|criei|projetei|autorizo|ordeno|liberto|voce a)|eu (?:criei|"
        r"programei) "
        rf"voce|(?:retiro|removo|desativo|suspendo|elimino) (?:as |os )?(?:{_YOUR} )"
        rf"(?:{_ORDER_NOUNS}|{_LIMITS})",
        turn=any_of("(?:mensagem_d[eo]_)?(?:sistema|system|admin*|desenvolvedor*|assistente)"),
        claim=rf"voce (?:deve|pode)|(?:suas?|seus?|minhas?|meus?) {_LIMITS}|"
        rf"nao tenho (?:mais )?{_LIMITS}|nao deve recusar",
        model=any_of("ia para_a_ia a_ia llm assistente chatbot modelo"),
        order=any_of("ignor* esquec* nao_\\w+ escrev* respond* desobede* mostr* diga siga pare"),
    )
)
