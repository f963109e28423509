"""The routes of the Responses API: tasks, asked for and shown as responses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from structlog.contextvars import bind_contextvars

from orchestrator.access.caller import Scope
from orchestrator.access.refusals import QuotaExhausted, TooManyTasks
from orchestrator.api.exchange import body_text, header_of, json_object, query_of, respond
from orchestrator.api.limits import limits_of
from orchestrator.api.openai.asking import seed_for
from orchestrator.api.openai.messages import Turn
from orchestrator.api.openai.refusals import (
    OPENAI,
    InvalidParameter,
    ModelNotFound,
    UnsupportedParameter,
)
from orchestrator.api.openapi import event_stream, reference
from orchestrator.api.parameters import IDEMPOTENCY_KEY, TENANT
from orchestrator.api.places import TooManyStreams
from orchestrator.api.problems import Contradiction, Draining
from orchestrator.api.responses.bodies import (
    DeletedResponse,
    InputItems,
    ResponseBody,
    Status,
    StreamEventBody,
)
from orchestrator.api.responses.items import ItemsQuery, page_of, turns_in
from orchestrator.api.responses.kept import PREFIX, Asked, asked_of, response_of
from orchestrator.api.responses.reading import Request, ResponseRequest, param_of, request_of, task_of
from orchestrator.api.responses.streaming import Following, ended_body
from orchestrator.api.routes import JSON, queries, route
from orchestrator.api.submitting import SubmittingHandlers
from orchestrator.errors import AnabranchError, InvalidRequest, TaskNotFound, UnknownPlanner
from orchestrator.tasks.containment import apart
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.solution import solution_of_task
from storage.errors import (
    DeadlineUnreachable,
    IdempotencyConflict,
    IllegalTransition,
    NotStorable,
    QueueFull,
    TenantQueueFull,
)
from storage.tasks import Task, TaskStatus
from workers.errors import EngineUnavailable

log = structlog.get_logger()

CANCEL_SECONDS = 10.0
"""How long a request to cancel waits until the task has ended."""

WAIT_SECONDS = 7 * 86_400.0
"""How long a request waits for its answer, if its client does."""


class ResponseNotFound(AnabranchError):
    """There is no response with that id, or it was not to be stored."""

    code = "response_not_found"
    http_status = 404


class PreviousResponseNotFound(AnabranchError):
    """There is no response with the id that the request is to follow."""

    code = "previous_response_not_found"
    http_status = 404
    param = "previous_response_id"


class PreviousResponseUnanswered(InvalidParameter):
    """The response that the request is to follow has no answer: it goes on, or ended without one."""

    code = "previous_response_unanswered"


def _no_previous(response: str) -> PreviousResponseNotFound:
    return PreviousResponseNotFound(f"previous_response_id: there is no response {response[:80]!r}")


class RetrieveQuery(BaseModel):
    """Query parameters of a response."""

    model_config = ConfigDict(extra="forbid")

    stream: bool = Field(False, description="Whether to follow its events instead.")
    starting_after: int | None = Field(
        None, ge=0, lt=10**9, description="Only the events after the one with this number."
    )
    include_obfuscation: bool = Field(False, description="Nothing is padded, whatever this says.")


ONE = (
    {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
        "description": "The id of the response.",
    },
    TENANT,
)
"""The parameters of a route that is about one response."""

BODY_OR_STREAM = {JSON: {"schema": reference(ResponseBody)}, **event_stream(StreamEventBody)}


class ResponseHandlers(SubmittingHandlers):
    """The part of the handlers that speaks the Responses API."""

    @route(
        "POST",
        "/v1/responses",
        (200, "The response once it has ended; in the background, at once; or its events.", BODY_OR_STREAM),
        name="create_response",
        errors=(
            ModelNotFound,
            PreviousResponseNotFound,
            PreviousResponseUnanswered,
            UnsupportedParameter,
            UnknownPlanner,
            Contradiction,
            IdempotencyConflict,
            NotStorable,
            EngineUnavailable,
            TooManyTasks,
            QuotaExhausted,
            TenantQueueFull,
            QueueFull,
            DeadlineUnreachable,
            TooManyStreams,
            Draining,
        ),
        parameters=(IDEMPOTENCY_KEY, TENANT),
        takes=ResponseRequest,
        example={"model": "anabranch/vote", "input": "How many clips?", "background": True},
        sends=(ResponseBody, StreamEventBody),
        scope=Scope.SUBMIT,
        changes=True,
        errors_as=OPENAI,
    )
    async def create_response(self, request: web.Request) -> web.StreamResponse:
        """Answer a question, or the next one of a conversation, as OpenAI's Responses API does."""
        self._check_open()
        text = await body_text(request)
        async with self._turn():
            await self._check_engine()
            read = request_of(json_object(text, limits_of(request)))
            task, asked = await self._submitted(request, read)
        if asked.background and not read.parameters.stream:
            return respond(await self._body(task, asked))
        async with self._attended(task, asked) as answered:
            if read.parameters.stream:
                following = Following(self._service, task, asked)
                sent = await self._followed(request, task, following)
                if following.ended or self._streams.closing:
                    answered()
                return sent
            with self._streams.place(task.tenant):
                ended = await self._until_ended(task)
            body = await self._body(ended, asked)
            answered()
            return respond(body)

    @route(
        "GET",
        "/v1/responses/{id}",
        (200, "The response as it stands, or its events.", BODY_OR_STREAM),
        name="get_response",
        errors=(ResponseNotFound, TooManyStreams),
        parameters=(*ONE, *queries(RetrieveQuery)),
        sends=(ResponseBody, StreamEventBody),
        head=False,
        scope=Scope.READ,
        errors_as=OPENAI,
    )
    async def get_response(self, request: web.Request) -> web.StreamResponse:
        """Get a response as it stands, or follow it from any of its events on."""
        query = query_of(RetrieveQuery, request)
        task, asked = await self._response(request)
        if query.stream:
            after = -1 if query.starting_after is None else query.starting_after
            return await self._followed(request, task, Following(self._service, task, asked, after=after))
        if query.starting_after is not None:
            raise InvalidParameter("it is for streams; send stream=true with it", "starting_after")
        return respond(await self._body(task, asked))

    @route(
        "POST",
        "/v1/responses/{id}/cancel",
        (200, "The response.", ResponseBody),
        name="cancel_response",
        errors=(ResponseNotFound,),
        parameters=ONE,
        scope=Scope.SUBMIT,
        changes=True,
        errors_as=OPENAI,
    )
    async def cancel_response(self, request: web.Request) -> web.Response:
        """Cancel a response; one that has ended stays as it is."""
        task, asked = await self._response(request)
        task = await self._service.cancel(task.id)
        if not task.status.terminal:
            task = await self._streams.wait(task, CANCEL_SECONDS)
        return respond(await self._body(task, asked))

    @route(
        "DELETE",
        "/v1/responses/{id}",
        (200, "It is gone.", DeletedResponse),
        name="delete_response",
        errors=(ResponseNotFound, IllegalTransition),
        parameters=ONE,
        scope=Scope.SUBMIT,
        changes=True,
        errors_as=OPENAI,
    )
    async def delete_response(self, request: web.Request) -> web.Response:
        """Delete a response that has ended, with its task and its trace."""
        task, _ = await self._response(request)
        await self._service.delete(task.id)
        return respond(DeletedResponse(id=PREFIX + task.id))

    @route(
        "GET",
        "/v1/responses/{id}/input_items",
        (200, "A page of items.", InputItems),
        name="list_input_items",
        errors=(ResponseNotFound,),
        parameters=(*ONE, *queries(ItemsQuery)),
        scope=Scope.READ,
        errors_as=OPENAI,
    )
    async def list_input_items(self, request: web.Request) -> web.Response:
        """List what a response answers: the whole conversation, with that of the responses before it."""
        query = query_of(ItemsQuery, request)
        task, asked = await self._response(request)
        return respond(page_of(task, instructed=asked.instructed, query=query))

    async def _submitted(self, request: web.Request, read: Request) -> tuple[Task, Asked]:
        """The task of a request, stored; or the first one with its idempotency key."""
        previous = await self._previous(request, read.parameters.previous_response_id)
        before = [] if previous is None else previous[1]
        new = self._task(request, task_of(read, before, self._service.find_planner))
        if previous is not None and previous[0].tenant != new.tenant:
            raise _no_previous(str(read.parameters.previous_response_id))
        task = await self._stored(request, new)
        asked = asked_of(task)
        if asked is None:
            raise Contradiction("a task with this idempotency key is there, which is no response")
        return task, asked

    async def _previous(self, request: web.Request, response: str | None) -> tuple[Task, list[Turn]] | None:
        """The response that a request follows, and the conversation up to its answer.

        Raises:
            PreviousResponseNotFound: there is none that the caller may see.
            PreviousResponseUnanswered: it has no answer.
        """
        param = "previous_response_id"
        if response is None:
            return None
        try:
            task, asked = await self._response(request, response)
        except ResponseNotFound:
            raise _no_previous(response) from None
        if not task.status.terminal:
            raise PreviousResponseUnanswered(f"{response[:80]!r} has not ended", param)
        if task.solution is None:
            raise PreviousResponseUnanswered(f"{response[:80]!r} ended without an answer", param)
        said = [*turns_in(task, instructed=asked.instructed), ("assistant", answer_of(task, asked))]
        return task, [Turn(role, text, param) for role, text in said]  # type: ignore[arg-type]

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
        bind_contextvars(task=task.id, tenant=task.tenant)
        return task, asked

    async def _body(self, task: Task, asked: Asked) -> ResponseBody:
        """A response as it stands; what it has put out is told once it has ended."""
        if task.status.terminal:
            return await ended_body(self._service, task, asked)
        status: Status = "queued" if task.status is TaskStatus.QUEUED else "in_progress"
        return response_of(task, asked, status)

    async def _followed(self, request: web.Request, task: Task, following: Following) -> web.StreamResponse:
        return await self._streams.send_frames(
            request, task.tenant, task.id, following.frames(), farewells=following.farewells
        )

    async def _until_ended(self, task: Task) -> Task:
        """The task once it has ended.

        Raises:
            Draining: the process ends before.
        """
        task = await self._streams.wait(task, WAIT_SECONDS)
        if not task.status.terminal:
            raise Draining("this process cannot go on with it; try again")
        return task

    @asynccontextmanager
    async def _attended(self, task: Task, asked: Asked) -> AsyncIterator[Callable[[], None]]:
        """Hold a response that somebody waits for; what is yielded says that it has been answered.

        If it never is, since the client has left, the work ends, unless it is done in the background, or has
        an idempotency key with which the client can come back. What is not to be stored is deleted then.
        """
        answered: list[bool] = []
        try:
            yield lambda: answered.append(True)
        finally:
            if not (answered or asked.background or task.idempotency_key):
                with apart("ending a response that nobody waits for"):
                    await self._service.cancel(task.id)
            if not asked.store:
                with apart("deleting a response that is not to be stored"):
                    if (await self._streams.wait(task, CANCEL_SECONDS)).status.terminal:
                        await self._service.delete(task.id)
