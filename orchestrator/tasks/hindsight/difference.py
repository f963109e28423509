"""How two runs differ: their answers, what they cost, and the nodes that differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.runtime.plain import canonical
from storage.events import Event, EventType


@dataclass(frozen=True, slots=True)
class NodeDifference:
    """A node that differs between two runs: what each of them has there (None: no such node)."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class TraceDifference:
    """How two runs differ: their answers, new completion tokens, and the nodes that differ."""

    answers: tuple[str | None, str | None]
    tokens: tuple[int, int]
    same: int
    nodes: tuple[NodeDifference, ...]


def difference(before: Sequence[Event], after: Sequence[Event]) -> TraceDifference:
    """Compare two runs node by node, by path; a node is the same if both its request and its result are."""
    first, second = _nodes(before), _nodes(after)
    differing = tuple(
        NodeDifference(path, first.get(path), second.get(path))
        for path in dict.fromkeys([*first, *second])
        if first.get(path) != second.get(path)
    )
    return TraceDifference(
        answers=(_answer(before), _answer(after)),
        tokens=(completion_tokens(before), completion_tokens(after)),
        same=len(first.keys() | second.keys()) - len(differing),
        nodes=differing,
    )


def completion_tokens(events: Iterable[Event]) -> int:
    """The completion tokens that a run has paid for, cancelled branches included."""
    return sum((event.data.get("usage") or {}).get("completion_tokens", 0) for event in events)


def _answer(events: Sequence[Event]) -> str | None:
    answer = events[-1].data.get("answer") if events else None
    return None if answer is None else answer.get("claim") or answer["text"]


def _nodes(events: Iterable[Event]) -> dict[str, str]:
    """What each node asked for and got, as text."""
    asked: dict[str, Any] = {}
    nodes: dict[str, str] = {}
    for event in events:
        if event.type in (EventType.NODE_ADDED, EventType.NODE_STARTED):
            asked.setdefault(event.path, {}).update(event.data)
            nodes[event.path] = f"{asked[event.path]['kind']}: open"
        elif event.type is EventType.NODE_SETTLED:
            got = {key: event.data[key] for key in ("outcome", "value", "error") if key in event.data}
            request = (asked[event.path].get("request") or {}).get("key", "")
            nodes[event.path] = f"{asked[event.path]['kind']} {request[:8]}: {canonical(got)}"
    return nodes
