"""From labelled questions or stored runs to a calibration with its evidence."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from orchestrator.consensus.calibration import auroc, calibrate, threshold
from orchestrator.consensus.stopping import FIRST_DEFAULT_RULE
from orchestrator.errors import InvalidRequest, translated
from orchestrator.planning.finding import find_planner
from orchestrator.runtime.environment import RunOutcome
from orchestrator.structured import task_group
from orchestrator.tasks.evidence import RISING, Evidence, Purpose, Signal, signal_of
from orchestrator.tasks.labels import agrees
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from orchestrator.tasks.setup import VERSIONS
from orchestrator.tasks.solution import Solution
from storage.store import Store
from storage.tasks import Task, TaskStatus


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calibration: derived from which signal, for which risk; ``out`` is where it is written."""

    signal: Signal
    risk: float
    out: Path | None


@dataclass(frozen=True, slots=True)
class Example:
    """An answer, how it was obtained, and whether it is right."""

    solution: Solution
    purpose: Purpose
    right: bool

    def signal(self, signal: Signal) -> float | None:
        """The value of that signal for the answer."""
        return signal_of(self.solution, self.solution.usage.completion, signal)


Labelled = tuple[Task, str | bool]
"""A task, with the right answer or with whether its own answer is right."""


async def solve_all(
    service: Service, requests: Sequence[TaskRequest], at_once: int, on_done: Callable[[], None]
) -> list[Task]:
    """The ended tasks of the requests, in order; requests that were run before are not run again.

    Raises:
        InvalidRequest: a request is wrong; nothing has been run.
        Unavailable: the engine or the database cannot be used.
    """
    for request in requests:
        service.check(request)
    room = asyncio.Semaphore(at_once)

    async def one(request: TaskRequest, model: str) -> Task:
        async with room:
            task = await _ended(service, request, model)
            on_done()
            return task

    with translated():
        model = (await service.engine.capabilities()).model
        async with task_group() as group:
            running = [group.create_task(one(request, model)) for request in requests]
        return [task.result() for task in running]


async def _ended(service: Service, request: TaskRequest, model: str) -> Task:
    """The task of a request: one that succeeded before, or a new one, run to its end now.

    It is found again by its idempotency key, which covers everything that determines the answer. A failed
    task keeps its key; the next attempt gets another.
    """
    asked = request.model_dump(mode="json", exclude={"tenant", "idempotency_key"})
    digest = hashlib.sha256(json.dumps([asked, model], sort_keys=True).encode()).hexdigest()[:32]
    for attempt in count(1):
        new = replace(service.check(request), idempotency_key=f"calibration {digest} {attempt}")
        task, ran = await service.run_new(new, keep=True)
        if ran or task.status is TaskStatus.SUCCEEDED:
            return task
    raise AssertionError


async def fit(store: Store, labelled: Sequence[Labelled], name: str, wanted: Wanted) -> Evidence:
    """The calibration that labelled tasks support; ``name`` is the name of the file with the labels.

    Raises:
        InvalidRequest: a task has not ended, the tasks were run in different ways, or too few answers are
            right or wrong; says how many are needed.
    """
    left_out: Counter[str] = Counter()
    examples = []
    for task, verdict in labelled:
        if not task.status.terminal:
            raise InvalidRequest(f"trace {task.id} is {task.status}; label only runs that have ended")
        if task.outcome not in (RunOutcome.ANSWERED, RunOutcome.UNDECIDED):
            left_out[task.outcome or str(task.status)] += 1
            continue
        example = await _example(store, task, verdict)
        if example.signal(wanted.signal) is None:
            left_out[f"without {wanted.signal}"] += 1
        else:
            examples.append(example)
    scores, right = [each.signal(wanted.signal) for each in examples], [each.right for each in examples]
    rising = RISING[wanted.signal]
    try:
        calibration = calibrate(scores, right, rising=rising)
    except ValueError as error:
        reasons = ", ".join(f"{number} {reason}" for reason, number in left_out.items()) or "none"
        raise InvalidRequest(f"{error}; left out: {reasons}") from None
    least, held_out = threshold(scores, right, rising=rising, risk=wanted.risk)
    return Evidence(
        name=name,
        purpose=_one_purpose(examples),
        signal=wanted.signal,
        calibration=calibration,
        beside=_beside(examples),
        risk=wanted.risk,
        threshold=least,
        held_out=held_out,
        questions=len(labelled),
        left_out=dict(left_out),
        fitted_at=datetime.now(UTC),
        versions=VERSIONS,
    )


def _beside(examples: Sequence[Example]) -> dict[Signal, float]:
    """The AUROC of each signal that all of the examples have."""
    found: dict[Signal, float] = {}
    for signal, rising in RISING.items():
        sure = [
            value if rising else -value for each in examples if (value := each.signal(signal)) is not None
        ]
        area = auroc(sure, [each.right for each in examples]) if len(sure) == len(examples) else None
        if area is not None:
            found[signal] = area
    return found


def _one_purpose(examples: Sequence[Example]) -> Purpose:
    first = examples[0]
    for other in examples[1:]:
        if differences := first.purpose.differences(other.purpose):
            raise InvalidRequest(
                f"the runs were made in different ways, and each way needs its own calibration: "
                f"{first.solution.trace_id} has {', '.join(differences)} as {other.solution.trace_id} has"
            )
    return first.purpose


async def _example(store: Store, task: Task, verdict: str | bool) -> Example:
    solution = Solution.model_validate(task.solution)
    first, *_ = [event async for event in store.read(task.id)]
    header = first.data
    if header.get("changes"):
        raise InvalidRequest(f"trace {task.id} is a fork with a change; label only runs without one")
    planner, model = find_planner(header["planner"]), header["capabilities"]["model"]
    try:
        rule = header.get("rule", FIRST_DEFAULT_RULE)
        purpose = Purpose.of(planner, header["options"], header["sampling"], model, rule)
    except InvalidRequest as error:
        raise InvalidRequest(f"trace {task.id}: {error}") from None
    if isinstance(verdict, str):
        verdict = await agrees(solution.answer, verdict, task.question["choices"])
    return Example(solution, purpose, verdict)
