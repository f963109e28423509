from __future__ import annotations

import contextlib
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planners.program_values import FUNCTIONS, LONGEST_LIST, written
from planners.programs import LONGEST, STEPS, ProgramError, compute, translated


def value(program: str) -> str:
    return written(compute(program).value)


def judged(program: str) -> str:
    """What a program comes to, or why it is refused."""
    try:
        return value(program)
    except ProgramError as error:
        return str(error)


@pytest.mark.parametrize(
    ("program", "claim"),
    [
        ("april = 48\nmay = april / 2\nanswer = april + may", "72"),
        ("1 + 1", "2"),
        ("answer = 3\nother = 4", "3"),
        ("answer = 0.1 + 0.2", "0.3"),
        ("answer = 1_000 * 2.5e2", "250000"),
        ("answer = 10 / 3", "3.3333333333"),
        ("answer = 7 // 2 + 7 % 2 - 2 ** 3", "-4"),
        ("answer = round(10 / 3, 2)", "3.33"),
        ("answer = -3 + +4", "1"),
        ("answer = 16 ** 0.5", "4"),
        ("answer = sum([1, 2, 3]) / len([1, 2, 3])", "2"),
        ("answer = max(3, 1, 2) - min([3, 1, 2])", "2"),
        ("answer = abs(3 - 10)", "7"),
        ("answer = 3 / 8 > 2 / 5", "no"),
        ("answer = 1 < 2 < 3 and not 2 == 3", "yes"),
        ("answer = 4 in [1, 4] or 1 / 0", "yes"),
        ("anna = 3\nanswer = 'Anna' if anna > 2 else 'Ben'", "Anna"),
        ("if 3 > 4:\n    answer = 'a'\nelif 4 > 3:\n    answer = 'b'\nelse:\n    answer = 'c'", "b"),
        ("product = 1\nfor each in range(1, 6):\n    product *= each", "120"),
        (
            "count = 0\nfor letter in 'greenery':\n    if letter == 'e':\n        count += 1\nanswer = count",
            "3",
        ),
        ("answer = count('Banana', 'a')", "3"),
        ("answer = sum(1 for n in range(2, 31) if all(n % d for d in range(2, n)))", "10"),
        ("answer = [a * b for a in [1, 2] for b in [3, 4] if a != b]", "3, 4, 6, 8"),
        ("a, b = 3, 4\nprint(a * b)", "12"),
        ("total = 3 * 4\nprint(f'It is {total} in all')", "12"),
        ("total = 3 * 4\nprint('It is', total)", "12"),
        ("a: int = 3\nanswer = a", "3"),
        ("answer = [5, 6, 7][-1] + [5][0]", "12"),
        ("answer = date(2024, 3, 1) - date(2024, 2, 1)", "29"),
        ("answer = date(2024, 2, 28) + 2", "2024-03-01"),
        ("answer = weekday(date(2024, 3, 1))", "Friday"),
        ("answer = clock(18 * 60 + 40 + 135)", "20:55"),
        ("answer = convert(3.5, 'hours', 'minutes')", "210"),
        ("answer = convert(2, 'km', 'm') + 5", "2005"),
        ("answer = round(2 * pi, 2)", "6.28"),
    ],
)
def test_what_programs_come_to(program: str, claim: str) -> None:
    assert value(program) == claim


def test_a_program_that_only_states_a_value_computes_nothing() -> None:
    assert compute("answer = 72").operations == 0
    assert compute("answer = 24 * 3").operations == 1


