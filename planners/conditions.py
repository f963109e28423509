"""Conditions on values, as small models write them: "> 100", "at least 5 km", "not more than 3"."""

from __future__ import annotations

import re
from collections.abc import Mapping

from workers.errors import ToolError
from workers.showing import show

LONGEST_CONDITION = 500
"""Characters of a condition."""

SIGNS = {">": (1,), ">=": (0, 1), "<": (-1,), "<=": (-1, 0), "=": (0,), "!=": (-1, 1)}
"""What the difference between a value and the limit may be: below 0, 0, or above 0."""

_RANGE = re.compile(r"(?:is\s+)?between\s+(?P<low>\S.*?)\s+and\s+(?P<high>\S.*)", re.I | re.S)
_WORDS = (
    (">=", r">=|=>|≥", r"at\s+least|min(?:imum)?|since|from"),
    ("<=", r"<=|=<|≤", r"at\s+most|max(?:imum)?|up\s+to|until"),
    (">", r">", r"above|over|after|beyond|exceed(?:s|ing)?|(?:more|greater|larger|bigger|higher|longer|later"
                r"|taller|heavier|faster|warmer|hotter|farther)(?:\s+than)?"),
    ("<", r"<", r"below|under|before|(?:less|fewer|smaller|lower|shorter|earlier|lighter|slower|colder"
                r"|cheaper|younger|nearer)(?:\s+than)?"),
    ("=", r"==?", r"equals?(?:\s+to)?|exactly"),
    ("!=", r"!=|≠", r"not|different\s+from"),
    ("=", r"==?", r"is"),
)  # fmt: skip
_CONDITIONS = tuple(
    (
        sign,
        re.compile(
            rf"[\s\"'(]*(?:(?:is|are|was|of)\s+)?(?P<not>(?:not|no)\s+)?(?:{symbol}|\b(?:{words})\b)"
            r"(?P<equal>\s+or\s+equals?(?:\s+to)?\b)?\s*(?P<limit>\S.*)",
            re.IGNORECASE | re.DOTALL,
        ),
    )
    for sign, symbol, words in _WORDS
)
_OR_MORE = re.compile(
    r"(?P<limit>\S.*?)\s+(?:or|and)\s+(?:(?P<more>more|above|over|greater|larger|higher|longer|later|after)"
    r"|less|fewer|below|under|smaller|lower|shorter|earlier|before)",
    re.IGNORECASE | re.DOTALL,
)
_NEGATED = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "=": "!=", "!=": "="}
_ANOTHER = re.compile(r"[<>=≥≤≠]|\b(?:than|equals?|not|no|or)\b", re.IGNORECASE)
"""What a limit cannot have in it: it would be another condition, or the rest of the one before."""


def conditions(condition: object) -> list[tuple[str, object]]:
    """Signs and limits: of "> 100", "at least 5 km", "between 5 and 7", {"above": 100}, or [">", 100].

    Raises:
        ToolError: it is none of them.
    """
    match condition:
        case Mapping():
            return [(_sign(str(sign)), limit) for sign, limit in condition.items()]
        case [str(sign), limit]:
            return [(_sign(sign), limit)]
        case str() if len(condition) <= LONGEST_CONDITION:
            if found := _RANGE.fullmatch(condition.strip()):
                return [(">=", found["low"]), ("<=", found["high"])]
            if (found := _OR_MORE.fullmatch(condition.strip())) and not _ANOTHER.search(found["limit"]):
                return [(">=" if found["more"] else "<=", found["limit"])]
            for sign, pattern in _CONDITIONS:
                if (found := pattern.fullmatch(condition)) and not _ANOTHER.search(found["limit"]):
                    met = sign + "=" if found["equal"] and sign in ("<", ">") else sign
                    return [(_NEGATED[met] if found["not"] else met, found["limit"])]
    raise ToolError(f"{show(condition)} is no condition: give a sign and a value, such as > and a number")


def _sign(written: str) -> str:
    return conditions(f"{written.replace('_', ' ')} 0")[0][0]
