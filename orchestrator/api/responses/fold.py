"""From the journal of a task to the events of its response: a pure function, the same in every process.

Nothing else goes into it than the task as it was stored, its stored events in order, and how it ended. So the
number of an event always stands for the same event, and a stream that broke off can be resumed after it
anywhere. Tokens of calls that go on are in no journal, so the text of the answer comes when it is decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestrator.api.openai.answers import Seen, content_of
from orchestrator.api.openai.chunks import pieces
from orchestrator.api.responses.bodies import (
    IncompleteDetails,
    ResponseBody,
    ResponseError,
    Status,
    usage_of,
)
from orchestrator.api.responses.kept import Asked, response_of
from orchestrator.api.responses.output import Output, StreamEvent
from orchestrator.tasks.solution import Solution, solution_of_task
from orchestrator.tasks.telling import Telling, sentence
from storage.events import Event
from storage.tasks import Task, TaskStatus
from workers.redaction import redacted

MOST_LINES = 1_000
"""How many lines are told of the way to an answer."""

MORE = "… and more, which the trace has.\n"
"""The last line where there would be more."""


class Fold:
    """The events of a response: :meth:`begin`, :meth:`take` for each event of the journal, :meth:`end`."""

    def __init__(self, task: Task, asked: Asked) -> None:
        self._task = task
        self._asked = asked
        self._output = Output(task.id)
        self._telling = Telling()
        self._lines = 0
        self._seen = Seen()
        self._begun = False

    def begin(self) -> Iterator[StreamEvent]:
        """What is told of a task that is stored."""
        if self._asked.background:
            yield self._stands("created", "queued")
            yield self._stands("queued", "queued")
        else:
            yield self._stands("created", "in_progress")

    def take(self, event: Event) -> Iterator[StreamEvent]:
        """What an event of the journal tells."""
        if not self._begun:
            self._begun = True
            yield self._stands("in_progress", "in_progress")
        self._seen.take(event)
        yield from self._told(self._telling.lines(event))

    def _told(self, lines: Iterable[str]) -> Iterator[StreamEvent]:
        """Lines about the way to the answer, as long as there are not too many."""
        for line in lines:
            self._lines += 1
            if self._lines <= MOST_LINES:
                yield from self._output.thought(f"{line}\n" if self._lines < MOST_LINES else MORE)

    def end(self, task: Task) -> Iterator[StreamEvent]:
        """What is told once the task has ended as ``task``.

        Raises:
            JournalDamaged: its stored solution is none.
        """
        solution = solution_of_task(task) if task.solution is not None else None
        status = self._status(task, solution)
        if solution is not None and status in ("completed", "incomplete"):
            if solution.clusters:
                yield from self._told([sentence(solution.trust)])
            text = answer_of(task, self._asked)
            yield from self._output.said("")
            for piece in pieces(text):
                yield from self._output.said(piece)
        yield from self._output.close("completed" if status == "completed" else "incomplete")
        yield self._output.event(status, response=_dumped(self._ended(task, status, solution)))

    def _status(self, task: Task, solution: Solution | None) -> Status:
        if task.status is TaskStatus.CANCELLED:
            return "cancelled"
        if task.status is not TaskStatus.SUCCEEDED or solution is None:
            return "failed"
        return "completed" if self._seen.finish(solution) == "stop" else "incomplete"

    def _ended(self, task: Task, status: Status, solution: Solution | None) -> ResponseBody:
        members: dict[str, Any] = {}
        if status == "completed":
            members["completed_at"] = int(task.finished_at or task.created_at)
        elif status == "incomplete":
            members["incomplete_details"] = IncompleteDetails(reason=_reason(solution))
        elif status == "failed":
            members["error"] = _error(task)
        return response_of(
            task, self._asked, status, output=self._output.items, used=usage_of(self._seen.used), **members
        )

    def _stands(self, kind: str, status: Status) -> StreamEvent:
        return self._output.event(kind, response=_dumped(response_of(self._task, self._asked, status)))


def answer_of(task: Task, asked: Asked) -> str:
    """What a client reads as the answer of a task that has a solution.

    Raises:
        JournalDamaged: its stored solution is none.
    """
    stop = task.options.get("stop")
    return content_of(
        solution_of_task(task),
        form=asked.content,
        stop=tuple(map(str, stop)) if isinstance(stop, list) else (),
        json=task.options.get("format") is not None,
    )


def stream_of(task: Task, asked: Asked, journal: Iterable[Event]) -> Iterator[StreamEvent]:
    """All events of the response that a task is which has ended."""
    fold = Fold(task, asked)
    yield from fold.begin()
    for event in journal:
        yield from fold.take(event)
    yield from fold.end(task)


def _reason(solution: Solution | None) -> str:
    limit = None if solution is None else solution.limit
    return "max_output_tokens" if limit in (None, "tokens") else limit


def _error(task: Task) -> ResponseError:
    told = task.error if isinstance(task.error, Mapping) else {}
    code = str(told.get("code") or task.outcome or task.status.value)
    return ResponseError(
        code=code, message=redacted(str(told.get("message") or f"the task was {task.status}"))
    )


def _dumped(body: ResponseBody) -> dict[str, Any]:
    return body.model_dump(mode="json")
