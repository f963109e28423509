"""The journal read as a tree for people: what each node was asked, returned, cost, and waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from storage.events import Event, EventType
from storage.reading import Reading
from storage.store import Store
from storage.tasks import Task
from storage.waits import Waits

State = Literal["waiting", "running", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a stop rule or a planner decided, and what it saw. ``path`` is the scope's."""

    seq: int
    at: float
    path: str
    by: str
    verdict: Any
    saw: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceNode:
    """One node. Times are in seconds since the epoch.

    ``inputs`` are the nodes whose values it was given, ``after`` those that the planner had waited for when
    it added this one, at most 64 of them, and ``seen`` all that it had waited for since it added the
    scope's node before. ``reused`` says where a fork took the result from instead of computing it. ``ahead``
    is the node that this one, a scope, ran ahead of.
    """

    path: str
    kind: str
    label: str
    state: State
    inputs: tuple[str, ...]
    after: tuple[str, ...]
    seen: tuple[str, ...]
    added_at: float
    started_at: float | None
    settled_at: float | None
    settled_seq: int | None  # number of the event that settled it
    request: Mapping[str, Any] | None
    value: Any
    error: Mapping[str, Any] | None
    usage: Mapping[str, int]
    timing: Mapping[str, float]
    worker: str | None
    reused: Mapping[str, Any] | None
    ahead: str | None = None
    children: tuple[TraceNode, ...]

    @property
    def seconds(self) -> float:
        """From start to settlement; 0 while it has not settled or if it never started."""
        if self.settled_at is None or self.started_at is None:
            return 0.0
        # A resumed run may be on a host with another clock.
        return max(0.0, self.settled_at - self.started_at)

    @property
    def tokens(self) -> int:
        """Completion tokens of its own call."""
        return self.usage.get("completion_tokens", 0)


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """The chain of nodes that bounds how fast the run could have been.

    CP(v) = cost(v) + max of CP over what v waited for (Kelley and Walker 1959). ``length`` and ``work``, the
    sum of all costs, are in the unit of the cost. In seconds, the sum is not how long the nodes would take
    one after another: those that ran at the same time slowed each other down.
    """

    paths: tuple[str, ...]
    length: float
    work: float

    @property
    def ratio(self) -> float:
        """How many times the length all nodes together cost; 1 for a run that cost nothing."""
        return self.work / self.length if self.length else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A task and all that its journal says. ``nodes`` are those of the root scope, in program order."""

    task: Task
    header: Mapping[str, Any]  # what the run was started with
    started_at: float | None
    finished_at: float | None
    resumed_at: tuple[float, ...]
    limit: str | None  # the limit that the run reached
    outcome: str | None
    answer: Any
    error: Mapping[str, Any] | None
    decisions: tuple[Decision, ...]
    nodes: tuple[TraceNode, ...]

    @classmethod
    async def read(cls, store: Store, task_id: str) -> Trace:
        """The trace of a stored task, finished or not.

        Raises:
            TaskNotFound: there is no such task.
            JournalDamaged: an event is not what it should be, or is about a node that was never added.
        """
        return await cls.gather(await store.get(task_id), store.read(task_id))

    @classmethod
    async def gather(cls, task: Task, events: AsyncIterator[Event]) -> Trace:
        """The trace that ``events`` make, in one pass over them. Raises JournalDamaged like :meth:`read`."""
        draft = _Draft(task)
        async for event in events:
            draft.add(event)
        return draft.trace()

    @classmethod
    def of(cls, task: Task, events: Iterable[Event]) -> Trace:
        """Like :meth:`gather`, for events that are already in memory."""
        draft = _Draft(task)
        for event in events:
            draft.add(event)
        return draft.trace()

    def walk(self) -> Iterator[TraceNode]:
        """All nodes, each before its children."""
        pending = list(reversed(self.nodes))
        while pending:
            node = pending.pop()
            yield node
            pending.extend(reversed(node.children))

    def usage(self) -> dict[str, int]:
        """Tokens of all calls, and under ``wasted_tokens`` the completion tokens of those for nothing.

        These are cancelled calls, and all calls in a scope that ran ahead and did not succeed.
        """
        total = {"prompt_tokens": 0, "cached_tokens": 0, "completion_tokens": 0, "wasted_tokens": 0}
        lost: set[str] = set()  # the scopes whose calls were for nothing
        for node in self.walk():
            for name, tokens in node.usage.items():
                total[name] = total.get(name, 0) + tokens
            ran_for_nothing = node.ahead is not None and node.state in ("cancelled", "failed")
            if ran_for_nothing or node.path.rpartition(".")[0] in lost:
                lost.add(node.path)
            if node.state == "cancelled" or node.path in lost:
                total["wasted_tokens"] += node.tokens
        return total

    def critical_path(self, unit: Literal["seconds", "tokens"] = "seconds") -> CriticalPath:
        """The most expensive chain of nodes that waited for each other.

        A scope costs nothing itself: it ends with the last of its children. Cancelled nodes are work, but
        nobody waited for them to end.
        """
        cost: Callable[[TraceNode], float] = (
            (lambda node: node.seconds) if unit == "seconds" else (lambda node: float(node.tokens))
        )
        return _longest(self, cost)


@dataclass(slots=True)
class _DraftNode:
    path: str
    kind: str
    label: str
    inputs: tuple[str, ...]
    after: tuple[str, ...]
    seen: tuple[str, ...]
    added_at: float
    request: Mapping[str, Any] | None
    ahead: str | None
    started_at: float | None = None
    settled_at: float | None = None
    settled_seq: int | None = None
    settlement: Mapping[str, Any] = field(default_factory=dict)
    children: list[TraceNode] = field(default_factory=list)

    def freeze(self) -> TraceNode:
        said = self.settlement
        state: State = said.get("outcome") or ("waiting" if self.started_at is None else "running")
        return TraceNode(
            path=self.path,
            kind=self.kind,
            label=self.label,
            state=state,
            inputs=self.inputs,
            after=self.after,
            seen=self.seen,
            added_at=self.added_at,
            started_at=self.started_at,
            settled_at=self.settled_at,
            settled_seq=self.settled_seq,
            request=self.request,
            value=said.get("value"),
            error=said.get("error"),
            usage=said.get("usage") or {},
            timing=said.get("timing") or {},
            worker=said.get("worker"),
            reused=said.get("reused"),
            ahead=self.ahead,
            children=tuple(reversed(self.children)),
        )


class _Draft:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._reading = Reading(task.id)
        self._nodes: dict[str, _DraftNode] = {}
        self._waits = Waits()
        self._decisions: list[Decision] = []
        self._resumed: list[float] = []
        self._header: Mapping[str, Any] = {}
        self._started_at: float | None = None
        self._finished_at: float | None = None
        self._limit: str | None = None
        self._end: Mapping[str, Any] = {}

    def add(self, event: Event) -> None:
        self._reading.check(event)
        data = event.data
        match event.type:
            case EventType.RUN_STARTED:
                self._header, self._started_at = data, event.at
            case EventType.NODE_ADDED:
                self._add_node(event)
            case EventType.NODE_STARTED:
                node = self._nodes[event.path]
                node.started_at = event.at
                node.request = data.get("request")
            case EventType.NODE_SETTLED:
                node = self._nodes[event.path]
                node.settled_at, node.settled_seq, node.settlement = event.at, event.seq, data
            case EventType.DECISION:
                self._decisions.append(
                    Decision(
                        event.seq,
                        event.at,
                        event.path,
                        data["by"],
                        data.get("verdict"),
                        data.get("saw") or {},
                    )
                )
            case EventType.LIMIT_REACHED:
                self._limit = data.get("limit")
            case EventType.RUN_RESUMED:
                self._resumed.append(event.at)
            case EventType.RUN_FINISHED:
                self._end, self._finished_at = data, event.at
            case EventType.NODE_CHUNK:
                pass  # the settlement has the whole text

    def _add_node(self, event: Event) -> None:
        data = event.data
        seen, after = self._waits.add(event.path, data.get("after", ()))
        node = _DraftNode(
            path=event.path,
            kind=data["kind"],
            label=data.get("label", ""),
            inputs=tuple(data.get("inputs", ())),
            after=after,
            seen=seen,
            added_at=event.at,
            request=data.get("request"),
            ahead=data.get("ahead"),
        )
        # A node whose inputs are there starts as it is added, in one event, unless code runs ahead with it.
        if not data.get("held") and all(
            (source := self._nodes.get(path)) and source.settled_at is not None for path in node.inputs
        ):
            node.started_at = event.at
        self._nodes[event.path] = node

    def trace(self) -> Trace:
        roots: list[TraceNode] = []
        for path, node in reversed(self._nodes.items()):  # children come after their parents
            parent = self._nodes.get(path.rpartition(".")[0])
            (roots if parent is None else parent.children).append(node.freeze())
        return Trace(
            task=self._task,
            header=self._header,
            started_at=self._started_at,
            finished_at=self._finished_at,
            resumed_at=tuple(self._resumed),
            limit=self._limit,
            # What became of the run's answer is said by the task, such as that it is not sure enough.
            outcome=self._end.get("outcome") and (self._task.outcome or self._end["outcome"]),
            answer=self._end.get("answer"),
            # A task may end without its run ending, as when its processes die or its run cannot begin.
            error=self._end.get("error") or self._task.error,
            decisions=tuple(self._decisions),
            nodes=tuple(reversed(roots)),
        )


Waited = tuple[float, str | None]
"""The length of the longest chain that something waited for, and the node at its end."""


class _Starts:
    """When each node could begin, as far as the ``length`` of the chains that end before it is known."""

    def __init__(self, trace: Trace) -> None:
        self.length: dict[str, float] = {}
        self._scopes = {child.path: node for node in trace.walk() for child in node.children}
        self._places = {
            node.path: place
            for siblings in (trace.nodes, *(node.children for node in trace.walk()))
            for place, node in enumerate(siblings)
        }
        self._roots = trace.nodes
        self._begin: dict[str, Waited] = {}
        self._code: dict[str, list[Waited]] = {}

    def start(self, node: TraceNode) -> Waited:
        """After what the node and the code that added it had waited for, within a scope that had begun."""
        pending: list[TraceNode] = []
        scope: TraceNode | None = node
        while scope is not None and scope.path not in self._begin:
            pending.append(scope)
            scope = self._scopes.get(scope.path)
        begun: Waited = (0.0, None) if scope is None else self._begin[scope.path]
        for each in reversed(pending):
            waited = self.after(each.inputs, self._waited_by_code(each))
            begun = self._begin[each.path] = max(waited, begun, key=lambda pair: pair[0])
        return begun

    def after(self, paths: Iterable[str], other: Waited = (0.0, None)) -> Waited:
        """The longest of the chains that end at ``paths``, or ``other`` if that is longer."""
        for path in paths:
            if path in self.length and self.length[path] >= other[0]:
                other = self.length[path], path
        return other

    def _waited_by_code(self, node: TraceNode) -> Waited:
        """What the code of its scope had waited for when it added the node."""
        scope = self._scopes.get(node.path)
        siblings = self._roots if scope is None else scope.children
        known = self._code.setdefault("" if scope is None else scope.path, [])
        for sibling in siblings[len(known) : self._places[node.path] + 1]:
            known.append(self.after(sibling.seen, known[-1] if known else (0.0, None)))
        return known[self._places[node.path]]


def _longest(trace: Trace, cost: Callable[[TraceNode], float]) -> CriticalPath:
    nodes = {node.path: node for node in trace.walk()}
    ended = [node for node in nodes.values() if node.settled_at is not None and node.state != "cancelled"]
    ended.sort(key=lambda node: node.settled_seq or 0)  # what a node waited for settled before it
    starts = _Starts(trace)
    length = starts.length
    before: dict[str, str | None] = {}
    for node in ended:
        begun, source = starts.start(node)
        if node.children:
            # What runs ahead ends no sooner than what it runs ahead of.
            confirmed = (each.ahead for each in node.children if each.ahead is not None)
            last, child = starts.after((*(each.path for each in node.children), *confirmed))
            begun, source = (last, child) if child is not None and last >= begun else (begun, source)
            length[node.path] = begun
        else:
            length[node.path] = begun + cost(node)
        before[node.path] = source
    end: str | None = max(length, key=length.__getitem__, default=None)
    total = length[end] if end is not None else 0.0
    chain: list[str] = []
    while end is not None:
        if not nodes[end].children:
            chain.append(end)
        end = before[end]
    return CriticalPath(
        tuple(reversed(chain)), total, sum(cost(node) for node in nodes.values() if not node.children)
    )
