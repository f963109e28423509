"""Recorders for runs that nobody stores."""

from __future__ import annotations

from orchestrator.errors import Divergence
from storage.events import Event


class Memory:
    """A recorder that only remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        """Keep the event."""
        self.events.append(event)

    async def flush(self) -> None:
        """Nothing is ever queued."""

    async def room(self) -> None:
        """There always is."""

    async def leased(self) -> None:
        """Nobody else wants it."""


class Nothing(Memory):
    """A recorder for replays, which have nothing new to record."""

    def append(self, event: Event) -> None:
        """Refuse the event."""
        raise Divergence(event.path, f"the record has ended, the run goes on with {event.type}")
