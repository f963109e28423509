"""The arithmetic that a text writes out, such as "48 / 2 = 24" or "90 is more than 100", computed again.

Only what is plainly an equation of numbers is judged: signs of variables, units or times of the day beside it
leave it alone, as do results in something else (hours, modulo 12), and a result that is rounded is right.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from orchestrator.consensus.forms import read_form
from workers.errors import ToolError
from workers.tools.calculator import evaluate
from workers.tools.numbers import shown

_ASIDE = 40
LONGEST = 20_000
"""Characters of a text that are looked at."""

_NUMBER = r"[$€£]?\d+(?:,\d+)*(?:\.\d+)?%?"
_SIGN = r"\s*(?:[-+*/^]|\*\*)\s*"
_TERM = rf"\(*{_NUMBER}\)*"
_EQUATION = re.compile(
    rf"(?<![\w.,:/^*+√\-(])(?P<left>{_TERM}(?:{_SIGN}{_TERM}){{1,20}})\s*=\s*(?P<right>-?{_NUMBER})"
    r"(?![\w:]|[.,]\d|\s*[-+*/^(?])"
)
_BEFORE = re.compile(
    r"(?:[\w.)\]}][ \t]*[-+*/^][ \t]*|[a-zA-Z]\s*\(\s*|\d[ \t]+(?::[ \t]*)?"
    r"|\b(?:mod|step|if|whether|not)[ \t]+)\Z",
    re.IGNORECASE,
)
"""What goes on to the left, such as the whole of "1 1/2", or says that nothing is stated."""

_AFTER = re.compile(
    r"\s*[,(]?\s*(?:mod\b|modulo\b|remainder\b|o['’]clock|[ap]\.?m\b|(?:seconds?|minutes?|hours?|days?|weeks?"
    r"|months?|years?|dozens?|feet|foot|h|min|ft)\b|(?:in |to )?(?:binary|hexadecimal|base)\b"
    r"|is (?:wrong|false|incorrect|not)\b)",
    re.IGNORECASE,
)
"""What a result may be in, other than the numbers before it: "45 + 30 = 1 hour 15 minutes"."""

_UNIT = re.compile(r"(?: ?[^\W\d_]+)?[.,;:!)]*(?=\s|\Z)")
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

_SPELLINGS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z])|[×·∙]"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])|÷"), "/"),
    (re.compile(r"\\[()\[\]]"), " "),
    (re.compile(r"\\boxed\{([^{}]*)\}"), lambda found: found[1]),
    (re.compile(r"(?<=\d)(?<!\b0)\s*x\s*(?=\d)"), lambda found: found[0].replace("x", "*")),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"\\[$%,;! ]"), lambda found: found[0][1] if found[0][1] in "$%" else ""),
    (re.compile(r"(?<!\S)\*\*(?=\S)|(?<=\S)\*\*(?=[\s.,;:!?)]|\Z)"), " "),
)


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


def wrong_equation(text: str) -> Mistake | None:
    """The first equation of a text that does not hold; None if none is wrong."""
    text = text[:LONGEST]
    for spelling, sign in _SPELLINGS:
        text = spelling.sub(_as_long(sign), text)
    for equation in _EQUATION.finditer(text):
        if _BEFORE.search(text[max(0, equation.start() - 40) : equation.start()]):
            continue
        if _AFTER.match(text, equation.end()):
            continue
        left, right = (_MONEY.sub("", equation[side]) for side in ("left", "right"))
        if left.startswith("(") and left.count("(") == left.count(")") + 1:
            left = left[1:]  # it closes after the equation
        if left.count("(") != left.count(")") or _NO_NUMBERS.search(left):
            continue
        value = _value(left)
        if value is None or _value(right) is None:
            continue
        if not (_holds(left, right) or _holds(left.translate(_ELSEWHERE), right.translate(_ELSEWHERE))):
            said = " ".join(f"{equation['left']} = {equation['right']}".split())
            return Mistake(
                f"{said} is wrong: it is {shown(value)}",
                equation.start("right"),
                _instead(equation, value, text[equation.end() : equation.end() + _ASIDE]),
            )
    return None


def _as_long(sign: str | Callable[[re.Match[str]], str]) -> Callable[[re.Match[str]], str]:
    """A replacement that is as long as what it replaces, so that all else stays where it was."""
    return lambda found: (sign if isinstance(sign, str) else sign(found)).ljust(len(found[0]))


def _instead(equation: re.Match[str], value: Fraction, after: str) -> str:
    """What should stand in place of a wrong result; empty where it is open in which notation."""
    left, right = (_MONEY.sub("", equation[side]).strip("()") for side in ("left", "right"))
    if "%" in equation[0] or _off(left, right) > _off(
        left.translate(_ELSEWHERE), right.translate(_ELSEWHERE)
    ):
        return ""
    sign = equation["right"][:1] if _MONEY.match(equation["right"]) else ""
    unit = _UNIT.match(after)
    return sign + shown(value) + (unit[0] if unit else "")


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


def _off(left: str, right: str) -> float:
    """How far a stated result is from the value, as a share of the larger."""
    value, stated = _value(left), _value(right)
    if value is None or stated is None:
        return math.inf
    return float(abs(value - stated) / max(abs(value), abs(stated), Fraction(1)))


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
