"""The events of a task as they happen, for whoever is listening."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from storage.events import Event
from storage.store import Store, Writer


@dataclass(frozen=True, slots=True)
class Progress:
    """A call that is generating, and the tokens that it has generated; not stored."""

    path: str
    tokens: int


class Feed:
    """A recorder that stores events and passes them on."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._listeners: set[asyncio.Queue[Event | Progress | None]] = set()

    def append(self, event: Event) -> None:
        """Store the event and tell the listeners."""
        self._writer.append(event)
        for listener in self._listeners:
            listener.put_nowait(event)

    async def flush(self) -> None:
        """Return when all events are durable."""
        await self._writer.flush()

    async def room(self) -> None:
        """Wait while too much is queued."""
        await self._writer.room()

    def progress(self, path: str, tokens: int) -> None:
        """Tell the listeners how far a call has come."""
        for listener in self._listeners:
            listener.put_nowait(Progress(path, tokens))

    def end(self) -> None:
        """Nothing more will come."""
        for listener in self._listeners:
            listener.put_nowait(None)

    async def listen(self, store: Store, task_id: str, after: int) -> AsyncGenerator[Event | Progress, None]:
        """All events after ``after``: first what is stored, then what comes, and progress in between."""
        listener: asyncio.Queue[Event | Progress | None] = asyncio.Queue()
        self._listeners.add(listener)
        try:
            await self._writer.flush()
            async for event in store.read(task_id, after=after):
                after = event.seq
                yield event
            while (item := await listener.get()) is not None:
                if isinstance(item, Progress):
                    yield item
                elif item.seq > after:
                    after = item.seq
                    yield item
        finally:
            self._listeners.discard(listener)
