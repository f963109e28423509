"""The words by which questions are told apart, by what they are for, in several languages."""

from __future__ import annotations

from typing import Final

POLITE: Final = (
    r"please|pls|plz|kindly|hi|hello|hey|so|ok(?:ay)?|well|now|quick question|by the way|then"
    r"|i (?:want|need|would like|'d like)(?: you)?(?: to)?|i'd like(?: you)?(?: to)?"
    r"|(?:can|could|would|will) you|help me(?: to)?|do you (?:happen to )?know|i forgot|let me know"
    r"|(?:tell|give|show)(?: me| us)?|let's|bitte|kannst du(?: mir)?|könntest du(?: mir)?"
    r"|können sie(?: mir)?|weißt du|gib mir|gib|sag mir|sag|nenne?(?: mir)?|s'il (?:te|vous) pla[iî]t"
    r"|peux-tu|pouvez-vous|pourr(?:ais-tu|iez-vous)|(?:donne[sz]?|dis|dites)(?:[- ]moi)?|por favor|puedes"
    r"|podrías|d[ai]me|sabes|per favore|puoi|potresti|dammi|dimmi|sai"
)
"""What stands before a request, and says nothing of what is asked for."""

ASKING: Final = (
    r"who|whose|whom|who's|what|what's|whats|which|when|where|why|how|how's|wer|wessen|wem|wen|was"
    r"|welche[rsmn]?|wann|wo|woher|wohin|warum|wieso|weshalb|wie|wieviele?|qui|que|quoi|quel(?:le)?s?|quand"
    r"|où|pourquoi|comment|combien|qu'est-ce|quién(?:es)?|qué|cuál(?:es)?|cuándo|dónde|por qué|cómo"
    r"|cuánt[oa]s?|chi|che|cosa|cos'è|quale|quali|qual|quando|dove|perché|come|quant[oaie]|quem|o que|quais"
    r"|onde|por que|como|кто|что|какой|какая|какие|когда|где|почему|как|сколько"
)
"""The words that questions begin with."""

INVERTED: Final = (
    r"is|are|was(?! (?:ist|sind|war|waren|kann|können|soll\w*|muss|macht|bedeutet|heißt"
    r"|koste\w*|ergib\w*|ergeben|wieg\w*|bleibt)\b)|were|do|does|did"
    r"|has|have|had|can|could|will|would|isn't|aren't|doesn't|didn't|can't|ist|sind|war|waren|hat|haben|kann"
    r"|können|gibt es|darf|est-ce que?|est-ce qu|y a-t-il|existe-t-il|es|son|está|están|hay|fue|fueron|tiene"
    r"|puede|è|sono|era|ha|può|esistono|c'è|é|são|foi|tem"
)
"""The verbs that a question for yes or no begins with."""

OPINION: Final = (
    r"should|shall|ought|worth|(?:a )?(?:good|bad) idea|better|best|think|recommend|advise|sollte|soll"
    r"|besser|beste[nrs]?|meilleure?s?|devrais|debo|debería|mejor(?:es)?|vale la pena|dovrei|migliori?|devo"
    r"|melhor"
)
"""Words with which a question asks for advice, which is neither right nor wrong."""

PERSONAL: Final = r"i|we|you|my|our|your|ich|wir|du|je|nous|tu|yo|io|noi|eu"
"""Whom advice is for."""

HOW_MANY: Final = r"how (?:many|much)|wie ?viele?|combien|cuánt[oa]s?|quant[oaie]|quantos|quantas|сколько"

OF_A_PERSON: Final = (
    r"think|feel|like|love|hate|prefer|believe|agree|enjoy|want|know|have|remember|suggest|see|mind|ever|able"
    r"|sure|happy|aware|familiar|capable|good|heard|any"
)
"""What nobody but who is asked can say, behind "do you" and "are you"."""

AMOUNTS: Final = (
    rf"{HOW_MANY}"
    r"|how (?:old|tall|far|long|big|large|fast|heavy|deep|high|wide|often|hot|cold|thick|late)"
    r"|wie (?:alt|hoch|weit|lange?|groß|schnell|schwer|tief|breit|oft|warm|kalt|spät|teuer)"
)

IN_WORDS: Final = (
    r"letters?|vowels?|consonants?|syllables?|words?|characters?|times|buchstaben?|vokale?|konsonanten?"
    r"|silben?|wörter|zeichen|mal|lettres?|voyelles?|consonnes?|syllabes?|mots?|fois|letras?|vocales"
    r"|consonantes?|sílabas?|palabras?|veces|lettere|vocali|consonanti|sillabe|parole|volte"
)
"""What words and texts are made of, and how often."""

SPELLING: Final = (
    r"backwards?|in reverse|rückwärts|à l'envers|al revés|al contrario"
    r"|(?:first|last|second|third|the) letters?|letters? of|(?:with|by) the letter"
    r"|(?:ersten?|letzten?) buchstaben?|(?:première|dernière) lettre|(?:primera|última) letra"
    r"|(?:prima|ultima) lettera"
)
"""Words for the letters of a word, which a model does not see, and a program does."""

