"""The events of a task as they happen, for whoever is listening."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.tasks.hold import Hold
from storage.errors import StorageError
from storage.events import Event
from storage.store import Store, Writer


@dataclass(frozen=True, slots=True)
class Progress:
    """A call that is generating, and the tokens that it has generated; not stored."""

    path: str
    tokens: int


class _Listener:
    """What one listener has not heard yet. Of the progress of a call only the latest counts."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | str | None] = asyncio.Queue()
        self._tokens: dict[str, int] = {}

    def put(self, event: Event | None) -> None:
        self._queue.put_nowait(event)

    def put_progress(self, path: str, tokens: int) -> None:
        if path not in self._tokens:
            self._queue.put_nowait(path)
        self._tokens[path] = tokens

    async def get(self) -> Event | Progress | None:
        item = await self._queue.get()
        return Progress(item, self._tokens.pop(item)) if isinstance(item, str) else item


class Feed:
    """A recorder that stores the events of a task that this process holds, and passes them on.

    There is one from the claim on; it stores nothing before it has been opened.
    """

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self._writer: Writer | None = None
        self._listeners: set[_Listener] = set()

    def open(self, writer: Writer) -> None:
        """From now on events can be appended."""
        self._writer = writer

    def append(self, event: Event) -> None:
        """Store the event and tell the listeners."""
        assert self._writer is not None
        self._writer.append(event)
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
        """Wait while it is not known that this process has the task."""
        await self.hold.leased()

    def progress(self, path: str, tokens: int) -> None:
        """Tell the listeners how far a call has come."""
        for listener in self._listeners:
            listener.put_progress(path, tokens)

    def end(self) -> None:
        """Nothing more will come."""
        for listener in self._listeners:
            listener.put(None)

    async def listen(self, store: Store, task_id: str, after: int) -> AsyncGenerator[Event | Progress, None]:
        """All events after ``after``: first what is stored, then what comes, and progress in between."""
        listener = _Listener()
        self._listeners.add(listener)
        try:
            with suppress(StorageError):  # the run meets it too, and ends here
                await self.flush()
            async for event in store.read(task_id, after=after):
                after = event.seq
                yield event
            while (item := await listener.get()) is not None:
                if isinstance(item, Progress):
                    yield item
                elif item.seq == after + 1:  # one that comes after others which could not be stored is none
                    after = item.seq
                    yield item
        finally:
            self._listeners.discard(listener)
