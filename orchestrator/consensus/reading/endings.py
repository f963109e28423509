"""What a text without any mark comes to: its only line, its last sentence, or all of it."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.reading import forms
from orchestrator.consensus.reading.clauses import affirmed
from orchestrator.consensus.reading.collectives import counted_out
from orchestrator.consensus.reading.conclusions import conclusion
from orchestrator.consensus.reading.languages import LANGUAGES
from orchestrator.consensus.reading.numerals import display, formula_spans, is_figure, right_side
from orchestrator.consensus.reading.predicates import (
    QUOTED,
    WORDS_OF_A_VALUE,
    code,
    expression,
    labelled,
    predicate,
    substance,
)
from orchestrator.consensus.reading.sentences import masked, sentences, without_citations
from orchestrator.consensus.reading.words import COPULAS, JOINING, YIELDING, either

How = Literal["boxed", "json", "marker", "choice", "number", "whole", "code"]

LONGEST_WHOLE = 160
"""Length in characters up to which a text without any marker is itself taken as the answer."""

TAIL = 4_000
"""Length in characters of the end of a text in which a conclusion without any mark is looked for."""

WORDS_OF_A_SENTENCE = 3
"""Number of words from which a claim is a sentence, even if a part looks like mathematics ("in 10 s")."""


MARKDOWN = lazily(r"(?<![\w)\]])(?:\*\*|__)|(?:\*\*|__)(?![\w(])|`")
_WHOLE_LINE = lazily(
    r"\s*(?:\*\*|__)(?P<bold>[^*_\n]{1,160}?)[.:]?(?:\*\*|__)[.\s]*|\s*[(\[](?P<label>[A-H])[)\]][.\s]*"
)
YES_NO = lazily(r"\W*(yes\b|no\b(?!\.\s*\d))(?:\s*(?:$|[.,;:!—–])|\s+-\s)", re.IGNORECASE)
YES_NO_WORDS = {word: "yes" for each in LANGUAGES for word in each.yes.split()} | {
    word: "no" for each in LANGUAGES for word in each.no.split()
}
WORD_OF_YES_NO = lazily(r"\W*([^\W\d_]+)(?!\.\s*\d)(?:\s*[.,;:!—–]|\s+-\s)")
_HENCE_YES_NO = lazily(
    r"(?:^|[\s,;])(?:so|hence|thus|therefore|is),?\s+[*_]*(?P<what>yes|no)[*_]*\s*(?:[,.;:!—–]|$)",
    re.IGNORECASE,
)
_ASIDE = lazily(
    r"\W*(?<!\\)\(|\W*(?:that|this)\s+is\s+[^.!?]{1,30}\s(?:more|less|fewer|\w+er)\s+than\b", re.IGNORECASE
)
_DENIES = lazily(
    r"\b(?:does|do|did|is|are|was|were|has|have|had|can|could|will)\s+(?:not|no|never)\b|\b(?:none|neither"
    r"|no\s+\w+\s+\w+)\b"
    r"|\b(?:do|does|did|is|are|was|were)n['’]t\b|\b(?:is|are|was|were)\s+(?:\w+\s+)?\w+er\s+than\b",
    re.IGNORECASE,
)
_WORD = lazily(r"(?<![\\\w])[^\W\d_]{2,}")
FIGURE = lazily(r"\d")
_RELATION = lazily(r"[<>≤≥≠=]|!=|\\(?:leq?|geq?|neq?|in)(?![a-zA-Z])|,")
_MULTIPLE = lazily(r"\W*(?:twice|thrice|half|\w+\s+times)\s+as\s+\w+\s*:", re.IGNORECASE)
_EQUALITY = lazily(r"^`[^`]*[=!]=[^`]*`[.\s]*$")
_CALL = lazily(r"[`$]*\\?[a-zA-Z]{2,12}\s?\([^()=]{1,60}\)[`$.]*")
_CONGRUENT = lazily(r"\d\s*(?:\(\s*mod\s+\d{1,9}\s*\)|\\pmod\s*\{?\s*\d{1,9}\}?)[\s$.]*$")
_ITEMS = lazily(r"^[ \t]*(?:[-*+•]|\d{1,2}[.)]|\([a-h\d]\)|[a-h]\))[ \t]+([^\n]+)$", re.MULTILINE)
_STEP = lazily(r"\b(?:so|thus|hence|therefore)\b", re.IGNORECASE)
_STARTS = lazily(
    r"^\W*(?:so|thus|hence|therefore|in conclusion|consequently|as a result)\b,?\s*", re.IGNORECASE
)
_IT_IS = lazily(r"(?:it|this|that)\s+(?:is|was|equals)\s+(?P<what>[^,;:\n]{1,120})$", re.IGNORECASE)
_LITERAL = lazily(
    r"(?:\w+\s){0,8}?(?:is|are|was|were|equals|be|=)\s+(?:the\s+(?:number|variable|letter)\s+)?[*_`$]*"
    r"(?P<what>[b-hj-zB-HJ-Z]|i|[A-Za-z]+-?\d\w*|[A-Z][a-z]?_\w+|[A-Za-z]+_\{?\w+\}?[\w{}]*|[πe∞φ]"
    r"|[A-Za-zΘΩ]+\([^()]{1,40}\)|[A-Z]{2,8})[*_`$]*"
)
_CHOSEN = lazily(
    r"\W*(?:(?i:so|thus|hence|therefore|clearly),?\s+)?(?:(?i:option|choice"
    r"|answer)\s+)?\(?(?P<label>[A-H])\)?\s+is\s+"
    r"(?:therefore\s+|thus\s+)?(?:the\s+)?(?:correct|right|best)(?:\s+(?:answer|option|choice|one))?\W*"
)
_BOLD = lazily(r"(?<![\w*])\*\*(?=[^\s*])(?P<what>[^*\n]{1,80})(?<=\S)\*\*")
_SAID_BEFORE = lazily(
    r"\W*(?:(?:so|thus|hence|therefore|then),?\s+)?(?:in|after|before|of|among|from|on|at|within|by|with)\s"
    rf"[^,;:]*\d[^,;:]*,\s+[^\d,;:]*\b(?:{either(COPULAS + YIELDING)})\s+"
    rf"(?:(?:{either(JOINING)}|in|on|at|by|an?|the)\s+)*",
    re.IGNORECASE,
)
_DAY = lazily(
    r"(?:^\W*|,\s*|\b(?:so|thus|hence|therefore|then),?\s+|\bin\s+\d+\s+\w+\s+|\b(?:after|from)\s+\w+\s+)"
    r"(?:it|that|this|(?:the|that)\s+(?:day|date|month))\s+(?:(?!until|till|before|when|not\b|never\b|may\b"
    r"|might\b|could\b|\w+n['’]t\b)[\w'’]+\s+){0,8}?(?:is|was|be|falls\s+on)"
    r"\s+(?:on\s+)?(?:an?\s+)?(?P<what>(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march"
    r"|april"
    r"|may|june|july|august|september|october|november|december)[.\s]*$",
    re.IGNORECASE,
)
_EXCLAIMED = lazily(r"factorial|permut|arrang|\d!\s*[=×*/)+-]", re.IGNORECASE)


def unmarked(body: str) -> Iterator[tuple[How, str]]:
    """What a text without any mark comes to."""
    short = len(body) <= LONGEST_WHOLE
    if short and "\n" not in body:
        body = counted_out(affirmed(body))
        if (rest := labelled(MARKDOWN.sub("", body))) is not None and len(rest.split()) <= WORDS_OF_A_VALUE:
            if QUOTED.fullmatch(rest.rstrip(".")) and "`" in body:
                yield "marker", f"`{rest}`"
                return
            yield "marker", conclusion(rest) or predicate(rest) or rest
            return
    if chosen := _CHOSEN.fullmatch(body):
        yield "choice", chosen["label"]
    elif short and (YES_NO.match(body) or _begins_with_yes_no(body)):
        yield "whole", body
    elif (line := _WHOLE_LINE.fullmatch(body.rpartition("\n")[2])) and ("\n" in body or line["label"]):
        yield "choice" if line["label"] else "marker", line["label"] or line["bold"]
    elif (short and _EQUALITY.search(body)) or (short and _MULTIPLE.match(body)):
        yield "whole", body
    elif short and (_CALL.fullmatch(body) or _CONGRUENT.search(body)):
        yield "whole", body.rpartition("≡")[2].strip()
    elif _terse(body):
        spans = formula_spans(body)
        if len(spans) == 1 and spans[0][:2] == (0, len(body)):
            body = display(spans[0][2])[1]
        side = right_side(body.removeprefix("="))
        yield "whole", side if _RELATION.search(body) else conclusion(side) or side
    elif short and _lists(body):
        yield "whole", body
    elif (found := of_last_sentence(body)) is not None:
        yield found
    elif short:
        yield "whole", body


def _begins_with_yes_no(body: str) -> bool:
    """Whether a text in any of the languages begins with that word: "Nein, …"."""
    word = WORD_OF_YES_NO.match(body)
    return word is not None and word[1].casefold() in YES_NO_WORDS


def _lists(body: str) -> bool:
    """Whether the text ends with a list of values, not of steps of a computation."""
    items = _ITEMS.findall(body)
    return (
        len(items) > 1
        and body.endswith(items[-1])
        and not any("=" in item or item.endswith(".") for item in items)
    )


def _terse(body: str) -> bool:
    """Whether the text is an answer, not a sentence, like "10:30 am", "x > 5" or "5 km"; no bare numbers."""
    return (
        len(body) <= LONGEST_WHOLE
        and "\n" not in body
        and not _WORD.match(body)
        and len(_WORD.findall(body)) < WORDS_OF_A_SENTENCE
        and not _STEP.search(body)
        and not is_figure(body.rstrip("."))
    )


def of_last_sentence(body: str) -> tuple[How, str] | None:
    """What the last sentence with a figure comes to, or the last one that draws a conclusion without any."""
    cut = len(body) - TAIL
    tail = body if cut <= 0 else body[body.find("\n", cut) + 1 or cut :]
    text = masked(tail)
    shown = text
    for begin, end, _ in formula_spans(text):
        shown = f"{shown[:begin]}{'x' * (end - begin)}{shown[end:]}"
    spans = [line for begin, end in sentences(shown) for line in _lines(shown, begin, end)]
    for place, (begin, end) in enumerate(reversed(spans)):
        raw = text[begin:end]
        sentence = without_citations(MARKDOWN.sub("", raw))
        if place == 0 and len(spans) > 1 and _ASIDE.match(sentence):
            continue
        if place == 0 and (yes_no := _HENCE_YES_NO.search(sentence)):
            return "whole", yes_no["what"]
        if place == 0 and (found := code(raw)) is not None:
            return "number", found
        if place == 0 and (rest := labelled(sentence)) is not None:
            found = conclusion(rest) or predicate(rest)
            if (label := forms.label(rest)) is not None:
                return "choice", label
            if found is None and len(rest.split()) <= WORDS_OF_A_VALUE:
                found = rest
            if found is not None:
                return "number", found
        if place == 0 and (chosen := _CHOSEN.fullmatch(sentence)):
            return "choice", chosen["label"]
        if place == 0 and (found := expression(sentence) or substance(sentence)) is not None:
            return "number", found
        if place == 0 and (found := _emphasised(raw) or _day(sentence)) is not None:
            return "number", found
        if (last := place == 0) or FIGURE.search(sentence) or "\\" in sentence:
            if text[end : end + 1] == "!" and _EXCLAIMED.search(body):
                sentence += "!"
            if last and not FIGURE.search(sentence) and (found := predicate(sentence)) is not None:
                return "number", found
            found = conclusion(sentence)
            if found is not None:
                return "number", found
            if last and FIGURE.search(sentence) and (found := predicate(sentence)) is not None:
                return "number", found
            if len(sentence) <= LONGEST_WHOLE and (found := _literal(sentence, last and len(spans) == 1)):
                return "whole", found
            if last and len(spans) > 1 and _DENIES.search(sentence) and len(sentence) <= LONGEST_WHOLE:
                return "whole", _STARTS.sub("", sentence)
            if last and len(spans) > 1 and (so := _STARTS.match(sentence)) and len(sentence) <= LONGEST_WHOLE:
                return "whole", sentence[so.end() :]
    return None


def _lines(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    at = begin
    for line in text[begin:end].split("\n"):
        if line.strip():
            yield at, at + len(line)
        at += len(line) + 1


def _emphasised(raw: str) -> str | None:
    """The one name in bold that a sentence ends with after circumstances: "In 3 hours, it is in **Rome**."

    None if it has a figure, which is read with all that its value depends on, or if a figure is spoken of.
    """
    found = list(_BOLD.finditer(raw))
    if len(found) != 1 or raw[found[0].end() :].strip(" .\n") or FIGURE.search(found[0]["what"]):
        return None
    what = found[0]["what"].rstrip(".")
    return what if what[:1].isupper() and _SAID_BEFORE.fullmatch(raw[: found[0].start()]) else None


def _day(sentence: str) -> str | None:
    """The day of the week, or month, that a sentence with figures ends with: "In 10 days it is Saturday"."""
    day = _DAY.search(sentence)
    return day["what"] if day and FIGURE.search(sentence) else None


def _literal(sentence: str, alone: bool) -> str | None:
    """The symbol that a sentence without figures ends with, as "The root is i"; of one alone, what it is."""
    bare = _STARTS.sub("", sentence).strip().rstrip(".")
    if literal := _LITERAL.fullmatch(bare):
        return literal["what"]
    if alone and not FIGURE.search(bare) and (it := _IT_IS.fullmatch(bare)):
        return it["what"]
    return None
