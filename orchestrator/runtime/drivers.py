"""What is in flight: one asyncio task for each live call or tool, and the inbox where their events arrive."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from structlog.contextvars import bind_contextvars

from orchestrator.errors import Failure
from orchestrator.runtime.environment import Environment, Recorder
from orchestrator.runtime.messages import assistant, bind, render
from orchestrator.runtime.nodes import Node
from orchestrator.runtime.outcomes import failed
from orchestrator.runtime.plain import digest, plain
from orchestrator.runtime.prefetch import Prefetch
from orchestrator.runtime.received import Received
from orchestrator.runtime.refused import Refused
from orchestrator.runtime.work import Generation, ToolUse
from orchestrator.structured import task_group
from storage.events import EventType
from workers.calls import Call, Prompt, Segment
from workers.contained import Overdue, Unattended, end_all
from workers.contract import name_of, stream, typed
from workers.errors import EngineProtocolError, EngineTimeout, Overloaded, ToolError, WorkerError

OnProgress = Callable[[str, int, Callable[[], str]], None]
"""Called with the path of a call, its tokens so far, and what gives the end of their text.

It gives none where what engines say is redacted: half of a secret would not be recognised.
"""


OnSpeech = Callable[[str, Callable[[], str], Callable[[], str]], None]
"""Called with the path of the call whose text is the answer, and what gives its text and its thinking so far.

