"""The events of a task as they happen, for whoever is listening."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

from orchestrator.tasks.containment import apart
from orchestrator.tasks.hold import Hold
from orchestrator.tasks.speech import Speech
from orchestrator.tracing.live import LiveSpans
from storage.changes import Changes
from storage.errors import StorageError
from storage.events import Event, EventType
from storage.store import Store, Writer


@dataclass(frozen=True, slots=True)
class Progress:
    """A call that is generating, the tokens that it has generated so far, and the end of their text.

    It is not stored. ``text`` is empty where what engines say is redacted.
    """

    path: str
    tokens: int
    text: str = ""


AT_HAND = 500
"""How many of its last events a feed has at hand while anybody follows; others are read from the store."""


PROGRESS_SECONDS = 0.1
"""How often listeners are woken by progress alone: more often than anybody can read."""


class _Told(NamedTuple):
    """Progress as it was told: how often there had been any, and which event came after it."""

    number: int
    before: int
    progress: Progress


class Feed:
    """A recorder that stores the events of a task that this process holds, and passes them on.

    It exists from the claim on, but stores nothing until it has been opened. What it has at hand is there
    once for all listeners, and a listener is no more than a place in it: one that is slow, or does not read
    at all, takes no memory and holds nobody up. Those who watch ``changes`` are told of each event, and may
    take it from here, too. ``spans`` learn of each event. ``speech`` is what the answer says, as it is said.
    """

    def __init__(self, hold: Hold, changes: Changes | None = None, spans: LiveSpans | None = None) -> None:
        self.hold = hold
        self.spans = spans
        self.speech = Speech()
        self._changes = changes or Changes()
        self._writer: Writer | None = None
        self._first = 0  # the number of the first event at hand, or else of the next one
        self._events: deque[Event] = deque()
        self._progress: dict[str, _Told] = {}  # the latest of each call that goes on
        self._told = 0  # how often there was progress
        self._listeners = 0
        self._woken = asyncio.Event()
        self._waking: asyncio.TimerHandle | None = None  # for progress
        self._quiet_until = 0.0
        self._ended = False

    def open(self, writer: Writer, *, next_seq: int = 0) -> None:
        """Let events be appended from now on, beginning with this number."""
        self._writer = writer
        self._first = next_seq

    def append(self, event: Event) -> None:
        """Store the event and pass it to the listeners."""
        assert self._writer is not None
        self._writer.append(event)
        if (spans := self.spans) is not None:
            self.spans = None  # a run that could not be followed once is not followed further
            with apart("tracing a run"):
                spans.add(event)
                self.spans = spans
        self._events.append(event)
        kept = AT_HAND if self._listeners or self._changes.heeded else 0
        while len(self._events) > kept:
            self._events.popleft()
            self._first += 1
        if event.type is EventType.NODE_SETTLED:
            self._progress.pop(event.path, None)
        self._wake()
        self._changes.tell((self.hold.claim.task.id,))

    async def flush(self) -> None:
        """Return when all events are durable."""
        if self._writer is not None:
            await self._writer.flush()

    async def room(self) -> None:
        """Wait while too much is queued."""
        if self._writer is not None:
            await self._writer.room()

    async def leased(self) -> None:
        """Wait until this process is known to hold the task."""
        await self.hold.leased()

    def progress(self, path: str, tokens: int, latest: Callable[[], str] = str) -> None:
        """Tell the listeners how far a call has got; ``latest`` gives the end of its text."""
        if self._listeners:
            self._told += 1
            self._progress.pop(path, None)  # so that the latest is the last
            next_seq = self._first + len(self._events)
            self._progress[path] = _Told(self._told, next_seq, Progress(path, tokens, latest()))
            if self._waking is None:
                loop = asyncio.get_running_loop()
                self._waking = loop.call_at(max(loop.time(), self._quiet_until), self._wake)

    def end(self) -> None:
        """Tell the listeners that nothing more will come."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None
            self._quiet_until = asyncio.get_running_loop().time() + PROGRESS_SECONDS
        if self._listeners:
            woken, self._woken = self._woken, asyncio.Event()
            woken.set()

    def since(self, after: int) -> list[Event] | None:
        """The events after number ``after``, if all are at hand; None if the store has some of them."""
        if self._writer is None or after + 1 < self._first:
            return None
        new = self._first + len(self._events) - after - 1
        return [self._events[index] for index in range(-new, 0)]

    async def stored(self, store: Store, task_id: str, after: int) -> AsyncGenerator[Event, None]:
        """The events after number ``after`` that can be read from the store now."""
        with suppress(StorageError):  # the run meets the same error, and ends
            await self.flush()
        async for event in store.read(task_id, after=after):
            yield event

    async def listen(self, store: Store, task_id: str, after: int) -> AsyncGenerator[Event | Progress, None]:
        """All events after ``after``: first the stored ones, then new ones, with progress in between."""
        self._listeners += 1
        told, void = 0, None
        try:
            while True:
                woken, ended = self._woken, self._ended
                events = self.since(after)
                if events is None and void != self._first:
                    async for event in self.stored(store, task_id, after):
                        after = event.seq
                        yield event
                    # What is still missing was not stored, and what comes after it is void.
                    void = self._first if after + 1 < self._first else None
                    if self._writer is not None:
                        continue
                for item in self._in_order(events or (), told):
                    if isinstance(item, Event):
                        after = item.seq
                        yield item
                    else:
                        told = item.number
                        yield item.progress
                if ended:
                    return
                if woken is self._woken:
                    await woken.wait()
        finally:
            self._listeners -= 1

    async def listen_to_stored(self, store: Store, task_id: str, after: int) -> AsyncGenerator[Event, None]:
        """All events after ``after``, each as the store has it: nobody will ever be told something else."""
        self._listeners += 1
        seen = -1
        try:
            while True:
                woken, ended = self._woken, self._ended
                if (next_seq := self._first + len(self._events)) != seen or ended:
                    seen = next_seq
                    async for event in self.stored(store, task_id, after):
                        after = event.seq
                        yield event
                if ended:
                    return
                if woken is self._woken:
                    await woken.wait()
        finally:
            self._listeners -= 1

    def _in_order(self, events: Sequence[Event], told: int) -> list[Event | _Told]:
        """The events, and what there was of progress after number ``told``, as they happened."""
        new = list(takewhile(lambda each: each.number > told, reversed(self._progress.values())))
        ordered: list[Event | _Told] = []
        for event in events:
            while new and new[-1].before <= event.seq:
                ordered.append(new.pop())
            ordered.append(event)
        return ordered + new[::-1]
