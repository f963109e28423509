"""Event-driven execution of one run.

The executor sends planner code on until every scope waits for something, then takes the next external
event (from the record while there is one, else from the engines and tools in flight), delivers it, and sends
on whoever waited for it. Events are delivered one at a time, so the order of the journal is the order that
planners saw, and a repeated run takes the same decisions.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog

from orchestrator.errors import AnabranchError, Divergence, Failure, NodeFailed, PlannerError, Unknown
from orchestrator.planning.run import Run
from orchestrator.runtime.drivers import Drivers, decode
from orchestrator.runtime.environment import Body, Environment, Recorder, Result, RunOutcome
from orchestrator.runtime.fork import Known, Memo
from orchestrator.runtime.graph import Graph
from orchestrator.runtime.messages import Message, plain
from orchestrator.runtime.nodes import Cancelled, Failed, Node, NodeKind, Outcome, Stream, Succeeded, Waitable
from orchestrator.runtime.record import Record
from orchestrator.runtime.scopes import Scope, opened, returned
from orchestrator.runtime.values import Answer, Spent
from orchestrator.runtime.work import Child, Generation, Merging, ToolUse, Work
from storage import codec
from storage.errors import StorageError
from storage.events import Event, EventType
from workers.calls import Usage

log = structlog.get_logger()


class Executor:
    """Executes one run. Single use.

    With a ``record`` the run is first repeated over it; then it goes live from where the record ends
    (resume), with events numbered from ``next_seq``, or must end there too (replay, if there is no engine).
    The deadline counts from the run's first event, or from ``since`` if that is later.
    """

    def __init__(
        self,
        environment: Environment,
        recorder: Recorder,
        *,
        record: Record | None = None,
        next_seq: int = 0,
        since: float = 0.0,
        memo: Memo | None = None,
        on_progress: Callable[[str, int], None] | None = None,
    ) -> None:
        self.environment = environment
        self.now = 0.0
        self._usage = Usage()
        self._cancelled_tokens = 0
        self._calls = 0
        self._recorder = recorder
        self._record = record or Record()
        self._memo = memo
        self._known = Known()
        self._resuming = self._record.pending
        self._seq = next_seq
        self._since = since
        self._graph = Graph()
        self._nodes: dict[str, Node[Any]] = {}
        self._works: dict[str, Work] = {}
        self._keys: dict[str, str] = {}
        self._scopes: dict[str, Scope] = {}
        self._startable: deque[Node[Any]] = deque()
        self._runnable: deque[Scope] = deque()
        self._held: dict[str, Node[Any]] = {}
        self._reusable: dict[str, Event] = {}
        self._current: Scope | None = None
        self._in_flight: set[str] = set()
        self._best: dict[str, Callable[[], Answer]] = {}
        self._limit: str | None = None
        self._broken: Divergence | StorageError | None = None
        self._drivers = Drivers(environment, recorder, on_progress)

    # -- the run, from start to end ---------------------------------------------------------------

    async def execute(self, body: Body, header: Mapping[str, Any]) -> Result:
        """Run ``body`` to its end. ``header`` describes the run in the journal's first event.

        Raises:
            Divergence: the run did something else than its record, or would have to go live in a replay.
        """
        started = self._emit(EventType.RUN_STARTED, "", dict(header))
        self.now = started.at
        root = self._open_root(body)
        try:
            async with self._drivers.running(self._deadline(max(started.at, self._since))):
                self._advance()
                while root.outcome is None and self._limit is None:
                    if self._in_flight:
                        self._deliver(await self._next_event())
                    else:
                        self._break_circle()
                    self._advance()
                result = self._close(root)
        finally:
            for scope in self._scopes.values():
                self._shut(scope)
        if self._record.pending:
            raise Divergence("", "the run has ended, the record goes on")
        return result

    def _open_root(self, body: Body) -> Node[Answer]:
        root: Node[Answer] = Node(self, "", NodeKind.SPAWN, "root")
        self._nodes[""] = root
        self._enlist(Scope(root, 0, body))
        return root

    def _deadline(self, started_at: float) -> float | None:
        seconds = self.environment.budget.seconds
        return None if seconds is None else max(0.0, started_at + seconds - time.time())

    def _advance(self) -> None:
        """Start what is ready and send on every scope that can go on."""
        while (self._startable or self._runnable) and self._limit is None:
            if self._startable:
                self._start(self._startable.popleft())
            else:
                self._step(self._runnable.popleft())
            if self._broken is not None:  # planner code may have caught it
                raise self._broken

    async def _next_event(self) -> Event:
        if self._record.pending:
            event = self._record.external()
            await self._record.due(event)
            return event
        if self.environment.engine is None and self._memo is None:
            raise Divergence("", f"the record has ended, the run waits for {self._awaited()}")
        if self._held:
            self._leave_record()
        for node in list(self._held.values()):
            self._go_live(node)
        self._held.clear()
        if self._known:
            kind, path, data = self._known.pop()
            return self._emit(kind, path, self._redacted(path, data))
        if self.environment.engine is None:
            raise Unknown(f"it waits for {self._awaited()}, which the trace has no result of")
        while True:
            arrival = await self._drivers.next_arrival()
            node = self._nodes[arrival.path]
            if node.outcome is not None:
                continue  # a call that ended while it was being cancelled has lost its say
            event = self._emit(arrival.type, arrival.path, self._redacted(arrival.path, arrival.data))
            if arrival.durable:
                await self._recorder.flush()
            await self._recorder.room()
            return event

    def _redacted(self, path: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """What came from outside as it will be stored, so that a repeated run is told the same."""
        if self.environment.redact is None:
            return data
        kept: dict[str, Any] = codec.redacted(data, self.environment.redact, codec.EVENT_IDENTIFIERS)
        if self._nodes[path].kind is NodeKind.GENERATE and "value" in data:
            value = kept["value"]
            if value["text"] != data["value"]["text"]:  # its tokens still spell what it said
                kept["value"] = {name: value[name] for name in value if name not in ("token_ids", "logprobs")}
        return kept

    def _awaited(self) -> str:
        return ", ".join(sorted(self._in_flight))

    def _close(self, root: Node[Answer]) -> Result:
        """Cancel what is left, and write the last event."""
        outcome = root.outcome
        limit = self._limit if outcome is None else None
        for child in self._shut(self._scopes[""]):
            self._settle_caused(child, Cancelled(f"the run reached its limit: {limit}"))
        answer = failure = None
        match outcome:
            case Succeeded(Answer() as value):
                ended, answer = RunOutcome.ANSWERED, value
            case Failed(reason):
                ended, failure = RunOutcome.FAILED, reason
            case _:
                answer = self._best_so_far()
                ended = RunOutcome.CANCELLED if limit == "cancelled" else RunOutcome.LIMITED
                if answer is None and ended is RunOutcome.LIMITED:
                    failure = Failure(
                        "budget_exhausted", f"the run reached its limit of {limit} without an answer"
                    )
        data = {"outcome": ended.value, "answer": plain(answer), "limit": limit, "error": plain(failure)}
        self._emit(
            EventType.RUN_FINISHED, "", {key: value for key, value in data.items() if value is not None}
        )
        return Result(ended, answer, self.spent, failure, limit)

    def _best_so_far(self) -> Answer | None:
        """What the scope nearest to the root has offered, the latest of several."""
        offers = list(self._best.items())
        path, offer = min(reversed(offers), key=lambda item: self._scopes[item[0]].depth, default=("", None))
        try:
            return None if offer is None else offer()
        except Exception as error:
            log.exception("planner code raised", node=path, error=str(error))
            return None

    # -- events -----------------------------------------------------------------------------------

    def _emit(self, kind: EventType, path: str, data: Mapping[str, Any]) -> Event:
        """Confirm the event against the record, or append it to the journal.

        After a first error every further event meets the same one: planner code may have caught it.
        """
        if self._broken is not None:
            raise self._broken
        try:
            if self._record.pending:
                return self._record.confirm(kind, path, data)
            if self.environment.engine is None and self._memo is None:
                raise Divergence(path, f"the record has ended, the run goes on with {kind}")
            self._leave_record()
            return self._append(kind, path, data)
        except (Divergence, StorageError) as error:
            self._broken = error
            raise

    def _leave_record(self) -> None:
        """Mark where a resumed run goes live, and count what it had spent before."""
        if self._resuming:
            self._resuming = False
            self._append(EventType.RUN_RESUMED, "", {})
            self._drivers.spend(self._usage.prompt_tokens + self._usage.completion_tokens)

    def _append(self, kind: EventType, path: str, data: Mapping[str, Any]) -> Event:
        event = Event(self._seq, kind, path, time.time(), data)
        self._recorder.append(event)
        self._seq += 1
        return event

    def _deliver(self, event: Event) -> None:
        """Take in what came from outside."""
        self.now = event.at
        if event.type is EventType.LIMIT_REACHED:
            self._limit = str(event.data["limit"])
            return
        if event.path not in self._in_flight:
            raise Divergence(event.path, f"the record has {event.type} for a node that is not in flight")
        node = self._nodes[event.path]
        if event.type is EventType.NODE_CHUNK:
            if not isinstance(node, Stream):
                raise Divergence(event.path, "the record has it as a stream, the run generates it whole")
            node.received += event.data["text"]
            self._wake(node.chunk)
            return
        self._account(node, event)
        for consequence in self._settle(node, decode(node.kind, event.data)):
            self._settle_caused(*consequence)

    def _account(self, node: Node[Any], event: Event) -> None:
        if "reused" in event.data and node.kind is NodeKind.GENERATE:
            self._calls -= 1
        if usage := event.data.get("usage"):
            node.usage = Usage(**usage)
            self._usage += node.usage
            if event.data["outcome"] == "cancelled":
                self._cancelled_tokens += node.usage.completion_tokens

    # -- nodes ------------------------------------------------------------------------------------

    def add(self, scope: Scope, node: Node[Any], work: Work) -> None:
        """Put a new node of ``scope`` into the graph, and start it if its inputs are there."""
        if scope.closed:
            raise PlannerError(f"scope {scope.name} has ended; it can add no {node.kind}")
        if scope is not self._current:
            raise PlannerError(
                f"the run of scope {scope.name} was used outside of its code; what is spawned gets its own"
            )
        inputs = {source.path: source for source in work.inputs()}
        for source in inputs.values():
            if self._nodes.get(source.path) is not source:
                raise PlannerError(
                    f"node {source.path} belongs to another run; it cannot be an input of {node.path}"
                )
        settled = [path for path, source in inputs.items() if source.outcome is not None]
        cost = 1.0
        if isinstance(work, Generation):
            cost = float(work.sampling.max_tokens)
            self._drivers.prefetch.begun(_next_of(scope))
        ready = self._graph.add(node.path, inputs, settled=settled, cost=cost)
        scope.children.append(node)
        self._nodes[node.path] = node
        self._works[node.path] = work
        data: dict[str, Any] = {"kind": node.kind.value, "label": node.label}
        if inputs:
            data["inputs"] = list(inputs)
        if seen := scope.newly_seen():
            data["after"] = seen
        lost = next(
            (source for source in inputs.values() if isinstance(source.outcome, Failed | Cancelled)), None
        )
        if ready and lost is None:
            self._start(node, data)
            return
        self._emit(EventType.NODE_ADDED, node.path, data)
        if lost is not None:
            self._settle_caused(node, _inherited(lost))
        elif isinstance(work, Generation):
            self._expect(node.path, work.messages, work.role)

    def _expect(self, name: str, messages: Sequence[Message], role: str) -> None:
        """Let the engine know what a call will begin with; a run that only repeats makes none."""
        if not self._record.pending and self._memo is None:
            self._drivers.prefetch.expect(name, messages, role)

    def _start(self, node: Node[Any], added: dict[str, Any] | None = None) -> None:
        """Begin the work of a node whose inputs are there.

        ``added`` is the event of a node that starts as soon as it is added; it tells both in one.
        """
        if node.outcome is not None:
            return
        work = self._works[node.path] = self._changed(node.path)
        kind, data = (EventType.NODE_STARTED, {}) if added is None else (EventType.NODE_ADDED, added)
        impossible: Failed | None = None
        if isinstance(work, Generation | ToolUse):
            try:
                data["request"] = work.request()
                self._keys[node.path] = data["request"]["key"]
                if isinstance(work, ToolUse) and work.takes_key(self.environment.toolbox):
                    data["request"]["idempotency_key"] = self.environment.idempotency_key(node.path)
            except Exception as error:
                impossible = Failed(_failure_of(error, node.path))
        begun_before = self._record.pending
        self._emit(kind, node.path, data)
        if impossible is not None:
            self._settle_caused(node, impossible)
        elif isinstance(work, Merging):
            self._settle_caused(node, _merged(work, node.path))
        elif isinstance(work, Child):
            self._open_scope(node, work)
        else:
            self._begin(node, work, begun_before)

    def _changed(self, path: str) -> Work:
        """The work of a node, as the fork has it."""
        work = self._works[path]
        change = self.environment.changes.get(path)
        if change is None:
            return work
        if isinstance(work, Generation):
            return change.generation(work)
        return change.tool_use(work) if isinstance(work, ToolUse) else work

    def _begin(self, node: Node[Any], work: Generation | ToolUse, begun_before: bool) -> None:
        """Send a call or tool on its way, within the budget.

        What an earlier process began is held until it is known that the record does not have its result.
        """
        self._in_flight.add(node.path)
        budget, calls = self.environment.budget, self._calls + isinstance(work, Generation)
        if budget.calls is not None and calls > budget.calls:
            self._limit = self._limit or "calls"
        elif budget.width is not None and len(self._in_flight) > budget.width:
            self._limit = self._limit or "width"
        if self._limit is not None:
            return
        self._calls = calls
        self._reserve(node)
        if begun_before:
            self._held[node.path] = node
        else:
            self._go_live(node)

    def _go_live(self, node: Node[Any]) -> None:
        work = self._works[node.path]
        change = self.environment.changes.get(node.path)
        if change is not None and change.gives_value:
            self._known.give(node.path, node.kind, change.value, _already(node))
        elif (event := self._reusable.pop(node.path, None)) is not None:
            self._reuse(node, event)
        elif self.environment.engine is None:
            return  # a counterfactual does without it, as long as nothing waits for it
        elif isinstance(work, Generation):
            self._drivers.generate(node, work, priority=self._graph.upward_rank(node.path))
        elif isinstance(work, ToolUse):
            self._drivers.use_tool(node, work, interrupted=node.path in self._held)

    def _reserve(self, node: Node[Any]) -> None:
        """Keep for a node what another run got where it asked for the same.

        Also while the record lasts: a result that a node was given before a crash is not for another one.
        """
        change = self.environment.changes.get(node.path)
        if self._memo is None or (change is not None and change.gives_value):
            return
        seed = None if change is None else change.seed
        event = self._memo.take(node.path, self._keys[node.path], seed=seed)
        if event is not None:
            self._reusable[node.path] = event

    def _reuse(self, node: Node[Any], event: Event) -> None:
        """Give a node what another run got."""
        assert self._memo is not None
        already = _already(node)
        if already is None:
            self._known.reuse(node.path, event)
        else:
            self._known.reuse(node.path, event, self._memo.pieces(event), already)

    def cancel(self, node: Node[Any], reason: str) -> None:
        """Cancel ``node``, what needs it, and what only it needed.

        Code that is being dropped has no say any more, and what it left open is cancelled anyway.
        """
        if self._current is not None:
            self._settle_caused(node, Cancelled(reason))

    def _settle_caused(self, node: Node[Any], outcome: Outcome[Any]) -> None:
        """Settle a node, and all that follows from it, because of what the run itself did."""
        pending: deque[tuple[Node[Any], Outcome[Any]]] = deque([(node, outcome)])
        while pending:
            node, outcome = pending.popleft()
            if node.outcome is not None:
                continue
            match outcome:
                case Succeeded(value):
                    data: dict[str, Any] = {"outcome": "succeeded", "value": plain(value)}
                case Failed(failure):
                    data = {"outcome": "failed", "error": plain(failure)}
                case Cancelled(reason):
                    data = {"outcome": "cancelled", "reason": reason}
                    if self._known and self._known.drop(node.path):
                        data["reused"] = {}
                    if tokens := self._drivers.abort(node.path):
                        data["usage"] = {"completion_tokens": tokens}
            self._account(node, self._emit(EventType.NODE_SETTLED, node.path, data))
            pending.extend(self._settle(node, outcome))

    def _settle(self, node: Node[Any], outcome: Outcome[Any]) -> Iterable[tuple[Node[Any], Outcome[Any]]]:
        """Give the node its outcome, once, and tell whoever awaits it; returns what follows for others."""
        node.outcome = outcome
        self._in_flight.discard(node.path)
        self._held.pop(node.path, None)
        self._reusable.pop(node.path, None)
        self._wake(node)
        if isinstance(node, Stream):
            self._wake(node.chunk)
        for arrivals in node.arrivals:
            arrivals.arrived(node)
            if arrivals.ready():
                self._wake(arrivals)
        ready = [self._nodes[path] for path in self._graph.settle(node.path)]
        if isinstance(outcome, Succeeded):
            self._startable.extend(ready)
            return ()
        needy = [self._nodes[path] for path in self._graph.dependents(node.path)]
        lost = [(dependent, _inherited(node)) for dependent in needy]
        if isinstance(outcome, Cancelled):
            if (scope := self._scopes.get(node.path)) is not None:
                lost += [(child, Cancelled("its scope was cancelled")) for child in self._shut(scope)]
            lost += [(source, Cancelled(f"only {node.path} needed it")) for source in self._orphans(node)]
        return lost

    def _orphans(self, node: Node[Any]) -> list[Node[Any]]:
        """The inputs of a cancelled node that nobody else needs or waits for."""
        sources = [self._nodes[path] for path in self._graph.inputs(node.path)]
        return [
            source
            for source in sources
            if source.outcome is None
            and all(scope.closed for scope in source.waiters)
            and not source.arrivals
            and all(self._nodes[path].outcome is not None for path in self._graph.dependents(source.path))
        ]

    # -- scopes -----------------------------------------------------------------------------------

    def _open_scope(self, node: Node[Any], work: Child) -> None:
        parent = self._scopes[node.path.rpartition(".")[0]]
        depth = self.environment.budget.depth
        if depth is not None and parent.depth >= depth:
            self._limit = self._limit or "depth"
        else:
            self._enlist(Scope(node, parent.depth + 1, work.body))

    def _enlist(self, scope: Scope) -> None:
        self._scopes[scope.node.path] = scope
        self._runnable.append(scope)

    def _step(self, scope: Scope) -> None:
        """Send planner code on until it waits for something or ends."""
        if scope.closed:
            return
        try:
            waited = self._send(scope)
        except StopIteration as end:
            self._end_scope(scope, returned(scope, end.value))
        except (Divergence, StorageError):
            raise
        except (Exception, asyncio.CancelledError) as failure:  # nobody but its own code cancels a planner
            self._end_scope(scope, Failed(_failure_of(failure, scope.node.path)))
        else:
            self._suspend(scope, waited)

    def _send(self, scope: Scope) -> object:
        """Run planner code until it waits for something, and return that.

        Meanwhile asyncio knows of no current task: its time-outs and task groups would cancel the
        executor's, so they refuse to work.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        asyncio.tasks._leave_task(loop, task)
        self._current = scope
        try:
            if scope.coroutine is None:
                scope.coroutine = opened(scope.body, Run(self, scope))
            return scope.coroutine.send(None)
        finally:
            self._current = None
            asyncio.tasks._enter_task(loop, task)

    def _suspend(self, scope: Scope, waited: object) -> None:
        """Let a scope wait for what its code awaited."""
        if scope.closed:  # it cancelled itself, through an ancestor
            self._shut(scope)
        elif isinstance(waited, Waitable) and waited.executor is self:
            waited.waiters.append(scope)
        else:
            awaited = "another run" if isinstance(waited, Waitable) else type(waited).__name__
            self._fail_scope(
                scope,
                f"planner code awaited something of {awaited}, not of its own run; "
                "use a tool for I/O, run.spawn for concurrency and the run's own verbs for the rest",
            )

    def _break_circle(self) -> None:
        """Fail the newest scope, when all wait and nothing is under way that could send one on."""
        scope = next(scope for scope in reversed(self._scopes.values()) if not scope.closed)
        self._fail_scope(scope, f"scope {scope.name} waits, directly or through others, for itself")

    def _fail_scope(self, scope: Scope, message: str) -> None:
        self._end_scope(scope, Failed(Failure(PlannerError.code, message, scope.node.path)))

    def _end_scope(self, scope: Scope, outcome: Outcome[Any]) -> None:
        """End a scope; what it left open is cancelled first."""
        if scope.closed:
            return
        for child in self._shut(scope):
            self._settle_caused(child, Cancelled("its scope has ended"))
        if scope.node.path:
            self._settle_caused(scope.node, outcome)
        else:
            scope.node.outcome = outcome

    def _shut(self, scope: Scope) -> list[Node[Any]]:
        """Take no more nodes from a scope, drop its code, and return the nodes that it left open."""
        scope.closed = True
        current, self._current = self._current, None
        try:
            if scope.coroutine is not None and scope is not current:
                scope.coroutine.close()
        except Exception as error:
            log.warning("planner code resisted its end", node=scope.name, error=repr(error))
        finally:
            self._current = current
        return [child for child in scope.children if child.outcome is None]

    def _wake(self, waitable: Waitable) -> None:
        self._runnable.extend(waitable.waiters)
        waitable.waiters.clear()

    # -- what the run's verbs need ----------------------------------------------------------------

    @property
    def spent(self) -> Spent:
        """What the run has used so far."""
        return Spent(self._usage, self._cancelled_tokens, self._calls)

    def observed(self, node: Node[Any]) -> None:
        """Note that the current scope has seen the result of ``node``: what it adds next comes after it."""
        if self._current is not None:
            self._current.seen.append(node.path)

    def decide(self, scope: Scope, by: str, verdict: str, saw: Mapping[str, Any]) -> None:
        """Write down a decision."""
        if scope.closed:
            raise PlannerError(f"scope {scope.name} has ended; it can decide nothing")
        self._emit(EventType.DECISION, scope.node.path, {"by": by, "verdict": verdict, "saw": plain(saw)})

    def expect(self, scope: Scope, messages: Sequence[Message], role: str) -> None:
        """Note what the next call of a scope will begin with."""
        if not scope.closed:
            self._expect(_next_of(scope), messages, role)

    def propose(self, scope: Scope, answer: Callable[[], Answer]) -> None:
        """Keep the best answer that a scope has so far."""
        self._best.pop(scope.node.path, None)
        self._best[scope.node.path] = answer

    def interrupt(self, limit: str) -> None:
        """End the run from outside, as when a user cancels it."""
        self._drivers.limit(limit)


def _next_of(scope: Scope) -> str:
    return f"next of {scope.name}"


def _already(node: Node[Any]) -> int | None:
    """How many characters a stream has been given; None for another node."""
    return len(node.received) if isinstance(node, Stream) else None


def _inherited(source: Node[Any]) -> Outcome[Any]:
    """What becomes of a node whose input has no value."""
    if isinstance(source.outcome, Failed):
        return source.outcome
    return Cancelled(f"its input {source.path} was cancelled")


def _merged(work: Merging, path: str) -> Outcome[Any]:
    try:
        return Succeeded(work.apply())
    except Exception as error:
        return Failed(_failure_of(error, path))


def _failure_of(error: BaseException, path: str) -> Failure:
    match error:
        case NodeFailed():
            return error.failure
        case AnabranchError():
            return Failure(error.code, str(error), path, error.retryable)
        case _:
            log.error("planner code raised", node=path, exc_info=error)
            return Failure(PlannerError.code, f"planner code raised {type(error).__name__}: {error}", path)
