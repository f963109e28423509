"""The frames of event streams: what happens to tasks as server-sent events, and how a stream ends."""

from __future__ import annotations

from collections import OrderedDict

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.exchange import is_name
from orchestrator.api.problems import problem_of
from orchestrator.api.rendering import dumped, dumped_json
from orchestrator.bodies import EventBody, event_body, listed, task_body
from orchestrator.errors import AnabranchError, InvalidRequest
from orchestrator.runtime.plain import plain
from orchestrator.tasks.feed import Progress
from orchestrator.tasks.runs import TaskEvent, TaskGone, Told
from storage.events import Event
from storage.tasks import Task

RETRY_MILLISECONDS = 1_000
"""When a client should come back whose stream ended because the process does, or which was dropped."""

MOST_IDS = 100
"""How many tasks a stream can be limited to."""

LONGEST_CURSOR = 8_000
"""The most characters of the id of an event of all tasks."""

CURSOR = r"^[!-~]+$"
"""What such an id is, as far as a pattern can say it."""

REMEMBERED, REMEMBERED_CHARACTERS = 100, 20_000
"""How many frames are kept for the next stream that sends the same event, and how long each may be."""


class Closing(AnabranchError):
    """The process is about to end; the stream goes on from another one, or from the next."""

    code = "closing"
    http_status = 503
    retryable = True


class TooSlow(AnabranchError):
    """The client does not read what it is sent; once it does, it can go on where it stopped."""

    code = "too_slow"
    http_status = 408
    retryable = True


class TaskEventBody(EventBody):
    """An event of the journal of one of several tasks."""

    task: str = Field(description="The id of the task.")


class EventsQuery(BaseModel):
    """Query parameters of the stream of all tasks."""

    model_config = ConfigDict(extra="forbid")

    task: str | None = Field(
        None,
        description=f"Only these tasks: at most {MOST_IDS} ids, separated by commas. All must be there when "
        "the stream begins.",
    )
    events: bool = Field(True, description="Whether the events of journals are sent too, or only tasks.")


def ids_of(query: EventsQuery) -> frozenset[str] | None:
    """The ids that a stream is limited to; None: to none.

    Raises:
        InvalidRequest: they are too many, or one is no id.
    """
    if query.task is None:
        return None
    ids = frozenset(query.task.split(","))
    if len(ids) > MOST_IDS or not all(map(is_name, ids)):
        raise InvalidRequest(f"task must be 1 to {MOST_IDS} ids of tasks, separated by commas")
    return ids


class Frames:
    """Writes events as frames; one that many streams send is written once."""

    def __init__(self) -> None:
        self._written: OrderedDict[tuple[int, str], tuple[Event, str]] = OrderedDict()

    def of(self, event: Event, task_id: str = "") -> str:
        """The type and the data of an event; with the id of its task where that must be said."""
        key = id(event), task_id
        if (found := self._written.get(key)) is not None and found[0] is event:
            return found[1]
        body = event_body(event)
        if task_id:
            body = TaskEventBody(task=task_id, **dict(body))
        text = f"event: {event.type}\ndata: {dumped(body)}\n\n"
        if len(text) <= REMEMBERED_CHARACTERS:
            self._written[key] = event, text
            if len(self._written) > REMEMBERED:
                self._written.popitem(last=False)
        return text

    def frame(self, item: Event | Progress) -> str:
        """What happens to one task as a frame; only stored events have an id."""
        if isinstance(item, Progress):
            return f"event: progress\ndata: {dumped_json(plain(item))}\n\n"
        return f"id: {item.seq}\n{self.of(item)}"

    def told(self, item: Told) -> str:
        """What happens to one of many tasks as a frame without an id."""
        if isinstance(item, TaskEvent):
            return self.of(item.event, item.task_id)
        if isinstance(item, TaskGone):
            return f"event: task_deleted\ndata: {dumped_json({'id': item.task_id})}\n\n"
        return f"event: task\ndata: {dumped(listed(item))}\n\n"


def ended_frame(task: Task) -> str:
    """The last frame for a task that has ended."""
    return f"event: task_ended\ndata: {dumped(task_body(task))}\n\n"


def error_frame(error: AnabranchError) -> str:
    """The last frame of a stream that broke off."""
    return f"event: error\ndata: {dumped(problem_of(error))}\n\n"


def closing_frame() -> str:
    """The last frame of a stream whose process ends before the task does."""
    return _farewell(
        "closing",
        Closing("this process shuts down; follow the task again with the last id as Last-Event-ID"),
    )


def dropped_frame() -> str:
    """The last frame of a stream whose client does not read."""
    return _farewell(
        "dropped", TooSlow("this client reads too slowly; follow again with the last id as Last-Event-ID")
    )


def _farewell(name: str, error: AnabranchError) -> str:
    return f"retry: {RETRY_MILLISECONDS}\nevent: {name}\ndata: {dumped(problem_of(error))}\n\n"
