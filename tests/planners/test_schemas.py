from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from planners.acting import fitted
from planners.offers import Offer, offered
from planners.plan_grammar import plan_grammar
from planners.plan_json import plan_schema
from planners.schemas import described, signature_of, takes_text, types_of

ODD: dict[str, dict[str, Any]] = {
    "without properties": {"type": "object"},
    "true": {"type": "object", "properties": {"x": True}, "required": ["x"]},
    "several types": {"type": "object", "properties": {"x": {"type": ["string", "null"]}}, "required": ["x"]},
    "in a list": {"properties": {"x": {"type": "array", "items": {"type": ["integer", "null"]}}}},
    "draft 7": {"properties": {"x": {"$ref": "#/definitions/A"}}, "definitions": {"A": {"type": "string"}}},
    "itself": {"properties": {"x": {"$ref": "#"}}, "required": ["x"]},
    "deep": {
        "properties": {"x": {"type": "array", "prefixItems": [{"$ref": "#/$defs/A"}]}},
        "$defs": {"A": {"properties": {"y": {"$ref": "#/$defs/A"}}}},
    },
}


def offer(schema: dict[str, Any]) -> Offer:
    tool: Any = SimpleNamespace(name="look", description="Looks.", schema=schema, examples=())
    return offered(tool, lambda binding: pytest.fail("not begun"))


@pytest.mark.parametrize("schema", ODD.values(), ids=ODD)
def test_any_schema_that_a_server_may_send_can_be_planned_with(schema: dict[str, Any]) -> None:
    tool: Any = SimpleNamespace(name="look", description="Looks.", schema=schema, examples=())
    assert "look(" in offer(schema).described()
    assert described(tool) == offer(schema).described()
    assert '"look("' in plan_grammar({"look": offer(schema)})
    whole = plan_schema({"look": offer(schema)}, 4)
    for reference in json.dumps(whole).split('"$ref": "#/$defs/')[1:]:
        assert reference.partition('"')[0] in whole["$defs"]
    assert '"$ref": "#"' not in json.dumps(whole)


def test_several_types() -> None:
    schema = ODD["several types"]
    assert signature_of(schema) == "(x: string or null)"
    assert types_of(schema["properties"]["x"]) == ["string", "null"]
    assert takes_text(schema["properties"]["x"])
    assert not takes_text({"type": ["string", "integer"]})
    assert '"look(" (string | null | ref) ")"' in plan_grammar({"look": offer(schema)})
    assert fitted(SimpleNamespace(schema=schema), {"x": 5}) == {"x": "5"}  # type: ignore[arg-type]
