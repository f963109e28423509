"""Puzzles of numbers: which target an expression is to come to, from which numbers, and whether one does.

"Make 24 from 4, 7, 8 and 8" says itself what a right answer is, and that can be computed exactly. So an
answer that misses its target is known to be wrong, however many branches agree on it.
"""

# ruff: noqa: RUF001 (people and models write these characters)

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from orchestrator.runtime.values import Question
from planners.listing import looked_at
from workers.errors import ToolError
from workers.tools.calculator import evaluate
from workers.tools.numbers import shown

LONGEST = 2_000
"""Characters of an answer that are looked at."""

_MAKING: Final = (
    r"\b(?:make|making|reach|get|obtain|form|build|create|produce|equals?|com(?:e|es) to|result in|hit) "
    r"(?:exactly |the (?:target|number) (?:of )?)?(?P<target>\d{1,6})(?![\d.,/%]*\d)(?! ?%)"
)
_NUMBERS: Final = (
    r"(?:(?:the|these|those|this|set|of|only|all|exactly|each|numbers?|cards?|three|four|five|six)\s*)*"
    r":? ?(?P<numbers>\d{1,4}(?:(?:, ?(?:and )?| and | )\d{1,4}){2,9})(?![\d.,/%]*\d)(?! ?%)"
    r"(?=\s*(?:[.;:!?)\n]|\Z|(?:,\s*)?(?:each|exactly|once|by|with|without|only|using|to|and|so|in|that"
    r"|where|if|all)\b))"
)
"""Three numbers at least, which count nothing that is named after them; digits may be put together, too."""

_FORMS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_MAKING},? (?:from|using|with|out of|of) {_NUMBERS}",
        rf"\b(?:us(?:e|ing)|with|from|tak(?:e|ing)|combin(?:e|ing)|given) {_NUMBERS}[^.?!\n\d]{{0,80}}?"
        rf"{_MAKING}(?=\s*(?:[.,;:!?)\n]|\Z|with|by|using|if))",
    )
)
"""How such a puzzle is set: the target first, or the numbers."""

_OTHERWISE = re.compile(
    r"\b(?:how (?:many|much|often|long)|number of (?!times)|ways|coins?|stamps?|notes|bills|dice|subsets?"
    r"|fewest|smallest|largest|shortest|(?<!at )(?:least|most)|minim\w+|maxim\w+|probability|chance|likel\w+"
    r"|mean|average|median)\b|(?:\bnot|n['’]t) (?:equal|make|get|reach|come)\b"
    r"|(?:\A|[.?!\n])\W{0,8}(?:which|who|when|where|why)\b",
    re.IGNORECASE,
)
"""What asks for something else than one expression: for an amount of them, or for what is counted so."""

_HOW = re.compile(r"\W*(?:how|can|could|is (?:it|that)|do you|what (?:expression|equation))\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[^.?!\n]*[.?!\n]?")
_AGAIN = re.compile(
    r"\b(?:as (?:often|many times) as|more than once|any number of times|repeat\w*|reus\w+"
    r"|us(?:e|ed|ing)\b[^.?!\n]{0,40}\b(?:again|(?:multiple|several|many) times))\b",
    re.IGNORECASE,
)
_DENIED = re.compile(r"\b(?:no|not|never|without|cannot|nor|\w+n['’]t)\b", re.IGNORECASE)
_CLAUSES = re.compile(r"[,;]|\bbut\b", re.IGNORECASE)
_SURELY = re.compile(
    r"\bexactly once\b|\bonce and only once\b|\ball (?:three|four|five|six)\b", re.IGNORECASE
)
_ALL = re.compile(
    r"(?<!may )(?<!can )(?<!could )\b(?:use|using) (?:all|every|each)\b"
    r"|\ball (?:of )?(?:the|these|three|four) numbers\b",
    re.IGNORECASE,
)
_NEED_NOT = re.compile(
    r"\b(?:at most|(?:only|more than|most) once|need not)\b|(?:\bnot|n['’]t) (?:have|need) to\b",
    re.IGNORECASE,
)
_SPELT = (
    (re.compile(r"\\(?:times|cdot)(?![a-z])|[×·⋅∗]|(?<=[0-9)])\s*[xX]\s*(?=[0-9(])"), "*"),
    (re.compile(r"\\div(?![a-z])|[÷:]"), "/"),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"\\(?:left|right|[(),;! ])|[$`]"), " "),
    (re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}"), r"((\1)/(\2))"),
    (re.compile(r"\[|\{"), "("),
    (re.compile(r"\]|\}"), ")"),
)
"""How models write signs and brackets."""

