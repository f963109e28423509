"""Which calibration tells of a run, and answers that are too unsure for their caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.planning.finding import find_planner
from orchestrator.runtime.change import Change
from orchestrator.runtime.environment import Result, RunOutcome
from orchestrator.runtime.plain import plain
from orchestrator.runtime.values import Answer, Spent
from orchestrator.settings import Settings
from orchestrator.tasks.calibrating import fit
from orchestrator.tasks.calibrations import SHIPPED, Calibrations
from orchestrator.tasks.ending import ending_of
from orchestrator.tasks.evidence import Evidence, Purpose
from orchestrator.tasks.requests import TaskRequest, parse, sampling_of
from orchestrator.tasks.service import Service
from orchestrator.tasks.setup import versions_of
from orchestrator.tasks.solution import Timings
from storage.opening import open_store
from storage.store import Store
from storage.tasks import TaskStatus
from storage.trace import Trace
from tests.orchestrator.tasks.test_calibrating import BY_AGREEMENT, asking, said, solved
from workers.engines.simulator.engine import Simulator


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await open_store("memory") as opened:
        yield opened


@pytest.fixture
async def fitted(store: Store) -> Evidence:
    return await fit(store, await solved(store), "boxes.jsonl", BY_AGREEMENT)


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the calibrations of the package are, for this test."""
    monkeypatch.setattr("orchestrator.tasks.calibrations.SHIPPED", tmp_path / "package")
    monkeypatch.setattr("orchestrator.tasks.calibrations.user_directory", lambda: tmp_path / "user")
    return tmp_path / "package"


def sure(box: int, below: float | None) -> TaskRequest:
    return parse({**asking(box).model_dump(), "abstain_below": below})


async def test_a_calibration_of_the_package_is_found_by_itself(
    store: Store, fitted: Evidence, shipped: Path, tmp_path: Path
) -> None:
    await asyncio.to_thread(fitted.save, shipped / fitted.file_name)
    for configured in (None, tmp_path):  # a user's own place that has nothing on this planner
        known = await Calibrations.read(configured)
        assert (known.kept, known.shipped) == ((), (fitted,))
        service = Service(store, Simulator(said), calibrations=known)
        solution = await service.solve(asking(2))
        assert solution.calibrated is not None
        assert (solution.calibrated.evidence, solution.calibrated.agreement) == ("boxes.jsonl", "5 of 5")
        other = await service.solve(asking(2, n=6))  # a new user need not know what the package was made for
        assert other.uncalibrated == "no calibration is available"


async def test_a_users_own_calibration_wins(store: Store, fitted: Evidence, shipped: Path) -> None:
    newer = fitted.model_copy(update={"fitted_at": fitted.fitted_at + timedelta(days=9)})
    await asyncio.to_thread(newer.save, shipped / fitted.file_name)
    own = fitted.model_copy(update={"name": "own.jsonl"})
    await asyncio.to_thread(own.save, shipped.parent / "user" / fitted.file_name)
    service = Service(store, Simulator(said), calibrations=await Calibrations.read(None))
    told = (await service.solve(asking(2))).calibrated
    assert told is not None
    assert told.evidence == "own.jsonl"


async def test_a_calibration_does_not_tell_of_runs_by_another_version(store: Store, fitted: Evidence) -> None:
    """Prompts and reading may have changed."""
    older = fitted.model_copy(update={"versions": {**fitted.versions, "anabranch": "0.0.9"}})
    service = Service(store, Simulator(said), calibrations=Calibrations((older,)))
    told = (await service.solve(asking(2))).uncalibrated
    assert told == f"boxes.jsonl was fitted for anabranch 0.0.9, not {fitted.versions['anabranch']}"
    other_python = fitted.model_copy(update={"versions": {**fitted.versions, "python": "3.99"}})
    service = Service(store, Simulator(said), calibrations=Calibrations((other_python,)))
    assert (await service.solve(asking(2))).calibrated


@pytest.mark.parametrize(("name", "differs"), [("react", True), ("vote", False)])
def test_tools_count_for_planners_that_cannot_do_without(name: str, differs: bool) -> None:
    planner, sampling = find_planner(name), plain(sampling_of(TaskRequest(query="?").sampling))
    one, other = (Purpose.of(planner, {}, sampling, "m", "fixed", tools) for tools in (["a", "b"], ["b"]))
    assert one.differences(other) == (['tools ["a", "b"], not ["b"]'] if differs else [])


async def test_what_the_package_ships_is_for_its_defaults() -> None:
    for file in SHIPPED.glob("*.json"):
        evidence = await asyncio.to_thread(Evidence.load, file)
        planner, request = find_planner(evidence.purpose.planner), TaskRequest(query="?")
        model, rule = evidence.purpose.model, str(evidence.purpose.options.get("rule"))
        now = Purpose.of(planner, {}, plain(sampling_of(request.sampling)), model, rule)
        assert evidence.differences(now, versions_of(planner)) == []
        assert file.name == evidence.file_name
        assert evidence.checked, "state probabilities only with questions that were held out"


