from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planners.plan_json import JsonReader
from planners.plan_text import TextReader
from planners.plans import Plan, Reader, Step
from planners.references import mapped

PARAMETERS = {"search": ["query"], "add": ["first", "second"], "join": []}


def read(reader: Reader, text: str, *, size: int = 1) -> list[Step]:
    steps = []
    for at in range(0, len(text), size):
        steps += reader.feed(text[at : at + size])
    return steps + reader.finish()


def arguments(text: str) -> dict[str, Any]:
    (step,) = read(TextReader(PARAMETERS), f"1. {text}")
    return dict(step.arguments)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('search("the Nile")', {"query": "the Nile"}),
        ("search(query='the Nile')", {"query": "the Nile"}),
        ("search(the Nile)", {"query": "the Nile"}),
        ("search(Paris, France)", {"query": "Paris, France"}),
        ("search(what's the Nile's length)", {"query": "what's the Nile's length"}),
        ("search(who's there)", {"query": "who's there"}),
        ('search("a (b) [c] {d}")', {"query": "a (b) [c] {d}"}),
        ('search("""two\nlines""")', {"query": "two\nlines"}),
        ('search("two\nlines")', {"query": "two\nlines"}),
        ('search("an escaped \\" and \\n")', {"query": 'an escaped " and \n'}),
        (r'search("\d+ is no escape")', {"query": r"\d+ is no escape"}),
        ("search(48 / 2)", {"query": "48 / 2"}),
        ("search($1 + 48)", {"query": "${1} + 48"}),
        ("search(${12})", {"query": "${12}"}),
        ('search("$12")', {"query": "$12"}),
        ('search({"query": "x"})', {"query": "x"}),
        ("search()", {}),
        ("add(1, -2.5)", {"first": 1, "second": -2.5}),
        (
            "add(\n  1,\n  second=[1, (2, null), {'a': true}],\n)",
            {"first": 1, "second": [1, [2, None], {"a": True}]},
        ),
        ("add($1, second=[$2, '$3'])", {"first": "${1}", "second": ["${2}", "$3"]}),
        ("add(1, 2, 3)", {"first": 1, "second": 2, "argument_3": 3}),
        ("add(__import__('os').getcwd(), 2)", {"first": "__import__('os').getcwd()", "second": 2}),
        ('search("ends here") # the first', {"query": "ends here"}),
    ],
)
def test_arguments_are_read_from_the_text_grammar(call: str, expected: dict[str, Any]) -> None:
    assert arguments(call) == expected


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_plan_reads_the_same_however_it_is_cut(size: int) -> None:
    text = (
        "Thought: two look-ups (and a sum).\n1. search('a')\n2. search(\"b\n c\")\n"
        "3. add($1,\n   ${2})\n4. search(what's left of $3)\n5. join()\n"
    )
    steps = read(TextReader(PARAMETERS), text, size=size)
    assert steps == [
        Step(1, "search", {"query": "a"}),
        Step(2, "search", {"query": "b\n c"}),
        Step(3, "add", {"first": "${1}", "second": "${2}"}),
        Step(4, "search", {"query": "what's left of $3"}),
        Step(5, "join", {}),
    ]


def test_an_apostrophe_does_not_swallow_the_next_step() -> None:
    steps = read(
        TextReader(PARAMETERS), "1. search(what's up)\n2. search('it')\n3. search(who's in)\n4. join()"
    )
    assert [step.arguments.get("query") for step in steps] == ["what's up", "it", "who's in", None]


def test_a_step_is_there_as_soon_as_its_parenthesis_closes() -> None:
    reader = TextReader(PARAMETERS)
    assert reader.feed('1. search("a"') == []
    assert reader.feed(")\n") == [Step(1, "search", {"query": "a"})]
    assert reader.feed("2. add(1,\n") == []
    assert reader.feed("2)\n") == [Step(2, "add", {"first": 1, "second": 2})]


