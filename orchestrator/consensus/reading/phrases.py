"""A figure with all that its value depends on: its unit, its bounds, the figures that it is one answer with.

"5" of "at least 5", "5 kN", "3 to 5" or "1 in 5" is the figure of many other answers.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.consensus.quantities import is_unit
from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.reading.numerals import Figure, figures
from orchestrator.consensus.reading.words import (
    BOUNDS,
    COMPARED,
    DESIGNATORS,
    IDLE,
    JOINTS,
    NO_NAMES,
    NUMBER_WORDS,
    PRONOUNS,
    SCALES,
    STOPS,
    SUBSTANCE_UNITS,
    TIMES,
    either,
    table,
)

NEAR = 60
"""Characters before a figure in which the words that bound it are looked for."""

GAP = 40
"""Characters that may lie between two figures of one answer."""

MOST_FIGURES = 16
"""Figures that are one answer at most."""

COUNTED = 2
"""Words that name what is counted at most; of more, only a unit among the first of them is understood."""

_TOKEN = lazily(r"[ \u00a0\u202f]?(?P<word>\\?[°µμΩ℃℉%‰€£¥₹][\w°²³·/^-]*|[^\W\d_][^\s,;:!?()$\\*\0]*)")
_LATEX_UNIT = lazily(
    r"(?:\s|~|\\[,;: ]|\$)*(?:\\(?:text|mathrm|textrm|mbox)\s*\{[^{}]{1,40}\}(?:\s*\^\s*(?:\d|\{-?\d\}))?"
    r"|\\%|\^\s*(?:\\circ|\{\s*\\circ\s*\})\s*[CF]?)"
)
_PER = lazily(
    r"\s?(?:/\s?|(?:per|an?|each|every)\s+)(?!few|lot|half|total|quarter)[^\W\d_][\w²³^]*(?:\s+squared"
    r"|\s+cubed)?\b"
)
_COMPARISON = lazily(r"\s?%?\s*(?:[a-z]+\s+)?(?:more|fewer|less|[a-z]{2,}er)\s+than\b", re.IGNORECASE)
_DENIED = lazily(r"not\s", re.IGNORECASE)
_CLOCK = lazily(r"\d{1,2}:\d\d(?::\d\d)?(?:\s?[ap]\.?\s?m\.?)?|\d{1,2}\s?[ap]\.?\s?m\.?", re.IGNORECASE)
_TIME = lazily(rf"{_CLOCK.pattern}|(?:12\s|twelve\s)?(?:noon|midnight)|.*\spast\s.*", re.IGNORECASE)
_ZONE = lazily(
    r"\s?(?:[ap]\.?m\b\.?)?\s?\(?(?:(?:[A-Z][a-z]+\s){1,2}time\b|(?:UTC|GMT|[A-Z]{1,3}[SD]T|CET|CEST"
    r"|MEZ)\b(?:[+-]\d+)?)\)?"
    r"|\s(?:on\s+)?(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b|\s(?:in\s+the\s+(?:morning|afternoon"
    r"|evening)|at\s+night)\b|\s(?:noon|midnight|o['’]clock|hours|h)\b"
)
_NOUN = lazily(r"\s([^\W\d_A-Z][^\W\d_]{2,}|[A-ZÄÖÜ][a-zäöüß]{2,})")
_BARE_NUMBER = lazily(r"\d[\d.,\u00a0\u202f ]*")
_VALUES_OF = lazily(r"(?<![\w\\+*/^=-])(?P<name>[A-Za-z])\s*=\s*$")
_WEEKDAY = lazily(
    r"\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day(?:s|,)?\s+(?:(?:morning|afternoon|evening),?\s+)?"
    r"(?:(?:at|from|between)\s+)?$"
)
_RATE = lazily(r"^([^\s\d]*\d\S*(?:\s(?!(?:in|of)\b)[^\W\d_]+){0,2})\s(?:an?|each|every)\s([^\W\d_]+)$")
_FURTHER = lazily(
    r"\s+(?:or\s+(?:more|fewer|less|older|younger|higher|lower|greater|above|below|over|under|later"
    r"|earlier)\b|squared|cubed|ago|later|earlier|north|south|east|west|BCE?\b"
    r"|AD\b|CE\b|C\b|F\b)"
)
_ODDS = lazily(rf"\s+(?:in|out\s+of)\s+(?:every\s+|an?\s+)?(?:{NUMBER_WORDS})\b", re.IGNORECASE)
_OF_ONE = lazily(r"\s+(?:of\s+)?an?\s+(?P<unit>[^\W\d_]+)\b")
_PART = lazily(r"(?:half|halves|thirds?|quarters?|\w+ths?|\d/\d+|[½⅓⅔¼¾⅕-⅞])$", re.IGNORECASE)
_OF_WHAT = lazily(r"\s+of\s+(?P<what>[^\W\d_][\w₀-₉'’-]*)(?:\s(?P<more>[^\W\d_][\w'’-]*))?(?=[.,;!?)*\s]*$)")
_MEASURED = lazily(r"\s+(?:long|wide|tall|high|deep|thick)\b(?!\s+(?:as|enough)\b)")
_LEADING_NAME = lazily(r"(?:(?<![\w.])[A-Z][\w'’-]*\s+)+$")
_BARE = lazily(r"\d{1,4}")
_SCALE = lazily(rf"\s?-?(?:{either(SCALES)})\b", re.IGNORECASE)
_BOUND = lazily(
    rf"(?:(?:(?<!\w)(?:{either(BOUNDS)})(?!\w)|[<>≤≥≈~≠±]=?|=/=|!=|\\(?:leq?|geq?|neq?|approx|pm"
    rf"|sim)(?![a-zA-Z]))"
    r"[\s$(]*)+$",
    re.IGNORECASE,
)
_SCALE_WORDS = table(SCALES)
_MOMENT_BOUND = lazily(
    r"\b(?:before|after|since|until|till|prior\s+to|later\s+than|earlier\s+than|vor|nach|seit|avant|après"
    r"|depuis|antes\s+de"
    r"|después\s+de|desde|depois\s+de|prima\s+del|dopo\s+il|до|после|(?:spring|summer|autumn"
    r"|winter)(?:\s+of)?)\s+$",
    re.IGNORECASE,
)
_WHOLE = lazily(
    r"^\W*(?:(?:so|thus|hence|therefore),?\s+)?(?:(?:out\s+)?of|among)\s+(?:the\s+|all\s+)?$",
    re.I,
)
_NAMED = lazily(rf"\b(?:{either(DESIGNATORS)})\.?\s+$", re.IGNORECASE)
_LOOSE = lazily(r"^\s*(?:strictly|both|plus)\s+|^\s*\+\s*|[\s$(]+$", re.IGNORECASE)
_JOINT = lazily(
    rf"\s*[,;]?\s*(?:(?:{either(JOINTS)})(?=\s|$)|vs\.|plus\s+or\s+minus\b|\+/-|\\pm"
    r"|[-±–—:/×x*·+^]|to\s+the\s+(?:power(?:\s+of)?|minus))?"
    r"[\s$]*(?:the\s+|a\s+|an\s+)?(?:[A-Za-z]\w?\s*=\s*)?\s*",
    re.IGNORECASE,
)
_SHARE = lazily(
    r"-(?:in|out-of)-|\s*(?:(?:out\s+)?of\s+(?:the\s+|every\s+)?|in\s+(?:every\s+|a\s+)?|for\s+every\s+"
    r"|chances?\s+in\s+)",
    re.IGNORECASE,
)
_PLAIN = lazily(r"[\d.,]+%?")
_YEAR = lazily(r"(?:1\d|20)\d\d")
_VARIABLE = lazily(r"(?<![\\a-zA-Z{])[a-zA-Z](?![a-zA-Z])")
_FEET = lazily(r"(?:ft|feet|foot|['′])\s*$")
_INCHES = lazily(r"[\s.,;)*_]*(?:$|(?:long|tall|wide|high|deep|thick)\b|[x×])")
_TAIL = lazily(
    rf"[\s,*_)\]\"'”’]*(?:(?:(?:{either(IDLE)})\b|(?:is|are)\s+(?:the|my|our)\s+(?:final\s+|correct\s+"
    rf"|right\s+|total\s+)*"
    r"(?:answer|total|result|sum|number|value|amount|cost)\b[^,;]*)[\s,*_)\]\"'”’]*)*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """One figure, or several that are one answer, from ``begin`` to ``end`` of a sentence.

    ``text`` is what it says, and ``share`` whether it is one of whatever follows, as "1 in 4" is.
    """

    begin: int
    end: int
    figures: tuple[Figure, ...]
    text: str
    share: bool = False


def trimmed(answer: str) -> str:
    """An answer without what says nothing about its value: "72 in total" is 72."""
    said = phrases(answer)
    if len(said) != 1 or answer[: said[0].begin].strip(" $*_("):
        return answer
    return answer if after(answer[said[0].end :]).strip(" $") else said[0].text


def uncounted(answer: str) -> str:
    """A number of another language without the noun that it counts, which no other language has: 15 "
    "joueurs."""
    said = phrases(answer)
    if len(said) != 1 or len(said[0].figures) != 1 or said[0].text != answer:
        return answer
    figure = said[0].figures[0]
    noun = _NOUN.fullmatch(answer, figure.end)
    counts = noun is not None and not is_unit(noun[1]) and noun[1].casefold() not in TIMES | _SCALE_WORDS
    return answer[: figure.end] if counts and _BARE_NUMBER.fullmatch(figure.text) else answer


