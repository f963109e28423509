"""Clients that follow tasks: event streams and waiting requests, how many there may be, and how they end."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractContextManager, aclosing, suppress

import structlog
from aiohttp import web

from orchestrator.api.events import closing_frame, ended_frame, error_frame, frame
from orchestrator.api.places import Places
from orchestrator.api.problems import contained
from orchestrator.errors import AnabranchError, InvalidRequest
from orchestrator.structured import task_group
from orchestrator.tasks.service import Service
from storage.tasks import Task

log = structlog.get_logger()

HEARTBEAT_SECONDS = 15.0
"""Silence after which a comment is sent, so that proxies keep the event stream open."""

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


class Streams:
    """Lets clients follow the tasks of a service, until ``closing`` is set."""

    def __init__(self, service: Service, closing: asyncio.Event, heartbeat_seconds: float) -> None:
        self._service = service
        self._closing = closing
        self._heartbeat_seconds = heartbeat_seconds
        self._places = Places(service.settings.streams, service.settings.tenant_streams)

    @property
    def followers(self) -> int:
        """How many event streams and waiting requests there are."""
        return self._places.held

    def place(self, tenant: str) -> AbstractContextManager[None]:
        """A place for one client, held while the block runs.

        Raises:
            TooManyStreams: there is none left, or none for this tenant.
        """
        return self._places.taken(tenant)

    async def wait(self, task: Task, seconds: float) -> Task:
        """The task once it has ended, or as it stands when the time is over or the process closes."""
        with suppress(
            AnabranchError
        ):  # it is stored; what keeps us from following it is not its caller's fault
            async with task_group() as group:
                waiting = [
                    group.create_task(self._ended(task.id), name=f"wait for {task.id}"),
                    group.create_task(self._closing.wait(), name=f"closing of the wait for {task.id}"),
                ]
                await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                for each in waiting:
                    each.cancel()
            return await self._service.task(task.id)
        return task

    async def _ended(self, task_id: str) -> None:
        with contained("a task could not be waited for"):
            async with aclosing(self._service.events(task_id)) as events:
                async for _ in events:
                    pass

    async def send(self, request: web.Request, task: Task, after: int) -> web.StreamResponse:
        """Answer with the events after number ``after``, as they happen.

        Raises:
            TooManyStreams: there is no place for it.
        """
        response = web.StreamResponse(headers=HEADERS)
        with self.place(task.tenant), suppress(ConnectionError):  # the client has gone
            await response.prepare(request)
            sender = Sender(response, self._heartbeat_seconds)
            async with task_group() as group:
                sending = group.create_task(self._events(sender, task.id, after), name=f"events of {task.id}")
                beating = group.create_task(sender.beat(), name=f"heartbeat of the events of {task.id}")
                closing = group.create_task(self._closing.wait(), name=f"closing of the events of {task.id}")
                await asyncio.wait([sending, closing], return_when=asyncio.FIRST_COMPLETED)
                ended = sending.done()
                for each in (sending, beating, closing):
                    each.cancel()
            if not ended:
                await sender.send(closing_frame())
        return response

    async def _events(self, sender: Sender, task_id: str, after: int) -> None:
        """Send all there is; the status has been sent, so an error ends the stream, which can be resumed."""
        try:
            with contained("the events of a task could not be sent"):
                async with aclosing(self._service.events(task_id, after=after)) as events:
                    async for item in events:
                        await sender.send(frame(item))
                        await asyncio.sleep(0)  # other requests have their turn
                last = ended_frame(await self._service.task(task_id))
        except AnabranchError as error:
            log.warning("an event stream broke off", task=task_id, code=error.code, error=str(error))
            last = error_frame(error)
        await sender.send(last)


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
