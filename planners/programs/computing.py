"""Computing a short program: its statements one after the other, and the value that it comes to."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from planners.programs.costs import STEPS as STEPS
from planners.programs.costs import ProgramError as ProgramError
from planners.programs.days import weekday, weekday_anew
from planners.programs.expressions import Expressions, refused
from planners.programs.functions import MODULES
from planners.programs.values import Value, as_list, truth
from workers.errors import ToolError
from workers.tools.numbers import bounded

LONGEST = 2_000
"""Characters of a program."""

LONGEST_ANSWER = 100
"""Values of a list that is what a program comes to."""

ANSWER = "answer"
"""The name of the value that is the claim; without it, what is printed last is, or the last value."""

_SCOPES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
"""What has names of its own."""


@dataclass(frozen=True, slots=True)
class Computed:
    """What a program comes to, and how many operations it took: without one, it only states a value."""

    value: Value
    operations: int


class _Left(Exception):
    """A loop, or a function, that is left; ``how`` is the statement that leaves it."""

    def __init__(self, how: ast.stmt, value: Value = None) -> None:
        super().__init__(type(how).__name__)
        self.how = how
        self.value = value


def compute(program: str) -> Computed:
    """The value that a program gives to :data:`ANSWER`, or prints last, or else its last one.

    A program is of the part of Python that short calculations need: names, numbers, texts, lists and
    dictionaries, conditions, loops, functions, comprehensions, the functions of
    :data:`~planners.programs.functions.FUNCTIONS` and the methods of :mod:`planners.programs.methods`.
    Numbers are exact, as in the calculator, so 0.1 + 0.2 is 0.3. What is imported from
    :data:`~planners.programs.functions.MODULES` is there without.

    Raises:
        ProgramError: it is no such program, has no value, or costs too much.
    """
    if len(program) > LONGEST:
        raise ProgramError(f"the program has {len(program):,} characters, more than {LONGEST:,}")
    if "\\" in program:
        raise ProgramError("a program has no backslashes")
    walk = _Walk()
    try:
        with bounded():
            walk.block(ast.parse(program).body)
            value = walk.result()
            walk.charge_for(value)
    except ProgramError:
        raise
    except _Left as left:
        raise ProgramError(f"line {left.how.lineno}: {left} outside of what it leaves") from None
    except SyntaxError as error:
        raise ProgramError(f"line {error.lineno}: {error.msg}") from None
    except ToolError as error:
        raise ProgramError(str(error)) from None
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError, MemoryError) as error:
        raise ProgramError(f"it cannot be computed: {type(error).__name__}") from None
    if value is None or callable(value):
        raise ProgramError("the program has no value")
    if isinstance(value, list) and len(value) > LONGEST_ANSWER:
        raise ProgramError(f"a list of {len(value):,} values is no answer")
    return Computed(value, walk.operations)


class _Walk(Expressions):
    """A walk through the statements of a program, with what they gave and printed last."""

    def __init__(self) -> None:
        super().__init__()
        self._last: Value = None
        self._printed: Value = None

    def result(self) -> Value:
        """What the program comes to; None if it has no value."""
        if ANSWER in self.names and not callable(self.names[ANSWER]):
            return self.names[ANSWER]
        return self._last if self._printed is None else self._printed

    def block(self, statements: Sequence[ast.stmt]) -> None:
        """Carry out statements."""
        with self.deeper():
            for statement in statements:
                self.charge()
                self._statement(statement)

    def _statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets, value):
                self._last = self.value(value)
                for target in targets:
                    self.assign(target, self._last)
            case ast.AnnAssign(target, _, ast.expr() as value):
                self._last = self.value(value)
                self.assign(target, self._last)
            case ast.AugAssign(ast.Name() | ast.Subscript() as target, operation, value):
                self._last = self._changed(operation, self.value(target), self.value(value))
                self.assign(target, self._last)
            case ast.Expr(ast.Call(ast.Name("print"), arguments, [])):
                self._print(arguments)
            case ast.Expr(ast.Constant(str())) | ast.Pass():
                pass  # a remark
            case ast.Expr(value):
                found = self.value(value)
                is_method = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)
                self._last = self._last if found is None and is_method else found
            case ast.If(test, body, others):
                self.block(body if truth(self.value(test)) else others)
            case ast.For() | ast.While():
                self._loop(statement)
            case ast.FunctionDef(name, parameters, body, []):
                own = self.function(name, parameters, lambda: self._returned(body), _local(body))
                self.names[name] = weekday_anew(own) if name == weekday.__name__ else own
            case ast.Break() | ast.Continue():
                raise _Left(statement)
            case ast.Return(value):
                raise _Left(statement, None if value is None else self.value(value))
            case ast.Import(names) if all(each.name in MODULES and not each.asname for each in names):
                pass
            case ast.ImportFrom(module, names) if module in MODULES and not any(
                each.asname for each in names
            ):
                pass
            case _:
                raise refused(statement)

    def _changed(self, operation: ast.operator, before: Value, by: Value) -> Value:
        """What an augmented assignment gives: a list itself is made longer."""
        if type(before) is not list or not isinstance(operation, ast.Add):
            after = self.combined(operation, before, by)
            if type(before) is list and isinstance(after, list):
                before[:] = after
                return before
            return after
        self._method(before, "extend")(by)
        return before

    def _loop(self, loop: ast.For | ast.While) -> None:
        items = as_list(self.value(loop.iter), letters=True) if isinstance(loop, ast.For) else None
        at = 0
        while at < len(items) if items is not None else truth(self.value(loop.test)):  # type: ignore[union-attr]
            self.charge()
            if items is not None:
                self.assign(loop.target, items[at])  # type: ignore[union-attr]
            at += 1
            try:
                self.block(loop.body)
            except _Left as left:
                if isinstance(left.how, ast.Break):
                    return
                if not isinstance(left.how, ast.Continue):
                    raise
        self.block(loop.orelse)

    def _returned(self, body: Sequence[ast.stmt]) -> Value:
        last = self._last
        try:
            self.block(body)
        except _Left as left:
            if not isinstance(left.how, ast.Return):
                raise ProgramError(f"line {left.how.lineno}: {left} outside of a loop") from None
            return left.value
        finally:
            self._last = last
        return None

    def _print(self, arguments: Sequence[ast.expr]) -> None:
        """What a program prints is its value; of a text with values in it, the last of them."""
        said = [
            each for each in arguments if not (isinstance(each, ast.Constant) and isinstance(each.value, str))
        ]
        computed = [each for each in said if not isinstance(each, ast.Constant)] or said or arguments
        shown = computed[-1] if computed else None
        if isinstance(shown, ast.JoinedStr):
            filled = [part.value for part in shown.values if isinstance(part, ast.FormattedValue)]
            shown = filled[-1] if filled else shown
        if shown is not None:
            self._printed = self.value(shown)


def _local(body: Sequence[ast.stmt]) -> set[str]:
    """The names that the statements of a function give values to."""
    found: set[str] = set()
    nodes: list[ast.AST] = [*body]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif not isinstance(node, _SCOPES):
            nodes += ast.iter_child_nodes(node)
    return found
