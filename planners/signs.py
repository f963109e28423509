"""What kind of answer a question asks for, as far as its words show: a short one, a text, or a list.

A question is read clause by clause; the first rule of a table that finds something in one decides.
"""

# ruff: noqa: RUF001 (questions are written in these characters)

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orchestrator.consensus.yes_or_no import begins_like_one
from orchestrator.runtime.values import Question
from planners import wording
from planners.listing import LONG, list_words, looked_at


class Kind(StrEnum):
    """What an answer is."""

    SHORT = "short"
    """A number, a name, a date, yes or no: it is right or wrong."""
    WHOLE = "whole"
    """A text or code that is written from beginning to end."""
    LIST = "list"
    """Points, each of which can be written without the others."""


@dataclass(frozen=True, slots=True)
class Sign:
    """The kind of answer that a question asks for, the words that show it, and both as a reason.

    ``given`` says that the question brings what it takes to answer it, so that no tool is needed.
    """

    kind: Kind
    words: str
    why: str
    given: bool = False


FEW: Final = 8
"""Words of a question, at most, that may mean something only after what was said before it."""

_WORD = re.compile(r"\w+")

CHOICES: Final = Sign(Kind.SHORT, "choices", "it offers choices", given=True)
COMPUTATION: Final = "it asks for a computation"
ONE_ANSWER: Final = "it has one short answer"
WHOLE: Final = "it asks for something whole"
LIST: Final = "it asks for a list"
MOST_QUESTIONS: Final = 2
"""Of more questions than this, one that asks for a list does not show what is asked for as a whole."""


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _begins(words: str) -> re.Pattern[str]:
    return _compiled(rf"\A(?:{words})(?!\w)")


