"""The expressions of short programs: what each comes to, and what it costs."""

from __future__ import annotations

import ast
import calendar
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from planners.programs import methods, operations
from planners.programs.costs import Costs, ProgramError
from planners.programs.functions import FUNCTIONS, MODULES, made
from planners.programs.values import (
    LONGEST_LIST,
    LONGEST_TEXT,
    Fixed,
    Once,
    Value,
    as_function,
    as_key,
    as_list,
    as_number,
    as_text,
    truth,
)
from workers.tools.arithmetic import subtract
from workers.tools.numbers import whole

_UNBOUND: Any = object()
_COSTS = {"convert": 200, "strptime": 20}
"""Steps of functions that take longer than others."""

_NAMES: Mapping[str, Value] = {
    "pi": Decimal("3.14159265358979323846264338327950288419716939937511"),
    "e": Decimal("2.71828182845904523536028747135266249775724709369996"),
    "day_name": [*calendar.day_name],
    "month_name": [*calendar.month_name],
    "__name__": "__main__",
}


def refused(node: ast.expr | ast.stmt | ast.keyword) -> ProgramError:
    """The error for what there is not in a program."""
    return ProgramError(f"line {node.lineno}: there is no {type(node).__name__} in a program")


class Expressions(Costs):
    """One walk through a program: its names so far, the scope that is filled first, and what it has cost."""

    def __init__(self) -> None:
        super().__init__()
        self.names: ChainMap[str, Value] = ChainMap({})
        self.operations = 0

    def value(self, node: ast.expr) -> Value:
        """The value of an expression."""
        self.charge()
        with self.deeper():
            return self._evaluated(node)

    def _evaluated(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value):
                return _constant(value)
            case ast.Name(name):
                return self._named(name)
            case ast.UnaryOp(ast.Not(), operand):
                return not truth(self.value(operand))
            case ast.UnaryOp(ast.USub(), operand):
                return self.sized(subtract(Fraction(0), as_number(self.value(operand))))
            case ast.UnaryOp(ast.UAdd(), operand):
                return as_number(self.value(operand))
            case ast.BinOp(left, operation, right):
                return self.combined(operation, self.value(left), self.value(right))
            case ast.BoolOp(operation, operands):
                return self._decided(isinstance(operation, ast.Or), operands)
            case ast.Compare(left, signs, others):
                return self._compared(left, signs, others)
            case ast.IfExp(test, then, otherwise):
                return self.value(then if truth(self.value(test)) else otherwise)
            case ast.List(items):
                return self.bounded(self._listed(items))
            case ast.Tuple(items):
                return Fixed(self.bounded(self._listed(items)))
            case ast.Set(items):
                return FUNCTIONS["set"](self._listed(items))
            case ast.Dict(keys, values) if all(keys):
                return {
                    as_key(self.value(key)): self.value(value)
                    for key, value in zip(keys, values, strict=True)
                    if key is not None
                }
            case ast.ListComp(item, sources):
                return self._gathered(lambda: self.value(item), sources)
            case ast.GeneratorExp(item, sources):
                return Once(self._gathered(lambda: self.value(item), sources))
            case ast.SetComp(item, sources):
                return FUNCTIONS["set"](self._gathered(lambda: self.value(item), sources))
            case ast.DictComp(key, value, sources):
                return FUNCTIONS["dict"](
                    self._gathered(lambda: [self.value(key), self.value(value)], sources)
                )
            case ast.Subscript(collection, index):
                return self._item(self.value(collection), index)
            case ast.JoinedStr(parts):
                return made("".join(map(self._formed, parts)))
            case ast.Lambda(parameters, body):
                return self.function("a function", parameters, lambda: self.value(body))
            case ast.Attribute(whose, name):
                known = self._of_module(node)
                return self._attribute(self.value(whose), name) if known is None else self._named(known)
            case ast.Call(function, arguments, named):
                return self._call(function, self._listed(arguments), named)
            case _:
                raise refused(node)

    # -- names and functions ----------------------------------------------------------------------

    def _named(self, name: str) -> Value:
        if name in self.names:
            if self.names[name] is _UNBOUND:
                raise ProgramError(f"{name[:LONGEST_TEXT]} has no value yet")
            return self.names[name]
        if name in FUNCTIONS:
            return lambda *arguments, **named: self._called(name, FUNCTIONS[name], arguments, named)
        if name in _NAMES:
            return [*found] if isinstance(found := _NAMES[name], list) else found
        raise ProgramError(f"nothing is called {name[:LONGEST_TEXT]!r}")

    def _attribute(self, whose: Value, name: str) -> Value:
        found = methods.attribute(whose, name)
        return self._method(whose, name) if callable(found) else found

    def _method(self, whose: Value, name: str) -> Callable[..., Value]:
        """A method of a value, which costs as much as the value is long, whenever it is called."""
        method = methods.method(whose, name)

        def call(*arguments: Value, **named: Value) -> Value:
            if name not in methods.CHEAP:
                self.charge_for(whose)
            return self._called(name, method, arguments, named)

        return call

    def _of_module(self, node: ast.expr) -> str | None:
        """The name of what stands in a module: ``sqrt`` for ``math.sqrt``."""
        match node:
            case ast.Attribute(ast.Name(module) | ast.Attribute(_, module) as whose, name) if (
                module in MODULES and module not in self.names
            ):
                return name if isinstance(whose, ast.Name) or self._of_module(whose) is not None else None
        return None

    def function(
        self,
        name: str,
        parameters: ast.arguments,
        body: Callable[[], Value],
        local: Iterable[str] = (),
    ) -> Callable[..., Value]:
        """A function that a program defines; it knows the names around it, and those of its own call.

        ``local`` are the names that it gives values to, which have none before, whatever is around it.
        """
        if parameters.vararg or parameters.kwarg or parameters.kwonlyargs or parameters.posonlyargs:
            raise ProgramError(f"{name[:LONGEST_TEXT]} has parameters other than names")
        called = [parameter.arg for parameter in parameters.args]
        defaults = [self.value(default) for default in parameters.defaults]
        given = dict(zip(called[len(called) - len(defaults) :], defaults, strict=True))
        around = self.names
        unbound = dict.fromkeys(local, _UNBOUND)

        def call(*arguments: Value, **named: Value) -> Value:
            values = {**given, **dict(zip(called, arguments, strict=False)), **named}
            twice = named.keys() & set(called[: len(arguments)])
            if len(arguments) > len(called) or values.keys() != set(called) or twice:
                raise ProgramError(f"{name[:LONGEST_TEXT]} takes {len(called)} values")
            before, self.names = self.names, around.new_child({**unbound, **values})
            try:
                with self.deeper():
                    return body()
            finally:
                self.names = before

        return call

    def _call(self, function: ast.expr, arguments: list[Value], named: Sequence[ast.keyword]) -> Value:
        given = {}
        for each in named:
            if each.arg is None:
                raise refused(each)
            given[each.arg] = self.value(each.value)
        if isinstance(function, ast.Attribute) and self._of_module(function) is None:
            return self._method(self.value(function.value), function.attr)(*arguments, **given)
        if isinstance(function, ast.Name) and function.id not in self.names and function.id not in FUNCTIONS:
            raise ProgramError(
                f"there is no function {function.id[:LONGEST_TEXT]!r}, only {', '.join(FUNCTIONS)}"
            )
        return as_function(self.value(function))(*arguments, **given)

    def _called(
        self,
        name: str,
        function: Callable[..., Value],
        arguments: Sequence[Value],
        named: Mapping[str, Value],
    ) -> Value:
        self.operations += 1
        self.charge(_COSTS.get(name, 0))
        self.charge_for(*arguments, *named.values())
        try:
            found = function(
                *map(self._charging, arguments), **{key: self._charging(each) for key, each in named.items()}
            )
        except TypeError:
            given = ", ".join((str(len(arguments)), *named))
            raise ProgramError(f"{name} does not take {given[:LONGEST_TEXT]} values") from None
        return self.bounded(found) if isinstance(found, list) else self.sized(found)

    def _charging(self, value: Value) -> Value:
        """A function that is handed to another one, with what it costs to look at what it gives."""
        if not callable(value):
            return value
        function = value

        def call(*arguments: Value) -> Value:
            found = function(*arguments)
            self.charge_for(found)
            return found

        return call

    # -- operations -------------------------------------------------------------------------------

    def combined(self, operation: ast.operator, left: Value, right: Value) -> Value:
        """What an operation with two operands comes to."""
        self.operations += 1
        for operand in (left, right):
            if isinstance(operand, Fraction):
                self.sized(operand)
        found = operations.combined(operation, left, right)
        return self.bounded(found) if isinstance(found, list) else self.sized(found)

    def _decided(self, until: bool, operands: Sequence[ast.expr]) -> Value:
        """The first operand that decides, or the last one."""
        found: Value = until
        for each in operands:
            found = self.value(each)
            if truth(found) is until:
                break
        return found

    def _compared(self, left: ast.expr, signs: Sequence[ast.cmpop], others: Sequence[ast.expr]) -> bool:
        self.operations += 1
        before = self.value(left)
        for operation, other in zip(signs, others, strict=True):
            after = self.value(other)
            self.charge_for(before, after)
            if not operations.holds(operation, before, after):
                return False
            before = after
        return True

    # -- collections and texts --------------------------------------------------------------------

    def _listed(self, items: Sequence[ast.expr]) -> list[Value]:
        found: list[Value] = []
        for item in items:
            if isinstance(item, ast.Starred):
                found += as_list(self.value(item.value), letters=True)
            else:
                found.append(self.value(item))
            if len(found) > LONGEST_LIST:
                raise ProgramError(f"a list holds at most {LONGEST_LIST:,} values")
        return found

    def _gathered(self, item: Callable[[], Value], sources: Sequence[ast.comprehension]) -> list[Value]:
        self.operations += 1
        before, self.names = self.names, self.names.new_child()
        found: list[Value] = []
        try:
            for _ in self._bindings(sources):
                if len(found) == LONGEST_LIST:
                    raise ProgramError(f"a list holds at most {LONGEST_LIST:,} values")
                found.append(item())
        finally:
            self.names = before
        return found

    def _bindings(self, sources: Sequence[ast.comprehension]) -> Iterator[None]:
        """Give the names of a comprehension their values, one after the other."""
        if not sources:
            yield
            return
        source, *others = sources
        if source.is_async:
            raise refused(source.target)
        for value in as_list(self.value(source.iter), letters=True):
            self.charge()
            self.assign(source.target, value)
            if all(truth(self.value(test)) for test in source.ifs):
                yield from self._bindings(others)

    def assign(self, target: ast.expr, value: Value) -> None:
        """Give names, or an item of a list or dictionary, a value."""
        match target:
            case ast.Name(name):
                self.names[name] = value
            case ast.Tuple(parts) | ast.List(parts):
                items = as_list(value, letters=True)
                if len(parts) != len(items):
                    raise ProgramError(f"{len(items)} values are no {len(parts)} values")
                for part, each in zip(parts, items, strict=True):
                    self.assign(part, each)
            case ast.Subscript(collection, index) if not isinstance(index, ast.Slice):
                operations.put(self.value(collection), self.value(index), value)
            case _:
                raise refused(target)

    def _item(self, collection: Value, index: ast.expr) -> Value:
        self.operations += 1
        if isinstance(index, ast.Slice):
            bounds = [
                None if bound is None else whole("a slice", as_number(self.value(bound)))
                for bound in (index.lower, index.upper, index.step)
            ]
            found = operations.sliced(collection, bounds)
            return self.bounded(found) if isinstance(found, list) else found
        return operations.item(collection, self.value(index))

    def _formed(self, part: ast.expr) -> str:
        match part:
            case ast.FormattedValue(value, -1 | 115, form):
                found = self.value(value)
                self.charge_for(found)
                return methods.formed(found, as_text(self.value(form)) if form else "")
            case ast.Constant(str() as said):
                return said
        raise refused(part)


def _constant(value: object) -> Value:
    """A number, text, truth value or None that is written out; numbers are taken as they are written."""
    match value:
        case bool() | None:
            return value
        case int():
            return Fraction(value)
        case float() if value - value == 0:
            return Fraction(repr(value))
        case str() if len(value) <= LONGEST_TEXT:
            return value
    raise ProgramError(f"a program has no such value: {type(value).__name__}")
