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
from typing import Any

from orchestrator.consensus.agreement import tabulated
from orchestrator.consensus.calibration import auroc, calibrate, threshold
from orchestrator.consensus.reliability import Given, reliabilities
from orchestrator.consensus.shares import Checked, checked
from orchestrator.consensus.stopping import FIRST_DEFAULT_RULE
from orchestrator.errors import Divergence, InvalidRequest, translated
from orchestrator.planning.finding import find_planner
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.values import Answer
from orchestrator.structured import task_group
from orchestrator.tasks.evidence import RISING, Evidence, Purpose, Score, Signal, agreement_of, score_of
from orchestrator.tasks.hindsight.replaying import replay
from orchestrator.tasks.labels import Half, agrees
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from orchestrator.tasks.setup import VERSIONS, versions_of
from orchestrator.tasks.solution import Calibrated
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
    """The answer of a run, how much it took, how it was obtained, and whether it is right.

    ``given`` is what each voter said, where several models voted and the right answer is known.
    """

    trace_id: str
    answer: Answer
    tokens: int
    purpose: Purpose
    right: bool
    given: tuple[Given, ...] = ()

    def score(self, signal: Score) -> float | None:
        """The value of that score for the answer."""
        return score_of(self.answer, self.tokens, signal)

    def says(self, signal: Signal) -> str | float | None:
        """What the signal is for the answer; None if it has none."""
        return agreement_of(self.answer) if signal == "agreement" else self.score(signal)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A task with its right answers, or with whether its own answer is right; fitted to, or held out."""

    task: Task
    verdict: tuple[str, ...] | bool
    half: Half = "dev"


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
    asked = request.model_dump(mode="json", exclude={"tenant", "idempotency_key", "abstain_below"})
    determining = json.dumps([asked, model, VERSIONS["anabranch"]], sort_keys=True)
    digest = hashlib.sha256(determining.encode()).hexdigest()[:32]
    for attempt in count(1):
        new = replace(service.check(request), idempotency_key=f"calibration {digest} {attempt}")
        task, ran = await service.run_new(new, keep=True)
        if ran or task.status is TaskStatus.SUCCEEDED:
            return task
    raise AssertionError


async def fit(store: Store, labelled: Sequence[Labelled], name: str, wanted: Wanted) -> Evidence:
    """The calibration that labelled tasks support; ``name`` is the name of the file with the labels.

    It is fitted to the tasks of the half ``dev``, and then checked on those of the half ``held``.

    Raises:
        InvalidRequest: a task has not ended, the tasks were run in different ways, or too few answers are
            right or wrong; says how many are needed.
    """
    left_out: Counter[str] = Counter()
    examples: dict[Half, list[Example]] = {"dev": [], "held": []}
    for each in labelled:
        if why := _unusable(each.task, wanted.signal):
            left_out[why] += 1
            continue
        example = await _example(store, each.task, each.verdict)
        if example.says(wanted.signal) is None:
            left_out[f"without {wanted.signal}"] += 1
        else:
            examples[each.half].append(example)
    fitted_on = examples["dev"]
    try:
        fitted = _fitted(fitted_on, wanted)
    except ValueError as error:
        reasons = ", ".join(f"{number} {reason}" for reason, number in left_out.items()) or "none"
        raise InvalidRequest(f"{error}; left out: {reasons}") from None
    purpose = _one_purpose([*fitted_on, *examples["held"]])
    evidence = Evidence(
        name=name,
        signal=wanted.signal,
        **fitted,
        purpose=purpose,
        beside=_beside(fitted_on),
        voters=reliabilities([each.given for each in fitted_on]),
        risk=wanted.risk,
        questions=len(labelled),
        left_out=dict(left_out),
        fitted_at=datetime.now(UTC),
        versions=versions_of(find_planner(purpose.planner)),
    )
    return evidence.model_copy(update={"checked": _checked(evidence, examples["held"])})


def _unusable(task: Task, signal: Signal) -> str:
    """Why a task tells nothing of how sure its answer was; empty if it does."""
    if not task.status.terminal:
        raise InvalidRequest(f"trace {task.id} is {task.status}; label only runs that have ended")
    usable = [RunOutcome.ANSWERED, RunOutcome.ABSTAINED]
    if (
        signal != "agreement"
    ):  # a split vote has its scores, and answers that are not given have no probability
        usable.append(RunOutcome.UNDECIDED)
    if task.outcome == RunOutcome.ABSTAINED and (task.solution or {}).get("limit") is not None:
        return RunOutcome.LIMITED
    return "" if task.outcome in usable else task.outcome or str(task.status)


def _fitted(examples: Sequence[Example], wanted: Wanted) -> dict[str, Any]:
    """What of the evidence is fitted to the examples. Raises ValueError if they are too few."""
    right = [each.right for each in examples]
    if wanted.signal == "agreement":
        return {"calibration": tabulated([str(each.says("agreement")) for each in examples], right)}
    scores, rising = [each.score(wanted.signal) for each in examples], RISING[wanted.signal]
    calibration = calibrate(scores, right, rising=rising)
    least, held_out = threshold(scores, right, rising=rising, risk=wanted.risk)
    return {"calibration": calibration, "threshold": least, "held_out": held_out}


def _checked(evidence: Evidence, examples: Sequence[Example]) -> tuple[Checked, ...]:
    """What the probabilities came to on examples that had no part in them."""
    told = [(evidence.apply(each.answer, each.tokens), each.right) for each in examples]
    known = [(says.probability, right) for says, right in told if isinstance(says, Calibrated)]
    return checked([probability for probability, _ in known], [right for _, right in known])


def _beside(examples: Sequence[Example]) -> dict[Score, float]:
    """The AUROC of each score that all of the examples have."""
    found: dict[Score, float] = {}
    for signal, rising in RISING.items():
        sure = [value if rising else -value for each in examples if (value := each.score(signal)) is not None]
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
                f"{first.trace_id} has {', '.join(differences)} as {other.trace_id} has"
            )
    return first.purpose


async def _example(store: Store, task: Task, verdict: tuple[str, ...] | bool) -> Example:
    events = [event async for event in store.read(task.id)]
    header = events[0].data
    if header.get("changes"):
        raise InvalidRequest(f"trace {task.id} is a fork with a change; label only runs without one")
    planner, model = find_planner(header["planner"]), header["capabilities"]["model"]
    try:
        rule = header.get("rule", FIRST_DEFAULT_RULE)
        tools = [tool["name"] for tool in header["tools"]]
        purpose = Purpose.of(planner, header["options"], header["sampling"], model, rule, tools)
    except InvalidRequest as error:
        raise InvalidRequest(f"trace {task.id}: {error}") from None
    try:
        result = (await replay(task.id, events, find_planner)).result
    except Divergence as error:
        raise InvalidRequest(
            f"trace {task.id} cannot be repeated, so it says nothing of runs as they are now: {error}; "
            "answer its question anew, in another database, as what was answered before is not asked again"
        ) from None
    answer = result.answer
    assert answer is not None  # of a run that has an outcome that is usable
    tokens, choices = result.spent.usage.completion_tokens, task.question["choices"]
    if isinstance(verdict, bool):
        return Example(task.id, answer, tokens, purpose, verdict)
    right = await agrees(answer.claim or answer.text, verdict, choices)
    voters = purpose.options.get("voters") or ()
    claims = [(vote.kind, vote.claim) for vote in answer.votes if vote.claim and vote.kind in voters]
    told = {claim: await agrees(claim, verdict, choices) for claim in {claim: None for _, claim in claims}}
    given = tuple(Given(voter, claim, told[claim]) for voter, claim in claims)
    return Example(task.id, answer, tokens, purpose, right, given)
