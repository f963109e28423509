"""The frames of an event stream: each event of a task as a server-sent event, and how the stream ends."""

from __future__ import annotations

from orchestrator.api.problems import problem_of
from orchestrator.api.rendering import dumped, dumped_json
from orchestrator.api.schemas import event_body, task_body
from orchestrator.errors import AnabranchError
from orchestrator.runtime.plain import plain
from orchestrator.tasks.feed import Progress
from storage.events import Event
from storage.tasks import Task

RETRY_MILLISECONDS = 1_000
"""When a client should come back whose stream ended because the process does."""


class Closing(AnabranchError):
    """The process is about to end; the stream goes on from another one, or from the next."""

    code = "closing"
    http_status = 503
    retryable = True


def frame(item: Event | Progress) -> str:
    """The item as one server-sent event; only stored events have an id."""
    if isinstance(item, Progress):
        return f"event: progress\ndata: {dumped_json(plain(item))}\n\n"
    return f"id: {item.seq}\nevent: {item.type}\ndata: {dumped(event_body(item))}\n\n"


def ended_frame(task: Task) -> str:
    """The last frame for a task that has ended."""
    return f"event: task_ended\ndata: {dumped(task_body(task))}\n\n"


def error_frame(error: AnabranchError) -> str:
    """The last frame of a stream that broke off."""
    return f"event: error\ndata: {dumped(problem_of(error))}\n\n"


def closing_frame() -> str:
    """The last frame of a stream whose process ends before the task does."""
    body = problem_of(
        Closing("this process shuts down; follow the task again with the last id as Last-Event-ID")
    )
    return f"retry: {RETRY_MILLISECONDS}\nevent: closing\ndata: {dumped(body)}\n\n"
