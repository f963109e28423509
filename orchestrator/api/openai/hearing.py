"""A task that a client waits for: what happens to it, and what its answer says while it is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

from orchestrator.errors import AnabranchError
from orchestrator.structured import task_group
from orchestrator.tasks.service import Service
from orchestrator.tasks.speech import Said, Speech
from storage.errors import StorageError
from storage.events import Event
from storage.tasks import Task

WAITING = 64
"""How many events may wait for a client that reads slowly."""

SECONDS_A_CHARACTER = 3e-6
"""How long it is waited for more, by the text so far: the whole of it is read again each time."""

_Queue = asyncio.Queue[Event | Said | AnabranchError | None]


class Attendance:
    """Somebody waits for a task. ``ended`` says that it has ended."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.ended = False


@asynccontextmanager
async def attended(
    service: Service, storing: Coroutine[Any, Any, Task], *, keep: bool
) -> AsyncIterator[Attendance]:
    """Store a task, and cancel it if the block is left before it has ended, unless it is to be kept.

    Nobody would learn of its answer, and its calls keep an engine busy. Raises what ``storing`` raises.
    """
    stored = asyncio.create_task(storing, name="storing a task that somebody waits for")
    try:
        attendance = Attendance(await asyncio.shield(stored))
    except asyncio.CancelledError:
        with suppress(AnabranchError, StorageError):
            await _left(service, await stored, keep=keep)
        raise
    try:
        yield attendance
    finally:
        if not attendance.ended:
            await _left(service, attendance.task, keep=keep)


async def _left(service: Service, task: Task, *, keep: bool) -> None:
    if not keep:
        with suppress(AnabranchError):
            await service.cancel(task.id)


async def heard(service: Service, task_id: str, *, speech: bool) -> AsyncGenerator[Event | Said, None]:
    """The events of a task to its end, and with ``speech`` what its answer says, if the task runs here.

    Raises:
        AnabranchError: it cannot be followed.
    """
    queue: _Queue = asyncio.Queue(WAITING)
    async with task_group() as group:
        following = group.create_task(_follow(service, task_id, queue, speech), name=f"events of {task_id}")
        try:
            while (item := await queue.get()) is not None:
                if isinstance(item, AnabranchError):
                    raise item
                yield item
                queue.task_done()
        finally:
            following.cancel()


async def _follow(service: Service, task_id: str, queue: _Queue, speech: bool) -> None:
    listening: asyncio.Task[None] | None = None
    try:
        async with task_group() as group, aclosing(service.events(task_id)) as events:
            async for item in events:
                if speech and listening is None and (spoken := service.speech_of(task_id)) is not None:
                    listening = group.create_task(_listen(spoken, queue), name=f"answer of {task_id}")
                if isinstance(item, Event):
                    await queue.put(item)
            if listening is not None:
                listening.cancel()
        await queue.put(None)
    except AnabranchError as error:
        await queue.put(error)


async def _listen(speech: Speech, queue: _Queue) -> None:
    async with aclosing(speech.listen()) as said:
        async for each in said:
            await queue.put(each)
            await asyncio.sleep(SECONDS_A_CHARACTER * (len(each.text) + len(each.thought)))
            await queue.join()  # a client that reads slowly gets the latest
