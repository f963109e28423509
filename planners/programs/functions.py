"""The functions that a short program may call by name, all of them pure and bounded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cmp_to_key
from types import MappingProxyType

from planners.measuring import Entry, measured
from planners.programs import days
from planners.programs.values import (
    LONGEST_LIST,
    LONGEST_TEXT,
    Fixed,
    Once,
    Unordered,
    Value,
    as_function,
    as_key,
    as_list,
    as_number,
    as_text,
    equal,
    hashed,
    in_text,
    order,
    truth,
)
from workers.errors import ToolError
from workers.showing import show as shortened
from workers.tools.arithmetic import add, divide, floor_divide, modulo, multiply, power, subtract
from workers.tools.functions import FUNCTIONS as OF_NUMBERS
from workers.tools.functions import total
from workers.tools.numbers import checked, literal, whole

MODULES = frozenset(("math", "datetime", "date", "calendar", "statistics", "fractions", "decimal"))
"""Modules, and classes in them, whose functions are there without them: ``math.sqrt`` is ``sqrt``."""

_LONGEST_UNIT = 40
_MOST_PLACES = 50
_NOTHING = object()


# -- lists ----------------------------------------------------------------------------------------


def _items(values: tuple[Value, ...]) -> list[Value]:
    """The arguments of a function that takes a list, or the items of one."""
    one = len(values) == 1 and isinstance(values[0], list | dict | str)
    items = [*as_list(values[0], letters=True)] if one else [*values]
    if not items:
        raise ToolError("an empty list has no such value")
    return items


def _ranks(items: list[Value], key: Value) -> list[Value]:
    """What the items are ordered by."""
    return items if key is None else [as_function(key)(each) for each in items]


def _sorted(values: Value, key: Value = None, reverse: Value = False) -> list[Value]:
    items = [*as_list(values, letters=True)]
    ranks = _ranks(items, key)
    ranked = [*zip(ranks, items, strict=True)]
    by_rank = cmp_to_key(_by_rank)
    return [item for _, item in sorted(ranked, key=by_rank, reverse=truth(reverse))]


def _by_rank(a: tuple[Value, Value], b: tuple[Value, Value]) -> int:
    return order(a[0], b[0])


def _extreme(sign: int) -> Callable[..., Value]:
    def extreme(*values: Value, key: Value = None, default: object = _NOTHING) -> Value:
        if default is not _NOTHING and values == ([],):
            return default  # type: ignore[return-value]
        items = _items(values)
        ranks = _ranks(items, key)
        best = 0
        for place in range(1, len(items)):
            if sign * order(ranks[place], ranks[best]) > 0:
                best = place
        return items[best]

    return extreme


def _total(*values: Value, start: Value = Fraction(0)) -> Value:
    listed = bool(values) and isinstance(values[0], list | dict)
    items = as_list(values[0]) if listed else [*values]
    begun = values[1] if listed and len(values) == 2 else start
    return total(as_number(begun), *map(as_number, items))


def _length(value: Value) -> Value:
    if isinstance(value, Once):
        raise ToolError("what is gone through once has no length")
    return Fraction(len(value) if isinstance(value, str | dict) else len(as_list(value)))


def _count(value: Value, item: Value) -> Value:
    if isinstance(value, str):
        return Fraction(value.casefold().count(as_text(item).casefold()) if item else 0)
    return Fraction(sum(equal(each, item) for each in as_list(value)))


def _range(*values: Value) -> Value:
    bounds = [whole("range", as_number(each)) for each in values]
    if not 1 <= len(bounds) <= 3 or (len(bounds) == 3 and not bounds[2]):
        raise ToolError("range takes one to three whole numbers, and a step other than 0")
    numbers = range(*bounds)
    if any(abs(each) > 10**18 for each in bounds) or len(numbers) > LONGEST_LIST:
        raise ToolError(f"a list holds at most {LONGEST_LIST:,} values")
    return [Fraction(each) for each in numbers]


def _unique(values: Value = "") -> Value:
    found: dict[object, Value] = {}
    for each in as_list(values, letters=True):
        found.setdefault(hashed(each), each)
    numbers = [each for each in found.values() if isinstance(each, bool | Fraction)]
    # Equal numbers have equal hashes, so that these come in the order that Python has them in.
    return Unordered({*numbers} if len(numbers) == len(found) else found.values())


def _enumerated(values: Value, start: Value = Fraction(0)) -> Value:
    begun = whole("enumerate", as_number(start))
    return Once(Fixed((Fraction(at), each)) for at, each in enumerate(as_list(values, letters=True), begun))


def _zipped(*values: Value) -> Value:
    return Once(
        Fixed(each) for each in zip(*(as_list(value, letters=True) for value in values), strict=False)
    )


def _mapped(function: Value, *values: Value) -> Value:
    lists = [as_list(value, letters=True) for value in values]
    return Once(as_function(function)(*each) for each in zip(*lists, strict=False))


def _filtered(function: Value, values: Value) -> Value:
    kept = truth if function is None else as_function(function)
    return Once(each for each in as_list(values, letters=True) if truth(kept(each)))


def _keyed(values: Value = None) -> Value:
    if isinstance(values, dict):
        return dict(values)
    pairs = [] if values is None else [as_list(each) for each in as_list(values)]
    if any(len(pair) != 2 for pair in pairs):
        raise ToolError("a dictionary is made of pairs of a key and a value")
    return {as_key(key): each for key, each in pairs}


# -- numbers and texts ----------------------------------------------------------------------------


def _number(value: Value = Fraction(0)) -> Value:
    if isinstance(value, str):
        try:
            return checked(literal(value.strip().replace("_", "")))
        except ValueError:
            raise ToolError(f"{shortened(value)} is no number") from None
    return as_number(value)


def _truncated(value: Value = Fraction(0)) -> Value:
    number = as_number(_number(value))
    if isinstance(value, str) and number != int(number):
        raise ToolError(f"{shortened(value)} is no whole number")
    return checked(Fraction(math.trunc(number)))


def _rounded(value: Value, ndigits: Value = Fraction(0)) -> Value:
    """Halves go to the even digit where Python holds them exactly, and away from 0 among other decimals."""
    number, places = as_number(value), as_number(ndigits or Fraction(0))
    is_binary = isinstance(number, Fraction) and not number.denominator & (number.denominator - 1)
    if is_binary and abs(digits := whole("round", places)) <= _MOST_PLACES:
        return checked(Fraction(round(number, digits)))  # type: ignore[call-overload]
    return OF_NUMBERS["round"].apply(number, places)


def _of_numbers(name: str) -> Callable[..., Value]:
    function = OF_NUMBERS[name]

    def apply(*values: Value) -> Value:
        numbers = [*map(as_number, _items(values) if function.most is None else values)]
        if not function.least <= len(numbers) <= (function.most or LONGEST_LIST):
            raise ToolError(f"{name} does not take {len(numbers)} numbers")
        return function.apply(*numbers)

    return apply


def _pairwise(function: Callable[..., Value]) -> Callable[..., Value]:
    return lambda a, b: function(as_number(a), as_number(b))


def _median(*values: Value) -> Value:
    ordered = [as_number(each) for each in _sorted(_items(values))]
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return divide(add(ordered[middle - 1], ordered[middle]), Fraction(2))


def _chosen(n: Value, k: Value) -> Value:
    several, of = whole("comb", as_number(n)), whole("comb", as_number(k))
    if not 0 <= several <= 3_000:
        raise ToolError("comb takes whole numbers of at most 3,000")
    return checked(Fraction(math.comb(several, max(of, 0))))


def _product(*values: Value) -> Value:
    product: Value = Fraction(1)
    for each in _items(values):
        product = multiply(as_number(product), as_number(each))
    return product


def made(found: str) -> str:
    """A text that was made. Raises ToolError if it is too long."""
    if len(found) > LONGEST_TEXT:
        raise ToolError(f"a text has at most {LONGEST_TEXT} characters")
    return found


def _in_base(sign: str) -> Callable[..., Value]:
    def digits(value: Value) -> Value:
        return made(format(whole("a whole number", as_number(value)), f"#{sign}"))

    return digits


def _code(letter: Value) -> Value:
    if len(as_text(letter)) != 1:
        raise ToolError("ord takes a text of one letter")
    return Fraction(ord(as_text(letter)))


def _letter(code: Value) -> Value:
    number = whole("chr", as_number(code))
    if not 32 <= number < 0xD800:
        raise ToolError("there is no such letter")
    return chr(number)


# -- units ----------------------------------------------------------------------------------------


def _convert(value: Value, unit: Value, into: Value) -> Value:
    """A number of one unit in another."""
    names = [as_text(unit), as_text(into)]
    if any(len(name) > _LONGEST_UNIT or any(char.isdigit() for char in name) for name in names):
        raise ToolError(f"these are no units: {', '.join(map(shortened, names))}")
    one, other = measured([Entry("", f"1 {name}") for name in names])
    if not (one.value.kind and other.value.kind):
        raise ToolError(f"these are no units: {', '.join(map(shortened, names))}")
    offsets = [each.size[0] - each.scale for each in (one, other)]
    amount = add(multiply(as_number(value), one.scale), offsets[0])
    return divide(subtract(amount, offsets[1]), other.scale)


FUNCTIONS: Mapping[str, Callable[..., Value]] = MappingProxyType(
    {
        **{name: _of_numbers(name) for name in OF_NUMBERS},
        "min": _extreme(-1),
        "max": _extreme(1),
        "round": _rounded,
        "pow": _pairwise(power),
        "divmod": lambda a, b: Fixed((_pairwise(floor_divide)(a, b), _pairwise(modulo)(a, b))),
        "Fraction": lambda a, b=Fraction(1): divide(as_number(_number(a)), as_number(b)),
        "Decimal": _number,
        "isqrt": lambda value: _truncated(OF_NUMBERS["sqrt"].apply(as_number(value))),
        "comb": _chosen,
        "prod": _product,
        "median": _median,
        "sum": _total,
        "sorted": _sorted,
        "reversed": lambda values: Once(reversed(as_list(values, letters=True))),
        "enumerate": _enumerated,
        "zip": _zipped,
        "map": _mapped,
        "filter": _filtered,
        "len": _length,
        "count": _count,
        "range": _range,
        "list": lambda value="": [*as_list(value, letters=True)],
        "tuple": lambda value="": Fixed(as_list(value, letters=True)),
        "set": _unique,
        "dict": _keyed,
        "any": lambda values: any(map(truth, as_list(values))),
        "all": lambda values: all(map(truth, as_list(values))),
        "bool": truth,
        "int": _truncated,
        "float": _number,
        "str": lambda value="": made(in_text(value)),
        "ord": _code,
        "bin": _in_base("b"),
        "oct": _in_base("o"),
        "hex": _in_base("x"),
        "chr": _letter,
        "date": days.day,
        "datetime": days.moment,
        "timedelta": days.span,
        "strptime": days.parsed,
        "fromisoformat": days.from_iso,
        "weekday": days.weekday,
        "monthrange": days.days_of_month,
        "isleap": days.leap,
        "clock": days.clock,
        "convert": _convert,
    }
)
"""The functions that a program may call, by name."""
