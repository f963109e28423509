"""What the operators of the calculator compute."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

from workers.errors import ToolError
from workers.tools.numbers import BITS, TOO_LARGE, TRUSTED, Number, checked, decimal, settled, shown


def add(a: Number, b: Number) -> Number:
    """The sum; terms that cancel except for rounding errors give 0."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return checked(a + b)
    left, right = decimal(a), decimal(b)
    total = left + right
    if abs(total) <= TRUSTED * max(abs(left), abs(right)):
        return Fraction(0)
    return settled(total)


def subtract(a: Number, b: Number) -> Number:
    """The difference; see :func:`add`."""
    return add(a, -b)


def multiply(a: Number, b: Number) -> Number:
    """The product."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return checked(a * b)
    return settled(decimal(a) * decimal(b))


def divide(a: Number, b: Number) -> Number:
    """The quotient."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return checked(a / b)
    return settled(decimal(a) / decimal(b))


def floor_divide(a: Number, b: Number) -> Number:
    """The quotient, rounded down."""
    return floor(divide(a, b))


def modulo(a: Number, b: Number) -> Number:
    """What is left of ``a`` after :func:`floor_divide`; it has the sign of ``b``."""
    return subtract(a, multiply(b, floor_divide(a, b)))


def percent(a: Number) -> Number:
    """Hundredths."""
    return divide(a, Fraction(100))


def power(base: Number, exponent: Number) -> Number:
    """The power; exact for whole exponents, as far as the bounds allow, and for square roots."""
    if not isinstance(exponent, Fraction) or exponent.denominator != 1:
        return _root(base, exponent)
    times = exponent.numerator
    if isinstance(base, Fraction):
        if abs(base) == 1:
            return base if times % 2 else abs(base)
        if base == 0:
            return Fraction(0**times)
        bits = max(base.numerator.bit_length(), base.denominator.bit_length()) - 1
        if bits * abs(times) <= BITS:
            return checked(base**times)
        if base.denominator == 1 and times > 0:
            raise ToolError(TOO_LARGE)
    return settled(decimal(base) ** Decimal(times))


def _root(base: Number, exponent: Number) -> Number:
    if base < 0:
        raise ToolError(f"a negative number has no real power {shown(exponent)}")
    if base == 0:
        if exponent < 0:
            raise ZeroDivisionError
        return Fraction(0)
    if exponent == Fraction(1, 2):
        return sqrt(base)
    return settled(decimal(base) ** decimal(exponent))


def sqrt(a: Number) -> Number:
    """The square root; exact if numerator and denominator are squares."""
    if a < 0:
        raise ToolError("a negative number has no real square root")
    if isinstance(a, Fraction):
        over, under = math.isqrt(a.numerator), math.isqrt(a.denominator)
        if over * over == a.numerator and under * under == a.denominator:
            return Fraction(over, under)
    return settled(decimal(a).sqrt())


def floor(a: Number) -> Number:
    """The next whole number down."""
    return checked(Fraction(math.floor(a)))
