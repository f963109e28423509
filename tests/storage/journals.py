"""Journals of any size and shape, and how their readers' time grows with it."""

from __future__ import annotations

from collections.abc import Callable
from time import thread_time
from typing import Any, TypeVar

from storage.events import Event, EventType
from storage.tasks import Task, TaskStatus

T = TypeVar("T")

TASK = Task(
    id="1m81a1mspdg5213k",
    tenant="default",
    status=TaskStatus.SUCCEEDED,
    question={"query": "?"},
    planner="direct",
    options={},
    seed=0,
    idempotency_key=None,
    parent_id=None,
    fork_at=None,
    created_at=0.0,
    finished_at=9.0,
    attempts=1,
    lease_fence=1,
)
ANSWER = {"external": True, "outcome": "succeeded", "value": {"text": "42", "finish_reason": "stop"}}
ASKED = {"key": "k", "prompt": [["user", "?"]]}


class Written:
    """A journal as it grows."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.add(EventType.RUN_STARTED, "", planner="direct")

    def add(self, kind: EventType, path: str, /, **data: Any) -> None:
        self.events.append(Event(len(self.events), kind, path, float(len(self.events)), data))

    def ended(self) -> list[Event]:
        self.add(EventType.RUN_FINISHED, "", outcome="answered", answer={"text": "42"})
        return self.events


def chain(nodes: int) -> list[Event]:
    """Each node has the one before for its input, and settles before the next is added."""
    journal = Written()
    for number in range(nodes):
        inputs = [str(number - 1)] if number else []
        journal.add(EventType.NODE_ADDED, str(number), kind="generate", request=ASKED, inputs=inputs)
        journal.add(EventType.NODE_SETTLED, str(number), **ANSWER)
    return journal.ended()


def arrivals(nodes: int) -> list[Event]:
    """Half of the nodes run at the same time, and whenever one settles, another one is added."""
    journal = Written()
    half = nodes // 2
    for number in range(half):
        journal.add(EventType.NODE_ADDED, str(number), kind="generate", request=ASKED)
    for number in range(half):
        journal.add(EventType.NODE_SETTLED, str(number), **ANSWER)
        journal.add(EventType.NODE_ADDED, str(half + number), kind="note", after=[str(number)])
        journal.add(EventType.NODE_SETTLED, str(half + number), outcome="succeeded", value=number)
    return journal.ended()


def nested(levels: int) -> list[Event]:
    """Each scope spawns the next one."""
    journal = Written()
    paths = [".".join("0" * level) for level in range(1, levels + 1)]
    for path in paths:
        journal.add(EventType.NODE_ADDED, path, kind="spawn", label="inner")
    for path in reversed(paths):
        journal.add(EventType.NODE_SETTLED, path, outcome="succeeded", value=1)
    return journal.ended()


def growth(make: Callable[[int], T], read: Callable[[T], object], size: int) -> float:
    """How many times as long it takes to read four times as much: about 4 if linear, 16 if quadratic."""

    def seconds(given: T) -> float:
        taken = []
        for _ in range(3):
            began = thread_time()
            read(given)
            taken.append(thread_time() - began)
        return min(taken)

    return seconds(make(4 * size)) / seconds(make(size))
