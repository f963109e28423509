"""Recorders for runs that are not stored."""

from __future__ import annotations

from orchestrator.errors import Divergence
from storage.events import Event


class Memory:
    """A recorder that keeps events in memory only."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        """Keep the event."""
        self.events.append(event)

    async def flush(self) -> None:
        """Return at once: nothing is ever queued."""

    async def room(self) -> None:
        """Return at once: there is always room."""

    async def leased(self) -> None:
        """Return at once: there is no lease to lose."""


class Nothing(Memory):
    """A recorder for replays, which have nothing new to record."""

    def append(self, event: Event) -> None:
        """Refuse the event."""
        raise Divergence(event.path, f"the record has ended, but the run goes on with {event.type}")
