"""One tree of errors: everything that Anabranch raises to its callers.

Each error has a stable ``code`` for programs, the ``http_status`` under which the API reports it, and says
whether the same request may succeed later (``retryable``). Errors of workers and storage reach callers as
:class:`Unavailable`, or as the :class:`Failure` of the node that met them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from storage.errors import StorageError
from workers.errors import WorkerError


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a node failed, as a value. ``path`` is the node where it began, which may be far upstream."""

    code: str
    message: str
    path: str = ""
    retryable: bool = False


class AnabranchError(Exception):
    """Root of the tree. ``retry_after`` is in seconds, None if it is unknown.

    ``request_id`` finds the request in the log of the service elsewhere that refused it.
    """

    code: str = "internal"
    http_status: int = 500
    retryable: bool = False
    retry_after: float | None = None
    request_id: str | None = None


class InvalidRequest(AnabranchError):
    """The request cannot be understood or carried out as given; the message says what would be right."""

    code = "invalid_request"
    http_status = 400


class UnknownPlanner(InvalidRequest):
    """No planner of that name is installed, or it is not the one that made a trace."""

    code = "unknown_planner"


class TaskNotFound(AnabranchError):
    """There is no task with that id."""

    code = "task_not_found"
    http_status = 404


class Conflict(AnabranchError):
    """This cannot be done in the state that the task is in."""

    code = "conflict"
    http_status = 409


class HandedBack(AnabranchError):
    """This process stopped running the task, and put it back into the queue for another one."""

    code = "handed_back"
    http_status = 503
    retryable = True


class Unavailable(AnabranchError):
    """An engine, a model or the database could not do its part; ``code`` is that of the cause."""

    code = "unavailable"
    http_status = 503

    def __init__(
        self, message: str, *, code: str, http_status: int, retryable: bool, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.http_status = http_status
        self.retryable = retryable
        self.retry_after = retry_after


class GraphError(AnabranchError):
    """Nodes that refer to each other in a way that is not a DAG."""

    code = "graph_error"
    http_status = 422


class UnknownReference(GraphError):
    """A node refers to one that does not exist."""

    code = "unknown_reference"


class CycleError(GraphError):
    """Nodes wait for each other in a circle."""

    code = "cycle"


class NodeFailed(AnabranchError):
    """Raised in a planner that awaits a node that failed."""

    code = "node_failed"
    http_status = 502

    def __init__(self, path: str, failure: Failure) -> None:
        super().__init__(f"node {path} failed: {failure.message} ({failure.code})")
        self.path = path
        self.failure = failure


class AnswerRefused(AnabranchError):
    """The model, or a filter before it, refuses to answer the question; the message has what it said."""

    code = "answer_refused"
    http_status = 422


class AnswerMisshapen(AnabranchError):
    """The answer could not be written in the form that was asked for; the message says what was wrong."""

    code = "format_failed"
    http_status = 502


class NodeCancelled(AnabranchError):
    """Raised in a planner that awaits a node that was cancelled."""

    code = "node_cancelled"
    http_status = 409

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"node {path} was cancelled: {reason}")
        self.path = path
        self.reason = reason


class PlannerError(AnabranchError):
    """A planner broke the contract: it raised, awaited something outside its run, or returned no answer."""

    code = "planner_error"


class PlannerStuck(PlannerError):
    """Planner code neither ended nor waited for anything, and was interrupted."""

    code = "planner_stuck"


class TooLarge(PlannerError):
    """A planner returned, or asked for, more than the settings let a run store."""

    code = "too_large"


class TaskFailed(AnabranchError):
    """The task ended without an answer; ``code`` is that of the failure that ended it."""

    code = "task_failed"
    http_status = 502

    def __init__(self, message: str, *, code: str, task_id: str) -> None:
        super().__init__(message)
        self.code = code
        self.task_id = task_id


class Divergence(AnabranchError):
    """A run over a journal did not do what the journal says. Names the node and what differs."""

    code = "divergence"
    http_status = 409

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"node {path or 'root'} diverges from the record: {message}")
        self.path = path
        self.message = message


class UnsupportedTrace(AnabranchError):
    """The journal has a version that this program cannot read; the message names the one that can."""

    code = "unsupported_trace"
    http_status = 422


class TraceTooLarge(AnabranchError):
    """A trace is too large to be given at once; the message says how to get it."""

    code = "trace_too_large"
    http_status = 422

    def __init__(self, task_id: str, size: str) -> None:
        super().__init__(
            f"the trace of task {task_id} is too large to be given at once: it has {size}; "
            f"`anabranch export {task_id}` writes it to a file"
        )


class ServiceError(AnabranchError):
    """A service elsewhere refused for a reason, or answered in a way, that this version does not know.

    ``code`` and ``http_status`` are what it said.
    """

    code = "service_error"
    http_status = 502


class Unknown(AnabranchError):
    """A counterfactual needs tokens that were never generated."""

    code = "unknown"
    http_status = 422


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of workers and storage into errors of this tree at the front door."""
    try:
        yield
    except (WorkerError, StorageError) as error:
        if error.code == TaskNotFound.code:
            raise TaskNotFound(str(error)) from error
        raise Unavailable(
            str(error),
            code=error.code,
            http_status=error.http_status,
            retryable=error.retryable,
            retry_after=error.retry_after,
        ) from error
