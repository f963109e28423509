"""The words by which texts in the larger languages give an answer, refuse one, count and measure."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """How one language speaks of answers. All but ``code`` and ``words`` are regular expressions.

    ``words`` are frequent function words that tell the language from the others; ``script`` is a character
    that does so alone. ``nouns`` name an answer, ``after`` are adjectives that may follow the noun, and
    ``verbs`` join it with the answer. ``result`` are nouns that name an answer only where a text ends.
    ``labels`` are words before the label of a choice, ``ends`` what may close a sentence after the answer.
    ``comma`` says that decimals follow a comma, ``dots`` that a single dot before three figures groups them.
    ``units`` gives the plain English word for a word of measure or scale, ``before`` for a word that stands
    before a number and joins or bounds it; ``yes`` and ``no`` are the words for those answers,
    ``months`` the twelve names as dates have them.
    """

    code: str
    words: str = ""
    script: str = ""
    nouns: str
    after: str = ""
    verbs: str = ""
    result: str = ""
    labels: str = ""
    ends: str = ""
    refusals: str = ""
    yes: str = ""
    no: str = ""
    comma: bool = False
    dots: bool = False
    units: dict[str, str] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    months: str = ""


def _units(table: str) -> dict[str, str]:
    """``plain: word word, plain: word`` as a mapping from each word, in lower case, to the plain one."""
    pairs = (entry.split(":") for entry in table.split(","))
    return {
        word.replace("_", " "): plain.strip().replace("_", " ")
        for plain, words in pairs
        for word in words.split()
    }


ENGLISH = Language(
    code="en",
    words="the is of and are was were it there that has have with so therefore hence answer they he she",
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

LANGUAGES = (
    ENGLISH,
    Language(
        code="de",
        words="der die das und ist sind nicht ein eine es von mit für wir also antwort beträgt den"
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
        units=_units(
            "m: meter metern, km: kilometer kilometern, cm: zentimeter zentimetern, mm: millimeter,"
            " kg: kilogramm kilo, g: gramm, t: tonne tonnen, l: liter litern, h: stunde stunden, min:"
            " minute minuten,"
            " s: sekunde sekunden, days: tag tage tagen, weeks: woche wochen, months: monat monate monaten,"
            " years: jahr jahre jahren, percent: prozent, degrees: grad, euros: euro, thousand: tausend,"
            " million: million millionen, billion: milliarde milliarden, trillion: billion billionen,"
            " dozen: dutzend"
        ),
        months="januar februar märz april mai juni juli august september oktober november dezember",
        before=_units(
            "and: und, or: oder, to: bis, at_least: mindestens, at_most: höchstens maximal, "
            "about: etwa ungefähr circa ca., not: nicht, more_than: mehr_als, less_than: weniger_als, "
            "exactly: genau"
        ),
    ),
    Language(
        code="fr",
        words="le la les des est sont une et il elle pour dans donc réponse qui que vaut mètres"
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
        units=_units(
            "m: mètre mètres, km: kilomètre kilomètres, cm: centimètre centimètres, mm: millimètre"
            " millimètres,"
            " kg: kilogramme kilogrammes kilo kilos, g: gramme grammes, t: tonne tonnes, l: litre litres,"
            " h: heure heures, s: seconde secondes, min: minute minutes, days: jour jours, weeks: semaine"
            " semaines,"
            " months: mois, years: an ans année années, percent: pour_cent pourcent, degrees: degré degrés,"
            " euros: euro euros, thousand: mille, million: million millions, billion: milliard milliards,"
            " trillion: billion billions, dozen: douzaine douzaines"
        ),
        months="janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        before=_units(
            "and: et, or: ou, to: à, at_least: au_moins, at_most: au_plus, about: environ, "
            "more_than: plus_de, less_than: moins_de, exactly: exactement"
        ),
    ),
    Language(
        code="es",
        words="el la los las es son una y del que por para con respuesta hay entonces metros horas se"
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
        units=_units(
            "m: metro metros, km: kilómetro kilómetros, cm: centímetro centímetros, mm: milímetro milímetros,"
            " kg: kilogramo kilogramos kilo kilos, g: gramo gramos, t: tonelada toneladas, l: litro litros,"
            " h: hora horas, min: minuto minutos, s: segundo segundos, days: día días, weeks: semana semanas,"
            " months: mes meses, years: año años, percent: por_ciento, degrees: grado grados, euros: euro"
            " euros,"
            " dollars: dólar dólares, thousand: mil, billion: mil_millones, million: millón millones,"
            " trillion: billón billones, dozen: docena docenas"
        ),
        months="enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        before=_units(
            "and: y, or: o, to: a, at_least: al_menos por_lo_menos, at_most: como_máximo a_lo_sumo, "
            "about: aproximadamente unos unas, more_than: más_de, less_than: menos_de, "
            "exactly: exactamente"
        ),
    ),
    Language(
        code="pt",
        words="o os as é são uma e do da que por para com resposta não há então metros horas foi em"
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
        units=_units(
            "m: metro metros, km: quilômetro quilômetros quilómetro quilómetros, cm: centímetro centímetros,"
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
        before=_units(
            "and: e, or: ou, to: a, at_least: pelo_menos ao_menos, at_most: no_máximo, "
            "about: aproximadamente cerca_de, not: não, more_than: mais_de, less_than: menos_de, "
            "exactly: exatamente"
        ),
    ),
    Language(
        code="it",
        words="il lo gli le è sono una e di che per con risposta della del quindi non metri ore nel"
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
        units=_units(
            "m: metro metri, km: chilometro chilometri, cm: centimetro centimetri, mm: millimetro millimetri,"
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
        before=_units(
            "and: e, or: o, to: a, at_least: almeno, at_most: al_massimo, about: circa, not: non, "
            "more_than: più_di, less_than: meno_di, exactly: esattamente"
        ),
    ),
    Language(
        code="ru",
        script="[а-яё]",
        nouns=r"(?:правильн(?:ый|ым)\s+(?:вариант|ответом?)|верный\s+(?:вариант|ответ)|ответ(?:ом)?)",
        after=r"здесь",
        verbs=r"это|равен|будет|является|составляет|—|–|-(?=\s)",
        result=r"(?:итоговый\s+)?результат|итого?|решение",
        labels=r"вариант|буква|ответ|под буквой|это",
        refusals=r"извините|простите|к\s+сожалению|(?:я\s+)?не\s+(?:знаю|могу|уверена?)\b|я\s+не\s+",
        yes="да",
        no="нет",
        comma=True,
        units=_units(
            "m: м метр метра метров, km: км километр километра километров, cm: см сантиметр сантиметра"
            " сантиметров,"
            " mm: мм миллиметр миллиметра миллиметров, kg: кг килограмм килограмма килограммов,"
            " g: г грамм грамма граммов, l: л литр литра литров, h: ч час часа часов, min: мин минута"
            " минуты минут,"
            " s: с сек секунда секунды секунд, days: день дня дней, weeks: неделя недели недель,"
            " months: месяц месяца месяцев, years: год года лет, percent: процент процента процентов,"
            " degrees: градус градуса градусов, euros: евро, dollars: доллар доллара долларов,"
            " rubles: руб рубль рубля рублей, thousand: тыс тысяча тысячи тысяч,"
            " million: млн миллион миллиона миллионов, billion: млрд миллиард миллиарда миллиардов"
        ),
        months="января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
        before=_units(
            "and: и, or: или, to: до, at_least: минимум не_менее, at_most: максимум не_более, "
            "about: около примерно, not: не, more_than: более больше, less_than: менее меньше, "
            "exactly: ровно"
        ),
    ),
    Language(
        code="ja",
        script="[ぁ-ヿ]",
        nouns=r"(?:最終的な|正しい|最終)?(?:答え|答|回答|正解|解答|選択肢)",
        verbs=r"は[、,]?",
        result=r"(?:最終)?結果|したがって|よって",
        labels=r"選択肢|選択肢の",
        ends=r"(?:です|である|だ|となります|になります|でした|となる|になる)(?:ね|よ)?",
        refusals=r"申し訳|すみません|ごめん|わかりません|分かりません|残念ながら",
        yes="はい",
        no="いいえ",
        units=_units(
            "m: メートル, km: キロメートル キロ, cm: センチメートル センチ, mm: ミリメートル ミリ,"
            " kg: キログラム,"
            " g: グラム, t: トン, l: リットル, h: 時間, min: 分 分間, s: 秒 秒間, days: 日 日間, weeks: 週間,"
            " months: か月 ヶ月, years: 年 年間, percent: パーセント, degrees: 度, yen: 円, dollars:"
            " ドル, euros: ユーロ"
        ),
    ),
    Language(
        code="zh",
        script="[一-鿿]",
        nouns=r"(?:最终|正确|最後|最后|最終|正確)?的?(?:答案|选项|選項|答)",
        verbs=r"(?:应该|應該|应|應|就)?(?:是|为|為|选|選)",
        result=r"(?:最终|最后)?结果",
        labels=r"选项|選項|选择?|選擇?",
        refusals=r"(?:很)?抱歉|对不起|對不起|我?(?:不知道|无法|無法|不能|不确定|不確定)",
        yes="是 是的 对 對",
        no="否 不是 不 不对 不對",
        units=_units(
            "m: 米 公尺, km: 公里 千米, cm: 厘米 公分, mm: 毫米, kg: 公斤 千克, g: 克, t: 吨 噸, l: 升 公升,"
            " h: 小时 小時 个小时 個小時, min: 分钟 分鐘, s: 秒 秒钟, days: 天, weeks: 周 个星期,"
            " months: 个月 個月,"
            " years: 年, percent: 百分之, degrees: 度, yuan: 元 块 人民币, dollars: 美元, euros: 欧元 歐元,"
            " yen: 日元"
        ),
    ),
    Language(
        code="ko",
        script="[가-힣]",
        nouns=r"(?:최종\s*|올바른\s*|맞는\s*)?(?:정답|답변|해답|답)",
        verbs=r"은|는|이|:",
        result=r"(?:최종\s*)?결과(?:는)?|따라서",
        labels=r"선택지|보기",
        ends=r"(?:입니다|이다|이에요|예요|이예요|(?:이|가)?\s*됩니다)",
        refusals=r"죄송|미안|모르겠|알\s*수\s*없",
        yes="네 예",
        no="아니요 아니오",
        units=_units(
            "m: 미터, km: 킬로미터, cm: 센티미터, kg: 킬로그램, g: 그램, l: 리터, h: 시간, min: 분,"
            " s: 초, days: 일,"
            " weeks: 주, months: 개월, years: 년, percent: 퍼센트, degrees: 도, won: 원, dollars:"
            " 달러, euros: 유로"
        ),
    ),
    Language(
        code="hi",
        script="[ऀ-ॿ]",
        nouns=r"(?:अंतिम\s+|सही\s+)?(?:उत्तर|जवाब|विकल्प)",
        verbs=r"है(?=\s*:)|होगा(?=\s*:)",
        result=r"(?:अंतिम\s+)?परिणाम",
        labels=r"विकल्प",
        ends=r"(?:है|हैं|होगा|होगी|था)",
        refusals=r"माफ़|माफ|क्षमा|मुझे\s+नहीं\s+पता|मुझे\s+खेद",
        yes="हाँ हां",
        no="नहीं",
        units=_units(
            "m: मीटर, km: किलोमीटर किमी, cm: सेंटीमीटर, kg: किलोग्राम किलो, g: ग्राम, l: लीटर, h: घंटा घंटे,"
            " min: मिनट, s: सेकंड, days: दिन, weeks: सप्ताह, months: महीने, years: वर्ष साल, percent:"
            " प्रतिशत,"
            " degrees: डिग्री, rupees: रुपये रुपए, dollars: डॉलर, thousand: हज़ार हजार, lakh: लाख, crore:"
            " करोड़"
        ),
    ),
    Language(
        code="ar",
        script="[ء-ي]",
        nouns=r"(?:ال)?(?:إجابة|اجابة|جواب|خيار)(?:\s+(?:ال)?(?:نهائية|نهائي|صحيحة|صحيح))*",
        verbs=r"هو|هي|يساوي|تساوي",
        result=r"(?:ال)?(?:نتيجة|ناتج)(?:\s+النهائية)?",
        labels=r"الخيار|الحرف",
        refusals=r"آسف|عذر|لا\s+أعرف|لا\s+أستطيع|لا\s+يمكنني|لست\s+متأكد|للأسف",
        yes="نعم",
        no="لا",
        units=_units(
            "m: متر أمتار متراً مترا, km: كيلومتر كم, cm: سنتيمتر سم, kg: كيلوغرام كيلوجرام كغ كجم, g:"
            " غرام جرام,"
            " l: لتر, h: ساعة ساعات, min: دقيقة دقائق, s: ثانية ثوان ثواني, days: يوم أيام, weeks: أسبوع"
            " أسابيع,"
            " years: سنة سنوات عام, percent: بالمئة بالمائة, degrees: درجة, dollars: دولار, euros: يورو,"
            " thousand: ألف, million: مليون ملايين, billion: مليار مليارات"
        ),
    ),
)

MYRIADS = {
    "万": 10**4,
    "萬": 10**4,
    "만": 10**4,
    "億": 10**8,
    "亿": 10**8,
    "억": 10**8,
    "兆": 10**12,
    "조": 10**12,
}
"""What a number is multiplied by when one of these characters follows it."""

_ORDER = ("ja", "ko", "zh", "hi", "ar", "ru")
_WORD = re.compile(r"[^\W\d_]+")
_SCRIPTS = {each.code: re.compile(each.script) for each in LANGUAGES if each.script}
_WORDS = {each.code: frozenset(each.words.split()) for each in LANGUAGES if each.words}
_BY_CODE = {each.code: each for each in LANGUAGES}
_SAMPLE = 4_000


def language_of(text: str) -> Language:
    """The language of ``text`` by its script and its function words; English where they do not tell.

    What is shared by several languages, such as "es" or "la", decides nothing: the lead has to be clear.
    """
    sample = text[-_SAMPLE:].casefold()
    if not sample.isascii():
        letters = sum(char.isalpha() for char in sample)
        for code in _ORDER:
            if len(_SCRIPTS[code].findall(sample)) * 10 >= letters > 0:
                return _BY_CODE[code]
    words = _WORD.findall(sample)
    counts = {code: sum(word in known for word in words) for code, known in _WORDS.items()}
    best, second = sorted(counts.values(), reverse=True)[:2]
    if best == second:
        return ENGLISH
    return _BY_CODE[max(counts, key=lambda code: counts[code])]
