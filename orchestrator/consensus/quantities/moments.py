"""Dates and clock times, each in one spelling whatever the order and language of the months.

dateutil and dateparser are not used: they guess the order of day and month, and complete what is missing from
today's date, so that the same text would mean something else at the next replay.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re

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
_ORDINALS = {
    **dict(
        zip(
            "first second third fourth fifth sixth seventh eighth ninth tenth".split(),
            range(1, 11),
            strict=True,
        )
    ),
    **{"eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16},
    **{"seventeenth": 17, "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30},
}

_MONTH = r"(?P<month>[^\W\d_]{3,}(?:़[^\W\d_]+)?)\.?"
_DAY = r"(?P<day>\d{1,2}|[a-z]+(?:-[a-z]+)?)(?:st|nd|rd|th|er|º|\.)?"
_YEAR = r"(?P<year>\d{3,4})"
_ERA = r"(?:\s*(?P<era>BCE?|AD|CE|B\.C\.(?:E\.)?|A\.D\.|C\.E\.))?"
_WEEKDAY = r"(?:on\s+)?(?:(?:mon|tue|tues|wednes|wed|thu|thurs|fri|satur|sat|sun)(?:day)?,?\s+)?(?:the\s+)?"
_DATES = tuple(
    re.compile(_WEEKDAY + pattern + _ERA, re.IGNORECASE)
    for pattern in (
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
_CLOCK = re.compile(
    r"(?:at\s+)?(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?)?"
    rf"\s*(?P<half>{'|'.join(map(re.escape, sorted(_HALVES, key=len, reverse=True)))}|o['’]?clock|hrs|uhr|часов)?"
    rf"\s*(?:\(?(?P<zone>{'|'.join(_ZONES)}|(?:utc|gmt)?[+−-]\d{{1,2}}(?::?[0-5]\d)?|[A-Z]{{3,4}}T|[ECMP]T)\)?)?",
    re.IGNORECASE,
)
_NAMED = {"noon": 720, "midday": 720, "12 noon": 720, "12:00 noon": 720, "midnight": 0, "12 midnight": 0}
_SPOKEN = re.compile(
    r"(?:at\s+)?(?P<part>half|quarter|a\s+quarter|\d{1,2}|five|ten|twenty|twenty-five)\s+(?:minutes\s+)?"
    rf"(?P<way>past|to)\s+(?P<hour>\d{{1,2}}|[a-z]+)\s*"
    rf"(?P<half>{'|'.join(map(re.escape, sorted(_HALVES, key=len, reverse=True)))})?",
    re.IGNORECASE,
)
_MINUTES = {"half": 30, "quarter": 15, "a quarter": 15, "five": 5, "ten": 10, "twenty": 20, "twenty-five": 25}
_HOURS = dict(
    zip("one two three four five six seven eight nine ten eleven twelve".split(), range(1, 13), strict=True)
)


def ordinal(word: str) -> int | None:
    """The number of an ordinal in words up to thirty-ninth and of the tens: "twenty-first" is 21."""
    word = word.casefold()
    tens, _, one = word.partition("-")
    whole = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70}
    whole |= {"eighty": 80, "ninety": 90}
    if one:
        return whole[tens] + _ORDINALS[one] if tens in whole and _ORDINALS.get(one, 10) < 10 else None
    if word in _ORDINALS:
        return _ORDINALS[word]
    return whole.get(word[:-4] + "y") if word.endswith("ieth") else None


def read_moment(text: str) -> Moment | None:
    """The date, month, year of an era, decade or clock time that ``text`` is; None for anything else."""
    text = text.strip(" .,")
    if text.casefold() in _NAMED:
        return "clock", (_NAMED[text.casefold()] * 60, None)
    if not text or len(text) > 60:
        return None
    return _date(text) or _year(text) or _clock(text) or _spoken(text)


def _date(text: str) -> Moment | None:
    for pattern in _DATES:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        found = {"day": None, "month": None, "m": None, "d": None, **match.groupdict()}
        year = int(found["year"]) if found["year"] else None
        if found["era"] and year is not None and found["era"].casefold()[0] == "b":
            year = -year
        if found.get("one"):
            one, other = int(found["one"]), int(found["other"])
            if one == other or max(one, other) > 12:
                day, month = max(one, other), min(one, other)
            else:  # nobody knows which of them is the month
                return "date in figures", (one, other, year)
        else:
            month = _MONTHS.get(found["month"].casefold(), 0) if found["month"] else int(found["m"])
            named = found["day"] or found["d"]
            day = None if not named else int(named) if named.isdigit() else ordinal(named) or 0
        if 1 <= month <= 12 and (day is None or 1 <= day <= _LENGTHS[month - 1]):
            return "date", (year, month, day)
    return None


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
    elif 1 <= hour < 12 and len(match["hour"]) == 1 or hour in (10, 11):  # of the morning or the evening
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
