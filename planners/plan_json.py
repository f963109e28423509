"""Plans as JSON, for engines with guided decoding: their schema, and a reader that need not see the end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from planners.plans import JOIN, Step


class JsonReader:
    """Reads ``{"steps": [{"id": 1, "tool": "search", "arguments": {…}}, …, {"id": 3, "tool": "join"}]}``.

    The end of the list is a join too: small models forget that step, but close the list.
    """

    _START = re.compile(r'"steps"\s*:\s*\[')
    _END = re.compile(r"[\s,]*\]")
    _BETWEEN = re.compile(r"[\s,]*")

    def __init__(self) -> None:
        self._text = ""
        self._at: int | None = None
        self._decoder = json.JSONDecoder()

    def feed(self, text: str) -> list[Step]:
        """The steps whose objects are complete; what is not a step is skipped."""
        self._text += text
        if self._at is None:
            start = self._START.search(self._text)
            self._at = start.end() if start else None
        steps = [step for value in self._objects() if (step := _step_of(value)) is not None]
        if self._at is not None and (end := self._END.match(self._text, self._at)):
            self._at = end.end()
            steps.append(Step(0, JOIN, {}))
        return steps

    def finish(self) -> list[Step]:
        """No steps: half an object is not a step."""
        return []

    def _objects(self) -> Iterator[object]:
        while self._at is not None:
            between = self._BETWEEN.match(self._text, self._at)
            assert between is not None
            try:
                value, self._at = self._decoder.raw_decode(self._text, between.end())
            except (ValueError, RecursionError):
                return
            yield value


def _step_of(value: object) -> Step | None:
    if (
        not isinstance(value, dict)
        or type(value.get("id")) is not int
        or not isinstance(value.get("tool"), str)
    ):
        return None
    arguments = value.get("arguments")
    return Step(value["id"], value["tool"], arguments if isinstance(arguments, dict) else {})


def plan_schema(tools: Mapping[str, Mapping[str, Any]], limit: int) -> dict[str, Any]:
    """The JSON schema of a plan over ``tools``, given by name with the schemas of their arguments."""
    definitions: dict[str, Any] = {"reference": {"type": "string", "pattern": r"^\$[0-9]+$"}}
    kinds = [record({"id": {"type": "integer"}, "tool": {"const": JOIN}})]
    for name, schema in tools.items():
        for key, definition in schema.get("$defs", {}).items():
            definitions[f"{name}.{key}"] = _opened(definition, name, is_value=False)
        arguments = {key: value for key, value in schema.items() if key != "$defs"}
        opened = _opened(arguments, name, is_value=False)
        kinds.append(record({"id": {"type": "integer"}, "tool": {"const": name}, "arguments": opened}))
    steps = {"type": "array", "items": {"anyOf": kinds}, "minItems": 1, "maxItems": limit + 1}
    return {**record({"steps": steps}), "$defs": definitions}


def record(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _opened(schema: Any, tool: str, *, is_value: bool = True) -> Any:
    """A schema in which a reference may stand for any value but a text, which can hold references anyway."""
    if not isinstance(schema, Mapping):
        return schema
    inner = dict(schema)
    if "$ref" in inner:
        inner["$ref"] = str(inner["$ref"]).replace("#/$defs/", f"#/$defs/{tool}.")
    if isinstance(properties := inner.get("properties"), Mapping):
        inner["properties"] = {name: _opened(value, tool) for name, value in properties.items()}
    for key in ("items", "additionalProperties"):
        if isinstance(inner.get(key), Mapping):
            inner[key] = _opened(inner[key], tool)
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(options := inner.get(key), list):
            inner[key] = [_opened(option, tool, is_value=False) for option in options]
    is_text = inner.get("type") == "string" and "enum" not in inner and "pattern" not in inner
    return {"anyOf": [inner, {"$ref": "#/$defs/reference"}]} if is_value and not is_text else inner
