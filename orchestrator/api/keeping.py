"""Tasks as a whole, kept and moved: delete, export and import."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path
from typing import IO
from weakref import WeakValueDictionary

import structlog
from aiohttp import web
from pydantic import BaseModel, Field

from orchestrator.access.caller import Scope
from orchestrator.api.callers import tenant_of
from orchestrator.api.exchange import respond
from orchestrator.api.finding import TaskHandlers
from orchestrator.api.parameters import ONE, TENANT
from orchestrator.api.places import Places, TooManyStreams, turn
from orchestrator.api.problems import Draining, Overloaded, RequestTimeout, TooLarge
from orchestrator.api.routes import route
from orchestrator.bodies import TaskBody, task_body
from orchestrator.errors import InvalidRequest, translated
from storage.archive import Limits, export, read_lines, restore
from storage.errors import (
    ArchiveError,
    IllegalTransition,
    JournalConflict,
    NotStorable,
    StorageError,
    TaskExists,
)
from storage.tasks import Task, TaskStatus

log = structlog.get_logger()

JSON_LINES = "application/jsonl"
TAKEN = (JSON_LINES, "application/x-ndjson", "application/x-jsonlines")
"""How clients call JSON Lines. No form of a web page can send one of these."""

PIECE = 64 * 1024
"""Characters of an export that are sent at a time, and bytes of an import that are written at a time."""

IMPORTS = 2
"""The most traces that are imported at a time: what a file becomes in memory is many times larger."""

UPLOADS = 8
"""The most traces that are received at a time, and of one tenant as many as are stored: some come slowly."""

SKEW_SECONDS = 60.0
"""By how much the clock may be ahead that the times of an imported task are from."""

_TRACE = {"schema": {"type": "string", "description": "One trace, as `anabranch export` writes it."}}
LINES = {JSON_LINES: _TRACE}


class DeletedBody(BaseModel):
    """What was removed."""

    id: str
    texts: int = Field(description="How many texts went with the task, since no other task uses them.")


class Imports:
    """Lets imports take turns, so that who sends slowly keeps none of another tenant waiting."""

    def __init__(self) -> None:
        self._storing = asyncio.Semaphore(IMPORTS)
        self._receiving = asyncio.Semaphore(UPLOADS)
        self._of_tenant: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def received(self, tenant: str | None) -> AsyncIterator[None]:
        """Receive one trace of a tenant during the block. Raises Overloaded if there is no turn for it."""
        own = self._of_tenant.setdefault(tenant or "", asyncio.Semaphore(IMPORTS))
        async with _turn(own), _turn(self._receiving):
            yield

    def stored(self) -> AbstractAsyncContextManager[None]:
        """Store one trace during the block. Raises Overloaded if there is no turn for it."""
        return _turn(self._storing)


def _turn(turns: asyncio.Semaphore) -> AbstractAsyncContextManager[None]:
    return turn(turns, "too many files are being received; try again")


class KeepingHandlers(TaskHandlers):
    """The part of the handlers that keeps, moves and drops tasks."""

    _places: Places
    _imports: Imports

    @route(
        "DELETE",
        "/v1/tasks/{id}",
        (200, "It is gone.", DeletedBody),
        errors=(IllegalTransition,),
        parameters=ONE,
        scope=Scope.SUBMIT,
        changes=True,
    )
    async def delete(self, request: web.Request) -> web.Response:
        """Delete a task that has ended, with its journal and the texts that no other task uses."""
        found = await self._find(request)
        gone = await self._service.delete(found.id)
        return respond(DeletedBody(id=found.id, texts=gone.texts))

    @route(
        "GET",
        "/v1/tasks/{id}/export",
        (200, "The trace as JSON Lines.", LINES),
        errors=(IllegalTransition, TooManyStreams),
        parameters=ONE,
        head=False,
        scope=Scope.READ,
    )
    async def export(self, request: web.Request) -> web.StreamResponse:
        """Export the whole trace of a task that has ended, to keep or to import elsewhere."""
        found = await self._find(request)
        with self._places.taken(found.tenant), translated():
            async with aclosing(export(self._service.store, found.id)) as lines:  # type: ignore[type-var]
                first = await anext(lines)  # what is refused is refused before anything is sent
                response = web.StreamResponse(headers=_attached(found.id))
                await response.prepare(request)
                try:
                    await _send(response, first, lines)
                except StorageError as error:
                    log.warning("an export broke off", task=found.id, code=error.code, error=str(error))
                    if request.transport is not None:
                        request.transport.abort()  # its end is missing, and no response could follow
                    raise ConnectionError("an export broke off") from error
        return response

    @route(
        "POST",
        "/v1/import",
        (201, "The task is stored.", TaskBody),
        parameters=(TENANT,),
        takes=LINES,
        media=TAKEN,
        errors=(Draining, TaskExists, NotStorable, ArchiveError, JournalConflict),
        scope=Scope.SUBMIT,
        changes=True,
        name="import",
    )
    async def import_(self, request: web.Request) -> web.Response:
        """Import a trace that `export` has written, under its id, for the tenant of the request."""
        self._check_open()
        tenant, limits = tenant_of(request), Limits(file_bytes=self._service.settings.max_import_bytes)
        async with self._imports.received(tenant):
            with tempfile.NamedTemporaryFile(prefix="anabranch-import-") as file:  # its user's alone
                await _spool(request, file, limits.file_bytes, self._service.settings.client_seconds)
                lines, store = read_lines(Path(file.name), limits), self._service.store
                async with self._imports.stored():
                    with translated():
                        task = await restore(store, lines, tenant=tenant, check=_checked, limits=limits)
        self._service.told(task.id)
        return respond(task_body(task), 201, headers={"Location": f"/v1/tasks/{task.id}"})


def _attached(task_id: str) -> dict[str, str]:
    """The headers of an export; its name is made of the id where that is one of ours."""
    name = task_id if task_id.isascii() and task_id.isalnum() else "trace"
    return {
        "Content-Type": f"{JSON_LINES}; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{name}.jsonl"',
        "Cache-Control": "no-store",
    }


async def _send(response: web.StreamResponse, first: str, lines: AsyncIterator[str]) -> None:
    """Send the lines, a piece in memory at a time."""
    piece, size = [first], len(first)
    async for line in lines:
        piece.append(line)
        size += len(line)
        if size > PIECE:
            await response.write("".join(piece).encode())
            piece, size = [], 0
            await asyncio.sleep(0)  # other requests have their turn
    await response.write("".join(piece).encode())
    await response.write_eof()


async def _spool(request: web.Request, file: IO[bytes], most: int, seconds: float) -> None:
    """Write the body to a file, a piece in memory at a time; the client has some seconds for each piece.

    Raises:
        TooLarge, RequestTimeout, InvalidRequest: it cannot be had.
    """
    size, ended = 0, False
    while not ended:
        piece = bytearray()
        try:
            async with asyncio.timeout(seconds):
                while len(piece) < PIECE and not ended:
                    more = await request.content.readany()
                    piece += more
                    ended = not more
        except TimeoutError:
            raise RequestTimeout(f"less than {PIECE:,} bytes arrived within {seconds:g} s") from None
        except web.RequestPayloadError:
            raise InvalidRequest("the body is cut short, or not in the encoding its headers give") from None
        size += len(piece)
        if size > most:
            raise TooLarge(f"the trace has more than {most:,} bytes; `anabranch import` takes larger ones")
        try:
            await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(file.flush)
        except OSError as error:
            log.warning("a trace cannot be received", error=str(error))
            raise Overloaded("there is no room for the trace now; try again") from None


def _checked(task: Task) -> None:
    """Refuse a task that could not be shown, would be among those that ended last for ever, or could be run
    again over a journal of somebody else.

    Raises:
        JournalDamaged, ValueError: it is one.
    """
    task_body(task)
    if (task.finished_at or 0.0) > time.time() + SKEW_SECONDS:
        raise ValueError("finished_at: it lies in the future, but only tasks that have ended can be read")
    if task.status is TaskStatus.DEAD and task.parent_id is not None:
        raise ValueError("it is a dead fork, which would run again over its parent; import its parent only")
