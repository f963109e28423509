"""How an answer is served that was asked for by OpenAI's protocol: from a task, or from the engine itself."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from aiohttp import web
from structlog.contextvars import bind_contextvars

from orchestrator.api.callers import caller_of, owner_of
from orchestrator.api.events import Closing
from orchestrator.api.exchange import merge, respond
from orchestrator.api.observing import caller_of_trace
from orchestrator.api.openai.answers import Seen, failure_of, is_refusal, run_of, usage_of
from orchestrator.api.openai.asking import param_of, seed_for
from orchestrator.api.openai.chunks import FAREWELLS, Chunks, Kind
from orchestrator.api.openai.hearing import attended, heard
from orchestrator.api.openai.passing import (
    Asking,
    Choice,
    Items,
    arriving,
    chat_logprobs,
    most_tokens,
    taken,
    text_logprobs,
    tokens_of,
    usage_of_calls,
)
from orchestrator.api.openai.planned import Stream, Wanted
from orchestrator.api.openai.refusals import InvalidParameter
from orchestrator.api.openai.schemas import (
    ChatBody,
    ChoiceBody,
    CompletionBody,
    MessageBody,
    Parameters,
    RunBody,
    TextChoiceBody,
    UsageBody,
)
from orchestrator.api.submitting import SubmittingHandlers
from orchestrator.errors import InvalidRequest, TaskFailed
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.solution import solution_of_task
from storage.events import Event
from storage.tasks import Priority, Task
from workers.calls import Call, Chunk

TASK_HEADER = "X-Anabranch-Task"
"""The header with the id of the task that answers, which is that of its trace."""

CLOSING = "this process shuts down; ask again, and another one answers"


class ServingHandlers(SubmittingHandlers):
    """What the handlers of OpenAI's protocol have in common."""

    # -- planners ---------------------------------------------------------------------------------

    async def _planned(
        self, request: web.Request, asked: Parameters, body: dict[str, Any], kind: Kind
    ) -> web.StreamResponse:
        """Answer by a task, which ends if the client leaves, unless it has an idempotency key."""
        wish = self._task(request, body)
        progress = asked.own.progress or self._service.settings.chat_progress
        wanted = Wanted(asked.own.content, asked.stops, wish.form is not None, progress)
        with ExitStack() as held:
            held.enter_context(self._streams.place(wish.tenant))
            storing = self._submitted(request, wish)
            async with attended(self._service, storing, keep=wish.idempotency_key is not None) as attendance:
                task = attendance.task
                bind_contextvars(task=task.id, tenant=task.tenant)
                headers = {"Location": f"/v1/tasks/{task.id}", TASK_HEADER: task.id}
                if asked.stream:
                    chunks = Chunks(_id(kind, task.id), asked.model, kind, asked.with_usage)
                    frames = Stream(self._service, task, chunks, wanted).frames(attendance)
                    return await self._streams.send_frames(
                        request,
                        task.tenant,
                        task.id,
                        frames,
                        farewells=FAREWELLS,
                        headers=headers,
                        placed=True,
                    )
                seen = Seen()
                ended = await self._streams.until_closing(self._ended(task, seen))
                if ended is None:
                    raise Closing(CLOSING)
                attendance.ended = True
        return respond(solved_body(ended, seen, asked, wanted, kind), headers=headers)

    def _task(self, request: web.Request, body: dict[str, Any]) -> TaskRequest:
        """The task that is to be run; its mistakes are those of the parameters that it comes from."""
        merge(body, "idempotency_key", request, "Idempotency-Key")
        body["seed"] = seed_for(body.get("seed"), body.get("idempotency_key"))
        with _by_parameter():
            return self._asked(request, body)

    async def _submitted(self, request: web.Request, wish: TaskRequest) -> Task:
        async with self._turn():
            await self._check_engine()
            with _by_parameter():
                return await self._stored(request, wish)

    async def _ended(self, task: Task, seen: Seen) -> Task:
        """The task once it has ended."""
        async for item in heard(self._service, task.id, speech=False):
            if isinstance(item, Event):
                seen.take(item)
        return await self._service.task(task.id)

    # -- the engine itself ------------------------------------------------------------------------

    def _asking(self, request: web.Request) -> Asking:
        """For whom the engine is asked, and by what name the calls go."""
        tenant = owner_of(request)
        return Asking(tenant, secrets.token_hex(10), caller_of_trace(request))

    async def _passed(
        self, request: web.Request, asked: Parameters, calls: Sequence[Call], kind: Kind
    ) -> web.StreamResponse:
        """Answer by calls to the engine, which are aborted if the client leaves."""
        first, choices = calls[0], [Choice(call) for call in calls]
        seconds = self._service.settings.call_seconds
        spending = self._service.access.spending(
            caller_of(request), first.tenant, most_tokens(calls), seconds=seconds
        )
        async with spending as spent:
            try:
                if asked.stream:
                    async with arriving(self._service.engine, calls, seconds) as items:
                        chunks = Chunks(_id(kind, first.task), asked.model, kind, asked.with_usage)
                        beginning = await self._first(items)
                        frames = self._chunks(chunks, choices, beginning, items)
                        return await self._streams.send_frames(
                            request, first.tenant, first.task, frames, farewells=FAREWELLS
                        )
                with self._streams.place(first.tenant):
                    work = taken(self._service.engine, choices, seconds)
                    if await self._streams.until_closing(work) is None:
                        raise Closing(CLOSING)
            finally:
                spent.tokens = tokens_of(choices)
        made = [_of_call(kind, place, choice) for place, choice in enumerate(choices)]
        return respond(_answer(kind, first.task, asked.model, made, usage_of_calls(choices)))

    async def _first(self, items: Items) -> tuple[int, Chunk]:
        """What comes first of calls: what is refused is refused before anything is sent. Raises Closing."""
        first = await self._streams.until_closing(anext(items))
        if first is None:
            raise Closing(CLOSING)
        return first

    async def _chunks(
        self, chunks: Chunks, choices: Sequence[Choice], beginning: tuple[int, Chunk], items: Items
    ) -> AsyncGenerator[str, None]:
        """What the engine says as chunks, one for each of its own."""
        name = self._service.settings.chat_progress
        for place in range(len(choices)):
            yield chunks.role(place)
        while True:
            place, chunk = beginning
            choice = choices[place]
            length = choice.sent
            choice.take(chunk)
            if (thoughts := choice.thoughts()) and name != "none":
                yield chunks.aside(name, thoughts, place)
            if (news := choice.news()) or chunk.logprobs:
                scores = (
                    chat_logprobs(chunk.logprobs)
                    if chunks.kind == "chat"
                    else text_logprobs(chunk.logprobs, length)
                )
                yield chunks.content(news, place, logprobs=scores)
            if chunk.finish_reason is not None:
                if choice.calls:
                    yield chunks.calls([each.as_tool_call() for each in choice.calls], place)
                yield chunks.finish(choice.finish, place)
            try:
                beginning = await anext(items)
            except StopAsyncIteration:
                break
        yield chunks.last(usage_of_calls(choices))


