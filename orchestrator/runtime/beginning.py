"""How nodes begin: they are added to the graph, and started when their inputs are ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import PlannerError
from orchestrator.runtime.account import Account
from orchestrator.runtime.environment import Environment
from orchestrator.runtime.graph import Graph
from orchestrator.runtime.journaling import Journaling
from orchestrator.runtime.nodes import Cancelled, Failed, Node, Outcome, Succeeded
from orchestrator.runtime.outcomes import failure_of_code, inherited
from orchestrator.runtime.scopes import Scope, Scopes
from orchestrator.runtime.settling import Settling
from orchestrator.runtime.underway import Underway
from orchestrator.runtime.work import Child, Generation, Merging, ToolUse, Work
from storage.events import EventType


class Beginning:
    """Takes new nodes, and begins the work of each as soon as its inputs are ready."""

    def __init__(
        self,
        environment: Environment,
        journal: Journaling,
        graph: Graph,
        scopes: Scopes,
        underway: Underway,
        settling: Settling,
        account: Account,
    ) -> None:
        self._environment = environment
        self._journal = journal
        self._graph = graph
        self._scopes = scopes
        self._underway = underway
        self._settling = settling
        self._account = account
        self._works: dict[str, Work] = {}

    def add(self, scope: Scope, node: Node[Any], work: Work) -> bool:
        """Add a node of ``scope`` to the graph and start it if possible; returns whether it waits for inputs.

        Raises:
            PlannerError: the scope has ended or is not the one running, or an input belongs to another run.
        """
        if scope.closed:
            raise PlannerError(f"scope {scope.name} has ended; it can add no {node.kind}")
        if scope is not self._scopes.current:
            raise PlannerError(
                f"the run of scope {scope.name} was used outside of its code; what is spawned gets its own"
            )
        inputs = self._inputs(node, work)
        ready = self._enter(node, work, inputs)
        scope.children.append(node)
        data: dict[str, Any] = {"kind": node.kind.value, "label": node.label}
        if inputs:
            data["inputs"] = list(inputs)
        if seen := scope.newly_seen():
            data["after"] = seen
        lost = next(
            (source for source in inputs.values() if isinstance(source.outcome, Failed | Cancelled)), None
        )
        if ready and lost is None:
            self.start(node, data)
            return False
        self._journal.emit(EventType.NODE_ADDED, node.path, data)
        if lost is not None:
            self._settling.caused(node, inherited(lost))
        return lost is None

    def start(self, node: Node[Any], added: dict[str, Any] | None = None) -> None:
        """Begin the work of a node whose inputs are ready.

        ``added`` is the event of a node that starts as soon as it is added; one event then records both.
        """
        if node.outcome is not None:
            return
        work = self._works[node.path] = self._changed(node.path)
        kind, data = (EventType.NODE_STARTED, {}) if added is None else (EventType.NODE_ADDED, added)
        impossible: Failed | None = None
        if isinstance(work, Generation | ToolUse):
            try:
                data["request"] = self._request(node, work)
            except Exception as error:
                impossible = Failed(failure_of_code(error, node.path))
        begun_before = self._journal.repeating
        self._journal.emit(kind, node.path, data)
        if impossible is not None:
            self._settling.caused(node, impossible)
        elif isinstance(work, Merging):
            self._settling.caused(node, _merged(work, node.path))
        elif isinstance(work, Child):
            self._open_scope(node, work)
        else:
            self._send(node, work, data["request"]["key"], begun_before)

    def _inputs(self, node: Node[Any], work: Work) -> dict[str, Node[Any]]:
        inputs = {source.path: source for source in work.inputs()}
        for source in inputs.values():
            if self._settling.nodes.get(source.path) is not source:
                raise PlannerError(
                    f"node {source.path} belongs to another run; it cannot be an input of {node.path}"
                )
        return inputs

    def _enter(self, node: Node[Any], work: Work, inputs: Mapping[str, Node[Any]]) -> bool:
        """Put a node into the graph; returns whether it is ready."""
        settled = [path for path, source in inputs.items() if source.outcome is not None]
        cost = float(work.sampling.max_tokens) if isinstance(work, Generation) else 1.0
        ready = self._graph.add(node.path, inputs, settled=settled, cost=cost)
        self._settling.nodes[node.path] = node
        self._works[node.path] = work
        return ready

    def _changed(self, path: str) -> Work:
        """The work of a node, with what a fork changes there."""
        work = self._works[path]
        change = self._environment.changes.get(path)
        if change is None:
            return work
        if isinstance(work, Generation):
            return change.generation(work)
        return change.tool_use(work) if isinstance(work, ToolUse) else work

    def _request(self, node: Node[Any], work: Generation | ToolUse) -> dict[str, Any]:
        """What is asked, for the journal."""
        request = work.request()
        if isinstance(work, ToolUse) and work.takes_key(self._environment.toolbox):
            request["idempotency_key"] = self._environment.idempotency_key(node.path)
        return request

    def _open_scope(self, node: Node[Any], work: Child) -> None:
        depth = self._scopes.at(node.path.rpartition(".")[0]).depth
        if self._account.descend(depth):
            self._scopes.open(node, depth + 1, work.body)

    def _send(self, node: Node[Any], work: Generation | ToolUse, key: str, begun_before: bool) -> None:
        """Start a call or tool, within the budget.

        What an earlier process began is held until it is known that the record has no result for it.
        """
        self._underway.in_flight.add(node.path)
        if not self._account.begin(node, len(self._underway.in_flight)):
            return
        self._underway.reserve(node, key)
        if begun_before:
            self._underway.hold(node, work)
        else:
            self._underway.go_live(node, work)


def _merged(work: Merging, path: str) -> Outcome[Any]:
    try:
        return Succeeded(work.apply())
    except Exception as error:
        return Failed(failure_of_code(error, path))
