"""What happens to all tasks that somebody may see, on one stream, which can be resumed.

The events of a task come in their order, without a gap; how a task stands comes whenever that has changed,
and at its end after all its events. Between tasks there is no order. Nothing is left out, also over an
interruption; after one, how open tasks stand is told again, and so is what the cursor had no room for.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from orchestrator.errors import InvalidRequest, translated
from orchestrator.tasks.hearing import Hearing
from orchestrator.tasks.lookup import Lookup
from orchestrator.tasks.runner import Runner
from orchestrator.tasks.turns import Turns
from storage.errors import TaskNotFound
from storage.events import Event
from storage.listing import Place, Wanted
from storage.store import Store
from storage.tasks import Task, TaskStatus

LATE_SECONDS = 30.0
"""How long after its time the end of a task may become visible."""

PAGE = 200
"""How many tasks are looked at in one query."""

NAMED = 300
"""How many tasks a cursor names at most, so that it fits into a header."""

ENDED = 1_000
"""Of how many tasks a stream remembers that it has told their end."""

_WHOLE = -2  # of a task whose end was told
_CURSOR = re.compile(r"(\d{1,15})((?:\.[0-9a-z]{16}(?:-\d{1,9})?)*)", re.ASCII)
_NAMED = re.compile(r"\.([0-9a-z]{16})(?:-(\d{1,9}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a stream has come: all that ended ``LATE_SECONDS`` before ``time`` was told.

    ``seen`` has the number of the last event that was told of a task; -2 if its end was told.
    """

    time: float
    seen: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        named = (f".{each}" + ("" if seq == _WHOLE else f"-{seq}") for each, seq in self.seen.items())
        return f"{int(self.time * 1000)}{''.join(named)}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The cursor that was written as a text.

        Raises:
            InvalidRequest: it is none.
        """
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise InvalidRequest(f"{text[:40]!r} is not the id of an event of this stream")
        seen = {each: int(seq) if seq else _WHOLE for each, seq in _NAMED.findall(found[2])}
        return cls(int(found[1]) / 1000, seen)


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """An event of a task."""

    task_id: str
    event: Event


@dataclass(frozen=True, slots=True)
class TaskGone:
    """A task whose deletion was noticed."""

    task_id: str


Told = Task | TaskEvent | TaskGone
"""How a task stands now, an event of one, or that it was deleted."""


@dataclass(slots=True)
class _Known:
    """What was told of a task that has not ended."""

    seq: int
    stood: tuple[Any, ...] | None = None


class Runs:
    """One stream over the tasks of a tenant (None: of every tenant), or over those with the ids in ``only``.

    Without ``since``, it begins with the tasks that are open, have ended within ``LATE_SECONDS``, or are
    named in ``only``, each from its first event on. With ``events`` false, it tells only how tasks stand.
    """

    def __init__(
        self,
        store: Store,
        runner: Runner,
        turns: Turns,
        hearing: Hearing,
        lookup: Lookup,
        *,
        tenant: str | None,
        only: frozenset[str] | None,
        since: Cursor | None,
        events: bool = True,
    ) -> None:
        self._store = store
        self._runner = runner
        self._turns = turns
        self._hearing = hearing
        self._lookup = lookup
        self._tenant = tenant
        self._only = only
        self._events = events
        self._time = None if since is None else since.time
        self._latest = 0.0
        self._ahead = 0.0  # of the monotonic clock: that of the database
        seen = {} if since is None else since.seen
        self._known = {each: _Known(seq) for each, seq in seen.items() if seq != _WHOLE}
        self._ended = OrderedDict((each, -1) for each in seen if seen[each] == _WHOLE)  # and how far it went

    def cursor(self) -> Cursor:
        """How far the stream has come with what it told last."""
        seen = {each: known.seq for each, known in self._known.items() if known.seq >= 0 and _usual(each)}
        for each in reversed(self._ended):
            if len(seen) >= NAMED:
                break
            if _usual(each):
                seen[each] = _WHOLE
        return Cursor(self._time or 0.0, dict(list(seen.items())[:NAMED]))

    async def told(self) -> AsyncGenerator[Told, None]:
        """All that happens, for ever.

        Raises:
            Unavailable: the database cannot be read.
        """
        with translated():
            self._ahead = await self._store.time() - monotonic()
            async with self._hearing.open():
                with self._turns.changes.watched() as watch:
                    ids: tuple[str, ...] | None = None
                    while True:
                        latest = self._latest
                        async for each in self._all() if ids is None else _each(ids):
                            async for item in self._of(each):
                                yield item
                        # What ended before that was heard of before, and so it was told now at the latest.
                        self._time = max(self._time or 0.0, latest)
                        ids = await watch.next()

    async def _all(self) -> AsyncIterator[Task | str]:
        """The tasks of which there may be something to tell, the oldest of a page first."""
        if self._time is None:
            self._time = self._ahead + monotonic()
        mine: Wanted = {"tenant": self._tenant, "ids": self._only}
        late: Wanted = {**mine, "ended_from": self._time - LATE_SECONDS, "is_open": False}
        kinds: list[Wanted] = [{**mine, "is_open": True}, late] if self._only is None else [mine]
        known = list(self._known)
        for kind in kinds:
            before = None
            while page := await self._store.list(limit=PAGE, before=before, **kind):
                before = Place.of(page[-1])
                for task in reversed(page):
                    yield task
        for task_id in known:  # they may have been deleted, or their end is too old for the page above
            if task_id in self._known:
                yield task_id

    async def _of(self, given: Task | str) -> AsyncGenerator[Told, None]:
        """What there is to tell of a task that was not told yet; it has just been read, or this is its id."""
        task_id = given if isinstance(given, str) else given.id
        if self._only is not None and task_id not in self._only:
            return
        if (feed := self._runner.feed_of(task_id)) is not None:
            given = feed.hold.claim.task
        try:
            task = await self._lookup.get(task_id) if isinstance(given, str) else given
        except TaskNotFound:
            task = None
        if task is None or self._tenant not in (None, task.tenant):
            if self._known.pop(task_id, None) is not None or self._ended.pop(task_id, None) is not None:
                yield TaskGone(task_id)
            return
        cancelled = task.cancel_requested if feed is None else feed.hold.cancelled
        ended = task.status.terminal
        if ended and task_id in self._ended:
            return
        known = self._known.setdefault(task_id, _Known(self._ended.pop(task_id, -1)))  # a dead one goes on
        stands = task.status, task.lease_fence, cancelled
        if known.stood != stands and not ended:
            known.stood = stands
            yield task
        if self._events and (ended or task.status is TaskStatus.RUNNING):
            async for event in self._events_of(task_id, known):
                yield event
        if ended:
            self._end(task)
            yield task

    async def _events_of(self, task_id: str, known: _Known) -> AsyncGenerator[TaskEvent, None]:
        """The events of a task that were not told yet."""
        feed = self._runner.feed_of(task_id)
        at_hand = None if feed is None else feed.since(known.seq)
        if at_hand is not None:
            for event in at_hand:
                known.seq = event.seq
                yield TaskEvent(task_id, event)
            return
        stored = (
            self._store.read(task_id, after=known.seq)
            if feed is None
            else feed.stored(self._store, task_id, known.seq)
        )
        async with aclosing(stored) as events:  # type: ignore[type-var]
            async for event in events:
                known.seq = event.seq
                yield TaskEvent(task_id, event)

    def _end(self, task: Task) -> None:
        """Take note that the end of a task is told."""
        self._ended[task.id] = self._known.pop(task.id).seq
        # An imported task may say that it ends in the future, until when others end that were not told yet.
        self._latest = max(self._latest, min(task.finished_at or 0.0, self._ahead + monotonic()))
        if len(self._ended) > ENDED:
            self._ended.popitem(last=False)


async def _each(ids: tuple[str, ...]) -> AsyncIterator[str]:
    for task_id in ids:
        yield task_id


def _usual(task_id: str) -> bool:
    """Whether the id is one that was made here, which a cursor can name."""
    return _NAMED.fullmatch(f".{task_id}") is not None
