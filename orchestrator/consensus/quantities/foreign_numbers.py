"""Number words of the larger languages up to 999,999, each in its own way of composing them."""

from __future__ import annotations

from functools import cache

from orchestrator.consensus.quantities.patterns import lazily

_ENGLISH_ALONE = frozenset(
    "null nul once six due cent mil dos elf sei mille tre sete un um een ein uno una une".split()  # noqa: SIM905
)
"""What is an English word, or a name, where it stands alone."""

# fmt: off
_GERMAN = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn "
    "sechzehn siebzehn achtzehn neunzehn"
)
_GERMAN_TENS = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig"
_FRENCH = (
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize "
    "dix-sept dix-huit dix-neuf"
)
_FRENCH_TENS = "vingt trente quarante cinquante soixante"
_SPANISH = ("cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince "
"dieciséis diecisiete dieciocho "
            "diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco "
            "veintiséis veintisiete veintiocho veintinueve")
_SPANISH_TENS = "treinta cuarenta cincuenta sesenta setenta ochenta noventa"
_SPANISH_HUNDREDS = (
    "cien doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos "
    "novecientos"
)
_PORTUGUESE = (
    "zero um dois três quatro cinco seis sete oito nove dez onze doze treze catorze quinze dezesseis "
    "dezessete dezoito dezenove"
)
_PORTUGUESE_TENS = "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa"
_PORTUGUESE_HUNDREDS = (
    "cem duzentos trezentos quatrocentos quinhentos seiscentos setecentos oitocentos novecentos"
)
_ITALIAN = ("zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici "
"quindici sedici "
            "diciassette diciotto diciannove")
_ITALIAN_TENS = "venti trenta quaranta cinquanta sessanta settanta ottanta novanta"
_RUSSIAN = ("ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать тринадцать "
"четырнадцать "
            "пятнадцать шестнадцать семнадцать восемнадцать девятнадцать")
_RUSSIAN_TENS = "двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто"
_RUSSIAN_HUNDREDS = "сто двести триста четыреста пятьсот шестьсот семьсот восемьсот девятьсот"
_DUTCH = (
    "nul een twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien "
    "zestien zeventien achttien negentien"
)
# fmt: on
_THOUSANDS = {"tausend", "mille", "mil", "mila", "тысяча", "тысячи", "тысяч", "duizend"}
_JOINTS = frozenset({"et", "y", "e", "und"})
_CHINESE = dict(zip("零〇一二三四五六七八九两兩", (0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 2), strict=True))
_CHINESE_UNITS = {"十": 10, "百": 100, "千": 1000}
_EASTERN = frozenset("零〇一二三四五六七八九两兩十百千万萬")
_LONGEST = 60
_SPLIT = lazily(r"[\s-]+")


@cache
def _words() -> dict[str, int]:
    """Every word for a number below a thousand that is written in one."""
    words: dict[str, int] = {}

    def count(names: str, first: int, step: int) -> dict[str, int]:
        return {name: first + at * step for at, name in enumerate(names.split())}

    tens = count(_GERMAN_TENS, 20, 10)
    ones = count(_GERMAN, 0, 1) | {"ein": 1}
    below = {
        **ones,
        **tens,
        **{f"{name}und{ten}": n + t for name, n in ones.items() if 0 < n < 10 for ten, t in tens.items()},
    }
    hundreds = {"hundert": 100} | {f"{name}hundert": 100 * n for name, n in ones.items() if 0 < n < 10}
    words |= (
        below
        | hundreds
        | {f"{h}{name}": size + n for h, size in hundreds.items() for name, n in below.items() if n}
    )
    words |= {name.replace("ß", "ss"): n for name, n in words.items() if "ß" in name}
    italian_ones, italian_tens = count(_ITALIAN, 0, 1), count(_ITALIAN_TENS, 20, 10)
    words |= italian_ones | italian_tens | {"cento": 100}
    for ten, t in italian_tens.items():
        words |= {
            (ten[:-1] if n in (1, 8) else ten) + name: t + n for name, n in italian_ones.items() if 0 < n < 10
        }
    words |= {f"{name}cento": 100 * n for name, n in italian_ones.items() if 1 < n < 10}
    for names, first, step in (
        (_FRENCH, 0, 1), (_FRENCH_TENS, 20, 10), (_SPANISH, 0, 1), (_SPANISH_TENS, 30, 10),
        (_SPANISH_HUNDREDS, 100, 100),
        (_PORTUGUESE, 0, 1), (_PORTUGUESE_TENS, 20, 10), (_PORTUGUESE_HUNDREDS, 100, 100), (_RUSSIAN, 0, 1),
        (_RUSSIAN_TENS, 20, 10), (_RUSSIAN_HUNDREDS, 100, 100), (_DUTCH, 0, 1),
    ):  # fmt: skip
        words |= count(names, first, step)
    words |= {
        "ciento": 100,
        "cento": 100,
        "cent": 100,
        "cents": 100,
        "septante": 70,
        "huitante": 80,
        "nonante": 90,
    }
    words |= {
        "une": 1,
        "una": 1,
        "uma": 1,
        "duas": 2,
        "две": 2,
        "одна": 1,
        "одно": 1,
        "vingts": 20,
        "quatorze": 14,
    }
    return words


