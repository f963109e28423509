"""Numbers that were computed, with as many digits as people have a use for: never 66.6666666667."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from decimal import ROUND_HALF_UP, Decimal

DIGITS = 4
"""Significant digits that are shown of a number that does not end."""

PLACES = 2
"""Decimals that are shown of it where that is more."""

LONG = 6
"""Decimals and significant digits beyond which a number is taken for one that does not end."""

_DECIMAL = re.compile(r"(?<![\w.])[-−]?(?P<whole>\d+)\.(?P<decimals>\d+)(?P<power>e[-+]?\d+)?(?!\.?\w)")  # noqa: RUF001
_EXACTLY = re.compile(
    r"\b(?:decimals?|digits?|places?|significant|precis\w+|exact(?:ly)?|accura\w+"
    r"|(?:dezimal|nachkomma)\w*|ziffern?|genau|décimales?|chiffres?|exactement|cifras?|exact[ao](?:mente)?"
    r"|cifre|decimal[ei]s?|decimali|esatt\w+)\b",
    re.IGNORECASE,
)


def is_long(text: str) -> bool:
    """Whether a text has a number with more decimals than people write."""
    return any(_runs_on(found) for found in _DECIMAL.finditer(text))


def rounded(text: str) -> str:
    """A text with its long numbers rounded: 66.6666666667 as 66.67, 0.0001234567891 as 0.0001235."""
    return _DECIMAL.sub(lambda found: _short(found) if _runs_on(found) else found[0], text)


def shown_as(wordings: Sequence[str], computed: Collection[str], question: str) -> str:
    """How people are shown an answer with several ``wordings``, of which the first stands for it.

    Where that is a long number, it is a wording that rounds it, or the number rounded if it was ``computed``.
    What was written by somebody, and what a question asks for with its digits, stays as it is.
    """
    first = wordings[0]
    if not is_long(first) or _EXACTLY.search(question):
        return first
    short = next((each for each in wordings if not is_long(each)), None)
    return short or (rounded(first) if first in computed else first)


def _runs_on(found: re.Match[str]) -> bool:
    digits = (found["whole"] + found["decimals"]).lstrip("0")
    return min(len(found["decimals"]), len(digits)) > LONG


def _short(found: re.Match[str]) -> str:
    number = Decimal(found[0].removesuffix(found["power"] or "").replace("−", "-"))  # noqa: RUF001
    places = max(PLACES, DIGITS - 1 - number.adjusted())
    told = f"{number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}"
    return told.rstrip("0").rstrip(".") + (found["power"] or "")
