"""Journals of a store in memory, and what appends to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typing_extensions import override

from storage.errors import JournalConflict, StorageError
from storage.events import Event, EventType
from storage.store import Writer

_Stored = tuple[EventType, str, float, str]


class Journal:
    """The lines of one task."""

    def __init__(self) -> None:
        self.lines: list[_Stored] = []
        self._once: set[tuple[EventType, str]] = set()

    @property
    def size(self) -> int:
        """Bytes, as a database would count them."""
        return sum(len(data.encode()) + len(path) + len(kind) + 16 for kind, path, _, data in self.lines)

    def append(self, task_id: str, event: Event, data: str) -> None:
        """Add an event if it is the next one and does not repeat an event that may happen only once."""
        happened = (event.type, "" if event.type is EventType.RUN_FINISHED else event.path)
        if event.seq != len(self.lines) or happened in self._once:
            raise JournalConflict(f"task {task_id}: event {event.seq} contradicts the journal")
        if event.type in _ONCE:
            self._once.add(happened)
        self.lines.append((event.type, event.path, event.at, data))


class MemoryWriter(Writer):
    """Packs events and hands them to ``store`` at once; errors surface where a database's would."""

    __slots__ = ("_error", "_next_seq", "_pack", "_store", "_task_id")

    def __init__(
        self, task_id: str, next_seq: int, pack: Callable[[Any], str], store: Callable[[Event, str], None]
    ) -> None:
        self._task_id = task_id
        self._next_seq = next_seq
        self._pack = pack
        self._store = store
        self._error: StorageError | None = None

    @override
    def append(self, event: Event) -> None:
        if self._error is not None:
            raise self._error
        if event.seq != self._next_seq:
            raise JournalConflict(
                f"task {self._task_id}: event {event.seq} was appended where {self._next_seq} comes next"
            )
        data = self._pack(event.data)
        self._next_seq += 1
        try:
            self._store(event, data)
        except StorageError as error:
            self._error = error

    @override
    async def flush(self) -> None:
        if self._error is not None:
            raise self._error

    @override
    async def room(self) -> None:
        """There is always room."""


_ONCE = frozenset({EventType.NODE_ADDED, EventType.NODE_SETTLED, EventType.RUN_FINISHED})
