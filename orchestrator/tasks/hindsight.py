"""What stored runs can be asked afterwards: replay, verification, counterfactuals, and how two differ."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import AnabranchError, Conflict, Divergence, InvalidRequest, UnknownPlanner
from orchestrator.planning.planner import Planner
from orchestrator.runtime.change import Change
from orchestrator.runtime.environment import Result
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.plain import canonical
from orchestrator.runtime.record import Record
from orchestrator.runtime.reuse import Memo
from orchestrator.tasks.runner import VERSIONS, Setup, execute, prepare, recorded_setup
from storage.errors import StorageError
from storage.events import Event, EventType
from storage.reading import checked
from workers.tools.registry import Toolbox

FindPlanner = Callable[[str], Planner]


@dataclass(frozen=True, slots=True)
class Replayed:
    """A strict replay that ended as recorded. ``seconds`` is what it took, ``events`` what was compared."""

    result: Result
    events: int
    seconds: float


async def replay(
    task_id: str, events: Sequence[Event], find: FindPlanner, *, record: Record | None = None
) -> Replayed:
    """Repeat a run over its journal with no engine at all.

    As fast as it goes, unless ``record`` is a :class:`~orchestrator.runtime.record.Playback` of the events.

    Raises:
        Divergence: the run did something else than was recorded; names the node and what differs, and the
            versions of the program and its planners if they do.
        Conflict: the journal does not hold a whole run.
        UnknownPlanner: the planner of the trace is not installed.
        UnsupportedTrace: a newer version of the program has written the journal.
        InvalidRequest: the planner does not take the options of the trace any more.
    """
    started = time.perf_counter()
    setup = _setup(task_id, events, find)
    executor = prepare(setup, _NoRecorder(), record=record or Record(events))
    try:
        result = await execute(executor, setup)
    except Divergence as error:
        if changed := _other_versions(events[0].data["versions"], setup):
            raise Divergence(error.path, f"{error.message} ({changed})") from error
        raise
    return Replayed(result, len(events), time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class Verification:
    """Strict replays of many runs: how many were identical, and why the others were not, by task id."""

    identical: int = 0
    differing: Mapping[str, str] = field(default_factory=dict)


async def verify(runs: AsyncIterable[tuple[str, Sequence[Event]]], find: FindPlanner) -> Verification:
    """Replay every run, and go on when one differs or is damaged."""
    identical = 0
    differing: dict[str, str] = {}
    async for task_id, events in runs:
        try:
            await replay(task_id, list(checked(task_id, events)), find)
        except (AnabranchError, StorageError) as error:
            differing[task_id] = f"{error} ({error.code})"
        else:
            identical += 1
    return Verification(identical, differing)


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """How a run would have gone with one thing changed, as far as its trace can tell.

    ``tokens`` are the completion tokens of the results that it used, ``recorded_tokens`` those of the run as
    it was, cancelled branches included.
    """

    result: Result
    events: tuple[Event, ...]
    tokens: int
    recorded_tokens: int


async def counterfactual(
    task_id: str, events: Sequence[Event], find: FindPlanner, *, at: str, change: Change
) -> Counterfactual:
    """Repeat a run with ``change`` at node ``at``, using only results that the trace has.

    Raises:
        Unknown: the change needs tokens that were never generated; names the nodes.
        InvalidRequest: there is no such node, or it cannot be changed so.
        Conflict: the journal does not hold a whole run.
    """
    check_change(events, at, change)
    setup = _setup(task_id, events, find, {at: change})
    recorder = _Keeper()
    result = await execute(prepare(setup, recorder, memo=Memo(events)), setup)
    reused = (event.data["reused"].get("usage") or {} for event in recorder.events if "reused" in event.data)
    tokens = sum(usage.get("completion_tokens", 0) for usage in reused)
    return Counterfactual(result, tuple(recorder.events), tokens, _completion_tokens(events))


def check_change(events: Iterable[Event], at: str, change: Change) -> None:
    """Refuse a change that cannot be made.

    Raises:
        InvalidRequest: the trace has no node ``at``, or a node of its kind cannot be changed so.
    """
    added = {event.path: event for event in events if event.type is EventType.NODE_ADDED}
    if at not in added:
        known = ", ".join(list(added)[:20]) or "none"
        raise InvalidRequest(f"the trace has no node {at!r}; it has {known}{' …' if len(added) > 20 else ''}")
    kind = added[at].data["kind"]
    if kind not in set(NodeKind):
        raise InvalidRequest(f"node {at} is a {kind}, of which this version knows nothing")
    change.check(at, NodeKind(kind))


@dataclass(frozen=True, slots=True)
class NodeDifference:
    """A node that two runs do not share: what each of them has there (None: no such node)."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class TraceDifference:
    """How two runs differ: their answers, new completion tokens, and the nodes that are not the same."""

    answers: tuple[str | None, str | None]
    tokens: tuple[int, int]
    same: int
    nodes: tuple[NodeDifference, ...]


def difference(before: Sequence[Event], after: Sequence[Event]) -> TraceDifference:
    """Compare two runs node by node, by path; a node is the same if it asked for and got the same."""
    first, second = _nodes(before), _nodes(after)
    differing = tuple(
        NodeDifference(path, first.get(path), second.get(path))
        for path in dict.fromkeys([*first, *second])
        if first.get(path) != second.get(path)
    )
    return TraceDifference(
        answers=(_answer(before), _answer(after)),
        tokens=(_completion_tokens(before), _completion_tokens(after)),
        same=len(first.keys() | second.keys()) - len(differing),
        nodes=differing,
    )


def _setup(
    task_id: str, events: Sequence[Event], find: FindPlanner, changes: Mapping[str, Change] | None = None
) -> Setup:
    if not events or events[-1].type is not EventType.RUN_FINISHED:
        raise Conflict(f"task {task_id} has no whole run; its journal has {len(events)} events")
    if events[0].type is not EventType.RUN_STARTED or events[-1].seq != len(events) - 1:
        raise Conflict(f"the journal of task {task_id} has lost events; {len(events)} are left")
    header = events[0].data
    try:
        planner = find(str(header["planner"]))
    except UnknownPlanner as error:
        versions = header.get("versions", {})
        told = [f"{name} {version}" for name, version in versions.items() if name not in VERSIONS]
        raise UnknownPlanner(
            f"{error} (the trace was made with {', '.join(told) or 'one that no package provides'})"
        ) from None
    return recorded_setup(
        header, planner, task_id, engine=None, toolbox=Toolbox(), call_seconds=0.0, changes=changes
    )


def _other_versions(recorded: Mapping[str, Any], setup: Setup) -> str:
    """Which versions are not those that a trace was made with; empty if all are."""
    now = setup.header()["versions"]
    changed = [
        f"{name} {recorded[name]}, which is {now.get(name, 'gone')} now"
        for name in recorded
        if recorded[name] != now.get(name)
    ]
    return f"recorded with {', '.join(changed)}" if changed else ""


def _completion_tokens(events: Iterable[Event]) -> int:
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


class _Keeper:
    """A recorder that only remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        self.events.append(event)

    async def flush(self) -> None:
        """Nothing is ever queued."""

    async def room(self) -> None:
        """There always is."""

    async def leased(self) -> None:
        """Nobody else wants it."""


class _NoRecorder(_Keeper):
    """A recorder for replays, which have nothing new to record."""

    def append(self, event: Event) -> None:
        raise Divergence(event.path, f"the record has ended, the run goes on with {event.type}")
