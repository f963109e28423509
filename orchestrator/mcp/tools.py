"""The tools that are offered: what each is for, and what becomes of a call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import structlog
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from pydantic import ValidationError

from orchestrator.access.caller import Scope
from orchestrator.api.problems import Unexpected, contained, problem_of
from orchestrator.api.rendering import dumped, encodable
from orchestrator.bodies import replay_body
from orchestrator.errors import AnabranchError, Divergence, InvalidRequest, TaskFailed
from orchestrator.mcp.answers import Given, Known, KnownPlanner, PlannerOption, Repeated, Solved, Traced
from orchestrator.mcp.arguments import (
    Arguments,
    PlannersArguments,
    ReplayArguments,
    SolveArguments,
    TraceArguments,
    schema_of,
    schema_of_arguments,
)
from orchestrator.mcp.asking import Asked, Context, Door, apart
from orchestrator.mcp.progress import Headline
from orchestrator.mcp.tree import traced
from orchestrator.planning.finding import described, installed_planners
from orchestrator.structured import task_group
from orchestrator.tasks.solution import Solution
from orchestrator.tasks.telling import Telling
from orchestrator.validation import explain
from storage.events import Event

log = structlog.get_logger(__name__)

TICK_SECONDS = 5.0
"""How often a client learns that a run goes on of which there is nothing new: some give up on silence."""

Tell = Callable[[str], Awaitable[None]]
"""Tells the client of a call how far it is."""

LOOKS = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
WORKS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
)
"""A run is stored and costs tokens, and its tools may reach what the operator lets them reach."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool as clients learn of it, and the method that does its work."""

    name: str
    title: str
    description: str
    takes: type[Arguments]
    gives: type[Given]
    annotations: ToolAnnotations
    scope: Scope | None
    tool: Tool = field(init=False)

    def __post_init__(self) -> None:
        made = Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=schema_of_arguments(self.takes),
            output_schema=schema_of(self.gives),
            annotations=self.annotations,
        )
        object.__setattr__(self, "tool", made)


OFFERS: Mapping[str, Offer] = {
    each.name: each
    for each in (
        Offer(
            "solve",
            "Solve a question",
            "Answer a question by several branches of reasoning at the same time, which stop as soon as they "
            "agree. Use it for a question with one right answer that is worth checking: arithmetic, a "
            "puzzle, logic, a choice, or a fact in given material. It says how far the branches agree, who "
            "disagrees, and whether the answer should be relied on; say so when you pass on an answer that "
            "is unsure. It may take from seconds to minutes.",
            SolveArguments,
            Solved,
            WORKS,
            Scope.SUBMIT,
        ),
        Offer(
            "trace",
            "Show how an answer came about",
            "Show the steps of an earlier `solve` as a tree: what each branch answered, what was decided and "
            "why, seconds and tokens.",
            TraceArguments,
            Traced,
            LOOKS,
            Scope.READ,
        ),
        Offer(
            "replay",
            "Check that a run can be repeated",
            "Repeat an earlier `solve` over its record, without calling a model, and compare every step. "
            "Says that it is identical, or where it differs.",
            ReplayArguments,
            Repeated,
            LOOKS,
            Scope.READ,
        ),
        Offer(
            "planners",
            "List the reasoning methods",
            "List the reasoning methods that `solve` takes as `planner`, with their options.",
            PlannersArguments,
            Known,
            LOOKS,
            None,
        ),
    )
}


