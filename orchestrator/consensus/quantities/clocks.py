"""Clock times in figures or words, with the half of the day in any of the larger languages, and a zone."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re

from orchestrator.consensus.quantities.patterns import lazily

Moment = tuple[str, tuple[object, ...]]
"""What kind of moment it is, and the values that say which."""

_MORNING = (
    "am;a.m.;a.m;in the morning;at dawn;morgens;vormittags;du matin;de la mañana;de la madrugada"
    ";da manhã;di mattina"
    ";del mattino;утра;ночью"
)
_EVENING = (
    "pm;p.m.;p.m;in the afternoon;in the evening;nachmittags;abends;de l'après-midi"
    ";de l’après-midi;du soir;de la tarde"
    ";de la noche;da tarde;da noite;del pomeriggio;di sera;дня;вечера"
)
_HALVES = dict.fromkeys(_MORNING.split(";"), 0) | dict.fromkeys(_EVENING.split(";"), 12) | {"at night": -1}
"""Hours to add; at night the hour tells: 10 at night, 2 at night."""

_BEFORE = dict.fromkeys(["上午", "早上", "凌晨", "午前", "오전", "清晨"], 0) | dict.fromkeys(
    ["下午", "晚上", "午後", "夜", "오후", "傍晚", "夜の"], 12
)
_ZONES = {
    "utc": 0, "gmt": 0, "z": 0, "cet": 60, "cest": 120, "bst": 60, "ist": 330, "jst": 540, "msk": 180,
    "est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420,
}  # fmt: skip
_HALF = "|".join(map(re.escape, sorted(_HALVES, key=len, reverse=True)))
_HOUR_WORDS = "one two three four five six seven eight nine ten eleven twelve"
_HOURS = {word: at for at, word in enumerate(_HOUR_WORDS.split(), 1)}
_MINUTE_WORDS = {
    "ten": 10,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "forty-five": 45,
    "fifty": 50,
}
_CLOCK = lazily(
    r"(?:(?:at|um|à|a\s+las|às|alle"
    r"|в)\s+)?(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?)?"
    rf"(?:\s*(?:o['’]?clock|uhr|heures|h|horas)(?=\s+\w+))?\s*(?P<half>{_HALF}|o['’]?clock|hrs"
    rf"|hours|uhr|часов)?"
    rf"\s*(?:\(?(?P<zone>{'|'.join(_ZONES)}|(?:utc|gmt)?[+−-]\d{{1,2}}(?::?[0-5]\d)?|[A-Z]{{3,4}}T"
    rf"|[ECMP]T)\)?)?",
    re.IGNORECASE,
)
_PLACE = lazily(
    r"\s*,?\s*\(?(?:local\s+time|(?:in\s+(?P<a>[A-Z][\w.]+(?:\s[A-Z]\w+)*))"
    r"|(?P<b>[A-Z][\w.]+(?:\s[A-Z]\w+)*)\s+time)\)?$"
)
_NAMED = {"noon": 720, "midday": 720, "12 noon": 720, "12:00 noon": 720, "midnight": 0, "12 midnight": 0}
_NAMED |= {"twelve noon": 720, "twelve midnight": 0, "12:00 midnight": 0}
_NAMED |= {"at noon": 720, "at midnight": 0, "mittags": 720, "mitternacht": 0, "midi": 720, "minuit": 0}
_NAMED |= {
    "mediodía": 720,
    "medianoche": 0,
    "正午": 720,
    "中午": 720,
    "午夜": 0,
    "полдень": 720,
    "полночь": 0,
}
_NUMBER = rf"\d{{1,2}}|{'|'.join(sorted(_HOURS, key=len, reverse=True))}"
_SPOKEN = lazily(
    rf"(?:at\s+)?(?P<part>half|quarter|a\s+quarter|{_NUMBER}|twenty-five|twenty)\s+(?:minutes?\s+)?"
    rf"(?P<way>past|after|to|before|till)\s+(?P<hour>{_NUMBER}|noon"
    rf"|midnight)(?:\s+o['’]?clock)?\s*(?P<half>{_HALF})?",
    re.IGNORECASE,
)
_MINUTE_NAMES = "|".join(sorted(_MINUTE_WORDS, key=len, reverse=True))
_IN_WORDS = lazily(
    rf"(?:at\s+)?(?P<hour>{'|'.join(_HOURS)})(?:[\s-](?:oh[\s-])?(?P<minute>{_MINUTE_NAMES}))?"
    rf"(?:\s+(?P<clock>o['’]?clock))?\s*(?P<half>{_HALF})?",
    re.IGNORECASE,
)
_GERMAN = lazily(
    rf"(?:um\s+)?(?P<part>halb|viertel\s+(?:nach|vor)|dreiviertel)\s+(?P<hour>\d{{1,2}}"
    rf"|\w+)(?:\s+uhr)?\s*(?P<half>{_HALF})?",
    re.I,
)
_GERMAN_HOURS = {
    word: at
    for at, word in enumerate(
        ["eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf"], 1
    )
}
_GERMAN_PARTS = {"halb": -30, "viertel nach": 15, "viertel vor": -15, "dreiviertel": -15}
_EASTERN = lazily(
    rf"(?P<half>{'|'.join(_BEFORE)})?\s*(?P<hour>\d{{1,2}})\s*(?:[点點時时시]"
    rf"|:)\s*(?:(?P<minute>[0-5]?\d)\s*[分분]?|(?P<part>半|반))?整?"
)
_CONTINENTAL = lazily(r"(?:à\s+|às\s+)?(?P<hour>[01]?\d|2[0-3])\s?h\s?(?P<minute>[0-5]\d)")
_MINUTES = {"half": 30, "quarter": 15, "a quarter": 15, "twenty-five": 25, "twenty": 20, **_HOURS}


def read_clock(text: str) -> tuple[Moment, str] | None:
    """The clock time that ``text`` is, and the place whose time it is (mostly empty); None if it is none."""
    place = _PLACE.search(text) if text.endswith(("time", "time)")) or " in " in text else None
    if place is not None and (inner := read_clock(text[: place.start()])) is not None and not inner[1]:
        return inner[0], (place["a"] or place["b"] or "").casefold()
    folded = text.casefold()
    named, _, zone = folded.rpartition(" ") if folded[-4:].strip() in _ZONES else (folded, "", "")
    if named in _NAMED:
        return _at(_NAMED[named] * 60, zone or None), ""
    moment = _figures(text) if any(map(str.isdigit, text)) else None
    moment = moment or _spoken(text) or _in_words(text) or _german(text)
    return None if moment is None else (moment, "")


def on_a_day_of_24_hours(moment: Moment) -> Moment:
    """A clock time of either half of the day as one of the morning."""
    seconds = _seconds(moment)
    return moment if seconds is None else ("clock", (seconds, moment[1][3]))


def seconds_of(moment: Moment) -> int | None:
    """The seconds of a duration that is written like a clock time, such as 3:25:40; else None."""
    return _seconds(moment) if moment[0] == "clock of either half" and moment[1][2:] != (0, None) else None


def _seconds(moment: Moment) -> int | None:
    if moment[0] != "clock of either half" or moment[1][3] is not None:
        return None
    hours, minutes, seconds = (each for each in moment[1][:3] if isinstance(each, int))
    return hours * 3600 + minutes * 60 + seconds


def _half(written: str | None, hour: int) -> int | None:
    half = _HALVES.get((written or "").casefold())
    return (0 if hour < 6 or hour == 12 else 12) if half == -1 else half


def _figures(text: str) -> Moment | None:
    if match := _CONTINENTAL.fullmatch(text):
        return _at(int(match["hour"]) * 3600 + int(match["minute"]) * 60, None)
    if not text.isascii() and (match := _EASTERN.fullmatch(text)):
        return _eastern(match)
    match = _CLOCK.fullmatch(text)
    if match is None or not (match["minute"] or match["half"]):
        return None
    named = (match["half"] or "").casefold()
    if "." in match[0].partition(" ")[0] and (named not in (*_HALVES, "uhr")):
        return None  # 5.30 is a number, 5.30 pm is not
    hour, minute, second = int(match["hour"]), int(match["minute"] or 0), int(match["second"] or 0)
    half = _half(match["half"], hour)
    if named == "hours" and (len(match["hour"]) != 2 or not match["minute"]):
        return None  # 5 hours
    if half is None and not match["half"] and ":" not in match[0]:
        return None
    if hour > (24 if half is None else 12) or (half is not None and not hour):
        return None
    if half is not None:
        hour = hour % 12 + half
    elif named not in ("uhr", "часов", "hrs") and (
        (1 <= hour < 12 and len(match["hour"]) == 1) or hour in (10, 11)
    ):
        # of the morning or the evening
        return "clock of either half", (hour, minute, second, (match["zone"] or "").casefold() or None)
    return _at(hour * 3600 + minute * 60 + second, match["zone"])


def _eastern(match: re.Match[str]) -> Moment | None:
    hour, minute = int(match["hour"]), 30 if match["part"] else int(match["minute"] or 0)
    if hour > 24:
        return None
    half = _BEFORE.get(match["half"] or "")
    if half is None:
        if 1 <= hour < 12:
            return "clock of either half", (hour, minute, 0, None)
        return _at(hour * 3600 + minute * 60, None)
    return _at((hour % 12 + half if hour <= 12 else hour) * 3600 + minute * 60, None)


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


def _said(at: int, hour: int, half: str | None) -> Moment:
    """So many minutes on a dial of twelve hours, in the half that is named."""
    if half is None:
        hours, minutes = divmod(at % 720, 60)
        return "clock of either half", (hours or 12, minutes, 0, None)
    return _at((at % 720 + 60 * (_half(half, hour) or 0)) * 60, None)


def _spoken(text: str) -> Moment | None:
    """Half past five, quarter to six pm."""
    match = _SPOKEN.fullmatch(text)
    if match is None:
        return None
    part, hour_text = re.sub(r"\s+", " ", match["part"].casefold()), match["hour"].casefold()
    minutes = _MINUTES[part] if part in _MINUTES else int(part)
    named = hour_text in ("noon", "midnight")
    hour = 12 if named else _HOURS.get(hour_text) or int(hour_text)
    if not 1 <= hour <= 12 or not 0 < minutes < 60:
        return None
    if (
        not (match["half"] or named)
        and part not in ("half", "quarter", "a quarter")
        and match["way"] not in ("past",)
    ):
        return None  # 3 to 5
    later = match["way"].casefold() in ("past", "after")
    at = hour % 12 * 60 + (minutes if later else -minutes)
    if named:
        return _at((at + (720 if hour_text == "noon" else 0)) * 60, None)
    if match["half"] is None and part.isdigit():
        return None
    return _said(at, hour, match["half"])


def _in_words(text: str) -> Moment | None:
    """Eight in the evening, nine thirty am, five o'clock."""
    match = _IN_WORDS.fullmatch(text)
    if match is None or not (match["half"] or match["clock"]):
        return None
    hour = _HOURS[match["hour"].casefold()]
    return _said(
        hour % 12 * 60 + _MINUTE_WORDS.get((match["minute"] or "").casefold(), 0), hour, match["half"]
    )


def _german(text: str) -> Moment | None:
    """Halb acht, which is half past seven."""
    match = _GERMAN.fullmatch(text)
    if match is None:
        return None
    word = match["hour"].casefold()
    hour = int(word) if word.isdigit() else _GERMAN_HOURS.get(word, 0)
    if not 1 <= hour <= 12:
        return None
    return _said(
        hour * 60 + _GERMAN_PARTS[re.sub(r"\s+", " ", match["part"].casefold())], hour, match["half"]
    )