@given(
    st.text(alphabet=st.sampled_from("123. $ {}()[]'\"\\\nsearchadjoin,=:#\x00é"), max_size=200),
    st.integers(1, 40),
)
def test_garbage_never_crashes_a_reader(text: str, size: int) -> None:
    for reader in (TextReader(PARAMETERS), JsonReader(PARAMETERS)):
        for step in read(reader, f'1. search("a")\n{{"plan": [{text}', size=size):
            json.dumps(dict(step.arguments))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9**9) | st.text(max_size=8) | st.floats(-9, 9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    )
)
def test_python_literals_are_read_back(value: Any) -> None:
    (step,) = read(TextReader(PARAMETERS), f"7. add({value!r}, second={value!r})\n", size=1000)
    unmoved = mapped(value, lambda text: text)
    assert step.arguments == {"first": unmoved, "second": unmoved} or "first" in _keys(value)


def _keys(value: Any) -> set[str]:
    return set(value) if isinstance(value, dict) else set()


def close(*steps: Step, known: tuple[int, ...] = (), limit: int = 4, joined: bool = True) -> list[str]:
    plan = Plan(["search", "add"], known, limit)
    for step in steps:
        plan.admit(step)
    if joined:
        plan.admit(Step(99, "join", {}))
    return plan.close()


def search(number: int, query: str = "x") -> Step:
    return Step(number, "search", {"query": query})


def test_a_valid_plan_has_no_errors_and_ends_at_its_join() -> None:
    plan = Plan(["search"], (), 4)
    assert plan.admit(search(1))
    assert plan.admit(search(3, "$1"))
    assert not plan.admit(Step(4, "join", {}))
    assert not plan.admit(search(2, "$9"))
    assert plan.close() == []
    assert list(plan.steps) == [1, 3]


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([Step(1, "fly", {})], "step 1 uses fly, which is no tool; the tools are search, add"),
        ([search(1), search(1)], "the id 1 is used twice"),
        ([search(1, "$1")], "step 1 refers to itself"),
        ([search(1, "$2"), search(2, "$1")], "steps wait for each other in a circle"),
        ([search(1, "$2"), search(2)], "step 1 refers to step 2, which comes after it"),
        ([search(1, "$3")], "step 1 refers to 3; the steps are 1"),
        ([search(1, "${77}")], "step 1 refers to 77; the steps are 1"),
        ([search(0)], "the ids of the steps go from 1 to 4, not to 0"),
    ],
)
def test_what_is_wrong_with_a_plan_is_named(steps: list[Step], error: str) -> None:
    assert any(each.startswith(error) for each in close(*steps)), close(*steps)


def test_ids_go_on_where_the_last_plan_ended() -> None:
    assert close(search(3, "$1 $2"), known=(1, 2)) == []
    assert close(search(1), known=(1, 2)) == ["the ids of the steps go from 3 to 6, not to 1"]


def test_the_join_is_needed() -> None:
    assert close(search(1), joined=False) == ["the plan does not end with join"]
    plan = Plan(["search"], (), 4)
    assert plan.close(cut_off=True) == ["the plan was cut off before join"]


def test_arguments_in_bottomless_nests_are_refused() -> None:
    nest: Any = "x"
    for _ in range(400):
        nest = [nest]
    assert close(Step(1, "search", {"query": nest})) == ["step 1 nests its arguments more than 32 deep"]


def test_a_plan_that_is_too_long_keeps_its_first_steps() -> None:
    plan = Plan(["search"], (), 3)
    admitted = [plan.admit(search(number)) for number in range(1, 7)]
    assert admitted == [True] * 3 + [False] * 3
    assert list(plan.steps) == [1, 2, 3]
    assert [step.id for step in plan.cut] == [4, 5, 6]
    assert plan.runs_on
    assert plan.close(cut_off=True) == []  # what was cut off would not have been kept


def test_what_is_needless_is_left_out_but_must_not_be_needed() -> None:
    for needed, errors in (("x", []), ("$1", ["step 2 refers to step 1, which only repeats the question"])):
        plan = Plan(["search"], (), 4, is_needless=lambda step: step.arguments["query"] == "all")
        assert not plan.admit(search(1, "all"))
        plan.admit(search(2, needed))
        plan.admit(Step(3, "join", {}))
        assert plan.close() == errors
        assert list(plan.left_out) == [1]


def test_a_step_may_be_refused_by_its_caller() -> None:
    plan = Plan(["search"], (), 4, refuse=lambda step: f"not {step.arguments['query']}")
    assert not plan.admit(search(1))
    assert plan.close() == ["not x", "the plan does not end with join"]
