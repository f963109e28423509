"""From labelled questions to a calibration, and from there to what a solution says of itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from rich.console import Console

from orchestrator.cli.reporting import print_evidence
from orchestrator.consensus.agreement import LEAST, Agreements
from orchestrator.consensus.calibration import Calibration, HeldOut
from orchestrator.errors import InvalidRequest, Unavailable
from orchestrator.runtime.change import Change
from orchestrator.runtime.values import Answer, Cluster
from orchestrator.tasks.calibrating import Labelled, Wanted, fit, solve_all
from orchestrator.tasks.calibrations import Calibrations, place
from orchestrator.tasks.evidence import Evidence, agreement_of, score_of
from orchestrator.tasks.requests import TaskRequest, parse
from orchestrator.tasks.service import Service
from orchestrator.tasks.solution import Calibrated, Solution
from planners.vote import vote
from storage.opening import open_store
from storage.store import Store
from storage.tasks import Task, TaskStatus
from workers.calls import Call
from workers.engines.simulator.engine import CostModel, Simulator
from workers.pool.member import Member
from workers.pool.pool import Pool

QUESTIONS = 40
WANTED = Wanted("confidence", 0.3, None)


def asked_of(call: Call) -> int:
    """The box that a call asks about."""
    return int(call.prompt.messages()[-1]["content"].partition("box ")[2].split()[0])


def said(call: Call, rng: Random) -> str:
    """Box i holds i coins. Of even boxes a branch knows it with 95 %, of odd ones with 60 %."""
    box = asked_of(call)
    return f"\\boxed{{{box if rng.random() < (0.95, 0.6)[box % 2] else box + 50}}}"


def asking(box: int, planner: str = "vote", **options: object) -> TaskRequest:
    given = {"n": 5, "rule": "fixed"} if planner == "vote" else {}
    return parse({"query": f"box {box}", "planner": planner, "options": {**given, **options}})


REQUESTS = [asking(box) for box in range(QUESTIONS)]
ANSWERS = [str(box) for box in range(QUESTIONS)]


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await open_store("memory") as opened:
        yield opened


async def solved(store: Store, requests: Sequence[TaskRequest] = REQUESTS) -> list[Labelled]:
    tasks = await solve_all(Service(store, Simulator(said)), requests, 8, lambda: None)
    return labelled(tasks)


def labelled(tasks: Sequence[Task]) -> list[Labelled]:
    return [Labelled(task, (answer,)) for task, answer in zip(tasks, ANSWERS, strict=False)]


async def test_a_calibration_says_how_many_are_right(store: Store, tmp_path: Path) -> None:
    evidence = await fit(store, await solved(store), "boxes.jsonl", WANTED)
    assert isinstance(evidence.calibration, Calibration)
    assert evidence.questions == evidence.calibration.examples == QUESTIONS
    assert evidence.purpose.planner == "vote"
    assert evidence.purpose.options["n"] == 5
    assert evidence.purpose.model == "simulator"
    assert evidence.calibration.auroc > 0.6
    assert evidence.beside["confidence"] == evidence.calibration.auroc
    assert set(evidence.beside) == {"confidence", "entropy", "length"}
    assert evidence.threshold is None  # of 20 held-out questions too few are accepted to bear out any

    file = tmp_path / "kept" / evidence.file_name
    await asyncio.to_thread(evidence.save, file)
    assert await asyncio.to_thread(Evidence.load, file) == evidence
    kept = await Calibrations.read(file.parent)
    assert kept.kept == (await Calibrations.read(file)).kept == (evidence,)

    service = Service(store, Simulator(said), calibrations=kept)
    solution = await service.solve(asking(2))
    assert solution.uncalibrated is None
    assert solution.calibrated is not None
    assert solution.calibrated.probability == evidence.calibration.probability(solution.confidence or 0)
    assert not solution.calibrated.within_risk
    assert (solution.calibrated.questions, solution.calibrated.evidence) == (QUESTIONS, "boxes.jsonl")


async def test_a_risk_is_stated_only_where_held_out_questions_bear_it_out(store: Store) -> None:
    evidence = await fit(store, await solved(store), "boxes.jsonl", WANTED)
    answer = Answer("7", "7", 1.0, 0.0, (Cluster("7", 5),))
    borne_out = evidence.model_copy(update={"threshold": 0.8, "held_out": HeldOut(20, 15, 0, 0.19)})
    before = evidence.model_copy(update={"threshold": 0.8, "held_out": None})
    for kept, within in ((borne_out, True), (before, False), (evidence, False)):
        told = kept.apply(answer, 100)
        assert isinstance(told, Calibrated)
        assert told.within_risk is within


@pytest.mark.parametrize(
    ("request_", "model", "why"),
    [
        (asking(2, n=6), "simulator", "boxes.jsonl was fitted for n 5, not 6"),
        (asking(2), "other", 'boxes.jsonl was fitted for model "simulator", not "other"'),
        (asking(2, "direct"), "simulator", 'boxes.jsonl was fitted for planner "vote", not "direct"'),
    ],
)
async def test_what_was_fitted_for_something_else_is_not_applied(
    store: Store, request_: TaskRequest, model: str, why: str
) -> None:
    evidence = await fit(store, await solved(store), "boxes.jsonl", WANTED)
    service = Service(store, Simulator(said, model=model), calibrations=Calibrations((evidence,)))
    solution = await service.solve(request_)
    assert solution.calibrated is None
    assert solution.uncalibrated == why


async def test_answers_that_tell_nothing_are_not_calibrated(store: Store) -> None:
    plain = await Service(store, Simulator(said)).solve(asking(2))
    assert (plain.calibrated, plain.uncalibrated) == (None, "no calibration is available")
    evidence = await fit(store, await solved(store), "boxes.jsonl", WANTED)
    service = Service(store, Simulator(said), calibrations=Calibrations((evidence,)))
    fork = await service.fork(plain.trace_id, at="0", change=Change(rule="fixed:3"))
    assert fork.uncalibrated == "the run is a fork with a change"
    direct = evidence.model_copy(
        update={"purpose": evidence.purpose.model_copy(update={"planner": "direct"})}
    )
    alone = direct.purpose.model_copy(update={"options": {"temperature": 0.0, "max_tokens": 1024}})
    alone_kept = Calibrations((direct.model_copy(update={"purpose": alone}),))
    service = Service(store, Simulator(said), calibrations=alone_kept)
    assert (await service.solve(asking(2, "direct"))).uncalibrated == "the answer has no confidence to go by"


@pytest.mark.parametrize(
    ("answer", "confidence"),
    [
        (Answer("7", "7", 0.75, 0.56, (Cluster("7", 3), Cluster("8", 1))), 0.75),
        (Answer("7", "7", 1.0, 0.0, (Cluster("7", 1),)), None),  # nobody to agree with
        (Answer("7", "7", 1.0, None, (Cluster("7", 2),)), None),  # most branches came to no answer
        (Answer("7", "7", 0.75), 0.75),  # a planner's own confidence
        (Answer("7", "7"), None),
    ],
)
def test_silence_is_no_confidence(answer: Answer, confidence: float | None) -> None:
    assert score_of(answer, 100, "confidence") == confidence
    assert score_of(answer, 100, "length") == 100


async def test_what_was_answered_before_is_not_asked_again(store: Store) -> None:
    engine = Simulator(said)
    first = await solve_all(Service(store, engine), REQUESTS[:6], 2, lambda: None)
    calls = engine.counters().started
    again = await solve_all(Service(store, engine), REQUESTS[:7], 2, lambda: None)
    assert [task.id for task in again[:6]] == [task.id for task in first]
    assert engine.counters().started == calls + 5
    other = await solve_all(Service(store, Simulator(said, model="other")), REQUESTS[:1], 2, lambda: None)
    assert other[0].id not in [task.id for task in again]


async def test_an_interrupted_calibration_goes_on(store: Store) -> None:
    slow = Service(store, Simulator(said, cost=CostModel(decode_tokens_per_s=40)))
    done = asyncio.Event()
    solving = asyncio.create_task(solve_all(slow, REQUESTS[:8], 2, done.set))
    await done.wait()
    solving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await solving
    stored = await store.list()
    assert {task.status for task in stored} == {TaskStatus.SUCCEEDED, TaskStatus.QUEUED}
    tasks = await solve_all(Service(store, Simulator(said)), REQUESTS[:8], 2, lambda: None)
    assert {task.status for task in tasks} == {TaskStatus.SUCCEEDED}
    assert {task.id for task in stored} <= {task.id for task in tasks}


async def test_a_question_that_failed_is_tried_again(store: Store) -> None:
    refusing = Simulator({"another question": "?"})
    (failed,) = await solve_all(Service(store, refusing), REQUESTS[:1], 1, lambda: None)
    assert failed.status is TaskStatus.FAILED
    (task,) = await solve_all(Service(store, Simulator(said)), REQUESTS[:1], 1, lambda: None)
    assert task.status is TaskStatus.SUCCEEDED
    with pytest.raises(InvalidRequest, match=r"at least 20 .*; left out: 1 failed"):
        await fit(store, [Labelled(failed, ("0",))], "boxes.jsonl", WANTED)


async def test_an_engine_that_is_not_there_is_told_before_anything_is_stored(store: Store) -> None:
    dead = Simulator(said)
    dead.kill()
    with pytest.raises(Unavailable, match="is not running"):
        await solve_all(Service(store, dead), REQUESTS, 4, lambda: None)
    assert await store.list() == ()


async def test_stored_runs_are_labelled_by_verdict(store: Store) -> None:
    found = await solved(store)
    by_answer = await fit(store, found, "boxes.jsonl", WANTED)
    verdicts = [
        Labelled(each.task, Solution.model_validate(each.task.solution).answer in (each.verdict or ()))
        for each in found
        if not isinstance(each.verdict, bool)
    ]
    assert (await fit(store, verdicts, "boxes.jsonl", WANTED)).calibration == by_answer.calibration


async def test_runs_of_different_kinds_are_not_mixed(store: Store) -> None:
    found = await solved(store, [*REQUESTS[:-1], asking(39, n=7)])
    with pytest.raises(InvalidRequest, match=r"different ways.* has n 5, not 7 as"):
        await fit(store, found, "boxes.jsonl", WANTED)


async def test_runs_that_have_not_ended_and_forks_are_refused(store: Store) -> None:
    service = Service(store, Simulator(said))
    waiting = await service.submit(asking(1))
    with pytest.raises(InvalidRequest, match="is queued; label only runs that have ended"):
        await fit(store, [Labelled(waiting, ("1",))], "boxes.jsonl", WANTED)
    solution = await service.solve(asking(2))
    fork = await service.fork(solution.trace_id, at="0", change=Change(rule="fixed:3"))
    with pytest.raises(InvalidRequest, match="is a fork with a change"):
        await fit(store, [Labelled(await store.get(fork.trace_id), ("2",))], "boxes.jsonl", WANTED)


async def test_answers_that_are_all_right_calibrate_nothing(store: Store) -> None:
    found = [replace(each, verdict=True) for each in await solved(store)]
    with pytest.raises(InvalidRequest, match=r"5 wrong; there are 40, 40 right and 0 wrong; left out: none"):
        await fit(store, found, "boxes.jsonl", WANTED)


async def test_a_run_that_a_budget_ended_tells_nothing(store: Store) -> None:
    found = await solved(store)
    cut_short = replace(found[0], task=replace(found[0].task, outcome="limited"))
    evidence = await fit(store, [cut_short, *found[1:]], "boxes.jsonl", WANTED)
    assert evidence.left_out == {"limited": 1}
    assert evidence.calibration.examples == QUESTIONS - 1


async def test_one_answer_alone_is_calibrated_by_its_length(store: Store) -> None:
    def rambling(call: Call, rng: Random) -> str:
        box = asked_of(call)
        return f"{'Well. ' * (box % 10)}Answer: {box if box % 10 < rng.randrange(11) else 99}"

    requests = [asking(box, "direct", temperature=1.0) for box in range(QUESTIONS)]
    tasks = await solve_all(Service(store, Simulator(rambling)), requests, 8, lambda: None)
    evidence = await fit(store, labelled(tasks), "x.jsonl", replace(WANTED, signal="length"))
    assert isinstance(evidence.calibration, Calibration)
    assert evidence.beside == {"length": evidence.calibration.auroc}
    assert evidence.calibration.auroc > 0.6
    service = Service(store, Simulator(rambling), calibrations=Calibrations((evidence,)))
    short, long = [await service.solve(requests[box]) for box in (10, 9)]
    assert short.calibrated is not None
    assert long.calibrated is not None
    assert short.calibrated.probability > long.calibrated.probability


async def test_the_newest_of_equal_calibrations_is_taken(store: Store, tmp_path: Path) -> None:
    old = await fit(store, await solved(store), "old.jsonl", WANTED)
    new = await fit(store, await solved(store), "new.jsonl", WANTED)
    await asyncio.to_thread(old.save, tmp_path / "b.json")
    await asyncio.to_thread(new.save, tmp_path / "a.json")
    kept = await Calibrations.read(tmp_path)
    solution = await Service(store, Simulator(said), calibrations=kept).solve(asking(2))
    assert solution.calibrated is not None
    assert solution.calibrated.evidence == "new.jsonl"


async def test_files_that_are_no_calibrations_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await Calibrations.read(tmp_path)).kept == ()
    with pytest.raises(InvalidRequest, match="cannot be read"):
        await Calibrations.read(tmp_path / "nothing.json")
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({"format": "anabranch calibration 9"}))
    with pytest.raises(InvalidRequest, match=r"wrong.json is not a calibration: .*anabranch calibration 1"):
        await Calibrations.read(tmp_path)
    monkeypatch.setattr("orchestrator.tasks.calibrations.user_directory", lambda: tmp_path)
    assert (await Calibrations.read(None)).kept == ()  # it must not stop every command of this user


async def test_a_new_calibration_goes_where_the_settings_look_for_it(store: Store, tmp_path: Path) -> None:
    evidence = await fit(store, await solved(store), "boxes.jsonl", WANTED)
    wanted = {
        tmp_path: tmp_path / evidence.file_name,
        tmp_path / "new": tmp_path / "new" / evidence.file_name,
        tmp_path / "one.json": tmp_path / "one.json",
    }
    for configured, where in wanted.items():
        assert await asyncio.to_thread(place, evidence, configured) == where
    await asyncio.to_thread(evidence.save, wanted[tmp_path / "new"])
    assert (await Calibrations.read(tmp_path / "new")).kept == (evidence,)


BY_AGREEMENT = replace(WANTED, signal="agreement")


async def test_answers_that_agreed_alike_were_right_so_often(store: Store) -> None:
    found = await solved(store)
    evidence = await fit(store, found, "boxes.jsonl", BY_AGREEMENT)
    fitted = evidence.calibration
    assert isinstance(fitted, Agreements)
    assert sum(row.count for row in fitted.rows) == fitted.examples == QUESTIONS
    assert {name for row in fitted.rows for name in row.agreements} <= {f"{k} of 5" for k in range(1, 6)}
    service = Service(store, Simulator(said), calibrations=Calibrations((evidence,)))
    solution = await service.solve(asking(2))
    told, row = solution.calibrated, fitted.alike("5 of 5")
    assert told is not None
    assert row is not None
    assert (told.agreement, told.right, told.alike) == ("5 of 5", row.right, row.count)
    assert told.probability == (row.right + 1) / (row.count + 2)
    assert str(told).startswith(f"answers like this were right in {row.right} of {row.count} questions, ")


async def test_all_right_answers_tell_that_answers_alike_are_nearly_sure(store: Store) -> None:
    found = [replace(each, verdict=True) for each in await solved(store)]
    evidence = await fit(store, found, "boxes.jsonl", BY_AGREEMENT)
    told = evidence.apply(Answer("7", "7", 1.0, 0.0, (Cluster("7", 5),)), 100)
    assert isinstance(told, Calibrated)
    assert told.alike is not None
    assert told.probability == (told.alike + 1) / (told.alike + 2)
    unheard_of = evidence.apply(Answer("7", "7", 1.0, 0.0, (Cluster("7", 9),)), 100)
    assert unheard_of == "no labelled answer was like this one (9 of 9)"


async def test_few_answers_alike_tell_nothing_of_others(store: Store) -> None:
    evidence = await fit(store, await solved(store), "boxes.jsonl", BY_AGREEMENT)
    fitted = evidence.calibration
    assert isinstance(fitted, Agreements)
    row = fitted.alike("5 of 5")
    assert row is not None
    for count, known in ((LEAST, True), (LEAST - 1, False)):
        rows = tuple(replace(each, right=1, count=count) if each == row else each for each in fitted.rows)
        few = evidence.model_copy(update={"calibration": replace(fitted, rows=rows)})
        told = few.apply(Answer("7", "7", 1.0, 0.0, (Cluster("7", 5),)), 100)
        assert isinstance(told, Calibrated) is known
        assert known or told == f"too few labelled answers were like this one (5 of 5): {LEAST - 1}"


async def test_runs_of_other_prompts_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """They cannot be repeated, which tells that a planner has changed since."""
    found = await solved(store)
    monkeypatch.setattr("planners.vote.FREE", "Think hard. Then give the final answer alone in \\boxed{}.")
    with pytest.raises(InvalidRequest, match=r"trace \w+ cannot be repeated, .*in another database"):
        await fit(store, found, "boxes.jsonl", BY_AGREEMENT)


async def test_probabilities_are_checked_on_the_half_that_is_held_out(store: Store) -> None:
    found = await solved(store)
    halves = [replace(each, half="held" if at % 5 > 3 else "dev") for at, each in enumerate(found)]
    for wanted in (BY_AGREEMENT, WANTED):
        evidence = await fit(store, halves, "boxes.jsonl", wanted)
        assert evidence.calibration.examples == 32
        assert evidence.questions == QUESTIONS
        assert sum(each.count for each in evidence.checked) == 8
        for each in evidence.checked:
            assert each.within is (each.low <= each.stated <= each.high)
    turned = [replace(each, verdict=each.half == "dev") for each in halves]  # all that is stated is wrong
    evidence = await fit(store, turned, "boxes.jsonl", BY_AGREEMENT)
    assert [each.within for each in evidence.checked if each.count > 4] == [False]


@pytest.mark.parametrize(
    ("answer", "agreement"),
    [
        (Answer("7", "7", 0.75, 0.56, (Cluster("7", 3), Cluster("8", 1))), "3 of 4"),
        (Answer("7", "7", 0.6, 0.56, (Cluster("7", 3), Cluster("8", 1))), "3 of 5"),  # one was silent
        (Answer("7", "7", 0.58, 0.56, (Cluster("7", 3), Cluster("8", 1))), "3 of 4"),  # branches with weights
        (Answer("9", "9", 0.0, 0.56, (Cluster("7", 3), Cluster("8", 1))), "0 of 4"),
        (Answer("7", "7", 1.0, 0.0, (Cluster("7", 2),)), "2 of 2"),
        (Answer("7", "7"), "alone"),
        (Answer("7", "7", clusters=(Cluster("7", 1),)), "alone"),
        (Answer("7", "7", 0.5, clusters=(Cluster("7", 1),)), "50 % sure, alone"),
        (Answer("7", "7", 0.995), "99 % sure, alone"),
        (Answer("7", "7", 0.2), "0 % sure, alone"),
        (Answer("7", "7", clusters=(Cluster("7", 4),)), None),  # as of copies of one completion
        (Answer("7", "7", 1.0, 0.0, (Cluster("7", 2),), method="adaptive"), "2 of 2, adaptive"),
        (
            Answer("7", "7", 0.5, 0.7, (Cluster("7", 2), Cluster("8", 2)), kinds=("program", "steps")),
            "program and steps",
        ),
        (
            Answer("7", "7", 0.995, clusters=(Cluster("7", 1),), method="adaptive"),
            "99 % sure, alone, adaptive",
        ),
        (Answer("7", "7", method="direct"), "alone, direct"),
        (Answer("7", "7", clusters=(Cluster("7", 4),), method="vote"), None),
    ],
)
def test_an_agreement_has_a_name(answer: Answer, agreement: str | None) -> None:
    assert agreement_of(answer) == agreement


async def test_a_vote_over_models_says_what_each_is_worth(store: Store) -> None:
    def answer(call: Call, rng: Random) -> str:
        box = asked_of(call)
        knows = rng.random() < {"expert": 0.95, "branch": 0.6}[call.role]
        return f"\\boxed{{{box if knows else box + rng.choice([50, 60, 70])}}}"

    members = [Member(Simulator(answer), roles=frozenset({"branch", "expert"}))]
    service = Service(store, Pool(members), planners={"vote": vote})
    requests = [asking(box, n=4, voters={"branch": 1, "expert": 1}) for box in range(QUESTIONS)]
    tasks = await solve_all(service, requests, 4, lambda: None)
    labelled = [Labelled(task, (right,)) for task, right in zip(tasks, ANSWERS, strict=True)]
    evidence = await fit(store, labelled, "labels", replace(WANTED, signal="agreement"))
    branch, expert = evidence.voters["branch"], evidence.voters["expert"]
    assert branch.count == expert.count == 2 * evidence.calibration.examples
    assert branch.weight is not None
    assert expert.weight is not None
    assert expert.right > branch.right
    assert expert.weight > branch.weight > 0
    console = Console(width=100, record=True)
    print_evidence(console, evidence)
    shown = console.export_text()
    assert f"{expert.right} of {expert.count}" in shown
    assert f'"expert": {expert.weight:g}' in shown
    judged = [Labelled(task, True) for task in tasks[:10]] + [Labelled(task, False) for task in tasks[10:]]
    assert (await fit(store, judged, "labels", replace(WANTED, signal="agreement"))).voters == {}
