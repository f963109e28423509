"""Numbers of the calculator: rational and exact, or rounded to 50 digits, and never beyond bounds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import (
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    Underflow,
    localcontext,
)
from fractions import Fraction

from workers.errors import ToolError

Number = Fraction | Decimal
"""A Fraction is exact; a Decimal is rounded to 50 digits."""

BITS = 10_000
"""The most bits of a numerator or denominator. A larger whole number is refused, a fraction is rounded."""

DIGITS = 50
"""How many digits an inexact number has."""

TRUSTED = Decimal("1e-40")
"""A relative error; rounding errors stay far below it."""

_LITERAL = 3_000  # digits of a number that is written out, and the size of its exponent
_PLACES = 10  # digits shown after the point
_SCIENTIFIC = 21  # digits before the point from which a rounded number is shown with an exponent
_TINY = -15  # place of the first digit below which any number is shown with one

_CONTEXT = Context(
    prec=DIGITS,
    Emax=9_999,
    Emin=-9_999,
    traps=[DivisionByZero, InvalidOperation, Overflow, Underflow],
)

TOO_LARGE = f"a number in the calculation has more than {BITS * 3 // 10} digits"


@contextmanager
def bounded() -> Iterator[None]:
    """A context in which to compute: it sets the precision, and turns arithmetic failures into ToolError."""
    try:
        with localcontext(_CONTEXT):
            yield
    except (ZeroDivisionError, DivisionByZero) as error:
        raise ToolError("division by zero has no value") from error
    except (Overflow, Underflow) as error:
        raise ToolError("a number in the calculation is too large or too close to 0") from error
    except InvalidOperation as error:
        raise ToolError("an operation in the calculation has no value") from error


def literal(text: str) -> Fraction:
    """A number as it is written, without commas."""
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > _LITERAL or len(exponent) > 6 or abs(int(exponent or 0)) > _LITERAL:
        raise ToolError(f"the number {text[:20]}… is out of range: at most {_LITERAL} digits")
    return Fraction(text)


def shown(value: Number) -> str:
    """A number as text.

    Whole numbers are shown in full, others with 10 places after the point, or with 10 digits if they are
    below 1; numbers that are very small, or large and inexact, have an exponent.
    """
    if isinstance(value, Fraction) and value.denominator == 1:
        return str(value.numerator)
    with localcontext(_CONTEXT) as context:
        size = decimal(value).adjusted()  # the place of the first digit: 0 for 1 to 9
        context.prec = DIGITS + max(0, size)
        number = decimal(value)
        if size < _TINY or (size >= _SCIENTIFIC and isinstance(value, Decimal)):
            mantissa, _, exponent = f"{number:.{_PLACES - 1}e}".partition("e")
            return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
        places = _PLACES - min(0, size + 1)
        rounded = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        return f"{rounded:f}".rstrip("0").rstrip(".")


def checked(value: Fraction) -> Number:
    """The value itself within the bounds; beyond them, whole numbers are refused and fractions rounded."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) <= BITS:
        return value
    if value.denominator == 1:
        raise ToolError(TOO_LARGE)
    return decimal(value)


def decimal(value: Number) -> Decimal:
    """The number rounded to 50 digits."""
    if isinstance(value, Decimal):
        return value
    return Decimal(value.numerator) / Decimal(value.denominator)


def settled(value: Decimal) -> Number:
    """The value, or a whole number if only rounding errors separate it from one (the square of a root)."""
    if not value:
        return Fraction(0)
    whole = value.to_integral_value()
    if whole and abs(value - whole) <= TRUSTED * abs(value) and whole.adjusted() < _SCIENTIFIC:
        return Fraction(int(whole))
    return value


def whole(function: str, value: Number) -> int:
    """A whole number that a function was given."""
    if isinstance(value, Fraction) and value.denominator == 1:
        return value.numerator
    raise ToolError(f"{function} needs whole numbers, not {shown(value)}")
