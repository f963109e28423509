"""Numbers that are written in words of other languages than English, in figures.

An article that is also the word for one counts nothing, unless a part follows it: "ein Drittel" is 1/3.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from functools import cache
from math import gcd

from orchestrator.consensus.quantities.patterns import lazily

_ONES = {
    # from zero: two and the rest in their order; alternatives after a slash
    "de": "null eins zwei/zwo drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn "
    "fünfzehn "
    "sechzehn siebzehn achtzehn neunzehn",
    "fr": "zéro - deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize "
    "dix-sept "
    "dix-huit dix-neuf",
    "es": "cero - dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve veinte veintiuno/veintiún veintidós veintitrés veinticuatro veinticinco "
    "veintiséis veintisiete veintiocho veintinueve",
    "pt": "zero - dois/duas três quatro cinco seis sete oito nove dez onze doze treze catorze/quatorze "
    "quinze "
    "dezesseis/dezasseis dezessete/dezassete dezoito dezenove/dezanove",
    "it": "zero - due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici "
    "quindici "
    "sedici diciassette diciotto diciannove",
    "ru": "ноль/нуль - два/две/двух три/трёх/трех четыре/четырёх/четырех пять/пяти шесть/шести семь/семи "
    "восемь/восьми девять/девяти десять/десяти одиннадцать двенадцать/двенадцати тринадцать четырнадцать "
    "пятнадцать/пятнадцати шестнадцать семнадцать восемнадцать девятнадцать",
    "hi": "शून्य - दो तीन चार पाँच/पांच छह/छः/छ सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह/पन्द्रह सोलह "
    "सत्रह अठारह उन्नीस",
    "ar": "صفر - اثنان/اثنين/اثنتان/اثنا/اثني ثلاثة/ثلاث أربعة/أربع خمسة/خمس ستة/ست سبعة/سبع "
    "ثمانية/ثماني/ثمان تسعة/تسع "
    "عشرة/عشر",
}
_TENS = {
    # twenty and the rest in their order
    "de": "zwanzig dreißig/dreissig vierzig fünfzig sechzig siebzig achtzig neunzig",
    "fr": "vingt trente quarante cinquante soixante septante/soixante-dix "
    "quatre-vingts/quatre-vingt/huitante "
    "quatre-vingt-dix/nonante",
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    "pt": "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa",
    "it": "venti trenta quaranta cinquanta sessanta settanta ottanta novanta",
    "ru": "двадцать/двадцати тридцать/тридцати сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто",
    "hi": "बीस तीस चालीस पचास साठ सत्तर अस्सी नब्बे",
    "ar": "عشرون/عشرين ثلاثون/ثلاثين أربعون/أربعين خمسون/خمسين ستون/ستين سبعون/سبعين ثمانون/ثمانين "
    "تسعون/تسعين",
}
_HUNDREDS = {
    "de": {"hundert": 100, "einhundert": 100},
    "fr": {"cent": 100, "cents": 100},
    "es": {"cien": 100, "ciento": 100, "doscientos": 200, "trescientos": 300, "cuatrocientos": 400}
    | {"quinientos": 500, "seiscientos": 600, "setecientos": 700, "ochocientos": 800, "novecientos": 900},
    "pt": {"cem": 100, "cento": 100, "duzentos": 200, "trezentos": 300, "quatrocentos": 400}
    | {"quinhentos": 500, "seiscentos": 600, "setecentos": 700, "oitocentos": 800, "novecentos": 900},
    "it": {"cento": 100},
    "ru": {"сто": 100, "двести": 200, "триста": 300, "четыреста": 400, "пятьсот": 500, "шестьсот": 600}
    | {"семьсот": 700, "восемьсот": 800, "девятьсот": 900},
    "hi": {"सौ": 100},
    "ar": {"مئة": 100, "مائة": 100, "مئتان": 200, "مائتان": 200},
}
_FURTHER = {"hi": {"पच्चीस": 25, "पैंतीस": 35, "पैंतालीस": 45, "पचहत्तर": 75, "चौबीस": 24, "बत्तीस": 32}}
_THOUSANDS = {
    "de": "tausend eintausend",
    "fr": "mille",
    "es": "mil",
    "pt": "mil",
    "it": "mille mila",
    "ru": "тысяча тысячи тысяч",
    "hi": "हज़ार हजार",
    "ar": "ألف آلاف",
}
_ARTICLES = {
    "de": "ein eine einen einem einer",
    "fr": "un une",
    "es": "un una",
    "pt": "um uma",
    "it": "un una uno",
}
_ARTICLES |= {"ru": "один одна одну", "hi": "एक"}
_PARTS = {
    # halves and the rest in their order
    "de": "halb/halbe/halber/halbes drittel viertel fünftel sechstel siebtel achtel neuntel zehntel",
    "fr": "demi/demie/demis tiers quart/quarts cinquième/cinquièmes sixième/sixièmes septième/septièmes "
    "huitième/huitièmes neuvième/neuvièmes dixième/dixièmes",
    "es": "medio/media/medios tercio/tercios cuarto/cuartos quinto/quintos sexto/sextos séptimo/séptimos "
    "octavo/octavos noveno/novenos décimo/décimos",
    "pt": "meio/meia/meios terço/terços quarto/quartos quinto/quintos sexto/sextos sétimo/sétimos "
    "oitavo/oitavos "
    "nono/nonos décimo/décimos",
    "it": "mezzo/mezza/mezzi terzo/terzi quarto/quarti quinto/quinti sesto/sesti settimo/settimi "
    "ottavo/ottavi "
    "nono/noni decimo/decimi",
    "ru": "- треть/трети/третьих четверть/четверти/четвёртых/четвертых пятая/пятых шестая/шестых "
    "седьмая/седьмых "
    "восьмая/восьмых девятая/девятых десятая/десятых",
}
_WHOLES = {
    "de": {
        "anderthalb": "1.5",
        "eineinhalb": "1.5",
        "zweieinhalb": "2.5",
        "dreieinhalb": "3.5",
        "hälfte": "1/2",
    },
    "fr": {"moitié": "1/2"},
    "es": {"mitad": "1/2"},
    "pt": {"metade": "1/2"},
    "it": {"metà": "1/2"},
    "ru": {"половина": "1/2", "половину": "1/2", "полтора": "1.5", "полторы": "1.5"},
    "hi": {"आधा": "1/2", "डेढ़": "1.5", "ढाई": "2.5"},
    "ar": {"النصف": "1/2", "نصف": "1/2"},
}
_JOINTS = {"de": "und", "fr": "et", "es": "y", "pt": "e", "it": "e", "ar": "و"}
_HAN = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_HAN_TENS = {"十": 10, "百": 100, "千": 1000}
_HAN_RUN = "零〇一二三四五六七八九两兩十百千"
_HAN_SHARE = lazily(rf"([{_HAN_RUN}]{{1,9}})分[之の]([{_HAN_RUN}]{{1,9}})")
_HAN_NUMBER = lazily(
    rf"(?<![{_HAN_RUN}万亿億])(?:[{_HAN_RUN}]{{2,12}}|[{_HAN_RUN}](?=[个個只本块元円米年天人歳岁枚匹冊匹升公小千万キメト時])"
    rf"|(?<=[是为為は])[{_HAN_RUN}](?=\s*(?:です|だ|である)?\W*$))(?![分角边辺])",
    re.MULTILINE,
)
_HANGUL = {char: value for value, char in enumerate("영일이삼사오육칠팔구")}
_HANGUL_TENS = {"십": 10, "백": 100, "천": 1000}
_HANGUL_NUMBER = lazily(
    r"(?<![가-힣])(?=[일이삼사오육칠팔구]?[십백천])[일이삼사오육칠팔구십백천]{2,12}(?=\s|입니다|이다|개|명|원|미터|킬로|분|시간|\W|$)"
)
_SEGMENT = lazily(r"[^.!?。\n]+")
_FIGURE = lazily(r"[0-9]")
_CUT = lazily(r"(?:[^\W\d_]|[ऀ-ॣ])+(?:-[^\W\d_]+)*")
MOST_WORDS = 12
"""Words of one number at most."""


@cache
def number_words(code: str) -> dict[str, int]:
    """Each word of a language that is a number by itself, and its value."""
    if code not in _ONES:
        return {}
    words: dict[str, int] = {}
    for start, step, table in ((0, 1, _ONES), (20, 10, _TENS)):
        for at, entry in enumerate(table[code].split()):
            words |= {word: start + step * at for word in entry.split("/") if word != "-"}
    words |= _HUNDREDS[code] | _FURTHER.get(code, {})
    if code == "de":
        ones = {"ein": 1} | {word: value for word, value in words.items() if 2 <= value <= 9}
        tens = [(word, value) for word, value in words.items() if 20 <= value <= 90]
        words |= {f"{one}und{ten}": value + size for one, value in ones.items() for ten, size in tens}
    if code == "it":
        tens = [(word, value) for word, value in words.items() if 20 <= value <= 90]
        units = {"uno": 1, "tré": 3} | {word: value for word, value in words.items() if 2 <= value <= 9}
        words |= {
            (ten[:-1] if one in ("uno", "otto") else ten) + one: size + value
            for one, value in units.items()
            for ten, size in tens
        }
    if code in ("de", "it"):
        hundred = "hundert" if code == "de" else "cento"
        below = dict(words)
        digits = {word: value for word, value in below.items() if 2 <= value <= 9}
        digits |= {"ein": 1, "": 1} if code == "de" else {"": 1}
        words |= {f"{one}{hundred}": 100 * value for one, value in digits.items()}
        words |= {
            f"{one}{hundred}{rest}": 100 * value + more
            for one, value in digits.items()
            for rest, more in below.items()
            if 0 < more < 100
        }
    return words


@cache
def _parts(code: str) -> dict[str, int]:
    return {
        word: at + 2
        for at, entry in enumerate(_PARTS.get(code, "").split())
        for word in entry.split("/")
        if word != "-"
    }


def in_figures(text: str, code: str) -> str:
    """The text of the language ``code`` with its number words in figures, in sentences without figures."""
    if code == "en":
        return text
    return _SEGMENT.sub(
        lambda match: match[0] if _FIGURE.search(match[0]) else _converted(match[0], code), text
    )


def _converted(segment: str, code: str) -> str:
    if code in ("zh", "ja"):
        segment = _HAN_SHARE.sub(
            lambda m: f"{_han(m[2])}%" if m[1] == "百" else f"{_han(m[2])}/{_han(m[1])}", segment
        )
        return _HAN_NUMBER.sub(lambda m: str(_han(m[0])), segment)
    if code == "ko":
        return _HANGUL_NUMBER.sub(lambda m: str(_positional(m[0], _HANGUL, _HANGUL_TENS)), segment)
    pieces, at = [], 0
    words = list(_CUT.finditer(segment))
    place = 0
    while place < len(words):
        read = _number(words, place, segment, code)
        if read is None:
            place += 1
            continue
        value, stop = read
        pieces += [segment[at : words[place].start()], value]
        at = words[stop - 1].end()
        place = stop
    return "".join([*pieces, segment[at:]])


def _number(words: list[re.Match[str]], place: int, segment: str, code: str) -> tuple[str, int] | None:
    """The number that begins with the word at ``place``, and the place after it."""
    known, parts = number_words(code), _parts(code)
    thousands = _THOUSANDS.get(code, "").split()
    joint = _JOINTS.get(code, "")
    first = words[place][0].casefold()
    if (whole := _WHOLES.get(code, {}).get(first)) is not None:
        return whole, place + 1
    following = words[place + 1][0].casefold() if place + 1 < len(words) else ""
    articles = _ARTICLES.get(code, "").split()
    if first in articles:
        return (f"1/{parts[following]}", place + 2) if following in parts else None
    total, current, size, at = 0, 0, 0, place
    while at < min(len(words), place + MOST_WORDS):
        word = words[at][0].casefold()
        if at > place and segment[words[at - 1].end() : words[at].start()] not in (" ", "-"):
            break
        if code == "ar" and at > place and word.startswith("و") and word[1:] in known:
            word = word[1:]
        if word == joint and at > place and at + 1 < len(words) and size >= 20:
            follows = words[at + 1][0].casefold()
            one = 1 if follows in articles else None
            if (one or known.get(follows, size)) < size:
                current, size = current + (one or 0), 1 if one else size
                at += 2 if one else 1
                continue
            break
        value = known.get(word)
        if value is None and "-" in word:
            values = [known.get(part) for part in word.split("-") if part != joint]
            if values[:2] == [4, 20]:  # quatre-vingt-dix-sept
                values[:2] = [80]
            value = sum(each or 0 for each in values) if None not in values else None
        if word in thousands:
            total, current, size = total + max(current, 1) * 1000, 0, 1000
        elif value == 100 and 2 <= current <= 9:
            current, size = current * 100, 100
        elif value is None or (at > place and value >= size and not (code == "ar" and value % 10 == 0)):
            break
        else:
            current, size = current + value, value
        at += 1
    if at == place or (at == place + 1 and first in thousands):
        return None
    while words[at - 1][0].casefold() == joint:
        at -= 1
    value = total + current
    if at < len(words) and (part := parts.get(words[at][0].casefold())) and gcd(value, part) == 1:
        return f"{value}/{part}", at + 1
    return str(value), at


def _han(run: str) -> int:
    return _positional(run, _HAN, _HAN_TENS)


def _positional(run: str, digits: dict[str, int], tens: dict[str, int]) -> int:
    if not any(char in tens for char in run):
        return int("".join(str(digits[char]) for char in run))
    total, current = 0, 0
    for char in run:
        if char in tens:
            total, current = total + max(current, 1) * tens[char], 0
        else:
            current = digits[char]
    return total + current
