"""Programs of a safe generator, computed here and by Python itself."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from planners.programs.computing import ProgramError, compute

PROGRAMS = 400
MOST_REFUSED = 0.6


class _Generator:
    """Programs of whole numbers, collections and texts; only of what is pure and small."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def one_of(self, *forms: str) -> str:
        return self.random.choice(forms)

    def number(self, depth: int = 2) -> str:
        if not depth:
            return self.one_of("0", "1", "2", "3", "7", "-4", "n", "m", "True", "len(a)", "-7")
        x, y = self.number(depth - 1), self.number(depth - 1)
        return self.one_of(
            f"({x} + {y})",
            f"({x} - {y})",
            f"({x} * {y})",
            f"({x} // {y})",
            f"({x} % {y})",
            f"({x} and {y})",
            f"({x} or {y})",
            f"({x} if {self.test()} else {y})",
            f"abs({x})",
            f"round({x})",
            f"int({x})",
            f"min({x}, {y})",
            f"max({x}, {y}, key=lambda k: -k)",
            f"sum({self.items()})",
            f"len({self.items()})",
            f"{self.items()}[{x}]",
            f"divmod({x}, {y})[1]",
            f"f({x})",
            f"f({x}, {y})",
            f"f(k={x}, m={y})",
            f"d.get({x}, {y})",
            f"{self.text()}.count({self.text()})",
        )

    def test(self) -> str:
        x, y = self.number(0), self.number(0)
        return self.one_of(
            f"{x} < {y}",
            f"{x} <= {y} != n",
            f"not {x} == {y}",
            f"{x} in {self.items()}",
            f"{self.items()} == {self.items()}",
            f"{self.items()} < {self.items()}",
            "n is not None",
            f"any({self.items()})",
            f"all({self.items()})",
            f"{self.text()} in {self.text()}",
            f"{self.text()} < {self.text()}",
        )

    def items(self) -> str:
        x, y = self.number(0), self.number(0)
        return self.one_of(
            "a",
            "b",
            "t",
            f"[{x}, {y}]",
            f"({x}, {y})",
            f"a[{x}:{y}]",
            "a[::-1]",
            "[*a, *t]",
            f"[k * {x} for k in a if k > {y}]",
            "[(k, v) for k, v in d.items()]",
            "sorted(a)",
            "sorted(b, key=lambda k: -k)",
            "sorted({3, n, m})",
            "[*map(abs, a)]",
            f"[{x}] * 2",
            "a + b",
            "t + t",
            "list(range(3))",
            "list(d)",
            "tuple(a)",
            "set(t)",
        )

    def text(self) -> str:
        return self.one_of(
            "'ab'",
            "'a b '",
            "s",
            "s[::-1]",
            "s.upper()",
            "' '.join(s)",
            "str(n)",
            "str(n > m)",
            "f'{n} {s}'",
            "f'{s}{a}'",
            "f'{t}'",
            "f'{n:03d}'",
            "f'{m:,}'",
            "s * 2",
        )

    def statement(self, depth: int = 1) -> list[str]:
        simple = self.one_of(
            f"n = {self.number()}",
            f"n += {self.number(1)}",
            f"m -= {self.number(1)}",
            f"n, m = m, {self.number(1)}",
            f"a.append({self.number(1)})",
            f"a += {self.items()}",
            f"b = {self.items()}",
            "b = a",
            f"b += {self.items()}",
            f"a[{self.number(0)}] = {self.number(1)}",
            f"d[{self.number(0)}] = {self.number(1)}",
            f"d[{self.number(0)}] += 1",
            f"s = {self.text()}",
            f"s += {self.text()}",
            f"t = {self.items()}",
            "a.sort()",
            "a.reverse()",
            "a.pop()",
            f"a.insert({self.number(0)}, {self.number(0)})",
            "g(n)",
            "n = g(m)",
        )
        if not depth or self.random.random() < 0.6:
            return [simple]
        body = [f"  {line}" for _ in range(2) for line in self.statement(depth - 1)]
        other = [f"  {line}" for line in self.statement(depth - 1)]
        jump = f"  if {self.test()}: {self.one_of('break', 'continue')}"
        begin = self.one_of(f"if {self.test()}:", f"for n in {self.items()}:", "for n in range(3):")
        return [
            begin,
            *body,
            *([jump, *body] if begin.startswith("for") else []),
            "else:",
            *other,
        ]

    def program(self) -> str:
        lines = [
            "n = 5",
            "m = 3",
            "a = [4, 1, 3]",
            "b = a",
            "t = (2, 5)",
            "d = {1: 2, 3: 4}",
            "s = 'xay'",
            f"def f(k, m={self.number(0)}):",
            f"  {self.one_of('n = k', 'b = [k]', 'k += m', 'a.append(m)')}",
            f"  return {self.one_of('k + m', 'n', 'k * n', 'm')}",
            "def g(k, seen=[]):",
            "  seen.append(k)",
            "  return len(seen)",
        ]
        for _ in range(self.random.randint(1, 4)):
            lines += self.statement()
        kind = self.random.choice((self.number, self.items, self.text, self.test))
        return "\n".join((*lines, f"answer = [{kind()}, n, m, a, b]"))


