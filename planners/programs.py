"""Short programs that models write, computed without a sandbox: arithmetic on named values, and no more.

After program-aided language models (PAL, arXiv 2211.10435), with an evaluator of its own in place of Python:
it walks the syntax tree of a small language and knows nothing else. There are no attributes, imports,
definitions or loops without an end, and what a program costs is bounded: its length, its depth, its steps,
the digits of its numbers, and the sizes of its lists and texts.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from planners.program_values import (
    FUNCTIONS,
    LONGEST_LIST,
    LONGEST_TEXT,
    Scalar,
    Value,
    as_list,
    as_number,
    as_scalar,
    as_text,
    equal,
    moved,
    order,
    truth,
)
from workers.errors import ToolError
from workers.tools.arithmetic import add, divide, floor_divide, modulo, multiply, power, subtract
from workers.tools.numbers import Number, bounded, whole

LONGEST = 2_000
"""Characters of a program."""

DEEPEST = 40
"""Expressions and statements in each other."""

STEPS = 50_000
"""What a program may do: each expression is a step, and long lists and numbers of many digits are more."""

LONGEST_ANSWER = 100
"""Values of a list that is what a program comes to."""

ANSWER = "answer"
"""The name of the value that is the claim; without it, the last value is."""

_BITS_A_STEP = 64
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
_NAMES: Mapping[str, Value] = {"pi": Decimal("3.14159265358979323846264338327950288419716939937511")}


class ProgramError(ToolError):
    """A program that cannot be computed; says why."""


@dataclass(frozen=True, slots=True)
class Computed:
    """What a program comes to, and how many operations it took: without one, it only states a value."""

    value: Value
    operations: int


_TRANSLATED = (
    (re.compile(r"^[ \t]*(?:import|from)[ \t]+(?:math|datetime)\b[^\n]*$", re.MULTILINE), ""),
    (re.compile(r"\b(?:math|datetime)\.(?=[a-z])"), ""),
    (re.compile(r"(?<=[\w)])\.days\b"), ""),
    (re.compile(r"\btimedelta\(\s*days\s*=\s*"), "("),
)
"""What models write of Python for what is there without it: a day less a day is a number already."""


def translated(program: str) -> str:
    """A program of Python with its modules for numbers and days left out, as :func:`compute` takes it."""
    for pattern, plain in _TRANSLATED:
        program = pattern.sub(plain, program)
    return program


def compute(program: str) -> Computed:
    """The value that a program gives to :data:`ANSWER`, or else its last one.

    A program has lines ``name = expression`` and may use ``if``, ``for`` over a list, and ``print``, which
    gives its last argument as a value. Expressions have numbers, texts, lists, ``+ - * / // % **``,
    comparisons, ``and``, ``or``, ``not``, ``x if y else z``, comprehensions, and the functions of
    :data:`~planners.program_values.FUNCTIONS`. Numbers are exact, as in the calculator.

    Raises:
        ProgramError: it is no such program, has no value, or costs too much.
    """
    if len(program) > LONGEST:
        raise ProgramError(f"the program has {len(program):,} characters, more than {LONGEST:,}")
    if "\\" in program:
        raise ProgramError("a program has no backslashes")
    try:
        tree = ast.parse(program)
        walk = _Walk()
        with bounded():
            walk.block(tree.body)
    except ProgramError:
        raise
    except SyntaxError as error:
        raise ProgramError(f"line {error.lineno}: {error.msg}") from None
    except ToolError as error:
        raise ProgramError(str(error)) from None
    except (ArithmeticError, ValueError, RecursionError, MemoryError) as error:
        raise ProgramError(f"it cannot be computed: {type(error).__name__}") from None
    value = walk.names.get(ANSWER, walk.last)
    if value is None:
        raise ProgramError("the program has no value")
    if isinstance(value, list) and len(value) > LONGEST_ANSWER:
        raise ProgramError(f"a list of {len(value):,} values is no answer")
    return Computed(value, walk.operations)


class _Walk:
    """One walk through a program: its names so far, the ``last`` value, and what it has cost."""

    def __init__(self) -> None:
        self.names: dict[str, Value] = {}
        self.last: Value | None = None
        self.operations = 0
        self._steps = 0
        self._depth = 0

    def _charge(self, steps: int = 1) -> None:
        self._steps += steps
        if self._steps > STEPS:
            raise ProgramError(f"the program takes more than {STEPS:,} steps")

    # -- statements -------------------------------------------------------------------------------

    def block(self, statements: Sequence[ast.stmt]) -> None:
        """Carry out statements."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise ProgramError(f"the program is nested more than {DEEPEST} levels deep")
        for statement in statements:
            self._charge()
            self._statement(statement)
        self._depth -= 1

    def _statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets, value):
                given = self.value(value)
                for target in targets:
                    self._assign(target, given)
            case ast.AnnAssign(target, _, ast.expr() as value):
                self._assign(target, self.value(value))
            case ast.AugAssign(ast.Name(name) as target, operation, value):
                self._assign(target, self._combined(operation, self._named(name), self.value(value)))
            case ast.Expr(ast.Call(ast.Name("print"), arguments)):
                self._print(arguments)
            case ast.Expr(ast.Constant(str())) | ast.Pass():
                pass  # a remark
            case ast.Expr(value):
                self.last = self.value(value)
            case ast.If(test, body, others):
                self.block(body if truth(self.value(test)) else others)
            case ast.For(ast.Name() as target, source, body, []):
                for item in as_list(self.value(source), letters=True):
                    self._charge()
                    self._assign(target, item)
                    self.block(body)
            case _:
                raise _refused(statement)

    def _assign(self, target: ast.expr, value: Value) -> None:
        match target:
            case ast.Name(name):
                self.names[name] = self.last = value
            case ast.Tuple(parts) if isinstance(value, list) and len(parts) == len(value):
                for part, each in zip(parts, value, strict=True):
                    self._assign(part, each)
            case _:
                raise _refused(target)

    def _print(self, arguments: Sequence[ast.expr]) -> None:
        """What a program prints is its last value; of a text with values in it, the last of them."""
        shown = arguments[-1] if arguments else None
        if isinstance(shown, ast.JoinedStr):
            filled = [part.value for part in shown.values if isinstance(part, ast.FormattedValue)]
            shown = filled[-1] if filled else None
        if shown is not None:
            self.last = self.value(shown)

    # -- expressions ------------------------------------------------------------------------------

    def value(self, node: ast.expr) -> Value:
        """The value of an expression."""
        self._charge()
        self._depth += 1
        if self._depth > DEEPEST:
            raise ProgramError(f"the program is nested more than {DEEPEST} levels deep")
        found = self._evaluated(node)
        self._depth -= 1
        return found

    def _evaluated(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value):
                return _constant(value)
            case ast.Name(name):
                return self._named(name)
            case ast.UnaryOp(ast.Not(), operand):
                return not truth(self.value(operand))
            case ast.UnaryOp(ast.USub(), operand):
                return self._sized(subtract(Fraction(0), as_number(self.value(operand))))
            case ast.UnaryOp(ast.UAdd(), operand):
                return as_number(self.value(operand))
            case ast.BinOp(left, operation, right):
                return self._combined(operation, self.value(left), self.value(right))
            case ast.BoolOp(operation, operands):
                return self._decided(isinstance(operation, ast.Or), operands)
            case ast.Compare(left, operations, others):
                return self._compared(left, operations, others)
            case ast.IfExp(test, then, otherwise):
                return self.value(then if truth(self.value(test)) else otherwise)
            case ast.List(items) | ast.Tuple(items):
                return [as_scalar(self.value(item)) for item in items]
            case ast.ListComp(item, sources) | ast.GeneratorExp(item, sources):
                return self._gathered(item, sources)
            case ast.Subscript(collection, index):
                return self._item(self.value(collection), self.value(index))
            case ast.Call(ast.Name(name), arguments, []):
                return self._called(name, [self.value(argument) for argument in arguments])
            case _:
                raise _refused(node)

    def _named(self, name: str) -> Value:
        found = self.names.get(name, _NAMES.get(name))
        if found is None:
            raise ProgramError(f"nothing is called {name[:LONGEST_TEXT]!r}")
        return found

    def _combined(self, operation: ast.operator, left: Value, right: Value) -> Value:
        self.operations += 1
        if isinstance(left, date) and isinstance(operation, ast.Add | ast.Sub):
            if isinstance(right, date) and isinstance(operation, ast.Sub):
                return Fraction((left - right).days)
            days = as_number(right)
            return moved(left, days if isinstance(operation, ast.Add) else -days)
        if isinstance(right, date) and isinstance(operation, ast.Add):
            return moved(right, left)
        if isinstance(left, list) and isinstance(right, list) and isinstance(operation, ast.Add):
            return self._bounded([*left, *right])
        function = _ARITHMETIC.get(type(operation))
        if function is None:
            raise ProgramError(f"there is no {type(operation).__name__} in a program")
        return self._sized(function(as_number(left), as_number(right)))

    def _decided(self, until: bool, operands: Sequence[ast.expr]) -> bool:
        return until if any(truth(self.value(each)) is until for each in operands) else not until

    def _compared(self, left: ast.expr, operations: Sequence[ast.cmpop], others: Sequence[ast.expr]) -> bool:
        self.operations += 1
        before = self.value(left)
        for operation, other in zip(operations, others, strict=True):
            after = self.value(other)
            if not self._holds(operation, before, after):
                return False
            before = after
        return True

    def _holds(self, operation: ast.cmpop, left: Value, right: Value) -> bool:
        self._charge_for(left, right)
        match operation:
            case ast.Eq() | ast.NotEq():
                return equal(left, right) is isinstance(operation, ast.Eq)
            case ast.In() | ast.NotIn():
                inside = (
                    as_text(left) in right
                    if isinstance(right, str)
                    else any(equal(left, each) for each in as_list(right))
                )
                return inside is isinstance(operation, ast.In)
            case _ if type(operation) in _ORDERS:
                return _ORDERS[type(operation)](order(left, right), 0)
        raise ProgramError(f"there is no {type(operation).__name__} in a program")

    def _gathered(self, item: ast.expr, sources: Sequence[ast.comprehension]) -> list[Scalar]:
        self.operations += 1
        before = dict(self.names)
        found: list[Scalar] = []
        for _ in self._bindings(sources):
            if len(found) == LONGEST_LIST:
                raise ProgramError(f"a list holds at most {LONGEST_LIST:,} values")
            found.append(as_scalar(self.value(item)))
        self.names = before
        return found

    def _bindings(self, sources: Sequence[ast.comprehension]) -> Iterator[None]:
        """Give the names of a comprehension their values, one after the other."""
        if not sources:
            yield
            return
        source, *others = sources
        if not isinstance(source.target, ast.Name) or source.is_async:
            raise _refused(source.target)
        for value in as_list(self.value(source.iter), letters=True):
            self._charge()
            self.names[source.target.id] = value
            if all(truth(self.value(test)) for test in source.ifs):
                yield from self._bindings(others)

    def _item(self, collection: Value, index: Value) -> Value:
        at = whole("an index", as_number(index))
        items = collection if isinstance(collection, str) else as_list(collection)
        if not -len(items) <= at < len(items):
            raise ProgramError(f"there is no item {at if abs(at) <= LONGEST_LIST else 'of that number'}")
        return items[at]

    def _called(self, name: str, arguments: list[Value]) -> Value:
        self.operations += 1
        function = FUNCTIONS.get(name)
        if function is None:
            raise ProgramError(f"there is no function {name[:LONGEST_TEXT]!r}, only {', '.join(FUNCTIONS)}")
        self._charge_for(*arguments)
        try:
            found = function(*arguments)
        except TypeError:
            raise ProgramError(f"{name} does not take {len(arguments)} values") from None
        return self._bounded(found) if isinstance(found, list) else self._sized(found)

    # -- bounds -----------------------------------------------------------------------------------

    def _sized(self, value: Value) -> Value:
        """The value, with what it costs to compute with its digits."""
        bits = 0
        if isinstance(value, Fraction):
            bits = value.numerator.bit_length() + value.denominator.bit_length()
        elif isinstance(value, str):
            bits = len(value)
        self._charge(1 + bits // _BITS_A_STEP)
        return value

    def _charge_for(self, *values: Value) -> None:
        for value in values:
            for each in value if isinstance(value, list) else [value]:
                self._sized(each)

    def _bounded(self, items: list[Scalar]) -> list[Scalar]:
        if len(items) > LONGEST_LIST:
            raise ProgramError(f"a list holds at most {LONGEST_LIST:,} values")
        self._charge(len(items))
        return items


def _refused(node: ast.expr | ast.stmt) -> ProgramError:
    return ProgramError(f"line {node.lineno}: there is no {type(node).__name__} in a program")


def _constant(value: object) -> Value:
    """A number, text or truth value that is written out; numbers are taken as they are written."""
    match value:
        case bool():
            return value
        case int():
            return Fraction(value)
        case float() if value - value == 0:
            return Fraction(repr(value))
        case str() if len(value) <= LONGEST_TEXT:
            return value
    raise ProgramError(f"a program has no such value: {type(value).__name__}")
