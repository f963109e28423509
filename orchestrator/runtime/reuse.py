"""Results of another run, given to the nodes of a fork that ask for the same."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from orchestrator.runtime.nodes import NodeKind
from storage.events import Event, EventType

Piece = tuple[int, str]
"""The number of the event that once delivered a piece of a stream, and the text of that piece."""


class Memo:
    """Results of another run, looked up by path and content key, or failing that by content key alone.

    Each is given out once, so that different samples of one prompt stay different.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self._requests: dict[str, Mapping[str, Any]] = {}
        self._by_key: defaultdict[str, deque[str]] = defaultdict(deque)
        self._settled: dict[str, Event] = {}
        self._chunks: defaultdict[str, list[Event]] = defaultdict(list)
        for event in events:
            if event.type is EventType.NODE_CHUNK:
                self._chunks[event.path].append(event)
            if request := event.data.get("request"):
                self._requests[event.path] = request
            if event.type is EventType.NODE_SETTLED and event.data.get("external"):
                self._settled[event.path] = event
                self._by_key[self._requests[event.path]["key"]].append(event.path)

    def take(self, path: str, key: str, *, seed: int | None = None) -> Event | None:
        """The settlement of the same request in the other run, if it has one to give.

        With ``seed``, only a sample that was drawn with it will do; the content key does not cover the seed.
        """
        queue = self._by_key[key]
        while queue and queue[0] not in self._settled:  # given out already
            queue.popleft()
        for other in chain((path,), queue):
            if other in self._settled:
                request = self._requests[other]
                if request["key"] == key and seed in (None, request.get("seed")):
                    return self._settled.pop(other)
        return None

    def pieces(self, event: Event) -> Sequence[Piece]:
        """What a stream was given before ``event`` settled it; the whole text if it was not streamed."""
        told = [(chunk.seq, chunk.data["text"]) for chunk in self._chunks[event.path]]
        if event.data["outcome"] == "succeeded":
            text = event.data["value"]["text"]
            return told if "".join(piece for _, piece in told) == text else [(event.seq, text)]
        return told


class Known:
    """Results that are already known, delivered in the order in which they originally came."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str, EventType, Mapping[str, Any]]] = []
        self._left: Counter[str] = Counter()  # entries of each path; others in the heap were taken back

    def __bool__(self) -> bool:
        return bool(self._left)

    def reuse(self, path: str, event: Event, pieces: Sequence[Piece] = (), already: int = 0) -> None:
        """Give node ``path`` the result of another run. It costs nothing, so its usage does not count.

        A stream is given ``pieces`` first, without the first ``already`` characters, which it has had.
        """
        data = {key: value for key, value in event.data.items() if key not in ("usage", "timing")}
        reused = {"from": event.path, "usage": event.data.get("usage")}
        self._push(event.seq, path, {**data, "reused": reused}, pieces, already)

    def give(self, path: str, kind: NodeKind, value: Any, already: int | None = None) -> None:
        """Give node ``path`` the value of a change; ``already`` as in :meth:`reuse`, None if not a stream."""
        result = {"text": value, "finish_reason": "stop"} if kind is NodeKind.GENERATE else value
        data = {"external": True, "outcome": "succeeded", "value": result, "reused": {"from": "change"}}
        self._push(-1, path, data, () if already is None else [(-1, value)], already or 0)

    def _push(
        self, seq: int, path: str, data: Mapping[str, Any], pieces: Sequence[Piece], already: int
    ) -> None:
        for at, text in pieces:
            if rest := text[already:]:
                self._left[path] += 1
                heapq.heappush(self._heap, (at, 0, path, EventType.NODE_CHUNK, {"text": rest}))
            already = max(0, already - len(text))
        self._left[path] += 1
        heapq.heappush(self._heap, (seq, 1, path, EventType.NODE_SETTLED, data))

    def drop(self, path: str) -> bool:
        """Take back what was given to the cancelled node ``path``; returns whether there was anything."""
        return bool(self._left.pop(path, 0))

    def pop(self) -> tuple[EventType, str, Mapping[str, Any]]:
        """The next event: its type, its path and its data."""
        while True:
            _, _, path, kind, data = heapq.heappop(self._heap)
            if path in self._left:
                break
        self._left[path] -= 1
        if not self._left[path]:
            del self._left[path]
        return kind, path, data
