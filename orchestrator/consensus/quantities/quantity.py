"""A quantity: a number with its unit, and whether two of them are the same answer."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass, field, replace
from fractions import Fraction

from orchestrator.consensus.quantities.unit_tables import AMBIGUOUS, BASES, SHARE

HALF = Fraction(1, 2)
HUNDREDTH = Fraction(1, 200)
"""Half a unit of the last place of whole numbers, and of those with two decimals."""

TWO, THREE, SEVEN = 20, 200, 2_000_000
"""How often half a unit of its last place goes into a number of so many significant digits, at least."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as written, its unit's dimension, and the unit's scale and offset to the base units.

    ``value * scale + offset`` is the amount in base units. ``unit`` is empty for a bare number, the dimension
    for a known unit, and the word itself for an unknown one. ``rounding`` is half a unit of the last decimal
    written; 0 for whole numbers and fractions. ``of`` is what the number is a share or a measure of, if that
    is said: half of the pizza, 5 m wide. ``letter`` says that the unit is one letter without a space, which
    may be a variable: 2m. ``times`` is a root or π that the number is a multiple of, and ``name`` the
    variable that has this value, where the text names one.
    """

    value: Fraction
    unit: str = ""
    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    rounding: Fraction = Fraction(0)
    of: str = ""
    letter: bool = False
    times: str = ""
    name: str = ""
    size: float = field(init=False, compare=False)
    amount: Fraction = field(init=False, compare=False)

    def __post_init__(self) -> None:
        # Both are used in every comparison, and exact arithmetic is slow.
        amount = self.value if self.scale == 1 else self.value * self.scale
        object.__setattr__(self, "amount", amount + self.offset if self.offset else amount)
        try:
            size = float(self.amount)
        except OverflowError:
            size = math.inf
        object.__setattr__(self, "size", size)


def same_quantity(a: Quantity, b: Quantity) -> bool:
    """Whether two quantities are the same answer.

    Equal amounts are equal in any unit of one dimension. A number without a unit equals the same number
    with one ("72" and "72 clips"), and a percentage equals its share ("50%" and "0.5"). A decimal fraction
    with at least three digits equals the exact value that it rounds, and a number with at least three digits,
    or two decimals, the much longer one that it rounds: 66.67 and 66.6666666667.
    """
    if _asides_differ(a, b):
        return False
    if a.times != b.times:
        return False
    if a.unit == b.unit:
        return abs(a.size - b.size) <= 0.05 * abs(a.size) and _close(a, a.amount, b, b.amount)
    if a.unit and b.unit and (a.unit in AMBIGUOUS or b.unit in AMBIGUOUS):
        readings = [(one, other) for one in _readings(a) for other in _readings(b)]
        if len(readings) > 1 or readings[0] != (a, b):
            return any(one.unit == other.unit and same_quantity(one, other) for one, other in readings)
    if a.unit and b.unit:
        return _counts(a.unit, b.unit) and _close(a, a.value, b, b.value)
    if {a.unit, b.unit} == {"", "°"} and a.times:
        bare, angle = (b, a) if a.unit else (a, b)
        return bare.amount in (angle.amount, angle.amount / 180)
    if not (a.letter or b.letter) and _close(a, a.value, b, b.value, units=False):
        return SHARE not in (a.unit, b.unit) or abs(a.value) > 1  # 0.25% is no 0.25
    return SHARE in (a.unit, b.unit) and _close(a, a.amount, b, b.amount)


def contrary(a: Quantity | None, b: Quantity | None) -> bool:
    """Whether no quantity can be both, however it is written: the units differ, or the values in one unit."""
    if a is None or b is None:
        return False
    if _asides_differ(a, b):
        return True
    if bool(a.unit) != bool(b.unit):
        return False
    if a.unit != b.unit:
        return not same_quantity(a, b)
    if a.times != b.times:
        return True
    apart = abs(a.amount - b.amount)
    return apart > a.rounding * a.scale + b.rounding * b.scale and not _rounds(a, b, apart)


def _asides_differ(a: Quantity, b: Quantity) -> bool:
    """Whether both say what they are a share, a measure or the value of, and not the same."""
    return bool((a.of and b.of and a.of != b.of) or (a.name and b.name and a.name != b.name))


def _readings(quantity: Quantity) -> tuple[Quantity, ...]:
    """What a quantity may be whose unit is one letter of several meanings: 20 C."""
    units = AMBIGUOUS.get(quantity.unit, ())
    if not units:
        return (quantity,)
    return tuple(
        replace(quantity, unit=unit.dimension, scale=unit.scale, offset=unit.offset) for unit in units
    )


def _counts(a: str, b: str) -> bool:
    """Whether one name of what is counted is the other with an adjective ("red marble" and "marble").

    Two names in different alphabets cannot be compared, so they count as the same.
    """
    words, others = a.split(), b.split()
    if a.isascii() != b.isascii() and not (_known(a) or _known(b)):
        return not any("LATIN" in unicodedata.name(char, "") for char in (b if a.isascii() else a))
    return words[-1] == others[-1] and (len(words) == 1 or len(others) == 1)


def _known(unit: str) -> bool:
    return "·" in unit or "^" in unit or unit in BASES


def _close(a: Quantity, left: Fraction, b: Quantity, right: Fraction, *, units: bool = True) -> bool:
    """Whether two amounts are equal, or one is the other correctly rounded to at least three digits."""
    if left == right:
        return True
    apart = abs(left - right)
    if bool(a.rounding) == bool(b.rounding):
        return _rounds(a, b, apart, units=units)
    rounded = a if a.rounding else b
    exact = right if a.rounding else left
    scale = rounded.scale if units else Fraction(1)
    is_rounded = exact.denominator != 1 and _has_digits(rounded, THREE) and apart <= rounded.rounding * scale
    return is_rounded or _rounds(a, b, apart, units=units)


def _rounds(a: Quantity, b: Quantity, apart: Fraction, *, units: bool = True) -> bool:
    """Whether one of two amounts that are so far apart is the other, which is much longer, rounded.

    The longer one has decimals and more than six digits, as what is computed has. Of two short ones, such as
    3.1 and 3.14, none stands for the other.
    """
    long, short = (a, b) if _digits(a) > _digits(b) else (b, a)
    if not long.rounding or not _has_digits(long, SEVEN):
        return False
    if short.rounding:
        told = _has_digits(short, THREE) or (short.rounding == HUNDREDTH and _has_digits(short, TWO))
        rounding = short.rounding
    else:
        told = short.value.denominator == 1 and len(str(abs(short.value.numerator)).rstrip("0")) > 2
        rounding = HALF
    return told and apart <= rounding * (short.scale if units else 1)


def _digits(quantity: Quantity) -> Fraction:
    """How long a number is: what grows with its digits."""
    return abs(quantity.value) / (quantity.rounding or HALF)


def _has_digits(quantity: Quantity, least: int) -> bool:
    """Whether a number with decimals has so many significant digits."""
    return abs(quantity.value) >= least * quantity.rounding