class Tools:
    """Answers the requests of clients that are about tools."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def list(self, context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        """The tools, all at once."""
        return ListToolsResult(tools=[offer.tool for offer in OFFERS.values()])

    async def call(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        """What a tool gives. What goes wrong is a result too, which the model can read.

        Raises:
            MCPError: there is no such tool.
        """
        offer = OFFERS.get(params.name)
        if offer is None:
            raise MCPError(
                INVALID_PARAMS, f"no tool is called {params.name[:100]!r}; there are {', '.join(OFFERS)}"
            )
        try:
            given = await self._given(offer, params.arguments or {}, context)
        except AnabranchError as error:
            return _failed(error)
        except ConnectionError:
            log.exception("a call of a tool failed")
            return _failed(Unexpected())
        return CallToolResult(
            content=[TextContent(type="text", text=encodable(given.told()))],
            structured_content=json.loads(dumped(given)),
        )

    async def _given(self, offer: Offer, given: Mapping[str, Any], context: Context) -> Given:
        try:
            arguments = offer.takes.model_validate(given)
        except ValidationError as error:
            raise InvalidRequest(explain(error)) from None
        asked = await apart(self._enter(context))
        if offer.scope is not None:
            asked.require(offer.scope)
        steps = 0

        async def tell(line: str) -> None:
            nonlocal steps
            steps += 1
            await context.session.report_progress(float(steps), message=encodable(line))

        return await apart(self._work(asked, arguments, tell), asked.left)

    async def _enter(self, context: Context) -> Asked:
        with contained("a service could not be opened"):
            return await self._door.enter(context)

    async def _work(self, asked: Asked, arguments: Arguments, tell: Tell) -> Given:
        with contained("a call of a tool failed"):
            match arguments:
                case SolveArguments():
                    return await self._solve(asked, arguments, tell)
                case TraceArguments():
                    return await _trace(asked, arguments)
                case ReplayArguments():
                    return await _replay(asked, arguments)
            return await asyncio.to_thread(_planners)

    async def _solve(self, asked: Asked, arguments: SolveArguments, tell: Tell) -> Solved:
        telling, headline = Telling(), Headline()

        async def tick() -> None:
            while True:
                await asyncio.sleep(TICK_SECONDS)
                await tell((headline.waiting and self._door.preparing) or headline.text())

        async with task_group() as group, aclosing(asked.running(arguments.request(asked.tenant))) as items:
            ticking = group.create_task(tick(), name="progress of a run")
            try:
                async for item in items:
                    if isinstance(item, Solution):
                        return Solved.of(item)
                    headline.take(item)
                    if isinstance(item, Event):
                        for line in telling.lines(item):
                            await tell(line)
            finally:
                ticking.cancel()
        raise AssertionError("a run ends with a solution or an error")


async def _trace(asked: Asked, arguments: TraceArguments) -> Traced:
    task = await asked.task(arguments.trace_id)
    return await asyncio.to_thread(traced, await asked.solver.trace(task.id), arguments.characters)


async def _replay(asked: Asked, arguments: ReplayArguments) -> Repeated:
    task = await asked.task(arguments.trace_id)
    try:
        body = replay_body(task.id, await asked.solver.replay(task.id))
    except Divergence as error:
        return Repeated(
            trace_id=task.id, identical=False, difference=str(error), events=None, answer=None, seconds=None
        )
    return Repeated(
        trace_id=task.id,
        identical=True,
        difference=None,
        events=body.events,
        answer=body.answer,
        seconds=body.seconds,
    )


def _planners() -> Known:
    return Known(planners=tuple(_known(described(name)) for name in installed_planners()))


def _known(planner: Mapping[str, Any]) -> KnownPlanner:
    options = (
        PlannerOption(
            name=name,
            default=json.dumps(schema["default"]) if "default" in schema else None,
            description=str(schema.get("description", "")),
        )
        for name, schema in planner["options"].items()
    )
    return KnownPlanner(name=planner["name"], summary=planner["summary"], options=tuple(options))


def _failed(error: AnabranchError) -> CallToolResult:
    problem = problem_of(error).error
    told = f"[{problem.code}] {problem.message}"
    if problem.retryable:
        told += " (the same may succeed later)"
    if isinstance(error, TaskFailed):
        told += f" (trace {error.task_id})"
    return CallToolResult(content=[TextContent(type="text", text=encodable(told))], is_error=True)