It is not called where what engines say is redacted.
"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An external event on its way to the executor.

    ``durable`` means that it must be stored before the planner learns of it.
    """

    type: EventType
    path: str
    data: Mapping[str, Any]
    durable: bool = False


class Drivers:
    """Runs calls and tools, and reports their results to the executor.

    ``reached`` names the bound that has been reached, which the executor is told when it waits.
    """

    def __init__(
        self,
        environment: Environment,
        recorder: Recorder,
        on_progress: OnProgress | None,
        on_speech: OnSpeech | None = None,
    ) -> None:
        self._environment = environment
        self._recorder = recorder
        self._on_progress = on_progress
        self._on_speech = None if environment.redact else on_speech
        self._inbox: asyncio.Queue[Arrival] = asyncio.Queue()
        self._group: asyncio.TaskGroup | None = None
        self._calls_to = f"a call to {name_of(environment.engine)}"
        self._calls: dict[str, Unattended] = {}
        self._aborted: set[asyncio.Task[None]] = set()
        self._tools: dict[str, asyncio.Task[None]] = {}
        self._streamed: dict[str, int] = {}
        self._family: tuple[list[tuple[str, str]], str] | None = None
        self._tokens = 0
        self._deadline = math.inf  # as the event loop counts
        self._refused = Refused()
        self.reached: str | None = None
        self.prefetch = Prefetch(environment.engine, environment.tenant, recorder.leased)

    @asynccontextmanager
    async def running(self, seconds: float | None) -> AsyncIterator[None]:
        """Own everything in flight until the run ends; ``seconds`` is the time left until the deadline."""
        loop = asyncio.get_running_loop()
        timer = None if seconds is None else loop.call_later(seconds, self.limit, "seconds")
        if timer is not None:
            self._deadline = timer.when()
        async with task_group() as self._group:
            self.prefetch.open(self._group)
            try:
                yield
            finally:
                if timer is not None:
                    timer.cancel()
                self.prefetch.close()
                for task in self._tools.values():
                    task.cancel()
                for call in self._calls.values():
                    self._abort(call)
                await end_all(self._aborted)

    async def next_arrival(self) -> Arrival:
        """The next external event, as soon as there is one."""
        arrival = await self._inbox.get()
        if arrival.type is EventType.NODE_SETTLED:
            self._streamed.pop(arrival.path, None)
        return arrival

    def limit(self, name: str) -> None:
        """End the run because the bound ``name`` has been reached."""
        self.reached = self.reached or name
        self._inbox.put_nowait(Arrival(EventType.LIMIT_REACHED, "", {"limit": name}))

    def abort(self, path: str) -> int:
        """Abort a call or tool if it is in flight; returns the completion tokens that it had streamed.

        The result of a call that has ended but has not been delivered is dropped; its tokens still count.
        """
        if call := self._calls.pop(path, None):
            self._abort(call)
        elif tool := self._tools.pop(path, None):
            tool.cancel()
        self.prefetch.dropped(path)
        return self._streamed.pop(path, 0)

    def generate(self, node: Node[Any], work: Generation, *, priority: float) -> None:
        """Send a call to the engine."""
        self.prefetch.begun(node.path)
        received = Received(node, work)
        ended = partial(self._generated, node, received)
        try:
            self._calls[node.path] = Unattended(
                partial(self._receive, node, work, received, priority), self._calls_to, ended
            )
        except Overdue as overdue:
            ended(overdue)

    def use_tool(self, node: Node[Any], work: ToolUse, *, interrupted: bool) -> None:
        """Invoke a tool. ``interrupted`` means that an earlier process started it; its result is unknown."""
        assert self._group is not None
        self._tools[node.path] = self._group.create_task(self._use_tool(node, work, interrupted))

    def _abort(self, call: Unattended) -> None:
        call.cancel()
        self._aborted.add(call.task)
        call.task.add_done_callback(self._aborted.discard)

    def _settle(self, path: str, data: dict[str, Any], *, durable: bool = False) -> None:
        self._calls.pop(path, None)
        self._tools.pop(path, None)
        self.prefetch.look()
        self._inbox.put_nowait(Arrival(EventType.NODE_SETTLED, path, {"external": True, **data}, durable))

    def _generated(self, node: Node[Any], received: Received, error: Exception | None) -> None:
        """A call has ended, with an error or with what was received."""
        try:
            if error is not None:
                raise error
            outcome = received.outcome()
        except Overdue as overdue:
            outcome = _failed(EngineTimeout(f"the call {overdue.why}"), node, EngineTimeout)
        except Exception as failure:
            outcome = _failed(failure, node, EngineProtocolError)
        data = outcome | received.measurements()
        self._settle(node.path, data)
        if (usage := data.get("usage")) is not None:
            self.spend(usage["prompt_tokens"])

    async def _receive(self, node: Node[Any], work: Generation, received: Received, priority: float) -> None:
        """Send a call, and take in what comes of it."""
        await self._recorder.leased()
        this = self._calls[node.path]
        until = min(this.limit(self._environment.call_seconds), self._deadline)
        bind_contextvars(node=node.path)
        call = self._call(node.path, work, priority, already=received.text)
        full = 0
        while True:
            self._refused.check(call)
            try:
                if await self._streamed_whole(node, call, received, this):
                    return
                pause = 0.0
            except Overloaded as error:  # the calls of a running task wait within their time
                full += 1
                pause = self._refused.pause(call, error, full, until)
                received.restart()
            except WorkerError as error:
                self._refused.note(call, error)
                raise
            await asyncio.sleep(pause)
            await self._recorder.leased()
            call = self._call(node.path, work, priority, already=received.text)

    async def _streamed_whole(
        self, node: Node[Any], call: Call, received: Received, this: Unattended
    ) -> bool:
        """Take in what the engine streams; returns False if the call must be sent again.

        That is so if the stream restarted after the planner had read part of it.
        """
        assert self._environment.engine is not None
        chunks = stream(self._environment.engine, call)
        try:
            async for chunk in chunks:
                if chunk.restarted and not received.restart():
                    return False
                received.take(chunk)
                self._count(node.path, chunk.tokens, received)
                if received.answers and self._on_speech is not None:
                    self._on_speech(node.path, received.said, received.thought)
                if piece := received.piece():
                    self._inbox.put_nowait(Arrival(EventType.NODE_CHUNK, node.path, {"text": piece}))
                if chunk.finish_reason is not None:
                    this.complete()
        finally:
            await chunks.aclose()
        return True

    def _call(self, path: str, work: Generation, priority: float, already: str) -> Call:
        prompt = work.prompt()
        family = self._family_of(prompt.segments[:-1])
        if already:
            if not self._environment.capabilities.assistant_prefill:
                raise StreamInterrupted("the stream was cut off, and the engine cannot continue it")
            prompt = Prompt(prompt.segments + render([assistant(already)]).segments)
        return Call(
            prompt=prompt,
            sampling=work.sampling,
            schema=None if already else work.schema,
            grammar=None if already else work.grammar,
            functions=work.functions,
            role=work.role,
            priority=priority,
            family=family,
            tenant=self._environment.tenant,
            task=self._environment.task_id,
            return_token_ids=work.return_token_ids,
            traceparent=self._environment.traceparent and self._environment.traceparent(path),
            permit=self._recorder.leased,
        )

    def _family_of(self, shared: Sequence[Segment]) -> str:
        """The name of the calls with that prefix; mostly, one call after the other has the same."""
        texts = [(str.__str__(segment.role), segment.text) for segment in shared]
        if self._family is None or self._family[0] != texts:
            self._family = texts, digest([self._environment.task_id, texts])
        return self._family[1]

    def _count(self, path: str, tokens: int, received: Received) -> None:
        self._streamed[path] = self._streamed.get(path, 0) + tokens
        if self._on_progress is not None:
            latest = str if self._environment.redact else received.latest
            self._on_progress(path, self._streamed[path], latest)
        self.spend(tokens)

    def spend(self, tokens: int) -> None:
        """Count tokens against the budget."""
        bound = self._environment.budget.tokens
        within = bound is None or self._tokens <= bound
        self._tokens += tokens
        if bound is not None and within and self._tokens > bound:
            self.limit("tokens")

    async def _use_tool(self, node: Node[Any], work: ToolUse, interrupted: bool) -> None:
        bind_contextvars(node=node.path)
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
            key = self._environment.idempotency_key(node.path)
            most = self._environment.bounds.tool_result
            value = await tool.invoke(
                plain(bind(work.arguments)), key=key, most=most, permit=self._recorder.leased
            )
            data: dict[str, Any] = {"outcome": "succeeded", "value": value}
        except Exception as error:
            data = _failed(error, node, ToolError)
        data["timing"] = {"total": round(time.monotonic() - started, 6)}
        self._settle(node.path, data, durable=durable)


class StreamInterrupted(WorkerError):
    """A stream was cut off after the planner had read part of it, and the engine cannot continue it."""

    code = "stream_interrupted"
    retryable = True


class ToolInterrupted(WorkerError):
    """A tool with side effects may or may not have acted before a crash."""

    code = "tool_interrupted"


def _failed(error: Exception, node: Node[Any], breach: type[WorkerError]) -> dict[str, Any]:
    """Why a call or tool failed, as its event; ``breach`` is the error if the contract does not allow it."""
    known = typed(error, f"node {node.path}", breach)
    return failed(Failure(known.code, str(known), node.path, known.retryable))
