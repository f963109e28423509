"""The sums of times of the day and durations that a text writes out, such as "9:45 + 80 minutes", done again.

A sum is wrong only if no reading makes it right: a time without am or pm is one of either half of the day, a
clock goes on past midnight, a difference has no direction, and 9:45 may be 9 minutes and 45 seconds. What is
denied, asked or supposed is not judged, nor are times of several zones or a span with breaks in it.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from orchestrator.consensus.quantities import interpret
from orchestrator.consensus.quantities.patterns import any_of
from planners.equations import BEGINS, DENIED, LONGEST, Mistake

_HALF_DAY, _DAY = 12 * 3600, 24 * 3600
_S = r"[^\S\n]{0,12}+"
_GAP = r"(?:[^\S\n]{1,12}+)"
"""What a space stands for in the patterns that :func:`_pattern` makes."""

_HALF = r"(?:[ap]m\b|[ap]\. ?m\.)"
_TIME = (
    r"(?<![\w.,:/-])(?:(?:noon|midnight)\b|\d{1,2}(?:(?:[:.][0-5]\d)? Uhr\b| ?h ?[0-5]\d(?! ?m)"
    rf"|:[0-5]\d(?::[0-5]\d)?(?: ?{_HALF}| (?:hours|hrs|h)\b)?| ?{_HALF}))"
)
_UNITS = (
    ("hour", "hours"), ("minute", "minutes"), ("second", "seconds"),
    ("Stunde", "Stunden"), ("Minute", "Minuten"), ("Sekunde", "Sekunden"),
    ("heure", "heures"), ("seconde", "secondes"), ("hora", "horas"), ("minuto", "minutos"),
    ("segundo", "segundos"), ("ora", "ore"), ("minuto", "minuti"), ("secondo", "secondi"),
)  # fmt: skip
"""Of one, and of several. A day is none: it may be one of work."""

_SHORT = ("h", "hr", "hrs", "m", "min", "mins", "s", "sec", "secs")
_UNIT = rf"(?:{any_of({name for pair in (*_UNITS, _SHORT) for name in pair})})(?![^\W\d]|['’])"
_FIGURE = r"\d{1,4}(?:[.,]\d{1,2})?"
_COUNT = (
    rf"(?:{_FIGURE}|(?:half an?|quarter of an|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven"
    r"|twelve)(?=\s))"
)
_AND = r"(?:and|und|et|y|e)"
_ONE_SPAN = rf"{_COUNT}{_S}{_UNIT}"
_SPAN = rf"(?<![\w.,:/-]){_ONE_SPAN}(?:(?:,? {_AND} |, |{_S}){_ONE_SPAN}){{0,3}}"
_EITHER = rf"(?:{_TIME}|{_SPAN})"
_SIGN = rf"(?:{_S}[-+]{_S}| (?:plus|minus|más|menos|moins|più|meno) )"
_LESS = frozenset(("-", "minus", "menos", "moins", "meno"))
_ARTICLE = r"(?:(?:las?|les?|um|at|à|alle|exactly) )?"
_IS = (
    rf"(?:{_S}=|,? (?:is(?: equal to| the same as)?|are|was|will be|equals|gives(?: us)?|makes|yields|becomes"
    r"|takes|lasts|there are|results in|(?:brings|takes|gets) (?:us|you) to|leads to|comes to"
    r"|(?:we|you) (?:get|have|arrive at)|(?:to|and) get|ist|sind|ergibt|macht|est|sont|donne|fait|es|son|da|è"
    rf"|sono|fa|dà)\b){_S}{_ARTICLE}"
)
_WAY = (
    r"(?P<way>after|past|nach|après|dopo|before|vor|avant|(?:later|earlier) than|después de|antes de"
    r"|prima delle)"
)
_BACK = re.compile(r"before|vor|avant|earlier|antes|prima|sub|tak|deduct|going", re.IGNORECASE)


def _pattern(written: str) -> re.Pattern[str]:
    return re.compile(written.replace(" ", _GAP), re.IGNORECASE)


_SUM = _pattern(rf"(?P<left>{_EITHER}(?:{_SIGN}{_EITHER}){{1,5}}){_IS}(?P<right>{_EITHER})")
_SAME = _pattern(rf"(?P<left>{_SPAN}){_IS}(?P<right>{_SPAN})")
_FORMS = (
    _SUM,
    _SAME,
    _pattern(
        rf"\b(?P<way>add(?:ing)?|subtract(?:ing)?|tak(?:e|ing)|deduct(?:ing)?|going back) (?P<by>{_SPAN}) "
        rf"(?:to|from) (?P<time>{_TIME}){_IS}(?P<right>{_TIME})"
    ),
    _pattern(rf"(?P<by>{_SPAN}) {_WAY} {_ARTICLE}(?P<time>{_TIME}){_IS}(?P<right>{_TIME})"),
    _pattern(
        rf"(?P<right>{_TIME}) (?:is|was|ist|est|es|è) (?P<by>{_SPAN}) {_WAY} {_ARTICLE}(?P<time>{_TIME})"
    ),
    _pattern(
        rf"(?:(?:from|von|de|da|dalle) {_ARTICLE})?(?P<begin>{_TIME}) (?:to|until|till|bis|à|a|alle) "
        rf"{_ARTICLE}(?P<end>{_TIME}){_IS}(?P<right>{_SPAN})"
    ),
    _pattern(
        rf"(?P<between>between|zwischen|entre|tra|fra) {_ARTICLE}(?P<begin>{_TIME}) {_AND} {_ARTICLE}"
        rf"(?P<end>{_TIME})(?:{_S}=|,? (?:is|are|there are|sind|es|son|è|sono)\b){_S}(?P<right>{_SPAN})"
    ),
)
_TIME_ALONE, _SPAN_ALONE, _SIGNS = _pattern(_TIME), _pattern(_SPAN), _pattern(f"({_SIGN})")
_HALF_NAMED = _pattern(_HALF)

_BEFORE = re.compile(
    rf"(?:[^\s:]{_S}[-+*/^×÷·]{_S}|[√^*/]|\d[^\S\n]+"
    r"|\b(?:times|plus|minus|mal|fois|por|past|to|before|after|than|until|till|nach|vor|après|avant|dopo)\s*)\Z",
    re.IGNORECASE,
)
_BEFORE_SPAN = _pattern(
    r"\b(?:of|at|in|within|with|twice|double|half|each|every|per|hundred|thousand|\w+ty|volte"
    r"|(?:half|hundred|thousand|hours?|minutes?|\w+ty) and)\s*\Z",
)
"""What goes on to the left: "3 times 20 minutes", "twenty-five minutes", "5 past 9:45"."""

_LENGTH = _pattern(
    r"(?:\bdifference|\b(?:the|elapsed|total) (?:time|duration)|(?:\A|\n)\W*time)"
    r"(?: (?:elapsed|passed|difference))?\s*\Z",
)
"""What is as long as it is from one time to another; a delay between them, or trains, are not."""

_PART = re.compile(
    r"\b(?:half(?:way)?|mid\w*|average|mean|third|quarter|twice|double|part|share|break\w*|pauses?|lunch|rests?"
    r"|stops?|stopping|net|moitié|mitad|metà)\b",
    re.IGNORECASE,
)
"""What makes something else of the time between two times."""

_CLOSED = _pattern(
    rf"{_S}(?:\Z|[\n=]|[.;!?)\]\"'|:,](?!\d)|(?:so|because|since|as|which|therefore|thus|hence|but|while|total"
    r"|in total|in all|altogether|long|in the (?:morning|afternoon|evening)|the next day)\b)"
)
"""What stands after a result: not "and 20 minutes", "later", "(60 minutes) + 20 minutes"."""

_ALSO_DENIED = re.compile(
    r"\b(?:mistake\w*|errors?|incorrectly|wrongly|could|might|may|wenn|falls|ob|nicht|kein\w*|falsch|pas|faux|si"
    r"|no|non|se|falso|sbagliato|incorrecto|ratio|scale|odds|score|verses?|chapter|about|roughly|around"
    r"|approximately|almost|nearly|rounded)\b|≠|≈|!=|^\W*\(?[A-Z][).:]\s",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"\b(?:wait|oops|wrong|incorrect|mistake|actually|hmm|correction|false|remaining|falsch|faux|falso)\b",
    re.IGNORECASE,
)
_ENDS = re.compile(r"(?<!:)\n|[;?]|!(?!=)|(?<!\b[a-zA-Z])[.](?=\s|\Z)")
_OTHER_CLOCKS = re.compile(
    r"\b(?:UTC|GMT|CES?T|BST|IST|JST|[ECMP][SD]?T|Eastern|Central|Pacific)\b|(?i:\btime\s?-?zones?\b"
    r"|\blocal\s(?:\w+\s)?time\b|\bdaylight\b|\bhours?\s(?:ahead|behind)\b|\bZeitzonen?\b|\bOrtszeit\b"
    r"|\bfuseau\b|\bhuso\b|\bfuso\b|\bgain(?:s|ing)?\b|\blos(?:es?|ing)\b|\bslow\b|\bfast\b)"
)
"""Of several zones, or wrong ones."""

_AROUND = 200
_SPELLINGS = (
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"\\boxed\{|\\(?:text|mathrm)\{|\\[()\[\],;:! ]|\*\*|[{}$~&\u00a0\u202f`]|_(?=\d)"), " "),
)
"""How the signs of a text are written; each is replaced by as many characters."""


@dataclass(frozen=True, slots=True)
class _Term:
    """A time or a duration in seconds, and how far what is written may be from it.

    ``half`` says that the half of the day is known.
    """

    text: str
    seconds: Fraction
    clock: bool
    half: bool = True
    rounding: Fraction = Fraction(0)

    @property
    def bare(self) -> bool:
        """Whether it is a time without am, pm or the like, so that it may be a duration, too."""
        return self.clock and ":" in self.text and not any(map(str.isalpha, self.text))


_Terms = list[tuple[int, _Term]]


def wrong_time(text: str) -> Mistake | None:
    """The first sum of times of the day or durations in a text that holds in no reading; else None."""
    text = text[:LONGEST]
    for spelling, sign in _SPELLINGS:
        text = spelling.sub(lambda found, sign=sign: sign.ljust(len(found[0])), text)  # type: ignore[misc]
    if _OTHER_CLOCKS.search(text):
        return None
    found = (mistake for each in _stated(text) if (mistake := _judged(each)) is not None)
    return min(found, key=lambda mistake: mistake.at, default=None)


def _stated(text: str) -> Iterator[re.Match[str]]:
    """The sums that a text states as they are."""
    for form in _FORMS:
        at = 0
        while (found := form.search(text, at)) is not None:
            at = max(found.start() + 1, found.start("right"))  # a result may begin the next sum
            if _is_stated(found):
                yield found


def _is_stated(found: re.Match[str]) -> bool:
    """Whether a sum is whole and said to be so."""
    text, said = found.string, found[0]
    before = text[max(0, found.start() - _AROUND) : found.start()]
    after = text[found.end() : found.end() + _AROUND]
    if said.endswith(".") and re.match(rf"{_S}(?:\Z|\n|[A-Z])", after):  # of a.m.
        after = "." + after
    sentence = before[max((end.end() for end in _ENDS.finditer(before)), default=0) :]
    end = _ENDS.search(after)
    rest, more = (after, "") if end is None else (after[: end.start()], after[end.end() - 1 :])
    if more[:1] == "?" or not _CLOSED.match(after) or _goes_on(rest, found["right"]):
        return False
    if _BEFORE.search(before) or (not _TIME_ALONE.match(said) and _BEFORE_SPAN.search(before)):
        return False
    begins = BEGINS.search(before)
    if found.re is _SAME and not begins:
        return False
    if len(_TIME_ALONE.findall(said)) == 2 and _SPAN_ALONE.fullmatch(found["right"]):
        equation = found.re is _SUM and "=" in said
        if _PART.search(sentence + rest) or not (equation or begins or _LENGTH.search(before)):
            return False
    around = sentence + said + rest
    return not (DENIED.search(around) or _ALSO_DENIED.search(around) or _TAKEN_BACK.search(more[:40]))


def _goes_on(rest: str, result: str) -> bool:
    """Whether a sentence has more numbers than the result, so that this may be one on the way."""
    return rest.lstrip()[:1] != "=" and any(map(str.isdigit, rest.replace(result, "")))


def _judged(found: re.Match[str]) -> Mistake | None:
    left, right = _terms(found), _read(found["right"])
    if left is None or right is None:
        return None
    clocks = [sign for sign, term in left if term.clock]
    if not (
        clocks in ([], [1, -1], [-1, 1]) if not right.clock else clocks and (clocks != [1, 1] or right.bare)
    ):
        return None  # such as a duration that a time is to be
    groups = found.groupdict()
    either = len(clocks) == 2 and ("begin" not in groups or "between" in groups)
    if _holds(left, right, either):
        return None
    value, written = _result(left, right, either)
    first, *others = left
    said = first[1].text + "".join(f" {'-' if sign < 0 else '+'} {term.text}" for sign, term in others)
    shown = written or (_clock(value, "0:00") if right.clock else _span(value, "1 hour 1 minute"))
    shown = shown or _span(value, "1 minute") or "not that"
    return Mistake(f"{said} = {right.text} is wrong: it is {shown}", found.start("right"), written)


def _terms(found: re.Match[str]) -> _Terms | None:
    """What is added up, with its sign."""
    groups = found.groupdict()
    if "left" in groups:
        parts = _SIGNS.split(groups["left"])
        signs = ["+", *(part.strip().casefold() for part in parts[1::2])]
        said = [(-1 if sign in _LESS else 1, part) for sign, part in zip(signs, parts[::2], strict=True)]
    elif "way" in groups:
        said = [(1, groups["time"]), (-1 if _BACK.match(groups["way"]) else 1, groups["by"])]
    else:
        said = [(1, groups["end"]), (-1, groups["begin"])]
    terms = [(sign, term) for sign, part in said if (term := _read(part)) is not None]
    return terms if len(terms) == len(said) else None


def _read(written: str) -> _Term | None:
    text = " ".join(written.split())
    if not _TIME_ALONE.fullmatch(text):
        plain = re.sub(r"\A(?:an?|one)\s", "1 ", re.sub(rf"\s{_AND}\s", " and ", text), flags=re.IGNORECASE)
        quantity = interpret(plain)[0]
        if quantity is None or quantity.unit != "s":
            return None
        return _Term(text, quantity.amount, clock=False, rounding=2 * quantity.rounding * quantity.scale)
    text = re.sub(r"\s(?:hours|hrs|h)\Z", "", text, flags=re.IGNORECASE)
    meaning = interpret(re.sub(r"\s?h\s?(?=\d)", ":", text, flags=re.IGNORECASE))[1]
    if meaning is None:
        return None
    match meaning.kind, meaning.key:
        case "clock", (int(seconds), None):
            half = bool(re.search("[mn]", text, re.IGNORECASE)) or not 3600 <= seconds < 13 * 3600
        case "clock of either half", (int(h), int(m), int(s), None):
            seconds, half = h * 3600 + m * 60 + s, False
        case _:
            return None
    return _Term(text, Fraction(seconds), clock=True, half=half)


def _holds(left: _Terms, right: _Term, either: bool) -> bool:
    """Whether a sum is right, also as one of minutes and seconds, or the other way round."""
    terms = [*left, (1, right)]
    ways = (1, -1) if either else (1,)
    total = sum(sign * term.seconds for sign, term in left)
    round_ = _round(terms)
    off = min(_apart(way * total - right.seconds, round_) for way in ways)
    if not off or off < sum(term.rounding for _, term in terms):
        return True
    if not any(term.clock for _, term in terms) or not all(term.bare for _, term in terms if term.clock):
        return False
    short = [(sign, term.seconds / (60 if term.clock else 1)) for sign, term in terms]
    total = sum(sign * seconds for sign, seconds in short[:-1])
    return any(way * total == short[-1][1] for way in ways)


def _round(terms: _Terms) -> int:
    """After how many seconds a clock shows the same; 0 without clocks."""
    clocks = [term for _, term in terms if term.clock]
    return 0 if not clocks else _DAY if all(term.half for term in clocks) else _HALF_DAY


def _apart(seconds: Fraction | int, round_: int) -> Fraction:
    apart = Fraction(seconds)
    return min(apart % round_, -apart % round_) if round_ else abs(apart)


def _result(left: _Terms, right: _Term, either: bool) -> tuple[Fraction, str]:
    """What is right, and how it is written in place of what is wrong: empty if that is not clear."""
    total = Fraction(sum(sign * term.seconds for sign, term in left))
    round_ = _round(left)
    if not round_:
        return total, _span(total, right.text)
    totals = [each % _DAY for each in ((total, -total) if either else (total,))]
    if round_ == _HALF_DAY:
        totals += [(each + _HALF_DAY) % _DAY for each in totals]
    nearest = min(totals, key=lambda each: _apart(each - right.seconds, _DAY if right.clock else 0))
    if not right.clock:
        if total > 0:
            nearest = total % _DAY
        return nearest, _span(nearest, right.text) if total > 0 or not either else ""
    named = any(_HALF_NAMED.search(term.text) for _, term in left)
    texts = [term.text for _, term in [*left, (1, right)] if term.clock and term.bare]
    of_24 = any(each[0] == "0" or int(each.split(":")[0]) > 12 for each in texts)
    if _HALF_NAMED.search(right.text):
        return nearest, _clock(nearest, right.text)
    if named and right.seconds < 13 * 3600:
        nearest = (nearest - 3600) % _HALF_DAY + 3600
    elif not of_24:
        if not 3600 <= total < 13 * 3600:
            return (nearest - 3600) % _HALF_DAY + 3600, ""
        nearest = total
    return nearest, _clock(nearest, right.text)


def _clock(seconds: Fraction, like: str) -> str:
    """A time as another is written; empty if that is a word."""
    figures = re.match(
        r"(?P<hour>\d+)(?:(?P<mark>\s?h\s?|[:.])\d\d(?P<seconds>:\d\d)?)?", like, re.IGNORECASE
    )
    if figures is None or seconds.denominator != 1:
        return ""
    rest, second = divmod(int(seconds), 60)
    hour, minute = divmod(rest, 60)
    tail = like[figures.end() :]
    if _HALF_NAMED.search(tail):
        letters = "Pp" if hour >= 12 else "Aa"
        tail = re.sub("[ap]", lambda found: letters[found[0].islower()], tail, count=1, flags=re.IGNORECASE)
        hour = (hour - 1) % 12 + 1
    width = 2 if figures["hour"][0] == "0" and len(figures["hour"]) == 2 else 1
    mark = figures["mark"] or (":" if minute or second else "")
    minutes = f"{mark}{minute:02}" if mark else ""
    return f"{hour:0{width}}{minutes}{f':{second:02}' if second or figures['seconds'] else ''}{tail}"


def _span(seconds: Fraction, like: str) -> str:
    """A duration in the units of another; empty if they do not suit it."""
    pieces = list(re.finditer(rf"(?P<count>{_FIGURE})(?P<space>{_S})(?P<unit>{_UNIT})", like, re.IGNORECASE))
    if not pieces or like[: pieces[0].start()] or seconds <= 0:
        return ""
    said, at = "", 0
    for piece in pieces:
        unit = interpret("1 min" if piece["unit"] == "m" else f"1 {piece['unit']}")[0]
        if unit is None:
            return ""
        count = seconds / unit.amount
        if piece is not pieces[-1]:
            count = Fraction(int(count))
        if not count or (count * 100).denominator != 1:
            return ""
        seconds -= count * unit.amount
        figures = f"{float(count):g}".replace(".", "," if "," in piece["count"] else ".")
        said += like[at : piece.start()] + figures + piece["space"] + _numbered(piece["unit"], count == 1)
        at = piece.end()
    return said + like[at:]


def _numbered(unit: str, one: bool) -> str:
    """The name of a unit, of one or of several."""
    pair = next((pair for pair in _UNITS if unit in pair), (unit, unit))
    if one:
        return pair[0]
    return unit if unit != pair[0] else pair[1]
