"""Numbers of the calculator: rational and exact, or rounded to 50 digits, and never beyond bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
"""Of a numerator or a denominator. A whole number beyond is refused, a fraction is rounded."""

_LITERAL = 3_000  # digits of a number that is written out, and the size of its exponent
_DIGITS = 50  # of what is not exact
_TRUSTED = Decimal("1e-40")  # relative; rounding errors stay far below it
_PLACES = 10  # shown after the point
_SCIENTIFIC = 21  # digits before the point from which a rounded number is shown with an exponent
_TINY = -15  # place of the first digit below which any number is

_CONTEXT = Context(
    prec=_DIGITS,
    Emax=9_999,
    Emin=-9_999,
    traps=[DivisionByZero, InvalidOperation, Overflow, Underflow],
)

_TOO_LARGE = f"a number on the way has more than {BITS * 3 // 10} digits"


@contextmanager
def bounded() -> Iterator[None]:
    """A context in which to compute: it sets the precision, and turns arithmetic failures into ToolError."""
    try:
        with localcontext(_CONTEXT):
            yield
    except (ZeroDivisionError, DivisionByZero) as error:
        raise ToolError("division by zero has no value") from error
    except (Overflow, Underflow) as error:
        raise ToolError("a number on the way is too large or too close to 0") from error
    except InvalidOperation as error:
        raise ToolError("an operation on the way has no value") from error


def literal(text: str) -> Fraction:
    """A number as it is written, without commas."""
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > _LITERAL or len(exponent) > 6 or abs(int(exponent or 0)) > _LITERAL:
        raise ToolError(f"the number {text[:20]}… is out of range: at most {_LITERAL} digits")
    return Fraction(text)


def add(a: Number, b: Number) -> Number:
    """Terms that cancel all but rounding errors give 0."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return _checked(a + b)
    left, right = _decimal(a), _decimal(b)
    total = left + right
    if abs(total) <= _TRUSTED * max(abs(left), abs(right)):
        return Fraction(0)
    return _settled(total)


def subtract(a: Number, b: Number) -> Number:
    """See :func:`add`."""
    return add(a, -b)


def multiply(a: Number, b: Number) -> Number:
    """The product."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return _checked(a * b)
    return _settled(_decimal(a) * _decimal(b))


def divide(a: Number, b: Number) -> Number:
    """The quotient."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return _checked(a / b)
    return _settled(_decimal(a) / _decimal(b))


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
    """Exact for whole exponents, as far as the bounds allow, and for square roots."""
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
            return _checked(base**times)
        if base.denominator == 1 and times > 0:
            raise ToolError(_TOO_LARGE)
    return _settled(_decimal(base) ** Decimal(times))


def _root(base: Number, exponent: Number) -> Number:
    if base < 0:
        raise ToolError(f"a negative number has no real power {shown(exponent)}")
    if base == 0:
        if exponent < 0:
            raise ZeroDivisionError
        return Fraction(0)
    if exponent == Fraction(1, 2):
        return sqrt(base)
    return _settled(_decimal(base) ** _decimal(exponent))


def sqrt(a: Number) -> Number:
    """The square root; exact if numerator and denominator are squares."""
    if a < 0:
        raise ToolError("a negative number has no real square root")
    if isinstance(a, Fraction):
        over, under = math.isqrt(a.numerator), math.isqrt(a.denominator)
        if over * over == a.numerator and under * under == a.denominator:
            return Fraction(over, under)
    return _settled(_decimal(a).sqrt())


def floor(a: Number) -> Number:
    """The next whole number down."""
    return _checked(Fraction(math.floor(a)))


def ceil(a: Number) -> Number:
    """The next whole number up."""
    return _checked(Fraction(math.ceil(a)))


def nearest(a: Number, digits: Number = Fraction(0)) -> Number:
    """Rounded to so many digits after the point, halves away from 0."""
    places = _whole("round", digits)
    if abs(places) > _DIGITS:
        raise ToolError(f"round takes -{_DIGITS} to {_DIGITS} digits, not {places}")
    scale = Fraction(10) ** places
    size = math.floor(abs(Fraction(a)) * scale + Fraction(1, 2)) / scale
    return _checked(size if a >= 0 else -size)


