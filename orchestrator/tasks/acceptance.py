"""From a request to a stored task, and to a claim on it if the caller waits for its end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from orchestrator.access.caller import Caller
from orchestrator.access.gate import Access
from orchestrator.errors import InvalidRequest
from orchestrator.planning.finding import FindPlanner
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.plain import plain
from orchestrator.settings import Settings
from orchestrator.tasks.calibrations import Calibrations
from orchestrator.tasks.containment import sheltered
from orchestrator.tasks.requests import BudgetRequest, TaskRequest, sampling_of, until
from orchestrator.tasks.turns import Turns
from orchestrator.tracing.live import Tracing
from orchestrator.webhooks.registry import Registry
from storage.errors import DeadlinePassed, IllegalTransition, QueueFull, StorageError
from storage.queueing import Rules
from storage.store import Store
from storage.tasks import Claim, NewTask, Priority, Task, TaskStatus

_APART = {"query", "context", "choices", "history", "planner", "seed", "tenant", "abstain_below", "webhook"}
"""What a request says that is not stored as it is among the options of its task."""

_LATER = {"priority", "deadline", "format", "stop", "metadata", "asked_by"}
"""Stored only where they say something, as before there were any, so that a key still finds its task."""

POLL_SECONDS = 0.5
"""How often to check on a task that has the same idempotency key and runs elsewhere."""


def rules_of(settings: Settings) -> Rules:
    """How many tasks may wait, and in which order they begin."""
    return Rules(
        most=settings.queue,
        most_of_tenant=settings.tenant_queue,
        weights=settings.tenant_weights,
        batch_every=settings.batch_every,
    )


def _question_of(request: TaskRequest) -> dict[str, Any]:
    """The question as it is stored; one without a conversation as before there were any."""
    question: dict[str, Any] = {
        "query": request.query,
        "context": request.context,
        "choices": list(request.choices),
    }
    if request.history:
        question["history"] = [each.model_dump() for each in request.history]
    return question


class Acceptance:
    """Checks requests, stores them as tasks, and claims those that are to run here and now.

    Counts in ``turned_away``, by the code of the error, the tasks for which there is no room or no time.
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        owner: str,
        turns: Turns,
        find_planner: FindPlanner,
        settings: Settings,
        calibrations: Calibrations,
        turned_away: Counter[str],
        webhooks: Registry,
        tracing: Tracing | None = None,
    ) -> None:
        self._store = store
        self._access = access
        self._owner = owner
        self._turns = turns
        self._find_planner = find_planner
        self._settings = settings
        self._calibrations = calibrations
        self._rules = rules_of(settings)
        self._turned_away = turned_away
        self._webhooks = webhooks
        self._tracing = tracing

    def check(self, request: TaskRequest, trace_parent: str | None = None) -> NewTask:
        """The request as a task that can be stored.

        ``trace_parent`` is the span of whoever asks, unless this process is within one when it is stored.

        Raises:
            InvalidRequest: the query is too long, the planner or one of its options is unknown or wrong, the
                answer is to abstain where no calibration could tell when, or its webhook may not be reached.
        """
        longest = self._settings.max_query_chars
        length = (
            len(request.query) + len(request.context) + sum(len(each.content) for each in request.history)
        )
        if length > longest:
            told = "query, context and history" if request.history else "query and context"
            raise InvalidRequest(f"{told} have {length} characters; at most {longest} are accepted")
        options = self._find_planner(request.planner).validate(request.options)
        stored = request.model_dump(mode="json", exclude=_APART)
        if (below := self._abstain_below(request, options)) is not None:
            stored["abstain_below"] = below
        if request.budget.nodes == BudgetRequest().nodes:
            del stored["budget"]["nodes"]  # as before nodes were bounded, so that a key still finds its task
        for name in _LATER & stored.keys():
            if stored[name] in (None, [], {}, Priority.INTERACTIVE):
                del stored[name]
        if request.form is None:
            stored.pop("format", None)
        webhook = None if request.webhook is None else self._webhooks.named(request.webhook, request.tenant)
        if webhook is not None:
            stored["webhook"] = webhook.id
        return NewTask(
            question=_question_of(request),
            planner=request.planner,
            options={**stored, "options": options},
            seed=request.seed,
            tenant=request.tenant,
            idempotency_key=request.idempotency_key,
            priority=request.priority,
            **until(request.deadline),
            webhook=webhook,
            trace_parent=trace_parent,
        )

    def _abstain_below(self, request: TaskRequest, options: Mapping[str, Any]) -> float | None:
        """From which probability of being right on the answer counts; None if every answer does.

        A model may be known only when the engine has started, so its calibration is looked for afterwards.
        """
        given = "abstain_below" in request.model_fields_set
        below = request.abstain_below if given else self._settings.abstain_below
        if below is None:
            return None
        planner, sampling = self._find_planner(request.planner), plain(sampling_of(request.sampling))
        if why := self._calibrations.missing(planner, options, sampling):
            raise InvalidRequest(
                f"{'abstain_below' if given else 'ANABRANCH_ABSTAIN_BELOW'}: nothing tells how often answers "
                f"of planner {request.planner} are right: {why}; find out with `anabranch calibrate`, or "
                "leave it out"
            )
        return below

    async def submitted(self, new: NewTask, caller: Caller | None = None) -> Task:
        """The task, stored in the queue with what it may take reserved.

        If its idempotency key was used before, it is the first task with that key.

        Raises:
            TooManyTasks, QuotaExhausted, InvalidRequest, NoPrices: as :meth:`Access.reserved`.
            QueueFull, DeadlineUnreachable, DeadlinePassed: there is no room for it in the queue, or it would
                not begin before its deadline; it is counted.
            StorageError: it cannot be stored.
        """
        try:
            async with self._access.reserved(self._traced(new), caller) as reserved:
                return reserved.keep(await self._store.submit(reserved.task, self._rules))
        except (QueueFull, DeadlinePassed) as error:
            self._turned_away[error.code] += 1
            raise

    async def claimed(
        self, new: NewTask, *, keep: bool = False, caller: Caller | None = None
    ) -> Claim | Task:
        """A claim on the task; or the first task with its idempotency key, once that has ended.

        ``keep`` is as for :meth:`leave`; a caller who keeps tasks is in no hurry, and looks at one that runs
        elsewhere only when its lease may have lapsed.
        """
        while True:
            try:
                return await self.started(new, keep=keep, caller=caller)
            except IllegalTransition:  # there was an earlier one, which has ended or is running
                if (first := await self._store.submit(new)).status.terminal:
                    return first
            lapses = (first.lease_expires_at or 0.0) - time.time() if keep else 0.0
            await asyncio.sleep(max(POLL_SECONDS, lapses))

    async def started(self, new: NewTask, *, keep: bool = False, caller: Caller | None = None) -> Claim:
        """The task, stored and claimed; if the caller is cancelled meanwhile, :meth:`leave` deals with it."""
        starting = asyncio.create_task(sheltered(self._start(new, caller)))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            with suppress(StorageError):
                await self.leave(await starting, keep=keep)
            raise

    async def _start(self, new: NewTask, caller: Caller | None) -> Claim:
        async with self._access.reserved(self._traced(new), caller) as reserved:
            claim = await self._store.start(reserved.task, self._owner, self._settings.lease_seconds)
            reserved.keep(claim.task)
            return claim

    def _traced(self, new: NewTask) -> NewTask:
        """The task as a part of the trace of whoever asks, if this process is within one."""
        here = None if self._tracing is None else self._tracing.sender.caller()
        return new if here is None else replace(new, trace_parent=here)

    async def leave(self, claim: Claim, *, keep: bool) -> None:
        """Cancel a task whose caller has left, or with ``keep`` put it back into the queue.

        A task that has already ended, or was taken over, stays as it is.
        """
        with suppress(StorageError):
            if keep:
                await self._store.release(claim)
            else:
                await self._store.finish(claim, TaskStatus.CANCELLED, outcome=RunOutcome.CANCELLED.value)
                await self._access.ended(claim.task)
        self._turns.turn(claim.task.id)
