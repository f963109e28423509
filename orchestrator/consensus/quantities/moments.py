"""Dates and clock times, each in one spelling whatever the order and language of the months.

dateutil and dateparser are not used: they guess the order of day and month, and complete what is missing from
today's date, so that the same text would mean something else at the next replay.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from functools import cache

Moment = tuple[str, tuple[object, ...]]
"""What kind of moment it is, and the values that say which."""

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
_YEARS = re.compile(
    r"(?:(?:in\s+)?(?:the\s+)?(?:year\s+)?)(?:(?P<year>\d{1,5})\s*(?:BCE?|B\.C\.?(?:E\.?)?))",
    re.IGNORECASE,
)
_DECADE = re.compile(r"(?:(?:in\s+)?the\s+)?(?P<decade>[12]\d\d0)['’]?s", re.IGNORECASE)

_HALVES = {"am": 0, "a.m.": 0, "a.m": 0, "pm": 12, "p.m.": 12, "p.m": 12}
_HALVES |= {"in the morning": 0, "in the afternoon": 12, "in the evening": 12}
_ZONES = {
    "utc": 0, "gmt": 0, "z": 0, "cet": 60, "cest": 120, "bst": 60, "ist": 330, "jst": 540, "msk": 180,
    "est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420,
}  # fmt: skip
_HALF = "|".join(map(re.escape, sorted(_HALVES, key=len, reverse=True)))
_CLOCK = re.compile(
    r"(?:at\s+)?(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?)?"
    rf"(?:\s*o['’]?clock(?=\s+in\b))?\s*(?P<half>{_HALF}|o['’]?clock|hrs|uhr|часов)?"
    rf"\s*(?:\(?(?P<zone>{'|'.join(_ZONES)}|(?:utc|gmt)?[+−-]\d{{1,2}}(?::?[0-5]\d)?|[A-Z]{{3,4}}T|[ECMP]T)\)?)?",
    re.IGNORECASE,
)
_NAMED = {"noon": 720, "midday": 720, "12 noon": 720, "12:00 noon": 720, "midnight": 0, "12 midnight": 0}
_SPOKEN = re.compile(
    r"(?:at\s+)?(?P<part>half|quarter|a\s+quarter|\d{1,2}|five|ten|twenty|twenty-five)\s+(?:minutes\s+)?"
    rf"(?P<way>past|to)\s+(?P<hour>\d{{1,2}}|[a-z]+)\s*"
    rf"(?P<half>{_HALF})?",
    re.IGNORECASE,
)
_MINUTES = {"half": 30, "quarter": 15, "a quarter": 15, "five": 5, "ten": 10, "twenty": 20, "twenty-five": 25}
_HOUR_WORDS = "one two three four five six seven eight nine ten eleven twelve"
_HOURS = {word: at for at, word in enumerate(_HOUR_WORDS.split(), 1)}


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
    text = text.strip(" .,")
    if not text or len(text) > 60:
        return None
    named, _, zone = (
        text.casefold().rpartition(" ") if text[-4:].casefold().strip() in _ZONES else (text, "", "")
    )
    if named.casefold() in _NAMED:
        return _at(_NAMED[named.casefold()] * 60, zone or None)
    if not any(map(str.isdigit, text)):
        return _spoken(text) or (_date(text) if " " in text else None)
    return _date(text) or _year(text) or _clock(text) or _spoken(text)


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


def _clock(text: str) -> Moment | None:
    match = _CLOCK.fullmatch(text)
    if match is None or not (match["minute"] or match["half"]):
        return None
    if "." in match[0].partition(" ")[0] and (match["half"] or "").casefold() not in (*_HALVES, "uhr"):
        return None  # 5.30 is a number, 5.30 pm is not
    half = _HALVES.get((match["half"] or "").casefold())
    if half is None and not match["half"] and ":" not in match[0]:
        return None
    hour, minute, second = int(match["hour"]), int(match["minute"] or 0), int(match["second"] or 0)
    if hour > (24 if half is None else 12) or (half is not None and not hour):
        return None
    if half is not None:
        hour = hour % 12 + half
    elif (1 <= hour < 12 and len(match["hour"]) == 1) or hour in (10, 11):  # of the morning or the evening
        return "clock of either half", (hour, minute, second, (match["zone"] or "").casefold() or None)
    return _at(hour * 3600 + minute * 60 + second, match["zone"])


def _at(seconds: int, zone: str | None) -> Moment:
    if zone is None:
        return "clock", (seconds % 86_400, None)
    shift = _ZONES.get(zone.casefold())
    if shift is None and (match := re.search(r"(?P<sign>[+−-])(?P<hours>\d{1,2}):?(?P<minutes>\d\d)?", zone)):
        shift = int(match["hours"]) * 60 + int(match["minutes"] or 0)
        shift = -shift if match["sign"] != "+" else shift
    if shift is None:
        return "clock", (seconds % 86_400, zone.casefold())
    return "clock", ((seconds - 60 * shift) % 86_400, "utc")


def _spoken(text: str) -> Moment | None:
    """Half past five, quarter to six pm."""
    match = _SPOKEN.fullmatch(text)
    if match is None:
        return None
    part, hour_text = re.sub(r"\s+", " ", match["part"].casefold()), match["hour"].casefold()
    minutes = _MINUTES[part] if part in _MINUTES else int(part)
    hour = int(hour_text) if hour_text.isdigit() else _HOURS.get(hour_text, 0)
    if not 1 <= hour <= 12 or not 0 < minutes < 60 or (part.isdigit() and not match["half"]):
        return None
    at = hour % 12 * 60 + (minutes if match["way"].casefold() == "past" else -minutes)
    if match["half"] is None:
        hours, minutes = divmod(at % 720, 60)
        return "clock of either half", (hours or 12, minutes, 0, None)
    return _at((at + 60 * _HALVES[match["half"].casefold()]) * 60, None)
