"""What the API tells of stored tasks: lists, traces, replays, what-ifs and differences."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import math
from dataclasses import asdict
from time import monotonic
from typing import Annotated, Any

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from orchestrator.access.caller import Scope
from orchestrator.api.callers import tenant_of
from orchestrator.api.exchange import LONGEST_NAME, is_name, json_body, query_of, respond
from orchestrator.api.finding import ANYTHING, TaskHandlers
from orchestrator.api.parameters import ONE, TENANT
from orchestrator.api.problems import Contradiction
from orchestrator.api.rendering import dumped, dumped_json
from orchestrator.api.routes import queries, route
from orchestrator.api.traces import LARGEST, trace_bytes
from orchestrator.bodies import (
    MAX_PAGE,
    ReplayBody,
    TaskBody,
    TaskPage,
    WhatIfBody,
    listed,
    replay_body,
    task_body,
    what_if_body,
)
from orchestrator.errors import (
    Conflict,
    Divergence,
    InvalidRequest,
    PlannerStuck,
    TaskNotFound,
    TraceTooLarge,
    Unknown,
    UnknownPlanner,
    UnsupportedTrace,
)
from orchestrator.runtime.change import Change
from orchestrator.tasks.hindsight.difference import TraceDifference
from orchestrator.validation import Text, explain
from storage.errors import NotStorable
from storage.listing import Place, folded
from storage.reading import TURN_SECONDS
from storage.tasks import TaskStatus

PAGE_CHARACTERS = 4_000_000
"""A list that has so many characters goes on in its next page."""

Number = Annotated[float, Field(allow_inf_nan=False)]


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"must be 1 to {LONGEST_NAME} characters without control characters")
    return text


def _findable(text: str) -> str:
    if not folded(text):
        raise ValueError("has no character that can be searched for")
    return text


Name = Annotated[
    str,
    AfterValidator(_name),
    Field(
        json_schema_extra={"minLength": 1, "maxLength": LONGEST_NAME, "pattern": r"^[^\x00-\x1f\x7f-\x9f]+$"}
    ),
]


def place_text(place: Place) -> str:
    """A place in a list as a cursor, which clients only hand back."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def place_of(cursor: str) -> Place:
    """The place that a cursor stands for.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        found = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
        created_at, task_id = found
        if math.isfinite(created_at) and isinstance(task_id, str) and task_id.isprintable():
            return Place(float(created_at), task_id)
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        pass
    raise InvalidRequest(f"cursor is {cursor[:40]!r}; pass `next` of the previous page, or leave it out")


class ListQuery(BaseModel):
    """Query parameters of a listing. All that are given must hold of a task."""

    model_config = ConfigDict(extra="forbid")

    status: TaskStatus | None = None
    planner: Name | None = None
    tenant: Name | None = None
    created_from: Number | None = Field(None, description="Seconds since the epoch; included.")
    created_before: Number | None = Field(None, description="Seconds since the epoch; not included.")
    text: Annotated[str, Field(max_length=1000), AfterValidator(_findable)] | None = Field(
        None, description="What the first 4,000 characters of the question have somewhere, in any case."
    )
    entropy_from: Number | None = Field(None, description="Of the solution, in nats; included.")
    entropy_to: Number | None = Field(None, description="Of the solution, in nats; included.")
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    cursor: str | None = Field(None, max_length=500, description="`next` of the previous page.")


class ChangeRequest(BaseModel):
    """One thing of a run, and what it should be instead."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: Annotated[str, Field(min_length=1, max_length=1000)] = Field(
        description="The path of a node, as the trace has it."
    )
    change: Change


CHANGE = {"at": "vote.branch-2", "change": {"temperature": 1.0}}
"""One thing of a run, by example."""


class NodeDifferenceBody(BaseModel):
    """A node that differs between two runs; null: the run has no such node."""

    path: str
    before: str | None
    after: str | None


class DifferenceBody(BaseModel):
    """How two runs differ, each time the first before the second."""

    answers: tuple[str | None, str | None]
    tokens: tuple[int, int] = Field(description="Completion tokens that each of them paid for.")
    same: int = Field(description="How many nodes do not differ.")
    nodes: tuple[NodeDifferenceBody, ...]


class WhatIfQuery(BaseModel):
    """Query parameters of a what-if."""

    model_config = ConfigDict(extra="forbid")

    events: bool = Field(False, description="Whether the journal of the run that it tells of is sent too.")


class DiffQuery(BaseModel):
    """Query parameters of a comparison."""

    model_config = ConfigDict(extra="forbid")

    other: Text = Field(description="The id of the task to compare with.")


