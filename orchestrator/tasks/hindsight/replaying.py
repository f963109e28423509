"""Repeats runs over their journals, with no engine at all, and compares them event by event."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import Conflict, Divergence, UnknownPlanner
from orchestrator.planning.finding import FindPlanner
from orchestrator.runtime.change import Change
from orchestrator.runtime.environment import Result
from orchestrator.runtime.record import Record
from orchestrator.tasks.hindsight.recorders import Nothing
from orchestrator.tasks.setup import VERSIONS, Setup, recorded_setup
from storage.events import Event, EventType
from workers.tools.toolbox import Toolbox


@dataclass(frozen=True, slots=True)
class Replayed:
    """A strict replay that ended as recorded, with the ``events`` compared and the ``seconds`` it took."""

    result: Result
    events: int
    seconds: float


async def replay(
    task_id: str, events: Sequence[Event], find: FindPlanner, *, record: Record | None = None
) -> Replayed:
    """Repeat a run over its journal with no engine at all.

    It runs as fast as it can, unless ``record`` is a :class:`~orchestrator.runtime.record.Playback` of the
    events.

    Raises:
        Divergence: the run did something other than what was recorded; names the node and what differs, and
            the versions of the program and its planners if those differ.
        Conflict: the journal does not hold a complete run.
        UnknownPlanner: the planner of the trace is not installed.
        UnsupportedTrace: a newer version of the program wrote the journal.
        InvalidRequest: the planner no longer takes the options of the trace.
    """
    started = time.perf_counter()
    setup = setup_of(task_id, events, find)
    executor = setup.executor(Nothing(), record=record or Record(events))
    try:
        result = await setup.execute(executor)
    except Divergence as error:
        if changed := _other_versions(events[0].data["versions"], setup):
            raise Divergence(error.path, f"{error.message} ({changed})") from error
        raise
    return Replayed(result, len(events), time.perf_counter() - started)


def setup_of(
    task_id: str, events: Sequence[Event], find: FindPlanner, changes: Mapping[str, Change] | None = None
) -> Setup:
    """The setup under which a complete run can be repeated, with ``changes`` on top.

    Raises:
        Conflict: the journal does not hold a complete run.
        UnknownPlanner: the planner of the trace is not installed.
        UnsupportedTrace: a newer version of the program wrote the journal.
    """
    if not events or events[-1].type is not EventType.RUN_FINISHED:
        raise Conflict(f"task {task_id} has no complete run; its journal has {len(events)} events")
    if events[0].type is not EventType.RUN_STARTED or events[-1].seq != len(events) - 1:
        raise Conflict(f"the journal of task {task_id} has lost events; {len(events)} are left")
    header = events[0].data
    try:
        planner = find(str(header["planner"]))
    except UnknownPlanner as error:
        versions = header.get("versions", {})
        told = [f"{name} {version}" for name, version in versions.items() if name not in VERSIONS]
        raise UnknownPlanner(
            f"{error} (the trace was made with {', '.join(told) or 'a planner that no package provides'})"
        ) from None
    return recorded_setup(
        header, planner, task_id, engine=None, toolbox=Toolbox(), call_seconds=0.0, changes=changes
    )


def _other_versions(recorded: Mapping[str, Any], setup: Setup) -> str:
    """Which versions differ from those that a trace was made with; empty if none do."""
    now = setup.header()["versions"]
    changed = [
        f"{name} {recorded[name]} (now {now.get(name, 'gone')})"
        for name in recorded
        if recorded[name] != now.get(name)
    ]
    return f"recorded with {', '.join(changed)}" if changed else ""