async def test_an_answer_that_is_too_unsure_abstains_and_is_still_there(
    store: Store, fitted: Evidence
) -> None:
    service = Service(store, Simulator(said), calibrations=Calibrations((fitted,)))
    firm = await service.solve(sure(2, 0.5))
    assert (firm.outcome, firm.undecided) == (RunOutcome.ANSWERED, None)
    told = firm.calibrated
    assert told is not None
    below = told.probability + 0.001
    unsure = await service.solve(sure(2, below))
    assert (unsure.outcome, unsure.answer, unsure.calibrated) == (RunOutcome.ABSTAINED, "2", told)
    assert unsure.undecided == (
        f"{told}; this one is about {100 * told.probability:.3g} % likely to be right, "
        f"below {100 * below:g} %"
    )
    task, trace = await store.get(unsure.trace_id), await Trace.read(store, unsure.trace_id)
    assert (task.status, task.outcome, trace.outcome) == (TaskStatus.SUCCEEDED, "abstained", "abstained")
    replayed = await service.replay(unsure.trace_id)  # the run itself came to an answer
    assert replayed.result.outcome is RunOutcome.ANSWERED
    fork = await service.fork(unsure.trace_id, at="0", change=Change(rule="fixed:3"))
    assert fork.outcome is RunOutcome.ANSWERED


async def test_an_undecided_run_abstains_where_an_answer_to_rely_on_is_asked_for(
    store: Store, fitted: Evidence
) -> None:
    service = Service(store, Simulator("", model=fitted.purpose.model), calibrations=Calibrations((fitted,)))
    plain = await service.solve(sure(2, None))
    assert plain.outcome is RunOutcome.UNDECIDED
    unsure = await service.solve(sure(2, 0.5))
    assert (unsure.outcome, unsure.undecided) == (RunOutcome.ABSTAINED, plain.undecided)
    assert (unsure.trust, unsure.unsure) == (plain.trust, True)
    replayed = await service.replay(unsure.trace_id)
    assert replayed.result.outcome is RunOutcome.UNDECIDED


async def test_an_answer_of_which_nothing_is_known_abstains(store: Store, fitted: Evidence) -> None:
    service = Service(store, Simulator(said, model="other"), calibrations=Calibrations((fitted,)))
    unsure = await service.solve(sure(2, 0.5))
    assert (unsure.outcome, unsure.answer) == (RunOutcome.ABSTAINED, "2")
    assert unsure.undecided == (
        "how often answers like this are right is not known: "
        'boxes.jsonl was fitted for model "simulator", not "other"'
    )


async def test_to_abstain_without_a_calibration_is_refused_before_anything_runs(
    store: Store, fitted: Evidence
) -> None:
    service = Service(store, Simulator(said))
    with pytest.raises(
        InvalidRequest, match=r"abstain_below: nothing tells .* no calibration is available; "
    ):
        await service.solve(sure(2, 0.8))
    service = Service(store, Simulator(said), calibrations=Calibrations((fitted,)))
    before = await store.list()
    with pytest.raises(
        InvalidRequest, match=r"planner vote are right: .* for n 5, not 6; .*anabranch calibrate"
    ):
        await service.submit(parse({**asking(2, n=6).model_dump(), "abstain_below": 0.8}))
    assert await store.list() == before
    for wrong in (0, 1.5, -1, "half"):
        with pytest.raises(InvalidRequest, match="abstain_below"):
            parse({"query": "?", "abstain_below": wrong})


async def test_the_setting_holds_where_a_request_says_nothing(store: Store, fitted: Evidence) -> None:
    settings = Settings(abstain_below=1.0)
    service = Service(store, Simulator(said), settings=settings, calibrations=Calibrations((fitted,)))
    assert (await service.solve(asking(2))).outcome is RunOutcome.ABSTAINED
    assert (await service.solve(sure(2, None))).outcome is RunOutcome.ANSWERED
    assert (await service.solve(sure(2, 0.5))).outcome is RunOutcome.ANSWERED
    with pytest.raises(InvalidRequest, match="ANABRANCH_ABSTAIN_BELOW: nothing tells"):
        await Service(store, Simulator(said), settings=settings).solve(asking(2))


async def test_what_a_task_asks_for_holds_wherever_it_runs(store: Store, fitted: Evidence) -> None:
    known = Calibrations((fitted,))
    here = Service(store, Simulator(said), settings=Settings(abstain_below=1.0), calibrations=known)
    task = await here.submit(asking(2))
    elsewhere = Service(store, Simulator(said), calibrations=known)
    async with elsewhere.working():
        for _ in range(1000):
            if (task := await store.get(task.id)).status.terminal:
                break
            await asyncio.sleep(0.01)
    assert task.outcome == "abstained"


async def test_tasks_that_do_not_abstain_are_stored_as_before(store: Store) -> None:
    task = await Service(store, Simulator(said)).submit(asking(2))
    assert "abstain_below" not in task.options


async def test_answers_that_abstained_calibrate_as_any_other(store: Store, fitted: Evidence) -> None:
    found = await solved(store)
    abstained = [replace(each, task=replace(each.task, outcome="abstained")) for each in found]
    again = await fit(store, abstained, "boxes.jsonl", BY_AGREEMENT)
    assert again.calibration == fitted.calibration


async def test_an_answer_that_a_bound_cut_short_abstains_too_and_calibrates_nothing(
    store: Store, fitted: Evidence
) -> None:
    service = Service(store, Simulator(said), calibrations=Calibrations((fitted,)))
    short = Result(RunOutcome.LIMITED, Answer("2", "2"), Spent(), limit="tokens")
    ending = ending_of(
        short,
        task=await service.submit(sure(2, 0.5)),
        timings=Timings(queued=0, run=0),
        sureness="the run was cut short",
    )
    assert ending.outcome is RunOutcome.ABSTAINED
    assert ending.solution is not None
    assert (ending.solution["limit"], ending.solution["unsure"]) == ("tokens", True)
    first, *rest = await solved(store)
    cut = replace(first, task=replace(first.task, outcome="abstained", solution=ending.solution))
    assert (await fit(store, [cut, *rest], "again", BY_AGREEMENT)).left_out == {"limited": 1}
