"""What a comparison of two things, as the step ``compare`` writes it, says of what a question asks."""

from __future__ import annotations

import re
from dataclasses import dataclass


def _degrees(stems: str) -> str:
    return rf"(?:{'|'.join(stems.split())})(?:er|est|st)"


_UP = _degrees(
    "larg bigg great high tall long heavi fast lat farth furth hott warm wid deep rich strong bright hard"
)
_DOWN = _degrees(
    "small low tini short light slow cheap earli near clos cold cool narrow thin poor weak soft few dark"
)
_OLD, _NEW = _degrees("old"), _degrees("young new")

_COMPARES = re.compile(
    rf"\b(?:{_UP}|{_DOWN}|{_OLD}|{_NEW}|more|less|most|least|first|last"
    r"|differen(?:ce|t)|total|sum|average|mean|together|altogether|combined|same|equal|times|both)\b",
    re.IGNORECASE,
)
_MORE = re.compile(rf"\b(?:{_UP}|more|most|last|after)\b", re.IGNORECASE)
_LESS = re.compile(rf"\b(?:{_DOWN}|less|least|first|before)\b", re.IGNORECASE)
_OLDER = re.compile(rf"\b{_OLD}\b", re.IGNORECASE)
_NEWER = re.compile(rf"\b{_NEW}\b", re.IGNORECASE)
_DIFFERENCE = re.compile(
    r"\bby how\b|\bdiffer|\b(?:apart|between)\b"
    rf"|\bhow (?:much|many|long)(?: \w+)? (?:{_UP}|{_DOWN}|{_OLD}|{_NEW}|more|less|after|before)\b",
    re.IGNORECASE,
)
_VALUE = r"(?: \((?P<{}>[^()]*)\))?"
_COMPARED = re.compile(
    rf"(?P<more>.+?){_VALUE.format('much')} is (?P<word>more|later) than "
    rf"(?P<less>.+?){_VALUE.format('little')}(?:, by (?P<by>.+))?"
)
_YEAR = re.compile(r"[12]\d{3}")


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is more, or later, what is less, and how far they are apart; ``of_times``: of dates or years."""

    more: str
    less: str
    apart: str
    of_times: bool

    def asked(self, question: str) -> tuple[str, str] | None:
        """Which of the two a question asks for, and the other; None if its words point both ways.

        What is older is the one with the greater age, but with the earlier date.
        """
        rising, falling = (_NEWER, _OLDER) if self.of_times else (_OLDER, _NEWER)
        up = _MORE.search(question) or rising.search(question)
        down = _LESS.search(question) or falling.search(question)
        if up and down:
            return None
        return (self.less, self.more) if down else (self.more, self.less)


def comparison_in(result: str) -> Comparison | None:
    """The comparison that a result is; None if it is something else."""
    found = _COMPARED.fullmatch(result)
    if found is None:
        return None
    values = (found["much"] or found["more"], found["little"] or found["less"])
    of_times = found["word"] == "later" or all(map(_YEAR.fullmatch, values))
    return Comparison(found["more"], found["less"], found["by"] or "", of_times)


def asks_to_compare(question: str) -> bool:
    """Whether a question compares, or asks for something of several things together."""
    return _COMPARES.search(question) is not None


def asks_how_far_apart(question: str) -> bool:
    """Whether a question asks for the difference of two values, not for one of them."""
    return _DIFFERENCE.search(question) is not None