def read_foreign(text: str) -> int | None:
    """The number that the whole of ``text`` spells, or None; one word that English has as well is none."""
    if len(text) > _LONGEST or text[:1].isdigit():
        return None
    folded = text.casefold().strip()
    if folded[:1] in _CHINESE or folded[:1] == "十":
        return _chinese(folded)
    if folded in _ENGLISH_ALONE:
        return None
    table = _words()
    if (found := table.get(folded)) is not None:
        return found
    total, current, last = 0, 0, 0
    for word in _SPLIT.split(folded):
        if word in _JOINTS and current:
            continue
        value = table.get(word)
        if word in _THOUSANDS:
            total, current, last = total + max(current, 1) * 1000, 0, 1000
        elif value is None:
            thousands = next((w for w in ("tausend", "mila", "mille") if w in word), None)
            if thousands is None or total:
                return None
            before, _, after = word.partition(thousands)
            first, rest = table.get(before, 1 if not before else -1), table.get(after, 0 if not after else -1)
            if min(first, rest) < 0:
                return None
            total, current, last = first * 1000, rest, rest or 1000
        elif value == 100 and 1 < current < 10:
            current, last = current * 100, 100  # trois cents
        elif value == 20 and current % 100 == 4 and word.startswith("vingt"):
            current, last = current + 76, 20  # quatre-vingts
        elif not current or (
            last > value and (last >= 100 or value < 10 or (last in (60, 20) and value < 20))
        ):
            current, last = current + value, value if value >= 10 or not current else 0
        else:
            return None
    return total + current


def foreign_prefix(text: str) -> tuple[int, int] | None:
    """The number that ``text`` begins with, and where it ends; the rest is at most two words."""
    folded = text.casefold()
    if folded[:1] in _CHINESE or folded[:1] == "十":
        end = next((at for at, char in enumerate(folded) if char not in _EASTERN), len(folded))
        value = _chinese(folded[:end])
        return None if value is None else (value, end)
    first = _SPLIT.split(folded, maxsplit=1)[0]
    if first not in _words() and not any(word in first for word in ("tausend", "mila", "mille", "тысяч")):
        return None
    end = len(text)
    for _ in range(3):
        if (value := read_foreign(text[:end])) is not None:
            return value, end
        end = folded.rfind(" ", 0, end)
        if end <= 0:
            return None
    return None


def _chinese(text: str) -> int | None:
    total, section, figure = 0, 0, 0
    for char in text:
        if char in _CHINESE:
            figure = _CHINESE[char]
        elif char in _CHINESE_UNITS:
            section += (figure or 1) * _CHINESE_UNITS[char]
            figure = 0
        elif char in "万萬":
            total, section, figure = (section + figure) * 10_000, 0, 0
        else:
            return None
    return total + section + figure
