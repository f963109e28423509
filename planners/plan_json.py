"""Plans as short JSON, for engines with guided decoding: the schema, and a reader that needs no end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from planners.offers import Offer, Offers
from planners.plan_writing import Parameters
from planners.plans import JOIN, Step
from planners.schemas import properties_of

MOST_OPTIONAL: Final = 3
"""Optional arguments that may be left out one by one from the end of a list; with more, they have names."""

_REFERENCE: Final = r"^\$[0-9]{1,3}([.][a-zA-Z_][a-zA-Z0-9_]{0,40}|\[[0-9]{1,3}\])*$"


class JsonReader:
    """Reads ``{"plan": [["search", "Paris"], ["search", {"query": "Rome"}]]}``.

    A step is a list: its tool, then its arguments in order or in one object. It has the number of its place,
    counted from ``first``. Objects with ``tool``, ``arguments`` and perhaps an ``id`` are steps too. The end
    of the list is the join.
    """

    _START = re.compile(r'"(?:plan|steps)"\s*:\s*\[')
    _END = re.compile(r"[\s,]*\]")
    _BETWEEN = re.compile(r"[\s,]*")

    def __init__(self, parameters: Parameters, first: int = 1) -> None:
        self._parameters = parameters
        self._next = first
        self._text = ""
        self._at: int | None = None
        self._decoder = json.JSONDecoder()

    def feed(self, text: str) -> list[Step]:
        """The steps that are complete; what is not a step is skipped."""
        self._text += text
        if self._at is None:
            start = self._START.search(self._text)
            self._at = start.end() if start else None
        steps = [step for value in self._values() if (step := self._step(value)) is not None]
        if self._at is not None and (end := self._END.match(self._text, self._at)):
            self._at = end.end()
            steps.append(Step(0, JOIN, {}))
        return steps

    def finish(self) -> list[Step]:
        """No steps: half a list is not a step."""
        return []

    def _values(self) -> Iterator[Any]:
        while self._at is not None:
            between = self._BETWEEN.match(self._text, self._at)
            assert between is not None
            try:
                value, end = self._decoder.raw_decode(self._text, between.end())
            except (ValueError, RecursionError):
                return
            if not isinstance(value, list | dict) and end == len(self._text):
                return  # a number may go on
            self._at = end
            yield value

    def _step(self, value: Any) -> Step | None:
        match value:
            case [str(tool), *given]:
                number = self._next
            case {"tool": str(tool)}:
                number = value["id"] if type(value.get("id")) is int else self._next
                given = [value.get("arguments") or {}]
            case _:
                return None
        self._next = number + 1
        return Step(number, tool, self._named(tool, given))

    def _named(self, tool: str, given: list[Any]) -> dict[str, Any]:
        names = self._parameters.get(tool, ())
        if (
            len(given) == 1
            and isinstance(given[0], dict)
            and (given[0].keys() & set(names) or not (names and given[0]))
        ):
            return given[0]
        extra = (f"argument_{number}" for number in range(len(names) + 1, len(given) + 1))
        return dict(zip((*names, *extra), given, strict=False))


def plan_schema(offers: Offers, limit: int, *, thinks: bool = False) -> dict[str, Any]:
    """The JSON schema of a plan of at most ``limit`` steps; with ``thinks``, a thought comes first.

    Lists whose items differ are ``prefixItems`` alone, which is what llama.cpp's converter takes.
    """
    definitions: dict[str, Any] = {"reference": {"type": "string", "pattern": _REFERENCE}}
    kinds: list[dict[str, Any]] = []
    for offer in offers.values():
        for key, definition in _referring(offer.schema.get("$defs", {}), offer).items():
            definitions[f"{offer.name}.{key}"] = _opened(definition, is_value=False)
        kinds += [_tuple(offer.name, arguments) for arguments in _arguments(offer)]
    steps = {"type": "array", "items": {"anyOf": kinds}, "minItems": 1, "maxItems": limit}
    thought = {"thought": {"type": "string"}} if thinks else {}
    return {**record({**thought, "plan": steps}), "$defs": definitions}


def _arguments(offer: Offer) -> Iterator[list[Any]]:
    """The lists of schemas of arguments that a step may have."""
    schemas = _referring(properties_of(offer.schema), offer)
    optional = len(offer.parameters) - len(offer.required)
    if offer.required != offer.parameters[: len(offer.required)] or optional > MOST_OPTIONAL:
        whole = {key: value for key, value in offer.schema.items() if key not in ("$defs", "title")}
        yield [_opened(_referring(whole, offer), is_value=False)]
        return
    opened = [_opened(schemas[name]) for name in offer.parameters]
    for count in range(len(offer.required), len(opened) + 1):
        yield opened[:count]


def _tuple(name: str, arguments: list[Any]) -> dict[str, Any]:
    items = [{"const": name}, *arguments]
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


def record(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _referring(schema: Any, offer: Offer) -> Any:
    """A schema whose references are to definitions of the plan's; one that leads elsewhere says nothing."""
    if isinstance(schema, list):
        return [_referring(each, offer) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    inner = {key: _referring(value, offer) for key, value in schema.items()}
    if isinstance(reference := schema.get("$ref"), str):
        del inner["$ref"]
        name = reference.removeprefix("#/$defs/")
        if name != reference and name in offer.schema.get("$defs", {}):
            inner["$ref"] = f"#/$defs/{offer.name}.{name}"
    return inner


def _opened(schema: Any, *, is_value: bool = True) -> Any:
    """A schema in which a reference may stand for any value but a text, which can hold references anyway."""
    if not isinstance(schema, Mapping):
        return schema
    inner = dict(schema)
    if isinstance(properties := inner.get("properties"), Mapping):
        inner["properties"] = {name: _opened(value) for name, value in properties.items()}
    for key in ("items", "additionalProperties"):
        if isinstance(inner.get(key), Mapping):
            inner[key] = _opened(inner[key])
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(options := inner.get(key), list):
            inner[key] = [_opened(option, is_value=False) for option in options]
    is_text = inner.get("type") == "string" and "enum" not in inner and "pattern" not in inner
    return {"anyOf": [inner, {"$ref": "#/$defs/reference"}]} if is_value and not is_text else inner
