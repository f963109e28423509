"""The tasks of a store in memory that wait to begin, and whose turn it is; see :mod:`storage.queueing`."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Sequence

from storage.errors import StorageError
from storage.queueing import RECENT, Lengths, Pace, Rules, passed, refusal
from storage.tasks import OPEN, NewTask, Priority, Task, TaskStatus


class _Line:
    """The tasks of one priority, by tenant, and how far the tenants have come."""

    def __init__(self) -> None:
        self.tasks: dict[str, list[tuple[float, str]]] = {}
        self._reached = 0.0
        self._used: dict[str, float] = {}

    def add(self, task: Task) -> None:
        heapq.heappush(self.tasks.setdefault(task.tenant, []), (task.created_at, task.id))

    def remove(self, task: Task) -> None:
        heap, place = self.tasks[task.tenant], (task.created_at, task.id)
        if heap[0] == place:
            heapq.heappop(heap)
        else:
            heap.remove(place)
            heapq.heapify(heap)
        if not heap:
            del self.tasks[task.tenant]

    def used(self, tenant: str) -> float:
        return max(self._reached, self._used.get(tenant, 0.0))

    def count(self, tenant: str, weight: float) -> None:
        self._reached = self.used(tenant)
        self._used = {other: used for other, used in self._used.items() if used > self._reached}
        self._used[tenant] = self._reached + 1.0 / weight


class Waiting:
    """Keeps track of which tasks wait, and which have begun and not ended."""

    def __init__(self) -> None:
        self._lines = {priority: _Line() for priority in Priority}
        self._passed_over = 0
        self._deadlines: list[tuple[float, str]] = []
        self._waiting: dict[str, float | None] = {}  # and until when
        self.begun: set[str] = set()
        self._took: deque[float] = deque(maxlen=RECENT)

    def note(self, before: Task | None, after: Task) -> None:
        """Take note of a task that is new or has changed."""
        was, is_now = after.id in self._waiting, _waits(after)
        if is_now and not was:
            self._waiting[after.id] = after.deadline
            self._lines[after.priority].add(after)
            if after.deadline is not None:
                heapq.heappush(self._deadlines, (after.deadline, after.id))
        elif was and not is_now:
            del self._waiting[after.id]
            self._lines[after.priority].remove(after)
        if after.status in OPEN and not is_now:
            self.begun.add(after.id)
        else:
            self.begun.discard(after.id)
        running = before is not None and before.status is TaskStatus.RUNNING
        if running and after.started_at is not None and after.finished_at is not None:
            self._took.append(after.finished_at - after.started_at)

    def refusal(
        self, new: NewTask, now: float, deadline: float | None, rules: Rules | None
    ) -> StorageError | None:
        """Why a new task may not be added; None if it may. Without rules it does not wait."""
        left = None if deadline is None else deadline - now
        if rules is None:
            return passed() if left is not None and left <= 0 else None
        return refusal(self, rules, new.tenant, new.priority, left)

    def late(self, now: float) -> Sequence[str]:
        """The ids of those whose deadlines have passed; each is told once."""
        found = []
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, task_id = heapq.heappop(self._deadlines)
            if self._waiting.get(task_id) == deadline:  # one that was put back has none any more
                found.append(task_id)
        return found

    def next(self, rules: Rules) -> str | None:
        """The id of the task whose turn it is; None if none waits."""
        interactive, batch = (bool(self._lines[each].tasks) for each in Priority)
        if not interactive and not batch:
            return None
        line = self._lines[rules.line(interactive, batch, self._passed_over)]
        _, (_, task_id) = min((line.used(tenant), heap[0]) for tenant, heap in line.tasks.items())
        return task_id

    def count(self, task: Task, rules: Rules) -> None:
        """Write down that a task is about to begin in its turn."""
        batch = bool(self._lines[Priority.BATCH].tasks)
        passes = batch and task.priority is not Priority.BATCH
        self._passed_over = self._passed_over + 1 if passes else 0
        self._lines[task.priority].count(task.tenant, rules.weight(task.tenant))

    def total(self) -> int:
        """How many tasks wait."""
        return len(self._waiting)

    def own(self, tenant: str) -> int:
        """How many of those are a tenant's."""
        return sum(len(line.tasks.get(tenant, ())) for line in self._lines.values())

    def lengths(self) -> Lengths:
        """How many tasks wait, by line and tenant."""
        return {
            priority: {tenant: len(heap) for tenant, heap in line.tasks.items()}
            for priority, line in self._lines.items()
        }

    def pace(self) -> Pace:
        """How fast tasks begin."""
        now = time.time()
        heads = [heap[0][0] for line in self._lines.values() for heap in line.tasks.values()]
        return Pace(
            running=len(self.begun),
            seconds=sum(self._took) / len(self._took) if self._took else None,
            waited=now - min(heads, default=now),
        )


def _waits(task: Task) -> bool:
    """Whether a task waits to begin; one that was handed back has begun."""
    return task.status is TaskStatus.QUEUED and task.started_at is None
