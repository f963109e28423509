"""What the operators of a short program do with values, and its indices with lists and texts."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from fractions import Fraction

from planners.programs.days import moved
from planners.programs.functions import made
from planners.programs.values import (
    LONGEST_LIST,
    LONGEST_TEXT,
    Once,
    Unordered,
    Value,
    as_key,
    as_list,
    as_number,
    as_text,
    equal,
    order,
    seconds_of,
)
from workers.errors import ToolError
from workers.tools.arithmetic import add, divide, floor_divide, modulo, multiply, power, subtract
from workers.tools.numbers import Number, whole

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: add,
    ast.Sub: subtract,
    ast.Mult: multiply,
    ast.Div: divide,
    ast.FloorDiv: floor_divide,
    ast.Mod: modulo,
    ast.Pow: power,
}
_ORDERS: Mapping[type[ast.cmpop], Callable[[int, int], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def combined(operation: ast.operator, left: Value, right: Value) -> Value:
    """What an operation with two operands comes to.

    Raises:
        ToolError: there is no such operation on these values.
    """
    match left, operation, right:
        case date(), ast.Sub(), date():
            return left - right if type(left) is type(right) else _days_between(left, right)
        case date(), ast.Add() | ast.Sub(), _:
            span = right if isinstance(right, timedelta) else as_number(right)
            return moved(left, span if isinstance(operation, ast.Add) else -span)
        case _, ast.Add(), date():
            return moved(right, left)
        case timedelta(), ast.Add(), timedelta():
            return left + right
        case timedelta(), ast.Sub(), timedelta():
            return left - right
        case timedelta(), ast.Div(), timedelta():
            return divide(seconds_of(left), seconds_of(right))
        case timedelta(), ast.FloorDiv(), timedelta():
            return floor_divide(seconds_of(left), seconds_of(right))
        case timedelta(), ast.Mult() | ast.Div(), Fraction() if left.seconds or left.microseconds:
            return _span(_ARITHMETIC[type(operation)](seconds_of(left), right))
        case list(), ast.Add(), list() if type(left) is type(right) and not isinstance(
            left, Unordered | Once
        ):
            return type(left)([*left, *right])
        case str(), ast.Add(), str():
            return made(left + right)
        case list() | str(), ast.Mult(), Fraction() if not isinstance(left, Unordered | Once):
            return _repeated(left, whole("a repetition", right))
    function = _ARITHMETIC.get(type(operation))
    if function is None:
        raise ToolError(f"there is no {type(operation).__name__} in a program")
    return function(as_number(left), as_number(right))


def _days_between(left: date, right: date) -> Value:
    return Fraction(left.toordinal() - right.toordinal())


def _span(seconds: Number) -> Value:
    try:
        return timedelta(seconds=float(seconds))
    except OverflowError:
        raise ToolError("there is no such span of time") from None


def _repeated(what: list[Value] | str, times: int) -> Value:
    most = LONGEST_TEXT if isinstance(what, str) else LONGEST_LIST
    if len(what) * times > most:
        raise ToolError(f"what is repeated has more than {most:,} parts")
    return type(what)(what * times)


def holds(sign: ast.cmpop, left: Value, right: Value) -> bool:
    """Whether a comparison holds.

    Raises:
        ToolError: the two cannot be compared so.
    """
    match sign:
        case ast.Eq() | ast.NotEq():
            return equal(left, right) is isinstance(sign, ast.Eq)
        case ast.Is() | ast.IsNot() if right is None or isinstance(right, bool):
            return (left is right) is isinstance(sign, ast.Is)
        case ast.In() | ast.NotIn():
            inside = (
                as_text(left) in right
                if isinstance(right, str)
                else any(equal(left, each) for each in as_list(right))
            )
            return inside is isinstance(sign, ast.In)
        case _ if type(sign) in _ORDERS:
            return _ORDERS[type(sign)](order(left, right), 0)
    raise ToolError(f"there is no {type(sign).__name__} in a program")


# -- items ----------------------------------------------------------------------------------------


def item(collection: Value, at: Value) -> Value:
    """The item of a list, text or dictionary. Raises ToolError if there is none."""
    if isinstance(collection, dict):
        if (key := as_key(at)) not in collection:
            raise ToolError("the dictionary has no such key")
        return collection[key]
    items = collection if isinstance(collection, str) else _with_places(collection)
    return items[_place(items, at)]


def put(collection: Value, at: Value, value: Value) -> None:
    """Set an item of a list or dictionary. Raises ToolError if that cannot be."""
    match collection:
        case dict():
            if len(collection) >= LONGEST_LIST:
                raise ToolError(f"a dictionary holds at most {LONGEST_LIST:,} values")
            collection[as_key(at)] = value
        case list() if type(collection) is list:
            collection[_place(collection, at)] = value
        case _:
            raise ToolError("only lists and dictionaries have items that can be set")


def sliced(value: Value, bounds: list[int | None]) -> Value:
    """A slice of a text or list; ``bounds`` are its start, stop and step."""
    if bounds[2] == 0:
        raise ToolError("the step of a slice is not 0")
    part = slice(*bounds)
    return value[part] if isinstance(value, str) else type(items := _with_places(value))(items[part])


def _with_places(value: Value) -> list[Value]:
    if isinstance(value, Unordered | Once):
        raise ToolError("the values of a set, or of what is gone through once, have no places")
    return as_list(value)


def _place(items: str | list[Value], at: Value) -> int:
    place = whole("an index", as_number(at))
    if not -len(items) <= place < len(items):
        raise ToolError(f"there is no item {place if abs(place) <= LONGEST_LIST else 'of that number'}")
    return place
