"""Numbers as people and models write them: digits, fractions, powers of ten, words, scale words."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from orchestrator.consensus.quantities.patterns import lazily

LARGEST_EXPONENT = 200
"""Beyond this power of ten a number is text: as an exact fraction, it could exhaust memory."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number at the beginning of a text: its value, half a unit of its last decimal, and where it ends.

    ``rounding`` is 0 for whole numbers and fractions.
    """

    value: Fraction
    rounding: Fraction
    end: int


# fmt: off
ONES = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40,
    "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}
# fmt: on
_BIG = {
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "quadrillion": 10**15,
    "quintillion": 10**18,
    "lakh": 10**5,
    "lac": 10**5,
    "crore": 10**7,
}
_BIG |= {f"{word}s": size for word, size in _BIG.items()}
_COUNTS = {"hundred": 100, "hundreds": 100, "dozen": 12, "dozens": 12, "score": 20, "gross": 144}
_ABBREVIATED = {
    "mn": 10**6,
    "mln": 10**6,
    "mio": 10**6,
    "mrd": 10**9,
    "bn": 10**9,
    "bln": 10**9,
    "tn": 10**12,
    "trn": 10**12,
}
_ATTACHED = {"k": 10**3, "K": 10**3, "M": 10**6}
_OF_MONEY = {"m": 10**6, "MM": 10**6, "B": 10**9, "b": 10**9, "T": 10**12, "t": 10**12}
_CHINESE = {"千": 1000, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "兆": 10**12}
SCALES = {**_BIG, **_COUNTS, **_ABBREVIATED}
"""What a word after a number multiplies it by."""

_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8}
_PARTS |= {"ninth": 9, "tenth": 10, "twentieth": 20, "hundredth": 100, "thousandth": 1000, "millionth": 10**6}
_PARTS |= {"billionth": 10**9}
_PARTS |= {word + "s": n for word, n in _PARTS.items() if word != "half"} | {"halves": 2}

_DIGITS = (
    r"\d{1,3}(?:[, \u00a0\u202f_'’]\d{3})+(?!\d)|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)"
    r"|\d{1,3}(?:\.\d{3}){2,}(?![\d.])|\d+"
)
_CONTINENTAL = r"\d{1,3}(?:\.\d{3})+,\d+(?!\d)|\d{1,3}(?:[ \u00a0\u202f]\d{3})+,\d{1,2}(?!\d)"
_WRITTEN = lazily(
    rf"(?:(?P<continental>{_CONTINENTAL})|(?P<whole>{_DIGITS}|(?=\.\d))(?P<decimals>\.\d*)?)"
    r"(?:(?:e|\s*(?:×|x|\*|·)\s*10\s*(?:\^|\*\*)\s*)[{(]?(?P<power>[-+−]?\d+)[)}]?(?![\w]))?"
    r"(?:\s*/\s*(?P<below>\d+(?:\.\d+)?)(?![\d.]*/))?"
    r"(?:(?:\s+|\sand\s)(?P<numerator>\d+)\s*/\s*(?P<denominator>\d+))?",
    re.IGNORECASE,
)
_POWER_OF_TEN = lazily(r"10\s*(?:\^|\*\*)\s*[{(]?(?P<power>[-+−]?\d+)[)}]?(?!\w)")
_DECIMAL_COMMA = lazily(r"(?P<whole>\d{1,3}(?:[. \u00a0\u202f]\d{3})+|\d+),(?P<decimals>\d+)(?!\d)")
_SCALE = lazily(
    rf"\s*-?(?:(?:of\s+)?an?\s+)?(?P<word>{'|'.join(sorted(SCALES, key=len, reverse=True))})(?![^\W\d_])\.?",
    re.IGNORECASE,
)
_LETTER = lazily(rf"(?P<letter>{'|'.join(_ATTACHED)})(?![^\W_])|\s?(?P<chinese>[{''.join(_CHINESE)}])")
_MONEY_LETTER = lazily(rf"\s?(?P<letter>{'|'.join(_OF_MONEY)}|{'|'.join(_ATTACHED)})(?![^\W_])")
_TOKEN = lazily(r"\s*-?\s*([^\W\d_]+)")


def read_number(text: str, *, money: bool = False) -> Number | None:
    """The number that ``text`` begins with, without a sign; None if there is none or it is too large.

    After a currency's sign (``money``) "m", "B" and "T" are scales as well: $5B.
    """
    number = _from_digits(text) if text[:1].isdigit() or text[:1] == "." else _from_words(text)
    return number and _scaled(number, text, money)


def with_decimal_comma(text: str) -> str | None:
    """The text with the comma of its first number as a point, "3,5 m" as "3.5 m"; None if it has none."""
    match = _DECIMAL_COMMA.match(text)
    if match is None:
        return None
    return re.sub(r"\D", "", match["whole"]) + "." + match["decimals"] + text[match.end() :]


def _from_digits(text: str) -> Number | None:
    if power := _POWER_OF_TEN.match(text):
        exponent = int(power["power"].replace("−", "-")) if len(power["power"]) < 9 else LARGEST_EXPONENT + 1
        ten = Fraction(10)
        return Number(ten**exponent, Fraction(0), power.end()) if abs(exponent) <= LARGEST_EXPONENT else None
    match = _WRITTEN.match(text)
    if match is None:
        return None
    if match["continental"]:
        before, _, decimals = match["continental"].rpartition(",")
        whole = before
    else:
        whole, decimals = match["whole"], (match["decimals"] or ".")[1:]
    if len(match[0]) > 4 * LARGEST_EXPONENT:
        return None
    power_text = (match["power"] or "0").replace("−", "-")
    exponent = (int(power_text) if len(power_text) < 9 else LARGEST_EXPONENT + 1) - len(decimals)
    if abs(exponent) > LARGEST_EXPONENT or (match["below"] and not float(match["below"])):
        return None
    value = Fraction(int(re.sub(r"\D", "", whole) + decimals or "0"))
    if exponent:
        value *= Fraction(10) ** exponent
    if match["below"]:
        value /= Fraction(match["below"])
    if match["denominator"]:
        if not int(match["denominator"]):
            return None
        value += Fraction(int(match["numerator"]), int(match["denominator"]))
    if not decimals and (both := _AND_PART.match(text, match.end())):  # 2 and a half
        part = Fraction(ONES.get(both["count"].casefold(), 1), _PARTS[both["word"].casefold()])
        return Number(value + part, Fraction(0), both.end())
    rounded = decimals.rstrip("0") and not match["below"]
    return Number(value, Fraction(10) ** exponent / 2 if rounded else Fraction(0), match.end())


def _scaled(number: Number, text: str, money: bool) -> Number | None:
    """The number times the scale words and letters that follow it."""
    scale, end = 1, number.end
    letter = (_MONEY_LETTER if money else _LETTER).match(text, end) if end else None
    if letter is None and money:
        letter = _LETTER.match(text, end)
    if letter is not None and text[end - 1].isdigit():
        sign = letter["letter"] or letter["chinese"]
        scale, end = {**_OF_MONEY, **_ATTACHED, **_CHINESE}[sign], letter.end()
    while match := _SCALE.match(text, end):
        word = match["word"].casefold()
        if word in ("score", "gross", "lac") and number.value == 1 and not text[0].isdigit():
            break  # "a score of 5"
        scale, end = scale * SCALES[word], match.end()
        if scale > 10**60:
            return None
    return number if scale == 1 else Number(number.value * scale, number.rounding * scale, end)


def _from_words(text: str) -> Number | None:
    """A number in words: "two hundred and six", "three quarters", "half", "two and a half", "a dozen"."""
    total, current, end, last, at, counted = 0, 0, 0, "", 0, False
    while match := _TOKEN.match(text, at):
        word = match[1].casefold()
        if word in ONES:
            if last in ONES and 13 <= current <= 20 and ONES[word] >= 10 and not total:
                current *= 100  # nineteen eighty-four
            elif last in ONES and not (ONES[last] >= 20 > ONES[word] > 0 and ONES[word] < 10):
                break  # "five six" is a list
            current += ONES[word]
        elif word == "hundred":
            current = max(current, 1) * 100
        elif word in ("dozen", "score", "gross") and (counted or word != "score"):
            current = max(current, 1) * _COUNTS[word]
        elif word in _BIG and (counted or last):
            total, current = total + max(current, 1) * _BIG[word], 0
        elif word in ("a", "an") and not last:
            last, at, end = word, match.end(), match.end()
            continue
        elif word == "and" and counted and last not in _PARTS:
            at = match.end()
            continue
        else:
            break
        counted, last, at, end = True, word, match.end(), match.end()
    if point := _POINT.match(text, end):
        return _pointed(total + current, point)
    return _with_part(text, Fraction(total + current), end, counted, last)


def _pointed(whole: int, point: re.Match[str]) -> Number:
    """Three point one four."""
    decimals = [ONES[word.casefold()] for word in point["decimals"].split()]
    value = Fraction(int("".join(map(str, [whole, *decimals]))), 10 ** len(decimals))
    return Number(value, Fraction(1, 2 * 10 ** len(decimals)), point.end())


_FIGURE_WORDS = "|".join(list(ONES)[:10])
_POINT = lazily(rf"\s*point(?P<decimals>(?:\s+(?:{_FIGURE_WORDS}))+)(?![^\W\d_])", re.IGNORECASE)
_PART_WORD = rf"(?P<word>{'|'.join(sorted(_PARTS, key=len, reverse=True))})(?![^\W\d_])"
_PART = lazily(rf"\s*-?\s*{_PART_WORD}", re.IGNORECASE)
_AND_PART = lazily(rf"\s+and\s+(?P<count>an?|{'|'.join(ONES)})(?:\s|-){_PART_WORD}", re.IGNORECASE)


def _with_part(text: str, value: Fraction, end: int, counted: bool, last: str) -> Number | None:
    part = _PART.match(text, end)
    if part is not None and (counted or last or part["word"].casefold() == "half"):
        size = _PARTS[part["word"].casefold()]
        return Number((value if counted else Fraction(1)) / size, Fraction(0), part.end())
    if not counted:
        return None
    if both := _AND_PART.match(text, end):
        count = ONES.get(both["count"].casefold(), 1)
        return Number(value + Fraction(count, _PARTS[both["word"].casefold()]), Fraction(0), both.end())
    return Number(value, Fraction(0), end)
