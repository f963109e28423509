"""The functions that the calculator knows by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

from workers.errors import ToolError
from workers.tools.arithmetic import add, divide, floor, sqrt
from workers.tools.numbers import BITS, DIGITS, TOO_LARGE, Number, checked, decimal, settled, whole


def ceil(a: Number) -> Number:
    """The next whole number up."""
    return checked(Fraction(math.ceil(a)))


def nearest(a: Number, digits: Number = Fraction(0)) -> Number:
    """The number rounded to ``digits`` digits after the point, halves away from 0."""
    places = whole("round", digits)
    if abs(places) > DIGITS:
        raise ToolError(f"round takes -{DIGITS} to {DIGITS} digits, not {places}")
    scale = Fraction(10) ** places
    size = math.floor(abs(Fraction(a)) * scale + Fraction(1, 2)) / scale
    return checked(size if a >= 0 else -size)


def smallest(*values: Number) -> Number:
    """The least of the values."""
    return min(values, key=_fraction)


def largest(*values: Number) -> Number:
    """The greatest of the values."""
    return max(values, key=_fraction)


def total(*values: Number) -> Number:
    """The sum of the values."""
    return reduce(add, values)


def mean(*values: Number) -> Number:
    """The arithmetic mean of the values."""
    return divide(total(*values), Fraction(len(values)))


def magnitude(a: Number) -> Number:
    """The number without its sign."""
    return a if a >= 0 else -a


def gcd(*values: Number) -> Number:
    """The greatest common divisor of whole numbers."""
    return Fraction(math.gcd(*(whole("gcd", value) for value in values)))


def lcm(*values: Number) -> Number:
    """The least common multiple of whole numbers."""
    multiple = 1
    for value in values:
        multiple = math.lcm(multiple, whole("lcm", value))
        checked(Fraction(multiple))
    return Fraction(multiple)


def factorial(a: Number) -> Number:
    """The factorial of a whole number that is not negative."""
    n = whole("factorial", a)
    if n < 0:
        raise ToolError(f"factorial needs a number of at least 0, not {n}")
    if n > BITS or math.lgamma(n + 1) > BITS * math.log(2):
        raise ToolError(TOO_LARGE)
    return Fraction(math.factorial(n))


def log(a: Number, base: Number | None = None) -> Number:
    """The logarithm, natural without a base."""
    if a <= 0 or (base is not None and (base <= 0 or base == 1)):
        raise ToolError("log needs a number above 0, and a base above 0 other than 1")
    if base is None:
        return settled(decimal(a).ln())
    return settled(decimal(a).ln() / decimal(base).ln())


def exp(a: Number) -> Number:
    """The exponential function."""
    return settled(decimal(a).exp())


@dataclass(frozen=True, slots=True)
class Function:
    """A function of ``least`` to ``most`` numbers (None: any number)."""

    apply: Callable[..., Number]
    least: int = 1
    most: int | None = 1


FUNCTIONS = {
    "min": Function(smallest, most=None),
    "max": Function(largest, most=None),
    "sum": Function(total, most=None),
    "mean": Function(mean, most=None),
    "abs": Function(magnitude),
    "round": Function(nearest, most=2),
    "sqrt": Function(sqrt),
    "floor": Function(floor),
    "ceil": Function(ceil),
    "gcd": Function(gcd, most=None),
    "lcm": Function(lcm, most=None),
    "factorial": Function(factorial),
    "log": Function(log, most=2),
    "exp": Function(exp),
}


def _fraction(value: Number) -> Fraction:
    return Fraction(value)
