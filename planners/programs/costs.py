"""What a short program may cost: its steps, its depth, and the sizes of what it computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

from planners.programs.values import LONGEST_LIST, Value
from workers.errors import ToolError

DEEPEST = 100
"""Expressions, statements and calls in each other."""

STEPS = 50_000
"""What a program may do: each expression is a step, and long lists and numbers of many digits are more."""

DEEPEST_LIST = 3
"""Lists in each other."""

_BITS_A_STEP = 64


class ProgramError(ToolError):
    """A program that cannot be computed; says why."""


class Costs:
    """What one program has cost so far."""

    def __init__(self) -> None:
        self._steps = 0
        self._depth = 0

    def charge(self, steps: int = 1) -> None:
        """Count steps. Raises ProgramError if there are too many."""
        self._steps += steps
        if self._steps > STEPS:
            raise ProgramError(f"the program takes more than {STEPS:,} steps")

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """One level more while the block runs. Raises ProgramError if there are too many."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise ProgramError(f"the program is nested more than {DEEPEST} levels deep")
        try:
            yield
        finally:
            self._depth -= 1

    def sized(self, value: Value) -> Value:
        """The value, with what it costs to compute with its digits."""
        bits = 0
        if isinstance(value, Fraction):
            bits = value.numerator.bit_length() + value.denominator.bit_length()
        elif isinstance(value, str):
            bits = len(value)
        self.charge(1 + bits // _BITS_A_STEP)
        return value

    def charge_for(self, *values: Value, depth: int = 0) -> None:
        """Count what it takes to look at all of some values. Raises ProgramError if that is too much."""
        for value in values:
            if not isinstance(value, list | dict):
                self.sized(value)
                continue
            if depth == DEEPEST_LIST:
                raise ProgramError(f"lists are nested more than {DEEPEST_LIST} levels deep")
            self.charge()
            self.charge_for(*(value.values() if isinstance(value, dict) else value), depth=depth + 1)

    def bounded(self, items: list[Value]) -> list[Value]:
        """The list, with what it costs to make it. Raises ProgramError if it is too long."""
        if len(items) > LONGEST_LIST:
            raise ProgramError(f"a list holds at most {LONGEST_LIST:,} values")
        self.charge(len(items))
        return items
