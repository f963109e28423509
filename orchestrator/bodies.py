"""What services send over HTTP, as models that servers write and clients read.

What they take is a :class:`~orchestrator.tasks.requests.TaskRequest`.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from orchestrator.runtime.environment import Result, RunOutcome
from orchestrator.tasks.hindsight.counterfactual import Counterfactual
from orchestrator.tasks.hindsight.replaying import Replayed
from orchestrator.tasks.solution import Solution, shown_answer
from storage.errors import JournalDamaged
from storage.events import Event, EventType
from storage.reading import explained
from storage.tasks import Priority, Task, TaskStatus
from workers.pool.breaker import BreakerState
from workers.redaction import redacted

VERSION = version("anabranch")
MAX_PAGE = 200
MAX_WAIT_SECONDS = 600.0

_NO_OPTIONS = {"idempotency_key", "metadata", "asked_by"}
"""What is stored among the options of a task, and not shown among them."""

Told = Annotated[str, AfterValidator(redacted)]
"""A text for strangers, which may come from an engine or a database."""


class Problem(BaseModel):
    """What went wrong."""

    code: str = Field(description="Stable, for programs.")
    message: Told = Field(description="For people: what was wrong and, where it helps, what would be right.")
    retryable: bool = Field(description="Whether the same request may succeed later.")


class ErrorBody(BaseModel):
    """The body of every response that reports an error."""

    error: Problem


class TaskError(BaseModel):
    """Why a task has no solution."""

    code: str
    message: Told


class TaskBody(BaseModel):
    """A task as it stands. Times are in seconds since the epoch."""

    id: str = Field(description="Also the id of its trace.")
    status: TaskStatus
    tenant: str
    planner: str
    parent_id: str | None = Field(None, description="The task that this one is a fork of.")
    fork_at: str | None = Field(None, description="The node at which it differs from its parent.")
    question: dict[str, Any] = Field(description="`query`, `context`, `choices` and `history` as submitted.")
    options: dict[str, Any] = Field(description="`options`, `sampling` and `budget` of the request.")
    metadata: dict[str, str] = Field({}, description="`metadata` of the request.")
    seed: int
    priority: Priority = Field(description="The line in which it waits to begin.")
    deadline: float | None = Field(description="If it has not begun by then, it expires.")
    created_at: float
    started_at: float | None
    finished_at: float | None
    cancel_requested: bool
    outcome: RunOutcome | None
    solution: Solution | None
    error: TaskError | None


class TaskPage(BaseModel):
    """A page of tasks, newest first."""

    tasks: tuple[TaskBody, ...]
    next: str | None = Field(description="Pass it as `cursor` to get the next page; null on the last one.")


class EventBody(BaseModel):
    """An event of the journal; see the server-sent events of a task."""

    seq: int
    type: EventType
    path: str = Field(description="The node that the event is about; empty for the run itself.")
    at: float = Field(description="Seconds since the epoch.")
    data: dict[str, Any]


class ProgressBody(BaseModel):
    """A call that is generating; not stored."""

    path: str
    tokens: int = Field(description="Generated so far.")
    text: str = Field("", description="The end of its text; empty where what engines say is redacted.")


class ReplayBody(BaseModel):
    """A strict replay that ended as recorded."""

    trace_id: str
    outcome: RunOutcome
    answer: str | None
    events: int = Field(description="Events that were compared.")
    calls: Literal[0] = Field(0, description="Calls to engines; a replay makes none.")
    seconds: float
    result: Result = Field(description="All that the run came to.")


class WhatIfBody(BaseModel):
    """How a run would have gone."""

    outcome: RunOutcome
    answer: str | None
    tokens: int = Field(description="Completion tokens of the results that it would have used.")
    recorded_tokens: int = Field(description="Completion tokens of the run as it was.")
    result: Result = Field(description="All that the run would have come to.")
    events: tuple[EventBody, ...] | None = Field(None, description="Its journal, where it was asked for.")


class Check(BaseModel):
    """Whether a part of the service works, and if not, why."""

    ok: bool
    detail: Told = ""


class HealthBody(BaseModel):
    """Whether this process can take tasks and solve them: all that this needs, part by part."""

    status: Literal["ok", "unavailable", "draining"]
    version: str
    engine: Check = Field(description="Whether calls of branches have somewhere to go.")
    database: Check = Field(description="Whether a task can be stored: something is written, once a second.")
    disk: Check = Field(description="Whether the disk of the database has room.")
    queue: Check = Field(description="Whether this process looks for tasks and takes them.")
    loop: Check = Field(description="Whether the event loop turns, and has done so for a while.")
    connections: Check = Field(description="Whether further clients can connect.")


class LifeBody(BaseModel):
    """Whether this process can go on, or must be started again."""

    ok: bool
    detail: Told = Field("", description="What has ended without which it cannot go on.")


class ReadyBody(BaseModel):
    """Whether this process takes tasks now."""

    ok: bool
    detail: Told = Field("", description="Why it takes none.")


class WorkerBody(BaseModel):
    """A replica of an engine. Counts are since its start; tokens are those of finished calls."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    model: str = Field(description="Empty until it has started.")
    roles: tuple[str, ...] = Field(
        description="The roles assigned to it; empty: all that no replica is assigned."
    )
    state: Literal["starting", "up", "on trial", "draining", "down"]
    detail: Told = Field(description="Why it is not up.")
    breaker: BreakerState
    in_flight: int = Field(description="Calls at the engine.")
    limit: int | None = Field(description="The most calls that it gets at once; null if unlimited.")
    queued: int = Field(description="Calls that wait for a place there.")
    held: int = Field(description="Calls that wait for a sibling to compute their shared prefix.")
    prefill_tokens_per_s: float | None
    indexed_blocks: int = Field(description="Prompt blocks that it is believed to hold.")
    sharing: Literal["unknown", "in_flight", "computed", "never"] = Field(
        description="From when on other calls there can use a prompt."
    )
    finished: int
    aborted: int
    failed: int
    errors: dict[str, int] = Field(description="Failed calls by error code.")
    prompt_tokens: int
    cached_tokens: int = Field(description="The part of `prompt_tokens` that was not computed.")
    completion_tokens: int
    wasted_tokens: int = Field(description="Completion tokens of calls that did not finish.")
    hit_ratio: float | None = Field(description="Cached tokens over all prompt tokens.")


