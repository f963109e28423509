"""What is in flight: one asyncio task for each live call or tool, and the inbox where their events arrive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from orchestrator.consensus.confidence import token_scores
from orchestrator.errors import Failure
from orchestrator.runtime.messages import assistant, bind, digest, plain
from orchestrator.runtime.nodes import Cancelled, Failed, Node, NodeKind, Outcome, Stream, Succeeded
from orchestrator.runtime.prefetch import Prefetch
from orchestrator.runtime.work import Generation, ToolUse
from orchestrator.structured import task_group
from storage.events import EventType
from workers.calls import Call, Chunk, Completion, FinishReason, Logprob, Usage
from workers.errors import (
    EngineInterrupted,
    EngineProtocolError,
    EngineTimeout,
    Overloaded,
    ToolError,
    WorkerError,
)

if TYPE_CHECKING:
    from orchestrator.runtime.environment import Environment, Recorder

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Arrival:
    """An external event on its way to the executor.

    ``durable`` asks that it is stored before the planner learns of it.
    """

    type: EventType
    path: str
    data: Mapping[str, Any]
    durable: bool = False


class Drivers:
    """Runs calls and tools, and tells the executor what came of them."""

    def __init__(
        self, environment: Environment, recorder: Recorder, on_progress: Callable[[str, int], None] | None
    ) -> None:
        self._environment = environment
        self._recorder = recorder
        self._on_progress = on_progress
        self._inbox: asyncio.Queue[Arrival] = asyncio.Queue()
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._streamed: dict[str, int] = {}
        self._tokens = 0
        self.prefetch = Prefetch(environment.engine, environment.tenant)

    @asynccontextmanager
    async def running(self, seconds: float | None) -> AsyncIterator[None]:
        """Own everything in flight until the run ends; ``seconds`` are left until the deadline."""
        loop = asyncio.get_running_loop()
        timer = None if seconds is None else loop.call_later(seconds, self.limit, "seconds")
        async with task_group() as self._group:
            self.prefetch.open(self._group)
            try:
                yield
            finally:
                if timer is not None:
                    timer.cancel()
                self.prefetch.close()
                for task in self._tasks.values():
                    task.cancel()

    async def next_arrival(self) -> Arrival:
        """The next external event, as soon as there is one."""
        arrival = await self._inbox.get()
        if arrival.type is EventType.NODE_SETTLED:
            self._streamed.pop(arrival.path, None)
        return arrival

    def limit(self, name: str) -> None:
        """End the run because the bound ``name`` has been reached."""
        self._inbox.put_nowait(Arrival(EventType.LIMIT_REACHED, "", {"limit": name}))

    def abort(self, path: str) -> int:
        """Abort a call or tool if it is in flight; returns the completion tokens that it had streamed.

        A call that has ended, but whose end has not been told, loses its say; its tokens still count.
        """
        if task := self._tasks.pop(path, None):
            task.cancel()
        self.prefetch.dropped(path)
        return self._streamed.pop(path, 0)

    def generate(self, node: Node[Any], work: Generation, *, priority: float) -> None:
        """Send a call to the engine."""
        self.prefetch.begun(node.path)
        self._launch(node.path, self._generate(node, work, priority))

    def use_tool(self, node: Node[Any], work: ToolUse, *, interrupted: bool) -> None:
        """Invoke a tool. ``interrupted``: an earlier process has started it, and its result is not known."""
        self._launch(node.path, self._use_tool(node, work, interrupted))

    def _launch(self, path: str, driver: Coroutine[Any, Any, None]) -> None:
        assert self._group is not None
        self._tasks[path] = self._group.create_task(driver)

    def _settle(self, path: str, data: dict[str, Any], *, durable: bool = False) -> None:
        self._tasks.pop(path, None)
        self.prefetch.look()
        self._inbox.put_nowait(Arrival(EventType.NODE_SETTLED, path, {"external": True, **data}, durable))

    async def _generate(self, node: Node[Any], work: Generation, priority: float) -> None:
        environment = self._environment
        received = _Received(node, work)
        try:
            call = self._call(work, priority, already=received.text)
            await self._recorder.leased()
            async with asyncio.timeout(environment.call_seconds) as clock:
                while not await self._read(node, call, received, clock.when()):
                    await self._recorder.leased()
                    call = self._call(work, priority, already=received.text)
            outcome = received.outcome()
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, TimeoutError) and clock.expired():
                error = EngineTimeout(f"the call did not end within {environment.call_seconds:g} s")
            outcome = _failed(_failure_of(error, node.path, "the engine", EngineProtocolError))
        data = outcome | received.measurements()
        self._settle(node.path, data)
        if (usage := data.get("usage")) is not None:
            self.spend(usage["prompt_tokens"])

    async def _read(self, node: Node[Any], call: Call, received: _Received, until: float | None) -> bool:
        """Take in what the engine streams; False if the call is to be sent again.

        That is where the stream began again after the planner had read a part, and where the engine is full
        and says when to come back: what a running task asks for is not refused but waits, as long as it may.
        """
        try:
            return await self._streamed_whole(node, call, received)
        except Overloaded as error:
            if until is not None and asyncio.get_running_loop().time() + error.retry_after >= until:
                raise
            received.restart()
            await asyncio.sleep(error.retry_after)
            return False

    async def _streamed_whole(self, node: Node[Any], call: Call, received: _Received) -> bool:
        assert self._environment.engine is not None
        async with _closing(self._environment.engine.generate(call)) as chunks:
            async for chunk in chunks:
                if chunk.restarted and not received.restart():
                    return False
                received.take(chunk)
                self._count(node.path, chunk.tokens)
                if piece := received.piece():
                    self._inbox.put_nowait(Arrival(EventType.NODE_CHUNK, node.path, {"text": piece}))
        return True

    def _call(self, work: Generation, priority: float, already: str) -> Call:
        prompt = work.prompt()
        shared = [[segment.role, segment.text] for segment in prompt.segments[:-1]]
        family = digest([self._environment.task_id, shared])
        if already:
            if not self._environment.capabilities.assistant_prefill:
                raise StreamInterrupted("the stream was cut off, and the engine cannot continue it")
            prompt = Generation((*work.messages, assistant(already)), work.sampling).prompt()
        return Call(
            prompt=prompt,
            sampling=work.sampling,
            schema=None if already else work.schema,
            role=work.role,
            priority=priority,
            family=family,
            tenant=self._environment.tenant,
            return_token_ids=work.return_token_ids,
        )

    def _count(self, path: str, tokens: int) -> None:
        self._streamed[path] = self._streamed.get(path, 0) + tokens
        if self._on_progress is not None:
            self._on_progress(path, self._streamed[path])
        self.spend(tokens)

    def spend(self, tokens: int) -> None:
        """Count tokens against the budget."""
        bound = self._environment.budget.tokens
        within = bound is None or self._tokens <= bound
        self._tokens += tokens
        if bound is not None and within and self._tokens > bound:
            self.limit("tokens")

    async def _use_tool(self, node: Node[Any], work: ToolUse, interrupted: bool) -> None:
        started = time.monotonic()
        durable = False
        try:
            tool = work.own or self._environment.toolbox.find(work.name)
            durable = tool.side_effects
            if durable and interrupted and not tool.takes_key:
                raise ToolInterrupted(
                    f"{work.name} has side effects and was under way when its process ended; "
                    "it could be invoked again if it took an idempotency_key"
                )
            if durable:
                await self._recorder.flush()
            await self._recorder.leased()
            key = self._environment.idempotency_key(node.path)
            value = await tool.invoke(plain(bind(work.arguments)), key=key)
            data: dict[str, Any] = {"outcome": "succeeded", "value": plain(value)}
        except (Exception, asyncio.CancelledError) as error:
            data = _failed(_failure_of(error, node.path, f"the tool {work.name}", ToolError))
        data["timing"] = {"total": round(time.monotonic() - started, 6)}
        self._settle(node.path, data, durable=durable)


class StreamInterrupted(WorkerError):
    """A stream was cut off after the planner had read a part of it, and the engine cannot continue it."""

    code = "stream_interrupted"
    retryable = True


class ToolInterrupted(WorkerError):
    """A tool with side effects may or may not have acted before a crash."""

    code = "tool_interrupted"


class _Received:
    """What has come of a completion so far."""

    def __init__(self, node: Node[Any], work: Generation) -> None:
        self.text = node.received if isinstance(node, Stream) else ""
        self._breaks = work.breaks
        self._handed = len(self.text)
        self._parts: list[str] = [self.text]
        self._token_ids: list[int] = []
        self._logprobs: list[Logprob] = []
        self._scored = work.scored
        self._finish: FinishReason | None = None
        self._usage: Usage | None = None
        self._tokens = 0
        self._worker = ""
        self._started = time.monotonic()
        self._first: float | None = None

    def take(self, chunk: Chunk) -> None:
        if self._first is None and chunk.tokens:
            self._first = time.monotonic() - self._started
        self._parts.append(chunk.text)
        self._tokens += chunk.tokens
        self._token_ids.extend(chunk.token_ids)
        self._logprobs.extend(chunk.logprobs)
        self._finish = chunk.finish_reason or self._finish
        self._usage = chunk.usage or self._usage
        self._worker = chunk.worker or self._worker

    def restart(self) -> bool:
        """What came is void, but for what the planner has read; returns whether that is nothing new."""
        unread = self._handed == len(self.text)
        self.text = "".join(self._parts)[: self._handed]
        self._parts = [self.text]
        self._token_ids.clear()
        self._logprobs.clear()
        return unread

    def piece(self) -> str:
        """For a stream: the text up to the last break, if it has not been handed on."""
        if self._breaks is None:
            return ""
        text = "".join(self._parts)
        self._parts = [text]
        end = len(text) if self._finish else 1 + max(map(text.rfind, self._breaks), default=-1)
        piece = text[self._handed : end]
        self._handed = max(end, self._handed)
        return piece

    def outcome(self) -> dict[str, Any]:
        if self._finish is None:
            raise EngineInterrupted("the completion ended without a finish reason")
        value: dict[str, Any] = {"text": "".join(self._parts), "finish_reason": self._finish}
        if self._token_ids and not self.text:  # they spell what came, not what a cut-off stream had brought
            value["token_ids"] = self._token_ids
        if self._scored:
            tops = [tuple(each.top.values()) for each in self._logprobs]
            value["confidences"], value["entropies"] = token_scores(tops)
        elif self._logprobs:
            value["logprobs"] = plain(self._logprobs)
        return {"outcome": "succeeded", "value": value}

    def measurements(self) -> dict[str, Any]:
        usage = self._usage or Usage(completion_tokens=self._tokens)
        timing = {"total": round(time.monotonic() - self._started, 6)}
        if self._first is not None:
            timing["first_token"] = round(self._first, 6)
        counts = {
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": usage.cached_tokens,
            "completion_tokens": usage.completion_tokens,
        }
        measured: dict[str, Any] = {"usage": counts, "timing": timing}
        return measured | {"worker": self._worker} if self._worker else measured


def _failure_of(error: BaseException, path: str, who: str, breach: type[WorkerError]) -> Failure:
    """Why a call or tool failed, as a value; ``breach`` is what it is if the contract knows no such error.

    A driver that was told to stop stops.
    """
    match error:
        case WorkerError():
            return Failure(error.code, str(error), path, error.retryable)
        case asyncio.CancelledError():
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise error
            return Failure(breach.code, f"{who} gave up by itself", path, retryable=True)
        case _:
            log.error("contract broken", node=path, by=who, exc_info=error)
            return Failure(breach.code, f"{who} raised {type(error).__name__}: {error}", path)


@asynccontextmanager
async def _closing(chunks: AsyncIterator[Chunk]) -> AsyncIterator[AsyncIterator[Chunk]]:
    """Close what an engine streams when it is left, which aborts the call."""
    try:
        yield chunks
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


def _failed(failure: Failure) -> dict[str, Any]:
    return {"outcome": "failed", "error": plain(failure)}


def _logprob(data: Mapping[str, Any]) -> Logprob:
    """JSON has no infinite numbers; the journal has their names."""
    top = {token: float(logprob) for token, logprob in data["top"].items()}
    return Logprob(data["token"], float(data["logprob"]), top)


def decode(kind: NodeKind, data: Mapping[str, Any]) -> Outcome[Any]:
    """The outcome that the event of a settled node tells."""
    match data["outcome"]:
        case "succeeded" if kind is NodeKind.GENERATE:
            value = data["value"]
            return Succeeded(
                Completion(
                    text=value["text"],
                    finish_reason=value["finish_reason"],
                    usage=Usage(**data.get("usage", {})),
                    token_ids=tuple(value.get("token_ids", ())),
                    logprobs=tuple(map(_logprob, value.get("logprobs", ()))),
                    worker=data.get("worker", ""),
                    confidences=tuple(value.get("confidences", ())),
                    entropies=tuple(value.get("entropies", ())),
                )
            )
        case "succeeded":
            return Succeeded(data["value"])
        case "failed":
            return Failed(Failure(**data["error"]))
        case _:
            return Cancelled(str(data.get("reason", "")))
