"""A claim read once, and what the cheap methods say about two of them."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import ast
import json
import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from orchestrator.consensus.extraction import WORDS_OF_A_SENTENCE
from orchestrator.consensus.latex import values_of
from orchestrator.consensus.quantities import (
    LATEX_TEXT,
    SCALES,
    Meaning,
    Quantity,
    contrary,
    interpret,
    is_unit,
    means_quantity,
    same_meaning,
    same_quantity,
    spelt_out,
)
from orchestrator.consensus.quantities.chemistry import read_formula
from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.reading.endings import YES_NO_WORDS
from orchestrator.consensus.reading.predicates import CODE_WORDS, QUOTED
from orchestrator.consensus.wording import in_one_spelling

LONGEST_FORMULA = 400
"""Characters beyond which a claim is not compared as mathematics."""

DEEPEST = 60
"""Brackets beyond which a text is not read as a literal of Python."""

Method = Literal[
    "exact", "normalised", "choice", "numeric", "structured", "outputs", "symbolic", "semantic", "open"
]


@dataclass(frozen=True, slots=True)
class Form:
    """A claim read once, so that every later comparison is one of small values.

    A program is compared by its ``outputs`` alone; ``code`` is what stood in backticks, where case matters.
    """

    text: str
    normal: str = ""
    quantity: Quantity | None = None
    meaning: Meaning | None = None
    structure: str | None = None
    mathematical: bool = False
    outputs: str | None = None
    code: str = ""


_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "−": "-"})
_SIGNS = str.maketrans(
    {
        "∞": r"\infty ",
        "π": r"\pi ",
        "≤": r"\le ",
        "≥": r"\ge ",
        "×": r"\times ",
        "·": r"\cdot ",
        "∪": r"\cup ",
    }
    | {"±": r"\pm ", "≠": r"\ne "}
)
_POWER = lazily(r"(?<=[\w)])\s*\*\*\s*(?=[\w(-])")
_BOUNDS = lazily(r"\\([lg])eq(?![a-zA-Z])")
_LOOSE = lazily(r"\\(?:left|right|displaystyle)(?![a-zA-Z])|\\[,;!: ()\[\]]|\$|\*\*")
_INDEX = lazily(r"([\^_])\{(\w)\}")
_MATRIX = lazily(r"\\(begin|end)\{bmatrix\}")
_FRACTION = lazily(r"\\[dt]frac(?![a-zA-Z])")
_MATHEMATICS = lazily(
    r"\\(?:frac|sqrt|mathcal|pi|sum|int|cup|cap|infty|log|ln|sin|cos|tan|cdot|times|pm|le|ge|leq"
    r"|geq|in|binom|begin|overline)"
    r"(?![a-zA-Z])|[\^=<>≤≥√π∞∪]|\d(?!s\b)\s*[a-zA-Z]\b|\d!|sqrt\("
    r"|[a-zA-Z0-9)]\s*[+*/]\s*[a-zA-Z0-9(]|^[\[(].*[\])]$|^\s*-?[a-zA-Z]\s*$"
    r"|(?<![a-zA-Z])[a-zA-Z]!|^\\\{.*\\\}$|^[a-zA-Z]\([^()]*\)$|\d\s*-\s*[a-zA-Z](?![a-zA-Z])"
    r"|(?<![a-zA-Z])[a-zA-Z]\s*-\s*[\da-zA-Z](?![a-zA-Z])"
)
_WORD = lazily(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}")
_IMAGINARY = lazily(r"\\sqrt\s*\{\s*-\s*1\s*\}|√\(?-1\)?")
_NAMES = lazily(r"\\(log|ln|exp|sin|cos|tan|min|max|gcd|lcm)(?![a-zA-Z])\s*")
_YES = "true correct yeah yep yup так tak evet ναι igen kyllä ano vâng có כן بله うん 응"
_NO = "false incorrect nope nah nao ні nie nee nej hayır όχι nem không לא خیر"
_YES_NO = {
    **{word: value == "yes" for word, value in YES_NO_WORDS.items()},
    **dict.fromkeys(_YES.split(), True),
    **dict.fromkeys(_NO.split(), False),
    **dict.fromkeys(("not true", "not correct", "untrue"), False),
    **dict.fromkeys(("not false", "not incorrect"), True),
}
"""The words by which people agree or deny, also in languages whose sentences are not read."""


_CAMEL = lazily(r"[a-z]+[A-Z][A-Za-z]*")
_CONSTANT = lazily(r"\+\s*c\s*$")


def read_form(text: str) -> Form:
    """Read a claim; see :class:`Form`."""
    if CODE_WORDS.fullmatch(text):
        return replace(read_form(text[1:-1]), text=text, code=text[1:-1])
    if QUOTED.fullmatch(text):
        return Form(text, text.replace('"', "'"), structure=json.dumps(text[1:-1]))
    normal = _POWER.sub("^", unicodedata.normalize("NFKC", spelt_out(text)).translate(_QUOTES))
    normal = _INDEX.sub(r"\1\2", LATEX_TEXT.sub(r" \1 ", normal))
    normal = _BOUNDS.sub(r"\\\1e", _FRACTION.sub(r"\\frac", _LOOSE.sub("", normal)).translate(_SIGNS))
    normal = _MATRIX.sub(r"\\\1{pmatrix}", _IMAGINARY.sub("i", normal))
    mathematical = (
        len(text) <= LONGEST_FORMULA
        and bool(_MATHEMATICS.search(normal))
        and len(_WORD.findall(normal)) < WORDS_OF_A_SENTENCE
    )
    if mathematical:
        # The case of a letter matters in mathematics, and 1 1/2 is not 11/2.
        normal = _CONSTANT.sub("+C", normal)
        normal = re.sub(r"\s+", "", re.sub(r"(?<=\d)\s+(?=\d)", "_ ", _NAMES.sub(r"\1", normal.strip())))
    else:
        normal = re.sub(r"\s+", " ", normal).strip().rstrip(".!").casefold()
        if len(normal) > 2 and normal[0] == normal[-1] and normal[0] in "\"'":  # the mark in x' is part of it
            normal = normal[1:-1].strip().rstrip(".!")
        normal = normal.strip("*_") or normal
        normal = in_one_spelling(normal)
    return Form(text, normal, *interpret(text), _structure(text), mathematical)


def canonical(value: object) -> str:
    """A JSON value in one spelling: keys in order, numbers to twelve digits, 1.0 as 1."""
    return json.dumps(_plainly(value), sort_keys=True, ensure_ascii=False)


def _plainly(value: object) -> object:
    match value:
        case float():
            rounded = float(f"{value:.12g}")
            return int(rounded) if rounded.is_integer() else rounded
        case list():
            return [_plainly(each) for each in value]
        case tuple() | set():
            raise TypeError("JSON has no such value")
        case dict() if not all(isinstance(key, str) for key in value):
            return {"": [[_plainly(key), _plainly(each)] for key, each in value.items()]}
        case dict():
            return {key: _plainly(each) for key, each in value.items()}
        case _:
            return value


def _structure(text: str) -> str | None:
    if text[:1] not in ("{", "["):
        return None
    try:
        return canonical(json.loads(text))
    except (ValueError, RecursionError):
        return _python(text)


def _python(text: str) -> str | None:
    """A list or dictionary in Python's spelling, as JSON where JSON can say the same."""
    if len(text) > LONGEST_FORMULA or text.count("[") + text.count("{") + text.count("(") > DEEPEST:
        return None
    try:
        value = ast.literal_eval(text)
        return canonical(value) if isinstance(value, list | dict) else None
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def compare(a: Form, b: Form, *, choices: bool = False) -> tuple[Method, bool] | None:
    """What the cheap methods say, or None if they cannot tell.

    With ``choices`` the claims are labels of a multiple-choice question, and nothing but the label counts.
    """
    if a.text == b.text:
        return "exact", True
    if a.outputs is not None or b.outputs is not None:
        return "outputs", a.outputs == b.outputs
    if choices:
        return "choice", a.normal.casefold() == b.normal.casefold()
    if a.code and b.code and a.code.casefold() == b.code.casefold():
        return "normalised", a.code == b.code
    if a.meaning is not None and b.meaning is not None:
        return "numeric", same_meaning(a.meaning, b.meaning)
    if a.structure is not None and b.structure is not None:  # before quotes are ignored: ['1'] is not [1]
        return "structured", a.structure == b.structure
    for one, other in ((a, b), (b, a)):  # a third is not the third one, and 3 pm is no 3
        if one.meaning is not None and other.quantity is not None and not _either(one, other.quantity):
            return "numeric", means_quantity(one.meaning, other.quantity)
    if a.quantity is not None and b.quantity is not None:  # before case is ignored: 5 mW is not 5 MW
        return "numeric", same_quantity(a.quantity, b.quantity)
    if a.normal == b.normal:
        return "normalised", not _told_by_case(a.text, b.text)
    if a.mathematical and b.mathematical and a.normal.casefold() == b.normal.casefold():
        return "normalised", False  # x and X are two variables, which math-verify takes for one
    if a.normal in _YES_NO and b.normal in _YES_NO:
        return "normalised", _YES_NO[a.normal] == _YES_NO[b.normal]
    return None