class WorkersBody(BaseModel):
    """The engine of this process: a pool, or one replica."""

    model_config = ConfigDict(from_attributes=True)

    replicas: tuple[WorkerBody, ...]
    families: int = Field(description="Groups of calls with a common prefix that are in the pool.")
    waiting: int = Field(description="Calls in the pool that are not at an engine.")
    parked: int = Field(description="The part of `waiting` that no replica could take now.")
    refused: int = Field(description="Calls refused because too many were waiting.")
    restarts: int = Field(description="Calls restarted after a failure.")
    hit_ratio: float | None
    ideal_hit_ratio: float | None = Field(
        description="What a single cache for all replicas that never forgets would have reached."
    )


class SubmitQuery(BaseModel):
    """Query parameters of a submission."""

    model_config = ConfigDict(extra="forbid")

    wait: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS)] = Field(
        0.0, description="Seconds to wait for the task to end before the response is sent."
    )


def task_body(task: Task) -> TaskBody:
    """The task as the API shows it.

    Raises:
        JournalDamaged: its row holds something else than a task.
    """
    try:
        shown = {key: value for key, value in task.options.items() if key not in _NO_OPTIONS}
        own = TaskBody.model_fields.keys() - {"options", "metadata"}
        return TaskBody.model_validate(
            {
                **{name: getattr(task, name) for name in own},
                "options": shown,
                "metadata": task.options.get("metadata", {}),
            }
        )
    except (ValidationError, AttributeError) as error:
        why = (
            explained(error, whole="task") if isinstance(error, ValidationError) else "options: not an object"
        )
        raise JournalDamaged(f"task {task.id} is damaged: {why}") from None


def listed(task: Task) -> TaskBody:
    """The task as a list shows it: one that is damaged says so, and does not spoil the list."""
    try:
        return task_body(task)
    except JournalDamaged as error:
        return TaskBody(
            id=task.id,
            status=task.status,
            tenant=task.tenant,
            planner=str(task.planner),
            question={},
            options={},
            seed=0,
            priority=task.priority,
            deadline=None,
            created_at=task.created_at,
            started_at=None,
            finished_at=None,
            cancel_requested=task.cancel_requested,
            outcome=None,
            solution=None,
            error=TaskError(code=error.code, message=str(error)),
        )


def event_body(event: Event) -> EventBody:
    """The event as the API shows it.

    Raises:
        JournalDamaged: its row holds something else than an event.
    """
    try:
        return EventBody(seq=event.seq, type=event.type, path=event.path, at=event.at, data=dict(event.data))
    except ValidationError as error:
        raise JournalDamaged(f"event {event.seq}: its row is damaged: {explained(error)}") from None


def replay_body(task_id: str, replayed: Replayed) -> ReplayBody:
    """The replay as the API and the command line show it."""
    answer = replayed.result.answer
    return ReplayBody(
        trace_id=task_id,
        outcome=replayed.result.outcome,
        answer=None if answer is None else shown_answer(answer),
        events=replayed.events,
        seconds=replayed.seconds,
        result=replayed.result,
    )


def what_if_body(found: Counterfactual, *, events: bool = False) -> WhatIfBody:
    """The counterfactual as the API and the command line show it."""
    answer = found.result.answer
    return WhatIfBody(
        outcome=found.result.outcome,
        answer=None if answer is None else shown_answer(answer),
        tokens=found.tokens,
        recorded_tokens=found.recorded_tokens,
        result=found.result,
        events=tuple(map(event_body, found.events)) if events else None,
    )
