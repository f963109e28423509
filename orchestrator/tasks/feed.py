"""The events of a task as they happen, for whoever is listening."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.tasks.containment import apart
from orchestrator.tasks.hold import Hold
from orchestrator.tracing.live import LiveSpans
from storage.errors import StorageError
from storage.events import Event
from storage.store import Store, Writer


@dataclass(frozen=True, slots=True)
class Progress:
    """A call that is generating, the tokens that it has generated so far, and the end of their text.

    It is not stored. ``text`` is empty where what engines say is redacted.
    """

    path: str
    tokens: int
    text: str = ""


MOST_WAITING = 1_000
"""How many events may wait for a listener; one that is slower reads the rest from the store."""


class _Listener:
    """What one listener has not received yet. Only the latest progress of each call is kept."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | str | None] = asyncio.Queue()
        self._progress: dict[str, Progress] = {}
        self.overflowed = False

    def put(self, item: Event | str | None) -> None:
        if self.overflowed:
            return
        if self._queue.qsize() >= MOST_WAITING:
            self.overflowed, item = True, None
            while not self._queue.empty():
                self._queue.get_nowait()
        self._queue.put_nowait(item)

    def put_progress(self, progress: Progress) -> None:
        if progress.path not in self._progress:
            self.put(progress.path)
        if not self.overflowed:
            self._progress[progress.path] = progress

    async def get(self) -> Event | Progress | None:
        item = await self._queue.get()
        return self._progress.pop(item) if isinstance(item, str) else item


class Feed:
    """A recorder that stores the events of a task that this process holds, and passes them on.

    It exists from the claim on, but stores nothing until it has been opened. ``spans`` learn of each event.
    """

    def __init__(self, hold: Hold, spans: LiveSpans | None = None) -> None:
        self.hold = hold
        self.spans = spans
        self._writer: Writer | None = None
        self._listeners: set[_Listener] = set()
        self._ended = False

    def open(self, writer: Writer) -> None:
        """Let events be appended from now on."""
        self._writer = writer

    def append(self, event: Event) -> None:
        """Store the event and pass it to the listeners."""
        assert self._writer is not None
        self._writer.append(event)
        if (spans := self.spans) is not None:
            self.spans = None  # a run that could not be followed once is not followed further
            with apart("tracing a run"):
                spans.add(event)
                self.spans = spans
        for listener in self._listeners:
            listener.put(event)

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
            progress = Progress(path, tokens, latest())
            for listener in self._listeners:
                listener.put_progress(progress)

    def end(self) -> None:
        """Tell the listeners that nothing more will come."""
        self._ended = True
        for listener in self._listeners:
            listener.put(None)

    async def listen(self, store: Store, task_id: str, after: int) -> AsyncGenerator[Event | Progress, None]:
        """All events after ``after``: first the stored ones, then new ones, with progress in between."""
        overflowed = True
        while overflowed:
            listener = _Listener()
            self._listeners.add(listener)
            if self._ended:
                listener.put(None)
            try:
                with suppress(StorageError):  # the run meets the same error, and ends
                    await self.flush()
                async for event in store.read(task_id, after=after):
                    after = event.seq
                    yield event
                while (item := await listener.get()) is not None:
                    if isinstance(item, Progress):
                        yield item
                    elif item.seq == after + 1:  # one after a gap is void: what came before was not stored
                        after = item.seq
                        yield item
            finally:
                self._listeners.discard(listener)
            overflowed = listener.overflowed
