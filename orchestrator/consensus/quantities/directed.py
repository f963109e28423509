"""Changes, gains and losses: a direction in words and a quantity, as "down by 5 °C" or "a 20% rise"."""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations

import re
from fractions import Fraction

from orchestrator.consensus.quantities.meaning import Meaning
from orchestrator.consensus.quantities.numbers import read_number
from orchestrator.consensus.quantities.patterns import any_of, lazily
from orchestrator.consensus.quantities.quantity import Quantity
from orchestrator.consensus.quantities.reading import read_quantity

_BEFORE = {
    "up by": "up by;up;increased by;increases by;rose by;rises by;grew by;gained by;an increase of"
    ";increase of;a rise of"
    ";rise of;a growth of;growth of;an increment of",
    "down by": "down by;down;decreased by;decreases by;fell by;falls by;dropped by;drops by;declined by"
    ";reduced by"
    ";a decrease of;decrease of;a drop of;drop of;a fall of;a reduction of;reduction of;a decline of",
    "to": "to;increased to;rose to;decreased to;fell to",
    "profit": "a profit of;profit of;a surplus of;surplus of;a gain of;gain of;gained;profit:;surplus:",
    "loss": "a loss of;loss of;a deficit of;deficit of;lost;loss:;deficit:",
    "debt": "a debt of;debt of;owes;owe;owing",
    "owed": "is owed;are owed",
    "discount": "a discount of;discount of;discounted by",
    "pH": "pH;a pH of;pH of;pH =;pH:;pH is;pH ≈",
    "times": "a factor of;factor of;by a factor of",
}
_AFTER = {
    "up by": "increase;rise;growth;higher;increment;up",
    "down by": "decrease;drop;fall;reduction;decline;lower;down",
    "more": "more;greater;larger;bigger;longer;taller;wider;deeper;heavier;faster;older;later;warmer;dearer"
    ";farther",
    "less": "less;fewer;smaller;shorter;narrower;lighter;slower;younger;earlier;cooler;colder;nearer;cheaper",
    "profit": "profit;surplus;gain",
    "loss": "loss;deficit",
    "discount": "off;discount",
    "pH": "pH",
    "times": "times;fold;×;-fold;times as much;times as many;times as large;times as big;times larger",
}
_TURNED = ("clockwise", "counterclockwise", "anticlockwise", "counter-clockwise", "anti-clockwise")
_MULTIPLES = {
    "once": 1,
    "twice": 2,
    "thrice": 3,
    "double": 2,
    "triple": 3,
    "quadruple": 4,
    "twofold": 2,
    "threefold": 3,
}
_MULTIPLES |= {"fourfold": 4, "fivefold": 5, "tenfold": 10, "doubled": 2, "tripled": 3, "quadrupled": 4}


def _spellings(table: dict[str, str]) -> dict[str, str]:
    return {word: kind for kind, words in table.items() for word in words.split(";")}


_KIND_BEFORE, _KIND_AFTER = _spellings(_BEFORE), _spellings(_AFTER)
_FIRST = frozenset(word.split()[0].casefold() for word in _KIND_BEFORE)
_LAST = tuple({word.split()[-1].casefold() for word in _KIND_AFTER})
_LEADING = lazily(
    rf"(?:by\s+)?(?P<words>{any_of(_KIND_BEFORE)})\s*(?P<what>\S.*)",
    re.I,
)
_TRAILING = lazily(
    rf"(?:an?\s+)?(?P<what>\S.*?)\s*(?P<words>{any_of(_KIND_AFTER)})",
    re.I,
)
_TURN = lazily(rf"(?P<what>.+?)\s+(?P<words>{'|'.join(_TURNED)})", re.IGNORECASE)
_TIMES = lazily(r"(?P<figure>\d[\d.,]*)\s?x", re.IGNORECASE)

BARE = frozenset({"up by", "to", "profit"})
"""The kinds that a quantity alone may mean as well."""


def read_directed(text: str) -> Meaning | None:
    """The direction and the quantity; None where either is missing."""
    folded = text.casefold()
    if folded in _MULTIPLES:
        return Meaning("times", (), (Quantity(Fraction(_MULTIPLES[folded])),))
    if match := _TIMES.fullmatch(text):
        number = read_number(match["figure"])
        whole = number is not None and number.end == len(match["figure"])
        return Meaning("times", (), (Quantity(number.value),)) if number is not None and whole else None
    if match := _TURN.fullmatch(text):
        way = "clockwise" if match["words"].casefold() == "clockwise" else "anticlockwise"
        return _made(way, match["what"])
    first = folded.split(None, 1)[0].rstrip(":=") if folded else ""
    if (first in _FIRST or folded.startswith(("by ", "a ", "an ", "ph"))) and (
        match := _LEADING.fullmatch(text)
    ):
        return _made(
            _KIND_BEFORE.get(match["words"]) or _KIND_BEFORE.get(match["words"].casefold(), ""), match["what"]
        )
    last = folded[-12:].rsplit(None, 1)[-1] if folded else ""
    if not last.endswith(_LAST):
        return None
    if match := _TRAILING.fullmatch(text):
        kind = _KIND_AFTER.get(match["words"]) or _KIND_AFTER.get(match["words"].casefold(), "")
        return (
            _made(kind, match["what"])
            if kind != "times" or match["what"].replace(".", "").isalnum()
            else None
        )
    return None


def _made(kind: str, what: str) -> Meaning | None:
    found = read_quantity(what.strip(" -"))
    if found is None or not kind or found.name:
        return None
    if kind in ("times", "pH") and found.unit:
        return None
    return Meaning(kind, (), (found,))
