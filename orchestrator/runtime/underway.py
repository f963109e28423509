"""Calls and tools that have begun, wherever their results come from: an engine, a record, or another run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.runtime.drivers import Drivers
from orchestrator.runtime.environment import Environment
from orchestrator.runtime.graph import Graph
from orchestrator.runtime.nodes import Node, Stream
from orchestrator.runtime.reuse import Known, Memo
from orchestrator.runtime.work import Generation, ToolUse
from storage.events import Event, EventType

Live = Generation | ToolUse
"""Work that is done outside the run."""

Told = tuple[EventType, str, Mapping[str, Any]]
"""An event that has no number yet: its type, its path and its data."""


class Underway:
    """What is in flight, and how each call or tool gets its result."""

    def __init__(self, environment: Environment, drivers: Drivers, graph: Graph, memo: Memo | None) -> None:
        self.in_flight: set[str] = set()
        self._environment = environment
        self._drivers = drivers
        self._graph = graph
        self._memo = memo
        self._known = Known()
        self._held: dict[str, tuple[Node[Any], Live]] = {}
        self._reusable: dict[str, Event] = {}

    def names(self) -> str:
        """The nodes in flight, for people."""
        return ", ".join(sorted(self.in_flight))

    def reserve(self, node: Node[Any], key: str) -> None:
        """Keep for a node what another run got for the same request; ``key`` is its content key.

        This also happens within the record: a result that one node got before a crash must not go to another.
        """
        change = self._environment.changes.get(node.path)
        if self._memo is None or (change is not None and change.gives_value):
            return
        seed = None if change is None else change.seed
        event = self._memo.take(node.path, key, seed=seed)
        if event is not None:
            self._reusable[node.path] = event

    def hold(self, node: Node[Any], work: Live) -> None:
        """Hold a node that an earlier process began, until the record is known to have no result for it."""
        self._held[node.path] = node, work

    @property
    def holding(self) -> bool:
        """Whether nodes are held."""
        return bool(self._held)

    def release(self) -> None:
        """The record has ended: what was held goes live."""
        for node, work in list(self._held.values()):
            self.go_live(node, work)
        self._held.clear()

    def go_live(self, node: Node[Any], work: Live) -> None:
        """Get the result of a node from wherever it can be had."""
        change = self._environment.changes.get(node.path)
        already = len(node.received) if isinstance(node, Stream) else None
        if change is not None and change.gives_value:
            self._known.give(node.path, node.kind, change.value, already)
        elif (event := self._reusable.pop(node.path, None)) is not None:
            assert self._memo is not None
            pieces = () if already is None else self._memo.pieces(event)
            self._known.reuse(node.path, event, pieces, already or 0)
        elif self._environment.engine is None:
            return  # a counterfactual does without it, as long as nothing waits for it
        elif isinstance(work, Generation):
            self._drivers.generate(node, work, priority=self._graph.upward_rank(node.path))
        else:
            self._drivers.use_tool(node, work, interrupted=node.path in self._held)

    def known(self) -> Told | None:
        """The next result that is already known, or None."""
        return self._known.pop() if self._known else None

    def abort(self, path: str) -> dict[str, Any]:
        """Stop what is under way for a node that is cancelled; returns what its event records of that."""
        told: dict[str, Any] = {}
        if self._known and self._known.drop(path):
            told["reused"] = {}
        if tokens := self._drivers.abort(path):
            told["usage"] = {"completion_tokens": tokens}
        return told

    def settled(self, path: str) -> None:
        """Forget a node for which nothing more is to come."""
        self.in_flight.discard(path)
        self._held.pop(path, None)
        self._reusable.pop(path, None)
