"""Clients that follow tasks: event streams and waiting requests, how many there may be, and how they end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, aclosing, nullcontext, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from orchestrator.api.events import Frames, closing_frame, dropped_frame, ended_frame, error_frame
from orchestrator.api.places import Places
from orchestrator.api.problems import contained
from orchestrator.errors import AnabranchError, InvalidRequest
from orchestrator.structured import Ending, task_group
from orchestrator.tasks.runs import Runs
from orchestrator.tasks.service import Service
from storage.tasks import Task

log = structlog.get_logger()

T = TypeVar("T")

HEARTBEAT_SECONDS = 15.0
"""Silence after which a comment is sent, so that proxies keep the event stream open."""

PATIENCE = 0.5
"""The part of the time that a client may leave things unread after which its stream ends."""

PIECE = 32 * 1024
"""How many bytes are written at a time; there is always room for them where nothing waits."""

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


@dataclass(frozen=True, slots=True)
class Farewells:
    """The last frames of a stream that does not come to its end, in the words of its protocol."""

    error: Callable[[AnabranchError], str]
    closing: Callable[[], str]
    dropped: Callable[[], str]


OURS = Farewells(error_frame, closing_frame, dropped_frame)


class Streams:
    """Lets clients follow the tasks of a service, until ``closing`` is set."""

    def __init__(self, service: Service, closing: Ending, heartbeat_seconds: float) -> None:
        self._service = service
        self._closing = closing
        self._heartbeat_seconds = heartbeat_seconds
        self._frame = Frames()
        self.places = Places(service.settings.streams, service.settings.tenant_streams)

    @property
    def followers(self) -> int:
        """How many event streams and waiting requests there are."""
        return self.places.held

    @property
    def closing(self) -> bool:
        """Whether the process is about to end, and with it all streams."""
        return self._closing.is_set()

    def place(self, tenant: str) -> AbstractContextManager[None]:
        """A place for one client, held while the block runs.

        Raises:
            TooManyStreams: there is none left, or none for this tenant.
        """
        return self.places.taken(tenant)

    async def until_closing(self, work: Awaitable[T]) -> T | None:
        """What comes of ``work``, which is cancelled if the process closes first; then None."""
        return await self._closing.until(work)

    async def wait(self, task: Task, seconds: float) -> Task:
        """The task once it has ended, or as it stands when the time is over or the process closes."""
        with suppress(
            AnabranchError
        ):  # it is stored; what keeps us from following it is not its caller's fault
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.until_closing(self._ended(task.id))
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
        return await self.send_frames(request, task.tenant, task.id, self._one(task.id, after))

    async def send_all(self, request: web.Request, tenant: str | None, runs: Runs) -> web.StreamResponse:
        """Answer with what happens to many tasks, until the client leaves. Raises like :meth:`send`."""
        return await self.send_frames(request, tenant or "", "all tasks", self._many(runs))

    async def send_frames(
        self,
        request: web.Request,
        tenant: str,
        what: str,
        told: AsyncGenerator[str, None],
        *,
        farewells: Farewells = OURS,
        headers: Mapping[str, str] = MappingProxyType({}),
        placed: bool = False,
    ) -> web.StreamResponse:
        """Answer with frames, and with one that says why they ended if that is not their end.

        ``placed`` says that there is a place for it already.

        Raises:
            TooManyStreams: there is no place for it.
        """
        response = web.StreamResponse(headers={**HEADERS, **headers})
        place = nullcontext() if placed else self.place(tenant)
        with place, suppress(ConnectionError):  # the client has gone
            writer = await response.prepare(request)
            assert writer is not None
            sender = Sender(
                response,
                writer,
                request.transport,
                heartbeat_seconds=self._heartbeat_seconds,
                patience=self._service.settings.client_seconds,
            )
            async with task_group() as group:
                sending = group.create_task(
                    self._frames(sender, what, told, farewells), name=f"events of {what}"
                )
                beating = group.create_task(sender.beat(), name=f"heartbeat of the events of {what}")
                closing = group.create_task(self._closing.wait(), name=f"closing of the events of {what}")
                await asyncio.wait([sending, beating, closing], return_when=asyncio.FIRST_COMPLETED)
                ended = sending.done() or beating.done()
                for each in (sending, beating, closing):
                    each.cancel()
            if sender.dropped:
                log.info("a client that reads too slowly was dropped", followed=what)
                await sender.part(farewells.dropped())
            elif not ended:
                await sender.part(farewells.closing())
        return response

    async def _frames(
        self, sender: Sender, what: str, told: AsyncGenerator[str, None], farewells: Farewells
    ) -> None:
        """Send all there is; the status has been sent, so an error ends the stream, which can be resumed."""
        try:
            with contained("the events of a task could not be sent"):
                async with aclosing(told) as frames:
                    async for each in frames:
                        if not await sender.send(each):
                            return
                        await asyncio.sleep(0)  # other requests have their turn
        except AnabranchError as error:
            log.warning("an event stream broke off", followed=what, code=error.code, error=str(error))
            await sender.send(farewells.error(error))

    async def _one(self, task_id: str, after: int) -> AsyncGenerator[str, None]:
        async with aclosing(self._service.events(task_id, after=after)) as events:
            async for item in events:
                yield self._frame.frame(item)
        yield ended_frame(await self._service.task(task_id))

    async def _many(self, runs: Runs) -> AsyncGenerator[str, None]:
        """A frame has an id where at least as much was sent since the last one as the id is long."""
        sent, length = 0, 0
        async with aclosing(runs.told()) as told:
            async for item in told:
                frame = self._frame.told(item)
                sent += len(frame)
                if sent >= length:
                    cursor = str(runs.cursor())
                    sent, length = 0, len(cursor)
                    frame = f"id: {cursor}\n{frame}"
                yield frame


class Sender:
    """Sends frames, and comments in periods of silence, to a client that may read slowly or not at all."""

    def __init__(
        self,
        response: web.StreamResponse,
        writer: AbstractStreamWriter,
        transport: asyncio.Transport | None,
        *,
        heartbeat_seconds: float,
        patience: float,
    ) -> None:
        self._response = response
        self._writer = writer
        self._transport = transport
        self._heartbeat_seconds = heartbeat_seconds
        self._patience = PATIENCE * patience
        self._parting = patience - self._patience
        self._last = time.monotonic()
        self._turn = asyncio.Lock()
        self._writing: asyncio.Task[None] | None = None
        self._whole = True
        self.dropped = False

    async def send(self, frame: str) -> bool:
        """Send a frame; False if the client is to be dropped, since it has not made room for it in time."""
        data = frame.encode()
        async with self._turn:  # no comment within a frame
            for start in range(0, len(data), PIECE):
                self._last = time.monotonic()
                self._whole = start + PIECE >= len(data)
                if not await self._put(data[start : start + PIECE]):
                    return False
        return True

    async def _put(self, piece: bytes) -> bool:
        if self._transport is None or not self._transport.get_write_buffer_size():
            await self._response.write(piece)  # there is room for it
            return True
        if await self._in_time(self._write(piece), self._patience):
            return True
        self.dropped = True
        return False

    async def _in_time(self, writing: Coroutine[Any, Any, None], seconds: float) -> bool:
        """Whether something is written in time. It goes on if not: aiohttp takes no cancellation there."""
        self._writing = asyncio.create_task(writing, name="write to a client")
        self._writing.add_done_callback(lambda done: done.cancelled() or done.exception())
        done, _ = await asyncio.wait([self._writing], timeout=seconds)
        if done:
            self._writing.result()
        return bool(done)

    async def _write(self, piece: bytes) -> None:
        await self._response.write(piece)
        await self._writer.drain()

    async def beat(self) -> None:
        """Send a comment after each period of silence, until cancelled or the client is to be dropped."""
        while True:
            silence = time.monotonic() - self._last
            if silence < self._heartbeat_seconds:
                await asyncio.sleep(self._heartbeat_seconds - silence)
            elif not await self.send(": heartbeat\n\n"):
                return

    async def part(self, frame: str) -> None:
        """Send the last frame, unless one is half sent, and end even if the client does not read that.

        A client takes no notice of half a frame, and goes on after the last whole one.
        """
        if not self._whole or not await self._in_time(self._end(self._writing, frame), self._parting):
            if self._transport is not None:
                self._transport.abort()
            if self._writing is not None:
                await asyncio.wait([self._writing], timeout=self._parting)

    async def _end(self, writing: asyncio.Task[None] | None, frame: str) -> None:
        if writing is not None:
            await writing
        await self._response.write(frame.encode())
        await self._response.write_eof()


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
