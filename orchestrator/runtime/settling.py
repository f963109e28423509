"""How nodes settle: each exactly once, along with all that follows for other nodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.runtime.account import Account
from orchestrator.runtime.graph import Graph
from orchestrator.runtime.journaling import Journaling
from orchestrator.runtime.nodes import Cancelled, Node, Outcome, Stream, Succeeded
from orchestrator.runtime.outcomes import decode, encode, inherited
from orchestrator.runtime.scopes import Scopes
from orchestrator.runtime.underway import Underway
from storage.events import Event, EventType

Consequence = tuple[Node[Any], Outcome[Any], Mapping[str, Any] | None]
"""A node, its outcome, and the data of its event if that is known already."""


class Settling:
    """The nodes of a run, and their outcomes. ``startable`` are those whose inputs are all ready."""

    def __init__(
        self, journal: Journaling, graph: Graph, scopes: Scopes, underway: Underway, account: Account
    ) -> None:
        self.nodes: dict[str, Node[Any]] = {}
        self.startable: deque[Node[Any]] = deque()
        self._journal = journal
        self._graph = graph
        self._scopes = scopes
        self._underway = underway
        self._account = account

    def told(self, node: Node[Any], event: Event) -> None:
        """Settle a node as an external event says."""
        self._account.settle(node, event)
        for consequence in self._settle(node, decode(node.kind, event.data)):
            self.caused(*consequence)

    def caused(self, node: Node[Any], outcome: Outcome[Any], data: Mapping[str, Any] | None = None) -> None:
        """Settle a node, and all that follows from it, because of what the run itself did.

        ``data`` is what the event records, for an outcome with a value.
        """
        pending: deque[Consequence] = deque([(node, outcome, data)])
        while pending:
            node, outcome, given = pending.popleft()
            if node.outcome is not None:
                continue
            data = dict(given or encode(outcome))
            if isinstance(outcome, Cancelled):
                data |= self._underway.abort(node.path)
            self._account.settle(node, self._journal.emit(EventType.NODE_SETTLED, node.path, data))
            pending.extend(self._settle(node, outcome))

    def _settle(self, node: Node[Any], outcome: Outcome[Any]) -> Iterable[Consequence]:
        """Give the node its outcome, and wake the code that awaits it; returns what follows for others."""
        node.outcome = outcome
        self._underway.settled(node.path)
        node.wake()
        if isinstance(node, Stream):
            node.chunk.wake()
        for arrivals in node.arrivals:
            arrivals.arrived(node)
            if arrivals.ready():
                arrivals.wake()
        for watching in node.watching:
            watching.wake()
        ready = [self.nodes[path] for path in self._graph.settle(node.path)]
        if isinstance(outcome, Succeeded):
            self.startable.extend(ready)
            return ()
        self._account.discard(self._scopes.for_nothing(node))
        needy = [self.nodes[path] for path in self._graph.dependents(node.path)]
        lost: list[Consequence] = [(dependent, inherited(node), None) for dependent in needy]
        if isinstance(outcome, Cancelled):
            if (scope := self._scopes.find(node.path)) is not None:
                gone = Cancelled("its scope was cancelled")
                lost += [(child, gone, None) for child in self._scopes.shut(scope)]
            idle = Cancelled(f"only {node.path} needed it")
            lost += [(source, idle, None) for source in self._orphans(node)]
        return lost

    def _orphans(self, node: Node[Any]) -> list[Node[Any]]:
        """The inputs of a cancelled node that nothing else needs or waits for."""
        sources = [self.nodes[path] for path in self._graph.inputs(node.path)]
        return [
            source
            for source in sources
            if source.outcome is None
            and all(waiter.closed for waiter in source.waiters)
            and not source.arrivals
            and all(waiter.closed for watching in source.watching for waiter in watching.waiters)
            and all(self.nodes[path].outcome is not None for path in self._graph.dependents(source.path))
        ]