@pytest.mark.parametrize(
    ("program", "hint"),
    [
        ("", "no value"),
        ("x = ", "line 1: "),
        ("answer = y + 1", "nothing is called 'y'"),
        ("answer = 1 / 0", "division by zero"),
        ("import os", "no Import"),
        ("from os import system", "no ImportFrom"),
        ("answer = ().__class__", "no Attribute"),
        ("answer = 'x'.upper()", "no Call"),
        ("__import__('os')", "no function '__import__'"),
        ("eval('1')", "no function 'eval'"),
        ("open('x')", "no function 'open'"),
        ("def f(): return 1", "no FunctionDef"),
        ("f = lambda: 1", "no Lambda"),
        ("class A: pass", "no ClassDef"),
        ("while True: pass", "no While"),
        ("with x: pass", "no With"),
        ("try:\n  1\nexcept ValueError:\n  2", "no Try"),
        ("x = {1: 2}", "no Dict"),
        ("x = [1, 2][0:1]", "no Slice"),
        ("x = f'{1}'", "no JoinedStr"),
        ("x = (y := 1)", "no NamedExpr"),
        ("x.y = 1", "no Attribute"),
        ("x = [1]\nx[0] = 2", "no Subscript"),
        ("global x", "no Global"),
        ("del x", "no Delete"),
        ("round(1, ndigits=2)", "no Call"),
        ("max(*[1, 2])", "no Starred"),
        ("x = 1j", "no such value: complex"),
        ("x = 1e999", "no such value: float"),
        ("x = b'1'", "no such value: bytes"),
        ("x = None", "no such value: NoneType"),
        ("x = 'a' * 1000000", "a number is needed, not a text"),
        ("x = [1] * 1000000", "a number is needed, not a list"),
        ("x = [[1]]", "a list holds no lists"),
        ("x = 'a' + 'b'", "a number is needed"),
        ("x = 1 @ 2", "no MatMult"),
        ("x = 1 << 100", "no LShift"),
        ("x = 1 is 1", "no Is"),
        ("x = 'a' < 1", "no order"),
        ("x = min([])", "empty list"),
        ("x = [1][5]", "no item 5"),
        ("x = sqrt(1, 2, 3)", "does not take"),
        ("x = date(2024, 2, 30)", "no day 2024-2-30"),
        ("x = date(2024, 2, 1) + 10 ** 20", "no such day"),
        ("x = convert(1, 'km', 'kg')", "cannot be compared"),
        ("x = convert(1, 'foo 2', 'kg')", "no units"),
        ("x = [7 ** 3000 for i in range(101)]", "101 values is no answer"),
        ("x = '\\n'", "no backslashes"),
        ("x = '" + "a" * 300 + "'", "no such value: str"),
    ],
)
def test_what_is_no_program_is_refused_with_the_reason(program: str, hint: str) -> None:
    with pytest.raises(ProgramError, match=hint):
        compute(program)


BOMBS = [
    "x = 9 ** 9 ** 9 ** 9",
    "x = 2 ** 100000",
    "x = (1 / 3) ** 1000000000",
    "x = 1.0000001 ** 10 ** 300",
    "x = factorial(factorial(50))",
    "x = 10\n" + "x = x * x\n" * 60,
    "x = [1]\n" + "x = x + x\n" * 60,
    "x = [i for i in range(10000) for j in range(10000)]",
    "x = sum(1 for a in range(9999) for b in range(9999) for c in range(9999))",
    "for a in range(9999):\n  for b in range(9999):\n    for c in range(9999):\n      x = a",
    "x = range(10 ** 30)",
    "x = range(0, 10 ** 30, 10 ** 29)",
    "x = str(2 ** 9999)",
    "x = [lcm(i, i + 1, i + 2) for i in range(1, 9999)]",
    "x = exp(10 ** 9)",
    "x = 1" + " + 1" * 400,
    "x = " + "(" * 150 + "1" + ")" * 150 + " + " + "-" * 900 + "1",
    "x = " + "not " * 450 + "1",
    "x = " + "**".join(["2"] * 600),
    "x = " + "1 if 1 else " * 150 + "1",
    "".join(" " * at + "if 1:\n" for at in range(50)) + " " * 50 + "x = 1",
    "x = 1; " * 280,
    "x = 7 ** 3000 % 10\n" * 90,
    "y = 7 ** 3500\nx = [y * y - i for i in range(9999)]",
    "y = 1 / 7 ** 3500\nx = sum([y + 1 / (i + 1) for i in range(9999)])",
    "x = '" + "9" * 1900,
    "x = " + "9" * 1900 + " ** 9",
    "x\0 = 1",
    "x = '\ud800'",
]


@pytest.mark.parametrize("program", BOMBS)
def test_no_program_takes_long_or_much(program: str) -> None:
    assert len(program) <= LONGEST
    tracemalloc.start()
    begun = time.process_time()
    judged(program)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - begun < 20
    assert peak < 50_000_000


