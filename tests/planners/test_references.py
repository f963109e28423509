from __future__ import annotations

import re
from typing import Any

import pytest

from planners.references import NoFields, Numbering, Reference, Unbound, amounts_in, at, mapped

NUMBERING = Numbering(16)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$1", [Reference(1)]),
        (" ${12} ", [Reference(12)]),
        ("$1.name", [Reference(1, ("name",))]),
        ("$1[0]", [Reference(1, (0,))]),
        ("${3.rows[2].name}", [Reference(3, ("rows", 2, "name"))]),
        ('$1["first name"]', [Reference(1, ("first name",))]),
        ("a $1 b ${3}$2", [Reference(1), Reference(3), Reference(2)]),
        ("Who leads $1?", [Reference(1)]),
        ("It is $1. Then", [Reference(1)]),
        ("gcd($1,240)", [Reference(1)]),
        ("max(7,$1,240)", [Reference(1)]),
        ("$10", [Reference(10)]),
        ("the mayor of ${20}", [Reference(20)]),
        ("$20", [Reference(20)]),
    ],
)
def test_references_are_found(text: str, expected: list[Reference]) -> None:
    assert NUMBERING.found(text) == expected


@pytest.mark.parametrize(
    "text",
    ["$20.5", "$1.5", "for $3.50 each", "it costs $20", "a debt of $1,000", "$5 million", "$2k", "$3bn."],
)
def test_money_is_no_reference(text: str) -> None:
    assert NUMBERING.found(text) == []


def test_an_amount_of_the_question_is_money_unless_nothing_else_can_be_meant() -> None:
    numbering = Numbering(16, amounts_in("Pens cost $2 each, books $12.50."))
    assert numbering.amounts == {2}
    assert numbering.found("3 pens at $2 and $1") == [Reference(1)]
    assert numbering.found("3 times ${2}") == [Reference(2)]
    assert numbering.found("$2") == [Reference(2)]


def test_a_sign_after_a_reference_belongs_to_it() -> None:
    assert NUMBERING.filled("How old is $1$, and $2?", {Reference(1): "Ann", Reference(2): "Bob"}.get) == (
        "How old is Ann, and Bob?"
    )
    assert NUMBERING.found("$1$2") == [Reference(1), Reference(2)]


def test_ids_are_found_at_any_depth() -> None:
    assert NUMBERING.ids(["a $1 b", {"x": "${3}$2"}, 4, None]) == {1, 2, 3}


def test_values_are_not_read_again_for_references() -> None:
    values = {Reference(1): "$10", Reference(10): 'a "quote"'}
    assert NUMBERING.filled("$1 and ${10}, $2", values.get) == '$10 and a "quote", $2'


def test_every_text_of_an_argument_is_mapped() -> None:
    assert mapped({"a": ["x", 1, {"b": "y"}]}, str.upper) == {"a": ["X", 1, {"b": "Y"}]}


PERSON = {"name": "Ann", "ages": [30, 31], "answer": "own"}


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        (PERSON, (), PERSON),
        (PERSON, ("name",), "Ann"),
        (PERSON, ("ages", 1), 31),
        (PERSON, ("answer",), "own"),
        ('{"name": "Bob"}', ("name",), "Bob"),
        ('[{"x": "{\\"y\\": 1}"}]', (0, "x", "y"), 1),
        ("thirty", ("result",), "thirty"),
        (30, ("value",), 30),
        ({"0": "zero"}, (0,), "zero"),
    ],
)
def test_what_is_at_a_path(value: object, path: tuple[Any, ...], expected: object) -> None:
    assert at(value, Reference(1, path)) == expected


@pytest.mark.parametrize(
    ("value", "path", "error", "message"),
    [
        (PERSON, ("age",), Unbound, "$1 has no 'age'; it has the fields name, ages, answer"),
        ([1], (1,), Unbound, "$1 has no item 1, only 1 items, from 0"),
        ([1], ("age",), Unbound, "$1 has no 'age'; it has a list"),
        ("Ann is 30.", ("age",), NoFields, "$1 has no 'age'; it is no JSON object"),
        ("{broken", ("age",), NoFields, "it is no JSON object"),
        (None, ("age",), NoFields, "it is no JSON object"),
    ],
)
def test_what_is_not_there_is_named(
    value: object, path: tuple[Any, ...], error: type[Unbound], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)) as raised:
        at(value, Reference(1, path))
    assert type(raised.value) is error
