"""Times of day in other languages than English, in its spelling: "halb acht abends" is 7:30 pm."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re

from orchestrator.consensus.quantities.patterns import lazily

_HOUR = r"(?P<h>\d{1,2})"
_CLOCKS = {
    # what leads to the hour, the minutes, and the part of the day, which may also come first
    "de": rf"(?:(?P<quarter>halb|viertel\s(?:nach|vor|über))\s(?P<h2>\d{{1,2}})(?![\d:]|[.,]\d)"
    rf"|{_HOUR}(?:[:.](?P<m>\d\d))?\sUhr(?:\s(?P<m2>\d\d)(?!\d))?)"
    r"(?:\s(?P<day>morgens|vormittags|früh|mittags|nachmittags|abends|nachts|am\s(?:Morgen|Nachmittag"
    r"|Abend)))?",
    "fr": rf"(?:(?<=\bà\s)|(?<=\best\s)){_HOUR}\s?h(?:eures?)?(?![\w])(?:\set\s(?P<half>demie|quart))?"
    r"(?:\s(?P<day>du\smatin|du\ssoir|de\sl['’]après-midi))?"
    rf"|(?:(?<=\bà\s)|(?<=\best\s))(?P<h2>\d{{1,2}})\s?h\s?(?P<m>\d\d)(?!\d)",
    "es": rf"(?<=\blas\s){_HOUR}(?::(?P<m>\d\d))?(?:\sy\s(?P<half>media|cuarto))?"
    r"(?:\s(?P<day>de\sla\s(?:mañana|tarde|noche)))?(?![\w:])",
    "pt": rf"(?<=\b[àa]s\s){_HOUR}(?:(?:h|:)(?P<m>\d\d)|h(?:oras)?|\shoras)?(?:\se\s(?P<half>meia))?"
    r"(?:\s(?P<day>da\s(?:manhã|tarde|noite)))?(?![\w:])",
    "it": rf"(?<=\balle\s){_HOUR}(?:[:.](?P<m>\d\d))?(?:\se\s(?P<half>mezza|mezzo|un\squarto))?"
    r"(?:\s(?P<day>di\ssera|del\spomeriggio|di\smattina|del\smattino))?(?![\w:])",
    "ru": rf"(?<=\bв\s){_HOUR}(?::(?P<m>\d\d)|\sчас(?:а|ов)?)?\s(?P<day>утра|дня|вечера|ночи)",
    "zh": rf"(?P<first>上午|早上|早晨|凌晨|下午|晚上|傍晚|中午)?"
    rf"\s?{_HOUR}\s?[点點](?:钟|鐘|整)?(?:\s?(?P<half>半)"
    rf"|\s?(?P<m>\d{{1,2}})\s?分)?",
    "ja": rf"(?P<first>午前|午後|朝|夜|夕方)の?"
    rf"\s?{_HOUR}\s?時(?!間)(?:(?P<half>半)|\s?(?P<m>\d{{1,2}})\s?分)?"
    r"|(?P<h2>\d{1,2})\s?時(?!間)(?:(?P<half2>半)|\s?(?P<m2>\d{1,2})\s?分)",
    "ko": rf"(?P<first>오전|오후|아침|저녁|밤)?"
    rf"\s?{_HOUR}\s?시(?!간)(?:\s?(?P<half>반)|\s?(?P<m>\d{{1,2}})\s?분)?",
    "hi": rf"(?P<first>सुबह|दोपहर|शाम|रात)\s(?:के\s)?{_HOUR}(?::(?P<m>\d\d))?\sबजे",
    "ar": rf"الساعة\s{_HOUR}(?::(?P<m>\d\d))?(?:\s(?P<day>صباح\w*|مساء\w*|ظهر\w*))?",
}
_PATTERNS = {code: re.compile(pattern, re.IGNORECASE) for code, pattern in _CLOCKS.items()}
_EARLY = lazily(
    r"morg|vormit|früh|nachts|matin|mañana|manhã|mattin|утра|ночи|上午|早|凌晨|午前|朝|오전|아침|सुबह|صباح",
    re.I,
)
_QUARTERS = {"quart", "cuarto", "un quarto"}


def clocks_in_english(text: str, code: str) -> str:
    """The text of the language ``code`` with its times of day as "7:30 pm" or "19:30"."""
    pattern = _PATTERNS.get(code)
    return pattern.sub(_written, text) if pattern is not None else text


def _written(match: re.Match[str]) -> str:
    groups = {name: value for name, value in match.groupdict().items() if value}
    hour = int(groups.get("h") or groups["h2"])
    minute = int(groups.get("m") or groups.get("m2") or 0)
    if half := groups.get("half") or groups.get("half2"):
        minute = 15 if half.casefold() in _QUARTERS else 30
    if quarter := groups.get("quarter", "").casefold():
        minute = 30 if quarter == "halb" else 15 if not quarter.endswith("vor") else 45
        hour = hour if minute == 15 else (hour - 2) % 12 + 1
    if hour > 24 or minute > 59:
        return match[0]
    day = groups.get("day") or groups.get("first")
    late = "" if day is None or hour > 12 else " am" if _EARLY.search(day) else " pm"
    lead = " " if match[0][:1] == " " else ""
    tail = " " if match.string[match.end() : match.end() + 1].isalpha() else ""
    front = " " if match.start() and match.string[match.start() - 1].isalnum() else ""
    return f"{lead or front}{hour}:{minute:02}{late}{tail}"