def after(tail: str) -> str:
    """What follows a figure, without that which has no bearing on its value at its beginning."""
    match = _TAIL.match(tail)
    return tail[match.end() if match else 0 :].strip(" \t\n*_()[]\"'”’.,;:!?。")


def phrases(sentence: str) -> list[Phrase]:
    """The figures of a sentence with what belongs to each, in their order."""
    found = figures(sentence)
    said: list[Phrase] = []
    for at, figure in enumerate(found):
        following = found[at + 1].begin if at + 1 < len(found) else len(sentence)
        previous = said[-1] if said else None
        before = previous.end if previous else 0
        end = _end_of_unit(sentence, figure, following, previous)
        begin = figure.begin
        match = _BOUND.search(sentence[max(before, begin - NEAR) : begin])
        if match and (previous is None or sentence[before : begin - len(match[0])].strip()):
            begin -= len(match[0])
        moment = _YEAR.fullmatch(figure.text) or _TIME.fullmatch(figure.text)
        if moment and len(found) == 1 and (match := _MOMENT_BOUND.search(sentence[:begin])):
            begin = match.start()
        if _TIME.fullmatch(figure.text) and (
            match := _WEEKDAY.search(sentence[max(before, begin - NEAR) : begin])
        ):
            begin -= len(match[0])
        if match := _NAMED.search(sentence[max(before, begin - NEAR) : begin]):
            begin -= len(match[0])
        elif begin == figure.begin and end == figure.end and _BARE.fullmatch(figure.text):
            begin -= _name(sentence, before, begin)
        gap = sentence[before:begin]
        denied = previous is not None and _DENIED.match(sentence, begin) is not None
        aside = _COMPARISON.match(sentence, figure.end) is not None
        of_whole = previous is not None and "," in gap and _names_a_whole(sentence, previous)
        if previous and not denied and not aside and not of_whole and _joins(gap, previous, figure):
            joined = (*previous.figures, figure)
            share = _SHARE.fullmatch(gap) is not None
            if share:
                end = figure.end
            text = _written(sentence, previous.begin, end, joined)
            said[-1] = Phrase(previous.begin, end, joined, text, share)
        else:
            said.append(
                Phrase(
                    begin,
                    end,
                    (figure,),
                    _written(sentence, begin, end, (figure,)),
                    _odds(sentence, figure) is not None,
                )
            )
    return said


