"""How far a run is, in one line, for whoever waits while nothing else is to be told."""

from __future__ import annotations

import time
from collections import Counter

from orchestrator.runtime.nodes import NodeKind
from orchestrator.tasks.feed import Progress
from storage.events import Event, EventType


class Headline:
    """Counts the calls and the tokens of one run; pass its events to :meth:`take` in order."""

    def __init__(self) -> None:
        self._begun_at = time.monotonic()
        self._running: dict[str, int] = {}  # tokens so far, by the path of a call
        self._ended: Counter[str] = Counter()
        self._tokens = 0

    def take(self, item: Event | Progress) -> None:
        """Fold in an event or the progress of a call."""
        path = item.path
        if isinstance(item, Progress):
            if path in self._running:
                self._running[path] = item.tokens
        elif item.type is EventType.NODE_ADDED and item.data.get("kind") == NodeKind.GENERATE:
            self._running[path] = 0
        elif item.type is EventType.NODE_SETTLED and path in self._running:
            latest = self._running.pop(path)
            self._tokens += (item.data.get("usage") or {}).get("completion_tokens", latest)
            self._ended[str(item.data.get("outcome"))] += 1

    @property
    def waiting(self) -> bool:
        """Whether no model has said anything yet."""
        return not self._tokens and not any(self._running.values())

    def text(self) -> str:
        """How far the run is."""
        tokens = self._tokens + sum(self._running.values())
        parts = [f"{len(self._running)} calls running", f"{self._ended['succeeded']} done"]
        return " · ".join([*parts, f"{tokens:,} tokens", f"{time.monotonic() - self._begun_at:.0f} s"])