def _told_by_case(a: str, b: str) -> bool:
    """Whether two spellings of one word are two names: mg and Mg, CO and co, myVar and myvar."""
    if a == b or a.casefold() != b.casefold() or not a.isalpha() or a.casefold() in {*_YES_NO, "nan"}:
        return False
    if any(_CAMEL.fullmatch(each) for each in (a, b)):
        return True
    return len(a) in (2, 3) and any(is_unit(each) or read_formula(each) for each in (a, b))


def _either(form: Form, quantity: Quantity) -> bool:
    """Whether a claim that may be a moment is a quantity beside another: 15h30 beside 15.5 h, 1/1000."""
    return form.quantity is not None and (
        bool(quantity.unit) or (form.meaning is not None and form.meaning.kind in ("date", "date in figures"))
    )


def _singular(word: str) -> str:
    """A word as it is compared; of "less", too, the last letter is dropped."""
    return word[:-1] if word.endswith("s") and len(word) > 3 else word


_RELATIONS = (
    "not least most more les than over under below above between or and either about up to from in at"
)
_WEIGHTY = frozenset(_RELATIONS.split()) | {_singular(word) for word in SCALES}
"""Words without which a formula says something else."""

_VERSIONED = frozenset({"version", "release", "python", "java", "node", "ubuntu", "ruby", "php"})
_JOINED = frozenset({"or", "and"})
_TEXT_POWER = lazily(LATEX_TEXT.pattern + r"\s*\^\s*\{?\s*(?P<power>[-−]?\d)")