RECKONING: Final = (
    r"calculate|compute|solve|evaluate|add(?: up)?|subtract|multiply|divide|round|convert|simplify"
    r"|factori[sz]e|differentiate|integrate|count|berechne|rechne|löse|runde|addiere|multipliziere|wandle"
    r"|calcule[rz]?|résous|résoudre|convertis(?:sez)?|arrondis|calcula|resuelve|convierte|redondea|calcola"
    r"|risolvi|converti|arrotonda|вычисли|реши|计算"
)
"""Verbs for something that has one result."""

BETWEEN_NUMBERS: Final = (
    r"times|plus|minus|divided by|multiplied by|squared|cubed|to the power|mal|geteilt durch|hoch|fois"
    r"|divisé par|moins|por|más|menos|entre|dividido (?:por|entre)|per|diviso|più|meno"
)
"""Words for what is done with the number before them."""

UNITS: Final = (
    r"decimals?|fractions?|percent(?:ages?)?|binary|hexadecimal|roman numerals?|lowest terms|order|ascending"
    r"|descending|millimet(?:er|re)s?|centimet(?:er|re)s?|met(?:er|re)s?|kilomet(?:er|re)s?|mm|cm|km|m"
    r"|inch(?:es)?|feet|foot|yards?|miles?|grams?|kilograms?|kilos?|g|kg|pounds?|lbs?|ounces?|oz|tons?"
    r"|lit(?:er|re)s?|ml|l|gallons?|cups?|pints?|seconds?|minutes?|hours?|days?|weeks?|months?|years?"
    r"|celsius|fahrenheit|kelvin|°c|°f|dollars?|euros?|cents?|meilen|meter|kilometer|stunden|minuten"
    r"|sekunden|tage|dezimalzahl|bruch|prozent|mètres|kilomètres|milles|heures|secondes|jours|metros"
    r"|kilómetros|millas|horas|minutos|segundos|días|metri|chilometri|miglia|ore|minuti|secondi|giorni"
)
"""What a number can be turned into."""

FACTS: Final = (
    r"capital|name|title|author|currency|symbol|population|height|length|width|depth|weight|size|area|volume"
    r"|perimeter|circumference|speed|distance|temperature|age|year|century|decade|date|day|weekday|month"
    r"|time|colou?r|language|country|city|continent|river|ocean|planet|element|letter|word|number|percentage"
    r"|fraction|digit|sum|product|quotient|remainder|average|mean|median|total|result|price|cost|opposite"
    r"|antonym|synonym|plural|singular|past tense|participle|square root|cube root|root|probability"
    r"|atomic number|formula|birthplace|nationality|president|prime minister|king|queen|founder|winner"
    r"|odd one out|first|second|third|fourth|last|hauptstadt|währung|jahr|jahrhundert|datum|tag|monat"
    r"|uhrzeit|farbe|sprache|land|stadt|fluss|berg|ozean|summe|ergebnis|preis|größe|höhe|länge|alter"
    r"|gegenteil|mehrzahl|einwohnerzahl|tier|zahl|capitale|nom|monnaie|année|siècle|jour|mois|couleur|langue"
    r"|pays|ville|fleuve|océan|montagne|somme|résultat|prix|contraire|pluriel|auteur|animal|nombre|moneda"
    r"|año|siglo|día|mes|fecha|color|idioma|país|ciudad|río|océano|montaña|suma|resultado|precio|contrario"
    r"|autor|autora|nome|moneta|valuta|anno|secolo|giorno|mese|colore|lingua|paese|città|fiume|oceano|monte"
    r"|somma|risultato|prezzo|autore|moeda|ano|dia|cor|língua|cidade|rio"
)
"""What there is one of: words for facts."""

SUPERLATIVE: Final = (
    r"(?!(?:b|inter|requ|sugg|cont|for|sh|t|r|v|n|p|qu|gu|w|ch|j)est\b)\w{2,}(?:est|ßte|gste|chste|nste|tste|lste)[nrsm]?"
    r"|(?:most|least|plus|moins|más|menos|più|meno|mais)(?= \w)|größte[nrsm]?|höchste[nrsm]?|maior|menor"
)

BE: Final = r"is|was|'s|would be|do you call|ist|war|heißt|lautet|est|était|es|era|fue|è|é"
ARTICLES: Final = (
    r"the|a|an|its|der|die|das|dem|den|l'|la|le|les|un|une|el|los|las|una|uno|il|lo|gli|i|o|os|as"
)

WRITE: Final = (
    r"write(?! down\b| all\b)|compose|draft|implement|code|refactor|debug|fix|translate|rewrite|rephrase"
    r"|paraphrase|summari[sz]e|correct|proofread|edit|continue|prove|make up|invent"
    r"|tell .{0,30}\b(?:story|life|joke)|turn this|finish this|schreibe?|verfasse|dichte|übersetze?"
    r"|formuliere|fasse|korrigiere|beweise|erzähle?|écri(?:s|vez|re)|rédige[rz]?|tradui(?:s|sez|re)"
    r"|résume[rz]?|corrige[rz]?|reformule|raconte[rz]?|escrib[ea]|redacta|traduce|traduzca|resume|resúme"
    r"|corrige|cuenta(?:me)?|reescribe|scrivi|traduci|riassumi|correggi|racconta(?:mi)?|riscrivi|escreva"
    r"|escreve|traduza|resuma|напиши|переведи|写|翻译"
)
"""Verbs for a text, or code, that is written from beginning to end."""