def smallest(*values: Number) -> Number:
    """The least of the values."""
    return min(values, key=_fraction)


def largest(*values: Number) -> Number:
    """The greatest of the values."""
    return max(values, key=_fraction)


def magnitude(a: Number) -> Number:
    """The number without its sign."""
    return a if a >= 0 else -a


def gcd(*values: Number) -> Number:
    """The greatest common divisor of whole numbers."""
    return Fraction(math.gcd(*(_whole("gcd", value) for value in values)))


def lcm(*values: Number) -> Number:
    """The least common multiple of whole numbers."""
    multiple = 1
    for value in values:
        multiple = math.lcm(multiple, _whole("lcm", value))
        _checked(Fraction(multiple))
    return Fraction(multiple)


def factorial(a: Number) -> Number:
    """The factorial of a whole number that is not negative."""
    n = _whole("factorial", a)
    if n < 0:
        raise ToolError(f"factorial needs a number from 0 on, not {n}")
    if n > BITS or math.lgamma(n + 1) > BITS * math.log(2):
        raise ToolError(_TOO_LARGE)
    return Fraction(math.factorial(n))


def log(a: Number, base: Number | None = None) -> Number:
    """The logarithm, natural without a base."""
    if a <= 0 or (base is not None and (base <= 0 or base == 1)):
        raise ToolError("log needs a number above 0, and a base above 0 other than 1")
    if base is None:
        return _settled(_decimal(a).ln())
    return _settled(_decimal(a).ln() / _decimal(base).ln())


def exp(a: Number) -> Number:
    """The exponential function."""
    return _settled(_decimal(a).exp())


@dataclass(frozen=True, slots=True)
class Function:
    """A function of ``least`` to ``most`` numbers (None: any number)."""

    apply: Callable[..., Number]
    least: int = 1
    most: int | None = 1


FUNCTIONS = {
    "min": Function(smallest, most=None),
    "max": Function(largest, most=None),
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


def shown(value: Number) -> str:
    """A number as text.

    Whole numbers come in full, others with 10 places after the point, or with 10 digits if they are
    below 1; what is very small, or large and not exact, has an exponent.
    """
    if isinstance(value, Fraction) and value.denominator == 1:
        return str(value.numerator)
    with localcontext(_CONTEXT) as context:
        size = _decimal(value).adjusted()  # the place of the first digit: 0 for 1 to 9
        context.prec = _DIGITS + max(0, size)
        number = _decimal(value)
        if size < _TINY or (size >= _SCIENTIFIC and isinstance(value, Decimal)):
            mantissa, _, exponent = f"{number:.{_PLACES - 1}e}".partition("e")
            return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
        places = _PLACES - min(0, size + 1)
        rounded = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        return f"{rounded:f}".rstrip("0").rstrip(".")


def _checked(value: Fraction) -> Number:
    """The value itself within the bounds; beyond them whole numbers are refused and fractions rounded."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) <= BITS:
        return value
    if value.denominator == 1:
        raise ToolError(_TOO_LARGE)
    return _decimal(value)


def _decimal(value: Number) -> Decimal:
    if isinstance(value, Decimal):
        return value
    return Decimal(value.numerator) / Decimal(value.denominator)


def _fraction(value: Number) -> Fraction:
    return Fraction(value)


def _settled(value: Decimal) -> Number:
    """A rounded value that is whole but for rounding errors, such as the square of a root, is whole."""
    if not value:
        return Fraction(0)
    whole = value.to_integral_value()
    if whole and abs(value - whole) <= _TRUSTED * abs(value) and whole.adjusted() < _SCIENTIFIC:
        return Fraction(int(whole))
    return value


def _whole(function: str, value: Number) -> int:
    if isinstance(value, Fraction) and value.denominator == 1:
        return value.numerator
    raise ToolError(f"{function} needs whole numbers, not {shown(value)}")
