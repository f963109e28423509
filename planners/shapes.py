"""What a question shows of its answer: whether it is to be computed, and in which form it is given."""

# ruff: noqa: RUF001 (questions are written in these characters)

from __future__ import annotations

import re
from calendar import day_name
from typing import Literal

from orchestrator.consensus.yes_or_no import asks_yes_or_no, begins_like_one
from orchestrator.runtime.values import Question
from planners import wording
from planners.listing import looked_at
from planners.questions import computation_in

Shows = Literal["letters", "computation", "nothing"]
Form = Literal["choice", "yes or no", "several", "other"]

_FIGURES = (
    "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand "
    "million half halves third thirds quarter quarters twice thrice double triple dozen percent"
)
_NUMBER = re.compile(rf"\d[\d.,]*|\b(?:{'|'.join(_FIGURES.split())})\b", re.IGNORECASE)
_COUNTED = re.compile(
    rf"(?:{wording.AMOUNTS})(?:\b.*\b(?:{wording.IN_WORDS})\b| (?:de |d')?[\"'“‘„«]?[a-z]\b)",
    re.IGNORECASE | re.DOTALL,
)
"""Letters, words and the like, which are counted: a single letter among them."""

_SPELT = re.compile(rf"\b(?:{wording.SPELLING})\b", re.IGNORECASE)
_WEEKDAY = re.compile(rf"\b(?:{'|'.join(day_name)})\b", re.IGNORECASE)
_DAYS_ON = re.compile(rf"\b(?:\d+|an?|{'|'.join(_FIGURES.split())}) (?:days?|weeks?)\b", re.IGNORECASE)
_HOW_MANY = re.compile(wording.AMOUNTS, re.IGNORECASE)
_TWO_QUESTIONS = re.compile(
    rf"\b(?:{wording.ASKING})\b[^?]*\?\s+(?:(?:and|und|et|y|e)\b|(?:{wording.ASKING})\b)[^?]*\?",
    re.IGNORECASE,
)
_AND_ASKING = re.compile(rf"[\w,;]\s+(?:and|und|et|y|e)\s+(?:{wording.ASKING})\b", re.IGNORECASE)
_ITS = re.compile(r"\b(?:its|his|her|their) \w+ and (?:its |his |her |their )?\w+\W*$", re.IGNORECASE)
_IN_ALL = re.compile(
    r"\b(?:(?:al)?together|in all|combined|zusammen|insgesamt|ensemble|en tout"
    r"|junt[oa]s|en total|insieme|in tutto)\b",
    re.IGNORECASE,
)
"""What makes one part of two, whatever they are, if it follows both or begins the sentence."""

_BETWEEN = re.compile(r"\bdifference between\b", re.IGNORECASE)
_OF_BOTH = re.compile(
    r"\b(?:who|which|sum|product|difference|ratio|average|mean|total|quotient|name|larger|older)\b",
    re.IGNORECASE,
)
"""What is asked of two things in one."""

NAMED_YEAR = re.compile(
    r"(?<![\d.,])(?:1\d|20)\d\d(?![\d.,]*\d)(?!\s*(?:(?:years|months|weeks|days|hours|minutes|seconds|k?m|k?g)\b|[€$%]))"
    r"|\b\d{1,2}[./]\d{1,2}[./]\d{2}(?:\d\d)?\b|\b\d{4}-\d\d?-\d\d?\b"
)
"""A year, alone or in a date."""

_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n+")
_CONDITION = re.compile(r"\A\W*(?:if|when|wenn|falls|si|se|quand|quando|cuando)\b[^,]*,", re.IGNORECASE)


def shows(question: Question) -> Shows:
    """Whether the question shows that something is to be computed: by its words, or by two numbers.

    "How many" alone may ask for a fact; with a number it asks to compute. One number is enough where yes or
    no is asked for, whether something is so many or divides it, and where days are counted from one of the
    week. Letters and words are counted and spelt.
    """
    text = looked_at(question)
    if _COUNTED.search(text) or _SPELT.search(text):
        return "letters"
    sign = computation_in(question)
    asks_how_many = bool(_HOW_MANY.fullmatch(sign))
    if sign and not asks_how_many:
        return "computation"
    from_a_weekday = _WEEKDAY.search(text) and _DAYS_ON.search(text)
    is_enough = asks_how_many or form_of(question) == "yes or no" or from_a_weekday
    numbers = 1 if is_enough else 2
    return "computation" if len(_NUMBER.findall(text)) >= numbers else "nothing"


def form_of(question: Question) -> Form:
    """The form of the answer: ``choice``, ``yes or no``, ``several`` or ``other``."""
    if question.choices:
        return "choice"
    text = looked_at(question)
    if _asks_several(text):
        return "several"
    return "yes or no" if asks_yes_or_no(text) else "other"


def _asks_several(text: str) -> bool:
    """Whether a text has two questions one after the other, or its last one has two parts."""
    if _TWO_QUESTIONS.search(text):
        return True
    sentences = [each for each in _SENTENCES.split(text.strip()) if each]
    asked = _CONDITION.sub(
        "", next((each for each in reversed(sentences) if "?" in each), (sentences or [""])[-1])
    )
    *_, last = _AND_ASKING.split(asked)
    if _IN_ALL.search(last) or _IN_ALL.match(asked.strip()):
        return False
    if _BETWEEN.search(asked) and not begins_like_one(last):
        return False
    return last != asked or bool(_ITS.search(asked) and not _OF_BOTH.search(asked))
