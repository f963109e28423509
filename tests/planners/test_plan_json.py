from __future__ import annotations

import json
from typing import Any

import pytest

from planners.offers import Offer
from planners.plan_json import JsonReader, plan_schema
from planners.plans import Plan, Step

PARAMETERS = {"search": ["query"], "add": ["first", "second"], "ask": ["question", "context", "n"]}
JOIN = Step(0, "join", {})


def read(text: str, *, size: int = 1000, first: int = 1) -> list[Step]:
    reader = JsonReader(PARAMETERS, first)
    steps: list[Step] = []
    for at in range(0, len(text), size):
        steps += reader.feed(text[at : at + size])
    return steps + reader.finish()


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_steps_are_there_as_soon_as_their_bracket_closes(size: int) -> None:
    text = json.dumps({"plan": [["search", "a ] b"], ["ask", "who?", ["$3"]]]}, indent=1)
    expected = [
        Step(3, "search", {"query": "a ] b"}),
        Step(4, "ask", {"question": "who?", "context": ["$3"]}),
    ]
    assert read(text, size=size, first=3) == [*expected, JOIN]
    assert read(text[: text.index("who")], size=size, first=3) == expected[:1]


@pytest.mark.parametrize(
    ("item", "step"),
    [
        (["search", {"query": "x"}], Step(1, "search", {"query": "x"})),
        (["search", {"other": "x"}], Step(1, "search", {"query": {"other": "x"}})),
        (["add", 1], Step(1, "add", {"first": 1})),
        (["add", 1, 2, 3], Step(1, "add", {"first": 1, "second": 2, "argument_3": 3})),
        (["fly", "home"], Step(1, "fly", {"argument_1": "home"})),
        (["fly", {"to": "home"}], Step(1, "fly", {"to": "home"})),
        (["search"], Step(1, "search", {})),
        ({"id": 7, "tool": "search", "arguments": {"query": "x"}}, Step(7, "search", {"query": "x"})),
        ({"tool": "search"}, Step(1, "search", {})),
    ],
)
def test_a_step_is_read_in_each_of_its_forms(item: object, step: Step) -> None:
    assert read(json.dumps({"plan": [item]})) == [step, JOIN]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"plan": 3}',
        '{"plan": [',
        '{"plan": [1, null, [], [3, "x"], {"tool": 1}, "x", 12',
        "[" * 9_999,
    ],
)
def test_what_is_no_step_is_passed_over(text: str) -> None:
    assert read(text, size=50) == []


def test_a_plan_ends_where_its_list_does_or_at_its_join() -> None:
    for text, joined in (
        ('{"plan": [["search", "x"]]', True),
        ('{"plan": [["search", "x"], ["join"]', True),
        ('{"plan": [["search", "x"], ', False),
    ):
        plan = Plan(["search"], (), 4)
        for step in read(text, size=9):
            plan.admit(step)
        assert list(plan.steps) == [1]
        assert plan.joined is joined


def offer(name: str, schema: dict[str, Any]) -> Offer:
    return Offer(name, "Does something.", schema, lambda binding: pytest.fail("not to begin"))


MEASURE = {
    "$defs": {"Unit": {"enum": ["m", "ft"], "type": "string"}},
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "count": {"type": "integer"},
        "unit": {"$ref": "#/$defs/Unit"},
        "rows": {"type": "array", "items": {"type": "number"}},
    },
    "required": ["name"],
}


def test_the_schema_lets_a_reference_stand_for_what_is_no_text() -> None:
    schema = plan_schema({"measure": offer("measure", MEASURE)}, 5)
    *_, longest = kinds = schema["properties"]["plan"]["items"]["anyOf"]
    assert [len(kind["prefixItems"]) for kind in kinds] == [2, 3, 4, 5]
    reference = {"$ref": "#/$defs/reference"}
    name, text, count, unit, rows = longest["prefixItems"]
    assert name == {"const": "measure"}
    assert text == {"type": "string"}
    assert count == {"anyOf": [{"type": "integer"}, reference]}
    assert unit == {"anyOf": [{"$ref": "#/$defs/measure.Unit"}, reference]}
    assert rows["anyOf"][0]["items"] == {"anyOf": [{"type": "number"}, reference]}
    assert schema["$defs"]["measure.Unit"]["enum"] == ["m", "ft"]
    assert schema["properties"]["plan"]["maxItems"] == 5
    assert "thought" not in schema["properties"]
    assert list(plan_schema({}, 5, thinks=True)["properties"]) == ["thought", "plan"]


def test_many_optional_arguments_are_given_by_name() -> None:
    properties = {name: {"type": "integer"} for name in "abcde"}
    for required in (["a"], ["e"]):
        schema = plan_schema({"x": offer("x", {"properties": properties, "required": required})}, 5)
        (kind,) = schema["properties"]["plan"]["items"]["anyOf"]
        assert len(kind["prefixItems"]) == 2
        assert list(kind["prefixItems"][1]["properties"]) == list("abcde")
