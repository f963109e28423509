"""The spans of a run, made from its events as they happen: each is sent as soon as its step has ended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from storage import codec
from storage.conventions import Conventions, Span
from storage.events import Event, EventType
from storage.tasks import Task
from storage.trace import TraceNode
from storage.waits import Waits


class Sender(Protocol):
    """Where spans go."""

    def wants(self, conventions: Conventions) -> bool:
        """Whether the spans of this task are recorded, or left out by sampling."""
        ...

    def send(self, span: Span) -> None:
        """Take a span that has ended. Cheap, and never blocks."""
        ...

    def caller(self) -> str | None:
        """The span within which this process is now, as a ``traceparent``; None if it is in none."""
        ...


@dataclass(frozen=True, slots=True)
class Tracing:
    """Follows the runs of a process. ``content`` also tells what is asked and answered."""

    sender: Sender
    content: bool = False

    def follow(self, task: Task, redact: codec.Redact | None = None) -> LiveSpans | None:
        """The spans of a task that this process is about to run; None if they are not recorded.

        What they tell of texts is passed through ``redact``.
        """
        conventions = Conventions(task, self.content)
        return LiveSpans(conventions, self.sender, redact) if self.sender.wants(conventions) else None


@dataclass(slots=True)
class _Open:
    kind: str
    label: str
    inputs: tuple[str, ...]
    after: tuple[str, ...]
    added_at: float
    started_at: float | None
    request: Mapping[str, Any] | None


class LiveSpans:
    """The spans of one task, as far as this process runs it.

    A node that was begun here and is ended by another process has its span from there: its id is the same.
    """

    def __init__(self, conventions: Conventions, sender: Sender, redact: codec.Redact | None) -> None:
        self._conventions = conventions
        self._sender = sender
        self._redact = redact if conventions.content else None
        self._waits = Waits()
        self._open: dict[str, _Open] = {}
        self._begun_at: float | None = None
        self._answer: Any = None

    def traceparent(self, path: str) -> str:
        """The span of a node as a ``traceparent``, for what it calls."""
        return f"00-{self._conventions.trace_id}-{self._conventions.span_id(path)}-01"

    def recorded(self, events: Iterable[Event]) -> None:
        """Take in what happened before: its spans were sent by whoever ran the task then."""
        for event in events:
            self._take(event)

    def add(self, event: Event) -> None:
        """Take in an event, and send the span that has ended with it."""
        if (span := self._take(event)) is not None:
            self._sender.send(span)

    def end(self, outcome: str, error: Mapping[str, Any] | None) -> None:
        """Send the span of the task, which has ended."""
        now = time.time()
        told = self._told(error)
        if self._begun_at is not None:  # what broke off has no last event
            self._sender.send(self._conventions.plan(self._begun_at, now, told))
        self._sender.send(self._conventions.workflow(now, outcome, told, self._answer))

    def _take(self, event: Event) -> Span | None:
        match event.type:
            case EventType.RUN_STARTED:
                self._begun_at = event.at
                self._conventions.begin(self._told(event.data))
            case EventType.NODE_ADDED:
                self._add_node(event)
            case EventType.NODE_STARTED:
                node = self._open[event.path]
                node.started_at, node.request = event.at, self._told(event.data).get("request")
            case EventType.NODE_SETTLED:
                return self._settled(event)
            case EventType.RUN_FINISHED if self._begun_at is not None:
                data = self._told(event.data)
                self._answer = data.get("answer") if self._conventions.content else None
                begun_at, self._begun_at = self._begun_at, None
                return self._conventions.plan(begun_at, event.at, data.get("error"))
        return None

    def _add_node(self, event: Event) -> None:
        data = self._told(event.data)
        inputs = tuple(data.get("inputs", ()))
        _, after = self._waits.add(event.path, data.get("after", ()))
        # A node whose inputs are there starts as it is added, in one event, unless code runs ahead with it.
        begins = not data.get("held") and self._open.keys().isdisjoint(inputs)
        self._open[event.path] = _Open(
            kind=data["kind"],
            label=data.get("label", ""),
            inputs=inputs,
            after=after,
            added_at=event.at,
            started_at=event.at if begins else None,
            request=data.get("request"),
        )

    def _settled(self, event: Event) -> Span:
        node, data = self._open.pop(event.path), self._told(event.data)
        return self._conventions.node(
            TraceNode(
                path=event.path,
                kind=node.kind,
                label=node.label,
                state=data["outcome"],
                inputs=node.inputs,
                after=node.after,
                seen=(),
                added_at=node.added_at,
                started_at=node.started_at,
                settled_at=event.at,
                settled_seq=event.seq,
                request=node.request,
                value=data.get("value"),
                error=data.get("error"),
                usage=data.get("usage") or {},
                timing=data.get("timing") or {},
                worker=data.get("worker"),
                reused=data.get("reused"),
                children=(),
            )
        )

    def _told(self, data: Mapping[str, Any] | None) -> Any:
        """The data of an event as it may be told, which is as it is stored."""
        if self._redact is None or data is None:
            return data
        return codec.redacted(data, self._redact, codec.EVENT_IDENTIFIERS)
