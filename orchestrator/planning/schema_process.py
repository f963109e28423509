"""The program that holds JSON to schemas for :mod:`orchestrator.planning.shaping`, in a process of its own.

It is asked about pairs of a schema and a text, and replies what is wrong with the text; empty if nothing is.
"""

from __future__ import annotations

import json
import re
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from workers.apart import answer

SECONDS = 4
"""For one text. Patterns can take exponential time, and so can schemas that refer to themselves twice."""


def wrong(schema: dict[str, Any], text: str) -> str:
    """What is wrong with a text, in words; empty if nothing is. No reference is followed to elsewhere."""
    registry: Registry[Any] = Registry()
    validator = validator_for(schema, default=Draft202012Validator)(schema, registry=registry)
    try:
        error = best_match(validator.iter_errors(json.loads(text)))
    except Unresolvable as lost:
        return f"the schema refers to {lost.ref!r}, which it does not have"
    except re.error as broken:
        return f"the schema has a pattern that is no regular expression: {broken}"
    return told(error) if error is not None else ""


def told(error: ValidationError) -> str:
    """An error with its place; what it says of a large value is cut."""
    return f"{error.json_path}: {error.message[:300]}"


if __name__ == "__main__":
    answer(lambda asked: wrong(*asked), seconds=SECONDS, otherwise="it cannot be held to the schema")
