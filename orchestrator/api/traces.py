"""A trace as JSON, a piece at a time: it may be larger, and nested deeper, than what one call could write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from orchestrator.api.rendering import dumped_json
from orchestrator.bodies import task_body
from orchestrator.errors import TraceTooLarge
from orchestrator.runtime.plain import plain
from storage import codec
from storage.errors import JournalDamaged, NotStorable
from storage.trace import Trace, TraceNode

LARGEST = 64_000_000
"""The most bytes of JSON that are sent at once."""

_OF_RUN = tuple(field.name for field in fields(Trace) if field.name not in ("task", "decisions", "nodes"))
_OF_NODE = tuple(field.name for field in fields(TraceNode) if field.name != "children")


def trace_json(trace: Trace) -> Iterator[str]:
    """The trace as the API and the command line show it: the tree of nodes, with totals.

    Raises:
        JournalDamaged: a value cannot be written.
    """
    longest = trace.critical_path()
    yield f'{{"task":{_dumped(trace, task_body(trace.task).model_dump(mode="json"))}'
    for name in _OF_RUN:
        yield f',"{name}":{_dumped(trace, getattr(trace, name))}'
    yield ',"decisions":['
    for place, decision in enumerate(trace.decisions):
        yield f"{',' if place else ''}{_dumped(trace, plain(decision))}"
    yield '],"nodes":['
    yield from _nodes(trace)
    tokens = trace.critical_path("tokens")
    path = {
        "paths": longest.paths,
        "length": longest.length,
        "tokens": {**plain(tokens), "ratio": tokens.ratio},
    }
    yield f'],"usage":{_dumped(trace, trace.usage())},"critical_path":{_dumped(trace, path)}}}'


def trace_bytes(trace: Trace) -> bytes:
    """All of :func:`trace_json`, in UTF-8.

    Raises:
        TraceTooLarge: it is larger than ``LARGEST``; says how to get it.
        JournalDamaged: a value cannot be written.
    """
    written = bytearray()
    for piece in trace_json(trace):
        written += piece.encode()
        if len(written) > LARGEST:
            raise TraceTooLarge(trace.task.id, f"more than {LARGEST / 1e6:,.0f} MB of JSON")
    return bytes(written)


def _nodes(trace: Trace) -> Iterator[str]:
    """The nodes with their children; takes no stack for the depth of the tree."""
    levels, separator = [iter(trace.nodes)], ""
    while levels:
        node = next(levels[-1], None)
        if node is None:
            levels.pop()
            if levels:
                yield "]}"
            separator = ","
            continue
        own = _dumped(trace, {name: getattr(node, name) for name in _OF_NODE})
        yield f'{separator}{own[:-1]},"children":['
        levels.append(iter(node.children))
        separator = ""


def _dumped(trace: Trace, value: Any) -> str:
    try:
        return _sound(codec.dumps(value))
    except NotStorable:
        pass
    try:
        return _sound(codec.dumps(plain(value)))  # an old row may hold NaN
    except (NotStorable, RecursionError):
        raise JournalDamaged(
            f"task {trace.task.id}: a value of its journal cannot be written as JSON"
        ) from None


def _sound(text: str) -> str:
    """The JSON with U+FFFD for each half of a surrogate pair, which not every client can read."""
    return dumped_json(json.loads(text)) if r"\ud" in text else text
