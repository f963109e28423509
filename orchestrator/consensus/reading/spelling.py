"""Figures, signs and words of measure of any language in their plain English spelling."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
import unicodedata
from calendar import month_name
from fractions import Fraction
from functools import cache

from orchestrator.consensus.quantities.patterns import any_of, lazily
from orchestrator.consensus.reading.clocks import clocks_in_english
from orchestrator.consensus.reading.counting import in_figures
from orchestrator.consensus.reading.languages import LANGUAGES, MYRIADS, Language

_SIGNS = str.maketrans(
    {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F) if chr(code) not in "，；：。"}
    | {"，": ", ", "、": ", ", "；": "; ", "：": ": ", "؛": "; ", "،": ", ", "؟": "?", "٪": "%"}
    | {"٫": ".", "٬": ",", "।": "。", "॥": "。", "｡": "。", "．": ".", "\u200b": "", "\ufeff": "", "　": " "}
    | {chr(0x2460 + at): str(at + 1) for at in range(20)}
    | {"〈": "<", "〉": ">", "［": "[", "］": "]"}
)
_DIGIT = lazily(r"[^\W\D0-9]|(?![0-9])\d")
_LATEX_COMMA = lazily(r"(?<=\d)\{,\}(?=\d)")
_BRACKETED = lazily(r"[\[({$][^\[\](){}$\n]{0,200}[\])}$]")
_LISTED = r"(?<![\d.,])\d+(?:,\d+){2,}(?![\d.]*\d)"
_GROUPED = r"\d{1,3}(?:[. \u00a0\u202f']\d{3})+"
_COMMA = lazily(rf"{_LISTED}|(?<![\d.,])(?P<whole>{_GROUPED}|\d+),(?P<decimals>\d+)(?![\d,]|\.\d)")
_DOTS = lazily(r"(?<![\d.,])(?!0)\d{1,3}(?:\.\d{3})+(?![\d.,]*\d)")
_YEAR_MONTH_DAY = lazily(r"(?<!\d)(\d{4})\s?[年년]\s?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日일]")
_MYRIAD = lazily(rf"(?<![\d.,])(\d+(?:,\d{{3}})*(?:\.\d+)?)\s?([{''.join(MYRIADS)}])(?:(\d{{1,4}})(?!\d))?")
_PER_HOUR = lazily(r"(?:每小时|每小時|时速|時速|毎時|시속)[为為は约約]?\s?(\d[\d.,]*\s?(?:km|m))(?![a-z²³/])")
_PER_SECOND = lazily(r"(?:每秒|秒速|毎秒|초속)[为為は约約]?\s?(\d[\d.,]*\s?(?:km|m|cm))(?![a-z²³/])")
_SPEED = lazily(
    r"(?<=\dkm|\skm)\s(?:pro\s(?:Stunde|h)|par\s(?:heure|h)|à\sl['’](?:heure|h)|por\s(?:hora|h)|all['’](?:ora|h)|orari|в\sчас"
    r"|in\sder\sStunde)\b",
    re.IGNORECASE,
)
_NTH = lazily(r"(?<=[第제])\s?(\d{1,3})(?:个|個|名|位)?|(\d{1,3})(?:番目|個目|回目|つ目|번째)")
_TENTHS = lazily(r"(?<![\d.,])([1-9])割(?![\d一-鿿])")
_MULTIPLE = lazily(
    r"(?<=\d)[\s-]?(?:mal\s(?:so\s?\w*|mehr)|fach(?!\w)|fois\s(?:plus|aussi|autant)|ve[cz]es\s(?:más|mais|tant?o?s?)"
    r"|volte\s(?:più|tant[oi])|раза?\s(?:больше|более)|倍|배(?![가-힣]*럴)|गुन[ाीे]|أضعاف|أمثال)"
)
_AGO = lazily(
    r"\b(?:il\sy\sa|hace|vor|há)\s(\d[\d.,]*\s(?:ans?|années?|mois|jours?|heures?|años?|meses|días?|horas?|Jahr\w*"
    r"|Monat\w*|Tag\w*|Stunden?|anos?|dias?))\b|(?<![\d.,])(\d[\d.,]{0,15}\s(?:anni|mesi|giorni|ore))\sfa\b"
    r"|(?<![\d.,])(\d[\d.,]{0,15}\s(?:лет|года?|месяц\w*|дн\w+))\sназад|(?<![\d.,])(\d[\d.,]{0,15}\s?(?:年|天|日|년))\s?(?:之?前|전)",
    re.IGNORECASE,
)
_COMPARED = lazily(r"比\s?(\d[\d.,]*)\s?([多大高长長少小低短])")
_KOREAN_ENDING = lazily(r"(?<=\d)(?=이므로|이고|이며|이다|입니다)")
_SPACED = frozenset({"de", "fr", "es", "pt", "it", "ru", "hi", "ar"})
_ASCII_DIGIT = lazily(r"[0-9]")
NEAR = 24
"""Characters within which two numbers are joined by a word between them."""
LARGEST = 10**18
"""Beyond it a number is left in characters."""


def folded(text: str) -> str:
    """The text with plain digits and signs for full-width, Arabic-Indic, Devanagari and other ones."""
    if text.isascii():
        return text
    text = _DIGIT.sub(lambda match: str(unicodedata.digit(match[0])), text)
    return text.translate(_SIGNS)


def plain(text: str, language: Language) -> str:
    """The numbers of ``text`` in English spelling, and the words of measure after them, where that is sure.

    A comma between figures is a decimal comma in a language that writes it, but not inside brackets and
    formulas, where it may separate, nor in a list (1,2,3). "1.234" is grouped where dots do nothing else.
    """
    if language.code == "en":
        return text
    text = _MYRIAD.sub(_myriad, clocks_in_english(in_figures(text, language.code), language.code))
    if language.code == "ko":
        text = _KOREAN_ENDING.sub(" ", text)
    if language.comma:
        text = _numbers(_LATEX_COMMA.sub(",", text), language)
    text = _YEAR_MONTH_DAY.sub(lambda m: f"{m[1]}-{int(m[2]):02}-{int(m[3]):02}", text)
    text = _AGO.sub(lambda m: f"{m[1] or m[2] or m[3] or m[4]} ago", text)
    text = _measure(language.code).sub(
        lambda match: "".join(f" {language.units[word.casefold()]}" for word in match.groups() if word), text
    )
    text = _MULTIPLE.sub(" times as much", text)
    text = _COMPARED.sub(lambda m: f"{'less' if m[2] in '少小低短' else 'more'} than {m[1]}", text)
    text = _PER_HOUR.sub(r"\1/h", _PER_SECOND.sub(r"\1/s", text))
    text = _SPEED.sub("/h", text)
    text = _NTH.sub(lambda m: f" {m[1] or m[2]}th ", _TENTHS.sub(lambda m: f"{m[1]}0%", text))
    if language.counters:
        text = re.sub(rf"(?<=\d)\s?(?:{language.counters})(?![前后後])", "", text)
    if language.months:
        text = _month(language.code).sub(lambda match: _dated(match, language), text)
    if language.behind:
        text = _behind(language.code).sub(lambda m: f" {language.behind[m['word']]} {m['what']}", text)
    if language.before:
        text = _modifier(language.code).sub(lambda match: _before(match, language), text)
    return text


def _before(match: re.Match[str], language: Language) -> str:
    """The plain word for one before a number; what only joins two numbers needs one on its other side."""
    word = language.before[match[1].casefold()]
    if language.code in ("zh", "ja", "ko"):
        return f" {word} "
    left = match.string[max(0, match.start() - NEAR) : match.start()]
    return word if word not in {"and", "or", "to"} or _ASCII_DIGIT.search(left) else match[1]


def _numbers(text: str, language: Language) -> str:
    pieces, at = [], 0
    for aside in _BRACKETED.finditer(text):
        pieces += [_outside(text[at : aside.start()], language), aside[0]]
        at = aside.end()
    return "".join([*pieces, _outside(text[at:], language)])


def _outside(text: str, language: Language) -> str:
    if language.dots or language.code == "es":  # before commas become points
        text = _DOTS.sub(lambda m: m[0].replace(".", "") if _groups(m[0], language) else m[0], text)
    return _COMMA.sub(lambda match: _decimals(match, language.code == "es"), text)


def _groups(number: str, language: Language) -> bool:
    """Whether the dots group: in Spanish, where some write a decimal point, only if that is clear."""
    return language.dots or number.count(".") > 1 or number.endswith(".000")


def _decimals(match: re.Match[str], spanish: bool) -> str:
    whole, decimals = match["whole"], match["decimals"]
    if whole is None or (spanish and len(decimals) == 3 and whole.isdigit() and whole != "0"):
        return match[0]  # a list, or what some of those who write Spanish mean as thousands
    return f"{re.sub(r'[^0-9]', '', whole)}.{decimals}"


def _myriad(match: re.Match[str]) -> str:
    value = Fraction(match[1].replace(",", "")) * MYRIADS[match[2]]
    if match[3]:
        value += int(match[3])
    return str(value.numerator) if value.denominator == 1 and value < LARGEST else match[0]


@cache
def _measure(code: str) -> re.Pattern[str]:
    """A word of measure after a number, or after the word of scale that this pattern has just written."""
    units = next(each.units for each in LANGUAGES if each.code == code)
    ahead = r"(?![^\W\d_])" if code in _SPACED else ""
    words = any_of(units)
    return re.compile(
        rf"(?<=\d)[ \u00a0]?({words}){ahead}(?:[ \u00a0](?:d['’]|d[eio]\s)?({words}){ahead})?", re.I
    )


@cache
def _month(code: str) -> re.Pattern[str]:
    months = next(each.months for each in LANGUAGES if each.code == code).split()
    return re.compile(
        rf"(?<!\d)(\d{{1,2}})(?:\.|º"
        rf"|er)?\s(?:d[eio]\s)?({any_of(months)})(?:,?\s(?:d[eio]l?\s)?(\d{{4}}))?(?!\w)",
        re.I,
    )


def _dated(match: re.Match[str], language: Language) -> str:
    place = language.months.split().index(match[2].casefold())
    return " ".join([match[1], month_name[place % 12 + 1], *([match[3]] if match[3] else [])])


@cache
def _modifier(code: str) -> re.Pattern[str]:
    words = next(each.before for each in LANGUAGES if each.code == code)
    if code in ("zh", "ja", "ko"):
        return re.compile(rf"({any_of(words)})(?=\s?[-−$€£]?\d)")
    return re.compile(rf"(?<![^\W\d_])({any_of(words)})(?=\s(?:[A-Za-z]\s?=\s?)?[-−$€£]?\d)", re.I)


@cache
def _behind(code: str) -> re.Pattern[str]:
    words = next(each.behind for each in LANGUAGES if each.code == code)
    return re.compile(
        rf"(?P<what>\d[\d.,]*(?:\s?[a-z%°²³/]{{1,8}}|\s?\w{{1,2}}?)?)\s?(?P<word>{any_of(words)})"
    )
