"""What a short answer or a sentence states, and whether that is the right answer and no other.

This is the part of the rule of :mod:`benchmarks.grading` that reads sentences: what a text states (rule 1),
what means the same (rule 2), and what a sentence affirms (rule 3). Words are those of the languages of the
questions.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from benchmarks.everyday import Question
from orchestrator.consensus.extraction import extract_claim
from orchestrator.consensus.forms import compare, contradicts, read_form
from orchestrator.consensus.reading.counting import number_words
from orchestrator.consensus.reading.endings import YES_NO_WORDS
from orchestrator.consensus.reading.forms import boxed
from orchestrator.consensus.reading.languages import ENGLISH, language_of

SENTENCE = 60
"""Words that a sentence, or several, may have to be read as one answer."""

OPPOSITES = """
larger bigger greater higher more heavier | smaller less lower fewer lighter
largest biggest greatest highest most heaviest | smallest least lowest fewest lightest
longer taller | shorter
longest tallest | shortest
older first earlier | younger last later
oldest earliest | youngest latest
faster quicker | slower
warmer hotter | colder cooler
cheaper | dearer costlier
closer nearer | farther further
größer mehr schwerer | kleiner weniger leichter
mayor más | menor menos
plus | moins
"""
_CONTRARY: dict[str, frozenset[str]] = {}
for _line in OPPOSITES.strip().splitlines():
    _one, _two = (frozenset(side.split()) for side in _line.split("|"))
    for _word in _one | _two:
        _CONTRARY[_word] = _CONTRARY.get(_word, frozenset()) | (_two if _word in _one else _one)

_DENIALS = (
    r"(?:\b(?:not|never|nicht|kein\w*|pas|no\s+es|non\s+è)\b"
    r"|\b(?:is|are|was|were|does|do|did|ca|ha[sd]|wo)n['’]t\b)"
)
_END = r"(?:(?!\b(?:but|sondern|mais|sino|ma)\b)(?:[^,;:!?.\n]|[.,](?=\d)))*"
"""The rest of a clause, up to "but"."""
_COMPARED = re.compile(
    r"(?:\b(?:than|instead\s+of|rather\s+than|unlike|compared\s+(?:to|with)|statt|als|plutôt\s+que)\b"
    rf"|\b(?:mayor|menor|mejor|peor)\s+que\b|\b(?:plus|moins|más|menos|più|meno)\s+\w+\s+(?:que|di|de)\b){_END}",
    re.IGNORECASE,
)
DENIED = re.compile(rf"{_DENIALS}{_END}", re.IGNORECASE)
_DENIES = re.compile(rf"[^,;:.\n]*?{_DENIALS}", re.IGNORECASE)
_ASKS_FOR_DENIED = re.compile(rf"{_DENIALS}|\bno\b|\bnon\b", re.IGNORECASE)
_LAST_SENTENCE = re.compile(r"(?:[^.?!]|[.?!](?!\s|$))*\W*$")
_CLAUSE = re.compile(
    r"[;\n]|[.!?](?=\s|$)|,?\s+\b(?:but|while|whereas|sondern|mais|sino|ma)\b", re.IGNORECASE
)
_ASIDE = re.compile(
    r"\([^()]*\)|:\s[^;\n]*?(?=[.;\n](?!\d)|$)"
    r"|\b(?:because|since|weil|denn|da|car|parce\s+que|porque|perché)\b.*?(?=[.;\n](?!\d)|$)",
    re.IGNORECASE,
)
UNSURE = re.compile(
    r"\b(?:or|either|maybe|perhaps|possibly|might|could\s+be|oder|vielleicht|ou|peut-être|quizás?|tal\s+vez|o|forse)\b",
    re.I,
)
_ALSO = re.compile(r"\b(?:and|und|et|y|e)\b|[/&]", re.IGNORECASE)
_OPERAND = r"\(*+[-−]?[$€£]?(?:\d++(?:[.,]\d++)*+(?:\s?[%€]|[a-z](?![a-z]))?|[a-z](?![a-z]))\)*+"
LEFT_SIDE = re.compile(
    rf"(?<![\w.,$€£(−-])(?:{_OPERAND}(?:(?:\s*+(?:[-+*/^×÷·−]|\\times|\\div)\s*+|(?<=\))(?=\()){_OPERAND})*+"
    r"|[a-z]\([a-z]\))\s*+=\s*+(?=\S)"
)
_MARKED = re.compile(
    r"(?:\b(?:answer|antwort|réponse|respuesta|risposta)\b(?:\s+(?:is|lautet|ist|est|es|è))?\s*:"
    r"|\bthe\s+(?:\w+\s+)?answer\s+is\b|\bdie\s+antwort\s+(?:ist|lautet)\b|\bla\s+réponse\s+est\b"
    r"|\bla\s+respuesta\s+es\b|\bla\s+risposta\s+è\b|^####)\s*(?P<said>\S.*)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_MARKS = re.compile(r"\*\*|__|`|\$(?!\d)|\\[()\[\]]|(?<!\w)[*_]|[*_](?!\w)")
_BOX = re.compile(r"\\boxed\{([^{}]*)\}")
_FRACTION = re.compile(r"\\[dt]?frac\{(\w+)\}\{(\w+)\}")
_QUOTED = re.compile(r"(?<!\w)'([^'\n]+)'(?!\w)")
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]*)\}")
_TOKEN = re.compile(r"[^\s,;:!?()\"“”«»]+(?:,(?=\d)[^\s,;:!?()\"“”«»]+)*(?::\d\d)?")
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,.  ]*\d(?:\s*/\s*\d+)?|(?<![\w.])-?\d(?:\s*/\s*\d+)?")
_MONTHS = r"(?:jan|feb|mar|apr|ma[iy]|jun|jul|aug|sep|oct|okt|nov|de[cz])\w*"
_DAY = re.compile(
    rf"\b(?:\d{{1,2}}(?:st|nd|rd|th|\.)?\s+(?:of\s+)?)?{_MONTHS}(?:\s+\d{{1,2}}(?:st|nd|rd|th)?\b)?",
    re.IGNORECASE,
)
_YEAR = re.compile(r"[12]\d{3}")
_ARTICLE = re.compile(
    r"^(?:the|an?|der|die|das|ein|eine|le|la|les|un|une|el|los|las|una|il|lo|i|gli)\s+", re.I
)
_STARTERS = (
    "the a an it its this that these those in on at by of for to from he she they we you i there here so "
    "therefore thus hence answer yes no my his her their our if since because as and but with after "
    "before der die das ein eine es er sie ich wir im am in also le la les l il elle un une c'est el los "
    "las una lo sí ja nein oui non both all each one total what which who how when where while is are "
    "let's first then given"
)
STARTERS = frozenset(_STARTERS.split())
"""Words that begin sentences, and are no names for all their capital letters."""


def stated(text: str) -> str:
    """What stands in the last box, in JSON or after the last marker, else all of the text, bare."""
    if (box := boxed(text)) is not None:
        return plain(box)
    claim = extract_claim(text)
    if claim is not None and claim.how == "json":
        return plain(claim.text)
    text = plain(text)
    while marked := _MARKED.search(text):
        text = marked["said"].strip()
    return text


def plain(text: str) -> str:
    """A text without Markdown, the commands of LaTeX that only set it, and single quotes around words."""
    text = _FRACTION.sub(r"\1/\2", _TEXT.sub(r"\1", _BOX.sub(r"\1", text)))
    return _QUOTED.sub(r"\1", _MARKS.sub("", text).replace("’", "'")).strip()


_form = lru_cache(50_000)(read_form)


def same(one: str, other: str) -> bool:
    """Whether two short answers mean the same to a vote, an article in front left out of account."""
    if _alike(one, other):
        return True
    bare = _ARTICLE.sub("", one), _ARTICLE.sub("", other)
    return bare != (one, other) and all(bare) and _alike(*bare)


@lru_cache(50_000)
def _alike(one: str, other: str) -> bool:
    """What :class:`~orchestrator.consensus.equivalence.Clusters` would say, of readings that are kept."""
    a, b = _form(one), _form(other)
    outcome = compare(a, b)
    return outcome is not None and outcome[1] and not (outcome[0] == "numeric" and contradicts(a, b))


def means(question: Question, text: str, accepted: Sequence[str]) -> bool:
    """Whether a text as a whole means the same as an accepted wording, within the tolerance of numbers."""
    bare = text.strip().rstrip(".")
    wordings = {text, bare}
    if language_of(question.question) is not ENGLISH:  # there, 3.600 is a number of four digits
        wordings.add(re.sub(r"(?<=\d)\.(?=\d{3}\b)", "", bare))
    if any(same(each, wording) for each in accepted for wording in wordings):
        return True
    if question.tolerance and (number := NUMBER.search(text)) and (right := NUMBER.search(accepted[0])):
        said, gold = _value(number[0]), _value(right[0])
        if said is not None and gold is not None and abs(said - gold) <= question.tolerance + 1e-9:
            return same(accepted[0], text.replace(number[0], right[0], 1))
    return False


def states(question: Question, sentence: str, accepted: Sequence[str]) -> bool:
    """Whether a sentence states an accepted answer and no other (rule 3 of the module)."""
    if len(sentence.split()) > SENTENCE:
        return False
    text = LEFT_SIDE.sub(" ", sentence)
    if means(question, text, accepted):
        return True
    text = _turned(question, text.replace(">", " is larger than ").replace("<", " is smaller than "))
    kept = _affirmed(question, text, accepted)
    spans = list(windows(question, kept, accepted))
    if not spans or _of_words_alone(question, kept) or any(_beside(kept, span) for span in spans):
        return False
    rest = without(kept, spans)
    if UNSURE.search(rest) or set(words_of(text)) & _contrary(question):
        return False
    if question.others and any(windows(question, rest, question.others)):
        return False
    rest = _ASIDE.sub(" ", rest)
    return not other_numbers(question, rest, accepted) and not _other_names(question, rest, accepted)


def _contrary(question: Question) -> set[str]:
    """Words for the opposite of what the question asks for."""
    asked = set(words_of(question.question))
    return {word for each in asked & _CONTRARY.keys() for word in _CONTRARY[each]} - asked


def _turned(question: Question, text: str) -> str:
    """The end of "3/5 is smaller than 5/8" where the larger one is asked for."""
    words = "|".join(_contrary(question))
    found = (
        re.match(rf"([^,;:.\n]|[.,](?=\d))*\b(?:{words})\b(?:\s+\w+)?\s+than\s+", text, re.I)
        if words
        else None
    )
    return text[found.end() :] if found and not re.search(_DENIALS, found[0], re.I) else text


def _affirmed(question: Question, text: str, accepted: Sequence[str]) -> str:
    """What a text affirms: without what it compares with, and without what it denies.

    A denial takes the rest of its clause with it, or all of it if what it denies comes first. Where the
    question asks which is not so, denials stay.
    """
    text = _COMPARED.sub(" , ", text)
    if _ASKS_FOR_DENIED.search(_LAST_SENTENCE.findall(question.question)[0]):
        return text
    kept = []
    for clause in _CLAUSE.split(text):
        affirmed = DENIED.sub(" , ", clause)
        spans = list(windows(question, affirmed, accepted))
        if affirmed == clause or (spans and not any(_DENIES.match(clause, end) for _, end in spans)):
            kept.append(affirmed)
    return " ; ".join(kept)


def _of_words_alone(question: Question, text: str) -> bool:
    """Whether a text is just several words between commas, which is no sentence."""
    known = {*YES_NO_WORDS, *STARTERS, *words_of(question.question)}
    pieces = [piece for each in re.split(r",\s+|[;\n]", text) if (piece := words_of(each))]
    pieces = [piece for piece in pieces if not known.issuperset(piece)]
    return len(pieces) > 1 and all(len(piece) <= 2 for piece in pieces)


def windows(question: Question, text: str, accepted: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where some words of a text mean the same as an accepted wording: the longest first, none in another.

    Words that go on with another unit ("80" of "80 m/s") are not taken.
    """
    tokens = list(_TOKEN.finditer(text))
    widest = max(len(each.split()) for each in accepted) + 3
    taken: list[tuple[int, int]] = []
    for width in range(min(widest, len(tokens)), 0, -1):
        for first in range(len(tokens) - width + 1):
            begin, end = tokens[first].start(), tokens[first + width - 1].end()
            words = text[begin:end].rstrip(".'")
            if any(begin < b and a < end for a, b in taken) or not words:
                continue
            if means(question, words, accepted) and not _goes_on(tokens, first, width, text, accepted):
                taken.append((begin, begin + len(words)))
                yield begin, begin + len(words)


