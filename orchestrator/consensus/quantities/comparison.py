"""Whether two meanings are the same, also where they have different shapes: ``[3, 5]`` and "3 to 5"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from orchestrator.consensus.quantities.clocks import seconds_of
from orchestrator.consensus.quantities.directed import BARE
from orchestrator.consensus.quantities.intervals import as_reals
from orchestrator.consensus.quantities.meaning import Meaning
from orchestrator.consensus.quantities.quantity import Quantity, same_quantity


def same_meaning(a: Meaning, b: Meaning) -> bool:
    """Whether both say the same: shape, key, and quantities, whatever the units."""
    if a.name and b.name and a.name != b.name:
        return False
    if a.kind != b.kind:
        return _same_in_two_shapes(a, b)
    if a.key != b.key or len(a.parts) != len(b.parts):
        return False
    if a.kind in ("set", "alternatives"):
        return _same_in_any_order(a.parts, b.parts)
    return _same_in_order(a.parts, b.parts)


def means_quantity(meaning: Meaning, quantity: Quantity) -> bool:
    """Whether a meaning comes to one quantity: a ratio of 5:3 and 5/3, "up by 5 kg" and 5 kg."""
    if meaning.kind == "ratio" and meaning.name:
        return meaning.parts[0].value >= 0 and same_quantity(Quantity(_chance(meaning)), quantity)
    if meaning.kind == "ratio":
        bare = not quantity.unit and quantity.value.denominator != 1
        return bare and same_quantity(meaning.parts[0], quantity)
    if meaning.kind in BARE:
        return same_quantity(meaning.parts[0], quantity)
    if meaning.kind == "down by":
        part = meaning.parts[0]
        return quantity.value < 0 and same_quantity(replace(part, value=-part.value), quantity)
    if meaning.kind == "literal":
        digits = str(meaning.key[1])
        return digits.isdigit() and not quantity.unit and quantity.value == int(digits)
    if meaning.kind == "label":
        return (
            str(meaning.key[0]).isdigit() and not quantity.unit and quantity.value == int(str(meaning.key[0]))
        )
    if meaning.kind == "version":
        return _as_written(str(meaning.key[0]), quantity)
    if meaning.kind == "clock of either half":
        seconds = seconds_of((meaning.kind, meaning.key))
        return seconds is not None and quantity.unit == "s" and quantity.amount == seconds
    return False


def _chance(odds: Meaning) -> Fraction:
    """The probability that odds in favor of something, or against it, come to."""
    ratio = odds.parts[0].value
    return (ratio if odds.name == "in favor" else 1) / (1 + ratio)


def _as_written(figures: str, quantity: Quantity) -> bool:
    """Whether a version has the figures of a number, of which 3.10 is not 3.1."""
    decimals = figures.partition(".")[2]
    if quantity.unit or not decimals.isdigit() or quantity.value != Fraction(figures):
        return False
    return not decimals.strip("0") or quantity.rounding == Fraction(1, 2 * 10 ** len(decimals))


def _same_in_two_shapes(a: Meaning, b: Meaning) -> bool:
    compare = _SHAPES.get((a.kind, b.kind))
    if compare is not None:
        return compare(a, b)
    compare = _SHAPES.get((b.kind, a.kind))
    if compare is not None:
        return compare(b, a)
    reals = as_reals(a)
    return reals is not None and reals == as_reals(b)


def _members(a: Meaning, b: Meaning) -> bool:
    return _same_in_any_order(a.parts, b.parts)


def _both_signs(several: Meaning, tolerance: Meaning) -> bool:
    ends = _ends(tolerance)
    return ends is not None and not ends[0].unit and _same_in_any_order(several.parts, ends)


def _tuple(values: Meaning, bracketed: Meaning) -> bool:
    """x = 2, y = 3 and (2, 3): only of letters that follow one another."""
    names = [str(name) for name in values.key]
    following = all(len(name) == 1 for name in names) and all(
        ord(other) - ord(one) == 1 for one, other in pairwise(names)
    )
    return following and bracketed.key == ("(", ")") and _same_in_order(values.parts, bracketed.parts)


def _vector(matrix: Meaning, bracketed: Meaning) -> bool:
    return (
        1 in matrix.key
        and bracketed.key in (("(", ")"), ("[", "]"))
        and _same_in_order(matrix.parts, bracketed.parts)
    )


def _ends(meaning: Meaning) -> tuple[Quantity, Quantity] | None:
    """The ends of what lies between two quantities, both included."""
    if len(meaning.parts) != 2:
        return None
    one, other = meaning.parts
    if meaning.kind == "tolerance":
        if one.scale != other.scale or one.offset or (one.unit != other.unit):
            return None
        zero = Fraction(0)
        low, high = one.value - other.value, one.value + other.value
        return replace(one, value=low, rounding=zero), replace(one, value=high, rounding=zero)
    return (one, other) if meaning.kind == "range" or meaning.key == ("[", "]") else None


def _between(a: Meaning, b: Meaning) -> bool:
    left, right = _ends(a), _ends(b)
    return left is not None and right is not None and _same_in_order(left, right)


def _spelt(literal: Meaning, substance: Meaning) -> bool:
    return literal.key == (16, str(substance.key[0]).casefold())


_SHAPES: dict[tuple[str, str], Callable[[Meaning, Meaning], bool]] = {
    ("set", "alternatives"): _members,
    ("up by", "more"): _members,
    ("down by", "less"): _members,
    ("set", "list"): _members,
    ("set", "tolerance"): _both_signs,
    ("alternatives", "tolerance"): _both_signs,
    ("literal", "substance"): _spelt,
    ("values", "bracketed"): _tuple,
    ("matrix", "bracketed"): _vector,
    ("range", "bracketed"): _between,
    ("range", "tolerance"): _between,
    ("tolerance", "bracketed"): _between,
}


def _same_in_order(left: tuple[Quantity, ...], right: tuple[Quantity, ...]) -> bool:
    return len(left) == len(right) and all(
        same_quantity(one, other) for one, other in zip(left, right, strict=True)
    )


def _same_in_any_order(left: tuple[Quantity, ...], right: tuple[Quantity, ...]) -> bool:
    rest = list(right)
    for one in left:
        found = next((other for other in rest if same_quantity(one, other)), None)
        if found is None:
            return False
        rest.remove(found)
    return not rest
