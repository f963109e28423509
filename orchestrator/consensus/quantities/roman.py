"""Roman numerals where they are surely that. May import nothing."""

from __future__ import annotations

from orchestrator.consensus.quantities.patterns import lazily

_SURE = lazily(r"[IVX]{2,}|[MDCLXVI]{4,}")
_NUMERAL = lazily(
    r"(?=[MDCLXVI])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})",
)
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def read_roman(text: str, *, short: bool = False) -> int | None:
    """The number, for two letters of I, V and X or four and more: XL and CD are sizes and discs as well.

    With ``short``, as behind "World War", one letter is a numeral too.
    """
    if len(text) > 15 or not (short or _SURE.fullmatch(text)) or _NUMERAL.fullmatch(text) is None:
        return None
    values = [_VALUES[letter] for letter in text]
    following = [*values[1:], 0]
    return sum(-own if own < after else own for own, after in zip(values, following, strict=True))
