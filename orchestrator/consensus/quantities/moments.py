"""Dates and clock times, each in one spelling whatever the order and language of the months.

dateutil and dateparser are not used: they guess the order of day and month, and complete what is missing from
today's date, so that the same text would mean something else at the next replay.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from functools import cache

from orchestrator.consensus.quantities.clocks import Moment, read_clock
from orchestrator.consensus.quantities.patterns import lazily

_MONTH_NAMES = (
    # by month; English first
    "january jan januar janvier enero janeiro gennaio января январь जनवरी يناير",
    "february feb februar février febrero fevereiro febbraio февраля февраль फ़रवरी فبراير",
    "march mar märz mars marzo março марта март मार्च مارس",
    "april apr avril abril aprile апреля апрель अप्रैल أبريل",
    "may mai mayo maio maggio мая май मई مايو",
    "june jun juni juin junio junho giugno июня июнь जून يونيو",
    "july jul juli juillet julio julho luglio июля июль जुलाई يوليو",
    "august aug août agosto августа август अगस्त أغسطس",
    "september sep sept septembre septiembre setembro settembre сентября сентябрь सितंबर سبتمبر",
    "october oct oktober okt octobre octubre outubro ottobre октября октябрь अक्टूबर أكتوبر",
    "november nov novembre noviembre novembro ноября ноябрь नवंबर نوفمبر",
    "december dec dezember dez décembre diciembre dezembro dicembre декабря декабрь दिसंबर ديسمبر",
)
_MONTHS = {name: at for at, names in enumerate(_MONTH_NAMES, 1) for name in names.split()}
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ORDINAL_WORDS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
_ORDINALS = {word: at for at, word in enumerate(_ORDINAL_WORDS.split(), 1)}
_ORDINALS |= {"hundredth": 100, "thousandth": 1000, "millionth": 10**6}
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: at for at, word in enumerate(_TENS_WORDS.split(), 2)}

_MONTH = r"(?P<month>[^\W\d_]{3,}(?:़[^\W\d_]+)?)\.?"
_DAY = r"(?P<day>\d{1,2}|[a-z]+(?:-[a-z]+)?)(?:st|nd|rd|th|er|º|\.)?"
_YEAR = r"(?P<year>\d{3,4})"
_ERA = r"(?:\s*(?P<era>BCE?|AD|CE|B\.C\.(?:E\.)?|A\.D\.|C\.E\.))?"
_WEEKDAY = r"(?:on\s+)?(?:(?:mon|tue|tues|wednes|wed|thu|thurs|fri|satur|sat|sun)(?:day)?,?\s+)?(?:the\s+)?"
_DATES = (
    rf"{_DAY}\s*(?:of\s+|de\s+|-)?{_MONTH}(?:,?\s*(?:of\s+|de\s+|del\s+|-)?{_YEAR}(?:\s+г(?:ода|\.)?)?)?",
    rf"{_MONTH}\s*(?:the\s+)?{_DAY}(?:,?\s+{_YEAR})?",
    rf"{_YEAR},?\s+{_MONTH}\s+{_DAY}",
    rf"(?:in\s+)?{_MONTH},?\s+(?:of\s+|de\s+)?{_YEAR}",
    rf"{_YEAR}-(?P<m>\d{{2}})(?:-(?P<d>\d{{2}}))?",
    rf"{_YEAR}/(?P<m>\d{{1,2}})/(?P<d>\d{{1,2}})",
    rf"{_YEAR}\s?[年년]\s?(?P<m>\d{{1,2}})\s?[月월](?:\s?(?P<d>\d{{1,2}})\s?[日일])?",
    rf"(?P<d>\d{{1,2}})\.\s?(?P<m>\d{{1,2}})\.\s?{_YEAR}",
    rf"(?P<one>\d{{1,2}})[/-](?P<other>\d{{1,2}})[/-]{_YEAR}",
    rf"(?P<m>\d{{1,2}})/{_YEAR}",
)
_YEARS = lazily(
    r"(?:(?:in|from|since)\s+)?(?:the\s+)?(?:year\s+)?(?:(?P<year>\d{1,5})\s*(?:BCE?|B\.C\.?(?:E\.?)?))",
    re.IGNORECASE,
)
_DAY_NAME = lazily(
    r"(?:on\s+)?(?P<day>(?:mon|tues|wednes|thurs|fri|satur|sun)day)s?",
    re.IGNORECASE,
)
_TOGETHER = (
    lazily(r"(?P<day>\d{4}-\d\d-\d\d)T(?P<clock>\S+)"),
    lazily(
        r"(?P<day>.*?),?\s+(?:at\s+)?(?P<clock>\d{1,2}(?::\d\d)*(?:\s?[ap]\.?m\.?|\s[A-Z]{3})*"
        r"|noon|midnight)",
        re.IGNORECASE,
    ),
    lazily(r"(?P<clock>(?:\d|noon|midnight).*?),?\s+on\s+(?P<day>.*)", re.IGNORECASE),
)
_DECADE = lazily(r"(?:(?:in\s+)?the\s+)?(?P<decade>[12]\d\d0)['’]?s", re.IGNORECASE)


def ordinal(word: str) -> int | None:
    """The number of an ordinal in words up to ninety-ninth: "twenty-first" is 21."""
    word = word.casefold()
    tens, _, one = word.partition("-")
    if one:
        return 10 * _TENS[tens] + _ORDINALS[one] if tens in _TENS and _ORDINALS.get(one, 10) < 10 else None
    if word in _ORDINALS:
        return _ORDINALS[word]
    return 10 * _TENS[word[:-4] + "y"] if word.endswith("ieth") and word[:-4] + "y" in _TENS else None


def read_moment(text: str) -> Moment | None:
    """The date, month, year of an era, decade or clock time that ``text`` is; None for anything else."""
    found = located_moment(text)
    return found and found[0]


def located_moment(text: str) -> tuple[Moment, str] | None:
    """As :func:`read_moment`, with the place whose time it is, which is mostly empty."""
    text = text.strip(" .,")
    if not text or len(text) > 60:
        return None
    if not any(map(str.isdigit, text)):
        return read_clock(text) or _alone(
            _weekday(text) or _month_alone(text) or (_date(text) if " " in text else None)
        )
    return _alone(_date(text) or _year(text)) or read_clock(text) or _alone(_dated(text))


def _alone(moment: Moment | None) -> tuple[Moment, str] | None:
    return None if moment is None else (moment, "")


def _weekday(text: str) -> Moment | None:
    match = _DAY_NAME.fullmatch(text)
    return match and ("weekday", (match["day"][:3].casefold(),))


def _month_alone(text: str) -> Moment | None:
    month = _month(text.casefold().removeprefix("in ").removeprefix("im ").removeprefix("en "))
    return ("month", (month,)) if month and len(text) > 3 else None


def _dated(text: str) -> Moment | None:
    """A clock time with its date or weekday, before or after it."""
    if " " not in text and "T" not in text:
        return None
    for pattern in _TOGETHER:
        if match := pattern.fullmatch(text):
            day = _weekday(match["day"]) or _date(match["day"])
            clock = read_clock(match["clock"])
            if day is not None and clock is not None and day[0] != "date in figures":
                return "date and time", (*day, *clock[0], clock[1])
    return None


@cache
def _dates() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(_WEEKDAY + pattern + _ERA, re.IGNORECASE) for pattern in _DATES)


def _date(text: str) -> Moment | None:
    for pattern in _dates():
        if (match := pattern.fullmatch(text)) is None:
            continue
        groups = match.groupdict()
        year = int(groups["year"]) if groups["year"] else None
        if year is not None and (groups["era"] or "").casefold().startswith("b"):
            year = -year
        if "one" in groups:
            one, other = sorted((int(match["one"]), int(match["other"])))
            if one != other and other <= 12:  # nobody knows which of them is the month
                return "date in figures", (int(match["one"]), int(match["other"]), year)
            month, day = one, other
        else:
            month = _month(groups.get("month") or match["m"])
            day = _day(groups.get("day") or groups.get("d"))
        if 1 <= month <= 12 and 0 <= day <= _LENGTHS[month - 1]:
            return "date", (year, month, day)
    return None


def _month(written: str) -> int:
    """The number of a month; 0 for a word that is none."""
    return int(written) if written.isdigit() else _MONTHS.get(written.casefold(), 0)


def _day(written: str | None) -> int:
    """The day of a month, 0 if none is given, and -1 for a word that is none."""
    if written is None:
        return 0
    return int(written) or -1 if written.isdigit() else ordinal(written) or -1


def _year(text: str) -> Moment | None:
    if match := _DECADE.fullmatch(text):
        return "decade", (int(match["decade"]),)
    if match := _YEARS.fullmatch(text):
        return "year", (-int(match["year"]),)
    return None