_SIDE = re.compile(r"[0-9+\-*/() ]+")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Puzzle:
    """The target, the numbers, whether all of them are to be used, and whether one may be used again."""

    target: int
    numbers: tuple[int, ...]
    all_of_them: bool = False
    freely: bool = False

    def fault(self, said: str) -> str:
        """Why what is said is no solution; empty if it is one, or no expression that could be computed.

        Of several lines, the one that is an expression counts, if it is the only one.
        """
        sides = [each.strip() for each in _expression(said).split("=")]
        values = [value for each in sides if (value := _value(each)) is not None]
        if len(values) < len(sides):
            return ""
        for side, value in zip(sides, values, strict=True):
            if value != self.target:
                is_number = len(_NUMBER.findall(side)) == 1
                what = f"it comes to {side}" if is_number else f"{side} comes to {shown(value)}"
                return f"{what}, not to the {self.target} that is asked for"
        if not any(map(self._allowed, sides)):
            return f"{sides[0]} does not use the given numbers as is asked"
        return ""

    def _allowed(self, side: str) -> bool:
        used, given = Counter(map(int, _NUMBER.findall(side))), Counter(self.numbers)
        if used.total() < 2:
            return False
        if self.freely:
            return used.keys() <= given.keys()
        return used == given if self.all_of_them else used <= given


def puzzle_in(question: Question) -> Puzzle | None:
    """The puzzle that a question sets; None if it asks for something else or several, or offers choices."""
    text = looked_at(question)
    if question.choices or _OTHERWISE.search(text):
        return None
    set_so = [match for form in _FORMS for match in form.finditer(text)]
    found = {(int(each["target"]), tuple(map(int, _NUMBER.findall(each["numbers"])))) for each in set_so}
    sentences = _SENTENCE.findall(text)
    asked = [each for each in sentences if each.endswith("?") and not _HOW.match(each)]
    if len(found) != 1 or not all(any(match[0] in each for match in set_so) for each in asked):
        return None
    ((target, numbers),) = found
    return Puzzle(
        target,
        numbers,
        all_of_them=bool(_SURELY.search(text) or (_ALL.search(text) and not _NEED_NOT.search(text))),
        freely=any(_said(_AGAIN, each) for each in sentences),
    )


def _said(what: re.Pattern[str], sentence: str) -> bool:
    """Whether a sentence says so, and does not deny it."""
    found = what.search(sentence)
    if found is None:
        return False
    before = sentence[: found.start()]
    return not _DENIED.search(_CLAUSES.split(before)[-1])


def _expression(said: str) -> str:
    """What is said, as signs are written here; of several lines, the only one that is an expression."""
    lines = said.strip()[:LONGEST].splitlines()
    for written, meant in _SPELT:
        lines = [written.sub(meant, line) for line in lines]
    lines = [line.strip().rstrip(".") for line in lines]
    if len(lines) > 1:
        found = {line for line in lines if _SIDE.fullmatch(line) and len(_NUMBER.findall(line)) > 1}
        lines = list(found) if len(found) == 1 else []
    return next(iter(lines), "")


def _value(side: str) -> Fraction | None:
    """What a side of an equation comes to, exactly; None if it is no arithmetic of whole numbers."""
    if not _SIDE.fullmatch(side) or "**" in side or "//" in side:
        return None
    try:
        value = evaluate(side)
    except ToolError:
        return None
    return value if isinstance(value, Fraction) else None