def _odds(sentence: str, figure: Figure) -> re.Match[str] | None:
    """What makes a number a share in words, as "in a million" does."""
    return _ODDS.match(sentence, figure.end) if figure.kind == "number" else None


def _name(sentence: str, before: int, begin: int) -> int:
    """How many characters before a bare number are a name with it: World War 2, Louis 14, Apollo 11."""
    match = _LEADING_NAME.search(sentence, max(before, begin - NEAR), begin)
    if match is None:
        return 0
    words = match[0].split()
    opens = not sentence[: match.start()].strip(" *_\"'(")
    if opens and len(words) == 1 and sentence[begin:].strip(" .*_").isdigit() is False:
        return 0
    while words and words[0].casefold() in NO_NAMES | STOPS:
        words.pop(0)
    if not words or any(word.casefold() in NO_NAMES for word in words):
        return 0
    return begin - sentence.index(words[0], match.start())


def _names_a_whole(sentence: str, said: Phrase) -> bool:
    """Whether a sentence begins with a number of things of which it then tells: "Of the 12 eggs, 5 broke"."""
    return said.end > said.figures[-1].end and _WHOLE.search(sentence[: said.begin]) is not None


def _joins(gap: str, previous: Phrase, figure: Figure) -> bool:
    """Whether two figures are one: 3 to 5, 1 in 4, 2 hours 30 minutes, 2 or 3."""
    if len(previous.figures) >= MOST_FIGURES or (not gap.strip() and figure.text[:1] in "$€£¥"):
        return False
    if len(gap) > GAP or "=" in gap.replace(" ", "")[:1]:
        return False
    last = previous.figures[-1]
    if _SHARE.fullmatch(gap):
        alone = previous.end == last.end and (_PLAIN.fullmatch(last.text) or last.kind == "words")
        return bool(alone) and not (re.match(r"\s*in\s", gap) and _YEAR.fullmatch(figure.text))
    return bool(_JOINT.fullmatch(gap))


