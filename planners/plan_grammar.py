"""A grammar for plans in text, built from the schemas of the tools, in the notation of llama.cpp (GBNF)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from planners.offers import Offer, Offers
from planners.plans import JOIN
from planners.schemas import properties_of, types_of

_FIXED: Final = r"""
ref ::= "$" [1-9] [0-9]{0,2} path
path ::= ("." [a-zA-Z_] [a-zA-Z0-9_]{0,40} | "[" [0-9]{1,3} "]")*
string ::= "\"" char+ "\""
char ::= [^"\\\x00-\x1F\x7F] | "\\" ["\\nt]
integer ::= "-"? ("0" | [1-9] [0-9]{0,15})
decimal ::= integer ("." [0-9]{1,16})?
boolean ::= "true" | "false"
null ::= "null"
value ::= string | ref | decimal | boolean | null | list | object
list ::= "[" (value (", " value)*)? "]"
object ::= "{" (string ": " value (", " string ": " value)*)? "}"
"""
_TYPES: Final = {
    "string": "string",
    "integer": "integer",
    "number": "decimal",
    "boolean": "boolean",
    "null": "null",
    "object": "object",
}


def plan_grammar(offers: Offers, first: int = 1, limit: int = 16, *, thinks: bool = False) -> str:
    """The grammar of ``1. search("Paris")`` … ``3. join()``; with ``thinks``, a thought comes first.

    Steps have the numbers from ``first`` on, ``limit`` at most. Required arguments stand in their order, the
    others may follow with their names. A value of any type may be a reference instead; where the schema says
    more than a type, any value is let through, as tools check.
    """
    kinds = " | ".join(f"t{index}" for index in range(len(offers)))
    thought = r'"Thought: " [^\n():]{1,160} "\n" ' if thinks else ""
    end = first + limit
    rules = [f"root ::= {thought}s{first}"]
    for number in range(first, end):
        following = f's{number + 1} | "{number + 1}. {JOIN}()"' if number + 1 < end else f'"{end}. {JOIN}()"'
        rules.append(rf's{number} ::= "{number}. " call "\n" ({following})')
    rules.append(f"call ::= {kinds}")
    rules += [f"t{index} ::= {_call(offer)}" for index, offer in enumerate(offers.values())]
    return "\n".join(rules) + _FIXED


def _call(offer: Offer) -> str:
    schemas = properties_of(offer.schema)
    defined: Mapping[str, Any] = offer.schema.get("$defs", {})
    leading = offer.required == offer.parameters[: len(offer.required)]

    def argument(name: str, *, named: bool) -> str:
        value = _value(schemas[name], defined)
        return f"{_literal(f'{name}=')} {value}" if named else value

    required = [argument(name, named=not leading) for name in offer.required]
    optional = [argument(name, named=True) for name in offer.parameters if name not in offer.required]
    inside = ' ", " '.join(required)
    if required:
        inside += "".join(f' (", " {each})?' for each in optional)
    elif optional:
        inside = f"({' | '.join(_from(optional, index) for index in range(len(optional)))})?"
    return f'{_literal(f"{offer.name}(")} {inside} ")"'


def _from(optional: Sequence[str], index: int) -> str:
    """Optional arguments of which the first that is given is the one at a place."""
    rest = "".join(f' (", " {each})?' for each in optional[index + 1 :])
    return f"{optional[index]}{rest}"


def _value(schema: Any, defined: Mapping[str, Any]) -> str:
    """The rule for a value under a schema; the wider one where the schema says more than this knows."""
    if not isinstance(schema, Mapping):
        return "value"
    if "$ref" in schema:
        return _value(defined.get(str(schema["$ref"]).rpartition("/")[2]), {})
    options = schema["enum"] if isinstance(schema.get("enum"), list) else None
    if "const" in schema:
        options = [schema["const"]]
    if options:
        return f"({' | '.join([*(_literal(json.dumps(each)) for each in options), 'ref'])})"
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            return f"({' | '.join(dict.fromkeys(_value(each, defined) for each in schema[key]))})"
    if schema.get("type") == "array":
        item = _value(schema.get("items"), defined)
        return f'(ref | "[" ({item} (", " {item})*)? "]")'
    rules = [_TYPES.get(each, "value") for each in types_of(schema)]
    return "value" if not rules or "value" in rules else f"({' | '.join([*rules, 'ref'])})"


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
