"""How a request for a response is served: by a task, or by a call to the engine itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from typing import Any

from aiohttp import web
from structlog.contextvars import bind_contextvars

from orchestrator.access.caller import Scope
from orchestrator.api.callers import caller_of
from orchestrator.api.events import Closing, TooSlow
from orchestrator.api.exchange import header_of, respond
from orchestrator.api.openai.asking import seed_for
from orchestrator.api.openai.chunks import DONE
from orchestrator.api.openai.hearing import Attendance, attended
from orchestrator.api.openai.messages import Turn
from orchestrator.api.openai.models import engine_model
from orchestrator.api.openai.passing import Choice, arriving, chat_calls, most_tokens, tokens_of
from orchestrator.api.openai.refusals import InvalidParameter, UnsupportedParameter
from orchestrator.api.openai.serving import CLOSING, TASK_HEADER, ServingHandlers
from orchestrator.api.problems import Contradiction
from orchestrator.api.responses.bodies import ResponseBody, Status
from orchestrator.api.responses.fold import answer_of
from orchestrator.api.responses.items import turns_in
from orchestrator.api.responses.kept import PREFIX, Asked, asked_of, response_of
from orchestrator.api.responses.passing import Passed, body_in
from orchestrator.api.responses.reading import Request, as_chat, param_of, task_of, turns_for
from orchestrator.api.responses.refusals import (
    PreviousResponseNotFound,
    PreviousResponseUnanswered,
    ResponseNotFound,
)
from orchestrator.api.responses.streaming import Following, ended_body, error_event, frame_of
from orchestrator.api.streams import Farewells
from orchestrator.errors import AnabranchError, InvalidRequest, TaskNotFound
from orchestrator.tasks.containment import apart
from orchestrator.tasks.requests import TaskRequest
from storage.tasks import Task, TaskStatus

END_SECONDS = 10.0
"""How long it is waited for the end of a task that was cancelled."""

STORED = "what the engine's own models say is not kept; leave it out, or send false"


class CreatingHandlers(ServingHandlers):
    """What the handlers of responses are made of."""

    # -- responses that are there -----------------------------------------------------------------

    async def _response(self, request: web.Request, response: str | None = None) -> tuple[Task, Asked]:
        """A response, by default that of the path, with what was asked.

        Raises:
            ResponseNotFound: there is none that the caller may see.
        """
        wanted = response or request.match_info["id"]
        missing = ResponseNotFound(f"there is no response {wanted[:255]!r}")
        if not wanted.startswith(PREFIX):
            raise missing
        try:
            task = await self._find(request, wanted.removeprefix(PREFIX) or "-")
        except TaskNotFound:
            raise missing from None
        asked = asked_of(task)
        if asked is None or not asked.store:
            raise missing
        return task, asked

    async def _response_body(self, task: Task, asked: Asked) -> ResponseBody:
        """A response as it stands; what it has put out is told once it has ended."""
        if task.status.terminal:
            return await ended_body(self._service, task, asked)
        status: Status = "queued" if task.status is TaskStatus.QUEUED else "in_progress"
        return response_of(task, asked, status)

    async def _response_stream(
        self,
        request: web.Request,
        task: Task,
        following: Following,
        headers: Mapping[str, str],
        *,
        placed: bool = False,
    ) -> web.StreamResponse:
        return await self._streams.send_frames(
            request,
            task.tenant,
            task.id,
            following.frames(),
            farewells=following.farewells,
            headers=headers,
            placed=placed,
        )

    # -- planners ---------------------------------------------------------------------------------

    async def _responded(self, request: web.Request, read: Request) -> web.StreamResponse:
        """Answer by a task."""
        asked, stream = read.parameters, read.parameters.stream
        wish = await self._response_wish(request, read)
        with ExitStack() as held:
            if stream or not asked.background:
                held.enter_context(self._streams.place(wish.tenant))
            async with self._attended_response(request, wish, read) as attendance:
                task, kept = attendance.task, asked_of(attendance.task)
                if kept is None:
                    raise Contradiction("the task with this idempotency key is no response")
                headers = {"Location": f"/v1/responses/{PREFIX}{task.id}", TASK_HEADER: task.id}
                if stream:
                    following = Following(self._service, task, kept)
                    sent = await self._response_stream(request, task, following, headers, placed=True)
                    attendance.ended = following.ended or (kept.store and self._streams.closing)
                    return sent
                if not asked.background:
                    ended = await self._streams.until_closing(self._response_ended(task))
                    if ended is None:
                        raise Closing(CLOSING)
                    task = ended
                body = await self._response_body(task, kept)
                attendance.ended = True
        return respond(body, headers=headers)

    async def _response_wish(self, request: web.Request, read: Request) -> TaskRequest:
        """The task that is asked for; its mistakes are those of the parameters that it comes from."""
        name = read.parameters.previous_response_id
        previous = None if name is None else await self._previous(request, name)
        before = [] if previous is None else previous[1]
        body = task_of(read, before, self._service.find_planner)
        key = header_of(request, "Idempotency-Key")
        if key is not None and not read.parameters.store:
            raise InvalidParameter("with an Idempotency-Key it must be stored, to be found again", "store")
        try:
            wish = self._asked(request, {**body, "seed": seed_for(body.get("seed"), key)})
            self._service.check(wish)
        except InvalidRequest as error:
            if (param := param_of(str(error))) is None:
                raise
            raise InvalidParameter(str(error), param) from None
        if name is not None and previous is not None and previous[0].tenant != wish.tenant:
            raise PreviousResponseNotFound(name)
        return wish

    async def _previous(self, request: web.Request, response: str) -> tuple[Task, list[Turn]]:
        """The task of the response that a request follows, and the conversation up to its answer.

        Raises:
            PreviousResponseNotFound: there is none that the caller may see.
            PreviousResponseUnanswered: it has no answer.
        """
        param = "previous_response_id"
        try:
            task, asked = await self._response(request, response)
        except ResponseNotFound:
            raise PreviousResponseNotFound(response) from None
        caller = caller_of(request)
        if caller.key is None or task.submitted_by != caller.key:
            caller.require(Scope.READ)  # the answer tells what was said
        if not task.status.terminal:
            raise PreviousResponseUnanswered(f"{response[:80]!r} has not ended", param)
        if task.solution is None:
            raise PreviousResponseUnanswered(f"{response[:80]!r} ended without an answer", param)
        said = [*turns_in(task, instructed=asked.instructed), ("assistant", answer_of(task, asked))]
        return task, [Turn(role, text, param) for role, text in said]  # type: ignore[arg-type]

    @asynccontextmanager
    async def _attended_response(
        self, request: web.Request, wish: TaskRequest, read: Request
    ) -> AsyncIterator[Attendance]:
        """Store a task for whoever waits for its answer, and delete it afterwards if it is not to be kept.

        If the block is left before it is answered, the work ends, unless it is done in the background, or has
        an idempotency key, with which the client can come back.
        """
        task: Task | None = None
        keep = read.parameters.background or wish.idempotency_key is not None
        try:
            async with attended(self._service, self._submitted(request, wish), keep=keep) as attendance:
                task = attendance.task
                bind_contextvars(task=task.id, tenant=task.tenant)
                yield attendance
        finally:
            if task is not None and not read.parameters.store:
                with apart("deleting a response that is not to be stored"):
                    async with asyncio.timeout(END_SECONDS):  # also while the process closes
                        await self._response_ended(task)
                    await self._service.delete(task.id)

    async def _response_ended(self, task: Task) -> Task:
        """The task once it has ended."""
        async for _ in self._service.events(task.id):
            pass
        return await self._service.task(task.id)

    # -- the engine itself ------------------------------------------------------------------------

    async def _passed_response(self, request: web.Request, read: Request) -> web.StreamResponse:
        """Answer by a call to the engine, which is aborted if the client leaves."""
        if read.names_store and read.parameters.store:
            raise UnsupportedParameter(STORED, "store")
        able = await self._service.engine.capabilities()
        model = engine_model(read.parameters.model, self._service.engine.snapshot())
        [call] = chat_calls(as_chat(read), turns_for(read, ()), model, able, self._asking(request))
        choice, seconds = Choice(call), self._service.settings.call_seconds
        passed = Passed(read, choice)
        spending = self._service.access.spending(
            caller_of(request), call.tenant, most_tokens([call]), seconds=seconds
        )
        async with spending as spent:
            try:
                async with arriving(self._service.engine, [call], seconds) as items:
                    first = await self._first(items)
                    events = passed.events(first, items)
                    if read.parameters.stream:
                        return await self._streams.send_frames(
                            request, call.tenant, call.task, _frames(events), farewells=FAREWELLS
                        )
                    with self._streams.place(call.tenant):
                        body = await self._streams.until_closing(_last(events))
                    if body is None:
                        raise Closing(CLOSING)
            finally:
                spent.tokens = tokens_of([choice])
        return respond(body)


async def _frames(events: AsyncGenerator[Any, None]) -> AsyncGenerator[str, None]:
    async for event in events:
        yield frame_of(event)
    yield DONE


async def _last(events: AsyncGenerator[Any, None]) -> ResponseBody:
    async for event in events:
        last = event
    return body_in(last)


def _farewell(error: AnabranchError) -> str:
    return frame_of(error_event(error, 0))


FAREWELLS = Farewells(
    error=_farewell,
    closing=lambda: _farewell(Closing(CLOSING)),
    dropped=lambda: _farewell(TooSlow("this client reads too slowly; ask again")),
)
"""How a stream of the engine's ends that breaks off: it cannot be gone on with."""
