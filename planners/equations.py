"""The arithmetic that a text writes out, such as "48 / 2 = 24" or "90 is more than 100", computed again.

Only what is plainly an equation of numbers is judged: signs of variables, units or times of the day beside it
leave it alone, as do results in something else (hours, modulo 12), and a result that is rounded is right.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from orchestrator.consensus.forms import read_form
from workers.errors import ToolError
from workers.tools.calculator import evaluate
from workers.tools.numbers import shown

_ASIDE = 40
LONGEST = 20_000
"""Characters of a text that are looked at."""

_MOST_DIGITS = 20
"""Digits of a number that is put into a text."""

_NUMBER = r"[$€£]?\d+(?:,\d+)*(?:\.\d+)?%?"
_S = r"[^\S\n]*"
_SIGN = rf"{_S}(?:[-+*/^]|\*\*){_S}"
_TERM = rf"\(*{_NUMBER}\)*"
_EQUATION = re.compile(
    rf"(?<![\w.,:/^*+√\-(])(?P<left>{_TERM}(?:{_SIGN}{_TERM}){{1,20}}){_S}={_S}(?P<right>-?{_NUMBER})"
    rf"(?![\w:]|[.,]\d|{_S}[-+*/^(?])"
)
_MINUS = re.compile(r"(?:^|[\s(])[-−–][ \t]*\Z")
_BEFORE = re.compile(
    r"(?:[\w.)\]}][ \t]*[-+*/^][ \t]*|[a-zA-Z]\s*\(\s*|\d[ \t]+(?::[ \t]*)?"
    r"|\b(?:mod|step|if|whether|not)[ \t]+)\Z",
    re.IGNORECASE,
)
"""What goes on to the left, such as the whole of "1 1/2", or says that nothing is stated."""

_AFTER = re.compile(
    r"\s*[,(]?\s*(?:mod\b|modulo\b|remainder\b|o['’]clock|[ap]\.?m\b|(?:seconds?|secs?|minutes?|mins?|hours?|hrs?"
    r"|days?|weeks?|months?|years?|centur\w+|dozens?|feet|foot|h|ft|hundred|thousand|million|billion"
    r"|Sekunden?|Minuten?|Stunden?|Tagen?|Wochen?|Monaten?|Jahren?|Dutzend|tausend|Million\w*|heures?|jours?"
    r"|semaines?|mois|ans|années?|douzaines?|mille|horas?|días?|semanas?|meses|años|docenas?|mil|or[ae]|giorn[io]"
    r"|settiman[ae]|mes[ei]|ann[io]|dozzin[ae]|mila)\b|(?:in |to )?(?:binary|hexadecimal|octal|base)\b"
    r"|(?:is|was|ist|est|es|è) (?:wrong|false|incorrect|not|falsch|faux|falso)\b|isn['’]t\b)",
    re.IGNORECASE,
)
"""What a result may be in, other than the numbers before it: "45 + 30 = 1 hour 15 minutes"."""

_OTHER_SYSTEMS = re.compile(
    r"\b(?:base|binary|octal|hexadecimal|mod|modulo|modular|xor|clock)\b", re.IGNORECASE
)
"""Where numbers mean something else."""

_RATIOS = frozenset((12, 16, 24, 36, 60, 1440, 3600, *(10**n for n in range(1, 10))))
"""How many of a unit make another one, in which a result may be written: "500 * 3 = 1.5 litres"."""

_MIXED = re.compile(r" ?[^\W\d_]+\.?,? (?:(?:and|und|et|y|e) )?\d")
"""What goes on in a smaller unit: "80 + 40 = 1 m 20 cm"."""

_FAULTS = re.compile(
    r"\b(?:errors?|mistakes?|contradict\w+|absurd|falsch|Fehler|faux|erreurs?|fals[ao]|errore?s?)\b|[✗✘❌≠]|→\s*no\b",
    re.IGNORECASE,
)
_FAR = 300
"""Characters of a sentence before an equation that are looked at."""

_WORD = re.compile(r" ?[^\W\d_]")
_UNIT = re.compile(
    r"(?: ?(?!(?:but|so|and|or|then|which|that|is|are|was|were|has|have|left|in|of|for|per|as|to|from|with|by"
    r"|at|fails?|holds?|und|et|y|e)\b)[^\W\d_]+)?[.,;:!)]*(?=\s|\Z)"
)
"""What follows a result in a text: its unit, or the end of the sentence."""

_AMOUNT = r"(?:[$€£]\s?)?\d[\d,]*(?:\.\d+)?(?:/\d+)?(?:\s?(?:%|°[CF]|(?!(?:is|are)\b)[a-zA-Z]{1,12}\b))?+"
_COMPARISON = re.compile(
    rf"(?<![\w.,:/^*+√(-])(?P<left>{_AMOUNT})\s+(?:is|are)\s+(?:\w+\s+)?"
    r"(?P<word>more|larger|greater|bigger|longer|heavier|higher|later|faster|less|smaller|fewer|shorter|lighter"
    rf"|lower|slower)\s+than\s+(?P<right>{_AMOUNT})(?![\w:]|[.,]\d|\s*[-+*/^(]|\s+\d)"
)
_LESS = frozenset(("less", "smaller", "fewer", "shorter", "lighter", "lower", "slower"))
BEGINS = re.compile(
    r"(?:\A|[\n.,:;!?(*#•>]|\b(?:so|thus|since|because|as|that|therefore|hence|but|while|then|though|however"
    r"|also|now|clearly|yes|no|see))\s*\Z",
    re.IGNORECASE,
)
"""What stands before an amount that is compared as it is: not "twice", "chapter", "1" (of 1 1/2), a minus."""

DENIED = re.compile(
    r"\b(?:if|whether|not|nor|neither|never|cannot|\w+n['’]t|wrong|false|untrue|incorrect|impossible|hardly|barely"
    r"|scarcely|suppos\w+|assum\w+|imagin\w+|unless|claim\w*|sa(?:y|ys|id)|th(?:ink|inks|ought)|believ\w+|would"
    r"|no (?:longer|more|less|\w+er))\b",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"\d\.\d{3}(?!\d)")
"""What is a decimal in one language, and a thousand in another."""

_MONEY = re.compile(r"[$€£]")
_NO_NUMBERS = re.compile(r"[-+]\s*[\d.,]+%|(?<![\d.,])0\d")
"""A share that is added, of which it is not clear of what; and parts of dates."""

_ELSEWHERE = str.maketrans(".,", ",.")
"""Points and commas as other languages write them: "1.000 + 500 = 1.500"."""

_SPELLINGS: tuple[tuple[re.Pattern[str], str | None], ...] = (
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z])|[×·∙]"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])|÷"), "/"),
    (re.compile(r"\\[()\[\]]"), " "),
    (re.compile(r"\\boxed\{([^{}]*)\}"), None),
    (re.compile(r"(?<=\d)(?<!\b0)\s*x\s*(?=\d)"), " * "),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"\\([$%])"), None),
    (re.compile(r"\\[,;! ]"), ""),
    (re.compile(r"(?<!\S)\*\*(?=\S)|(?<=\S)\*\*(?=[\s.,;:!?)]|\Z)"), " "),
)
"""Other spellings of signs; of those without one, what stands in the group is left."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something that a text computes wrongly, and ``why`` it is wrong.

    The wrong result begins at the offset ``at`` of the text. ``right`` is what should stand there, with what
    the text says right after it, such as a unit; empty if that is not clear.
    """

    why: str
    at: int = 0
    right: str = ""

    def corrected(self, text: str) -> str:
        """The text up to the mistake, with what is right in its place; empty if that is not clear."""
        return text[: self.at] + self.right if self.right else ""


def wrong_equation(text: str, question: str = "") -> Mistake | None:
    """The first equation of a text that does not hold; None if none is wrong.

    What is denied or supposed is no statement, nor is what stands in the ``question``.
    """
    given, asked = text[:LONGEST], "".join(_plain(question[:LONGEST])[0].split())
    text, places = _plain(given)
    for equation in _EQUATION.finditer(text):
        before = text[max(0, equation.start() - _FAR) : equation.start()]
        after = text[equation.end() : equation.end() + _ASIDE]
        value = _wrong_value(equation, before[-_ASIDE:], after)
        if value is None or "".join(equation[0].split()) in asked:
            continue
        if _doubted(before, after.partition("\n")[0], question):
            continue
        said = " ".join(f"{equation['left']} = {equation['right']}".split())
        at, end = places[equation.start("right")], places[equation.end("right") - 1] + 1
        right = _instead(equation, value, given[end : end + _ASIDE])
        return Mistake(f"{said} is wrong: it is {shown(value)}", at, right)
    return None


def _doubted(before: str, after: str, question: str) -> bool:
    """Whether the sentence around an equation denies or supposes it, or counts in another way."""
    begin = max(before.rfind(mark) for mark in "\n.;")
    around = f"{before[begin + 1 :]} {after}"
    other = _OTHER_SYSTEMS.search(f"{around} {question}")
    return bool(other or DENIED.search(around) or _FAULTS.search(around))


def _wrong_value(equation: re.Match[str], before: str, after: str) -> Fraction | None:
    """The value of the left side, where the right one is another number for sure; else None."""
    if _BEFORE.search(before) or _AFTER.match(after):
        return None
    left, right = (_MONEY.sub("", equation[side]) for side in ("left", "right"))
    if left.startswith("(") and left.count("(") == left.count(")") + 1:
        left = left[1:]  # it closes after the equation
    if left.count("(") != left.count(")") or _NO_NUMBERS.search(left):
        return None
    value = _value(left)
    if value is None or _value(right) is None:
        return None
    if _holds(left, right) or _holds(left.translate(_ELSEWHERE), right.translate(_ELSEWHERE)):
        return None
    if (_MINUS.search(before) and _holds(f"-{left}", right)) or _MIXED.match(after):
        return None
    only_here = _MONEY.match(equation["right"]) and not _MONEY.search(equation["left"])
    in_units = only_here or _WORD.match(after)
    return None if in_units and _ratio(value, right) in _RATIOS else value


def _plain(text: str) -> tuple[str, list[int]]:
    """A text with plain signs, and for each of its characters the offset that it had."""
    places = [*range(len(text) + 1)]
    for spelling, sign in _SPELLINGS:
        pieces, kept, at = [], [], 0
        for found in spelling.finditer(text):
            begin, end = found.span(1) if sign is None else (found.start(), found.start())
            pieces += [text[at : found.start()], text[begin:end] if sign is None else sign]
            kept += places[at : found.start()]
            kept += places[begin:end] if sign is None else [places[found.start()]] * len(sign)
            at = found.end()
        if at:
            text, places = "".join((*pieces, text[at:])), kept + places[at:]
    return text, places


def _ratio(value: Fraction, right: str) -> Fraction | None:
    """How many times one of two numbers is the other."""
    stated = abs(_value(right) or Fraction(0))
    sizes = sorted((abs(value), stated))
    return sizes[1] / sizes[0] if sizes[0] else None


def _instead(equation: re.Match[str], value: Fraction, after: str) -> str:
    """What should stand in place of a wrong result; empty where it is open in which notation."""
    right, number = equation["right"], _rounded(value, equation["right"])
    if "%" in equation[0] or _THOUSANDS.search(equation[0]) or len(number) > _MOST_DIGITS:
        return ""
    closed = "}" if after.startswith("}") else ""  # the box that the result stands in
    unit = _UNIT.match(after, len(closed))
    return (right[0] if _MONEY.match(right) else "") + number + closed + (unit[0] if unit else "")


def _rounded(value: Fraction, like: str) -> str:
    """A number with as many decimals as another one, or two if it needs them."""
    number, places = shown(value), max(2, len(like.partition(".")[2]))
    if len(number.partition(".")[2]) <= places or "e" in number:
        return number
    return f"{Decimal(number).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}"


def wrong_comparison(text: str) -> Mistake | None:
    """The first comparison of two amounts that does not hold: "90 minutes is longer than 100 minutes".

    None if none is wrong. The amounts must be of one kind; what is denied or asked is no statement.
    """
    for found in _COMPARISON.finditer(text[:LONGEST]):
        begin = max(text.rfind(mark, 0, found.start()) for mark in "\n.:;")
        after = text[found.end() : found.end() + _ASIDE].partition("\n")[0]
        if DENIED.search(text[begin + 1 : found.end()] + after) or after.lstrip(" .")[:1] == "?":
            continue
        before = text[max(0, found.start() - 12) : found.start()]
        if (found.start() > len(before) and not before.strip()) or not BEGINS.search(before):
            continue
        if _THOUSANDS.search(found[0]):
            continue
        left, right = (read_form(found[side]).quantity for side in ("left", "right"))
        if left is None or right is None or left.unit != right.unit:
            continue
        sizes = left.amount, right.amount
        if sizes[0] >= sizes[1] if found["word"] in _LESS else sizes[0] <= sizes[1]:
            return Mistake(f"{' '.join(found[0].split())} is wrong")
    return None


def _value(expression: str) -> Fraction | None:
    try:
        return Fraction(evaluate(expression))
    except ToolError:
        return None


def _holds(left: str, right: str) -> bool:
    """Whether a value is what is stated, or that is the value rounded to the digits written.

    It may be rounded up or down to decimals, and a quotient to a whole number, without its remainder. Other
    values are rounded to the nearest whole number. With a percentage or a quotient, a sign of percent may be
    missing.
    """
    value, stated = _value(left), _value(right)
    if value is None or stated is None:
        return False
    if value == stated or (("%" in left + right or "/" in left) and stated in (value * 100, value / 100)):
        return True
    decimals = right.rstrip("%").partition(".")[2]
    unit = Fraction(1, 10 ** len(decimals)) / (100 if right.endswith("%") else 1)
    off = abs(value - stated)
    return value.denominator != 1 and (off < unit if decimals or "/" in left else 2 * off <= unit)