def _plain(value: Any) -> Any:
    """A value as it is compared: numbers exactly, and tuples and lists apart."""
    if isinstance(value, bool | str | None):
        return value
    if isinstance(value, int | float | Fraction | Decimal):
        return float(value)
    if isinstance(value, set) or type(value).__name__ == "Unordered":
        return ("set", sorted(map(_plain, value)))
    if isinstance(value, dict):
        return [(_plain(key), _plain(each)) for key, each in value.items()]
    kind = "tuple" if isinstance(value, tuple) or type(value).__name__ == "Fixed" else "list"
    return (kind, [_plain(each) for each in value])


def _by_python(program: str) -> Any:
    names: dict[str, Any] = {}
    exec(program, names)
    return names["answer"]


def test_programs_come_to_what_python_comes_to_or_are_refused() -> None:
    refused = 0
    for seed in range(PROGRAMS):
        program = _Generator(seed).program()
        try:
            found = compute(program).value
        except ProgramError:
            refused += 1
            continue
        assert _plain(found) == _plain(_by_python(program)), program
    assert refused < MOST_REFUSED * PROGRAMS


@pytest.mark.parametrize("program", ["answer = [0.1 + 0.2 == 0.3]", "answer = [0.1 * 3 == 0.3]"])
def test_decimals_are_exact_other_than_in_python(program: str) -> None:
    assert compute(program).value == [True]


@pytest.mark.parametrize(
    "program",
    [
        "a = [1]\nb = a\na += [2]\nanswer = b",
        "a = [1]\nb = a\na *= 2\nanswer = b",
        "answer = [(1, 2) == [1, 2], {1, 2} == {2, 1}, (1,) + (2,), [1, 2][:1], (1, 2)[::-1]]",
        "answer = [round(2.5), round(0.5), round(-1.5), round(25, -1), round(0.125, 2)]",
        "answer = [str(True), str(None), str([1, 'a']), str((1,)), f'{[]}', len(str(' a '))]",
        "answer = f\"{'a '}{'b'}\"",
        "answer = [f'{2 ** 200:,}', f'{1234567:,}', f'{5:03d}', f'{2.5:.2f}']",
        "from datetime import datetime, timedelta\n"
        "answer = str(datetime(2024, 1, 2, 3, 4)) + str(timedelta(hours=5))",
        "from datetime import timedelta\nanswer = timedelta(seconds=0.5).total_seconds()",
        "x = []\nfor i in [1, 2]:\n  x.append(lambda: i)\nanswer = [f() for f in x]",
        "answer = [list({1: 2}.items()), list(zip('ab', [1, 2])), divmod(-7, 2), list(enumerate('a'))]",
    ],
)
def test_values_are_those_of_python(program: str) -> None:
    assert _plain(compute(program).value) == _plain(_by_python(program))


@pytest.mark.parametrize(
    ("program", "hint"),
    [
        ("x = 5\ndef f():\n  x = x + 1\n  return x\nanswer = f()", "no value yet"),
        ("x = 0\ndef f(n):\n  x += n\nf(3)\nanswer = x", "no value yet"),
        ("def f():\n  break\nfor i in [1, 2]:\n  f()\nanswer = i", "outside of a loop"),
        ("x = 5\ndef main():\n  answer = 3\nmain()", "no value"),
        ("def f(a, b=1):\n  return a\nanswer = f(1, a=2)", "takes 2 values"),
        ("a = {1: 2}\nanswer = {**a, 3: 4}", "no Dict"),
        ("for i in [1, 2]:\n  print(i, end=' ')", "no function 'print'"),
        ("answer = f\"{'a'!r}\"", "FormattedValue"),
        ("answer = f'{7 / 2:d}'", "whole numbers"),
        ("answer = len(str(2 ** 1000))", "200 characters"),
        ("answer = hex(2 ** 9000)", "200 characters"),
        ("answer = int('5.7')", "no whole number"),
        ("t = (1, 2)\nt[0] = 3", "can be set"),
        ("t = (1, 2)\nt.append(3)", "no method"),
        ("answer = {1, 2}[0]", "no places"),
        ("answer = {1} < {1, 2}", "no order"),
        ("answer = {[1], [2]}", "in no set"),
        ("answer = str({1, 2})", "not written"),
        ("g = (x for x in [1, 2])\na = sum(g)\nanswer = sum(g)", "only once"),
        ("g = zip([1], [2])\nfor a in g:\n  break\nanswer = list(g)", "only once"),
        ("answer = len(map(abs, [1]))", "no length"),
        ("answer = reversed([1, 2])[0]", "no places"),
    ],
)
def test_what_is_other_than_in_python_is_refused(program: str, hint: str) -> None:
    with pytest.raises(ProgramError, match=hint):
        compute(program)