def _goes_on(
    tokens: Sequence[re.Match[str]], first: int, width: int, text: str, accepted: Sequence[str]
) -> bool:
    """Whether a number is that of a quantity with a unit that contradicts the answer's."""
    gold = _form(accepted[0])
    begin = tokens[first].start()
    if gold.quantity is None:
        return False
    for last in tokens[first + width : first + width + 3]:
        longer = text[begin : last.end()].rstrip(".'")
        if "," in longer or ";" in longer:
            break
        form = _form(longer)
        if form.quantity is not None and form.quantity.unit and contradicts(form, gold):
            return True
    return False


def without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    for begin, end in sorted(spans, reverse=True):
        text = f"{text[:begin]} , {text[end:]}"
    return text


def _beside(text: str, span: tuple[int, int]) -> bool:
    """Whether "and" or a slash joins the answer to something else."""
    begin, end = span
    before = re.search(r"(\S+)\s*$", text[:begin])
    after = re.match(r"\s*(\S+)", text[end:])
    return any(each is not None and _ALSO.fullmatch(each[1]) is not None for each in (before, after))


def words_of(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text.casefold())


def _value(number: str) -> float | None:
    """The value of a number as people write it; None if it is none."""
    text = re.sub(r"[\s  ]", "", number)
    if "/" in text:
        above, _, below = text.partition("/")
        return float(above) / float(below) if below.strip("0") and above.strip("-").isdigit() else None
    if re.fullmatch(r"-?\d{1,3}(?:[,.]\d{3})+", text):
        text = re.sub(r"[,.]", "", text)
    text = re.sub(r",(?=\d{3}\b)", "", text).replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return None


