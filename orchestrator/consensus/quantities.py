"""Numbers as people and models write them: digits, fractions, percent, money, words, units."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

LARGEST_EXPONENT = 200
"""Beyond this power of ten a number is text: as an exact fraction, it could exhaust memory."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as written, its unit, and the unit's size in base units of its dimension.

    ``value * scale`` is the amount in base units. ``unit`` is empty for a bare number, the dimension for a
    known unit, and the word itself for an unknown one. ``rounding`` is half a unit of the last decimal
    written; 0 for whole numbers and fractions.
    """

    value: Fraction
    unit: str = ""
    scale: Fraction = Fraction(1)
    rounding: Fraction = Fraction(0)
    size: float = field(init=False, compare=False)
    amount: Fraction = field(init=False, compare=False)

    def __post_init__(self) -> None:
        # Both are used in every comparison, and exact arithmetic is slow.
        object.__setattr__(self, "amount", self.value * self.scale)
        object.__setattr__(self, "size", float(self.amount))


_SI = {
    "length": "m",
    "mass": "g",
    "volume": "l",
    "current": "A",
    "power": "W",
    "energy": "J",
    "frequency": "Hz",
}
_PREFIXES = {"k": 3, "c": -2, "m": -3, "µ": -6, "μ": -6, "n": -9, "M": 6, "G": 9}
_PREFIX_WORDS = {"kilo": 3, "centi": -2, "milli": -3, "micro": -6, "nano": -9, "mega": 6, "giga": 9}
_SI_WORDS = {
    "length": ("meter", "metre"),
    "mass": ("gram",),
    "volume": ("liter", "litre"),
    "current": ("ampere", "amp"),
    "power": ("watt",),
    "energy": ("joule",),
    "frequency": ("hertz",),
}
_OTHER = {
    "time": {
        "s sec secs second seconds": Fraction(1),
        "ms millisecond milliseconds": Fraction(1, 1000),
        "min mins minute minutes": Fraction(60),
        "h hr hrs hour hours": Fraction(3600),
        "day days": Fraction(86_400),
        "week weeks": Fraction(604_800),
    },
    "length": {
        "in inch inches": Fraction(254, 10_000),
        "ft foot feet": Fraction(3048, 10_000),
        "yd yard yards": Fraction(9144, 10_000),
        "mi mile miles": Fraction(1_609_344, 1000),
    },
    "mass": {
        "t ton tons tonne tonnes": Fraction(1_000_000),
        "lb lbs pound pounds": Fraction(45_359_237, 100_000),
        "oz ounce ounces": Fraction(45_359_237, 1_600_000),
    },
    "speed": {
        "m/s mps": Fraction(1),
        "km/h kmh kph": Fraction(5, 18),
        "mph": Fraction(1_609_344, 3_600_000),
    },
    "area": {"sqm": Fraction(1)},
    "volume": {"cc": Fraction(1, 1000)},
    "angle": {"° degree degrees deg": Fraction(1)},
    "percent": {"% percent pct": Fraction(1, 100)},
    "dollar": {"$ usd dollar dollars bucks": Fraction(1), "¢ cent cents": Fraction(1, 100)},
    "euro": {"€ eur euro euros": Fraction(1)},
    "pound sterling": {"£ gbp": Fraction(1)},
    "yen": {"¥ jpy yen": Fraction(1)},
    "data": {
        "b byte bytes": Fraction(1),
        "kb kilobyte kilobytes": Fraction(10**3),
        "mb megabyte megabytes": Fraction(10**6),
        "gb gigabyte gigabytes": Fraction(10**9),
        "kib": Fraction(2**10),
        "mib": Fraction(2**20),
        "gib": Fraction(2**30),
        "bit bits": Fraction(1, 8),
        "Kb kbit kilobit kilobits": Fraction(10**3, 8),
        "Mb Mbit megabit megabits": Fraction(10**6, 8),
        "Gb Gbit gigabit gigabits": Fraction(10**9, 8),
    },
}


def _units() -> dict[str, tuple[str, Fraction]]:
    table: dict[str, tuple[str, Fraction]] = {}
    for dimension, symbol in _SI.items():
        scales = [("", 0), *_PREFIXES.items()]
        table |= {prefix + symbol: (dimension, Fraction(10) ** power) for prefix, power in scales}
        for word in _SI_WORDS[dimension]:
            for prefix, power in [("", 0), *_PREFIX_WORDS.items()]:
                table |= {prefix + form: (dimension, Fraction(10) ** power) for form in (word, word + "s")}
    for dimension, names in _OTHER.items():
        for spellings, scale in names.items():
            table |= dict.fromkeys(spellings.split(), (dimension, scale))
    return table


_UNITS = _units()

# fmt: off
_ONES = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40,
    "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}
# fmt: on
_BIG = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8}
_PARTS |= {"ninth": 9, "tenth": 10, "hundredth": 100, "thousandth": 1000}
_PARTS |= {word + "s": n for word, n in _PARTS.items() if word != "half"} | {"halves": 2}

_LATEX_SPACE = re.compile(r"\\[,;:! ]|\\(?:quad|qquad)\b|~|\\(?:left|right)\b")
LATEX_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{([^{}]+)\}\s*\{([^{}]+)\}|(\d)\s*(\d))")
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_RAISED = re.compile("[⁰¹²³⁴-⁹⁺⁻ⁿⁱ]+")
_LOWERED = re.compile(r"(?<=\d)[₀-₉]+")
_ERA = frozenset({"bc", "bce"})
_RAISED_UNIT = re.compile(
    r"(?:sq(?:uare|\.)?|cu(?:bic|\.)?)\s(?P<word>[^\W\d_]+)|(?P<symbol>[^\W\d_]+)(?:\^?[23]|\^\{[23]\}|[²³])",
    re.IGNORECASE,
)
_MONEY = {"US$": "$", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
_DECADE = re.compile(r"[12]\d\d0['’]?s")
_ABOUT = re.compile(r"^(?:about|approximately|approx\.?|around|roughly|nearly|≈|~|=|exactly|a total of)\s*")
_DIGITS = (
    r"\d{1,3}(?:[, \u00a0\u202f_'’]\d{3})+(?!\d)|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)"
    r"|\d{1,3}(?:\.\d{3}){2,}(?![\d.])|\d+"
)
_WRITTEN = re.compile(
    rf"(?P<sign>[-+−–]|(?:minus|negative)\s|)\s*(?P<money>(?:US)?[$]|[€£¥]|(?:USD|EUR|GBP|JPY)\b|)\s*(?P<sign2>[-−]?)(?P<whole>{_DIGITS}|(?=\.\d))(?P<decimals>\.\d*)?"
    r"(?:(?:e|\s*(?:×|x|\*|\\times|\\cdot)\s*10\s*\^\s*)\{?(?P<power>[-+−]?\d+)\}?)?"
    r"(?:\s*/\s*(?P<below>\d+(?:\.\d+)?))?"
    r"(?:\s+(?P<numerator>\d+)\s*/\s*(?P<denominator>\d+))?"
    r"\s*(?P<big>hundred|thousand|million|billion|trillion|dozen|k(?=$)|(?-i:(?<=\d)M)(?=$))?",
    re.IGNORECASE,
)


def parse_quantity(text: str) -> Quantity | None:
    """The quantity that ``text`` is, or None if it is anything else.

    An unknown word after the number ("72 clips") is what is counted: it becomes the unit as it stands.
    Three words or more after a number are a sentence, not a unit.
    """
    plain = _without_latex(_VULGAR.sub(_fraction, text)).strip().rstrip(".")
    plain = _ABOUT.sub("", plain.strip(), count=1) if plain else plain
    if not plain or len(plain) > 80:
        return None
    return _from_digits(plain) or _from_words(plain)


def is_unit(word: str) -> bool:
    """Whether ``word`` is a unit whose size is known, such as "km" or "hours"."""
    return _known(word) is not None


def spelt_out(text: str) -> str:
    """The text with raised, lowered and fraction characters written plainly: x² as x^2, ½ as 1/2.

    NFKC would turn 2² into 22, and 1½ into 11/2. A lowered figure after a letter is left to it: H₂O is H2O.
    """
    if text.isascii():
        return text
    return _LOWERED.sub(
        partial(_script, "_"), _RAISED.sub(partial(_script, "^"), _VULGAR.sub(_fraction, text))
    )


def _script(mark: str, match: re.Match[str]) -> str:
    figures = unicodedata.normalize("NFKC", match[0])
    return f"{mark}{figures}" if len(figures) == 1 else f"{mark}{{{figures}}}"


def _fraction(match: re.Match[str]) -> str:
    return " " + unicodedata.normalize("NFKC", match[0]).replace("\u2044", "/")


def _without_latex(text: str) -> str:
    if not any(mark in text for mark in "\\$^{"):
        return text
    text = _LATEX_SPACE.sub(" ", text.replace(r",\!", ",")).replace(r"\%", "%").replace(r"\$", "$")
    text = text.replace(r"^\circ", "°").replace(r"^{\circ}", "°").replace("{,}", ",")
    text = LATEX_TEXT.sub(r" \1", text)
    text = _LATEX_FRACTION.sub(lambda m: f" {m[1] or m[3]}/{m[2] or m[4]}", text)
    if len(text) > 1 and text[0] == "$" == text[-1]:
        text = text[1:-1]
    return text


def _from_digits(text: str) -> Quantity | None:
    match = _WRITTEN.match(text)
    if match is None or _DECADE.fullmatch(text):
        return None
    decimals = (match["decimals"] or ".")[1:]
    whole = re.sub(r"\D", "", match["whole"])
    power = int((match["power"] or "0").replace("−", "-")) - len(decimals)
    if abs(power) > LARGEST_EXPONENT or (match["below"] and not float(match["below"])):
        return None
    value = Fraction(int(whole + decimals or "0")) * Fraction(10) ** power
    if match["below"]:
        value /= Fraction(match["below"])
    if match["denominator"]:
        if not int(match["denominator"]):
            return None
        value += Fraction(int(match["numerator"]), int(match["denominator"]))
    if match["big"]:
        value *= {"dozen": 12, "hundred": 100, "k": 1000, "m": 10**6, **_BIG}[match["big"].lower()]
    if (match["sign"] not in ("", "+")) != bool(match["sign2"]):
        value = -value
    unit = _unit(_MONEY.get(match["money"].upper(), match["money"]) + text[match.end() :].strip())
    if unit is None:
        return None
    rounded = decimals.rstrip("0") and not match["below"]
    return Quantity(value, *unit, Fraction(1, 2) * Fraction(10) ** power if rounded else Fraction(0))


def _from_words(text: str) -> Quantity | None:
    words = [word for word in re.split(r"[\s-]+", text.casefold()) if word not in {"and", ""}]
    sign = 1
    if words and words[0] in {"minus", "negative"}:
        sign, words = -1, words[1:]
    total, current, read = 0, 0, 0
    for word in words:
        if word in _ONES:
            if read and words[read - 1] in _ONES and not (_ONES[words[read - 1]] >= 20 > _ONES[word] > 0):
                break  # "five six" is a list
            current += _ONES[word]
        elif word == "hundred":
            current = max(current, 1) * 100
        elif word == "dozen":
            current = max(current, 1) * 12
        elif word in _BIG:
            total, current = total + max(current, 1) * _BIG[word], 0
        elif read or word not in {"a", "an"}:
            break
        read += 1
    rest = words[read:]
    number = Fraction(total + current)
    counted = read - (words[:1] in (["a"], ["an"]) and read > 0)
    if rest and rest[0] in _PARTS and not (counted == 0 and rest[0] != "half" and not read):
        number = (number if counted else Fraction(1)) / _PARTS[rest[0]]
        rest = rest[1:]
        if rest[:2] in (["of", "a"], ["of", "an"]):
            rest = rest[2:]
    elif rest[:2] == ["a", "half"] and counted:
        number, rest = number + Fraction(1, 2), rest[2:]
    elif not counted:
        return None
    if rest[:1] in (["a"], ["an"]):
        rest = rest[1:]
    unit = _unit(" ".join(rest))
    return None if unit is None else Quantity(sign * number, *unit)


def _unit(text: str) -> tuple[str, Fraction] | None:
    """The dimension and scale of a unit; an unknown word is its own dimension; None for more than a unit."""
    text = text.strip(" .")
    if not text:
        return "", Fraction(1)
    known = _known(text)
    if known is not None:
        return known
    words = text.casefold().split()
    if text[0] in "$€£¥" and len(words) == 2:  # "$3.50 each", or "$3.50 USD"
        return _UNITS[text[0]]
    if len(words) > 2 or words[0] in _ONES or words[0] in _ERA or not all(map(_is_word, words)):
        return None
    return " ".join(_singular(word) for word in words), Fraction(1)


def _is_word(text: str) -> bool:
    return len(text) > 1 and text[0].isalpha() and all(char.isalpha() or char in "'’-" for char in text)


def _known(text: str) -> tuple[str, Fraction] | None:
    """The dimension and scale of a unit in the table, or of the square or the cube of a length in it."""
    unit = _UNITS.get(text)
    if unit is None and (len(text) > 1 or text == "L"):  # 5 M is not a length, nor 5 G a mass
        unit = _UNITS.get(text.casefold())
    if unit is not None or (match := _RAISED_UNIT.fullmatch(text)) is None:
        return unit
    dimension, scale = _known(match["word"] or match["symbol"]) or ("", Fraction(1))
    if dimension != "length":
        return None
    squared = match[0][0] in "sS" if match["word"] else match[0].rstrip("}")[-1] in "2²"
    return ("area", scale**2) if squared else ("volume", 1000 * scale**3)


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def same_quantity(a: Quantity, b: Quantity) -> bool:
    """Whether two quantities are the same answer.

    Equal amounts are equal in any unit of one dimension. A number without a unit equals the same number
    with one ("72" and "72 clips"), and a percentage equals its share ("50%" and "0.5"). A decimal fraction
    with at least three digits equals the exact value that it rounds.
    """
    if a.unit == b.unit:
        return abs(a.size - b.size) <= 0.01 * abs(a.size) and _close(a, a.amount, b, b.amount)
    if a.unit and b.unit and not _counts(a.unit, b.unit):
        return False
    if _close(a, a.value, b, b.value):
        return True
    return "percent" in (a.unit, b.unit) and _close(a, a.amount, b, b.amount)


def contrary(a: Quantity | None, b: Quantity | None) -> bool:
    """Whether no quantity can be both, however it is written: the units differ, or the values in one unit."""
    if a is None or b is None or bool(a.unit) != bool(b.unit):
        return False
    if a.unit != b.unit:
        return not _counts(a.unit, b.unit)
    return abs(a.amount - b.amount) > a.rounding * a.scale + b.rounding * b.scale


def _counts(a: str, b: str) -> bool:
    """Whether one name of what is counted is the other with an adjective ("red marble" and "marble")."""
    words, others = a.split(), b.split()
    return words[-1] == others[-1] and (len(words) == 1 or len(others) == 1)


def _close(a: Quantity, left: Fraction, b: Quantity, right: Fraction) -> bool:
    """Whether two amounts are equal, or one is the other correctly rounded to at least three digits."""
    if left == right:
        return True
    if bool(a.rounding) == bool(b.rounding):
        return False
    rounding = a.rounding or b.rounding
    written = abs(a.value if a.rounding else b.value)
    scale = written and abs(left if a.rounding else right) / written
    whole = (right if a.rounding else left).denominator == 1
    return not whole and written >= 200 * rounding and abs(left - right) <= rounding * scale
