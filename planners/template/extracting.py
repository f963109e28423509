"""What a model is asked to find in a prompt, and how its reply is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.consensus.embedded import json_objects
from orchestrator.consensus.thinking import split_thinking
from workers.calls import Completion

REPEATED_GENERATION: Final = "repeated generation"
CATEGORIES: Final = (
    REPEATED_GENERATION,
    "reading comprehension",
    "keyword extraction",
    "named entities",
    "translation",
    "language correction",
    "sentiment",
    "other",
)

EXTRACT: Final = (
    "Do not answer the question. It may list several items and ask for the same task to be done for each, or "
    "ask for a number of samples of one thing. Reply with one JSON object that has\n"
    '"data": the list of all items, each copied exactly, in their order; empty if it lists none,\n'
    '"n": the number of samples; null if it lists items,\n'
    '"context": a passage that all items need, as its first words … its last words; empty if there is none,\n'
    '"template": the task for one item in the words of the question, with {data} in place of the item and '
    "without the context; for samples, the task for one of them, without the number,\n"
    f'"category": {", ".join(CATEGORIES[:-1])}, or {CATEGORIES[-1]},\n'
    '"together": whether an item can only be done with the others in view, as where items are sorted, '
    "ranked, counted, added up or compared with each other, or are parts of one text.\n"
)
MEND: Final = "That cannot be used: {reason}. Reply with the whole JSON object, corrected.\n"


@dataclass(frozen=True, slots=True)
class Extraction:
    """What a model has found: a template, a context, and either items or a number of samples."""

    template: str
    context: str = ""
    data: tuple[str, ...] = ()
    n: int | None = None
    category: str = "other"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A reply that is not what was asked for, and why."""

    reason: str


def schema(most: int) -> dict[str, Any]:
    """The JSON schema of a reply with at most ``most`` items."""
    properties: dict[str, Any] = {
        "data": {"type": "array", "items": {"type": "string"}, "maxItems": most},
        "n": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "context": {"type": "string"},
        "template": {"type": "string"},
        "category": {"enum": list(CATEGORIES)},
        "together": {"type": "boolean"},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def read(completion: Completion) -> Extraction | Unreadable | None:
    """What a reply says; None if it says that nothing in the prompt can be done side by side."""
    if completion.finish_reason == "refused":
        return Unreadable("the model refused")
    text = split_thinking(completion.text).answer
    found = next((each for each in json_objects(text) if each.keys() & {"data", "n", "together"}), None)
    if found is None:
        cut_off = completion.finish_reason != "stop"
        return Unreadable("it was cut off" if cut_off else "there is no JSON object in it")
    if found.get("together") is True or not (found.get("data") or found.get("n")):
        return None
    return _extraction(found)


def _extraction(found: Mapping[str, Any]) -> Extraction | Unreadable:
    data, n = found.get("data") or [], found.get("n") or None
    if not isinstance(data, list) or not all(isinstance(each, str) and each.strip() for each in data):
        return Unreadable("data must be a list of texts")
    if isinstance(n, str) and n.strip().isdecimal():
        n = int(n)
    if data and n == len(data):
        n = None  # it only counts the items
    if n is not None and (not isinstance(n, int) or isinstance(n, bool)):
        return Unreadable("n must be a whole number, or null")
    template, context = found.get("template") or "", found.get("context") or ""
    if not isinstance(template, str) or not isinstance(context, str):
        return Unreadable("template and context must be texts")
    category = found.get("category")
    return Extraction(template, context, tuple(data), n, category if category in CATEGORIES else "other")
