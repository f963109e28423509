"""Event-driven execution of one run.

The executor advances planner code until every scope waits for something, then takes the next external event
(from the record while it lasts, otherwise from the engines and tools in flight), delivers it, and advances
the code that waited for it. Events are delivered one at a time, so planners see them in the order of the
journal, and a repeated run makes the same decisions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Generic, TypeVar

import structlog

from orchestrator.errors import Divergence, Failure, PlannerError, Unknown
from orchestrator.runtime.account import Account
from orchestrator.runtime.answers import answer_of
from orchestrator.runtime.beginning import Beginning
from orchestrator.runtime.border import Border
from orchestrator.runtime.drivers import Drivers, OnProgress, OnSpeech
from orchestrator.runtime.environment import Environment, Recorder, Result, RunOutcome
from orchestrator.runtime.graph import Graph
from orchestrator.runtime.interruption import RunEnded, paused
from orchestrator.runtime.journaling import Journaling
from orchestrator.runtime.messages import Message
from orchestrator.runtime.nodes import Cancelled, Failed, Node, NodeKind, Outcome, Stream, Succeeded
from orchestrator.runtime.outcomes import redacted
from orchestrator.runtime.plain import label, plain, said
from orchestrator.runtime.record import Record
from orchestrator.runtime.reuse import Memo
from orchestrator.runtime.scopes import Scope, Scopes
from orchestrator.runtime.settling import Settling
from orchestrator.runtime.stepping import Stepping
from orchestrator.runtime.underway import Underway
from orchestrator.runtime.values import Answer, Spent
from orchestrator.runtime.work import Generation, Work
from storage.events import Event, EventType

TURNS = 64
"""After so many steps without waiting for anything from outside, the other runs of the process get a turn."""

log = structlog.get_logger()

Handle = TypeVar("Handle")
"""What planner code is handed: a run, with the verbs that it may use."""


class Executor(Generic[Handle]):
    """Executes one run. Single use.

    With a ``record`` the run is first repeated over it; then it either goes live from where the record ends
    (resume), with events numbered from ``next_seq``, or must end there too (replay, if there is no engine).
    The deadline counts from the run's first event, or from ``since`` if that is later.

    Args:
        handle: makes what the code of a scope is handed; normally the class
            :class:`~orchestrator.planning.run.Run`.
        memo: the results of another run, for a fork of it.
        on_progress: called with the path of a call, the number of tokens that it has generated so far, and
            what gives the end of their text.
        on_speech: called with the path of the call whose text is the answer, and what gives its text.
    """

    def __init__(
        self,
        handle: Callable[[Executor[Handle], Scope], Handle],
        environment: Environment,
        recorder: Recorder,
        *,
        record: Record | None = None,
        next_seq: int = 0,
        since: float = 0.0,
        memo: Memo | None = None,
        on_progress: OnProgress | None = None,
        on_speech: OnSpeech | None = None,
    ) -> None:
        self.environment = environment
        self.now = 0.0
        self._record = record or Record()
        self._since = since
        self._turn = 0
        self._memo = memo
        self._live = environment.engine is not None or memo is not None
        self._offers: dict[str, Callable[[], Answer | None]] = {}
        self._account = Account(environment.budget)
        self._drivers = Drivers(environment, recorder, on_progress, on_speech)
        self._journal = Journaling(
            self._record, recorder, live=self._live, next_seq=next_seq, on_resumed=self._resumed
        )
        self._border = Border(self._journal, self._account, environment.task_id)
        self._scopes = Scopes(lambda scope: handle(self, scope), self._border)
        graph = Graph()
        self._underway = Underway(environment, self._drivers, graph, memo)
        self._settling = Settling(self._journal, graph, self._scopes, self._underway, self._account)
        self._beginning = Beginning(
            environment,
            self._journal,
            graph,
            self._scopes,
            self._underway,
            self._settling,
            self._account,
            self._border,
        )
        self._stepping = Stepping(self._scopes, self._settling, self._border, environment.bounds, self)

    # -- the run, from start to end ---------------------------------------------------------------

    async def execute(
        self, body: Callable[[Handle], Coroutine[Any, Any, Answer]], header: Mapping[str, Any]
    ) -> Result:
        """Run ``body`` to its end. ``header`` describes the run in the journal's first event.

        Raises:
            Divergence: the run did not do what its record says, or would have to go live in a replay.
            PlannerStuck: its code had to be interrupted where the record says that it went on.
        """
        self._border.open(str(header.get("planner", "")))
        started = self._journal.emit(EventType.RUN_STARTED, "", dict(header))
        self.now = started.at
        root: Node[Answer] = Node(self, "", NodeKind.SPAWN, "root")
        self._settling.nodes[""] = root
        self._scopes.open(root, 0, body)
        try:
            async with self._drivers.running(self._deadline(max(started.at, self._since))):
                await self._advance()
                while root.outcome is None and self._account.limit is None:
                    if self._underway.in_flight:
                        self._deliver(await self._next_event())
                    else:
                        self._stepping.break_circle()
                    await self._advance()
                result = await self._close(root)
        finally:
            self._scopes.shut_all()
        if self._record.pending:
            raise Divergence("", "the run has ended, the record goes on")
        return result

    def _deadline(self, started_at: float) -> float | None:
        seconds = self.environment.budget.seconds
        return None if seconds is None else max(0.0, started_at + seconds - time.time())

    async def _advance(self) -> None:
        """Start what is ready, and advance every scope that can go on, giving others a turn now and then."""
        startable, runnable = self._settling.startable, self._scopes.runnable
        for turn in count(1):
            if not (startable or runnable) or self._account.limit is not None:
                return
            if startable:
                with suppress(RunEnded):
                    self._beginning.start(startable.popleft())
            else:
                self._stepping.step(runnable.popleft())
            self._journal.check()
            if turn % TURNS == 0:
                await self._pause()
                self._turn += TURNS
                self._end_early()

    async def _pause(self) -> None:
        """Give others a turn, and the journal time to write."""
        await self._journal.room()
        await asyncio.sleep(0)

    def _end_early(self) -> None:
        """End a run that has reached a bound from outside, though it never waits to be told so."""
        if self._journal.repeating:
            if (event := self._journal.cut_short(self._turn)) is not None:
                self._account.end(event.data)
        elif self._journal.appending and self._drivers.reached is not None:
            data = {"limit": self._drivers.reached, "turn": self._turn}
            self._account.end(self._journal.emit(EventType.LIMIT_REACHED, "", data).data)

    async def _next_event(self) -> Event:
        if self._journal.repeating:
            return await self._journal.recorded()
        if not self._live:
            raise Divergence("", f"the record has ended, the run waits for {self._underway.names()}")
        if self._underway.holding:
            self._journal.leave_record()
            self._underway.release()
        if (known := self._underway.known()) is not None:
            return self._told(*known)
        if self.environment.engine is None:
            raise Unknown(f"it waits for {self._underway.names()}, which the trace has no result of")
        while True:
            arrival = await self._drivers.next_arrival()
            if self._settling.nodes[arrival.path].outcome is not None:
                continue  # the call ended while it was being cancelled: its result is dropped
            event = self._told(arrival.type, arrival.path, arrival.data)
            if arrival.durable:
                await self._journal.stored()
            await self._journal.room()
            return event

    def _told(self, kind: EventType, path: str, data: Mapping[str, Any]) -> Event:
        """Write an external event into the journal, redacted where that is asked for."""
        if self.environment.redact is not None:
            data = redacted(self._settling.nodes[path].kind, data, self.environment.redact)
        return self._journal.emit(kind, path, data)

    def _deliver(self, event: Event) -> None:
        """Deliver an external event to the run."""
        self.now = event.at
        if event.type is EventType.LIMIT_REACHED:
            self._account.end(event.data)
            return
        if event.path not in self._underway.in_flight:
            raise Divergence(event.path, f"the record has {event.type} for a node that is not in flight")
        node = self._settling.nodes[event.path]
        if event.type is not EventType.NODE_CHUNK:
            self._settling.told(node, event)
        elif isinstance(node, Stream):
            node.received += event.data["text"]
            node.chunk.wake()
        else:
            raise Divergence(event.path, "the record has it as a stream, the run generates it whole")

    async def _close(self, root: Node[Answer]) -> Result:
        """Cancel what is left, and write the last event."""
        outcome = root.outcome
        limit = self._account.limit if outcome is None else None
        for turn, child in enumerate(self._scopes.shut(self._scopes.at("")), 1):
            self._settling.caused(child, Cancelled(f"the run reached its limit: {limit}"))
            if turn % TURNS == 0:
                await self._pause()
        result = self._result(outcome, limit)
        data = {
            "outcome": result.outcome.value,
            "answer": plain(result.answer),
            "limit": result.limit,
            "error": plain(result.failure),
        }
        told = {key: value for key, value in data.items() if value is not None}
        self._journal.emit(EventType.RUN_FINISHED, "", told)
        return result

    def _result(self, outcome: Outcome[Answer] | None, limit: str | None) -> Result:
        best = self._best_so_far() if outcome is None else None
        if self._account.failure is not None:
            return Result(RunOutcome.FAILED, None, self.spent, self._account.failure)
        match outcome:
            case Succeeded(Answer() as answer):
                outcome_of_run = RunOutcome.UNDECIDED if answer.undecided else RunOutcome.ANSWERED
                return Result(outcome_of_run, answer, self.spent)
            case Failed(failure):
                return Result(RunOutcome.FAILED, None, self.spent, failure)
        if limit == "cancelled":
            return Result(RunOutcome.CANCELLED, best, self.spent, limit=limit)
        message = f"the run reached its limit of {limit} without an answer"
        without = Failure("budget_exhausted", message) if best is None else None
        return Result(RunOutcome.LIMITED, best, self.spent, without, limit)

    def _best_so_far(self) -> Answer | None:
        """The offer of the scope nearest to the root; of several such offers, the latest.

        What code offers that runs ahead counts once what it has started from is confirmed.
        """
        offers = [each for each in reversed(self._offers.items()) if self._scopes.at(each[0]).gate is None]
        offers.sort(key=lambda item: self._scopes.at(item[0]).depth)
        for path, offer in offers:
            if self._account.failure is not None:
                break
            with suppress(RunEnded, PlannerError):
                offered = self._border.call(path, self._offered, offer)
                if isinstance(offered, Answer):
                    return offered
                if offered is not None:
                    log.warning("planner code made a wrong offer", node=path, error=offered)
        return None

    def _offered(self, offer: Callable[[], Answer | None]) -> Answer | str | None:
        """The answer that is offered, if there is one yet, or what is wrong with it. This is planner code."""
        try:
            made = offer()
            return made and answer_of(made, self._border.planner, self.environment.bounds.answer)
        except RunEnded:
            raise
        except BaseException as error:
            return f"{type(error).__name__}: {said(error, self.environment.bounds.value)}"

    def _resumed(self) -> None:
        """Count what the run had spent before, now that it goes live where its record ends."""
        usage = self.spent.usage
        self._drivers.spend(usage.prompt_tokens + usage.completion_tokens)

    # -- what nodes and the run's verbs need -------------------------------------------------------

    @property
    def spent(self) -> Spent:
        """What the run has used so far."""
        return self._account.spent

    @property
    def nodes(self) -> int:
        """How many nodes the run has added, and decisions it has written down."""
        return self._account.nodes

    def add(self, scope: Scope, node: Node[Any], work: Work) -> None:
        """Add a new node of ``scope`` to the graph, and start it if its inputs are ready.

        Raises:
            PlannerError: the scope has ended or is not the one running, or an input belongs to another run.
            RunEnded: the run is over.
        """
        sources = list(work.inputs())
        with self._border:
            waits = self._beginning.add(scope, node, work, sources)
            if isinstance(work, Generation):
                self._drivers.prefetch.begun(scope.next_call)
                if waits:
                    self._expect(node.path, work.messages, work.role)

    def observed(self, node: Node[Any]) -> None:
        """Note that the current scope has seen the result of ``node``: what it adds next comes after it."""
        if self._scopes.current is not None:
            self._scopes.current.seen[node.path] = None

    def waits(self) -> None:
        """Planner code is about to wait. Raises RunEnded if nothing will wake it any more."""
        self._border.waits()

    def cancel(self, node: Node[Any], reason: str) -> None:
        """Cancel ``node``, what needs it, and what only it needed.

        Code that is being dropped can cancel nothing; what it left open is cancelled anyway.

        Raises:
            RunEnded: the run is over.
        """
        if self._scopes.current is not None:
            gone = Cancelled(label(reason, self.environment.bounds.label))
            with self._border:
                self._settling.caused(node, gone)

    def decide(self, scope: Scope, data: Mapping[str, Any]) -> None:
        """Write a decision into the journal: who decided, what, and what was seen.

        Raises:
            PlannerError: the scope has ended.
            RunEnded: the run is over.
        """
        with self._border:
            self._beginning.spare_node(scope)
            if scope.closed:
                self._border.refuse(PlannerError(f"scope {scope.name} has ended; it can decide nothing"))
            self._border.admit(EventType.DECISION, scope.node.path)
            self._journal.emit(EventType.DECISION, scope.node.path, data)

    def expect(self, scope: Scope, messages: Sequence[Message], role: str) -> None:
        """Note what the next call of a scope will begin with."""
        if not scope.closed:
            with paused():
                self._expect(scope.next_call, messages, role)

    def _expect(self, name: str, messages: Sequence[Message], role: str) -> None:
        """Let the engine know what a call will begin with; a run that only repeats makes no calls."""
        if not self._journal.repeating and self._memo is None:
            with suppress(Exception):  # a value that cannot be shown fails the call, if that is made
                self._drivers.prefetch.expect(name, messages, role)

    def propose(self, scope: Scope, answer: Callable[[], Answer | None]) -> None:
        """Keep the best answer that a scope has so far."""
        self._offers.pop(scope.node.path, None)
        self._offers[scope.node.path] = answer

    def confirm(self, node: Node[Any]) -> None:
        """Confirm what the code of ``node``, which runs ahead, has started from.

        Raises:
            RunEnded: the run is over.
        """
        with self._border:
            scope = self._scopes.find(node.path)
            if scope is not None and scope.ahead:
                self._beginning.open(scope.gates[-1])

    def tokens_of(self, node: Node[Any]) -> int:
        """The completion tokens of a node, and of all that stands in its scope."""
        return sum(each.usage.completion_tokens for each in self._scopes.beneath(node))

    def interrupt(self, limit: str) -> None:
        """End the run from outside, as when a user cancels it."""
        self._drivers.limit(limit)
