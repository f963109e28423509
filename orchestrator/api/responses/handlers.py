"""The routes of the Responses API: tasks, asked for and shown as responses."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.access.caller import Scope
from orchestrator.api.exchange import body_text, json_object, query_of, respond
from orchestrator.api.limits import limits_of
from orchestrator.api.openai.handlers import ERRORS
from orchestrator.api.openai.refusals import OPENAI, InvalidParameter
from orchestrator.api.openai.serving import TASK_HEADER
from orchestrator.api.parameters import IDEMPOTENCY_KEY, TENANT, one
from orchestrator.api.places import TooManyStreams
from orchestrator.api.responses.bodies import DeletedResponse, InputItems, ResponseBody, StreamEventBody
from orchestrator.api.responses.creating import END_SECONDS, CreatingHandlers
from orchestrator.api.responses.examples import REQUEST
from orchestrator.api.responses.items import ItemsQuery, page_of
from orchestrator.api.responses.kept import PREFIX
from orchestrator.api.responses.reading import ResponseRequest, request_of
from orchestrator.api.responses.refusals import (
    PreviousResponseNotFound,
    PreviousResponseUnanswered,
    ResponseNotFound,
)
from orchestrator.api.responses.streaming import Following
from orchestrator.api.routes import EVENTS, JSON, queries, route
from storage.errors import IllegalTransition


class RetrieveQuery(BaseModel):
    """Query parameters of a response."""

    model_config = ConfigDict(extra="forbid")

    stream: bool = Field(False, description="Whether to follow its events instead.")
    starting_after: int | None = Field(
        None, ge=0, lt=10**9, description="Only the events after the one with this number."
    )
    include_obfuscation: bool = Field(False, description="Nothing is padded, whatever this says.")


ONE = one("response")
"""The parameters of a route that is about one response."""

BODY_OR_STREAM = {
    JSON: {"schema": {"$ref": f"#/components/schemas/{ResponseBody.__name__}"}},
    EVENTS: {
        "schema": {
            "type": "object",
            "description": "One server-sent event. The last one has the data `[DONE]`.",
            "properties": {
                "event": {"type": "string", "description": "The type of the event."},
                "data": {
                    "type": "string",
                    "contentMediaType": JSON,
                    "contentSchema": {"$ref": f"#/components/schemas/{StreamEventBody.__name__}"},
                },
            },
            "required": ["data"],
        }
    },
}
"""A response, or its events."""


class ResponseHandlers(CreatingHandlers):
    """The part of the handlers that speaks the Responses API."""

    @route(
        "POST",
        "/v1/responses",
        (200, "The response once it has ended; in the background, at once; or its events.", BODY_OR_STREAM),
        name="create_response",
        errors=(*ERRORS, PreviousResponseNotFound, PreviousResponseUnanswered),
        parameters=(IDEMPOTENCY_KEY, TENANT),
        takes=ResponseRequest,
        example=REQUEST,
        sends=(ResponseBody, StreamEventBody),
        scope=Scope.SUBMIT,
        changes=True,
        errors_as=OPENAI,
    )
    async def create_response(self, request: web.Request) -> web.StreamResponse:
        """Answer a question, or the next one of a conversation: by a planner, or by the engine itself."""
        self._check_open()
        read = request_of(json_object(await body_text(request), limits_of(request)))
        if read.target == "planner":
            return await self._responded(request, read)
        return await self._passed_response(request, read)

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
            following = Following(self._service, task, asked, after=after)
            return await self._response_stream(request, task, following, {TASK_HEADER: task.id})
        if query.starting_after is not None:
            raise InvalidParameter("it is for streams; send stream=true with it", "starting_after")
        return respond(await self._response_body(task, asked))

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
            task = await self._streams.wait(task, END_SECONDS)
        return respond(await self._response_body(task, asked))

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
