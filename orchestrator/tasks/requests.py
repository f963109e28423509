"""What a caller may ask for, validated."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from orchestrator.errors import InvalidRequest
from orchestrator.runtime.change import Change, parse_change
from orchestrator.runtime.values import Budget, Question
from orchestrator.tasks.asked import MOST_TURNS, Format, Kept, Metadata, StopText, TurnRequest
from orchestrator.validation import Text, explain, worded
from orchestrator.webhooks.registry import WebhookRequest
from storage.errors import JournalDamaged
from storage.tasks import Priority, Task
from workers.calls import Sampling

AbstainBelow = Annotated[float, Field(gt=0, le=1)]
"""A probability of being right. Answers below it are no firm ones."""


def _time(value: object) -> object:
    """Not a number, which would be taken for seconds since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise ValueError("no time")


Deadline = Annotated[
    Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
    | Annotated[AwareDatetime, BeforeValidator(_time)],
    worded(
        "must be a number of seconds above 0, or a time with its offset from UTC, such as "
        "2030-01-01T09:00:00Z"
    ),
]
"""Seconds from the submission, or a time."""


class SamplingRequest(BaseModel):
    """Sampling parameters for calls, where the planner leaves them open."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(0.7, ge=0.0, le=2.0)
    top_p: float = Field(1.0, gt=0.0, le=1.0)
    max_tokens: int = Field(1024, ge=1, description="Completion tokens of one call.")


class BudgetRequest(BaseModel):
    """Bounds of a run; null means unbounded. Reaching one ends the run with the best answer so far."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: int | None = Field(None, ge=1, description="Prompt and completion tokens, over all calls.")
    calls: int | None = Field(10_000, ge=1)
    depth: int | None = Field(16, ge=1, description="Nesting depth of scopes.")
    width: int | None = Field(1_024, ge=1, description="Calls and tools in flight at the same time.")
    seconds: float | None = Field(3_600.0, gt=0, allow_inf_nan=False)
    nodes: int | None = Field(100_000, ge=1, description="Nodes of all kinds, with notes and decisions.")


class TaskRequest(BaseModel):
    """A question with its options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: Text = Field(description="The question.")
    context: str = Field("", description="Material to answer from.")
    choices: tuple[Text, ...] = Field((), max_length=26, description="Makes it a multiple-choice question.")
    history: tuple[TurnRequest, ...] = Field(
        (), max_length=MOST_TURNS, description="The conversation before the question, oldest first."
    )
    planner: str = Field("auto", description="The reasoning method.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the planner.")
    sampling: SamplingRequest = SamplingRequest()
    budget: BudgetRequest = BudgetRequest()
    seed: int = Field(0, ge=0, lt=2**53, description="All sampling seeds are derived from it.")
    abstain_below: AbstainBelow | None = Field(
        None,
        description="The outcome is `abstained` if the answer is not known to be right with this probability "
        "or more, from a calibration; null: never. If not given, the setting of the process counts.",
    )
    priority: Priority = Field(
        Priority.INTERACTIVE,
        description="The line in which the task waits; `batch` begins when no interactive task waits, and "
        "now and then all the same.",
    )
    deadline: Deadline | None = Field(
        None,
        description="When the answer is of no use any more: seconds from the submission, or a time with its "
        "offset from UTC. A task that would not begin by then is refused; one that has not begun by then "
        "ends with the outcome `expired`, and one that has begun ends with the best answer so far.",
    )
    tenant: Text = "default"
    idempotency_key: Text | None = Field(None, description="A second request with it returns the first task.")
    webhook: WebhookRequest | None = Field(
        None, description="Who is told over HTTP when the task has ended, besides the webhooks of its tenant."
    )
    format: Format | None = Field(
        None, description="The form of the answer's text: any text (also if null), or JSON of that kind."
    )
    stop: tuple[StopText, ...] = Field(
        (), max_length=4, description="The answer's text ends before the first of these."
    )
    metadata: Metadata = Field(
        default_factory=dict, description="Kept with the task and shown with it; without influence on it."
    )
    asked_by: Kept = Field(
        default_factory=dict, description="What a protocol keeps with its task. Not shown with it."
    )

    @field_validator("stop")
    @classmethod
    def _leaves_json_whole(cls, stop: tuple[str, ...], read: ValidationInfo) -> tuple[str, ...]:
        """JSON that is cut off is none.

        Raises:
            ValueError: the answer is to be JSON and to stop at a text.
        """
        if stop and _form_of(read.data.get("format")) is not None:
            raise ValueError("an answer in JSON cannot be cut at a text; leave out stop or format")
        return stop

    @property
    def form(self) -> dict[str, Any] | None:
        """The form of JSON that the answer is to have; None if it may be any text."""
        return _form_of(self.format)

    @property
    def question(self) -> Question:
        """The question as planners see it."""
        turns = tuple(each.turn for each in self.history)
        return Question(self.query, self.context, self.choices, turns, self.form)


def _form_of(form: Format | None) -> dict[str, Any] | None:
    return None if form is None or form["type"] == "text" else {**form}


class Until(TypedDict, total=False):
    """A deadline as members of a new task."""

    deadline: float
    within: float


def until(deadline: Deadline | None) -> Until:
    """A deadline as a new task has it."""
    match deadline:
        case None:
            return {}
        case datetime():
            return {"deadline": deadline.timestamp()}
    return {"within": deadline}


def parse(data: object) -> TaskRequest:
    """The request in ``data``.

    Raises:
        InvalidRequest: names each field that is wrong, and what would be right.
    """
    try:
        return TaskRequest.model_validate(data)
    except ValidationError as error:
        raise InvalidRequest(explain(error)) from None


def request_of(task: Task) -> TaskRequest:
    """The request that a stored task was made from.

    Raises:
        JournalDamaged: it is not one that was ever accepted, or redaction left nothing of it.
    """
    try:
        return parse(
            {
                **task.question,
                **{name: value for name, value in task.options.items() if name != "webhook"},
                **_waiting_of(task),
                "planner": task.planner,
                "seed": task.seed,
                "tenant": task.tenant,
            }
        )
    except (InvalidRequest, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise JournalDamaged(f"task {task.id}: its stored request is damaged: {error}") from None


def _waiting_of(task: Task) -> dict[str, Any]:
    """How the task was to wait, by columns that no redaction changes."""
    deadline = task.options.get("deadline")
    if isinstance(deadline, str):
        deadline = None if task.deadline is None else datetime.fromtimestamp(task.deadline, UTC)
    return {"priority": task.priority, "deadline": deadline}


def change_of(task: Task) -> Change:
    """What a stored fork changes at its node.

    Raises:
        JournalDamaged: it is not a change that was ever accepted.
    """
    try:
        return parse_change(task.options["change"])
    except (InvalidRequest, TypeError, KeyError) as error:
        raise JournalDamaged(f"task {task.id}: its stored change is damaged: {error}") from None


def abstain_below_of(task: Task) -> float | None:
    """The probability of being right below which the answer of a task abstains; None if it never does."""
    below = task.options.get("abstain_below")
    return float(below) if isinstance(below, int | float) else None


def sampling_of(request: SamplingRequest) -> Sampling:
    """The sampling that a run starts from."""
    return Sampling(**request.model_dump())


def budget_of(request: BudgetRequest, left: float | None = None) -> Budget:
    """The bounds of a run, which has to end in ``left`` seconds."""
    budget = Budget(**request.model_dump())
    if left is None:
        return budget
    return replace(budget, seconds=min(left, budget.seconds or left))