def test_what_is_too_long_is_not_even_read() -> None:
    with pytest.raises(ProgramError, match="more than 2,000"):
        compute("x = 1\n" * 400)
    with pytest.raises(ProgramError, match=f"{STEPS:,} steps"):
        compute("for a in range(9999):\n  for b in range(9999):\n    x = a")
    with pytest.raises(ProgramError, match=f"{LONGEST_LIST:,} values"):
        compute("x = range(9999) + range(9999)")


NAMES = st.sampled_from(["a", "b", "answer", "x"])
NUMBERS = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.sampled_from(["0", "1e300", "0.1", "2 ** 64", "pi", "True", "1e-300"]),
)
TEXTS = st.sampled_from(["'km'", "'m'", "'Anna'", "''", "'2024-01-01'"])
DAYS = st.sampled_from(["date(2024, 2, 29)", "date(1, 1, 1)", "date(9999, 12, 31)"])
ATOMS = st.one_of(NUMBERS, NAMES, TEXTS, DAYS, st.just("[1, 2, 3]"), st.just("range(20)"))
CALLED = st.sampled_from([*FUNCTIONS, "print", "eval"])


def _deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "<", "==", "in", "and", "@"])
    return st.one_of(
        st.builds("({} {} {})".format, inner, operators, inner),
        st.builds("{}({})".format, CALLED, st.lists(inner, max_size=4).map(", ".join)),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("[{} for {} in {} if {}]".format, inner, NAMES, inner, inner),
        st.builds("[{}]".format, st.lists(inner, max_size=4).map(", ".join)),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("-{}".format, inner),
        st.builds("{}.real".format, inner),
    )


EXPRESSIONS = st.recursive(ATOMS, _deeper, max_leaves=12)
STATEMENTS = st.one_of(
    st.builds("{} = {}".format, NAMES, EXPRESSIONS),
    st.builds("{} += {}".format, NAMES, EXPRESSIONS),
    st.builds("for {} in {}: {} = {}".format, NAMES, EXPRESSIONS, NAMES, EXPRESSIONS),
    st.builds("if {}: {} = {}".format, EXPRESSIONS, NAMES, EXPRESSIONS),
    EXPRESSIONS,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STATEMENTS, max_size=6).map("\n".join))
def test_programs_have_a_value_or_are_refused_and_nothing_else_happens(program: str) -> None:
    assert isinstance(judged(program), str)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters() | st.sampled_from("()[]=+-*/%:'\"\n \t.,xyz019#@"), max_size=80))
def test_no_text_raises_anything_else(program: str) -> None:
    assert isinstance(judged(translated(program)), str)


@pytest.mark.parametrize(
    ("program", "claim"),
    [
        ("import math\nanswer = math.sqrt(16)", "4"),
        ("from datetime import date\nanswer = (date(2023, 4, 3) - date(2023, 3, 12)).days", "22"),
        ("import datetime\nanswer = datetime.date(2024, 1, 1) + datetime.timedelta(days=31)", "2024-02-01"),
    ],
)
def test_what_models_take_from_modules_is_there_without_them(program: str, claim: str) -> None:
    assert value(translated(program)) == claim


@pytest.mark.parametrize(
    "program",
    [
        "x = exp(20000)\na = [x * (i * 7919 % 500 + 1) for i in range(900)]\nanswer = sorted(a)",
        "x = exp(20000)\na = [x for i in range(5000)]\nanswer = 3 in a",
        "x = 3**6000 / 7**3000\na = [x for i in range(10000)]\nanswer = x + 1 in a",
    ],
)
def test_to_compare_numbers_of_many_digits_takes_no_longer_than_its_steps(program: str) -> None:
    begun = time.process_time()
    with contextlib.suppress(ProgramError):
        compute(program)
    assert time.process_time() - begun < 5


def test_a_rounded_number_beyond_the_bounds_is_no_whole_one() -> None:
    with pytest.raises(ProgramError, match="digits"):
        compute("answer = int(exp(20000))")


def test_days_of_a_named_difference_are_its_number() -> None:
    program = "gap = date(2024, 3, 1) - date(2024, 2, 1)\nanswer = gap.days"
    assert compute(translated(program)).value == 29