_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+|(?<=[。？！])|(?<=[,:]) (?=(?:what|what's|how)\b)")
_POLITE = _compiled(rf"(?:[\s,:¿¡\"'(„“«]|(?:{wording.POLITE})(?=[\s,:])(?! be\b))+")
_ASKING = _begins(rf"(?:(?:at|in|on|for|from|to|by|of|with|en|in|à|de|di|da) )?(?:{wording.ASKING})")
_INVERTED = _begins(wording.INVERTED)
_OPINION = _compiled(
    rf"\b(?:{wording.OPINION})\b|\A(?:{wording.INVERTED}) (?:{wording.PERSONAL})\b"
    rf"|\A(?:{wording.ASKING}) (?:\S+ )?(?:{wording.INVERTED}) (?:{wording.PERSONAL})\b"
)
_WORDS_OF_OPINION = _compiled(rf"\b(?:{wording.OPINION})\b")
_ASKED_OF_YOU = _compiled(rf"\A(?:do|did|have|are|were) you (?!(?:{wording.OF_A_PERSON})\b)")
_DIGITS = re.compile(r"\d+(?:[.,:/]\d+)*")
_CODE = _compiled(
    r"```|`[^`\n]+`|[\w)]\(\)|\b[a-z]+_\w+\b|(?-i:\b[a-z]+[A-Z]\w*\b)|\b(?:\w\+\+|c#|\.net)(?=\W|$)"
    rf"|\b(?:{wording.CODE})s?\b"
)
_COMPUTATION = _compiled(
    rf"\d[\d.,]*\s*[-+*/^×÷]\s*[\d(]|\d\s*=|=\s*[-\d(]|\w\s*=\s*\w"
    r"|\d\s*(?:%|percent|prozent|pour ?cent|por ciento|per cento) (?:of|von|de|di|des|dei|du) "
    r"(?:\w+ )?[$€£]?\d"
    rf"|\d (?:{wording.BETWEEN_NUMBERS})\b(?=.{{0,12}}\d|.{{0,3}}$)"
    rf"|\d\S*(?: \w+){{0,3}}? (?:to|into|in|as|zu|als|en|a|à) (?:an? |the )?(?:{wording.UNITS})(?!\w)"
    rf"|\b(?:{wording.RESULTS}) (?:of|between) (?:a |an )?(?:\w+ ){{0,4}}?\d"
    rf"|^(?:half|twice|double|a third|a quarter) of \d|^(?:{wording.RECKONING})(?!\w)"
    r"|\b(?:what|find) (?:is |are )?the (?:\w+ )?"
    r"(?:probability|integral|derivative|equation|limit|solution)s?\b"
)
_AMOUNT = _compiled(rf"\b(?:{wording.AMOUNTS})(?!\w)|(?:多少|几个|いくつ|몇)")
_BRIEF = _compiled(rf"\b(?:{wording.BRIEF})\b")
_WRITE = _begins(rf"(?:{wording.WRITE})(?! \d\S* (?:as|in|to)\b)")
_WRITTEN = _compiled(
    r"\A(?!(?:the|this|that|my|your|his|her|our|their|i|we|he|she|it|they)\b)(?:\w+ )?(?:for )?"
    r"(?:(?:an?|another|some|the|une?|una|uno|eine?n?) )?(?:[^\W\d_]+ ){0,3}?\b"
    rf"(?:{wording.WRITTEN})(?:e?s|e?n)?\b"
)
_AS_A = _compiled(rf"\b(?:as|into) (?:an?|one) (?:[^\W\d_]+ ){{0,2}}?(?:{wording.WRITTEN})\b")
_EXPLAIN = _begins(wording.EXPLAIN)
_SAY = _begins(
    r"how (?:do|would) (?:you|i) say|what does (?:this|the) code|wie sagt man|comment dit-on|cómo se dice"
)
_DEFINED = _compiled(
    r"\Awhat(?:'s| is| are) (?:an? )?(?!(?:the|some|it|this|that|your|my)\b)"
    r"[^\W\d_]+(?: [^\W\d_]+)?\s*[?.]*$"
)
_WHO = _begins(wording.WHO)
_WHAT_IS = _compiled(
    r"\A(?:(?:at|in|on|for|from|of|en|à|de|di) )?"
    rf"(?:{wording.WHAT})(?:'s|s)?(?:\W+(?:{wording.BE}))?\W+(?:(?:{wording.ARTICLES})\W*)?(?:[^\W\d_]+ )??"
    rf"(?:{wording.FACTS}|{wording.SUPERLATIVE})(?!\w)"
    r"|\Awhat does (?:\S+ ){1,4}(?:stand for|mean)\W*$"
)
_WHAT_ARE = _compiled(
    rf"\A(?:what|which) (?:are|were) (?:all )?(?:of )?(?:the|its) (?:[^\W\d_]+ )??(?:{wording.FACTS})s\b"
)
_WHICH = _compiled(r"\A(?:which|welche[rsmn]|quale|cuál|lequel|laquelle) (?!are\b|sono\b)")
_WHICH_OF = _compiled(
    r"\A(?:which|welche[rs]|quale|cuál|lequel|laquelle) (?:of|one|is|was|von|der|ist|di|de|es)\b"
)
_COMPARED = _compiled(
    rf"\A(?:{wording.ASKING}) ?(?:'s|\S+)? (?:\S+ )?(?:[^\W\d_]{{2,}}er|more|less|first|last)\b.* or "
)
_BARE = _compiled(
    rf"\A(?:(?:{wording.ARTICLES})\W*)?(?:[^\W\d_]+ )??(?:{wording.FACTS}|{wording.SUPERLATIVE})(?!\w)"
)
_YES_OR_NO = _compiled(rf"\b(?:{wording.YES_OR_NO})\b")
_CHANGING = _compiled(rf"\b(?:{wording.CHANGING})\b")
_OFFERED = re.compile(r"(?s)\bA[).:] .{1,200}?\bB[).:] ")
_ONE = _begins(wording.ONE)


@dataclass(frozen=True, slots=True)
class _Clause:
    """A clause without what is polite in it.

    ``asks`` says that it begins like a question, ``is_question`` that it ends like one, and ``tells`` that it
    belongs to a long text, which tells of a situation in any words.
    """

    text: str
    asks: bool
    is_question: bool
    tells: bool

    @property
    def names_one(self) -> bool:
        """Whether it asks for one thing, or one set of things: who, when, where, the name of something."""
        return not _OPINION.search(self.text) and any(
            pattern.search(self.text) for pattern in (_WHO, _WHAT_IS, _WHAT_ARE, _WHICH_OF)
        )

    @property
    def is_fact(self) -> bool:
        """Whether it asks for what is known."""
        return self.names_one or (
            not _OPINION.search(self.text)
            and any(pattern.search(self.text) for pattern in (_WHICH, _COMPARED))
        )

    @property
    def is_yes_or_no(self) -> bool:
        if _ASKED_OF_YOU.search(self.text):
            return not _WORDS_OF_OPINION.search(self.text)
        return begins_like_one(self.text) and not _OPINION.search(self.text)


Clauses = Sequence[_Clause]


def shown(question: Question) -> Sign | None:
    """The sign of a question; None where its words do not show what kind of answer it asks for.

    Those of one that leans on a conversation show it only where they bring all that it takes.
    """
    if question.choices:
        return CHOICES
    clauses = _clauses(looked_at(question))
    sign = next((found for rule in _RULES if (found := rule(clauses))), None)
    return sign if sign is None or sign.given or not leans(question) else None


def leans(question: Question) -> bool:
    """Whether a question may only be understood after what was said before: it follows that, and is short.

    "And in miles?" does; so might any other one of :data:`FEW` words, in whatever language.
    """
    talked = any(turn.role != "system" and turn.content.strip() for turn in question.history)
    return talked and len(_WORD.findall(question.text)) <= FEW


def asks_to_write(question: Question) -> bool:
    """Whether a text or code is to be written, rather than something explained or translated."""
    sign, clauses = shown(question), _clauses(looked_at(question))
    return sign is not None and sign.kind is Kind.WHOLE and bool(_writing(clauses) or _code(clauses))


def computation_in(question: Question) -> str:
    """The words or symbols by which the question asks for a computation; empty if there are none."""
    clauses = _clauses(looked_at(question))
    found = _computation(clauses) or _amount(clauses)
    return found.words if found else ""


def _clauses(text: str) -> list[_Clause]:
    """The clauses that may say what is asked for: of a long text its questions and its ends."""
    found = []
    is_long = len(text) > LONG
    for sentence in filter(str.strip, _SENTENCE.split(text)):
        match = _POLITE.match(sentence)
        bare = (sentence[match.end() :] if match else sentence).strip()
        asks = bool(_ASKING.search(bare) or _INVERTED.search(bare))
        is_question = sentence.rstrip(" \"'”»)").endswith(("?", "？"))
        found.append(_Clause(bare, asks, is_question, is_long and not is_question))
    return [each for at, each in enumerate(found) if not each.tells or at in (0, len(found) - 1)]


def _sign(kind: Kind, why: str, words: str, *, given: bool = False) -> Sign:
    return Sign(kind, words, f"{why}: {words!r}", given)


def _found(
    kind: Kind, why: str, pattern: re.Pattern[str], clauses: Clauses, *, given: bool = False
) -> Sign | None:
    is_given = given and not any(_CHANGING.search(each.text) for each in clauses)
    for clause in clauses:
        if match := pattern.search(clause.text):
            return _sign(kind, why, match.group().strip(), given=is_given)
    return None


def _numbers(clauses: Clauses) -> int:
    return sum(len(_DIGITS.findall(each.text)) for each in clauses)


def _questions(clauses: Clauses) -> list[_Clause]:
    return [each for each in clauses if each.is_question or each.asks]


def _brief(clauses: Clauses) -> Sign | None:
    return _found(Kind.WHOLE, WHOLE, _BRIEF, clauses)


def _writing(clauses: Clauses) -> Sign | None:
    requests = [each for each in clauses if not each.asks]
    return (
        _found(Kind.WHOLE, WHOLE, _WRITE, requests, given=True)
        or _found(Kind.WHOLE, WHOLE, _AS_A, requests, given=True)
        or _found(Kind.WHOLE, WHOLE, _WRITTEN, requests if len(requests) == len(clauses) else (), given=True)
    )


def _translation(clauses: Clauses) -> Sign | None:
    return _found(Kind.WHOLE, WHOLE, _SAY, clauses, given=True)


def _computation(clauses: Clauses) -> Sign | None:
    return _found(Kind.SHORT, COMPUTATION, _COMPUTATION, clauses, given=True)


def _amount(clauses: Clauses) -> Sign | None:
    return _found(Kind.SHORT, COMPUTATION, _AMOUNT, _questions(clauses), given=_numbers(clauses) > 1)


def _said(clauses: Clauses) -> Sign | None:
    if _OFFERED.search(" ".join(each.text for each in clauses)):
        return CHOICES
    return _found(Kind.SHORT, ONE_ANSWER, _YES_OR_NO, clauses)


def _code(clauses: Clauses) -> Sign | None:
    return _found(Kind.WHOLE, WHOLE, _CODE, clauses)


def _list(clauses: Clauses) -> Sign | None:
    if len(_questions(clauses)) > MOST_QUESTIONS:
        return None
    open_ended = (
        each for each in clauses if not (each.tells or each.names_one or _INVERTED.search(each.text))
    )
    words = next((found for each in open_ended if (found := list_words(each.text))), "")
    return _sign(Kind.LIST, LIST, words) if words else None


def _fact(clauses: Clauses) -> Sign | None:
    """One short answer is asked for if each question asks for one."""
    asked = _questions(clauses)
    if asked and all(each.is_fact or each.is_yes_or_no for each in asked):
        return _sign(Kind.SHORT, ONE_ANSWER, _opening(asked[-1]))
    last = () if asked else clauses[-1:]
    return _found(Kind.SHORT, ONE_ANSWER, _ONE, last) or _found(Kind.SHORT, ONE_ANSWER, _BARE, last)


def _from_numbers(clauses: Clauses) -> Sign | None:
    """Numbers and a question about what is told show that something is to be reckoned."""
    asked = _questions(clauses)
    if _numbers(clauses) > 1 and asked and not any(_EXPLAIN.search(each.text) for each in asked):
        return _sign(Kind.SHORT, ONE_ANSWER, _opening(asked[-1]), given=True)
    return None


def _explanation(clauses: Clauses) -> Sign | None:
    return _found(Kind.WHOLE, WHOLE, _EXPLAIN, clauses) or _found(Kind.WHOLE, WHOLE, _DEFINED, clauses)


def _opening(clause: _Clause) -> str:
    return " ".join(clause.text.split()[:2])


_RULES: Final = (
    _brief,
    _writing,
    _translation,
    _computation,
    _amount,
    _said,
    _code,
    _list,
    _fact,
    _from_numbers,
    _explanation,
)