def _written(sentence: str, begin: int, end: int, parts: tuple[Figure, ...]) -> str:
    """The phrase as written; a formula by what it comes to, or all of it where there are several figures."""
    pieces, at = [], begin
    for part in parts:
        pieces += [sentence[at : part.begin], part.full if len(parts) > 1 else part.text]
        at = part.end
    text = _LOOSE.sub("", "".join([*pieces, sentence[at:end]])).strip()
    if (
        len(parts) > 1
        and "=" not in text
        and (named := _VALUES_OF.search(sentence[max(0, begin - 12) : begin]))
    ):
        text = f"{named['name']} = {text}"
    return _RATE.sub(r"\1 per \2", text)


def _end_of_unit(sentence: str, figure: Figure, limit: int, previous: Phrase | None) -> int:
    """Where what a figure counts or measures ends: words of scale, units, and a few other words."""
    end = figure.end
    if figure.kind in ("date", "list", "equations"):
        return end
    if _CLOCK.fullmatch(figure.text):
        zone = _ZONE.match(sentence, end, limit)
        return zone.end() if zone else end
    if odds := _odds(sentence, figure):
        return odds.end()
    if (one := _OF_ONE.match(sentence, end, limit)) and _PART.search(figure.text) and is_unit(one["unit"]):
        return one.end()
    while match := _LATEX_UNIT.match(sentence, end, limit):
        end = match.end()
    if scale := _SCALE.match(sentence, end, limit):
        end = scale.end()
    if figure.kind == "formula" and _VARIABLE.search(figure.text):
        return end
    at, words, known = end, 0, end
    feet = previous is not None and _FEET.search(sentence[: figure.begin]) is not None
    while words <= COUNTED and (match := _TOKEN.match(sentence, at, limit)):
        if _stops(match["word"], sentence[match.end() : match.end() + NEAR], words, feet):
            break
        at, words = match.end(), words + 1
        known = at if is_unit(match["word"]) else known
    end = at if words <= COUNTED else known
    if known == end and words:
        end = _of_what(sentence, figure.end, end, limit)
    if (words or figure.text[0] in "$€£¥" or sentence[end : end + 5] == " per ") and (
        per := _PER.match(sentence, end, limit)
    ):
        end = per.end()
    further = _FURTHER.match(sentence, end, limit)
    return further.end() if further else end


def _of_what(sentence: str, begin: int, end: int, limit: int) -> int:
    """Where a unit ends with what it is measured of or along: "2 mol of H2O", "5 m long"."""
    unit = sentence[begin:end].strip(" $\\-").casefold()
    if along := _MEASURED.match(sentence, end, limit):
        return along.end()
    match = _OF_WHAT.match(sentence, end, limit) if unit in SUBSTANCE_UNITS else None
    if match is None or any(
        word and word.casefold() in STOPS | PRONOUNS for word in (match["what"], match["more"])
    ):
        return end
    return match.end()


def _stops(word: str, following: str, words: int, feet: bool) -> bool:
    """Whether a word after a number is no longer what it counts, nor the unit of that spelling."""
    if word == "in" and not words:
        return not (feet or _INCHES.match(following))
    if word == "US":
        return False
    if word in ("A", "I"):
        return re.match(r"\s+[a-z]", following) is not None
    plain = word.casefold().strip("-'’/.")
    if plain == "total":
        return re.match(r"\s+[a-z]", following) is None
    if plain in COMPARED:
        return words > 0 or re.match(r"\s+than\b", following) is not None
    unit = len(word) == 1 and not words and word in "lhsgmt"
    return not unit and (plain in STOPS or plain.endswith(("n't", "n’t")) or (len(word) == 1 and words > 0))
