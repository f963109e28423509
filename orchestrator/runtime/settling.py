"""How nodes settle: each exactly once, along with all that follows for other nodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from orchestrator.runtime.account import Account
from orchestrator.runtime.graph import Graph
from orchestrator.runtime.journaling import Journaling
from orchestrator.runtime.nodes import Cancelled, Node, Outcome, Stream, Succeeded
from orchestrator.runtime.outcomes import decode, encode, inherited
from orchestrator.runtime.scopes import Scopes
from orchestrator.runtime.underway import Underway
from storage.events import Event, EventType

Consequence = tuple[Node[Any], Outcome[Any]]


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

    def caused(self, node: Node[Any], outcome: Outcome[Any]) -> None:
        """Settle a node, and all that follows from it, because of what the run itself did."""
        pending: deque[Consequence] = deque([(node, outcome)])
        while pending:
            node, outcome = pending.popleft()
            if node.outcome is not None:
                continue
            data = encode(outcome)
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
        ready = [self.nodes[path] for path in self._graph.settle(node.path)]
        if isinstance(outcome, Succeeded):
            self.startable.extend(ready)
            return ()
        needy = [self.nodes[path] for path in self._graph.dependents(node.path)]
        lost: list[Consequence] = [(dependent, inherited(node)) for dependent in needy]
        if isinstance(outcome, Cancelled):
            if (scope := self._scopes.find(node.path)) is not None:
                lost += [(child, Cancelled("its scope was cancelled")) for child in self._scopes.shut(scope)]
            lost += [(source, Cancelled(f"only {node.path} needed it")) for source in self._orphans(node)]
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
            and all(self.nodes[path].outcome is not None for path in self._graph.dependents(source.path))
        ]
