"""The parts of a question that can be seen in its words, and whether the steps of a plan are about them."""

# ruff: noqa: RUF001 (people write these characters)

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from orchestrator.runtime.messages import text_of

SAME: Final = 0.8
"""The share of words, of those in either of two texts, from which they say the same."""

LOOKED_AT: Final = 2_000
"""Characters at the end of a question, where it asks, in which its parts are looked for."""

_WORD = re.compile(r"\w+")
_NAME = r"(?:[A-Z\d][\w'’-]*(?:\s+(?:of\s+)?[A-Z\d][\w'’-]*)*|[\"“][^\"”\n]{1,60}[\"”])"
_BETWEEN = (
    r"(?:\s*,\s*(?:(?:and|or|und|oder|et|ou|y|o)\s+)?"
    r"|\s+(?:and|or|und|oder|et|ou|y|than|vs\.?|versus|als|que)\s+)"
    r"(?:(?:in|of|for|at|on|the|to|is|does|did|has)\s+){0,2}"
)
_LISTED = re.compile(rf"{_NAME}(?:{_BETWEEN}{_NAME})+")
DEGREE: Final = (
    r"(?:larg|bigg|small|great|high|low|tall|short|long|old|young|heavi|light|fast|quick|slow|cheap|earli|lat"
    r"|near|clos|farth|furth|hott|cold|warm|cool|wid|deep|rich|poor|new|strong|weak|hard|soft|few|bett|wors)"
    r"(?:er|est|st|t|e)|more|most|less|least"
)
"""Words that compare, as a pattern."""

_COMPARES = re.compile(
    rf"\b(?:{DEGREE}|than|which|who|difference|differ|total|sum|average|mean|together|altogether|combined|same"
    r"|both|all)\b",
    re.IGNORECASE,
)
NESTED: Final = re.compile(
    r"\b(?:(?<=\w )(?:(?:in|to|of|by|from|for|with|at|on) (?:which|whom|whose)|whose|that|who|where)"
    r"|(?:of|in|at) (?:the |an? )?\w+ (?:of|in|at|from)|\w+['\u2019]s \w+['\u2019]s)\b",
    re.IGNORECASE,
)
"""What shows that a thing is told by what it has to do with another."""

_ASKS = re.compile(
    r"(?:Which|What|Who|Whose|When|Where|How|Is|Are|Was|Were|Do|Does|Did|Has|Have|Can|Of|The|In|If|Give|Name|"
    r"Between|For|And|Or)\b\s*"
)


def restates(question: str, text: str) -> bool:
    """Whether a text asks the whole of a question again, with all the names and numbers in it."""
    of_question, of_text = _words(question), _words(text)
    telling = {
        word.casefold() for word in _WORD.findall(question)[1:] if word[0].isupper() or word[0].isdigit()
    }
    either = of_question | of_text
    return bool(either) and telling <= of_text and len(of_question & of_text) >= SAME * len(either)


def uncovered(question: str, arguments: Iterable[Any]) -> list[str]:
    """The names in enumerations and comparisons of a question that no argument of a step mentions."""
    mentioned = {word for argument in arguments for text in _texts(argument) for word in _words(text)}
    return [name for name in _names(question) if not _words(name) & mentioned]


def compared(question: str) -> list[str]:
    """The names between which a question asks for a comparison, or for something of all of them."""
    names = list(dict.fromkeys(_names(question)))
    return names if len(names) > 1 and _COMPARES.search(question[-LOOKED_AT:]) else []


def has_parts(question: str) -> bool:
    """Whether a question shows that one thing has to be found out for another, or several for one."""
    return bool(compared(question)) or tells_by_another(question)


def tells_by_another(question: str) -> bool:
    """Whether a question tells a thing by what it has to do with another, as in "the manager of the firm"."""
    return NESTED.search(question[-LOOKED_AT:]) is not None


def _names(question: str) -> Iterator[str]:
    for listed in _LISTED.finditer(question[-LOOKED_AT:]):
        for name in re.findall(_NAME, listed.group()):
            if stripped := _ASKS.sub("", name, count=1).strip():
                yield stripped


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(key, str):
                yield key
            yield from _texts(item)
    elif value is not None:
        yield text_of(value)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))
