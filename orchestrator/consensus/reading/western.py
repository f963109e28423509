"""How German, French, Spanish, Portuguese and Italian texts, and English ones, give an answer."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

from orchestrator.consensus.reading.language import Language, words_of

ENGLISH = Language(
    code="en",
    words="the is of and are was were it there that has have had with in at by for from so therefore hence"
    " answer they he she",
    nouns=r"(?:(?:correct|right|best)\s+(?:option|choice)|answer|answers)",
    after=r"choice|option|here|to the (?:question|problem)|to this (?:question|problem)",
    verbs=r"is|are|would be|must be|should be|will be|has to be|equals|comes (?:out )?to(?: be)?|turns"
    r" out to be"
    r"|remains",
    result=r"(?:final\s+|end\s+)?(?:result|solution|conclusion|value)",
    labels=r"the|option|choice|letter|answer",
    refusals=r"i['’]?m\s+sorry|sorry|i\s+apologi[sz]e|as\s+an?\s+(?:ai|language)|(?:i\s+have\s+)?no\s+idea\b"
    r"|(?:i(?:['’]m|\s+am)\s+)?not\s+(?:really\s+|quite\s+|entirely\s+)?(?:sure|certain)(?:\s+(?:about|of"
    r"|what|how)\b"
    r"[^.,;]*)?\s*(?:[.!]|$)"
    r"|i\s+(?:don['’]?t|do\s+not)\s+(?:know|have\s+(?:enough|sufficient))\b"
    r"|(?:unfortunately,?\s+)?i\s*(?:['’]m|\s+am)?\s*(?:cannot|can['’]?t|can\s+not|won['’]?t|unable"
    r"|not\s+able)\b"
    r"|there\s+is\s+not\s+enough\s+information|(?:it\s+)?(?:is\s+)?impossible\s+to\s+(?:say|tell|determine)"
    r"|(?:it\s+)?(?:cannot|can['’]?t)\s+be\s+(?:determined|answered)|not\s+enough\s+information"
    r"|insufficient\s+"
    r"(?:information|data)",
    yes="yes",
    no="no",
)

WESTERN = (
    ENGLISH,
    Language(
        code="de",
        words="bleiben bleibt übrig der die das und ist sind nicht ein eine es von mit für wir also "
        "antwort beträgt den"
        " dem lautet meter stunden minuten sekunden prozent er sie wurde wird am im zum auf bei"
        " hat haben man kostet so daher somit zusammen insgesamt",
        nouns=r"(?:(?:richtige|korrekte)\s+(?:option|wahl|lösung)|(?:end)?antwort(?:möglichkeit)?)",
        verbs=r"ist(?:\s+also)?|lautet|wäre|beträgt|heißt|sind",
        result=r"(?:end)?ergebnis|lösung|resultat",
        labels=r"die|der|das|option|antwort|buchstabe",
        refusals=r"es\s+tut\s+mir\s+leid|tut\s+mir\s+leid|entschuldigung|leider\s+kann\s+ich"
        r"|ich\s+(?:kann|weiß|weiss)\b[^.]{0,60}\bnicht\b|ich\s+bin\s+(?:mir\s+)?nicht\s+sicher\s*(?:[.!]"
        r"|$)|keine\s+ahnung",
        yes="ja",
        no="nein",
        comma=True,
        dots=True,
        units=words_of(
            "percentage_points: prozentpunkte prozentpunkten prozentpunkt,"
            " m²: quadratmeter quadratmetern, cm²: quadratzentimeter, km²: quadratkilometer, m³: "
            "kubikmeter, ha: hektar,"
            " km/h: stundenkilometer, m: meter metern, km: kilometer kilometern, cm: zentimeter "
            "zentimetern, mm: millimeter,"
            " kg: kilogramm kilo, g: gramm, t: tonne tonnen, l: liter litern, h: stunde stunden, min:"
            " minute minuten,"
            " s: sekunde sekunden, days: tag tage tagen, weeks: woche wochen, months: monat monate monaten,"
            " years: jahr jahre jahren, percent: prozent, degrees: grad, euros: euro, thousand: tausend,"
            " million: million millionen, billion: milliarde milliarden, trillion: billion billionen,"
            " dozen: dutzend"
        ),
        months="januar februar märz april mai juni juli august september oktober november dezember",
        before=words_of(
            "and: und, or: oder, to: bis, at_least: mindestens, at_most: höchstens maximal, "
            "about: etwa ungefähr circa ca., not: nicht, more_than: mehr_als, less_than: weniger_als, "
            "exactly: genau"
        ),
    ),
    Language(
        code="fr",
        words="à il reste restent le la les des est sont une et il elle pour dans donc réponse qui que "
        "vaut mètres"
        " heures secondes du au aux nous sur avec a été coûte total ainsi",
        nouns=r"(?:(?:bonne|seule)\s+(?:option|proposition)|réponse)",
        after=r"finale|correcte|exacte|juste|est donc",
        verbs=r"est(?:\s+donc)?|serait|sera|vaut|sont",
        result=r"résultat(?:\s+final)?|solution|conclusion",
        labels=r"la|le|l['’]option|option|lettre|proposition|réponse",
        refusals=r"(?:je\s+suis\s+)?désolée?|je\s+ne\s+(?:peux|sais|suis)\s+pas|je\s+ne\s+peux\b"
        r"|je\s+m['’]excuse|aucune\s+idée"
        r"|malheureusement,?\s+je\s+ne",
        yes="oui",
        no="non",
        comma=True,
        units=words_of(
            "percentage_points: points_de_pourcentage,"
            " m²: mètres_carrés mètre_carré, cm²: centimètres_carrés, km²: kilomètres_carrés, m³: "
            "mètres_cubes,"
            " ha: hectare hectares, m: mètre mètres, km: kilomètre kilomètres, cm: centimètre "
            "centimètres, mm: millimètre"
            " millimètres,"
            " kg: kilogramme kilogrammes kilo kilos, g: gramme grammes, t: tonne tonnes, l: litre litres,"
            " h: heure heures, s: seconde secondes, min: minute minutes, days: jour jours, weeks: semaine"
            " semaines,"
            " months: mois, years: an ans année années, percent: pour_cent pourcent, degrees: degré degrés,"
            " euros: euro euros, thousand: mille, million: million millions, billion: milliard milliards,"
            " trillion: billion billions, dozen: douzaine douzaines"
        ),
        months="janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        before=words_of(
            "and: et, or: ou, to: à, at_least: au_moins, at_most: au_plus, about: environ, "
            "more_than: plus_de, less_than: moins_de, exactly: exactement"
        ),
    ),
    Language(
        code="es",
        words="quedan queda el la los las es son una y del que por para con respuesta hay entonces "
        "metros horas se"
        " en fue cuesta total más tiene costó nació",
        nouns=r"(?:(?:opción|alternativa)\s+(?:correcta|es)|respuesta)",
        after=r"final|correcta|exacta|definitiva",
        verbs=r"es|sería|será|son",
        result=r"resultado(?:\s+final)?|solución",
        labels=r"la|el|opción|letra|alternativa|respuesta",
        refusals=r"lo\s+siento|no\s+(?:lo\s+)?(?:sé|puedo|estoy\s+segur[oa])\b|lamento|ni\s+idea|disculp",
        yes="sí si",
        no="no",
        comma=True,
        units=words_of(
            "percentage_points: puntos_porcentuales,"
            " m²: metros_cuadrados metro_cuadrado, cm²: centímetros_cuadrados, km²: kilómetros_cuadrados,"
            " m³: metros_cúbicos, ha: hectárea hectáreas, m: metro metros, km: kilómetro kilómetros, cm: "
            "centímetro centímetros, mm: milímetro milímetros,"
            " kg: kilogramo kilogramos kilo kilos, g: gramo gramos, t: tonelada toneladas, l: litro litros,"
            " h: hora horas, min: minuto minutos, s: segundo segundos, days: día días, weeks: semana semanas,"
            " months: mes meses, years: año años, percent: por_ciento, degrees: grado grados, euros: euro"
            " euros,"
            " dollars: dólar dólares, thousand: mil, billion: mil_millones, million: millón millones,"
            " trillion: billón billones, dozen: docena docenas"
        ),
        months="enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        before=words_of(
            "and: y, or: o, to: a, at_least: al_menos por_lo_menos, at_most: como_máximo a_lo_sumo, "
            "about: aproximadamente unos unas, more_than: más_de, less_than: menos_de, "
            "exactly: exactamente"
        ),
    ),
    Language(
        code="pt",
        words="sobram restam às ao o os as é são uma e do da que por para com resposta não há então "
        "metros horas foi em"
        " no na se custa mais tem nasceu",
        nouns=r"(?:(?:opção|alternativa)\s+(?:correta|certa)|resposta)",
        after=r"final|correta|certa|definitiva",
        verbs=r"é|seria|será|são",
        result=r"resultado(?:\s+final)?|solução",
        labels=r"a|o|opção|letra|alternativa|resposta",
        refusals=r"desculp|sinto\s+muito|lamento|(?:eu\s+)?não\s+(?:sei|posso|consigo|tenho\s+certeza)\b",
        yes="sim",
        no="não",
        comma=True,
        dots=True,
        units=words_of(
            "percentage_points: pontos_percentuais,"
            " m²: metros_quadrados metro_quadrado, cm²: centímetros_quadrados, km²: quilômetros_quadrados,"
            " m³: metros_cúbicos, ha: hectare hectares, m: metro metros, km: quilômetro quilômetros "
            "quilómetro quilómetros, cm: centímetro centímetros,"
            " mm: milímetro milímetros, kg: quilograma quilogramas quilo quilos, g: grama gramas, l:"
            " litro litros,"
            " t: tonelada toneladas, h: hora horas, min: minuto minutos, s: segundo segundos, days: dia dias,"
            " weeks: semana semanas, months: mês meses, years: ano anos, percent: por_cento, degrees:"
            " grau graus,"
            " euros: euro euros, dollars: dólar dólares, reais: real reais, thousand: mil, million:"
            " milhão milhões,"
            " billion: bilhão bilhões, trillion: trilhão trilhões, dozen: dúzia dúzias"
        ),
        months="janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        before=words_of(
            "and: e, or: ou, to: a, at_least: pelo_menos ao_menos, at_most: no_máximo, "
            "about: aproximadamente cerca_de, not: não, more_than: mais_de, less_than: menos_de, "
            "exactly: exatamente"
        ),
    ),
    Language(
        code="it",
        words="restano resta il lo gli le è sono una e di che per con risposta della del quindi non "
        "metri ore nel"
        " nella si stato costa più ha nato in",
        nouns=r"(?:(?:opzione|alternativa)\s+(?:corretta|giusta)|risposta)",
        after=r"finale|corretta|giusta|esatta|definitiva",
        verbs=r"è(?:\s+quindi)?|sarebbe|sarà|sono",
        result=r"risultato(?:\s+finale)?|soluzione",
        labels=r"la|il|l['’]opzione|opzione|lettera|risposta",
        refusals=r"mi\s+dispiace|scus|purtroppo\s+non|non\s+(?:lo\s+)?(?:so|posso|sono\s+sicur[oa])\b",
        yes="sì",
        no="no",
        comma=True,
        dots=True,
        units=words_of(
            "percentage_points: punti_percentuali,"
            " m²: metri_quadrati metri_quadri metro_quadrato, cm²: centimetri_quadrati, km²: "
            "chilometri_quadrati,"
            " m³: metri_cubi, ha: ettaro ettari, m: metro metri, km: chilometro chilometri, cm: "
            "centimetro centimetri, mm: millimetro millimetri,"
            " kg: chilogrammo chilogrammi chilo chili, g: grammo grammi, l: litro litri, t: tonnellata"
            " tonnellate,"
            " h: ora ore, min: minuto minuti, s: secondo secondi, days: giorno giorni, weeks: settimana"
            " settimane,"
            " months: mese mesi, years: anno anni, percent: per_cento percento, degrees: grado gradi,"
            " euros: euro,"
            " dollars: dollaro dollari, thousand: mila mille, million: milione milioni, billion: miliardo"
            " miliardi,"
            " trillion: bilione bilioni, dozen: dozzina dozzine"
        ),
        months="gennaio febbraio marzo aprile maggio giugno luglio agosto settembre"
        " ottobre novembre dicembre",
        before=words_of(
            "and: e, or: o, to: a, at_least: almeno, at_most: al_massimo, about: circa, not: non, "
            "more_than: più_di, less_than: meno_di, exactly: esattamente"
        ),
    ),
)