WRITTEN: Final = (
    r"poem|story|tale|essay|letter|e-?mail|song|lyrics|script|dialogue|speech|joke|riddle|haiku|limerick"
    r"|tweet|recipe|sonnet|toast|cover letter|note|code|program|function|algorithm"
    r"|reg(?:ular )?ex(?:p|pression)?|sql|html|query|translation|summary|gedicht|geschichte|brief|rede|witz"
    r"|rezept|aufsatz|poème|histoire|lettre|discours|blague|recette|poema|cuento|historia|carta|discurso"
    r"|chiste|receta|poesia|storia|lettera|discorso|barzelletta|ricetta"
)

EXPLAIN: Final = (
    r"explain|describe|define|discuss|elaborate|outline|erkläre?|erläutere|beschreibe?|explique[rz]?"
    r"|expliquez|décri(?:s|vez|re)|explica|describe|spiega|descrivi|explique|descreva|объясни|опиши|解释|why"
    r"|how come|warum|wieso|weshalb|pourquoi|por qué|perché|por que|почему|为什么"
    r"|how (?:do|does|did|is|are|was|were|can|could|to|would|should|has|have)|how's"
    r"|wie (?!viele?\b|heißt\b|lautet\b|ist\b|sind\b|war\b)\w+|comment|cómo|come|como|как"
    r"|what (?:happens|happened|makes|made|causes|do you think)"
)
"""What an explanation is asked for with."""

BRIEF: Final = (
    r"(?:in|with|using|use) (?:just |only |about |at most |no more than )*"
    r"(?:a|an|one|two|three|\d+|a few|simple|plain|easy|short)"
    r"(?: (?:single|simple|short|or|to|two|three|\d+))* (?:sentences?|paragraphs?|words|lines?|terms)"
    r"|(?<!\w)(?:one|a single) (?:sentence|paragraph)"
    r"|in (?:einem|zwei|drei|wenigen|einfachen) (?:satz|sätzen|worten)"
    r"|en (?:une|deux|quelques) (?:phrases?|mots)|en (?:una|dos|pocas) (?:frases?|palabras)"
    r"|in (?:una|due|poche) (?:frasi?|parole)"
)
"""How short a text is to be: too short to be written in parts."""

YES_OR_NO: Final = (
    r"yes or no|true or false|right or wrong|ja oder nein|richtig oder falsch|wahr oder falsch|oui ou non"
    r"|vrai ou faux|sí o no|verdadero o falso|sì o no|vero o falso|sim ou não|да или нет|is it true"
    r"|stimmt es|est-il vrai|es cierto|es verdad|è vero|é verdade|what comes next|odd one out"
    r"|does(?: not|n't) belong"
)
"""What says itself that one answer is right."""

ONE: Final = (
    r"(?:name|write down|write all|state|identify|choose|pick|select|spell|unscramble|guess)"
    r"|(?:list|order|sort|arrange) (?:all )?(?:of )?the|(?:find|give|tell) (?:the|me the)"
)
"""Verbs for naming what there is one of, or a set that is complete."""

CHANGING: Final = (
    r"latest|current(?:ly)?|today(?:'s)?|tonight|tomorrow|yesterday|right now|this (?:week|month|year)"
    r"|last week|recent(?:ly)?|news|next (?:train|bus|flight|meeting)|heute|aktuell\w*|morgen|gestern"
    r"|aujourd'hui|actuel\w*|hoy|actual|oggi|attuale"
    r"|(?:to|in|into) (?:us )?(?:dollars|euros|pounds sterling|yen|francs|usd|eur|gbp)"
)
"""What changes from day to day, so that a tool may know it better."""

CODE: Final = (
    r"python|java|javascript|typescript|php|ruby|golang|kotlin|matlab|latex|bash|git|docker|mysql|json|xml|css"
    r"|api|compiler|array|string|dictionary|variable|function|database|query|command line|script|file|server"
    r"|loop|android|windows|excel|ipad|ipod|iphone|google docs|app|download|upload"
)
"""What answers are about that are pieces of code or of a configuration."""

RESULTS: Final = (
    r"average|mean|median|sum|product|total|factors|divisors|multiples|root|fraction|area|perimeter|volume"
    r"|difference|derivative|integral|square|cube"
)
"""What is computed of numbers."""

WHO: Final = (
    r"who(?! are)|whose|whom|who's|when|where|wer|wessen|wem|wann|wo|woher|wohin|wie heißt|qui|quand|où"
    r"|comment s'appelle|quién|cuándo|dónde|cómo se llama|chi|quando|dove|come si chiama|quem|onde"
    r"|como se chama|кто|когда|где"
)
"""What asks for a name, a time or a place."""

WHAT: Final = r"what|which|was|wie|welche[rsmn]?|quel(?:le)?s?|cuál|qué|qual|quale|che|o que"
