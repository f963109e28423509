"""A journal read back: what a run over it must do, and which external events it is given.

Resume, replay and fork rest on one property: a planner is deterministic, given what the executor tells it.
Repeating it over its journal produces the caused events again, each compared with the recorded one, and
takes the external events from the record in their recorded order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic
from typing import Any

from typing_extensions import override

from orchestrator.errors import Divergence
from orchestrator.runtime.plain import canonical, plain
from storage.events import Event, EventType

MEASURED = frozenset({"usage", "timing", "worker", "versions", "reused"})
"""Keys of event data that are measurements: recorded, but free to differ when a run is repeated."""

CONTEXT = 50
"""Characters that a message shows before the place where two long texts differ."""

YIELD_EVENTS = 64
"""After this many recorded events, other runs get a turn, so that a long record does not hold them up."""

MARKERS = frozenset({EventType.RUN_RESUMED})


def is_external(event: Event) -> bool:
    """Whether a replay must be given the event, because the planner cannot cause it."""
    match event.type:
        case EventType.NODE_CHUNK | EventType.LIMIT_REACHED:
            return True
        case EventType.NODE_SETTLED:
            return bool(event.data.get("external"))
        case _:
            return False


class Record:
    """A cursor over the recorded events of a task."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._events = (event for event in events if event.type not in MARKERS)
        self._next = next(self._events, None)

    @property
    def pending(self) -> bool:
        """Whether recorded events are left."""
        return self._next is not None

    def confirm(self, kind: EventType, path: str, data: Mapping[str, Any]) -> Event:
        """Compare what the run is doing with the next recorded event, and move on.

        Raises:
            Divergence: the record says something else; the message shows both.
        """
        expected = self._peek()
        if (expected.type, expected.path) != (kind, path):
            raise Divergence(
                path,
                f"the run does {kind} here, the record has {expected.type} of node {expected.path or 'root'}",
            )
        if difference := _difference(expected.data, data):
            raise Divergence(path, f"{kind} differs: {difference}")
        return self._take()

    def external(self) -> Event:
        """The external event that the run waits for.

        Raises:
            Divergence: the run waits, but the record says that it went on by itself.
        """
        event = self._peek()
        if not is_external(event):
            raise Divergence(event.path, f"the run waits here, the record goes on with {event.type}")
        return self._take()

    def expects(self, kind: EventType, path: str) -> bool:
        """Whether such an event comes next."""
        return self._next is not None and (self._next.type, self._next.path) == (kind, path)

    def cut_short(self, turn: int | None = None) -> Event | None:
        """Take the next event if it ended the run before that waited: after its ``turn``, if one is given,
        otherwise in the middle of planner code.
        """
        if self._next is None or self._next.type is not EventType.LIMIT_REACHED:
            return None
        ended = "error" in self._next.data if turn is None else self._next.data.get("turn") == turn
        return self._take() if ended else None

    async def due(self, event: Event) -> None:
        """Wait until an external event may be delivered."""
        if event.seq % YIELD_EVENTS == 0:
            await asyncio.sleep(0)

    def _peek(self) -> Event:
        if self._next is None:
            raise Divergence("", "the record has ended, the run has not")
        return self._next

    def _take(self) -> Event:
        event = self._peek()
        self._next = next(self._events, None)
        return event


class Playback(Record):
    """A record whose events come at their original pace times ``pace``; ``watch`` sees every one of them."""

    def __init__(self, events: Iterable[Event], pace: float, watch: Callable[[Event], None]) -> None:
        super().__init__(events)
        self._pace = pace
        self._watch = watch
        self._began = monotonic()
        self._first_at = self._peek().at if self.pending else 0.0

    def clock(self) -> float:
        """The current time within the record, in seconds since the epoch."""
        return self._first_at + self._pace * (monotonic() - self._began)

    @override
    async def due(self, event: Event) -> None:
        await asyncio.sleep(max(0.0, event.at - self.clock()) / self._pace)
        self._watch(event)

    @override
    def cut_short(self, turn: int | None = None) -> Event | None:
        event = super().cut_short(turn)
        if event is not None:
            self._watch(event)
        return event

    @override
    def confirm(self, kind: EventType, path: str, data: Mapping[str, Any]) -> Event:
        event = super().confirm(kind, path, data)
        self._watch(event)
        return event


def _difference(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> str:
    """What differs between two event payloads, for people; empty if nothing relevant does."""
    told = "; ".join(_differences(expected, actual))
    if told and (mended := _mended(expected, actual)) is not None:
        return "; ".join(_differences(mended, actual))
    return told


def _mended(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an earlier version recorded with halves of surrogate pairs, as it is recorded now."""
    mended: dict[str, Any] = plain(expected)
    if mended == expected:
        return None
    if "request" in mended and "request" in actual:  # its key is a digest of the rest, as it was
        mended["request"] = mended["request"] | {"key": actual["request"].get("key")}
    return mended


def _differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[str]:
    differing = [
        key
        for key in dict.fromkeys([*expected, *actual])
        if key not in MEASURED and expected.get(key) != actual.get(key)
    ]
    for key in differing:
        yield from _changes(key, expected.get(key), actual.get(key))


def _changes(where: str, before: Any, now: Any) -> Iterator[str]:
    """The smallest parts of two JSON values that differ, each with its place."""
    if before == now or canonical(before) == canonical(now):
        return
    match before, now:
        case Mapping(), Mapping():
            for key in dict.fromkeys([*before, *now]):
                yield from _changes(f"{where}.{key}", before.get(key), now.get(key))
        case [*_], [*_] if len(before) == len(now):
            for index, (old, new) in enumerate(zip(before, now, strict=True)):
                yield from _changes(f"{where}.{index}", old, new)
        case _:
            old, new = canonical(before), canonical(now)
            equal = next(
                (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
            )
            start = max(0, equal - CONTEXT)
            yield f"{where}: recorded {_clip(old, start)}, now {_clip(new, start)}"


def _clip(text: str, start: int) -> str:
    end = start + 4 * CONTEXT
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
