"""What the line of a list begins with: a number, a letter, a bullet or a heading, as models write them."""

# ruff: noqa: RUF001 (models write these characters)

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

LARGEST: Final = 999
"""A greater number at the beginning of a line is a year or an amount, not the number of a point."""

PICTURE: Final = "☆"
"""The bullet that stands for any picture, which may be another one on each line."""

FOLLOWING: Final = -1
"""The ordinal of a word such as "finally", which follows whatever is before it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a marker.

    ``style`` is what the entries of one list share, such as ``1.`` or ``step 1:``. A ``strict`` style counts
    only in its order from the first on, because its markers are found in other texts, too.
    """

    style: str
    ordinal: int
    strict: bool = False
    plain: bool = False
    """Whether it is a mere number, which goes on with any punctuation: models mix ``1.`` and ``2)``."""


@dataclass(frozen=True, slots=True)
class Marker:
    """The marker of a line: where it stands, what it may mean, and where the text after it begins.

    ``bullet`` is the bullet or the heading's signs, which ends at ``bullet_end``; an entry that has no number
    has no ``numbers``.
    """

    indent: int
    bullet: str
    numbers: tuple[Reading, ...]
    end: int
    bullet_end: int = 0

    @property
    def ordinal(self) -> int | None:
        """The number of a numbered entry, None if it has none or only a letter."""
        return next((each.ordinal for each in self.numbers if not each.strict), None)


_CHINESE: Final = "一二三四五六七八九"
_WORDS: Final = {
    word: index + 1
    for words in (
        "one two three four five six seven eight nine ten eleven twelve",
        "first second third fourth fifth sixth seventh eighth ninth tenth",
        "firstly secondly thirdly fourthly fifthly",
        "1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th",
        "erstens zweitens drittens viertens fünftens sechstens",
        "premièrement deuxièmement troisièmement quatrièmement",
        "primero segundo tercero cuarto quinto",
        "primo secondo terzo quarto quinto",
        "primeiro segundo terceiro quarto quinto",
        "во-первых во-вторых в-третьих в-четвёртых в-пятых",
        "첫째 둘째 셋째 넷째 다섯째",
        "首先 其次",
    )
    for index, word in enumerate(words.split())
} | dict.fromkeys(
    ["finally", "lastly", "next", "then", "schließlich", "enfin", "最后", "最後", "然后"], FOLLOWING
)
_ALPHABETS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "абвгдежзиклмнопрстуфхцчшщэюя",
    "αβγδεζηθικλμνξοπρστυφχψω",
    "가나다라마바사아자차카타파하",
    "アイウエオカキクケコ",
    "甲乙丙丁戊己庚辛壬癸",
)
_LETTERS: Final = {letter: index + 1 for alphabet in _ALPHABETS for index, letter in enumerate(alphabet)}
_ROMAN: Final = {
    roman: tens * 10 + ones
    for tens, ten in enumerate(("", "x", "xx", "xxx"))
    for ones, one in enumerate(("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"))
    if (roman := ten + one)
}

_D = r"[*_`~]{0,3}"
_NUMBER = rf"(?:[0-9]{{1,9}}|\d{{1,9}}|[{_CHINESE}十]{{1,3}})"
_WORD_NUMBER = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_CIRCLED = "①-⑳⓪㉑-㉟㊱-㊿⑴-⒇⒈-⒛❶-❿⓫-⓴➀-➓㈠-㈩㊀-㊉"
_DASH = r"[ \t]{0,2}[-–—](?=[ \t])(?![ \t]*\d)"
_AFTER = (
    r"(?:[ ]?>(?=\s)|[ ][.)）](?=\s)"
    r"|\\?\.\)|\\?\.-|\\?[.．](?!\d)|\\?[)）]|[:：](?!\d)|[ \u00a0\u202f][:：](?=\s)|、|，|。|/(?=\s)"
    rf"|[ \t]?\|(?=\s)|[º°]\)?(?=\s)|{_DASH})"
)
"""What makes a number at the beginning of a line the number of a point."""
_LEAD = re.compile(r"(?:[ \t\r\u3000\u00a0\ufeff\u200b]|>(?=[ \t>*\d-])|\|(?=[ \t]*\d{1,3}[. \t]*\|))*")
_HEADING = re.compile(rf"{_D}(?P<signs>#{{1,6}})[ \t]+")
_BULLET = re.compile(
    r"(?P<sign>[-+]|\*|[–—―‐‑−~])[ \t\u00a0]+|(?P<dash>[-–])(?=[^\W\d_])|(?P<item>\\item)\b[ \t]*"
    r"|(?P<glyph>[•‣⁃◦▪▫■□●○∙·・►▶▸▹➢➤➔→⇒⮞✓✔✗❖◆◇★☆※»›])\ufe0f?[ \t\u00a0]*"
)
_BOX = re.compile(r"\[[ xX]?\][ \t]+|[☐☑☒][ \t]*")
_NUMERAL = re.compile(rf"[{_CIRCLED}🔟]")
_SYMBOLS = re.compile(r"[ \t]*(?:[\ufe0f\u200d]|[\U0001f3fb-\U0001f3ff])*")