_FUNCTION_NAMES = (
    "sin cos tan cot sec csc log ln exp lim max min mod gcd lcm det arcsin arccos arctan sqrt pi"
)
_UNIT = lazily(r"(?<=[\d})]\s)[a-zA-Z]$")
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())


def contradicts(a: Form, b: Form) -> bool:
    """Whether nothing can be both, so that no third wording may join the two."""
    if a.meaning is not None and b.meaning is not None:
        return not same_meaning(a.meaning, b.meaning)
    return contrary(a.quantity, b.quantity)


def comparable(a: Form, b: Form) -> bool:
    """Whether math-verify may be asked about two forms, which it takes for formulas.

    It drops words, so 5 km would be 5 miles, and 5 million 5. A sentence, a bound or several values against
    one, and two formulas with other words than each other are different without it.
    """
    if not all(each.mathematical or each.quantity for each in (a, b)):
        return False  # a formula and a sentence
    if {a.normal[:2] == r"\{", b.normal[:2] == r"\{"} == {True, False} and (
        a.normal[:1] in "([" or b.normal[:1] in "(["
    ):
        return False  # it takes a tuple for a set
    words, others = _words(a.text), _words(b.text)
    if (words | others) & _VERSIONED:
        return False
    if words & _JOINED or others & _JOINED:
        if len(values_of(a.text)) != len(values_of(b.text)):
            return False
        words, others = words - _JOINED, others - _JOINED
    return words == others or not ((words and others) or (words | others) & _WEIGHTY)


@lru_cache(4_096)
def _words(text: str) -> frozenset[str]:
    """The words of a claim apart from the names of functions; the unit of a quantity is one."""
    spaced = unicodedata.normalize("NFKC", LATEX_TEXT.sub(r" \1 ", text))
    found = {word.casefold() for word in _WORD.findall(spaced)} - _FUNCTIONS
    found |= {f"{match[1].strip()}^{match['power']}" for match in _TEXT_POWER.finditer(text)}
    if (unit := _UNIT.search(spaced.rstrip())) is not None and is_unit(unit[0]):
        found.add(unit[0])  # of one letter
    return frozenset(map(_singular, found))
