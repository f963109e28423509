"""A calculator for models: nothing but arithmetic, exact where it can be, bounded in size and work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from workers.errors import ToolError
from workers.tools.arithmetic import add, divide, floor_divide, modulo, multiply, percent, power, subtract
from workers.tools.declaration import tool
from workers.tools.functions import FUNCTIONS
from workers.tools.numbers import Number, bounded, literal, shown

_LENGTH = 10_000  # characters of an expression
_DEPTH = 50  # of nested parentheses, functions and exponents
_SNIPPET = 20  # characters of an expression that an error shows

_SYNONYMS = str.maketrans(
    {
        "\N{MULTIPLICATION SIGN}": "*",
        "\N{MIDDLE DOT}": "*",
        "\N{DIVISION SIGN}": "/",
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
    }
)
_BLANK = re.compile(r"\s*")
_NAME = re.compile(r"[^\W\d]\w*")
_PLAIN = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?!\w)", re.ASCII)
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?(?![\w,.])", re.ASCII)
_OPERATOR = re.compile(r"\*\*|//|[-+*/%^(),]")
_OPERAND = re.compile(r"\s*[\w.(]")
_GROUP_BEFORE = re.compile(r"(?<![\w.])\d{1,3}$", re.ASCII)
_GROUP_AFTER = re.compile(r",\d{3}(?!\d)", re.ASCII)

_PRODUCTS = {"*": multiply, "/": divide, "//": floor_divide, "%": modulo}


@tool(timeout=10.0)
def calculator(expression: str) -> str:
    """Evaluate an arithmetic expression exactly and return the number as text.

    Numbers may have decimals, grouped thousands, an exponent, or % for a share. Operators: + - * / // (floor)
    % (modulo) ^ or ** (power), parentheses. Functions: min, max, abs, round(x, digits), sqrt, floor, ceil,
    gcd, lcm, factorial, log(x, base) (natural without a base), exp. No variables, units or words.
    """
    return shown(evaluate(expression))


def evaluate(expression: str) -> Number:
    """The value of an expression: a Fraction wherever rational arithmetic suffices.

    ``%`` is a percentage unless an operand without a sign follows. ``^`` binds tighter than a sign before
    it (``-2^2`` is -4), and associates to the right. Commas group thousands, but separate arguments within a
    function that takes several.

    Raises:
        ToolError: it is not arithmetic, has no value, or it or a number in its calculation is too large.
    """
    if len(expression) > _LENGTH:
        raise ToolError(f"the expression has {len(expression)} characters, more than {_LENGTH}")
    with bounded():
        return _Parser(expression.translate(_SYNONYMS)).read()


class _Parser:
    """Reads and computes in one pass, by recursive descent."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._grouping = True  # whether a comma here may group thousands

    def read(self) -> Number:
        value = self._sum()
        if self._at < len(self._text):
            self._refuse("an operator or the end")
        return value

    def _sum(self) -> Number:
        value = self._product()
        while (operator := self._take("+", "-")) is not None:
            right = self._product()
            value = add(value, right) if operator == "+" else subtract(value, right)
        return value

    def _product(self) -> Number:
        value = self._signed()
        while (operator := self._take("*", "/", "//", "%")) is not None:
            value = _PRODUCTS[operator](value, self._signed())
        return value

    def _signed(self) -> Number:
        negative = False
        while (sign := self._take("+", "-")) is not None:
            negative ^= sign == "-"
        value = self._power()
        return -value if negative else value

    def _power(self) -> Number:
        base = self._atom()
        while self._peek() == "%" and not _OPERAND.match(self._text, self._at + 1):
            self._take("%")
            base = percent(base)
        if self._take("^", "**") is None:
            return base
        with self._deeper(self._grouping):
            return power(base, self._signed())

    def _atom(self) -> Number:
        if self._take("(") is not None:
            with self._deeper(grouping=True):
                value = self._sum()
            self._expect(")")
            return value
        if name := self._match(_NAME):
            return self._function(name)
        number = (self._grouping and self._match(_GROUPED)) or self._match(_PLAIN)
        if not number:
            self._refuse("a number, a function or '('")
        return literal(number.replace(",", ""))

    def _function(self, name: str) -> Number:
        function = FUNCTIONS.get(name.lower())
        if function is None:
            raise ToolError(f"there is no {name[:_SNIPPET]!r} in arithmetic, only {', '.join(FUNCTIONS)}")
        self._expect("(")
        with self._deeper(grouping=function.most == 1):
            values = [self._sum()]
            commas: list[int] = []
            while self._take(",") is not None:
                commas.append(self._at - 1)
                values.append(self._sum())
        self._expect(")")
        self._check_commas(commas)
        if function.most is not None and len(values) > function.most:
            most = f"{function.most} number{'s' if function.most > 1 else ''}"
            raise ToolError(f"{name} takes at most {most}, not {len(values)}")
        return function.apply(*values)

    def _check_commas(self, commas: list[int]) -> None:
        """Refuse arguments if some look like one number with its thousands grouped."""
        spaced = any(self._text[at + 1].isspace() for at in commas)
        for at in commas:
            digits = _GROUP_BEFORE.search(self._text[max(0, at - 4) : at])
            if digits and _GROUP_AFTER.match(self._text, at) and (spaced or self._text[at + 1] == "0"):
                left, right = digits[0], self._text[at + 1 : at + 4]
                raise ToolError(
                    f"is {left},{right} one number or two? Write {left}{right}, or {left}, {right}"
                )

    @contextmanager
    def _deeper(self, grouping: bool) -> Iterator[None]:
        outside = self._grouping
        self._grouping = grouping
        self._depth += 1
        if self._depth > _DEPTH:
            raise ToolError(f"the expression is nested more than {_DEPTH} levels deep")
        yield
        self._depth -= 1
        self._grouping = outside

    def _match(self, pattern: re.Pattern[str]) -> str:
        """Take what matches after any blanks, if anything does."""
        self._skip_blanks()
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def _peek(self) -> str:
        self._skip_blanks()
        found = _OPERATOR.match(self._text, self._at)
        return found[0] if found else ""

    def _take(self, *operators: str) -> str | None:
        operator = self._peek()
        if operator not in operators:
            return None
        self._at += len(operator)
        return operator

    def _expect(self, operator: str) -> None:
        if self._take(operator) is None:
            self._refuse(repr(operator))

    def _skip_blanks(self) -> None:
        found = _BLANK.match(self._text, self._at)
        if found is not None:
            self._at = found.end()

    def _refuse(self, expected: str) -> NoReturn:
        rest = self._text[self._at :]
        found = repr(rest[:_SNIPPET]) if rest else "the end"
        raise ToolError(f"expected {expected}, but found {found} at character {self._at + 1}")
