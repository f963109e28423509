"""The routes of OpenAI's protocol: models, chat completions and completions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiohttp import web

from orchestrator.access.caller import Scope
from orchestrator.access.refusals import QuotaExhausted, TooManyTasks
from orchestrator.access.spending import NoPrices
from orchestrator.api.exchange import body_text, header_of, json_object, respond
from orchestrator.api.limits import limits_of
from orchestrator.api.openai.asking import chat_task, completion_task, is_helper
from orchestrator.api.openai.chunks import chunk_stream
from orchestrator.api.openai.examples import CHAT, COMPLETION
from orchestrator.api.openai.messages import conversation_of, turns_of
from orchestrator.api.openai.models import (
    ENGINE,
    PLANNERS,
    PREFIX,
    EngineModel,
    engine_model,
    engine_models,
    planner_model,
)
from orchestrator.api.openai.parameters import CHAT as CHAT_TABLE
from orchestrator.api.openai.parameters import COMPLETIONS as COMPLETIONS_TABLE
from orchestrator.api.openai.parameters import Target, given, validated
from orchestrator.api.openai.passing import chat_calls, completion_calls
from orchestrator.api.openai.refusals import (
    OPENAI,
    InvalidParameter,
    ModelNotFound,
    UnsupportedParameter,
)
from orchestrator.api.openai.schemas import (
    ChatBody,
    ChatRequest,
    CompletionBody,
    CompletionRequest,
    ModelBody,
    ModelsBody,
)
from orchestrator.api.openai.serving import ServingHandlers
from orchestrator.api.parameters import IDEMPOTENCY_KEY, TENANT
from orchestrator.api.places import TooManyStreams
from orchestrator.api.problems import Contradiction, Draining
from orchestrator.api.routes import JSON, Content, Refusal, route
from orchestrator.errors import AnabranchError, TaskFailed, UnknownPlanner, translated
from storage.errors import (
    DeadlinePassed,
    DeadlineUnreachable,
    IdempotencyConflict,
    NotStorable,
    QueueFull,
    TenantQueueFull,
)
from workers import errors as engine_errors
from workers.engine import Capabilities

CREATED = 1_767_225_600
"""When models came to be, which clients want to know; planners have no such time."""

ERRORS: tuple[Refusal, ...] = (
    UnsupportedParameter,
    ModelNotFound,
    UnknownPlanner,
    Contradiction,
    IdempotencyConflict,
    NotStorable,
    NoPrices,
    TooManyTasks,
    QuotaExhausted,
    TenantQueueFull,
    QueueFull,
    DeadlineUnreachable,
    DeadlinePassed,
    TooManyStreams,
    Draining,
    TaskFailed,
    engine_errors.CallRejected,
    engine_errors.CapabilityMissing,
    engine_errors.ModelUnavailable,
    engine_errors.QuotaExhausted,
    engine_errors.AccessRefused,
    engine_errors.Overloaded,
    engine_errors.EngineUnavailable,
    engine_errors.EngineFailed,
    engine_errors.EngineInterrupted,
    engine_errors.EngineProtocolError,
    engine_errors.EngineTimeout,
    engine_errors.ToolError,
)
"""What asking a planner or the engine may be refused with."""


def _answered(model: type[ChatBody] | type[CompletionBody], chunk: str) -> Mapping[str, Any]:
    """The content of an answer: JSON, or a stream of chunks."""
    return {
        JSON: {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}},
        **chunk_stream(chunk),
    }


CHAT_ANSWER: Content = _answered(ChatBody, "chat.completion.chunk")
COMPLETION_ANSWER: Content = _answered(CompletionBody, "text_completion")


class OpenAIHandlers(ServingHandlers):
    """The part of the handlers that speaks OpenAI's protocol."""

    @route(
        "GET",
        "/v1/models",
        (200, "Planners, and the engine's own models.", ModelsBody),
        scope=Scope.SUBMIT,
        errors_as=OPENAI,
    )
    async def models(self, request: web.Request) -> web.Response:
        """List the models that can be named: planners, and what the engine has itself."""
        planners = [_planner(each.id, each.told) for each in PLANNERS.values()]
        engine = [_engine(each) for each in await self._engine_models()]
        return respond(ModelsBody(data=[*planners, *engine]))

    @route(
        "GET",
        "/v1/models/{id}",
        (200, "The model.", ModelBody),
        errors=(ModelNotFound,),
        parameters=(
            {
                "name": "id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "minLength": 1},
                "description": "The name of the model, which may have slashes.",
                "example": "anabranch/vote",
            },
        ),
        scope=Scope.SUBMIT,
        errors_as=OPENAI,
        open_ended=True,
    )
    async def model(self, request: web.Request) -> web.Response:
        """Get a model by its name."""
        name = request.match_info["id"]
        if name.startswith(PREFIX) and name != ENGINE:
            found = planner_model(name, self._service.find_planner)
            return respond(_planner(found.id, found.told))
        await self._engine_models()
        return respond(_engine(engine_model(name, self._service.engine.snapshot())))

    @route(
        "POST",
        "/v1/chat/completions",
        (200, "The answer, or a stream of its chunks.", CHAT_ANSWER),
        errors=ERRORS,
        parameters=(IDEMPOTENCY_KEY, TENANT),
        takes=ChatRequest,
        example=CHAT,
        sends=(ChatBody,),
        scope=Scope.SUBMIT,
        changes=True,
        errors_as=OPENAI,
    )
    async def chat_completions(self, request: web.Request) -> web.StreamResponse:
        """Answer a conversation: by a planner, as a task, or by the engine itself."""
        body = await self._body(request)
        asked = validated(ChatRequest, body)
        name = self._answering(asked, body)
        target = target_of(name)
        asked = asked.only(given(body, CHAT_TABLE, target))
        turns = turns_of(asked.messages)
        if target == "planner":
            planned = asked.model_copy(update={"model": name})
            task = chat_task(planned, conversation_of(turns), self._service.find_planner)
            return await self._planned(request, asked, task, "chat")
        able, model = await self._able(name)
        return await self._passed(
            request, asked, chat_calls(asked, turns, model, able, self._asking(request)), "chat"
        )

    @route(
        "POST",
        "/v1/completions",
        (200, "The texts, or a stream of their chunks.", COMPLETION_ANSWER),
        errors=ERRORS,
        parameters=(IDEMPOTENCY_KEY, TENANT),
        takes=CompletionRequest,
        example=COMPLETION,
        sends=(CompletionBody,),
        scope=Scope.SUBMIT,
        changes=True,
        errors_as=OPENAI,
    )
    async def completions(self, request: web.Request) -> web.StreamResponse:
        """Answer a prompt, as a chat with a single message."""
        body = await self._body(request)
        asked = validated(CompletionRequest, body)
        target = target_of(asked.model)
        asked = asked.only(given(body, COMPLETIONS_TABLE, target))
        prompts = prompts_of(asked)
        if target == "planner":
            if len(prompts) > 1:
                raise UnsupportedParameter("a planner answers one question at a time", "prompt[1]")
            task = completion_task(asked, prompts[0], self._service.find_planner)
            return await self._planned(request, asked, task, "text")
        able, model = await self._able(asked.model)
        return await self._passed(
            request, asked, completion_calls(asked, prompts, model, able, self._asking(request)), "text"
        )

    async def _body(self, request: web.Request) -> dict[str, Any]:
        self._check_open()
        header_of(request, "Idempotency-Key")  # where it has no effect, it must be one all the same
        return json_object(await body_text(request), limits_of(request))

    def _answering(self, asked: ChatRequest, body: Mapping[str, Any]) -> str:
        """The model that answers: the one that is named, or a cheap one for what chat programs ask for.

        Only what the cheap one can honour goes to it.
        """
        helper = self._service.settings.chat_helpers
        if not helper or target_of(asked.model) == "engine" or not is_helper(asked):
            return asked.model
        try:
            given(body, CHAT_TABLE, target_of(helper))
        except UnsupportedParameter:
            return asked.model
        return helper

    async def _able(self, name: str) -> tuple[Capabilities, EngineModel]:
        """What the engine can do, and its model of that name."""
        able = await self._service.engine.capabilities()
        return able, engine_model(name, self._service.engine.snapshot())

    async def _engine_models(self) -> list[EngineModel]:
        """The engine's own models; those that have not started yet, and cannot, are not known."""
        if not (found := engine_models(self._service.engine.snapshot())):
            with suppress(AnabranchError), translated():
                await self._service.engine.capabilities()
            found = engine_models(self._service.engine.snapshot())
        return [EngineModel(ENGINE, "", "branch"), *found]


def target_of(model: str) -> Target:
    """Who answers for a model."""
    return "planner" if model.startswith(PREFIX) and model != ENGINE else "engine"


def prompts_of(asked: CompletionRequest) -> list[str]:
    """The prompts of a completion.

    Raises:
        InvalidParameter: one is empty.
    """
    prompts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
    for place, prompt in enumerate(prompts):
        if not prompt.strip():
            where = "prompt" if isinstance(asked.prompt, str) else f"prompt[{place}]"
            raise InvalidParameter("it is empty, so nothing is asked", where)
    return prompts


def _planner(name: str, told: str) -> ModelBody:
    return ModelBody(id=name, created=CREATED, owned_by="anabranch", description=told)


def _engine(model: EngineModel) -> ModelBody:
    told = "the engine's model" if model.id == ENGINE else ""
    return ModelBody(id=model.id, created=CREATED, owned_by="engine", description=told)
