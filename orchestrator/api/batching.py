"""What can be asked in a batch, and how its lines are answered: as the routes of the same paths would."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from orchestrator.api.openai.answers import Seen, failure_of
from orchestrator.api.openai.asking import chat_task, completion_task, param_of, seed_for
from orchestrator.api.openai.chunks import Kind
from orchestrator.api.openai.handlers import prompts_of, target_of
from orchestrator.api.openai.messages import conversation_of, turns_of
from orchestrator.api.openai.models import PREFIX
from orchestrator.api.openai.parameters import CHAT, COMPLETIONS, given, validated
from orchestrator.api.openai.planned import Wanted
from orchestrator.api.openai.refusals import InvalidParameter, UnsupportedParameter, openai_problem
from orchestrator.api.openai.schemas import ChatRequest, CompletionRequest, Parameters
from orchestrator.api.openai.serving import solved_body
from orchestrator.api.problems import problem_of
from orchestrator.api.rendering import dumped
from orchestrator.api.responses.kept import asked_of
from orchestrator.api.responses.reading import param_of as response_param_of
from orchestrator.api.responses.reading import request_of, task_of
from orchestrator.api.responses.streaming import ended_body
from orchestrator.batches.endpoints import Endpoint
from orchestrator.batches.lines import ReadBody, fields_of
from orchestrator.bodies import task_body
from orchestrator.errors import AnabranchError, InvalidRequest, TaskFailed
from orchestrator.tasks.service import Service
from orchestrator.tasks.solution import solution_of_task
from storage.events import Event
from storage.tasks import Task


def endpoints_of(service: Service) -> dict[str, Endpoint]:
    """Where lines can be asked, by path."""
    return {
        "/v1/chat/completions": ChatEndpoint(service),
        "/v1/completions": CompletionEndpoint(service),
        "/v1/responses": ResponseEndpoint(service),
        "/v1/tasks": TaskEndpoint(),
    }


def bodies_of(service: Service) -> dict[str, ReadBody]:
    """How the body of a line is read, by path; the same body is always the same request."""

    def reader(endpoint: Endpoint) -> ReadBody:
        return lambda body: endpoint.fields(body, "batch")

    return {path: reader(endpoint) for path, endpoint in endpoints_of(service).items()}


class TaskEndpoint:
    """Lines with the fields of a task."""

    def fields(self, body: Mapping[str, Any], key: str) -> dict[str, Any]:
        """See :class:`~orchestrator.batches.endpoints.Endpoint`."""
        return dict(fields_of(body))

    async def answer(self, task: Task, body: Mapping[str, Any]) -> str:
        """See :class:`~orchestrator.batches.endpoints.Endpoint`."""
        _check_answered(task)
        return dumped(task_body(task))

    def refusal(self, error: AnabranchError) -> str:
        """See :class:`~orchestrator.batches.endpoints.Endpoint`."""
        return dumped(problem_of(error))


class ChatEndpoint:
    """Chat completions by planners."""

    kind: Kind = "chat"

    def __init__(self, service: Service) -> None:
        self._service = service

    def fields(self, body: Mapping[str, Any], key: str) -> dict[str, Any]:
        """See :class:`~orchestrator.batches.endpoints.Endpoint`."""
        asked = self._asked(body)
        task = self._task(asked)
        return {**task, "seed": seed_for(task.get("seed"), key)}

    async def answer(self, task: Task, body: Mapping[str, Any]) -> str:
        """See :class:`~orchestrator.batches.endpoints.Endpoint`."""
        asked, seen = self._asked(body), Seen()
        async with aclosing(self._service.events(task.id, stored=True)) as events:
            async for event in events:
                if isinstance(event, Event):
                    seen.take(event)
        is_json = isinstance(form := task.options.get("format"), Mapping) and form.get("type") != "text"
        wanted = Wanted(asked.own.content, asked.stops, is_json)
        return dumped(solved_body(task, seen, asked, wanted, self.kind))

    def refusal(self, error: AnabranchError) -> str:
        """See :class:`~orchestrator.batches.endpoints.Endpoint`."""
        return dumped(openai_problem(_about(error, param_of(str(error)))))

    def _asked(self, body: Mapping[str, Any]) -> Parameters:
        asked = validated(ChatRequest, body)
        _check(asked)
        return asked.only(given(body, CHAT, "planner"))

    def _task(self, asked: Parameters) -> dict[str, Any]:
        assert isinstance(asked, ChatRequest)
        return chat_task(asked, conversation_of(turns_of(asked.messages)), self._service.find_planner)


class CompletionEndpoint(ChatEndpoint):
    """Completions by planners."""

    kind: Kind = "text"

    def _asked(self, body: Mapping[str, Any]) -> Parameters:
        asked = validated(CompletionRequest, body)
        _check(asked)
        return asked.only(given(body, COMPLETIONS, "planner"))

    def _task(self, asked: Parameters) -> dict[str, Any]:
        assert isinstance(asked, CompletionRequest)
        prompts = prompts_of(asked)
        if len(prompts) > 1:
            raise UnsupportedParameter("a planner answers one question at a time", "prompt[1]")
        return completion_task(asked, prompts[0], self._service.find_planner)


class ResponseEndpoint:
    """Responses by planners, each of which can be retrieved as well."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def fields(self, body: Mapping[str, Any], key: str) -> dict[str, Any]:
        """See :class:`~orchestrator.batches.endpoints.Endpoint`."""
        read = request_of(dict(body))
        if read.target != "planner":
            raise _no_engine()
        if read.parameters.stream:
            raise _no_stream()
        if read.parameters.previous_response_id is not None:
            raise UnsupportedParameter("the lines of a batch follow no others", "previous_response_id")
        if not read.parameters.store:
            raise UnsupportedParameter("what a batch asks is stored", "store")
        task = task_of(read, [], self._service.find_planner)
        return {**task, "seed": seed_for(task.get("seed"), key)}

    async def answer(self, task: Task, body: Mapping[str, Any]) -> str:
        """See :class:`~orchestrator.batches.endpoints.Endpoint`."""
        asked = asked_of(task)
        assert asked is not None  # it was made from the body
        _check_answered(task)
        return dumped(await ended_body(self._service, task, asked))

    def refusal(self, error: AnabranchError) -> str:
        """See :class:`~orchestrator.batches.endpoints.Endpoint`."""
        return dumped(openai_problem(_about(error, response_param_of(str(error)))))


def _check(asked: Parameters) -> None:
    """Refuse what makes no sense in a batch."""
    if target_of(asked.model) != "planner":
        raise _no_engine()
    if asked.stream:
        raise _no_stream()


def _check_answered(task: Task) -> None:
    """Raise why a task has no answer, if it has none."""
    try:
        solution_of_task(task)
    except TaskFailed as failed:
        raise failure_of(failed) from None


def _no_engine() -> AnabranchError:
    return UnsupportedParameter(
        f"a batch asks planners; write {PREFIX}direct for a single answer of the engine", "model"
    )


def _no_stream() -> AnabranchError:
    return UnsupportedParameter("the answers of a batch come in a file; leave it out", "stream")


def _about(error: AnabranchError, param: str | None) -> AnabranchError:
    """The error, about the parameter that a mistake in a task comes from."""
    if param is None or not isinstance(error, InvalidRequest) or isinstance(error, UnsupportedParameter):
        return error
    return InvalidParameter(str(error), param)