def _number(text: str) -> int:
    """The value of digits of any script, of a Chinese number to 99, or of a number as a word."""
    if text.isdecimal():
        return int(text)
    if (word := _WORDS.get(text.casefold())) is not None:
        return word
    tens, ten, ones = text.rpartition("十")
    value = _CHINESE.find(ones) + 1 if ones else 0
    return value + 10 * (_CHINESE.find(tens) + 1 if tens else 1) if ten else value


def _close(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().lstrip("\\")


def _numbered(match: re.Match[str]) -> list[Reading]:
    open_, close = match.groupdict().get("open") or "", _close(match["close"])
    return [Reading(f"{_close(open_)}1{close}", _number(match["n"]), plain=True)]


def _worded(match: re.Match[str]) -> list[Reading]:
    return [Reading(f"{match['word'].casefold().strip('. ')} 1", _number(match["n"]))]


def _counted(match: re.Match[str]) -> list[Reading]:
    return [Reading("第1", _number(match["n"]))]


def _single(match: re.Match[str]) -> list[Reading]:
    value = unicodedata.numeric(match["n"])
    return [Reading("①", int(value))]


def _keycap(match: re.Match[str]) -> list[Reading]:
    digits = "".join(each for each in match["n"] if each.isdigit())
    return [Reading("1️⃣", int(digits) if digits else 10)]


def _decimal(match: re.Match[str]) -> list[Reading]:
    path, _, last = match["n"].rpartition(".")
    return [Reading(f"{path}.1", int(last), strict=True)]


def _lettered(match: re.Match[str]) -> list[Reading]:
    """A letter, a Roman number, or what may be both; "i" rather begins a list than goes on in one."""
    text, close = match["n"], (match["open"] or "") + _close(match["close"])
    word = match.groupdict().get("word") or ""
    close += f" {word.casefold()}" if word else ""
    case = "A" if text.isupper() else "a"
    readings = []
    if (value := _ROMAN.get(text.lower())) is not None:
        readings.append(Reading(f"{'I' if case == 'A' else 'i'}{close}", value, strict=True))
    if (letter := _LETTERS.get(text.lower())) is not None:
        readings.append(Reading(f"{case}{close}", letter, strict=True))
    return readings


def _in_words(match: re.Match[str]) -> list[Reading]:
    value = _WORDS.get(match["n"].casefold())
    return [] if value is None else [Reading("first", value, strict=True)]


def _bare(match: re.Match[str]) -> list[Reading]:
    return [Reading("1 text", int(match["n"]), strict=True)]


_LETTER = rf"[A-Za-z{''.join(_ALPHABETS[1:])}АБВГДЕЖЗ]|[ivx]{{2,6}}|[IVX]{{2,6}}"
_Kind = tuple[re.Pattern[str], Callable[[re.Match[str]], list[Reading]]]
_KINDS: Final[tuple[_Kind, ...]] = tuple(
    (re.compile(f"{_D}{pattern}[ \t\u3000\u00a0]*"), read)
    for pattern, read in (
        (rf"(?P<open>[(（\[【〔<{{])(?P<n>{_NUMBER})(?P<close>[)）\]】〕>}}])(?!\(){_D}[.:：、]?{_D}",
         _numbered),
        (rf"(?P<n>\d{{1,3}}(?:\.\d{{1,3}})+)(?:\.(?!\d)|\)|(?=[ \t])){_D}", _decimal),
        (rf"#?(?P<n>{_NUMBER}){_D}(?P<close>{_AFTER}){_D}", _numbered),
        (rf"(?P<close>#)(?P<n>\d{{1,3}})(?=\s){_D}", _numbered),
        (r"[*_`]{1,3}(?P<n>\d{1,3})(?P<close>[*_`]{1,3})(?=\s)", _numbered),
        (rf"第[ ]?(?P<n>{_NUMBER})[ ]?(?:步骤?|点|點|章|部分|项|項|条|阶段|ステップ|に)?{_D}"
         rf"[:：、，,.．]?{_D}",
         _counted),
        (rf"(?P<n>\d{{1,3}})[ ]?(?:단계|번째|番目|つ目|点目)[ ]?{_D}[:：.、]?{_D}", _counted),
        (rf"(?P<word>[^\W\d_]{{1,20}}[.:]?[ \t]?)#?(?P<n>{_NUMBER}|(?i:{_WORD_NUMBER})\b)[ ]?{_D}"
         rf"(?:{_AFTER}|$){_D}", _worded),
        (rf"(?P<word>[^\W\d_]{{2,20}}) (?P<open>)(?P<n>[A-Z]|[IVX]{{2,6}})(?P<close>){_D}{_AFTER}{_D}",
         _lettered),
        (rf"(?P<n>[{_CIRCLED}])[.、:：)）]?{_D}", _single),
        (rf"(?P<n>(?:\d\ufe0f?\u20e3){{1,3}}|🔟){_D}[.:：)]?{_D}", _keycap),
        (rf"(?P<open>[(（\[]?)(?P<n>{_LETTER}){_D}(?P<close>[)）\]]|[.:：](?=[ \t*_])|、){_D}", _lettered),
    )
)  # fmt: skip
_WEAK: Final[tuple[_Kind, ...]] = (
    (
        re.compile(
            rf"{_D}(?P<n>[^\W_](?:[^\W_]|-){{0,14}})(?: (?:point|step|tip|part|reason|idea))?"
            rf"{_D}[,:，：、]{_D}[ \t]*"
        ),
        _in_words,
    ),
    (re.compile(r"(?P<n>\d{1,3})[ \t]+(?=\S)"), _bare),
)


def numbers(text: str, at: int = 0, *, weak: bool = False) -> tuple[tuple[Reading, ...], int]:
    """The number at a place in a text, in all its readings, and where the text after it begins."""
    for pattern, read in (*_KINDS, *_WEAK) if weak else _KINDS:
        if (match := pattern.match(text, at)) and (readings := read(match)):
            return tuple(readings), match.end()
    return (), at


def marker(line: str, *, weak: bool = False) -> Marker | None:
    """What a line begins with; None if it is a line like any other.

    If ``weak``, a number without punctuation and a word such as "Firstly," are markers, too.
    """
    lead = _LEAD.match(line)
    at = lead.end() if lead else 0
    indent = sum({"\t": 4, "\u3000": 2, ">": 0, "\ufeff": 0, "\u200b": 0}.get(each, 1) for each in line[:at])
    signs, at = _heading_or_bullet(line, at)
    readings, end = numbers(line, at, weak=weak)
    if signs.startswith("#"):
        indent = 2 * len(signs) - 20
    if not signs and not readings:
        return None
    return Marker(indent, signs, readings, end, at)


def _heading_or_bullet(line: str, at: int) -> tuple[str, int]:
    if heading := _HEADING.match(line, at):
        return heading["signs"], heading.end()
    if bullet := _BULLET.match(line, at):
        sign = next(text for text in bullet.groups() if text)
        box = _BOX.match(line, bullet.end())
        return sign, (box or bullet).end()
    if box := _BOX.match(line, at):
        return "[ ]", box.end()
    end = _after_symbols(line, at)
    return (PICTURE if end > at else ""), end


def _after_symbols(line: str, at: int) -> int:
    """Where a picture ends, which may be of several characters."""
    while line[at : at + 1] and unicodedata.category(line[at]) == "So" and not _NUMERAL.match(line, at):
        joined = _SYMBOLS.match(line, at + 1)
        at = joined.end() if joined else at + 1
    return at


def inline(text: str) -> Iterator[tuple[int, int, Reading]]:
    """The numbers inside a running text: where each begins and ends, and its reading."""
    for at in range(len(text)):
        if at and text[at - 1].isascii() and text[at - 1] not in " \t\n:;,|*(":
            continue
        readings, end = numbers(text, at)
        for reading in readings:
            if not reading.strict or ")" in reading.style:
                yield at, end, reading
