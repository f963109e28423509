"""Where sentences end, and which figures of a text only number, cite or refer.

Whatever is found here keeps its place: what is masked is replaced by as many spaces.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.reading.languages import LANGUAGES
from orchestrator.consensus.reading.words import table

Span = tuple[int, int]

ABBREVIATIONS = table(
    """
    mr mrs ms mx dr prof st ft mt gen col lt sgt capt cmdr adm maj cpl pvt gov sen rep pres hon rev fr sr
    jr messrs
    mme mlle hr fru frau sig dott ing lic dipl sra srta
    vs e.g eg i.e ie etc approx ca cf al resp incl excl est viz bzw z.b d.h u.a usw p.ex ej vgl bspw т.е
    т.д напр
    inc ltd co corp bros llc plc dept univ assn ave blvd rd hwy mio mrd tsd млн млрд тыс
    """
)
"""What a full stop follows without ending a sentence, in lower case and without that stop."""

BEFORE_A_FIGURE = table(
    """
    no nos nr num fig figs eq eqs sec ch chap vol vols p pp pg art ex sect ed c v min max avg ca approx
    jan feb mar apr jun jul aug sep sept oct nov dec
    """
)
"""The same for those that are words of their own, unless a figure follows."""

STARTERS = table(
    """
    a an all also although and as because both but each every finally for hence he here his however i if
    in it its
    let my neither no not note now on one only option our since she so some that the their then there
    therefore
    these they this those thus to we what when which while with yes you
    """
)
"""Words that begin a sentence, where they are capitalised after a stop, rather than go on with a name."""

MONTHS = frozenset(month for each in LANGUAGES for month in each.months.split())
"""The names of months in every language that writes a stop after the day: 4. Juli."""

_END = lazily(r"[.!?…]+[\"'”’)\]*_]*(?=\s|$)|[。！？]+[」』）]*|\n\s*\n|\n(?=\s*(?:[-*+•]|\d+[.)]|#|>)\s)")
_FACTORIAL = lazily(r"[\w)]!+(?:\.|\s+(?=[-+*/=<>≤≥×·^]|[a-z]|\d))")
_SMALL = lazily(r"(?:^|[^\w.,])(?:1?\d|20|[a-z])$")
"""What is a factorial, not exclaimed, at the end of a text: 42! is hardly meant where 42 is right."""

_LAST_WORD = lazily(r"(?:^|(?<=[\s(\[\"'“*]))[^\s(\[\"'“*]+$")
_MASKED = lazily(
    r"^[ \t]*(?:>[ \t]*)*(?:[-*+•–][ \t]+)?(?:\*\*|__)?(?:\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,4})[.)](?=\s|\*)"
    r"|\d{1,2}\\?[.)](?=[ \t])|[-*+•–](?=[ \t]))"
    r"|(?<=\n)>[ \t]+(?=\S)|^[ \t]*#{1,6}(?=[ \t])[ \t]*(?:\d+(?:\.\d+)*[.):]?(?=[ \t]))?"
    r"|^[ \t]*(?:`{3,}|~{3,})[^\n]*$|^[ \t]*(?:-{3,}|\*{3,}|_{3,}|={3,})[ \t]*$"
    r"|^[ \t]*(?:\*\*|__)?(?:step|case|part|schritt|étape|paso|passo|шаг|etapa)\s+\d+(?:[:.)]|\s*[-–—](?=\s))"
    r"|\[\d{1,3}(?:\s?[,–-]\s?\d{1,3})*\]\([^)\s]{1,200}\)",
    re.MULTILINE | re.IGNORECASE,
)
_NOTES = lazily(
    r"(?:^|\n)[ \t]*(?:\[\^?\w{1,3}\]:?|[¹²³⁴-⁹]+)[ \t]+[^\n]*|\[\^\w{1,8}\]|【[^】\n]{0,40}】"
    r"|(?<=[.!?。])\s?(?:\[\d{1,3}(?:\s?[,–-]\s?\d{1,3})*\])+(?=\s|$)|(?<=[.!?])[¹²³⁴-⁹]+(?=\s|$)"
    r"|\n[ \t]*(?:sources?|references?|quellen?|note)\s?:[^\n]*(?=\s*$)",
    re.IGNORECASE,
)
_REFERENCE = lazily(
    r"\b(?:step|figure|fig\.?|table|equation|eqs?\.?|section|chapter|page|line|part|case|theorem|lemma"
    r"|example"
    r"|question|problem|exercise|question no\.|option)s?\s+(?:\(\d{1,3}\)|\d{1,3}(?:\.\d+)*)(?!\w|[.,–-]\d)"
    r"(?!\s*(?:%|=|[-–+*/]\s*\d)|\s+(?:through|thru|to)\s+\d)",
    re.IGNORECASE,
)
_CITATION = lazily(r"(?<=[\w%)])\s?\[\d{1,3}(?:\s?[,–-]\s?\d{1,3})*\](?=[.,;!?]?\s*$|[.,;]\s)")
_MEASURE = lazily(r"\d\s?[^\W\d_]{1,3}[²³]?$")
_AFTER_STOP = lazily(r"[\s*_(]*((?:\w{1,12}|\S)?)")
_PIECES = lazily(r"\n+|(?<=[.!?。])\s+")


def masked(text: str) -> str:
    """The text with its list markers, headings' numbers, fences and references replaced by spaces."""
    text = _MASKED.sub(_blank, text)
    return _REFERENCE.sub(_blank, text)


