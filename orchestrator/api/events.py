"""The events of a task as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time

from aiohttp import web

from orchestrator.api.schemas import event_body
from orchestrator.errors import InvalidRequest
from orchestrator.runtime.plain import plain
from orchestrator.tasks.feed import Progress
from storage.events import Event

HEARTBEAT_SECONDS = 15.0
"""Silence after which a comment is sent, so that proxies keep the event stream open."""

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


class Sender:
    """Sends frames, and comments in periods of silence."""

    def __init__(self, response: web.StreamResponse, heartbeat_seconds: float) -> None:
        self._response = response
        self._heartbeat_seconds = heartbeat_seconds
        self._last = time.monotonic()

    async def send(self, frame: str) -> None:
        """Send a frame."""
        self._last = time.monotonic()
        await self._response.write(frame.encode())

    async def beat(self) -> None:
        """Send a comment after each period of silence, until cancelled."""
        while True:
            silence = time.monotonic() - self._last
            if silence >= self._heartbeat_seconds:
                await self.send(": heartbeat\n\n")
            else:
                await asyncio.sleep(self._heartbeat_seconds - silence)


def frame(item: Event | Progress) -> str:
    """The item as one server-sent event; only stored events have an id."""
    if isinstance(item, Progress):
        return f"event: progress\ndata: {json.dumps(plain(item))}\n\n"
    return f"id: {item.seq}\nevent: {item.type}\ndata: {event_body(item).model_dump_json()}\n\n"


def last_event_id(request: web.Request) -> int:
    """The number of the last event that the client has; -1 if it has none.

    Raises:
        InvalidRequest: the header is not an event id.
    """
    given = request.headers.get("Last-Event-ID", "").strip()
    if not given:
        return -1
    if not (given.isascii() and given.isdigit()) or len(given) > 9:
        raise InvalidRequest(f"Last-Event-ID is {given[:40]!r}; it must be the id of an event, such as 17")
    return int(given)