_COUNTING = {
    word: value for code in ("en", "de", "fr", "es", "it") for word, value in number_words(code).items()
}


def _numbers(text: str) -> set[float]:
    """The values in a text, in figures and in words; "one" and its like are no number here."""
    figures = (_value(each) for found in NUMBER.findall(text) for each in _apart(found))
    words = (float(_COUNTING[word]) for word in words_of(text) if _COUNTING.get(word, 1) != 1)
    return {value for value in (*figures, *words) if value is not None}


def _apart(found: str) -> list[str]:
    """A row of digits as one number, or as several if it is not how one is written."""
    whole = _value(found)
    return [found] if whole is not None else re.findall(r"\d+", found)


def _undated(rest: str, accepted: Sequence[str]) -> str:
    """The rest without days and months where a year is the answer: that of "20 July 1969"."""
    return _DAY.sub(" ", rest) if any(_YEAR.fullmatch(each) for each in accepted) else rest


def other_numbers(question: Question, rest: str, accepted: Sequence[str]) -> set[float]:
    """Numbers that neither the question nor an accepted answer has."""
    given = _numbers(f"{question.question} {question.context} {' '.join(question.choices)}")
    mine = set().union(*map(_numbers, accepted)) if accepted else set()
    return _numbers(_undated(rest, accepted)) - given - mine


def _other_names(question: Question, rest: str, accepted: Sequence[str]) -> set[str]:
    """Words with a capital letter that neither the question nor an accepted answer has."""
    rest = _undated(rest, accepted)
    known = {*words_of(" ".join([question.question, question.context, *accepted])), *STARTERS}
    return {
        word.casefold() for word in re.findall(r"\b[^\W\d_a-z][^\W\d_]+\b", rest) if word[0].isupper()
    } - known
