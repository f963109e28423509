"""Following one task of a service elsewhere, however often the connection breaks or the service restarts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from urllib.parse import quote

from orchestrator.bodies import ErrorBody, ProgressBody
from orchestrator.errors import AnabranchError, TaskNotFound, Unavailable
from orchestrator.remote.frames import Frame
from orchestrator.remote.reading import event_of, read, task_of
from orchestrator.remote.refusals import error_of
from orchestrator.remote.transport import Request, Transport
from orchestrator.tasks.feed import Progress
from storage.events import Event, EventType
from storage.tasks import Task

GONE_WELL = frozenset({"closing", "dropped"})
"""Events with which a stream ends that is to be followed on."""


async def asked_task(transport: Transport, task_id: str, tenant: str | None = None) -> Task:
    """The task as it stands. Raises AnabranchError, or Strange."""
    asking = Request("GET", path_of(task_id), again=True, headers=speaking_for(tenant))
    return read(task_of, (await transport.ask(asking)).body)


def speaking_for(tenant: str | None) -> dict[str, str]:
    """The headers of a request about a task of this tenant, for keys that may speak for several."""
    return {} if tenant is None else {"X-Tenant": tenant}


def path_of(task_id: str, *more: str) -> str:
    """The path of a task, or of something about it.

    Raises:
        TaskNotFound: it would be the path of something else, since no task has such an id.
    """
    if task_id in ("", ".", ".."):
        raise TaskNotFound(f"there is no task {task_id!r}")
    return "/".join(("/v1/tasks", quote(task_id, safe=""), *more))


async def followed(
    transport: Transport, task_id: str, *, after: int = -1, tenant: str | None = None
) -> AsyncGenerator[Event | Progress | Task, None]:
    """The events of a task after number ``after``, each once, and last the task as it ended.

    ``tenant`` is whose task it is, if that is known.

    Raises:
        AnabranchError: there is no such task (any more), or the service is away for too long.
        Strange: the service says what this version does not understand.
    """
    attempts = transport.attempts()
    while True:
        try:
            headers = speaking_for(tenant) | ({"Last-Event-ID": str(after)} if after >= 0 else {})
            async with transport.frames(path_of(task_id, "events"), headers=headers) as frames:
                async for frame in frames:
                    attempts.progress()
                    match _item(frame):
                        case None:
                            continue
                        case Event() as event if event.seq <= after:
                            continue
                        case Task() as task:
                            yield task
                            return
                        case Event() as event:
                            after = event.seq
                            yield event
                        case progress:
                            yield progress
            raise _broken("the stream of its events ended before the task did")
        except AnabranchError as error:
            if not error.retryable:
                raise
            await attempts.wait(error)


async def ended(transport: Transport, task: Task) -> Task:
    """The task once it has ended; asks for it now and then where it cannot be followed.

    Raises like :func:`followed`.
    """
    attempts = transport.attempts()
    while not task.status.terminal:
        try:
            query = {"task": task.id, "events": "false"}
            async with transport.frames("/v1/events", query, speaking_for(task.tenant)) as frames:
                async for frame in frames:
                    attempts.progress()
                    if (found := _standing(frame)) is not None and found.status.terminal:
                        return found
            raise _broken("the stream about the task ended before the task did")
        except AnabranchError as error:
            if not error.retryable:
                raise
            await attempts.wait(error)
        task = await asked_task(transport, task.id, task.tenant)
        attempts.alive()
    return task


def _item(frame: Frame) -> Event | Progress | Task | None:
    """What a frame of the events of one task says; None for what nobody needs to know.

    Raises:
        AnabranchError: the stream ends with this frame.
        Strange: it is nothing that this version knows.
    """
    match frame.event:
        case "task_ended":
            return read(task_of, frame.data)
        case "progress":
            body = read(ProgressBody.model_validate, frame.data)
            return Progress(body.path, body.tokens, body.text)
        case name if name in set(EventType):
            return read(event_of, frame.data)
    _check_goes_on(frame)
    return None


def _standing(frame: Frame) -> Task | None:
    """How a task stands, if a frame of the stream of all tasks says it. Raises like :func:`_item`."""
    if frame.event == "task":
        return read(task_of, frame.data)
    if frame.event == "task_deleted":
        raise TaskNotFound(f"task {read(dict, frame.data).get('id')} was deleted")
    _check_goes_on(frame)
    return None


def _check_goes_on(frame: Frame) -> None:
    """Raise what ends a stream with this frame, if it is one that does."""
    if frame.event == "error" or frame.event in GONE_WELL:
        problem = read(ErrorBody.model_validate, frame.data).error
        raise error_of(problem, 404 if problem.code == TaskNotFound.code else 503, {})


def _broken(why: str) -> Unavailable:
    return Unavailable(why, code="stream_interrupted", http_status=503, retryable=True)