class LookingHandlers(TaskHandlers):
    """The part of the handlers that tells of stored tasks, and changes nothing."""

    @route(
        "GET",
        "/v1/tasks",
        (200, "A page of tasks.", TaskPage),
        name="list",
        errors=(Contradiction, NotStorable, TaskNotFound),
        parameters=(TENANT, *queries(ListQuery)),
        scope=Scope.READ,
    )
    async def tasks(self, request: web.Request) -> web.Response:
        """List tasks, newest first."""
        query = query_of(ListQuery, request)
        own = tenant_of(request, query.tenant)
        wanted: dict[str, Any] = query.model_dump(exclude={"limit", "cursor"}, exclude_none=True)
        if own is not None:
            wanted["tenant"] = own
        before = None if query.cursor is None else place_of(query.cursor)
        found = await self._service.store.list(limit=query.limit, before=before, **wanted)
        shown: list[str] = []
        turn = monotonic()
        for task in found:
            shown.append(dumped(listed(task)))
            if sum(map(len, shown)) > PAGE_CHARACTERS:
                break
            if monotonic() - turn > TURN_SECONDS:
                await asyncio.sleep(0)  # other requests have their turn
                turn = monotonic()
        more = len(shown) < len(found) or len(found) == query.limit
        after = place_text(Place.of(found[len(shown) - 1])) if more else None
        return web.json_response(text=f'{{"tasks":[{",".join(shown)}],"next":{dumped_json(after)}}}')

    @route(
        "GET", "/v1/tasks/{id}", (200, "The task.", TaskBody), name="get", parameters=ONE, scope=Scope.READ
    )
    async def task(self, request: web.Request) -> web.Response:
        """Get a task."""
        return respond(task_body(await self._find(request)))

    @route(
        "GET",
        "/v1/tasks/{id}/trace",
        (200, "The trace.", ANYTHING),
        errors=(TraceTooLarge, UnsupportedTrace),
        parameters=ONE,
        scope=Scope.READ,
    )
    async def trace(self, request: web.Request) -> web.Response:
        """Get the steps of a task as a tree."""
        found = await self._find(request)
        return web.json_response(body=await self._service.shown_trace(found.id, trace_bytes))

    @route(
        "POST",
        "/v1/tasks/{id}/replay",
        (200, "The run went as recorded.", ReplayBody),
        errors=(Conflict, Divergence, TraceTooLarge, UnsupportedTrace, UnknownPlanner, PlannerStuck),
        parameters=ONE,
        scope=Scope.READ,
    )
    async def replay(self, request: web.Request) -> web.Response:
        """Repeat a run over its journal, with no engine, and compare every event."""
        found = await self._find(request)
        return respond(replay_body(found.id, await self._service.replay(found.id)))

    @route(
        "POST",
        "/v1/tasks/{id}/what-if",
        (200, "How it would have gone.", WhatIfBody),
        errors=(Unknown, Conflict, TraceTooLarge, UnsupportedTrace, UnknownPlanner, PlannerStuck),
        parameters=(*ONE, *queries(WhatIfQuery)),
        takes=ChangeRequest,
        example=CHANGE,
        scope=Scope.READ,
        name="what_if",
    )
    async def what_if(self, request: web.Request) -> web.Response:
        """Say how a run would have gone with one thing changed, from its trace alone."""
        found, query = await self._find(request), query_of(WhatIfQuery, request)
        asked = await change_request(request)
        counterfactual = await self._service.counterfactual(found.id, at=asked.at, change=asked.change)
        return respond(what_if_body(counterfactual, events=query.events))

    @route(
        "GET",
        "/v1/tasks/{id}/diff",
        (200, "How they differ.", DifferenceBody),
        errors=(TraceTooLarge, UnsupportedTrace),
        parameters=(*ONE, *queries(DiffQuery)),
        scope=Scope.READ,
    )
    async def diff(self, request: web.Request) -> web.Response:
        """Compare the runs of two tasks node by node, such as those of a fork and its parent."""
        query = query_of(DiffQuery, request)
        before, after = await self._find(request), await self._find(request, query.other)
        return web.json_response(
            body=await self._service.shown_difference(
                before.id, after.id, lambda found: _difference_bytes(before.id, found)
            )
        )


async def change_request(request: web.Request) -> ChangeRequest:
    """The body of a request that changes one thing of a run.

    Raises:
        InvalidRequest: it is none; says what would be right.
    """
    try:
        return ChangeRequest.model_validate(await json_body(request))
    except ValidationError as error:
        raise InvalidRequest(explain(error)) from None


def _difference_bytes(task_id: str, found: TraceDifference) -> bytes:
    written = dumped_json(asdict(found)).encode()
    if len(written) > LARGEST:
        raise TraceTooLarge(task_id, f"a difference of {len(written) / 1e6:,.0f} MB")
    return written
