"""Responses as streams: the events of the fold as they happen, and how a stream that breaks off ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from orchestrator.api.events import Closing, TooSlow
from orchestrator.api.openai.chunks import DONE
from orchestrator.api.openai.refusals import openai_problem
from orchestrator.api.rendering import dumped_json
from orchestrator.api.responses.bodies import ResponseBody
from orchestrator.api.responses.fold import Fold
from orchestrator.api.responses.kept import Asked
from orchestrator.api.responses.output import StreamEvent
from orchestrator.api.streams import Farewells
from orchestrator.errors import AnabranchError
from orchestrator.tasks.service import Service
from storage.events import Event
from storage.tasks import Task

GO_ON = "go on with GET /v1/responses/{id}?stream=true&starting_after={number}"


class Following:
    """The frames of one response, for one client.

    ``last`` is the number of the last event that was sent, and ``ended`` whether all were.
    """

    def __init__(self, service: Service, task: Task, asked: Asked, *, after: int = -1) -> None:
        self._service = service
        self._task = task
        self._asked = asked
        self.last = after
        self.ended = False

    async def frames(self) -> AsyncGenerator[str, None]:
        """The events after the last one that the client has, as they happen."""
        fold = Fold(self._task, self._asked)
        for told in fold.begin():
            if frame := self._new(told):
                yield frame
        async with aclosing(self._service.events(self._task.id, stored=True)) as events:
            async for event in events:
                assert isinstance(event, Event)
                for told in fold.take(event):
                    if frame := self._new(told):
                        yield frame
        for told in fold.end(await self._service.task(self._task.id)):
            if frame := self._new(told):
                yield frame
        self.ended = True
        yield DONE

    def _new(self, told: StreamEvent) -> str:
        """The frame of an event that the client does not have; otherwise nothing."""
        if told["sequence_number"] <= self.last:
            return ""
        self.last = told["sequence_number"]
        return frame_of(told)

    @property
    def farewells(self) -> Farewells:
        """How the stream ends before the response does: with an error, after which it can be resumed."""
        advice = GO_ON.format(id=f"resp_{self._task.id}", number="…")
        return Farewells(
            error=self._error,
            closing=lambda: self._error(Closing(f"this process shuts down; {advice}")),
            dropped=lambda: self._error(TooSlow(f"this client reads too slowly; {advice}")),
        )

    def _error(self, error: AnabranchError) -> str:
        return frame_of(error_event(error, self.last))


async def ended_body(service: Service, task: Task, asked: Asked) -> ResponseBody:
    """The response that a task is which has ended."""
    fold = Fold(task, asked)
    told = list(fold.begin())
    async with aclosing(service.events(task.id, stored=True)) as events:
        async for event in events:
            assert isinstance(event, Event)
            told = list(fold.take(event))
    told = list(fold.end(task))
    return ResponseBody.model_validate(told[-1]["response"])


def frame_of(event: StreamEvent) -> str:
    """An event as a server-sent event."""
    return f"event: {event['type']}\ndata: {dumped_json(event)}\n\n"


def error_event(error: AnabranchError, last: int) -> StreamEvent:
    """What ends a stream that broke off. It takes no number: a client goes on after the last event it has.

    It has the members of both forms that clients read: those of the specification in ``error``, and OpenAI's
    beside it.
    """
    problem = openai_problem(error).error
    told = {"code": problem.code, "message": problem.message, "param": problem.param}
    return {
        "type": "error",
        "sequence_number": max(last, 0),
        **told,
        "error": {"type": problem.type, **told},
    }