def without_notes(text: str) -> str:
    """The text without its footnotes and the marks that refer to them."""
    return _NOTES.sub("", text).strip() or text


def without_citations(sentence: str) -> str:
    """A sentence with the citations after its words replaced by spaces, if another figure is left."""
    bare = _CITATION.sub(_blank, sentence)
    return bare if any(char.isdigit() for char in bare) else sentence


def _blank(match: re.Match[str]) -> str:
    return "".join(char if char == "\n" else " " for char in match[0])


def pieces(text: str) -> list[str]:
    """The lines of a text, and what stands in them up to a full stop: quick, and blind to abbreviations."""
    return [piece for piece in _PIECES.split(text) if piece.strip()]


def sentence_ends(text: str) -> Iterator[Span]:
    """Where the marks that end a sentence begin and end; so do an empty line and one before a list."""
    for match in _END.finditer(text):
        begin, end = match.span()
        if match[0][0] == "!" and (
            _FACTORIAL.match(text, max(0, begin - 1))
            or (_SMALL.search(text[max(0, begin - 4) : begin]) and not text[end:].strip())
        ):
            begin += len(match[0]) - len(match[0].lstrip("!"))
            if begin == end:
                continue
        if match[0][0] != "." or match[0][1:2] == "." or _ends(text, match):
            yield begin, end


def _ends(text: str, stop: re.Match[str]) -> bool:
    """Whether a full stop ends a sentence: not after an initial, a title or an abbreviation that goes on."""
    following = _AFTER_STOP.match(text, stop.end())
    after = following[1] if following else ""
    if not after:
        return True
    before = _LAST_WORD.search(text[max(0, stop.start() - 20) : stop.start()].rstrip("*_\"'”’)]`"))
    word = before[0].casefold() if before else ""
    if after[0].islower() or not word or (word.isdigit() and after.casefold() in MONTHS):
        return False
    if _MEASURE.search(text[max(0, stop.start() - 12) : stop.start()]):
        return True
    initials = word.isascii() and word[0].isalpha() and not word[1::2].strip(".") and (len(word) % 2 == 1)
    if word in ABBREVIATIONS or (initials and not (len(word) == 1 and before and before[0].islower())):
        return after.casefold() in STARTERS
    return not (word in BEFORE_A_FIGURE and after[0].isdigit())


def first_sentence(text: str) -> str:
    """What comes before the first end of a sentence."""
    for begin, _ in sentence_ends(text):
        if begin:
            return text[:begin]
    return text


def sentences(text: str) -> list[Span]:
    """The spans of the sentences of ``text``, without the marks that end them."""
    spans, at = [], 0
    for begin, end in [*sentence_ends(text), (len(text), len(text))]:
        if text[at:begin].strip():
            spans.append((at, begin))
        at = end
    return spans
