"""How nodes begin: they are added to the graph, and started when their inputs are ready."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from orchestrator.errors import Failure, PlannerError, TooLarge
from orchestrator.runtime.account import Account
from orchestrator.runtime.border import Border
from orchestrator.runtime.environment import Environment
from orchestrator.runtime.gate import Gate
from orchestrator.runtime.graph import Graph
from orchestrator.runtime.interruption import RunEnded
from orchestrator.runtime.journaling import Journaling
from orchestrator.runtime.nodes import Cancelled, Failed, Node, Succeeded
from orchestrator.runtime.outcomes import Settled, failure_of_code, inherited, settled
from orchestrator.runtime.scopes import Scope, Scopes
from orchestrator.runtime.settling import Settling
from orchestrator.runtime.underway import Underway
from orchestrator.runtime.work import Child, Generation, Merging, ToolUse, Work
from storage.events import EventType
from workers.calls import Completion

NO_ROOM = "the budget has no room to spare for what runs ahead"
"""Why code that runs ahead is given up."""


class _Prepared(NamedTuple):
    """Work with its inputs, and for a call or tool what is asked, or why that cannot be said."""

    work: Work
    request: dict[str, Any] | None = None
    impossible: Failure | None = None


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
        border: Border,
    ) -> None:
        self._environment = environment
        self._journal = journal
        self._graph = graph
        self._scopes = scopes
        self._underway = underway
        self._settling = settling
        self._account = account
        self._border = border
        self._most = environment.bounds.value
        self._largest = environment.bounds.request
        self._works: dict[str, Work] = {}

    def add(self, scope: Scope, node: Node[Any], work: Work, sources: Iterable[Node[Any]]) -> bool:
        """Add a node of ``scope`` to the graph and start it if possible; returns whether it waits for inputs.

        ``sources`` are the inputs of its work.

        Raises:
            PlannerError: the scope has ended or is not the one running, or an input belongs to another run.
            RunEnded: the run is over.
        """
        self.spare_node(scope)
        if scope.closed:
            self._border.refuse(PlannerError(f"scope {scope.name} has ended; it can add no {node.kind}"))
        if scope is not self._scopes.current:
            raise PlannerError(
                f"the run of scope {scope.name} was used outside of its code; what is spawned gets its own"
            )
        inputs = self._inputs(node, sources)
        self._border.admit(EventType.NODE_ADDED, node.path)
        lost = next(
            (source for source in inputs.values() if isinstance(source.outcome, Failed | Cancelled)), None
        )
        complete = lost is None and all(source.outcome is not None for source in inputs.values())
        gate = None if lost is not None else self._gate(scope, work)
        ready = complete and gate is None
        # Its request is made by planner code, which may not yield; nothing of the node may be there by then.
        prepared = self._prepared(node, work) if ready else None
        self._enter(node, work, inputs)
        scope.children.append(node)
        data: dict[str, Any] = {"kind": node.kind.value, "label": node.label}
        if inputs:
            data["inputs"] = list(inputs)
        if seen := scope.newly_seen():
            data["after"] = seen
        if isinstance(work, Child) and work.gate is not None:
            data["ahead"] = work.gate.of
        if gate is not None:
            data["held"] = True
        if prepared is not None:
            self._begin(node, prepared, EventType.NODE_ADDED, data)
            return False
        self._journal.emit(EventType.NODE_ADDED, node.path, data)
        if lost is not None:
            self._settling.caused(node, inherited(lost))
        elif gate is not None and complete:
            gate.held.append(node)
        return lost is None

    def spare_node(self, scope: Scope) -> None:
        """Give up the code in which a scope runs ahead, if there is no node or decision to spare for it."""
        if not scope.closed and (gate := scope.gate) is not None and not self._account.spare_nodes:
            self._give_up(gate)

    def _give_up(self, gate: Gate) -> None:
        """Cancel what runs ahead: it would use what must be left for the rest of the run."""
        self._settling.caused(self._settling.nodes[gate.path], Cancelled(NO_ROOM))

    def open(self, gate: Gate) -> None:
        """What code has started from is confirmed: what waits at its gate begins."""
        gate.opened = True
        self._settling.startable.extend(gate.held)
        gate.held.clear()
        gate.wake()

    def _gate(self, scope: Scope, work: Work) -> Gate | None:
        """The closed gate at which work of a scope has to wait, if it is a tool with side effects."""
        if not scope.gates or not isinstance(work, ToolUse):
            return None
        return scope.gate if work.has_side_effects(self._environment.toolbox) else None

    def start(self, node: Node[Any]) -> None:
        """Begin the work of a node whose inputs have become ready.

        Raises:
            RunEnded: the run is over.
        """
        if node.outcome is not None:
            return
        work = self._works[node.path]
        if (gate := self._gate(self._scopes.around(node.path), work)) is not None:
            gate.held.append(node)
        else:
            self._begin(node, self._prepared(node, work), EventType.NODE_STARTED, {})

    def _prepared(self, node: Node[Any], work: Work) -> _Prepared:
        """The work as a fork changes it, with its inputs, and what is asked, for the journal."""
        work = self._changed(node.path, work)
        if not isinstance(work, Generation | ToolUse):
            return _Prepared(work)
        if isinstance(work, Generation) and all(map(_is_completed, work.inputs())):
            return self._asking(node, work)  # there are only texts in it
        try:
            return self._border.call(node.path, self._asking, node, work)
        except RunEnded:
            raise
        except Exception as error:
            return _Prepared(work, impossible=failure_of_code(error, node.path, self._most))

    def _begin(self, node: Node[Any], prepared: _Prepared, kind: EventType, data: dict[str, Any]) -> None:
        """Begin the work of a node, and record that as ``kind``: that it is added, if it begins at once."""
        work = prepared.work
        if prepared.request is not None:
            data["request"] = prepared.request
        begun_before = self._journal.repeating
        self._journal.emit(kind, node.path, data)
        if prepared.impossible is not None:
            self._settling.caused(node, Failed(prepared.impossible))
        elif isinstance(work, Merging):
            end = self._merged(node, work)
            self._settling.caused(node, end.outcome, end.data)
        elif isinstance(work, Child):
            self._open_scope(node, work)
        elif prepared.request is not None:
            self._send(node, work, prepared.request["key"], begun_before)

    def _inputs(self, node: Node[Any], sources: Iterable[Node[Any]]) -> dict[str, Node[Any]]:
        inputs = {source.path: source for source in sources}
        for source in inputs.values():
            if self._settling.nodes.get(source.path) is not source:
                raise PlannerError(
                    f"node {source.path} belongs to another run; it cannot be an input of {node.path}"
                )
        return inputs

    def _enter(self, node: Node[Any], work: Work, inputs: Mapping[str, Node[Any]]) -> None:
        """Put a node into the graph."""
        settled = [path for path, source in inputs.items() if source.outcome is not None]
        cost = float(work.sampling.max_tokens) if isinstance(work, Generation) else 1.0
        self._graph.add(node.path, inputs, settled=settled, cost=cost)
        self._settling.nodes[node.path] = node
        self._works[node.path] = work

    def _changed(self, path: str, work: Work) -> Work:
        """The work of a node, with what a fork changes there."""
        change = self._environment.changes.get(path)
        if change is None:
            return work
        if isinstance(work, Generation):
            return change.generation(work)
        return change.tool_use(work) if isinstance(work, ToolUse) else work

    def _asking(self, node: Node[Any], work: Generation | ToolUse) -> _Prepared:
        """What is asked, with the inputs. This is planner code: it looks into values that such code made."""
        try:
            work = work.bound()
            if self._largest is not None and (size := work.size()) > self._largest:
                what = "a prompt" if isinstance(work, Generation) else "the JSON of a tool's arguments"
                room = f"there is room for {self._largest:,} (ANABRANCH_MAX_REQUEST_CHARS)"
                raise TooLarge(f"{what} has {size:,} characters; {room}")
            request = work.request()
            if isinstance(work, ToolUse) and work.takes_key(self._environment.toolbox):
                request["idempotency_key"] = self._environment.idempotency_key(node.path)
            return _Prepared(work, request)
        except RunEnded:
            raise
        except BaseException as error:
            return _Prepared(work, impossible=failure_of_code(error, node.path, self._most))

    def _merged(self, node: Node[Any], work: Merging) -> Settled:
        """What a merge gives; its function is planner code."""
        try:
            return self._border.call(node.path, self._applied, node, work)
        except RunEnded:
            raise
        except Exception as error:
            return Settled(Failed(failure_of_code(error, node.path, self._most)))

    def _applied(self, node: Node[Any], work: Merging) -> Settled:
        try:
            return settled(work.apply(), self._most)
        except RunEnded:
            raise
        except BaseException as error:
            return Settled(Failed(failure_of_code(error, node.path, self._most)))

    def _open_scope(self, node: Node[Any], work: Child) -> None:
        around = self._scopes.around(node.path)
        depth = around.depth
        if work.gate is not None:  # it stands in for the code that has begun it
            self._scopes.open(node, depth, work.body, work.gate)
        elif around.gate is not None and not self._account.reaches(depth):
            self._give_up(around.gate)
        elif self._account.descend(depth):
            self._scopes.open(node, depth + 1, work.body)

    def _send(self, node: Node[Any], work: Generation | ToolUse, key: str, begun_before: bool) -> None:
        """Start a call or tool, within the budget.

        What an earlier process began is held until it is known that the record has no result for it. Code
        that runs ahead never ends the run: it is given up if the budget has no room to spare for a call.
        """
        self._underway.in_flight.add(node.path)
        gate = self._scopes.around(node.path).gate
        if gate is not None and not self._account.spare(len(self._underway.in_flight), self._promised()):
            self._give_up(gate)
            return
        if not self._account.begin(node, len(self._underway.in_flight)):
            return
        self._underway.reserve(node, key)
        if begun_before:
            self._underway.hold(node, work)
        else:
            self._underway.go_live(node, work)

    def _promised(self) -> int:
        """The completion tokens that the calls in flight of what runs ahead may come to."""
        works = [(path, self._works[path]) for path in self._underway.in_flight]
        return sum(
            work.sampling.max_tokens
            for path, work in works
            if isinstance(work, Generation) and self._scopes.around(path).gate is not None
        )


def _is_completed(source: Node[Any]) -> bool:
    """Whether the value of a node is what an engine wrote, and no object of planner code."""
    outcome = source.outcome
    return (
        type(outcome) is Succeeded and type(outcome.value) is Completion and type(outcome.value.text) is str
    )
