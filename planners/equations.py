"""The arithmetic that a text writes out, such as "48 / 2 = 24", checked by the calculator.

Only what is plainly an equation of numbers is judged: signs of variables, units or times of the day beside it
leave it alone, and a result that is rounded is right.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from fractions import Fraction

from workers.errors import ToolError
from workers.tools.calculator import evaluate
from workers.tools.numbers import shown

LONGEST = 20_000
"""Characters of a text that are looked at."""

_NUMBER = r"[$€£]?\d[\d,]*(?:\.\d+)?%?"
_SIGN = r"\s*(?:[-+*/^]|\*\*)\s*"
_TERM = rf"\(*{_NUMBER}\)*"
_EQUATION = re.compile(
    rf"(?<![\w.,:/^*+\-(])(?P<left>{_TERM}(?:{_SIGN}{_TERM}){{1,20}})\s*=\s*(?P<right>-?{_NUMBER})"
    r"(?![\w:]|[.,]\d|\s*[-+*/^(])"
)
_BEFORE = re.compile(r"(?:[\w.)\]}][ \t]*[-+*/^][ \t]*|[a-zA-Z]\s*\(\s*)\Z")
_MONEY = re.compile(r"[$€£]")
_NO_NUMBERS = re.compile(r"[-+]\s*[\d.,]+%|(?<![\d.,])0\d")
"""A share that is added, of which it is not clear of what; and parts of dates."""

_SPELLINGS = (
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z])|[×·∙]"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])|÷"), "/"),
    (re.compile(r"(?<=\d)\s*x\s*(?=\d)"), " * "),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"\\[$%,;! ]"), lambda found: found[0][1] if found[0][1] in "$%" else ""),
    (re.compile(r"(?<!\S)\*\*(?=\S)|(?<=\S)\*\*(?=[\s.,;:!?)]|\Z)"), " "),
)


def wrong_equation(text: str) -> str:
    """The first equation of a text that does not hold, with what is right; empty if none is wrong."""
    text = text[:LONGEST]
    for spelling, sign in _SPELLINGS:
        text = spelling.sub(sign, text)
    for equation in _EQUATION.finditer(text):
        if _BEFORE.search(text[max(0, equation.start() - 40) : equation.start()]):
            continue  # it goes on to the left
        left, right = (_MONEY.sub("", equation[side]) for side in ("left", "right"))
        if left.count("(") != left.count(")") or _NO_NUMBERS.search(left):
            continue
        try:
            value, stated = Fraction(evaluate(left)), Fraction(evaluate(right))
        except ToolError:
            continue
        if not _holds(value, stated, right, whole="/" in left):
            said = " ".join(f"{equation['left']} = {equation['right']}".split())
            return f"{said} is wrong: it is {shown(value)}"
    return ""


def _holds(value: Fraction, stated: Fraction, as_written: str, *, whole: bool) -> bool:
    """Whether a value is what is stated, or that is the value rounded up or down to the digits written.

    A quotient may be given without its remainder (``whole``).
    """
    if stated in (value, value * 100, value / 100):
        return True  # the sign of percent may be missing
    decimals = as_written.rstrip("%").partition(".")[2]
    if not decimals and not whole:
        return False
    unit = Fraction(1, 10 ** len(decimals)) / (100 if as_written.endswith("%") else 1)
    return value.denominator != 1 and abs(value - stated) < unit
