from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from workers.errors import ToolError
from workers.tools.schemas import OMITTED, arguments_of_schema, given, plain_schema

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "unit": {"enum": ["C", "F"]},
        "maybe": {"type": ["number", "null"]},
        "any": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "odd": {"type": "no type of JSON"},
        "model_config": {"type": "array"},
    },
    "required": ["text"],
}


def validated(**arguments: Any) -> dict[str, object]:
    found = arguments_of_schema("look", SCHEMA).model_validate(arguments)
    fields = type(found).model_fields
    return {str(field.alias): getattr(found, name) for name, field in fields.items()}


def test_plain_types_and_choices_are_checked_and_the_rest_is_left_to_the_server() -> None:
    values = validated(text="x", count="3", unit="C", maybe=None, any=[1], odd={"y": 1}, model_config=[])
    assert values == {
        "text": "x",
        "count": 3,
        "unit": "C",
        "maybe": None,
        "any": [1],
        "odd": {"y": 1},
        "model_config": [],
    }
    for wrong in (
        {},
        {"text": 1},
        {"text": "x", "count": "x"},
        {"text": "x", "unit": "K"},
        {"text": "x", "z": 1},
    ):
        with pytest.raises(ValidationError):
            validated(**wrong)


def test_what_is_not_given_is_not_sent_but_null_is() -> None:
    values = validated(text="x", maybe=None)
    assert values["count"] is OMITTED
    assert given(values) == {"text": "x", "maybe": None}


@pytest.mark.parametrize("schema", [{}, {"type": "array"}, {"type": "object", "properties": []}])
def test_other_schemas_are_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match='"type": "object"'):
        arguments_of_schema("look", schema)


def test_whoever_reads_a_schema_finds_objects_and_names() -> None:
    odd = {"type": "object", "required": ["x", []], "properties": {"x": True, "y": {}}, "$defs": {"z": False}}
    assert plain_schema(odd, "look") == {
        "type": "object",
        "required": ["x"],
        "properties": {"x": {}, "y": {}},
        "$defs": {"z": {}},
    }
    assert odd["properties"] == {"x": True, "y": {}}
    assert plain_schema(SCHEMA, "look") == SCHEMA
    assert list(plain_schema(SCHEMA, "look")) == list(SCHEMA)


@pytest.mark.parametrize(
    "schema", [[], {"properties": []}, {"$defs": []}, {"required": "x"}, {"default": float("nan")}]
)
def test_a_schema_that_no_journal_could_keep_or_nobody_read_is_refused(schema: Any) -> None:
    with pytest.raises((ValueError, ToolError)):
        plain_schema(schema, "look")
    with pytest.raises(ToolError, match="more than the 10"):
        plain_schema(SCHEMA, "look", 10)