@contextmanager
def _by_parameter() -> Iterator[None]:
    """Tell mistakes of a task as those of the parameters that they come from."""
    try:
        yield
    except InvalidRequest as error:
        if (param := param_of(str(error))) is None:
            raise
        raise InvalidParameter(str(error), param) from None


def solved_body(
    task: Task, seen: Seen, asked: Parameters, wanted: Wanted, kind: Kind
) -> ChatBody | CompletionBody:
    """The answer of a task that has ended.

    Raises:
        AnabranchError: it has none.
    """
    tier = None if kind == "text" else "flex" if task.priority is Priority.BATCH else "default"
    try:
        solution = solution_of_task(task)
    except TaskFailed as failed:
        if not is_refusal(failed):
            raise failure_of(failed) from None
        message = MessageBody(content=None, refusal=str(failed))
        choice = _choice(kind, 0, message, "content_filter")
        return _answer(kind, task.id, asked.model, [choice], seen.usage, tier=tier)
    message = MessageBody(content=wanted.of(solution))
    choice = _choice(kind, 0, message, seen.finish(solution))
    usage, run = usage_of(solution, seen), run_of(solution)
    return _answer(kind, task.id, asked.model, [choice], usage, tier=tier, run=run)


def _of_call(kind: Kind, place: int, choice: Choice) -> ChoiceBody | TextChoiceBody:
    message = MessageBody(
        content=choice.text if choice.text or not choice.calls else None,
        reasoning_content=choice.reasoning or None,
        tool_calls=[each.as_tool_call() for each in choice.calls] or None,
    )
    scores = chat_logprobs(choice.logprobs) if kind == "chat" else text_logprobs(choice.logprobs)
    return _choice(kind, place, message, choice.finish or "stop", scores)


def _choice(
    kind: Kind, place: int, message: MessageBody, finish: Any, logprobs: dict[str, Any] | None = None
) -> ChoiceBody | TextChoiceBody:
    if kind == "chat":
        return ChoiceBody(index=place, message=message, finish_reason=finish, logprobs=logprobs)
    return TextChoiceBody(index=place, text=message.content or "", finish_reason=finish, logprobs=logprobs)


def _answer(
    kind: Kind,
    of: str,
    model: str,
    choices: Sequence[ChoiceBody | TextChoiceBody],
    usage: UsageBody,
    *,
    tier: str | None = None,
    run: RunBody | None = None,
) -> ChatBody | CompletionBody:
    said = {
        "id": _id(kind, of),
        "created": int(time.time()),
        "model": model,
        "usage": usage,
        "anabranch": run,
    }
    if kind == "chat":
        chats = [each for each in choices if isinstance(each, ChoiceBody)]
        return ChatBody(**said, choices=chats, service_tier=tier)
    texts = [each for each in choices if isinstance(each, TextChoiceBody)]
    return CompletionBody(**said, choices=texts)


def _id(kind: Kind, of: str) -> str:
    return f"{'chatcmpl' if kind == 'chat' else 'cmpl'}-{of}"
