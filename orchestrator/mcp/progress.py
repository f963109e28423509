"""What is told of a run while it goes on: who began and answered what, how far they agree, why it stopped."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.runtime.nodes import NodeKind
from orchestrator.tasks.feed import Progress
from orchestrator.visible import one_line
from storage.events import Event, EventType

LONGEST = 160
"""The most characters that are quoted of a text."""


class Narrator:
    """Puts the events of one run into words; pass them to :meth:`take` in order."""

    def __init__(self) -> None:
        self._begun_at = time.monotonic()
        self._labels: dict[str, str] = {}
        self._running: dict[str, int] = {}  # tokens so far, by the path of a call
        self._ended: Counter[str] = Counter()
        self._tokens = 0

    def take(self, item: Event | Progress) -> Iterator[str]:
        """Fold in an event or the progress of a call; yields what there is to say about it."""
        if isinstance(item, Progress):
            if item.path in self._running:
                self._running[item.path] = item.tokens
            return
        data = item.data
        match item.type:
            case EventType.RUN_STARTED:
                yield f"planner {_short(data.get('planner'))} begins"
            case EventType.RUN_RESUMED:
                yield "the run goes on in another process"
            case EventType.NODE_ADDED:
                yield from self._added(item.path, data)
            case EventType.NODE_SETTLED:
                yield from self._settled(item.path, data)
            case EventType.DECISION:
                yield from self._decided(data)
            case EventType.LIMIT_REACHED:
                yield f"a bound was reached: {_short(data.get('limit'))}"
            case EventType.RUN_FINISHED:
                yield f"the run has ended: {_short(data.get('outcome'))}"

    @property
    def waiting(self) -> bool:
        """Whether no model has said anything yet."""
        return not self._tokens and not any(self._running.values())

    def headline(self) -> str:
        """How far the run is, where nothing new has happened."""
        tokens = self._tokens + sum(self._running.values())
        parts = [f"{len(self._running)} calls running", f"{self._ended['succeeded']} done"]
        return " · ".join([*parts, f"{tokens:,} tokens", f"{time.monotonic() - self._begun_at:.0f} s"])

    def _added(self, path: str, data: Mapping[str, Any]) -> Iterator[str]:
        kind, label = data.get("kind"), _short(data.get("label"))
        self._labels[path] = label
        if kind == NodeKind.GENERATE:
            self._running[path] = 0
        if kind == NodeKind.GENERATE or (kind == NodeKind.TOOL and label != _INNER):
            yield f"{label or path} begins"

    def _settled(self, path: str, data: Mapping[str, Any]) -> Iterator[str]:
        if path in self._running:
            latest = self._running.pop(path)
            self._tokens += (data.get("usage") or {}).get("completion_tokens", latest)
            self._ended[str(data.get("outcome"))] += 1
        if data.get("outcome") == "failed":
            error = data.get("error") or {}
            yield f"{self._labels.get(path) or path} failed: {_short(error.get('message'))}"

    def _decided(self, data: Mapping[str, Any]) -> Iterator[str]:
        by, verdict, saw = data.get("by"), _short(data.get("verdict")), data.get("saw") or {}
        if by == "auto":
            yield f"auto takes {verdict}: {_short(saw.get('reason'))}"
            return
        if isinstance(counts := saw.get("counts"), Sequence) and "branch" in saw:
            yield _answered(saw, counts)
        if verdict.startswith("stop"):
            yield f"no more branches: {verdict.removeprefix('stop').removeprefix(':').strip() or 'stopped'}"


_INNER = "survey"  # what `auto` asks itself


def _answered(saw: Mapping[str, Any], counts: Sequence[int]) -> str:
    """Which answer a branch gave, and how far the branches agree with it there."""
    if not isinstance(saw.get("cluster"), int):
        return f"branch {saw['branch']} gave no answer"
    parts = [f"branch {saw['branch']} answers {_short(saw.get('claim'))}"]
    if (votes := sum(counts)) > 1:
        parts.append(f"{max(counts)} of {votes} agree")
    if isinstance(entropy := saw.get("entropy"), int | float):
        parts.append(f"entropy {entropy:.2f}")
    return " · ".join(parts)


def _short(value: object) -> str:
    text = one_line("" if value is None else str(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
