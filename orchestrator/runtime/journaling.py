"""The events of a run, in their one order: confirmed against its record, or appended to its journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.errors import AnabranchError, Divergence
from orchestrator.runtime.environment import Recorder
from orchestrator.runtime.record import Record
from storage.errors import StorageError
from storage.events import Event, EventType


class Journaling:
    """Writes down what a run does, or compares it with what its record says.

    Args:
        record: what the run did before; it must do the same again.
        live: whether the run may go on after its record ends. A strict replay may not.
        next_seq: the number of the next event to be appended.
        on_resumed: called when a run that has a record goes live.
    """

    def __init__(
        self,
        record: Record,
        recorder: Recorder,
        *,
        live: bool,
        next_seq: int,
        on_resumed: Callable[[], None],
    ) -> None:
        self._record = record
        self._recorder = recorder
        self._live = live
        self._seq = next_seq
        self._on_resumed = on_resumed
        self._resuming = record.pending
        self._broken: AnabranchError | StorageError | None = None

    @property
    def repeating(self) -> bool:
        """Whether the run is still within its record."""
        return self._record.pending

    @property
    def appending(self) -> bool:
        """Whether the next event goes to the journal, and is not one that the record has."""
        return self._live and not self._record.pending

    @property
    def broken(self) -> bool:
        """Whether an error has ended the journal, and with it the run."""
        return self._broken is not None

    def expects(self, kind: EventType, path: str) -> bool:
        """Whether the record goes on with such an event."""
        return self._record.expects(kind, path)

    def cut_short(self, turn: int | None = None) -> Event | None:
        """The event, if it comes next in the record, that ended the run after that ``turn``; without one, in
        the middle of planner code.
        """
        return self._record.cut_short(turn)

    def fail(self, error: AnabranchError) -> None:
        """End the run with ``error``, as it cannot be written down."""
        self._broken = self._broken or error

    def check(self) -> None:
        """Raise the error that ended the journal, if there was one: planner code may have caught it."""
        if self._broken is not None:
            raise self._broken

    def emit(self, kind: EventType, path: str, data: Mapping[str, Any]) -> Event:
        """Confirm the event against the record, or append it to the journal.

        After the first error, every further event raises the same one.

        Raises:
            Divergence: the record says something else, or has ended where nothing may follow.
            StorageError: an earlier event could not be stored.
        """
        self.check()
        try:
            if self._record.pending:
                return self._record.confirm(kind, path, data)
            if not self._live:
                raise Divergence(path, f"the record has ended, the run goes on with {kind}")
            self.leave_record()
            return self._append(kind, path, data)
        except (Divergence, StorageError) as error:
            self._broken = error
            raise

    async def recorded(self) -> Event:
        """The external event that comes next in the record, when it is due."""
        event = self._record.external()
        await self._record.due(event)
        return event

    def leave_record(self) -> None:
        """Mark where a resumed run goes live."""
        if self._resuming:
            self._resuming = False
            self._append(EventType.RUN_RESUMED, "", {})
            self._on_resumed()

    async def stored(self) -> None:
        """Return when all events are durable."""
        await self._recorder.flush()

    async def room(self) -> None:
        """Wait while too much is queued."""
        await self._recorder.room()

    def _append(self, kind: EventType, path: str, data: Mapping[str, Any]) -> Event:
        event = Event(self._seq, kind, path, time.time(), data)
        self._recorder.append(event)
        self._seq += 1
        return event
